//! A publisher and a server, from handshake to teardown.

use super::*;
use crate::caps::MediaCaps;
use crate::leg::{LegHeader, Position, ResumeToken};
use crate::message::aggregate;
use crate::message::status::code;
use crate::session::Teardown;
use client::Role::{self, Publisher};

fn leg_header() -> LegHeader {
    let position = Position { index: 5, keyframes: 2, timestamp: Timestamp::from_millis(40) };
    LegHeader { token: ResumeToken([0xab; 16]), leg: 2, position }
}

#[test]
fn a_publisher_connects_publishes_and_ends() {
    let mut pair = Pair::new(Publisher, Announce::ALL, Caller::Grants);
    pair.run();
    let info = match &pair.take_client_events()[..] {
        [client::Event::Connected(info)] => info.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (info.segue, info.server_id.as_deref(), info.draining, info.caps_ex),
        (true, Some("server-a"), false, 15)
    );
    assert_eq!(pair.client.server(), Some(&info));
    match &pair.take_server_events()[..] {
        [server::Event::Connect { app, tc_url, announce, flash_ver }] => {
            assert_eq!((app.as_str(), tc_url.as_str()), ("live", "rtmp://server.test:1935/live"));
            assert_eq!((*announce, flash_ver.as_str()), (Announce::ALL, "FMLE/3.0 (compatible; Segue)"));
        }
        other => panic!("{other:?}"),
    }

    pair.client.create_stream();
    pair.run();
    assert!(matches!(pair.take_client_events()[..], [client::Event::StreamCreated(STREAM)]));
    assert_eq!(pair.take_server_events(), []);

    pair.client.publish();
    pair.run();
    assert_eq!(pair.take_client_events(), [client::Event::PublishStarted]);
    assert_eq!(
        pair.take_server_events(),
        [server::Event::Publish { stream: STREAM, name: "cam?token=1".into() }]
    );

    pair.client.finish_publish();
    pair.run();
    assert_eq!(
        pair.take_server_events(),
        [server::Event::Unpublish { stream: STREAM, teardown: Teardown::FcUnpublish }],
        "FCUnpublish and deleteStream are one end"
    );
    assert_eq!(pair.error, None);
}

#[test]
fn commands_come_in_the_order_of_fmle() {
    let mut pair = Pair::streaming(Publisher, Announce::NONE);
    pair.client.finish_publish();
    pair.run();
    let mut reader = Reader::new(WHOLE);
    reader.push(Bytes::copy_from_slice(&pair.to_server[3073..]));
    let names: Vec<_> = std::iter::from_fn(|| reader.next().unwrap())
        .filter(|message| message.type_id == 20)
        .map(|message| Command::decode(&message.payload, 20).unwrap().name)
        .collect();
    let expected =
        ["connect", "releaseStream", "FCPublish", "createStream", "publish", "FCUnpublish", "deleteStream"];
    assert_eq!(names, expected);
}

