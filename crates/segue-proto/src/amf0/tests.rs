//! Golden bytes, bounds and round trips of AMF0.

#![allow(clippy::arithmetic_side_effects)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::error::Error;

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

fn one(mut bytes: &[u8]) -> Result<Value, Error> {
    let value = decode(&mut bytes)?;
    assert!(bytes.is_empty(), "{} bytes left", bytes.len());
    Ok(value)
}

fn misbehaved<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::PeerMisbehaved(_)))
}

fn over_limit<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::LimitExceeded(_)))
}

#[test]
fn golden_bytes_of_each_type() {
    let a_is_null = || vec![("a".to_owned(), Value::Null)];
    let cases: Vec<(Value, &[u8])> = vec![
        (Value::Number(1.0), &[0x00, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0]),
        (Value::Number(-2.5), &[0x00, 0xC0, 0x04, 0, 0, 0, 0, 0, 0]),
        (Value::Boolean(true), &[0x01, 0x01]),
        (Value::Boolean(false), &[0x01, 0x00]),
        (Value::from("live"), &[0x02, 0x00, 0x04, b'l', b'i', b'v', b'e']),
        (Value::from("é"), &[0x02, 0x00, 0x02, 0xC3, 0xA9]),
        (Value::Object(vec![]), &[0x03, 0x00, 0x00, 0x09]),
        (Value::Object(a_is_null()), &[0x03, 0x00, 0x01, b'a', 0x05, 0x00, 0x00, 0x09]),
        (Value::Null, &[0x05]),
        (Value::Undefined, &[0x06]),
        (Value::Reference(258), &[0x07, 0x01, 0x02]),
        (Value::EcmaArray(a_is_null()), &[0x08, 0, 0, 0, 1, 0x00, 0x01, b'a', 0x05, 0x00, 0x00, 0x09]),
        (Value::StrictArray(vec![Value::Null, Value::Undefined]), &[0x0A, 0, 0, 0, 2, 0x05, 0x06]),
        (Value::Date { ms: 1.0, tz: -60 }, &[0x0B, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0, 0xFF, 0xC4]),
        (Value::Unsupported, &[0x0D]),
        (Value::XmlDocument("<a/>".into()), &[0x0F, 0, 0, 0, 4, b'<', b'a', b'/', b'>']),
        (
            Value::TypedObject { class: "C".into(), properties: a_is_null() },
            &[0x10, 0x00, 0x01, b'C', 0x00, 0x01, b'a', 0x05, 0x00, 0x00, 0x09],
        ),
    ];
    for (value, golden) in cases {
        assert_eq!(encoded(&value), golden, "{value:?}");
        assert_eq!(one(golden), Ok(value.clone()));
        for end in 0..golden.len() {
            assert!(misbehaved(&one(&golden[..end])), "{value:?} cut to {end} bytes");
        }
    }
}

#[test]
fn the_command_of_a_connect() {
    let golden = b"\x02\x00\x07connect\x00\x3f\xf0\0\0\0\0\0\0\x03\x00\x03app\x02\x00\x04live\x00\x06capsEx\
        \x00\x3f\xf0\0\0\0\0\0\0\x00\x00\x09";
    let object = Value::object([("app", Value::from("live")), ("capsEx", Value::from(1.0))]);
    let values = vec![Value::from("connect"), Value::from(1.0), object];
    assert_eq!(values.iter().flat_map(encoded).collect::<Vec<_>>(), golden);
    assert_eq!(decode_all(golden), Ok(values));
}

#[test]
fn strings_longer_than_16_bits_are_long() {
    let longest = "x".repeat(65_535);
    assert_eq!(encoded(&Value::from(&*longest))[..3], [0x02, 0xFF, 0xFF]);
    let longer = Value::String(longest + "y");
    let bytes = encoded(&longer);
    assert_eq!(bytes[..5], [0x0C, 0x00, 0x01, 0x00, 0x00]);
    assert_eq!(one(&bytes), Ok(longer));
    // A name has no long form: it is cut, between characters.
    let name = "é".repeat(40_000);
    let bytes = encoded(&Value::object([(&*name, Value::Null)]));
    assert_eq!(bytes[1..3], [0xFF, 0xFE]);
    assert_eq!(one(&bytes), Ok(Value::object([("é".repeat(32_767), Value::Null)])));
}

