//! Other makers' clients, well-behaved and not: FMLE's commands, captured bytes, bounds, deadlines.

use std::time::Duration;

use super::*;
use crate::message::control::Control;
use crate::message::status::code;
use crate::message::user_control::UserControl;
use crate::session::{CONNECT_TIMEOUT, IDLE_TIMEOUT, MAX_BACKLOG, MAX_STREAMS, STEP_TIMEOUT};

/// `connect` as FFmpeg 5.1 sends it for `rtmp://127.0.0.1:58523/live/cam`, captured behind the handshake: fmt 0, csid
/// 3, 140 bytes, and after 128 of them the header of the second chunk, 0xc3.
const FFMPEG_CONNECT: &[u8] = b"\x03\x00\x00\x00\x00\x00\x8c\x14\x00\x00\x00\x00\
\x02\x00\x07connect\x00\x3f\xf0\x00\x00\x00\x00\x00\x00\x03\
\x00\x03app\x02\x00\x04live\x00\x04type\x02\x00\x0anonprivate\
\x00\x08flashVer\x02\x00\x24FMLE/3.0 (compatible; Lavf59.27.100)\
\x00\x05tcUrl\x02\x00\x1brtmp://127.0.0.1:5\xc38523/live\x00\x00\x09";

#[test]
fn h25_ffmpeg_announces_nothing_and_is_told_nothing() {
    let mut foreign = Foreign::new();
    foreign.feed(FFMPEG_CONNECT).unwrap();
    assert_eq!(
        foreign.take_events(),
        [server::Event::Connect {
            app: "live".into(),
            tc_url: "rtmp://127.0.0.1:58523/live".into(),
            announce: Announce::NONE,
            flash_ver: "FMLE/3.0 (compatible; Lavf59.27.100)".into(),
        }]
    );
    assert_eq!(foreign.server.consumed(), FFMPEG_CONNECT.len() as u64);
    foreign.received();
    assert_eq!(foreign.server.go_away(Some("rtmp://b/live"), at(1)), None);
    foreign.server.repeat_go_away();
    assert_eq!(foreign.received(), []);
}

/// What ffmpeg 5.1 and librtmp 2.4 (GStreamer) wrote behind the handshake while they published `live/x`, as far as a
/// deleted stream: see `chunk::captures`.
#[test]
fn captured_publishers_are_understood() {
    let captures: [&[u8]; 2] = [
        include_bytes!("../../chunk/testdata/ffmpeg-5.1.bin"),
        include_bytes!("../../chunk/testdata/librtmp-2.4.bin"),
    ];
    for capture in captures {
        let mut foreign = Foreign::new();
        foreign.feed(capture).unwrap();
        let events = foreign.take_events();
        assert!(
            matches!(&events[0], server::Event::Connect { app, announce: Announce::NONE, .. } if app == "live")
        );
        assert_eq!(events[1], server::Event::Publish { stream: STREAM, name: "x".into() });
        let media = events.iter().filter(|event| matches!(event, server::Event::Media { .. })).count();
        assert!(media > 3, "{events:?}");
        assert!(events.len() <= media + 3, "nothing else but an end: {events:?}");
        assert_eq!(foreign.server.consumed(), capture.len() as u64);
    }
}

/// The same command from our own client, but for what it says: properties in the order that servers know.
#[test]
fn our_connect_resembles_ffmpegs() {
    let mut pair = Pair::new(client::Role::Publisher, Announce::ALL, Caller::Watches);
    pair.run();
    let mut reader = Reader::new(WHOLE);
    reader.push(Bytes::copy_from_slice(&pair.to_server[3073..]));
    let connect = Command::decode(&reader.next().unwrap().unwrap().payload, 20).unwrap();
    let keys: Vec<_> = connect.object.as_object().unwrap().iter().map(|(key, _)| key.as_str()).collect();
    let media = ["fourCcList", "videoFourCcInfoMap", "audioFourCcInfoMap"];
    assert_eq!(keys[..7], [&["app", "type", "flashVer", "tcUrl"][..], &media].concat());
    assert_eq!(keys[7..], ["capsEx", "supportsGoAway", "segue"]);
    assert_eq!(connect.object.property("supportsGoAway"), Some(&Value::Boolean(true)));
    assert_eq!(connect.object.property("capsEx"), Some(&Value::Number(15.0)));
    assert_eq!(connect.transaction, 1.0);
}

