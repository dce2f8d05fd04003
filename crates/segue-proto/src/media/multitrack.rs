//! The multitrack header (E-RTMP v2, "Enhanced Audio", "Enhanced Video"; the same in both): one packet type for all
//! tracks of the message, then the tracks, each with its number and, if they are many, its size. Tracks are read as
//! they are asked for. What a track's data means is its packet type's business.

use bytes::{BufMut, Bytes};

use super::code::{AudioPacketType, FourCc, MultitrackType, VideoPacketType};
use super::wire;
use crate::error::Error;

/// Tracks of one message: their numbers have 8 bits, so more would repeat.
pub const MAX_TRACKS: usize = 256;
/// Bytes of one of many tracks: what its 24-bit size can state.
pub const MAX_TRACK_DATA: usize = 0xff_ffff;

/// Half a byte that says what a packet holds: video's or audio's.
pub trait PacketType: Copy {
    /// What announces a multitrack header, and is not said again inside of one.
    const MULTITRACK: u8;
    /// Of the low four bits.
    fn from_bits(bits: u8) -> Self;
    /// Its four bits.
    fn bits(self) -> u8;
}

impl PacketType for VideoPacketType {
    const MULTITRACK: u8 = Self::MULTITRACK.value();

    fn from_bits(bits: u8) -> Self {
        Self::new(bits)
    }

    fn bits(self) -> u8 {
        self.value()
    }
}

impl PacketType for AudioPacketType {
    const MULTITRACK: u8 = Self::MULTITRACK.value();

    fn from_bits(bits: u8) -> Self {
        Self::new(bits)
    }

    fn bits(self) -> u8 {
        self.value()
    }
}

/// One track's part of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Track {
    /// Its number.
    pub id: u8,
    /// Its codec.
    pub codec: FourCc,
    /// Its packet, behind the packet type.
    pub data: Bytes,
}

/// The tracks of a message, as they came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Multitrack<P> {
    kind: MultitrackType,
    packet_type: P,
    /// Of all tracks, if they share one.
    codec: Option<FourCc>,
    tracks: Bytes,
}

impl<P: PacketType> Multitrack<P> {
    /// Tracks in the form `kind`, whose packets are all of `packet_type`.
    ///
    /// # Errors
    /// `Misuse` if the form cannot state them: `ONE_TRACK` takes exactly one, `MANY_TRACKS` at least one and all of one
    /// codec, both of the others at most [`MAX_TRACKS`] of at most [`MAX_TRACK_DATA`] bytes. None takes a packet type
    /// that is multitrack itself.
    pub fn new(kind: MultitrackType, packet_type: P, tracks: &[Track]) -> Result<Self, Error> {
        if packet_type.bits() == P::MULTITRACK {
            return Err(Error::Misuse("tracks in a track"));
        }
        let first = tracks.first().ok_or(Error::Misuse("a multitrack message without a track"))?;
        let own_codecs = kind == MultitrackType::MANY_TRACKS_MANY_CODECS;
        let one = kind == MultitrackType::ONE_TRACK;
        if tracks.len() > if one { 1 } else { MAX_TRACKS } {
            return Err(Error::Misuse("more tracks than the form can state"));
        }
        if !own_codecs && tracks.iter().any(|track| track.codec != first.codec) {
            return Err(Error::Misuse("tracks of one codec that have several"));
        }
        let mut out = Vec::new();
        for track in tracks {
            if own_codecs {
                out.extend_from_slice(&track.codec.0);
            }
            out.push(track.id);
            if !one {
                if track.data.len() > MAX_TRACK_DATA {
                    return Err(Error::Misuse("a track's data beyond 24 bits of length"));
                }
                out.put_uint(track.data.len() as u64, 3);
            }
            out.extend_from_slice(&track.data);
        }
        let codec = (!own_codecs).then_some(first.codec);
        Ok(Self { kind, packet_type, codec, tracks: out.into() })
    }

    /// Which of the three forms.
    pub fn kind(&self) -> MultitrackType {
        self.kind
    }

