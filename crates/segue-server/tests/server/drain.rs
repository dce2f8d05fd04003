//! The drain under virtual time: who is told what and when, who is cut, and what is reported.

use std::time::Duration;

use segue_proto::handover::record::{HandoverResult, Signal};
use segue_proto::leg::{LegHeader, ResumeToken};
use segue_proto::session::GoAwaySignal::{GoAwayMessage, ReconnectRequest};
use segue_proto::session::client::Event;
use segue_server::drain::{Phase, Refused, ServerState};

use crate::world::{GO_AWAY, GOP, PLAIN, RECONNECT, SEGUE, Source, World, request};

const TO: Option<&str> = Some("rtmp://b.test:2000");

#[test]
fn a_publisher_with_reconnect_is_told_at_once_where_to_and_moves() {
    let mut w = World::new();
    let publisher = w.publish("cam", RECONNECT);
    let mut source = Source::new();
    w.stream(publisher, &mut source, 30);
    let mut ask = request(TO);
    ask.settle = Duration::from_secs(6);
    w.begin_drain(ask);
    let signals = w.client(publisher).signals();
    assert_eq!(signals, [(ReconnectRequest, Some("rtmp://b.test:2000/live".to_owned()))]);
    w.stream(publisher, &mut source, 10);
    assert_eq!(w.drain.board().report().state, ServerState::Draining);
    w.end(publisher);
    let report = w.drain.board().report();
    assert_eq!((report.state, report.phase), (ServerState::Drained, Phase::Done));
    assert_eq!((report.streams[0].told, report.streams[0].result), ("reconnect-request", Some("moved")));
    assert!(!report.has_loss());
    let record = &w.hub.handovers()[0];
    assert_eq!((record.signal, record.result), (Signal::ReconnectRequest, HandoverResult::Moved));
    assert_eq!((record.to.as_deref(), record.old_last_ts), (Some("b.test:2000"), Some(39 * 40)));
    assert_eq!((record.confirmed, record.missing), (None, None));
}

#[test]
fn a_publisher_with_segue_that_moves_is_confirmed() {
    let mut w = World::new();
    let publisher = w.publish("cam", SEGUE);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 30);
    w.begin_drain(request(TO));
    w.end(publisher);
    assert_eq!(w.hub.handovers()[0].confirmed, Some(true));
    assert_eq!(w.drain.board().report().state, ServerState::Drained);
}

#[test]
fn type_32_waits_for_the_settle_and_a_keyframe_and_is_repeated_once() {
    let mut w = World::new();
    let publisher = w.publish("cam", GO_AWAY);
    let mut source = Source::new();
    w.stream(publisher, &mut source, 60);
    let mut ask = request(TO);
    ask.settle = Duration::from_secs(2);
    w.begin_drain(ask);
    w.stream(publisher, &mut source, 49);
    assert!(w.client(publisher).signals().is_empty());
    // Settled at frame 110; the next keyframe is 125.
    w.stream(publisher, &mut source, 16);
    assert!(w.client(publisher).signals().is_empty());
    w.stream(publisher, &mut source, 1);
    assert_eq!(w.client(publisher).signals(), [(GoAwayMessage, None)]);
    let before = w.client(publisher).received;
    w.stream(publisher, &mut source, GOP as usize - 1);
    assert_eq!(w.client(publisher).received, before, "nothing but the repeat may follow");
    w.stream(publisher, &mut source, 1);
    assert_eq!(w.client(publisher).signals().len(), 2);
    let before = w.client(publisher).received;
    w.stream(publisher, &mut source, 60);
    assert_eq!(w.client(publisher).received, before);
    // Its deleteStream means that it left.
    w.client(publisher).session.finish_publish();
    w.end(publisher);
    let report = w.drain.board().report();
    assert_eq!((report.streams[0].told, report.streams[0].result), ("go-away", Some("moved")));
    assert_eq!(report.state, ServerState::Drained);
}

#[test]
fn type_32_with_segue_is_told_without_waiting_for_a_keyframe() {
    let mut w = World::new();
    let announce = segue_proto::caps::Announce { reconnect: false, go_away: true, segue: true };
    let publisher = w.publish("cam", announce);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 30);
    w.begin_drain(request(None));
    assert_eq!(w.client(publisher).signals(), [(GoAwayMessage, None)]);
}