#[test]
fn fmles_commands_are_answered() {
    let mut foreign = Foreign::connected([]);
    foreign.received();
    let cases: &[(&str, &[(&str, f64)])] = &[
        ("releaseStream", &[("_result", 2.0)]),
        ("FCPublish", &[("_result", 2.0), ("onFCPublish", 0.0)]),
        ("FCUnpublish", &[("_result", 2.0), ("onFCUnpublish", 0.0)]),
        ("FCSubscribe", &[("_result", 2.0), ("onFCSubscribe", 0.0)]),
        ("getStreamLength", &[("_result", 2.0)]),
        ("_checkbw", &[("_result", 2.0)]),
        ("createStream", &[("_result", 2.0)]),
        ("unheardOf", &[("_error", 2.0)]),
        ("_result", &[]),
        ("_error", &[]),
    ];
    for (name, expected) in cases {
        foreign.command(&Command::new(name, 2.0).arg(string("cam")), 0).unwrap();
        let answers = foreign.commands();
        let answers: Vec<_> =
            answers.iter().map(|answer| (answer.name.as_str(), answer.transaction)).collect();
        assert_eq!(answers, *expected, "{name}");
    }
    for silent in ["unheardOf", "releaseStream", "_checkbw"] {
        foreign.command(&Command::new(silent, 0.0), 0).unwrap();
        assert_eq!(foreign.received(), [], "{silent} without a transaction");
    }
}

#[test]
fn what_a_server_has_no_use_for_is_skipped() {
    let mut foreign = Foreign::publishing([]);
    foreign.received();
    foreign.take_events();
    foreign
        .message(csid::CONTROL, &UserControl::SetBufferLength { stream: 1, ms: 100 }.to_message())
        .unwrap();
    foreign.message(csid::CONTROL, &UserControl::Other(31).to_message()).unwrap();
    for type_id in [7, 16, 19, 22, 32, 99, 255] {
        let payload = Bytes::from_static(b"\xff\xff\xff");
        let message = Message { type_id, stream_id: STREAM, timestamp: Timestamp::ZERO, payload };
        foreign.message(csid::DATA, &message).unwrap();
    }
    assert_eq!((foreign.take_events(), foreign.received()), (vec![], vec![]));
    foreign.message(csid::CONTROL, &UserControl::PingRequest(77).to_message()).unwrap();
    assert_eq!(foreign.received(), [UserControl::PingResponse(77).to_message()]);
}

#[test]
fn commands_out_of_order_are_errors_or_refusals() {
    for early in ["createStream", "publish", "play", "_result"] {
        assert!(matches!(
            Foreign::new().command(&Command::new(early, 2.0), 0),
            Err(Error::PeerMisbehaved(_))
        ));
    }
    assert!(matches!(Foreign::connected([]).connect([]), Err(Error::PeerMisbehaved(_))));

    let mut foreign = Foreign::connected([]);
    foreign.received();
    for stream in [0, 1, 7] {
        foreign.command(&Command::new("publish", 2.0).arg(string("cam")), stream).unwrap();
        foreign.command(&Command::new("play", 2.0).arg(string("cam")), stream).unwrap();
        let answers = foreign.commands();
        assert_eq!([code_of(&answers[0]), code_of(&answers[1])], [code::PUBLISH_BAD_NAME, code::PLAY_FAILED]);
    }
    let mut foreign = Foreign::publishing([]);
    foreign.commands();
    foreign.take_events();
    foreign.command(&Command::new("publish", 4.0).arg(string("cam")), 1).unwrap();
    assert_eq!(code_of(&foreign.commands()[0]), code::PUBLISH_BAD_NAME, "the stream is in use");
    assert_eq!(foreign.take_events(), []);
}

#[test]
fn v16_names_against_the_grammar_are_refused() {
    for bad in ["", "..", "../x", "a/%2e%2e/b", "a\0b", "a\\b", "a\nb"] {
        let mut foreign = Foreign::connected([]);
        foreign.command(&Command::new("createStream", 2.0), 0).unwrap();
        foreign.commands();
        foreign.take_events();
        foreign.command(&Command::new("publish", 3.0).arg(string(bad)), 1).unwrap();
        foreign.command(&Command::new("play", 3.0).arg(string(bad)), 1).unwrap();
        let answers = foreign.commands();
        assert_eq!([code_of(&answers[0]), code_of(&answers[1])], [code::PUBLISH_BAD_NAME, code::PLAY_FAILED]);
        assert_eq!(foreign.take_events(), [], "{bad:?}");

        let mut foreign = Foreign::new();
        let object = object([("app", string(bad))]);
        let connect = Command { name: "connect".into(), transaction: 1.0, object, args: vec![] };
        assert!(foreign.command(&connect, 0).is_err());
        assert_eq!(code_of(&foreign.commands()[0]), code::CONNECT_INVALID_APP, "told before it is closed");
    }
    let long = "n".repeat(crate::url::MAX_NAME);
    for (name, taken) in [(long.clone(), true), (long + "n", false)] {
        let mut foreign = Foreign::connected([]);
        foreign.command(&Command::new("createStream", 2.0), 0).unwrap();
        foreign.take_events();
        foreign.command(&Command::new("publish", 3.0).arg(Value::String(name)), 1).unwrap();
        assert_eq!(foreign.take_events().len(), usize::from(taken));
    }
}

