//! AV1: AV1CodecConfigurationRecord (AV1 Codec ISO Media File Format Binding, 2.3.3) and the sequence header OBU in it (AV1,
//! 5.5), as far as the size of the picture.

use bytes::Bytes;

use super::bits::{Bits, CUT_SHORT, UNSOUND, chunk};
use crate::error::Error;

/// `OBU_SEQUENCE_HEADER`.
const SEQUENCE_HEADER: u8 = 1;
/// OBUs that are looked through for it; it stands first.
const MAX_OBUS: usize = 16;

/// AV1CodecConfigurationRecord.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// `seq_profile`: 0 main, 1 high, 2 professional.
    pub profile: u8,
    /// `seq_level_idx_0`: 4 × (X - 2) + Y for level X.Y.
    pub level: u8,
    /// `seq_tier_0`: the high tier.
    pub high_tier: bool,
    /// Bits of a sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// No colours.
    pub monochrome: bool,
    /// Whether chroma has half the samples: across, down.
    pub chroma_subsampling: (bool, bool),
    /// `configOBUs`.
    pub obus: Bytes,
}

/// What a sequence header says of the picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SequenceHeader {
    /// `seq_profile`.
    pub profile: u8,
    /// The largest width of a frame, in luma samples.
    pub width: u32,
    /// The largest height.
    pub height: u32,
}

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// `PeerMisbehaved` if it is cut short or of another version.
    pub fn parse(data: &Bytes) -> Result<Self, Error> {
        let mut r = data.as_ref();
        let [version, profile, flags, _delay] = *chunk(&mut r)?;
        if version != 0x81 {
            return Err(UNSOUND);
        }
        let bit_depth = match (flags & 0x40 != 0, flags & 0x20 != 0) {
            (false, _) => 8,
            (true, false) => 10,
            (true, true) => 12,
        };
        Ok(Self {
            profile: profile >> 5,
            level: profile & 0x1f,
            high_tier: flags & 0x80 != 0,
            bit_depth,
            monochrome: flags & 0x10 != 0,
            chroma_subsampling: (flags & 8 != 0, flags & 4 != 0),
            obus: data.slice_ref(r),
        })
    }

    /// What the sequence header says, if there is one.
    pub fn sequence_header(&self) -> Option<Result<SequenceHeader, Error>> {
        let mut r = self.obus.as_ref();
        for _ in 0..MAX_OBUS {
            if r.is_empty() {
                return None;
            }
            match obu(&mut r) {
                Ok((SEQUENCE_HEADER, payload)) => return Some(SequenceHeader::parse(payload)),
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }
}

/// The next OBU's type and payload (5.3).
fn obu<'a>(r: &mut &'a [u8]) -> Result<(u8, &'a [u8]), Error> {
    let [header] = *chunk(r)?;
    if header & 4 != 0 {
        let _extension: &[u8; 1] = chunk(r)?;
    }
    let size = if header & 2 != 0 { leb128(r)? } else { r.len() };
    let (payload, rest) = r.split_at_checked(size).ok_or(CUT_SHORT)?;
    *r = rest;
    Ok(((header >> 3) & 0x0f, payload))
}

/// 4.10.5: at most eight bytes, and less than 2^32.
fn leb128(r: &mut &[u8]) -> Result<usize, Error> {
    let mut value = 0u64;
    for shift in (0..56).step_by(7) {
        let [byte] = *chunk(r)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return u32::try_from(value).map(|value| value as usize).map_err(|_| UNSOUND);
        }
    }
    Err(UNSOUND)
}

impl SequenceHeader {
    /// Reads the payload of a sequence header OBU.
    ///
    /// # Errors
    /// `PeerMisbehaved` if it is cut short.
    pub fn parse(payload: &[u8]) -> Result<Self, Error> {
        let mut r = Bits::new(payload);
        let profile = r.u8(3)?;
        let _still_picture = r.flag()?;
        let reduced = r.flag()?;
        if reduced {
            r.skip(5);
        } else {
            let decoder_delay = if r.flag()? { timing(&mut r)? } else { None };
            let display_delay = r.flag()?;
            for _ in 0..=r.u(5)? {
                r.skip(12);
                if r.u(5)? > 7 {
                    r.skip(1);
                }
                if let Some(length) = decoder_delay
                    && r.flag()?
                {
                    // Two delays of that length, and the flag for low delay.
                    r.u(length)?;
                    r.u(length)?;
                    r.skip(1);
                }
                if display_delay && r.flag()? {
                    r.skip(4);
                }
            }
        }
        let width_bits = r.u(4)?.saturating_add(1);
        let height_bits = r.u(4)?.saturating_add(1);
        let width = r.u(width_bits)?.saturating_add(1);
        let height = r.u(height_bits)?.saturating_add(1);
        Ok(Self { profile, width, height })
    }
}

/// Timing information and decoder model (5.5.3, 5.5.4). Returns the length of the model's delays, if there is one.
fn timing(r: &mut Bits<'_>) -> Result<Option<u32>, Error> {
    r.skip(64);
    if r.flag()? {
        uvlc(r)?;
    }
    if !r.flag()? {
        return Ok(None);
    }
    let length = r.u(5)?.saturating_add(1);
    r.skip(32 + 5 + 5);
    Ok(Some(length))
}

/// 4.10.3, passed over.
fn uvlc(r: &mut Bits<'_>) -> Result<(), Error> {
    let mut zeros = 0u32;
    while !r.flag()? {
        zeros = zeros.saturating_add(1);
    }
    if zeros < 32 {
        r.u(zeros)?;
    }
    Ok(())
}