#[test]
fn accessors_find_what_is_there() {
    let object = vec![("n".to_owned(), Value::from(2.0)), ("n".to_owned(), Value::from(true))];
    let all = [
        Value::Object(object.clone()),
        Value::EcmaArray(object.clone()),
        Value::TypedObject { class: String::new(), properties: object },
    ];
    for value in all {
        assert_eq!(value.property("n").and_then(Value::as_f64), Some(2.0));
        assert_eq!(value.property("N"), None);
        assert_eq!(value.as_object().map(<[_]>::len), Some(2));
        assert_eq!(value.as_str(), None);
    }
    assert_eq!(Value::from("s").as_str(), Some("s"));
    assert_eq!(Value::from(String::from("s")).as_f64(), None);
    assert_eq!(Value::from(false).as_bool(), Some(false));
    assert_eq!(Value::Null.property("n"), None);
}

#[test]
fn odd_but_legal_input_is_taken() {
    // The count of an ECMA array is a hint: too low, too high.
    for count in [0, 1, u32::MAX] {
        let bytes = [&[0x08][..], &count.to_be_bytes(), b"\x00\x01a\x05\x00\x01b\x06\x00\x00\x09"].concat();
        assert_eq!(one(&bytes).unwrap().property("b"), Some(&Value::Undefined));
    }
    // A property may have an empty name.
    assert_eq!(one(b"\x03\x00\x00\x05\x00\x00\x09").unwrap().property(""), Some(&Value::Null));
    // Any byte but 0 is true; text may be anything.
    assert_eq!(one(&[0x01, 0x7F]), Ok(Value::Boolean(true)));
    assert_eq!(one(b"\x02\x00\x02a\xff"), Ok(Value::from("a\u{FFFD}")));
    assert_eq!(decode_all(&[]), Ok(vec![]));
}

#[test]
fn what_cannot_be_read_is_an_error() {
    for marker in [0x04, 0x0E, 0x12, 0xFF] {
        assert!(matches!(one(&[marker, 0, 0]), Err(Error::PeerIncompatible(_))), "marker {marker:#x}");
    }
    assert!(misbehaved(&one(&[0x09])));
    assert!(misbehaved(&one(b"\x03\x00\x01a\x09")));
}

/// What Py3AMF 0.9.1 writes of a name, of an object and of an array that holds the object's string and the object, by
/// one encoder for AMF0, `writeElement` and twice `writeAMF3`: AMF3's tables are the message's, not the value's.
#[test]
fn amf3_values_of_a_message_share_their_references() {
    let theirs = b"\x02\x00\nonMetaData\x11\n\x0b\x01\x0btitle\x06\x0bhello\x01\
        \x11\t\x07\x01\x06\x02\x05?\xf8\x00\x00\x00\x00\x00\x00\n\x00";
    let title = amf3::Value::object([("title", amf3::Value::string("hello"))]);
    let again = amf3::Value::Reference { marker: amf3::Referable::Object, index: 0 };
    let array = amf3::Value::array(vec![amf3::Value::string("hello"), amf3::Value::Double(1.5), again]);
    let values = vec![Value::from("onMetaData"), Value::AvmPlus(title), Value::AvmPlus(array)];
    assert_eq!(decode_all(theirs), Ok(values.clone()));
    // Ours repeat the text, which peers read with tables of either kind.
    let ours: Vec<u8> = values.iter().flat_map(encoded).collect();
    assert!(ours.ends_with(b"\x11\t\x07\x01\x06\x0bhello\x05?\xf8\x00\x00\x00\x00\x00\x00\n\x00"));
    assert_eq!(decode_all(&ours), Ok(values.clone()));
    // In AMF0, references are followed.
    let title = Value::object([("title", Value::from("hello"))]);
    let array = Value::StrictArray(vec![Value::from("hello"), Value::from(1.5), title.clone()]);
    assert_eq!(plain(values), [Value::from("onMetaData"), title, array]);
    assert!(misbehaved(&decode(&mut &b"\x11\t\x03\x01\x06\x02"[..])), "a message of its own");
}

