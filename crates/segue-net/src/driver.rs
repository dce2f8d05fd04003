//! The driver: executes what a [`Machine`] asks for on tokio sockets, and tells it what came of it. Owns the sockets
//! and the dials under way; decides nothing about the protocol, and queues nothing: what waits to be written waits in
//! the machine's own queues, what was read goes to the machine at once.
//!
//! A driver belongs to one task. Its owner alternates between [`Driver::next_action`], which does everything that can
//! be done without waiting, and [`Driver::ready`], which waits until there is more.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use segue_proto::Moment;
use segue_proto::client::{Action, Closed, ConnId, DialError, Machine};
use segue_proto::outqueue::OutQueue;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::clock;
use crate::dial::{Purpose, dial};

/// Bytes asked of a socket in one read.
const READ_SIZE: usize = 64 * 1024;
/// Reads of one socket before the others, and the machine's actions, have their turn.
const READS_A_PASS: usize = 4;
/// Passes before the owner has its turn, so that a peer that floods us cannot keep it from stopping.
const PASSES_A_TURN: usize = 64;
/// Slices of one vectored write.
const SLICES_A_WRITE: usize = 64;

type Dialed = Result<(TcpStream, SocketAddr), DialError>;
type Dialing = Pin<Box<dyn Future<Output = Dialed> + Send>>;

/// A machine and its sockets.
pub(crate) struct Driver<M> {
    machine: M,
    purpose: Purpose,
    conns: BTreeMap<ConnId, Conn>,
    dialing: BTreeMap<ConnId, Dialing>,
    timer: Option<Pin<Box<Sleep>>>,
    /// The last turn ended before everything was done.
    unfinished: bool,
}

impl<M: Machine> Driver<M> {
    /// A driver of `machine`, whose first actions it will find by itself.
    pub(crate) fn new(machine: M, purpose: Purpose) -> Self {
        Self {
            machine,
            purpose,
            conns: BTreeMap::new(),
            dialing: BTreeMap::new(),
            timer: None,
            unfinished: false,
        }
    }

    /// The machine, to give it input. [`next_action`](Self::next_action) must follow.
    pub(crate) fn machine(&mut self) -> &mut M {
        &mut self.machine
    }

    /// Reads, writes and executes until nothing is left to do without waiting; returns early with what concerns the
    /// owner. Sockets are read only here, so an owner that cannot take media stops the peer by not calling it.
    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.unfinished = false;
        for _ in 0..PASSES_A_TURN {
            while let Some(action) = self.machine.poll_action() {
                if let Some(action) = self.execute(action) {
                    return Some(action);
                }
            }
            if !self.pass(clock::now()) {
                return None;
            }
        }
        self.unfinished = true;
        None
    }

    /// Waits until a socket is ready, a dial has ended or the machine's timer is due. Cancelling it loses nothing.
    pub(crate) async fn ready(&mut self) {
        if self.unfinished {
            tokio::task::yield_now().await;
        } else {
            poll_fn(|cx| self.poll_ready(cx)).await;
        }
    }

    fn execute(&mut self, action: Action) -> Option<Action> {
        match action {
            Action::Dial { conn, url, attempt } => {
                let purpose = self.purpose;
                self.dialing.insert(conn, Box::pin(async move { dial(&url, attempt, purpose).await }));
            }
            Action::ShutdownWrite(conn) => {
                if let Some(conn) = self.conns.get_mut(&conn) {
                    conn.write_side = conn.write_side.ending();
                }
                self.write(conn, clock::now());
            }
            Action::Close(conn) => {
                // The machine's last words are written if the socket takes them at once.
                self.write(conn, clock::now());
                self.conns.remove(&conn);
                self.dialing.remove(&conn);
            }
            for_the_owner => return Some(for_the_owner),
        }
        None
    }

    /// One turn for everyone: each socket read, the timer, each socket written. Whether anything happened.
    fn pass(&mut self, now: Moment) -> bool {
        let ids: Vec<ConnId> = self.conns.keys().copied().collect();
        let mut progress = false;
        for &id in &ids {
            progress |= self.read(id, now);
        }
        // After the reads: what lies in the socket already may be just what the timer waits for.
        if self.machine.wake_at().is_some_and(|at| at <= now) {
            self.machine.handle_timeout(now);
            progress |= self.machine.wake_at().is_none_or(|at| at > now);
        }
        for id in ids {
            progress |= self.write(id, now);
        }
        progress
    }

    fn read(&mut self, id: ConnId, now: Moment) -> bool {
        let mut progress = false;
        for _ in 0..READS_A_PASS {
            let Some(conn) = self.conns.get_mut(&id) else { break };
            match conn.read() {
                Read::Data(data) => self.machine.received(id, data, now),
                Read::Closed(how) => {
                    if matches!(how, Closed::Reset) {
                        self.conns.remove(&id);
                    }
                    tracing::debug!(conn = id.0, ?how, "the peer ended");
                    self.machine.peer_closed(id, how, now);
                    return true;
                }
                Read::Nothing => break,
            }
            progress = true;
        }
        progress
    }

    fn write(&mut self, id: ConnId, now: Moment) -> bool {
        let Some(conn) = self.conns.get_mut(&id) else { return false };
        let mut progress = false;
        conn.blocked = false;
        // The machine encodes more whenever the queue runs low, so ask it again after each write.
        while let Some(out) = self.machine.transmit(id, now) {
            if out.is_empty() {
                break;
            }
            if conn.write_side.is_over() {
                out.clear();
                break;
            }
            match conn.write(out) {
                Ok(written) => {
                    out.advance(written);
                    progress = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    conn.blocked = true;
                    return progress;
                }
                // The read side says what became of the connection, and may hold the peer's last acknowledgement.
                Err(_) => conn.write_side = WriteSide::Failed,
            }
        }
        conn.finish_writing();
        progress
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut ready = false;
        let mut ended = Vec::new();
        for (&id, dialing) in &mut self.dialing {
            if let Poll::Ready(result) = dialing.as_mut().poll(cx) {
                ended.push((id, result));
            }
        }
        for (id, result) in ended {
            self.dialing.remove(&id);
            match &result {
                Ok((_, address)) => tracing::debug!(conn = id.0, %address, "connected"),
                Err(error) => tracing::debug!(conn = id.0, %error, "not connected"),
            }
            let result = result.map(|(stream, address)| {
                self.conns.insert(id, Conn::new(stream));
                address.to_string()
            });
            self.machine.dialed(id, result, clock::now());
            ready = true;
        }
        for conn in self.conns.values() {
            ready |= conn.poll_ready(cx);
        }
        ready |= self.poll_timer(cx);
        if ready { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(at) = self.machine.wake_at() else {
            self.timer = None;
            return false;
        };
        let at = clock::instant(at);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(cx).is_ready()
    }
}

