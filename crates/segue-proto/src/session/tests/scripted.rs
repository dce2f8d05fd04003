//! A client against other makers' servers: what they write is written here by hand.

use super::*;
use crate::message::aggregate;
use crate::message::control::{Control, LimitType};
use crate::message::status::{self, Level, code};
use crate::message::user_control::UserControl;
use client::Role::{self, Player, Publisher};

struct Scripted {
    client: client::Session,
    writer: Writer,
    events: Vec<client::Event>,
}

impl Scripted {
    /// After the handshake, `connect` sent.
    fn new(role: Role) -> Self {
        let mut client = client::Session::new(client_config(Announce::ALL), role, [1; 1528], at(0));
        // S0 to S2 of a server that echoes nothing.
        client.receive([&[3][..], &[0xaa; 3072]].concat().into(), at(0));
        assert_eq!(client.poll_event(), Ok(None));
        drain(client.out());
        Self { client, writer: Writer::new(Headers::Absolute), events: Vec::new() }
    }

    fn connected(role: Role) -> Self {
        let mut scripted = Self::new(role);
        scripted.result(1.0, &[Value::Null]);
        scripted.client.create_stream();
        scripted
    }

    /// `publish` or `play` sent, on message stream 5.
    fn asked(role: Role) -> Self {
        let mut scripted = Self::connected(role);
        scripted.result(if role == Publisher { 4.0 } else { 2.0 }, &[Value::Number(5.0)]);
        match role {
            Publisher => scripted.client.publish(),
            Player => scripted.client.play(None),
        }
        drain(scripted.client.out());
        scripted.take();
        scripted
    }

    fn message(&mut self, message: &Message) -> Result<(), Error> {
        let mut out = OutQueue::new();
        self.writer.write(csid::COMMAND, message, &mut out);
        self.client.receive(drain(&mut out).into(), at(0));
        while let Some(event) = self.client.poll_event()? {
            self.events.push(event);
        }
        Ok(())
    }

    fn command(&mut self, command: &Command) -> Result<(), Error> {
        self.message(&command.to_message(MessageStreamId(5)))
    }

    fn result(&mut self, transaction: f64, args: &[Value]) {
        let mut command = Command::new("_result", transaction);
        command.args = args.to_vec();
        self.command(&command).unwrap();
    }

    fn status(&mut self, level: Level, code: &str, description: &str) {
        self.command(&status::on_status(level, code, description)).unwrap();
    }

    fn take(&mut self) -> Vec<client::Event> {
        std::mem::take(&mut self.events)
    }
}

fn rejected(code: &str, redirect: Option<&str>) -> client::Event {
    client::Event::Rejected {
        code: code.into(),
        description: String::new(),
        redirect: redirect.map(Into::into),
    }
}

#[test]
fn a_rejected_connect_may_name_another_server() {
    let ex = object([("code", Value::Number(302.0)), ("redirect", string("rtmp://b/live"))]);
    let info = |key: &str, value: Value| {
        object([("level", string("error")), ("code", string(code::CONNECT_REJECTED)), (key, value)])
    };
    for (name, info, redirect) in [
        ("_error", info("ex", ex.clone()), Some("rtmp://b/live")),
        ("_error", info("redirect", string("rtmp://c/live")), Some("rtmp://c/live")),
        ("_error", info("redirect", Value::Number(1.0)), None),
        ("_result", info("ex", ex), Some("rtmp://b/live")),
        ("onStatus", info("other", Value::Null), None),
    ] {
        let mut scripted = Scripted::new(Publisher);
        scripted.command(&Command::new(name, if name == "onStatus" { 0.0 } else { 1.0 }).arg(info)).unwrap();
        assert_eq!(scripted.take(), [rejected(code::CONNECT_REJECTED, redirect)], "{name}");
        assert_eq!(scripted.client.wake_at(), None);
        scripted.client.create_stream();
        assert!(scripted.client.out().is_empty());
    }
}

#[test]
fn servers_that_know_no_fmle_commands_are_no_obstacle() {
    let mut scripted = Scripted::connected(Publisher);
    for transaction in [2.0, 3.0] {
        scripted.command(&Command::new("_error", transaction).arg(Value::Null)).unwrap();
    }
    scripted.command(&Command::new("onBWDone", 0.0)).unwrap();
    scripted.result(4.0, &[Value::Number(7.0)]);
    assert!(matches!(
        scripted.take()[..],
        [client::Event::Connected(_), client::Event::StreamCreated(MessageStreamId(7))]
    ));
}

