//! What an audio, video or data message holds, as far as a server or a hand-over must know: keyframe, sequence header,
//! codec, track. Reads the tag headers of legacy FLV (Video File Format 10.1, E.4.2, E.4.3) and of Enhanced RTMP v2
//! ("Enhanced Audio", "Enhanced Video"), through ModEx and multitrack. Payloads are never changed here, but for the
//! `@setDataFrame` wrapper, which belongs to the command and not to the data.

use std::fmt;

use bytes::{Buf, Bytes};

use crate::timestamp::Timestamp;

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

    /// What its tag header says.
    pub fn info(&self) -> TagInfo {
        match self.kind {
            TrackKind::Audio => audio_info(&self.payload),
            TrackKind::Video => video_info(&self.payload),
            TrackKind::Data => data_info(&self.payload),
        }
    }
}

impl fmt::Debug for MediaMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = self.info();
        write!(f, "{}@{:?} {:?} {} bytes", self.kind, self.timestamp, info.content, self.payload.len())
    }
}

/// What a message holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// Configuration: state for the decoder, not media. The ledger does not count it.
    Config(Config),
    /// A coded frame from which decoding can start. Every coded audio frame is one.
    Keyframe,
    /// A coded video frame that depends on others.
    Frame,
    /// Media that is not a coded frame: end of sequence, command frames, data other than metadata, what we don't know.
    Other,
}

/// The kinds of configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Config {
    /// `onMetaData`.
    Metadata,
    /// Decoder configuration record of one track.
    SequenceHeader,
    /// E-RTMP `VideoPacketType::Metadata`: colour information.
    VideoMetadata,
    /// E-RTMP `AudioPacketType::MultichannelConfig`.
    MultichannelConfig,
    /// `onSegueLeg`: Segue's own leg header, never recorded nor forwarded.
    LegHeader,
}

/// A codec as the wire names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Codec {
    /// E-RTMP FourCC.
    FourCc([u8; 4]),
    /// Legacy `CodecID` or `SoundFormat`.
    Legacy(u8),
    /// Data, or a message too short to say.
    None,
}

/// What [`MediaMessage::info`] finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TagInfo {
    /// What the message holds.
    pub content: Content,
    /// E-RTMP track id; 0 where there is no multitrack header. In a message of many tracks, the first.
    pub track: u8,
    /// The codec; in a message of many codecs, the first track's.
    pub codec: Codec,
}

impl TagInfo {
    const fn new(content: Content, track: u8, codec: Codec) -> Self {
        Self { content, track, codec }
    }

    /// Whether the ledger counts it: everything but configuration.
    pub const fn is_media(&self) -> bool {
        !matches!(self.content, Content::Config(_))
    }

    /// Whether it is a coded frame, of audio or video.
    pub const fn is_coded(&self) -> bool {
        matches!(self.content, Content::Keyframe | Content::Frame)
    }
}

/// Legacy SoundFormat 10: AAC.
const SOUND_AAC: u8 = 10;
/// SoundFormat 9 announces the E-RTMP audio header.
const SOUND_EX_HEADER: u8 = 9;
/// Legacy CodecID 7: AVC. 12 is HEVC as some vendors sent it before E-RTMP, with AVC's packet types.
const VIDEO_AVC: u8 = 7;
const VIDEO_HEVC_VENDOR: u8 = 12;
const FRAME_KEY: u8 = 1;
const FRAME_COMMAND: u8 = 5;

/// E-RTMP packet types that audio and video number alike.
mod packet {
    pub(super) const SEQUENCE_START: u8 = 0;
    pub(super) const CODED_FRAMES: u8 = 1;
    pub(super) const MOD_EX: u8 = 7;
    pub(super) mod video {
        pub(in super::super) const CODED_FRAMES_X: u8 = 3;
        pub(in super::super) const METADATA: u8 = 4;
        pub(in super::super) const MPEG2TS_SEQUENCE_START: u8 = 5;
        pub(in super::super) const MULTITRACK: u8 = 6;
    }
    pub(super) mod audio {
        pub(in super::super) const MULTICHANNEL_CONFIG: u8 = 4;
        pub(in super::super) const MULTITRACK: u8 = 5;
    }
}

