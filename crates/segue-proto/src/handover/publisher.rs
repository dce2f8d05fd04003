//! The publisher's hand-over: when to dial another server, when to switch to it, when to go on at the old one, when to
//! give up. A state machine that knows moments, boundaries and outcomes; no bytes, sessions or messages. What a state
//! means for connections and the replay buffer is [`crate::client::Publisher`]'s.
//!
//! ```text
//! Steady -> Requested -> Dialing -> Primed -> Switching -> Steady (on the new server)
//!               ^-----------+---------+----------+  failed: back-off, then again; the old connection goes on
//! ```
//!
//! The stream's start and the loss of its connection take the same way, without an old connection to go on at.

use std::time::Duration;

use crate::handover::backoff::{Backoff, Rng};
use crate::handover::record::Cause;
use crate::session::GoAwaySignal;
use crate::time::{Moment, earliest};
use crate::url::RtmpUrl;

/// How long before the expected keyframe a new connection is made: it is to be ready in time, and not to idle for long
/// at servers that close connections which don't publish.
pub const DIAL_AHEAD: Duration = Duration::from_secs(1);
/// How many addresses in a row are followed without [`SETTLED`] of accepted media between them.
pub const MAX_HOPS: u32 = 5;
/// This much accepted media ends a row of hops.
pub const SETTLED: Duration = Duration::from_secs(1);
/// How long to wait for the old connection's end where the new server says that the stream is busy.
pub const BUSY_WAIT: Duration = Duration::from_secs(10);
/// So many servers that are draining are passed by before a stream without a connection takes one.
pub const DRAINING_PASSED_BY: u32 = 3;
/// The named target is tried so often before the stream's own address takes turns with it.
const TARGET_FIRST: u32 = 3;

/// The bounds of a hand-over.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// After so long without a media boundary the stream moves by replay.
    pub boundary_deadline: Duration,
    /// After so long without any server the stream is given up.
    pub give_up: Duration,
}

/// Where to go, and why.
#[derive(Clone, Debug)]
pub struct Move {
    /// Why; `None` is the stream's start.
    pub cause: Option<Cause>,
    /// Who asked.
    pub signal: Option<GoAwaySignal>,
    /// The address that was named.
    pub target: Option<RtmpUrl>,
    /// Attempts that failed.
    pub attempt: u32,
    /// When a boundary becomes overdue.
    deadline: Moment,
}

/// Where the hand-over stands. The move is what it is about.
#[derive(Clone, Debug)]
pub enum State {
    /// On one connection, nothing pending.
    Steady,
    /// To move; not dialing yet.
    Requested {
        /// What is pending.
        pending: Move,
        /// When to dial.
        dial_at: Moment,
    },
    /// A connection is being made: dial, handshake, connect, createStream.
    Dialing {
        /// What is pending.
        pending: Move,
    },
    /// The new connection is ready to publish; the boundary is awaited.
    Primed {
        /// What is pending.
        pending: Move,
    },
    /// `publish` is sent, media is behind it; the answer is awaited.
    Switching {
        /// What is pending.
        pending: Move,
    },
}

/// Why a new connection did not work out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Dial, handshake or connect failed, or ran out of time; the connection was lost; `publish` was refused.
    Refused,
    /// The server is going itself.
    Draining,
    /// The stream's name is taken: by the old connection, if there is one.
    Busy,
}

/// What is to be done now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Step {
    /// Nothing.
    Wait,
    /// Dial (the state is `Dialing`).
    Dial,
    /// Send `publish` now, from the last boundary in the buffer (the state is `Switching`).
    SwitchByReplay,
    /// No server in time.
    GiveUp,
}

/// The state machine. See the module's documentation.
#[derive(Clone, Debug)]
pub struct Handover {
    config: Config,
    state: State,
    /// Since when there is no connection that takes media.
    lost_since: Option<Moment>,
    /// A go-away of the new server, heard before it accepted the stream.
    told_early: Option<(GoAwaySignal, Option<RtmpUrl>)>,
    backoff: Backoff,
    hops: u32,
    last_hop: Moment,
    last_boundary: Option<Moment>,
    gop: Option<Duration>,
}

