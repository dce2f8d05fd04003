//! Data messages (types 18 and 15; RTMP 1.0, 7.1.2): metadata, and whatever else a publisher gives a stream beside
//! audio and video. Segue keeps, records and sends them as type 18. What a handler's name means is [`crate::media`]'s.

use bytes::{Buf, Bytes};

use super::type_id;
use crate::amf0::{self, has_amf3};

/// The format selector that types 15 and 17 begin with: AMF0, whose values may switch to AMF3. No other is defined
/// (E-RTMP v2, "Important AMF3-encoded Historical Specification Clarification").
pub(super) const FORMAT_AMF0: u8 = 0;

/// How many times as long as its AMF3 a message may be in AMF0: integers and short texts that are referred to grow, and
/// what is made to grow is not for a log to keep.
pub const MAX_GROWTH: usize = 16;

/// The payload that a data message has as type 18, or `None` if it is in a format that nobody has defined.
///
/// Type 18 is never changed. Type 15 loses its format selector, which a zero byte in front gives back; the rest stays
/// byte for byte, unless AMF3 values are in it. Those become the AMF0 values that say the same
/// ([`amf0::plain`]), as one frame is shared by all viewers and by recordings, and few of them read AMF3: librtmp
/// ignores type 15, and gortmplib fails on the marker. If AMF0 has no words for one of them, or the message is past
/// the bounds of a command or would grow more than [`MAX_GROWTH`]-fold, all of it stays as it is, in AMF0's own form for
/// such values (AMF0, 3.1).
pub fn as_amf0(type_id: u8, mut payload: Bytes) -> Option<Bytes> {
    if type_id != type_id::DATA_AMF3 {
        return Some(payload);
    }
    if payload.first() != Some(&FORMAT_AMF0) {
        return None;
    }
    payload.advance(1);
    Some(translated(&payload).unwrap_or(payload))
}

/// The payload in AMF0 alone, if that is another.
fn translated(payload: &[u8]) -> Option<Bytes> {
    let values = amf0::decode_all(payload).ok()?;
    if !values.iter().any(has_amf3) {
        return None;
    }
    let values = amf0::plain(values);
    if values.iter().any(has_amf3) {
        return None;
    }
    let mut out = Vec::with_capacity(payload.len());
    values.iter().for_each(|value| value.encode(&mut out));
    (out.len() <= payload.len().saturating_mul(MAX_GROWTH)).then(|| out.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]

    use super::*;
    use crate::amf::MAX_COMMAND_BYTES;

    fn data(payload: &'static [u8]) -> Option<Bytes> {
        as_amf0(15, Bytes::from_static(payload))
    }

    /// By hand from AMF0 2.4, 2.10 and 3.1, and AMF3 3.6 and 3.12.
    #[test]
    fn type_15_becomes_type_18() {
        // Plain AMF0 keeps its bytes, with whatever is odd in it: a count of 7 for one property.
        let odd = b"\x00\x02\x00\x0aonMetaData\x08\0\0\0\x07\x00\x01a\x01\x02\x00\x00\x09";
        assert_eq!(data(odd).as_deref(), Some(&odd[1..]));
        // An object of AMF3, traits inline, dynamic: a = 5.
        assert_eq!(
            data(b"\x00\x02\x00\x0aonMetaData\x11\x0a\x0b\x01\x03a\x04\x05\x01").as_deref(),
            Some(&b"\x02\x00\x0aonMetaData\x03\x00\x01a\x00\x40\x14\0\0\0\0\0\0\x00\x00\x09"[..])
        );
        // The name too may be in AMF3.
        assert_eq!(data(b"\x00\x11\x06\x15onMetaData").as_deref(), Some(&b"\x02\x00\x0aonMetaData"[..]));
    }

    #[test]
    fn what_amf0_cannot_say_stays_as_it_is() {
        for body in [
            // A byte array; an object that refers to itself; a class in its own format; cut short; not AMF at all.
            &b"\x00\x02\x00\x01a\x11\x0c\x05xy"[..],
            b"\x00\x02\x00\x01a\x11\x0a\x0b\x01\x03a\x0a\x00\x01",
            b"\x00\x02\x00\x01a\x11\x0a\x07\x03C\x01\x02\x03",
            b"\x00\x02\x00\x01a\x11\x0a",
            b"\x00\xff\x11",
            b"\x00",
        ] {
            assert_eq!(data(body).as_deref(), Some(&body[1..]), "{body:?}");
        }
    }

    #[test]
    fn what_is_longer_than_a_command_may_be_stays_as_it_is() {
        // An integer of AMF3, and a long string that fills the rest.
        let body = |len: usize| {
            let text = vec![b'x'; len - 8];
            [&b"\x11\x04\x05\x0c"[..], &(text.len() as u32).to_be_bytes(), &text].concat()
        };
        for (len, translated) in [(MAX_COMMAND_BYTES, true), (MAX_COMMAND_BYTES + 1, false)] {
            let body = body(len);
            let given = as_amf0(15, [&[0][..], &body].concat().into()).unwrap();
            assert_eq!(given != body, translated, "{len} bytes");
        }
    }

    /// An array of a text and 199 references to it (AMF3 3.11, 1.3.2): 2 bytes each, and in AMF0 3 bytes and the text.
    #[test]
    fn what_would_grow_out_of_proportion_stays_as_it_is() {
        let kept = (1..=63_u8).map(|len| {
            let text = vec![b'x'; len.into()];
            let refs = b"\x06\x00".repeat(199);
            let body = [&b"\x11\x09\x83\x11\x01\x06"[..], &[len << 1 | 1], &text, &refs].concat();
            let given = as_amf0(15, [&[0][..], &body].concat().into()).unwrap();
            let grown = 5 + 200 * (3 + text.len());
            let kept = grown > MAX_GROWTH * body.len();
            assert_eq!(given.len(), if kept { body.len() } else { grown }, "{len}");
            kept
        });
        let kept: Vec<bool> = kept.collect();
        assert!(!kept[0] && kept[62] && kept.is_sorted(), "at the bound, and one past it");
    }

    #[test]
    fn other_formats_are_unknown_and_type_18_is_left_alone() {
        assert_eq!(data(b"\x01\x02\x00\x01a"), None);
        assert_eq!(data(b""), None);
        let body = Bytes::from_static(b"\x02\x00\x01a\x11\x04\x05");
        assert_eq!(as_amf0(18, body.clone()), Some(body));
    }
}
