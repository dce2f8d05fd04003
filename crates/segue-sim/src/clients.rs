//! A publisher with a source, a viewer that keeps what it saw, and the ledger over both.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use segue_flv::ledger::{Ledger, Options, Report};
use segue_proto::client::{Action, Closed, ConnId, DialError, Machine, Outcome, Player, Publisher};
use segue_proto::handover::record::Record;
use segue_proto::media::Content;
use segue_proto::outqueue::OutQueue;
use segue_proto::{MediaMessage, Moment, TrackKind};

use crate::node::Recorded;
use crate::plant::{Plant, forged_acknowledgement};
use crate::source::Source;
use crate::world::{Client, Timed};

/// What a client did, shared with the test.
#[derive(Debug, Default)]
pub struct Log {
    /// What a viewer was given, in order, and when.
    pub seen: Vec<Timed>,
    /// Hand-overs.
    pub records: Vec<Record>,
    /// Lines for a person.
    pub notices: Vec<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Of a publisher's source: the messages handed out, configuration included.
    pub pushed: usize,
    /// Connections that it has, dialing ones included.
    pub connections: usize,
    /// The most bytes that a publisher's replay buffer, or a viewer's hold, ever had.
    pub peak_bytes: usize,
    /// The test wants a publisher's source to end now.
    pub stop: bool,
}

/// The log of a client.
pub type SharedLog = Rc<RefCell<Log>>;

fn note(log: &SharedLog, action: Action, now: Moment) {
    let mut log = log.borrow_mut();
    match action {
        Action::Media(message) => log.seen.push((now, message)),
        Action::Handover(record) => log.records.push(record),
        Action::Notice(notice) => log.notices.push(notice.0),
        Action::Finished(outcome) => log.outcome = Some(outcome),
        other => unreachable!("the world executes {other:?}"),
    }
}

macro_rules! machine {
    ($type:ty) => {
        impl Machine for $type {
            fn dialed(&mut self, conn: ConnId, result: Result<String, DialError>, now: Moment) {
                self.machine.dialed(conn, result, now);
            }
            fn received(&mut self, conn: ConnId, data: Bytes, now: Moment) {
                self.machine.received(conn, data, now);
            }
            fn peer_closed(&mut self, conn: ConnId, how: Closed, now: Moment) {
                self.closing(conn, how, now);
                self.machine.peer_closed(conn, how, now);
            }
            fn transmit(&mut self, conn: ConnId, now: Moment) -> Option<&mut OutQueue> {
                self.machine.transmit(conn, now)
            }
            fn handle_timeout(&mut self, now: Moment) {
                self.machine.handle_timeout(now);
            }
            fn wake_at(&self) -> Option<Moment> {
                self.machine.wake_at()
            }
            fn poll_action(&mut self) -> Option<Action> {
                let action = self.machine.poll_action()?;
                let mut log = self.log.borrow_mut();
                match action {
                    Action::Dial { .. } => log.connections += 1,
                    Action::Close(_) => log.connections = log.connections.saturating_sub(1),
                    _ => {}
                }
                Some(action)
            }
        }
    };
}

/// A publisher that sends a source in real time and then finishes, or stops without a word.
pub struct Broadcaster {
    machine: Publisher,
    source: Source,
    finished: bool,
    /// At the source's end it just goes.
    abrupt: bool,
    plant: Plant,
    log: SharedLog,
}

machine!(Broadcaster);

impl Broadcaster {
    /// Publishes `source` by `machine`.
    pub fn new(machine: Publisher, source: Source) -> (Self, SharedLog) {
        let log = SharedLog::default();
        (Self { machine, source, finished: false, abrupt: false, plant: Plant::None, log: log.clone() }, log)
    }

    /// Has a bug.
    #[must_use]
    pub fn planted(self, plant: Plant) -> Self {
        Self { plant, ..self }
    }

    fn closing(&mut self, conn: ConnId, how: Closed, now: Moment) {
        if self.plant == Plant::ShortReplay && how == Closed::Reset {
            self.machine.received(conn, forged_acknowledgement(), now);
        }
    }

    /// Goes at the source's end without ending the stream.
    #[must_use]
    pub fn abruptly(self) -> Self {
        Self { abrupt: true, ..self }
    }
}

impl Client for Broadcaster {
    fn feed(&mut self, now: Moment) -> bool {
        let stop = self.log.borrow().stop;
        if self.plant == Plant::DroppedBoundary
            && self.log.borrow().connections > 1
            && self
                .source
                .peek()
                .is_some_and(|m| m.info().content == Content::Keyframe && m.kind == TrackKind::Video)
        {
            self.source.skip();
        }
        match self.source.take(now).filter(|_| !stop) {
            Some(message) => self.machine.push(message, now),
            None => {
                self.finished = true;
                if self.abrupt {
                    self.machine.abort(now);
                } else {
                    self.machine.finish(now);
                }
            }
        }
        let mut log = self.log.borrow_mut();
        if !self.finished {
            log.pushed = self.source.taken();
        }
        log.peak_bytes = log.peak_bytes.max(self.machine.buffered());
        true
    }

    fn feed_at(&self) -> Option<Moment> {
        if self.finished { None } else { Some(self.source.due().unwrap_or(Moment::ORIGIN)) }
    }

    fn acted(&mut self, action: Action, now: Moment) {
        note(&self.log, action, now);
    }
}

/// A viewer that keeps what it sees.
pub struct Viewer {
    machine: Player,
    log: SharedLog,
}

machine!(Viewer);

impl Viewer {
    /// Watches by `machine`.
    pub fn new(machine: Player) -> (Self, SharedLog) {
        let log = SharedLog::default();
        (Self { machine, log: log.clone() }, log)
    }

    fn closing(&mut self, _conn: ConnId, _how: Closed, _now: Moment) {}
}

impl Client for Viewer {
    fn looked_at(&mut self) {
        let mut log = self.log.borrow_mut();
        log.peak_bytes = log.peak_bytes.max(self.machine.held_bytes());
    }

    fn feed(&mut self, _now: Moment) -> bool {
        false
    }

    fn feed_at(&self) -> Option<Moment> {
        None
    }

    fn acted(&mut self, action: Action, now: Moment) {
        note(&self.log, action, now);
    }
}

/// The ledger over what was sent and some recorded legs, in the order in which they began.
pub fn judge_legs<'a>(
    options: Options,
    sent: impl IntoIterator<Item = &'a MediaMessage>,
    legs: impl IntoIterator<Item = &'a Recorded>,
) -> Report {
    let mut ledger = Ledger::new(options);
    sent.into_iter().for_each(|m| ledger.sent(m));
    let mut legs: Vec<_> = legs.into_iter().collect();
    legs.sort_by_key(|leg| leg.began);
    for leg in legs {
        ledger.leg_start();
        leg.messages.iter().for_each(|m| ledger.received(m));
    }
    ledger.finish()
}

/// The ledger over what was sent and what a viewer saw.
pub fn judge_viewer<'a>(
    options: Options,
    sent: impl IntoIterator<Item = &'a MediaMessage>,
    log: &Log,
) -> Report {
    let mut ledger = Ledger::new(options);
    sent.into_iter().for_each(|m| ledger.sent(m));
    ledger.leg_start();
    log.seen.iter().for_each(|(_, m)| ledger.received(m));
    ledger.finish()
}