fn audio_info(body: &[u8]) -> TagInfo {
    let mut r = body;
    let Ok(first) = r.try_get_u8() else { return TagInfo::new(Content::Other, 0, Codec::None) };
    match first >> 4 {
        SOUND_EX_HEADER => {
            let Some(ex) = ex_header(&mut r, first & 0x0f, packet::audio::MULTITRACK) else {
                return TagInfo::new(Content::Other, 0, Codec::None);
            };
            let content = match ex.packet_type {
                packet::SEQUENCE_START => Content::Config(Config::SequenceHeader),
                packet::CODED_FRAMES => Content::Keyframe,
                packet::audio::MULTICHANNEL_CONFIG => Content::Config(Config::MultichannelConfig),
                _ => Content::Other,
            };
            TagInfo::new(content, ex.track, ex.codec)
        }
        SOUND_AAC => {
            let content = match r.try_get_u8() {
                Ok(0) => Content::Config(Config::SequenceHeader),
                Ok(_) => Content::Keyframe,
                Err(_) => Content::Other,
            };
            TagInfo::new(content, 0, Codec::Legacy(SOUND_AAC))
        }
        format => TagInfo::new(Content::Keyframe, 0, Codec::Legacy(format)),
    }
}

fn video_info(body: &[u8]) -> TagInfo {
    let mut r = body;
    let Ok(first) = r.try_get_u8() else { return TagInfo::new(Content::Other, 0, Codec::None) };
    let frame_type = (first >> 4) & 0x07;
    let coded = if frame_type == FRAME_KEY { Content::Keyframe } else { Content::Frame };
    if first & 0x80 != 0 {
        let Some(ex) = ex_video_header(&mut r, first & 0x0f, frame_type) else {
            return TagInfo::new(Content::Other, 0, Codec::None);
        };
        let content = match ex.packet_type {
            packet::SEQUENCE_START | packet::video::MPEG2TS_SEQUENCE_START => {
                Content::Config(Config::SequenceHeader)
            }
            packet::CODED_FRAMES | packet::video::CODED_FRAMES_X => coded,
            packet::video::METADATA => Content::Config(Config::VideoMetadata),
            _ => Content::Other,
        };
        return TagInfo::new(content, ex.track, ex.codec);
    }
    let codec = first & 0x0f;
    let content = match codec {
        _ if frame_type == FRAME_COMMAND => Content::Other,
        VIDEO_AVC | VIDEO_HEVC_VENDOR => match r.try_get_u8() {
            Ok(0) => Content::Config(Config::SequenceHeader),
            Ok(1) => coded,
            _ => Content::Other,
        },
        _ => coded,
    };
    TagInfo::new(content, 0, Codec::Legacy(codec))
}

struct ExHeader {
    packet_type: u8,
    track: u8,
    codec: Codec,
}

/// Video adds the command frame to what audio has: with it no FourCC follows.
fn ex_video_header(r: &mut &[u8], packet_type: u8, frame_type: u8) -> Option<ExHeader> {
    if frame_type == FRAME_COMMAND {
        let packet_type = skip_mod_ex(r, packet_type)?;
        return (packet_type == packet::video::METADATA)
            .then(|| fourcc(r).map(|codec| ExHeader { packet_type, track: 0, codec }))?;
    }
    ex_header(r, packet_type, packet::video::MULTITRACK)
}

