//! Publish and play through one shard: fan-out, refusals, bounds, acknowledgements, closing.

use std::sync::Arc;
use std::time::Duration;

use segue_proto::MediaMessage;
use segue_proto::session::Resume;
use segue_proto::session::client::Event;
use segue_server::config::{
    KEEP_ENDED, LINGER, MAX_ENDED, MAX_HANDOVERS, MAX_PARKED, PARK, VIEWER_QUEUE_BYTES, VIEWER_STALL,
};

use segue_server::hub::{StreamKey, Watch, conn_id};

use crate::world::{FRAME, GOP, PLAIN, SEGUE, Source, World, metadata, sequence_header};

#[test]
fn a_viewer_gets_headers_and_every_message_as_it_was_sent() {
    let mut w = World::new();
    let publisher = w.publish("cam", PLAIN);
    assert!(w.client(publisher).saw(&Event::PublishStarted));
    w.send(publisher, &[metadata(), sequence_header()]);
    let viewer = w.play("cam", PLAIN);
    assert!(w.client(viewer).saw(&Event::PlayStarted));
    let mut source = Source::new();
    let sent: Vec<_> = (0..60).map(|_| source.next()).collect();
    w.send(publisher, &sent);
    let mut expected = vec![metadata(), sequence_header()];
    expected.extend(sent);
    let got: Vec<_> = w.client(viewer).media().into_iter().cloned().collect();
    assert_eq!(got, expected);
}

#[test]
fn a_late_joiner_starts_at_the_last_keyframe() {
    let mut w = World::new();
    let publisher = w.publish("cam", PLAIN);
    w.send(publisher, &[sequence_header()]);
    let mut source = Source::new();
    w.stream(publisher, &mut source, 60);
    let viewer = w.play("cam", PLAIN);
    let times = w.client(viewer).timestamps();
    assert_eq!((times[0], times.len()), (2 * GOP * 40, 10));
    assert_eq!(w.client(viewer).media()[0].payload, sequence_header().payload);
    assert_eq!(w.client(viewer).media()[0].timestamp.as_millis(), 2 * GOP * 40);
}

#[test]
fn a_viewer_that_names_its_next_index_starts_at_the_keyframe_before() {
    let mut w = World::new();
    let publisher = w.publish("cam", SEGUE);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 60);
    let first = w.play("cam", SEGUE);
    let Some(Event::Position(position)) =
        w.client(first).events.iter().find(|e| matches!(e, Event::Position(_))).cloned()
    else {
        panic!("no position")
    };
    assert_eq!(position.position.index, 50);
    let resume = Resume { stream: position.stream, index: 30 };
    let second = w.play_from("cam", SEGUE, resume);
    assert_eq!(w.client(second).timestamps()[0], GOP * 40);
    let positions = w.client(second).events.iter().filter(|e| matches!(e, Event::Position(_))).count();
    assert_eq!(positions, 1);
}

#[test]
fn a_viewer_without_segue_is_told_no_position() {
    let mut w = World::new();
    let publisher = w.publish("cam", SEGUE);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 10);
    let viewer = w.play("cam", PLAIN);
    assert!(!w.client(viewer).events.iter().any(|e| matches!(e, Event::Position(_))));
    assert_eq!(w.client(viewer).timestamps().len(), 10);
}

#[test]
fn a_second_publisher_is_refused_and_closed_and_the_first_goes_on() {
    let mut w = World::new();
    let first = w.publish("cam", PLAIN);
    let viewer = w.play("cam", PLAIN);
    let mut source = Source::new();
    w.stream(first, &mut source, 5);
    let second = w.publish("cam", PLAIN);
    assert_eq!(w.client(second).refused().unwrap().0, "NetStream.Publish.BadName");
    assert!(w.client(second).eof && !w.client(second).closed);
    w.pass_time(LINGER);
    assert!(w.client(second).closed);
    w.stream(first, &mut source, 5);
    assert_eq!(w.client(viewer).timestamps().len(), 10);
}

