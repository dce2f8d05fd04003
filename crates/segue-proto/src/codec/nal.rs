//! What AVC, HEVC and VVC share: lists of parameter sets in their records, and the escapes inside NAL units.

use bytes::Bytes;

use super::MAX_DIMENSION;
use super::bits::{CUT_SHORT, UNSOUND, chunk};
use crate::error::Error;

/// Parameter sets of one record.
pub(super) const MAX_PARAMETER_SETS: usize = 256;
/// Bytes of a parameter set that are read; what describes a stream stands near its start.
const MAX_READ: usize = 4096;

/// Takes `count` NAL units, each behind its 16-bit length, off `r`, a part of `whole`.
pub(super) fn units(whole: &Bytes, r: &mut &[u8], count: usize, to: &mut Vec<Bytes>) -> Result<(), Error> {
    for _ in 0..count {
        if to.len() == MAX_PARAMETER_SETS {
            return Err(Error::LimitExceeded("more than 256 parameter sets in a decoder configuration"));
        }
        let length = u16::from_be_bytes(*chunk(r)?);
        let (unit, rest) = r.split_at_checked(length.into()).ok_or(CUT_SHORT)?;
        *r = rest;
        to.push(whole.slice_ref(unit));
    }
    Ok(())
}

/// The payload of a NAL unit, without its header of `header` bytes and without the emulation prevention bytes: 3 after
/// two zeros (H.264, 7.4.1; the same in the later two).
pub(super) fn payload(unit: &[u8], header: usize) -> Result<Vec<u8>, Error> {
    let mut zeros = 0usize;
    let payload = unit.get(header..).ok_or(CUT_SHORT)?;
    let unescaped = payload.iter().take(MAX_READ).filter(|&&byte| {
        let escape = zeros >= 2 && byte == 3;
        zeros = if byte == 0 { zeros.saturating_add(1) } else { 0 };
        !escape
    });
    Ok(unescaped.copied().collect())
}

/// A coded size without what is cropped on both sides, in luma samples.
pub(super) fn cropped(coded: u32, crop: [u32; 2], unit: u32) -> Result<u32, Error> {
    let [before, after] = crop;
    let crop = before.checked_add(after).and_then(|crop| crop.checked_mul(unit));
    let size = crop.and_then(|crop| coded.checked_sub(crop)).ok_or(UNSOUND)?;
    if size == 0 || size > MAX_DIMENSION { Err(UNSOUND) } else { Ok(size) }
}
