//! A hostile RTMP client, written by hand: it shakes hands, goes as far as an attack wants to begin, sends whatever bytes,
//! and says how the server took them. What is sent is [`attacks`]'; bytes are put together by [`bytes`]; what it costs
//! the server is measured by [`cost`]. No code of the product is in it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub mod attacks;
pub mod bytes;
pub mod cost;
pub mod scans;

use bytes::{ONE_CHUNK, command, handshake, message, null, number, text, user_control};

/// Whatever a server does about a peer is done by then: it gives a closing connection 2 s, and all of this runs on a
/// machine that may be busy.
const LIMIT: Duration = Duration::from_secs(10);
/// Bytes written at a time: in between it is looked whether the server has ended the connection.
const BLOCK: usize = 64 << 10;
/// S0 to S2 (5.2).
const HANDSHAKE: usize = 1 + 2 * 1536;
/// Ping request and response of User Control (RTMP 1.0, 7.1.7).
const PING: u16 = 6;
const PONG: u16 = 7;

/// How far a connection is when an attack begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    /// TCP only.
    Raw,
    /// After the handshake.
    Strange,
    /// After `connect`.
    Connected,
    /// It watches the stream that runs beside.
    Watching,
    /// It publishes a stream of its own.
    Publishing,
}

/// How the server's side of a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// By FIN, after everything it had to say.
    Fin,
    /// By a reset.
    Reset,
}

/// How a server took an attack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// It ended the connection.
    Ended,
    /// It went on, and ended its side only after the client did.
    Served,
}

#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    end: Option<End>,
}

/// One hostile connection. A thread of its own reads what comes.
pub struct Peer {
    socket: TcpStream,
    heard: Arc<(Mutex<Heard>, Condvar)>,
    /// Bytes written.
    pub sent: u64,
}

impl Peer {
    /// Connects and goes on to `stage`: publishing `own`, or watching `running`, both `APP/NAME`.
    ///
    /// # Errors
    /// The server did not let it get there: says where it ended.
    pub fn connect(server: SocketAddr, stage: Stage, running: &str, own: &str) -> Result<Self, String> {
        let socket = TcpStream::connect_timeout(&server, LIMIT).map_err(|e| format!("no connection: {e}"))?;
        socket.set_nodelay(true).map_err(|e| e.to_string())?;
        socket.set_write_timeout(Some(LIMIT)).map_err(|e| e.to_string())?;
        let heard = Arc::new((Mutex::new(Heard::default()), Condvar::new()));
        let (reading, into) = (socket.try_clone().map_err(|e| e.to_string())?, heard.clone());
        std::thread::spawn(move || listen(reading, &into));
        let mut peer = Self { socket, heard, sent: 0 };
        if stage == Stage::Raw {
            return Ok(peer);
        }
        peer.send(&handshake());
        peer.hears(|heard| (heard.len() >= HANDSHAKE).then_some(())).map_err(|e| format!("S0 to S2: {e}"))?;
        if stage == Stage::Strange {
            return Ok(peer);
        }
        let (app, name) =
            if stage == Stage::Publishing { own } else { running }.split_once('/').expect("APP/NAME");
        let object = [&b"\x03\x00\x03app"[..], &text(app), b"\x00\x00\x09"].concat();
        peer.asks(&command("connect", 1.0, &object, 0), b"NetConnection.Connect.Success")?;
        if stage == Stage::Connected {
            return Ok(peer);
        }
        peer.asks(&command("createStream", 2.0, &null(), 0), &[text("_result"), number(2.0)].concat())?;
        let name = [null(), text(name)].concat();
        if stage == Stage::Watching {
            peer.asks(&command("play", 3.0, &name, 1), b"NetStream.Play.Start")?;
        } else {
            peer.asks(&command("publish", 3.0, &name, 1), b"NetStream.Publish.Start")?;
        }
        Ok(peer)
    }

    fn asks(&mut self, question: &[u8], answer: &[u8]) -> Result<(), String> {
        self.send(question);
        let mut from = 0;
        self.hears(|heard| {
            let found = heard.get(from..)?.windows(answer.len()).any(|window| window == answer);
            from = heard.len().saturating_sub(answer.len());
            found.then_some(())
        })
        .map_err(|e| format!("{}: {e}", String::from_utf8_lossy(answer)))
    }

    /// Writes until the server has ended the connection. What it does not take any more is no failure.
    pub fn send(&mut self, bytes: &[u8]) {
        for block in bytes.chunks(BLOCK) {
            if self.locked().end.is_some() || self.socket.write_all(block).is_err() {
                return;
            }
            self.sent += block.len() as u64;
        }
    }

    /// Writes although the server has ended its side.
    pub fn send_on(&mut self, bytes: &[u8]) {
        if self.socket.write_all(bytes).is_ok() {
            self.sent += bytes.len() as u64;
        }
    }

    /// Waits until the server has ended the connection; its writing side stays open.
    ///
    /// # Errors
    /// It does not, or not by FIN.
    pub fn is_ended(&self) -> Result<(), String> {
        match self.hears(|_| None::<()>) {
            Err(Waiting::Ended(End::Fin)) => Ok(()),
            other => Err(format!("not ended: {other:?}")),
        }
    }

    /// Asks whether somebody is there, in the middle of whatever came before.
    ///
    /// # Errors
    /// Neither an answer nor a FIN.
    pub fn is_taken(&mut self) -> Result<Taken, String> {
        let number = [0x5e, 0x60, 0x0d, 0x01];
        let ping = message(2, 4, 0, &user_control(PING, &number), ONE_CHUNK);
        match self.asks(&ping, &user_control(PONG, &number)) {
            Ok(()) => Ok(Taken::Served),
            Err(_) if self.locked().end == Some(End::Fin) => Ok(Taken::Ended),
            Err(error) => Err(error),
        }
    }

    /// Ends its side, and waits for the server's end.
    ///
    /// # Errors
    /// It does not come, or not by FIN.
    pub fn leave(self) -> Result<(), String> {
        // An error means that the server is gone, which is what is waited for.
        let _ = self.socket.shutdown(Shutdown::Write);
        self.is_ended()
    }

    fn locked(&self) -> MutexGuard<'_, Heard> {
        self.heard.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until what was heard gives something.
    fn hears<T>(&self, mut enough: impl FnMut(&[u8]) -> Option<T>) -> Result<T, Waiting> {
        let deadline = Instant::now() + LIMIT;
        let mut heard = self.locked();
        loop {
            if let Some(found) = enough(&heard.bytes) {
                return Ok(found);
            }
            if let Some(end) = heard.end {
                return Err(Waiting::Ended(end));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Waiting::InVain);
            }
            heard = self.heard.1.wait_timeout(heard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The thread that reads ends with it.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

#[derive(Debug)]
enum Waiting {
    Ended(End),
    InVain,
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended(end) => write!(f, "the server ended the connection ({end:?})"),
            Self::InVain => write!(f, "waited for {LIMIT:?} in vain"),
        }
    }
}

fn listen(mut socket: TcpStream, heard: &(Mutex<Heard>, Condvar)) {
    let mut buffer = vec![0; BLOCK];
    loop {
        let read = socket.read(&mut buffer);
        let mut heard_now = heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(0) => heard_now.end = Some(End::Fin),
            Ok(n) => heard_now.bytes.extend_from_slice(&buffer[..n]),
            Err(_) => heard_now.end = Some(End::Reset),
        }
        heard.1.notify_all();
        if heard_now.end.is_some() {
            return;
        }
    }
}