#[test]
fn streams_are_bounded_and_numbered_from_one() {
    let mut foreign = Foreign::connected([]);
    foreign.commands();
    for id in 1..=MAX_STREAMS {
        foreign.command(&Command::new("createStream", 2.0), 0).unwrap();
        assert_eq!(foreign.commands()[0].args, [Value::Number(id as f64)]);
    }
    foreign.command(&Command::new("createStream", 2.0), 0).unwrap();
    assert_eq!(foreign.commands()[0].name, "_error");
    foreign.command(&Command::new("deleteStream", 0.0).arg(Value::Number(3.0)), 0).unwrap();
    foreign.command(&Command::new("createStream", 2.0), 0).unwrap();
    assert_eq!(foreign.commands()[0].args, [Value::Number(3.0)]);
}

#[test]
fn acknowledgements_to_others_come_at_their_window_only() {
    let mut foreign = Foreign::publishing([]);
    foreign.message(csid::CONTROL, &Control::WindowAckSize(10_000).to_message()).unwrap();
    foreign.received();
    let base = foreign.server.consumed();
    foreign.server.taken(base, at(0));
    foreign.server.taken(9_999, at(100_000));
    assert_eq!(foreign.received(), []);
    foreign.server.taken(10_000, at(100_000));
    assert_eq!(foreign.received(), [Control::Acknowledgement { sequence: 10_000 }.to_message()]);
    foreign.server.final_acknowledgement(10_001);
    assert_eq!(foreign.received(), [], "no last word without segue");
}

#[test]
fn acknowledgements_to_segue_come_twice_a_second() {
    let mut ours = Foreign::publishing(segue());
    ours.received();
    ours.server.taken(1000, at(400));
    assert_eq!((ours.received(), ours.server.wake_at()), (vec![], Some(at(500))));
    ours.server.handle_timeout(at(499)).unwrap();
    assert_eq!(ours.received(), []);
    ours.server.handle_timeout(at(500)).unwrap();
    assert_eq!(ours.received(), [Control::Acknowledgement { sequence: 1000 }.to_message()]);
    ours.server.handle_timeout(at(2000)).unwrap();
    assert_eq!((ours.received(), ours.server.wake_at()), (vec![], None), "nothing new");
    ours.server.taken(2_501_000, at(500));
    assert_eq!(ours.received().len(), 1, "at the window, without waiting");
}

#[test]
fn a_peer_that_asks_and_does_not_read_is_bounded() {
    let mut foreign = Foreign::publishing([]);
    let ping = UserControl::PingRequest(1).to_message();
    let pong = 12 + 6;
    let mut error = None;
    for n in 0..=MAX_BACKLOG / pong + 1 {
        // Slowly: quickly, the work budget would end it first.
        foreign.now = at(n as u64);
        if let Err(e) = foreign.message(csid::CONTROL, &ping) {
            error = Some(e);
            break;
        }
    }
    assert_eq!(error, Some(Error::LimitExceeded("answers that the peer does not read")));
    assert!(foreign.server.out().len() <= MAX_BACKLOG + pong);
}

#[test]
fn v11_half_handshakes_are_reaped() {
    let mut server = new_server(at(0));
    assert_eq!(server.wake_at(), Some(at(0) + CONNECT_TIMEOUT));
    for second in 0..10 {
        server.receive(Bytes::from_static(&[3]), at(second * 1000));
        assert_eq!(server.poll_event(), Ok(None));
        server.handle_timeout(at(second * 1000)).unwrap();
    }
    assert_eq!(server.handle_timeout(at(9_999)), Ok(()));
    assert_eq!(server.handle_timeout(at(10_000)), Err(Error::TimedOut("the handshake")));
    assert!(server.poll_event().is_err());

    let mut foreign = Foreign::new();
    assert_eq!(foreign.server.handle_timeout(at(10_000)), Err(Error::TimedOut("connect")));
}

