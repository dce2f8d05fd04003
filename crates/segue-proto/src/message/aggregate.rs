//! Aggregate messages (RTMP 1.0, 7.1.6): audio, video and data messages in one, each with a header and a back pointer as
//! in an FLV file. Taking apart and putting together; parts are slices of the aggregate, never copies.
//!
//! Section 6.1, to which the text refers for the header, and the FLV format, which it says the layout matches, disagree
//! on the timestamp: four bytes in order there, the highest of four last here (Video File Format 10.1, E.4.1). All known
//! implementations, Adobe's included, use FLV's, and so is it here.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use bytes::{Buf, BufMut, Bytes};

use super::{Message, MessageStreamId, type_id};
use crate::error::Error;
use crate::state;
use crate::timestamp::Timestamp;

/// Sub-messages of one aggregate, at most. They may be empty, so that their bytes alone bound little.
pub const MAX_PARTS: usize = 4096;
/// Bytes of a sub-message's header: type, length, timestamp, message stream.
const HEADER: usize = 11;

/// What was wrong with an aggregate. What comes before it counts all the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The last sub-message is not all there: it is left out.
    CutShort,
    /// There are more than [`MAX_PARTS`]: the rest is left out.
    TooMany,
    /// A back pointer does not state its sub-message's size. Nothing here goes backwards: nothing is left out.
    BackPointer,
}

/// The sub-messages of an aggregate, as messages of their own.
///
/// They belong to the aggregate's message stream, and their timestamps are moved by one offset, so that the first has the
/// aggregate's. Only audio, video and data come out: of what else may stand there, another aggregate first of all,
/// nothing is defined, and it is skipped.
#[derive(Clone, Debug)]
pub struct Parts {
    rest: Bytes,
    stream_id: MessageStreamId,
    timestamp: Timestamp,
    /// Milliseconds to add, once the first sub-message has told.
    offset: Option<i32>,
    seen: usize,
    fault: Option<Fault>,
}

state::plain!(enum Fault { 0 => CutShort, 1 => TooMany, 2 => BackPointer });
state::plain!(struct Parts { rest, stream_id, timestamp, offset, seen, fault } if |parts| parts.seen <= MAX_PARTS);

impl Parts {
    /// Those of `aggregate`, whose type is not asked.
    pub fn of(aggregate: &Message) -> Self {
        Self {
            rest: aggregate.payload.clone(),
            stream_id: aggregate.stream_id,
            timestamp: aggregate.timestamp,
            offset: None,
            seen: 0,
            fault: None,
        }
    }

    /// What was wrong so far; the last of it if there was more.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Bytes left to be taken apart.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left to be taken.
    pub fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next sub-message, of whatever type.
    fn part(&mut self) -> Option<Message> {
        if self.seen == MAX_PARTS {
            self.fault = Some(Fault::TooMany);
            return None;
        }
        self.seen = self.seen.saturating_add(1);
        let mut r = self.rest.clone();
        let type_id = r.try_get_u8().ok()?;
        let length = usize::try_from(r.try_get_uint(3).ok()?).ok()?;
        let [high, middle, low, highest] = r.try_get_u32().ok()?.to_be_bytes();
        let timestamp = Timestamp::from_millis(u32::from_be_bytes([highest, high, middle, low]));
        let _stream = r.try_get_uint(3).ok()?;
        if length > r.len() {
            return None;
        }
        let payload = r.split_to(length);
        match r.try_get_u32() {
            Ok(back) if usize::try_from(back).ok() == length.checked_add(HEADER) => {}
            // The last may lack it.
            Err(_) if r.is_empty() => {}
            Ok(_) => self.fault = Some(Fault::BackPointer),
            Err(_) => {
                r.clear();
                self.fault = Some(Fault::BackPointer);
            }
        }
        self.rest = r;
        let offset = *self.offset.get_or_insert(self.timestamp.since(timestamp));
        let (stream_id, timestamp) = (self.stream_id, timestamp.shifted(offset.into()));
        Some(Message { type_id, stream_id, timestamp, payload })
    }
}

