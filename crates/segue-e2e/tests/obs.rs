//! OBS 29 of Debian 12, the one encoder in the field that acts on type 32. What it recorded of itself is the reference:
//! its packets, by payload, must be in the servers' recordings, each once and in order.
//!
//! OBS's recording and its stream round timestamps to the millisecond each in its own way. So messages are matched twice:
//! by payload alone, and by `segue verify` against the recording on the stream's clock (`obs::as_streamed`).

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use segue_e2e::bench::{Bench, wait_for};
use segue_e2e::fault_proxy::Network;
use segue_e2e::flv::{self, Tag};
use segue_e2e::haproxy::{Backend, Haproxy};
use segue_e2e::ledger::{FAULTS, verify};
use segue_e2e::obs::{Obs, as_streamed};
use segue_e2e::process::Proc;
use segue_e2e::segue::{Server, command};
use segue_e2e::source::decodes_silently;
use segue_e2e::{FaultProxy, wire};

const KEY: &str = "cam";
const STREAM: &str = "live/cam";
/// OBS makes its clip and starts first.
const UP: Duration = Duration::from_secs(60);
const MOVED: Duration = Duration::from_secs(60);
/// About 3 s of OBS at 30 fps and 48 kHz.
const SOME: usize = 230;
/// Milliseconds.
const ROUNDING: i64 = 2;
/// Milliseconds within which OBS's scene has begun to play.
const STARTING: u32 = 2000;
/// Longer than any test here lets OBS run, in seconds.
const AT_MOST: u32 = 60;

/// A message that was found in OBS's recording: its place there and what was added to its timestamp.
struct Found {
    place: usize,
    added: i64,
}

/// Finds all media of `received` in `sent`, by kind and payload. The stream may start and end a little before or after
/// the recording: what `sent` does not hold is allowed at both ends of a track only.
fn find(sent: &[Tag], received: &[Tag], kind: u8) -> Vec<Found> {
    let media =
        |tags: &[Tag]| tags.iter().filter(|t| t.kind == kind && t.is_media()).cloned().collect::<Vec<_>>();
    let (sent, received) = (media(sent), media(received));
    let places: BTreeMap<&[u8], usize> =
        sent.iter().enumerate().map(|(n, tag)| (tag.body.as_slice(), n)).collect();
    let all: Vec<Option<Found>> = received
        .iter()
        .map(|tag| {
            let place = *places.get(tag.body.as_slice())?;
            Some(Found { place, added: i64::from(tag.timestamp) - i64::from(sent[place].timestamp) })
        })
        .collect();
    let first = all.iter().position(Option::is_some).expect("something of OBS's recording was received");
    let last = all.iter().rposition(Option::is_some).unwrap();
    let strange = all[first..=last].iter().filter(|found| found.is_none()).count();
    assert_eq!(strange, 0, "kind {kind}: messages that OBS did not record, between ones that it did");
    all.into_iter().flatten().collect()
}

/// Each message once, in order, none left out between the first and the last.
fn assert_contiguous(found: &[Found], what: &str) {
    for pair in found.windows(2) {
        assert_eq!(pair[1].place, pair[0].place + 1, "{what}: from place {} on", pair[0].place);
    }
    assert!(found.len() > SOME / 3, "{what}: {} messages", found.len());
}

fn read(files: &[PathBuf]) -> Vec<Tag> {
    files.iter().flat_map(|path| flv::read(path)).collect()
}

/// OBS's own recording, from where its payloads can be told apart: until the scene's clip plays there is silence, whose
/// packets are alike. Of the rest 99 % must be distinct.
fn reference(recording: &Path) -> Vec<Tag> {
    let tags = flv::read(recording);
    let mut seen = BTreeSet::new();
    let early = |tag: &Tag| tag.timestamp < STARTING && tag.is_media();
    let repeats = tags.iter().rposition(|tag| early(tag) && !seen.insert(tag.body.as_slice()));
    let tags = tags[repeats.map_or(0, |n| n + 1)..].to_vec();
    let media: Vec<&[u8]> = tags.iter().filter(|t| t.is_media()).map(|t| t.body.as_slice()).collect();
    let different = media.iter().collect::<BTreeSet<_>>().len();
    assert!(media.len() > 2 * SOME && different * 100 >= media.len() * 99, "{different} of {}", media.len());
    tags
}

