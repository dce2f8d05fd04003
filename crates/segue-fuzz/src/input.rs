//! `Input`: settings and operations read off the front of a target's bytes, and the sizes of the pieces in which bytes
//! arrive.

use bytes::Bytes;

/// Bytes to be read; zeros where they end.
#[derive(Clone)]
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) const fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn u8(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    /// A number that is small more often than large, up to 2^48.
    pub(crate) fn number(&mut self) -> u64 {
        match self.u8() {
            small @ 0..=0xef => small.into(),
            0xf0..=0xf7 => self.u16().into(),
            0xf8..=0xfd => self.u32().into(),
            _ => u64::from(self.u16()) << 32 | u64::from(self.u32()),
        }
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.u8()) % of.len()]
    }

    /// At most `n` bytes.
    pub(crate) fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

/// Numbers that follow from a seed: SplitMix64.
#[derive(Clone)]
pub(crate) struct Seeded(u64);

impl Seeded {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// `bytes` in one piece, or in pieces whose sizes follow from a seed; each is an allocation of its own, as a read
/// buffer is. Sizes are spread over the powers of two up to 1024.
pub(crate) fn pieces(bytes: &[u8], seed: Option<u64>) -> impl Iterator<Item = Bytes> {
    let mut left = bytes;
    let mut seeded = seed.map(Seeded::new);
    std::iter::from_fn(move || {
        let size = seeded.as_mut().map_or(left.len(), |seeded| {
            let n = seeded.next();
            1 + (n >> 8) as usize % (1 << (n % 11))
        });
        let (piece, rest) = left.split_at(size.min(left.len()));
        left = rest;
        (!piece.is_empty()).then(|| Bytes::copy_from_slice(piece))
    })
}
