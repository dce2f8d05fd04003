//! The publisher against scripted servers under virtual time: what every hand-over must keep, fault by fault.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Fault, Link, OnPublish, SEED, Server, Source, World, at, by_index, url};
use segue_proto::client::publisher::{END_BOUND, END_RETRY_BOUND, HUNG_PASSED_BY};
use segue_proto::client::{Closed, Ending, Publisher, PublisherConfig, RedirectPolicy};
use segue_proto::handover::record::{Cause, HandoverResult, Signal};
use segue_proto::log::{self, LegEnd, Read, Request, Start, Stream};
use segue_proto::{MediaMessage, TrackKind};

struct Show {
    world: World<Publisher>,
    source: Source,
}

fn config() -> PublisherConfig {
    PublisherConfig { redirect: RedirectPolicy::Any, ..PublisherConfig::new(url("a")) }
}

impl Show {
    fn new(config: PublisherConfig, servers: Vec<Server>, source: Source) -> Self {
        let mut world = World::new(Publisher::new(config, SEED, at(0)), servers);
        world.settle();
        let mut show = Self { world, source };
        for message in show.source.configuration() {
            show.push(message);
        }
        show
    }

    fn standard(servers: Vec<Server>) -> Self {
        Self::new(config(), servers, Source::new())
    }

    fn push(&mut self, message: MediaMessage) {
        let now = self.world.now();
        self.world.machine.push(message, now);
        self.world.settle();
    }

    /// `ms` milliseconds of the show.
    fn play(&mut self, ms: u64) {
        for _ in 0..ms / 40 {
            for message in self.source.tick() {
                self.push(message);
            }
            self.world.run(40);
        }
    }

    fn finish(&mut self) -> segue_proto::client::Outcome {
        let now = self.world.now();
        self.world.machine.finish(now);
        self.world.settle();
        self.world.run_until_finished(80_000)
    }

    /// The media of all connections that took the stream, in the order of their legs.
    fn received(&self) -> Vec<MediaMessage> {
        self.world.links.iter().filter(|link| link.accepted).flat_map(Link::media).collect()
    }

    /// Every message arrived once, in order, on the connections in order. Each later leg begins with the configuration,
    /// stamped with the timestamp of its first message, a keyframe.
    fn assert_exact(&self) {
        assert_eq!(self.received(), self.source.sent);
        for link in self.world.links.iter().filter(|link| link.accepted && !link.media().is_empty()).skip(1) {
            let first = link.got.iter().position(|message| message.info().is_media()).unwrap();
            assert!(first >= self.source.configuration().len(), "configuration comes first");
            let stamp = link.got[first].timestamp;
            assert!(link.got[..first].iter().all(|config| config.timestamp == stamp));
            if self.source.video {
                assert_eq!(link.got[first].payload[..2], [0x17, 1], "a leg begins with a keyframe");
            }
        }
    }

    /// Every message is at one server or another, at its index.
    fn assert_nothing_missing(&self) {
        let all = by_index(&self.world.links.iter().filter(|link| link.accepted).collect::<Vec<_>>());
        assert_eq!(all.values().cloned().collect::<Vec<_>>(), self.source.sent);
        assert!(all.keys().copied().eq(0..self.source.sent.len() as u64));
    }
}

#[test]
fn publishes_and_finishes_with_proof() {
    let mut show = Show::standard(vec![Server::new("a")]);
    show.play(5000);
    let outcome = show.finish();
    assert_eq!((outcome.ending, outcome.confirmed, outcome.missing), (Ending::Complete, Some(true), 0));
    show.assert_exact();
    assert!(show.world.links[0].unpublished, "the stream is ended properly");
    assert_eq!(show.world.records, []);
    let header = show.world.links[0].headers[0];
    assert_eq!((header.leg, header.position.index), (1, 0));
}

#[test]
fn a_foreign_server_cannot_confirm() {
    let mut show = Show::standard(vec![Server::foreign("a")]);
    show.play(3000);
    let outcome = show.finish();
    assert_eq!((outcome.ending, outcome.confirmed, outcome.missing), (Ending::Complete, Some(false), 0));
    show.assert_exact();
    assert_eq!(show.world.links[0].headers, []);
}

#[test]
fn an_unpaced_source_is_held_back_and_loses_nothing() {
    let mut show = Show::standard(vec![Server::new("a")]);
    show.source.frame_size = 50_000;
    show.world.uplink = Some(50_000_000);
    let mut held_back = false;
    while show.source.next < 2000 {
        let now = show.world.now();
        if !show.world.machine.room() {
            held_back = true;
            show.world.run(1);
            continue;
        }
        for message in show.source.tick() {
            show.world.machine.push(message, now);
        }
        show.world.settle();
    }
    assert!(held_back);
    assert_eq!(show.finish().confirmed, Some(true));
    show.assert_exact();
}

