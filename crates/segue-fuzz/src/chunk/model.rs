//! Chunks read by the letter of RTMP 1.0, 5.3.1: all bytes at once, no limits, nothing shared, nothing fast. What the reader
//! of the product makes of the same bytes is compared with it.

use std::collections::BTreeMap;

use bytes::Bytes;
use segue_proto::Timestamp;
use segue_proto::message::{Message, MessageStreamId, type_id};

/// The value of a 24-bit field that says that 32 bits follow.
const MARK: u32 = 0xFF_FFFF;

#[derive(Clone, Default)]
struct Stream {
    timestamp: u32,
    length: usize,
    type_id: u8,
    stream_id: u32,
    /// What its last timestamp field said.
    field: u32,
    extended: bool,
    partial: Vec<u8>,
}

/// The messages, up to the first thing that is wrong or not all there.
pub(super) fn read(bytes: &[u8]) -> Vec<Message> {
    let mut model = Model { streams: BTreeMap::new(), chunk_size: 128, messages: Vec::new() };
    let mut left = bytes;
    while model.chunk(&mut left).is_some() {}
    model.messages
}

struct Model {
    streams: BTreeMap<u32, Stream>,
    chunk_size: usize,
    messages: Vec<Message>,
}

impl Model {
    fn chunk(&mut self, r: &mut &[u8]) -> Option<()> {
        let first = number(r, 1)?;
        let id = match first & 63 {
            0 => 64 + number(r, 1)?,
            1 => 64 + number(r, 1)? + 256 * number(r, 1)?,
            id => id,
        };
        let format = first >> 6;
        let known = self.streams.get(&id).cloned();
        let is_first = known.is_none();
        let mut stream = known.unwrap_or_default();
        if stream.partial.is_empty() {
            // Without a header before it only librtmp's acknowledgement or ping on chunk stream 2 makes sense.
            if is_first && format != 0 && (format, id) != (1, 2) {
                return None;
            }
            let repeated = format == 3 && repeated(&stream, r)?;
            if format < 3 {
                let field = number(r, 3)?;
                if format < 2 {
                    stream.length = number(r, 3)? as usize;
                    stream.type_id = number(r, 1)? as u8;
                }
                if format == 0 {
                    stream.stream_id = number(r, 4)?.swap_bytes();
                }
                stream.extended = field == MARK;
                stream.field = if stream.extended { number(r, 4)? } else { field };
            }
            if is_first && format == 1 && !matches!(stream.type_id, 3 | 4) {
                return None;
            }
            stream.timestamp = match format {
                0 => stream.field,
                3 if stream.extended && !repeated => stream.timestamp,
                _ => stream.timestamp.wrapping_add(stream.field),
            };
        } else if format == 3 {
            repeated(&stream, r)?;
        } else {
            return None;
        }
        let size = (stream.length - stream.partial.len()).min(self.chunk_size);
        stream.partial.extend_from_slice(r.split_off(..size)?);
        let whole = stream.partial.len() == stream.length;
        let payload = if whole { std::mem::take(&mut stream.partial) } else { Vec::new() };
        let message = Message {
            type_id: stream.type_id,
            stream_id: MessageStreamId(stream.stream_id),
            timestamp: Timestamp::from_millis(stream.timestamp),
            payload: Bytes::from(payload),
        };
        self.streams.insert(id, stream);
        if whole { self.message(message) } else { Some(()) }
    }

    fn message(&mut self, message: Message) -> Option<()> {
        let mut body = &message.payload[..];
        match message.type_id {
            type_id::SET_CHUNK_SIZE => {
                let size = number(&mut body, 4)?;
                self.chunk_size = (1..1 << 31).contains(&size).then_some(size as usize)?;
            }
            type_id::ABORT => {
                if let Some(stream) = self.streams.get_mut(&number(&mut body, 4)?) {
                    stream.partial.clear();
                }
            }
            _ => self.messages.push(message),
        }
        Some(())
    }
}

/// Takes the extended timestamp that a format 3 chunk repeats. Four other bytes are payload of a peer that does not
/// repeat it; the first that differs tells.
fn repeated(stream: &Stream, r: &mut &[u8]) -> Option<bool> {
    let expected = stream.field.to_be_bytes();
    if !stream.extended || r.iter().zip(expected).any(|(seen, expected)| *seen != expected) {
        return Some(false);
    }
    number(r, 4)?;
    Some(true)
}

/// A big-endian number of so many bytes.
fn number(r: &mut &[u8], bytes: usize) -> Option<u32> {
    Some(r.split_off(..bytes)?.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)))
}
