//! The drain: a server emptying itself. It decides who is told to go and when, who is cut and when, and when the
//! server holds nothing more; connections do what it says by mail. Time is an argument: the first shard calls
//! [`Drain::tick`]. What happens to streams it hears from the hub's notes.
//!
//! Running -> Draining -> Drained, and back to Running on cancel. A request for one stream leaves the server running.

mod active;
mod report;
mod target;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use segue_proto::Moment;
use segue_proto::caps::Announce;
use segue_proto::session::GoAwaySignal;
use segue_proto::session::go_away::GoAway;
use thiserror::Error;

pub use report::{Board, Phase, Publishers, Report, ServerState, StreamLine};
pub use target::{BadTarget, MAX_TARGET, Target};

use crate::config::FLUSH;
use crate::hub::{Hub, Mail, Slot};
use active::Active;

/// A stream that comes back is told again so often.
pub const MAX_TELL_AGAIN: u32 = 2;
/// And no sooner than so long after the last time.
pub const TELL_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Where to; `None` sends no address.
    pub to: Option<Target>,
    /// From now to the cut, all included.
    pub deadline: Duration,
    /// From now to the first signal without an address.
    pub settle: Duration,
    /// Over which signals are spread.
    pub over: Duration,
    /// Only this stream, by id or `app/name`.
    pub stream: Option<String>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// A request that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// One at a time.
    #[error("a drain is under way already")]
    Busy,
    /// It was, and has not been taken back.
    #[error("the server is drained already")]
    Drained,
    /// Nothing to cancel.
    #[error("there is no drain to cancel")]
    NotDraining,
    /// No such stream.
    #[error("no such stream")]
    NoStream,
}

/// The drain as threads share it.
#[derive(Debug)]
pub struct Control {
    drain: Mutex<Drain>,
    board: Arc<Board>,
}

impl Control {
    /// A drain that has not begun. `seed` is for the jitter.
    pub fn new(seed: u64) -> Arc<Self> {
        let drain = Drain::new(seed);
        let board = drain.board.clone();
        Arc::new(Self { drain: Mutex::new(drain), board })
    }

    /// The drain, locked. Must not be called under a stream's lock.
    pub fn lock(&self) -> MutexGuard<'_, Drain> {
        self.drain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The drain's report and who waits for it.
    pub fn board(&self) -> &Board {
        &self.board
    }
}

/// See the module.
#[derive(Debug)]
pub struct Drain {
    seed: u64,
    board: Arc<Board>,
    state: ServerState,
    /// Drains begun so far.
    begun: u64,
    active: Option<Active>,
}

impl Drain {
    /// A drain that has not begun. `seed` is for the jitter.
    fn new(seed: u64) -> Self {
        Self { seed, board: Arc::default(), state: ServerState::Running, begun: 0, active: None }
    }

    /// The server's state.
    pub fn state(&self) -> ServerState {
        self.state
    }

    /// Begins, or only says what it would do.
    ///
    /// # Errors
    ///
    /// [`Refused::Busy`] while another is under way, [`Refused::NoStream`] if the one stream is not here.
    pub fn begin(&mut self, hub: &Hub, request: Request, now: Moment) -> Result<Report, Refused> {
        // The whole server goes before one stream; of two that are told alone, the first has its report to the end.
        let telling = self.active.as_ref().is_some_and(|active| !active.done);
        if self.state == ServerState::Drained {
            return Err(Refused::Drained);
        }
        if self.state != ServerState::Running || (telling && request.stream.is_some() && !request.dry_run) {
            return Err(Refused::Busy);
        }
        let only = match &request.stream {
            Some(name) => Some(find(hub, name).ok_or(Refused::NoStream)?),
            None => None,
        };
        let dry_run = request.dry_run;
        let mut active = Active {
            number: self.begun + 1,
            request,
            began: now,
            only: only.as_ref().map(|slot| slot.serial),
            lines: BTreeMap::new(),
            viewers_ended: 0,
            cutting: false,
            cut: false,
            done: false,
            wake: now,
        };
        for slot in only.map_or_else(|| hub.streams(), |slot| vec![slot]) {
            let state = slot.lock();
            active.line(&slot, &state, self.seed, now);
        }
        if dry_run {
            for line in active.lines.values_mut() {
                let state = line.slot.lock();
                line.signal = state.publisher().and_then(|(_, leg)| signal_for(&leg.announce));
            }
            return Ok(Report { dry_run: true, ..active.report(self.state, now) });
        }
        if active.only.is_none() {
            self.state = ServerState::Draining;
            hub.set_draining(true);
            tracing::info!(streams = active.lines.len(), deadline = ?active.request.deadline, "draining");
        }
        self.begun = active.number;
        self.active = Some(active);
        hub.take_notes();
        self.publish(now);
        hub.poke_drain();
        Ok(self.board.report())
    }

