//! Golden bytes, references, bounds and round trips of AMF3.
//!
//! The bytes of "other implementations" are what two of them for Python wrote: Py3AMF 0.9.1, by `pyamf.encode(value,
//! encoding=pyamf.AMF3)`, and, for vectors and dictionaries, as3lib-miniAMF 0.9.5, by the like call.

#![allow(clippy::arithmetic_side_effects)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::amf::{MAX_COMMAND_BYTES, MAX_DEPTH, MAX_TEXT, MAX_VALUES};
use crate::error::Error;

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

fn literally(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode_literally(&mut out);
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

fn object(class: &str, sealed: Vec<(&str, Value)>, dynamic: Option<Vec<(&str, Value)>>) -> Value {
    let (names, sealed) = sealed.into_iter().map(|(name, value)| (name.into(), value)).unzip();
    Value::Object(Box::new(Object {
        traits: Arc::new(Traits { class: class.into(), dynamic: dynamic.is_some(), sealed: names }),
        sealed,
        dynamic: dynamic.unwrap_or_default().into_iter().map(|(name, value)| (name.into(), value)).collect(),
    }))
}

fn array(associative: Vec<(&str, Value)>, dense: Vec<Value>) -> Value {
    let associative = associative.into_iter().map(|(name, value)| (name.into(), value)).collect();
    Value::Array(Box::new(Array { associative, dense }))
}

fn wrapper(class: &str, body: Value) -> Value {
    Value::Wrapper(Box::new(Wrapper { class: class.into(), body }))
}

const fn reference(marker: Referable, index: u32) -> Value {
    Value::Reference { marker, index }
}

/// The table of 1.3.1: the ends of each row.
#[test]
fn integers_of_one_to_four_bytes() {
    let rows: [(u32, &[u8]); 9] = [
        (0x0000_0000, &[0b0000_0000]),
        (0x0000_007F, &[0b0111_1111]),
        (0x0000_0080, &[0b1000_0001, 0b0000_0000]),
        (0x0000_3FFF, &[0b1111_1111, 0b0111_1111]),
        (0x0000_4000, &[0b1000_0001, 0b1000_0000, 0b0000_0000]),
        (0x001F_FFFF, &[0b1111_1111, 0b1111_1111, 0b0111_1111]),
        (0x0020_0000, &[0b1000_0000, 0b1100_0000, 0b1000_0000, 0b0000_0000]),
        (0x0FFF_FFFF, &[0b1011_1111, 0b1111_1111, 0b1111_1111, 0b1111_1111]),
        (u29::MAX, &[0b1111_1111; 4]),
    ];
    for (value, bytes) in rows {
        let mut out = Vec::new();
        u29::encode(value, &mut out);
        assert_eq!(out, bytes, "{value:#x}");
        assert_eq!(u29::decode(&mut &*bytes), Ok(value));
        for end in 0..bytes.len() {
            assert!(misbehaved(&u29::decode(&mut &bytes[..end])), "{value:#x} cut to {end} bytes");
        }
    }
    assert_eq!(u29::decode(&mut &[0x80, 0x80, 0x80, 0x05][..]), Ok(5), "longer than needed");
}

fn bytes_of_other_implementations() -> Vec<(Value, &'static [u8])> {
    let number = |n| Value::Integer(n);
    let text = Value::string;
    vec![
        (number(0), b"\x04\x00"),
        (number(127), b"\x04\x7f"),
        (number(128), b"\x04\x81\x00"),
        (number(16_383), b"\x04\xff\x7f"),
        (number(16_384), b"\x04\x81\x80\x00"),
        (number(2_097_151), b"\x04\xff\xff\x7f"),
        (number(2_097_152), b"\x04\x80\xc0\x80\x00"),
        (number(268_435_455), b"\x04\xbf\xff\xff\xff"),
        (Value::Double(268_435_456.0), b"\x05A\xb0\x00\x00\x00\x00\x00\x00"),
        (number(-1), b"\x04\xff\xff\xff\xff"),
        (number(-42), b"\x04\xff\xff\xff\xd6"),
        (number(-268_435_456), b"\x04\xc0\x80\x80\x00"),
        (Value::Undefined, b"\x00"),
        (Value::Null, b"\x01"),
        (Value::Boolean(false), b"\x02"),
        (Value::Boolean(true), b"\x03"),
        (Value::Double(0.1), b"\x05?\xb9\x99\x99\x99\x99\x99\x9a"),
        (text("hello"), b"\x06\x0bhello"),
        (text(""), b"\x06\x01"),
        (text("ᚠᛇᚻ"), b"\x06\x13\xe1\x9a\xa0\xe1\x9b\x87\xe1\x9a\xbb"),
        // 2005-03-18 01:58:31 UTC.
        (Value::Date(1_111_111_111_000.0), b"\x08\x01Bp+6!\x15\x80\x00"),
        (Value::Xml("<a><b>hello</b></a>".into()), b"\x0b'<a><b>hello</b></a>"),
        (Value::ByteArray(b"abc".to_vec()), b"\x0c\x07abc"),
        (Value::array((0..4).map(number).collect()), b"\t\t\x01\x04\x00\x04\x01\x04\x02\x04\x03"),
        // The third is a reference to the first.
        (Value::array(vec![text("a"), text("b"), text("a")]), b"\t\x07\x01\x06\x03a\x06\x03b\x06\x00"),
        (array(vec![("a", text("x")), ("b", number(2))], vec![]), b"\t\x01\x03a\x06\x03x\x03b\x04\x02\x01"),
        (
            array(vec![("k", Value::Boolean(true))], vec![text("p"), text("q")]),
            b"\t\x05\x03k\x03\x01\x06\x03p\x06\x03q",
        ),
        (Value::object([("a", text("b"))]), b"\n\x0b\x01\x03a\x06\x03b\x01"),
        (
            object("org.pyamf.spam", vec![], Some(vec![("baz", text("hello"))])),
            b"\n\x0b\x1dorg.pyamf.spam\x07baz\x06\x0bhello\x01",
        ),
        // Two of one class with two sealed members: the second has its traits by reference.
        (
            Value::array(vec![
                object("Size", vec![("height", number(1)), ("width", number(2))], None),
                object("Size", vec![("height", number(3)), ("width", number(4))], None),
            ]),
            b"\t\x05\x01\n#\tSize\rheight\x0bwidth\x04\x01\x04\x02\n\x01\x04\x03\x04\x04",
        ),
        // One object twice, and an array that holds itself.
        (
            Value::array(vec![Value::object([("name", text("x"))]), reference(Referable::Object, 1)]),
            b"\t\x05\x01\n\x0b\x01\tname\x06\x03x\x01\n\x02",
        ),
        (Value::array(vec![reference(Referable::Array, 0)]), b"\t\x03\x01\t\x00"),
        (
            wrapper(WRAPPERS[0], Value::array(vec![text("eggs"), text("spam")])),
            b"\n\x07Cflex.messaging.io.ArrayCollection\t\x05\x01\x06\teggs\x06\tspam",
        ),
        (
            wrapper(WRAPPERS[2], Value::object([("a", number(1))])),
            b"\n\x07;flex.messaging.io.ObjectProxy\n\x0b\x01\x03a\x04\x01\x01",
        ),
    ]
}

fn vectors_and_dictionaries() -> Vec<(Value, &'static [u8])> {
    vec![
        // Of the other implementation.
        (
            Value::VectorInt { fixed: false, items: vec![-1, 2] },
            b"\r\x05\x00\xff\xff\xff\xff\x00\x00\x00\x02" as &[u8],
        ),
        (
            Value::VectorUint { fixed: true, items: vec![1, u32::MAX] },
            b"\x0e\x05\x01\x00\x00\x00\x01\xff\xff\xff\xff",
        ),
        (
            Value::VectorDouble { fixed: false, items: vec![0.1] },
            b"\x0f\x03\x00?\xb9\x99\x99\x99\x99\x99\x9a",
        ),
        (
            Value::Dictionary {
                weak: false,
                entries: vec![
                    (Value::string("k"), Value::Integer(1)),
                    (Value::Integer(2), Value::Boolean(true)),
                ],
            },
            b"\x11\x05\x00\x06\x03k\x04\x01\x04\x02\x03",
        ),
        // By hand from 3.15, 3.16 and 3.9: an object vector of any type, weak keys, an XMLDocument.
        (
            Value::VectorObject(Box::new(VectorObject {
                fixed: true,
                class: "*".into(),
                items: vec![Value::Undefined, Value::Null],
            })),
            b"\x10\x05\x01\x03*\x00\x01",
        ),
        (Value::Dictionary { weak: true, entries: vec![] }, b"\x11\x01\x01"),
        (Value::XmlDocument("<a/>".into()), b"\x07\x09<a/>"),
    ]
}

#[test]
fn golden_bytes_of_each_type() {
    for (value, golden) in bytes_of_other_implementations().into_iter().chain(vectors_and_dictionaries()) {
        assert_eq!(one(golden), Ok(value.clone()));
        assert_eq!(encoded(&value), golden, "{value:?}");
        for end in 0..golden.len() {
            assert!(misbehaved(&one(&golden[..end])), "{value:?} cut to {end} bytes");
        }
    }
}

#[test]
fn literally_means_without_references_to_text_and_traits() {
    let text = Value::array(vec![Value::string("a"), Value::string("a")]);
    assert_eq!(literally(&text), b"\t\x05\x01\x06\x03a\x06\x03a");
    let pair = Value::array(vec![
        object("C", vec![("m", Value::Null)], None),
        object("C", vec![("m", Value::Null)], None),
    ]);
    assert_eq!(literally(&pair), b"\t\x05\x01\n\x13\x03C\x03m\x01\n\x13\x03C\x03m\x01");
    for value in [text, pair] {
        assert_eq!(one(&literally(&value)), Ok(value));
    }
}

#[test]
fn what_the_wire_cannot_say_is_left_out_or_filled_in() {
    // Members without a name, and members that the class does not name and that is not dynamic.
    let odd = |sealed: Vec<Value>, dynamic: bool| {
        Value::Object(Box::new(Object {
            traits: Arc::new(Traits { class: "".into(), dynamic, sealed: vec!["a".into()] }),
            sealed,
            dynamic: vec![("".into(), Value::Null), ("b".into(), Value::Null)],
        }))
    };
    assert_eq!(encoded(&odd(vec![], true)), b"\n\x1b\x01\x03a\x00\x03b\x01\x01");
    assert_eq!(encoded(&odd(vec![Value::Null, Value::Null], false)), b"\n\x13\x01\x03a\x01");
    assert_eq!(encoded(&array(vec![("", Value::Null)], vec![])), b"\t\x01\x01");
    for number in [i32::MIN, -0x1000_0001, 0x1000_0000, i32::MAX] {
        assert_eq!(one(&encoded(&Value::Integer(number))), Ok(Value::Double(f64::from(number))));
    }
}

#[test]
fn externalizable_classes_are_refused_unless_they_are_one_value() {
    for class in WRAPPERS {
        let value = wrapper(class, Value::array(vec![Value::Null]));
        assert_eq!(one(&encoded(&value)), Ok(value));
    }
    let foreign = wrapper("flex.messaging.messages.AcknowledgeMessageExt", Value::Null);
    assert!(matches!(one(&encoded(&foreign)), Err(Error::PeerIncompatible(_))));
    // Traits by reference go for these too.
    let two = Value::array(vec![wrapper(WRAPPERS[0], Value::Null), wrapper(WRAPPERS[0], Value::Null)]);
    assert_eq!(encoded(&two).last_chunk(), Some(b"\n\x01\x01"));
    assert_eq!(one(&encoded(&two)), Ok(two));
}

#[test]
fn unknown_types_are_incompatible() {
    for marker in 0x12..=0xFF {
        assert!(matches!(one(&[marker, 1, 1]), Err(Error::PeerIncompatible(_))), "marker {marker:#x}");
    }
}

#[test]
fn references_point_to_what_was_there() {
    // Strings: the empty one is not counted; names are.
    assert!(misbehaved(&one(b"\x06\x00")));
    assert!(misbehaved(&one(b"\t\x05\x01\x06\x01\x06\x00")));
    assert_eq!(
        one(b"\n\x0b\x01\x03a\x06\x00\x01"),
        Ok(Value::object([("a", Value::string("a"))])),
        "the value is the name"
    );
    // Traits and objects.
    assert!(misbehaved(&one(b"\n\x01")));
    assert!(misbehaved(&one(b"\n\x00")));
    assert!(misbehaved(&one(b"\t\x03\x01\t\x02")));
    // All eleven types count, in the order in which they begin.
    let eleven = Value::array(vec![
        Value::XmlDocument("".into()),
        Value::Date(0.0),
        Value::Xml("".into()),
        Value::ByteArray(vec![]),
        Value::VectorInt { fixed: false, items: vec![] },
        Value::VectorUint { fixed: false, items: vec![] },
        Value::VectorDouble { fixed: false, items: vec![] },
        Value::VectorObject(Box::new(VectorObject { fixed: false, class: "*".into(), items: vec![] })),
        Value::Dictionary { weak: false, entries: vec![] },
        Value::object([]),
        reference(Referable::Object, 10),
    ]);
    assert_eq!(one(&encoded(&eleven)), Ok(eleven.clone()));
    let Value::Array(mut past) = eleven else { unreachable!() };
    past.dense[10] = reference(Referable::Object, 11);
    assert!(misbehaved(&one(&encoded(&Value::Array(past)))));
}

#[test]
fn nesting_is_bounded_in_every_container() {
    let containers: [&[u8]; 7] = [
        b"\t\x03\x01",      // dense array
        b"\t\x01\x03a",     // associative array
        b"\n\x0b\x01\x03a", // dynamic object
        b"\n\x13\x01\x03a", // sealed object
        b"\n\x07\x3bflex.messaging.io.ObjectProxy",
        b"\x10\x03\x00\x01", // object vector
        b"\x11\x03\x00\x01", // dictionary, in its value
    ];
    for open in containers {
        let nested = |depth: usize| [&open.repeat(depth)[..], b"\x01"].concat();
        // At the bound it goes on to the end of the input, or is whole.
        let at = one(&nested(MAX_DEPTH));
        assert!(at.is_ok() || misbehaved(&at), "{open:?}: {at:?}");
        assert!(over_limit(&decode(&mut &nested(MAX_DEPTH + 1)[..])), "{open:?}");
        assert!(over_limit(&decode(&mut &nested(70_000)[..])), "{open:?}");
    }
    // In its key.
    assert!(over_limit(&decode(&mut &b"\x11\x03\x00".repeat(MAX_DEPTH + 1)[..])));
    let deepest = one(&[&b"\t\x03\x01".repeat(MAX_DEPTH)[..], b"\x01"].concat()).unwrap();
    assert_eq!(one(&encoded(&deepest.clone())), Ok(deepest));
}

#[test]
fn values_are_counted_with_their_members() {
    let header = |marker: u8, count: usize| {
        let mut out = vec![marker];
        u29::encode((count as u32) << 1 | 1, &mut out);
        out
    };
    let array = |n: usize| [header(0x09, n), vec![1], vec![0x01; n]].concat();
    let vector = |n: usize| [header(0x0D, n), vec![0], vec![0x01; 4 * n]].concat();
    let dictionary = |n: usize| [header(0x11, n), vec![0], vec![0x01; 2 * n]].concat();
    for bytes in [array(MAX_VALUES - 1), vector(MAX_VALUES - 1), dictionary((MAX_VALUES - 1) / 2)] {
        assert!(one(&bytes).is_ok());
    }
    for bytes in [array(MAX_VALUES), vector(MAX_VALUES), dictionary(MAX_VALUES / 2)] {
        assert!(over_limit(&decode(&mut &bytes[..])));
    }
}

/// A string of `len` bytes and references to it, so that all together come to `total`.
fn laughing_strings(len: usize, total: usize) -> Vec<u8> {
    let count = total / len;
    let mut out = vec![0x09];
    u29::encode((count as u32) << 1 | 1, &mut out);
    out.extend_from_slice(&[0x01, 0x06]);
    u29::encode((len as u32) << 1 | 1, &mut out);
    out.extend(vec![b'x'; len]);
    out.extend(b"\x06\x00".repeat(count - 1));
    out
}

#[test]
fn text_is_counted_as_often_as_it_is_referred_to() {
    let len = 1024;
    let at = one(&laughing_strings(len, MAX_TEXT)).unwrap();
    assert!(literally(&at).len() > MAX_TEXT, "what is written literally is bounded with it");
    assert!(encoded(&at).len() < MAX_COMMAND_BYTES);
    assert!(over_limit(&decode(&mut &laughing_strings(len, MAX_TEXT + len)[..])));

    // Traits by reference: their names count for each object. One object of one member with a name of 1 KiB.
    let objects = |count: usize| {
        let mut out = vec![0x09];
        u29::encode((count as u32) << 1 | 1, &mut out);
        out.extend_from_slice(b"\x01\n\x13\x01\x90\x01");
        out.extend(vec![b'x'; len]);
        out.push(0x01);
        out.extend(b"\n\x01\x01".repeat(count - 1));
        out
    };
    assert!(one(&objects(MAX_TEXT / len)).is_ok());
    assert!(over_limit(&decode(&mut &objects(MAX_TEXT / len + 1)[..])));
}

#[test]
fn counts_and_lengths_of_2_28_allocate_nothing() {
    for marker in 0x06..=0x11 {
        if marker == 0x08 || marker == 0x0A {
            continue;
        }
        assert!(misbehaved(&one(&[marker, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0x01, 0x01])), "marker {marker:#x}");
    }
    // As many sealed members as can be stated; their names are cut short.
    assert!(misbehaved(&one(&[0x0A, 0xFF, 0xFF, 0xFF, 0xF3, 0x01, 0x01, 0x01])));
}

#[test]
fn text_that_is_not_utf_8_is_mended() {
    assert_eq!(one(b"\x06\x05a\xff"), Ok(Value::string("a\u{FFFD}")));
}

/// Any value; `reference` is one that holds wherever it stands.
fn value() -> impl Strategy<Value = Value> {
    let double = || any::<f64>().prop_filter("NaN equals nothing", |n| !n.is_nan());
    let text = || ".{0,8}".prop_map(|text| text.as_str().into());
    let name = || "[a-c]{1,2}".prop_map(|name| name.as_str().into());
    let leaf = prop_oneof![
        Just(Value::Undefined),
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        Value::INTEGERS.prop_map(Value::Integer),
        double().prop_map(Value::Double),
        text().prop_map(Value::String),
        text().prop_map(Value::XmlDocument),
        text().prop_map(Value::Xml),
        double().prop_map(Value::Date),
        vec(any::<u8>(), 0..9).prop_map(Value::ByteArray),
        (any::<bool>(), vec(any::<i32>(), 0..5)).prop_map(|(fixed, items)| Value::VectorInt { fixed, items }),
        (any::<bool>(), vec(any::<u32>(), 0..5))
            .prop_map(|(fixed, items)| Value::VectorUint { fixed, items }),
        (any::<bool>(), vec(double(), 0..5)).prop_map(|(fixed, items)| Value::VectorDouble { fixed, items }),
        (0x07..=0x11_u8).prop_map(|marker| reference(Referable::from_marker(marker).unwrap(), 0)),
    ];
    leaf.prop_recursive(5, 48, 5, move |inner| {
        let members = move |inner: BoxedStrategy<Value>| vec((name(), inner), 0..5);
        let inner = inner.boxed();
        let sealed = vec((prop_oneof![Just("".into()), name()], inner.clone()), 0..5);
        prop_oneof![
            (members(inner.clone()), vec(inner.clone(), 0..5))
                .prop_map(|(associative, dense)| Value::Array(Box::new(Array { associative, dense }))),
            ("[A-B]?", sealed, any::<bool>(), members(inner.clone())).prop_map(
                |(class, sealed, dynamic, members)| {
                    let (names, sealed) = sealed.into_iter().unzip();
                    let traits = Arc::new(Traits { class: class.as_str().into(), dynamic, sealed: names });
                    let dynamic = if dynamic { members } else { Vec::new() };
                    Value::Object(Box::new(Object { traits, sealed, dynamic }))
                }
            ),
            (0..WRAPPERS.len(), inner.clone()).prop_map(|(class, body)| wrapper(WRAPPERS[class], body)),
            (any::<bool>(), "[*A]?", vec(inner.clone(), 0..5)).prop_map(|(fixed, class, items)| {
                Value::VectorObject(Box::new(VectorObject { fixed, class: class.as_str().into(), items }))
            }),
            (any::<bool>(), vec((inner.clone(), inner), 0..5))
                .prop_map(|(weak, entries)| Value::Dictionary { weak, entries }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_and_no_less_will_do(values in vec(value(), 0..5), cut in any::<prop::sample::Index>()) {
        // Object 0, which the references refer to.
        let value = Value::array(values);
        for bytes in [encoded(&value), literally(&value)] {
            prop_assert_eq!(one(&bytes), Ok(value.clone()));
            let cut = cut.index(bytes.len());
            prop_assert!(misbehaved(&one(&bytes[..cut])), "cut to {} bytes", cut);
        }
    }

    #[test]
    fn what_was_decoded_is_encoded_in_one_form(bytes in vec(prop_oneof![0..18_u8, any::<u8>()], 0..400)) {
        if let Ok(value) = decode(&mut &bytes[..]) {
            let canonical = encoded(&value);
            // NaN has many forms and equals none: bytes are compared, not values.
            prop_assert_eq!(encoded(&one(&canonical).unwrap()), canonical);
        }
    }

    #[test]
    fn no_damage_does_harm(value in value(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = encoded(&Value::array(vec![value]));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode(&mut &bytes[..]);
    }
}
