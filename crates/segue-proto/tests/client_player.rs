//! The player against scripted servers under virtual time: every message once, in order, whatever servers do.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Fault, SEED, Server, Source, World, at, url};
use segue_proto::MediaMessage;
use segue_proto::client::{Closed, Ending, Outcome, Player, PlayerConfig, RedirectPolicy};
use segue_proto::handover::record::{Cause, HandoverResult, Signal};
use segue_proto::session::Resume;

struct Watch {
    world: World<Player>,
    source: Source,
}

fn config() -> PlayerConfig {
    PlayerConfig { redirect: RedirectPolicy::Any, ..PlayerConfig::new(url("a")) }
}

impl Watch {
    fn new(config: PlayerConfig, servers: Vec<Server>) -> Self {
        let mut world = World::new(Player::new(config, SEED, at(0)), servers);
        world.settle();
        Self { world, source: Source::new() }
    }

    /// `ms` milliseconds of the show, delivered by these servers.
    fn play(&mut self, ms: u64, hosts: &[&str]) {
        for _ in 0..ms / 40 {
            let messages = self.source.tick();
            for host in hosts {
                let first = self.source.sent.len() - messages.len();
                let server = self.world.server(host);
                if server.stream.is_none() {
                    server.first_index = first as u64;
                }
                server.stream.get_or_insert_default().extend(messages.iter().cloned());
            }
            self.world.run(40);
        }
    }

    /// The media that came out.
    fn media(&self) -> Vec<MediaMessage> {
        self.world.media.iter().filter(|message| message.info().is_media()).cloned().collect()
    }

    /// The source came out in one contiguous run, to its end.
    fn assert_contiguous(&self) {
        let media = self.media();
        assert!(media.len() > 100, "{}", media.len());
        let start = self.source.sent.len() - media.len();
        assert_eq!(media, self.source.sent[start..]);
    }

    fn end(&mut self, host: &str) -> Outcome {
        self.world.end_plays(host, true);
        self.world.run_until_finished(40_000)
    }
}

#[test]
fn plays_to_the_end() {
    let mut watch = Watch::new(config(), vec![Server::new("a")]);
    watch.play(5000, &["a"]);
    let outcome = watch.end("a");
    assert_eq!((outcome.ending, outcome.missing), (Ending::Complete, 0));
    watch.assert_contiguous();
    assert!(watch.world.records.is_empty());
}

#[test]
fn a_stream_that_is_not_there_yet_is_waited_for() {
    let mut watch = Watch::new(config(), vec![Server::new("a")]);
    watch.world.run(9000);
    watch.play(5000, &["a"]);
    assert_eq!(watch.end("a").ending, Ending::Complete);
    watch.assert_contiguous();

    let mut watch = Watch::new(config(), vec![Server::new("a")]);
    let outcome = watch.world.run_until_finished(10_001);
    assert_eq!(outcome.ending, Ending::Failed("the stream is not there".into()));
    assert_eq!(watch.world.ms, 10_000);

    let mut watch = Watch::new(config(), vec![]);
    let outcome = watch.world.run_until_finished(1000);
    assert_eq!(outcome.ending, Ending::Failed("connection refused".into()));
}

#[test]
fn a_play_that_is_refused_is_asked_for_again() {
    let mut watch = Watch::new(config(), vec![Server::new("a")]);
    for _ in 0..3 {
        watch.world.run(1000);
        watch.world.refuse_parked("a");
    }
    watch.play(8000, &["a"]);
    assert_eq!(watch.end("a").ending, Ending::Complete);
    watch.assert_contiguous();
    assert_eq!(watch.world.links.len(), 1, "on the same connection");
}

/// The publisher moves from a to b at a keyframe, `lead` ms after the viewer was told.
fn moved(servers: Vec<Server>, lead: u64) -> Watch {
    let mut watch = Watch::new(config(), servers);
    watch.play(8000 - lead, &["a"]);
    assert_eq!(watch.world.tell("a", Some("b")).len(), 1);
    watch.play(lead, &["a"]);
    watch.play(4000, &["b"]);
    watch
}

