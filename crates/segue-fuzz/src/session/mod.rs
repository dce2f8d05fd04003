//! What both sides' sessions share: a course through a conversation, and what must hold of it.

use bytes::Bytes;
use segue_proto::chunk::{Limits, Reader};
use segue_proto::outqueue::OutQueue;
use segue_proto::{Error, Moment, handshake};

pub(crate) mod client;
pub(crate) mod server;

/// For what a session itself writes.
const WHOLE: Limits = Limits { max_message: 0xff_ffff, max_partials: 64, max_partial_bytes: 32 << 20 };
/// Bytes that saved state may have beside what a session received and has still to send: its configuration, names of
/// streams, capabilities.
const MAX_STATE: usize = 16 << 10;

/// How bytes reach a session.
#[derive(Clone, Copy)]
struct Plan {
    /// In pieces that follow from this, or in one.
    seed: Option<u64>,
    /// Whether time goes on, and its caller acts on its own.
    lives: bool,
    /// Whether it is saved and restored after each step.
    moves: bool,
}

/// What came of it: events, bytes written, and what it ended with.
#[derive(PartialEq, Debug)]
struct Course<Event> {
    events: Vec<Event>,
    written: Vec<u8>,
    error: Option<Error>,
}

fn at(ms: u64) -> Moment {
    Moment::from_micros(ms * 1000)
}

fn drain(out: &mut OutQueue, to: &mut Vec<u8>) {
    while let Some(slice) = out.pop() {
        to.extend_from_slice(&slice);
    }
}

/// A byte of what waits leaves: the rest has to survive a move.
fn drip(out: &mut OutQueue, to: &mut Vec<u8>) {
    to.extend(out.front().and_then(|slice| slice.first()));
    out.advance(1);
}

/// Asserts that `written` is whole messages, as a peer reads them that has read what was written before by `reader`.
fn assert_readable(mut reader: Reader, written: &[u8]) {
    let before = reader.consumed();
    reader.push(Bytes::copy_from_slice(written));
    loop {
        match reader.next() {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => panic!("what it wrote is no chunks: {error}"),
        }
    }
    assert_eq!(reader.consumed() - before, written.len() as u64, "a chunk was not whole");
}

/// A reader that has read `written`, and how many bytes of a handshake are still to come before its chunks.
fn reader_of(written: &[u8]) -> (Reader, usize) {
    let mut reader = Reader::new(WHOLE);
    let handshake = written.len().min(handshake::LEN);
    reader.push(Bytes::copy_from_slice(&written[handshake..]));
    while reader.next().expect("our own chunks").is_some() {}
    (reader, handshake::LEN - handshake)
}