#[test]
fn h26_who_announced_both_gets_one_dialect() {
    let mut w = World::new();
    let publisher =
        w.publish("cam", segue_proto::caps::Announce { reconnect: true, go_away: true, segue: false });
    let viewer = w.play("cam", segue_proto::caps::Announce { reconnect: true, go_away: true, segue: false });
    let mut source = Source::new();
    w.stream(publisher, &mut source, 30);
    w.begin_drain(request(None));
    w.stream(publisher, &mut source, 60);
    for conn in [publisher, viewer] {
        assert_eq!(w.client(conn).signals(), [(ReconnectRequest, None)]);
    }
}

#[test]
fn h25_a_legacy_client_is_never_signalled_and_cut_after_a_whole_gop_before_the_deadline() {
    let mut w = World::new();
    let publisher = w.publish("cam", PLAIN);
    let viewer = w.play("cam", PLAIN);
    let mut source = Source::new();
    w.stream(publisher, &mut source, 60);
    let mut ask = request(TO);
    ask.deadline = Duration::from_secs(10);
    w.begin_drain(ask);
    // The deadline is at frame 310; within one GOP (1 s) before it, the keyframe 300 is the first.
    w.stream(publisher, &mut source, 240);
    assert!(!w.client(publisher).eof);
    assert_eq!(w.drain.board().report().phase, Phase::Cutting);
    w.stream(publisher, &mut source, 1);
    assert!(w.client(publisher).eof);
    assert!(w.client(publisher).signals().is_empty());
    let seen = w.client(viewer);
    assert_eq!(seen.timestamps(), (0..300).map(|n| n * 40).collect::<Vec<_>>());
    assert!(seen.saw(&Event::Unpublished) && seen.saw(&Event::PlayStopped) && seen.saw(&Event::StreamEof));
    assert!(seen.eof);
    w.end(viewer);
    w.end(publisher);
    let report = w.drain.board().report();
    assert_eq!(report.state, ServerState::Drained);
    assert_eq!((report.streams[0].told, report.streams[0].result), ("none", Some("cut")));
    assert_eq!((report.publishers.cut, report.viewers_ended), (1, 1));
    assert!(report.has_loss());
}

#[test]
fn h18_at_the_deadline_what_was_received_reaches_viewers_and_recording_before_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::with_record(Some(dir.path()));
    let publisher = w.publish("cam", SEGUE);
    let viewer = w.play("cam", SEGUE);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    // One keyframe only: no boundary before the deadline.
    w.stream(publisher, &mut source, 10);
    let mut ask = request(TO);
    ask.deadline = Duration::from_millis(400);
    w.begin_drain(ask);
    w.recorder_stuck = true;
    w.stream(publisher, &mut source, 10);
    assert_eq!(w.drain.board().report().state, ServerState::Draining);
    assert!(!w.client(publisher).eof, "nothing is acknowledged that is not written");
    assert_eq!(w.client(viewer).timestamps().len(), 20);
    let sent = w.client(publisher).session.sent();
    w.recorder_stuck = false;
    w.run();
    assert_eq!(w.client(publisher).acknowledged().last().copied(), Some(sent as u32));
    assert!(w.client(publisher).eof && w.client(viewer).eof);
    w.pass_time(Duration::from_secs(2));
    let report = w.drain.board().report();
    assert_eq!(report.state, ServerState::Drained);
    assert_eq!(report.publishers.cut, 1);
    assert_eq!(w.hub.handovers()[0].result, HandoverResult::Cut);
}

#[test]
fn media_without_segue_that_comes_after_the_deadline_cut_is_still_taken() {
    let mut w = World::new();
    let publisher = w.publish("cam", PLAIN);
    let viewer = w.play("cam", PLAIN);
    let mut source = Source::new();
    w.stream(publisher, &mut source, 10);
    let mut ask = request(None);
    ask.deadline = Duration::from_millis(200);
    w.begin_drain(ask);
    w.pass_time(Duration::from_millis(200));
    assert!(w.client(publisher).eof);
    w.stream(publisher, &mut source, 3);
    w.end(publisher);
    assert_eq!(w.client(viewer).timestamps().len(), 13);
    let report = w.drain.board().report();
    assert_eq!(report.publishers.cut, 1);
}

