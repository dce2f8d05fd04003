//! Streams of many tracks (E-RTMP v2, multitrack) from end to end: a synthetic one in all forms that the specification
//! has, and one that FFmpeg 9 writes. Tracks have their keyframes apart; all of them move at video 0's. What came is
//! judged track by track, by `segue verify`, by the bytes of each track, and by FFmpeg 9.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use segue_e2e::bench::{Bench, at, wait_for};
use segue_e2e::books::{Books, Track, assert_begins_well, media};
use segue_e2e::enhanced::{AUDIO, Form, VIDEO};
use segue_e2e::fault_proxy::Network;
use segue_e2e::ffmpeg9::{decodes_without_a_warning, framehash, made, tracks};
use segue_e2e::flv::{self, Tag};
use segue_e2e::ledger::{assert_verified, verify};
use segue_e2e::process::Proc;
use segue_e2e::segue::{SHORT, Server, command};
use segue_e2e::source::{Clip, Publish};
use segue_e2e::tracks::{Headers, synthetic};
use segue_e2e::{FaultProxy, wire};

const STREAM: &str = "live/many";
const TO_THE_END: Duration = Duration::from_secs(40);
/// The stream runs: a little more than a second of all tracks.
const RUNNING: usize = 200;
/// A hand-over waits for a keyframe of video 0, which comes each second, and for what a drain takes beside.
const ONE_MOVE: Duration = Duration::from_secs(15);

/// `segue play`, and where it writes.
fn watch(bench: &Bench, name: &str, url: &str) -> (Proc, PathBuf) {
    let out = bench.path(&format!("{name}.flv"));
    let play = command(["play", url, "-o", out.to_str().unwrap()]);
    (Proc::start(bench, name, play), out)
}

/// How often a viewer has said that it moved.
fn moves(view: &Proc) -> usize {
    view.stderr().matches("the stream moved").count()
}

/// The files, one after the other, as one.
fn joined(files: &[PathBuf]) -> Vec<Tag> {
    files.iter().flat_map(|file| flv::read(file)).collect()
}

/// Asserts that `received` has all of `sent` on every track, exactly once and in order, by `segue verify` and by the
/// bytes themselves; and that messages came as they were, in the source's own order.
fn assert_every_track(bench: &Bench, sent: &Path, received: &[PathBuf]) {
    let flags = ["--whole", "--no-overlap"];
    let verdict = assert_verified(bench, sent, received, &flags);
    assert_eq!((verdict.count("overlap"), verdict.count("absent_tracks")), (0, 0), "{verdict:?}");

    let (source, came) = (flv::read(sent), joined(received));
    let (sent_books, books) = (Books::of(&source), Books::of(&came));
    assert_eq!(books.tracks(), sent_books.tracks());
    for (track, entries) in &sent_books.media {
        let name = name_in_verify(*track);
        let counts = ["sent", "received", "missing"].map(|count| verdict.count(&format!("{count}_{name}")));
        let all = i64::try_from(entries.len()).unwrap();
        assert_eq!(counts, [all, all, 0], "{name}: {verdict:?}");
        let first = entries.iter().zip(&books.media[track]).position(|(sent, came)| sent != came);
        assert_eq!(
            (first, books.media[track].len()),
            (None, entries.len()),
            "{name}: first difference, length"
        );
    }
    assert_eq!(books.forms, sent_books.forms);
    assert!(media(&source) == media(&came), "the messages, byte for byte, in the order of the source");
}

/// How `segue verify` calls a track.
fn name_in_verify((kind, id): Track) -> String {
    let kind = match kind {
        AUDIO => "audio",
        VIDEO => "video",
        other => panic!("tag type {other}"),
    };
    if id == 0 { kind.to_owned() } else { format!("{kind}_{id}") }
}

/// Asserts that a viewer who came late has, from a keyframe of video 0 on, all of every track to the end.
fn assert_joined_late(bench: &Bench, sent: &Path, viewed: &Path) {
    let (source, came) = (flv::read(sent), flv::read(viewed));
    let books = Books::of(&source);
    assert_begins_well(viewed, &came, &books);
    let (source, came) = (media(&source), media(&came));
    assert!(source.ends_with(&came), "{}: {} of {} messages", viewed.display(), came.len(), source.len());
    assert!(came.len() < source.len(), "{}: it was not late", viewed.display());
    assert_verified(bench, sent, &[viewed.to_owned()], &["--no-overlap"]);
}

