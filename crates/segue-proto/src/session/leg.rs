//! `onSegueLeg` and the resume object of `play` on the wire: AMF0 data and an AMF0 object. What they mean is
//! [`crate::leg`]'s. Only between peers that both announced `segue`.
//!
//! `onSegueLeg` is `{stream, leg, index, keyframes, timestamp}` from a publisher, with 32 hex digits of resume token;
//! the same without `leg` and with 16 hex digits of hash to a viewer. Numbers are non-negative integers below 2^53.

use bytes::Bytes;

use crate::amf0::{self, Value};
use crate::error::Error;
use crate::leg::{LegHeader, PlayPosition, Position, ResumeToken, StreamHash};
use crate::message::command::{object, string};
use crate::session::Resume;
use crate::timestamp::Timestamp;

const NAME: &str = "onSegueLeg";
/// Numbers above this are not exact in AMF0.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

const MALFORMED: Error = Error::PeerMisbehaved("a leg header is malformed");

/// The data message's payload for a publisher's leg header.
pub fn encode_header(header: &LegHeader) -> Bytes {
    encode(hex(&header.token.0), Some(header.leg), &header.position)
}

/// The data message's payload for a viewer's position.
pub fn encode_position(position: &PlayPosition) -> Bytes {
    encode(hex(&position.stream.0), None, &position.position)
}

/// Reads a publisher's leg header.
///
/// # Errors
/// It is none.
pub fn decode_header(payload: &[u8]) -> Result<LegHeader, Error> {
    let object = decode(payload)?;
    let token = object.property("stream").and_then(Value::as_str).and_then(unhex).ok_or(MALFORMED)?;
    let leg = u32::try_from(number(&object, "leg").ok_or(MALFORMED)?).map_err(|_| MALFORMED)?;
    Ok(LegHeader { token: ResumeToken(token), leg, position: position(&object)? })
}

/// Reads a viewer's position.
///
/// # Errors
/// It is none.
pub fn decode_position(payload: &[u8]) -> Result<PlayPosition, Error> {
    let object = decode(payload)?;
    let hash = object.property("stream").and_then(Value::as_str).and_then(unhex).ok_or(MALFORMED)?;
    Ok(PlayPosition { stream: StreamHash(hash), position: position(&object)? })
}

/// The last argument of `play`.
pub fn resume_value(resume: &Resume) -> Value {
    object([("stream", string(&hex(&resume.stream.0))), ("index", Value::Number(resume.index as f64))])
}

/// Finds it among the arguments of `play`.
///
/// # Errors
/// There is an object, and it names nothing.
pub fn find_resume(args: &[Value]) -> Result<Option<Resume>, Error> {
    const BAD: Error = Error::PeerMisbehaved("the position in a play command is malformed");
    let Some(object) = args.iter().find(|arg| arg.as_object().is_some()) else { return Ok(None) };
    let stream = object.property("stream").and_then(Value::as_str).and_then(unhex).ok_or(BAD)?;
    let index = number(object, "index").ok_or(BAD)?;
    Ok(Some(Resume { stream: StreamHash(stream), index }))
}

fn encode(stream: String, leg: Option<u32>, position: &Position) -> Bytes {
    let mut properties = vec![("stream".to_owned(), Value::String(stream))];
    if let Some(leg) = leg {
        properties.push(("leg".to_owned(), Value::Number(f64::from(leg))));
    }
    properties.push(("index".to_owned(), Value::Number(position.index as f64)));
    properties.push(("keyframes".to_owned(), Value::Number(position.keyframes as f64)));
    properties.push(("timestamp".to_owned(), Value::Number(f64::from(position.timestamp.as_millis()))));
    let mut out = Vec::with_capacity(160);
    string(NAME).encode(&mut out);
    Value::Object(properties).encode(&mut out);
    out.into()
}

fn decode(payload: &[u8]) -> Result<Value, Error> {
    let mut values = amf0::decode_all(payload)?.into_iter();
    match (values.next(), values.next()) {
        (Some(Value::String(name)), Some(object)) if name == NAME && object.as_object().is_some() => {
            Ok(object)
        }
        _ => Err(MALFORMED),
    }
}

