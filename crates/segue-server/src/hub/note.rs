//! What the hub notes for the drain: legs that left or joined, viewers that were ended.

use std::sync::Arc;
use std::time::Duration;

use segue_proto::handover::record::HandoverResult;
use segue_proto::session::GoAwaySignal;

use super::Slot;

/// How a publisher left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was told, and left.
    Moved,
    /// It said that its stream is over.
    Ended,
    /// This server ended it.
    Cut,
    /// Its connection ended untold and without a word.
    Lost,
}

impl Outcome {
    /// As a record says it.
    pub const fn result(self) -> HandoverResult {
        match self {
            Self::Moved => HandoverResult::Moved,
            Self::Ended | Self::Lost => HandoverResult::Ended,
            Self::Cut => HandoverResult::Cut,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            // Nothing that this server received is lost when a client goes away by itself.
            Self::Ended | Self::Lost => "ended",
            Self::Cut => "cut",
        }
    }
}

/// What a drain must know.
#[derive(Debug)]
pub enum Note {
    /// A leg is over.
    Left {
        /// Whose.
        slot: Arc<Slot>,
        /// How it was told.
        told: Option<GoAwaySignal>,
        /// How it left.
        outcome: Outcome,
    },
    /// A leg joined a stream that was here.
    Spliced {
        /// The stream's slot.
        serial: u64,
        /// Lost in between, where that is known.
        missing: Option<u64>,
        /// How long its boundary waited.
        delay: Duration,
    },
    /// Media of a leg are lost: its publisher dropped them, or sent them when another leg had the claim.
    Lost {
        /// The stream's slot.
        serial: u64,
        /// So many messages.
        missing: u64,
    },
    /// A viewer that could not follow was ended.
    ViewerEnded,
}
