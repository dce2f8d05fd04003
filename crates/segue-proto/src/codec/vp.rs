//! VP8 and VP9: VPCodecConfigurationRecord (VP Codec ISO Media File Format Binding, 1.0). It does not say how large the
//! picture is: frames do.

use bytes::Bytes;

use super::bits::{CUT_SHORT, chunk};
use crate::error::Error;

/// Version and flags of the box in which MP4 files have the record. E-RTMP wants the record alone; FFmpeg writes these
/// in front of it. A bare record cannot start so and be as long, as its last field counts the bytes behind it.
const BOX_HEADER: &[u8] = &[1, 0, 0, 0];
/// Bytes of the record without initialization data, of which VP8 and VP9 have none.
const RECORD: usize = 8;

/// VPCodecConfigurationRecord.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// `profile`.
    pub profile: u8,
    /// `level`, ten times the level: 20 for 2.
    pub level: u8,
    /// Bits of a sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// `chromaSubsampling`: 0 and 1 for 4:2:0, 2 for 4:2:2, 3 for 4:4:4.
    pub chroma_subsampling: u8,
    /// Samples have their full range.
    pub full_range: bool,
    /// `colourPrimaries`, `transferCharacteristics`, `matrixCoefficients` (ITU-T H.273).
    pub colour: [u8; 3],
    /// `codecInitializationData`.
    pub initialization: Bytes,
}

impl Record {
    /// Reads a record, with or without version and flags in front.
    ///
    /// # Errors
    /// `PeerMisbehaved` if it is cut short.
    pub fn parse(data: &Bytes) -> Result<Self, Error> {
        let mut r = data.as_ref();
        if let Some(record) = r.strip_prefix(BOX_HEADER)
            && record.len() >= RECORD
        {
            r = record;
        }
        let [profile, level, format, primaries, transfer, matrix, high, low] = *chunk::<RECORD>(&mut r)?;
        let size = u16::from_be_bytes([high, low]).into();
        let initialization = data.slice_ref(r.get(..size).ok_or(CUT_SHORT)?);
        Ok(Self {
            profile,
            level,
            bit_depth: format >> 4,
            chroma_subsampling: (format >> 1) & 7,
            full_range: format & 1 != 0,
            colour: [primaries, transfer, matrix],
            initialization,
        })
    }
}