#[test]
fn a_create_stream_without_a_stream_is_an_error() {
    for id in [
        Value::Null,
        Value::Number(0.0),
        Value::Number(1.5),
        Value::Number(f64::NAN),
        Value::Number(4294967296.0),
    ] {
        let mut scripted = Scripted::connected(Player);
        assert!(scripted.command(&Command::new("_result", 2.0).arg(id)).is_err());
    }
    let mut scripted = Scripted::connected(Player);
    assert!(matches!(scripted.command(&Command::new("_error", 2.0)), Err(Error::PeerIncompatible(_))));
}

#[test]
fn each_way_of_refusing_is_a_refusal() {
    for (level, code) in [
        (Level::Error, code::PUBLISH_BAD_NAME),
        (Level::Status, code::PUBLISH_BAD_NAME),
        (Level::Error, "NetStream.Publish.Denied"),
        (Level::Error, code::CONNECT_REJECTED),
    ] {
        let mut scripted = Scripted::asked(Publisher);
        scripted.status(level, code, "");
        assert!(matches!(&scripted.take()[..], [client::Event::PublishRefused { code: c, .. }] if c == code));
    }
    let mut scripted = Scripted::asked(Publisher);
    scripted.command(&Command::new("_error", 5.0)).unwrap();
    assert!(matches!(scripted.take()[..], [client::Event::PublishRefused { .. }]));

    let mut scripted = Scripted::asked(Publisher);
    scripted.status(Level::Status, "NetStream.Publish.Notice", "");
    assert!(matches!(scripted.take()[..], [client::Event::Status { .. }]), "what is no refusal is only told");
}

