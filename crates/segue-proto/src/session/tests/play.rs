//! A player and a server.

use super::*;
use crate::chunk::Frame;
use crate::leg::{PlayPosition, Position, StreamHash};
use crate::message::status::code;
use crate::session::Resume;
use client::Role::Player;

fn position() -> PlayPosition {
    let position = Position { index: 9, keyframes: 3, timestamp: Timestamp::from_millis(80) };
    PlayPosition { stream: StreamHash([0xcd; 8]), position }
}

#[test]
fn a_player_connects_plays_and_stops() {
    let mut pair = Pair::streaming(Player, Announce::ALL);
    assert!(matches!(
        pair.take_client_events()[..],
        [
            client::Event::Connected(_),
            client::Event::StreamCreated(STREAM),
            client::Event::Status { .. }, // Play.Reset
            client::Event::PlayStarted
        ]
    ));
    match &pair.take_server_events()[..] {
        [server::Event::Connect { .. }, server::Event::Play { stream: STREAM, name, resume: None }] => {
            assert_eq!(name, "cam?token=1");
        }
        other => panic!("{other:?}"),
    }
    pair.client.stop_play();
    pair.run();
    assert_eq!(pair.take_server_events(), [server::Event::StopPlay { stream: STREAM }]);
    pair.server.send_media(STREAM, &video(0, true, 100));
    pair.server.play_ended(STREAM, true);
    assert!(pair.server.out().is_empty(), "nothing goes to one who stopped");
}

#[test]
fn media_frames_and_positions_arrive_in_order() {
    let mut pair = Pair::streaming(Player, Announce::ALL);
    pair.take_client_events();
    let frames = [video(0xff_fff0, true, 150_000), video(0x100_0010, false, 60_001)];
    pair.server.send_position(STREAM, position());
    pair.server.send_media(STREAM, &metadata());
    for media in &frames {
        let message = Message {
            type_id: media.kind.type_id(),
            stream_id: STREAM,
            timestamp: media.timestamp,
            payload: media.payload.clone(),
        };
        pair.server.send_frame(STREAM, &Frame::new(&message, csid::VIDEO, 60_000));
    }
    pair.server.stream_eof(STREAM);
    pair.server.play_ended(STREAM, true);
    pair.run();
    let [first, second] = frames;
    assert_eq!(
        pair.take_client_events(),
        [
            client::Event::Position(position()),
            client::Event::Media(metadata()),
            client::Event::Media(first),
            client::Event::Media(second),
            client::Event::StreamEof,
            client::Event::Unpublished,
            client::Event::PlayStopped,
            client::Event::StreamEof,
        ]
    );
}

#[test]
fn a_viewer_on_another_message_stream_gets_the_same_media() {
    let mut foreign = Foreign::connected([]);
    foreign.command(&Command::new("createStream", 2.0), 0).unwrap();
    foreign.command(&Command::new("createStream", 3.0), 0).unwrap();
    foreign.command(&Command::new("play", 4.0).arg(string("/cam")), 2).unwrap();
    assert!(matches!(&foreign.take_events()[1], server::Event::Play { name, .. } if name == "cam"));
    foreign.received();
    let message = Message {
        type_id: 9,
        stream_id: STREAM,
        timestamp: Timestamp::ZERO,
        payload: video(0, true, 9).payload,
    };
    let frame = Frame::new(&message, csid::VIDEO, 60_000);
    foreign.server.send_frame(MessageStreamId(2), &frame);
    foreign.server.send_frame(STREAM, &frame);
    let received = foreign.received();
    assert_eq!(
        received,
        [Message { stream_id: MessageStreamId(2), ..message }],
        "and nothing on the idle stream"
    );
}

#[test]
fn what_players_of_other_makers_wait_for() {
    let mut foreign = Foreign::connected([]);
    foreign.command(&Command::new("createStream", 2.0), 0).unwrap();
    foreign.received();
    foreign.command(&Command::new("play", 0.0).arg(string("cam")).arg(Value::Number(-2000.0)), 1).unwrap();
    let received = foreign.received();
    assert_eq!(
        (received[0].type_id, &received[0].payload[..]),
        (4, &[0, 0, 0, 0, 0, 1][..]),
        "StreamBegin 1"
    );
    let codes: Vec<_> =
        received[1..3].iter().map(|message| Command::decode(&message.payload, 20).unwrap()).collect();
    assert_eq!([code_of(&codes[0]), code_of(&codes[1])], [code::PLAY_RESET, code::PLAY_START]);
    assert_eq!(
        (received[3].type_id, &received[3].payload[..]),
        (18, &b"\x02\x00\x11|RtmpSampleAccess\x01\x01\x01\x01"[..])
    );
    foreign.server.send_position(STREAM, position());
    assert_eq!(foreign.received(), [], "no position without segue");
    foreign.server.play_ended(STREAM, false);
    let received = foreign.received();
    assert_eq!(received.len(), 1);
    assert_eq!(&received[0].payload[..], &[0, 1, 0, 0, 0, 1], "StreamEOF alone");
}

#[test]
fn a_viewer_that_moves_names_the_next_message_it_lacks() {
    let resume = Resume { stream: StreamHash([1; 8]), index: 123 };
    for (announce, expected) in [(Announce::ALL, Some(resume)), (Announce::NONE, None)] {
        let told = expected.is_some();
        let mut pair = Pair::new(Player, announce, Caller::Grants);
        pair.run();
        pair.client.create_stream();
        pair.run();
        pair.take_server_events();
        pair.client.play(Some(resume));
        pair.run();
        let expected = server::Event::Play { stream: STREAM, name: "cam?token=1".into(), resume: expected };
        assert_eq!(pair.take_server_events(), [expected]);
        // Elsewhere an argument that nobody asked for could be taken for one that is known.
        assert_eq!(pair.to_server.windows(7).any(|window| window == b"\x00\x05index"), told);
    }
    let mut ours = Foreign::connected(segue());
    ours.command(&Command::new("createStream", 2.0), 0).unwrap();
    let play = Command::new("play", 3.0).arg(string("cam")).arg(empty_object());
    assert!(matches!(ours.command(&play, 1), Err(Error::PeerMisbehaved(_))));
}

#[test]
fn refusals_reach_the_player_and_it_may_ask_again() {
    let mut pair = Pair::new(Player, Announce::ALL, Caller::OnlyConnects);
    pair.run();
    pair.client.create_stream();
    pair.run();
    for (code, expected) in [
        (code::PLAY_STREAM_NOT_FOUND, client::Event::StreamNotFound),
        (
            code::CONNECT_REJECTED,
            client::Event::PlayRefused { code: code::CONNECT_REJECTED.into(), description: "no".into() },
        ),
    ] {
        pair.client.play(None);
        pair.run();
        pair.take_client_events();
        pair.server.play_refused(STREAM, code, "no");
        pair.run();
        assert_eq!(pair.take_client_events(), [expected]);
    }
}

#[test]
fn the_client_acknowledges_at_the_servers_window() {
    let mut pair = Pair::streaming(Player, Announce::ALL);
    pair.take_server_events();
    for ms in 0..30 {
        pair.server.send_media(STREAM, &video(ms, ms == 0, 100_000));
        pair.run();
    }
    // A number is sent as soon as a message shows that the window of 2,500,000 bytes is full: with the 26th.
    let acks = pair.take_server_events();
    assert!(
        matches!(acks[..], [server::Event::Acknowledged { sequence: 2_500_001..=2_600_000 }]),
        "{acks:?}"
    );
}
