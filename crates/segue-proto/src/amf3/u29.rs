//! The variable-length 29-bit integer (AMF3, 1.3.1): seven bits a byte, the highest bit saying that another follows,
//! and eight bits in a fourth byte.

use crate::amf;
use crate::error::Error;

/// The largest: 2^29 - 1.
pub(super) const MAX: u32 = 0x1FFF_FFFF;
/// The largest length, count or index: one bit less.
pub(super) const MAX_COUNT: usize = (MAX >> 1) as usize;

/// Takes one from the front. A longer form than needed is accepted.
pub(super) fn decode(input: &mut &[u8]) -> Result<u32, Error> {
    let mut value = 0;
    for _ in 0..3 {
        let [byte] = amf::array(input)?;
        value = value << 7 | u32::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    let [byte] = amf::array(input)?;
    Ok(value << 8 | u32::from(byte))
}

/// Appends the shortest form of the lower 29 bits of `value`.
pub(super) fn encode(value: u32, out: &mut Vec<u8>) {
    let value = value & MAX;
    let bits = |from: u32| (value >> from) as u8 & 0x7F;
    match value {
        0..=0x7F => out.push(bits(0)),
        0x80..=0x3FFF => out.extend_from_slice(&[bits(7) | 0x80, bits(0)]),
        0x4000..=0x1F_FFFF => out.extend_from_slice(&[bits(14) | 0x80, bits(7) | 0x80, bits(0)]),
        _ => out.extend_from_slice(&[bits(22) | 0x80, bits(15) | 0x80, bits(8) | 0x80, value as u8]),
    }
}
