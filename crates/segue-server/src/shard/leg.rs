//! What a publishing connection is to its shard: the leg, and how far of its bytes are as safe as this server makes
//! them.

use std::collections::VecDeque;
use std::sync::Arc;

use segue_proto::Moment;
use segue_proto::handover::record::Record;
use segue_proto::message::MessageStreamId;
use segue_proto::time::earliest;

use crate::config::{MAX_CHECKPOINTS, RECORDER_LAG};
use crate::hub::{RecorderState, Slot};

/// Everything received up to `offset` is in the log before entry `seq`.
#[derive(Debug, Clone, Copy)]
struct Checkpoint {
    pub(super) seq: u64,
    pub(super) offset: u64,
    pub(super) at: Moment,
}

pub(super) struct Publisher {
    pub(super) slot: Arc<Slot>,
    pub(super) stream: MessageStreamId,
    checkpoints: VecDeque<Checkpoint>,
    /// All up to here is handed on.
    pub(super) taken: u64,
    /// What came since is in the log's hold, not in the log.
    pub(super) held: bool,
    /// The leg is over in the hub.
    pub(super) left: bool,
    /// Media are appended; not any more after a cut at a boundary or a last acknowledgement.
    pub(super) taking: bool,
    /// Media that came when they were not.
    pub(super) late: u64,
    /// How many messages of it were looked for in the log, after another leg had got its claim.
    pub(super) looks: u64,
    /// Another leg has its claim.
    pub(super) replaced: bool,
    /// What it sent after that and nobody else did: lost.
    pub(super) lost: u64,
    pub(super) tell_by: Option<Moment>,
    pub(super) repeat_due: bool,
    pub(super) record: Option<Record>,
}

impl Publisher {
    pub(super) fn new(slot: Arc<Slot>, stream: MessageStreamId) -> Self {
        Self {
            slot,
            stream,
            checkpoints: VecDeque::new(),
            taken: 0,
            held: false,
            left: false,
            taking: true,
            late: 0,
            looks: 0,
            replaced: false,
            lost: 0,
            tell_by: None,
            repeat_due: false,
            record: None,
        }
    }

    pub(super) fn wake_at(&self) -> Option<Moment> {
        let lag = self.checkpoints.front().map(|checkpoint| checkpoint.at + RECORDER_LAG);
        earliest(self.tell_by, lag)
    }

    /// Whether all that was received is as safe as this server makes it.
    pub(super) fn is_settled(&self) -> bool {
        self.checkpoints.is_empty() && !self.held
    }

    pub(super) fn checkpoint(&mut self, conn: segue_proto::log::ConnId, offset: u64, now: Moment) {
        let state = self.slot.lock();
        self.held = state.log.is_held(conn);
        let known = self.checkpoints.back().map_or(self.taken, |last| last.offset);
        // What a leg without the claim sends is not in the log, and must never look so to its client.
        if !state.has_all_of(conn) || offset <= known {
            return;
        }
        self.held = false;
        let seq = state.log.next_seq();
        drop(state);
        self.note(seq, offset, now);
    }

    /// Everything received up to `offset` is in the log before entry `seq`.
    pub(super) fn note(&mut self, seq: u64, offset: u64, now: Moment) {
        let full = self.checkpoints.len() >= MAX_CHECKPOINTS;
        match self.checkpoints.back_mut() {
            Some(last) if last.seq == seq || full => {
                last.seq = seq;
                last.offset = offset;
            }
            _ => self.checkpoints.push_back(Checkpoint { seq, offset, at: now }),
        }
    }

    /// Moves `taken` on as far as the recorder allows. Returns it if it moved.
    pub(super) fn advance(&mut self, now: Moment) -> Option<u64> {
        let before = self.taken;
        let mut recorded = self.slot.recorded();
        if let (Some(first), Some(recording)) = (self.checkpoints.front(), &self.slot.recording)
            && first.seq > recorded
            && now >= first.at + RECORDER_LAG
            && recording.state() == RecorderState::Ok
        {
            tracing::warn!(stream = %self.slot.id, "the recorder is more than a second behind");
            recording.set_state(RecorderState::Degraded);
            recorded = u64::MAX;
        }
        while let Some(first) = self.checkpoints.front().copied().filter(|first| first.seq <= recorded) {
            self.taken = first.offset;
            self.checkpoints.pop_front();
        }
        (self.taken > before).then_some(self.taken)
    }
}