/// Told at `told` ms, on two servers that speak segue.
fn moved(mut show: Show, told: u64) -> Show {
    show.play(told);
    assert_eq!(show.world.tell("a", Some("b")).len(), 1);
    show.play(6000);
    assert_eq!(show.finish().confirmed, Some(true));
    show.assert_exact();
    let record = &show.world.records[0];
    assert_eq!(show.world.records.len(), 1);
    assert_eq!((record.cause, record.signal), (Some(Cause::Drain), Signal::ReconnectRequest));
    assert_eq!((record.result, record.confirmed), (HandoverResult::Moved, Some(true)));
    assert_eq!((record.from.as_deref(), record.to.as_deref()), (Some("a:1935"), Some("b:1935")));
    assert_eq!((record.missing, record.overlap, record.delay_ms), (Some(0), Some(0), Some(0)));
    assert!(!show.world.links_of("a")[0].unpublished, "no teardown on the old leg");
    assert!(show.world.links_of("a")[0].saw_eof);
    show
}

#[test]
fn told_to_go_it_moves_at_the_next_keyframe_at_any_moment() {
    for n in 0..25 {
        let show = moved(Show::standard(vec![Server::new("a"), Server::new("b")]), 2000 + n * 160);
        let record = &show.world.records[0];
        assert_eq!(record.new_first_ts.unwrap() % 2000, 0);
        let header = show.world.links_of("b")[0].headers[0];
        assert_eq!(header.leg, 2);
        assert_eq!(header.position.index, show.world.links_of("a")[0].media().len() as u64);
        assert_eq!(Some(header.position.timestamp.as_millis()), record.new_first_ts);
    }
}

#[test]
fn dials_no_earlier_than_a_second_before_the_keyframe() {
    let mut show = Show::standard(vec![Server::new("a"), Server::new("b")]);
    show.play(4200);
    show.world.tell("a", Some("b"));
    show.play(3000);
    let (when, host, _) = &show.world.dials[1];
    assert_eq!(host, "b");
    assert!((5000..5100).contains(when), "{when}");
}

#[test]
fn h02_audio_only_moves_within_a_second() {
    let source = Source { video: false, ..Source::new() };
    let show = moved(Show::new(config(), vec![Server::new("a"), Server::new("b")], source), 3000);
    assert!(show.world.records[0].new_first_ts.unwrap() < 4000);
}

#[test]
fn h13_video_only_with_b_frames() {
    let source = Source { audio: false, ..Source::new() };
    moved(Show::new(config(), vec![Server::new("a"), Server::new("b")], source), 3000);
}

#[test]
fn h12_timestamps_near_every_edge_go_on_unchanged() {
    for edge in [0x00ff_ffff_u32, 0x7fff_ffff, 0xffff_ffff] {
        for before in [4000, 4020, 6000] {
            let source = Source { first_ts: edge.wrapping_sub(before), ..Source::new() };
            moved(Show::new(config(), vec![Server::new("a"), Server::new("b")], source), 3000);
        }
    }
}

#[test]
fn h14_a_header_that_changes_at_the_cut_comes_before_the_keyframe() {
    let mut show = Show::standard(vec![Server::new("a"), Server::new("b")]);
    show.play(3000);
    show.world.tell("a", Some("b"));
    show.play(1000);
    show.push(Source::video_header(2));
    show.play(1000);
    let link = show.world.links_of("b")[0];
    let headers: Vec<u8> = link
        .got
        .iter()
        .filter(|m| m.kind == TrackKind::Video && !m.info().is_media())
        .map(|m| m.payload[5])
        .collect();
    assert_eq!(headers, [2]);
    assert_eq!(link.got[3].payload[..2], [0x17, 1]);
}

#[test]
fn h26_type_32_is_acted_on_too() {
    let mut announced = config();
    announced.announce.reconnect = false;
    let mut show = Show::new(announced, vec![Server::new("a")], Source::new());
    show.play(3000);
    show.world.tell("a", None);
    show.play(4000);
    assert_eq!(show.finish().confirmed, Some(true));
    show.assert_exact();
    let record = &show.world.records[0];
    assert_eq!((record.signal, record.to.as_deref()), (Signal::GoAway, Some("a:1935")));
    let links = show.world.links_of("a");
    assert_eq!(links.len(), 2, "the same server, not draining, takes it back");
    assert_eq!([links[0].unpublished, links[1].unpublished], [false, true], "no teardown on the old leg");
}

#[test]
fn to_a_foreign_server_media_follows_publish_start_only() {
    let mut late = Server::foreign("b");
    late.on_publish = OnPublish::StartAfter(300);
    let mut show = Show::standard(vec![Server::foreign("a"), late]);
    show.play(3000);
    show.world.tell("a", Some("b"));
    show.play(4000);
    assert_eq!(show.finish().confirmed, Some(false));
    show.assert_exact();
    let record = &show.world.records[0];
    assert_eq!((record.missing, record.confirmed), (None, Some(false)), "nobody proved anything");
    assert!((300..350).contains(&record.delay_ms.unwrap()), "{:?}", record.delay_ms);
}

