//! ModEx: modifiers in front of an enhanced packet's type (E-RTMP v2, "Enhanced Audio", "Enhanced Video"). Each has
//! data of 1 to 65,536 bytes, then half a byte for its kind and half a byte for the next packet type, which may again be
//! ModEx. Audio and video agree in all of it.

use bytes::Bytes;

use super::code::ModExType;
use super::wire;
use crate::error::Error;

/// Modifiers of one packet. One is defined, and a second of the same kind would say nothing new.
pub const MAX_MOD_EX: usize = 16;
/// Bytes of one modifier's data, at most: what the 16-bit size can state.
pub const MAX_MOD_EX_DATA: usize = 65_536;
/// From here on the size does not fit the first byte, whose highest value announces the longer form.
const LONG_FORM: usize = 256;
/// Nanoseconds of a millisecond: an offset stays below.
const NANOS_PER_MS: u32 = 1_000_000;

/// One modifier.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ModEx {
    /// What it is.
    pub kind: ModExType,
    /// Its data: 1 to [`MAX_MOD_EX_DATA`] bytes.
    pub data: Bytes,
}

impl ModEx {
    /// A timestamp offset of `nanos`, 0 to 999,999.
    ///
    /// # Errors
    /// `Misuse` if it is a whole millisecond or more: that belongs to the message's timestamp.
    pub fn timestamp_offset(nanos: u32) -> Result<Self, Error> {
        if nanos >= NANOS_PER_MS {
            return Err(Error::Misuse("a nanosecond offset of a millisecond or more"));
        }
        let [_, high, middle, low] = nanos.to_be_bytes();
        Ok(Self {
            kind: ModExType::TIMESTAMP_OFFSET_NANO,
            data: Bytes::copy_from_slice(&[high, middle, low]),
        })
    }

    /// The nanoseconds that it adds to the message's timestamp; `None` if it is no timestamp offset or too short for
    /// one. A peer can send any 24 bits.
    pub fn timestamp_offset_nanos(&self) -> Option<u32> {
        match (self.kind, self.data.as_ref()) {
            (ModExType::TIMESTAMP_OFFSET_NANO, [high, middle, low, ..]) => {
                Some(u32::from_be_bytes([0, *high, *middle, *low]))
            }
            _ => None,
        }
    }
}

/// Takes modifiers while `packet_type` is `mod_ex`. Returns them and the packet type proper.
pub(super) fn parse(r: &mut Bytes, mut packet_type: u8, mod_ex: u8) -> Result<(Vec<ModEx>, u8), Error> {
    let mut modifiers = Vec::new();
    while packet_type == mod_ex {
        if modifiers.len() == MAX_MOD_EX {
            return Err(Error::LimitExceeded("more than 16 ModEx modifiers"));
        }
        let mut size = usize::from(wire::u8(r)?).saturating_add(1);
        if size == LONG_FORM {
            size = usize::from(wire::u16(r)?).saturating_add(1);
        }
        let data = wire::take(r, size)?;
        let types = wire::u8(r)?;
        modifiers.push(ModEx { kind: ModExType::new(types >> 4), data });
        packet_type = types & 0x0f;
    }
    Ok((modifiers, packet_type))
}

/// The first packet type to be written: `packet_type`, or ModEx before modifiers.
pub(super) fn first_type(modifiers: &[ModEx], packet_type: u8, mod_ex: u8) -> u8 {
    if modifiers.is_empty() { packet_type } else { mod_ex }
}

/// Writes what [`parse`] reads.
pub(super) fn put(out: &mut Vec<u8>, modifiers: &[ModEx], packet_type: u8, mod_ex: u8) -> Result<(), Error> {
    if modifiers.len() > MAX_MOD_EX {
        return Err(Error::Misuse("more than 16 ModEx modifiers"));
    }
    for (at, modifier) in modifiers.iter().enumerate() {
        let next = if at.saturating_add(1) == modifiers.len() { packet_type & 0x0f } else { mod_ex };
        let len = modifier.data.len();
        match len.checked_sub(1).map(u16::try_from) {
            Some(Ok(size)) if len < LONG_FORM => out.push(size.to_be_bytes()[1]),
            Some(Ok(size)) => {
                out.push(0xff);
                out.extend_from_slice(&size.to_be_bytes());
            }
            _ => return Err(Error::Misuse("ModEx data is 1 to 65,536 bytes")),
        }
        out.extend_from_slice(&modifier.data);
        out.push((modifier.kind.value() << 4) | next);
    }
    Ok(())
}
