//! HEVC (H.265): HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1) and the start of the sequence parameter set in
//! it (H.265, 7.3.2.2.1), as far as the size and depth of the picture.

use bytes::Bytes;

use super::bits::{Bits, UNSOUND, chunk};
use super::nal;
use crate::error::Error;

/// `nal_unit_type` of a sequence parameter set.
const SPS: u8 = 33;

/// HEVCDecoderConfigurationRecord.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// `general_profile_idc`: 1 main, 2 main 10, ...
    pub profile: u8,
    /// `general_tier_flag`: the high tier.
    pub high_tier: bool,
    /// `general_profile_compatibility_flags`.
    pub compatibility: u32,
    /// `general_level_idc`, thirty times the level: 93 for 3.1.
    pub level: u8,
    /// `chromaFormat`: 0 for none, 1 for 4:2:0, 2 for 4:2:2, 3 for 4:4:4.
    pub chroma_format: u8,
    /// Bits of a luma sample.
    pub bit_depth: u8,
    /// `avgFrameRate`, frames in 256 seconds; 0 if not told.
    pub average_frame_rate: u16,
    /// Bytes of the lengths between NAL units: 1, 2 or 4.
    pub length_size: u8,
    /// Parameter sets and SEI, in the order of the record: `NAL_unit_type` and the unit.
    pub units: Vec<(u8, Bytes)>,
}

/// What a sequence parameter set says of the picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sps {
    /// `chroma_format_idc`.
    pub chroma_format: u8,
    /// Bits of a luma sample.
    pub bit_depth: u8,
    /// In luma samples, without what the conformance window cuts off.
    pub width: u32,
    /// Likewise.
    pub height: u32,
}

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// `PeerMisbehaved` if it is cut short or of another version, `LimitExceeded` past 256 units.
    pub fn parse(data: &Bytes) -> Result<Self, Error> {
        let mut r = data.as_ref();
        let [version, profile] = *chunk(&mut r)?;
        if version != 1 {
            return Err(UNSOUND);
        }
        let compatibility = u32::from_be_bytes(*chunk(&mut r)?);
        let _constraints: &[u8; 6] = chunk(&mut r)?;
        let [level] = *chunk(&mut r)?;
        let [_, _, _parallelism, chroma_format, depth, _chroma_depth] = *chunk(&mut r)?;
        let average_frame_rate = u16::from_be_bytes(*chunk(&mut r)?);
        let [layers, arrays] = *chunk(&mut r)?;
        let mut units = Vec::new();
        for _ in 0..arrays {
            let [kind, high, low] = *chunk(&mut r)?;
            let mut found = Vec::new();
            nal::units(data, &mut r, u16::from_be_bytes([high, low]).into(), &mut found)?;
            units.extend(found.into_iter().map(|unit| (kind & 0x3f, unit)));
            if units.len() > nal::MAX_PARAMETER_SETS {
                return Err(Error::LimitExceeded("more than 256 parameter sets in a decoder configuration"));
            }
        }
        Ok(Self {
            profile: profile & 0x1f,
            high_tier: profile & 0x20 != 0,
            compatibility,
            level,
            chroma_format: chroma_format & 3,
            bit_depth: (depth & 7).saturating_add(8),
            average_frame_rate,
            length_size: (layers & 3).saturating_add(1),
            units,
        })
    }

    /// What the first sequence parameter set says, if there is one.
    pub fn sps(&self) -> Option<Result<Sps, Error>> {
        self.units.iter().find(|(kind, _)| *kind == SPS).map(|(_, unit)| Sps::parse(unit))
    }
}

impl Sps {
    /// Reads a NAL unit.
    ///
    /// # Errors
    /// `PeerMisbehaved` if it is cut short, no sequence parameter set, or says what the specification rules out.
    pub fn parse(unit: &[u8]) -> Result<Self, Error> {
        if unit.first().is_none_or(|header| (header >> 1) & 0x3f != SPS) {
            return Err(UNSOUND);
        }
        let payload = nal::payload(unit, 2)?;
        let mut r = Bits::new(&payload);
        r.skip(4);
        let sub_layers = r.u(3)?;
        if sub_layers > 6 {
            return Err(UNSOUND);
        }
        r.skip(1);
        profile_tier_level(&mut r, sub_layers)?;
        r.ue_to(15)?;
        let chroma_format = r.ue_to(3)?;
        let separate = chroma_format == 3 && r.flag()?;
        let (width, height) = (r.ue()?, r.ue()?);
        let [left, right, top, bottom] =
            if r.flag()? { [r.ue()?, r.ue()?, r.ue()?, r.ue()?] } else { [0; 4] };
        let bit_depth = (r.ue_to(8)? as u8).saturating_add(8);
        // Table 6-1.
        let (sub_width, sub_height) = match chroma_format {
            1 if !separate => (2, 2),
            2 if !separate => (2, 1),
            _ => (1, 1),
        };
        Ok(Self {
            chroma_format: chroma_format as u8,
            bit_depth,
            width: nal::cropped(width, [left, right], sub_width)?,
            height: nal::cropped(height, [top, bottom], sub_height)?,
        })
    }
}

/// 7.3.3, passed over.
fn profile_tier_level(r: &mut Bits<'_>, sub_layers: u32) -> Result<(), Error> {
    const PROFILE: usize = 88;
    const LEVEL: usize = 8;
    r.skip(PROFILE);
    r.skip(LEVEL);
    let mut present = Vec::new();
    for _ in 0..sub_layers {
        present.push((r.flag()?, r.flag()?));
    }
    if sub_layers > 0 {
        // Two reserved bits for each up to eight.
        (sub_layers..8).for_each(|_| r.skip(2));
    }
    for (profile, level) in present {
        r.skip(if profile { PROFILE } else { 0 });
        r.skip(if level { LEVEL } else { 0 });
    }
    Ok(())
}
