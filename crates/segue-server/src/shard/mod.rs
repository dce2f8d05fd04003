//! A shard: the connections of one loop, without I/O. It owns sessions and what each connection is doing; what streams
//! hold and who may write them is the hub's and its logs'. Sockets, threads and clocks are the reactor's, or a
//! simulation's: both drive the same contract.
//!
//! Feed inputs ([`accepted`](Shard::accepted), [`received`](Shard::received), [`peer_closed`](Shard::peer_closed),
//! [`written`](Shard::written), [`handle_timeout`](Shard::handle_timeout)), as many as there are; then call
//! [`pass`](Shard::pass) once, and drain [`poll_output`](Shard::poll_output). Repeat when mail comes (the mailbox's
//! waker says so) and at [`wake_at`](Shard::wake_at).

mod closing;
mod conn;
mod leg;
mod phase;
mod publisher;
mod viewer;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Weak};

use segue_proto::Moment;
use segue_proto::log::ConnId;
use segue_proto::outqueue::OutQueue;
use segue_proto::session::server;
use segue_proto::time::earliest;

use crate::config::{KEEP_ENDED, Switches};
use crate::drain::Control;
use crate::hub::{Hub, Mail, Slot, State, conn_id};
use conn::{Conn, Role};

/// What the driver must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Bytes wait in [`Shard::transmit`].
    Transmit(ConnId),
    /// All that waited was written: end the writing side.
    ShutdownWrite(ConnId),
    /// Close the socket; the connection is no more.
    Close(ConnId),
}

/// How a peer's side ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// In order: everything that it sent was received.
    Eof,
    /// By a reset or an error.
    Reset,
}

/// One chunk size for the process's life, so that a message is chunked once for all viewers.
pub const CHUNK_SIZE: u32 = 60_000;
/// What clients are asked to acknowledge at least.
pub const WINDOW_ACK_SIZE: u32 = 2_500_000;

/// What a connection's code may touch besides the connection.
struct Core {
    hub: Arc<Hub>,
    index: usize,
    switches: Switches,
    outputs: VecDeque<Output>,
    /// Connections to look at in this pass, in order.
    touched: Vec<u64>,
    /// Viewers of this shard by stream.
    viewers: BTreeMap<u64, BTreeSet<u64>>,
    /// When a stream's log wants its time. A stream that has ended is the hub's to keep or not.
    slot_timers: BTreeMap<u64, (Moment, Weak<Slot>)>,
    /// Streams that ended here, and until when the hub keeps them.
    kept: BTreeMap<u64, Moment>,
}

impl Core {
    /// Hands on what a log has to say, and sees to its next timeout.
    fn settle(&mut self, slot: &Arc<Slot>, state: &mut State, now: Moment) {
        self.hub.settle(slot, state);
        self.watch_time(slot, state, now);
    }

    fn watch_time(&mut self, slot: &Arc<Slot>, state: &State, now: Moment) {
        if state.ended {
            // Others' timers for it mean nothing any more.
            self.kept.entry(slot.serial).or_insert(now + KEEP_ENDED);
        } else if let Some(at) = state.log.wake_at() {
            let timer = self.slot_timers.entry(slot.serial).or_insert_with(|| (at, Arc::downgrade(slot)));
            timer.0 = timer.0.min(at);
        }
    }
}

/// See the module.
pub struct Shard {
    core: Core,
    drain: Arc<Control>,
    config: Arc<server::Config>,
    random: fastrand::Rng,
    conns: BTreeMap<u64, Conn>,
    next: u64,
    timers: BTreeSet<(Moment, u64)>,
    stopped: bool,
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard").field("index", &self.core.index).field("conns", &self.conns.len()).finish()
    }
}

fn number(conn: ConnId) -> u64 {
    conn.0 & conn_id(0, u64::MAX).0
}

