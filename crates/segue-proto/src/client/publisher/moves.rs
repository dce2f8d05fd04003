//! What the hand-over's decisions mean for a publisher's connections: who begins where, who ends where, and what
//! follows when one is told to go, refused, or lost.

use super::{Publisher, START_BOUND};
use crate::client::leg::{Leg, Phase, Place};
use crate::client::{ConnId, Ending};
use crate::handover::publisher::{Failure, Step};
use crate::session::GoAwaySignal;
use crate::time::Moment;
use crate::url::RtmpUrl;

impl Publisher {
    /// Switches at a boundary, which has just been pushed: the old connection gets nothing from there on. If that one
    /// seems to be dead, what it has not proven will be lost with it, as the new leg runs by then: the new one begins at
    /// the boundary before that, though some of it may arrive twice.
    pub(super) fn switch_at(&mut self, serial: u64, now: Moment) {
        let end = Place::of(&self.replay, serial);
        let mut start = end;
        if let Some(old) = self.current.and_then(|conn| self.legs.get_mut(&conn)) {
            old.end = Some(end);
            if old.is_suspect(now) {
                old.covered = true;
                let owed = old.owes(&self.replay, true, now);
                (start, _) = self.start_for(owed);
            }
        }
        self.publish(start, serial);
    }

    /// Switches without a boundary. The old connection, if there is one, gets nothing new; the new one begins at the last
    /// boundary that the buffer has, so that its server can decode, and with an old connection that is lost, at the one
    /// before the first message that may not have arrived. If there is none (a GOP without end), it goes on where the
    /// old one ends: then no message is lost, and decoders wait for a keyframe, or the picture refreshes by itself.
    pub(super) fn switch_by_replay(&mut self, now: Moment) {
        let end = Place::of(&self.replay, self.replay.end());
        let from = match self.current.and_then(|conn| self.legs.get_mut(&conn)) {
            Some(old) => {
                old.end = Some(end);
                end
            }
            None => self.needed_with_tails(now),
        };
        let (start, mark) = self.start_for(from);
        self.publish(start, mark);
    }

    /// Where a leg begins that is to deliver everything from `from` on, and the message that it owes.
    fn start_for(&self, from: Place) -> (Place, u64) {
        let mark = from.serial.max(self.replay.first());
        let start = self.replay.boundary_before(mark).unwrap_or(mark);
        (Place::of(&self.replay, start), mark)
    }

    /// What is needed, with the tails of connections that are still being read: they are sent again, too.
    fn needed_with_tails(&mut self, now: Moment) -> Place {
        let mut needed = self.needed.unwrap_or(Place::of(&self.replay, self.replay.end()));
        for leg in self.legs.values_mut().filter(|leg| leg.was_accepted()) {
            let owed = leg.owes(&self.replay, true, now);
            leg.covered = true;
            if owed.serial < needed.serial {
                needed = owed;
            }
        }
        self.needed = Some(needed);
        needed
    }

    fn publish(&mut self, start: Place, mark: u64) {
        if let Some(leg) = self.candidate.and_then(|conn| self.legs.get_mut(&conn)) {
            self.number += 1;
            leg.publish(self.number, start, mark);
        }
    }

