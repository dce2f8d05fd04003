//! What decoders are configured with: the records that sequence headers carry, as far as it takes to describe a stream
//! (profile, size, rate, channels) and to find parameter sets. Nothing of it decides about media, which is forwarded
//! whatever it says; a record that cannot be read costs a description.
//!
//! Each file is a family of codecs. They read what any stranger can send: every count is bounded by the bytes that are
//! there or by a constant, and no number out of them is used without a check.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use bytes::Bytes;

use crate::error::Error;
use crate::media::code::{SoundFormat, VideoCodecId};
use crate::media::{Codec, FourCc};

pub mod aac;
pub mod ac3;
pub mod av1;
pub mod avc;
mod bits;
pub mod flac;
pub mod hevc;
mod nal;
pub mod opus;
pub mod vp;
pub mod vvc;

#[cfg(test)]
mod tests;

/// Width and height, each at most: what the records that have fields for them can state.
pub const MAX_DIMENSION: u32 = 65_536;

/// A decoder's configuration, by codec.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DecoderConfig {
    /// AVC (H.264).
    Avc(avc::Record),
    /// HEVC (H.265).
    Hevc(hevc::Record),
    /// VVC (H.266).
    Vvc(vvc::Record),
    /// AV1.
    Av1(av1::Record),
    /// VP8 and VP9.
    Vp(vp::Record),
    /// AAC.
    Aac(aac::AudioSpecificConfig),
    /// Opus.
    Opus(opus::Head),
    /// FLAC.
    Flac(flac::StreamInfo),
}

impl DecoderConfig {
    /// Reads the data of a sequence header. `None` for codecs that have none to read, and for the empty ones that some
    /// codecs allow.
    ///
    /// # Errors
    /// `PeerMisbehaved` if it is cut short or contradicts itself, `LimitExceeded` past a bound.
    pub fn parse(codec: Codec, data: &Bytes) -> Result<Option<Self>, Error> {
        const AVC: u8 = VideoCodecId::AVC.value();
        const HEVC: u8 = VideoCodecId::HEVC_VENDOR.value();
        const AAC: u8 = SoundFormat::AAC.value();
        // Legacy numbers of video and audio overlap, but not these three.
        let codec = match codec {
            Codec::FourCc(code) => FourCc(code),
            Codec::Legacy(AVC) => FourCc::AVC,
            Codec::Legacy(HEVC) => FourCc::HEVC,
            Codec::Legacy(AAC) => FourCc::AAC,
            _ => return Ok(None),
        };
        if data.is_empty() {
            return Ok(None);
        }
        Ok(Some(match codec {
            FourCc::AVC => Self::Avc(avc::Record::parse(data)?),
            FourCc::HEVC => Self::Hevc(hevc::Record::parse(data)?),
            FourCc::VVC => Self::Vvc(vvc::Record::parse(data)?),
            FourCc::AV1 => Self::Av1(av1::Record::parse(data)?),
            FourCc::VP8 | FourCc::VP9 => Self::Vp(vp::Record::parse(data)?),
            FourCc::AAC => Self::Aac(aac::AudioSpecificConfig::parse(data)?),
            FourCc::OPUS => Self::Opus(opus::Head::parse(data)?),
            FourCc::FLAC => Self::Flac(flac::StreamInfo::parse(data)?),
            _ => return Ok(None),
        }))
    }

    /// Width and height of the picture in luma samples, if this says so and is sound.
    pub fn size(&self) -> Option<(u32, u32)> {
        match self {
            Self::Avc(record) => record.sps().and_then(Result::ok).map(|sps| (sps.width, sps.height)),
            Self::Hevc(record) => record.sps().and_then(Result::ok).map(|sps| (sps.width, sps.height)),
            Self::Vvc(record) => {
                record.profile.as_ref().map(|p| (p.max_picture_width.into(), p.max_picture_height.into()))
            }
            Self::Av1(record) => record.sequence_header().and_then(Result::ok).map(|s| (s.width, s.height)),
            Self::Vp(_) | Self::Aac(_) | Self::Opus(_) | Self::Flac(_) => None,
        }
    }

    /// Samples a second and channels, if this says so.
    pub fn sound(&self) -> Option<(u32, u8)> {
        match self {
            Self::Aac(config) => Some((config.output_rate(), config.channels?)),
            // Opus decodes to 48 kHz, whatever went in (RFC 7845, 5.1).
            Self::Opus(head) => Some((48_000, head.channels)),
            Self::Flac(info) => Some((info.sample_rate, info.channels)),
            _ => None,
        }
    }
}
