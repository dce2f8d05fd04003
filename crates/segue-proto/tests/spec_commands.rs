//! RTMP 1.0, 7.1.7 and 7.2: commands as they stand on the wire, and the order of a conversation. AMF0 by hand: number
//! 00, boolean 01, string 02, object 03 with its end 00 00 09, null 05, ECMA array 08.

#![allow(clippy::unwrap_used, reason = "tests")]

mod wire;

use segue_proto::amf0::Value;
use segue_proto::message::command::Command;
use segue_proto::session::client::Role;
use segue_proto::session::server::Event;
use wire::{AtClient, AtServer, CONNECT, NUMBER_0, NUMBER_2, chunk, commands};

fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn code_of(command: &Command) -> &str {
    command.args[0].property("code").and_then(Value::as_str).unwrap()
}

#[test]
fn what_answers_connect_comes_in_order() {
    let mut server = AtServer::new();
    server.feed(&chunk(3, 0, 20, 0, CONNECT)).unwrap();
    let answer = server.messages();
    // Set Chunk Size, which the reader keeps to itself, comes between the second and the third.
    let types: Vec<_> = answer.iter().map(|message| message.type_id).collect();
    assert_eq!(types, [5, 6, 4, 20], "window, bandwidth, user control, result");
    assert_eq!(answer[2].payload[..], [0, 0, 0, 0, 0, 0], "StreamBegin of stream 0");
    let result = &commands(&answer)[0];
    assert_eq!((result.name.as_str(), result.transaction), ("_result", 1.0));
    assert!(result.object.property("fmsVer").and_then(Value::as_str).is_some());
    for key in ["level", "code", "description"] {
        assert!(result.args[0].property(key).and_then(Value::as_str).is_some(), "{key}");
    }
}

#[test]
fn a_command_object_may_be_an_ecma_array() {
    let mut server = AtServer::new();
    let mut connect = CONNECT[..CONNECT.len() - 15].to_vec();
    assert_eq!(connect.pop(), Some(3));
    connect.extend(b"\x08\x00\x00\x00\x01\x00\x03app\x02\x00\x04live\x00\x00\x09");
    server.feed(&chunk(3, 0, 20, 0, &connect)).unwrap();
    assert!(matches!(&server.events[0], Event::Connect { app, .. } if app == "live"));
}

#[test]
fn connect_of_a_player_says_what_it_takes() {
    let mut client = AtClient::new(Role::Player);
    let sent = client.messages();
    assert_eq!((sent.len(), sent[0].type_id, sent[0].stream_id.0), (1, 20, 0));
    let connect = &commands(&sent)[0];
    assert_eq!((connect.name.as_str(), connect.transaction), ("connect", 1.0));
    let property = |key: &str| connect.object.property(key).cloned();
    assert_eq!(property("app"), Some(string("live")));
    assert_eq!(property("tcUrl"), Some(string("rtmp://server.test:1935/live")));
    assert!(matches!(property("flashVer"), Some(Value::String(_))));
    assert_eq!(property("fpad"), Some(Value::Boolean(false)));
    // All but the two flags that are not used, and all but the two that are obsolete.
    assert_eq!(property("audioCodecs"), Some(Value::Number(f64::from(0x0fff & !(0x08 | 0x10)))));
    assert_eq!(property("videoCodecs"), Some(Value::Number(f64::from(0xff & !(0x01 | 0x02)))));
    let function = property("videoFunction").and_then(|flags| flags.as_f64()).unwrap();
    assert_eq!(function as u32 & 1, 1, "SUPPORT_VID_CLIENT_SEEK");
}

/// E-RTMP v2, "Enhancing NetConnection connect Command" and the flags of "Metadata Frame".
#[test]
fn connect_of_a_player_in_enhanced_rtmp() {
    let mut client = AtClient::new(Role::Player);
    let connect = client.messages().remove(0).payload;
    let properties: [(&str, &[u8]); 5] = [
        ("seek, HDR, metadata packets; no tiles: 7", b"\x00\x0dvideoFunction\x00\x40\x1c\0\0\0\0\0\0"),
        ("any codec", b"\x00\x0afourCcList\x0a\0\0\0\x01\x02\x00\x01*"),
        (
            "decoded or forwarded: 5",
            b"\x00\x12videoFourCcInfoMap\x03\x00\x01*\x00\x40\x14\0\0\0\0\0\0\x00\x00\x09",
        ),
        ("likewise", b"\x00\x12audioFourCcInfoMap\x03\x00\x01*\x00\x40\x14\0\0\0\0\0\0\x00\x00\x09"),
        ("multitrack, ModEx, nanoseconds, no reconnect: 14", b"\x00\x06capsEx\x00\x40\x2c\0\0\0\0\0\0"),
    ];
    for (name, wire) in properties {
        assert!(connect.windows(wire.len()).any(|part| part == wire), "{name}: {connect:02x?}");
    }
}