/// Asserts that FFmpeg 9 finds these tracks in the source, in each of the files, and decodes all of them from the legs
/// put together and from what the viewer has.
fn assert_ffmpeg_reads(bench: &Bench, sent: &Path, legs: &[PathBuf], viewed: &Path, expected: &[&str]) {
    let whole = bench.path("whole.flv");
    let (first, others) = legs.split_first().unwrap();
    let (mut tags, others) = (flv::read(first), joined(others));
    // Headers that come again FFmpeg 9 mixes up: it keeps those of audio 1 and of video 1 in one place.
    tags.extend(media(&others).into_iter().cloned());
    flv::write(&whole, &tags);
    for file in [sent, &whole, viewed].into_iter().chain(legs.iter().map(PathBuf::as_path)) {
        assert_eq!(tracks(bench, file), expected, "{}", file.display());
    }
    for file in [&whole, viewed] {
        decodes_without_a_warning(bench, file);
    }
    for received in [legs, &[viewed.to_owned()]] {
        let second = framehash(bench, sent, received, &["--whole", "--no-overlap"]);
        assert_eq!(second.code, 0, "framehash.py: {second:?}");
    }
}

const SYNTHETIC: [&str; 7] =
    ["video h264", "video hevc", "video h264", "audio aac", "audio opus", "audio opus", "audio flac"];

/// H16: seven tracks, moved again and again at moments that have nothing to do with any keyframe.
#[test]
fn h16_every_track_moves_at_random_moments() {
    const SECONDS: u32 = 16;
    const MOVES: usize = 6;
    let bench = Bench::new("multitrack");
    let mut rng = bench.rng();
    let servers = [Server::start(&bench, "a"), Server::start(&bench, "b")];
    let clip = synthetic(bench.path("many.flv"), SECONDS, Headers::Apart);
    let source = Books::of(&flv::read(&clip.path));
    assert_eq!((source.tracks().len(), source.headers.len()), (SYNTHETIC.len(), SYNTHETIC.len()));

    let (mut view, seen) = watch(&bench, "view", &servers[0].url(STREAM));
    let args = ["--announce", "reconnect"];
    let mut publish = Publish::paced(&bench, "pub", &clip, &servers[0].url(STREAM), &args);
    servers[0].wait_recorded(STREAM, RUNNING, SHORT);
    let mut late: Vec<(Proc, PathBuf)> = Vec::new();
    for n in 0..MOVES {
        let (from, to) = (&servers[n % 2], &servers[(n + 1) % 2]);
        let moment = Duration::from_millis(rng.u64(0..1000));
        println!("move {n}: {moment:?} after the one before");
        at(Instant::now() + moment);
        if n % 3 == 1 {
            let (view, seen) = watch(&bench, &format!("late-{n}"), &from.url(STREAM));
            wait_for("a late viewer has something", SHORT, || (!flv::read(&seen).is_empty()).then_some(()));
            late.push((view, seen));
        }
        let moved =
            [&view].into_iter().chain(late.iter().map(|(view, _)| view)).map(moves).collect::<Vec<_>>();
        let drain =
            from.drain(&bench, &format!("drain-{n}"), &["--to", &to.base(), "--settle", "0"], ONE_MOVE);
        assert_eq!(drain.code, 0, "move {n}: {drain:?}");
        from.undrain(&bench);
        // A server that drains takes no viewers: who is still on the way to it has to arrive first.
        wait_for("the viewers arrive", SHORT, || {
            let now = [&view].into_iter().chain(late.iter().map(|(view, _)| view)).map(moves);
            now.zip(&moved).all(|(now, before)| now > *before).then_some(())
        });
    }
    assert!(publish.proc.ended().is_none(), "the clip is too short for {MOVES} moves");
    let records = publish.succeeds(TO_THE_END);
    assert_eq!(records.len(), MOVES, "{records:?}");
    for record in &records {
        assert_eq!((&record["result"], &record["missing"]), (&"moved".into(), &0.into()), "{record}");
        assert_eq!((&record["overlap"], &record["confirmed"]), (&0.into(), &true.into()), "{record}");
    }
    view.succeeds(SHORT);

    let mut legs: Vec<PathBuf> = servers.iter().flat_map(|server| server.recordings(STREAM)).collect();
    legs.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
    assert_eq!(legs.len(), MOVES + 1, "{legs:?}");
    for leg in &legs {
        let tags = flv::read(leg);
        assert_begins_well(leg, &tags, &source);
        let forms = Books::of(&tags).forms;
        for form in [Form::Clear, Form::OneTrack, Form::ManyTracks, Form::ManyCodecs] {
            assert!(forms.contains_key(&form), "{}: {form:?} of {forms:?}", leg.display());
        }
    }
    assert_every_track(&bench, &publish.sent, &legs);
    assert_begins_well(&seen, &flv::read(&seen), &source);
    assert_every_track(&bench, &publish.sent, std::slice::from_ref(&seen));
    for (view, seen) in &mut late {
        view.succeeds(SHORT);
        assert_joined_late(&bench, &publish.sent, seen);
    }
    assert_ffmpeg_reads(&bench, &publish.sent, &legs, &seen, &SYNTHETIC);
}

