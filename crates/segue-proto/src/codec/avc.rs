//! AVC (H.264): AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3) and the sequence parameter set in it (H.264,
//! 7.3.2.1.1 and E.1.1), as far as its frame rate.

use bytes::Bytes;

use super::bits::{Bits, UNSOUND, chunk};
use super::nal;
use crate::error::Error;

/// AVCDecoderConfigurationRecord.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// `AVCProfileIndication`: 66 baseline, 77 main, 100 high, ...
    pub profile: u8,
    /// `profile_compatibility`: the constraint flags.
    pub compatibility: u8,
    /// `AVCLevelIndication`, ten times the level: 31 for 3.1.
    pub level: u8,
    /// Bytes of the lengths between NAL units: 1, 2 or 4.
    pub length_size: u8,
    /// Sequence parameter sets, as NAL units.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets, as NAL units.
    pub pps: Vec<Bytes>,
}

/// What a sequence parameter set says of the picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sps {
    /// `profile_idc`.
    pub profile: u8,
    /// `level_idc`.
    pub level: u8,
    /// `chroma_format_idc`: 0 for none, 1 for 4:2:0, 2 for 4:2:2, 3 for 4:4:4.
    pub chroma_format: u8,
    /// Bits of a luma sample.
    pub bit_depth: u8,
    /// In luma samples, cropped.
    pub width: u32,
    /// In luma samples, cropped.
    pub height: u32,
    /// Whether pictures may be fields.
    pub interlaced: bool,
    /// Frames in a number of seconds, as a fraction, if it is told.
    pub frame_rate: Option<(u32, u32)>,
}

impl Record {
    /// Reads a record. What high profiles have at its end is not looked at.
    ///
    /// # Errors
    /// `PeerMisbehaved` if it is cut short or of another version.
    pub fn parse(data: &Bytes) -> Result<Self, Error> {
        let mut r = data.as_ref();
        let [version, profile, compatibility, level, length, sps_count] = *chunk(&mut r)?;
        if version != 1 {
            return Err(UNSOUND);
        }
        let mut record = Self {
            profile,
            compatibility,
            level,
            length_size: (length & 3).saturating_add(1),
            sps: Vec::new(),
            pps: Vec::new(),
        };
        nal::units(data, &mut r, usize::from(sps_count & 0x1f), &mut record.sps)?;
        let [pps_count] = *chunk(&mut r)?;
        nal::units(data, &mut r, pps_count.into(), &mut record.pps)?;
        Ok(record)
    }

    /// What the first sequence parameter set says, if there is one.
    pub fn sps(&self) -> Option<Result<Sps, Error>> {
        self.sps.first().map(|unit| Sps::parse(unit))
    }
}

impl Sps {
    /// Reads a NAL unit.
    ///
    /// # Errors
    /// `PeerMisbehaved` if it is cut short, no sequence parameter set, or says what the specification rules out.
    pub fn parse(unit: &[u8]) -> Result<Self, Error> {
        if unit.first().is_none_or(|header| header & 0x1f != 7) {
            return Err(UNSOUND);
        }
        let payload = nal::payload(unit, 1)?;
        let mut r = Bits::new(&payload);
        let profile = r.u8(8)?;
        r.skip(8);
        let level = r.u8(8)?;
        r.ue_to(31)?;
        let (mut chroma_format, mut bit_depth, mut separate) = (1, 8u8, false);
        // The profiles with a longer form, as 7.3.2.1.1 lists them.
        if [44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244].contains(&profile) {
            chroma_format = r.ue_to(3)? as u8;
            separate = chroma_format == 3 && r.flag()?;
            bit_depth = bit_depth.saturating_add(r.ue_to(6)? as u8);
            r.ue_to(6)?;
            r.skip(1);
            if r.flag()? {
                scaling_lists(&mut r, if chroma_format == 3 { 12 } else { 8 })?;
            }
        }
        r.ue_to(12)?;
        match r.ue_to(2)? {
            0 => drop(r.ue_to(12)?),
            1 => {
                r.skip(1);
                r.se()?;
                r.se()?;
                for _ in 0..r.ue_to(255)? {
                    r.se()?;
                }
            }
            _ => {}
        }
        r.ue()?;
        r.skip(1);
        let width_mbs = r.ue()?.checked_add(1);
        let height_units = r.ue()?.checked_add(1);
        let frames_only = r.flag()?;
        if !frames_only {
            r.skip(1);
        }
        r.skip(1);
        let crop = if r.flag()? { [r.ue()?, r.ue()?, r.ue()?, r.ue()?] } else { [0; 4] };
        let frame_rate = if r.flag()? { frame_rate(&mut r)? } else { None };

        // Table 6-1: how many luma samples a chroma sample covers, and (7-19) to (7-22): the units of cropping.
        let chroma_format_of_array = if separate { 0 } else { chroma_format };
        let (sub_width, sub_height) = match chroma_format_of_array {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let fields: u32 = if frames_only { 1 } else { 2 };
        let [left, right, top, bottom] = crop;
        let width = width_mbs.and_then(|mbs| mbs.checked_mul(16)).ok_or(UNSOUND)?;
        let height =
            height_units.and_then(|units| units.checked_mul(16)?.checked_mul(fields)).ok_or(UNSOUND)?;
        Ok(Self {
            profile,
            level,
            chroma_format,
            bit_depth,
            width: nal::cropped(width, [left, right], sub_width)?,
            height: nal::cropped(height, [top, bottom], fields.saturating_mul(sub_height))?,
            interlaced: !frames_only,
            frame_rate,
        })
    }
}

/// 7.3.2.1.1.1: read to be passed over.
fn scaling_lists(r: &mut Bits<'_>, count: usize) -> Result<(), Error> {
    for list in 0..count {
        if !r.flag()? {
            continue;
        }
        let (mut last, mut next) = (8i64, 8i64);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = last.wrapping_add(r.se()?).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
    }
    Ok(())
}

/// VUI parameters (E.1.1), up to the timing.
fn frame_rate(r: &mut Bits<'_>) -> Result<Option<(u32, u32)>, Error> {
    const EXTENDED_SAR: u8 = 255;
    if r.flag()? && r.u8(8)? == EXTENDED_SAR {
        r.skip(32);
    }
    if r.flag()? {
        r.skip(1);
    }
    if r.flag()? {
        r.skip(4);
        if r.flag()? {
            r.skip(24);
        }
    }
    if r.flag()? {
        r.ue_to(5)?;
        r.ue_to(5)?;
    }
    if !r.flag()? {
        return Ok(None);
    }
    // Of fields: two of them are a frame.
    let (tick, scale) = (r.u(32)?, r.u(32)?);
    Ok(tick.checked_mul(2).filter(|tick| *tick > 0 && scale > 0).map(|tick| (scale, tick)))
}
