//! AAC: AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1), with both ways to signal SBR and PS, as far as rates and channels.

use super::bits::{Bits, UNSOUND};
use crate::error::Error;

/// Audio object types (1.5.1.1).
const AOT_SBR: u8 = 5;
const AOT_ER_BSAC: u8 = 22;
const AOT_PS: u8 = 29;
const AOT_ESCAPE: u8 = 31;
/// What announces an extension behind the configuration (1.6.2.1).
const SYNC_SBR: u32 = 0x2b7;
const SYNC_PS: u32 = 0x548;
/// Table 1.18; the index 15 is for any other.
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
/// Table 1.19, by `channelConfiguration`; 0 is for a list of elements.
const CHANNELS: [Option<u8>; 16] = {
    let mut channels = [None; 16];
    channels[1] = Some(1);
    channels[2] = Some(2);
    channels[3] = Some(3);
    channels[4] = Some(4);
    channels[5] = Some(5);
    channels[6] = Some(6);
    channels[7] = Some(8);
    channels[11] = Some(7);
    channels[12] = Some(8);
    channels[13] = Some(24);
    channels[14] = Some(8);
    channels
};

/// AudioSpecificConfig.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AudioSpecificConfig {
    /// `audioObjectType` of the core: 1 main, 2 LC, ...
    pub object_type: u8,
    /// Samples a second of the core.
    pub sample_rate: u32,
    /// `channelConfiguration`.
    pub channel_configuration: u8,
    /// Channels of the core, where the configuration says so.
    pub channels: Option<u8>,
    /// Samples a second with SBR (HE-AAC), if it is signalled.
    pub sbr_rate: Option<u32>,
    /// Parametric stereo (HE-AAC v2) is signalled: the one channel becomes two.
    pub parametric_stereo: bool,
}

impl AudioSpecificConfig {
    /// Reads a configuration. What only one object type has is passed over.
    ///
    /// # Errors
    /// `PeerMisbehaved` if it is cut short or has a reserved rate.
    pub fn parse(data: &[u8]) -> Result<Self, Error> {
        let mut r = Bits::new(data);
        let mut config = Self {
            object_type: object_type(&mut r)?,
            sample_rate: rate(&mut r)?,
            channel_configuration: r.u8(4)?,
            channels: None,
            sbr_rate: None,
            parametric_stereo: false,
        };
        config.channels = CHANNELS.get(usize::from(config.channel_configuration)).copied().flatten();
        let explicit = matches!(config.object_type, AOT_SBR | AOT_PS);
        if explicit {
            config.parametric_stereo = config.object_type == AOT_PS;
            config.sbr_rate = Some(rate(&mut r)?);
            config.object_type = object_type(&mut r)?;
            if config.object_type == AOT_ER_BSAC {
                r.skip(4);
            }
        }
        // What else there may be of general audio (4.4.1) is not there in all that is sent: it adds, and is not asked for.
        if matches!(config.object_type, 1..=4 | 6 | 7 | 17 | 19..=23)
            && config.general_audio(&mut r).is_ok()
            && !explicit
        {
            let _ = config.extension(&mut r);
        }
        Ok(config)
    }

    /// Samples a second that come out of a decoder.
    pub fn output_rate(&self) -> u32 {
        self.sbr_rate.unwrap_or(self.sample_rate)
    }

    /// GASpecificConfig (4.4.1).
    fn general_audio(&mut self, r: &mut Bits<'_>) -> Result<(), Error> {
        r.skip(1);
        if r.flag()? {
            r.skip(14);
        }
        let extension = r.flag()?;
        if self.channel_configuration == 0 {
            self.channels = Some(program_config(r)?).filter(|channels| *channels > 0);
        }
        if matches!(self.object_type, 6 | 20) {
            r.skip(3);
        }
        if extension {
            match self.object_type {
                AOT_ER_BSAC => r.skip(16),
                17 | 19 | 20 | 23 => r.skip(3),
                _ => {}
            }
            r.skip(1);
        }
        Ok(())
    }

    /// What decoders that know no SBR do not read.
    fn extension(&mut self, r: &mut Bits<'_>) -> Result<(), Error> {
        if r.left() < 16 || r.u(11)? != SYNC_SBR || object_type(r)? != AOT_SBR || !r.flag()? {
            return Ok(());
        }
        self.sbr_rate = Some(rate(r)?);
        if r.left() >= 12 && r.u(11)? == SYNC_PS {
            self.parametric_stereo = r.flag()?;
        }
        Ok(())
    }
}

/// GetAudioObjectType.
fn object_type(r: &mut Bits<'_>) -> Result<u8, Error> {
    match r.u8(5)? {
        AOT_ESCAPE => Ok(r.u8(6)?.saturating_add(32)),
        kind => Ok(kind),
    }
}

fn rate(r: &mut Bits<'_>) -> Result<u32, Error> {
    match r.u8(4)? {
        15 => r.u(24).and_then(|rate| if rate == 0 { Err(UNSOUND) } else { Ok(rate) }),
        index => RATES.get(usize::from(index)).copied().ok_or(UNSOUND),
    }
}

/// program_config_element (4.4.1.1): the number of channels.
fn program_config(r: &mut Bits<'_>) -> Result<u8, Error> {
    r.skip(4 + 2 + 4);
    let (front, side, back) = (r.u8(4)?, r.u8(4)?, r.u8(4)?);
    let (low, associated, coupling) = (r.u8(2)?, r.u8(3)?, r.u8(4)?);
    for mixdown in [4, 4, 3] {
        if r.flag()? {
            r.skip(mixdown);
        }
    }
    let mut channels = low;
    for _ in 0..front.saturating_add(side).saturating_add(back) {
        channels = channels.saturating_add(if r.flag()? { 2 } else { 1 });
        r.skip(4);
    }
    r.skip(usize::from(low).saturating_add(associated.into()).saturating_mul(4));
    r.skip(usize::from(coupling).saturating_mul(5));
    r.align();
    let comment = r.u8(8)?;
    r.skip(usize::from(comment).saturating_mul(8));
    Ok(channels)
}
