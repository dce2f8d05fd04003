//! Audio tag bodies, typed: legacy ones (Video File Format 10.1, E.4.2) and enhanced ones (E-RTMP v2, "Enhanced Audio"),
//! read and written. Coded data and configurations are slices of what was read; what configurations say is
//! [`crate::codec`]'s. For a quick look at a message there is [`MediaMessage::info`](super::MediaMessage::info).

use bytes::Bytes;

use super::channels::MultichannelConfig;
use super::code::{AacPacketType, AudioPacketType, FourCc, SoundFormat, SoundRate};
use super::mod_ex::{self, ModEx};
use super::multitrack::{Multitrack, Track};
use super::wire;
use crate::error::Error;

/// The body of an audio tag or message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AudioTag {
    /// An empty message: silence begins (E-RTMP v2, beside `AudioPacketType`).
    Silence,
    /// Video File Format 10.1.
    Legacy(LegacyAudio),
    /// E-RTMP.
    Enhanced(ExAudio),
}

/// A legacy audio tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LegacyAudio {
    /// The format; not `EX_HEADER`.
    pub format: SoundFormat,
    /// The sampling rate, where the format does not say another.
    pub rate: SoundRate,
    /// Whether samples have 16 bits, and not 8; compressed formats always decode to 16.
    pub sixteen_bit: bool,
    /// Whether there are two channels, and not one.
    pub stereo: bool,
    /// What `data` is, with AAC and with no other format.
    pub aac: Option<AacPacketType>,
    /// Configuration or coded sound.
    pub data: Bytes,
}

/// An enhanced audio tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExAudio {
    /// Modifiers of the packet.
    pub modifiers: Vec<ModEx>,
    /// What follows.
    pub body: ExAudioBody,
}

/// What an enhanced audio tag holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExAudioBody {
    /// One packet, not of any numbered track.
    Single {
        /// Its codec.
        codec: FourCc,
        /// The packet.
        packet: AudioPacket,
    },
    /// Packets of numbered tracks. See [`Multitrack::audio`].
    Multitrack(Multitrack<AudioPacketType>),
}

/// One packet of one track.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AudioPacket {
    /// The codec's configuration.
    SequenceStart(Bytes),
    /// Coded sound.
    CodedFrames(Bytes),
    /// The sequence is over: silence. Nothing is defined to follow.
    SequenceEnd(Bytes),
    /// Which channel is which.
    MultichannelConfig(MultichannelConfig),
    /// A packet of a type without a meaning here, or with none inside a multitrack header.
    Other(AudioPacketType, Bytes),
}

impl AudioTag {
    /// Reads a tag body. Numbers and codecs that mean nothing here are carried.
    ///
    /// # Errors
    /// `PeerMisbehaved` if the header is cut short, `LimitExceeded` past [`MAX_MOD_EX`](super::mod_ex::MAX_MOD_EX).
    pub fn parse(body: &Bytes) -> Result<Self, Error> {
        let mut r = body.clone();
        let Ok(first) = wire::u8(&mut r) else { return Ok(Self::Silence) };
        let format = SoundFormat::new(first >> 4);
        if format == SoundFormat::EX_HEADER {
            return ExAudio::parse(first & 0x0f, r).map(Self::Enhanced);
        }
        let aac = if format == SoundFormat::AAC { Some(AacPacketType::new(wire::u8(&mut r)?)) } else { None };
        Ok(Self::Legacy(LegacyAudio {
            format,
            rate: SoundRate::new(first >> 2),
            sixteen_bit: first & 2 != 0,
            stereo: first & 1 != 0,
            aac,
            data: r,
        }))
    }

    /// Writes the tag body: what [`parse`](Self::parse) reads as the same.
    ///
    /// # Errors
    /// `Misuse` if the wire cannot state it, or would state something else.
    pub fn encode(&self) -> Result<Bytes, Error> {
        let mut out = Vec::new();
        match self {
            Self::Silence => {}
            Self::Legacy(tag) => tag.put(&mut out)?,
            Self::Enhanced(tag) => tag.put(&mut out)?,
        }
        Ok(out.into())
    }
}

impl LegacyAudio {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.format == SoundFormat::EX_HEADER || self.aac.is_some() != (self.format == SoundFormat::AAC) {
            return Err(Error::Misuse("an audio body that its format does not announce"));
        }
        let flags = (self.rate.value() << 2) | (u8::from(self.sixteen_bit) << 1) | u8::from(self.stereo);
        out.push((self.format.value() << 4) | flags);
        out.extend(self.aac.map(AacPacketType::value));
        out.extend_from_slice(&self.data);
        Ok(())
    }
}

