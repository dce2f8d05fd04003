//! Video tag bodies, typed: legacy ones (Video File Format 10.1, E.4.3) and enhanced ones (E-RTMP v2, "Enhanced
//! Video"), read and written. Coded data and configuration records are slices of what was read; what configuration
//! records say is [`crate::codec`]'s. For a quick look at a message there is
//! [`MediaMessage::info`](super::MediaMessage::info).

use bytes::Bytes;

use super::code::{AvcPacketType, FourCc, FrameType, VideoCodecId, VideoCommand, VideoPacketType};
use super::mod_ex::{self, ModEx};
use super::multitrack::{Multitrack, Track};
use super::wire;
use crate::error::Error;

/// The first bit of a tag: an enhanced header, and not a legacy one.
const EX_HEADER: u8 = 0x80;

/// The body of a video tag or message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VideoTag {
    /// Video File Format 10.1.
    Legacy(LegacyVideo),
    /// E-RTMP.
    Enhanced(ExVideo),
}

/// A legacy video tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LegacyVideo {
    /// The frame type.
    pub frame_type: FrameType,
    /// The codec.
    pub codec: VideoCodecId,
    /// What follows.
    pub body: LegacyVideoBody,
}

/// What follows the first byte of a legacy video tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LegacyVideoBody {
    /// Of a command frame (`FrameType::COMMAND`), whatever the codec.
    Command {
        /// The command.
        command: VideoCommand,
        /// What follows it; nothing is defined.
        rest: Bytes,
    },
    /// Of AVC, and of HEVC as vendors sent it.
    Avc {
        /// What `data` is.
        packet_type: AvcPacketType,
        /// Presentation minus decode time, in milliseconds; 0 unless the packet is a NALU.
        composition_ms: i32,
        /// Configuration record or NAL units.
        data: Bytes,
    },
    /// Of the other codecs: coded data.
    Coded(Bytes),
}

/// An enhanced video tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExVideo {
    /// The frame type, of all tracks; means nothing where the packet is `METADATA`.
    pub frame_type: FrameType,
    /// Modifiers of the packet.
    pub modifiers: Vec<ModEx>,
    /// What follows.
    pub body: ExVideoBody,
}

/// What an enhanced video tag holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExVideoBody {
    /// A command frame: frame type `COMMAND`, and any packet type but `METADATA`.
    Command {
        /// The packet type on the wire, without meaning here.
        packet_type: VideoPacketType,
        /// The command.
        command: VideoCommand,
        /// What follows it; nothing is defined.
        rest: Bytes,
    },
    /// One packet, not of any numbered track.
    Single {
        /// Its codec.
        codec: FourCc,
        /// The packet.
        packet: VideoPacket,
    },
    /// Packets of numbered tracks. See [`Multitrack::video`].
    Multitrack(Multitrack<VideoPacketType>),
}

/// One packet of one track.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VideoPacket {
    /// The codec's decoder configuration record.
    SequenceStart(Bytes),
    /// A coded frame.
    CodedFrames {
        /// Presentation minus decode time, in milliseconds; 0 with codecs that
        /// [do not send one](FourCc::has_composition_time).
        composition_ms: i32,
        /// NAL units, OBUs or whatever the codec's frames are.
        data: Bytes,
    },
    /// The sequence is over. Nothing is defined to follow.
    SequenceEnd(Bytes),
    /// A coded frame with composition time 0.
    CodedFramesX(Bytes),
    /// AMF-coded names and values: see [`super::metadata`].
    Metadata(Bytes),
    /// A descriptor of an MPEG-2 transport stream.
    Mpeg2TsSequenceStart(Bytes),
    /// A packet of a type without a meaning here, or with none inside a multitrack header.
    Other(VideoPacketType, Bytes),
}

