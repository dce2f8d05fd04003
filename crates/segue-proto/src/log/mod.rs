//! The stream log: one logical stream as a server holds it. A stream outlives its connections: publishers are legs
//! that come and go under it, viewers are cursors into it.
//!
//! Splice and fencing sit here and only here. [`Stream`] decides who writes ([`Epoch`]s only rise, what an older epoch
//! still sends is refused and counted), holds a new leg's media until the old leg's are all in, finds repeats, puts
//! restarted timestamps on one timeline, and counts what is missing. It knows connections by number and no bytes.
//!
//! A message is one unit, of however many tracks: it has one index, is kept and forwarded byte for byte, and counts for
//! its first track where a track is asked for. A multitrack message of several tracks configures all of them, moves the
//! timeline of all of them, and is a boundary if the lead track is among them.
//!
//! Feed it one input, then drain [`Stream::poll_event`]; call [`Stream::handle_timeout`] at [`Stream::wake_at`].

mod claims;
mod entry;
mod leg;
mod ring;
mod splice;
mod stream;
mod writing;

use std::sync::Arc;
use std::time::Duration;

pub use entry::{Entry, frame};
pub use leg::{LegEnd, Request};
pub use ring::{Bounds, Cursor, ENTRY_COST, LOOK_BACK, Start};
pub use stream::Stream;

pub use crate::media::ConfigSet as Headers;
use crate::timestamp::Timestamp;

/// A connection, as the caller numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// The right to write a stream, numbered in the order in which it was given. An older epoch's writes are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

/// What a stream keeps and how long it waits.
#[derive(Debug, Clone)]
pub struct Config {
    /// What the log keeps for readers.
    pub bounds: Bounds,
    /// A new leg's media wait at most so long for the old leg's end.
    pub hold_time: Duration,
    /// And at most so many bytes of them.
    pub hold_bytes: usize,
    /// A stream whose leg was lost lives on for so long.
    pub grace: Duration,
    /// A publisher from whom nothing came for so long may be succeeded by anyone with its principal.
    pub silence: Duration,
    /// A second publisher that announced `segue` has so long to send the leg header that entitles it.
    pub proof: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bounds: Bounds { min_gops: 2, min_span: Duration::from_secs(10), max_bytes: 64 << 20 },
            hold_time: Duration::from_secs(2),
            hold_bytes: 8 << 20,
            grace: Duration::from_secs(15),
            silence: Duration::from_secs(2),
            proof: Duration::from_secs(2),
        }
    }
}

/// Connections that may wait to write one stream at a time.
pub const MAX_CANDIDATES: usize = 4;

/// What the caller must act upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// `publish` is answered with Publish.Start.
    Granted {
        /// Whose.
        conn: ConnId,
    },
    /// `publish` is answered with this status, and the connection closed.
    Refused {
        /// Whose.
        conn: ConnId,
        /// The status code.
        code: &'static str,
        /// For a person.
        description: &'static str,
    },
    /// Another connection has the claim now: acknowledge what was taken and close this one.
    Fenced {
        /// Whose.
        conn: ConnId,
    },
    /// There are new entries to read.
    Appended,
    /// A leg begins in the log: its first message was appended, or found to be a repeat.
    Spliced(Splice),
    /// The leg that writes dropped media on its side: its header came again and begins later.
    Lost {
        /// Whose.
        conn: ConnId,
        /// So many messages.
        missing: u64,
    },
    /// A leg is over and all of it is in the log. The next one may write already: see [`Stream::publisher`].
    LegEnded {
        /// Whose.
        conn: ConnId,
        /// Which.
        epoch: Epoch,
        /// How.
        end: LegEnd,
    },
    /// The stream is over: readers read to the end.
    Ended,
}

/// How a leg joined the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Splice {
    /// The leg's connection.
    pub conn: ConnId,
    /// Its epoch.
    pub epoch: Epoch,
    /// Whether a leg before it wrote here.
    pub follows: bool,
    /// Messages lost between the last leg and this one; a lower bound unless `exact`.
    pub missing: u64,
    /// Whether leg headers gave the count.
    pub exact: bool,
    /// The timestamp of the last message before it, on the stream's timeline.
    pub old_last: Option<Timestamp>,
    /// The timestamp of its first new message likewise.
    pub new_first: Timestamp,
    /// Its timestamps restarted and were shifted.
    pub restarted: bool,
    /// How long its first message waited in the hold.
    pub held_for: Duration,
}

/// What a reader gets.
#[derive(Debug)]
pub enum Read<'a> {
    /// The next message.
    Entry(&'a Arc<Entry>),
    /// The reader was too slow: its cursor now stands at the newest keyframe.
    Lagged,
    /// Nothing new yet.
    Empty,
    /// The stream is over and all of it was read.
    Ended,
}

/// Counters of what a stream lost or refused. They only rise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Media messages known to be missing.
    pub missing: u64,
    /// Media messages that came again and were left out.
    pub repeated: u64,
    /// Media messages that a fenced connection still sent.
    pub fenced: u64,
}

#[cfg(test)]
mod bounds_tests;
#[cfg(test)]
mod config_tests;
#[cfg(test)]
mod tests;
