//! One server, real media in and out: ffmpeg and `segue publish` as sources, ffmpeg and `segue play` as viewers, and the
//! recording. What comes out is what went in.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use segue_e2e::Bench;
use segue_e2e::flv::{self, Tag};
use segue_e2e::ledger::{assert_exact, assert_verified, assert_watched, confirm, distinct, framehash};
use segue_e2e::mutate::WRONGS;
use segue_e2e::process::{Proc, run};
use segue_e2e::segue::{SHORT, Server, command};
use segue_e2e::source::{
    Clip, Kind, Publish, decodes_silently, ffmpeg, ffmpeg_publish, ffmpeg_view, packets,
};

const STREAM: &str = "live/cam";
/// Every clip here is this long, in seconds ...
const CLIP: u32 = 8;
/// ... and has ended by then.
const TO_THE_END: Duration = Duration::from_secs(30);
const RUNNING: usize = 60;

fn play(bench: &Bench, name: &str, server: &Server, out: &Path) -> Proc {
    Proc::start(bench, name, command(["play", &server.url(STREAM), "-o", out.to_str().unwrap()]))
}

/// What the ledger rests on: payloads that can be told apart.
#[test]
fn the_clips_hold_no_payload_twice() {
    let _bench = Bench::new("clips");
    for clip in [Clip::demo(), Clip::make(Kind::Av, CLIP), Clip::make(Kind::BFrames, CLIP)] {
        let (media, different) = distinct(&clip.path);
        assert!(media > 500 && different * 100 > media * 99, "{clip:?}: {different} of {media}");
    }
}

/// The second judge sees what the first sees: on each wrong of `segue verify`'s own test it says no, and yes to none.
#[test]
fn the_second_judge_catches_the_same_wrongs() {
    let bench = Bench::new("framehash");
    let clip = Clip::demo().path;
    confirm(&bench, &clip, std::slice::from_ref(&clip), &["--whole", "--no-overlap"]);
    for wrong in WRONGS {
        let mut tags = flv::read(&clip);
        (wrong.apply)(&mut tags);
        let path = bench.path(&format!("{}.flv", wrong.name));
        flv::write(&path, &tags);
        let output = framehash(&bench, &clip, &[path], &["--whole", "--no-overlap"]);
        assert_eq!(output.code, 3, "{}: {output:?}", wrong.name);
    }
}

#[test]
fn ffmpeg_publishes_and_the_recording_is_its_stream() {
    let bench = Bench::new("ffmpeg-in");
    let mut server = Server::start(&bench, "a");
    let out = bench.path("play.flv");
    let mut view = play(&bench, "view", &server, &out);
    let (mut source, sent) =
        ffmpeg_publish(&bench, "source", &Clip::make(Kind::Av, CLIP), &server.url(STREAM));
    source.succeeds(TO_THE_END);
    view.succeeds(SHORT);
    assert_eq!(server.stop(), 0);
    let legs = server.recordings(STREAM);
    assert_eq!(legs.len(), 1, "{legs:?}");
    assert_exact(&bench, &sent, &legs);
    assert_watched(&bench, &sent, &out);
    decodes_silently(&bench, &out);
}

#[test]
fn every_kind_of_source_comes_out_whole() {
    let bench = Bench::new("kinds");
    let mut server = Server::start(&bench, "a");
    let mut running = Vec::new();
    for kind in [Kind::Av, Kind::BFrames, Kind::AudioOnly, Kind::VideoOnly] {
        let stream = format!("live/{kind:?}");
        let out = bench.path(&format!("{kind:?}.out.flv"));
        let view = command(["play", &server.url(&stream), "-o", out.to_str().unwrap()]);
        let view = Proc::start(&bench, &format!("view-{kind:?}"), view);
        let clip = Clip::make(kind, CLIP);
        let publish = Publish::live(&bench, &format!("pub-{kind:?}"), &clip, &server.url(&stream), &[]);
        running.push((stream, out, view, publish));
    }
    for (_, _, view, publish) in &mut running {
        assert!(publish.succeeds(TO_THE_END).is_empty(), "nobody was told to go");
        view.succeeds(SHORT);
    }
    assert_eq!(server.stop(), 0);
    for (stream, out, _, publish) in &running {
        assert_exact(&bench, &publish.sent, &server.recordings(stream));
        assert_watched(&bench, &publish.sent, out);
        decodes_silently(&bench, out);
    }
}

#[test]
fn ffmpeg_views_the_whole_stream() {
    let bench = Bench::new("ffmpeg-out");
    let server = Server::start(&bench, "a");
    let mut publish = Publish::live(&bench, "pub", &Clip::make(Kind::Av, CLIP), &server.url(STREAM), &[]);
    server.wait_recorded(STREAM, RUNNING, SHORT);
    let out = bench.path("ffmpeg.flv");
    let mut view = ffmpeg_view(&bench, "view", &server.url(STREAM), &out);
    publish.succeeds(TO_THE_END);
    view.succeeds(SHORT);
    // It joined within the first GOP, which the server still has.
    assert_eq!(packets(&bench, &out).0, packets(&bench, &publish.sent).0);
    confirm(&bench, &publish.sent, std::slice::from_ref(&out), &["--no-overlap"]);
    decodes_silently(&bench, &out);
}