#[test]
fn h03_new_server_refuses_stays_on_old() {
    let faults = [
        Fault::DialRefused,
        Fault::DialHangs,
        Fault::HandshakeHangs,
        Fault::ConnectHangs,
        Fault::ConnectReset,
        Fault::ConnectRejected,
        Fault::CreateStreamReset,
    ];
    for fault in faults {
        let mut b = Server::new("b");
        b.fault = Some(fault);
        let mut show = Show::standard(vec![Server::new("a"), b]);
        show.play(3000);
        show.world.server("a").draining = true;
        show.world.tell("a", Some("b"));
        show.play(5000);
        let at_a = show.world.links_of("a");
        assert_eq!(at_a.iter().filter(|link| link.accepted).count(), 1, "{fault:?}: still on the old one");
        assert!(!at_a[0].saw_eof, "{fault:?}");
        assert!(show.world.records.is_empty());
        show.world.server("b").fault = None;
        show.play(14_000);
        assert_eq!(show.finish().confirmed, Some(true), "{fault:?}");
        show.assert_exact();
        assert_eq!(show.world.records.last().unwrap().result, HandoverResult::Moved, "{fault:?}");
    }
}

#[test]
fn h03_publish_refused_goes_on_at_the_old_server_from_the_buffer() {
    let refuse = OnPublish::Refuse("NetStream.Publish.Denied", "no");
    for on_publish in [refuse, OnPublish::Hang, OnPublish::Reset] {
        let mut b = Server::new("b");
        b.on_publish = on_publish;
        let mut show = Show::standard(vec![Server::new("a"), b]);
        show.play(3000);
        show.world.tell("a", Some("b"));
        show.play(16_000);
        show.world.server("b").on_publish = OnPublish::Start;
        show.play(16_000);
        assert_eq!(show.finish().confirmed, Some(true));
        show.assert_exact();
        assert_eq!(show.world.records.len(), 1);
    }
}

#[test]
fn h03_a_refusal_holds_the_old_server_up_for_no_longer_than_it_takes() {
    let mut b = Server::new("b");
    b.on_publish = OnPublish::Refuse("NetStream.Publish.Denied", "no");
    let mut show = Show::standard(vec![Server::new("a"), b]);
    show.play(3000);
    show.world.tell("a", Some("b"));
    for _ in 0..200 {
        show.play(40);
        let behind = show.source.sent.len() - show.world.links_of("a")[0].media().len();
        assert!(behind <= 4, "{behind} messages at {} ms", show.world.ms);
    }
    assert!(show.world.links_of("b").len() > 1, "it was tried");
}

#[test]
fn h03_a_busy_name_half_closes_the_old_connection_first() {
    let mut b = Server::foreign("b");
    b.on_publish = OnPublish::BusyWith(vec!["a", "b"]);
    let mut show = Show::standard(vec![Server::foreign("a"), b]);
    show.play(3000);
    show.world.tell("a", Some("b"));
    show.play(4000);
    assert!(!show.world.links_of("a")[0].unpublished);
    show.finish();
    show.assert_exact();
    assert_eq!(show.world.records.len(), 1);
}

#[test]
fn h04_old_server_dies_before_the_boundary() {
    for how in [Closed::Eof, Closed::Reset] {
        for n in 0..20 {
            let mut show = Show::standard(vec![Server::new("a"), Server::new("b")]);
            show.world.latency = 30;
            show.play(4000);
            show.world.tell("a", Some("b"));
            show.play(n * 80 + 40);
            show.world.kill("a", how);
            show.play(4000);
            let outcome = show.finish();
            assert_eq!((outcome.confirmed, outcome.missing), (Some(true), 0), "{n}");
            show.assert_nothing_missing();
        }
    }
}

#[test]
fn h04_a_crash_replays_from_the_keyframe_before_what_is_not_acknowledged() {
    let mut show = Show::standard(vec![Server::new("a"), Server::new("b")]);
    show.play(5000);
    show.world.kill("a", Closed::Reset);
    show.world.server("a").fault = Some(Fault::DialRefused);
    show.play(2000);
    show.world.server("a").fault = None;
    show.play(6000);
    let outcome = show.finish();
    assert_eq!((outcome.confirmed, outcome.missing), (Some(true), 0));
    show.assert_nothing_missing();
    let record = &show.world.records[0];
    assert_eq!((record.cause, record.signal, record.missing), (Some(Cause::Crash), Signal::None, Some(0)));
    assert_eq!((record.confirmed, record.overlap), (Some(false), None));
    assert!(record.delay_ms.unwrap() > 1900);
}

#[test]
fn h05_without_the_final_acknowledgement_the_tail_is_counted() {
    let mut show = Show::standard(vec![Server::new("a"), Server::new("b")]);
    show.play(3000);
    show.world.server("a").mute = true;
    let proven = show.world.machine.report().acknowledged.unwrap();
    show.world.tell("a", Some("b"));
    show.play(4000);
    let outcome = show.finish();
    let at_a = show.world.links_of("a")[0].media().len() as u64;
    let record = &show.world.records[0];
    assert_eq!((record.missing, record.confirmed), (Some(at_a - proven), Some(false)));
    assert_eq!(outcome.missing, at_a - proven);
}

