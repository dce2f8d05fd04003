//! The simple handshake (RTMP 1.0, section 5.2): version, then 1536 bytes each way, then each side's echoed. Nothing is
//! signed and nothing proved by it. It ends where the chunks begin; what came after it stays with the caller.

use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::error::Error;
use crate::outqueue::OutQueue;

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
}

#[derive(Clone)]
enum ClientState {
    /// C0 and C1 wait to be sent.
    Idle(Bytes),
    /// For S0 and S1.
    AwaitS1,
    AwaitS2,
    Done,
}

impl Client {
    /// A client with these random bytes. `time_ms`, of any clock, is what C1 says the time is.
    pub fn new(random: [u8; RANDOM_LEN], time_ms: u32) -> Self {
        Self { state: ClientState::Idle(version_and_packet(&random, time_ms).freeze()), time_ms }
    }

    /// Sends C0 and C1; once.
    pub fn start(&mut self, out: &mut OutQueue) {
        if let ClientState::Idle(hello) = &mut self.state {
            out.push(std::mem::take(hello));
            self.state = ClientState::AwaitS1;
        }
    }

    /// It is `time_ms`, of the same clock as at the beginning: what the second time of the answer is to say.
    pub const fn tick(&mut self, time_ms: u32) {
        self.time_ms = time_ms;
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
                    let Some(s0s1) = take(input, 1 + PACKET_LEN) else { return Ok(false) };
                    out.push(echo(s0s1.get(1..).unwrap_or_default(), self.time_ms).freeze());
                    self.state = ClientState::AwaitS2;
                }
                ClientState::AwaitS2 => {
                    if take(input, PACKET_LEN).is_none() {
                        return Ok(false);
                    }
                    self.state = ClientState::Done;
                }
                ClientState::Done => return Ok(true),
            }
        }
    }

    /// Whether chunks may follow.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, ClientState::Done)
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
    AwaitC2,
    Done,
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
    /// # Errors
    /// `PeerIncompatible` if the client's version is below 3 or above 31 (text); to others the answer is 3.
    pub fn receive(&mut self, input: &mut BytesMut, out: &mut OutQueue) -> Result<bool, Error> {
        loop {
            match &mut self.state {
                ServerState::AwaitC1(hello) => {
                    if input.first().is_some_and(|version| !(VERSION..=31).contains(version)) {
                        return Err(Error::PeerIncompatible("client does not speak RTMP"));
                    }
                    let Some(c0c1) = take(input, 1 + PACKET_LEN) else { return Ok(false) };
                    let mut answer = std::mem::take(hello);
                    answer.unsplit(echo(c0c1.get(1..).unwrap_or_default(), self.time_ms));
                    out.push(answer.freeze());
                    self.state = ServerState::AwaitC2;
                }
                ServerState::AwaitC2 => {
                    if take(input, PACKET_LEN).is_none() {
                        return Ok(false);
                    }
                    self.state = ServerState::Done;
                }
                ServerState::Done => return Ok(true),
            }
        }
    }

    /// Whether chunks may follow.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, ServerState::Done)
    }
}

/// Without the random bytes.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            ClientState::Idle(_) => "handshake::Client::Idle",
            ClientState::AwaitS1 => "handshake::Client::AwaitS1",
            ClientState::AwaitS2 => "handshake::Client::AwaitS2",
            ClientState::Done => "handshake::Client::Done",
        })
    }
}

/// Without the random bytes.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            ServerState::AwaitC1(_) => "handshake::Server::AwaitC1",
            ServerState::AwaitC2 => "handshake::Server::AwaitC2",
            ServerState::Done => "handshake::Server::Done",
        })
    }
}

