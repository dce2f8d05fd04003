//! A player's search for its next connection: told to go, redirected, or because the one it had is lost.

use std::time::Duration;

use super::{Conn, Phase, Player};
use crate::client::{Action, ConnId, DIAL_TIMEOUT, Ending};
use crate::handover::backoff::Backoff;
use crate::handover::publisher::{DRAINING_PASSED_BY, MAX_HOPS, SETTLED};
use crate::handover::record::Cause;
use crate::handover::viewer::LegId;
use crate::session::GoAwaySignal;
use crate::time::{Moment, earliest};
use crate::url::RtmpUrl;

/// A viewer that nothing delivers to waits so long at a server that has not got its stream before it looks elsewhere: a
/// server keeps such a play for longer than the search may take, and the stream may be at another one long since.
const ELSEWHERE_AFTER: Duration = Duration::from_secs(2);

/// What is looked for, and how often it was tried.
#[derive(Clone, Debug)]
pub(super) struct Pursuit {
    pub(super) cause: Cause,
    pub(super) signal: Option<GoAwaySignal>,
    target: Option<RtmpUrl>,
    /// The server to be left, `host:port`.
    pub(super) from: Option<String>,
    pub(super) attempt: u32,
    backoff: Backoff,
    /// When to dial; `None` while a connection is made or held.
    pub(super) dial_at: Option<Moment>,
    /// The address to dial then, and which of its network addresses, whatever else is known.
    pub(super) exactly: Option<(RtmpUrl, u32)>,
    /// What is found there comes after what the server that delivers has: that one's end is not the stream's.
    pub(super) goes_on: bool,
}

impl Pursuit {
    /// For the stream's first connection.
    pub(super) fn start(now: Moment) -> Self {
        Self {
            cause: Cause::Crash,
            signal: None,
            target: None,
            from: None,
            attempt: 0,
            backoff: Backoff::default(),
            dial_at: Some(now),
            exactly: None,
            goes_on: false,
        }
    }

    /// For a stream that was last at that server.
    pub(super) fn again(from: Option<String>, now: Moment) -> Self {
        Self { from, ..Self::start(now) }
    }

    /// From a server that has what another passed over, on to that one.
    pub(super) fn on_to(address: (RtmpUrl, u32), from: Option<String>, now: Moment) -> Self {
        Self { exactly: Some(address), goes_on: true, ..Self::again(from, now) }
    }

    /// Whether it is for the stream's first connection.
    pub(super) fn is_start(&self) -> bool {
        self.from.is_none()
    }
}

impl Player {
    /// Whether a server that says it is draining is to be taken all the same: nothing else answers.
    pub(super) fn takes_draining(&self) -> bool {
        self.main.is_none()
            && self.viewer.count() > 0
            && (self.search.is_some()
                || self.pursuit.as_ref().is_some_and(|pursuit| pursuit.attempt >= DRAINING_PASSED_BY))
    }

    /// The server that named another one and still has us: to meet it again is no move. One that named none may want us
    /// back on a new connection.
    pub(super) fn server_to_leave(&self) -> Option<String> {
        self.pursuit.as_ref()?.target.as_ref()?;
        self.conns.get(&self.main?)?.session.as_ref()?.server()?.server_id.clone()
    }

    /// A server asks to be left. The latest signal wins; a repeat changes nothing.
    pub(super) fn told(&mut self, id: ConnId, signal: GoAwaySignal, tc_url: Option<&str>, now: Moment) {
        let target = tc_url.and_then(|to| self.allowed(id, to));
        if self.main == Some(id) {
            return self.told_to(id, signal, target, now);
        }
        if self.next != Some(id) {
            return;
        }
        let is_counted = self.viewer.stands(LegId(id.0)).is_some() && !self.has_fallen_behind(id);
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if self.main.is_some() && conn.phase == Phase::Playing && is_counted {
            // It has what comes next, and the server that sent us here will not: it is left once it has taken over.
            conn.told_early = Some((signal, target));
            if self.caught_up.is_some() {
                self.take_over(id, now);
            }
        } else if target.is_none() {
            self.next_failed("the server is going away", now);
        } else {
            self.sent_to(Cause::Drain, Some(signal), target, now);
        }
    }