#[test]
fn h06_all_servers_gone_whole_gops_are_dropped_and_counted() {
    let mut show = Show::standard(vec![Server::new("a")]);
    show.play(3000);
    show.world.kill("a", Closed::Reset);
    show.world.server("a").fault = Some(Fault::DialRefused);
    show.play(45_000);
    show.world.server("a").fault = None;
    show.play(8000);
    let outcome = show.finish();
    assert_eq!((&outcome.ending, outcome.confirmed), (&Ending::Complete, Some(true)));
    let all = by_index(&show.world.links.iter().filter(|link| link.accepted).collect::<Vec<_>>());
    let unacknowledged = show.source.sent.len() as u64 - all.len() as u64;
    // What the dead server had received without acknowledging counts as lost, too.
    assert!(outcome.missing >= unacknowledged && outcome.missing < unacknowledged + 60, "{outcome:?}");
    assert_eq!(show.world.records[0].missing, Some(outcome.missing));
    let second = show.world.links_of("a")[1];
    assert_eq!(second.media()[0].payload[..2], [0x17, 1], "whole GOPs");
}

#[test]
fn h06_a_stream_is_given_up_after_a_minute_with_its_loss_counted() {
    let mut show = Show::standard(vec![Server::new("a")]);
    show.play(3000);
    show.world.kill("a", Closed::Reset);
    show.world.server("a").fault = Some(Fault::DialRefused);
    let proven = show.world.machine.report().acknowledged;
    assert_eq!(proven, None);
    show.play(64_000);
    let outcome = show.world.run_until_finished(10);
    assert!(matches!(outcome.ending, Ending::Lost(_)));
    let pushed = show.world.machine.report().pushed;
    assert!(outcome.missing < pushed && outcome.missing > pushed - 150, "{outcome:?} of {pushed}");
    assert_eq!(show.world.records[0].result, HandoverResult::Lost);
    assert!(show.world.dials.len() > 12 && show.world.dials.len() < 40, "{}", show.world.dials.len());
}

#[test]
fn h08_a_signal_of_the_new_server_is_followed() {
    let mut b = Server::new("b");
    b.greeting = Some("c");
    let mut show = Show::standard(vec![Server::new("a"), b, Server::new("c")]);
    show.play(3000);
    show.world.tell("a", Some("b"));
    show.play(6000);
    assert_eq!(show.finish().confirmed, Some(true));
    show.assert_exact();
    assert_eq!(show.world.records.last().unwrap().to.as_deref(), Some("c:1935"));
}

#[test]
fn h08_a_redirect_loop_ends_and_the_stream_stays() {
    let (mut b, mut c) = (Server::new("b"), Server::new("c"));
    (b.greeting, c.greeting) = (Some("c"), Some("b"));
    let mut show = Show::standard(vec![Server::new("a"), b, c]);
    show.play(3000);
    show.world.server("a").draining = true;
    show.world.tell("a", Some("b"));
    show.play(10_000);
    let dials = show.world.dials.len();
    assert!(dials < 60, "{dials}");
    assert!(show.world.records.is_empty());
    show.finish();
    show.assert_exact();
    assert_eq!(show.world.records[0].result, HandoverResult::Ended);
}

#[test]
fn h10_a_draining_server_is_not_moved_to() {
    let mut show = Show::standard(vec![Server::new("a")]);
    show.play(3000);
    show.world.server("a").draining = true;
    show.world.tell("a", None);
    show.play(10_000);
    let attempts: Vec<u32> = show.world.dials.iter().skip(1).map(|(_, _, attempt)| *attempt).collect();
    assert!(attempts.len() >= 4 && attempts.iter().copied().eq(0..attempts.len() as u32), "{attempts:?}");
    assert_eq!(show.world.links_of("a").iter().filter(|link| link.accepted).count(), 1);
    show.world.server("a").draining = false;
    show.play(14_000);
    assert_eq!(show.finish().confirmed, Some(true));
    show.assert_exact();
    assert_eq!(show.world.records.len(), 1);
}

#[test]
fn h10_a_lost_stream_takes_a_draining_server_when_nothing_else_answers() {
    let mut show = Show::standard(vec![Server::new("a")]);
    show.play(3000);
    show.world.server("a").draining = true;
    show.world.kill("a", Closed::Reset);
    show.play(10_000);
    assert_eq!(show.finish().confirmed, Some(true));
    show.assert_nothing_missing();
}

#[test]
fn h01_no_keyframe_in_time_replays_from_the_last_one() {
    let source = Source { gop: 700, ..Source::new() };
    let mut show = Show::new(config(), vec![Server::new("a"), Server::new("b")], source);
    show.play(2000);
    show.world.tell("a", Some("b"));
    show.play(12_000);
    let outcome = show.finish();
    assert_eq!((outcome.confirmed, outcome.missing), (Some(true), 0));
    show.assert_nothing_missing();
    let record = &show.world.records[0];
    assert_eq!(record.overlap, Some(show.world.links_of("a")[0].media().len() as u64));
    assert_eq!((record.new_first_ts, record.missing), (Some(0), Some(0)));
}

