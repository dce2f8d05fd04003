//! `Bell`: how the recorder's thread, which blocks on files, hears that streams have something to write.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::Slot;

#[derive(Default)]
struct Waiting {
    slots: VecDeque<Arc<Slot>>,
    /// Taken, and not yet reported as done.
    taken: usize,
    stopped: bool,
}

impl Waiting {
    fn take(&mut self) -> Vec<Arc<Slot>> {
        self.taken += self.slots.len();
        self.slots.drain(..).collect()
    }
}

/// A queue of streams with a condition variable. A stream is in it at most once: its own flag sees to that.
#[derive(Default)]
pub struct Bell {
    waiting: Mutex<Waiting>,
    rung: Condvar,
}

impl Bell {
    /// A stream has something to write.
    pub fn ring(&self, slot: Arc<Slot>) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).slots.push_back(slot);
        self.rung.notify_one();
    }

    /// Lets the recorder end once nothing waits.
    pub fn stop(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
        self.rung.notify_one();
    }

    /// All that waits, at once; empty if nothing does.
    pub fn take(&self) -> Vec<Arc<Slot>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// So many of the streams taken are written.
    pub fn done(&self, streams: usize) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).taken -= streams;
    }

    /// Whether all that was rung for is written.
    pub fn is_idle(&self) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.slots.is_empty() && waiting.taken == 0
    }

    /// Blocks until something waits, `patience` is over (then an empty list), or the bell stopped (then `None`).
    pub fn wait(&self, patience: Duration) -> Option<Vec<Arc<Slot>>> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut waiting, _) = self
            .rung
            .wait_timeout_while(waiting, patience, |w| w.slots.is_empty() && !w.stopped)
            .unwrap_or_else(PoisonError::into_inner);
        if waiting.stopped && waiting.slots.is_empty() {
            return None;
        }
        Some(waiting.take())
    }
}
