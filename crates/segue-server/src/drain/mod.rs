//! The drain: a server emptying itself. It decides who is told to go and when, who is cut and when, and when the
//! server holds nothing more; connections do what it says by mail. Time is an argument: whoever runs the first shard
//! calls [`Drain::tick`].
//!
//! Running -> Draining -> Drained, and back to Running on cancel. A request for one stream leaves the server running.

mod report;
mod target;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use segue_proto::Moment;
use segue_proto::caps::Announce;
use segue_proto::handover::record::HandoverResult;
use segue_proto::log::ConnId;
use segue_proto::session::GoAwaySignal;
use thiserror::Error;

pub use report::{Board, Phase, Publishers, Report, ServerState, StreamLine};
pub use target::{BadTarget, MAX_TARGET, Target};

use crate::config::FLUSH;
use crate::hub::{Batch, CutPlan, Hub, Mail, Slot, State};

/// A stream that comes back is told again so often.
pub const MAX_TELL_AGAIN: u32 = 2;
/// And no sooner than so long after the last time.
pub const TELL_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// While a drain is under way everything is looked at so often at least.
const LOOK_EVERY: Duration = Duration::from_millis(100);

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
    /// Nothing to cancel.
    #[error("there is no drain to cancel")]
    NotDraining,
    /// No such stream.
    #[error("no such stream")]
    NoStream,
}

/// How a publisher left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was told, and left.
    Moved,
    /// It said that its stream is over.
    Ended,
    /// This server ended it.
    Cut,
    /// Its connection ended untold and without a word.
    Lost,
}

impl Outcome {
    /// As a record says it.
    pub const fn result(self) -> HandoverResult {
        match self {
            Self::Moved => HandoverResult::Moved,
            Self::Ended | Self::Lost => HandoverResult::Ended,
            Self::Cut => HandoverResult::Cut,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            // Nothing that this server received is lost when a client goes away by itself.
            Self::Ended | Self::Lost => "ended",
            Self::Cut => "cut",
        }
    }
}

/// What the hub saw that a drain must know.
#[derive(Debug)]
pub enum Event {
    /// A leg is over.
    Left {
        /// Whose.
        slot: Arc<Slot>,
        /// How it was told.
        told: Option<GoAwaySignal>,
        /// How it left.
        outcome: Outcome,
    },
    /// A leg joined a stream that was here.
    Spliced {
        /// The stream's slot.
        serial: u64,
        /// Lost in between, where that is known.
        missing: Option<u64>,
        /// How long its boundary waited.
        delay: Duration,
    },
    /// A viewer that could not follow was ended.
    ViewerEnded,
}

#[derive(Debug)]
struct Line {
    slot: Arc<Slot>,
    tell_at: Moment,
    tellings: u32,
    last_told: Option<Moment>,
    signal: Option<GoAwaySignal>,
    outcome: Option<Outcome>,
    ever_cut: bool,
    missing: Option<u64>,
    delay: Option<Duration>,
    stayed: bool,
}

#[derive(Debug)]
struct Active {
    request: Request,
    began: Moment,
    /// `Some`: only this stream, the server stays running.
    only: Option<u64>,
    lines: BTreeMap<u64, Line>,
    viewers_ended: usize,
    cutting: bool,
    cut: bool,
    done: bool,
    /// When it looks at everything again.
    wake: Moment,
}

/// See the module.
#[derive(Debug)]
pub struct Drain {
    seed: u64,
    state: ServerState,
    active: Option<Active>,
}

impl Drain {
    /// A drain that has not begun. `seed` is for the jitter.
    pub fn new(seed: u64) -> Self {
        Self { seed, state: ServerState::Running, active: None }
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
        if self.state != ServerState::Running {
            return Err(Refused::Busy);
        }
        let only = match &request.stream {
            Some(name) => Some(find(hub, name).ok_or(Refused::NoStream)?),
            None => None,
        };
        let dry_run = request.dry_run;
        let mut active = Active {
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
        self.active = Some(active);
        hub.take_drain_events();
        self.publish(hub, now);
        hub.poke_drain();
        Ok(hub.board().report())
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
        }
        tracing::info!("drain cancelled");
        self.publish(hub, now);
        Ok(hub.board().report())
    }

    /// Everything that is left is cut now.
    pub fn cut_now(&mut self, hub: &Hub, now: Moment) {
        if let Some(active) = self.active.as_mut().filter(|a| a.only.is_none() && !a.done) {
            active.request.deadline = now.since(active.began);
            hub.poke_drain();
        }
    }

    /// When [`tick`](Self::tick) has something to do, unless poked before.
    pub fn wake_at(&self) -> Option<Moment> {
        self.active.as_ref().filter(|a| !a.done).map(|a| a.wake)
    }

