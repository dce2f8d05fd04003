//! `FaultProxy`: a TCP proxy that makes a network of the loopback: delay each way, a narrow uplink, stalls, resets, and
//! bytes in small pieces; and that keeps what passed, with the time, for assertions. Half-closes and resets are passed
//! on as what they are. Its buffers are small, so that a backlog stays in the sender's socket, as on a real uplink.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use crate::bench::at;

/// Bytes of one piece on its way.
const PIECE: usize = 4096;
/// Pieces on their way in one direction of one connection.
const ON_THE_WAY: usize = 256;
/// Receive and send buffers of the proxy's sockets while the uplink is narrow, in bytes.
const NARROW_BUFFER: usize = 16 << 10;
/// A peer that does not accept by then is not there.
const CONNECT: Duration = Duration::from_secs(2);
/// Pieces of a sender that are still looked at when its connection is dead or nobody takes them any longer.
const LEFT_OVER: usize = 256;
/// How often a thread that waits for bytes looks whether the connection was reset.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What the network is like. The default is the loopback as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Network {
    /// One-way delay, in each direction.
    pub delay: Duration,
    /// Bytes per second from client to server.
    pub uplink: Option<u64>,
    /// The most bytes that arrive at once.
    pub slice: Option<usize>,
}

/// How a direction of a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The sender shut down writing, or closed.
    Eof,
    /// A reset from the sender's side, or made by the proxy.
    Reset,
}

/// What passed in one direction.
#[derive(Clone, Debug, Default)]
pub struct Passed {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// When they came in: a time, and the count of bytes by then.
    pub marks: Vec<(Instant, usize)>,
    /// How it ended, if it has.
    pub ending: Option<Ending>,
}

/// One connection through the proxy.
#[derive(Debug)]
pub struct Connection {
    /// Only the threads that move bytes hold the sockets: a reset goes out when the last of them lets go.
    sockets: Weak<Sockets>,
    dead: AtomicBool,
    up: Mutex<Passed>,
    down: Mutex<Passed>,
}

#[derive(Debug)]
struct Sockets {
    client: TcpStream,
    server: TcpStream,
}

impl Connection {
    /// What the client sent so far.
    pub fn up(&self) -> Passed {
        lock(&self.up).clone()
    }

    /// What the server sent so far.
    pub fn down(&self) -> Passed {
        lock(&self.down).clone()
    }

    /// Whether neither side has ended its direction yet.
    pub fn is_open(&self) -> bool {
        self.sockets.strong_count() > 0
            && lock(&self.up).ending.is_none()
            && lock(&self.down).ending.is_none()
    }

    /// Resets both sides: at once, but for a few tens of milliseconds until the threads notice.
    pub fn reset(&self) {
        if let Some(sockets) = self.sockets.upgrade() {
            set_to_reset(&sockets.client);
            set_to_reset(&sockets.server);
        }
        self.dead.store(true, Ordering::SeqCst);
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct Shared {
    network: Network,
    upstream: Mutex<SocketAddr>,
    stalled: Mutex<bool>,
    resumed: Condvar,
    closed: AtomicBool,
    connections: Mutex<Vec<Arc<Connection>>>,
}

/// A listening proxy. Dropping it resets what still runs.
#[derive(Debug)]
pub struct FaultProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

impl FaultProxy {
    /// Listens on a free port of the loopback, for connections to `upstream`.
    pub fn start(upstream: SocketAddr, network: Network) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        if network.uplink.is_some() {
            // Accepted sockets inherit it.
            socket.set_recv_buffer_size(NARROW_BUFFER).expect("a receive buffer");
        }
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        socket.bind(&any.into()).expect("a free port");
        socket.listen(128).expect("a listener");
        let listener = TcpListener::from(socket);
        let addr = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            network,
            upstream: Mutex::new(upstream),
            stalled: Mutex::new(false),
            resumed: Condvar::new(),
            closed: AtomicBool::new(false),
            connections: Mutex::new(Vec::new()),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting));
        Self { addr, shared }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `rtmp://ADDR/APP/NAME`.
    pub fn url(&self, app_and_name: &str) -> String {
        format!("rtmp://{}/{app_and_name}", self.addr)
    }