/// How many messages of a track were received before the first of `sent` or after its last.
fn outside(sent: &[Tag], received: &[Tag], kind: u8) -> usize {
    let bodies = |tags: &[Tag]| -> Vec<Vec<u8>> {
        tags.iter().filter(|t| t.kind == kind && t.is_media()).map(|t| t.body.clone()).collect()
    };
    let (sent, received) = (bodies(sent), bodies(received));
    let before = received.iter().position(|body| *body == sent[0]).expect("the reference's first message");
    // None: the stream ended before the recording did.
    let last = received.iter().rposition(|body| *body == sent[sent.len() - 1]);
    before + last.map_or(0, |last| received.len() - 1 - last)
}

/// The same by `segue verify`: what OBS recorded, timestamps included, up to one constant for each leg. What was received
/// and never recorded is what OBS streamed before or after it recorded: nothing of it may lie in between.
fn assert_ledger(bench: &Bench, recording: &Path, legs: &[PathBuf]) {
    let first = flv::read(&legs[0]);
    let sent = as_streamed(&flv::read(recording), &first);
    let reference = bench.path("obs-streamed.flv");
    flv::write(&reference, &sent);
    let verdict = verify(bench, &reference, legs, &["--offset-per-leg", "--no-overlap"]);
    let received = read(legs);
    let outside: usize = [8, 9].into_iter().map(|kind| outside(&sent, &received, kind)).sum();
    println!("{outside} messages outside of the recording: {:?}", verdict.counts);
    for fault in FAULTS {
        let expected = if fault == "extra" { outside as i64 } else { 0 };
        assert_eq!(verdict.count(fault), expected, "{fault}: {:#?}", verdict.output);
    }
    assert_eq!(verdict.count("overlap"), 0, "{:#?}", verdict.output);
}

/// OBS raced with itself: the scenario says nothing and is played again.
struct Raced;

/// Plays a scenario until OBS does not race with itself; it rarely does, and not so often.
fn play(scenario: impl Fn() -> Result<(), Raced>) {
    const TRIES: usize = 6;
    for n in 1..=TRIES {
        match scenario() {
            Ok(()) => return,
            Err(Raced) => println!("OBS raced with itself, try {n} of {TRIES}"),
        }
    }
    panic!("OBS raced with itself {TRIES} times in a row");
}

/// OBS through HAProxy, on A; A drained; OBS goes on at B.
fn moves_through_haproxy(name: &str, network: Network) -> Result<(), Raced> {
    let bench = Bench::new(name);
    let (mut a, mut b) = (Server::start(&bench, "a"), Server::start(&bench, "b"));
    let backend = |s: &Server| Backend { rtmp: s.rtmp, http: s.http };
    let haproxy = Haproxy::start(&bench, "haproxy", backend(&a), backend(&b));
    haproxy.wait_sees("first", "UP");
    haproxy.wait_sees("second", "UP");
    let proxy = FaultProxy::start(haproxy.addr, network);
    let mut obs = Obs::start(&bench, &format!("rtmp://{}/live", proxy.addr()), KEY, AT_MOST);
    a.wait_recorded(STREAM, SOME, UP);
    let drain = a.drain(&bench, "drain", &["--settle", "1"], MOVED);
    assert_eq!(drain.code, 0, "{drain:?}");
    obs.wait_recorded(&b, STREAM, SOME, MOVED);
    let stopped = obs.stop();
    let down: Vec<Vec<wire::Message>> =
        proxy.connections().iter().map(|c| wire::messages(&c.down().bytes)).collect();
    let told = &down[0];
    let signals = wire::signals(told);
    assert!((1..=2).contains(&signals.len()), "the signal and at most one repeat: {signals:?}");
    assert!(signals.iter().all(|m| m.type_id == 32), "{signals:?}");
    let last = told.iter().position(|m| m.type_id == 32).unwrap();
    assert!(told[last..].iter().all(|m| m.type_id == 32), "nothing else follows the signal: {told:?}");
    assert!(down[1..].iter().all(|messages| wire::signals(messages).is_empty()), "told once: {down:#?}");
    if stopped.raced_with_itself() {
        return Err(Raced);
    }

    wait_for("b has all of the stream", MOVED, || b.stream(STREAM).is_none().then_some(()));
    assert_eq!((a.stop(), b.stop()), (0, 0), "and has written it");
    let sent = reference(&stopped.recording);
    let (old, new) = (a.recordings(STREAM), b.recordings(STREAM));
    assert_eq!((old.len(), new.len()), (1, 1), "{old:?} {new:?}");
    let (old, new) = (flv::read(&old[0]), flv::read(&new[0]));
    assert!(new.iter().find(|tag| tag.kind == 9 && tag.is_media()).unwrap().is_keyframe());
    for kind in [8, 9] {
        let (before, after) = (find(&sent, &old, kind), find(&sent, &new, kind));
        assert_contiguous(&before, "A");
        assert_contiguous(&after, "B");
        let gap = after[0].place as i64 - before[before.len() - 1].place as i64 - 1;
        assert_eq!(gap, 0, "kind {kind}: messages missing between A's recording and B's");
    }
    let legs = [a.recordings(STREAM), b.recordings(STREAM)].concat();
    assert_ledger(&bench, &stopped.recording, &legs);
    Ok(())
}