impl ExAudio {
    fn parse(packet_type: u8, mut r: Bytes) -> Result<Self, Error> {
        let (modifiers, packet_type) = mod_ex::parse(&mut r, packet_type, AudioPacketType::MOD_EX.value())?;
        let packet_type = AudioPacketType::new(packet_type);
        let body = if packet_type == AudioPacketType::MULTITRACK {
            ExAudioBody::Multitrack(Multitrack::parse(&mut r)?)
        } else {
            let codec = wire::fourcc(&mut r)?;
            ExAudioBody::Single { codec, packet: AudioPacket::parse(packet_type, r)? }
        };
        Ok(Self { modifiers, body })
    }

    fn put(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        const MOD_EX: u8 = AudioPacketType::MOD_EX.value();
        let packet_type = match &self.body {
            ExAudioBody::Single { packet, .. } => packet.packet_type(),
            ExAudioBody::Multitrack(_) => AudioPacketType::MULTITRACK,
        };
        let says_single = matches!(self.body, ExAudioBody::Single { .. });
        if packet_type == AudioPacketType::MOD_EX
            || (says_single && packet_type == AudioPacketType::MULTITRACK)
        {
            return Err(Error::Misuse("an audio body that its packet type does not announce"));
        }
        let packet_type = packet_type.value();
        let first = mod_ex::first_type(&self.modifiers, packet_type, MOD_EX);
        out.push((SoundFormat::EX_HEADER.value() << 4) | first);
        mod_ex::put(out, &self.modifiers, packet_type, MOD_EX)?;
        match &self.body {
            ExAudioBody::Single { codec, packet } => {
                out.extend_from_slice(&codec.0);
                packet.put(out)?;
            }
            ExAudioBody::Multitrack(tracks) => tracks.put(out),
        }
        Ok(())
    }
}

impl AudioPacket {
    /// Reads a track's packet, behind its packet type and codec.
    ///
    /// # Errors
    /// `PeerMisbehaved` if a multichannel configuration is cut short.
    pub fn parse(packet_type: AudioPacketType, data: Bytes) -> Result<Self, Error> {
        Ok(match packet_type {
            AudioPacketType::SEQUENCE_START => Self::SequenceStart(data),
            AudioPacketType::CODED_FRAMES => Self::CodedFrames(data),
            AudioPacketType::SEQUENCE_END => Self::SequenceEnd(data),
            AudioPacketType::MULTICHANNEL_CONFIG => {
                Self::MultichannelConfig(MultichannelConfig::parse(data)?)
            }
            other => Self::Other(other, data),
        })
    }

    /// Its packet type.
    pub fn packet_type(&self) -> AudioPacketType {
        match self {
            Self::SequenceStart(_) => AudioPacketType::SEQUENCE_START,
            Self::CodedFrames(_) => AudioPacketType::CODED_FRAMES,
            Self::SequenceEnd(_) => AudioPacketType::SEQUENCE_END,
            Self::MultichannelConfig(_) => AudioPacketType::MULTICHANNEL_CONFIG,
            Self::Other(packet_type, _) => *packet_type,
        }
    }

    /// As a numbered track's part of a message, for [`Multitrack::new`].
    ///
    /// # Errors
    /// As [`AudioTag::encode`].
    pub fn to_track(&self, id: u8, codec: FourCc) -> Result<Track, Error> {
        let mut data = Vec::new();
        self.put(&mut data)?;
        Ok(Track { id, codec, data: data.into() })
    }

    fn put(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::MultichannelConfig(config) => config.put(out)?,
            Self::SequenceStart(data)
            | Self::CodedFrames(data)
            | Self::SequenceEnd(data)
            | Self::Other(_, data) => out.extend_from_slice(data),
        }
        Ok(())
    }
}

impl Multitrack<AudioPacketType> {
    /// The tracks' packets: number, codec, packet. Ends as [`tracks`](Self::tracks) does.
    pub fn audio(&self) -> impl Iterator<Item = Result<(u8, FourCc, AudioPacket), Error>> {
        let packet_type = self.packet_type();
        self.tracks().map(move |track| {
            let Track { id, codec, data } = track?;
            Ok((id, codec, AudioPacket::parse(packet_type, data)?))
        })
    }
}