    /// Sends connections made from now on elsewhere.
    pub fn set_upstream(&self, upstream: SocketAddr) {
        *lock(&self.shared.upstream) = upstream;
    }

    /// While stalled nothing passes, in either direction; connections stay.
    pub fn stall(&self, stalled: bool) {
        *lock(&self.shared.stalled) = stalled;
        self.shared.resumed.notify_all();
    }

    /// All connections so far, ended ones too, in the order in which they came.
    pub fn connections(&self) -> Vec<Arc<Connection>> {
        lock(&self.shared.connections).clone()
    }

    /// Resets all connections.
    pub fn reset_all(&self) {
        self.connections().iter().for_each(|c| c.reset());
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.stall(false);
        self.reset_all();
        // Wakes the listener, which then sees that it is over.
        let _ = TcpStream::connect(self.addr);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// With no time to linger, closing sends a reset instead of an end.
fn set_to_reset(stream: &TcpStream) {
    // It fails on a socket that has ended already, where there is nothing left to reset.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.closed.load(Ordering::SeqCst) {
            return;
        }
        let Ok(client) = client else { continue };
        let upstream = *lock(&shared.upstream);
        let server = match dial(upstream, shared.network.uplink.is_some()) {
            Ok(server) => server,
            Err(_) => {
                set_to_reset(&client);
                continue;
            }
        };
        for socket in [&client, &server] {
            // A socket that is dead already fails here, and in the first read.
            let _ = socket.set_nodelay(true);
            let _ = socket.set_read_timeout(Some(LOOK_EVERY));
            let _ = socket.set_write_timeout(Some(LOOK_EVERY));
        }
        let sockets = Arc::new(Sockets { client, server });
        let connection = Arc::new(Connection {
            sockets: Arc::downgrade(&sockets),
            dead: AtomicBool::new(false),
            up: Mutex::default(),
            down: Mutex::default(),
        });
        lock(&shared.connections).push(Arc::clone(&connection));
        for direction in [Direction::Up, Direction::Down] {
            let (tx, rx) = sync_channel(ON_THE_WAY);
            let way = Way {
                connection: Arc::clone(&connection),
                sockets: Arc::clone(&sockets),
                shared: Arc::clone(shared),
                direction,
            };
            let back = way.clone();
            std::thread::spawn(move || way.read(&tx));
            std::thread::spawn(move || back.write(&rx));
        }
    }
}

fn dial(upstream: SocketAddr, narrow: bool) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(upstream), Type::STREAM, None)?;
    if narrow {
        socket.set_send_buffer_size(NARROW_BUFFER)?;
    }
    socket.connect_timeout(&upstream.into(), CONNECT)?;
    Ok(socket.into())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

enum Piece {
    Bytes(Vec<u8>),
    End(Ending),
}

/// One direction of one connection.
#[derive(Clone)]
struct Way {
    connection: Arc<Connection>,
    sockets: Arc<Sockets>,
    shared: Arc<Shared>,
    direction: Direction,
}

impl Way {
    fn read(&self, tx: &SyncSender<(Instant, Piece)>) {
        let (mut from, passed) = match self.direction {
            Direction::Up => (&self.sockets.client, &self.connection.up),
            Direction::Down => (&self.sockets.server, &self.connection.down),
        };
        let network = self.shared.network;
        let rate = network.uplink.filter(|_| self.direction == Direction::Up);
        // When the link is free again: bytes leave one after the other.
        let mut free = Instant::now();
        let mut buffer = vec![0; network.slice.unwrap_or(PIECE).min(PIECE)];
        let (mut taken, mut left_over) = (true, LEFT_OVER);
        loop {
            let (piece, n) = match from.read(&mut buffer) {
                Ok(0) => (Piece::End(Ending::Eof), 0),
                Ok(n) => (Piece::Bytes(buffer[..n].to_vec()), n),
                Err(e) if is_pause(&e) && (self.connection.is_dead() || !taken) => return,
                Err(e) if is_pause(&e) => continue,
                Err(_) => (Piece::End(Ending::Reset), 0),
            };
            let now = Instant::now();
            {
                let mut passed = lock(passed);
                passed.bytes.extend_from_slice(&buffer[..n]);
                let count = passed.bytes.len();
                passed.marks.push((now, count));
                if let Piece::End(ending) = &piece {
                    passed.ending = Some(*ending);
                }
            }
            // What had arrived when the other side broke is kept, and how it ended: the sender did that before.
            if self.connection.is_dead() || !taken {
                left_over -= 1;
                if n == 0 || left_over == 0 {
                    return;
                }
                continue;
            }
            free = free.max(now);
            if let Some(rate) = rate {
                free += Duration::from_secs_f64(n as f64 / rate as f64);
                // Reading no faster than the link sends is what keeps the backlog at the sender.
                at(free);
            }
            taken = tx.send((free + network.delay, piece)).is_ok();
            if n == 0 {
                return;
            }
        }
    }