fn position(object: &Value) -> Result<Position, Error> {
    let timestamp = u32::try_from(number(object, "timestamp").ok_or(MALFORMED)?).map_err(|_| MALFORMED)?;
    Ok(Position {
        index: number(object, "index").ok_or(MALFORMED)?,
        keyframes: number(object, "keyframes").ok_or(MALFORMED)?,
        timestamp: Timestamp::from_millis(timestamp),
    })
}

/// A non-negative integer that a double holds exactly.
fn number(object: &Value, name: &str) -> Option<u64> {
    let n = object.property(name)?.as_f64()?;
    (n.fract() == 0.0 && (0.0..=MAX_EXACT).contains(&n)).then_some(n as u64)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Exactly `2 * N` hex digits.
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| pair.get(at).and_then(|&b| char::from(b).to_digit(16));
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> LegHeader {
        let position =
            Position { index: 1_000_000, keyframes: 42, timestamp: Timestamp::from_millis(u32::MAX) };
        LegHeader { token: ResumeToken(*b"0123456789abcdef"), leg: 3, position }
    }

    #[test]
    fn a_leg_header_on_the_wire() {
        let number = |key: &str, n: f64| {
            let len = u8::try_from(key.len()).unwrap();
            [&[0, len][..], key.as_bytes(), &[0], &n.to_be_bytes()].concat()
        };
        let expected = [
            &b"\x02\x00\x0aonSegueLeg\x03"[..],
            b"\x00\x06stream\x02\x00\x2030313233343536373839616263646566",
            &number("leg", 3.0),
            &number("index", 1e6),
            &number("keyframes", 42.0),
            &number("timestamp", 4_294_967_295.0),
            b"\x00\x00\x09",
        ]
        .concat();
        assert_eq!(&encode_header(&header())[..], &expected[..]);
        assert_eq!(decode_header(&expected), Ok(header()));
    }

    #[test]
    fn a_viewers_position_shows_the_hash_and_not_the_token() {
        let position = PlayPosition { stream: header().token.hash(), position: header().position };
        let payload = encode_position(&position);
        assert_eq!(decode_position(&payload), Ok(position));
        assert!(decode_header(&payload).is_err());
        assert!(decode_position(&encode_header(&header())).is_err());
    }

    #[test]
    fn malformed_ones_are_refused() {
        let with = |key: &str, value: Value| {
            let mut values = amf0::decode_all(&encode_header(&header())).unwrap();
            let Some(Value::Object(properties)) = values.get_mut(1) else { panic!("no object") };
            properties.iter_mut().filter(|(k, _)| k == key).for_each(|(_, v)| *v = value.clone());
            let mut out = Vec::new();
            values.iter().for_each(|value| value.encode(&mut out));
            decode_header(&out)
        };
        assert!(with("leg", Value::Number(4_294_967_295.0)).is_ok());
        assert!(with("index", Value::Number(MAX_EXACT)).is_ok());
        for (key, value) in [
            ("stream", string("00")),
            ("stream", string(&"g".repeat(32))),
            ("stream", string(&"ü".repeat(16))),
            ("stream", Value::Null),
            ("leg", Value::Number(4_294_967_296.0)),
            ("leg", Value::Number(-1.0)),
            ("index", Value::Number(0.5)),
            ("index", Value::Number(MAX_EXACT + 1.0)),
            ("index", Value::Number(f64::NAN)),
            ("keyframes", string("1")),
            ("timestamp", Value::Number(4_294_967_296.0)),
        ] {
            assert!(with(key, value.clone()).is_err(), "{key} {value:?}");
        }
        assert!(decode_header(b"\x02\x00\x0aonSegueLeg").is_err());
        assert!(decode_header(b"\x02\x00\x0aonSegueLeg\x05").is_err());
    }

    #[test]
    fn a_play_names_what_it_lacks() {
        let resume = Resume { stream: StreamHash(*b"\x00\x01\xfe\xff4567"), index: 77 };
        let args = [string("name"), Value::Number(-2.0), resume_value(&resume)];
        assert_eq!(find_resume(&args), Ok(Some(resume)));
        assert_eq!(find_resume(&args[..2]), Ok(None));
        assert!(find_resume(&[object([("stream", string("0"))])]).is_err());
    }
}
