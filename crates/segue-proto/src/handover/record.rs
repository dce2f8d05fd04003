//! The hand-over record: what one hand-over did, in the words of the contract. The same object goes to the log, the
//! admin API and reports. A side that cannot know a field leaves it `None` (JSON `null`), never 0.

use serde::Serialize;

use crate::session::GoAwaySignal;

/// One hand-over, as one side saw it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Record {
    /// The stream's id: the first 16 hex digits of SHA-256 of `app/name`.
    pub stream: String,
    /// When, in RFC 3339. Nothing here knows the time of day: whoever runs the machine fills it in.
    pub at: Option<String>,
    /// Why; `None` where the stream did not move: it ended, at a server that could not prove that it has all of it.
    pub cause: Option<Cause>,
    /// Which signal asked for it.
    pub signal: Signal,
    /// The server left, `host:port`.
    pub from: Option<String>,
    /// The server moved to, `host:port`.
    pub to: Option<String>,
    /// The last timestamp that went to (came from) the old server, in ms.
    pub old_last_ts: Option<u32>,
    /// The first that went to (came from) the new one, in ms.
    pub new_first_ts: Option<u32>,
    /// Media messages known to be lost.
    pub missing: Option<u64>,
    /// Media messages sent to (received from) both.
    pub overlap: Option<u64>,
    /// How much later the boundary message was handed on than it would have been, in ms.
    pub delay_ms: Option<u64>,
    /// The old server acknowledged every byte.
    pub confirmed: Option<bool>,
    /// How it ended.
    pub result: HandoverResult,
}

/// Why a stream moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The server said that it is going.
    Drain,
    /// The connection was lost.
    Crash,
    /// The server answered `connect` with another address.
    Redirect,
    /// Back to the first server.
    Return,
}

/// Which dialect asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// E-RTMP v2, `NetConnection.Connect.ReconnectRequest`.
    ReconnectRequest,
    /// RTMP Go Away, message type 32.
    GoAway,
    /// None: nobody asked.
    None,
}

impl From<Option<GoAwaySignal>> for Signal {
    fn from(signal: Option<GoAwaySignal>) -> Self {
        match signal {
            Some(GoAwaySignal::ReconnectRequest) => Self::ReconnectRequest,
            Some(GoAwaySignal::GoAwayMessage) => Self::GoAway,
            None => Self::None,
        }
    }
}

/// How a hand-over ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandoverResult {
    /// On another server (or the same one, on a new connection).
    Moved,
    /// Where it was.
    Stayed,
    /// The stream ended first.
    Ended,
    /// The server cut the connection before the client moved.
    Cut,
    /// No server was found in time.
    Lost,
}
