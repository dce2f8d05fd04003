//! FLAC: the STREAMINFO block (RFC 9639, 8.2).

use super::bits::{Bits, UNSOUND};
use crate::error::Error;

const SIGNATURE: &[u8] = b"fLaC";
/// Bytes of the block without its header.
const BLOCK: usize = 34;

/// STREAMINFO.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamInfo {
    /// Samples of the shortest block but the last, and of the longest.
    pub block_size: (u16, u16),
    /// Samples a second.
    pub sample_rate: u32,
    /// 1 to 8.
    pub channels: u8,
    /// 4 to 32.
    pub bits_per_sample: u8,
}

impl StreamInfo {
    /// Reads a sequence header: the signature, then the block with its header, as E-RTMP has it; or the block alone, as
    /// FFmpeg writes it.
    ///
    /// # Errors
    /// `PeerMisbehaved` if it is cut short, of 0 Hz, or another block stands there.
    pub fn parse(data: &[u8]) -> Result<Self, Error> {
        let mut r = Bits::new(data);
        if data.starts_with(SIGNATURE) {
            r.skip(32);
            // Whether it is the last block, the kind of block, its length.
            r.skip(1);
            if r.u(7)? != 0 || r.u(24)? as usize != BLOCK {
                return Err(UNSOUND);
            }
        }
        let block_size = (r.u(16)? as u16, r.u(16)? as u16);
        r.skip(48);
        // 0 is for what is not audio (RFC 9639, 8.2).
        let sample_rate = r.u(20).and_then(|rate| if rate == 0 { Err(UNSOUND) } else { Ok(rate) })?;
        let channels = r.u8(3)?.saturating_add(1);
        let bits_per_sample = r.u8(5)?.saturating_add(1);
        Ok(Self { block_size, sample_rate, channels, bits_per_sample })
    }
}