#[test]
fn the_server_sets_window_bandwidth_and_chunk_size_before_it_accepts() {
    let mut foreign = Foreign::connected([]);
    let bytes = drain(foreign.server.out());
    // RTMP 1.0, 5.3.1.2.1 and 5.4: fmt 0, csid 2, timestamp 0, length, type, stream 0, body.
    let expected = [
        &[2, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0, 0][..],
        &2_500_000u32.to_be_bytes(),
        &[2, 0, 0, 0, 0, 0, 5, 6, 0, 0, 0, 0],
        &2_500_000u32.to_be_bytes(),
        &[2],
        &[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0],
        &60_000u32.to_be_bytes(),
        &[2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[3, 0, 0, 0],
    ]
    .concat();
    assert_eq!(&bytes[3073..][..expected.len()], &expected[..]);
}

#[test]
fn the_result_of_connect_says_what_the_server_is() {
    let mut plain = Foreign::connected([]);
    let result = plain.commands().remove(0);
    assert_eq!((result.name.as_str(), result.transaction), ("_result", 1.0));
    assert!(["fmsVer", "capabilities", "mode"].iter().all(|key| result.object.property(key).is_some()));
    let info = &result.args[0];
    assert_eq!(info.property("level").and_then(Value::as_str), Some("status"));
    assert_eq!(code_of(&result), code::CONNECT_SUCCESS);
    assert_eq!(info.property("objectEncoding"), Some(&Value::Number(0.0)));
    assert_eq!(info.property("capsEx"), Some(&Value::Number(15.0)));
    assert!(
        ["segue", "videoFourCcInfoMap", "audioFourCcInfoMap", "serverId", "draining"]
            .iter()
            .all(|key| info.property(key).is_none()),
        "not announced"
    );

    let mut ours = Foreign::new();
    ours.caller = Caller::Watches;
    ours.connect(segue()).unwrap();
    assert_eq!(ours.received(), [], "not answered yet");
    ours.server.accept_connect(true, at(0));
    let info = ours.commands().remove(0).args.remove(0);
    assert_eq!(info.property("segue"), Some(&Value::Number(1.0)));
    assert_eq!(info.property("serverId"), Some(&string("server-a")));
    assert_eq!(info.property("draining"), Some(&Value::Boolean(true)));
}

/// Both sides of E-RTMP v2's negotiation: a server says that it forwards any codec, to clients that know such words.
#[test]
fn media_capabilities_are_exchanged() {
    for role in [Publisher, Role::Player] {
        let mut pair = Pair::new(role, Announce::NONE, Caller::Grants);
        pair.run();
        let asked = pair.server.media_caps();
        let sent = match role {
            Publisher => MediaCaps::publisher(),
            Role::Player => MediaCaps::player(),
        };
        assert_eq!(*asked, sent);
        let answer = &pair.client.server().unwrap().media;
        let server = MediaCaps { four_cc_list: vec![], caps_ex: 15, ..MediaCaps::server() };
        assert_eq!(*answer, MediaCaps { object_encoding: Some(0), ..server });
    }
    let list = Value::StrictArray(vec![string("hvc1")]);
    let mut ffmpeg = Foreign::connected([("fourCcList", list)]);
    let info = ffmpeg.commands().remove(0).args.remove(0);
    let any = |flags| object([("*", Value::Number(flags))]);
    assert_eq!(info.property("videoFourCcInfoMap"), Some(&any(4.0)));
    assert_eq!(info.property("audioFourCcInfoMap"), Some(&any(4.0)));
}

#[test]
fn what_the_configuration_switches_off_is_neither_offered_nor_understood() {
    let mut foreign = Foreign::new();
    let config = server::Config { reconnect: false, go_away: false, segue: false, ..server_config() };
    foreign.server = server::Session::new(Arc::new(config), [7; 1528], at(0));
    let mut hello = vec![3];
    hello.resize(3073, 1);
    foreign.feed(&hello).unwrap();
    let all = [
        ("capsEx", Value::Number(1.0)),
        ("supportsGoAway", Value::Boolean(true)),
        ("segue", Value::Number(1.0)),
    ];
    foreign.connect(all).unwrap();
    assert!(matches!(foreign.take_events()[..], [server::Event::Connect { announce: Announce::NONE, .. }]));
    let info = foreign.commands().remove(0).args.remove(0);
    assert_eq!(info.property("capsEx"), Some(&Value::Number(14.0)), "media, and not Reconnect");
    assert!(info.property("segue").is_none());
    assert_eq!(foreign.server.go_away(Some("rtmp://b/live"), at(1)), None);
    assert_eq!(foreign.received(), []);
}

/// Offsets are those that the server counts, and payloads arrive byte for byte, timestamps beyond 24 bits too.
#[test]
fn media_arrive_identical_and_offsets_agree() {
    for announce in [Announce::ALL, Announce::NONE] {
        let mut pair = Pair::streaming(Publisher, announce);
        pair.take_server_events();
        let mut sent = vec![metadata(), media(TrackKind::Video, 0, b"\x17\x00\x00\x00\x00\x01")];
        for (i, ms) in
            [0, 33, 0xff_fffe, 0xff_ffff, 0x100_0000, 0x7fff_ffff, 0xffff_fff0, 12, 5].into_iter().enumerate()
        {
            sent.push(video(ms, i == 0, 200_000));
            sent.push(media(TrackKind::Audio, ms, b"\xaf\x01abc"));
            sent.push(video(ms, false, 60_000));
        }
        // ModEx: nanoseconds do not move the message's own timestamp.
        sent.push(media(TrackKind::Video, 9, b"\x97\x02\x0f\x42\x3f\x01av01\x0a"));
        sent.push(media(TrackKind::Audio, 9, b"\x97\x02\x00\x03\xe8\x01Opus\xfc"));
        sent.push(media(TrackKind::Data, 9, b"\x02\x00\x0aonTextData\x08\x00\x00\x00\x00\x00\x00\x09"));
        for message in &sent {
            let offset = pair.client.send_media(message);
            pair.run();
            assert_eq!(pair.server.consumed(), offset);
        }
        let received: Vec<_> = pair
            .take_server_events()
            .into_iter()
            .map(|event| match event {
                server::Event::Media { stream: STREAM, message } => message,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(received == sent);
    }
}

#[test]
fn metadata_travels_in_set_data_frame() {
    let mut pair = Pair::streaming(Publisher, Announce::NONE);
    pair.client.send_media(&metadata());
    let wire = drain(pair.client.out());
    assert!(wire.windows(16).any(|w| w == b"\x02\x00\x0d@setDataFrame"));
}

#[test]
fn a_leg_header_comes_before_the_grant_and_before_media() {
    let mut pair = Pair::new(Publisher, Announce::ALL, Caller::OnlyConnects);
    pair.run();
    pair.client.create_stream();
    pair.run();
    pair.take_server_events();
    pair.client.publish();
    pair.client.send_leg_header(&leg_header());
    pair.client.send_media(&video(40, true, 2_000_000));
    pair.run();
    let events = pair.take_server_events();
    assert!(matches!(&events[0], server::Event::Publish { .. }));
    assert_eq!(events[1], server::Event::LegHeader { stream: STREAM, header: leg_header() });
    assert!(
        matches!(&events[2], server::Event::Media { message, .. } if *message == video(40, true, 2_000_000))
    );
    pair.take_client_events();
    pair.server.publish_start(STREAM);
    pair.server.publish_start(STREAM);
    pair.run();
    assert_eq!(pair.take_client_events(), [client::Event::PublishStarted], "granted once");
}

#[test]
fn a_leg_header_is_for_those_that_announced_segue() {
    let mut pair = Pair::streaming(Publisher, Announce { segue: false, ..Announce::ALL });
    pair.take_server_events();
    pair.client.send_leg_header(&leg_header());
    pair.run();
    assert_eq!(pair.take_server_events(), [], "not sent");

    let header = media(TrackKind::Data, 0, &crate::session::leg::encode_header(&leg_header()));
    let broken = media(TrackKind::Data, 0, b"\x02\x00\x0aonSegueLeg\x05");
    let mut foreign = Foreign::publishing([]);
    foreign.take_events();
    foreign.media(&header).unwrap();
    foreign.media(&broken).unwrap();
    assert_eq!(foreign.take_events(), [], "dropped, never forwarded");

    let mut ours = Foreign::publishing(segue());
    ours.take_events();
    ours.media(&header).unwrap();
    assert_eq!(ours.take_events(), [server::Event::LegHeader { stream: STREAM, header: leg_header() }]);
    assert_eq!(ours.media(&broken), Err(Error::PeerMisbehaved("a leg header is malformed")));
}

#[test]
fn refusals_reach_the_publisher() {
    let mut pair = Pair::new(Publisher, Announce::ALL, Caller::OnlyConnects);
    pair.run();
    pair.client.create_stream();
    pair.run();
    pair.client.publish();
    pair.run();
    pair.take_client_events();
    pair.take_server_events();
    pair.server.publish_refused(STREAM, code::PUBLISH_BAD_NAME, "in use");
    pair.run();
    let refused =
        client::Event::PublishRefused { code: code::PUBLISH_BAD_NAME.into(), description: "in use".into() };
    assert_eq!(pair.take_client_events(), [refused]);
    pair.client.send_media(&video(0, true, 10));
    pair.run();
    assert_eq!(pair.take_server_events(), [], "nothing is sent after a refusal");

    pair.client.publish();
    pair.run();
    pair.server.publish_start(STREAM);
    pair.run();
    assert_eq!(pair.take_client_events(), [client::Event::PublishStarted], "asked again, granted");
    pair.server.publish_refused(STREAM, code::CONNECT_REJECTED, "draining");
    pair.run();
    let refused =
        client::Event::PublishRefused { code: code::CONNECT_REJECTED.into(), description: "draining".into() };
    assert_eq!(pair.take_client_events(), [refused], "Publish.Start can be followed by a refusal");
}

#[test]
fn a_rejected_connect_says_why() {
    let mut pair = Pair::new(Publisher, Announce::ALL, Caller::Watches);
    pair.run();
    pair.server.reject_connect(code::CONNECT_REJECTED, "full");
    pair.run();
    let rejected = client::Event::Rejected {
        code: code::CONNECT_REJECTED.into(),
        description: "full".into(),
        redirect: None,
    };
    assert_eq!(pair.take_client_events(), [rejected]);
    assert_eq!(pair.client.wake_at(), None);
}

#[test]
fn a_publisher_may_publish_again_on_the_same_connection() {
    let mut foreign = Foreign::publishing(segue());
    foreign.command(&Command::new("deleteStream", 0.0).arg(Value::Number(1.0)), 0).unwrap();
    foreign.server.final_acknowledgement(100);
    foreign.server.final_acknowledgement(100);
    foreign.take_events();
    let acks = foreign.received().iter().filter(|message| message.type_id == 3).count();
    assert_eq!(acks, 1, "the last acknowledgement is one");

    foreign.media(&video(0, true, 10)).unwrap();
    assert_eq!(foreign.take_events(), [], "data without a publish is ignored");
    foreign.command(&Command::new("createStream", 4.0), 0).unwrap();
    assert_eq!(foreign.commands()[0].args, [Value::Number(1.0)], "the free id is given again");
    foreign.command(&Command::new("publish", 5.0).arg(string("other")), 1).unwrap();
    foreign.media(&video(0, true, 10)).unwrap();
    assert_eq!(foreign.take_events().len(), 2);
    let offset = foreign.server.consumed();
    foreign.server.taken(offset, at(10_000));
    foreign.server.final_acknowledgement(offset);
    let acks: Vec<_> = foreign.received().into_iter().filter(|message| message.type_id == 3).collect();
    let number = u32::try_from(offset).unwrap().to_be_bytes();
    assert_eq!(acks.len(), 2, "acknowledged anew");
    assert!(acks.iter().all(|ack| ack.payload[..] == number));
}

#[test]
fn each_teardown_is_told_apart() {
    for (command, teardown) in [
        (Command::new("FCUnpublish", 5.0).arg(string("cam")), Teardown::FcUnpublish),
        (Command::new("FCUnpublish", 5.0).arg(string("cam?token=1")), Teardown::FcUnpublish),
        (Command::new("closeStream", 0.0), Teardown::CloseStream),
        (Command::new("deleteStream", 0.0).arg(Value::Number(1.0)), Teardown::DeleteStream),
        (Command::new("deleteStream", 0.0), Teardown::DeleteStream),
    ] {
        let mut foreign = Foreign::publishing([]);
        foreign.take_events();
        foreign.command(&command, 1).unwrap();
        assert_eq!(foreign.take_events(), [server::Event::Unpublish { stream: STREAM, teardown }]);
        foreign.command(&command, 1).unwrap();
        assert_eq!(foreign.take_events(), [], "once");
    }
    let mut foreign = Foreign::publishing([]);
    foreign.take_events();
    foreign.command(&Command::new("FCUnpublish", 5.0).arg(string("another")), 0).unwrap();
    assert_eq!(foreign.take_events(), []);
}

/// A publisher's aggregate: its parts are media like any other, and none is acknowledged before all are taken.
#[test]
fn an_aggregate_is_published_as_what_it_holds() {
    let mut foreign = Foreign::publishing([]);
    foreign.take_events();
    let before = foreign.server.consumed();
    let parts = [video(40, true, 9), media(TrackKind::Audio, 50, b"\xaf\x01a"), metadata()];
    let messages = parts.clone().map(|part| Message {
        type_id: part.kind.type_id(),
        stream_id: STREAM,
        timestamp: part.timestamp,
        payload: part.payload,
    });
    let mut whole = aggregate::join(&messages).unwrap();
    whole.timestamp = Timestamp::from_millis(140);
    // A tail that is cut short costs nothing but itself.
    whole.payload = [&whole.payload[..], b"\x08\x00\x00\x09"].concat().into();

    let mut out = OutQueue::new();
    foreign.writer.write(csid::VIDEO, &whole, &mut out);
    let bytes = drain(&mut out);
    let end = before + bytes.len() as u64;
    foreign.server.receive(bytes.into(), at(0));
    let mut taken = Vec::new();
    while let Some(event) = foreign.server.poll_event().unwrap() {
        let server::Event::Media { stream: STREAM, message } = event else { panic!("{event:?}") };
        taken.push(message);
        assert_eq!(foreign.server.consumed(), before);
    }
    assert_eq!(foreign.server.consumed(), end);
    let moved = parts.map(|part| MediaMessage { timestamp: part.timestamp.shifted(100), ..part });
    assert_eq!(taken, moved);

    foreign
        .message(csid::VIDEO, &Message { payload: b"\x09\x00".as_slice().into(), ..whole.clone() })
        .unwrap();
    let nested = Message { payload: [b"\x16", &[0; 10][..], b"\0\0\0\x0b"].concat().into(), ..whole };
    foreign.message(csid::VIDEO, &nested).unwrap();
    foreign.media(&video(200, false, 9)).unwrap();
    assert!(matches!(foreign.take_events()[..], [server::Event::Media { .. }]), "neither is an end");
    // What was cut short, twice; that another aggregate is skipped is no fault.
    assert_eq!(foreign.server.faulty_aggregates(), (2, Some(aggregate::Fault::CutShort)));
}

#[test]
fn the_last_part_of_an_aggregate_is_acknowledged_with_it() {
    let mut foreign = Foreign::publishing([]);
    let part = Message {
        type_id: 8,
        stream_id: STREAM,
        timestamp: Timestamp::ZERO,
        payload: Bytes::from_static(b"\xaf\x01"),
    };
    let before = foreign.server.consumed();
    foreign.writer.write(csid::AUDIO, &aggregate::join(&[part.clone(), part]).unwrap(), &mut foreign.out);
    let bytes = drain(&mut foreign.out);
    let end = before + bytes.len() as u64;
    foreign.server.receive(bytes.into(), at(0));
    let mut offsets = Vec::new();
    while foreign.server.poll_event().unwrap().is_some() {
        offsets.push(foreign.server.consumed());
    }
    assert_eq!(offsets, [before, end]);
}
