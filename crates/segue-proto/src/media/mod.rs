//! Audio, video and data messages, and the tag headers that their payloads start with: legacy FLV (Video File Format
//! 10.1, E.4.2, E.4.3) and Enhanced RTMP v2 ("Enhanced Audio", "Enhanced Video", "Metadata Frame").
//!
//! Here is the message itself. [`MediaMessage::info`] says at a glance what a server or a hand-over must know of it;
//! [`VideoTag`] and [`AudioTag`] are whole tags, read and written. What configuration records say is
//! [`crate::codec`]'s. Payloads are never changed here, but for the `@setDataFrame` wrapper, which belongs to the
//! command and not to the data.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::fmt;

use bytes::Bytes;

use crate::timestamp::Timestamp;

pub mod audio;
pub mod channels;
pub mod code;
mod config_set;
mod data;
mod info;
mod lead;
pub mod metadata;
pub mod mod_ex;
pub mod multitrack;
pub mod video;
mod wire;

#[cfg(test)]
mod tests;

pub use audio::AudioTag;
pub use code::FourCc;
pub use config_set::ConfigSet;
pub use data::{strip_set_data_frame, wrap_set_data_frame};
pub use info::{Codec, Config, Content, TagInfo, TrackIds};
pub use lead::{LeadTrack, MAX_SILENCE_MS};
pub use multitrack::{Multitrack, Track};
pub use video::VideoTag;

/// The three kinds of media message. Together with the track number they name a track.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TrackKind {
    /// RTMP message type 8, FLV tag type 8.
    Audio,
    /// RTMP message type 9, FLV tag type 9.
    Video,
    /// RTMP message type 18 (and 15, which becomes 18), FLV tag type 18.
    Data,
}

impl TrackKind {
    /// RTMP's message type id, which is FLV's tag type too.
    pub const fn type_id(self) -> u8 {
        match self {
            Self::Audio => 8,
            Self::Video => 9,
            Self::Data => 18,
        }
    }

    /// The kind of a message type id or FLV tag type, if it is one of media.
    pub const fn from_type_id(id: u8) -> Option<Self> {
        match id {
            8 => Some(Self::Audio),
            9 => Some(Self::Video),
            18 => Some(Self::Data),
            _ => None,
        }
    }

    /// `audio`, `video` or `data`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Data => "data",
        }
    }
}

impl fmt::Display for TrackKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An audio, video or data message: what publishers send, servers keep and viewers receive.
#[derive(Clone, PartialEq, Eq)]
pub struct MediaMessage {
    /// Audio, video or data.
    pub kind: TrackKind,
    /// Decode timestamp, as it stands on the wire.
    pub timestamp: Timestamp,
    /// The tag body, ref-counted: tag header and coded data.
    pub payload: Bytes,
}

impl MediaMessage {
    /// A message of these parts; a data message loses its `@setDataFrame` wrapper.
    pub fn new(kind: TrackKind, timestamp: Timestamp, payload: Bytes) -> Self {
        let payload = if kind == TrackKind::Data { strip_set_data_frame(payload) } else { payload };
        Self { kind, timestamp, payload }
    }

    /// The numbers of its tracks, in order: one, but for a multitrack message of many. Where the tag is cut short, those
    /// before the cut. They are named by [`TrackKind`] and number together. Allocates nothing.
    pub fn tracks(&self) -> TrackIds<'_> {
        match self.kind {
            TrackKind::Audio => TrackIds::of_audio(&self.payload),
            TrackKind::Video => TrackIds::of_video(&self.payload),
            TrackKind::Data => TrackIds::one(0),
        }
    }

    /// What its tag header says. Allocates nothing.
    pub fn info(&self) -> TagInfo {
        match self.kind {
            TrackKind::Audio => info::audio(&self.payload),
            TrackKind::Video => info::video(&self.payload),
            TrackKind::Data => info::data(&self.payload),
        }
    }
}

impl fmt::Debug for MediaMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = self.info();
        write!(f, "{}@{:?} {:?} {} bytes", self.kind, self.timestamp, info.content, self.payload.len())
    }
}