#[test]
fn h01_without_any_keyframe_in_the_buffer_no_message_is_lost() {
    let source = Source { gop: 0, ..Source::new() };
    let mut show = Show::new(config(), vec![Server::new("a"), Server::new("b")], source);
    show.play(40_000);
    show.world.tell("a", Some("b"));
    show.play(14_000);
    assert_eq!(show.finish().missing, 0);
    assert_eq!(show.received(), show.source.sent);
    assert_eq!(show.world.records[0].overlap, Some(0));
}

#[test]
fn h17_a_slow_uplink_sends_nothing_twice_and_counts_what_it_drops() {
    let mut show = Show::standard(vec![Server::new("a"), Server::new("b")]);
    show.source.frame_size = 5000;
    show.world.uplink = Some(70_000); // of about 127 kB/s
    show.play(90_000);
    show.world.tell("a", Some("b"));
    show.play(6000);
    let outcome = show.finish();
    let all = by_first_seen(&show.received());
    assert_eq!(all, show.received().len(), "nothing twice");
    assert_eq!(outcome.missing + all as u64, show.source.sent.len() as u64, "{outcome:?}");
    assert!(outcome.missing > 0);
    let resent = show.world.links_of("a")[0].headers.len();
    assert!(resent > 1, "the leg header says where the stream goes on");
    assert!(show.world.links_of("a")[0].headers.iter().all(|header| header.leg == 1));
}

fn by_first_seen(messages: &[MediaMessage]) -> usize {
    let keys: std::collections::BTreeSet<_> = messages.iter().map(|m| (m.kind, m.payload.to_vec())).collect();
    keys.len()
}

#[test]
fn h25_nothing_announced_is_never_told() {
    let mut plain = config();
    plain.announce = segue_proto::caps::Announce::NONE;
    plain.segue = false;
    let mut show = Show::new(plain, vec![Server::new("a")], Source::new());
    show.play(3000);
    assert_eq!(show.world.tell("a", Some("b")), []);
    show.play(1000);
    assert_eq!(show.finish().confirmed, Some(false));
    show.assert_exact();
}

#[test]
fn h27_finishing_while_told_ends_the_stream_where_it_is() {
    let mut show = Show::standard(vec![Server::new("a"), Server::new("b")]);
    show.play(4000);
    show.world.tell("a", Some("b"));
    show.play(1200);
    assert_eq!(show.finish().confirmed, Some(true));
    show.assert_exact();
    assert!(show.world.links_of("a")[0].unpublished);
    assert_eq!(show.world.records[0].result, HandoverResult::Ended);
}

#[test]
fn a_stream_finished_just_after_it_moved_waits_for_both_proofs() {
    let mut show = Show::standard(vec![Server::new("a"), Server::new("b")]);
    show.world.latency = 40;
    show.play(4000);
    show.world.tell("a", Some("b"));
    show.play(2080);
    assert_eq!(show.finish().confirmed, Some(true));
    show.assert_exact();
    assert_eq!(show.world.records[0].confirmed, Some(true));
}

#[test]
fn a_redirect_that_is_not_allowed_counts_as_none() {
    let mut show =
        Show::new(PublisherConfig::new(url("a")), vec![Server::new("a"), Server::new("evil")], Source::new());
    show.play(3000);
    show.world.tell("a", Some("evil"));
    show.play(4000);
    assert!(show.world.dials.iter().all(|(_, host, _)| host == "a"), "{:?}", show.world.dials);
    let line = show.world.notices.iter().find(|line| line.contains("--redirect")).unwrap();
    assert!(line.contains("--redirect evil") && !line.contains("key"), "{line}");
    assert_eq!(show.finish().confirmed, Some(true));
    show.assert_exact();
}

#[test]
fn a_stream_that_cannot_begin_fails_with_one_line() {
    let mut show = Show::standard(vec![]);
    let outcome = show.world.run_until_finished(1000);
    assert_eq!(outcome.ending, Ending::Failed("connection refused".into()));
    let mut busy = Server::new("a");
    busy.on_publish = OnPublish::Refuse("NetStream.Publish.BadName", "already published");
    show = Show::standard(vec![busy]);
    let outcome = show.world.run_until_finished(1000);
    assert_eq!(outcome.ending, Ending::Failed("already published (NetStream.Publish.BadName)".into()));
}

#[test]
fn an_abort_counts_what_is_not_proven() {
    let mut show = Show::standard(vec![Server::new("a")]);
    show.play(3000);
    let report = show.world.machine.report();
    let now = show.world.now();
    show.world.machine.abort(now);
    show.world.settle();
    let outcome = show.world.outcome.clone().unwrap();
    assert_eq!(outcome.missing, report.pushed - report.acknowledged.unwrap());
    assert_eq!(outcome.ending, Ending::Aborted);
}