#[test]
fn h28_told_to_go_it_follows_its_publisher_by_index() {
    for lead in [0, 40, 400, 1000, 4000] {
        let mut watch = moved(vec![Server::new("a"), Server::new("b")], lead);
        watch.world.end_plays("a", false);
        watch.play(2000, &["b"]);
        let outcome = watch.end("b");
        assert_eq!((outcome.ending, outcome.missing), (Ending::Complete, 0), "{lead}");
        watch.assert_contiguous();
        let record = &watch.world.records[0];
        assert_eq!(watch.world.records.len(), 1);
        assert_eq!((record.cause, record.signal), (Some(Cause::Drain), Signal::ReconnectRequest));
        assert_eq!((record.from.as_deref(), record.to.as_deref()), (Some("a:1935"), Some("b:1935")));
        assert_eq!((record.result, record.missing), (HandoverResult::Moved, Some(0)));
        assert_eq!((record.new_first_ts, record.old_last_ts), (Some(8000), Some(7960)));
        assert!(watch.world.links_of("a")[0].client_closed);
    }
}

#[test]
fn h28_it_names_the_next_message_it_lacks() {
    let mut watch = Watch::new(config(), vec![Server::new("a"), Server::new("b")]);
    watch.play(4000, &["a", "b"]);
    watch.world.tell("a", Some("b"));
    watch.play(3000, &["a", "b"]);
    assert!(!watch.world.links_of("a")[0].play_stopped, "the new server may yet come to nothing");
    watch.play(3000, &["a", "b"]);
    assert!(watch.world.links_of("a")[0].play_stopped, "it is proven");
    let link = watch.world.links_of("b")[0];
    let Resume { index, .. } = link.resume.unwrap();
    assert!((195..=205).contains(&index), "{index}");
    assert_eq!(watch.end("b").missing, 0);
    watch.assert_contiguous();
    assert!(watch.world.records[0].overlap.unwrap() > 0, "from the keyframe before");
}

#[test]
fn h28_without_segue_legs_are_aligned() {
    let mut watch = Watch::new(config(), vec![Server::foreign("a"), Server::foreign("b")]);
    watch.play(5000, &["a", "b"]);
    watch.world.tell("a", Some("b"));
    watch.play(3000, &["a", "b"]);
    assert!(watch.world.links_of("a")[0].play_stopped, "it has left");
    assert_eq!(watch.end("b").ending, Ending::Complete);
    watch.assert_contiguous();
}

#[test]
fn h28_without_segue_a_leg_that_follows_waits_for_the_old_ones_end() {
    let mut watch = moved(vec![Server::foreign("a"), Server::foreign("b")], 1000);
    assert_eq!(watch.media().last(), watch.source.sent.get(399), "the old one may have more");
    watch.world.end_plays("a", false);
    watch.play(1000, &["b"]);
    assert_eq!(watch.end("b").ending, Ending::Complete);
    watch.assert_contiguous();
    assert_eq!(watch.world.records[0].missing, None, "nobody knows");
}

#[test]
fn h28_while_the_new_server_has_nothing_it_stays() {
    let mut watch = Watch::new(config(), vec![Server::new("a"), Server::new("b")]);
    watch.play(4000, &["a"]);
    watch.world.tell("a", Some("b"));
    for _ in 0..8 {
        watch.play(6000, &["a"]);
        watch.world.refuse_parked("b");
    }
    watch.assert_contiguous();
    watch.play(4000, &["b"]);
    assert_eq!(watch.end("b").missing, 0);
    watch.assert_contiguous();
}

