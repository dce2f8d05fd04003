//! VVC (H.266): the fields of VvcDecoderConfigurationRecord (ISO/IEC 14496-15, 11.2.4.2). What stands in its parameter sets
//! is not read.

use bytes::Bytes;

use super::bits::{Bits, CUT_SHORT, UNSOUND, chunk};
use super::nal;
use crate::error::Error;

/// `NAL_unit_type` of operating point and decoding capability information: there is one of each, without a count.
const OPI: u8 = 12;
const DCI: u8 = 13;

/// VvcDecoderConfigurationRecord.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Bytes of the lengths between NAL units: 1, 2 or 4.
    pub length_size: u8,
    /// What the record says of the stream, if anything.
    pub profile: Option<Profile>,
    /// Parameter sets and SEI, in the order of the record: `NAL_unit_type` and the unit.
    pub units: Vec<(u8, Bytes)>,
}

/// What follows where `ptl_present_flag` is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Profile {
    /// `ols_idx`: the output layer set.
    pub output_layer_set: u16,
    /// `num_sublayers`.
    pub sublayers: u8,
    /// `chroma_format_idc`: 0 for none, 1 for 4:2:0, 2 for 4:2:2, 3 for 4:4:4.
    pub chroma_format: u8,
    /// Bits of a sample.
    pub bit_depth: u8,
    /// `general_profile_idc`: 1 main 10, ...
    pub profile: u8,
    /// `general_tier_flag`: the high tier.
    pub high_tier: bool,
    /// `general_level_idc`: sixteen times the level's first number plus three times its second, 51 for 3.1.
    pub level: u8,
    /// In luma samples, not cropped.
    pub max_picture_width: u16,
    /// Likewise.
    pub max_picture_height: u16,
    /// `avg_frame_rate`, frames in 256 seconds; 0 if not told.
    pub average_frame_rate: u16,
}

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// `PeerMisbehaved` if it is cut short or its reserved bits are not as reserved, `LimitExceeded` past 256 units.
    pub fn parse(data: &Bytes) -> Result<Self, Error> {
        let mut r = data.as_ref();
        let [first] = *chunk(&mut r)?;
        if first >> 3 != 0x1f {
            return Err(UNSOUND);
        }
        let profile = if first & 1 != 0 { Some(Profile::parse(&mut r)?) } else { None };
        let [arrays] = *chunk(&mut r)?;
        let mut units = Vec::new();
        for _ in 0..arrays {
            let [kind] = *chunk(&mut r)?;
            let kind = kind & 0x1f;
            let count = if matches!(kind, OPI | DCI) { 1 } else { u16::from_be_bytes(*chunk(&mut r)?) };
            let mut found = Vec::new();
            nal::units(data, &mut r, count.into(), &mut found)?;
            units.extend(found.into_iter().map(|unit| (kind, unit)));
            if units.len() > nal::MAX_PARAMETER_SETS {
                return Err(Error::LimitExceeded("more than 256 parameter sets in a decoder configuration"));
            }
        }
        Ok(Self { length_size: ((first >> 1) & 3).saturating_add(1), profile, units })
    }
}

impl Profile {
    fn parse(r: &mut &[u8]) -> Result<Self, Error> {
        let layers = u16::from_be_bytes(*chunk(r)?);
        let sublayers = ((layers >> 4) & 7) as u8;
        let [depth, constraint_bytes, profile, level] = *chunk(r)?;
        // VvcPTLRecord: two flags share the first byte with the constraints; without those, they have it alone.
        let constraints = usize::from(constraint_bytes & 0x3f).max(1);
        *r = r.get(constraints..).ok_or(CUT_SHORT)?;
        if sublayers > 1 {
            let [present] = *chunk(r)?;
            let mut flags = Bits::new(std::slice::from_ref(&present));
            for _ in 1..sublayers {
                if flags.flag()? {
                    let _level: &[u8; 1] = chunk(r)?;
                }
            }
        }
        let [sub_profiles] = *chunk(r)?;
        for _ in 0..sub_profiles {
            let _sub_profile: &[u8; 4] = chunk(r)?;
        }
        Ok(Self {
            output_layer_set: layers >> 7,
            sublayers,
            chroma_format: (layers & 3) as u8,
            bit_depth: (depth >> 5).saturating_add(8),
            profile: profile >> 1,
            high_tier: profile & 1 != 0,
            level,
            max_picture_width: u16::from_be_bytes(*chunk(r)?),
            max_picture_height: u16::from_be_bytes(*chunk(r)?),
            average_frame_rate: u16::from_be_bytes(*chunk(r)?),
        })
    }
}
