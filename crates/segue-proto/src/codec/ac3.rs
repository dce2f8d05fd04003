//! AC-3 and E-AC-3: the start of a synchronization frame (ATSC A/52, 5.3.1, 5.3.2 and E.1.2). They have no configuration in
//! E-RTMP: every coded frame describes itself.

use super::bits::{Bits, UNSOUND};
use crate::error::Error;

const SYNC: u32 = 0x0b77;
/// Table 5.6, by `fscod`; half of it for `fscod2`.
const RATES: [u32; 3] = [48_000, 44_100, 32_000];
/// Table 5.8: channels by `acmod`, without the one for low frequencies.
const CHANNELS: [u8; 8] = [2, 1, 2, 3, 3, 4, 4, 5];

/// What a frame says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// E-AC-3, and not AC-3.
    pub enhanced: bool,
    /// Samples a second.
    pub sample_rate: u32,
    /// Channels, that for low frequencies included.
    pub channels: u8,
    /// Whether there is one for low frequencies.
    pub low_frequencies: bool,
}

impl Frame {
    /// Reads the start of a frame. The stream's identification stands at the same place in both, and says which it is.
    ///
    /// # Errors
    /// `PeerMisbehaved` if it is cut short, no such frame, or has a reserved rate.
    pub fn parse(data: &[u8]) -> Result<Self, Error> {
        let mut r = Bits::new(data);
        if r.u(16)? != SYNC {
            return Err(UNSOUND);
        }
        let mut identification = Bits::new(data);
        identification.skip(40);
        match identification.u(5)? {
            0..=10 => Self::ac3(r),
            11..=16 => Self::eac3(r),
            _ => Err(UNSOUND),
        }
    }

    fn ac3(mut r: Bits<'_>) -> Result<Self, Error> {
        r.skip(16);
        let rate = r.u8(2)?;
        // Size, identification, mode of the service.
        r.skip(6 + 5 + 3);
        let mode = r.u8(3)?;
        if mode & 1 != 0 && mode != 1 {
            r.skip(2);
        }
        if mode & 4 != 0 {
            r.skip(2);
        }
        if mode == 2 {
            r.skip(2);
        }
        Self::new(false, RATES.get(usize::from(rate)).copied(), mode, r.flag()?)
    }

    fn eac3(mut r: Bits<'_>) -> Result<Self, Error> {
        // Kind of stream, number of substream, size.
        r.skip(2 + 3 + 11);
        let (rate, half) = (usize::from(r.u8(2)?), usize::from(r.u8(2)?));
        let rate = match RATES.get(rate) {
            Some(rate) => Some(*rate),
            None => RATES.get(half).map(|rate| rate / 2),
        };
        let mode = r.u8(3)?;
        Self::new(true, rate, mode, r.flag()?)
    }

    fn new(enhanced: bool, rate: Option<u32>, mode: u8, low_frequencies: bool) -> Result<Self, Error> {
        let channels = CHANNELS.get(usize::from(mode)).copied().ok_or(UNSOUND)?;
        Ok(Self {
            enhanced,
            sample_rate: rate.ok_or(UNSOUND)?,
            channels: channels.saturating_add(low_frequencies.into()),
            low_frequencies,
        })
    }
}