#[test]
fn h03_a_new_server_that_fails_leaves_the_old_one_playing() {
    for fault in [
        Fault::DialRefused,
        Fault::DialHangs,
        Fault::HandshakeHangs,
        Fault::ConnectReset,
        Fault::ConnectRejected,
    ] {
        let mut b = Server::new("b");
        b.fault = Some(fault);
        let mut watch = Watch::new(config(), vec![Server::new("a"), b]);
        watch.play(4000, &["a", "b"]);
        watch.world.server("a").draining = true;
        watch.world.tell("a", Some("b"));
        watch.play(6000, &["a", "b"]);
        watch.world.server("b").fault = None;
        watch.play(16_000, &["a", "b"]);
        assert_eq!(watch.world.records.len(), 1, "{fault:?}");
        assert_eq!(watch.end("b").missing, 0, "{fault:?}");
        watch.assert_contiguous();
    }
}

#[test]
fn h04_a_server_that_dies_is_looked_for_and_nothing_is_lost() {
    let mut watch = Watch::new(config(), vec![Server::new("a")]);
    watch.play(5000, &["a"]);
    watch.world.kill("a", Closed::Reset);
    watch.world.server("a").fault = Some(Fault::DialRefused);
    watch.play(4000, &["a"]);
    watch.world.server("a").fault = None;
    watch.play(6000, &["a"]);
    assert_eq!(watch.end("a").missing, 0);
    watch.assert_contiguous();
    let record = &watch.world.records[0];
    assert_eq!((record.cause, record.signal, record.missing), (Some(Cause::Crash), Signal::None, Some(0)));
}

/// A small generator for the choices of the tests below.
struct Choices(u64);

