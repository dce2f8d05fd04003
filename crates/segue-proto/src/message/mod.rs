//! `Message`: what chunks carry and sessions speak, and the numbers that name it on the wire: message type ids, message
//! stream ids, chunk stream ids. What a control message, user control message or command says is read and written in
//! the modules below; media bodies are [`crate::media`]'s.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::fmt;

use bytes::Bytes;

use crate::state::{RestoreError, State};
use crate::timestamp::Timestamp;

pub mod aggregate;
pub mod command;
pub mod control;
pub mod data;
pub mod status;
pub mod user_control;

/// The logical stream inside a connection that a message belongs to (RTMP 1.0, 4.1). Little-endian on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct MessageStreamId(pub u32);

impl MessageStreamId {
    /// The connection itself: control messages, `connect`, `createStream`.
    pub const CONTROL: Self = Self(0);
}

/// The chunk stream that a message's chunks travel on: 2 to 65599 (RTMP 1.0, 5.3.1.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ChunkStreamId(u32);

impl ChunkStreamId {
    /// The lowest id: 0 and 1 mark the longer forms of the basic header.
    pub const MIN: Self = Self(2);
    /// The highest id of the three-byte basic header.
    pub const MAX: Self = Self(65_599);

    /// The id `id`, if it is in 2..=65599.
    pub const fn new(id: u32) -> Option<Self> {
        if id >= Self::MIN.0 && id <= Self::MAX.0 { Some(Self(id)) } else { None }
    }

    /// Its number.
    pub const fn as_u32(self) -> u32 {
        self.0
    }
}

/// Chunk stream ids that Segue sends on, all of the one-byte basic header. A peer may use any other.
pub mod csid {
    use super::ChunkStreamId;

    /// Protocol control and user control (RTMP 1.0, 5.4 asks for this one).
    pub const CONTROL: ChunkStreamId = ChunkStreamId(2);
    /// Commands.
    pub const COMMAND: ChunkStreamId = ChunkStreamId(3);
    /// Audio.
    pub const AUDIO: ChunkStreamId = ChunkStreamId(4);
    /// Data messages.
    pub const DATA: ChunkStreamId = ChunkStreamId(5);
    /// Video.
    pub const VIDEO: ChunkStreamId = ChunkStreamId(6);
}

/// Message type ids (RTMP 1.0, 5.4 and 7.1).
pub mod type_id {
    /// Set Chunk Size (5.4.1).
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// Abort Message (5.4.2).
    pub const ABORT: u8 = 2;
    /// Acknowledgement (5.4.3).
    pub const ACKNOWLEDGEMENT: u8 = 3;
    /// User Control Message (6.2).
    pub const USER_CONTROL: u8 = 4;
    /// Window Acknowledgement Size (5.4.4).
    pub const WINDOW_ACK_SIZE: u8 = 5;
    /// Set Peer Bandwidth (5.4.5).
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    /// Audio (7.1.4).
    pub const AUDIO: u8 = 8;
    /// Video (7.1.5).
    pub const VIDEO: u8 = 9;
    /// Data in AMF3 (7.1.2).
    pub const DATA_AMF3: u8 = 15;
    /// Command in AMF3 (7.1.1).
    pub const COMMAND_AMF3: u8 = 17;
    /// Data in AMF0 (7.1.2).
    pub const DATA_AMF0: u8 = 18;
    /// Command in AMF0 (7.1.1).
    pub const COMMAND_AMF0: u8 = 20;
    /// Aggregate (7.1.6).
    pub const AGGREGATE: u8 = 22;
    /// Go Away, of Meta's extension *RTMP Go Away*.
    pub const GO_AWAY: u8 = 32;
}

/// One RTMP message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// What kind it is: see [`type_id`]. Unknown ones are legal, and for the session to skip.
    pub type_id: u8,
    /// Which message stream it belongs to.
    pub stream_id: MessageStreamId,
    /// Its absolute timestamp.
    pub timestamp: Timestamp,
    /// Its body, ref-counted; at most [`Message::MAX_PAYLOAD`] bytes can be sent.
    pub payload: Bytes,
}

impl Message {
    /// The longest body that the 24 bits of a chunk's message length can state, in bytes.
    pub const MAX_PAYLOAD: usize = 0xFF_FFFF;

    /// A protocol control message: message stream 0, timestamp 0, as RTMP 1.0, 5.4 asks.
    pub const fn control(type_id: u8, payload: Bytes) -> Self {
        Self { type_id, stream_id: MessageStreamId::CONTROL, timestamp: Timestamp::ZERO, payload }
    }
}

/// The payload's length only: a body may hold a stream key.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { type_id, stream_id, timestamp, payload } = self;
        write!(f, "type {type_id} stream {}@{timestamp:?} {} bytes", stream_id.0, payload.len())
    }
}

impl State for MessageStreamId {
    fn save(&self, to: &mut Vec<u8>) {
        self.0.save(to);
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        u32::restore(from).map(Self)
    }
}

impl State for ChunkStreamId {
    fn save(&self, to: &mut Vec<u8>) {
        self.as_u32().save(to);
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        Self::new(u32::restore(from)?).ok_or(RestoreError::Malformed("a chunk stream id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_stream_ids_stay_in_bounds() {
        assert_eq!(ChunkStreamId::new(1), None);
        assert_eq!(ChunkStreamId::new(2), Some(csid::CONTROL));
        assert_eq!(ChunkStreamId::new(65_599), Some(ChunkStreamId::MAX));
        assert_eq!(ChunkStreamId::new(65_600), None);
    }

    #[test]
    fn debug_shows_no_payload() {
        let m = Message::control(type_id::GO_AWAY, Bytes::from_static(b"secret"));
        assert_eq!(format!("{m:?}"), "type 32 stream 0@0ms 6 bytes");
    }
}