impl Shard {
    /// The shard of that index in `hub`. `seed` is for handshakes.
    pub fn new(hub: Arc<Hub>, drain: Arc<Control>, index: usize, switches: Switches, seed: u64) -> Self {
        let config = server::Config {
            chunk_size: CHUNK_SIZE,
            window_ack_size: WINDOW_ACK_SIZE,
            server_id: hub.config().server_id.clone(),
            reconnect: switches.reconnect,
            go_away: switches.go_away,
            segue: switches.segue,
        };
        Self {
            core: Core {
                hub,
                index,
                switches,
                outputs: VecDeque::new(),
                touched: Vec::new(),
                viewers: BTreeMap::new(),
                slot_timers: BTreeMap::new(),
                kept: BTreeMap::new(),
            },
            drain,
            config: Arc::new(config),
            random: fastrand::Rng::with_seed(seed),
            conns: BTreeMap::new(),
            next: 1,
            timers: BTreeSet::new(),
            stopped: false,
        }
    }

    /// Connections.
    pub fn len(&self) -> usize {
        self.conns.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.conns.is_empty()
    }

    /// A connection was accepted from `peer`.
    pub fn accepted(&mut self, peer: String, now: Moment) -> ConnId {
        let number = self.next;
        self.next += 1;
        let id = conn_id(self.core.index, number);
        let mut random = [0; 1528];
        self.random.fill(&mut random);
        let session = server::Session::new(self.config.clone(), random, now);
        let mut conn = Conn::new(id, number, peer, session, now);
        if self.stopped {
            conn.stop(&mut self.core, now);
        }
        self.conns.insert(number, conn);
        self.touch(number);
        id
    }

    /// Bytes came from the peer. They are copied: a driver reads for all connections into one buffer, and what the log
    /// keeps of them must not keep more than their own size.
    pub fn received(&mut self, conn: ConnId, data: &[u8], now: Moment) {
        self.with(number(conn), |conn, core| conn.received(core, data, now));
    }

    /// The peer's side has ended. Everything received before was fed before.
    pub fn peer_closed(&mut self, conn: ConnId, how: Closed, now: Moment) {
        self.with(number(conn), |conn, core| conn.peer_closed(core, how, now));
    }

    /// Where bytes wait that may be written now. After taking some, call [`written`](Self::written).
    pub fn transmit(&mut self, conn: ConnId) -> Option<&mut OutQueue> {
        self.conns.get_mut(&number(conn)).map(|conn| conn.session.out())
    }

    /// Bytes were written.
    pub fn written(&mut self, conn: ConnId, now: Moment) {
        self.with(number(conn), |conn, _| conn.progressed(now));
    }

    /// Whether a driver with flow control should read on later: the recorder has enough of this publisher. Never for
    /// longer than a recorder may lag.
    pub fn is_full(&self, conn: ConnId) -> bool {
        match self.conns.get(&number(conn)).map(|conn| &conn.role) {
            Some(Role::Publisher(publisher)) => publisher.slot.is_full(),
            _ => false,
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do; never before `now`.
    pub fn wake_at(&self, now: Moment) -> Option<Moment> {
        let own = earliest(
            self.timers.first().map(|(at, _)| *at),
            self.core.slot_timers.values().map(|(at, _)| at).chain(self.core.kept.values()).min().copied(),
        );
        let drain = if self.core.index == 0 { self.drain.lock().wake_at() } else { None };
        earliest(own, drain).map(|at| at.max(now))
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Moment) {
        while let Some((at, number)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, number));
            if let Some(conn) = self.conns.get_mut(&number) {
                conn.timer = None;
            }
            self.with(number, |conn, core| conn.handle_timeout(core, now));
        }
        let due: Vec<_> = self
            .core
            .slot_timers
            .iter()
            .filter(|(_, (at, _))| *at <= now)
            .map(|(serial, _)| *serial)
            .collect();
        for serial in due {
            let timer = self.core.slot_timers.remove(&serial);
            let Some(slot) = timer.and_then(|(_, slot)| slot.upgrade()) else { continue };
            let mut state = slot.lock();
            state.log.handle_timeout(now);
            self.core.settle(&slot, &mut state, now);
        }
        let hub = self.core.hub.clone();
        self.core.kept.retain(|serial, until| {
            let keeps = *until > now;
            if !keeps {
                hub.let_go(*serial);
            }
            keeps
        });
        if self.core.index == 0 {
            let hub = self.core.hub.clone();
            let mut drain = self.drain.lock();
            if drain.wake_at().is_some_and(|at| at <= now) {
                drain.tick(&hub, now);
            }
        }
    }

