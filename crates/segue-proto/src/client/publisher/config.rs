//! What a publisher is told, and what it tells of itself.

use std::time::Duration;

use crate::caps::Announce;
use crate::client::RedirectPolicy;
use crate::url::RtmpUrl;

/// What a publisher is to do.
#[derive(Clone, Debug)]
pub struct PublisherConfig {
    /// Where the stream goes.
    pub url: RtmpUrl,
    /// Which signals are announced.
    pub announce: Announce,
    /// Whether the `segue` extension is announced and used; replaces [`Announce::segue`].
    pub segue: bool,
    /// Where servers may send us.
    pub redirect: RedirectPolicy,
    /// After so long without a media boundary a stream that was told to go moves by replay.
    pub boundary_deadline: Duration,
    /// After so long without any server the stream is given up.
    pub give_up: Duration,
    /// `flashVer`; `None` for our own.
    pub flash_ver: Option<String>,
}

impl PublisherConfig {
    /// For `url`, with both signals and `segue` announced, redirects to the same host, and the usual bounds: 10 s for a
    /// boundary, 60 s without a server.
    pub fn new(url: RtmpUrl) -> Self {
        Self {
            url,
            announce: Announce::ALL,
            segue: true,
            redirect: RedirectPolicy::SameHost,
            boundary_deadline: Duration::from_secs(10),
            give_up: Duration::from_secs(60),
            flash_ver: None,
        }
    }
}

/// How a publisher is doing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// The stream's id.
    pub stream: String,
    /// Media messages pushed.
    pub pushed: u64,
    /// Of them, those that went into a connection that has the stream (or had it last).
    pub sent: u64,
    /// Of them, those that the server acknowledged; `None` where it cannot say.
    pub acknowledged: Option<u64>,
    /// Media messages known to be lost.
    pub missing: u64,
    /// Connections that took the stream.
    pub legs: u32,
    /// The server that has the stream, `host:port`.
    pub server: Option<String>,
}
