//! Chunks: how messages are cut and interleaved on the wire (RTMP 1.0, section 5.3). [`Reader`] puts messages together,
//! [`Writer`] cuts them for one connection, [`Frame`] cuts one once for many connections. The layout of headers is here,
//! for both directions. What a message means is [`crate::message`]'s, but for Set Chunk Size and Abort, which change
//! the chunks themselves.

use crate::message::{ChunkStreamId, Message, MessageStreamId};
use crate::timestamp::Timestamp;

mod frame;
mod reader;
mod writer;

pub use frame::Frame;
pub use reader::{Limits, MAX_CHUNK_STREAMS, Reader};
pub use writer::{Headers, Writer};

/// Bytes of payload in a chunk until Set Chunk Size says otherwise (5.4.1).
pub const DEFAULT_CHUNK_SIZE: u32 = 128;
/// The largest chunk size that can be set: the top bit is zero (5.4.1).
pub const MAX_CHUNK_SIZE: u32 = 0x7FFF_FFFF;

/// A timestamp field of this value says that the 32-bit extended timestamp follows (5.3.1.3).
const EXTENDED: u32 = 0xFF_FFFF;
/// The longest header: basic header, message header, extended timestamp.
const MAX_HEADER: usize = 3 + 11 + 4;

/// A chunk's message header, by format (5.3.1.2).
#[derive(Clone, Copy)]
enum Format {
    /// 0: everything.
    Full { timestamp: Timestamp, length: u32, type_id: u8, stream_id: MessageStreamId },
    /// 1: the message stream is the one before.
    SameStream { delta: u32, length: u32, type_id: u8 },
    /// 2: the length and type too.
    SameLength { delta: u32 },
    /// 3: the delta too, or the chunk continues a message; what stands in an extended timestamp is repeated.
    Same { extended: Option<u32> },
}

impl Format {
    /// The full header of `message`, on message stream `stream_id`.
    const fn full(message: &Message, stream_id: MessageStreamId) -> Self {
        // Callers have refused what 24 bits cannot say.
        let length = message.payload.len() as u32;
        Self::Full { timestamp: message.timestamp, length, type_id: message.type_id, stream_id }
    }

    /// What the extended timestamp holds, if there is one.
    const fn extended(self) -> Option<u32> {
        match self {
            Self::Full { timestamp, .. } => extended(timestamp.as_millis()),
            Self::SameStream { delta, .. } | Self::SameLength { delta } => extended(delta),
            Self::Same { extended } => extended,
        }
    }

    /// Appends the whole chunk header.
    fn encode(self, csid: ChunkStreamId, out: &mut Vec<u8>) {
        let format = match self {
            Self::Full { .. } => 0,
            Self::SameStream { .. } => 1,
            Self::SameLength { .. } => 2,
            Self::Same { .. } => 3,
        };
        encode_basic(format, csid, out);
        match self {
            Self::Full { timestamp, length, type_id, stream_id } => {
                encode_u24(timestamp.as_millis().min(EXTENDED), out);
                encode_u24(length, out);
                out.push(type_id);
                out.extend_from_slice(&stream_id.0.to_le_bytes());
            }
            Self::SameStream { delta, length, type_id } => {
                encode_u24(delta.min(EXTENDED), out);
                encode_u24(length, out);
                out.push(type_id);
            }
            Self::SameLength { delta } => encode_u24(delta.min(EXTENDED), out),
            Self::Same { .. } => {}
        }
        if let Some(extended) = self.extended() {
            out.extend_from_slice(&extended.to_be_bytes());
        }
    }
}

/// `ms`, if 24 bits cannot say it or it is the value that marks an extended timestamp.
const fn extended(ms: u32) -> Option<u32> {
    if ms >= EXTENDED { Some(ms) } else { None }
}

/// The basic header, in its shortest form (5.3.1.1).
fn encode_basic(format: u8, csid: ChunkStreamId, out: &mut Vec<u8>) {
    let format = format << 6;
    match csid.as_u32() {
        id @ ..64 => out.push(format | id as u8),
        id @ 64..320 => out.extend_from_slice(&[format, (id - 64) as u8]),
        id => {
            let [low, high, ..] = (id - 64).to_le_bytes();
            out.extend_from_slice(&[format | 1, low, high]);
        }
    }
}

fn encode_u24(n: u32, out: &mut Vec<u8>) {
    let [_, bytes @ ..] = n.to_be_bytes();
    out.extend_from_slice(&bytes);
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