/// The other dialect, and a client that is no Segue: it comes back to the same server, and where its new leg begins is
/// found by what it sends. A viewer is looked at on the wire.
#[test]
fn h16_every_track_survives_a_go_away() {
    let bench = Bench::new("multitrack-go-away");
    let mut a = Server::start(&bench, "a");
    let proxy = FaultProxy::start(a.rtmp, Network::default());
    let clip = synthetic(bench.path("many.flv"), 6, Headers::Shared);
    let (mut view, seen) = watch(&bench, "view", &proxy.url(STREAM));
    let args = ["--announce", "go-away", "--plain"];
    let mut publish = Publish::paced(&bench, "pub", &clip, &a.url(STREAM), &args);
    a.wait_recorded(STREAM, RUNNING, SHORT);
    let drain = a.drain(&bench, "drain", &["--stream", STREAM, "--settle", "0"], TO_THE_END);
    assert_eq!(drain.code, 0, "{drain:?}");
    publish.succeeds(TO_THE_END);
    view.succeeds(SHORT);
    assert_eq!(a.stop(), 0);

    let legs = a.recordings(STREAM);
    assert_eq!(legs.len(), 2, "{legs:?}");
    let source = flv::read(&publish.sent);
    for leg in &legs {
        assert_begins_well(leg, &flv::read(leg), &Books::of(&source));
    }
    assert_every_track(&bench, &publish.sent, &legs);
    assert_every_track(&bench, &publish.sent, std::slice::from_ref(&seen));

    let came =
        proxy.connections().into_iter().flat_map(|connection| {
            let messages = wire::messages(&connection.down().bytes);
            messages.into_iter().filter(|message| [AUDIO, VIDEO].contains(&message.type_id)).map(|message| {
                Tag { kind: message.type_id, timestamp: message.timestamp, body: message.payload }
            })
        });
    let came: Vec<Tag> = came.collect();
    assert!(
        media(&came) == media(&source),
        "on the wire each message is the one that was sent, byte for byte"
    );
}

/// What FFmpeg 9 writes when it is given two pictures and two sounds.
#[test]
fn h16_what_ffmpeg_writes_moves_with_both_its_pictures() {
    const SECONDS: u32 = 8;
    let bench = Bench::new("multitrack-ffmpeg");
    let (a, b) = (Server::start(&bench, "a"), Server::start(&bench, "b"));
    let clip = of_ffmpeg(SECONDS);
    let (mut view, seen) = watch(&bench, "view", &a.url(STREAM));
    let args = ["--announce", "reconnect"];
    let mut publish = Publish::paced(&bench, "pub", &clip, &a.url(STREAM), &args);
    a.wait_recorded(STREAM, RUNNING, SHORT);
    let drain = a.drain(&bench, "drain", &["--to", &b.base(), "--settle", "0"], TO_THE_END);
    assert_eq!(drain.code, 0, "{drain:?}");
    let (mut late, late_seen) = watch(&bench, "late", &b.url(STREAM));
    wait_for("a late viewer has something", SHORT, || (!flv::read(&late_seen).is_empty()).then_some(()));
    let records = publish.succeeds(TO_THE_END);
    assert_eq!(records.len(), 1, "{records:?}");
    view.succeeds(SHORT);
    late.succeeds(SHORT);

    let legs = [a.recordings(STREAM), b.recordings(STREAM)].concat();
    assert_eq!(legs.len(), 2, "{legs:?}");
    let source = Books::of(&flv::read(&publish.sent));
    for leg in &legs {
        assert_begins_well(leg, &flv::read(leg), &source);
    }
    assert_every_track(&bench, &publish.sent, &legs);
    assert_joined_late(&bench, &publish.sent, &late_seen);
    // The sound before the first picture is not for a viewer.
    let lacking = verify(&bench, &publish.sent, std::slice::from_ref(&seen), &["--whole"]).count("missing");
    println!("{lacking} messages before the first picture");
    let expected = ["video h264", "video hevc", "audio aac", "audio opus"];
    assert_ffmpeg_reads(&bench, &publish.sent, &legs, &seen, &expected);
}

fn of_ffmpeg(seconds: u32) -> Clip {
    let input = |size: &str, seed: u32| {
        format!("testsrc2=size={size}:rate=15:duration={seconds},noise=all_seed={seed}:alls=8:allf=t")
    };
    let sound = |seed: u32| {
        format!("anoisesrc=color=pink:amplitude=0.3:sample_rate=48000:seed={seed}:duration={seconds}")
    };
    let inputs = [input("160x90", 11), input("96x54", 12), sound(11), sound(12)];
    let mut args: Vec<&str> = inputs.iter().flat_map(|input| ["-f", "lavfi", "-i", input]).collect();
    args.extend(["-map", "0", "-map", "1", "-map", "2", "-map", "3", "-pix_fmt", "yuv420p", "-bf", "0"]);
    args.extend(["-c:v:0", "libx264", "-preset", "ultrafast", "-g:v:0", "15", "-c:v:1", "libx265"]);
    args.extend(["-x265-params", "log-level=none:bframes=0", "-g:v:1", "11"]);
    args.extend(["-c:a:0", "aac", "-b:a:0", "64k", "-c:a:1", "libopus", "-b:a:1", "48k"]);
    made(&args)
}