#[test]
fn h28_viewers_are_told_no_later_than_their_publisher_and_left_alone_until_the_legs_end() {
    let mut w = World::new();
    let publisher = w.publish("cam", SEGUE);
    let aware = w.play("cam", SEGUE);
    let unaware = w.play("cam", PLAIN);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 30);
    w.writes.clear();
    w.begin_drain(request(TO));
    let at = |conn| w.writes.iter().position(|c| *c == conn);
    assert!(at(aware).unwrap() < at(publisher).unwrap());
    assert_eq!(w.client(aware).signals(), [(ReconnectRequest, Some("rtmp://b.test:2000/live".to_owned()))]);
    w.stream(publisher, &mut source, 10);
    w.end(publisher);
    let told = w.client(aware);
    assert_eq!(told.timestamps().len(), 40);
    assert!(told.saw(&Event::StreamEof) && !told.saw(&Event::Unpublished) && told.eof);
    let seen = w.client(unaware);
    assert_eq!(seen.timestamps().len(), 40);
    assert!(seen.saw(&Event::Unpublished) && seen.saw(&Event::StreamEof) && seen.eof);
    assert_eq!(w.drain.board().report().viewers_ended, 1);
    assert_eq!(w.drain.board().report().state, ServerState::Drained);
}

#[test]
fn new_streams_and_plays_are_refused_while_draining() {
    let mut w = World::new();
    let here = w.publish("cam", RECONNECT);
    let waits = w.play("nowhere", PLAIN);
    w.stream(here, &mut Source::new(), 5);
    w.begin_drain(request(TO));
    assert_eq!(w.client(waits).refused(), Some(("NetConnection.Connect.Rejected", "draining")));
    for conn in [w.publish("new", SEGUE), w.play("new", SEGUE)] {
        let seen = w.client(conn);
        assert_eq!(seen.refused(), Some(("NetConnection.Connect.Rejected", "draining")));
        assert!(seen.eof);
    }
    let viewer = w.play("cam", PLAIN);
    assert!(w.client(viewer).saw(&Event::PlayStarted));
}

#[test]
fn h10_a_stream_that_comes_back_is_taken_spliced_and_told_again_twice() {
    let mut w = World::new();
    let mut source = Source::new();
    let mut conn = w.publish("cam", SEGUE);
    w.leg(conn, 1, &source);
    w.stream(conn, &mut source, 30);
    let keeper = w.publish("keeper", PLAIN);
    w.stream(keeper, &mut Source::new(), 1);
    let mut ask = request(None);
    ask.deadline = Duration::from_secs(120);
    w.begin_drain(ask);
    for leg in 2..=4 {
        assert_eq!(w.client(conn).signals().len(), 1, "leg {}", leg - 1);
        w.end(conn);
        conn = w.publish("cam", SEGUE);
        w.leg(conn, leg, &source);
        assert!(w.client(conn).saw(&Event::PublishStarted));
        w.stream(conn, &mut source, 200);
        assert!(w.client(conn).signals().is_empty(), "told too soon");
        w.stream(conn, &mut source, 60);
    }
    assert!(w.client(conn).signals().is_empty(), "told three times");
    let line = w.drain.board().report().streams.into_iter().find(|line| line.told != "none").unwrap();
    assert_eq!((line.result, line.missing), (None, Some(0)));
}

#[test]
fn a_told_stream_in_its_grace_does_not_hold_up_the_drain() {
    let mut w = World::new();
    let publisher = w.publish("cam", RECONNECT);
    w.stream(publisher, &mut Source::new(), 30);
    w.begin_drain(request(TO));
    w.end(publisher);
    assert_eq!(w.drain.board().report().state, ServerState::Drained);
    assert_eq!(w.hub.streams().len(), 1, "the grace runs on");
}

#[test]
fn an_empty_server_is_drained_at_once_and_can_be_told_to_run_again() {
    let mut w = World::new();
    w.begin_drain(request(None));
    let hub = w.hub.clone();
    assert_eq!(w.drain.lock().state(), ServerState::Drained);
    assert_eq!(w.drain.lock().begin(&hub, request(None), w.now), Err(Refused::Drained));
    w.drain.lock().cancel(&hub, w.now).unwrap();
    assert_eq!(w.drain.lock().cancel(&hub, w.now), Err(Refused::NotDraining));
    let publisher = w.publish("cam", PLAIN);
    assert!(w.client(publisher).saw(&Event::PublishStarted));
}