impl Handover {
    /// A stream that has no connection yet: the first step is to dial.
    pub fn new(config: Config, now: Moment) -> Self {
        let pending = Move { cause: None, signal: None, target: None, attempt: 0, deadline: now };
        Self {
            config,
            state: State::Requested { pending, dial_at: now },
            lost_since: Some(now),
            told_early: None,
            backoff: Backoff::default(),
            hops: 0,
            last_hop: now,
            last_boundary: None,
            gop: None,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What is pending.
    pub fn pending(&self) -> Option<&Move> {
        match &self.state {
            State::Steady => None,
            State::Requested { pending, .. }
            | State::Dialing { pending }
            | State::Primed { pending }
            | State::Switching { pending } => Some(pending),
        }
    }

    /// Whether no connection takes media at present.
    pub fn is_lost(&self) -> bool {
        self.lost_since.is_some()
    }

    /// Whether a server that says it is draining is to be taken all the same: nothing else answers, and the server of a
    /// stream that comes back takes it, for a while.
    pub fn takes_draining(&self) -> bool {
        self.is_lost() && self.pending().is_some_and(|pending| pending.attempt >= DRAINING_PASSED_BY)
    }

    /// The address to dial and which of its network addresses: the target, and in turn with it `own`, or, for a stream
    /// that lost its connection, `own` and in turn with it `last`, where it was.
    pub fn address(&self, own: &RtmpUrl, last: &RtmpUrl) -> (RtmpUrl, u32) {
        let Some(pending) = self.pending() else { return (own.clone(), 0) };
        let (first, second, alone) = match &pending.target {
            Some(target) => (target, own, TARGET_FIRST),
            None => (own, last, u32::from(!self.is_lost()) * u32::MAX),
        };
        if first == second || pending.attempt < alone {
            return (first.clone(), pending.attempt);
        }
        let turn = pending.attempt - alone;
        let url = if turn % 2 == 0 { first } else { second };
        (url.clone(), alone.saturating_add(turn / 2))
    }

    /// The server that has the stream told us to go. The latest signal wins: returns whether a connection that is being
    /// made for an earlier one is to be dropped. A repeat changes nothing.
    pub fn told(&mut self, signal: GoAwaySignal, target: Option<RtmpUrl>, now: Moment) -> bool {
        let repeat =
            self.pending().is_some_and(|pending| pending.target == target && pending.signal.is_some());
        if repeat {
            return false;
        }
        if let State::Switching { pending } = &mut self.state {
            // The boundary is passed; the newer address is for the next attempt, should this one fail.
            (pending.target, pending.attempt) = (target, 0);
            return false;
        }
        let deadline = now + self.config.boundary_deadline;
        let pending = Move { cause: Some(Cause::Drain), signal: Some(signal), target, attempt: 0, deadline };
        self.hop(now);
        let dial_at = self.dial_at(&pending, now);
        let had_connection = matches!(self.state, State::Dialing { .. } | State::Primed { .. });
        self.state = State::Requested { pending, dial_at };
        had_connection
    }

    /// The new server, not yet on the stream, named another one (go-away, or a redirect in answer to `connect`): returns
    /// whether the connection to it is to be dropped. If not, the signal is kept until the stream is accepted.
    pub fn sent_on(
        &mut self,
        signal: Option<GoAwaySignal>,
        target: Option<RtmpUrl>,
        now: Moment,
        rng: &mut Rng,
    ) -> bool {
        match (&mut self.state, signal) {
            (State::Switching { .. }, Some(signal)) => {
                self.told_early = Some((signal, target));
                false
            }
            (State::Dialing { .. } | State::Primed { .. }, _) => {
                self.hop(now);
                let nowhere = target.is_none();
                let _ = self.failed(Failure::Draining, now, rng);
                let hops = self.hops;
                if let State::Requested { pending, dial_at } = &mut self.state
                    && !nowhere
                {
                    pending.target = target;
                    pending.attempt = 0;
                    pending.signal = signal.or(pending.signal);
                    if pending.cause == Some(Cause::Crash) && signal.is_none() {
                        pending.cause = Some(Cause::Redirect);
                    }
                    if hops <= MAX_HOPS {
                        *dial_at = now;
                    } else {
                        // A loop. Begin it anew, but not at once.
                        pending.target = None;
                        self.hops = 0;
                        *dial_at = (*dial_at).max(now + SETTLED);
                    }
                }
                true
            }
            _ => false,
        }
    }

    /// A media boundary is about to be handed on. Returns whether it is the one to switch at; then the state is
    /// `Switching`.
    pub fn boundary(&mut self, now: Moment) -> bool {
        if let Some(last) = self.last_boundary.replace(now) {
            self.gop = Some(now.since(last));
        }
        let deadline = now + self.config.boundary_deadline;
        match &mut self.state {
            State::Primed { pending } if self.lost_since.is_none() => {
                self.state = State::Switching { pending: pending.clone() };
                true
            }
            State::Requested { pending, .. } | State::Dialing { pending } => {
                pending.deadline = deadline;
                false
            }
            _ => false,
        }
    }

    /// The new connection can publish.
    pub fn primed(&mut self, now: Moment) -> Step {
        let State::Dialing { pending } = &self.state else { return Step::Wait };
        let pending = pending.clone();
        if self.lost_since.is_some() || now >= pending.deadline {
            self.state = State::Switching { pending };
            return Step::SwitchByReplay;
        }
        self.state = State::Primed { pending };
        Step::Wait
    }

    /// The new server takes the stream. Returns the move that is done; a go-away that the new server sent meanwhile is
    /// pending now. Nothing changes if no answer is awaited.
    pub fn accepted(&mut self, now: Moment) -> Option<Move> {
        let State::Switching { pending } = &self.state else { return None };
        let pending = pending.clone();
        self.state = State::Steady;
        self.lost_since = None;
        self.backoff.reset();
        if let Some((signal, target)) = self.told_early.take() {
            let _ = self.told(signal, target, now);
        }
        Some(pending)
    }

    /// The new connection is no use: the next attempt after a delay. Returns whether the old connection, if there is
    /// one, is to be half-closed, because it is what keeps the stream's name taken.
    pub fn failed(&mut self, failure: Failure, now: Moment, rng: &mut Rng) -> bool {
        let Some(pending) = self.pending() else { return false };
        let mut pending = pending.clone();
        let was_switching = matches!(self.state, State::Switching { .. });
        pending.attempt = pending.attempt.saturating_add(1);
        self.told_early = None;
        let mut dial_at = now + self.backoff.next(rng);
        let close_old = failure == Failure::Busy && was_switching && self.lost_since.is_none();
        if close_old {
            self.lost_since = Some(now);
            dial_at = now + BUSY_WAIT;
        }
        if was_switching {
            pending.deadline = now + self.config.boundary_deadline;
        }
        self.state = State::Requested { pending, dial_at };
        close_old
    }

    /// The connection that had the stream is gone, or is closing for good.
    pub fn lost(&mut self, now: Moment, rng: &mut Rng) -> Step {
        self.lost_since.get_or_insert(now);
        match &mut self.state {
            State::Steady => {
                let pending =
                    Move { cause: Some(Cause::Crash), signal: None, target: None, attempt: 0, deadline: now };
                let dial_at = now + self.backoff.next(rng);
                self.state = State::Requested { pending, dial_at };
                Step::Wait
            }
            State::Requested { dial_at, .. } => {
                *dial_at = (*dial_at).min(now + self.backoff.next(rng));
                Step::Wait
            }
            State::Primed { pending } => {
                self.state = State::Switching { pending: pending.clone() };
                Step::SwitchByReplay
            }
            State::Dialing { .. } | State::Switching { .. } => Step::Wait,
        }
    }

    /// The old connection that kept the name taken has ended: no reason to wait longer.
    pub fn old_ended(&mut self, now: Moment) {
        if let (State::Requested { dial_at, .. }, true) = (&mut self.state, self.lost_since.is_some()) {
            *dial_at = (*dial_at).min(now);
        }
    }

    /// Media was accepted by the server that has the stream. Once that goes on for [`SETTLED`] after the last hop, the
    /// row of hops is over.
    pub fn settled(&mut self, now: Moment) {
        if now.since(self.last_hop) < SETTLED {
            return;
        }
        if self.hops > MAX_HOPS
            && let State::Requested { pending, dial_at } = &mut self.state
            && pending.attempt == 0
        {
            *dial_at = now;
        }
        self.hops = 0;
    }

    /// Stays where it is: the stream is about to end. Returns the move that is not made. A stream without a connection
    /// goes on looking for one, and one that is switching waits for the answer.
    pub fn stay(&mut self) -> Option<Move> {
        if self.lost_since.is_some() || matches!(self.state, State::Switching { .. }) {
            return None;
        }
        let pending = self.pending().cloned();
        self.state = State::Steady;
        pending
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn wake_at(&self) -> Option<Moment> {
        let next = match &self.state {
            State::Requested { dial_at, .. } => Some(*dial_at),
            State::Primed { pending } => Some(pending.deadline),
            _ => None,
        };
        earliest(next, self.lost_since.map(|since| since + self.config.give_up))
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Moment) -> Step {
        if self.lost_since.is_some_and(|since| now.since(since) >= self.config.give_up) {
            return Step::GiveUp;
        }
        match &self.state {
            State::Requested { pending, dial_at } if now >= *dial_at => {
                self.state = State::Dialing { pending: pending.clone() };
                Step::Dial
            }
            State::Primed { pending } if now >= pending.deadline => {
                self.state = State::Switching { pending: pending.clone() };
                Step::SwitchByReplay
            }
            _ => Step::Wait,
        }
    }

    fn hop(&mut self, now: Moment) {
        self.hops += 1;
        self.last_hop = now;
    }

    /// No earlier than [`DIAL_AHEAD`] of the expected boundary, nor so late that the deadline finds nothing ready.
    fn dial_at(&self, pending: &Move, now: Moment) -> Moment {
        if self.lost_since.is_some() {
            return now;
        }
        if self.hops > MAX_HOPS {
            // Held until the server that has the stream has accepted some media, or the deadline.
            return pending.deadline;
        }
        match (self.last_boundary, self.gop) {
            (Some(last), Some(gop)) => ((last + gop).min(pending.deadline) - DIAL_AHEAD).max(now),
            _ => now,
        }
    }
}

#[cfg(test)]
#[path = "publisher_tests.rs"]
mod tests;
