//! AMF0 and AMF3: what is decoded is encoded to what decodes to the same, memory is bounded by the bytes that came, depth
//! to the container, and what is cut short is never taken for something else.

use segue_proto::Error;
use segue_proto::amf::{MAX_COMMAND_BYTES, MAX_DEPTH, MAX_TEXT, MAX_VALUES};
use segue_proto::amf0::{self as a0, Value};
use segue_proto::amf3 as a3;

use crate::check::bounded;

/// Bytes that may be allocated at a time for each byte that came, and beyond that: as `tests/alloc_amf.rs` of
/// segue-proto has them, with its reasons.
const MAX_PER_BYTE: u64 = 160;
const MAX_FIXED: u64 = 512;

/// A command's or data message's body.
pub fn amf0(data: &[u8]) {
    let Ok(values) = bounded(data.len(), MAX_FIXED, MAX_PER_BYTE, || a0::decode_all(data)) else { return };
    let encoded = encode0(&values);
    if encoded.len() <= MAX_COMMAND_BYTES {
        assert_same0(&values, &encoded);
    }

    let depth = values.iter().map(depth0).max().unwrap_or(0);
    assert!(depth <= MAX_DEPTH, "{depth} containers");
    // It is taken inside as many more containers as the bound has left, and not inside one more.
    if let [first] = &values[..] {
        let wrapped = |times: usize| {
            let mut body = [0x0a, 0, 0, 0, 1].repeat(times);
            first.encode(&mut body);
            a0::decode(&mut body.as_slice())
        };
        let room = MAX_DEPTH - depth;
        assert!(is_full(&wrapped(room)) || wrapped(room).is_ok(), "{room} more containers are refused");
        assert!(wrapped(room + 1).is_err(), "{} more containers are taken", room + 1);
    }

    // Half of it says the half of it, or nothing.
    if let Ok(half) = a0::decode_all(&data[..data.len() / 2]) {
        assert!(half.len() <= values.len() && encode0(&half) == encode0(&values[..half.len()]));
    }

    let before = values.len();
    let plain = a0::plain(values);
    assert_eq!(plain.len(), before);
    if !plain.iter().any(has_amf3) {
        let encoded = encode0(&plain);
        assert!(encoded.len() <= data.len() + MAX_TEXT + 16 * MAX_VALUES, "references multiply");
        if encoded.len() <= MAX_COMMAND_BYTES {
            assert_same0(&plain, &encoded);
        }
    }
}

/// One AMF3 value.
pub fn amf3(data: &[u8]) {
    let mut rest = data;
    let Ok(value) = bounded(data.len(), MAX_FIXED, MAX_PER_BYTE, || a3::decode(&mut rest)) else { return };
    let taken = data.len() - rest.len();
    assert!(taken > 0 && taken <= data.len());

    let depth = depth3(&value);
    assert!(depth <= MAX_DEPTH, "{depth} containers");

    // With the reference tables of its own, and without.
    let (mut compact, mut literal) = (Vec::new(), Vec::new());
    value.encode(&mut compact);
    value.encode_literally(&mut literal);
    assert!(compact.len() <= literal.len(), "references are shorter");
    for encoded in [&compact, &literal] {
        let mut input = encoded.as_slice();
        let again = a3::decode(&mut input).expect("what was encoded decodes");
        assert!(input.is_empty(), "all of it is one value");
        assert!(again == value || is_nan(&value), "{value:?} became {again:?}");
        let mut twice = Vec::new();
        again.encode(&mut twice);
        assert_eq!(twice, compact);
    }

    // A byte less is no value.
    assert!(a3::decode(&mut &data[..taken - 1]).is_err());

    // Inside AMF0 it is the same value.
    let mut body = Vec::new();
    Value::AvmPlus(value).encode(&mut body);
    let again = a0::decode(&mut body.as_slice()).expect("its marker and itself");
    let mut twice = Vec::new();
    again.encode(&mut twice);
    assert_eq!(twice, body);
}

fn encode0(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| value.encode(&mut out));
    out
}

fn assert_same0(values: &[Value], encoded: &[u8]) {
    let again = a0::decode_all(encoded).expect("what was encoded decodes");
    assert!(again == values || is_nan(&values), "{values:?} became {again:?}");
    assert_eq!(encode0(&again), encoded);
}

/// Whether a NaN is in it: then it does not even equal itself, and its bytes are compared alone.
fn is_nan<T: PartialEq>(value: &T) -> bool {
    let same = value;
    value != same
}

/// Whether there were too many values for the containers around them.
fn is_full(result: &Result<Value, Error>) -> bool {
    matches!(result, Err(Error::LimitExceeded(what)) if what.contains("values"))
}

/// Containers inside one another.
fn depth0(value: &Value) -> usize {
    match value {
        Value::AvmPlus(value) => depth3(value),
        Value::StrictArray(values) => 1 + values.iter().map(depth0).max().unwrap_or(0),
        other => other
            .as_object()
            .map_or(0, |members| 1 + members.iter().map(|(_, value)| depth0(value)).max().unwrap_or(0)),
    }
}

fn depth3(value: &a3::Value) -> usize {
    let inside = |values: &mut dyn Iterator<Item = &a3::Value>| 1 + values.map(depth3).max().unwrap_or(0);
    match value {
        a3::Value::Array(array) => {
            inside(&mut array.associative.iter().map(|(_, value)| value).chain(&array.dense))
        }
        a3::Value::Object(object) => inside(&mut object.members().map(|(_, value)| value)),
        a3::Value::Wrapper(wrapper) => inside(&mut std::iter::once(&wrapper.body)),
        a3::Value::VectorObject(vector) => inside(&mut vector.items.iter()),
        a3::Value::Dictionary { entries, .. } => {
            inside(&mut entries.iter().flat_map(|(key, value)| [key, value]))
        }
        _ => 0,
    }
}

fn has_amf3(value: &Value) -> bool {
    match value {
        Value::AvmPlus(_) => true,
        Value::StrictArray(values) => values.iter().any(has_amf3),
        other => other.as_object().is_some_and(|members| members.iter().any(|(_, value)| has_amf3(value))),
    }
}