#[test]
fn one_stream_is_told_once_and_taken_back_and_no_viewer_is_closed() {
    let mut w = World::new();
    let publisher = w.publish("cam", GO_AWAY);
    let other = w.publish("other", RECONNECT);
    let viewer = w.play("cam", RECONNECT);
    let mut source = Source::new();
    w.stream(publisher, &mut source, 30);
    let mut ask = request(None);
    ask.stream = Some("live/cam".into());
    w.begin_drain(ask);
    assert!(!w.hub.is_draining());
    w.stream(publisher, &mut source, 25);
    assert_eq!(w.client(publisher).signals().len(), 1);
    assert!(w.client(other).signals().is_empty() && w.client(viewer).signals().is_empty());
    w.end(publisher);
    let again = w.publish("cam", GO_AWAY);
    let mut restarted = Source::restarted(75);
    w.stream(again, &mut restarted, 30);
    assert!(w.client(again).signals().is_empty());
    assert!(!w.client(viewer).eof);
    let times = w.client(viewer).timestamps();
    assert!(times.windows(2).all(|pair| pair[1] > pair[0]), "one timeline");
    assert_eq!(times.len(), 85);
    let report = w.drain.board().report();
    assert_eq!((report.state, report.phase), (ServerState::Running, Phase::Done));
    assert_eq!(report.streams[0].result, Some("moved"));
}

#[test]
fn a_dry_run_says_what_would_be_and_does_nothing() {
    let mut w = World::new();
    let publisher = w.publish("cam", RECONNECT);
    w.stream(publisher, &mut Source::new(), 5);
    let hub = w.hub.clone();
    let mut ask = request(TO);
    ask.dry_run = true;
    let report = w.drain.lock().begin(&hub, ask, w.now).unwrap();
    w.run();
    assert!(report.dry_run);
    assert_eq!(report.streams[0].told, "reconnect-request");
    assert!(!hub.is_draining() && w.client(publisher).signals().is_empty());
}

#[test]
fn signals_are_spread_over_the_time_asked_for() {
    let mut w = World::new();
    let conns: Vec<_> = (0..20).map(|n| w.publish(&format!("cam{n}"), RECONNECT)).collect();
    let mut source = Source::new();
    let frame = source.next();
    for conn in &conns {
        w.send(*conn, std::slice::from_ref(&frame));
    }
    let mut ask = request(TO);
    ask.over = Duration::from_secs(10);
    w.begin_drain(ask);
    let told = |w: &mut World| conns.iter().filter(|conn| !w.client(**conn).signals().is_empty()).count();
    w.pass_time(Duration::from_secs(5));
    let half = told(&mut w);
    assert!((4..=16).contains(&half), "{half} of 20 at half time");
    w.pass_time(Duration::from_secs(5));
    assert_eq!(told(&mut w), 20);
}

#[test]
fn after_a_cancel_a_second_drain_tells_everybody_again() {
    let mut w = World::new();
    let publisher = w.publish("cam", SEGUE);
    let viewer = w.play("cam", RECONNECT);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 30);
    w.begin_drain(request(None));
    let hub = w.hub.clone();
    w.drain.lock().cancel(&hub, w.now).unwrap();
    w.stream(publisher, &mut source, 30);
    w.begin_drain(request(TO));
    for conn in [publisher, viewer] {
        let signals = w.client(conn).signals();
        assert_eq!(signals.len(), 2);
        assert_eq!(signals[1].1.as_deref(), Some("rtmp://b.test:2000/live"));
    }
    w.end(publisher);
    assert_eq!(w.drain.board().report().publishers.moved, 1);
}

#[test]
fn a_cancelled_drain_withdraws_a_type_32_that_waits_for_its_keyframe() {
    let mut w = World::new();
    let publisher = w.publish("cam", GO_AWAY);
    let mut source = Source::new();
    w.stream(publisher, &mut source, 55);
    w.begin_drain(request(None));
    w.stream(publisher, &mut source, 5);
    let hub = w.hub.clone();
    w.drain.lock().cancel(&hub, w.now).unwrap();
    w.run();
    // Past the next keyframes, and past the patience in which one is waited for.
    w.stream(publisher, &mut source, 10 * GOP as usize);
    assert!(w.client(publisher).signals().is_empty());
    assert_eq!(w.drain.lock().state(), ServerState::Running);
    // The next drain tells it as if there had been none.
    w.begin_drain(request(None));
    w.stream(publisher, &mut source, GOP as usize);
    assert_eq!(w.client(publisher).signals(), [(GoAwayMessage, None)]);
    w.end(publisher);
    assert_eq!(w.drain.board().report().publishers.moved, 1);
}