#[test]
fn depth_and_values_are_counted_across_the_switch() {
    // Half in AMF0 arrays, half in AMF3's.
    let nested = |amf0: usize, amf3: usize| {
        [&b"\x0a\0\0\0\x01".repeat(amf0)[..], b"\x11", &b"\t\x03\x01".repeat(amf3), b"\x01"].concat()
    };
    assert!(one(&nested(MAX_DEPTH / 2, MAX_DEPTH / 2)).is_ok());
    assert!(over_limit(&one(&nested(MAX_DEPTH / 2, MAX_DEPTH / 2 + 1))));
    assert!(over_limit(&one(&nested(MAX_DEPTH, 1))));
    assert_eq!(decode_all(&b"\x11\x01".repeat(MAX_VALUES)).map(|v| v.len()), Ok(MAX_VALUES));
    assert!(over_limit(&decode_all(&b"\x11\x01".repeat(MAX_VALUES + 1))));
}

#[test]
fn what_has_no_amf0_stays_amf3() {
    use amf3::{Referable, Value as V};
    let avm = |value: &V| Value::AvmPlus(value.clone());
    let bytes = V::ByteArray(vec![1]);
    let dictionary = V::Dictionary { weak: false, entries: vec![] };
    let cycle = V::array(vec![V::Reference { marker: Referable::Array, index: 0 }]);
    for value in [bytes.clone(), dictionary, V::array(vec![bytes.clone()])] {
        // It and what it is part of; the others are translated.
        let values = vec![avm(&value), Value::StrictArray(vec![avm(&value)]), avm(&V::Integer(1))];
        let expected = vec![values[0].clone(), values[1].clone(), Value::from(1.0)];
        assert_eq!(plain(values), expected);
    }
    // What refers to others, or to itself, would refer to what is no longer there.
    let reference = V::Reference { marker: Referable::Object, index: 0 };
    for first in [[cycle, V::Null], [V::object([]), V::array(vec![reference, bytes])]] {
        let values: Vec<_> = first.iter().chain([&V::Integer(1)]).map(avm).collect();
        assert_eq!(plain(values.clone()), values);
    }
    // References of AMF0 count objects that would become more.
    let values = vec![avm(&V::object([])), Value::Object(vec![]), Value::Reference(0)];
    assert_eq!(plain(values.clone()), values);
}

