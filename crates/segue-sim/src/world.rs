//! The world: servers, publishers and viewers joined by simulated TCP, one clock, one seed. It executes what the
//! product's machines ask for, as `segue-net` and the reactor do with real sockets; it decides nothing of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::BytesMut;
use segue_proto::client::{Action, Closed, ConnId, DIAL_TIMEOUT, DialError, Machine};
use segue_proto::outqueue::OutQueue;
use segue_proto::time::earliest;
use segue_proto::{MediaMessage, Moment};

pub use crate::ids::{ClientId, ServerId};
use crate::node::{Node, NodeAction, NodeConn};
use crate::pipe::{Arrival, Link, Pipe};
use crate::tap::Tap;

/// How a server answers a dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Connections are accepted.
    Open,
    /// They are refused at once.
    Refusing,
    /// Nothing answers.
    Silent,
    /// They are accepted and reset once the server was handed so many bytes of the client's.
    ResetAfter(usize),
    /// They are accepted; after so many bytes of the client's nothing arrives any more, either way.
    HangAfter(usize),
    /// They are accepted, and nothing is ever answered.
    Mute,
}

/// Passes over everything at one moment at most: one more, and some machine spins.
const MAX_STEPS: u32 = 100_000;

struct Connection {
    client: ClientId,
    client_conn: ConnId,
    server: ServerId,
    door: Door,
    /// `None` once the server has closed it.
    server_conn: Option<NodeConn>,
    up: Pipe,
    down: Pipe,
    client_shut: bool,
    client_closed: bool,
    server_shut: bool,
    taken: usize,
    /// Its number among the taps.
    tap: usize,
}

impl Connection {
    /// How much more of the client's bytes its door lets through.
    fn room(&self) -> usize {
        match self.door {
            Door::ResetAfter(limit) | Door::HangAfter(limit) => limit - self.taken,
            _ => usize::MAX,
        }
    }

    /// Whether nothing arrives any more.
    fn hangs(&self) -> bool {
        matches!(self.door, Door::HangAfter(limit) if self.taken >= limit)
    }
}

/// What a client of the world is.
pub trait Client: Machine {
    /// The machine's own source of input, if it has one: called when nothing else is left to do at `now`. Returns
    /// whether it did something.
    fn feed(&mut self, now: Moment) -> bool;
    /// When [`feed`](Self::feed) has something to do next.
    fn feed_at(&self) -> Option<Moment>;
    /// What the machine handed out.
    fn acted(&mut self, action: Action, now: Moment);
    /// The world looks at everything now and then: time to note what only the machine knows.
    fn looked_at(&mut self) {}
}

struct Dialing {
    client: ClientId,
    conn: ConnId,
    at: Moment,
    outcome: Result<ServerId, DialError>,
}

/// See the module.
pub struct World {
    now: Moment,
    rng: fastrand::Rng,
    /// The link that new connections get.
    pub link: Link,
    /// The links to servers that have one of their own.
    links: BTreeMap<ServerId, Link>,
    /// What clients can send at most, in bytes per second, where that is less than the link takes.
    uplinks: BTreeMap<ClientId, u64>,
    servers: Vec<Option<Node>>,
    doors: Vec<Door>,
    names: BTreeMap<String, Vec<ServerId>>,
    clients: Vec<Box<dyn Client>>,
    dialing: Vec<Dialing>,
    connections: Vec<Connection>,
    taps: Vec<Tap>,
    unread_at_half_close: usize,
    /// Connections and dials that met a door which was not open, by client.
    spoiled: BTreeMap<ClientId, usize>,
    /// Connections that came to a server which was going, by client.
    to_draining: BTreeMap<ClientId, usize>,
    /// Every byte delivered, hashed with its time and place: one seed gives one trace.
    trace: u64,
}

impl World {
    /// An empty world.
    pub fn new(seed: u64) -> Self {
        Self {
            now: Moment::from_micros(1_000_000),
            rng: fastrand::Rng::with_seed(seed),
            link: Link::default(),
            links: BTreeMap::new(),
            uplinks: BTreeMap::new(),
            servers: Vec::new(),
            doors: Vec::new(),
            names: BTreeMap::new(),
            clients: Vec::new(),
            dialing: Vec::new(),
            connections: Vec::new(),
            taps: Vec::new(),
            unread_at_half_close: 0,
            spoiled: BTreeMap::new(),
            to_draining: BTreeMap::new(),
            trace: 0xcbf2_9ce4_8422_2325,
        }
    }