#[test]
fn commands_of_a_publisher_on_the_wire() {
    let mut client = AtClient::new(Role::Publisher);
    client.sent();
    client.result(1.0, b"\x05\x05");
    client.session.create_stream();
    let sent = client.messages();
    let create = sent.last().unwrap();
    assert_eq!((create.type_id, create.stream_id.0), (20, 0), "on the connection");
    assert_eq!(create.payload[..], b"\x02\x00\x0ccreateStream\x00\x40\x10\x00\x00\x00\x00\x00\x00\x05"[..]);

    let mut client = AtClient::with_stream(Role::Publisher);
    client.session.publish();
    let publish = &client.messages()[0];
    assert_eq!((publish.type_id, publish.stream_id.0), (20, 1), "on the message stream");
    let golden =
        b"\x02\x00\x07publish\x00\x40\x14\x00\x00\x00\x00\x00\x00\x05\x02\x00\x03cam\x02\x00\x04live";
    assert_eq!(publish.payload[..], golden[..]);

    let mut client = AtClient::with_stream(Role::Player);
    client.session.play(None);
    client.sent();
    client.session.stop_play();
    let bytes = client.sent();
    let delete =
        [&b"\x02\x00\x0cdeleteStream"[..], NUMBER_0, b"\x05\x00\x3f\xf0\x00\x00\x00\x00\x00\x00"].concat();
    assert!(bytes.ends_with(&delete), "{bytes:02x?}");
}

#[test]
fn a_buffer_length_is_told_before_play() {
    let mut client = AtClient::with_stream(Role::Player);
    client.session.play(None);
    let sent = client.messages();
    assert_eq!(sent.iter().map(|message| message.type_id).collect::<Vec<_>>(), [4, 20]);
    assert_eq!(sent[0].payload[..], [0, 3, 0, 0, 0, 1, 0, 0, 0x0b, 0xb8], "stream 1, 3000 ms");
    let play = b"\x02\x00\x04play\x00\x40\x08\x00\x00\x00\x00\x00\x00\x05\x02\x00\x03cam\x00\xc0\x00\x00\x00\x00\x00\x00\x00";
    assert_eq!((sent[1].stream_id.0, &sent[1].payload[..]), (1, &play[..]), "name, and -2: live or recorded");
}

#[test]
fn a_status_of_a_stream_on_the_wire() {
    let mut server = AtServer::with_stream();
    server.command(&Command::new("publish", 0.0).arg(string("cam")).arg(string("live")), 1);
    let sent = server.messages();
    assert_eq!(sent.len(), 2, "StreamBegin and the status");
    let status = &sent[1];
    assert_eq!((status.type_id, status.stream_id.0), (20, 1));
    let golden =
        [&b"\x02\x00\x08onStatus"[..], NUMBER_0, b"\x05\x03\x00\x05level\x02\x00\x06status"].concat();
    assert_eq!(status.payload[..golden.len()], golden);
    let status = &commands(&sent)[0];
    assert_eq!(code_of(status), "NetStream.Publish.Start");
    assert!(status.args[0].property("description").and_then(Value::as_str).is_some());
}

#[test]
fn delete_stream_is_not_answered() {
    for transaction in [0.0, 7.0] {
        let mut server = AtServer::with_stream();
        server.command(&Command::new("publish", 3.0).arg(string("cam")), 1);
        server.sent();
        server.command(&Command::new("deleteStream", transaction).arg(Value::Number(1.0)), 0);
        assert!(matches!(server.events.last(), Some(Event::Unpublish { .. })));
        assert_eq!(server.sent(), []);
    }
}

#[test]
fn a_reset_is_told_unless_it_was_not_asked_for() {
    let (reset, start) = ("NetStream.Play.Reset", "NetStream.Play.Start");
    for (flag, expected) in [
        (None, &[reset, start][..]),
        (Some(Value::Boolean(true)), &[reset, start]),
        (Some(Value::Number(1.0)), &[reset, start]),
        (Some(Value::Boolean(false)), &[start]),
        (Some(Value::Number(0.0)), &[start]),
    ] {
        let mut server = AtServer::with_stream();
        let mut play = Command::new("play", 0.0).arg(string("cam"));
        if let Some(flag) = flag.clone() {
            play = play.arg(Value::Number(-2.0)).arg(Value::Number(-1.0)).arg(flag);
        }
        server.command(&play, 1);
        let sent = commands(&server.messages());
        assert_eq!(sent.iter().map(code_of).collect::<Vec<_>>(), expected, "{flag:?}");
    }
}

#[test]
fn what_is_not_offered_is_an_error_to_who_asks_for_an_answer() {
    let mut server = AtServer::with_stream();
    for name in ["seek", "pause", "play2", "receiveAudio", "receiveVideo", "some.procedure"] {
        server.command(&Command::new(name, 9.0).arg(Value::Number(1.0)), 1);
        let answer = &commands(&server.messages())[0];
        assert_eq!(
            (answer.name.as_str(), answer.transaction, code_of(answer)),
            ("_error", 9.0, "NetConnection.Call.Failed")
        );
        server.command(&Command::new(name, 0.0).arg(Value::Number(1.0)), 1);
        assert_eq!(server.sent(), [], "{name} without a transaction");
    }
    let body = [&b"\x02\x00\x04seek"[..], NUMBER_2, b"\x05"].concat();
    server.feed(&chunk(3, 0, 20, 1, &body)).unwrap();
    assert_eq!(commands(&server.messages()).len(), 1);
}
