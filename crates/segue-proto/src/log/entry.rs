//! What the log holds: one media message, where it stands in its stream, and the configuration it is decoded with.

use std::sync::{Arc, OnceLock};

use crate::chunk;
use crate::leg::{Position, StreamHash};
use crate::media::{ConfigSet as Headers, MediaMessage, TagInfo, TrackKind};
use crate::message::{Message, MessageStreamId, csid};
use crate::time::Moment;
use crate::timestamp::Timestamp;

use super::Epoch;

/// One media message of a stream. Immutable: readers share it.
#[derive(Debug)]
pub struct Entry {
    /// Counts entries of this log without holes; cursors go by it. Means nothing outside this log.
    pub seq: u64,
    /// The stream that `position` counts in.
    pub stream: StreamHash,
    /// Index, keyframes before it, and timestamp on the stream's timeline.
    pub position: Position,
    /// Whether `position` does not simply follow the entry before: media is missing here or stands on another server,
    /// or the counting stream is another.
    pub jump: bool,
    /// The leg that brought it.
    pub epoch: Epoch,
    /// The message; its timestamp is on the stream's timeline.
    pub message: MediaMessage,
    /// The timestamp that its publisher gave it.
    pub raw_timestamp: Timestamp,
    /// What its tag header says.
    pub info: TagInfo,
    /// Whether a reader may start here: see [`LeadTrack::is_boundary`](crate::media::LeadTrack::is_boundary).
    pub starts_gop: bool,
    /// The configuration in force.
    pub headers: Arc<Headers>,
    /// When it was appended.
    pub arrived: Moment,
    pub(super) frame: OnceLock<chunk::Frame>,
}

impl Entry {
    pub(super) fn is_coded_video(&self) -> bool {
        self.message.kind == TrackKind::Video && self.info.is_coded()
    }

    /// The message as RTMP chunks, made once for all viewers, with the chunk size that every connection of this
    /// process uses.
    pub fn frame(&self, chunk_size: u32) -> &chunk::Frame {
        self.frame.get_or_init(|| frame(&self.message, chunk_size))
    }
}

/// A media message framed for a viewer on message stream 1.
pub fn frame(message: &MediaMessage, chunk_size: u32) -> chunk::Frame {
    let csid = match message.kind {
        TrackKind::Audio => csid::AUDIO,
        TrackKind::Video => csid::VIDEO,
        TrackKind::Data => csid::DATA,
    };
    let message = Message {
        type_id: message.kind.type_id(),
        stream_id: MessageStreamId(1),
        timestamp: message.timestamp,
        payload: message.payload.clone(),
    };
    chunk::Frame::new(&message, csid, chunk_size)
}