    /// The time.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// The world's random numbers.
    pub fn rng(&mut self) -> &mut fastrand::Rng {
        &mut self.rng
    }

    /// A hash of all that was delivered so far.
    pub fn trace(&self) -> u64 {
        self.trace
    }

    /// Starts a server that `host` names, beside those that it names already.
    pub fn add_server(&mut self, host: &str, node: Node) -> ServerId {
        let id = ServerId(self.servers.len());
        self.servers.push(Some(node));
        self.doors.push(Door::Open);
        self.names.entry(host.to_owned()).or_default().push(id);
        id
    }

    /// Lets `host` name these servers, in this order.
    pub fn name(&mut self, host: &str, servers: &[ServerId]) {
        self.names.insert(host.to_owned(), servers.to_vec());
    }

    /// The link that new connections to a server get, in place of [`link`](Self::link).
    pub fn set_link(&mut self, server: ServerId, link: Link) {
        self.links.insert(server, link);
    }

    /// All connections there were, overheard, in the order in which they were accepted.
    pub fn taps(&self) -> &[Tap] {
        &self.taps
    }

    /// How often a client shut down writing while bytes that it had not read were on their way to it.
    pub fn unread_at_half_close(&self) -> usize {
        self.unread_at_half_close
    }

    /// How a server answers dials from now on.
    pub fn set_door(&mut self, server: ServerId, door: Door) {
        self.doors[server.0] = door;
    }

    /// Adds a publisher or viewer.
    pub fn add_client(&mut self, client: impl Client + 'static) -> ClientId {
        self.clients.push(Box::new(client));
        ClientId(self.clients.len() - 1)
    }

    /// A server that runs.
    pub fn server(&mut self, server: ServerId) -> &mut Node {
        self.servers[server.0].as_mut().expect("the server was killed")
    }

    /// A client.
    pub fn client(&mut self, client: ClientId) -> &mut dyn Client {
        self.clients[client.0].as_mut()
    }

    /// Kills a server: its connections are reset, what it had not written is gone. Returns what is left of it, its
    /// recordings.
    pub fn kill(&mut self, server: ServerId) -> Node {
        let now = self.now;
        for c in self.connections.iter_mut().filter(|c| c.server == server) {
            c.server_conn = None;
            c.server_shut = true;
            c.up.reset(now);
            c.down.reset(now);
        }
        self.doors[server.0] = Door::Refusing;
        self.servers[server.0].take().expect("killed once")
    }

    /// Whether a server lives.
    pub fn is_alive(&self, server: ServerId) -> bool {
        self.servers[server.0].is_some()
    }

    /// Starts a server anew in the place of one that was killed.
    pub fn restart(&mut self, server: ServerId, node: Node) {
        assert!(!self.is_alive(server), "killed before");
        self.servers[server.0] = Some(node);
        self.doors[server.0] = Door::Open;
    }

    /// How a server answers dials.
    pub fn door(&self, server: ServerId) -> Door {
        self.doors[server.0]
    }

    /// A client sends no more than so many bytes a second from now on; `None` for what the link takes.
    pub fn set_uplink(&mut self, client: ClientId, rate: Option<u64>) {
        match rate {
            Some(rate) => self.uplinks.insert(client, rate),
            None => self.uplinks.remove(&client),
        };
        for c in self.connections.iter_mut().filter(|c| c.client == client) {
            c.up.set_bandwidth(rate);
        }
    }

    /// The servers to which a client is connected.
    pub fn connected_to(&self, client: ClientId) -> Vec<ServerId> {
        self.connections.iter().filter(|c| c.client == client && !c.client_closed).map(|c| c.server).collect()
    }

    /// Whether a client has a connection that is reset, and has not heard of it.
    pub fn is_reset_unheard(&self, client: ClientId) -> bool {
        self.connections.iter().any(|c| c.client == client && !c.client_closed && c.down.is_reset())
    }

    /// Whether what a client sent is still leaving it, over a line that took it more slowly than it came.
    pub fn is_uplink_behind(&self, client: ClientId) -> bool {
        self.connections.iter().any(|c| c.client == client && c.up.is_busy(self.now))
    }

    /// How many of a client's dials met a door that was not open.
    pub fn spoiled(&self, client: ClientId) -> usize {
        self.spoiled.get(&client).copied().unwrap_or_default()
    }

    /// How many of a client's connections came to a server that was going.
    pub fn to_draining(&self, client: ClientId) -> usize {
        self.to_draining.get(&client).copied().unwrap_or_default()
    }