    /// Delivers mail, lets viewers read, closes what is to be closed. After it the outputs are complete.
    pub fn pass(&mut self, now: Moment) {
        loop {
            let mail =
                self.core.hub.mailbox(self.core.index).map(|mailbox| mailbox.take()).unwrap_or_default();
            for mail in mail {
                self.deliver(mail, now);
            }
            self.finish(now);
            if self.core.index == 0 && self.core.hub.take_poke() {
                let hub = self.core.hub.clone();
                self.drain.lock().tick(&hub, now);
            }
            let quiet = self.core.hub.mailbox(self.core.index).is_none_or(|mailbox| mailbox.is_empty());
            let poked = self.core.index == 0 && self.core.hub.is_poked();
            if quiet && !poked && self.core.touched.is_empty() {
                return;
            }
        }
    }

    /// What the driver must do, until there is nothing more.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.core.outputs.pop_front()
    }

    fn touch(&mut self, number: u64) {
        if let Some(conn) = self.conns.get_mut(&number).filter(|conn| !conn.touched) {
            conn.touched = true;
            self.core.touched.push(number);
        }
    }

    fn with(&mut self, number: u64, f: impl FnOnce(&mut Conn, &mut Core)) {
        if let Some(conn) = self.conns.get_mut(&number) {
            f(conn, &mut self.core);
            self.touch(number);
        }
    }

    fn deliver(&mut self, mail: Mail, now: Moment) {
        match mail {
            Mail::Granted(conn) => self.with(number(conn), |conn, _| conn.granted()),
            Mail::Refused { conn, code, description } => {
                self.with(number(conn), |conn, core| conn.refused(core, &code, &description, now));
            }
            Mail::Fenced(conn) => self.with(number(conn), |conn, core| conn.fenced(core, now)),
            Mail::Cut(conn) => self.with(number(conn), |conn, core| conn.cut(core, now)),
            Mail::Progress(conn) => self.with(number(conn), |conn, _| conn.acknowledge(now)),
            Mail::Arrived(conn, slot) => self.with(number(conn), |conn, core| conn.arrived(core, &slot)),
            Mail::Unpark(conn) => self.with(number(conn), |conn, core| conn.unparked(core, now)),
            Mail::Readable(slot) => {
                slot.reading(self.core.index);
                let viewers: Vec<u64> =
                    self.core.viewers.get(&slot.serial).into_iter().flatten().copied().collect();
                for number in viewers {
                    self.touch(number);
                }
            }
            Mail::Tell { conn, tc_url, batch } => {
                self.with(number(conn), |conn, core| conn.tell(core, tc_url, now));
                if let Some(mail) = batch.done()
                    && let Mail::Tell { conn, .. } = &mail
                {
                    self.core.hub.post(*conn, mail);
                }
            }
            Mail::Untell(conn) => self.with(number(conn), |conn, _| conn.untell()),
            Mail::Stop => {
                self.stopped = true;
                for number in self.conns.keys().copied().collect::<Vec<_>>() {
                    self.with(number, |conn, core| conn.stop(core, now));
                }
            }
        }
    }

    /// Looks at every connection that something happened to: viewers first, so that what they are told leaves no
    /// later than what their publisher is told.
    fn finish(&mut self, now: Moment) {
        let mut touched = std::mem::take(&mut self.core.touched);
        touched.sort_by_key(|number| {
            self.conns.get(number).is_some_and(|conn| matches!(conn.role, Role::Publisher(_)))
        });
        for number in touched {
            let Some(conn) = self.conns.get_mut(&number) else { continue };
            conn.touched = false;
            conn.finish(&mut self.core, now);
            let wake = conn.wake_at();
            if wake != conn.timer || conn.is_gone() {
                if let Some(at) = conn.timer.take() {
                    self.timers.remove(&(at, number));
                }
                if let Some(at) = wake.filter(|_| !conn.is_gone()) {
                    self.timers.insert((at, number));
                    conn.timer = Some(at);
                }
            }
            if conn.is_gone() {
                self.conns.remove(&number);
            }
        }
    }
}
