//! Opus: the identification header (RFC 7845, 5.1). All its numbers are little-endian.

use bytes::{Buf, Bytes};

use super::bits::{CUT_SHORT, UNSOUND};
use crate::error::Error;

const MAGIC: &[u8] = b"OpusHead";

/// `OpusHead`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// Channels that come out.
    pub channels: u8,
    /// Samples at 48 kHz to be left out at the start.
    pub pre_skip: u16,
    /// Samples a second of what went in; 0 if not told.
    pub input_rate: u32,
    /// In 1/256 dB, to be added when playing.
    pub gain: i16,
    /// `Channel Mapping Family`: 0 mono or stereo, 1 up to 7.1, 255 as the application knows.
    pub family: u8,
    /// How streams become channels, where the family is not 0.
    pub mapping: Option<Mapping>,
}

/// The channel mapping table (5.1.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// Streams in each packet.
    pub streams: u8,
    /// Of them, those with two channels.
    pub coupled: u8,
    /// For each channel, where it comes from; 255 for silence.
    pub map: Bytes,
}

impl Head {
    /// Reads a header.
    ///
    /// # Errors
    /// `PeerMisbehaved` if it is cut short, has no channels, or is of another major version.
    pub fn parse(data: &Bytes) -> Result<Self, Error> {
        let mut r = data.clone();
        if !r.starts_with(MAGIC) {
            return Err(UNSOUND);
        }
        r.advance(MAGIC.len());
        let version = r.try_get_u8().map_err(|_| CUT_SHORT)?;
        let channels = r.try_get_u8().map_err(|_| CUT_SHORT)?;
        if version >> 4 != 0 || channels == 0 {
            return Err(UNSOUND);
        }
        let pre_skip = r.try_get_u16_le().map_err(|_| CUT_SHORT)?;
        let input_rate = r.try_get_u32_le().map_err(|_| CUT_SHORT)?;
        let gain = r.try_get_i16_le().map_err(|_| CUT_SHORT)?;
        let family = r.try_get_u8().map_err(|_| CUT_SHORT)?;
        let mapping = if family == 0 { None } else { Some(Mapping::parse(r, channels)?) };
        Ok(Self { channels, pre_skip, input_rate, gain, family, mapping })
    }
}

impl Mapping {
    fn parse(mut r: Bytes, channels: u8) -> Result<Self, Error> {
        let streams = r.try_get_u8().map_err(|_| CUT_SHORT)?;
        let coupled = r.try_get_u8().map_err(|_| CUT_SHORT)?;
        if r.len() < usize::from(channels) {
            return Err(CUT_SHORT);
        }
        Ok(Self { streams, coupled, map: r.split_to(channels.into()) })
    }
}
