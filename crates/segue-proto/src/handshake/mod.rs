//! The handshake (RTMP 1.0, section 5.2): version, then 1536 bytes each way, then an answer to each side's. Here are
//! both sides' states, and where it ends: there the chunks begin, and what came after it stays with the caller.
//! `simple` is what the specification has, where an answer is an echo; `digest` is what Flash made of it, where
//! the packets are signed. Neither proves who a peer is.
//!
//! A server signs for a client that signed rightly, and for no other. A client signs if it is told to, and takes
//! whatever a server answers.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used))]

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

use self::digest::{Digest, Scheme, Side};
use self::simple::{echo, version_and_packet};
use crate::error::Error;
use crate::outqueue::OutQueue;
use crate::state;

mod digest;
mod simple;

/// The version of plain RTMP, in C0 and S0 (5.2.2).
pub const VERSION: u8 = 3;
/// Bytes of C1, S1, C2 and S2.
pub const PACKET_LEN: usize = 1536;
/// Random bytes in C1 and S1.
pub const RANDOM_LEN: usize = 1528;
/// What each side receives before the first chunk: C0, C1 and C2, or S0, S1 and S2.
pub const LEN: usize = 1 + 2 * PACKET_LEN;

/// A client's side. Plain data.
#[derive(Clone)]
pub struct Client {
    state: ClientState,
    time_ms: u32,
    /// Of C1, as long as S2 may answer it.
    digest: Option<Digest>,
}

#[derive(Clone)]
enum ClientState {
    /// C0 and C1 wait to be sent.
    Idle(Bytes),
    /// For S0 and S1.
    AwaitS1,
    AwaitS2,
    Done {
        signed: bool,
    },
}

impl Client {
    /// A client with these random bytes, for the simple handshake, which every server knows. `time_ms`, of any clock,
    /// is what C1 says the time is.
    pub fn new(random: [u8; RANDOM_LEN], time_ms: u32) -> Self {
        let hello = version_and_packet(&random, time_ms).freeze();
        Self { state: ClientState::Idle(hello), time_ms, digest: None }
    }

    /// The same with a digest in C1, as ffmpeg has it: for servers that look for one. With others it comes to the
    /// simple handshake.
    pub fn with_digest(random: [u8; RANDOM_LEN], time_ms: u32) -> Self {
        let mut hello = version_and_packet(&random, time_ms);
        let digest = packet_mut(&mut hello).and_then(|c1| digest::imprint(c1, Scheme::First, Side::Client));
        Self { state: ClientState::Idle(hello.freeze()), time_ms, digest }
    }

    /// It is `time_ms`, of the same clock as at the beginning: what the second time of the answer is to say.
    pub const fn tick(&mut self, time_ms: u32) {
        self.time_ms = time_ms;
    }

    /// Sends C0 and C1; once.
    pub fn start(&mut self, out: &mut OutQueue) {
        if let ClientState::Idle(hello) = &mut self.state {
            out.push(std::mem::take(hello));
            self.state = ClientState::AwaitS1;
        }
    }

    /// Takes what belongs to the handshake from `input`, and answers. True once it is done.
    ///
    /// What S2 echoes is not looked at: too many servers deviate, and nothing hangs on it.
    ///
    /// # Errors
    /// `PeerIncompatible` if the server's version is not 3, `Misuse` before [`start`](Self::start).
    pub fn receive(&mut self, input: &mut BytesMut, out: &mut OutQueue) -> Result<bool, Error> {
        loop {
            match self.state {
                ClientState::Idle(_) => return Err(Error::Misuse("handshake not started")),
                ClientState::AwaitS1 => {
                    if input.first().is_some_and(|version| *version != VERSION) {
                        return Err(Error::PeerIncompatible("server's RTMP version is not 3"));
                    }
                    let Some((_, s1)) = take_hello(input) else { return Ok(false) };
                    out.push(self.c2(&s1));
                    self.state = ClientState::AwaitS2;
                }
                ClientState::AwaitS2 => {
                    let Some(s2) = take(input) else { return Ok(false) };
                    let signed = self.digest.take().is_some_and(|c1| digest::answers(&s2, &c1, Side::Server));
                    self.state = ClientState::Done { signed };
                }
                ClientState::Done { .. } => return Ok(true),
            }
        }
    }

    /// Whether chunks may follow.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, ClientState::Done { .. })
    }

    /// Whether it is done, and the server signed S1 and S2 rightly. Anybody can: it says what software is there.
    pub const fn is_signed(&self) -> bool {
        matches!(self.state, ClientState::Done { signed: true })
    }

    /// What answers `s1`: signed if both C1 and `s1` are.
    fn c2(&mut self, s1: &[u8; PACKET_LEN]) -> Bytes {
        let mut c2 = echo(s1, self.time_ms);
        let found = self.digest.and_then(|_| digest::find(s1, Side::Server));
        match found {
            Some((_, digest)) => _ = digest::sign(&mut c2, &digest, Side::Client),
            None => self.digest = None,
        }
        Bytes::copy_from_slice(&c2)
    }
}