/// How far the writing side of a socket is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum WriteSide {
    Open,
    /// To be shut down once the queue is empty.
    Ending,
    Shut,
    Failed,
}

impl WriteSide {
    fn ending(self) -> Self {
        if self == Self::Open { Self::Ending } else { self }
    }

    fn is_over(self) -> bool {
        matches!(self, Self::Shut | Self::Failed)
    }
}

enum Read {
    Data(Bytes),
    Closed(Closed),
    Nothing,
}

/// One socket.
struct Conn {
    stream: TcpStream,
    buffer: BytesMut,
    /// The peer has ended its side, and the machine was told.
    ended: bool,
    write_side: WriteSide,
    /// The last write found the socket full: wait for it.
    blocked: bool,
}

impl Conn {
    fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: BytesMut::new(), ended: false, write_side: WriteSide::Open, blocked: false }
    }

    fn read(&mut self) -> Read {
        if self.ended {
            return Read::Nothing;
        }
        self.buffer.reserve(READ_SIZE);
        match self.stream.try_read_buf(&mut self.buffer) {
            Ok(0) => {
                self.ended = true;
                Read::Closed(Closed::Eof)
            }
            Ok(_) => {
                // A copy of its own size: what is kept of it must not keep a whole buffer.
                let data = Bytes::copy_from_slice(&self.buffer);
                self.buffer.clear();
                Read::Data(data)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Read::Nothing,
            Err(_) => {
                self.ended = true;
                Read::Closed(Closed::Reset)
            }
        }
    }

    fn write(&self, out: &OutQueue) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES_A_WRITE];
        let used = out.io_slices(&mut slices);
        self.stream.try_write_vectored(slices.get(..used).unwrap_or(&slices))
    }

    /// The queue is empty: half-close now, if that was asked for.
    fn finish_writing(&mut self) {
        if self.write_side == WriteSide::Ending {
            // An error means that the connection is gone already, which the read side reports.
            let _ = SockRef::from(&self.stream).shutdown(Shutdown::Write);
            self.write_side = WriteSide::Shut;
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> bool {
        let readable = !self.ended && self.stream.poll_read_ready(cx).is_ready();
        let writable = self.blocked && self.stream.poll_write_ready(cx).is_ready();
        readable || writable
    }
}

#[cfg(test)]
mod tests;
