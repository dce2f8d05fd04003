//! A player's old and new connection side by side: both are listened to until it is clear which of them the stream is on.

use std::cmp::Ordering;
use std::time::Duration;

use super::{Phase, Player};
use crate::client::ConnId;
use crate::handover::viewer::LegId;
use crate::media::MediaMessage;
use crate::time::Moment;

/// A new server that has delivered for so long, without a jump or a pause of half of it, has the stream for good: the old
/// one, if it has not ended by then, is left. Until then the publisher may yet be refused there, and go on at the old.
pub const PROVEN_AFTER: Duration = Duration::from_secs(5);

impl Player {
    /// A message of a connection's.
    pub(super) fn media(&mut self, id: ConnId, message: MediaMessage, now: Moment) {
        let leg = LegId(id.0);
        let is_next = self.next == Some(id);
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.phase = Phase::Playing;
        }
        // One that repeats what was seen may have nothing more than that: where more is to be had elsewhere, or the
        // publisher's word is that there is no more, it delivers only once it has.
        let is_doubtful = self.unpublished || self.search.is_some();
        if self.main.is_none() && is_next && !is_doubtful {
            self.promote(id, now);
        }
        let before = self.viewer.count();
        let held = self.viewer.message(leg, message);
        if self.main.is_none() && is_next && self.viewer.count() > before {
            self.promote(id, now);
        }
        self.drain_viewer(now);
        if held.is_err() {
            return self.next_failed("too far ahead of the old server", now);
        }
        if self.next != Some(id) {
            return;
        }
        if let Some((since, last)) = &mut self.caught_up {
            if now.since(*last) > PROVEN_AFTER / 2 {
                *since = now;
            }
            *last = now;
            if now.since(*since) >= PROVEN_AFTER && self.viewer.stands(leg) == Some(Ordering::Equal) {
                self.take_over(id, now);
            }
        }
    }

    /// The next connection has caught up and needs the other no more.
    pub(super) fn take_over(&mut self, id: ConnId, now: Moment) {
        self.viewer.take_over(LegId(id.0));
        self.promote(id, now);
        self.drain_viewer(now);
    }

    /// Whether the next connection had caught up, and the other went on without it since: the publisher came to nothing
    /// there.
    pub(super) fn has_fallen_behind(&self, id: ConnId) -> bool {
        self.next == Some(id)
            && self.caught_up.is_some()
            && self.viewer.stands(LegId(id.0)) == Some(Ordering::Less)
    }

    /// Whether something came of the connection that delivers.
    pub(super) fn has_delivered(&self) -> bool {
        self.main.and_then(|main| self.conns.get(&main)).is_some_and(|conn| conn.delivered)
    }

    /// The next connection has all that was seen. It takes over at once if it is to be left itself, or has ended.
    pub(super) fn has_caught_up(&mut self, id: ConnId, now: Moment) {
        if self.next != Some(id) {
            return;
        }
        self.caught_up = Some((now, now));
        if self.conns.get(&id).is_some_and(|conn| conn.told_early.is_some() || conn.over) {
            self.take_over(id, now);
        }
    }
}