#[test]
fn who_joins_late_starts_at_a_keyframe_and_decodes() {
    let bench = Bench::new("late");
    let server = Server::start(&bench, "a");
    let mut publish =
        Publish::live(&bench, "pub", &Clip::make(Kind::BFrames, CLIP), &server.url(STREAM), &[]);
    server.wait_recorded(STREAM, 5 * RUNNING, SHORT);
    let (ours, theirs) = (bench.path("play.flv"), bench.path("ffmpeg.flv"));
    let mut view = play(&bench, "play", &server, &ours);
    let mut ffmpeg = ffmpeg_view(&bench, "ffmpeg", &server.url(STREAM), &theirs);
    publish.succeeds(TO_THE_END);
    view.succeeds(SHORT);
    ffmpeg.succeeds(SHORT);
    let tags = flv::read(&ours);
    let first = tags.iter().find(|tag| tag.is_media()).unwrap();
    assert!(first.is_keyframe() && first.timestamp >= 2000, "first of {}: {}", tags.len(), first.timestamp);
    let headers =
        tags.iter().take_while(|tag| !tag.is_media()).filter(|tag| tag.is_sequence_header()).count();
    assert_eq!(headers, 2, "both sequence headers come before the first frame");
    assert_verified(&bench, &publish.sent, std::slice::from_ref(&ours), &[]);
    confirm(&bench, &publish.sent, std::slice::from_ref(&theirs), &[]);
    decodes_silently(&bench, &ours);
    decodes_silently(&bench, &theirs);
}

/// A file is paced by `segue publish` itself; what an FLV file of another program holds comes out the same.
#[test]
fn a_file_is_published_in_its_own_time() {
    let bench = Bench::new("paced");
    let mut server = Server::start(&bench, "a");
    let clip = Clip::make(Kind::Av, CLIP).path;
    let started = std::time::Instant::now();
    let publish = command(["publish", clip.to_str().unwrap(), &server.url(STREAM)]);
    let output = run(&bench, "publish", publish, TO_THE_END);
    assert_eq!(output.code, 0, "{output:?}");
    let took = started.elapsed();
    let expected = Duration::from_secs(CLIP.into());
    assert!(took > expected.mul_f32(0.9) && took < expected.mul_f32(1.5), "{took:?}");
    assert_eq!(server.stop(), 0);
    assert_exact(&bench, &clip, &server.recordings(STREAM));
}

/// `play --duration` ends by itself with 0 while the stream goes on.
#[test]
fn a_viewer_may_leave_and_others_see_nothing_of_it() {
    let bench = Bench::new("duration");
    let mut server = Server::start(&bench, "a");
    let (short, long) = (bench.path("short.flv"), bench.path("long.flv"));
    let brief = ["play", &server.url(STREAM), "-o", short.to_str().unwrap(), "--duration", "3"];
    let mut brief = Proc::start(&bench, "brief", command(brief));
    let mut view = play(&bench, "view", &server, &long);
    let mut publish = Publish::live(&bench, "pub", &Clip::make(Kind::Av, CLIP), &server.url(STREAM), &[]);
    brief.succeeds(SHORT);
    assert!(publish.proc.ended().is_none(), "the stream goes on");
    publish.succeeds(TO_THE_END);
    view.succeeds(SHORT);
    assert_eq!(server.stop(), 0);
    assert_watched(&bench, &publish.sent, &long);
    assert_verified(&bench, &publish.sent, std::slice::from_ref(&short), &[]);
    let last = flv::read(&short).iter().filter(|t| t.is_media()).map(|t: &Tag| t.timestamp).max().unwrap();
    assert!((2000..=4500).contains(&last), "{last} ms");
}

/// An encoder that names nothing but the URL, straight from its encoder: no clip, no copy.
#[test]
fn ffmpeg_encodes_live_into_the_server() {
    let bench = Bench::new("encode");
    let mut server = Server::start(&bench, "a");
    let mut encode = ffmpeg();
    encode.args([
        "-v",
        "warning",
        "-re",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x180:rate=30,noise=alls=6:allf=t",
    ]);
    encode.args(["-f", "lavfi", "-i", "anoisesrc=amplitude=0.2", "-t", "4", "-c:v", "libx264", "-preset"]);
    encode.args(["ultrafast", "-tune", "zerolatency", "-g", "60", "-c:a", "aac", "-f", "flv"]);
    encode.arg(server.url(STREAM));
    let output = run(&bench, "encode", encode, TO_THE_END);
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(server.stop(), 0);
    let legs = server.recordings(STREAM);
    assert_eq!(legs.len(), 1, "{legs:?}");
    decodes_silently(&bench, &legs[0]);
    assert_eq!(packets(&bench, &legs[0]).0, 120, "4 s of 30 fps");
}
