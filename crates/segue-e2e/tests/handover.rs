//! The hand-over at random moments, with ffmpeg as the source: many publishers at once, each at a moment of its own
//! within its GOP, drained from A to B in both dialects. Every recording and every viewer holds the source exactly once.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use segue_e2e::bench::{Bench, at};
use segue_e2e::haproxy::{Backend, Haproxy};
use segue_e2e::ledger::{assert_exact, assert_verified, assert_watched, confirm};
use segue_e2e::process::Proc;
use segue_e2e::segue::{SHORT, Server, command};
use segue_e2e::source::{Clip, Kind, Publish, decodes_silently};

/// Long enough for a start, a random moment, a whole GOP and an end, in seconds.
const CLIP: u32 = 9;
const TO_THE_END: Duration = Duration::from_secs(40);
/// The publishers of a round start within this: one GOP, so that a drain meets each elsewhere in its own.
const SPREAD: Duration = Duration::from_secs(2);
/// The last publisher runs for at least this long before the drain.
const BEFORE: Duration = Duration::from_millis(1500);

/// How the publishers of a round reach the servers, and what they announce.
struct Way<'a> {
    dialect: &'a str,
    signal: &'a str,
    url: &'a dyn Fn(&str) -> String,
    drain: &'a [&'a str],
}

/// One round: all `kinds` publish to `from`, which is drained while they do. Two in three have a viewer throughout.
fn round(bench: &Bench, name: &str, kinds: &[Kind], from: &Server, to: &Server, way: &Way) {
    let mut rng = bench.rng();
    let started = Instant::now();
    let mut delays: Vec<Duration> = kinds.iter().map(|_| SPREAD.mul_f32(rng.f32())).collect();
    delays.sort();
    println!("{name}: starts after {delays:?}");
    let mut running = Vec::new();
    for (n, (kind, delay)) in kinds.iter().zip(&delays).enumerate() {
        let stream = format!("live/{name}-{n}");
        let url = (way.url)(&stream);
        let view = (n % 3 != 0).then(|| {
            let out = bench.path(&format!("{name}-{n}.view.flv"));
            let view = command(["play", &url, "--announce", way.dialect, "-o", out.to_str().unwrap()]);
            (Proc::start(bench, &format!("view-{name}-{n}"), view), out)
        });
        let clip = Clip::make(*kind, CLIP);
        at(started + *delay);
        let args = ["--announce", way.dialect];
        let publish = Publish::live(bench, &format!("pub-{name}-{n}"), &clip, &url, &args);
        running.push((stream, publish, view));
    }
    at(Instant::now() + BEFORE);
    let drain = from.drain(bench, &format!("drain-{name}"), way.drain, TO_THE_END);
    assert_eq!(drain.code, 0, "{drain:?}");
    for (stream, publish, view) in &mut running {
        let records = publish.succeeds(TO_THE_END);
        let [record] = records.as_slice() else { panic!("{stream}: one hand-over: {records:?}") };
        assert_eq!(record["result"], "moved", "{stream}: {record}");
        assert_eq!(record["signal"], way.signal, "{stream}: {record}");
        assert_eq!(record["missing"], 0, "{stream}: {record}");
        assert_eq!(record["overlap"], 0, "{stream}: {record}");
        assert_eq!(record["confirmed"], true, "{stream}: {record}");
        assert!(
            drain.stdout.contains(&segue_e2e::segue::stream_id(stream)),
            "{stream} has its line: {drain:?}"
        );
        if let Some((view, _)) = view {
            view.succeeds(SHORT);
        }
    }
    for (stream, publish, view) in &running {
        let (old, new) = (from.recordings(stream), to.recordings(stream));
        assert_eq!((old.len(), new.len()), (1, 1), "{stream}: one leg on each server");
        let legs: Vec<PathBuf> = [old, new].concat();
        assert_exact(bench, &publish.sent, &legs);
        if let Some((_, out)) = view {
            assert_watched(bench, &publish.sent, out);
            decodes_silently(bench, out);
        }
    }
}

/// Ten moments there, ten moments back.
#[test]
fn twenty_random_moments_by_reconnect_request() {
    let bench = Bench::new("reconnect");
    let (a, b) = (Server::start(&bench, "a"), Server::start(&bench, "b"));
    for (name, from, to) in [("there", &a, &b), ("back", &b, &a)] {
        let target = to.base();
        let drain = ["--to", target.as_str(), "--settle", "0"];
        let url = |stream: &str| from.url(stream);
        let way = Way { dialect: "reconnect", signal: "reconnect-request", url: &url, drain: &drain };
        round(&bench, name, &[Kind::Av; 10], from, to, &way);
        from.undrain(&bench);
    }
}

#[test]
fn b_frames_audio_only_and_video_only_by_reconnect_request() {
    let bench = Bench::new("reconnect-kinds");
    let (a, b) = (Server::start(&bench, "a"), Server::start(&bench, "b"));
    let target = b.base();
    let drain = ["--to", target.as_str(), "--settle", "0"];
    let url = |stream: &str| a.url(stream);
    let way = Way { dialect: "reconnect", signal: "reconnect-request", url: &url, drain: &drain };
    round(&bench, "kinds", &kinds(), &a, &b, &way);
}

fn kinds() -> Vec<Kind> {
    [Kind::BFrames, Kind::AudioOnly, Kind::VideoOnly].repeat(3)
}

