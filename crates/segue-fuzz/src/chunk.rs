//! The chunk reader: it reads what the text says (`model`), any split reads the same messages, what is read is written
//! and read again the same, and memory is bounded by what came.

mod model;

use bytes::{Bytes, BytesMut};
use segue_proto::Error;
use segue_proto::chunk::{Headers, Limits, Reader, Writer};
use segue_proto::message::{Message, csid};
use segue_proto::outqueue::OutQueue;

use crate::check::bounded;
use crate::input::{Input, pieces};

/// Small ones, so that they are met.
const SMALL: Limits = Limits { max_message: 300, max_partials: 2, max_partial_bytes: 400 };
/// The longest chunk header: basic header, message header, extended timestamp.
const MAX_HEADER: usize = 3 + 11 + 4;
/// Bytes allocated at a time for each that came, in one piece: the input and its copy, an incomplete message that
/// doubles, and a chunk stream of 12 bytes on the wire.
const MAX_PER_BYTE: u64 = 64;
const MAX_FIXED: u64 = 4096;

/// Which limits, a seed of piece sizes, then a connection's bytes after the handshake.
pub fn chunk_reader(data: &[u8]) {
    let mut input = Input::new(data);
    let limits = input.pick(&[SMALL, Limits::BEFORE_PUBLISH, Limits::PUBLISHING]);
    let seed = u64::from(input.u8());
    let bytes = input.rest();

    let whole = read(limits, bytes, None);
    assert_eq!(read(limits, bytes, Some(seed)), whole);
    let expected = model::read(bytes);
    match &whole.error {
        Some(Error::LimitExceeded(_)) => assert!(expected.starts_with(&whole.messages)),
        _ => assert_eq!(whole.messages, expected, "not what the text says"),
    }
    assert!(whole.consumed <= bytes.len() as u64);
    let payload: usize = whole.messages.iter().map(|message| message.payload.len()).sum();
    assert!(payload <= bytes.len(), "more came out than went in");
    assert!(whole.messages.iter().all(|message| message.payload.len() <= limits.max_message as usize));

    // For some seeds one more: each is as much work as reading.
    match seed % 8 {
        0 => bounded(bytes.len(), MAX_FIXED, MAX_PER_BYTE, || {
            let mut reader = Reader::new(limits);
            reader.push(Bytes::copy_from_slice(bytes));
            while let Ok(Some(_)) = reader.next() {}
        }),
        1 => write_again(&whole.messages, Headers::Absolute, chunk_size(seed, payload)),
        2 => write_again(&whole.messages, Headers::Compressed, chunk_size(seed, payload)),
        _ => {}
    }
}

#[derive(PartialEq, Debug)]
struct Read {
    messages: Vec<Message>,
    error: Option<Error>,
    consumed: u64,
}

fn read(limits: Limits, bytes: &[u8], seed: Option<u64>) -> Read {
    let mut reader = Reader::new(limits);
    let mut messages = Vec::new();
    for piece in pieces(bytes, seed) {
        reader.push(piece);
        loop {
            match reader.next() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(reader.next(), Err(error.clone()), "an error is final");
                    return Read { messages, error: Some(error), consumed: reader.consumed() };
                }
            }
        }
        assert!(reader.waiting() < MAX_HEADER, "only a header may wait");
    }
    Read { messages, error: None, consumed: reader.consumed() }
}

/// Small for little, so that what is written is not mostly headers.
fn chunk_size(seed: u64, payload: usize) -> u32 {
    if payload < 256 { 1 + (seed >> 2) as u32 } else { 100 + seed as u32 }
}

/// The messages, written by our writer, as a server does (absolute) or as a client does (compressed).
fn write_again(messages: &[Message], headers: Headers, chunk_size: u32) {
    let (mut writer, mut out) = (Writer::new(headers), OutQueue::new());
    writer.set_chunk_size(chunk_size, &mut out);
    for message in messages {
        assert!(writer.write(csid::VIDEO, message, &mut out));
    }
    let mut bytes = BytesMut::with_capacity(out.len());
    while let Some(slice) = out.pop() {
        bytes.extend_from_slice(&slice);
    }
    let mut reader = Reader::new(Limits::PUBLISHING);
    let len = bytes.len() as u64;
    reader.push(bytes.freeze());
    for message in messages {
        match reader.next() {
            Ok(again) => assert_eq!(again.as_ref(), Some(message)),
            // One-byte chunks without end are more work than they are worth: a peer's fault, not this test's.
            Err(error) => return assert!(matches!(error, Error::LimitExceeded(_)), "{error}"),
        }
    }
    assert_eq!((reader.next(), reader.consumed()), (Ok(None), len));
}