#[test]
fn each_type_of_amf3_in_amf0() {
    use amf3::Value as V;
    let one = |value| plain(vec![Value::AvmPlus(value)]).remove(0);
    let numbers = |n: &[f64]| Value::StrictArray(n.iter().copied().map(Value::Number).collect());
    assert_eq!(one(V::Undefined), Value::Undefined);
    assert_eq!(one(V::Null), Value::Null);
    assert_eq!(one(V::Boolean(true)), Value::Boolean(true));
    assert_eq!(one(V::Integer(-7)), Value::Number(-7.0));
    assert_eq!(one(V::Double(0.5)), Value::Number(0.5));
    assert_eq!(one(V::string("s")), Value::from("s"));
    assert_eq!(one(V::Xml("<a/>".into())), Value::XmlDocument("<a/>".into()));
    assert_eq!(one(V::XmlDocument("<a/>".into())), Value::XmlDocument("<a/>".into()));
    assert_eq!(one(V::Date(5.0)), Value::Date { ms: 5.0, tz: 0 });
    assert_eq!(one(V::VectorInt { fixed: true, items: vec![-1] }), numbers(&[-1.0]));
    assert_eq!(one(V::VectorUint { fixed: true, items: vec![u32::MAX] }), numbers(&[4_294_967_295.0]));
    assert_eq!(one(V::VectorDouble { fixed: true, items: vec![0.5] }), numbers(&[0.5]));
    let items = vec![V::Integer(1)];
    let vector = amf3::VectorObject { fixed: false, class: "*".into(), items };
    assert_eq!(one(V::VectorObject(Box::new(vector))), numbers(&[1.0]));
    let array = amf3::Array { associative: vec![("k".into(), V::Null)], dense: vec![V::Integer(1)] };
    let expected = vec![("k".to_owned(), Value::Null), ("0".to_owned(), Value::Number(1.0))];
    assert_eq!(one(V::Array(Box::new(array))), Value::EcmaArray(expected));
    let traits = amf3::Traits { class: "C".into(), dynamic: true, sealed: vec!["a".into()] };
    let object = amf3::Object {
        traits: traits.into(),
        sealed: vec![V::Null],
        dynamic: vec![("b".into(), V::Undefined)],
    };
    let properties = vec![("a".to_owned(), Value::Null), ("b".to_owned(), Value::Undefined)];
    assert_eq!(one(V::Object(Box::new(object))), Value::TypedObject { class: "C".into(), properties });
    let wrapper = amf3::Wrapper { class: amf3::WRAPPERS[0].into(), body: V::array(vec![V::Integer(1)]) };
    assert_eq!(one(V::Wrapper(Box::new(wrapper))), numbers(&[1.0]));
}

/// Arrays that each hold the one before twice: 30 of them come to 2^30 values, in 300 bytes.
#[test]
fn a_billion_laughs_stay_few() {
    let mut bytes = b"\x11\t\x05\x01\x01\x01".to_vec();
    for index in 0..30_u8 {
        bytes.extend_from_slice(&[0x11, 0x09, 0x05, 0x01, 0x09, index * 2, 0x09, index * 2]);
    }
    let values = decode_all(&bytes).unwrap();
    assert_eq!(values.iter().flat_map(encoded).collect::<Vec<_>>(), bytes);
    let plain = plain(values.clone());
    assert_eq!(plain, values, "past the bound it stays as it is");
}

#[test]
fn nesting_is_bounded_in_every_container() {
    for open in [&b"\x03\x00\x01a"[..], b"\x08\0\0\0\x01\x00\x01a", b"\x0a\0\0\0\x01", b"\x10\0\0\x00\x01a"] {
        let nested = |depth: usize| [&open.repeat(depth)[..], b"\x05"].concat();
        // At the bound it goes on to the end of the input, or is whole.
        let at = decode_all(&nested(MAX_DEPTH));
        assert!(if open[0] == 0x0A { at.is_ok() } else { misbehaved(&at) });
        assert!(over_limit(&decode_all(&nested(MAX_DEPTH + 1))));
        assert!(over_limit(&decode(&mut &nested(70_000)[..])));
    }
    let objects = |depth: usize| {
        [b"\x03\x00\x01a".repeat(depth), b"\x05".to_vec(), b"\x00\x00\x09".repeat(depth)].concat()
    };
    let deepest = one(&objects(MAX_DEPTH)).unwrap();
    assert_eq!(encoded(&deepest), objects(MAX_DEPTH));
    assert!(over_limit(&one(&objects(MAX_DEPTH + 1))));
}

#[test]
fn values_are_counted_over_the_whole_command() {
    assert_eq!(decode_all(&[0x05; MAX_VALUES]).map(|v| v.len()), Ok(MAX_VALUES));
    assert!(over_limit(&decode_all(&[0x05; MAX_VALUES + 1])));
    // The array is one of them.
    let array = |n: usize| [&[0x0A][..], &(n as u32).to_be_bytes(), &vec![0x05; n]].concat();
    assert!(one(&array(MAX_VALUES - 1)).is_ok());
    assert!(over_limit(&one(&array(MAX_VALUES))));
}

