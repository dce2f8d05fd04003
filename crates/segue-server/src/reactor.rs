//! The executor of shards: one event loop a thread. It owns sockets, readiness and the clock, and no decisions: bytes
//! go into the shard, its outputs are carried out.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use segue_proto::Moment;
use segue_proto::log::ConnId;

use crate::config::{TCP_KEEPALIVE, TCP_USER_TIMEOUT};
use crate::hub::{Hub, Wake};
use crate::shard::{Closed, Output, Shard};

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
/// Bytes asked of a socket at a time.
const READ_BYTES: usize = 64 * 1024;
/// Reads of one connection in a pass: the next gets its turn after.
const READS_A_PASS: usize = 8;
/// Slices of one vectored write.
const SLICES: usize = 64;
/// Connections accepted in a pass.
const ACCEPTS_A_PASS: usize = 256;
/// How long accepting rests when the process has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a connection rests whose recorder has enough.
const FULL_PAUSE: Duration = Duration::from_millis(5);
/// When the server stops, a loop ends by then whatever its peers do.
const STOP_PATIENCE: Duration = Duration::from_secs(6);

/// Monotonic time since the server's start.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock whose origin is now.
    pub fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Now. Never the origin itself: 1 second later at least, so that "a while ago" is not before it.
    pub fn now(&self) -> Moment {
        Moment::from_micros(1_000_000) + self.origin.elapsed()
    }
}

/// Sockets on their way from the accepting loop to the one that will have them.
#[derive(Default)]
pub(crate) struct Inbox {
    sockets: Mutex<Vec<(TcpStream, SocketAddr)>>,
}

