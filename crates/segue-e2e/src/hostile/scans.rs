//! Two attacks of two connections each on one stream, whose log is first filled with a hundred thousand messages: then a
//! few bytes make the server look something up in it, if it looks without a bound.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::bytes::{ONE_CHUNK, basic, command, header, null, number, set_chunk_size};
use super::{Peer, Stage, Taken};
use crate::bench::at;

/// An attack: gives the bytes that were sent after the log was full, which it says by the call.
pub type Scan = fn(SocketAddr, &mut dyn FnMut()) -> Result<u64, String>;
/// Both, by name.
pub const ALL: [(&str, Scan); 2] =
    [("sound before a picture, in many legs", leading), ("media of a publisher that was replaced", late)];
/// Connections of the longer of them.
pub const CONNECTIONS: usize = 1 + LEGS;
/// The documented bound of a stream's log, by connections.
pub const MAY_HOLD: u64 = (64 << 20) / CONNECTIONS as u64;

const AUDIO: u8 = 8;
const DATA: u8 = 18;
/// Messages that fill a log of 64 MiB nearly: each counts 512 bytes and its payload.
const FILL: usize = 100_000;
/// Each of so many bytes, which pays for its work.
const BODY: usize = 16;
/// Legs, and how many messages of each wait for its first picture.
const LEGS: usize = 8;
const LEADING: usize = 990;
/// Who is silent for 2 s may be replaced.
const SILENCE: Duration = Duration::from_millis(2500);
/// What a replaced publisher still sends.
const LATE: usize = 30_000;

fn publisher(server: SocketAddr, name: &str) -> Result<Peer, String> {
    Peer::connect(server, Stage::Publishing, "", name)
}

/// Messages of that byte on one chunk stream: one header and many continuations.
fn many(csid: u32, type_id: u8, byte: u8, count: usize) -> Vec<u8> {
    let body = [byte; BODY];
    let next = [&basic(3, csid)[..], &body].concat();
    [set_chunk_size(ONE_CHUNK), header(csid, type_id, 1, BODY as u32), body.to_vec(), next.repeat(count - 1)]
        .concat()
}

/// The stream's end: what is kept of it is let go earlier than that of a publisher that was lost.
fn finish(mut publisher: Peer) -> Result<(), String> {
    publisher.send(&command("deleteStream", 0.0, &[null(), number(1.0)].concat(), 0));
    publisher.leave()
}

fn filled(server: SocketAddr, name: &str) -> Result<Peer, String> {
    let mut peer = publisher(server, name)?;
    peer.send(&many(6, AUDIO, 0x2f, FILL));
    match peer.is_taken()? {
        Taken::Served => Ok(peer),
        Taken::Ended => Err("filling: ended".to_owned()),
    }
}

/// Each leg that follows waits for its first picture, and of each of its messages it is asked whether the log has video.
fn leading(server: SocketAddr, full: &mut dyn FnMut()) -> Result<u64, String> {
    const NAME: &str = "hostile/leading";
    filled(server, NAME)?.leave()?;
    full();
    let mut sent = 0;
    for _ in 0..LEGS {
        let mut leg = publisher(server, NAME)?;
        leg.send(&many(4, DATA, 0x2f, LEADING));
        leg.is_taken()?;
        sent += leg.sent;
        leg.leave()?;
    }
    finish(publisher(server, NAME)?)?;
    Ok(sent)
}

/// Who has lost its claim and sends on is asked of each message whether its successor brought it.
fn late(server: SocketAddr, full: &mut dyn FnMut()) -> Result<u64, String> {
    const NAME: &str = "hostile/late";
    let mut old = filled(server, NAME)?;
    full();
    at(Instant::now() + SILENCE);
    let new = publisher(server, NAME)?;
    // The claim passes when the hold is over: the old one is told by a FIN, and sends on.
    old.is_ended()?;
    let before = old.sent;
    // The log has nothing like it.
    old.send_on(&many(6, AUDIO, 0x2e, LATE));
    let sent = old.sent - before;
    old.leave()?;
    // Each loop of the server is through with it when it answers somebody else.
    for _ in 0..16 {
        Peer::connect(server, Stage::Connected, "live/cam", "")?.leave()?;
    }
    finish(new)?;
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::bytes::{handshake, message};

    #[test]
    fn many_messages_are_as_many() {
        let found = crate::wire::messages(
            &[handshake(), many(6, AUDIO, 0x2f, 5), message(6, 9, 1, &[], 128)].concat(),
        );
        assert_eq!(found.len(), 6);
        assert!(found[..5].iter().all(|m| m.type_id == AUDIO && m.payload == [0x2f; BODY] && m.stream == 1));
    }
}
