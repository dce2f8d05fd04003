//! The ledger: whether what was received is what was sent, to the letter of the contract ("verify").
//!
//! A message's *identity* is its track, its timestamp plus an offset, and the SHA-256 of its payload. Configuration
//! (sequence headers, metadata, leg headers) is not media and does not count. A message of many tracks is one message,
//! and in order only if it is so on each of them. [`Ledger`] takes the messages, of the
//! source and of each leg that received them, and judges at the end; it keeps a hash of each and no payload (about 50
//! bytes a message). `align` finds the offsets, `judge` decides each message's fate, `report` holds the counts.
//! Files are not its business: see [`crate::verify`].
//!
//! ```
//! use segue_flv::{Ledger, Options};
//! use segue_proto::{MediaMessage, Timestamp, TrackKind};
//!
//! let frame = |ms: u32, body: &'static [u8]| {
//!     MediaMessage::new(TrackKind::Video, Timestamp::from_millis(ms), body.into())
//! };
//! let mut ledger = Ledger::new(Options { whole: true, ..Options::default() });
//! for message in [frame(0, b"\x17\x01a"), frame(33, b"\x27\x01b"), frame(66, b"\x27\x01c")] {
//!     ledger.sent(&message);
//! }
//! ledger.leg_start();
//! ledger.received(&frame(0, b"\x17\x01a"));
//! ledger.received(&frame(66, b"\x27\x01c"));
//! let report = ledger.finish();
//! assert_eq!((report.missing, report.gap_ms, report.exit_code()), (1, 33, 3));
//! ```

mod align;
mod judge;
#[cfg(test)]
mod oracle;
mod report;
mod shared;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_legs;
#[cfg(test)]
mod tests_tracks;

use std::fmt;
use std::ops::Range;

use segue_proto::{MediaMessage, TrackKind};
use sha2::{Digest, Sha256};

pub use report::{Report, TrackCounts};
use shared::{SetId, Shared};

/// What is compared, and what is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Everything sent must be there, not only what lies between the first and the last received.
    pub whole: bool,
    /// An overlap of two legs is a fault.
    pub no_overlap: bool,
    /// Each leg has an offset of its own, since its publisher restarted its timestamps.
    pub offset_per_leg: bool,
    /// Only tracks of this kind are compared.
    pub track: Option<TrackKind>,
}

/// One track: audio, video or data, and its E-RTMP track id (0 without multitrack).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Track {
    /// Audio, video or data.
    pub kind: TrackKind,
    /// E-RTMP track id.
    pub id: u8,
}

/// `video`, or `video_2` for a track id other than 0.
impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            0 => write!(f, "{}", self.kind),
            id => write!(f, "{}_{id}", self.kind),
        }
    }
}

/// The books: what was sent, and what each leg received.
#[derive(Clone, Debug)]
pub struct Ledger {
    options: Options,
    sent: Vec<Identity>,
    legs: Vec<Vec<Identity>>,
    shared: Shared,
}

impl Ledger {
    /// Empty books.
    pub fn new(options: Options) -> Self {
        Self { options, sent: Vec::new(), legs: Vec::new(), shared: Shared::default() }
    }

    /// The source produced `message`, after all that it produced before.
    pub fn sent(&mut self, message: &MediaMessage) {
        let identity = self.identity(message);
        self.sent.extend(identity);
    }

    /// What is received from now on belongs to a new leg (a file of its own, say), after the legs before it.
    pub fn leg_start(&mut self) {
        self.legs.push(Vec::new());
    }

    /// The current leg received `message`. Without a [`leg_start`](Self::leg_start) there is one leg.
    pub fn received(&mut self, message: &MediaMessage) {
        let identity = self.identity(message);
        if self.legs.is_empty() {
            self.leg_start();
        }
        if let Some(leg) = self.legs.last_mut() {
            leg.extend(identity);
        }
    }

