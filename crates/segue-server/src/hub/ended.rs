//! Streams that have ended, kept for a while for viewers who were on their way: a show may end just after it moved, and
//! who had watched it on the other server lacks its tail. Nobody else finds them: they are no streams any more.

use std::collections::VecDeque;
use std::sync::Arc;

use segue_proto::session::Resume;

use super::{Slot, StreamKey};
use crate::config::{MAX_ENDED, MAX_ENDED_BYTES};

/// The newest streams that ended, oldest first.
#[derive(Default)]
pub(super) struct Ended {
    slots: VecDeque<Kept>,
    bytes: usize,
}

struct Kept {
    slot: Arc<Slot>,
    /// What its log holds; it takes no more.
    bytes: usize,
}

impl Ended {
    /// Keeps one, and lets go of the oldest past [`MAX_ENDED`] and [`MAX_ENDED_BYTES`].
    pub(super) fn keep(&mut self, slot: Arc<Slot>, bytes: usize) {
        self.bytes += bytes;
        self.slots.push_back(Kept { slot, bytes });
        while self.slots.len() > MAX_ENDED || self.bytes > MAX_ENDED_BYTES {
            let Some(oldest) = self.slots.pop_front() else { return };
            self.bytes -= oldest.bytes;
        }
    }

    /// Its time is over.
    pub(super) fn let_go(&mut self, serial: u64) {
        if let Some(at) = self.slots.iter().position(|kept| kept.slot.serial == serial)
            && let Some(kept) = self.slots.remove(at)
        {
            self.bytes -= kept.bytes;
        }
    }

    /// Those of that key, newest first. Whoever looks into one must not hold the lock that guards this: a stream is kept
    /// under its own.
    pub(super) fn of(&self, key: &StreamKey) -> Vec<Arc<Slot>> {
        let kept = self.slots.iter().rev().filter(|kept| kept.slot.key == *key);
        kept.map(|kept| kept.slot.clone()).collect()
    }
}

/// Whether a viewer who has seen it up to `resume` lacks some of it.
pub(super) fn has_more(slot: &Slot, resume: Resume) -> bool {
    let state = slot.lock();
    state.log.hash() == resume.stream && resume.index < state.log.position().index
}
