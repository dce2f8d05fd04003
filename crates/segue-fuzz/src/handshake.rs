//! The handshake, as server and as client: any split gives the same answers and ends at the same byte, and a signature
//! that was tampered with is none.

use std::sync::LazyLock;

use bytes::BytesMut;
use segue_proto::Error;
use segue_proto::handshake::{Client, LEN, PACKET_LEN, RANDOM_LEN, Server};
use segue_proto::outqueue::OutQueue;

use crate::input::{Input, pieces};

/// Mode and seed of piece sizes. Then either a peer's bytes as they are, or changes to those of a real peer of ours:
/// place and value.
pub fn handshake(data: &[u8]) {
    let mut input = Input::new(data);
    let mode = input.u8();
    let seed = u64::from(input.u8());
    let (is_server, digest, raw) = (mode & 1 == 0, mode & 2 != 0, mode & 4 == 0);
    let (bytes, changed) = if raw {
        (input.rest().to_vec(), true)
    } else {
        let original = of_a_peer(is_server, digest);
        let mut bytes = original.to_vec();
        while !input.is_empty() {
            let (at, to) = (usize::from(input.u16()) % bytes.len(), input.u8());
            bytes[at] = to;
        }
        // What comes behind the handshake is not its.
        bytes.extend_from_slice(&[0x5a; 7]);
        let changed = bytes[..LEN] != *original;
        (bytes, changed)
    };

    let whole = run(is_server, digest, &bytes, None);
    assert_eq!(run(is_server, digest, &bytes, Some(seed)), whole);
    if whole.done {
        assert_eq!(whole.left, bytes.len() - LEN, "it ends at its last byte");
        assert_eq!(whole.written.len(), LEN, "and has said all of its own");
        assert_eq!(whole.written[0], 3);
        if !raw && !changed {
            assert_eq!(whole.signed, digest);
        }
        if !raw && digest && changed && !is_server {
            // One bit anywhere in what is signed undoes it; S0 and the unsigned simple echo are not.
            let same_packets = bytes[1..LEN] == of_a_peer(is_server, digest)[1..];
            assert!(
                same_packets || !whole.signed || raw_s1_only(&bytes),
                "tampered with, and taken for signed"
            );
        }
    } else {
        assert!(whole.error.is_some() || bytes.len() < LEN);
    }
}

/// Whether S2, which alone answers C1, is as it was: a client believes it, whatever S1 says of itself.
fn raw_s1_only(bytes: &[u8]) -> bool {
    bytes[1 + PACKET_LEN..LEN] == of_a_peer(false, true)[1 + PACKET_LEN..]
}

#[derive(PartialEq, Debug)]
struct Run {
    written: Vec<u8>,
    left: usize,
    done: bool,
    signed: bool,
    error: Option<Error>,
}

fn client(digest: bool) -> Client {
    static CLIENTS: LazyLock<[Client; 2]> =
        LazyLock::new(|| [Client::new([0x33; RANDOM_LEN], 7), Client::with_digest([0x33; RANDOM_LEN], 7)]);
    CLIENTS[usize::from(digest)].clone()
}

fn server() -> Server {
    Server::new([0x44; RANDOM_LEN], 9)
}

fn run(is_server: bool, digest: bool, bytes: &[u8], seed: Option<u64>) -> Run {
    let (mut server, mut client, mut out) = (server(), client(digest), OutQueue::new());
    if !is_server {
        client.start(&mut out);
    }
    let mut input = BytesMut::new();
    let mut error = None;
    for piece in pieces(bytes, seed) {
        input.extend_from_slice(&piece);
        let received = if is_server {
            server.receive(&mut input, &mut out)
        } else {
            client.receive(&mut input, &mut out)
        };
        match received {
            Ok(done) => assert_eq!(done, server.is_done() || client.is_done()),
            Err(e) => {
                error = Some(e);
                break;
            }
        }
    }
    let done = server.is_done() || client.is_done();
    let signed = server.is_signed() || client.is_signed();
    // After an error nobody looks at what is left.
    let left = if error.is_some() { 0 } else { input.len() };
    Run { written: drain(&mut out), left, done, signed, error }
}

/// What our server is sent by our client, or the reverse.
fn of_a_peer(to_server: bool, digest: bool) -> &'static [u8] {
    static PEERS: LazyLock<[Vec<u8>; 4]> = LazyLock::new(|| {
        [(false, false), (false, true), (true, false), (true, true)]
            .map(|(to_server, digest)| peer(to_server, digest))
    });
    &PEERS[usize::from(to_server) * 2 + usize::from(digest)]
}

fn peer(to_server: bool, digest: bool) -> Vec<u8> {
    let (mut server, mut client) = (server(), client(digest));
    let (mut up, mut down) = (OutQueue::new(), OutQueue::new());
    client.start(&mut up);
    let mut to_the_server = drain(&mut up);
    let mut input = BytesMut::from(to_the_server.as_slice());
    server.receive(&mut input, &mut down).expect("our own client");
    let to_the_client = drain(&mut down);
    client.receive(&mut BytesMut::from(to_the_client.as_slice()), &mut up).expect("our own server");
    to_the_server.extend(drain(&mut up));
    if to_server { to_the_server } else { to_the_client }
}

fn drain(out: &mut OutQueue) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(out.len());
    while let Some(slice) = out.pop() {
        bytes.extend_from_slice(&slice);
    }
    bytes
}