    /// Lets servers and clients note what holds at this moment.
    pub fn look(&mut self) {
        let now = self.now;
        for (n, server) in self.servers.iter_mut().enumerate() {
            let (connections, taps) = (&self.connections, &self.taps);
            let plays = |conn| {
                let is = |c: &&Connection| c.server.0 == n && c.server_conn == Some(conn);
                connections.iter().find(is).is_some_and(|c| taps[c.tap].plays())
            };
            if let Some(server) = server {
                server.look(now, plays);
            }
        }
        self.clients.iter_mut().for_each(|client| client.looked_at());
    }

    /// Resets all connections of a client.
    pub fn reset_connections(&mut self, client: ClientId) {
        let now = self.now;
        for c in self.connections.iter_mut().filter(|c| c.client == client) {
            c.up.reset(now);
            c.down.reset(now);
        }
    }

    /// Breaks a client's connections on its side alone: it hears of a reset at once, the servers of nothing for
    /// `delay`.
    pub fn reset_client_side(&mut self, client: ClientId, delay: Duration) {
        let now = self.now;
        let until = now + delay;
        for c in self.connections.iter_mut().filter(|c| c.client == client) {
            c.up.reset(now);
            c.up.stall(until);
            c.down.reset(now);
        }
    }

    /// Breaks a client's connections on its side alone: it hears of a reset at once, while what it has sent is on its
    /// way for another `delay` and then ends.
    pub fn lose_hold(&mut self, client: ClientId, delay: Duration) {
        let now = self.now;
        for c in self.connections.iter_mut().filter(|c| c.client == client) {
            c.up.stall(now + delay);
            c.up.finish(now);
            c.down.reset(now);
        }
    }

    /// Nothing arrives on a client's connections, either way, for so long.
    pub fn stall(&mut self, client: ClientId, duration: Duration) {
        let until = self.now + duration;
        for c in self.connections.iter_mut().filter(|c| c.client == client) {
            c.up.stall(until);
            c.down.stall(until);
        }
    }

    /// Runs until nothing is left to do before `until`.
    pub fn run_until(&mut self, until: Moment) {
        loop {
            self.settle();
            match self.wake_at() {
                Some(at) if at <= until => self.now = at.max(self.now + Duration::from_micros(1)),
                _ => break,
            }
        }
        self.now = until.max(self.now);
        self.settle();
    }

    fn settle(&mut self) {
        let mut steps = 0;
        while self.step() {
            steps += 1;
            assert!(steps < MAX_STEPS, "something spins at {:?}", self.now);
        }
    }

    /// Runs for so long.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    /// Runs until `done` says so, looking every millisecond; false if that takes longer than `patience`.
    pub fn run_while_not(&mut self, patience: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + patience;
        while !done(self) {
            if self.now >= end {
                return false;
            }
            self.run_for(Duration::from_millis(1));
        }
        true
    }

    fn wake_at(&self) -> Option<Moment> {
        let mut wake = None;
        for client in &self.clients {
            wake = earliest(wake, earliest(client.wake_at(), client.feed_at()));
        }
        for server in self.servers.iter().flatten() {
            wake = earliest(wake, server.wake_at(self.now));
        }
        for dial in &self.dialing {
            wake = earliest(wake, Some(dial.at));
        }
        for c in &self.connections {
            wake = earliest(wake, earliest(c.up.arrives_at(), c.down.arrives_at()));
        }
        wake
    }

    /// One pass over everything that is due now. Returns whether anything happened.
    fn step(&mut self) -> bool {
        let mut busy = self.finish_dials();
        busy |= self.deliver();
        for server in self.servers.iter_mut().flatten() {
            busy |= server.tick(self.now);
        }
        for n in 0..self.clients.len() {
            busy |= self.run_client(ClientId(n));
        }
        busy |= self.run_servers();
        busy |= self.transmit();
        self.connections.retain(|c| !(c.client_closed && c.server_conn.is_none()));
        busy
    }

    fn run_client(&mut self, id: ClientId) -> bool {
        let client = &mut self.clients[id.0];
        let mut busy = false;
        if client.wake_at().is_some_and(|at| at <= self.now) {
            client.handle_timeout(self.now);
            busy = true;
        }
        if client.feed_at().is_some_and(|at| at <= self.now) {
            busy |= client.feed(self.now);
        }
        while let Some(action) = self.clients[id.0].poll_action() {
            busy = true;
            match action {
                Action::Dial { conn, url, attempt } => self.dial(id, conn, &url.host, attempt),
                Action::ShutdownWrite(conn) => {
                    if let Some(c) = self.connection(id, conn) {
                        c.client_shut = true;
                        let unread = c.down.in_flight() > 0;
                        self.unread_at_half_close += usize::from(unread);
                    }
                }
                Action::Close(conn) => self.close_client(id, conn),
                other => self.clients[id.0].acted(other, self.now),
            }
        }
        busy
    }