#[test]
fn v26_a_description_does_not_repeat_the_key() {
    let mut scripted = Scripted::asked(Publisher);
    let long = "x".repeat(500);
    scripted.status(
        Level::Error,
        code::PUBLISH_BAD_NAME,
        &format!("live/cam?token=1 (cam, token=1) is\r\nbusy {long}"),
    );
    match &scripted.take()[..] {
        [client::Event::PublishRefused { description, .. }] => {
            assert!(description.starts_with("live/c… (c…, c…) is  busy xxx"), "{description}");
            assert_eq!(description.chars().count(), 200);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn window_bandwidth_and_ping_are_answered() {
    let mut scripted = Scripted::asked(Player);
    let bandwidth = Control::SetPeerBandwidth { window: 5_000_000, limit: LimitType::Soft }.to_message();
    scripted.message(&bandwidth).unwrap();
    scripted.message(&bandwidth).unwrap();
    scripted.message(&Control::SetPeerBandwidth { window: 0, limit: LimitType::Hard }.to_message()).unwrap();
    scripted.message(&UserControl::PingRequest(3).to_message()).unwrap();
    // Control messages: full headers on chunk stream 2.
    let expected = [
        &[2, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0, 0][..],
        &5_000_000u32.to_be_bytes(),
        &[2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 7, 0, 0, 0, 3],
    ]
    .concat();
    assert_eq!(drain(scripted.client.out()), expected, "each window once, no window of 0, one pong");
    assert_eq!(scripted.take(), []);
}

#[test]
fn only_the_streams_own_messages_are_media() {
    let mut scripted = Scripted::asked(Player);
    scripted.status(Level::Status, code::PLAY_START, "");
    let data = |name: &str, info: Value| {
        let mut payload = Vec::new();
        string(name).encode(&mut payload);
        info.encode(&mut payload);
        Message {
            type_id: 18,
            stream_id: MessageStreamId(5),
            timestamp: Timestamp::ZERO,
            payload: payload.into(),
        }
    };
    scripted.message(&data("|RtmpSampleAccess", Value::Boolean(true))).unwrap();
    scripted.message(&data("onStatus", object([("code", string("NetStream.Data.Start"))]))).unwrap();
    scripted.message(&data("onSegueLeg", empty_object())).unwrap();
    scripted.message(&UserControl::StreamEof(4).to_message()).unwrap();
    assert_eq!(scripted.take(), [client::Event::PlayStarted]);
    scripted.message(&data("onStatus", object([("mine", Value::Null)]))).unwrap();
    scripted.message(&data("onTextData", empty_object())).unwrap();
    scripted.message(&UserControl::StreamEof(5).to_message()).unwrap();
    let events = scripted.take();
    assert!(matches!(
        events[..],
        [client::Event::Media(_), client::Event::Media(_), client::Event::StreamEof]
    ));
}

#[test]
fn a_malformed_position_from_a_server_with_segue_is_an_error() {
    let mut pair = Pair::streaming(Player, Announce::ALL);
    pair.server.send_media(STREAM, &media(TrackKind::Data, 0, b"\x02\x00\x0aonSegueLeg\x05"));
    pair.client.receive(drain(pair.server.out()).into(), at(0));
    assert_eq!(pair.client.poll_event(), Err(Error::PeerMisbehaved("a leg header is malformed")));
}

#[test]
fn requests_out_of_order_send_nothing() {
    let mut scripted = Scripted::new(Publisher);
    let requests = |client: &mut client::Session| {
        client.publish();
        client.play(None);
        client.finish_publish();
        client.stop_play();
        let before = client.sent();
        assert_eq!(client.send_media(&video(0, true, 9)), before);
        client.out().is_empty()
    };
    scripted.client.create_stream();
    assert!(requests(&mut scripted.client), "before connect is answered");
    scripted.result(1.0, &[Value::Null]);
    assert!(requests(&mut scripted.client), "before createStream");
    let mut player = Scripted::asked(Player);
    player.client.publish();
    player.client.finish_publish();
    player.client.send_media(&video(0, true, 9));
    assert!(player.client.out().is_empty(), "a player does not publish");
}

/// A server of Flash's time: `onStatus` as type 17 with its info object in AMF3, metadata as type 15. By hand from AMF3
/// 3.12 and E-RTMP v2, "Enabling AMF3 in RTMP".
#[test]
fn a_server_may_speak_amf3_to_a_player() {
    let mut scripted = Scripted::asked(Player);
    let mut say = |type_id, payload: &'static [u8]| {
        let payload = Bytes::from_static(payload);
        let message = Message { type_id, stream_id: MessageStreamId(5), timestamp: Timestamp::ZERO, payload };
        scripted.message(&message).unwrap();
        scripted.take()
    };
    let started = b"\x00\x02\x00\x08onStatus\x00\0\0\0\0\0\0\0\0\x05\x11\n\x0b\x01\x0blevel\x06\x0dstatus\
        \x09code\x06\x29NetStream.Play.Start\x01";
    assert_eq!(say(17, started), [client::Event::PlayStarted]);
    let events = say(15, b"\x00\x02\x00\x0aonMetaData\x11\n\x0b\x01\x03a\x04\x05\x01");
    let expected =
        media(TrackKind::Data, 0, b"\x02\x00\x0aonMetaData\x03\x00\x01a\x00\x40\x14\0\0\0\0\0\0\x00\x00\x09");
    assert_eq!(events, [client::Event::Media(expected)]);
    // A format that nobody has defined, and the server's own word to the player.
    assert_eq!(say(15, b"\x07\x02\x00\x0aonMetaData\x05"), []);
    assert_eq!(say(15, b"\x00\x02\x00\x11|RtmpSampleAccess\x01\x01\x01\x01"), []);
}

#[test]
fn an_aggregate_is_played_as_what_it_holds() {
    let mut scripted = Scripted::asked(Player);
    scripted.status(Level::Status, code::PLAY_START, "");
    scripted.take();
    let part = |ms, payload: &'static [u8]| Message {
        type_id: type_id::AUDIO,
        stream_id: MessageStreamId(5),
        timestamp: Timestamp::from_millis(ms),
        payload: Bytes::from_static(payload),
    };
    let mut whole = aggregate::join(&[part(10, b"\xaf\x01a"), part(33, b"\xaf\x01b")]).unwrap();
    whole.timestamp = Timestamp::from_millis(1000);
    scripted.message(&whole).unwrap();
    let expected = [media(TrackKind::Audio, 1000, b"\xaf\x01a"), media(TrackKind::Audio, 1023, b"\xaf\x01b")];
    assert_eq!(scripted.take(), expected.map(client::Event::Media));
}