    /// The server that delivers asks to be left.
    pub(super) fn told_to(&mut self, id: ConnId, signal: GoAwaySignal, target: Option<RtmpUrl>, now: Moment) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.told = true;
        }
        let repeat = |pending: &Pursuit| {
            // On the way to where the stream goes on, nothing is said by a server that only wants to be left.
            (pending.signal.is_some() && pending.target == target) || (pending.goes_on && target.is_none())
        };
        if self.pursuit.as_ref().is_some_and(repeat) {
            return;
        }
        if let Some(next) = self.next.filter(|_| self.caught_up.is_some()) {
            // It is left already, for a server that has all that it has.
            if !self.has_fallen_behind(next) {
                return self.take_over(next, now);
            }
        }
        self.sent_to(Cause::Drain, Some(signal), target, now);
    }

    /// A server answered `connect` with a refusal, perhaps with another address.
    pub(super) fn rejected(&mut self, id: ConnId, why: &str, redirect: Option<&str>, now: Moment) {
        if let Some(target) = redirect.and_then(|to| self.allowed(id, to)) {
            return self.sent_to(Cause::Redirect, None, Some(target), now);
        }
        if self.viewer.count() == 0 && !why.contains("draining") {
            return self.done(Ending::Failed(why.to_owned()));
        }
        self.gone(id, why, now);
    }

    /// Goes for an address, in place of what is pending.
    fn sent_to(&mut self, cause: Cause, signal: Option<GoAwaySignal>, target: Option<RtmpUrl>, now: Moment) {
        self.drop_next();
        if self.main.is_some() && now.since(self.last_hop) >= SETTLED {
            self.hops = 0;
        }
        self.hops += 1;
        self.last_hop = now;
        let earlier = self.pursuit.take();
        let mut backoff = earlier.as_ref().map_or(Backoff::default(), |earlier| earlier.backoff);
        let loop_delay = backoff.next(&mut self.rng).max(SETTLED);
        let pursuit = Pursuit {
            // A redirect on the way is not why the stream moves, if something else was.
            cause: earlier
                .as_ref()
                .filter(|e| cause == Cause::Redirect && e.signal.is_some())
                .map_or(cause, |e| e.cause),
            signal: signal.or(earlier.as_ref().and_then(|earlier| earlier.signal)),
            target,
            from: self.server().or(earlier.and_then(|earlier| earlier.from)),
            attempt: 0,
            backoff,
            dial_at: Some(now),
            exactly: None,
            goes_on: false,
        };
        let pursuit = if self.hops > MAX_HOPS {
            // A loop. Begin it anew, but not at once.
            self.hops = 0;
            Pursuit { target: None, dial_at: Some(now + loop_delay), ..pursuit }
        } else {
            pursuit
        };
        self.pursuit = Some(pursuit);
        self.pursue(now);
    }

    /// The address that a server named, if the policy allows it. Otherwise it counts as none.
    fn allowed(&mut self, id: ConnId, reference: &str) -> Option<RtmpUrl> {
        let base = self.conns.get(&id).map_or(&self.config.url, |conn| &conn.url);
        match base.resolve(reference) {
            Ok(target) if self.config.redirect.allows(&self.config.url, &target) => Some(target),
            Ok(target) => {
                self.notice(self.config.redirect.refusal(&self.config.url, &target));
                None
            }
            Err(error) => {
                self.notice(format!("the server named an address that is none: {error}"));
                None
            }
        }
    }

    /// Nothing delivers any more: looks for the stream, or goes on looking with less patience.
    pub(super) fn hurry(&mut self, now: Moment) {
        let from = Some(self.last_url.authority());
        let pursuit = self.pursuit.get_or_insert(Pursuit { from, dial_at: None, ..Pursuit::start(now) });
        if self.next.is_none() {
            let soon = now + pursuit.backoff.next(&mut self.rng);
            pursuit.dial_at = Some(pursuit.dial_at.map_or(soon, |at| at.min(soon)));
        }
    }

    /// The next connection is no use; the one that delivers goes on.
    pub(super) fn next_failed(&mut self, why: &str, now: Moment) {
        self.drop_next();
        self.trouble = why.to_owned();
        if self.search.is_some() && self.search_on(now) {
            return;
        }
        let from = Some(self.last_url.authority());
        let pursuit = self.pursuit.get_or_insert(Pursuit::again(from, now));
        pursuit.attempt = pursuit.attempt.saturating_add(1);
        pursuit.dial_at = Some(now + pursuit.backoff.next(&mut self.rng));
        let staying =
            self.server().map_or("trying again".to_owned(), |at| format!("staying on {at}, trying again"));
        self.notice(format!("new server: {why}; {staying}"));
    }

    pub(super) fn drop_next(&mut self) {
        if let Some(next) = self.next.take() {
            self.viewer.end(LegId(next.0));
            self.close(next);
        }
        (self.caught_up, self.join) = (None, None);
    }

    /// Dials, if it is time to.
    pub(super) fn pursue(&mut self, now: Moment) {
        let Some(pursuit) =
            self.pursuit.as_mut().filter(|pursuit| pursuit.dial_at.is_some_and(|at| now >= at))
        else {
            return;
        };
        pursuit.dial_at = None;
        let (own, last, attempt) = (&self.config.url, &self.last_url, pursuit.attempt);
        // A named target comes first, and then takes turns; a lost stream may be at its own address or where it was.
        let (url, attempt) = match &pursuit.target {
            Some(target) if attempt < DRAINING_PASSED_BY || attempt % 2 == 1 => (target, attempt),
            Some(_) => (own, attempt / 2),
            None if self.main.is_some() || own == last => (own, attempt),
            None => (if attempt % 2 == 0 { own } else { last }, attempt / 2),
        };
        let (url, attempt) = match pursuit.exactly.take() {
            Some(exactly) => exactly,
            None => (url.clone(), attempt),
        };
        self.drop_next();
        let id = ConnId(self.next_conn);
        self.next_conn += 1;
        let phase = Phase::Dialing(now + DIAL_TIMEOUT);
        let backoff = Backoff::default();
        let conn = Conn {
            url: url.clone(),
            session: None,
            phase,
            told: false,
            unpublished: false,
            stopped: false,
            over: false,
            backoff,
            attempt,
            told_early: None,
            delivered: false,
        };
        self.conns.insert(id, conn);
        self.next = Some(id);
        self.actions.push_back(Action::Dial { conn: id, url, attempt });
    }

    /// When the next connection, which has brought nothing yet, is given up for another. Not where the publisher's word is
    /// that the stream is over.
    pub(super) fn looks_elsewhere_at(&self, id: ConnId) -> Option<Moment> {
        let lost = self.lost_since?;
        if self.next != Some(id) || self.viewer.count() == 0 {
            return None;
        }
        let until = self.search_until();
        match self.conns.get(&id)?.phase {
            Phase::Asked(at) if until.is_some() || !self.unpublished => {
                earliest(Some(at.max(lost) + ELSEWHERE_AFTER), until)
            }
            _ => until,
        }
    }

    /// When the search ends, if nothing delivers by then.
    pub(super) fn given_up_at(&self) -> Option<Moment> {
        let bound = if self.viewer.count() == 0 { self.config.wait } else { self.config.retry };
        self.lost_since.map(|since| since + bound)
    }

    pub(super) fn give_up(&mut self) {
        let why = self.trouble.clone();
        self.done(match self.viewer.count() {
            0 => Ending::Failed(why),
            _ if self.unpublished => Ending::Complete,
            _ => Ending::Lost(why),
        });
    }
}