#[test]
fn another_query_is_another_principal() {
    let mut w = World::new();
    let first = w.publish("cam?token=1", PLAIN);
    let mut source = Source::new();
    w.stream(first, &mut source, 5);
    w.end(first);
    let stranger = w.publish("cam?token=2", PLAIN);
    assert!(w.client(stranger).refused().is_some());
    let owner = w.publish("cam?token=1", PLAIN);
    assert!(w.client(owner).saw(&Event::PublishStarted));
}

#[test]
fn h27_delete_stream_ends_the_stream_at_once_and_leaves_no_ghost() {
    let mut w = World::new();
    let publisher = w.publish("cam", PLAIN);
    let viewer = w.play("cam", PLAIN);
    let mut source = Source::new();
    w.stream(publisher, &mut source, 30);
    w.client(publisher).session.finish_publish();
    w.run();
    let seen = w.client(viewer);
    assert_eq!(seen.timestamps().len(), 30);
    assert!(seen.saw(&Event::Unpublished) && seen.saw(&Event::StreamEof) && seen.eof);
    assert!(w.hub.streams().is_empty());
    // The name is free at once.
    let next = w.publish("cam", PLAIN);
    assert!(w.client(next).saw(&Event::PublishStarted));
}

#[test]
fn a_lost_stream_lives_on_for_its_grace_and_its_viewers_stay() {
    let mut w = World::new();
    let publisher = w.publish("cam", PLAIN);
    let viewer = w.play("cam", PLAIN);
    let mut source = Source::new();
    w.stream(publisher, &mut source, 30);
    w.end(publisher);
    assert!(w.client(publisher).closed);
    w.pass_time(Duration::from_secs(14));
    assert!(!w.client(viewer).eof);
    let again = w.publish("cam", PLAIN);
    w.stream(again, &mut source, 30);
    assert_eq!(w.client(viewer).timestamps(), (0..60).map(|n| n * 40).collect::<Vec<_>>());
    w.end(again);
    w.pass_time(Duration::from_secs(16));
    assert!(w.client(viewer).eof && w.client(viewer).saw(&Event::Unpublished));
    assert!(w.hub.streams().is_empty());
}

#[test]
fn a_play_waits_for_its_stream_and_not_for_ever() {
    let mut w = World::new();
    let waits = w.play("cam", PLAIN);
    assert!(!w.client(waits).saw(&Event::PlayStarted));
    w.pass_time(PARK / 2);
    let publisher = w.publish("cam", PLAIN);
    assert!(w.client(waits).saw(&Event::PlayStarted));
    let mut source = Source::new();
    w.stream(publisher, &mut source, 3);
    assert_eq!(w.client(waits).timestamps(), [0, 40, 80]);
    let other = w.play("other", PLAIN);
    w.pass_time(PARK - FRAME);
    assert!(!w.client(other).saw(&Event::StreamNotFound));
    w.pass_time(FRAME);
    assert!(w.client(other).saw(&Event::StreamNotFound));
}

#[test]
fn the_last_acknowledgement_covers_every_byte_of_a_publisher_with_segue() {
    let mut w = World::new();
    let publisher = w.publish("cam", SEGUE);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 40);
    let sent = w.client(publisher).session.sent();
    w.end(publisher);
    let seen = w.client(publisher);
    assert_eq!(seen.acknowledged().last().copied(), Some(sent as u32));
    assert!(seen.eof && seen.closed);
}

#[test]
fn delete_stream_of_a_publisher_with_segue_is_answered_by_the_last_acknowledgement() {
    let mut w = World::new();
    let publisher = w.publish("cam", SEGUE);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 40);
    w.client(publisher).session.finish_publish();
    let sent = w.client(publisher).session.sent();
    w.run();
    assert!(w.client(publisher).acknowledged().last().is_some_and(|last| u64::from(*last) >= sent - 200));
    assert!(w.client(publisher).eof && !w.client(publisher).closed);
    w.end(publisher);
    assert!(w.client(publisher).closed);
}

#[test]
fn h07_the_same_client_twice_supersedes_and_the_old_connection_is_fenced() {
    let mut w = World::new();
    let first = w.publish("cam", SEGUE);
    let mut source = Source::new();
    w.leg(first, 1, &source);
    let viewer = w.play("cam", SEGUE);
    w.stream(first, &mut source, 30);
    let second = w.publish("cam", SEGUE);
    w.leg(second, 2, &source);
    assert!(w.client(second).saw(&Event::PublishStarted));
    assert!(w.client(first).eof);
    w.stream(second, &mut source, 30);
    assert_eq!(w.client(viewer).timestamps(), (0..60).map(|n| n * 40).collect::<Vec<_>>());
    let records = w.hub.handovers();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].missing, Some(0));
}

