//! What a message holds, at a glance: keyframe, configuration, codec, track. It is asked for every message that a server
//! forwards, so it reads the tag header in place, allocates nothing, and calls what it does not know [`Content::Other`].
//! The whole tag, typed, is [`video`](super::video)'s and [`audio`](super::audio)'s.

use bytes::Buf;

use super::code::{
    AudioPacketType, FourCc, FrameType, MultitrackType, SoundFormat, VideoCodecId, VideoPacketType,
};
use super::data;
use super::mod_ex::MAX_MOD_EX;
use super::multitrack::{Walk, chunk};

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

/// What [`MediaMessage::info`](super::MediaMessage::info) finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TagInfo {
    /// What the message holds.
    pub content: Content,
    /// E-RTMP track id; 0 where there is no multitrack header. In a message of many tracks, the first.
    pub track: u8,
    /// The codec; in a message of many codecs, the first track's.
    pub codec: Codec,
    /// Whether there is more than one track in the message. [`MediaMessage::tracks`](super::MediaMessage::tracks) has
    /// them all; what else is said here, but for the codec, is true of each.
    pub many: bool,
}

impl TagInfo {
    pub(super) const fn new(content: Content, track: u8, codec: Codec) -> Self {
        Self { content, track, codec, many: false }
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

pub(super) fn audio(body: &[u8]) -> TagInfo {
    let mut r = body;
    let Ok(first) = r.try_get_u8() else { return TagInfo::new(Content::Other, 0, Codec::None) };
    match SoundFormat::new(first >> 4) {
        SoundFormat::EX_HEADER => {
            let Some(ex) = ex_header(&mut r, first & 0x0f, AudioPacketType::MULTITRACK.value()) else {
                return TagInfo::new(Content::Other, 0, Codec::None);
            };
            let content = match AudioPacketType::new(ex.packet_type) {
                AudioPacketType::SEQUENCE_START => Content::Config(Config::SequenceHeader),
                AudioPacketType::CODED_FRAMES => Content::Keyframe,
                AudioPacketType::MULTICHANNEL_CONFIG => Content::Config(Config::MultichannelConfig),
                _ => Content::Other,
            };
            ex.info(content)
        }
        SoundFormat::AAC => {
            let content = match r.try_get_u8() {
                Ok(0) => Content::Config(Config::SequenceHeader),
                Ok(_) => Content::Keyframe,
                Err(_) => Content::Other,
            };
            TagInfo::new(content, 0, Codec::Legacy(SoundFormat::AAC.value()))
        }
        format => TagInfo::new(Content::Keyframe, 0, Codec::Legacy(format.value())),
    }
}

pub(super) fn video(body: &[u8]) -> TagInfo {
    let mut r = body;
    let Ok(first) = r.try_get_u8() else { return TagInfo::new(Content::Other, 0, Codec::None) };
    let frame_type = FrameType::new(first >> 4);
    let coded = if frame_type == FrameType::KEY { Content::Keyframe } else { Content::Frame };
    if first & 0x80 != 0 {
        let Some(ex) = ex_video_header(&mut r, first & 0x0f, frame_type) else {
            return TagInfo::new(Content::Other, 0, Codec::None);
        };
        let content = match VideoPacketType::new(ex.packet_type) {
            VideoPacketType::SEQUENCE_START | VideoPacketType::MPEG2TS_SEQUENCE_START => {
                Content::Config(Config::SequenceHeader)
            }
            VideoPacketType::CODED_FRAMES | VideoPacketType::CODED_FRAMES_X => coded,
            VideoPacketType::METADATA => Content::Config(Config::VideoMetadata),
            _ => Content::Other,
        };
        return ex.info(content);
    }
    let codec = VideoCodecId::new(first);
    let content = match codec {
        _ if frame_type == FrameType::COMMAND => Content::Other,
        VideoCodecId::AVC | VideoCodecId::HEVC_VENDOR => match r.try_get_u8() {
            Ok(0) => Content::Config(Config::SequenceHeader),
            Ok(1) => coded,
            _ => Content::Other,
        },
        _ => coded,
    };
    TagInfo::new(content, 0, Codec::Legacy(codec.value()))
}

/// An enhanced header, as far as its first track.
struct ExHeader<'a> {
    packet_type: u8,
    track: u8,
    codec: Codec,
    many: bool,
    /// All tracks, behind a multitrack header.
    tracks: Option<(Walk, &'a [u8])>,
}

impl ExHeader<'_> {
    fn info(&self, content: Content) -> TagInfo {
        TagInfo { content, track: self.track, codec: self.codec, many: self.many }
    }
}

/// Video adds the command frame to what audio has: with it no FourCC follows.
fn ex_video_header<'a>(r: &mut &'a [u8], packet_type: u8, frame_type: FrameType) -> Option<ExHeader<'a>> {
    if frame_type == FrameType::COMMAND {
        let packet_type = skip_mod_ex(r, packet_type)?;
        if packet_type != VideoPacketType::METADATA.value() {
            return None;
        }
        return ex_header(r, packet_type, VideoPacketType::MULTITRACK.value());
    }
    ex_header(r, packet_type, VideoPacketType::MULTITRACK.value())
}

