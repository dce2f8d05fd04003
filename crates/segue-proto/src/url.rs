//! RTMP URLs and stream names: parsing, the grammar of names, the `id` and mask under which a stream is shown, and
//! the resolution of an E-RTMP `tcUrl` against the current one. It decides nothing about whether a target is allowed.
//!
//! A stream's name, with its query, is its key: nothing here prints it in full but [`RtmpUrl::stream_name`], which is
//! what goes on the wire.

use std::fmt;
use std::net::Ipv6Addr;

use sha2::{Digest, Sha256};
use thiserror::Error as ThisError;

use crate::state;

/// The port of `rtmp://` without one.
pub const DEFAULT_PORT: u16 = 1935;
/// The port of `rtmps://` without one.
pub const DEFAULT_TLS_PORT: u16 = 443;
/// The longest application or stream name, in bytes, without its query.
pub const MAX_NAME: usize = 1024;
/// The longest query of an application or stream name, in bytes: signed tokens are long.
pub const MAX_QUERY: usize = 4096;

/// Why a URL is none of ours. The text never repeats the URL, which may hold a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
#[error("invalid URL: {0}")]
pub struct InvalidUrl(&'static str);

/// `rtmp://host[:port]/app/name[?query]`.
///
/// `Display` and `Debug` mask the name and leave out the query.
#[derive(Clone, PartialEq, Eq)]
pub struct RtmpUrl {
    /// Whether it is `rtmps://`.
    pub tls: bool,
    /// Host name or address as written; an IPv6 address without its brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Application: every path segment before the name, without slashes at its ends. One that came from a `tcUrl` may
    /// carry a query of its own.
    pub app: String,
    /// Stream name; empty in a base URL.
    pub name: String,
    /// What follows the name's `?`.
    pub query: Option<String>,
}

state::plain!(struct RtmpUrl { tls, host, port, app, name, query });

impl RtmpUrl {
    /// Parses a URL that names a stream. The last path segment is the name, those before it are the application.
    ///
    /// # Errors
    /// A scheme other than `rtmp` and `rtmps`, a malformed host or port, user information, or an application or name
    /// against the grammar of [`valid_app`] and [`valid_name`].
    pub fn parse(url: &str) -> Result<Self, InvalidUrl> {
        let (tls, rest) = scheme(url)?;
        let (authority, path) = split_authority(rest);
        let (host, port) = host_and_port(authority, tls)?;
        let (path, query) = split_query(path);
        let path = path.strip_prefix('/').unwrap_or(path);
        let (app, name) =
            path.rsplit_once('/').ok_or(InvalidUrl("it needs an application and a stream name"))?;
        let url = Self {
            tls,
            host,
            port,
            app: app.trim_matches('/').to_owned(),
            name: name.to_owned(),
            query: query.map(str::to_owned),
        };
        if !valid_app(&url.app) {
            return Err(InvalidUrl("its application name is not allowed"));
        }
        if !valid_stream_name(&url.stream_name()) {
            return Err(InvalidUrl("its stream name is not allowed"));
        }
        Ok(url)
    }

    /// Parses a URL without a stream name, as a `tcUrl` is: the whole path, with its query, is the application, which
    /// may be empty.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_base(url: &str) -> Result<Self, InvalidUrl> {
        let (tls, rest) = scheme(url)?;
        let (authority, path) = split_authority(rest);
        let (host, port) = host_and_port(authority, tls)?;
        let app = path.trim_matches('/').to_owned();
        if !app.is_empty() && !valid_app(&app) {
            return Err(InvalidUrl("its application name is not allowed"));
        }
        Ok(Self { tls, host, port, app, name: String::new(), query: None })
    }

    /// The same with the stream name `key`, which may hold a query.
    ///
    /// # Errors
    /// `key` is not allowed as a name.
    pub fn with_stream_name(mut self, key: &str) -> Result<Self, InvalidUrl> {
        if !valid_stream_name(key) {
            return Err(InvalidUrl("its stream name is not allowed"));
        }
        let (name, query) = split_query(key);
        self.name = name.to_owned();
        self.query = query.map(str::to_owned);
        Ok(self)
    }

    /// `rtmp` or `rtmps`.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "rtmps" } else { "rtmp" }
    }

    /// `host:port`, an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// What `connect` says as `tcUrl`: scheme, authority and application.
    pub fn tc_url(&self) -> String {
        format!("{}://{}/{}", self.scheme(), self.authority(), self.app)
    }

    /// The name with its query, as `publish` and `play` send it. This is the key.
    pub fn stream_name(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.name),
            None => self.name.clone(),
        }
    }

    /// The stream's `id`, see [`stream_id`].
    pub fn stream_id(&self) -> String {
        stream_id(split_query(&self.app).0, &self.name)
    }

    /// Where `reference`, the `tcUrl` of a go-away, points: an absolute URL or a reference relative to the current
    /// `tcUrl` (RFC 3986, 5.2; E-RTMP v2, "Reconnect Request"). The stream's name and query are kept, because the
    /// signal carries none; the application too where the reference has no path.
    ///
    /// Says nothing about whether to go there: host, port and TLS of the answer are the reference's.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn resolve(&self, reference: &str) -> Result<Self, InvalidUrl> {
        let reference = reference.split('#').next().unwrap_or_default();
        let (base_path, base_query) = split_query(&self.app);
        let mut target = self.clone();
        let rest = if has_scheme(reference) {
            let (tls, rest) = scheme(reference)?;
            target.tls = tls;
            Some(rest)
        } else {
            reference.strip_prefix("//")
        };
        let path_and_query = match rest {
            Some(rest) => {
                let (authority, path) = split_authority(rest);
                (target.host, target.port) = host_and_port(authority, target.tls)?;
                path
            }
            None => reference,
        };
        let (path, query) = split_query(path_and_query);
        let merged = if path.trim_matches('/').is_empty() {
            base_path.to_owned()
        } else if rest.is_some() || path.starts_with('/') {
            remove_dot_segments(path)
        } else {
            let folder = base_path.rsplit_once('/').map_or("", |(folder, _)| folder);
            remove_dot_segments(&format!("{folder}/{path}"))
        };
        // RFC 3986, 5.2.2: the base's query lives on only where the reference has neither path nor query.
        let query = query.or(if path.is_empty() { base_query } else { None });
        target.app = match query {
            Some(query) => format!("{merged}?{query}"),
            None => merged,
        };
        if !valid_app(&target.app) {
            return Err(InvalidUrl("its application name is not allowed"));
        }
        Ok(target)
    }
}

