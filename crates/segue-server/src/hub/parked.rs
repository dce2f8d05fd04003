//! Plays that wait for streams that are not here yet.

use std::collections::{BTreeMap, BTreeSet};

use segue_proto::log::ConnId;

use super::StreamKey;
use crate::config::MAX_PARKED;

/// Who waits for what, at most [`MAX_PARKED`] in all.
#[derive(Default)]
pub(super) struct Parked {
    waiting: BTreeMap<StreamKey, BTreeSet<ConnId>>,
    count: usize,
}

impl Parked {
    /// Lets a connection wait. Returns whether there was room.
    pub(super) fn add(&mut self, key: &StreamKey, conn: ConnId) -> bool {
        if self.count >= MAX_PARKED {
            return false;
        }
        if self.waiting.entry(key.clone()).or_default().insert(conn) {
            self.count += 1;
        }
        true
    }

    /// A connection waits no longer.
    pub(super) fn remove(&mut self, key: &StreamKey, conn: ConnId) {
        if let Some(waiting) = self.waiting.get_mut(key) {
            self.count -= usize::from(waiting.remove(&conn));
            if waiting.is_empty() {
                self.waiting.remove(key);
            }
        }
    }

    /// All who wait for one stream, or for any.
    pub(super) fn take(&mut self, key: Option<&StreamKey>) -> Vec<ConnId> {
        let taken: Vec<ConnId> = match key {
            Some(key) => self.waiting.remove(key).into_iter().flatten().collect(),
            None => std::mem::take(&mut self.waiting).into_values().flatten().collect(),
        };
        self.count -= taken.len();
        taken
    }
}