#[test]
fn obs_moves_through_haproxy() {
    play(|| moves_through_haproxy("obs", Network::default()));
}

/// H5 with OBS: 100 ms away, with an uplink of 1.5 times its 600 and 96 kbit/s.
#[test]
fn h05_obs_on_a_slow_uplink_loses_no_tail() {
    let uplink = Some((600_000 + 96_000) / 8 * 3 / 2);
    let network = || Network { delay: Duration::from_millis(100), uplink, slice: None };
    play(|| moves_through_haproxy("obs-slow", network()));
}

/// OBS on one server: it leaves, comes back with timestamps from 0, and the stream goes on as one timeline, in the
/// recording and at a viewer, with audio and video in step.
#[test]
fn h10_obs_comes_back_to_one_continuous_timeline() {
    play(comes_back);
}

fn comes_back() -> Result<(), Raced> {
    let bench = Bench::new("obs-back");
    let mut server = Server::start(&bench, "a");
    let seen = bench.path("view.flv");
    let view = command(["play", &server.url(STREAM), "-o", seen.to_str().unwrap(), "--wait", "60"]);
    let mut view = Proc::start(&bench, "view", view);
    let proxy = FaultProxy::start(server.rtmp, Network::default());
    let mut obs = Obs::start(&bench, &format!("rtmp://{}/live", proxy.addr()), KEY, AT_MOST);
    server.wait_recorded(STREAM, SOME, UP);
    let drain = server.drain(&bench, "drain", &["--stream", STREAM, "--settle", "0"], MOVED);
    assert_eq!(drain.code, 0, "{drain:?}");
    let before = server.recorded(STREAM);
    obs.wait_recorded(&server, STREAM, before + SOME, MOVED);
    let stopped = obs.stop();
    let viewed = view.wait(Duration::from_secs(30));
    let served = server.stop();
    // Told once, and gone; told again on the connection by which it came back, it would not survive.
    let down: Vec<Vec<wire::Message>> =
        proxy.connections().iter().map(|c| wire::messages(&c.down().bytes)).collect();
    let told: Vec<usize> = down.iter().map(|messages| wire::signals(messages).len()).collect();
    let once = matches!(told[0], 1 | 2) && told[1..].iter().all(|n| *n == 0);
    assert!(once, "signals on each connection: {told:?}\n{down:#?}");
    if stopped.raced_with_itself() {
        return Err(Raced);
    }
    assert_eq!((viewed, served), (0, 0), "{}", view.stderr());
    assert_eq!(told.len(), 2, "it came back once");

    let sent = reference(&stopped.recording);
    let legs = server.recordings(STREAM);
    assert_eq!(legs.len(), 2, "{legs:?}");
    assert_ledger(&bench, &stopped.recording, &legs);
    for (what, received) in [("recordings", read(&legs)), ("viewer", flv::read(&seen))] {
        let mut steps = BTreeMap::new();
        for kind in [8, 9] {
            let found = find(&sent, &received, kind);
            assert_contiguous(&found, what);
            let added: Vec<i64> = found.iter().map(|f| f.added).collect();
            // One constant before the move and one after it: where they change there is the only step.
            let jumps: Vec<i64> =
                added.windows(2).map(|w| w[1] - w[0]).filter(|d| d.abs() > ROUNDING).collect();
            assert!(jumps.len() <= 1, "{what}, kind {kind}: {jumps:?}");
            steps.insert(kind, added[added.len() - 1] - added[0]);
            let times: Vec<u32> =
                received.iter().filter(|t| t.kind == kind && t.is_media()).map(|t| t.timestamp).collect();
            assert!(times.is_sorted(), "{what}, kind {kind}: timestamps go back");
        }
        // The source had no pause: what the splice adds is less than a frame, the same for audio and video.
        assert!(steps.values().all(|step| step.abs() <= 34), "{what}: {steps:?}");
        assert!((steps[&8] - steps[&9]).abs() <= 2 * ROUNDING, "{what}: out of step: {steps:?}");
    }
    decodes_silently(&bench, &seen);
    Ok(())
}