/// C0 and C1, or S0 and S1: version, time, four zero bytes (any others would say "digest handshake"), random bytes.
fn version_and_packet(random: &[u8], time_ms: u32) -> BytesMut {
    let mut bytes = BytesMut::with_capacity(1 + 2 * PACKET_LEN);
    bytes.extend_from_slice(&[VERSION]);
    bytes.extend_from_slice(&time_ms.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(random);
    bytes
}

/// C2 or S2: the peer's packet again, with the time at which it was read in the second field.
fn echo(packet: &[u8], time_ms: u32) -> BytesMut {
    let mut bytes = BytesMut::from(packet);
    bytes.iter_mut().skip(4).zip(time_ms.to_be_bytes()).for_each(|(to, from)| *to = from);
    bytes
}

/// The first `n` bytes of `input`, once they are there.
fn take(input: &mut BytesMut, n: usize) -> Option<BytesMut> {
    (input.len() >= n).then(|| input.split_to(n))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drain(out: &mut OutQueue) -> BytesMut {
        let mut bytes = BytesMut::new();
        while let Some(slice) = out.pop() {
            bytes.extend_from_slice(&slice);
        }
        bytes
    }

    fn packet(first_8: [u8; 8], random: u8) -> Vec<u8> {
        [&first_8[..], &[random; RANDOM_LEN]].concat()
    }

    #[test]
    fn golden_bytes_of_both_sides() {
        let mut out = OutQueue::new();
        let mut client = Client::new([0xC1; RANDOM_LEN], 0x0102_0304);
        let mut server = Server::new([0x51; RANDOM_LEN], 0x0A0B_0C0D);
        client.start(&mut out);
        client.start(&mut out);
        let mut c0c1 = drain(&mut out);
        let c1 = packet([1, 2, 3, 4, 0, 0, 0, 0], 0xC1);
        assert_eq!(c0c1[..], [&[3][..], &c1].concat());

        assert_eq!(server.receive(&mut c0c1, &mut out), Ok(false));
        let mut s0s1s2 = drain(&mut out);
        let s1 = packet([0x0A, 0x0B, 0x0C, 0x0D, 0, 0, 0, 0], 0x51);
        let s2 = packet([1, 2, 3, 4, 0x0A, 0x0B, 0x0C, 0x0D], 0xC1);
        assert_eq!(s0s1s2[..], [&[3][..], &s1, &s2].concat());

        s0s1s2.extend_from_slice(b"chunks");
        assert_eq!(client.receive(&mut s0s1s2, &mut out), Ok(true));
        assert_eq!(s0s1s2[..], b"chunks"[..]);
        let mut c2 = drain(&mut out);
        assert_eq!(c2[..], packet([0x0A, 0x0B, 0x0C, 0x0D, 1, 2, 3, 4], 0x51));

        c2.extend_from_slice(b"connect");
        assert_eq!(server.receive(&mut c2, &mut out), Ok(true));
        assert_eq!(c2[..], b"connect"[..]);
        assert!(out.is_empty() && server.is_done() && client.is_done());
        assert_eq!(server.receive(&mut c2, &mut out), Ok(true));
        assert_eq!(c2.len(), 7);
    }

    #[test]
    fn versions_3_to_31_are_answered_with_3() {
        for version in 0..=255 {
            let mut server = Server::new([0; RANDOM_LEN], 0);
            let (mut input, mut out) = (BytesMut::from(&[version][..]), OutQueue::new());
            // The version alone is enough to refuse.
            let first = server.receive(&mut input, &mut out);
            assert_eq!(first.is_ok(), (3..=31).contains(&version), "version {version}");
            assert!(out.is_empty());
            if first.is_ok() {
                input.extend_from_slice(&[0; PACKET_LEN]);
                assert_eq!(server.receive(&mut input, &mut out), Ok(false));
                assert_eq!((drain(&mut out)[0], input.len()), (3, 0));
            }
        }
    }

    #[test]
    fn a_client_takes_any_echo_but_no_other_version() {
        let mut out = OutQueue::new();
        let mut client = Client::new([7; RANDOM_LEN], 0);
        let mut input = BytesMut::from(&[3][..]);
        assert!(matches!(client.receive(&mut input, &mut out), Err(Error::Misuse(_))));
        client.start(&mut out);
        let mut other = client.clone();
        assert!(matches!(
            other.receive(&mut BytesMut::from(&[6][..]), &mut out),
            Err(Error::PeerIncompatible(_))
        ));
        input.extend_from_slice(&[0xEE; 2 * PACKET_LEN]);
        assert_eq!(client.receive(&mut input, &mut out), Ok(true));
        assert_eq!(out.len(), LEN);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(sizes in proptest::collection::vec(1..2000_usize, 1..6), tail in 0..20_usize) {
            let stream = [vec![3], vec![9; LEN - 1 + tail]].concat();
            let mut server = Server::new([1; RANDOM_LEN], 5);
            let mut client = Client::new([1; RANDOM_LEN], 5);
            let (mut to_client, mut to_server) = (OutQueue::new(), OutQueue::new());
            client.start(&mut to_server);
            let (mut a, mut b) = (BytesMut::new(), BytesMut::new());
            let (mut left, mut fed) = (&stream[..], 0);
            for size in sizes.iter().cycle() {
                let (piece, rest) = left.split_at((*size).min(left.len()));
                left = rest;
                fed += piece.len();
                a.extend_from_slice(piece);
                b.extend_from_slice(piece);
                prop_assert_eq!(server.receive(&mut a, &mut to_client), Ok(fed >= LEN));
                prop_assert_eq!(client.receive(&mut b, &mut to_server), Ok(fed >= LEN));
                if left.is_empty() {
                    break;
                }
            }
            prop_assert_eq!((a.len(), b.len()), (tail, tail));
            prop_assert_eq!((to_client.len(), to_server.len()), (LEN, LEN));
        }
    }
}