    /// The new server takes the stream.
    pub(super) fn accept(&mut self, conn: ConnId, now: Moment) {
        let Some(done) = self.handover.accepted(now) else { return };
        self.candidate = None;
        let old = self.current.replace(conn);
        let Some(leg) = self.legs.get_mut(&conn) else { return };
        leg.phase = Phase::Live(now);
        leg.progress = now;
        self.last_url = leg.url.clone();
        self.accepted += 1;
        let (mut start, skipped) = (leg.start, leg.cursor.skipped);
        let taken_from = self.taken_from(conn);
        // The old connection's tail, if the new one begins so early that it has that, too.
        let mut covered = None;
        let left = match old.and_then(|old| self.legs.get_mut(&old)) {
            Some(old) => {
                old.phase = Phase::Leaving;
                old.progress = now;
                covered = old.covered.then(|| old.owes(&self.replay, true, now));
                Some(super::accounts::Left::of(old, true))
            }
            None => self.left.take(),
        };
        let from = self.needed.take().or(left.as_ref().and_then(|left| left.end)).unwrap_or(start);
        let mut owed = covered.filter(|tail| tail.serial < from.serial).unwrap_or(from);
        if let Some(taken) = taken_from.filter(|taken| taken.serial > owed.serial) {
            // What it sends of that is dropped there, though acknowledged: the old connection alone can prove its tail,
            // and what nobody has proven is lost.
            if let Some(old) = old.filter(|_| covered.is_some()).and_then(|old| self.legs.get_mut(&old)) {
                old.covered = false;
            }
            if taken.serial > from.serial && taken.serial > start.serial {
                start = taken;
            }
            owed = if taken.serial > from.serial { taken } else { from };
        }
        if let Some(leg) = self.legs.get_mut(&conn) {
            leg.owed = owed;
        }
        let gap = start.index.saturating_sub(from.index).saturating_sub(from.skipped) + skipped;
        self.missing += gap;
        self.record_moved(&done, conn, left, start, from, gap);
        self.end_where_it_is();
    }

    /// A new connection is no use; closes it and arranges for the next attempt. The stream's very first failure that
    /// another attempt would not mend ends it.
    pub(super) fn candidate_failed(&mut self, failure: Failure, why: &str, now: Moment) {
        self.drop_candidate();
        let patient = failure == Failure::Draining && now.since(self.started) < START_BOUND;
        if self.accepted == 0 && !patient {
            return self.done(Ending::Failed(why.to_owned()));
        }
        self.retry(failure, why, now);
    }

    /// Arranges for the next attempt; the old connection goes on, or is half-closed where it is what stands in the way.
    pub(super) fn retry(&mut self, failure: Failure, why: &str, now: Moment) {
        let close_old = self.handover.failed(failure, now, &mut self.rng);
        let old = self.current.and_then(|conn| self.legs.get_mut(&conn));
        let staying = match old {
            Some(old) if close_old => {
                old.phase = Phase::Leaving;
                old.progress = now;
                self.needed = old.end;
                self.left = Some(super::accounts::Left::of(old, true));
                self.current = None;
                "trying again once the old connection has ended".to_owned()
            }
            Some(old) => {
                (old.end, old.covered) = (None, false);
                format!("staying on {}, trying again", old.url.authority())
            }
            None => "trying again".to_owned(),
        };
        self.notice(format!("new server: {why}; {staying}"));
        self.end_where_it_is();
    }

    pub(super) fn drop_candidate(&mut self) {
        if let Some(conn) = self.candidate.take() {
            self.close(conn);
        }
    }

    /// A server answered `connect` with a refusal, perhaps with another address.
    pub(super) fn rejected(&mut self, conn: ConnId, why: &str, redirect: Option<&str>, now: Moment) {
        if !self.is_candidate(conn) {
            return self.broken(conn, why, now);
        }
        let target = redirect.and_then(|to| self.allowed(conn, to));
        if target.is_some() && self.handover.sent_on(None, target, now, &mut self.rng) {
            return self.drop_candidate();
        }
        let failure = if why.contains("draining") { Failure::Draining } else { Failure::Refused };
        self.candidate_failed(failure, why, now);
    }

    /// A server asks to be left.
    pub(super) fn told(&mut self, conn: ConnId, signal: GoAwaySignal, tc_url: Option<&str>, now: Moment) {
        if self.current == Some(conn) {
            let target = tc_url.and_then(|to| self.allowed(conn, to));
            // A stream that is ending ends here.
            if !self.finishing && self.handover.told(signal, target, now) {
                self.drop_candidate();
            }
        } else if self.is_candidate(conn) {
            let target = tc_url.and_then(|to| self.allowed(conn, to));
            if self.handover.sent_on(Some(signal), target, now, &mut self.rng) {
                self.drop_candidate();
            }
        }
    }