    fn connection(&mut self, client: ClientId, conn: ConnId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|c| c.client == client && c.client_conn == conn && !c.client_closed)
    }

    fn dial(&mut self, client: ClientId, conn: ConnId, host: &str, attempt: u32) {
        let servers = self.names.get(host).cloned().unwrap_or_default();
        let chosen = servers.get(attempt as usize % servers.len().max(1));
        if chosen.is_some_and(|server| self.is_alive(*server) && self.doors[server.0] != Door::Open) {
            *self.spoiled.entry(client).or_default() += 1;
        }
        let (after, outcome) = match chosen {
            None => (Duration::ZERO, failed("no such host", 0)),
            Some(server) if !self.is_alive(*server) => {
                (self.link.latency * 2, failed("connection refused", servers.len()))
            }
            Some(server) => match self.doors[server.0] {
                Door::Refusing => (self.link.latency * 2, failed("connection refused", servers.len())),
                Door::Silent => (DIAL_TIMEOUT, failed("timed out", servers.len())),
                Door::Open | Door::Mute | Door::ResetAfter(_) | Door::HangAfter(_) => {
                    (self.link_to(*server).latency * 2, Ok(*server))
                }
            },
        };
        self.dialing.push(Dialing { client, conn, at: self.now + after, outcome });
    }

    fn link_to(&self, server: ServerId) -> &Link {
        self.links.get(&server).unwrap_or(&self.link)
    }

    fn finish_dials(&mut self) -> bool {
        let now = self.now;
        let (due, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.dialing).into_iter().partition(|d| d.at <= now);
        self.dialing = waiting;
        let busy = !due.is_empty();
        for dial in due {
            let outcome = match dial.outcome {
                Ok(server) if self.servers[server.0].is_none() => failed("connection refused", 1),
                other => other,
            };
            let result = outcome.map(|server| {
                let door = self.doors[server.0];
                let server_conn = if door == Door::Mute {
                    None
                } else {
                    self.servers[server.0].as_mut().map(|s| s.accept(now))
                };
                let link = self.link_to(server).clone();
                let uplink = self.uplinks.get(&dial.client).copied().or(link.bandwidth);
                let up = Link { bandwidth: uplink, ..link.clone() };
                if self.servers[server.0].as_ref().is_some_and(Node::is_draining) {
                    *self.to_draining.entry(dial.client).or_default() += 1;
                }
                self.taps.push(Tap::new(dial.client, server));
                self.connections.push(Connection {
                    client: dial.client,
                    client_conn: dial.conn,
                    server,
                    door,
                    server_conn,
                    up: Pipe::new(up),
                    down: Pipe::new(link),
                    client_shut: false,
                    client_closed: false,
                    server_shut: false,
                    taken: 0,
                    tap: self.taps.len() - 1,
                });
                format!("10.0.0.{}:1935", server.0 + 1)
            });
            self.clients[dial.client.0].dialed(dial.conn, result, now);
        }
        busy
    }

    fn close_client(&mut self, client: ClientId, conn: ConnId) {
        let now = self.now;
        self.dialing.retain(|d| !(d.client == client && d.conn == conn));
        let Some(c) = self.connection(client, conn) else { return };
        c.client_closed = true;
        if c.down.in_flight() > 0 {
            // Unread input turns a close into a reset, which throws away what is still on its way.
            c.up.reset(now);
        } else {
            c.up.finish(now);
        }
    }

    fn deliver(&mut self) -> bool {
        let now = self.now;
        let mut busy = false;
        for c in &mut self.connections {
            while let Some(mut arrival) = c.up.arrived(now) {
                busy = true;
                self.trace = mix(self.trace, now, c.client.0 as u64, &arrival);
                let mut reset = false;
                if let Arrival::Data(data) = &mut arrival {
                    let room = c.room();
                    reset = matches!(c.door, Door::ResetAfter(_)) && data.len() > room;
                    data.truncate(room);
                    c.taken += data.len();
                    self.taps[c.tap].heard_by_server(data);
                    if data.is_empty() && !reset {
                        continue;
                    }
                }
                let (Some(conn), Some(server)) = (c.server_conn, &mut self.servers[c.server.0]) else {
                    if matches!(arrival, Arrival::Data(_)) && c.door != Door::Mute {
                        c.down.reset(now);
                    }
                    continue;
                };
                match arrival {
                    Arrival::Data(data) => {
                        if !data.is_empty() {
                            server.received(conn, data, now);
                        }
                        if reset {
                            c.up.reset(now);
                            c.down.reset(now);
                            server.peer_closed(conn, Closed::Reset, now);
                        }
                    }
                    Arrival::Fin => server.peer_closed(conn, Closed::Eof, now),
                    Arrival::Reset => {
                        c.down.reset(now);
                        server.peer_closed(conn, Closed::Reset, now);
                    }
                }
            }
            while let Some(arrival) = c.down.arrived(now) {
                busy = true;
                self.trace = mix(self.trace, now, c.client.0 as u64 | 1 << 32, &arrival);
                if c.client_closed {
                    if matches!(arrival, Arrival::Data(_)) {
                        c.up.reset(now);
                    }
                    continue;
                }
                if c.hangs() {
                    continue;
                }
                let client = &mut self.clients[c.client.0];
                if let Arrival::Data(data) = &arrival {
                    self.taps[c.tap].heard_by_client(data);
                }
                match arrival {
                    Arrival::Data(data) => client.received(c.client_conn, data, now),
                    Arrival::Fin => client.peer_closed(c.client_conn, Closed::Eof, now),
                    Arrival::Reset => client.peer_closed(c.client_conn, Closed::Reset, now),
                }
            }
        }
        busy
    }

    fn run_servers(&mut self) -> bool {
        let now = self.now;
        let mut busy = false;
        for n in 0..self.servers.len() {
            while let Some(action) = self.servers[n].as_mut().and_then(Node::poll_action) {
                busy = true;
                let conn = match action {
                    NodeAction::ShutdownWrite(conn) | NodeAction::Close(conn) => conn,
                };
                let Some(c) =
                    self.connections.iter_mut().find(|c| c.server.0 == n && c.server_conn == Some(conn))
                else {
                    continue;
                };
                match action {
                    NodeAction::ShutdownWrite(_) => c.server_shut = true,
                    NodeAction::Close(_) => {
                        c.server_conn = None;
                        if c.up.in_flight() > 0 {
                            c.down.reset(now);
                        } else {
                            c.down.finish(now);
                        }
                    }
                }
            }
        }
        busy
    }

    fn transmit(&mut self) -> bool {
        let now = self.now;
        let mut busy = false;
        for c in &mut self.connections {
            if !c.client_closed {
                while let Some(out) = self.clients[c.client.0].transmit(c.client_conn, now) {
                    if !send(out, &mut c.up, now, &mut self.rng) {
                        if c.client_shut && out.is_empty() {
                            c.up.finish(now);
                        }
                        break;
                    }
                    busy = true;
                }
            }
            if let (Some(conn), Some(server)) = (c.server_conn, &mut self.servers[c.server.0])
                && let Some(out) = server.out(conn)
            {
                let sent = send(out, &mut c.down, now, &mut self.rng);
                if c.server_shut && out.is_empty() {
                    c.down.finish(now);
                }
                if sent {
                    busy = true;
                    server.wrote(conn, now);
                }
            }
        }
        busy
    }
}

