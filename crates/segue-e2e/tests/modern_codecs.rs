//! Enhanced RTMP's codecs from end to end: HEVC, AV1 and VP9 with Opus, encoded by FFmpeg 9, through `segue publish`, a
//! hand-over from A to B, the recordings of both and `segue play`. Nothing is lost, and FFmpeg 9 reads all of it without
//! so much as a warning.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use segue_e2e::bench::Bench;
use segue_e2e::ffmpeg9::{clip, decodes_without_a_warning, framehash};
use segue_e2e::ledger::assert_verified;
use segue_e2e::process::Proc;
use segue_e2e::segue::{SHORT, Server, command};
use segue_e2e::source::Publish;

/// Long enough for a start, a drain in the middle, a keyframe and an end, in seconds.
const CLIP: u32 = 8;
const TO_THE_END: Duration = Duration::from_secs(40);
/// About two seconds of pictures and sound.
const BEFORE: usize = 120;

/// What `encoder` made passes a hand-over, and a viewer who waited for it has all of it.
fn moves(name: &str, encoder: &[&str]) {
    let bench = Bench::new(name);
    let (a, b) = (Server::start(&bench, "a"), Server::start(&bench, "b"));
    let stream = format!("live/{name}");
    let clip = clip(CLIP, encoder);
    let out = bench.path("view.flv");
    let view = command(["play", &a.url(&stream), "-o", out.to_str().unwrap()]);
    let mut view = Proc::start(&bench, "view", view);
    let args = ["--announce", "reconnect"];
    let mut publish = Publish::paced(&bench, "pub", &clip, &a.url(&stream), &args);
    a.wait_recorded(&stream, BEFORE, SHORT);
    let drain = a.drain(&bench, "drain", &["--to", &b.base(), "--settle", "0"], TO_THE_END);
    assert_eq!(drain.code, 0, "{drain:?}");
    let records = publish.succeeds(TO_THE_END);
    let [record] = records.as_slice() else { panic!("one hand-over: {records:?}") };
    assert_eq!((&record["result"], &record["missing"]), (&"moved".into(), &0.into()), "{record}");
    view.succeeds(SHORT);

    let (old, new) = (a.recordings(&stream), b.recordings(&stream));
    assert_eq!((old.len(), new.len()), (1, 1), "one leg on each server");
    for received in [[old, new].concat(), vec![out]] {
        let flags = ["--whole", "--no-overlap"];
        assert_verified(&bench, &publish.sent, &received, &flags);
        let second = framehash(&bench, &publish.sent, &received, &flags);
        assert_eq!(second.code, 0, "framehash.py: {second:?}");
        for file in &received {
            decodes_without_a_warning(&bench, file);
        }
    }
}

#[test]
fn hevc_and_opus() {
    moves("hevc", &["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:bframes=0"]);
}

#[test]
fn hevc_with_b_frames_and_opus() {
    moves("hevc-b", &["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:bframes=2"]);
}

#[test]
fn av1_and_opus() {
    moves("av1", &["-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-b:v", "200k"]);
}

#[test]
fn vp9_and_opus() {
    moves("vp9", &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "200k"]);
}