impl Iterator for Parts {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        while !self.rest.is_empty() {
            match self.part() {
                Some(part) if is_part(part.type_id) => return Some(part),
                Some(_) => {}
                None => {
                    self.rest.clear();
                    if self.fault != Some(Fault::TooMany) {
                        self.fault = Some(Fault::CutShort);
                    }
                }
            }
        }
        None
    }
}

fn is_part(type_id: u8) -> bool {
    matches!(type_id, type_id::AUDIO | type_id::VIDEO | type_id::DATA_AMF0 | type_id::DATA_AMF3)
}

/// One message of these, on the message stream of the first and with its timestamp.
///
/// # Errors
/// `Misuse` if there are none or more than [`MAX_PARTS`], if one is not audio, video or data, or if they are longer than
/// a message can be.
pub fn join(parts: &[Message]) -> Result<Message, Error> {
    let first = parts.first().ok_or(Error::Misuse("an aggregate of nothing"))?;
    if parts.len() > MAX_PARTS || !parts.iter().all(|part| is_part(part.type_id)) {
        return Err(Error::Misuse("an aggregate of too many messages, or of some that are not media"));
    }
    let mut payload = Vec::new();
    for part in parts {
        let length = part.payload.len();
        let size = length.saturating_add(HEADER);
        if payload.len().saturating_add(size).saturating_add(4) > Message::MAX_PAYLOAD {
            return Err(Error::Misuse("an aggregate longer than a message can be"));
        }
        let [highest, high, middle, low] = part.timestamp.as_millis().to_be_bytes();
        payload.put_u8(part.type_id);
        payload.put_uint(length as u64, 3);
        payload.extend_from_slice(&[high, middle, low, highest]);
        // The aggregate's own message stream counts.
        payload.put_uint(0, 3);
        payload.extend_from_slice(&part.payload);
        payload.put_u32(size as u32);
    }
    let (stream_id, timestamp) = (first.stream_id, first.timestamp);
    Ok(Message { type_id: type_id::AGGREGATE, stream_id, timestamp, payload: payload.into() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]

    use proptest::prelude::*;

    use super::*;

    fn message(type_id: u8, ms: u32, payload: &[u8]) -> Message {
        let timestamp = Timestamp::from_millis(ms);
        Message {
            type_id,
            stream_id: MessageStreamId(1),
            timestamp,
            payload: Bytes::copy_from_slice(payload),
        }
    }

    fn aggregate(ms: u32, payload: &[u8]) -> Message {
        message(type_id::AGGREGATE, ms, payload)
    }

    fn times(parts: &[Message]) -> Vec<u32> {
        parts.iter().map(|part| part.timestamp.as_millis()).collect()
    }

    /// Tags of an FLV file that FFmpeg 9.0.2 wrote (`-c:a ac3 -output_ts_offset 16777.3`), so that its timestamps need the
    /// fourth byte; the frames' bodies are cut to 8 bytes, their lengths and back pointers with them.
    const FLV: &[u8] = b"\x08\0\0\x05\0\0\x4f\x01\0\0\0\x90ac-3\0\0\0\x10\
        \x08\0\0\x08\0\0\x4f\x01\0\0\0\x91ac-3\x0b\x77\xfe\0\0\0\x13\
        \x08\0\0\x08\0\0\x6f\x01\0\0\0\x91ac-3\x0b\x77\xbb\0\0\0\x13";

    #[test]
    fn tags_of_an_flv_file_are_the_parts() {
        let whole = aggregate(0x0100_004f, FLV);
        let mut parts = Parts::of(&whole);
        let found: Vec<_> = parts.by_ref().collect();
        assert_eq!(parts.fault(), None);
        assert!(found.iter().all(|part| part.type_id == 8 && part.stream_id == MessageStreamId(1)));
        assert_eq!(times(&found), [0x0100_004f, 0x0100_004f, 0x0100_006f], "as they are");
        let payloads: Vec<_> = found.iter().map(|part| part.payload.as_ref()).collect();
        assert_eq!(payloads, [&b"\x90ac-3"[..], b"\x91ac-3\x0b\x77\xfe", b"\x91ac-3\x0b\x77\xbb"]);
        assert!(whole.payload.as_ptr_range().contains(&found[0].payload.as_ptr()), "a slice");
        assert_eq!(join(&found).unwrap().payload, FLV);
    }

    #[test]
    fn timestamps_are_moved_to_the_aggregates() {
        let parts: Vec<_> = Parts::of(&aggregate(500, FLV)).collect();
        assert_eq!(times(&parts), [500, 500, 532]);
        let across = join(&[message(8, u32::MAX - 9, b"a"), message(9, 20, b"b")]).unwrap();
        let parts: Vec<_> = Parts::of(&aggregate(u32::MAX, &across.payload)).collect();
        assert_eq!(times(&parts), [u32::MAX, 29], "modulo 2^32");
    }

    #[test]
    fn a_tail_cut_short_is_left_out() {
        for (len, count, fault) in [
            (FLV.len(), 3, None),
            (FLV.len() - 4, 3, None),
            (FLV.len() - 1, 3, Some(Fault::BackPointer)),
            (FLV.len() - 5, 2, Some(Fault::CutShort)),
            (FLV.len() - 20, 2, Some(Fault::CutShort)),
            (5, 0, Some(Fault::CutShort)),
            (0, 0, None),
        ] {
            let mut parts = Parts::of(&aggregate(0, &FLV[..len]));
            assert_eq!(parts.by_ref().count(), count, "{len} bytes");
            assert_eq!(parts.fault(), fault, "{len} bytes");
            assert!(parts.is_over());
        }
    }

    #[test]
    fn wrong_back_pointers_are_noted_and_no_more() {
        let mut wrong = FLV.to_vec();
        wrong[19] = 0;
        let mut parts = Parts::of(&aggregate(0, &wrong));
        assert_eq!((parts.by_ref().count(), parts.fault()), (3, Some(Fault::BackPointer)));
    }

    #[test]
    fn only_media_comes_out() {
        let mut payload = Vec::new();
        for type_id in
            [type_id::AGGREGATE, type_id::SET_CHUNK_SIZE, type_id::COMMAND_AMF0, type_id::VIDEO, 99]
        {
            payload.extend_from_slice(&[type_id, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 11]);
        }
        let parts: Vec<_> = Parts::of(&aggregate(3, &payload)).collect();
        assert_eq!(parts, [message(type_id::VIDEO, 3, b"")]);
        assert!(join(&[message(type_id::AGGREGATE, 0, b"")]).is_err());
        assert!(join(&[]).is_err());
    }

    #[test]
    fn parts_are_bounded() {
        let many = |n: usize| vec![message(type_id::AUDIO, 0, b""); n];
        let whole = join(&many(MAX_PARTS)).unwrap();
        let mut parts = Parts::of(&whole);
        assert_eq!((parts.by_ref().count(), parts.fault()), (MAX_PARTS, None));
        assert!(join(&many(MAX_PARTS + 1)).is_err());
        let more = [&whole.payload[..], &whole.payload[..15]].concat();
        let mut parts = Parts::of(&aggregate(0, &more));
        assert_eq!((parts.by_ref().count(), parts.fault()), (MAX_PARTS, Some(Fault::TooMany)));

        let room = Message::MAX_PAYLOAD - HEADER - 4;
        assert!(join(&[message(type_id::VIDEO, 0, &vec![0; room])]).is_ok());
        assert!(join(&[message(type_id::VIDEO, 0, &vec![0; room + 1])]).is_err());
    }

    proptest! {
        #[test]
        fn no_aggregate_panics(payload: Vec<u8>, ms: u32) {
            let count = Parts::of(&aggregate(ms, &payload)).count();
            prop_assert!(count <= payload.len() / HEADER);
        }

        #[test]
        fn what_is_joined_comes_apart_alike(
            parts in proptest::collection::vec(
                (prop::sample::select(vec![8u8, 9, 15, 18]), any::<u32>(), any::<Vec<u8>>()), 1..8,
            ),
        ) {
            let parts: Vec<_> = parts.iter().map(|(id, ms, payload)| message(*id, *ms, payload)).collect();
            prop_assert_eq!(Parts::of(&join(&parts).unwrap()).collect::<Vec<_>>(), parts);
        }
    }
}