#[test]
fn a_cancelled_drain_withdraws_the_repeat_and_the_next_one_uses_it() {
    let mut w = World::new();
    let publisher = w.publish("cam", GO_AWAY);
    let mut source = Source::new();
    w.stream(publisher, &mut source, 55);
    w.begin_drain(request(None));
    w.stream(publisher, &mut source, GOP as usize);
    assert_eq!(w.client(publisher).signals().len(), 1);
    let hub = w.hub.clone();
    w.drain.lock().cancel(&hub, w.now).unwrap();
    w.run();
    w.stream(publisher, &mut source, 4 * GOP as usize);
    assert_eq!(w.client(publisher).signals().len(), 1, "it was not repeated");
    w.begin_drain(request(None));
    w.stream(publisher, &mut source, 4 * GOP as usize);
    assert_eq!(w.client(publisher).signals().len(), 2, "and no third");
    w.end(publisher);
    let report = w.drain.board().report();
    assert_eq!((report.streams[0].told, report.publishers.moved), ("go-away", 1));
}

#[test]
fn what_a_publisher_dropped_in_the_middle_of_a_leg_shows_in_the_drain() {
    let mut w = World::new();
    let publisher = w.publish("cam", SEGUE);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 30);
    w.begin_drain(request(TO));
    w.stream(publisher, &mut source, 10);
    for _ in 0..7 {
        source.next();
    }
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 10);
    w.end(publisher);
    let report = w.drain.board().report();
    assert_eq!(report.state, ServerState::Drained);
    assert_eq!((report.streams[0].missing, report.streams[0].result), (Some(7), Some("lost")));
    assert_eq!(report.publishers.lost, 1);
    assert!(report.has_loss());
}

#[test]
fn a_stream_that_comes_back_to_a_drained_server_is_drained_again() {
    let mut w = World::new();
    let publisher = w.publish("cam", SEGUE);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 30);
    w.begin_drain(request(TO));
    w.end(publisher);
    assert_eq!(w.drain.board().report().state, ServerState::Drained);
    let back = w.publish("cam", SEGUE);
    w.leg(back, 2, &source);
    w.stream(back, &mut source, 30);
    let report = w.drain.board().report();
    assert_eq!((report.state, report.publishers.waiting), (ServerState::Draining, 1));
    // It is told 10 s after the first time, and leaves.
    w.stream(back, &mut source, 250);
    assert_eq!(w.client(back).signals().len(), 1);
    w.end(back);
    let report = w.drain.board().report();
    assert_eq!((report.state, report.streams[0].result), (ServerState::Drained, Some("moved")));
    assert!(!report.has_loss());
}

#[test]
fn a_stream_that_comes_back_to_a_drained_server_and_stays_is_cut_at_the_deadline() {
    let mut w = World::new();
    let publisher = w.publish("cam", RECONNECT);
    let mut source = Source::new();
    w.stream(publisher, &mut source, 30);
    w.begin_drain(request(TO));
    w.end(publisher);
    let back = w.publish("cam", PLAIN);
    w.stream(back, &mut source, 26 * 25);
    assert!(w.client(back).eof);
    w.end(back);
    let report = w.drain.board().report();
    assert_eq!((report.state, report.streams[0].result), (ServerState::Drained, Some("cut")));
}

#[test]
fn h28_a_viewer_that_comes_after_the_publisher_left_is_not_told_that_the_stream_ended() {
    for announce in [SEGUE, RECONNECT, PLAIN] {
        let mut w = World::new();
        let publisher = w.publish("cam", SEGUE);
        let mut source = Source::new();
        w.leg(publisher, 1, &source);
        w.stream(publisher, &mut source, 30);
        w.begin_drain(request(TO));
        w.end(publisher);
        let viewer = w.play("cam", announce);
        let client = w.client(viewer);
        assert_eq!(client.refused(), Some(("NetConnection.Connect.Rejected", "draining")));
        assert!(client.timestamps().is_empty() && !client.saw(&Event::Unpublished));
    }
}