#[test]
fn a_stalled_viewer_is_bounded_then_dropped_and_delays_nobody() {
    let mut w = World::new();
    let publisher = w.publish("cam", PLAIN);
    let stalled = w.play("cam", PLAIN);
    let other = w.play("cam", PLAIN);
    w.client(stalled).stalled = true;
    let mut source = Source::new();
    let frames = (VIEWER_STALL.as_millis() / FRAME.as_millis()) as usize;
    for n in 0..frames - 1 {
        w.stream(publisher, &mut source, 1);
        let waiting = w.shard.transmit(stalled).unwrap().len();
        assert!(waiting < VIEWER_QUEUE_BYTES + 1000, "{waiting} bytes wait");
        assert_eq!(w.client(other).timestamps().len(), n + 1);
    }
    assert!(!w.client(stalled).closed);
    w.stream(publisher, &mut source, 2);
    assert!(w.client(stalled).closed);
    assert!(!w.client(other).closed);
}

#[test]
fn a_slow_viewer_skips_to_the_newest_keyframe() {
    let mut w = World::new();
    let publisher = w.publish("cam", PLAIN);
    let slow = w.play("cam", PLAIN);
    w.client(slow).stalled = true;
    let mut source = Source::new();
    // 64 MiB is the log's bound: what fell out of it is skipped.
    let big = |message: &MediaMessage| {
        let mut payload = message.payload.to_vec();
        payload.resize(1 << 20, 0);
        MediaMessage { payload: payload.into(), ..message.clone() }
    };
    for _ in 0..100 {
        let message = big(&source.next());
        w.send(publisher, &[message]);
        w.pass_time(FRAME);
    }
    w.client(slow).stalled = false;
    w.stream(publisher, &mut source, 1);
    let times = w.client(slow).timestamps();
    let skip = times.windows(2).find(|pair| pair[1] != pair[0] + 40).expect("no skip");
    assert_eq!(skip[1] % (GOP * 40), 0, "not a keyframe");
    assert_eq!(times.last(), Some(&(100 * 40)));
}

#[test]
fn a_connection_that_says_nothing_is_reaped_in_ten_seconds() {
    let mut w = World::new();
    let silent = w.silent();
    w.pass_time(Duration::from_millis(9_999));
    assert!(!w.client(silent).eof);
    w.pass_time(Duration::from_millis(1));
    assert!(w.client(silent).eof);
    w.pass_time(LINGER);
    assert!(w.client(silent).closed);
    assert!(w.shard.is_empty());
}

#[test]
fn media_behind_a_refused_publish_are_never_acknowledged() {
    let mut w = World::new();
    let first = w.publish("cam", PLAIN);
    let mut source = Source::new();
    w.stream(first, &mut source, 5);
    // Its token is not the stream's: granted to nobody. Media come with the publish, before the answer.
    let second = w.publish("cam", SEGUE);
    let before = w.client(second).session.sent();
    w.leg(second, 2, &source);
    let sent: Vec<_> = (0..10).map(|_| source.next()).collect();
    w.send(second, &sent);
    w.pass_time(Duration::from_secs(4));
    assert!(w.client(second).refused().is_some());
    let last = w.client(second).acknowledged().last().copied().unwrap();
    assert!(u64::from(last) <= before, "{last} acknowledged, media began at {before}");
}

#[test]
fn a_fenced_leg_is_acknowledged_up_to_where_it_was_taken() {
    let mut w = World::new();
    let first = w.publish("cam", SEGUE);
    let mut source = Source::new();
    w.leg(first, 1, &source);
    w.stream(first, &mut source, 30);
    let taken = w.client(first).session.sent();
    let second = w.publish("cam", SEGUE);
    w.leg(second, 2, &source);
    let late: Vec<_> = (0..5).map(|_| source.next()).collect();
    w.send(first, &late);
    w.pass_time(Duration::from_secs(1));
    assert_eq!(w.client(first).acknowledged().last().copied(), Some(taken as u32));
}