/// E-RTMP v2, "Enhanced Audio" and "Enhanced Video": ModEx prefixes, then a multitrack header or a FourCC.
fn ex_header<'a>(r: &mut &'a [u8], packet_type: u8, multitrack: u8) -> Option<ExHeader<'a>> {
    let packet_type = skip_mod_ex(r, packet_type)?;
    if packet_type != multitrack {
        let codec = Codec::FourCc(*chunk(r)?);
        return Some(ExHeader { packet_type, track: 0, codec, many: false, tracks: None });
    }
    let byte = r.try_get_u8().ok()?;
    let codec = match MultitrackType::new(byte >> 4) {
        MultitrackType::MANY_TRACKS_MANY_CODECS => None,
        _ => Some(FourCc(*chunk(r)?)),
    };
    let walk = Walk::new(MultitrackType::new(byte >> 4), codec);
    let (mut steps, mut rest) = (walk.clone(), *r);
    let (track, codec, _) = steps.step(&mut rest)?.ok()?;
    let many = steps.step(&mut rest).is_some_and(|second| second.is_ok());
    let codec = Codec::FourCc(codec.0);
    Some(ExHeader { packet_type: byte & 0x0f, track, codec, many, tracks: Some((walk, r)) })
}

fn skip_mod_ex(r: &mut &[u8], mut packet_type: u8) -> Option<u8> {
    // Audio and video number it alike.
    for _ in 0..=MAX_MOD_EX {
        if packet_type != VideoPacketType::MOD_EX.value() {
            return Some(packet_type);
        }
        let mut size = usize::from(r.try_get_u8().ok()?).saturating_add(1);
        if size == 256 {
            size = usize::from(r.try_get_u16().ok()?).saturating_add(1);
        }
        *r = r.get(size..)?;
        packet_type = r.try_get_u8().ok()? & 0x0f;
    }
    None
}

/// The numbers of the tracks in a message: see [`MediaMessage::tracks`](super::MediaMessage::tracks).
#[derive(Clone, Debug)]
pub struct TrackIds<'a> {
    one: Option<u8>,
    many: Option<(Walk, &'a [u8])>,
}

impl<'a> TrackIds<'a> {
    pub(super) const fn one(id: u8) -> Self {
        Self { one: Some(id), many: None }
    }

    pub(super) fn of_audio(body: &'a [u8]) -> Self {
        let Some((&first, mut r)) = body.split_first() else { return Self::one(0) };
        if SoundFormat::new(first >> 4) != SoundFormat::EX_HEADER {
            return Self::one(0);
        }
        Self::of(ex_header(&mut r, first & 0x0f, AudioPacketType::MULTITRACK.value()))
    }

    pub(super) fn of_video(body: &'a [u8]) -> Self {
        let Some((&first, mut r)) = body.split_first() else { return Self::one(0) };
        if first & 0x80 == 0 {
            return Self::one(0);
        }
        Self::of(ex_video_header(&mut r, first & 0x0f, FrameType::new(first >> 4)))
    }

    fn of(header: Option<ExHeader<'a>>) -> Self {
        match header {
            Some(ExHeader { many: true, tracks, .. }) => Self { one: None, many: tracks },
            header => Self::one(header.map_or(0, |header| header.track)),
        }
    }
}

impl Iterator for TrackIds<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if let Some(id) = self.one.take() {
            return Some(id);
        }
        let (walk, rest) = self.many.as_mut()?;
        match walk.step(rest)? {
            Ok((id, ..)) => Some(id),
            Err(_) => None,
        }
    }
}

pub(super) fn data(body: &[u8]) -> TagInfo {
    let content = match data::name(body) {
        Some(b"onMetaData") => Content::Config(Config::Metadata),
        Some(b"onSegueLeg") => Content::Config(Config::LegHeader),
        _ => Content::Other,
    };
    TagInfo::new(content, 0, Codec::None)
}