#[test]
fn a_server_that_goes_on_draining_fails_a_new_stream_in_time() {
    let mut a = Server::new("a");
    a.draining = true;
    a.on_publish = OnPublish::Refuse("NetConnection.Connect.Rejected", "draining");
    let mut show = Show::standard(vec![a]);
    let outcome = show.world.run_until_finished(16_000);
    assert!(matches!(outcome.ending, Ending::Failed(why) if why.contains("draining")));
    assert!(show.world.ms >= 10_000);
}

#[test]
fn a_server_that_acknowledges_nothing_is_left_after_ten_seconds() {
    let mut show = Show::standard(vec![Server::new("a")]);
    show.play(3000);
    show.world.server("a").mute = true;
    show.play(9000);
    assert_eq!(show.world.dials.len(), 1, "not yet");
    show.play(1200);
    show.world.server("a").mute = false;
    show.play(4000);
    assert_eq!(show.world.dials.len(), 2);
    let outcome = show.finish();
    assert_eq!((outcome.confirmed, outcome.missing), (Some(true), 0));
    show.assert_nothing_missing();
}

/// Nothing but the server that hangs: a second connection to it ends no better. The first server's proof counts for both.
#[test]
fn an_end_that_no_server_acknowledges_is_given_up_in_time_and_counted() {
    let mut show = Show::standard(vec![Server::new("a")]);
    show.play(3000);
    show.world.server("a").mute = true;
    show.play(1000);
    let report = show.world.machine.report();
    let before = show.world.ms;
    show.world.links[0].deaf = true;
    let outcome = show.finish();
    let bound = (END_BOUND + END_RETRY_BOUND).as_millis() as u64;
    assert!((bound..bound + 100).contains(&(show.world.ms - before)), "{}", show.world.ms - before);
    assert!(matches!(outcome.ending, Ending::Lost(_)));
    assert_eq!(
        (outcome.confirmed, outcome.missing),
        (Some(false), report.pushed - report.acknowledged.unwrap())
    );
    assert_eq!(
        show.world.links.iter().filter(|link| link.accepted).count(),
        2,
        "a second chance and no third"
    );
    assert!(show.world.links.last().unwrap().client_closed);
}

/// A server that takes the end and goes without a word, again and again, does not keep the publisher for ever.
#[test]
fn an_end_that_is_taken_without_proof_is_given_up_in_time_and_counted() {
    let mut show = Show::standard(vec![Server::new("a")]);
    show.play(3000);
    show.world.server("a").mute = true;
    show.play(1000);
    let report = show.world.machine.report();
    let before = show.world.ms;
    let outcome = show.finish();
    let bound = config().give_up.as_millis() as u64;
    assert!((bound..bound + 100).contains(&(show.world.ms - before)), "{}", show.world.ms - before);
    assert!(matches!(outcome.ending, Ending::Lost(_)));
    assert_eq!(
        (outcome.confirmed, outcome.missing),
        (Some(false), report.pushed - report.acknowledged.unwrap())
    );
}

/// It was the connection that hung and not the server.
#[test]
fn an_end_that_hangs_on_one_connection_goes_over_another() {
    let mut show = Show::standard(vec![Server::new("a")]);
    show.play(3400);
    show.world.links[0].deaf = true;
    show.play(1000);
    let before = show.world.ms;
    let outcome = show.finish();
    assert_eq!((&outcome.ending, outcome.confirmed, outcome.missing), (&Ending::Complete, Some(true), 0));
    show.assert_nothing_missing();
    assert!((10_000..13_000).contains(&(show.world.ms - before)), "{}", show.world.ms - before);
    let passed_by = show.world.dials.len() - 2;
    assert_eq!(passed_by, HUNG_PASSED_BY as usize, "others come first");
    assert!(show.world.links.last().unwrap().unpublished);
}

/// The server that had the stream hangs at its end: the one before takes what is not proven, from the keyframe before it.
#[test]
fn an_end_that_hangs_goes_to_another_server() {
    let mut show = Show::standard(vec![Server::new("a"), Server::new("b")]);
    show.play(4000);
    show.world.tell("a", Some("b"));
    show.play(5000);
    show.world.links[1].deaf = true;
    show.play(600);
    let before = show.world.ms;
    let outcome = show.finish();
    assert_eq!((&outcome.ending, outcome.confirmed, outcome.missing), (&Ending::Complete, Some(true), 0));
    assert!((10_000..11_000).contains(&(show.world.ms - before)), "{}", show.world.ms - before);
    show.assert_nothing_missing();
    let again = show.world.links_of("a")[1];
    assert_eq!(again.media()[0].payload[..2], [0x17, 1], "from a keyframe on");
    assert_eq!((again.headers[0].leg, again.unpublished), (3, true));
    let record = &show.world.records[1];
    assert_eq!((record.cause, record.result), (Some(Cause::Crash), HandoverResult::Moved));
    assert_eq!((record.from.as_deref(), record.to.as_deref()), (Some("b:1935"), Some("a:1935")));
}

