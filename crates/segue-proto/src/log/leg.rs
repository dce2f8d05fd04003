//! Legs and claims: who writes a stream now, who waits to, and who may. It decides about connections, never about
//! media: what a leg's messages mean to the log is `splice`'s.

use std::collections::VecDeque;

use crate::leg::LegHeader;
use crate::media::MediaMessage;
use crate::time::Moment;

use super::ConnId;
use super::splice::Align;

/// How a leg ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegEnd {
    /// The connection ended, and nobody said that the stream did: it lives on for the grace.
    Lost,
    /// The publisher ended its stream: `FCUnpublish`, `deleteStream` or `closeStream`.
    Finished,
}

/// A second publisher, or the first, asks to write.
#[derive(Debug, Clone)]
pub struct Request {
    /// The connection that asks.
    pub conn: ConnId,
    /// App, name and query, compared exactly.
    pub principal: String,
    /// It announced `segue`: a leg header comes before its first media.
    pub segue: bool,
}

/// Whether media may be written, by whom.
#[derive(Debug, Clone)]
pub(super) enum Writer {
    /// Nobody has written yet.
    Nobody,
    /// This leg writes.
    Active(Leg),
    /// The last leg was lost; the stream waits for the next until the grace is over.
    Between { since: Moment },
    /// The stream is over.
    Over,
}

/// The leg that has the claim.
#[derive(Debug, Clone)]
pub(super) struct Leg {
    pub(super) conn: ConnId,
    pub(super) header: Option<LegHeader>,
    pub(super) align: Align,
    /// Its timestamps have been put on the stream's timeline.
    pub(super) joined: bool,
    pub(super) told: bool,
    pub(super) last_media: Moment,
}

/// A connection that asked to write and does not yet.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) request: Request,
    pub(super) since: Moment,
    /// Granted: its media will be appended. Otherwise it is still to prove itself by a leg header.
    pub(super) granted: Option<Moment>,
    pub(super) header: Option<LegHeader>,
    pub(super) hold: Hold,
    pub(super) ended: Option<LegEnd>,
    pub(super) told: bool,
}

/// Media of a leg whose claim has not passed yet, configuration included, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Hold {
    pub(super) messages: VecDeque<Held>,
    pub(super) bytes: usize,
}

/// What waits in a hold.
#[derive(Debug, Clone)]
pub(super) enum Held {
    Media(MediaMessage),
    Header(LegHeader),
}

/// Bytes that a held message costs beside its payload.
const HELD_OVERHEAD: usize = 64;

impl Hold {
    pub(super) fn push(&mut self, held: Held) {
        self.bytes += HELD_OVERHEAD
            + match &held {
                Held::Media(message) => message.payload.len(),
                Held::Header(_) => 0,
            };
        self.messages.push_back(held);
    }
}

/// What is remembered of the leg that wrote last.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastLeg {
    /// Its number by its header.
    pub(super) number: Option<u32>,
}

impl LastLeg {
    /// Whether the leg with that header directly follows it: then nothing between the two is on another server.
    pub(super) fn precedes(&self, header: &LegHeader) -> bool {
        self.number.and_then(|number| number.checked_add(1)) == Some(header.leg)
    }
}
