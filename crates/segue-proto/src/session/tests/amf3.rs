//! Peers that speak AMF3: message types 17 and 15, and what a server and a client make of them.

use super::*;
use crate::amf::MAX_COMMAND_BYTES;
use crate::media::{Config as MediaConfig, Content};

#[test]
fn data_in_amf3_messages_becomes_amf0() {
    let mut foreign = Foreign::publishing([]);
    foreign.take_events();
    let plain = metadata();
    for (first, expected) in [(Some(0u8), 1), (Some(0x0a), 0), (None, 0)] {
        let payload: Vec<u8> = first.into_iter().chain(plain.payload.iter().copied()).collect();
        let payload = if first.is_none() { Bytes::new() } else { payload.into() };
        let message = Message { type_id: 15, stream_id: STREAM, timestamp: Timestamp::ZERO, payload };
        foreign.message(csid::DATA, &message).unwrap();
        let events = foreign.take_events();
        assert_eq!(events.len(), expected);
        assert!(
            events.iter().all(|e| matches!(e, server::Event::Media { message, .. } if *message == plain))
        );
    }
}

/// A client of Flash's kind, with what it writes in types 17 and 15: by hand from AMF0 and AMF3, E-RTMP's "Enabling
/// AMF3 in RTMP". Its `connect` is AMF0, as the server has yet to say that it reads more.
#[test]
fn a_client_that_speaks_amf3_publishes() {
    let mut foreign = Foreign::connected([("objectEncoding", Value::Number(3.0))]);
    let result = foreign.commands().remove(0);
    assert_eq!(result.args[0].property("objectEncoding"), Some(&Value::Number(3.0)));

    let mut say = |type_id, stream, payload: &'static [u8]| {
        let payload = Bytes::from_static(payload);
        let message =
            Message { type_id, stream_id: MessageStreamId(stream), timestamp: Timestamp::ZERO, payload };
        foreign.message(csid::COMMAND, &message).unwrap();
        (foreign.take_events(), foreign.received())
    };
    let (_, answers) = say(17, 0, b"\x00\x02\x00\x0ccreateStream\x00\x40\0\0\0\0\0\0\0\x05");
    assert!(answers.iter().all(|answer| answer.type_id == 20), "answered in AMF0: {answers:?}");
    let result = Command::decode(&answers[0].payload, 20).unwrap();
    assert_eq!((&*result.name, result.args.as_slice()), ("_result", &[Value::Number(1.0)][..]));

    // Transaction and name of the stream in AMF3.
    let (events, answers) =
        say(17, 1, b"\x00\x02\x00\x07publish\x11\x04\x00\x05\x11\x06\x07cam\x02\x00\x04live");
    assert!(matches!(&events[..], [server::Event::Publish { name, .. }] if name == "cam"), "{events:?}");
    assert!(answers.iter().any(|answer| answer.type_id == 20));

    // Metadata with AMF3 in it becomes AMF0, whoever will read it.
    let (events, _) = say(
        15,
        1,
        b"\x00\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData\x11\n\x0b\x01\x0bwidth\x04\x82\x40\x01",
    );
    let [server::Event::Media { message, .. }] = &events[..] else { panic!("{events:?}") };
    let expected = b"\x02\x00\x0aonMetaData\x03\x00\x05width\x00\x40\x74\0\0\0\0\0\0\x00\x00\x09";
    assert_eq!((message.kind, &message.payload[..]), (TrackKind::Data, &expected[..]));
    assert_eq!(message.info().content, Content::Config(MediaConfig::Metadata));

    // The stream goes on after what is past every bound.
    let (events, _) = say(15, 1, b"\x00\x02\x00\x01a\x11\x0c\xff\xff\xff\xff");
    assert_eq!(events.len(), 1, "kept as it is");
}

/// `connect` itself as type 17 with its object in AMF3, as the text allows.
#[test]
fn a_connect_may_be_in_amf3() {
    let mut foreign = Foreign::new();
    let payload = b"\x00\x02\x00\x07connect\x00\x3f\xf0\0\0\0\0\0\0\x11\n\x0b\x01\x07app\x06\x09live\
        \x1dobjectEncoding\x04\x03\x0dcapsEx\x04\x01\x01";
    let payload = Bytes::from_static(payload);
    let message = Message { type_id: 17, stream_id: MessageStreamId(0), timestamp: Timestamp::ZERO, payload };
    foreign.message(csid::COMMAND, &message).unwrap();
    let events = foreign.take_events();
    let [server::Event::Connect { app, announce, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((app.as_str(), *announce), ("live", Announce { reconnect: true, ..Announce::NONE }));
    let result = foreign.commands().remove(0);
    assert_eq!(result.args[0].property("objectEncoding"), Some(&Value::Number(3.0)));
}

/// V1 before anybody has said who it is: an error, whatever the marker.
#[test]
fn a_connect_nested_70_000_deep_is_an_error() {
    for open in [&b"\x03\x00\x01a"[..], b"\x0a\0\0\0\x01", b"\x11\t\x03\x01"] {
        let mut payload = b"\x02\x00\x07connect\x00\x3f\xf0\0\0\0\0\0\0".to_vec();
        match open {
            [0x11, rest @ ..] => payload.extend([&[0x11][..], &rest.repeat(70_000)].concat()),
            open => payload.extend(open.repeat(70_000)),
        }
        for payload in [payload.clone(), payload[..MAX_COMMAND_BYTES].to_vec()] {
            let payload = payload.into();
            let message =
                Message { type_id: 20, stream_id: MessageStreamId(0), timestamp: Timestamp::ZERO, payload };
            let result = Foreign::new().message(csid::COMMAND, &message);
            assert!(matches!(result, Err(Error::LimitExceeded(_))), "{result:?}");
        }
    }
}
