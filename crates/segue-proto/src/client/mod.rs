//! Publisher and player: sessions and hand-over joined. Each is a machine without I/O: a driver (tokio, a blocking
//! library, a simulation) dials, reads and writes as [`Machine`] says, and carries out its [`Action`]s.
//!
//! **The driving contract.** Feed one input ([`Machine::dialed`], [`Machine::received`], [`Machine::peer_closed`],
//! [`Machine::handle_timeout`], or media); then drain [`Machine::poll_action`], write what [`Machine::transmit`] offers
//! of every connection, drain the actions that this brought, and sleep until the next input or [`Machine::wake_at`].

use std::time::Duration;

use bytes::Bytes;

use crate::handover::record::Record;
use crate::media::MediaMessage;
use crate::outqueue::OutQueue;
use crate::time::Moment;
use crate::url::RtmpUrl;

mod leg;
pub mod player;
pub mod publisher;
pub mod redirect;

pub use player::{Player, PlayerConfig};
pub use publisher::{Publisher, PublisherConfig, Report};
pub use redirect::RedirectPolicy;

/// How long a driver may take to dial, TLS included.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection's queue is filled up to here and no further: what lies beyond can still go another way.
pub const QUEUE_TARGET: usize = 64 << 10;

/// Names one of a machine's connections; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId(pub u64);

/// What a driver is to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Action {
    /// Connect and answer with [`Machine::dialed`].
    Dial {
        /// The connection's name from now on.
        conn: ConnId,
        /// Host, port and whether by TLS.
        url: RtmpUrl,
        /// Take the host's address number `attempt` modulo how many there are.
        attempt: u32,
    },
    /// Shut down writing once everything that waits in [`Machine::transmit`] is written; go on reading.
    ShutdownWrite(ConnId),
    /// Close, or stop dialing. Nothing more of it is to be reported.
    Close(ConnId),
    /// A hand-over is done; the time of day is for the driver to fill in.
    Handover(Record),
    /// One line for a person.
    Notice(Notice),
    /// Player: the next message.
    Media(MediaMessage),
    /// The machine is done; all its connections are closed.
    Finished(Outcome),
}

/// One line for a person. Names no stream key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice(pub String);

/// How it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// What ended it.
    pub ending: Ending,
    /// Publisher: whether the server acknowledged every byte; `Some(false)` also where it cannot say so. Player: `None`.
    pub confirmed: Option<bool>,
    /// Media messages known to be lost, in all.
    pub missing: u64,
}

/// What ended a machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The stream's end.
    Complete,
    /// It never got going; one line says why.
    Failed(String),
    /// No server was found in time after a connection was lost; one line says what happened.
    Lost(String),
    /// The caller wanted it so.
    Aborted,
}

/// Why a dial failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct DialError {
    /// One line, with the address, without the stream.
    pub reason: String,
    /// How many addresses the host has; 0 if it could not be resolved.
    pub addresses: u32,
}

/// The peer's address, `ip:port`.
pub type PeerAddr = String;

/// How a connection's reading side ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closed {
    /// The peer shut down writing.
    Eof,
    /// The connection broke.
    Reset,
}

/// What a driver needs of a machine. See the module's documentation for the order of calls.
pub trait Machine {
    /// A [`Action::Dial`] is done.
    fn dialed(&mut self, conn: ConnId, result: Result<PeerAddr, DialError>, now: Moment);
    /// Bytes came in.
    fn received(&mut self, conn: ConnId, data: Bytes, now: Moment);
    /// Nothing more comes in.
    fn peer_closed(&mut self, conn: ConnId, how: Closed, now: Moment);
    /// What waits to be written; the driver writes and calls [`OutQueue::advance`]. Ask again after each write: more is
    /// encoded as the queue drains. `None` for a connection that is gone.
    fn transmit(&mut self, conn: ConnId, now: Moment) -> Option<&mut OutQueue>;
    /// Time has passed.
    fn handle_timeout(&mut self, now: Moment);
    /// When to call [`handle_timeout`](Self::handle_timeout) if nothing else happens.
    fn wake_at(&self) -> Option<Moment>;
    /// The next thing to do.
    fn poll_action(&mut self) -> Option<Action>;
}

/// A refusal in one line.
fn reason(code: &str, description: &str) -> String {
    // Both are the server's words: one line, and not too long.
    let clean = |text: &str| text.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
    match (clean(code), clean(description)) {
        (code, description) if description.is_empty() => code,
        (code, description) => format!("{description} ({code})"),
    }
}
