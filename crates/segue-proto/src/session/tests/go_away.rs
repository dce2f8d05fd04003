//! The go-away between sessions: who gets which, how it looks on the wire, and the silence after type 32.

use super::*;
use crate::message::status::code;
use crate::message::user_control::UserControl;
use crate::session::GoAwaySignal::{self, GoAwayMessage, ReconnectRequest};

const TARGET: &str = "rtmp://b.test/live";

/// fmt 0, csid 2, timestamp 0, length 4, type 32, message stream 0, four zero bytes.
const TYPE_32: [u8; 16] = [2, 0, 0, 0, 0, 0, 4, 32, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn h26_a_client_gets_exactly_the_one_signal_that_it_understands() {
    for role in [client::Role::Publisher, client::Role::Player] {
        for bits in 0..8 {
            let announce =
                Announce { reconnect: bits & 1 != 0, go_away: bits & 2 != 0, segue: bits & 4 != 0 };
            let expected: Option<GoAwaySignal> = match (announce.reconnect, announce.go_away) {
                (true, _) => Some(ReconnectRequest),
                (false, true) => Some(GoAwayMessage),
                (false, false) => None,
            };
            let mut pair = Pair::streaming(role, announce);
            pair.take_client_events();
            assert_eq!(pair.server.go_away(Some(TARGET), at(2000)), expected);
            assert_eq!(pair.server.told(), expected);
            pair.run();
            let tc_url = (expected == Some(ReconnectRequest)).then(|| TARGET.to_owned());
            let events: Vec<_> =
                expected.map(|signal| client::Event::GoAway { signal, tc_url }).into_iter().collect();
            assert_eq!(pair.take_client_events(), events, "{role:?} {announce:?}");
        }
    }
}

#[test]
fn malformed_announcements_announce_nothing() {
    for properties in [
        [("capsEx", string("1")), ("supportsGoAway", string("true"))],
        [("capsEx", Value::Number(-1.0)), ("supportsGoAway", Value::Number(0.0))],
        [("capsEx", empty_object()), ("supportsGoAway", Value::Null)],
        [("capsEx", Value::Number(f64::NAN)), ("supportsGoAway", Value::Number(f64::NAN))],
    ] {
        let mut foreign = Foreign::publishing(properties);
        foreign.received();
        assert_eq!(foreign.server.go_away(Some(TARGET), at(1)), None);
        foreign.server.repeat_go_away();
        assert_eq!((foreign.server.told(), foreign.received()), (None, vec![]));
    }
}

#[test]
fn a_reconnect_request_is_an_on_status_of_the_connection() {
    let mut foreign =
        Foreign::publishing([("CapsEx", Value::Number(3.0)), ("supportsGoAway", Value::Boolean(true))]);
    foreign.received();
    assert_eq!(foreign.server.go_away(None, at(1)), Some(ReconnectRequest));
    let received = foreign.received();
    assert_eq!((received.len(), received[0].stream_id, received[0].type_id), (1, MessageStreamId(0), 20));
    let command = Command::decode(&received[0].payload, 20).unwrap();
    assert_eq!(
        (command.name.as_str(), command.transaction, &command.object),
        ("onStatus", 0.0, &Value::Null)
    );
    assert_eq!(code_of(&command), "NetConnection.Connect.ReconnectRequest");
    assert_eq!(command.args[0].property("level"), Some(&string("status")));
    assert_eq!(command.args[0].property("tcUrl"), None);

    // It goes on being served, and a newer target replaces the older.
    foreign.message(csid::CONTROL, &UserControl::PingRequest(5).to_message()).unwrap();
    assert_eq!(foreign.received().len(), 1);
    assert_eq!(foreign.server.go_away(Some(TARGET), at(2)), Some(ReconnectRequest));
    assert_eq!(foreign.commands()[0].args[0].property("tcUrl"), Some(&string(TARGET)));
    foreign.server.repeat_go_away();
    assert_eq!(foreign.received(), []);
}

#[test]
fn after_type_32_a_publisher_without_segue_is_left_in_silence() {
    let mut foreign = Foreign::publishing([("supportsGoAway", Value::Boolean(true))]);
    foreign
        .message(csid::CONTROL, &crate::message::control::Control::WindowAckSize(1000).to_message())
        .unwrap();
    drain(foreign.server.out());
    foreign.server.repeat_go_away();
    assert!(foreign.server.out().is_empty(), "no repeat before the signal");
    assert_eq!(foreign.server.go_away(Some(TARGET), at(1)), Some(GoAwayMessage));
    assert_eq!(drain(foreign.server.out()), TYPE_32);

    foreign.take_events();
    foreign.media(&video(0, true, 5000)).unwrap();
    assert_eq!(foreign.take_events().len(), 1, "what it sends is still taken");
    let stirred = |foreign: &mut Foreign| {
        foreign.message(csid::CONTROL, &UserControl::PingRequest(5).to_message()).unwrap();
        foreign.command(&Command::new("_checkbw", 9.0), 0).unwrap();
        foreign.command(&Command::new("unheardOf", 10.0), 0).unwrap();
        foreign.command(&Command::new("createStream", 11.0), 0).unwrap();
        let offset = foreign.server.consumed();
        foreign.server.taken(offset, at(60_000));
        foreign.server.final_acknowledgement(offset);
        assert_eq!(foreign.server.go_away(Some(TARGET), at(2)), None);
        drain(foreign.server.out())
    };
    assert_eq!(stirred(&mut foreign), []);
    foreign.server.repeat_go_away();
    foreign.server.repeat_go_away();
    assert_eq!(drain(foreign.server.out()), TYPE_32, "one repeat");
    assert_eq!(stirred(&mut foreign), []);
    foreign.command(&Command::new("FCUnpublish", 12.0).arg(string("cam")), 0).unwrap();
    foreign.server.publish_refused(STREAM, code::CONNECT_REJECTED, "cut");
    assert_eq!(drain(foreign.server.out()), []);
    foreign.server.handle_timeout(at(5000)).unwrap();
    assert_eq!(drain(foreign.server.out()), []);
}

#[test]
fn a_quiet_viewer_still_gets_its_stream() {
    let mut foreign = Foreign::connected([("supportsGoAway", Value::Boolean(true))]);
    foreign.command(&Command::new("createStream", 2.0), 0).unwrap();
    foreign.command(&Command::new("play", 3.0).arg(string("cam")), 1).unwrap();
    foreign.server.go_away(None, at(1));
    foreign.received();
    foreign.server.send_media(STREAM, &video(0, true, 10));
    foreign.message(csid::CONTROL, &UserControl::PingRequest(5).to_message()).unwrap();
    foreign.server.play_ended(STREAM, false);
    let types: Vec<_> = foreign.received().iter().map(|message| message.type_id).collect();
    assert_eq!(types, [9, 4], "media and StreamEOF, no pong");
}

#[test]
fn with_segue_a_publisher_told_by_type_32_is_acknowledged_to_the_end() {
    let mut foreign =
        Foreign::publishing([("supportsGoAway", Value::Number(1.0)), ("segue", Value::Number(1.0))]);
    foreign.received();
    assert_eq!(foreign.server.go_away(None, at(1)), Some(GoAwayMessage));
    foreign.server.repeat_go_away();
    assert_eq!(drain(foreign.server.out()), TYPE_32, "and no repeat: it reads");
    foreign.server.final_acknowledgement(4242);
    let ack = foreign.received();
    assert_eq!((ack[0].type_id, &ack[0].payload[..]), (3, &4242u32.to_be_bytes()[..]));
}

/// Types, lengths, chunk streams and message streams as other servers might send it.
#[test]
fn a_client_takes_type_32_in_any_shape_and_only_an_exact_code() {
    let mut pair = Pair::streaming(client::Role::Publisher, Announce::ALL);
    pair.take_client_events();
    let mut writer = Writer::new(Headers::Absolute);
    let mut out = OutQueue::new();
    writer.set_chunk_size(60_000, &mut out);
    for (csid, stream_id, len) in [(2, 0, 0), (2, 0, 4), (3, 1, 1), (70, 9, 5000)] {
        let payload = vec![0xee; len].into();
        let stream_id = MessageStreamId(stream_id);
        let message = Message { type_id: 32, stream_id, timestamp: Timestamp::ZERO, payload };
        writer.write(ChunkStreamId::new(csid).unwrap(), &message, &mut out);
    }
    for near_miss in ["NetConnection.Connect.ReconnectRequest ", "netconnection.connect.reconnectrequest", ""]
    {
        let status = crate::message::status::on_status(crate::message::status::Level::Status, near_miss, "");
        writer.write(csid::COMMAND, &status.to_message(MessageStreamId(0)), &mut out);
    }
    pair.client.receive(drain(&mut out).into(), at(1));
    pair.run();
    while let Some(event) = pair.client.poll_event().unwrap() {
        pair.client_events.push(event);
    }
    let told = client::Event::GoAway { signal: GoAwayMessage, tc_url: None };
    let events = pair.take_client_events();
    assert_eq!(events[..4], [told.clone(), told.clone(), told.clone(), told]);
    assert_eq!(events.len(), 7);
    assert!(events[4..].iter().all(|event| matches!(event, client::Event::Status { .. })));
}

#[test]
fn a_client_follows_only_the_dialect_that_it_announced() {
    for announce in [Announce::NONE, Announce { segue: true, ..Announce::NONE }] {
        let mut pair = Pair::streaming(client::Role::Publisher, announce);
        pair.take_client_events();
        let mut writer = Writer::new(Headers::Absolute);
        let mut out = OutQueue::new();
        writer.write(csid::CONTROL, &crate::message::control::go_away(), &mut out);
        let request = crate::message::status::reconnect_request(Some(TARGET));
        writer.set_chunk_size(60_000, &mut out);
        writer.write(csid::COMMAND, &request.to_message(MessageStreamId(0)), &mut out);
        pair.client.receive(drain(&mut out).into(), at(1));
        assert_eq!(pair.client.poll_event(), Ok(None));
    }
}
