//! Where a drain sends clients, and the `tcUrl` that each of them is given.

use std::fmt;

use thiserror::Error;

/// `rtmp://host[:port][/app]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    base: String,
    authority: String,
    app: Option<String>,
}

/// A target that is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a target of the form rtmp://host[:port][/app]")]
pub struct BadTarget;

/// Longest target taken, in bytes.
pub const MAX_TARGET: usize = 1024;

impl Target {
    /// Reads `rtmp://host[:port][/app]`, or `rtmps://`.
    ///
    /// # Errors
    ///
    /// [`BadTarget`] for everything else.
    pub fn parse(text: &str) -> Result<Self, BadTarget> {
        let clean = text.len() <= MAX_TARGET && text.chars().all(|c| c.is_ascii_graphic() && c != '\\');
        let (scheme, rest) = text.split_once("://").filter(|_| clean).ok_or(BadTarget)?;
        let default_port = match scheme {
            "rtmp" => 1935,
            "rtmps" => 443,
            _ => return Err(BadTarget),
        };
        let (host, app) = match rest.split_once('/') {
            Some((host, app)) => (host, app.trim_end_matches('/')),
            None => (rest, ""),
        };
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => {
                (name, port.parse::<u16>().ok().filter(|p| *p > 0).ok_or(BadTarget)?)
            }
            _ => (host, default_port),
        };
        let bracketed = name.starts_with('[') && name.ends_with(']') && name.len() > 2;
        if name.is_empty() || name.contains(['@', '?', '#']) || (name.contains([':', '[', ']']) && !bracketed)
        {
            return Err(BadTarget);
        }
        let app = (!app.is_empty()).then(|| app.to_owned());
        Ok(Self { base: format!("{scheme}://{host}"), authority: format!("{name}:{port}"), app })
    }

    /// `host:port`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// What a client that connected with `tc_url` is told: with its own app and query, unless the target names one.
    pub fn tc_url(&self, tc_url: &str) -> String {
        let path = match &self.app {
            Some(app) => app.as_str(),
            None => tc_url
                .split_once("://")
                .and_then(|(_, rest)| rest.split_once('/'))
                .map_or("", |(_, path)| path),
        };
        format!("{}/{}", self.base, path)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)?;
        self.app.iter().try_for_each(|app| write!(f, "/{app}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_keeps_its_own_app_and_query_unless_the_target_names_one() {
        let bare = Target::parse("rtmp://b.example").unwrap();
        assert_eq!(bare.authority(), "b.example:1935");
        assert_eq!(bare.tc_url("rtmp://a:1935/live/x?token=1"), "rtmp://b.example/live/x?token=1");
        let named = Target::parse("rtmp://[::1]:2000/other/").unwrap();
        assert_eq!(named.authority(), "[::1]:2000");
        assert_eq!(named.tc_url("rtmp://a/live"), "rtmp://[::1]:2000/other");
        assert_eq!(named.to_string(), "rtmp://[::1]:2000/other");
        assert_eq!(Target::parse("rtmps://b").unwrap().authority(), "b:443");
    }

    #[test]
    fn what_is_no_target() {
        let long = format!("rtmp://{}", "a".repeat(MAX_TARGET));
        for text in [
            "",
            "b:1935",
            "http://b",
            "rtmp://",
            "rtmp://:1",
            "rtmp://b:0",
            "rtmp://b:x",
            "rtmp://a b",
            &long,
        ] {
            assert_eq!(Target::parse(text), Err(BadTarget), "{text}");
        }
        assert!(Target::parse(&long[..MAX_TARGET]).is_ok());
    }
}
