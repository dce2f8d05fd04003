//! Bits, from the highest of the first byte on, and the variable-length numbers that codecs build of them. Reading past
//! the end is an error; no read depends on a number that was read but by a bounded count.

use crate::error::Error;

pub(super) const CUT_SHORT: Error = Error::PeerMisbehaved("decoder configuration cut short");
pub(super) const UNSOUND: Error = Error::PeerMisbehaved("decoder configuration contradicts itself");

/// A cursor over bits.
#[derive(Clone, Debug)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// Of the next bit.
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) const fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    pub(super) fn flag(&mut self) -> Result<bool, Error> {
        let byte = self.data.get(self.at / 8).ok_or(CUT_SHORT)?;
        let bit = byte.checked_shr(7u32.saturating_sub(self.at as u32 % 8)).unwrap_or(0) & 1;
        self.at = self.at.saturating_add(1);
        Ok(bit != 0)
    }

    /// `u(n)`, for `n` of at most 32; of more, the last 32.
    pub(super) fn u(&mut self, n: u32) -> Result<u32, Error> {
        (0..n).try_fold(0u32, |value, _| Ok((value << 1) | u32::from(self.flag()?)))
    }

    /// `u(n)` of at most 8 bits.
    pub(super) fn u8(&mut self, n: u32) -> Result<u8, Error> {
        Ok(self.u(n)? as u8)
    }

    /// Passes over bits, wherever they end: the next read is an error then.
    pub(super) fn skip(&mut self, bits: usize) {
        self.at = self.at.saturating_add(bits);
    }

    /// To the start of the next byte, if not at one.
    pub(super) fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }

    /// Bits that are left.
    pub(super) fn left(&self) -> usize {
        self.data.len().saturating_mul(8).saturating_sub(self.at)
    }

    /// `ue(v)`: an unsigned Exp-Golomb code (H.264, 9.1), 0 to 2^32 - 2.
    pub(super) fn ue(&mut self) -> Result<u32, Error> {
        let mut zeros = 0u32;
        while !self.flag()? {
            zeros = zeros.saturating_add(1);
            if zeros > 31 {
                return Err(UNSOUND);
            }
        }
        let base = 1u32.checked_shl(zeros).ok_or(UNSOUND)?;
        (base.wrapping_sub(1)).checked_add(self.u(zeros)?).ok_or(UNSOUND)
    }

    /// `ue(v)` that may be `max` at most.
    pub(super) fn ue_to(&mut self, max: u32) -> Result<u32, Error> {
        let value = self.ue()?;
        if value > max { Err(UNSOUND) } else { Ok(value) }
    }

    /// `se(v)`: a signed Exp-Golomb code (H.264, 9.1.1).
    pub(super) fn se(&mut self) -> Result<i64, Error> {
        let code = i64::from(self.ue()?);
        let half = code.wrapping_add(1) / 2;
        Ok(if code % 2 == 0 { half.wrapping_neg() } else { half })
    }
}

/// The first `N` bytes of `r`, which loses them.
pub(super) fn chunk<'a, const N: usize>(r: &mut &'a [u8]) -> Result<&'a [u8; N], Error> {
    let (head, rest) = r.split_first_chunk().ok_or(CUT_SHORT)?;
    *r = rest;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H.264, table 9-2: codes and their values; and the longest.
    #[test]
    fn exp_golomb_codes_of_the_table() {
        // 1 010 011 00100 00101 00110 00111 0001000
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1001_1000, 0b1110_0010, 0]);
        let values: Vec<_> = (0..8).map(|_| bits.ue().unwrap()).collect();
        assert_eq!(values, [0, 1, 2, 3, 4, 5, 6, 7]);
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let values: Vec<_> = (0..5).map(|_| bits.se().unwrap()).collect();
        assert_eq!(values, [0, 1, -1, 2, -2]);
        let longest = [0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe];
        assert_eq!(Bits::new(&longest).ue(), Ok(u32::MAX - 1));
        assert_eq!(Bits::new(&[0, 0, 0, 0, 0x80, 0, 0, 0, 0]).ue(), Err(UNSOUND));
        assert_eq!(Bits::new(&[0, 0]).ue(), Err(CUT_SHORT));
        assert_eq!(Bits::new(&longest).se(), Ok(-2_147_483_647));
        assert_eq!(Bits::new(&[0x20]).ue_to(3), Ok(3));
        assert_eq!(Bits::new(&[0x28]).ue_to(3), Err(UNSOUND));
    }

    #[test]
    fn bits_end_where_the_bytes_do() {
        let mut bits = Bits::new(&[0xa5, 0xff]);
        assert_eq!((bits.u(4), bits.left()), (Ok(10), 12));
        bits.align();
        assert_eq!(bits.u(8), Ok(255));
        bits.align();
        assert_eq!((bits.left(), bits.flag()), (0, Err(CUT_SHORT)));
        bits.skip(usize::MAX);
        assert_eq!((bits.left(), bits.u(32)), (0, Err(CUT_SHORT)));
    }
}