    /// What every track's packet is.
    pub fn packet_type(&self) -> P {
        self.packet_type
    }

    /// The tracks, one by one. After an error (a track cut short, more than [`MAX_TRACKS`]) there are no more.
    pub fn tracks(&self) -> Tracks {
        Tracks { walk: Walk::new(self.kind, self.codec), rest: self.tracks.clone() }
    }

    pub(super) fn parse(r: &mut Bytes) -> Result<Self, Error> {
        let byte = wire::u8(r)?;
        let kind = MultitrackType::new(byte >> 4);
        let codec = match kind {
            MultitrackType::MANY_TRACKS_MANY_CODECS => None,
            _ => Some(wire::fourcc(r)?),
        };
        let packet_type = P::from_bits(byte);
        if packet_type.bits() == P::MULTITRACK {
            return Err(Error::PeerMisbehaved("tracks in a track"));
        }
        Ok(Self { kind, packet_type, codec, tracks: std::mem::take(r) })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.push((self.kind.value() << 4) | self.packet_type.bits());
        if let Some(codec) = self.codec {
            out.extend_from_slice(&codec.0);
        }
        out.extend_from_slice(&self.tracks);
    }
}

/// The tracks of a [`Multitrack`], lazily.
#[derive(Clone, Debug)]
pub struct Tracks {
    walk: Walk,
    rest: Bytes,
}

impl Iterator for Tracks {
    type Item = Result<Track, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = self.rest.as_ref();
        let step = self.walk.step(&mut rest)?;
        let track = step.map(|(id, codec, data)| Track { id, codec, data: self.rest.slice_ref(data) });
        self.rest = self.rest.slice_ref(rest);
        Some(track)
    }
}

/// The walk over tracks, for those who hold the bytes.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    kind: MultitrackType,
    codec: Option<FourCc>,
    seen: usize,
    over: bool,
}

/// A track's number, codec and data.
pub(super) type RawTrack<'a> = (u8, FourCc, &'a [u8]);

impl Walk {
    /// `codec` is that of all tracks, if they share one.
    pub(super) const fn new(kind: MultitrackType, codec: Option<FourCc>) -> Self {
        Self { kind, codec, seen: 0, over: false }
    }

    /// The next track.
    ///
    /// Forms that are reserved are read as `MANY_TRACKS`, as the specification's pseudocode does.
    pub(super) fn step<'a>(&mut self, r: &mut &'a [u8]) -> Option<Result<RawTrack<'a>, Error>> {
        // One track without data is a track; of many, none is left where the bytes end.
        if self.over || (self.seen > 0 && r.is_empty()) {
            return None;
        }
        let step = self.try_step(r);
        self.over = step.is_err() || self.kind == MultitrackType::ONE_TRACK;
        self.seen = self.seen.saturating_add(1);
        Some(step)
    }

    fn try_step<'a>(&self, r: &mut &'a [u8]) -> Result<RawTrack<'a>, Error> {
        const CUT_SHORT: Error = Error::PeerMisbehaved("track cut short");
        if self.seen == MAX_TRACKS {
            return Err(Error::LimitExceeded("more than 256 tracks in a message"));
        }
        let codec = match self.codec {
            Some(codec) => codec,
            None => FourCc(*chunk(r).ok_or(CUT_SHORT)?),
        };
        let [id] = *chunk(r).ok_or(CUT_SHORT)?;
        let data = if self.kind == MultitrackType::ONE_TRACK {
            std::mem::take(r)
        } else {
            let [high, middle, low] = *chunk(r).ok_or(CUT_SHORT)?;
            let size = u32::from_be_bytes([0, high, middle, low]);
            let (data, rest) = r.split_at_checked(size as usize).ok_or(CUT_SHORT)?;
            *r = rest;
            data
        };
        Ok((id, codec, data))
    }
}

pub(super) fn chunk<'a, const N: usize>(r: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, rest) = r.split_first_chunk()?;
    *r = rest;
    Some(head)
}
