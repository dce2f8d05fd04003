//! One connection's conversation, without I/O: [`server`] and [`client`]. Both are plain data with one driving
//! contract, written on their `Session` types. Here are the words they share, and the bounds. When to hand over, and
//! where a stream is kept, is decided elsewhere.

use std::time::Duration;

use bytes::Bytes;

use crate::chunk::{COMMAND_COST, CONTROL_COST, Limits};
use crate::leg::StreamHash;
use crate::media::{MediaMessage, TrackKind};
use crate::message::{ChunkStreamId, Message, MessageStreamId, csid, data, type_id};
use crate::state;

pub mod ack;
pub mod client;
pub mod go_away;
mod incoming;
pub mod leg;
pub mod server;

#[cfg(test)]
mod tests;

/// How a server tells its client to go. A client that announced both is told by the first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum GoAwaySignal {
    /// E-RTMP v2's `NetConnection.Connect.ReconnectRequest`.
    ReconnectRequest,
    /// Meta's go-away message, type 32.
    GoAwayMessage,
}

state::plain!(enum GoAwaySignal { 0 => ReconnectRequest, 1 => GoAwayMessage });

/// How a publisher ended its stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Teardown {
    /// `FCUnpublish`.
    FcUnpublish,
    /// `deleteStream`.
    DeleteStream,
    /// `closeStream`.
    CloseStream,
}

/// The next message that a viewer lacks: the last argument of `play` to a server that announced `segue`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resume {
    /// Under which hash the index counts.
    pub stream: StreamHash,
    /// The index of that message.
    pub index: u64,
}

/// From the first byte to the end of the handshake and `connect`, on a server.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connected client may neither publish nor play, on a server.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client waits for each answer of a server, but for `play`.
pub const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client waits for the answer to `play`: a server may park it for 30 s until the stream is there.
pub const PLAY_TIMEOUT: Duration = Duration::from_secs(40);
/// How long bytes that were taken may wait for their acknowledgement, to a client with `segue`.
pub const ACK_INTERVAL: Duration = Duration::from_millis(500);
/// Message streams of one connection at a time.
pub const MAX_STREAMS: usize = 8;
/// How often one connection may begin to idle, in `createStream` and in streams ended, before its time stops renewing.
pub const MAX_IDLE_RENEWALS: u32 = 64;
/// Bytes that may wait to be written when one more answer is due. Only a peer that asks and does not read gets there.
pub const MAX_BACKLOG: usize = 16 << 20;
/// Bytes that a client may send behind `connect` while its answer is not decided.
pub const MAX_UNREAD: usize = 1 << 20;

/// What beginning to publish or to play costs a client beside its command, in the unit of
/// [`MAX_CREDIT`](crate::chunk::MAX_CREDIT): it makes streams, files and lines of log. 15 at once, then one a second.
pub const BEGIN_COST: u64 = 64 << 10;

/// What the chunk reader holds for a peer that has yet to say what it wants.
const LIMITS_BEFORE: Limits = Limits { max_message: 1 << 20, max_partials: 8, max_partial_bytes: 1 << 20 };
/// What it holds for media: from the moment that a client asks to publish, as its media may come before the answer.
const LIMITS_MEDIA: Limits = Limits { max_message: 0xff_ffff, max_partials: 64, max_partial_bytes: 32 << 20 };

/// What a message of this type costs its sender beside its chunks: see [`chunk::MAX_CREDIT`](crate::chunk::MAX_CREDIT).
/// Data in AMF3 is read and said again in AMF0 ([`data::as_amf0`]), which is a command's work.
const fn cost(type_id: u8) -> u64 {
    match type_id {
        type_id::AUDIO | type_id::VIDEO | type_id::DATA_AMF0 => 0,
        type_id::DATA_AMF3 | type_id::COMMAND_AMF0 | type_id::COMMAND_AMF3 => COMMAND_COST,
        _ => CONTROL_COST,
    }
}

/// What an audio, video or data message brings, or `None` if it is of another type or of a format nobody has defined.
fn received_media(message: Message) -> Option<MediaMessage> {
    let kind = match message.type_id {
        type_id::DATA_AMF3 => TrackKind::Data,
        type_id => TrackKind::from_type_id(type_id)?,
    };
    Some(MediaMessage::new(kind, message.timestamp, data::as_amf0(message.type_id, message.payload)?))
}

/// `media` as a message with this payload, and the chunk stream of its kind.
fn media_message(
    stream_id: MessageStreamId,
    media: &MediaMessage,
    payload: Bytes,
) -> (ChunkStreamId, Message) {
    let csid = match media.kind {
        TrackKind::Audio => csid::AUDIO,
        TrackKind::Video => csid::VIDEO,
        TrackKind::Data => csid::DATA,
    };
    (csid, Message { type_id: media.kind.type_id(), stream_id, timestamp: media.timestamp, payload })
}
