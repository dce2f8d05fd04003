//! What the log holds: one media message, where it stands in its stream, and the configuration it is decoded with.

use std::sync::{Arc, OnceLock};

use crate::chunk;
use crate::leg::{Position, StreamHash};
use crate::media::{Config, Content, MediaMessage, TagInfo, TrackKind};
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
    /// Whether a reader may start here: a keyframe of the lead video track, or, where there is no video, any coded
    /// audio frame.
    pub starts_gop: bool,
    /// The configuration in force.
    pub headers: Arc<Headers>,
    /// When it was appended.
    pub arrived: Moment,
    pub(super) frame: OnceLock<chunk::Frame>,
}

impl Entry {
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

/// The configuration in force at a point of the stream: at most one message for each kind and track, in the order in
/// which a reader wants them, metadata first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    key: (Config, TrackKind, u8),
    message: MediaMessage,
}

impl Headers {
    /// At most so many configuration messages are kept; E-RTMP allows 256 tracks of each kind, real streams have a
    /// handful.
    pub const MAX: usize = 64;

    /// The messages, metadata first, then sequence headers and what belongs to them.
    pub fn messages(&self) -> impl Iterator<Item = &MediaMessage> {
        self.slots.iter().map(|slot| &slot.message)
    }

    /// The messages that `known` lacks or has otherwise: what a reader must be sent when it comes from there.
    pub fn changed_since<'a>(&'a self, known: &'a Headers) -> impl Iterator<Item = &'a MediaMessage> {
        self.slots
            .iter()
            .filter(|slot| {
                !known.slots.iter().any(|k| k.key == slot.key && k.message.payload == slot.message.payload)
            })
            .map(|slot| &slot.message)
    }

    /// Takes a configuration message. Returns whether anything changed: an identical repeat is no change, and a
    /// message that is no configuration, or one past [`MAX`](Self::MAX), is not taken.
    pub fn set(&mut self, message: &MediaMessage, info: &TagInfo) -> bool {
        let Content::Config(config) = info.content else { return false };
        if config == Config::LegHeader {
            return false;
        }
        let key = (config, message.kind, info.track);
        match self.slots.binary_search_by(|slot| slot.key.cmp(&key)) {
            Ok(at) => {
                let Some(slot) = self.slots.get_mut(at) else { return false };
                let changed = slot.message.payload != message.payload;
                slot.message = message.clone();
                changed
            }
            Err(at) if self.slots.len() < Self::MAX => {
                self.slots.insert(at, Slot { key, message: message.clone() });
                true
            }
            Err(_) => false,
        }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: TrackKind, payload: &'static [u8]) -> MediaMessage {
        MediaMessage::new(kind, Timestamp::ZERO, bytes::Bytes::from_static(payload))
    }

    fn set(headers: &mut Headers, m: &MediaMessage) -> bool {
        headers.set(m, &m.info())
    }

    #[test]
    fn metadata_comes_first_and_repeats_change_nothing() {
        let video = message(TrackKind::Video, b"\x17\x00\0\0\0v1");
        let audio = message(TrackKind::Audio, b"\xaf\x00a1");
        let meta = message(TrackKind::Data, b"\x02\x00\x0aonMetaData\x05");
        let mut headers = Headers::default();
        assert!(set(&mut headers, &video) && set(&mut headers, &audio) && set(&mut headers, &meta));
        assert!(!set(&mut headers, &audio));
        let kinds: Vec<_> = headers.messages().map(|m| m.kind).collect();
        assert_eq!(kinds, [TrackKind::Data, TrackKind::Audio, TrackKind::Video]);

        let before = headers.clone();
        assert!(set(&mut headers, &message(TrackKind::Video, b"\x17\x00\0\0\0v2")));
        let changed: Vec<_> = headers.changed_since(&before).map(|m| m.payload.clone()).collect();
        assert_eq!(changed, [&b"\x17\x00\0\0\0v2"[..]]);
        assert_eq!(headers.changed_since(&Headers::default()).count(), 3);
    }

    #[test]
    fn tracks_have_headers_of_their_own_up_to_the_bound() {
        let mut headers = Headers::default();
        for track in 0..Headers::MAX {
            let m = MediaMessage::new(
                TrackKind::Video,
                Timestamp::ZERO,
                [&b"\x96\x00avc1"[..], &[track as u8, 1]].concat().into(),
            );
            assert!(set(&mut headers, &m));
        }
        let past = MediaMessage::new(TrackKind::Audio, Timestamp::ZERO, b"\xaf\x00"[..].into());
        assert!(!set(&mut headers, &past));
        assert_eq!(headers.messages().count(), Headers::MAX);
    }

    #[test]
    fn leg_headers_and_frames_are_not_configuration_to_keep() {
        let mut headers = Headers::default();
        assert!(!set(&mut headers, &message(TrackKind::Data, b"\x02\x00\x0aonSegueLeg\x05")));
        assert!(!set(&mut headers, &message(TrackKind::Audio, b"\xaf\x01x")));
        assert!(headers.is_empty());
    }
}