    /// Looks at everything once. Called when poked and when due.
    pub fn tick(&mut self, hub: &Hub, now: Moment) {
        let events = hub.take_drain_events();
        let Some(active) = self.active.as_mut().filter(|a| !a.done) else { return };
        for event in events {
            active.note(event);
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
            let over =
                active.lines.get(&serial).is_none_or(|line| line.outcome.is_some() && line.slot.lock().ended)
                    || now >= deadline;
            if over || active.lines.get(&serial).is_some_and(|line| line.back()) {
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
        self.publish(hub, now);
    }

    fn publish(&self, hub: &Hub, now: Moment) {
        if let Some(active) = &self.active {
            hub.board().publish(active.report(self.state, now));
        }
    }
}

impl Line {
    /// A stream told alone came back.
    fn back(&self) -> bool {
        self.tellings > 0 && self.delay.is_some()
    }
}

impl Active {
    /// Makes sure that a stream which has or had a publisher is in the report.
    fn line(&mut self, slot: &Arc<Slot>, state: &State, seed: u64, now: Moment) {
        if self.lines.contains_key(&slot.serial) || (state.epoch() == 0 && state.legs.is_empty()) {
            return;
        }
        let addressed = self.request.to.is_some()
            && state
                .publisher()
                .is_some_and(|(_, leg)| signal_for(&leg.announce) == Some(GoAwaySignal::ReconnectRequest));
        // Only a load balancer's check of readiness needs time to notice, and only clients without an address meet it.
        let settle = if addressed || self.only.is_some() { Duration::ZERO } else { self.request.settle };
        let tell_at = (self.began + settle + jitter(seed, &slot.id, self.request.over)).max(now);
        let outcome = state.legs.is_empty().then_some(Outcome::Lost);
        self.lines.insert(
            slot.serial,
            Line {
                slot: slot.clone(),
                tell_at,
                tellings: 0,
                last_told: None,
                signal: None,
                outcome,
                ever_cut: false,
                missing: None,
                delay: None,
                stayed: false,
            },
        );
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Left { slot, told, outcome } => {
                if let Some(line) = self.lines.get_mut(&slot.serial) {
                    line.signal = told.or(line.signal);
                    line.outcome = Some(outcome);
                    line.ever_cut |= outcome == Outcome::Cut;
                }
            }
            Event::Spliced { serial, missing, delay } => {
                if let Some(line) = self.lines.get_mut(&serial) {
                    line.missing = match (line.missing, missing) {
                        (Some(a), Some(b)) => Some(a + b),
                        (a, b) => a.or(b),
                    };
                    line.delay = Some(line.delay.map_or(delay, |d| d.max(delay)));
                }
            }
            Event::ViewerEnded => self.viewers_ended += 1,
        }
    }

    /// Tells a stream's viewers, then its publisher, when it is time.
    fn tell(&mut self, hub: &Hub, slot: &Arc<Slot>, state: &mut State, now: Moment) {
        let Some(line) = self.lines.get_mut(&slot.serial) else { return };
        let publisher = state.publisher().map(|(conn, leg)| (conn, leg.clone()));
        if publisher.is_some() {
            line.outcome = None;
        }
        if now < line.tell_at {
            return;
        }
        let target = self.request.to.as_ref();
        let again_at = line.last_told.map(|at| at + TELL_AGAIN_AFTER);
        let may_tell = match self.only {
            Some(_) => line.tellings == 0,
            None => line.tellings <= MAX_TELL_AGAIN && again_at.is_none_or(|at| now >= at),
        };
        let untold = publisher.filter(|(_, leg)| {
            may_tell && !leg.telling && leg.told.is_none() && signal_for(&leg.announce).is_some()
        });
        let first = untold.is_some() || line.tellings == 0;
        let viewers: Vec<(ConnId, Option<String>)> = state
            .viewers
            .iter_mut()
            .filter(|(_, viewer)| !viewer.told && signal_for(&viewer.announce).is_some())
            .filter(|_| self.only.is_none() || (first && target.is_some()))
            .map(|(conn, viewer)| {
                viewer.told = true;
                (*conn, target.map(|target| target.tc_url(&viewer.tc_url)))
            })
            .collect();
        let tell = |conn, tc_url, batch| Mail::Tell { conn, tc_url, batch };
        let then = untold.map(|(conn, leg)| {
            line.tellings += 1;
            line.last_told = Some(now);
            line.signal = signal_for(&leg.announce);
            if let Some(leg) = state.legs.get_mut(&conn) {
                leg.telling = true;
                leg.target = target.map(|target| target.authority().to_owned());
            }
            tell(conn, target.map(|target| target.tc_url(&leg.tc_url)), Batch::new(1, None))
        });
        match then {
            Some(Mail::Tell { conn, .. }) if viewers.is_empty() => {
                if let Some(mail) = then {
                    hub.post(conn, mail);
                }
            }
            then => {
                let batch = Batch::new(viewers.len(), then);
                for (conn, tc_url) in viewers {
                    hub.post(conn, tell(conn, tc_url, batch.clone()));
                }
            }
        }
    }

    /// The next moment something is due. The report's phase goes by each stream's GOP, which may change: so everything
    /// is looked at now and then in any case.
    fn next_look(&self, now: Moment) -> Moment {
        let deadline = self.began + self.request.deadline;
        let tells = self.lines.values().filter_map(|line| match line.last_told {
            None => Some(line.tell_at),
            Some(at) if line.outcome.is_none() => Some(at + TELL_AGAIN_AFTER),
            Some(_) => None,
        });
        let due = tells.chain([deadline]).filter(|at| *at > now);
        due.fold(now + LOOK_EVERY, Moment::min)
    }

    fn cut(&mut self, hub: &Hub, slot: &Arc<Slot>, state: &mut State, deadline: Moment, now: Moment) {
        state.cut = Some(CutPlan { deadline, at_most: self.request.deadline / 3 });
        self.cutting |= state.cuts_now(now);
        let outcome = self.lines.get(&slot.serial).and_then(|line| line.outcome);
        if now >= deadline {
            for (conn, leg) in &mut state.legs {
                // Said once: the connection's own closing sequence has its own bounds.
                if !std::mem::replace(&mut leg.cutting, true) {
                    hub.post(*conn, Mail::Cut(*conn));
                }
            }
        }
        // An untold publisher whose connection broke may come back until the grace is over.
        let left = outcome.is_some_and(|outcome| outcome != Outcome::Lost) || now >= deadline;
        if state.legs.is_empty() && left && !state.end_viewers {
            state.end_viewers = true;
            hub.announce(slot, state);
        }
    }

    fn report(&self, state: ServerState, now: Moment) -> Report {
        let mut publishers = Publishers::default();
        let mut streams: Vec<_> = self
            .lines
            .values()
            .map(|line| {
                publishers.total += 1;
                let lost = line.missing.is_some_and(|n| n > 0);
                let result = match line.outcome {
                    _ if line.ever_cut => Some("cut"),
                    Some(_) if lost => Some("lost"),
                    Some(outcome) => Some(outcome.name()),
                    None if line.back() && self.only.is_some() => Some(if lost { "lost" } else { "moved" }),
                    None => line.stayed.then_some("stayed"),
                };
                match result {
                    Some("moved") => publishers.moved += 1,
                    Some("cut") => publishers.cut += 1,
                    Some("lost") => publishers.lost += 1,
                    Some("ended") => publishers.ended += 1,
                    _ => publishers.waiting += 1,
                }
                StreamLine {
                    id: line.slot.id.clone(),
                    name: line.slot.masked.clone(),
                    told: crate::hub::signal_name(line.signal),
                    result,
                    missing: line.missing,
                    delay_ms: line.delay.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
                }
            })
            .collect();
        streams.sort_by(|a, b| a.id.cmp(&b.id));
        let phase = match () {
            () if self.done => Phase::Done,
            () if self.cutting => Phase::Cutting,
            () if self.lines.values().any(|line| now < line.tell_at) => Phase::Telling,
            () => Phase::Waiting,
        };
        Report {
            state,
            phase,
            to: self.request.to.as_ref().map(Target::to_string),
            deadline: self.request.deadline.as_secs_f64(),
            elapsed: now.since(self.began).as_secs_f64(),
            dry_run: false,
            streams,
            publishers,
            viewers_ended: self.viewers_ended,
        }
    }
}

/// The one signal that a client understands, if any: contract, "Who is told what".
pub fn signal_for(announce: &Announce) -> Option<GoAwaySignal> {
    if announce.reconnect {
        Some(GoAwaySignal::ReconnectRequest)
    } else if announce.go_away {
        Some(GoAwaySignal::GoAwayMessage)
    } else {
        None
    }
}

fn find(hub: &Hub, name: &str) -> Option<Arc<Slot>> {
    hub.streams()
        .into_iter()
        .find(|slot| slot.id == name || format!("{}/{}", slot.key.app, slot.key.name) == name)
}

/// Where in `over` a stream's signal falls: the same seed and stream give the same place (FNV-1a).
fn jitter(seed: u64, id: &str, over: Duration) -> Duration {
    let hash = id.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    over.mul_f64((hash >> 11) as f64 / (1u64 << 53) as f64)
}