    /// Back to running.
    ///
    /// # Errors
    ///
    /// [`Refused::NotDraining`].
    pub fn cancel(&mut self, hub: &Hub, now: Moment) -> Result<Report, Refused> {
        let Some(active) = self.active.as_mut().filter(|a| self.state != ServerState::Running || !a.done)
        else {
            return Err(Refused::NotDraining);
        };
        active.done = true;
        self.state = ServerState::Running;
        hub.set_draining(false);
        for slot in hub.streams() {
            let mut state = slot.lock();
            state.cut = None;
            state.end_viewers = false;
            state.viewers.values_mut().for_each(|viewer| viewer.told = None);
            for (conn, leg) in &mut state.legs {
                leg.telling = false;
                hub.post(*conn, Mail::Untell(*conn));
            }
        }
        tracing::info!("drain cancelled");
        self.publish(now);
        Ok(self.board.report())
    }

    /// When [`tick`](Self::tick) has something to do, unless poked before.
    pub fn wake_at(&self) -> Option<Moment> {
        self.active.as_ref().filter(|a| !a.done).map(|a| a.wake)
    }

    /// Looks at everything once. Called when poked and when due.
    pub fn tick(&mut self, hub: &Hub, now: Moment) {
        let events = hub.take_notes();
        let Some(active) = self.active.as_mut() else { return };
        if active.done {
            // A stream that comes back within its grace is taken: a server that holds one is not drained.
            let back = self.state == ServerState::Drained
                && hub.streams().iter().any(|slot| !slot.lock().legs.is_empty());
            if !back {
                return;
            }
            active.done = false;
            self.state = ServerState::Draining;
            tracing::info!("a stream came back, draining again");
        }
        for event in events {
            active.note(event, now);
        }
        let deadline = active.began + active.request.deadline;
        let slots: Vec<_> = hub.streams();
        for slot in &slots {
            if active.only.is_some_and(|serial| serial != slot.serial) {
                continue;
            }
            let mut state = slot.lock();
            active.line(slot, &state, self.seed, now);
            active.tell(hub, slot, &mut state, now);
            if active.only.is_none() {
                active.cut(hub, slot, &mut state, deadline, now);
            }
        }
        if let Some(serial) = active.only {
            let addressed = active.request.to.is_some();
            let over = active.lines.get(&serial).is_none_or(|line| line.done(addressed, now));
            if over || now >= deadline {
                active.done = true;
                if let Some(line) = active.lines.get_mut(&serial) {
                    line.stayed = line.outcome.is_none() && line.delay.is_none();
                }
            }
        } else {
            active.cut = now >= deadline;
            let gone = slots.iter().all(|slot| {
                let state = slot.lock();
                state.legs.is_empty() && (state.ended || state.end_viewers)
            });
            let handed_on = hub.busy() == 0 && hub.bell().is_idle();
            // A viewer or a disk that takes nothing any more must not hold the process for ever.
            let out_of_patience = now >= deadline + 2 * FLUSH;
            if (gone && handed_on) || out_of_patience {
                active.done = true;
                self.state = ServerState::Drained;
                tracing::info!(in_time = !out_of_patience, "drained");
            }
        }
        active.wake = active.next_look(now);
        self.publish(now);
    }

    fn publish(&self, now: Moment) {
        if let Some(active) = &self.active {
            self.board.publish(active.report(self.state, now));
        }
    }
}

/// The one signal that a client understands, if any: contract, "Who is told what".
pub fn signal_for(announce: &Announce) -> Option<GoAwaySignal> {
    GoAway::signal_for(*announce)
}

fn find(hub: &Hub, name: &str) -> Option<Arc<Slot>> {
    hub.streams()
        .into_iter()
        .find(|slot| slot.id == name || format!("{}/{}", slot.key.app, slot.key.name) == name)
}