#[test]
fn of_two_streams_told_alone_the_first_keeps_its_report() {
    let mut w = World::new();
    let publisher = w.publish("cam", SEGUE);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 30);
    let alone = segue_server::drain::Request { stream: Some("live/cam".into()), ..request(None) };
    w.begin_drain(alone.clone());
    let hub = w.hub.clone();
    assert_eq!(w.drain.lock().begin(&hub, alone, w.now), Err(Refused::Busy));
    // The server's own end does not wait for it.
    w.begin_drain(request(TO));
    assert_eq!(w.drain.board().report().state, ServerState::Draining);
}

#[test]
fn what_a_leg_sent_after_the_claim_passed_is_not_confirmed() {
    for late in [false, true] {
        let mut w = World::new();
        let old = w.publish("cam", SEGUE);
        let mut source = Source::new();
        w.leg(old, 1, &source);
        w.stream(old, &mut source, 30);
        w.begin_drain(request(TO));
        let new = w.publish("cam", SEGUE);
        let header = LegHeader { token: ResumeToken([9; 16]), leg: 2, position: source.position() };
        w.client(new).session.send_leg_header(&header);
        if late {
            w.client(old).session.send_media(&source.next());
        }
        // In one pass, and the new leg first: the old one is fenced before it knows.
        for conn in [new, old] {
            while let Some(bytes) = w.client(conn).session.out().pop() {
                w.shard.received(conn, &bytes, w.now);
            }
        }
        w.run();
        let records = w.hub.handovers();
        assert_eq!(records.iter().find_map(|record| record.confirmed), Some(!late), "{records:?}");
    }
}

fn one(stream: &str, to: Option<&str>) -> segue_server::drain::Request {
    segue_server::drain::Request { stream: Some(stream.to_owned()), ..request(to) }
}

#[test]
fn h28_a_viewer_that_was_told_with_one_stream_is_told_again_by_the_next_drain() {
    let mut w = World::new();
    let publisher = w.publish("cam", SEGUE);
    let viewer = w.play("cam", SEGUE);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 30);
    // The target does not answer: both stay.
    w.begin_drain(one("live/cam", Some("rtmp://dead.test")));
    w.stream(publisher, &mut source, 26 * 25);
    w.begin_drain(request(TO));
    for conn in [publisher, viewer] {
        let told: Vec<_> = w.client(conn).signals().into_iter().filter_map(|(_, to)| to).collect();
        assert_eq!(told, ["rtmp://dead.test/live", "rtmp://b.test:2000/live"]);
    }
}

#[test]
fn h25_media_that_a_replaced_leg_still_sends_is_counted_as_lost() {
    let mut w = World::new();
    let old = w.publish("cam", RECONNECT);
    let mut source = Source::new();
    w.stream(old, &mut source, 30);
    w.begin_drain(one("live/cam", None));
    // Its client comes back, and its old connection has a tail under way for longer than the hold.
    let mut tail = Source::new();
    (0..30).for_each(|_| drop(tail.next()));
    (0..20).for_each(|_| drop(source.next()));
    let new = w.publish("cam", RECONNECT);
    w.stream(new, &mut source, 60);
    assert!(w.client(old).eof, "replaced when the hold was over");
    // The last 5 were sent on the new connection, too.
    for n in 0..25 {
        let message = tail.next();
        w.send(old, &[message]);
        assert_eq!(w.hub.streams()[0].lock().log.counts().fenced, n + 1);
    }
    w.end(old);
    let report = w.drain.board().report();
    assert_eq!((report.streams[0].missing, report.streams[0].result), (Some(20), Some("lost")));
    let told = w.hub.handovers().into_iter().find(|record| record.result == HandoverResult::Lost).unwrap();
    assert_eq!((told.missing, told.signal), (Some(20), Signal::ReconnectRequest));
}

#[test]
fn a_stream_that_was_told_and_left_does_not_hold_up_a_drain() {
    // Told alone, and where to: done when it has left.
    let mut w = World::new();
    let publisher = w.publish("cam", SEGUE);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 30);
    w.begin_drain(one("live/cam", TO));
    w.end(publisher);
    let report = w.drain.board().report();
    assert_eq!((report.phase, report.streams[0].result), (Phase::Done, Some("moved")));
    // A drain of the whole server, within its grace: it is not waited for, and its line says what became of it.
    w.begin_drain(request(TO));
    let report = w.drain.board().report();
    assert_eq!(report.state, ServerState::Drained);
    assert_eq!((report.streams[0].told, report.streams[0].result), ("reconnect-request", Some("moved")));
}