impl fmt::Display for RtmpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let app = split_query(&self.app).0;
        write!(f, "{}://{}/{app}", self.scheme(), self.authority())?;
        if self.name.is_empty() { Ok(()) } else { write!(f, "/{}", mask(&self.name)) }
    }
}

impl fmt::Debug for RtmpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The `id` under which a stream is shown: the first 16 hex digits of SHA-256 of `app/name`, name without query.
pub fn stream_id(app: &str, name: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(app);
    hash.update("/");
    hash.update(split_query(name).0);
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// What a person is shown of a name: at most its first two characters and never more than half, then `…`.
pub fn mask(name: &str) -> String {
    let name = split_query(name).0;
    let shown = (name.chars().count() / 2).min(2);
    let mut masked: String = name.chars().take(shown).map(|c| if c.is_control() { '?' } else { c }).collect();
    masked.push('…');
    masked
}

/// Splits `name?query` at its first `?`.
pub fn split_query(name: &str) -> (&str, Option<&str>) {
    match name.split_once('?') {
        Some((name, query)) => (name, Some(query)),
        None => (name, None),
    }
}

/// Whether `name`, without its query, may name a stream: 1 to [`MAX_NAME`] bytes, no control characters or
/// backslash, no `..`, no percent-encoded dot, slash, backslash or control character, no empty segment between slashes.
///
/// The grammar is strict because names reach file names, URLs and logs; what is refused here need not be escaped there.
pub fn valid_name(name: &str) -> bool {
    let tame = !name.chars().any(|c| c.is_control() || matches!(c, '\\' | '?' | '#'));
    tame && name.len() <= MAX_NAME
        && !name.contains("..")
        && name.split('/').all(|segment| !segment.is_empty() && segment != ".")
        && !hides_separators(name)
}

/// [`valid_name`] for `name[?query]`, with a query of at most [`MAX_QUERY`] bytes and no control characters.
pub fn valid_stream_name(name: &str) -> bool {
    let (name, query) = split_query(name);
    valid_name(name) && query.is_none_or(|q| q.len() <= MAX_QUERY && !q.chars().any(char::is_control))
}

/// Whether `app` may name an application: as [`valid_stream_name`].
pub fn valid_app(app: &str) -> bool {
    valid_stream_name(app)
}

/// Whether `name` holds a percent-encoded dot, slash, backslash or control character.
fn hides_separators(name: &str) -> bool {
    name.as_bytes().windows(3).any(|window| {
        let [b'%', high, low] = *window else { return false };
        let digit = |b: u8| char::from(b).to_digit(16);
        match (digit(high), digit(low)) {
            (Some(high), Some(low)) => matches!(high * 16 + low, 0..=0x1f | 0x2e | 0x2f | 0x5c | 0x7f),
            _ => false,
        }
    })
}

fn has_scheme(reference: &str) -> bool {
    // RFC 3986, 4.2: a first segment with a colon is a scheme.
    reference.split(['/', '?']).next().is_some_and(|first| first.contains(':'))
}

fn scheme(url: &str) -> Result<(bool, &str), InvalidUrl> {
    let (scheme, rest) = url.split_once("://").ok_or(InvalidUrl("it does not begin with rtmp://"))?;
    if scheme.eq_ignore_ascii_case("rtmp") {
        Ok((false, rest))
    } else if scheme.eq_ignore_ascii_case("rtmps") {
        Ok((true, rest))
    } else {
        Err(InvalidUrl("its scheme is not rtmp or rtmps"))
    }
}

/// The authority, and the path with the query.
fn split_authority(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()))
}

