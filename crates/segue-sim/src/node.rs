//! A server of the simulation: the product's hub and one shard, with a recorder that keeps in memory what the product's
//! would write to files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use segue_proto::chunk::{Limits, Reader};
use segue_proto::client::Closed;
use segue_proto::log::{self, Cursor, Read, Start};
use segue_proto::outqueue::OutQueue;
use segue_proto::{MediaMessage, Moment, TrackKind};
use segue_server::config::{FLUSH, Switches};
use segue_server::drain::{Control, Refused, Report, Request, ServerState, Target};
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
    last: Option<(u64, u64)>,
}

/// See the module.
pub struct Node {
    hub: Arc<Hub>,
    drain: Arc<Control>,
    shard: Shard,
    taps: BTreeMap<u64, Tap>,
    recordings: BTreeMap<u64, Recording>,
    /// Connections that were accepted and not closed.
    conns: BTreeSet<NodeConn>,
    /// Those among them that watch, or did.
    watching: BTreeSet<NodeConn>,
    /// Of the last drain of the whole server.
    deadline: Option<Moment>,
    drained: bool,
    faults: Vec<String>,
    stale: Option<Stale>,
}

/// A planted bug: what replaced legs still send is written.
#[derive(Default)]
struct Stale {
    /// What each connection sent, behind its handshake: the bytes that are still to come of that, and a reader.
    readers: BTreeMap<NodeConn, (usize, Reader)>,
    /// Connections that had a claim.
    writers: BTreeSet<NodeConn>,
}

