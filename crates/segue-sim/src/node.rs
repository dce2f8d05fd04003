//! A server of the simulation: the product's hub and one shard, with a recorder that keeps in memory what the product's
//! would write to files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use segue_proto::client::Closed;
use segue_proto::log::{self, Cursor, Read, Start};
use segue_proto::outqueue::OutQueue;
use segue_proto::{MediaMessage, Moment};
use segue_server::config::Switches;
use segue_server::drain::{Control, Refused, Report, Request, Target};
use segue_server::hub::{Hub, HubConfig, Slot};
use segue_server::shard::{self, Output, Shard};

/// A connection of a node.
pub type NodeConn = log::ConnId;

/// What a node's executor must do.
#[derive(Debug, Clone, Copy)]
pub enum NodeAction {
    /// End the writing side once the queue is empty.
    ShutdownWrite(NodeConn),
    /// Close the socket.
    Close(NodeConn),
}

/// One leg as it was recorded.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// When its first message was appended.
    pub began: Moment,
    /// Its media messages, in order, on the stream's timeline.
    pub messages: Vec<MediaMessage>,
}

/// Recordings of one stream on one server, by leg.
pub type Recording = BTreeMap<u64, Recorded>;

struct Tap {
    slot: Arc<Slot>,
    cursor: Cursor,
    lagged: bool,
}

/// See the module.
pub struct Node {
    hub: Arc<Hub>,
    drain: Arc<Control>,
    shard: Shard,
    taps: BTreeMap<u64, Tap>,
    recordings: BTreeMap<u64, Recording>,
}

impl Node {
    /// A server that runs, known as `address` in hand-over records.
    pub fn new(address: &str, seed: u64) -> Self {
        let drain = Control::new(seed);
        let hub = Hub::new(HubConfig {
            shards: 1,
            log: log::Config::default(),
            recorded: false,
            address: address.to_owned(),
            server_id: format!("{seed:016x}"),
            wall: Arc::new(|| None),
        });
        let shard = Shard::new(hub.clone(), drain.clone(), 0, Switches::default(), seed);
        Self { hub, drain, shard, taps: BTreeMap::new(), recordings: BTreeMap::new() }
    }

    /// The hub, for what the admin API would show.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Begins a drain, as `segue drain` does.
    pub fn drain(&mut self, request: Request, now: Moment) -> Result<Report, Refused> {
        let report = self.drain.lock().begin(&self.hub, request, now);
        self.shard.pass(now);
        report
    }

    /// Back to running.
    pub fn cancel_drain(&mut self, now: Moment) {
        let _ = self.drain.lock().cancel(&self.hub, now);
        self.shard.pass(now);
    }

    /// The drain's report.
    pub fn report(&self) -> Report {
        self.drain.board().report()
    }

    /// All that was recorded here, in the order in which the streams began, each leg by leg.
    pub fn recordings(&self) -> impl Iterator<Item = &Recording> {
        self.recordings.values()
    }

    pub(crate) fn accept(&mut self, now: Moment) -> NodeConn {
        let conn = self.shard.accepted("10.0.0.99:5000".to_owned(), now);
        self.shard.pass(now);
        conn
    }

    pub(crate) fn received(&mut self, conn: NodeConn, data: Bytes, now: Moment) {
        self.shard.received(conn, data, now);
        self.shard.pass(now);
        self.record();
    }

    pub(crate) fn peer_closed(&mut self, conn: NodeConn, how: Closed, now: Moment) {
        let how = match how {
            Closed::Eof => shard::Closed::Eof,
            Closed::Reset => shard::Closed::Reset,
        };
        self.shard.peer_closed(conn, how, now);
        self.shard.pass(now);
        self.record();
    }

    pub(crate) fn out(&mut self, conn: NodeConn) -> Option<&mut OutQueue> {
        self.shard.transmit(conn)
    }

    pub(crate) fn wrote(&mut self, conn: NodeConn, now: Moment) {
        self.shard.written(conn, now);
        self.shard.pass(now);
    }

    pub(crate) fn wake_at(&self, now: Moment) -> Option<Moment> {
        self.shard.wake_at(now)
    }

    /// Does what is due. Returns whether anything was.
    pub(crate) fn tick(&mut self, now: Moment) -> bool {
        let due = self.shard.wake_at(now).is_some_and(|at| at <= now);
        if due {
            self.shard.handle_timeout(now);
            self.shard.pass(now);
            self.record();
        }
        due
    }

    pub(crate) fn poll_action(&mut self) -> Option<NodeAction> {
        loop {
            return Some(match self.shard.poll_output()? {
                Output::Transmit(_) => continue,
                Output::ShutdownWrite(conn) => NodeAction::ShutdownWrite(conn),
                Output::Close(conn) => NodeAction::Close(conn),
            });
        }
    }

    /// Reads what is new in every log, as the recorder's thread does.
    fn record(&mut self) {
        for slot in self.hub.streams() {
            self.taps.entry(slot.serial).or_insert_with(|| {
                let cursor = slot.lock().log.start(Start::Oldest);
                Tap { slot, cursor, lagged: false }
            });
        }
        for (serial, tap) in &mut self.taps {
            let state = tap.slot.lock();
            let recording = self.recordings.entry(*serial).or_default();
            loop {
                match state.log.read(&mut tap.cursor) {
                    Read::Entry(entry) => recording
                        .entry(entry.epoch.0)
                        .or_insert_with(|| Recorded { began: entry.arrived, messages: Vec::new() })
                        .messages
                        .push(entry.message.clone()),
                    Read::Lagged => tap.lagged = true,
                    Read::Empty | Read::Ended => break,
                }
            }
            assert!(!tap.lagged, "the simulation's recorder reads after every input");
        }
    }
}

/// A drain of everything at once, to `to` if there is one.
pub fn drain_to(to: Option<&str>) -> Request {
    Request {
        to: to.map(|to| Target::parse(to).expect("a valid target")),
        deadline: Duration::from_secs(25),
        settle: Duration::ZERO,
        over: Duration::ZERO,
        stream: None,
        dry_run: false,
    }
}
