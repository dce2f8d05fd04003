//! Chunk headers (RTMP 1.0, 5.3.1), written and read: basic header, message header, extended timestamp. Reading knows
//! the header before on the same chunk stream and the habits of peers; what payload follows is the reader's.

use crate::error::Error;
use crate::message::{ChunkStreamId, Message, MessageStreamId, csid, type_id};
use crate::state;
use crate::timestamp::Timestamp;

/// A timestamp field of this value says that the 32-bit extended timestamp follows (5.3.1.3).
pub(super) const EXTENDED: u32 = 0xFF_FFFF;
/// The longest header: basic header, message header, extended timestamp.
pub(super) const MAX_HEADER: usize = 3 + 11 + 4;

/// A chunk's message header, by format (5.3.1.2).
#[derive(Clone, Copy)]
pub(super) enum Format {
    /// 0: everything.
    Full { timestamp: Timestamp, length: u32, type_id: u8, stream_id: MessageStreamId },
    /// 1: the message stream is the one before.
    SameStream { delta: u32, length: u32, type_id: u8 },
    /// 2: the length and type too.
    SameLength { delta: u32 },
    /// 3: the delta too, or the chunk continues a message; what stands in an extended timestamp is repeated.
    Same { extended: Option<u32> },
}

impl Format {
    /// The full header of `message`, on message stream `stream_id`.
    pub(super) const fn full(message: &Message, stream_id: MessageStreamId) -> Self {
        // Callers have refused what 24 bits cannot say.
        let length = message.payload.len() as u32;
        Self::Full { timestamp: message.timestamp, length, type_id: message.type_id, stream_id }
    }

    /// What the extended timestamp holds, if there is one.
    pub(super) const fn extended(self) -> Option<u32> {
        match self {
            Self::Full { timestamp, .. } => extended(timestamp.as_millis()),
            Self::SameStream { delta, .. } | Self::SameLength { delta } => extended(delta),
            Self::Same { extended } => extended,
        }
    }

    /// The header before each further chunk of a message with this one. It repeats the extended timestamp, as the spec says
    /// (5.3.1.3) and as ffmpeg and librtmp write it.
    pub(super) fn between(self, csid: ChunkStreamId) -> Encoded {
        Self::Same { extended: self.extended() }.encode(csid)
    }

    /// The whole chunk header.
    pub(super) fn encode(self, csid: ChunkStreamId) -> Encoded {
        let mut out = basic(
            match self {
                Self::Full { .. } => 0,
                Self::SameStream { .. } => 1,
                Self::SameLength { .. } => 2,
                Self::Same { .. } => 3,
            },
            csid,
        );
        match self {
            Self::Full { timestamp, length, type_id, stream_id } => {
                let ([a, b, c], [d, e, f]) = (u24(timestamp.as_millis().min(EXTENDED)), u24(length));
                let [g, h, i, j] = stream_id.0.to_le_bytes();
                out.put([a, b, c, d, e, f, type_id, g, h, i, j]);
            }
            Self::SameStream { delta, length, type_id } => {
                let ([a, b, c], [d, e, f]) = (u24(delta.min(EXTENDED)), u24(length));
                out.put([a, b, c, d, e, f, type_id]);
            }
            Self::SameLength { delta } => out.put(u24(delta.min(EXTENDED))),
            Self::Same { .. } => {}
        }
        if let Some(extended) = self.extended() {
            out.put(extended.to_be_bytes());
        }
        out
    }
}

/// A chunk header's bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Encoded {
    bytes: [u8; MAX_HEADER],
    len: usize,
}

impl Encoded {
    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        // No header is longer than the longest.
        if let Some(to) = self.bytes.get_mut(self.len..).and_then(|free| free.first_chunk_mut()) {
            *to = bytes;
            self.len = self.len.saturating_add(N);
        }
    }
}

/// The low 24 bits.
const fn u24(n: u32) -> [u8; 3] {
    let [_, bytes @ ..] = n.to_be_bytes();
    bytes
}

impl std::ops::Deref for Encoded {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// `ms`, if 24 bits cannot say it or it is the value that marks an extended timestamp.
pub(super) const fn extended(ms: u32) -> Option<u32> {
    if ms >= EXTENDED { Some(ms) } else { None }
}

/// The basic header, in its shortest form (5.3.1.1).
#[inline]
pub(super) fn basic(format: u8, csid: ChunkStreamId) -> Encoded {
    let mut out = Encoded::default();
    let format = format << 6;
    match csid.as_u32() {
        id @ ..64 => out.put([format | id as u8]),
        id @ 64..320 => out.put([format, id.saturating_sub(64) as u8]),
        id => {
            let [low, high, ..] = id.saturating_sub(64).to_le_bytes();
            out.put([format | 1, low, high]);
        }
    }
    out
}

/// The header in force on a chunk stream: of the message that is arriving, or of the last one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) timestamp: Timestamp,
    pub(super) length: u32,
    pub(super) type_id: u8,
    pub(super) stream_id: MessageStreamId,
    /// What the last timestamp field said, a timestamp or a delta: a format 3 chunk that starts a message adds it.
    delta: u32,
    /// Whether that was said in an extended timestamp, which format 3 chunks then repeat.
    extended: bool,
}

state::plain!(struct Header { timestamp, length, type_id, stream_id, delta, extended } if |header| header.length <= Message::MAX_PAYLOAD as u32);

impl Header {
    /// What is in force before the first.
    pub(super) const NONE: Self = Self {
        timestamp: Timestamp::ZERO,
        length: 0,
        type_id: 0,
        stream_id: MessageStreamId::CONTROL,
        delta: 0,
        extended: false,
    };