fn host_and_port(authority: &str, tls: bool) -> Result<(String, u16), InvalidUrl> {
    const BAD_HOST: InvalidUrl = InvalidUrl("its host is malformed");
    let (host, port) = if let Some(literal) = authority.strip_prefix('[') {
        let (host, after) = literal.split_once(']').ok_or(BAD_HOST)?;
        host.parse::<Ipv6Addr>().map_err(|_| BAD_HOST)?;
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(BAD_HOST),
        }
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let tame = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if host.is_empty() || host.len() > 253 || !host.bytes().all(tame) {
            return Err(BAD_HOST);
        }
        (host, port)
    };
    let port = match port {
        None => {
            if tls {
                DEFAULT_TLS_PORT
            } else {
                DEFAULT_PORT
            }
        }
        // `parse` would take a sign.
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().ok().filter(|&port| port != 0).ok_or(InvalidUrl("its port is not 1 to 65535"))?
        }
        Some(_) => return Err(InvalidUrl("its port is not 1 to 65535")),
    };
    Ok((host.to_owned(), port))
}

/// RFC 3986, 5.2.4, without the leading slash.
fn remove_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    kept.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> RtmpUrl {
        RtmpUrl::parse(text).unwrap()
    }

    #[test]
    fn parts_of_a_url() {
        let u = url("rtmp://live.example.org/app/key?token=a/b?c");
        assert_eq!((u.tls, u.host.as_str(), u.port), (false, "live.example.org", 1935));
        assert_eq!(
            (u.app.as_str(), u.name.as_str(), u.query.as_deref()),
            ("app", "key", Some("token=a/b?c"))
        );
        assert_eq!(u.stream_name(), "key?token=a/b?c");
        assert_eq!(u.tc_url(), "rtmp://live.example.org:1935/app");

        let u = url("RTMPS://[2001:db8::1]:1936/a/b/c");
        assert_eq!((u.tls, u.host.as_str(), u.port), (true, "2001:db8::1", 1936));
        assert_eq!((u.app.as_str(), u.name.as_str(), u.query), ("a/b", "c", None));
        assert_eq!(url("RTMPS://[2001:db8::1]:1936/a/b/c").authority(), "[2001:db8::1]:1936");
        assert_eq!(url("rtmps://h/a/b").port, DEFAULT_TLS_PORT);
    }

    #[test]
    fn what_is_no_url() {
        for bad in [
            "",
            "rtmp",
            "rtmp://",
            "http://h/a/b",
            "rtmp:///a/b",
            "rtmp://h",
            "rtmp://h/",
            "rtmp://h/a",
            "rtmp://h/a/",
            "rtmp://h//b",
            "rtmp://h:0/a/b",
            "rtmp://h:65536/a/b",
            "rtmp://h:+1/a/b",
            "rtmp://h:/a/b",
            "rtmp://user:pw@h/a/b",
            "rtmp://u@h/a/b",
            "rtmp://h h/a/b",
            "rtmp://[::1/a/b",
            "rtmp://[x]/a/b",
            "rtmp://[::1]x/a/b",
            "rtmp://h/../b",
            "rtmp://h/a/..",
            "rtmp://h/a/%2e",
            "rtmp://h/a/b\\c",
            "rtmp://h/a/b\n",
            "rtmp://h/a/b?q\r\nx",
        ] {
            let error = RtmpUrl::parse(bad).expect_err(bad);
            assert!(!error.to_string().contains('@'));
        }
    }

    #[test]
    fn a_base_has_no_name_until_it_is_given_one() {
        let base = RtmpUrl::parse_base("rtmp://h:19350/live/a?x=y").unwrap();
        assert_eq!((base.app.as_str(), base.name.as_str()), ("live/a?x=y", ""));
        assert_eq!(RtmpUrl::parse_base("rtmp://h").unwrap().app, "");
        let full = base.clone().with_stream_name("key?t=1").unwrap();
        assert_eq!((full.name.as_str(), full.query.as_deref()), ("key", Some("t=1")));
        assert!(base.with_stream_name("../x").is_err());
    }

    #[test]
    fn a_printed_url_does_not_give_the_key_away() {
        let u = url("rtmp://h/live/secret-key?token=also-secret");
        assert_eq!(u.to_string(), "rtmp://h:1935/live/se…");
        assert_eq!(format!("{u:?}"), "rtmp://h:1935/live/se…");
        assert_eq!(mask("abcd?x"), "ab…");
        assert_eq!(mask("abc"), "a…");
        assert_eq!(mask("a"), "…");
        assert_eq!(mask("\x1b[31m"), "?[…");
    }

    /// `printf 'live/cam' | sha256sum | cut -c1-16`
    #[test]
    fn the_id_is_a_hash_of_app_and_name_without_query() {
        let plain = stream_id("live", "cam");
        assert_eq!(plain, "c956f33eaed69834");
        assert_eq!(stream_id("live", "cam?token=1"), plain);
        assert_eq!(url("rtmp://h/live/cam?token=2").stream_id(), plain);
    }

    /// The example values of E-RTMP v2, "Reconnect Request", then RFC 3986's other forms.
    #[test]
    fn a_tc_url_is_resolved_against_the_current_one() {
        let base = url("rtmp://old.example:1000/live/a/key?token=1");
        let cases = [
            ("rtmp://foo.mydomain.com:1936/realtimeapp", "rtmp://foo.mydomain.com:1936/realtimeapp"),
            ("rtmp://127.0.0.1/realtimeapp", "rtmp://127.0.0.1:1935/realtimeapp"),
            ("//192.0.2.0/realtimeapp", "rtmp://192.0.2.0:1935/realtimeapp"),
            ("//192.0.2.0:77", "rtmp://192.0.2.0:77/live/a"),
            ("/realtimeapp", "rtmp://old.example:1000/realtimeapp"),
            ("app3", "rtmp://old.example:1000/live/app3"),
            ("./app3", "rtmp://old.example:1000/live/app3"),
            ("../app3", "rtmp://old.example:1000/app3"),
            ("../../../app3", "rtmp://old.example:1000/app3"),
            ("app3#x", "rtmp://old.example:1000/live/app3"),
            ("", "rtmp://old.example:1000/live/a"),
            ("?x=y", "rtmp://old.example:1000/live/a?x=y"),
            ("/app2?x=y", "rtmp://old.example:1000/app2?x=y"),
            ("rtmps://h/app", "rtmps://h:443/app"),
            ("rtmp://h", "rtmp://h:1935/live/a"),
            ("rtmp://[::1]:9/app/", "rtmp://[::1]:9/app"),
        ];
        for (reference, expected) in cases {
            let target = base.resolve(reference).expect(reference);
            assert_eq!(target.tc_url(), expected, "{reference}");
            assert_eq!(target.stream_name(), "key?token=1", "{reference}");
        }
        for bad in
            ["http://h/app", "rtmp:h", "//", "//u@h/app", "/a\\b", "/%2e%2e/x", "/a\0b", "rtmp://h:99999/a"]
        {
            assert!(base.resolve(bad).is_err(), "{bad:?}");
        }
        let with_query = RtmpUrl { app: "live?edge=1".into(), ..base };
        assert_eq!(with_query.resolve("").unwrap().app, "live?edge=1");
        assert_eq!(with_query.resolve("/live").unwrap().app, "live");
    }

    #[test]
    fn names_keep_to_a_strict_grammar() {
        for good in ["cam", "a/b", "a.b", "a-b_c~d", "ü", "a%20b", "50%", "%zz", "a=b&c", "e6b3 5"] {
            assert!(valid_name(good), "{good:?}");
        }
        let long = "a".repeat(MAX_NAME);
        assert!(valid_name(&long));
        assert!(!valid_name(&format!("{long}a")));
        for bad in [
            "", ".", "..", "../x", "a/../b", "a..b", "/a", "a/", "a//b", "a\0", "a\\b", "a\x1b[0m", "a\r\nb",
            "a\u{85}b", "%2e%2E", "a%2fb", "a%5Cb", "%00", "%0a", "a%7f", "a?b", "a#b",
        ] {
            assert!(!valid_name(bad), "{bad:?}");
        }
        assert!(valid_stream_name(&format!("a?{}", "q".repeat(MAX_QUERY))));
        assert!(!valid_stream_name(&format!("a?{}", "q".repeat(MAX_QUERY + 1))));
        assert!(!valid_stream_name("a?b\nc"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text: String, reference: String) {
            let _ = RtmpUrl::parse(&text);
            let _ = RtmpUrl::parse(&format!("rtmp://{text}"));
            let _ = url("rtmp://h/a/b").resolve(&reference);
            let _ = mask(&text);
        }
    }
}
