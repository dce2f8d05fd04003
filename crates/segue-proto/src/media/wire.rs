//! Taking fields off a tag body that is ref-counted, and putting them on: what is taken is a slice of it, never a copy.

use bytes::{Buf, BufMut, Bytes};

use super::code::FourCc;
use crate::error::Error;

const CUT_SHORT: Error = Error::PeerMisbehaved("media tag cut short");

pub(super) fn u8(r: &mut Bytes) -> Result<u8, Error> {
    r.try_get_u8().map_err(|_| CUT_SHORT)
}

pub(super) fn u16(r: &mut Bytes) -> Result<u16, Error> {
    r.try_get_u16().map_err(|_| CUT_SHORT)
}

pub(super) fn u32(r: &mut Bytes) -> Result<u32, Error> {
    r.try_get_u32().map_err(|_| CUT_SHORT)
}

/// SI24.
pub(super) fn i24(r: &mut Bytes) -> Result<i32, Error> {
    let mut bytes = [0; 3];
    r.try_copy_to_slice(&mut bytes).map_err(|_| CUT_SHORT)?;
    let [a, b, c] = bytes;
    // Put where the sign belongs, then shifted down with it.
    Ok(i32::from_be_bytes([a, b, c, 0]) >> 8)
}

pub(super) fn fourcc(r: &mut Bytes) -> Result<FourCc, Error> {
    let mut bytes = [0; 4];
    r.try_copy_to_slice(&mut bytes).map_err(|_| CUT_SHORT)?;
    Ok(FourCc(bytes))
}

pub(super) fn take(r: &mut Bytes, len: usize) -> Result<Bytes, Error> {
    if len > r.len() {
        return Err(CUT_SHORT);
    }
    Ok(r.split_to(len))
}

/// Writes an SI24.
///
/// # Errors
/// `Misuse` if it does not fit.
pub(super) fn put_i24(out: &mut Vec<u8>, value: i32) -> Result<(), Error> {
    if !(-0x80_0000..=0x7f_ffff).contains(&value) {
        return Err(Error::Misuse("a composition time beyond 24 bits"));
    }
    out.put_int(value.into(), 3);
    Ok(())
}
