//! Where a server may send us. A go-away or a redirect names an address, and the stream key travels to it: a hostile or
//! broken server must not be able to name just any.

use std::fmt;
use std::str::FromStr;

use crate::url::RtmpUrl;

/// Most hosts that a list may name.
pub const MAX_HOSTS: usize = 64;

/// Which addresses a server may send us to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum RedirectPolicy {
    /// Only the literal host of the URL we were started with: any case, any port. The default.
    #[default]
    SameHost,
    /// Anywhere.
    Any,
    /// These hosts, any port, and the URL's own.
    Hosts(Vec<String>),
}

impl RedirectPolicy {
    /// Whether the stream may move to `target`, having been started with `original`. Never from TLS to plain text.
    pub fn allows(&self, original: &RtmpUrl, target: &RtmpUrl) -> bool {
        if original.tls && !target.tls {
            return false;
        }
        let same = |host: &str| bare(host).eq_ignore_ascii_case(bare(&target.host));
        match self {
            Self::Any => true,
            Self::SameHost => same(&original.host),
            Self::Hosts(hosts) => same(&original.host) || hosts.iter().any(|host| same(host)),
        }
    }

    /// One line for a person about a `target` that is not allowed: it names the `--redirect` that would allow it.
    pub(crate) fn refusal(&self, original: &RtmpUrl, target: &RtmpUrl) -> String {
        let to = target.authority();
        if original.tls && !target.tls {
            return format!("the server names {to} without TLS: not followed");
        }
        let mut hosts = if let Self::Hosts(hosts) = self { hosts.clone() } else { Vec::new() };
        hosts.push(target.host.clone());
        format!("the server names {to}: not followed; --redirect {} would allow it", hosts.join(","))
    }
}

/// A host without an IPv6 literal's brackets or a name's final dot.
fn bare(host: &str) -> &str {
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host)
}

/// Why a `--redirect` value is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// An entry is empty, or has a scheme, path, port or space in it.
    #[error("not a host name or address: {0:?} (a list is HOST,HOST,... without ports)")]
    NotAHost(String),
    /// More than [`MAX_HOSTS`].
    #[error("more than {MAX_HOSTS} hosts")]
    TooMany,
}

impl FromStr for RedirectPolicy {
    type Err = ParseError;

    /// `same-host`, `any`, or hosts separated by commas.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "same-host" => return Ok(Self::SameHost),
            "any" => return Ok(Self::Any),
            _ => {}
        }
        let hosts: Vec<String> = text.split(',').map(|host| host.trim().to_owned()).collect();
        if hosts.len() > MAX_HOSTS {
            return Err(ParseError::TooMany);
        }
        match hosts.iter().find(|host| !is_host(host)) {
            Some(bad) => Err(ParseError::NotAHost(bad.clone())),
            None => Ok(Self::Hosts(hosts)),
        }
    }
}

fn is_host(host: &str) -> bool {
    let inner = bare(host);
    let is_v6 = inner.parse::<std::net::Ipv6Addr>().is_ok();
    is_v6 || (!inner.is_empty() && inner.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_')))
}

impl fmt::Display for RedirectPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameHost => f.write_str("same-host"),
            Self::Any => f.write_str("any"),
            Self::Hosts(hosts) => f.write_str(&hosts.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> RtmpUrl {
        RtmpUrl::parse(text).unwrap()
    }

    #[test]
    fn same_host_is_literal_in_any_case_at_any_port() {
        let origin = url("rtmp://Live.example.com/app/key");
        let allows = |policy: &RedirectPolicy, target: &str| policy.allows(&origin, &url(target));
        assert!(allows(&RedirectPolicy::SameHost, "rtmp://live.EXAMPLE.com:2935/app/key"));
        for foreign in
            ["rtmp://example.com/app/key", "rtmp://127.0.0.1/app/key", "rtmp://live.example.com.evil.org/a/k"]
        {
            assert!(!allows(&RedirectPolicy::SameHost, foreign), "{foreign}");
            assert!(allows(&RedirectPolicy::Any, foreign), "{foreign}");
        }
        let list: RedirectPolicy = "b.example.com, 10.0.0.2".parse().unwrap();
        assert!(allows(&list, "rtmp://10.0.0.2:1940/app/key"));
        assert!(allows(&list, "rtmp://live.example.com/app/key"));
        assert!(!allows(&list, "rtmp://10.0.0.3/app/key"));
    }

    #[test]
    fn tls_is_never_given_up() {
        let origin = url("rtmps://live.example.com/app/key");
        assert!(!RedirectPolicy::Any.allows(&origin, &url("rtmp://live.example.com/app/key")));
        assert!(RedirectPolicy::Any.allows(&origin, &url("rtmps://other.example.com/app/key")));
    }

    #[test]
    fn lists_are_checked() {
        assert_eq!("same-host".parse(), Ok(RedirectPolicy::SameHost));
        assert_eq!("any".parse(), Ok(RedirectPolicy::Any));
        for bad in ["", "a,,b", "rtmp://host", "host:1935", "a b"] {
            assert!(matches!(bad.parse::<RedirectPolicy>(), Err(ParseError::NotAHost(_))), "{bad}");
        }
        assert!("::1,[::1],a_b.example".parse::<RedirectPolicy>().is_ok());
        let hosts = vec!["h"; MAX_HOSTS].join(",");
        assert!(hosts.parse::<RedirectPolicy>().is_ok());
        assert_eq!(format!("{hosts},h").parse::<RedirectPolicy>(), Err(ParseError::TooMany));
    }
}
