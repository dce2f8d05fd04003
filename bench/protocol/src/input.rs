//! What is decoded and encoded: a chunk stream, and the messages in it.

use bytes::Bytes;
use segue_proto::chunk::{Limits, Reader};
use segue_proto::message::Message;

const TARGET: usize = 100_000_000;

/// Bytes at a time: what a busy socket gives in one read.
pub const READ: usize = 64 << 10;

/// A chunk stream and its messages.
pub struct Capture {
    /// The bytes after the handshake.
    pub wire: Bytes,
    /// What they hold.
    pub messages: Vec<Message>,
    /// The chunk size that was in force at the end.
    pub chunk_size: u32,
}

impl Capture {
    /// The messages of an FLV file in chunks of this size, again and again.
    pub fn of_show(path: &str, chunk_size: u32) -> Self {
        let clip = tags(&std::fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}")));
        let mut wire = vec![2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];
        wire.extend(chunk_size.to_be_bytes());
        let mut known: [Option<u32>; 32] = [None; 32];
        let mut base = 0;
        while wire.len() < TARGET {
            for (kind, timestamp, body) in &clip {
                let csid = match kind {
                    8 => 4,
                    9 => 6,
                    _ => 5,
                };
                let at = base + timestamp;
                let last = known[usize::from(csid)].replace(at);
                chunks(&mut wire, csid, *kind, last, at, body, chunk_size as usize);
            }
            base += clip.last().map_or(0, |last| last.1) + 33;
        }
        Self::of(wire.into(), chunk_size)
    }

    fn of(wire: Bytes, chunk_size: u32) -> Self {
        let mut reader = Reader::new(Limits::PUBLISHING);
        reader.push(wire.clone());
        let mut messages = Vec::new();
        while let Some(message) = reader.next().expect("a chunk stream") {
            messages.push(message);
        }
        Self { wire, messages, chunk_size }
    }

    /// The messages, about [`READ`] bytes of them at a time.
    pub fn batches(&self) -> Vec<&[Message]> {
        let (mut batches, mut from, mut bytes) = (Vec::new(), 0, 0);
        for (n, message) in self.messages.iter().enumerate() {
            bytes += message.payload.len();
            if bytes >= READ || n + 1 == self.messages.len() {
                batches.push(&self.messages[from..=n]);
                (from, bytes) = (n + 1, 0);
            }
        }
        batches
    }
}

/// Kind, timestamp and body of each tag of an FLV file (Video File Format 10.1, E.4).
fn tags(mut bytes: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
    let mut tags = Vec::new();
    bytes = &bytes[13..];
    while bytes.len() > 11 {
        let size = u32::from_be_bytes([0, bytes[1], bytes[2], bytes[3]]) as usize;
        let timestamp = u32::from_be_bytes([bytes[7], bytes[4], bytes[5], bytes[6]]);
        tags.push((bytes[0], timestamp, bytes[11..11 + size].to_vec()));
        bytes = &bytes[11 + size + 4..];
    }
    tags
}

/// One message (RTMP 1.0, 5.3.1): format 0 where nothing was sent on the chunk stream before, else format 1.
fn chunks(wire: &mut Vec<u8>, csid: u8, kind: u8, last: Option<u32>, at: u32, body: &[u8], size: usize) {
    let time = last.map_or(at, |last| at.saturating_sub(last)).to_be_bytes();
    let length = (body.len() as u32).to_be_bytes();
    wire.push(if last.is_some() { 0x40 | csid } else { csid });
    wire.extend_from_slice(&time[1..]);
    wire.extend_from_slice(&length[1..]);
    wire.push(kind);
    if last.is_none() {
        wire.extend_from_slice(&1u32.to_le_bytes());
    }
    for (n, piece) in body.chunks(size).enumerate() {
        if n > 0 {
            wire.push(0xc0 | csid);
        }
        wire.extend_from_slice(piece);
    }
}