#[test]
fn a_leg_that_ends_in_the_hold_is_acknowledged_once_it_is_in_the_log() {
    let mut w = World::new();
    let first = w.publish("cam", SEGUE);
    let mut source = Source::new();
    w.leg(first, 1, &source);
    let viewer = w.play("cam", PLAIN);
    w.stream(first, &mut source, 30);
    w.begin_drain(crate::world::request(None));
    // The new leg begins where the old one has not ended yet: five messages are still to come there.
    let late: Vec<_> = (0..5).map(|_| source.next()).collect();
    let second = w.publish("cam", SEGUE);
    w.leg(second, 2, &source);
    w.stream(second, &mut source, 5);
    let sent = w.client(second).session.sent();
    w.end(second);
    assert!(w.client(second).acknowledged().iter().all(|ack| u64::from(*ack) < sent));
    w.send(first, &late);
    w.end(first);
    assert_eq!(w.client(viewer).timestamps(), (0..40).map(|n| n * 40).collect::<Vec<_>>());
    assert_eq!(w.client(second).acknowledged().last().copied(), Some(sent as u32));
}

#[test]
fn so_many_plays_may_wait_and_no_more() {
    let w = World::new();
    let key = |n: usize| StreamKey { app: "live".into(), name: format!("cam{n}") };
    for n in 0..MAX_PARKED {
        assert!(matches!(w.hub.watch(conn_id(0, n as u64), &key(n), None), Watch::Parked));
    }
    assert!(matches!(w.hub.watch(conn_id(0, u64::MAX), &key(0), None), Watch::Full));
    w.hub.unpark(conn_id(0, 7), &key(7));
    assert!(matches!(w.hub.watch(conn_id(0, u64::MAX), &key(0), None), Watch::Parked));
}

#[test]
fn so_many_records_are_kept_and_no_more() {
    let mut w = World::new();
    let mut source = Source::new();
    let mut conn = w.publish("cam", SEGUE);
    w.leg(conn, 1, &source);
    w.stream(conn, &mut source, 1);
    for leg in 2..MAX_HANDOVERS as u32 + 4 {
        w.end(conn);
        conn = w.publish("cam", SEGUE);
        w.leg(conn, leg, &source);
        let message = source.next();
        w.send(conn, &[message]);
    }
    let records = w.hub.handovers();
    assert_eq!(records.len(), MAX_HANDOVERS);
    assert_eq!(records.last().unwrap().old_last_ts, Some((MAX_HANDOVERS as u32 + 1) * 40));
    assert_eq!(records[0].old_last_ts, Some(2 * 40));
}

#[test]
fn v24_a_query_on_the_app_belongs_to_the_principal() {
    let mut w = World::new();
    let owner = w.publish_in("live?token=a", "cam", PLAIN);
    let mut source = Source::new();
    w.stream(owner, &mut source, 10);
    w.end(owner);
    // Within the grace: a stranger is refused, the owner is not.
    let stranger = w.publish_in("live?token=b", "cam", PLAIN);
    assert_eq!(w.client(stranger).refused().map(|refused| refused.0), Some("NetStream.Publish.BadName"));
    let again = w.publish_in("live?token=a", "cam", PLAIN);
    assert!(w.client(again).saw(&Event::PublishStarted));
    assert_eq!(w.hub.streams().len(), 1);
}