/// A server's side. Plain data.
#[derive(Clone)]
pub struct Server {
    state: ServerState,
    time_ms: u32,
}

#[derive(Clone)]
enum ServerState {
    /// For C0 and C1; S0 and S1 wait to be sent.
    AwaitC1(BytesMut),
    AwaitC2 {
        signed: bool,
    },
    Done {
        signed: bool,
    },
}

impl Server {
    /// A server with these random bytes. `time_ms`, of any clock, is what S1 says the time is.
    pub fn new(random: [u8; RANDOM_LEN], time_ms: u32) -> Self {
        Self { state: ServerState::AwaitC1(version_and_packet(&random, time_ms)), time_ms }
    }

    /// It is `time_ms`, of the same clock as at the beginning: what the second time of the answer is to say.
    pub const fn tick(&mut self, time_ms: u32) {
        self.time_ms = time_ms;
    }

    /// Takes what belongs to the handshake from `input`, and answers. True once it is done.
    ///
    /// Nothing in C2 is looked at: what ffmpeg signs there is not what librtmp does.
    ///
    /// # Errors
    /// `PeerIncompatible` if the client's version is below 3 or above 31 (text); to others the answer is 3.
    pub fn receive(&mut self, input: &mut BytesMut, out: &mut OutQueue) -> Result<bool, Error> {
        loop {
            match &mut self.state {
                ServerState::AwaitC1(hello) => {
                    if input.first().is_some_and(|version| !(VERSION..=31).contains(version)) {
                        return Err(Error::PeerIncompatible("client does not speak RTMP"));
                    }
                    let Some((_, c1)) = take_hello(input) else { return Ok(false) };
                    let mut answer = std::mem::take(hello);
                    let mut s2 = echo(&c1, self.time_ms);
                    let found = digest::find(&c1, Side::Client);
                    if let (Some((scheme, digest)), Some(s1)) = (found, packet_mut(&mut answer)) {
                        digest::imprint(s1, scheme, Side::Server);
                        digest::sign(&mut s2, &digest, Side::Server);
                    }
                    answer.extend_from_slice(&s2);
                    out.push(answer.freeze());
                    self.state = ServerState::AwaitC2 { signed: found.is_some() };
                }
                ServerState::AwaitC2 { signed } => {
                    let signed = *signed;
                    if take(input).is_none() {
                        return Ok(false);
                    }
                    self.state = ServerState::Done { signed };
                }
                ServerState::Done { .. } => return Ok(true),
            }
        }
    }

    /// Whether chunks may follow.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, ServerState::Done { .. })
    }

    /// Whether it is done, and the client signed C1 rightly. Anybody can: it says what software is there.
    pub const fn is_signed(&self) -> bool {
        matches!(self.state, ServerState::Done { signed: true })
    }
}

state::plain!(struct Client { state, time_ms, digest });
state::plain!(enum ClientState { 0 => Idle(hello), 1 => AwaitS1, 2 => AwaitS2, 3 => Done { signed } });
state::plain!(struct Server { state, time_ms } if |server| match &server.state {
    ServerState::AwaitC1(hello) => hello.len() == 1 + PACKET_LEN,
    _ => true,
});
state::plain!(enum ServerState { 0 => AwaitC1(hello), 1 => AwaitC2 { signed }, 2 => Done { signed } });

/// Without the random bytes.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            ClientState::Idle(_) => "handshake::Client::Idle",
            ClientState::AwaitS1 => "handshake::Client::AwaitS1",
            ClientState::AwaitS2 => "handshake::Client::AwaitS2",
            ClientState::Done { .. } => "handshake::Client::Done",
        })
    }
}

/// Without the random bytes.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            ServerState::AwaitC1(_) => "handshake::Server::AwaitC1",
            ServerState::AwaitC2 { .. } => "handshake::Server::AwaitC2",
            ServerState::Done { .. } => "handshake::Server::Done",
        })
    }
}

/// The packet behind the version, in C0 and C1 or S0 and S1.
fn packet_mut(hello: &mut BytesMut) -> Option<&mut [u8; PACKET_LEN]> {
    hello.get_mut(1..)?.first_chunk_mut()
}

/// Takes version and packet, once both are there.
fn take_hello(input: &mut BytesMut) -> Option<(u8, [u8; PACKET_LEN])> {
    let (version, rest) = input.split_first()?;
    let hello = (*version, *rest.first_chunk()?);
    input.advance(1 + PACKET_LEN);
    Some(hello)
}

/// Takes a packet, once it is there.
fn take(input: &mut BytesMut) -> Option<[u8; PACKET_LEN]> {
    let packet = *input.first_chunk()?;
    input.advance(PACKET_LEN);
    Some(packet)
}

#[cfg(test)]
mod tests;