/// A, B and HAProxy in front of them: A while it is ready, else B.
fn behind_haproxy(bench: &Bench) -> (Server, Server, Haproxy) {
    let (a, b) = (Server::start(bench, "a"), Server::start(bench, "b"));
    let backend = |s: &Server| Backend { rtmp: s.rtmp, http: s.http };
    let haproxy = Haproxy::start(bench, "haproxy", backend(&a), backend(&b));
    haproxy.wait_sees("first", "UP");
    haproxy.wait_sees("second", "UP");
    (a, b, haproxy)
}

#[test]
fn twenty_random_moments_by_go_away_through_haproxy() {
    let bench = Bench::new("go-away");
    let (a, b, haproxy) = behind_haproxy(&bench);
    let url = |stream: &str| haproxy.url(stream);
    let way = Way { dialect: "go-away", signal: "go-away", url: &url, drain: &["--settle", "1"] };
    for name in ["first", "second"] {
        round(&bench, name, &[Kind::Av; 10], &a, &b, &way);
        a.undrain(&bench);
        haproxy.wait_sees("first", "UP");
    }
}

#[test]
fn b_frames_audio_only_and_video_only_by_go_away_through_haproxy() {
    let bench = Bench::new("go-away-kinds");
    let (a, b, haproxy) = behind_haproxy(&bench);
    let url = |stream: &str| haproxy.url(stream);
    let way = Way { dialect: "go-away", signal: "go-away", url: &url, drain: &["--settle", "1"] };
    round(&bench, "kinds", &kinds(), &a, &b, &way);
}

/// H2: where there is no keyframe to wait for, the next audio frame is a boundary.
#[test]
fn h02_audio_only_moves_within_a_second() {
    let bench = Bench::new("h02");
    let (a, b) = (Server::start(&bench, "a"), Server::start(&bench, "b"));
    let stream = "live/radio";
    let clip = Clip::make(Kind::AudioOnly, CLIP);
    let mut publish = Publish::live(&bench, "pub", &clip, &a.url(stream), &["--announce", "reconnect"]);
    a.wait_recorded(stream, 60, SHORT);
    let told = Instant::now();
    let drain = a.drain(&bench, "drain", &["--to", &b.base(), "--settle", "0"], TO_THE_END);
    let took = told.elapsed();
    assert_eq!(drain.code, 0, "{drain:?}");
    assert!(took <= Duration::from_secs(1), "{took:?}");
    publish.succeeds(TO_THE_END);
    assert_exact(&bench, &publish.sent, &[a.recordings(stream), b.recordings(stream)].concat());
}

/// H13: with B-frames the cut is in decode order, and composition offsets survive: the payloads say so byte for byte,
/// and a decoder that joins both legs shows every picture.
#[test]
fn h13_b_frames_are_cut_in_decode_order() {
    let bench = Bench::new("h13");
    let (a, b) = (Server::start(&bench, "a"), Server::start(&bench, "b"));
    let stream = "live/film";
    let clip = Clip::make(Kind::BFrames, CLIP);
    let out = bench.path("view.flv");
    let view = command(["play", &a.url(stream), "-o", out.to_str().unwrap()]);
    let mut view = Proc::start(&bench, "view", view);
    let mut publish = Publish::live(&bench, "pub", &clip, &a.url(stream), &["--announce", "reconnect"]);
    a.wait_recorded(stream, 100, SHORT);
    let drain = a.drain(&bench, "drain", &["--to", &b.base(), "--settle", "0"], TO_THE_END);
    assert_eq!(drain.code, 0, "{drain:?}");
    publish.succeeds(TO_THE_END);
    view.succeeds(SHORT);
    assert_exact(&bench, &publish.sent, &[a.recordings(stream), b.recordings(stream)].concat());
    assert_watched(&bench, &publish.sent, &out);
    decodes_silently(&bench, &out);
}

/// H1: no keyframe comes. The publisher stays until its boundary deadline, then replays from the last keyframe there is.
/// The servers share nothing, so their recordings overlap in one run; a viewer sees nothing of it.
#[test]
fn h01_without_a_keyframe_the_publisher_replays_at_its_deadline() {
    let bench = Bench::new("h01");
    let (a, b) = (Server::start(&bench, "a"), Server::start(&bench, "b"));
    let stream = "live/endless";
    let clip = Clip::make(Kind::OneGop, CLIP);
    let out = bench.path("view.flv");
    let view = command(["play", &a.url(stream), "-o", out.to_str().unwrap()]);
    let mut view = Proc::start(&bench, "view", view);
    let args = ["--announce", "reconnect", "--boundary-deadline", "2"];
    let mut publish = Publish::live(&bench, "pub", &clip, &a.url(stream), &args);
    a.wait_recorded(stream, 60, SHORT);
    let told = Instant::now();
    let drain = a.drain(&bench, "drain", &["--to", &b.base(), "--settle", "0"], TO_THE_END);
    let took = told.elapsed();
    assert_eq!(drain.code, 0, "{drain:?}");
    assert!(took >= Duration::from_millis(1900) && took < Duration::from_secs(5), "{took:?}");
    let records = publish.succeeds(TO_THE_END);
    assert_eq!(records.len(), 1, "{records:?}");
    view.succeeds(SHORT);
    let legs: Vec<PathBuf> = [a.recordings(stream), b.recordings(stream)].concat();
    assert_eq!(legs.len(), 2, "{legs:?}");
    let verdict = assert_verified(&bench, &publish.sent, &legs, &["--whole"]);
    assert!(verdict.count("overlap") > 0, "{verdict:?}");
    assert_eq!(records[0]["overlap"], verdict.count("overlap"), "{records:?}");
    confirm(&bench, &publish.sent, &legs, &["--whole"]);
    assert_watched(&bench, &publish.sent, &out);
    decodes_silently(&bench, &out);
}
