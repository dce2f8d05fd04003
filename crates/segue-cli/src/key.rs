//! Where a stream's URL and key come from: the URL itself, or, so that the key need not stand in argv, a file or the
//! environment. No error here repeats a URL or a key.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use segue_proto::url::RtmpUrl;

use crate::exit::wrong_usage;

/// The variable that holds a key.
const VARIABLE: &str = "SEGUE_KEY";
/// Most bytes of a key file.
const MAX_KEY_FILE: u64 = 16 * 1024;

/// The stream that a command is about.
#[derive(clap::Args, Debug)]
pub(crate) struct StreamUrl {
    /// rtmp://host[:port]/app/name[?query]; without the name where --key-file or SEGUE_KEY gives it
    #[arg(value_name = "URL")]
    url: String,

    /// Read the stream's name, with its query if it has one, from FILE's first line; SEGUE_KEY does the same
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl StreamUrl {
    /// The URL with its key.
    ///
    /// # Errors
    /// Wrong usage if the URL or the key is not allowed; a failure if the key file cannot be read.
    pub(crate) fn resolve(&self) -> anyhow::Result<RtmpUrl> {
        let from_environment = || std::env::var(VARIABLE).ok().filter(|key| !key.is_empty());
        let key = match &self.key_file {
            Some(path) => {
                Some(read_key(path).with_context(|| format!("cannot read the key file {}", path.display()))?)
            }
            None => from_environment(),
        };
        join(&self.url, key.as_deref()).map_err(wrong_usage)
    }
}

fn join(url: &str, key: Option<&str>) -> Result<RtmpUrl, String> {
    let url = match key {
        Some(key) => RtmpUrl::parse_base(url).and_then(|base| base.with_stream_name(key)),
        None => RtmpUrl::parse(url),
    };
    let url = url.map_err(|error| format!("{error} (expected rtmp://host[:port]/app/name[?query])"))?;
    if url.app.is_empty() {
        return Err("the URL names no application (expected rtmp://host[:port]/app)".into());
    }
    if url.tls {
        return Err("rtmps is not supported".into());
    }
    Ok(url)
}

fn read_key(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_KEY_FILE).read_to_string(&mut text)?;
    let key = text.lines().next().unwrap_or_default().trim();
    anyhow::ensure!(!key.is_empty(), "its first line is empty");
    Ok(key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_from_elsewhere_makes_the_whole_path_the_application() {
        let url = join("rtmp://h:1/live", Some("name?token=1")).unwrap();
        assert_eq!((&*url.app, &*url.stream_name()), ("live", "name?token=1"));
        let url = join("rtmp://h/live/name?token=1", None).unwrap();
        assert_eq!((&*url.app, &*url.stream_name()), ("live", "name?token=1"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_key() {
        for (url, key) in [
            ("rtmp://h/secret", None),
            ("http://h/live/secret", None),
            ("rtmp://h/live/..secret", None),
            ("rtmps://h/live/secret", None),
            ("rtmp://h", Some("secret")),
            ("rtmp://h/live", Some("secret\\")),
        ] {
            let error = join(url, key).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_key_file_gives_its_first_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "name?token=1\r\nsecond\n").unwrap();
        assert_eq!(read_key(&path).unwrap(), "name?token=1");
        std::fs::write(&path, "\nname").unwrap();
        assert!(read_key(&path).is_err());
    }
}
