//! A publisher's books: what is known to be lost, and a record for every hand-over. A record is handed out once both its
//! sides are known: the old connection's tail, and when the new one got the boundary message.

use super::Publisher;
use crate::client::leg::{Leg, Phase, Place};
use crate::client::{Action, ConnId, Ending};
use crate::handover::publisher::Move;
use crate::handover::record::{HandoverResult, Record};
use crate::timestamp::Timestamp;

/// Most hand-overs whose record waits for one of its sides. Each waits for seconds at most, so more are a peer's doing:
/// then the oldest is handed out as it is.
const MAX_OPEN_RECORDS: usize = 16;

/// The connection that a stream left.
#[derive(Clone, Debug)]
pub(super) struct Left {
    conn: ConnId,
    server: String,
    segue: bool,
    last_ts: Option<u32>,
    /// Where it ends, if it was told so.
    pub(super) end: Option<Place>,
    /// Whether it is still read, so that its tail may yet be proven.
    alive: bool,
    /// Whether it proved all that it sent.
    confirmed: bool,
}

impl Left {
    pub(super) fn of(leg: &Leg, alive: bool) -> Self {
        Self {
            conn: leg.conn,
            server: leg.url.authority(),
            segue: leg.segue,
            last_ts: leg.last_ts.map(Timestamp::as_millis),
            end: leg.end,
            alive,
            confirmed: leg.is_proven(),
        }
    }

    /// Whether that is the connection.
    pub(super) fn is(&self, leg: &Leg) -> bool {
        self.conn == leg.conn
    }
}

/// A record, one of whose sides is not known yet.
#[derive(Clone, Debug)]
pub(super) struct OpenRecord {
    record: Record,
    old: Option<ConnId>,
    new: ConnId,
    /// What is missing apart from the old connection's tail.
    gap: u64,
    old_known: bool,
    new_known: bool,
}

impl Publisher {
    /// The stream has moved: opens the record.
    pub(super) fn record_moved(
        &mut self,
        done: &Move,
        new: ConnId,
        left: Option<Left>,
        start: Place,
        from: Place,
        gap: u64,
    ) {
        let Some(cause) = done.cause else { return };
        let alive = left.as_ref().is_some_and(|left| left.alive && self.legs.contains_key(&left.conn));
        let segue = left.as_ref().is_some_and(|left| left.segue);
        let confirmed = left.as_ref().is_some_and(|left| left.confirmed && !alive);
        let repeated = from.index.saturating_sub(start.index);
        let record = Record {
            stream: self.config.url.stream_id(),
            at: None,
            cause: Some(cause),
            signal: done.signal.into(),
            from: left.as_ref().map(|left| left.server.clone()),
            to: self.legs.get(&new).map(|leg| leg.url.authority()),
            old_last_ts: left.as_ref().and_then(|left| left.last_ts),
            new_first_ts: None,
            // A server that proves nothing may lack more than is known here.
            missing: (segue || gap > 0).then_some(gap),
            // How much of what was not proven did arrive is for the servers to say.
            overlap: (alive || confirmed || repeated == 0).then_some(repeated),
            delay_ms: None,
            confirmed: Some(confirmed),
            result: HandoverResult::Moved,
        };
        let old = left.filter(|_| alive).map(|left| left.conn);
        self.records.push_back(OpenRecord { record, old, new, gap, old_known: !alive, new_known: false });
        if self.records.len() > MAX_OPEN_RECORDS
            && let Some(oldest) = self.records.pop_front()
        {
            self.actions.push_back(Action::Handover(oldest.record));
        }
    }

    /// The stream ends where it is, though it was told to go.
    pub(super) fn record_not_moved(&mut self, pending: &Move) {
        self.record_pending(pending, HandoverResult::Ended);
    }

    fn record_pending(&mut self, pending: &Move, result: HandoverResult) {
        let Some(cause) = pending.cause else { return };
        let current = self.current.and_then(|conn| self.legs.get(&conn));
        let left = current.map(|leg| Left::of(leg, false)).or(self.left.clone());
        self.actions.push_back(Action::Handover(Record {
            stream: self.config.url.stream_id(),
            at: None,
            cause: Some(cause),
            signal: pending.signal.into(),
            from: left.as_ref().map(|left| left.server.clone()),
            to: None,
            old_last_ts: left.as_ref().and_then(|left| left.last_ts),
            new_first_ts: None,
            missing: (result == HandoverResult::Lost).then_some(self.missing),
            overlap: None,
            delay_ms: None,
            confirmed: (result == HandoverResult::Lost).then_some(false),
            result,
        }));
    }