impl Inbox {
    fn push(&self, socket: TcpStream, peer: SocketAddr) {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).push((socket, peer));
    }

    fn take(&self) -> Vec<(TcpStream, SocketAddr)> {
        std::mem::take(&mut *self.sockets.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct LoopWaker(Waker);

impl Wake for LoopWaker {
    fn wake(&self) {
        // Fails only if the poll is gone, and then nobody waits.
        let _ = self.0.wake();
    }
}

struct Socket {
    stream: TcpStream,
    token: Token,
    /// The last write would have blocked.
    blocked: bool,
    readable: bool,
    /// The peer's end was seen.
    ended: bool,
}

/// One loop.
pub(crate) struct Reactor {
    poll: Poll,
    shard: Shard,
    hub: Arc<Hub>,
    index: usize,
    clock: Clock,
    sockets: BTreeMap<ConnId, Socket>,
    tokens: BTreeMap<usize, ConnId>,
    next_token: usize,
    inboxes: Arc<[Inbox]>,
    listener: Option<TcpListener>,
    accepting: bool,
    accept_again: Option<Instant>,
    next_shard: Arc<AtomicUsize>,
    /// Connections that have more to read than one pass takes.
    ready: Vec<ConnId>,
    /// Connections that have more to read than the recorder takes now.
    full: Vec<ConnId>,
    buffer: Box<[u8]>,
}

impl Reactor {
    /// A loop around `shard`. The one with the `listener` accepts for all.
    pub(crate) fn new(
        shard: Shard,
        hub: Arc<Hub>,
        index: usize,
        clock: Clock,
        inboxes: Arc<[Inbox]>,
        mut listener: Option<TcpListener>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        if let Some(listener) = &mut listener {
            poll.registry().register(listener, LISTENER, Interest::READABLE)?;
        }
        if let Some(mailbox) = hub.mailbox(index) {
            mailbox.set_waker(Arc::new(LoopWaker(waker)));
        }
        Ok(Self {
            poll,
            shard,
            hub,
            index,
            clock,
            sockets: BTreeMap::new(),
            tokens: BTreeMap::new(),
            next_token: 0,
            inboxes,
            accepting: listener.is_some(),
            listener,
            accept_again: None,
            next_shard: Arc::new(AtomicUsize::new(0)),
            ready: Vec::new(),
            full: Vec::new(),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
        })
    }

    /// Runs until the hub stops and the connections are closed.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut stop_by = None;
        loop {
            match self.poll.poll(&mut events, self.patience(stop_by)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result?,
            }
            let mut writable = Vec::new();
            let mut accept = false;
            for event in &events {
                match event.token() {
                    LISTENER => accept = true,
                    WAKER => {}
                    Token(token) => {
                        let Some(conn) = self.tokens.get(&token).copied() else { continue };
                        if event.is_readable() || event.is_read_closed() || event.is_error() {
                            self.mark_readable(conn);
                        }
                        if event.is_writable() {
                            writable.push(conn);
                        }
                    }
                }
            }
            if self.accept_again.is_some_and(|at| Instant::now() >= at) {
                self.accept_again = None;
                accept = true;
            }
            if accept && self.accepting {
                self.accept();
            }
            self.adopt();
            self.ready.append(&mut self.full);
            self.read();
            for conn in writable {
                if let Some(socket) = self.sockets.get_mut(&conn) {
                    socket.blocked = false;
                    self.write(conn);
                }
            }
            let now = self.clock.now();
            if self.shard.wake_at(now).is_some_and(|at| at <= now) {
                self.shard.handle_timeout(now);
            }
            self.shard.pass(now);
            self.carry_out();
            if self.hub.is_stopping() {
                if let Some(mut listener) = self.listener.take() {
                    let _ = self.poll.registry().deregister(&mut listener);
                    self.accepting = false;
                }
                let by = *stop_by.get_or_insert_with(|| Instant::now() + STOP_PATIENCE);
                if self.shard.is_empty() || Instant::now() >= by {
                    return Ok(());
                }
            }
        }
    }

    fn patience(&self, stop_by: Option<Instant>) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let now = self.clock.now();
        let shard = self.shard.wake_at(now).map(|at| at.since(now));
        let instant = Instant::now();
        // The recorder's progress is mail, and wakes; this is for a recorder that makes none.
        let full = (!self.full.is_empty()).then(|| instant + FULL_PAUSE);
        [self.accept_again, stop_by, full]
            .into_iter()
            .flatten()
            .map(|at| at.saturating_duration_since(instant))
            .chain(shard)
            .min()
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        for _ in 0..ACCEPTS_A_PASS {
            match listener.accept() {
                Ok((stream, peer)) => {
                    let shard = self.next_shard.fetch_add(1, Ordering::Relaxed) % self.inboxes.len();
                    if let Some(inbox) = self.inboxes.get(shard) {
                        inbox.push(stream, peer);
                    }
                    if shard != self.index
                        && let Some(mailbox) = self.hub.mailbox(shard)
                    {
                        mailbox.wake();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The peer was gone before it was accepted.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept, trying again");
                    self.accept_again = Some(Instant::now() + ACCEPT_PAUSE);
                    return;
                }
            }
        }
        // Edge-triggered: what still waits is taken in the next pass.
        self.accept_again = Some(Instant::now());
    }

    fn adopt(&mut self) {
        let Some(inbox) = self.inboxes.get(self.index) else { return };
        for (mut stream, peer) in inbox.take() {
            let token = Token(self.next_token);
            self.next_token += 1;
            if let Err(error) = prepare(&stream).and_then(|()| {
                self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)
            }) {
                tracing::info!(%peer, %error, "lost a connection while accepting it");
                continue;
            }
            let conn = self.shard.accepted(peer.to_string(), self.clock.now());
            self.tokens.insert(token.0, conn);
            self.sockets
                .insert(conn, Socket { stream, token, blocked: false, readable: false, ended: false });
            self.mark_readable(conn);
        }
    }

    fn mark_readable(&mut self, conn: ConnId) {
        if let Some(socket) = self.sockets.get_mut(&conn).filter(|socket| !socket.readable && !socket.ended) {
            socket.readable = true;
            self.ready.push(conn);
        }
    }

    fn read(&mut self) {
        for conn in std::mem::take(&mut self.ready) {
            let Some(socket) = self.sockets.get_mut(&conn) else { continue };
            let mut more = true;
            for _ in 0..READS_A_PASS {
                if self.shard.is_full(conn) {
                    self.full.push(conn);
                    break;
                }
                match socket.stream.read(&mut self.buffer) {
                    Ok(0) => {
                        socket.ended = true;
                        self.shard.peer_closed(conn, Closed::Eof, self.clock.now());
                        more = false;
                    }
                    Ok(n) => {
                        let data = self.buffer.get(..n).unwrap_or_default();
                        self.shard.received(conn, data, self.clock.now());
                        continue;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => more = false,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(_) => {
                        socket.ended = true;
                        self.shard.peer_closed(conn, Closed::Reset, self.clock.now());
                        more = false;
                    }
                }
                break;
            }
            socket.readable = more;
            if more && self.full.last() != Some(&conn) {
                self.ready.push(conn);
            }
        }
    }

    /// Until the shard wants nothing more: what is written makes room for more.
    fn carry_out(&mut self) {
        loop {
            let mut any = false;
            while let Some(output) = self.shard.poll_output() {
                any = true;
                match output {
                    Output::Transmit(conn) => self.write(conn),
                    Output::ShutdownWrite(conn) => {
                        if let Some(socket) = self.sockets.get(&conn) {
                            // An error means that the peer is gone: the read side will say so.
                            let _ = socket.stream.shutdown(Shutdown::Write);
                        }
                    }
                    Output::Close(conn) => {
                        if let Some(mut socket) = self.sockets.remove(&conn) {
                            let _ = self.poll.registry().deregister(&mut socket.stream);
                            self.tokens.remove(&socket.token.0);
                        }
                    }
                }
            }
            if !any {
                return;
            }
            self.shard.pass(self.clock.now());
        }
    }

    fn write(&mut self, conn: ConnId) {
        let Some(socket) = self.sockets.get_mut(&conn) else { return };
        if socket.blocked {
            return;
        }
        let Some(queue) = self.shard.transmit(conn) else { return };
        let mut wrote = false;
        let mut broken = false;
        while !queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let n = queue.io_slices(&mut slices);
            match socket.stream.write_vectored(slices.get(..n).unwrap_or_default()) {
                Ok(0) => broken = true,
                Ok(n) => {
                    queue.advance(n);
                    wrote = true;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => socket.blocked = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => broken = true,
            }
            break;
        }
        let now = self.clock.now();
        if broken {
            // What the peer sent before may still be readable: the reading side ends the connection.
            queue.clear();
            self.mark_readable(conn);
            if self.sockets.get(&conn).is_some_and(|socket| socket.ended) {
                self.shard.peer_closed(conn, Closed::Reset, now);
            }
        } else if wrote {
            self.shard.written(conn, now);
        }
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    socket.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT))?;
    // Where nothing waits to be acknowledged, only probes find out that a peer is gone.
    let keepalive = socket2::TcpKeepalive::new().with_time(TCP_KEEPALIVE).with_interval(TCP_KEEPALIVE);
    socket.set_tcp_keepalive(&keepalive)
}