    /// Compares.
    pub fn finish(self) -> Report {
        judge::judge(self.options, &self.sent, self.legs, &self.shared)
    }

    fn identity(&mut self, message: &MediaMessage) -> Option<Identity> {
        let info = message.info();
        if !info.is_media() || self.options.track.is_some_and(|kind| kind != message.kind) {
            return None;
        }
        let track = |id| Track { kind: message.kind, id };
        Some(Identity {
            track: track(info.track),
            timestamp: message.timestamp.as_millis(),
            hash: Sha256::digest(&message.payload).into(),
            set: if info.many { self.shared.note(message.tracks().map(track)) } else { None },
        })
    }
}

/// What makes two messages the same one. The order serves look-up: by track and timestamp, then by payload.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Identity {
    /// Of many, the first in the message.
    track: Track,
    /// Milliseconds modulo 2^32; of a received message, on the source's timeline once its offset is known.
    timestamp: u32,
    hash: [u8; 32],
    /// All its tracks, if there are many; the payload says it already.
    set: Option<SetId>,
}

impl Identity {
    /// This received message on the source's timeline.
    fn on_source(self, offset: u32) -> Self {
        Self { timestamp: self.timestamp.wrapping_sub(offset), ..self }
    }
}

/// The sent messages in order, with two look-ups. Positions (`u32`) are places in the source's order.
struct Book<'a> {
    sent: &'a [Identity],
    shared: &'a Shared,
    /// Positions sorted by identity, equal ones by position.
    by_identity: Vec<u32>,
    /// Positions sorted by track and payload, equal ones by position.
    by_payload: Vec<u32>,
}

impl<'a> Book<'a> {
    fn new(sent: &'a [Identity], shared: &'a Shared) -> Self {
        let at = |i: &u32| sent.get(*i as usize);
        let mut by_identity: Vec<u32> = (0..sent.len() as u32).collect();
        let mut by_payload = by_identity.clone();
        by_identity.sort_by_key(|i| at(i).map(|m| (m.track, m.timestamp, m.hash)));
        by_payload.sort_by_key(|i| at(i).map(|m| (m.track, m.hash)));
        Self { sent, shared, by_identity, by_payload }
    }

    fn len(&self) -> usize {
        self.sent.len()
    }

    /// All tracks of a message, sent or received, each once.
    fn tracks<'b>(&'b self, identity: &'b Identity) -> &'b [Track] {
        let set = identity.set.and_then(|set| self.shared.get(set));
        set.unwrap_or(std::slice::from_ref(&identity.track))
    }

    /// Where in `by_identity` the messages of this identity stand.
    fn same(&self, identity: &Identity) -> Range<usize> {
        self.range(&self.by_identity, |m| m.cmp(identity))
    }

    /// Where in `by_identity` the messages of this track and timestamp stand, whatever their payload.
    fn same_time(&self, identity: &Identity) -> Range<usize> {
        let wanted = (identity.track, identity.timestamp);
        self.range(&self.by_identity, |m| (m.track, m.timestamp).cmp(&wanted))
    }

    /// The positions of the messages of this track and payload, whatever their timestamp.
    fn same_payload(&self, identity: &Identity) -> &[u32] {
        let wanted = (identity.track, &identity.hash);
        let range = self.range(&self.by_payload, |m| (m.track, &m.hash).cmp(&wanted));
        self.by_payload.get(range).unwrap_or_default()
    }

    fn positions(&self, range: Range<usize>) -> &[u32] {
        self.by_identity.get(range).unwrap_or_default()
    }

    fn range(&self, sorted: &[u32], compare: impl Fn(&Identity) -> std::cmp::Ordering) -> Range<usize> {
        let order = |i: &u32| self.sent.get(*i as usize).map_or(std::cmp::Ordering::Greater, &compare);
        let start = sorted.partition_point(|i| order(i).is_lt());
        let len = sorted.get(start..).unwrap_or_default().partition_point(|i| order(i).is_eq());
        start..start + len
    }
}
