//! `Writer`: cuts one connection's messages into chunks. Everything a connection sends after the handshake goes through
//! its writer (or is a [`super::Frame`] cut for the writer's chunk size), in whole messages.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::header::{EXTENDED, Format};
use super::{DEFAULT_CHUNK_SIZE, MAX_CHUNK_SIZE};
use crate::message::{ChunkStreamId, Message, MessageStreamId, csid, type_id};
use crate::outqueue::{OutQueue, SHARE_FROM};
use crate::state;
use crate::timestamp::Timestamp;

/// Which message headers a [`Writer`] uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Headers {
    /// Always format 0, with the absolute timestamp: each message stands alone. For servers, whose connections also
    /// carry [`super::Frame`]s, of which the writer knows nothing.
    Absolute,
    /// The shortest format that says it. For clients.
    Compressed,
}

/// Cuts messages into chunks. Plain data.
#[derive(Clone, Debug)]
pub struct Writer {
    headers: Headers,
    chunk_size: u32,
    /// The last message on each chunk stream; kept for [`Headers::Compressed`] only. As many as the caller uses ids.
    last: BTreeMap<ChunkStreamId, Last>,
}

/// What the next header on a chunk stream may leave out.
#[derive(Clone, Debug)]
struct Last {
    timestamp: Timestamp,
    stream_id: MessageStreamId,
    length: u32,
    type_id: u8,
    /// The delta that stood in the last header, if it was not format 0.
    delta: Option<u32>,
}

impl Last {
    /// The shortest header for a message like this, unless only a full one will do.
    fn shorter(&self, message: &Last) -> Option<Format> {
        // A step back has no delta, and one that needs an extended timestamp is read as absolute by some servers.
        let delta = u32::try_from(message.timestamp.since(self.timestamp)).ok().filter(|d| *d < EXTENDED)?;
        if message.stream_id != self.stream_id {
            return None;
        }
        if message.length != self.length || message.type_id != self.type_id {
            return Some(Format::SameStream { delta, length: message.length, type_id: message.type_id });
        }
        // Format 3 repeats a delta only where one stood before: after format 0 readers disagree on what is repeated.
        if self.delta == Some(delta) {
            return Some(Format::Same { extended: None });
        }
        Some(Format::SameLength { delta })
    }
}

state::plain!(enum Headers { 0 => Absolute, 1 => Compressed });
state::plain!(struct Writer { headers, chunk_size, last } if |writer| (1..=MAX_CHUNK_SIZE).contains(&writer.chunk_size));
state::plain!(struct Last { timestamp, stream_id, length, type_id, delta });

impl Writer {
    /// A writer at the start of a connection, with chunks of [`DEFAULT_CHUNK_SIZE`] bytes.
    pub const fn new(headers: Headers) -> Self {
        Self { headers, chunk_size: DEFAULT_CHUNK_SIZE, last: BTreeMap::new() }
    }

    /// Bytes of payload in a chunk.
    pub const fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// Sends Set Chunk Size, and cuts what follows to `size` bytes; brought into 1..=[`MAX_CHUNK_SIZE`].
    pub fn set_chunk_size(&mut self, size: u32, out: &mut OutQueue) {
        let size = size.clamp(1, MAX_CHUNK_SIZE);
        let body = Bytes::copy_from_slice(&size.to_be_bytes());
        self.write(csid::CONTROL, &Message::control(type_id::SET_CHUNK_SIZE, body), out);
        self.chunk_size = size;
    }

    /// Appends `message` to `out`, in chunks on `csid`. The payload's slices are shared, not copied.
    ///
    /// Returns false, with nothing written, if the payload is longer than [`Message::MAX_PAYLOAD`].
    pub fn write(&mut self, csid: ChunkStreamId, message: &Message, out: &mut OutQueue) -> bool {
        if message.payload.len() > Message::MAX_PAYLOAD {
            return false;
        }
        let format = self.format(csid, message);
        out.copy(&format.encode(csid));
        let (payload, size) = (&message.payload, self.chunk_size as usize);
        if payload.len() <= size {
            out.share(payload);
            return true;
        }
        let between = format.between(csid);
        if size < SHARE_FROM {
            out.copy_cut(payload, size, &between);
            return true;
        }
        let mut left = payload.clone();
        while left.len() > size {
            let behind = left.len().saturating_sub(size);
            if behind < SHARE_FROM {
                // The last of it is copied, so that this is the last piece that is shared.
                left.truncate(size);
                out.push(left);
                out.copy(&between);
                out.copy(payload.get(payload.len().saturating_sub(behind)..).unwrap_or_default());
                return true;
            }
            out.push(left.split_to(size));
            out.copy(&between);
        }
        out.push(left);
        true
    }

    /// The header for `message`, which becomes the last one on `csid`.
    fn format(&mut self, csid: ChunkStreamId, message: &Message) -> Format {
        let full = Format::full(message, message.stream_id);
        // Control messages are rare, and some peers insist on full headers for them.
        if self.headers == Headers::Absolute || csid == csid::CONTROL {
            return full;
        }
        let Message { type_id, stream_id, timestamp, .. } = *message;
        let mut next =
            Last { timestamp, stream_id, length: message.payload.len() as u32, type_id, delta: None };
        let last = self.last.get(&csid);
        let format = last.and_then(|last| last.shorter(&next)).unwrap_or(full);
        next.delta = match format {
            Format::Full { .. } => None,
            Format::SameStream { delta, .. } | Format::SameLength { delta } => Some(delta),
            Format::Same { .. } => last.and_then(|last| last.delta),
        };
        self.last.insert(csid, next);
        format
    }
}