/// C0, C1 and C2 (RTMP 1.0, 5.2).
const HANDSHAKE: usize = 1 + 2 * 1536;

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
        Self {
            hub,
            drain,
            shard,
            taps: BTreeMap::new(),
            recordings: BTreeMap::new(),
            conns: BTreeSet::new(),
            watching: BTreeSet::new(),
            deadline: None,
            drained: false,
            faults: Vec::new(),
            stale: None,
        }
    }

    /// Writes what replaced legs still send: a planted bug.
    #[must_use]
    pub fn writing_stale_epochs(self) -> Self {
        Self { stale: Some(Stale::default()), ..self }
    }

    /// Invariants that were seen broken, in the order in which they were.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Whether a connection has the claim of any stream here.
    pub fn has_publisher(&self) -> bool {
        self.hub.streams().iter().any(|slot| slot.lock().log.publisher().is_some())
    }

    /// Whether it is going.
    pub fn is_draining(&self) -> bool {
        self.hub.is_draining()
    }

    /// Connections that are open here.
    pub fn connections(&self) -> usize {
        self.conns.len()
    }

    /// The hub, for what the admin API would show.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Begins a drain, as `segue drain` does.
    pub fn drain(&mut self, request: Request, now: Moment) -> Result<Report, Refused> {
        let deadline = request.stream.is_none().then_some(now + request.deadline);
        let report = self.drain.lock().begin(&self.hub, request, now);
        if report.is_ok() {
            self.deadline = deadline.or(self.deadline);
        }
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
        self.conns.insert(conn);
        self.shard.pass(now);
        conn
    }

    pub(crate) fn received(&mut self, conn: NodeConn, data: Bytes, now: Moment) {
        let stale = self.stale.as_mut().map(|stale| stale.read(conn, &data)).unwrap_or_default();
        self.shard.received(conn, &data, now);
        self.shard.pass(now);
        self.write_stale(conn, stale, now);
        self.record();
    }

    fn write_stale(&mut self, conn: NodeConn, messages: Vec<MediaMessage>, now: Moment) {
        let Some(stale) = &mut self.stale else { return };
        for slot in self.hub.streams() {
            let mut state = slot.lock();
            let Some(writer) = state.log.publisher() else { continue };
            if writer != conn && stale.writers.contains(&conn) && !state.log.is_held(conn) {
                messages.iter().for_each(|message| state.log.append(writer, message.clone(), now));
            }
            stale.writers.insert(writer);
        }
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
                Output::Close(conn) => {
                    self.conns.remove(&conn);
                    self.watching.remove(&conn);
                    NodeAction::Close(conn)
                }
            });
        }
    }

    /// Looks whether the invariants hold: memory (I3), and that a server which says it is drained has handed on what it
    /// took (I6). `plays` says of a connection whether its client has asked to watch and not to stop: to one that has
    /// stopped nothing is owed, and what waits for other connections is no media.
    pub(crate) fn look(&mut self, now: Moment, plays: impl Fn(NodeConn) -> bool) {
        let bounds = &self.hub.config().log;
        for slot in self.hub.streams() {
            let state = slot.lock();
            let (log, held) = (state.log.bytes(), state.log.held_bytes());
            // One message more than the bound: what came last is never dropped.
            if log > bounds.bounds.max_bytes + (1 << 20) {
                self.faults.push(format!("I3: a log of {log} bytes"));
            }
            if held > log::MAX_CANDIDATES * (bounds.hold_bytes + (1 << 20)) {
                self.faults.push(format!("I3: {held} bytes held"));
            }
        }
        let drained = self.drain.lock().state() == ServerState::Drained;
        if drained && !std::mem::replace(&mut self.drained, drained) {
            // Contract, drain: the deadline is for everything; who takes nothing any more does not hold it up for ever.
            let patience = self.deadline.is_some_and(|deadline| now < deadline + 2 * FLUSH);
            let owed = self.watching.iter().filter(|conn| plays(**conn));
            let waiting: usize =
                owed.filter_map(|conn| self.shard.transmit(*conn).map(|out| out.len())).sum();
            let states = self.taps.values().map(|tap| tap.slot.lock());
            let reading: usize =
                states.map(|state| state.viewers.keys().filter(|conn| plays(**conn)).count()).sum();
            let publishing = self.hub.streams().iter().any(|slot| !slot.lock().legs.is_empty());
            if patience && (waiting > 0 || reading > 0 || publishing) {
                self.faults.push(format!(
                    "I6: drained with {waiting} bytes to hand on, {reading} viewers that read, publishing: {publishing}"
                ));
            }
        }
        self.drained = drained;
    }

    /// Reads what is new in every log, as the recorder's thread does.
    fn record(&mut self) {
        for slot in self.hub.streams() {
            self.taps.entry(slot.serial).or_insert_with(|| {
                let cursor = slot.lock().log.start(Start::Oldest);
                Tap { slot, cursor, lagged: false, last: None }
            });
        }
        for (serial, tap) in &mut self.taps {
            let state = tap.slot.lock();
            self.watching.extend(state.viewers.keys());
            let recording = self.recordings.entry(*serial).or_default();
            loop {
                match state.log.read(&mut tap.cursor) {
                    Read::Entry(entry) => {
                        let (epoch, seq) = (entry.epoch.0, entry.seq);
                        if tap.last.is_some_and(|(last, at)| epoch < last || seq != at + 1) {
                            self.faults
                                .push(format!("I2: entry {seq} of epoch {epoch} after {:?}", tap.last));
                        }
                        tap.last = Some((epoch, seq));
                        recording
                            .entry(entry.epoch.0)
                            .or_insert_with(|| Recorded { began: entry.arrived, messages: Vec::new() })
                            .messages
                            .push(entry.message.clone());
                    }
                    Read::Lagged => tap.lagged = true,
                    Read::Empty | Read::Ended => break,
                }
            }
            assert!(!tap.lagged, "the simulation's recorder reads after every input");
        }
    }
}

impl Stale {
    /// Media in what a connection sent, once it is whole.
    fn read(&mut self, conn: NodeConn, data: &Bytes) -> Vec<MediaMessage> {
        let (greeting, reader) =
            self.readers.entry(conn).or_insert_with(|| (HANDSHAKE, Reader::new(Limits::PUBLISHING)));
        let skip = (*greeting).min(data.len());
        *greeting -= skip;
        reader.push(data.slice(skip..));
        let mut media = Vec::new();
        while let Ok(Some(message)) = reader.next() {
            let kind = TrackKind::from_type_id(message.type_id);
            media.extend(kind.map(|kind| MediaMessage::new(kind, message.timestamp, message.payload)));
        }
        media.retain(|message| message.info().is_media());
        media
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