/// What is under way in the sockets of a slow line is older than what the buffer keeps, and is still acknowledged: the
/// server is neither left for dead on the way, nor at the end.
#[test]
fn h17_a_server_that_acknowledges_what_the_buffer_dropped_is_waited_for() {
    // GOPs of 24 s: when one is dropped, acknowledgements of what it held come for longer than any bound.
    let source = Source { gop: 600, audio: false, frame_size: 9, ..Source::new() };
    let mut show = Show::new(config(), vec![Server::new("a")], source);
    show.play(1000);
    show.world.uplink = Some(150); // of 250 B/s
    show.play(80_000);
    let before = show.world.ms;
    let outcome = show.finish();
    assert!(show.world.ms - before > 2 * END_BOUND.as_millis() as u64, "{}", show.world.ms - before);
    assert_eq!((&outcome.ending, outcome.confirmed, outcome.missing), (&Ending::Complete, Some(true), 0));
    assert_eq!(show.world.dials.len(), 1, "{:?}", show.world.notices);
    show.assert_exact();
}

#[test]
fn a_foreign_server_that_never_closes_ends_a_stream_well() {
    let mut show = Show::standard(vec![Server::foreign("a")]);
    show.play(3000);
    show.world.run(100);
    show.world.links[0].deaf = true;
    let outcome = show.finish();
    assert_eq!((outcome.ending, outcome.confirmed, outcome.missing), (Ending::Complete, Some(false), 0));
}

#[test]
fn finishing_while_the_new_server_thinks_goes_on_at_the_old_if_it_refuses() {
    let mut b = Server::new("b");
    b.on_publish = OnPublish::Hang;
    let mut show = Show::standard(vec![Server::new("a"), b]);
    show.play(4000);
    show.world.tell("a", Some("b"));
    show.play(2400);
    let outcome = show.finish();
    assert_eq!((outcome.ending, outcome.confirmed, outcome.missing), (Ending::Complete, Some(true), 0));
    show.assert_exact();
    assert!(show.world.links_of("a")[0].unpublished);
    assert_eq!(show.world.records[0].result, HandoverResult::Ended);
}

#[test]
fn a_server_that_cuts_with_a_last_word_is_left_with_proof() {
    let mut show = Show::standard(vec![Server::new("a"), Server::new("b")]);
    show.play(4400);
    show.world.cut("a");
    show.world.server("a").fault = Some(Fault::DialRefused);
    show.world.run(10);
    show.play(2000);
    show.world.server("a").fault = None;
    show.play(6000);
    assert_eq!(show.finish().missing, 0);
    show.assert_nothing_missing();
    let record = &show.world.records[0];
    assert_eq!((record.cause, record.confirmed, record.missing), (Some(Cause::Crash), Some(true), Some(0)));
    assert!(record.overlap.unwrap() > 0, "from the keyframe before");
}

/// What a server's log has of a stream whose legs came one after the other.
fn logged(links: &[&Link]) -> Vec<MediaMessage> {
    let mut log = Stream::new(log::Config::default(), [1; 16]);
    for (n, link) in links.iter().enumerate() {
        let conn = log::ConnId(n as u64);
        log.publish(Request { conn, principal: "key".into(), segue: true }, at(0));
        link.headers.iter().for_each(|header| log.leg_header(conn, *header, at(0)));
        link.got.iter().for_each(|message| log.append(conn, message.clone(), at(0)));
        log.end(conn, LegEnd::Lost, at(0));
    }
    let mut cursor = log.start(Start::Oldest);
    let mut all = Vec::new();
    while let Read::Entry(entry) = log.read(&mut cursor) {
        all.push(entry.message.clone());
    }
    all
}

/// A show in the midst of a move to b: a hears nothing of its last 600 ms before the boundary.
fn leaving_a_deaf_server(on_publish: OnPublish) -> Show {
    let mut b = Server::new("b");
    b.on_publish = on_publish;
    let mut show = Show::standard(vec![Server::new("a"), b]);
    show.play(3400);
    show.world.tell("a", Some("b"));
    show.world.links[0].deaf = true;
    show.play(800);
    assert!(!show.world.links_of("b").is_empty());
    show
}