impl Choices {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Three servers that all have the stream are told to go, die, refuse and come back at random.
fn random_show(seed: u64, server: fn(&'static str) -> Server) -> Watch {
    let mut choices = Choices(seed);
    let hosts = ["a", "b", "c"];
    let mut watch = Watch::new(config(), hosts.iter().map(|host| server(host)).collect());
    watch.world.latency = choices.below(60);
    watch.source.gop = 10 + choices.below(60) as u32;
    watch.play(4000, &hosts);
    for _ in 0..20 {
        let host = hosts[choices.below(3) as usize];
        match choices.below(6) {
            0..=3 => {
                let to = hosts[choices.below(3) as usize];
                for from in hosts.iter().filter(|from| **from != to) {
                    watch.world.tell(from, Some(to));
                }
            }
            4 => watch.world.kill(host, Closed::Reset),
            _ => watch.world.server(host).fault = Some(Fault::ConnectReset),
        }
        watch.play(40 * choices.below(100), &hosts);
        for host in hosts {
            watch.world.server(host).fault = None;
        }
    }
    watch.play(16_000, &hosts);
    assert_eq!(watch.world.outcome, None, "seed {seed}");
    watch
}

#[test]
fn whatever_servers_do_an_indexed_stream_is_whole() {
    for seed in 0..24 {
        let watch = random_show(seed, Server::new);
        assert_eq!(watch.world.machine.missing(), 0, "seed {seed}");
        let (media, sent) = (watch.media(), &watch.source.sent);
        let start = sent.iter().position(|message| message == &media[0]).unwrap();
        assert_eq!(media, sent[start..start + media.len()], "seed {seed}");
        assert!(start + media.len() + 20 > sent.len(), "seed {seed}: it is live again");
    }
}

#[test]
fn whatever_servers_do_an_aligned_stream_repeats_and_reorders_nothing() {
    for seed in 0..24 {
        let watch = random_show(seed, Server::foreign);
        let (media, sent) = (watch.media(), &watch.source.sent);
        let mut rest = sent.iter();
        for message in &media {
            assert!(rest.any(|sent| sent == message), "seed {seed}: {message:?} again, or too late");
        }
        assert!(rest.len() < 20, "seed {seed}: it is live again");
    }
}

#[test]
fn h04_what_the_next_server_never_had_is_counted() {
    let mut watch = Watch::new(config(), vec![Server::new("a")]);
    watch.play(5000, &["a"]);
    watch.world.kill("a", Closed::Eof);
    watch.world.server("a").stream = None;
    watch.play(1000, &[]);
    watch.play(6000, &["a"]);
    let outcome = watch.end("a");
    assert_eq!(outcome.ending, Ending::Complete);
    let came = watch.media().len() as u64;
    let skipped = watch.source.sent.len() as u64 - came;
    assert!(skipped >= 50);
    assert_eq!((outcome.missing, watch.world.records[0].missing), (skipped, Some(skipped)));
}

#[test]
fn a_server_that_does_not_come_back_ends_the_play_after_fifteen_seconds() {
    let mut watch = Watch::new(config(), vec![Server::new("a")]);
    watch.play(5000, &["a"]);
    watch.world.kill("a", Closed::Reset);
    watch.world.server("a").fault = Some(Fault::DialRefused);
    let outcome = watch.world.run_until_finished(15_001);
    assert_eq!(outcome.ending, Ending::Lost("connection refused".into()));
    assert_eq!(watch.world.ms, 20_000);
    assert_eq!(watch.world.records[0].result, HandoverResult::Lost);
}

#[test]
fn a_stream_that_ends_while_its_viewers_are_told_ends_well() {
    let mut watch = Watch::new(config(), vec![Server::new("a"), Server::new("b")]);
    watch.play(5000, &["a"]);
    watch.world.tell("a", Some("b"));
    watch.play(400, &["a"]);
    let outcome = watch.end("a");
    assert_eq!(outcome.ending, Ending::Complete);
    watch.assert_contiguous();
}

#[test]
fn h10_a_draining_server_is_not_moved_to_while_the_old_one_delivers() {
    let mut watch = Watch::new(config(), vec![Server::new("a")]);
    watch.play(4000, &["a"]);
    watch.world.server("a").draining = true;
    watch.world.tell("a", None);
    watch.play(8000, &["a"]);
    assert!(watch.world.dials.len() > 4);
    assert_eq!(watch.world.links.iter().filter(|link| link.resume.is_some()).count(), 0);
    watch.world.server("a").draining = false;
    watch.play(8000, &["a"]);
    assert_eq!(watch.world.records.len(), 1);
    assert_eq!(watch.end("a").missing, 0);
    watch.assert_contiguous();
}

#[test]
fn h08_a_redirect_loop_leaves_the_play_where_it_is() {
    let (mut b, mut c) = (Server::new("b"), Server::new("c"));
    (b.greeting, c.greeting) = (Some("c"), Some("b"));
    let mut watch = Watch::new(config(), vec![Server::new("a"), b, c]);
    watch.play(4000, &["a"]);
    watch.world.server("a").draining = true;
    watch.world.tell("a", Some("b"));
    watch.play(10_000, &["a"]);
    assert!(watch.world.dials.len() < 80, "{}", watch.world.dials.len());
    watch.assert_contiguous();
}

#[test]
fn a_redirect_that_is_not_allowed_counts_as_none() {
    let mut watch = Watch::new(PlayerConfig::new(url("a")), vec![Server::new("a"), Server::new("evil")]);
    watch.play(4000, &["a"]);
    watch.world.tell("a", Some("evil"));
    watch.play(4000, &["a"]);
    assert!(watch.world.dials.iter().all(|(_, host, _)| host == "a"));
    assert!(watch.world.notices.iter().any(|line| line.contains("--redirect evil") && !line.contains("key")));
    watch.assert_contiguous();
}

#[test]
fn stopping_ends_at_once() {
    let mut watch = Watch::new(config(), vec![Server::new("a")]);
    watch.play(5000, &["a"]);
    let now = watch.world.now();
    watch.world.machine.stop(now);
    watch.world.settle();
    assert_eq!(watch.world.outcome.as_ref().unwrap().ending, Ending::Aborted);
}