impl VideoTag {
    /// Reads a tag body. Numbers and codecs that mean nothing here are carried.
    ///
    /// # Errors
    /// `PeerMisbehaved` if the header is cut short, `LimitExceeded` past [`MAX_MOD_EX`](super::mod_ex::MAX_MOD_EX).
    pub fn parse(body: &Bytes) -> Result<Self, Error> {
        let mut r = body.clone();
        let first = wire::u8(&mut r)?;
        let frame_type = FrameType::new(first >> 4);
        if first & EX_HEADER != 0 {
            return ExVideo::parse(frame_type, first & 0x0f, r).map(Self::Enhanced);
        }
        let codec = VideoCodecId::new(first);
        let body = match codec {
            _ if frame_type == FrameType::COMMAND => {
                LegacyVideoBody::Command { command: VideoCommand::new(wire::u8(&mut r)?), rest: r }
            }
            VideoCodecId::AVC | VideoCodecId::HEVC_VENDOR => {
                let packet_type = AvcPacketType::new(wire::u8(&mut r)?);
                LegacyVideoBody::Avc { packet_type, composition_ms: wire::i24(&mut r)?, data: r }
            }
            _ => LegacyVideoBody::Coded(r),
        };
        Ok(Self::Legacy(LegacyVideo { frame_type, codec, body }))
    }

    /// Writes the tag body: what [`parse`](Self::parse) reads as the same.
    ///
    /// # Errors
    /// `Misuse` if the wire cannot state it, or would state something else.
    pub fn encode(&self) -> Result<Bytes, Error> {
        let mut out = Vec::new();
        match self {
            Self::Legacy(tag) => tag.put(&mut out)?,
            Self::Enhanced(tag) => tag.put(&mut out)?,
        }
        Ok(out.into())
    }
}

impl LegacyVideo {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let is_command = self.frame_type == FrameType::COMMAND;
        let is_avc = matches!(self.codec, VideoCodecId::AVC | VideoCodecId::HEVC_VENDOR);
        out.push((self.frame_type.value() << 4) | self.codec.value());
        match &self.body {
            LegacyVideoBody::Command { command, rest } if is_command => {
                out.push(command.value());
                out.extend_from_slice(rest);
            }
            LegacyVideoBody::Avc { packet_type, composition_ms, data } if is_avc && !is_command => {
                out.push(packet_type.value());
                wire::put_i24(out, *composition_ms)?;
                out.extend_from_slice(data);
            }
            LegacyVideoBody::Coded(data) if !is_avc && !is_command => out.extend_from_slice(data),
            _ => return Err(Error::Misuse("a video body that its frame type and codec do not announce")),
        }
        Ok(())
    }
}

impl ExVideo {
    fn parse(frame_type: FrameType, packet_type: u8, mut r: Bytes) -> Result<Self, Error> {
        let (modifiers, packet_type) = mod_ex::parse(&mut r, packet_type, VideoPacketType::MOD_EX.value())?;
        let packet_type = VideoPacketType::new(packet_type);
        let body = if frame_type == FrameType::COMMAND && packet_type != VideoPacketType::METADATA {
            ExVideoBody::Command { packet_type, command: VideoCommand::new(wire::u8(&mut r)?), rest: r }
        } else if packet_type == VideoPacketType::MULTITRACK {
            ExVideoBody::Multitrack(Multitrack::parse(&mut r)?)
        } else {
            let codec = wire::fourcc(&mut r)?;
            ExVideoBody::Single { codec, packet: VideoPacket::parse(packet_type, codec, r)? }
        };
        Ok(Self { frame_type, modifiers, body })
    }