#[test]
fn a_connection_that_neither_publishes_nor_plays_is_closed() {
    let mut foreign = Foreign::connected([]);
    assert_eq!(foreign.server.wake_at(), Some(at(0) + IDLE_TIMEOUT));
    foreign.now = at(20_000);
    foreign.command(&Command::new("createStream", 2.0), 0).unwrap();
    assert_eq!(foreign.server.wake_at(), Some(at(50_000)));
    assert_eq!(foreign.server.clone().handle_timeout(at(50_000)), Err(Error::TimedOut("publish or play")));
    foreign.now = at(49_999);
    foreign.command(&Command::new("publish", 3.0).arg(string("cam")), 1).unwrap();
    assert_eq!(foreign.server.wake_at(), None, "publishing has no deadline here");
    foreign.now = at(100_000);
    foreign.command(&Command::new("closeStream", 0.0), 1).unwrap();
    assert_eq!(foreign.server.wake_at(), Some(at(130_000)));
}

#[test]
fn idling_is_not_renewed_for_ever() {
    let mut foreign = Foreign::connected([]);
    let mut ended = None;
    for round in 1..200 {
        foreign.now = foreign.now + Duration::from_secs(29);
        if foreign.server.handle_timeout(foreign.now).is_err() {
            ended = Some(round);
            break;
        }
        foreign.command(&Command::new("createStream", 2.0), 0).unwrap();
        foreign.command(&Command::new("deleteStream", 0.0).arg(Value::Number(1.0)), 0).unwrap();
    }
    assert!(ended.is_some_and(|round| round <= 66), "{ended:?}");
}

#[test]
fn each_step_of_a_client_has_a_deadline() {
    let mut client =
        client::Session::new(client_config(Announce::ALL), client::Role::Publisher, [1; 1528], at(0));
    assert_eq!(client.out().len(), 1537, "C0 and C1 wait at once");
    assert_eq!(client.wake_at(), Some(at(0) + STEP_TIMEOUT));
    assert_eq!(client.handle_timeout(at(9_999)), Ok(()));
    assert_eq!(client.handle_timeout(at(10_000)), Err(Error::TimedOut("the handshake")));

    let mut pair = Pair::new(client::Role::Publisher, Announce::ALL, Caller::Watches);
    pair.run();
    let mut late = pair.client.clone();
    assert_eq!(late.handle_timeout(at(11_000)), Err(Error::TimedOut("the answer to connect")));
    pair.server.accept_connect(false, at(1000));
    pair.run();
    assert_eq!(pair.client.wake_at(), None, "the next step is the caller's");
    pair.now = at(60_000);
    pair.client.receive(Bytes::new(), pair.now);
    pair.client.create_stream();
    let mut late = pair.client.clone();
    assert_eq!(late.handle_timeout(at(70_000)), Err(Error::TimedOut("the answer to createStream")));
    pair.run();
    pair.client.publish();
    let mut late = pair.client.clone();
    assert_eq!(late.handle_timeout(at(70_000)), Err(Error::TimedOut("the answer to publish")));

    let mut pair = Pair::new(client::Role::Player, Announce::ALL, Caller::OnlyConnects);
    pair.run();
    pair.client.create_stream();
    pair.run();
    pair.client.play(None);
    assert_eq!(pair.client.handle_timeout(at(31_500)), Ok(()), "a play may be parked for 30 s");
    assert_eq!(pair.client.handle_timeout(at(41_000)), Err(Error::TimedOut("the answer to play")));
}

#[test]
fn v26_no_debug_output_holds_the_key() {
    let pair = Pair::streaming(client::Role::Publisher, Announce::ALL);
    let text =
        format!("{:?} {:?} {:?} {:?}", pair.client, pair.server, pair.server_events, pair.client_events);
    assert!(!text.contains("cam") && !text.contains("token"), "{text}");
    assert!(text.contains("c…"));
}

#[test]
fn a_client_that_signs_is_served_like_any_other() {
    let mut pair = Pair::new(client::Role::Publisher, Announce::ALL, Caller::Grants);
    let config = client::Config { digest: true, ..client_config(Announce::ALL) };
    pair.client = client::Session::new(config, client::Role::Publisher, [9; 1528], at(1000));
    pair.run();
    assert!(matches!(pair.take_client_events()[..], [client::Event::Connected(_)]));
    // Versions other than 0 in the second field: both sides signed.
    assert_eq!((&pair.to_server[5..9], &pair.to_client[5..9]), (&[10, 0, 32, 18][..], &[3, 5, 7, 0][..]));
}
