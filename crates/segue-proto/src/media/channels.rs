//! `AudioPacketType::MultichannelConfig`: which speaker each channel of a track is for, where the codec itself does not
//! say so (E-RTMP v2, "Enhanced Audio").

use std::fmt;

use bytes::{BufMut, Bytes};

use super::code::AudioChannel;
use super::wire;
use crate::error::Error;

const ORDER_UNSPECIFIED: u8 = 0;
const ORDER_NATIVE: u8 = 1;
const ORDER_CUSTOM: u8 = 2;

/// A track's channels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MultichannelConfig {
    /// How many.
    pub channels: u8,
    /// In which order.
    pub order: ChannelOrder,
    /// Bytes behind what is defined; normally none.
    pub rest: Bytes,
}

/// The order of channels: `AudioChannelOrder`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChannelOrder {
    /// Not told.
    Unspecified,
    /// As in [`AudioChannel`], those of this mask.
    Native(ChannelMask),
    /// Told for each channel: one byte each, an [`AudioChannel`]. As many as there are channels.
    Custom(Bytes),
    /// An order without a meaning here; what follows is in `rest`.
    Reserved(u8),
}

impl ChannelOrder {
    /// The speakers, in the order of the channels; nothing where the order is not told.
    pub fn speakers(&self) -> impl Iterator<Item = AudioChannel> {
        let (mask, map) = match self {
            Self::Native(mask) => (*mask, [].as_slice()),
            Self::Custom(map) => (ChannelMask(0), map.as_ref()),
            Self::Unspecified | Self::Reserved(_) => (ChannelMask(0), [].as_slice()),
        };
        mask.channels().chain(map.iter().copied().map(AudioChannel::new))
    }
}

/// Channels that are there, by bits: `AudioChannelMask`. Bit n is [`AudioChannel`] n.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChannelMask(pub u32);

impl ChannelMask {
    /// The bits that the specification names: 22.2.
    pub const DEFINED: Self = Self(0xff_ffff);

    /// Whether `channel` is there.
    pub fn has(self, channel: AudioChannel) -> bool {
        1u32.checked_shl(channel.value().into()).is_some_and(|bit| self.0 & bit != 0)
    }

    /// The channels, in their native order, those without a name included.
    pub fn channels(self) -> impl Iterator<Item = AudioChannel> {
        (0..32).map(AudioChannel::new).filter(move |channel| self.has(*channel))
    }
}

impl fmt::Debug for ChannelMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#08x}", self.0)
    }
}

impl MultichannelConfig {
    /// Reads a packet's data.
    ///
    /// # Errors
    /// `PeerMisbehaved` if it is cut short.
    pub fn parse(mut data: Bytes) -> Result<Self, Error> {
        let order = wire::u8(&mut data)?;
        let channels = wire::u8(&mut data)?;
        let order = match order {
            ORDER_UNSPECIFIED => ChannelOrder::Unspecified,
            ORDER_NATIVE => ChannelOrder::Native(ChannelMask(wire::u32(&mut data)?)),
            ORDER_CUSTOM => ChannelOrder::Custom(wire::take(&mut data, channels.into())?),
            reserved => ChannelOrder::Reserved(reserved),
        };
        Ok(Self { channels, order, rest: data })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let order = match &self.order {
            ChannelOrder::Unspecified => ORDER_UNSPECIFIED,
            ChannelOrder::Native(_) => ORDER_NATIVE,
            ChannelOrder::Custom(map) if map.len() == usize::from(self.channels) => ORDER_CUSTOM,
            ChannelOrder::Reserved(order) if *order > ORDER_CUSTOM => *order,
            _ => return Err(Error::Misuse("a channel order that does not fit its channels or number")),
        };
        out.extend_from_slice(&[order, self.channels]);
        match &self.order {
            ChannelOrder::Native(mask) => out.put_u32(mask.0),
            ChannelOrder::Custom(map) => out.extend_from_slice(map),
            ChannelOrder::Unspecified | ChannelOrder::Reserved(_) => {}
        }
        out.extend_from_slice(&self.rest);
        Ok(())
    }
}