#[test]
fn h28_a_viewer_on_its_way_gets_the_tail_of_a_stream_that_has_ended() {
    let mut w = World::new();
    let publisher = w.publish("cam", SEGUE);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 40);
    let hash = w.hub.streams()[0].lock().log.hash();
    w.client(publisher).session.finish_publish();
    w.run();
    assert!(w.hub.streams().is_empty(), "it is no stream any more");
    // It had seen 30 messages elsewhere, and gets the rest from the keyframe before.
    let viewer = w.play_from("cam", SEGUE, Resume { stream: hash, index: 30 });
    assert_eq!(w.client(viewer).timestamps(), (25..40).map(|n| n * 40).collect::<Vec<_>>());
    assert!(w.client(viewer).saw(&Event::Unpublished) && w.client(viewer).eof);
    // Who has all of it, who has seen another stream, and who has seen none wait as for any stream that is not here.
    let other = segue_proto::leg::ResumeToken([1; 16]).hash();
    for resume in [Resume { stream: hash, index: 40 }, Resume { stream: other, index: 30 }] {
        let viewer = w.play_from("cam", SEGUE, resume);
        assert!(w.client(viewer).media().is_empty() && !w.client(viewer).eof);
    }
    let viewer = w.play("cam", SEGUE);
    assert!(w.client(viewer).media().is_empty());
    // And not for ever.
    w.pass_time(KEEP_ENDED);
    let late = w.play_from("cam", SEGUE, Resume { stream: hash, index: 30 });
    assert!(w.client(late).media().is_empty());
}

#[test]
fn ended_streams_are_kept_up_to_a_bound() {
    let mut w = World::new();
    let (mut hashes, mut slots) = (Vec::new(), Vec::new());
    for n in 0..=MAX_ENDED {
        let name = format!("cam{n}");
        let publisher = w.publish(&name, SEGUE);
        w.send(publisher, &[Source::new().next()]);
        hashes.push(w.hub.streams()[0].lock().log.hash());
        slots.push(Arc::downgrade(&w.hub.streams()[0]));
        w.client(publisher).session.finish_publish();
        w.run();
    }
    // Their connections are gone then.
    w.pass_time(LINGER);
    let there: Vec<_> = slots.iter().map(|slot| slot.strong_count() > 0).collect();
    assert_eq!((there[0], there[1], there[MAX_ENDED]), (false, true, true), "what is let go is freed");
    let mut found = |n: usize| {
        let viewer = w.play_from(&format!("cam{n}"), SEGUE, Resume { stream: hashes[n], index: 0 });
        !w.client(viewer).media().is_empty()
    };
    assert_eq!((found(0), found(1), found(MAX_ENDED)), (false, true, true));
}

#[test]
fn a_timer_of_a_stream_keeps_none_that_was_let_go() {
    let mut w = World::new();
    let lost = w.publish("cam", PLAIN);
    w.send(lost, &[Source::new().next()]);
    let slot = Arc::downgrade(&w.hub.streams()[0]);
    // Its log wants to be woken when the grace is over.
    w.end(lost);
    let back = w.publish("cam", PLAIN);
    w.client(back).session.finish_publish();
    w.run();
    w.end(back);
    for n in 0..MAX_ENDED {
        let publisher = w.publish(&format!("cam{n}"), PLAIN);
        w.send(publisher, &[Source::new().next()]);
        w.client(publisher).session.finish_publish();
        w.run();
        w.end(publisher);
    }
    assert_eq!(slot.strong_count(), 0);
}

#[test]
fn h28_an_ended_stream_is_kept_for_its_time_whatever_its_log_waited_for() {
    let mut w = World::new();
    let publisher = w.publish("cam", SEGUE);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 10);
    // A second publisher without the token: the log waits for its proof, which has a time of its own.
    let stranger = w.publish("cam", SEGUE);
    let hash = w.hub.streams()[0].lock().log.hash();
    w.client(publisher).session.finish_publish();
    w.run();
    assert!(w.client(stranger).refused().is_some());
    w.pass_time(KEEP_ENDED - Duration::from_secs(1));
    let viewer = w.play_from("cam", SEGUE, Resume { stream: hash, index: 5 });
    assert!(!w.client(viewer).media().is_empty());
}

#[test]
fn v24_what_a_refused_publisher_sends_is_no_loss_of_the_stream() {
    let mut w = World::new();
    let owner = w.publish("cam", PLAIN);
    let mut source = Source::new();
    w.stream(owner, &mut source, 10);
    w.begin_drain(crate::world::request(None));
    // It does not wait for the answer: all of it comes in one piece.
    let stranger = w.publish_eagerly("cam", PLAIN, &[source.next(), source.next()]);
    assert!(w.client(stranger).refused().is_some());
    assert_eq!(w.drain.board().report().streams[0].missing, None);
    w.end(owner);
    assert!(!w.drain.board().report().has_loss());
}