#[test]
fn commands_are_bounded_in_bytes() {
    let string = |len: usize| [&[0x0C][..], &(len as u32).to_be_bytes(), &vec![b'x'; len]].concat();
    assert!(decode_all(&string(MAX_COMMAND_BYTES - 5)).is_ok());
    assert!(over_limit(&decode_all(&string(MAX_COMMAND_BYTES - 4))));
}

#[test]
fn counts_and_lengths_of_2_32_allocate_nothing() {
    for marker in [0x0A, 0x0C, 0x0F] {
        assert!(misbehaved(&one(&[marker, 0xFF, 0xFF, 0xFF, 0xFF, 0x05])), "marker {marker:#x}");
    }
    assert!(misbehaved(&one(&[0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x01, b'a', 0x05])));
}

/// A little of AMF3; all of it has tests of its own.
fn avm_plus() -> impl Strategy<Value = amf3::Value> {
    use amf3::Value as V;
    let leaf = prop_oneof![
        Just(V::Undefined),
        V::INTEGERS.prop_map(V::Integer),
        ".{0,8}".prop_map(|text| V::string(&text)),
        vec(any::<u8>(), 0..4).prop_map(V::ByteArray),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(V::array),
            vec(("[a-c]", inner), 0..4)
                .prop_map(|members| V::object(members.iter().map(|(name, value)| (&**name, value.clone())))),
        ]
    })
}

fn value() -> impl Strategy<Value = Value> {
    let number = any::<f64>().prop_filter("NaN equals nothing", |n| !n.is_nan());
    let leaf = prop_oneof![
        number.clone().prop_map(Value::Number),
        any::<bool>().prop_map(Value::Boolean),
        ".{0,8}".prop_map(Value::String),
        Just(Value::Null),
        Just(Value::Undefined),
        Just(Value::Unsupported),
        any::<u16>().prop_map(Value::Reference),
        (number, any::<i16>()).prop_map(|(ms, tz)| Value::Date { ms, tz }),
        ".{0,8}".prop_map(Value::XmlDocument),
        avm_plus().prop_map(Value::AvmPlus),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        let properties = vec((".{0,4}", inner.clone()), 0..6);
        prop_oneof![
            properties.clone().prop_map(Value::Object),
            properties.clone().prop_map(Value::EcmaArray),
            vec(inner, 0..6).prop_map(Value::StrictArray),
            (".{0,4}", properties).prop_map(|(class, properties)| Value::TypedObject { class, properties }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(values in vec(value(), 0..5)) {
        let bytes = values.iter().flat_map(encoded).collect::<Vec<_>>();
        prop_assert_eq!(decode_all(&bytes), Ok(values));
    }

    #[test]
    fn what_is_cut_short_is_an_error(value in value(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(&value);
        let cut = cut.index(bytes.len());
        prop_assert!(misbehaved(&one(&bytes[..cut])), "cut to {} bytes", cut);
    }

    #[test]
    fn what_is_plain_is_left_alone_and_has_an_encoding(values in vec(value(), 0..5)) {
        let translated = plain(values.clone());
        prop_assert_eq!(translated.len(), values.len());
        for (before, after) in values.iter().zip(&translated) {
            prop_assert!(has_amf3(before) || before == after);
        }
        let bytes = translated.iter().flat_map(encoded).collect::<Vec<_>>();
        prop_assert_eq!(decode_all(&bytes), Ok(translated.clone()));
        prop_assert_eq!(plain(translated.clone()), translated, "nothing is left to say otherwise");
    }

    #[test]
    fn no_bytes_do_harm(bytes in vec(prop_oneof![0..18_u8, any::<u8>()], 0..400)) {
        if let Ok(values) = decode_all(&bytes) {
            prop_assert!(values.len() <= bytes.len());
        }
    }

    #[test]
    fn no_damage_does_harm(value in value(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = encoded(&value);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode_all(&bytes);
    }
}