    /// The whole of the header that continues a message with this one on `csid`, if it is one byte.
    pub(super) fn short_continuation(&self, csid: ChunkStreamId) -> Option<u8> {
        let Encoded { bytes: [first, ..], len: 1 } = basic(3, csid) else { return None };
        (!self.extended).then_some(first)
    }
}

/// Why there is nothing to return now.
#[derive(Debug)]
pub(super) enum Stop {
    /// More has to come first.
    Starved,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Takes format and chunk stream (5.3.1.1).
#[inline]
pub(super) fn take_basic(r: &mut &[u8]) -> Result<(u8, ChunkStreamId), Stop> {
    let [first] = take(r)?;
    let id = match first & 0x3F {
        0 => 64 + u32::from(take::<1>(r)?[0]),
        1 => 64 + u32::from(u16::from_le_bytes(take(r)?)),
        id => id.into(),
    };
    let csid = ChunkStreamId::new(id).ok_or(Error::PeerMisbehaved("chunk stream id out of range"))?;
    Ok((first >> 6, csid))
}

/// Takes the rest of the header of a chunk that starts a message (5.3.1.2, 5.3.1.3). `last` is the header in force.
#[inline]
pub(super) fn take_message(
    format: u8,
    csid: ChunkStreamId,
    last: Option<Header>,
    r: &mut &[u8],
) -> Result<Header, Stop> {
    if format == 0 {
        let field = take_u24(r)?;
        let length = take_u24(r)?;
        let [type_id] = take(r)?;
        let stream_id = MessageStreamId(u32::from_le_bytes(take(r)?));
        let (ms, extended) = take_extended(field, r)?;
        // The delta of a format 3 chunk after this one is this timestamp (5.3.1.2.4). ffmpeg writes and reads by that
        // letter; librtmp and SRS read so. librtmp writes format 3 where the timestamp stays the same, which differs,
        // but its media has format 0 only at timestamp 0, where it comes to the same. (nginx-rtmp reads a delta of 0.)
        return Ok(Header {
            timestamp: Timestamp::from_millis(ms),
            length,
            type_id,
            stream_id,
            delta: ms,
            extended,
        });
    }
    let mut header = match last {
        Some(header) => header,
        None => before_first(format, csid)?,
    };
    let delta = if format == 3 {
        let repeated = skip_repeated(header, r)?;
        // Where an extended timestamp should be repeated and is not, it is librtmp's "same timestamp", or a peer that
        // never repeats it: a delta of hours, once more, is what neither means.
        if header.extended && !repeated { 0 } else { header.delta }
    } else {
        let field = take_u24(r)?;
        if format == 1 {
            header.length = take_u24(r)?;
            [header.type_id] = take(r)?;
        }
        if last.is_none() && !matches!(header.type_id, type_id::ACKNOWLEDGEMENT | type_id::USER_CONTROL) {
            return Err(NO_FULL_HEADER.into());
        }
        (header.delta, header.extended) = take_extended(field, r)?;
        header.delta
    };
    header.timestamp = header.timestamp.shifted(delta.into());
    Ok(header)
}

const NO_FULL_HEADER: Error = Error::PeerMisbehaved("chunk stream does not begin with a full header");

/// What a chunk stream's first header may lean on: nothing, so that it must have format 0.
///
/// librtmp begins chunk stream 2 with format 1, if the first that it has to say there is an acknowledgement or the
/// answer to a ping: that is read as on message stream 0, from timestamp 0.
fn before_first(format: u8, csid: ChunkStreamId) -> Result<Header, Error> {
    if format != 1 || csid != csid::CONTROL {
        return Err(NO_FULL_HEADER);
    }
    Ok(Header::NONE)
}

/// Takes the rest of the header of a chunk that continues a message. Only format 3 can: others would mix two messages.
#[inline]
pub(super) fn take_continuation(format: u8, header: Header, r: &mut &[u8]) -> Result<(), Stop> {
    if format != 3 {
        return Err(
            Error::PeerMisbehaved("new message on a chunk stream whose last one is incomplete").into()
        );
    }
    skip_repeated(header, r)?;
    Ok(())
}

/// What `field` says, and whether it was said in an extended timestamp.
#[inline]
fn take_extended(field: u32, r: &mut &[u8]) -> Result<(u32, bool), Stop> {
    if field < EXTENDED { Ok((field, false)) } else { Ok((u32::from_be_bytes(take(r)?), true)) }
}

/// Skips the extended timestamp that a format 3 chunk repeats, and says whether there was one.
///
/// ffmpeg and librtmp write it, some older peers do not: four bytes that equal the expected ones are it, any others are
/// payload. The first byte that differs decides, so that nothing waits for more than it needs.
fn skip_repeated(header: Header, r: &mut &[u8]) -> Result<bool, Stop> {
    if !header.extended {
        return Ok(false);
    }
    let expected = header.delta.to_be_bytes();
    let seen = r.get(..expected.len()).unwrap_or(r);
    if !expected.starts_with(seen) {
        return Ok(false);
    }
    take::<4>(r)?;
    Ok(true)
}

#[inline]
fn take<const N: usize>(r: &mut &[u8]) -> Result<[u8; N], Stop> {
    let (bytes, rest) = r.split_first_chunk().ok_or(Stop::Starved)?;
    *r = rest;
    Ok(*bytes)
}

#[inline]
fn take_u24(r: &mut &[u8]) -> Result<u32, Stop> {
    let [a, b, c] = take(r)?;
    Ok(u32::from_be_bytes([0, a, b, c]))
}