fn failed(reason: &str, addresses: usize) -> Result<ServerId, DialError> {
    Err(DialError { reason: reason.to_owned(), addresses: addresses as u32 })
}

/// Moves what the pipe has room for, as one write: what goes together may arrive together. Returns whether anything
/// moved.
fn send(out: &mut OutQueue, pipe: &mut Pipe, now: Moment, rng: &mut fastrand::Rng) -> bool {
    let mut data = BytesMut::new();
    while let Some(front) = out.front() {
        let n = front.len().min(pipe.room() - data.len());
        if n == 0 {
            break;
        }
        data.extend_from_slice(&front[..n]);
        out.advance(n);
    }
    let moved = !data.is_empty();
    pipe.send(data.freeze(), now, rng);
    moved
}

fn mix(trace: u64, now: Moment, place: u64, arrival: &Arrival) -> u64 {
    let mut hash = trace;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    now.as_micros().to_le_bytes().into_iter().chain(place.to_le_bytes()).for_each(&mut add);
    match arrival {
        Arrival::Data(data) => data.iter().copied().for_each(&mut add),
        Arrival::Fin => add(1),
        Arrival::Reset => add(2),
    }
    hash
}

/// A due message as a client was handed it, and when.
pub type Timed = (Moment, MediaMessage);
