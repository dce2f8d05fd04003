//! What a player is told.

use std::time::Duration;

use crate::caps::Announce;
use crate::client::RedirectPolicy;
use crate::url::RtmpUrl;

/// What a player is to do.
#[derive(Clone, Debug)]
pub struct PlayerConfig {
    /// The stream.
    pub url: RtmpUrl,
    /// Which signals are announced.
    pub announce: Announce,
    /// Whether the `segue` extension is announced and used; replaces [`Announce::segue`].
    pub segue: bool,
    /// Where servers may send us.
    pub redirect: RedirectPolicy,
    /// How long a stream that is not there yet is waited for.
    pub wait: Duration,
    /// How long a stream that was lost is looked for.
    pub retry: Duration,
    /// `flashVer`; `None` for our own.
    pub flash_ver: Option<String>,
}

impl PlayerConfig {
    /// For `url`, with both signals and `segue` announced, redirects to the same host, and the usual bounds: 10 s for the
    /// stream to begin, 15 s for it to come back.
    pub fn new(url: RtmpUrl) -> Self {
        Self {
            url,
            announce: Announce::ALL,
            segue: true,
            redirect: RedirectPolicy::SameHost,
            wait: Duration::from_secs(10),
            retry: Duration::from_secs(15),
            flash_ver: None,
        }
    }
}
