//! A stream's end: where it goes, what proves it, what follows when the server at which it is to end does nothing any more,
//! and how the machine stops. Who begins where before that is `moves`'s.

use std::time::Duration;

use super::{END_BOUND, Publisher};
use crate::client::leg::{Leg, Phase};
use crate::client::{Action, ConnId, Ending};
use crate::handover::publisher::State;
use crate::time::Moment;

/// How long another server is looked for where the one at which the stream was to end has hung for [`END_BOUND`]. One that
/// takes the stream then is given the time that it needs to take the rest, as long as it goes forward.
pub const END_RETRY_BOUND: Duration = Duration::from_secs(30);
/// So often a server at which the end has hung is passed by before it gets a second chance.
pub const HUNG_PASSED_BY: u32 = 3;

impl Publisher {
    /// A stream that is ending, and has a connection, moves no more.
    pub(super) fn end_where_it_is(&mut self) {
        if self.finishing
            && let Some(pending) = self.handover.stay()
        {
            self.drop_candidate();
            self.record_not_moved(&pending);
        }
    }

    /// Whether the stream is ending on that connection.
    pub(super) fn is_ending(&self, conn: ConnId) -> bool {
        self.finishing && self.current == Some(conn) && matches!(self.handover.state(), State::Steady)
    }

    /// The server at which the stream is to end has done nothing for it for [`END_BOUND`]: what it has not proven goes to
    /// another, if one is found in time.
    pub(super) fn end_hangs(&mut self, conn: ConnId, now: Moment) {
        let why = format!("nothing acknowledged for {} s at the end of the stream", END_BOUND.as_secs());
        let until = *self.end_given_up.get_or_insert(now + END_RETRY_BOUND);
        if now >= until {
            return self.done(Ending::Lost(why));
        }
        let server_id = self.legs.get(&conn).and_then(Leg::server_id);
        self.broken(conn, &why, now);
        self.hung.extend(server_id);
    }

    /// The connection that was to end the stream is gone without proof. Servers that take it and go could be tried for
    /// ever: [`give_up`](super::PublisherConfig::give_up) counts from the first on. One that has hung before has had its
    /// second chance.
    pub(super) fn end_lost(&mut self, leg: &Leg, now: Moment) {
        self.end_given_up.get_or_insert(now + self.config.give_up);
        self.hung.extend(leg.server_id().filter(|id| self.hung.last() == Some(id)));
    }

    /// Whether the end of the stream does not go to that server: it has hung there. That may have been the connection
    /// alone: once others have been tried it gets a second chance, and no third.
    pub(super) fn passes_by(&self, server_id: Option<&str>) -> bool {
        let hung = self.hung.iter().filter(|hung| Some(hung.as_str()) == server_id).count();
        let attempt = self.handover.pending().map_or(0, |pending| pending.attempt);
        hung > 1 || (hung == 1 && attempt < HUNG_PASSED_BY)
    }

    /// When the stream is given up, if no server takes its end until then.
    pub(super) fn end_given_up_at(&self) -> Option<Moment> {
        self.end_given_up.filter(|_| self.current.is_none() && self.completed.is_none())
    }

    /// After an acknowledgement: perhaps it was the last one awaited.
    pub(super) fn check_end(&mut self, conn: ConnId) {
        let Some(leg) = self.legs.get(&conn) else { return };
        if leg.is_end_proven() {
            self.current = None;
            self.close(conn);
            self.complete(true);
        } else if leg.phase == Phase::Draining && leg.is_proven() {
            // All is proven; what is left is to read to the end.
            if let Some(leg) = self.legs.remove(&conn) {
                self.record_tail(&leg);
                self.legs.insert(conn, leg);
            }
        }
    }

    /// The stream has ended at its server.
    pub(super) fn complete(&mut self, confirmed: bool) {
        self.completed = Some(confirmed);
        self.try_complete();
    }

    pub(super) fn try_complete(&mut self) {
        if self.completed.is_some() && self.legs.is_empty() {
            self.done(Ending::Complete);
        }
    }

    /// Ends the machine: closes what is open, settles the books.
    pub(super) fn done(&mut self, ending: Ending) {
        if self.outcome.is_some() {
            return;
        }
        self.candidate = None;
        if ending != Ending::Complete {
            self.count_unproven();
        }
        self.record_end(&ending);
        for conn in self.legs.keys().copied().collect::<Vec<_>>() {
            self.close(conn);
        }
        self.current = None;
        self.settle_records(true);
        let confirmed = Some(self.completed == Some(true) && ending == Ending::Complete);
        let outcome = crate::client::Outcome { ending, confirmed, missing: self.missing };
        self.outcome = Some(outcome.clone());
        self.actions.push_back(Action::Finished(outcome));
    }
}