/// E-RTMP v2, "Enhanced Audio" and "Enhanced Video": ModEx prefixes, then a multitrack header or a FourCC.
fn ex_header(r: &mut &[u8], packet_type: u8, multitrack: u8) -> Option<ExHeader> {
    let packet_type = skip_mod_ex(r, packet_type)?;
    if packet_type != multitrack {
        return Some(ExHeader { packet_type, track: 0, codec: fourcc(r)? });
    }
    let byte = r.try_get_u8().ok()?;
    // Both one-codec forms name the FourCC once; ManyTracksManyCodecs names it per track, just before the track id:
    // for the first track that is the same place.
    let codec = fourcc(r)?;
    let track = r.try_get_u8().ok()?;
    Some(ExHeader { packet_type: byte & 0x0f, track, codec })
}

fn skip_mod_ex(r: &mut &[u8], mut packet_type: u8) -> Option<u8> {
    while packet_type == packet::MOD_EX {
        let mut size = usize::from(r.try_get_u8().ok()?) + 1;
        if size == 256 {
            size = usize::from(r.try_get_u16().ok()?) + 1;
        }
        *r = r.get(size..)?;
        packet_type = r.try_get_u8().ok()? & 0x0f;
    }
    Some(packet_type)
}

fn fourcc(r: &mut &[u8]) -> Option<Codec> {
    let (head, rest) = r.split_first_chunk::<4>()?;
    *r = rest;
    Some(Codec::FourCc(*head))
}

fn data_info(body: &[u8]) -> TagInfo {
    let content = match data_name(body) {
        Some(b"onMetaData") => Content::Config(Config::Metadata),
        Some(b"onSegueLeg") => Content::Config(Config::LegHeader),
        _ => Content::Other,
    };
    TagInfo::new(content, 0, Codec::None)
}

/// The AMF0 string that a data message starts with: the name of its handler.
fn data_name(body: &[u8]) -> Option<&[u8]> {
    let mut r = body;
    if r.try_get_u8().ok()? != 0x02 {
        return None;
    }
    let len = usize::from(r.try_get_u16().ok()?);
    r.get(..len)
}

/// `@setDataFrame` as an AMF0 string.
const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";

/// A data message's payload without the `@setDataFrame` wrapper that publishers put around `onMetaData`.
pub fn strip_set_data_frame(mut payload: Bytes) -> Bytes {
    if payload.starts_with(SET_DATA_FRAME) {
        payload.advance(SET_DATA_FRAME.len());
    }
    payload
}