#[test]
fn a_stream_told_alone_without_an_address_is_waited_for_two_seconds() {
    let mut w = World::new();
    let publisher = w.publish("cam", SEGUE);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 30);
    w.begin_drain(one("live/cam", None));
    w.end(publisher);
    assert_eq!(w.drain.board().report().phase, Phase::Waiting);
    w.pass_time(Duration::from_millis(1900));
    assert_eq!(w.drain.board().report().phase, Phase::Waiting);
    w.pass_time(Duration::from_millis(200));
    let report = w.drain.board().report();
    assert_eq!((report.phase, report.streams[0].result), (Phase::Done, Some("moved")));
}

#[test]
fn a_viewer_with_an_address_does_not_wait_for_the_settle_of_its_publisher() {
    let mut w = World::new();
    let publisher = w.publish("cam", PLAIN);
    let (addressed, other) = (w.play("cam", RECONNECT), w.play("cam", GO_AWAY));
    let mut source = Source::new();
    w.stream(publisher, &mut source, 30);
    let mut ask = request(TO);
    ask.settle = Duration::from_secs(3);
    w.begin_drain(ask);
    w.stream(publisher, &mut source, 1);
    assert_eq!(w.client(addressed).signals().len(), 1);
    w.stream(publisher, &mut source, 70);
    assert!(w.client(other).signals().is_empty());
    w.stream(publisher, &mut source, 10);
    assert_eq!((w.client(addressed).signals().len(), w.client(other).signals().len()), (1, 1));
}

#[test]
fn nobody_is_cut_untold_because_the_settle_is_longer_than_the_deadline() {
    let mut w = World::new();
    let publisher = w.publish("cam", GO_AWAY);
    let mut source = Source::new();
    w.stream(publisher, &mut source, 60);
    let mut ask = request(None);
    (ask.settle, ask.deadline) = (Duration::from_secs(6), Duration::from_secs(5));
    w.begin_drain(ask);
    w.stream(publisher, &mut source, 60);
    assert!(w.client(publisher).signals().is_empty());
    w.stream(publisher, &mut source, 40);
    assert!(!w.client(publisher).signals().is_empty());
}

#[test]
fn a_record_says_where_to_only_if_the_client_was_told_and_did_not_come_back() {
    let mut w = World::new();
    let quiet = w.publish("cam", GO_AWAY);
    let mut source = Source::new();
    w.stream(quiet, &mut source, 60);
    w.begin_drain(request(TO));
    w.stream(quiet, &mut source, 30);
    w.end(quiet);
    let record = &w.hub.handovers()[0];
    assert_eq!((record.signal, record.to.as_deref()), (Signal::GoAway, None));

    let mut w = World::new();
    let old = w.publish("cam", SEGUE);
    let mut source = Source::new();
    w.leg(old, 1, &source);
    w.stream(old, &mut source, 30);
    w.begin_drain(one("live/cam", TO));
    let new = w.publish("cam", SEGUE);
    w.leg(new, 2, &source);
    w.stream(new, &mut source, 5);
    w.end(old);
    w.pass_time(Duration::from_secs(2));
    let records = w.hub.handovers();
    let last = Some(29 * 40);
    for record in &records {
        assert_eq!((record.signal, record.old_last_ts), (Signal::ReconnectRequest, last), "{record:?}");
        assert_eq!(record.cause, Some(segue_proto::handover::record::Cause::Drain));
        assert!(matches!(record.to.as_deref(), None | Some("a.test:1935")), "{record:?}");
    }
    assert_eq!(records.len(), 2);
}

#[test]
fn a_stream_told_alone_that_comes_back_and_breaks_is_over_with_its_grace() {
    let mut w = World::new();
    let publisher = w.publish("cam", SEGUE);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 30);
    w.begin_drain(one("live/cam", None));
    w.end(publisher);
    // Back before its return is given up, and gone before it sends anything.
    let back = w.publish("cam", SEGUE);
    w.end(back);
    w.pass_time(Duration::from_secs(14));
    assert_eq!(w.drain.board().report().phase, Phase::Waiting);
    w.pass_time(Duration::from_secs(2));
    let report = w.drain.board().report();
    assert_eq!((report.phase, report.streams[0].result), (Phase::Done, Some("ended")));
}
