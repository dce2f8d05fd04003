//! A drain under way: its streams, what became of each, and what is due for them. When a drain begins and ends is
//! [`Drain`](super::Drain)'s to say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use segue_proto::Moment;
use segue_proto::caps::Announce;
use segue_proto::log::ConnId;
use segue_proto::session::GoAwaySignal;

use super::report::{Phase, Publishers, Report, ServerState, StreamLine};
use super::{MAX_TELL_AGAIN, Request, TELL_AGAIN_AFTER, Target, signal_for};
use crate::hub::{Batch, CutPlan, Hub, Mail, Note, Outcome, Slot, State};

/// No later than after this part of the time until the deadline is anybody told, whatever the settle and the spread: who
/// is cut untold could not even try.
const LATEST_TELL: f64 = 0.5;
/// A stream that is told alone, with no address, most likely comes back here at once: its return is waited for so long,
/// to have what it lost in the report.
const RETURN_WAIT: Duration = Duration::from_secs(2);
/// While a drain is under way everything is looked at so often at least.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Line {
    pub(super) slot: Arc<Slot>,
    /// When viewers who get an address are told.
    address_at: Moment,
    /// When everybody is.
    pub(super) tell_at: Moment,
    /// When its publisher left, told.
    left_at: Option<Moment>,
    pub(super) tellings: u32,
    pub(super) last_told: Option<Moment>,
    /// Whom this drain told last: a stream that comes back is another connection.
    pub(super) told_conn: Option<ConnId>,
    pub(super) signal: Option<GoAwaySignal>,
    pub(super) outcome: Option<Outcome>,
    pub(super) ever_cut: bool,
    pub(super) missing: Option<u64>,
    pub(super) delay: Option<Duration>,
    pub(super) stayed: bool,
}

#[derive(Debug)]
pub(super) struct Active {
    /// Counts this server's drains.
    pub(super) number: u64,
    pub(super) request: Request,
    pub(super) began: Moment,
    /// `Some`: only this stream, the server stays running.
    pub(super) only: Option<u64>,
    pub(super) lines: BTreeMap<u64, Line>,
    pub(super) viewers_ended: usize,
    pub(super) cutting: bool,
    pub(super) cut: bool,
    pub(super) done: bool,
    /// When it looks at everything again.
    pub(super) wake: Moment,
}

impl Line {
    /// So many more messages are missing; `None` where that is not known.
    fn add_missing(&mut self, missing: Option<u64>) {
        self.missing = match (self.missing, missing) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
    }

    /// A stream told alone came back.
    pub(super) fn back(&self) -> bool {
        self.tellings > 0 && self.delay.is_some()
    }

    /// Whether a stream that is told alone is done with: it came back or ended, or left for where it was sent.
    pub(super) fn done(&self, addressed: bool, now: Moment) -> bool {
        match self.outcome {
            Some(Outcome::Moved) => addressed || self.left_at.is_some_and(|at| now >= at + RETURN_WAIT),
            Some(Outcome::Lost) => self.slot.lock().ended,
            Some(Outcome::Ended | Outcome::Cut) => true,
            // What its old connection still sends may be lost, and is to be in the report.
            None => self.back() && self.slot.lock().is_alone(),
        }
    }
}

impl Active {
    /// Makes sure that a stream which has or had a publisher is in the report.
    pub(super) fn line(&mut self, slot: &Arc<Slot>, state: &State, seed: u64, now: Moment) {
        if self.lines.contains_key(&slot.serial) || (state.epoch() == 0 && state.legs.is_empty()) {
            return;
        }
        let publisher = state.publisher().map(|(_, leg)| self.is_addressed(&leg.announce));
        let spread = jitter(seed, &slot.id, self.request.over);
        let address_at = (self.began + spread).max(now);
        // Only a load balancer's check of readiness needs time to notice, and only clients without an address meet it.
        let settle =
            if publisher == Some(true) || self.only.is_some() { Duration::ZERO } else { self.request.settle };
        let tell_at =
            (self.began + (settle + spread).min(self.request.deadline.mul_f64(LATEST_TELL))).max(now);
        // Nobody publishes: it lives on for its grace. Who was told and left is not waited for.
        let signal = state.last_left.flatten().filter(|_| state.legs.is_empty());
        let outcome = state.legs.is_empty().then_some(signal.map_or(Outcome::Lost, |_| Outcome::Moved));
        self.lines.insert(
            slot.serial,
            Line {
                slot: slot.clone(),
                address_at,
                tell_at,
                left_at: None,
                tellings: 0,
                last_told: None,
                told_conn: None,
                signal,
                outcome,
                ever_cut: false,
                missing: None,
                delay: None,
                stayed: false,
            },
        );
    }