/// The opposite of [`strip_set_data_frame`]: what a publisher sends for metadata.
pub fn wrap_set_data_frame(payload: &[u8]) -> Bytes {
    let mut wrapped = Vec::with_capacity(SET_DATA_FRAME.len() + payload.len());
    wrapped.extend_from_slice(SET_DATA_FRAME);
    wrapped.extend_from_slice(payload);
    wrapped.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(kind: TrackKind, payload: &'static [u8]) -> TagInfo {
        MediaMessage::new(kind, Timestamp::ZERO, Bytes::from_static(payload)).info()
    }

    /// Bytes after the specifications' tables; frame bodies are cut short, nothing reads them.
    #[test]
    fn tag_headers_of_both_specifications() {
        use Content::{Config as C, Frame, Keyframe, Other};
        use TrackKind::{Audio, Data, Video};
        let fcc = |c: &[u8; 4]| Codec::FourCc(*c);
        type Case = (&'static str, TrackKind, &'static [u8], Content, u8, Codec);
        let cases: &[Case] = &[
            (
                "avc header",
                Video,
                b"\x17\x00\x00\x00\x00\x01",
                C(Config::SequenceHeader),
                0,
                Codec::Legacy(7),
            ),
            ("avc key", Video, b"\x17\x01\x00\x00\x2a\x00", Keyframe, 0, Codec::Legacy(7)),
            ("avc inter", Video, b"\x27\x01\x00\x00\x00\x00", Frame, 0, Codec::Legacy(7)),
            ("avc end", Video, b"\x17\x02\x00\x00\x00", Other, 0, Codec::Legacy(7)),
            ("avc cut short", Video, b"\x17", Other, 0, Codec::Legacy(7)),
            ("h263 key", Video, b"\x12\x00", Keyframe, 0, Codec::Legacy(2)),
            ("command frame", Video, b"\x57\x00", Other, 0, Codec::Legacy(7)),
            ("hevc header", Video, b"\x90hvc1\x01", C(Config::SequenceHeader), 0, fcc(b"hvc1")),
            ("hevc key", Video, b"\x91hvc1\0\0\0\0", Keyframe, 0, fcc(b"hvc1")),
            ("hevc inter x", Video, b"\xa3hvc1\0", Frame, 0, fcc(b"hvc1")),
            ("av1 key x", Video, b"\x93av01\0", Keyframe, 0, fcc(b"av01")),
            ("end", Video, b"\x92hvc1", Other, 0, fcc(b"hvc1")),
            ("colour info", Video, b"\x94hvc1\x02", C(Config::VideoMetadata), 0, fcc(b"hvc1")),
            ("mpeg2ts header", Video, b"\x95av01\0", C(Config::SequenceHeader), 0, fcc(b"av01")),
            ("mod ex", Video, b"\x97\x02\x01\x02\x03\x01hvc1\0", Keyframe, 0, fcc(b"hvc1")),
            ("mod ex long", Video, b"\x97\xff\x00\x00\x09\x01hvc1\0", Keyframe, 0, fcc(b"hvc1")),
            ("mod ex cut", Video, b"\x97\x09\x01", Other, 0, Codec::None),
            ("one track", Video, b"\x96\x01avc1\x05\0", Keyframe, 5, fcc(b"avc1")),
            ("many tracks", Video, b"\xa6\x11hvc1\x02\x00\x00\x01\0", Frame, 2, fcc(b"hvc1")),
            (
                "many codecs",
                Video,
                b"\x96\x20av01\x03\x00\x00\x01\0",
                C(Config::SequenceHeader),
                3,
                fcc(b"av01"),
            ),
            ("ex command", Video, b"\xd1\x00", Other, 0, Codec::None),
            ("empty", Video, b"", Other, 0, Codec::None),
            ("aac header", Audio, b"\xaf\x00\x12\x10", C(Config::SequenceHeader), 0, Codec::Legacy(10)),
            ("aac frame", Audio, b"\xaf\x01\x21", Keyframe, 0, Codec::Legacy(10)),
            ("mp3", Audio, b"\x2f\xff", Keyframe, 0, Codec::Legacy(2)),
            ("opus header", Audio, b"\x90Opus", C(Config::SequenceHeader), 0, fcc(b"Opus")),
            ("opus frame", Audio, b"\x91Opus\x01", Keyframe, 0, fcc(b"Opus")),
            ("multichannel", Audio, b"\x94Opus\x01\x02", C(Config::MultichannelConfig), 0, fcc(b"Opus")),
            ("audio track", Audio, b"\x95\x01mp4a\x02\x01", Keyframe, 2, fcc(b"mp4a")),
            ("metadata", Data, b"\x02\x00\x0aonMetaData\x08", C(Config::Metadata), 0, Codec::None),
            (
                "wrapped",
                Data,
                b"\x02\0\x0d@setDataFrame\x02\0\x0aonMetaData",
                C(Config::Metadata),
                0,
                Codec::None,
            ),
            ("leg", Data, b"\x02\x00\x0aonSegueLeg\x03", C(Config::LegHeader), 0, Codec::None),
            ("text", Data, b"\x02\x00\x0aonTextData\x08", Other, 0, Codec::None),
            ("no string", Data, b"\x05", Other, 0, Codec::None),
        ];
        for (name, kind, payload, content, track, codec) in cases {
            let expected = TagInfo::new(*content, *track, *codec);
            assert_eq!(info(*kind, payload), expected, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_payload_panics(kind in 0usize..3, payload: Vec<u8>) {
            let kind = [TrackKind::Audio, TrackKind::Video, TrackKind::Data][kind];
            let _ = MediaMessage::new(kind, Timestamp::ZERO, payload.into()).info();
        }
    }
}