    fn write(&self, rx: &Receiver<(Instant, Piece)>) {
        let to = match self.direction {
            Direction::Up => &self.sockets.server,
            Direction::Down => &self.sockets.client,
        };
        while let Ok((due, piece)) = rx.recv() {
            at(due);
            self.wait_while_stalled();
            let written = match piece {
                Piece::Bytes(bytes) => self.write_all(to, &bytes),
                Piece::End(Ending::Eof) => to.shutdown(Shutdown::Write),
                Piece::End(Ending::Reset) => return self.connection.reset(),
            };
            if written.is_err() {
                // The receiver is gone. Its own end travels the other way; here only the reader must not wait for ever.
                return;
            }
        }
    }

    fn wait_while_stalled(&self) {
        let mut stalled = lock(&self.shared.stalled);
        while *stalled && !self.connection.is_dead() {
            let woken = self.shared.resumed.wait_timeout(stalled, LOOK_EVERY);
            stalled = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn write_all(&self, mut to: &TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            match to.write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(e) if is_pause(&e) && !self.connection.is_dead() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

fn is_pause(e: &std::io::Error) -> bool {
    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers with what it got when the client has shut down writing.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let mut socket = socket.unwrap();
                let mut bytes = Vec::new();
                if socket.read_to_end(&mut bytes).is_ok() {
                    socket.write_all(&bytes).unwrap();
                }
            }
        });
        addr
    }

    #[test]
    fn bytes_and_half_closes_pass_with_delay_and_are_kept() {
        let network = Network { delay: Duration::from_millis(30), slice: Some(100), ..Network::default() };
        let proxy = FaultProxy::start(echo(), network);
        let sent: Vec<u8> = (0..50_000u32).map(|n| n as u8).collect();
        let mut socket = TcpStream::connect(proxy.addr()).unwrap();
        let started = Instant::now();
        socket.write_all(&sent).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let mut got = Vec::new();
        socket.read_to_end(&mut got).unwrap();
        assert!(got == sent, "altered");
        assert!(started.elapsed() >= Duration::from_millis(60), "{:?}", started.elapsed());
        let connection = &proxy.connections()[0];
        assert!(connection.up().bytes == sent && connection.down().bytes == sent);
        assert_eq!(connection.up().ending, Some(Ending::Eof));
    }

    #[test]
    fn a_narrow_uplink_takes_its_time() {
        let network = Network { uplink: Some(200_000), ..Network::default() };
        let proxy = FaultProxy::start(echo(), network);
        let mut socket = TcpStream::connect(proxy.addr()).unwrap();
        let started = Instant::now();
        socket.write_all(&vec![1; 100_000]).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        assert_eq!(socket.read_to_end(&mut Vec::new()).unwrap(), 100_000);
        assert!(started.elapsed() >= Duration::from_millis(490), "{:?}", started.elapsed());
    }

    #[test]
    fn a_reset_reaches_the_client_as_an_error() {
        let proxy = FaultProxy::start(echo(), Network::default());
        let mut socket = TcpStream::connect(proxy.addr()).unwrap();
        socket.write_all(b"x").unwrap();
        crate::bench::wait_for("the connection", Duration::from_secs(5), || {
            proxy.connections().iter().any(|c| c.up().bytes.len() == 1).then_some(())
        });
        proxy.reset_all();
        let end = socket.read(&mut [0; 16]);
        assert!(matches!(&end, Err(e) if e.kind() == ErrorKind::ConnectionReset), "{end:?}");
    }
}