    /// Whether a client that announced this is told where to.
    fn is_addressed(&self, announce: &Announce) -> bool {
        self.request.to.is_some() && signal_for(announce) == Some(GoAwaySignal::ReconnectRequest)
    }

    pub(super) fn note(&mut self, event: Note, now: Moment) {
        match event {
            Note::Left { slot, told, outcome } => {
                if let Some(line) = self.lines.get_mut(&slot.serial) {
                    line.signal = told.or(line.signal);
                    line.outcome = Some(outcome);
                    line.left_at = Some(now);
                    line.ever_cut |= outcome == Outcome::Cut;
                }
            }
            Note::Spliced { serial, missing, delay } => {
                if let Some(line) = self.lines.get_mut(&serial) {
                    line.add_missing(missing);
                    line.delay = Some(line.delay.map_or(delay, |d| d.max(delay)));
                }
            }
            Note::Lost { serial, missing } => {
                if let Some(line) = self.lines.get_mut(&serial) {
                    line.add_missing(Some(missing));
                }
            }
            Note::ViewerEnded => self.viewers_ended += 1,
        }
    }

    /// Tells a stream's viewers, then its publisher, when it is time.
    pub(super) fn tell(&mut self, hub: &Hub, slot: &Arc<Slot>, state: &mut State, now: Moment) {
        let Some(line) = self.lines.get_mut(&slot.serial) else { return };
        let publisher = state.publisher().map(|(conn, leg)| (conn, leg.clone()));
        if publisher.is_some() {
            line.outcome = None;
        }
        if now < line.address_at.min(line.tell_at) {
            return;
        }
        // Until everybody is told, viewers who get an address are.
        let all = now >= line.tell_at;
        let target = self.request.to.as_ref();
        let again_at = line.last_told.map(|at| at + TELL_AGAIN_AFTER);
        let may_tell = match self.only {
            Some(_) => line.tellings == 0,
            None => line.tellings <= MAX_TELL_AGAIN && again_at.is_none_or(|at| now >= at),
        };
        let told = line.told_conn;
        let untold = publisher.filter(|(conn, leg)| {
            all && may_tell && !leg.telling && told != Some(*conn) && signal_for(&leg.announce).is_some()
        });
        let first = untold.is_some() || line.tellings == 0;
        let viewers: Vec<(ConnId, Option<String>)> = state
            .viewers
            .iter_mut()
            .filter(|(_, viewer)| viewer.told != Some(self.number))
            .filter(|(_, viewer)| match signal_for(&viewer.announce) {
                Some(GoAwaySignal::ReconnectRequest) => all || target.is_some(),
                Some(GoAwaySignal::GoAwayMessage) => all,
                None => false,
            })
            .filter(|_| self.only.is_none() || (first && target.is_some()))
            .map(|(conn, viewer)| {
                viewer.told = Some(self.number);
                (*conn, target.map(|target| target.tc_url(&viewer.tc_url)))
            })
            .collect();
        let tell = |conn, tc_url, batch| Mail::Tell { conn, tc_url, batch };
        let then = untold.map(|(conn, leg)| {
            line.tellings += 1;
            line.last_told = Some(now);
            line.told_conn = Some(conn);
            line.signal = signal_for(&leg.announce);
            if let Some(leg) = state.legs.get_mut(&conn) {
                leg.telling = true;
                // Type 32 has no place for it.
                let named = target.filter(|_| line.signal == Some(GoAwaySignal::ReconnectRequest));
                leg.target = named.map(|target| target.authority().to_owned());
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
    pub(super) fn next_look(&self, now: Moment) -> Moment {
        let deadline = self.began + self.request.deadline;
        let tells = self.lines.values().filter_map(|line| match line.last_told {
            None => {
                Some(if line.address_at > now { line.address_at.min(line.tell_at) } else { line.tell_at })
            }
            Some(at) if line.outcome.is_none() => Some(at + TELL_AGAIN_AFTER),
            Some(_) => line.left_at.map(|at| at + RETURN_WAIT),
        });
        let due = tells.chain([deadline]).filter(|at| *at > now);
        due.fold(now + LOOK_EVERY, Moment::min)
    }

    pub(super) fn cut(
        &mut self,
        hub: &Hub,
        slot: &Arc<Slot>,
        state: &mut State,
        deadline: Moment,
        now: Moment,
    ) {
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

    pub(super) fn report(&self, state: ServerState, now: Moment) -> Report {
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

/// Where in `over` a stream's signal falls: the same seed and stream give the same place (FNV-1a).
fn jitter(seed: u64, id: &str, over: Duration) -> Duration {
    let hash = id.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    over.mul_f64((hash >> 11) as f64 / (1u64 << 53) as f64)
}