/// Both connections are lost, the new one first, and the stream comes to the new server again: that one has the boundary,
/// and drops what lies before it, though it acknowledges it.
#[test]
fn what_a_server_takes_no_more_as_a_later_leg_began_there_is_counted() {
    for on_publish in [OnPublish::Hang, OnPublish::Start] {
        let mut show = leaving_a_deaf_server(on_publish);
        let boundary = show.world.links_of("b")[0].headers[0].position.index;
        let heard = show.world.links[0].media().len() as u64;
        show.world.kill("b", Closed::Reset);
        show.world.kill("a", Closed::Reset);
        show.world.server("a").fault = Some(Fault::DialRefused);
        show.world.server("b").on_publish = OnPublish::Start;
        show.play(6000);
        let outcome = show.finish();
        assert_eq!((&outcome.ending, outcome.confirmed), (&Ending::Complete, Some(true)));
        let at_b = show.world.links_of("b");
        assert!(at_b.last().unwrap().headers[0].position.index < heard, "all that is missing is sent");
        let kept = heard + logged(&at_b).len() as u64;
        let lost = show.source.sent.len() as u64 - kept;
        assert_eq!(lost, boundary - heard);
        // What a heard last is not acknowledged: half a second of 50 messages a second.
        assert!((lost..=lost + 27).contains(&outcome.missing), "{lost} lost, {} counted", outcome.missing);
        let said = show.world.records.iter().filter_map(|record| record.missing).max();
        assert_eq!(said, Some(outcome.missing));
    }
}

/// A server that refused the stream has nothing of it, and one where earlier legs alone began takes what comes next.
#[test]
fn where_no_later_leg_began_all_is_taken() {
    for (on_publish, dead) in
        [(OnPublish::Refuse("NetStream.Publish.Denied", "no"), "a"), (OnPublish::Hang, "b")]
    {
        let mut show = leaving_a_deaf_server(on_publish);
        show.world.server(dead).fault = Some(Fault::DialRefused);
        show.world.kill("b", Closed::Reset);
        show.world.kill("a", Closed::Reset);
        show.world.server("b").on_publish = OnPublish::Start;
        show.play(6000);
        let outcome = show.finish();
        assert_eq!((outcome.confirmed, outcome.missing), (Some(true), 0), "{dead} is dead");
        show.assert_nothing_missing();
    }
}

/// A small generator for the choices of the test below.
struct Choices(u64);

impl Choices {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Servers are told to go, die, refuse, hang and come back at random. Each connection's media is one run of the source;
/// nothing is missing anywhere that is not counted.
#[test]
fn whatever_servers_do_loss_is_counted_and_legs_are_whole() {
    for seed in 0..24 {
        let mut choices = Choices(seed);
        let hosts = ["a", "b", "c"];
        let mut show = Show::standard(hosts.iter().map(|host| Server::new(host)).collect());
        show.world.latency = choices.below(60);
        show.source.gop = 10 + choices.below(60) as u32;
        show.play(2000);
        for _ in 0..20 {
            let host = hosts[choices.below(3) as usize];
            match choices.below(8) {
                0..=3 => {
                    let to = hosts[choices.below(3) as usize];
                    for from in hosts.iter().filter(|from| **from != to) {
                        show.world.tell(from, Some(to));
                    }
                }
                4 => show.world.kill(host, Closed::Reset),
                5 => show.world.cut(host),
                6 => show.world.server(host).on_publish = OnPublish::Refuse("NetStream.Publish.Denied", "no"),
                _ => show.world.server(host).fault = Some(Fault::ConnectReset),
            }
            show.play(40 * choices.below(100));
            for host in hosts {
                show.world.server(host).fault = None;
                show.world.server(host).on_publish = OnPublish::Start;
            }
        }
        show.play(2000);
        let outcome = show.finish();
        assert_eq!((&outcome.ending, outcome.confirmed), (&Ending::Complete, Some(true)), "seed {seed}");
        for link in show.world.links.iter().filter(|link| link.accepted) {
            let start = link.headers[0].position.index as usize;
            let media = link.media();
            assert_eq!(media, show.source.sent[start..start + media.len()], "seed {seed}");
        }
        let all = by_index(&show.world.links.iter().filter(|link| link.accepted).collect::<Vec<_>>());
        let missing = (show.source.sent.len() - all.len()) as u64;
        assert!(missing <= outcome.missing, "seed {seed}: {missing} missing, {} counted", outcome.missing);
    }
}

#[test]
fn back_and_forth_forty_times_loses_and_repeats_nothing() {
    let mut show = Show::standard(vec![Server::new("a"), Server::new("b")]);
    show.source.gop = 25;
    show.play(2000);
    for n in 0..40 {
        let (from, to) = if n % 2 == 0 { ("a", "b") } else { ("b", "a") };
        show.world.tell(from, Some(to));
        show.play(2000);
    }
    let outcome = show.finish();
    assert_eq!((outcome.confirmed, outcome.missing), (Some(true), 0));
    show.assert_exact();
    assert_eq!(show.world.records.len(), 40);
    assert!(
        show.world.records.iter().all(|record| record.confirmed == Some(true) && record.missing == Some(0))
    );
    assert_eq!(show.world.links.last().unwrap().headers[0].leg, 41);
}

#[test]
fn one_seed_gives_one_run() {
    let run = || {
        let mut show = Show::standard(vec![Server::new("a")]);
        show.play(3000);
        show.world.kill("a", Closed::Reset);
        show.world.server("a").fault = Some(Fault::DialRefused);
        show.play(10_000);
        show.world.dials
    };
    assert_eq!(run(), run());
    assert!(run().len() > 4);
}