    /// The machine ends: a move that was pending is done with.
    pub(super) fn record_end(&mut self, ending: &Ending) {
        let result = match ending {
            Ending::Lost(_) => HandoverResult::Lost,
            _ => HandoverResult::Ended,
        };
        if let Some(pending) = self.handover.pending().cloned() {
            self.record_pending(&pending, result);
        }
        // Where it moved, the records of that say so already.
        if self.completed == Some(false) && *ending == Ending::Complete && self.accepted == 1 {
            self.record_unconfirmed();
        }
    }

    /// The stream has ended in order at a server that acknowledges nothing that could be relied on: who reads the records
    /// must not take silence for proof.
    fn record_unconfirmed(&mut self) {
        self.actions.push_back(Action::Handover(Record {
            stream: self.config.url.stream_id(),
            at: None,
            cause: None,
            signal: None.into(),
            from: Some(self.last_url.authority()),
            to: None,
            old_last_ts: None,
            new_first_ts: None,
            missing: None,
            overlap: None,
            delay_ms: None,
            confirmed: Some(false),
            result: HandoverResult::Ended,
        }));
    }

    /// The old connection's tail is known.
    pub(super) fn record_tail(&mut self, leg: &Leg) {
        let lost = if leg.covered { 0 } else { leg.tail() };
        for open in self.records.iter_mut().filter(|open| open.old == Some(leg.conn) && !open.old_known) {
            open.old_known = true;
            open.record.old_last_ts = leg.last_ts.map(Timestamp::as_millis);
            open.record.missing = (leg.segue || open.gap + lost > 0).then_some(open.gap + lost);
            open.record.confirmed = Some(leg.is_proven() && leg.is_flushed(&self.replay));
        }
        self.settle_records(false);
    }

    /// Hands out the records whose sides are known; or all of them.
    pub(super) fn settle_records(&mut self, all: bool) {
        let mut waiting = std::mem::take(&mut self.records);
        for mut open in waiting.drain(..) {
            if let Some(leg) = self.legs.get(&open.new) {
                open.take_new(leg);
            }
            if all || (open.old_known && open.new_known) {
                self.actions.push_back(Action::Handover(open.record));
            } else {
                self.records.push_back(open);
            }
        }
    }

    /// From where on the server of that connection takes media. A server's log is in order: where an earlier leg has begun
    /// there, it drops whatever comes later of before that leg as a repeat, whether it has it or not. That earlier leg may
    /// have been no use, or lost, before the old connection's tail was known to be. `None` if no other leg began there.
    pub(super) fn taken_from(&self, conn: ConnId) -> Option<Place> {
        let server_id = self.legs.get(&conn).filter(|leg| leg.segue)?.server_id();
        let open = self.legs.values().filter(|leg| leg.conn != conn && leg.has_begun());
        let open = open.filter(|leg| leg.server_id() == server_id).map(|leg| leg.start);
        open.chain(self.begun.at(server_id.as_ref())).max_by_key(|place| place.serial)
    }

    /// A connection is forgotten: what its records, and later connections to its server, need of it is taken now.
    pub(super) fn leg_removed(&mut self, leg: &Leg) {
        if leg.has_begun() {
            self.begun.note(leg.server_id(), leg.start);
        }
        for open in self.records.iter_mut().filter(|open| open.new == leg.conn) {
            open.take_new(leg);
            open.new_known = true;
        }
    }

    /// The machine ends without proof: what was not proven, or not sent where there is no proof, counts as lost.
    pub(super) fn count_unproven(&mut self) {
        let end = Place::of(&self.replay, self.replay.end());
        let needed = match self.current.and_then(|conn| self.legs.get_mut(&conn)) {
            Some(leg) => {
                leg.end = Some(end);
                leg.covered = true;
                Some(Place { skipped: leg.cursor.skipped - leg.needs().skipped, ..leg.needs() })
            }
            None if self.completed.is_some() => None,
            None => self.needed,
        };
        if let Some(needed) = needed {
            self.missing += (end.index - needed.index).saturating_sub(needed.skipped);
        }
        let leaving = |leg: &&Leg| matches!(leg.phase, Phase::Leaving | Phase::Draining) && !leg.covered;
        let tails: u64 = self.legs.values().filter(leaving).map(Leg::tail).sum();
        self.missing += tails;
    }
}

impl OpenRecord {
    fn take_new(&mut self, leg: &Leg) {
        self.record.new_first_ts = leg.first_ts.map(Timestamp::as_millis);
        self.record.delay_ms = leg.delay_ms;
        self.new_known |= leg.delay_ms.is_some();
    }
}