    /// The server that named another one and still has the stream: to meet it again is no move. One that named none may
    /// want the stream back on a new connection.
    pub(super) fn server_to_leave(&self) -> Option<String> {
        self.handover.pending()?.target.as_ref()?;
        self.legs.get(&self.current?)?.session.as_ref()?.server()?.server_id.clone()
    }

    /// The address that a server named, if the policy allows it. Otherwise it counts as none.
    fn allowed(&mut self, conn: ConnId, reference: &str) -> Option<RtmpUrl> {
        let base = self.legs.get(&conn).map_or(&self.config.url, |leg| &leg.url);
        let target = match base.resolve(reference) {
            Ok(target) => target,
            Err(error) => {
                self.notice(format!("the server named an address that is none: {error}"));
                return None;
            }
        };
        if self.config.redirect.allows(&self.config.url, &target) {
            return Some(target);
        }
        self.notice(self.config.redirect.refusal(&self.config.url, &target));
        None
    }

    /// A connection is gone; `clean` if the peer ended it in order.
    pub(super) fn gone(&mut self, conn: ConnId, clean: bool, now: Moment) {
        if self.is_candidate(conn) {
            return self.candidate_failed(Failure::Refused, "the connection was lost", now);
        }
        let was_current = self.current == Some(conn);
        let Some(leg) = self.close(conn) else { return };
        if !was_current {
            self.tail_ended(&leg, clean, now);
        } else if leg.finished.is_some() && (leg.is_proven() || !leg.segue) {
            self.current = None;
            self.complete(leg.is_proven());
        } else {
            if leg.finished.is_some() {
                self.end_lost(&leg, now);
            }
            self.lost(&leg, now);
        }
    }

    /// The connection that had the stream is gone, and was not to go.
    fn lost(&mut self, leg: &Leg, now: Moment) {
        self.current = None;
        self.needed = Some(leg.owes(&self.replay, false, now));
        self.left = Some(super::accounts::Left::of(leg, false));
        if self.handover.lost(now, &mut self.rng) == Step::SwitchByReplay {
            self.switch_by_replay(now);
        } else {
            self.begin_again(now);
        }
        let wait = if self.candidate.is_some() { "switching now" } else { "trying again" };
        self.notice(format!("the connection to {} was lost; {wait}", leg.url.authority()));
    }

    /// A connection that another one replaced has ended.
    fn tail_ended(&mut self, leg: &Leg, clean: bool, now: Moment) {
        let clean = clean && leg.phase == Phase::Draining;
        if let Some(left) = self.left.as_mut().filter(|left| left.is(leg)) {
            *left = super::accounts::Left::of(leg, false);
        }
        if self.current.is_none() && self.completed.is_none() {
            // No other connection has the stream yet: what is not proven can still be sent again.
            let owed = leg.owes(&self.replay, clean, now);
            if self.needed.is_none_or(|needed| owed.serial < needed.serial) {
                self.needed = Some(owed);
            }
            self.handover.old_ended(now);
            self.begin_again(now);
        } else if !leg.covered {
            self.missing += leg.tail();
        }
        self.record_tail(leg);
        self.try_complete();
    }

    /// A connection whose `publish` is out but no media begins where it is needed now.
    fn begin_again(&mut self, now: Moment) {
        let waits = |leg: &Leg| leg.phase == Phase::Publishing && !leg.has_sent() && !leg.segue;
        let Some(conn) = self.candidate.filter(|conn| self.legs.get(conn).is_some_and(waits)) else { return };
        let needed = self.needed_with_tails(now);
        let (start, mark) = self.start_for(needed);
        if let Some(leg) = self.legs.get_mut(&conn) {
            leg.mark = mark;
            leg.begin_at(start);
        }
    }
}