    fn put(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        const MOD_EX: u8 = VideoPacketType::MOD_EX.value();
        let packet_type = match &self.body {
            ExVideoBody::Command { packet_type, .. } => *packet_type,
            ExVideoBody::Single { packet, .. } => packet.packet_type(),
            ExVideoBody::Multitrack(_) => VideoPacketType::MULTITRACK,
        };
        let is_command = self.frame_type == FrameType::COMMAND && packet_type != VideoPacketType::METADATA;
        let says_command = matches!(self.body, ExVideoBody::Command { .. });
        let says_single = matches!(self.body, ExVideoBody::Single { .. });
        if is_command != says_command
            || packet_type == VideoPacketType::MOD_EX
            || (says_single && packet_type == VideoPacketType::MULTITRACK)
        {
            return Err(Error::Misuse("a video body that its frame type and packet type do not announce"));
        }
        let packet_type = packet_type.value();
        let first = mod_ex::first_type(&self.modifiers, packet_type, MOD_EX);
        out.push(EX_HEADER | (self.frame_type.value() << 4) | first);
        mod_ex::put(out, &self.modifiers, packet_type, MOD_EX)?;
        match &self.body {
            ExVideoBody::Command { command, rest, .. } => {
                out.push(command.value());
                out.extend_from_slice(rest);
            }
            ExVideoBody::Single { codec, packet } => {
                out.extend_from_slice(&codec.0);
                packet.put(*codec, out)?;
            }
            ExVideoBody::Multitrack(tracks) => tracks.put(out),
        }
        Ok(())
    }
}

impl VideoPacket {
    /// Reads a track's packet, behind its packet type and codec.
    ///
    /// # Errors
    /// `PeerMisbehaved` if a composition time is cut short.
    pub fn parse(packet_type: VideoPacketType, codec: FourCc, mut data: Bytes) -> Result<Self, Error> {
        Ok(match packet_type {
            VideoPacketType::SEQUENCE_START => Self::SequenceStart(data),
            VideoPacketType::CODED_FRAMES => {
                let composition_ms = if codec.has_composition_time() { wire::i24(&mut data)? } else { 0 };
                Self::CodedFrames { composition_ms, data }
            }
            VideoPacketType::SEQUENCE_END => Self::SequenceEnd(data),
            VideoPacketType::CODED_FRAMES_X => Self::CodedFramesX(data),
            VideoPacketType::METADATA => Self::Metadata(data),
            VideoPacketType::MPEG2TS_SEQUENCE_START => Self::Mpeg2TsSequenceStart(data),
            other => Self::Other(other, data),
        })
    }

    /// Its packet type.
    pub fn packet_type(&self) -> VideoPacketType {
        match self {
            Self::SequenceStart(_) => VideoPacketType::SEQUENCE_START,
            Self::CodedFrames { .. } => VideoPacketType::CODED_FRAMES,
            Self::SequenceEnd(_) => VideoPacketType::SEQUENCE_END,
            Self::CodedFramesX(_) => VideoPacketType::CODED_FRAMES_X,
            Self::Metadata(_) => VideoPacketType::METADATA,
            Self::Mpeg2TsSequenceStart(_) => VideoPacketType::MPEG2TS_SEQUENCE_START,
            Self::Other(packet_type, _) => *packet_type,
        }
    }

    /// As a numbered track's part of a message, for [`Multitrack::new`].
    ///
    /// # Errors
    /// As [`VideoTag::encode`].
    pub fn to_track(&self, id: u8, codec: FourCc) -> Result<Track, Error> {
        let mut data = Vec::new();
        self.put(codec, &mut data)?;
        Ok(Track { id, codec, data: data.into() })
    }

    fn put(&self, codec: FourCc, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::CodedFrames { composition_ms, data } => {
                if codec.has_composition_time() {
                    wire::put_i24(out, *composition_ms)?;
                } else if *composition_ms != 0 {
                    return Err(Error::Misuse("a composition time with a codec that has none"));
                }
                out.extend_from_slice(data);
            }
            Self::SequenceStart(data)
            | Self::SequenceEnd(data)
            | Self::CodedFramesX(data)
            | Self::Metadata(data)
            | Self::Mpeg2TsSequenceStart(data)
            | Self::Other(_, data) => out.extend_from_slice(data),
        }
        Ok(())
    }
}

impl Multitrack<VideoPacketType> {
    /// The tracks' packets: number, codec, packet. Ends as [`tracks`](Self::tracks) does.
    pub fn video(&self) -> impl Iterator<Item = Result<(u8, FourCc, VideoPacket), Error>> {
        let packet_type = self.packet_type();
        self.tracks().map(move |track| {
            let Track { id, codec, data } = track?;
            Ok((id, codec, VideoPacket::parse(packet_type, codec, data)?))
        })
    }
}
