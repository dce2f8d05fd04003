//! The commands together, on the loopback: publish, play, drain, serve's signals, and their exit codes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::io::{Read, Write};
use std::process::Stdio;

use common::{Process, Server, clip, ended, file, run, segue};
use serde_json::Value;

/// Bytes of a viewer's output after which a stream is surely flowing.
const FLOWING: usize = 4_000;

fn whole(sent: &std::path::Path, received: &[std::path::PathBuf]) {
    let mut command = segue(["verify", "--whole", "--no-overlap"]);
    let (code, out, err) = ended(&command.arg(sent).args(received).output().expect("segue runs"));
    assert_eq!(code, 0, "{out}{err}");
}

#[test]
fn a_file_and_stdin_arrive_whole_and_a_truncated_one_to_its_last_tag() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), "rec");
    let content = clip(0..250);
    let sent = file(dir.path(), "sent.flv", &content);
    let report = dir.path().join("report.json");
    let mut publish = segue(["publish", "--no-pace", sent.to_str().unwrap(), &server.url("live/file")]);
    let (code, out, err) = ended(&publish.arg("--report").arg(&report).output().unwrap());
    assert_eq!((code, &*err), (0, ""), "{out}");
    assert!(out.contains("pushed 250 missing 0 connections 1 confirmed true"), "{out}");
    assert_eq!(
        serde_json::from_slice::<Value>(&std::fs::read(report).unwrap()).unwrap(),
        Value::Array(vec![])
    );
    whole(&sent, &server.recordings());

    let mut publish =
        Process::start(segue(["publish", "-", &server.url("live/stdin")]).stdin(Stdio::piped()));
    let cut = &content[..content.len() - 9];
    publish.0.stdin.take().unwrap().write_all(cut).unwrap();
    let (code, out, err) = publish.end();
    let out = String::from_utf8(out).unwrap();
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("pushed 249 missing 0") && err.contains("ends inside a tag"), "{out}{err}");
    assert_eq!(server.recordings().len(), 2);
    assert_eq!(server.stop("TERM"), 0);
}

#[test]
fn without_segues_extension_a_clean_end_counts_and_is_not_called_confirmed() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), "rec");
    let sent = file(dir.path(), "sent.flv", clip(0..50));
    let (code, out, err) =
        ended(&run(["publish", "--plain", "--no-pace", sent.to_str().unwrap(), &server.url("live/x")]));
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("confirmed false"), "{out}");
    whole(&sent, &server.recordings());
    // A second stream of the name while the first lives on is another matter; this one has ended.
    assert_eq!(server.stop("INT"), 0);
}

#[test]
fn a_drain_moves_publisher_and_viewer_and_ctrl_c_ends_both_well() {
    let dir = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Server::start(dir.path(), "a"), Server::start(dir.path(), "b"));
    let source = file(dir.path(), "clip.flv", clip(0..50));
    let report = dir.path().join("report.json");
    let mut play = Process::start(&mut segue(["play", &a.url("live/x"), "-o", "-"]));
    let mut publish = segue(["publish", "--loop", source.to_str().unwrap(), &a.url("live/x"), "--report"]);
    let publish = Process::start(publish.arg(&report));
    assert!(play.read(FLOWING).starts_with(b"FLV"));

    let target = format!("rtmp://{}", b.rtmp);
    let (code, out, err) = ended(&run(["drain", "--admin", &a.admin, "--to", &target, "--json"]));
    assert_eq!(code, 0, "{out}{err}");
    let drained: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(drained["state"], "drained");
    assert_eq!(drained["streams"][0]["result"], "moved");
    assert_eq!(drained["streams"][0]["told"], "reconnect-request");
    assert_eq!(drained["handovers"][0]["result"], "moved");
    // The viewer goes on at B.
    play.read(FLOWING);
    let (code, out, _) = ended(&run(["drain", "--admin", &b.admin, "--dry-run"]));
    assert_eq!(code, 0);
    assert!(out.contains(" told=reconnect-request "), "{out}");

    publish.signal("INT");
    let (code, out, err) = publish.end();
    assert_eq!(code, 0, "{err}");
    assert!(String::from_utf8_lossy(&out).contains("missing 0 connections 2 confirmed true"));
    let records: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(records.as_array().unwrap().len(), 1);
    assert_eq!((&records[0]["missing"], &records[0]["result"]), (&0.into(), &"moved".into()));
    assert!(records[0]["at"].as_str().unwrap().ends_with('Z'));
    // The publisher's deleteStream ends the stream, and with it the viewer.
    let (code, _, err) = play.end();
    assert_eq!(code, 0, "{err}");
    assert_eq!((a.stop("TERM"), b.stop("TERM")), (0, 0));
}

#[test]
fn who_cannot_follow_is_cut_and_named_and_the_drain_exits_3() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), "rec");
    let source = file(dir.path(), "clip.flv", clip(0..50));
    let mut play =
        Process::start(&mut segue(["play", &server.url("live/x"), "-o", "-", "--announce", "none"]));
    let publish =
        ["publish", "--loop", source.to_str().unwrap(), &server.url("live/x"), "--announce", "none"];
    let publish = Process::start(segue(publish).arg("--plain"));
    play.read(FLOWING);
    let (code, out, err) = ended(&run(["drain", "--admin", &server.admin, "--deadline", "2"]));
    assert_eq!(code, 3, "{out}{err}");
    assert!(out.contains(" told=none result=cut "), "{out}");
    // Twice Ctrl-C: end properly, which no server is there for; then at once.
    publish.signal("INT");
    publish.signal("TERM");
    let (code, _, err) = publish.end();
    assert!(matches!(code, 1 | 3), "{code} {err}");
    play.signal("INT");
    assert!(matches!(play.end().0, 0 | 3));
    assert_eq!(server.stop("TERM"), 3);
}

#[test]
fn a_viewer_waits_for_its_stream_only_so_long_and_stops_at_its_duration() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "rec");
    let out = dir.path().join("out.flv");
    let url = server.url("live/x");
    let play = |more: &[&str]| {
        let mut command = segue(["play", &url, "-o"]);
        command.arg(&out).args(more);
        command
    };
    let (code, _, err) = ended(&play(&["--wait", "0.2"]).output().unwrap());
    assert_eq!((code, err.lines().count()), (1, 1), "{err}");

    let source = file(dir.path(), "clip.flv", clip(0..50));
    let publish = Process::start(&mut segue(["publish", "--loop", source.to_str().unwrap(), &url]));
    let (code, _, err) = ended(&play(&["--duration", "0.5"]).output().unwrap());
    assert_eq!(code, 0, "{err}");
    let received = segue_flv::reader::read_file(&out).unwrap().map(Result::unwrap).count();
    assert!(received > 2, "{received}");
    publish.signal("INT");
    assert_eq!(publish.end().0, 0);
}

#[test]
fn a_drain_can_be_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), "rec");
    let (code, out, _) = ended(&run(["drain", "--admin", &server.admin]));
    assert_eq!(code, 0);
    assert!(out.ends_with("drained: 0 streams, 0 moved, 0 ended, 0 cut, 0 lost; 0 viewers ended\n"), "{out}");
    let (code, out, err) = ended(&run(["drain", "--admin", &server.admin]));
    assert_eq!((code, &*out), (1, ""), "{err}");
    assert!(err.contains("refuses (409)"), "{err}");
    let (code, out, _) = ended(&run(["drain", "--admin", &server.admin, "--cancel", "--json"]));
    assert_eq!(code, 0);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["state"], "running");
    assert_eq!(server.stop("INT"), 0);
}

#[test]
fn one_stream_is_told_and_comes_back_and_the_server_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), "rec");
    let source = file(dir.path(), "clip.flv", clip(0..50));
    let mut play = Process::start(&mut segue(["play", &server.url("live/x"), "-o", "-"]));
    let publish =
        Process::start(&mut segue(["publish", "--loop", source.to_str().unwrap(), &server.url("live/x")]));
    play.read(FLOWING);
    let drain = ["drain", "--admin", &server.admin, "--stream", "live/x"];
    let (code, out, err) = ended(&run(drain));
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains(" result=moved ") && out.contains("running: 1 streams, 1 moved"), "{out}");
    play.read(FLOWING);
    let (code, _, err) = ended(&run(["drain", "--admin", &server.admin, "--stream", "live/other"]));
    assert_eq!(code, 1);
    assert!(err.contains("no such stream"), "{err}");
    publish.signal("INT");
    let (code, out, err) = publish.end();
    assert!(code == 0 && String::from_utf8_lossy(&out).contains("missing 0 connections 2"), "{err}");
    assert_eq!(play.end().0, 0);
    assert_eq!(server.stop("TERM"), 0);
}

#[test]
fn sigterm_drains_to_the_configured_server() {
    let dir = tempfile::tempdir().unwrap();
    let b = Server::start(dir.path(), "b");
    let mut a = Server::start_with(dir.path(), "a", &["--drain-to", &format!("rtmp://{}", b.rtmp)]);
    let source = file(dir.path(), "clip.flv", clip(0..50));
    let mut play = Process::start(&mut segue(["play", &a.url("live/x"), "-o", "-"]));
    let publish =
        Process::start(&mut segue(["publish", "--loop", source.to_str().unwrap(), &a.url("live/x")]));
    play.read(FLOWING);
    assert_eq!(a.stop("TERM"), 0);
    play.read(FLOWING);
    publish.signal("TERM");
    let (code, _, err) = publish.end();
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = play.end();
    assert_eq!(code, 0, "{err}");
}

/// A source that is never cut before the deadline, and the server that is to drain under it.
fn unaware(dir: &std::path::Path, server: &Server) -> (Process, Process) {
    let source = file(dir, "clip.flv", clip(0..50));
    let url = server.url("live/x");
    let mut play = Process::start(&mut segue(["play", &url, "-o", "-", "--announce", "none", "--plain"]));
    let publish = ["publish", "--loop", source.to_str().unwrap(), &url, "--announce", "none", "--plain"];
    let publish = Process::start(&mut segue(publish));
    play.read(FLOWING);
    (play, publish)
}

#[test]
fn a_drain_that_is_cancelled_after_sigterm_leaves_the_server_running() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(dir.path(), "a", &["--drain-deadline", "1"]);
    let (mut play, publish) = unaware(dir.path(), &server);
    // The API's drain has a deadline of its own; SIGTERM waits for it, and not for its own.
    let waiting = ["drain", "--admin", &server.admin, "--deadline", "300"];
    let waiting = Process::start(&mut segue(waiting));
    play.read(220);
    let begun = || ended(&run(["drain", "--admin", &server.admin, "--json"])).0 == 1;
    while !begun() {}
    server.signal("TERM");
    // Longer than its own deadline.
    play.read(3 * 25 * 220);
    let (code, _, err) = ended(&run(["drain", "--admin", &server.admin, "--cancel"]));
    assert_eq!(code, 0, "{err}");
    assert_eq!(waiting.end().0, 1);
    play.read(FLOWING);
    publish.signal("INT");
    assert_eq!(publish.end().0, 0);
    assert_eq!(play.end().0, 0);
    // And it can be told again.
    assert_eq!(server.stop("TERM"), 0);
}

#[test]
fn a_viewer_of_a_server_that_is_stopped_goes_on_when_there_is_one_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), "a");
    let source = file(dir.path(), "clip.flv", clip(0..50));
    let url = server.url("live/x");
    let mut play = Process::start(&mut segue(["play", &url, "-o", "-"]));
    let publish = Process::start(&mut segue(["publish", "--loop", source.to_str().unwrap(), &url]));
    play.read(FLOWING);
    server.stop("INT");
    let rtmp = server.rtmp.clone();
    let _again = Server::start_at(dir.path(), "again", &rtmp);
    // More than was there before it stopped.
    play.read(3 * FLOWING);
    publish.signal("INT");
    let (code, _, err) = publish.end();
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = play.end();
    assert_eq!(code, 0, "{err}");
}

#[test]
fn one_ctrl_c_at_the_end_of_a_file_does_not_abort() {
    let dir = tempfile::tempdir().unwrap();
    let source = file(dir.path(), "clip.flv", clip(0..5));
    // A server that accepts and never answers.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtmp://{}/live/x", mute.local_addr().unwrap());
    let publish = Process::start(&mut segue(["publish", "--no-pace", source.to_str().unwrap(), &url]));
    let (mut peer, _) = mute.accept().unwrap();
    peer.read_exact(&mut [0; 1537]).unwrap();
    publish.signal("INT");
    drop((peer, mute));
    let (code, _, err) = publish.end();
    assert!(code == 1 && !err.contains("aborted"), "{err}");
}

#[test]
fn the_report_of_a_plain_publish_says_that_nothing_was_confirmed() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "a");
    let source = file(dir.path(), "clip.flv", clip(0..10));
    let report = dir.path().join("report.json");
    let (source, to) = (source.to_str().unwrap(), report.to_str().unwrap());
    let read = || serde_json::from_str::<Value>(&std::fs::read_to_string(&report).unwrap()).unwrap();
    let (code, _, err) = ended(&run(["publish", source, &server.url("live/x"), "--plain", "--report", to]));
    assert_eq!(code, 0, "{err}");
    let records = read();
    assert_eq!(records.as_array().unwrap().len(), 1);
    assert_eq!(
        (&records[0]["confirmed"], &records[0]["result"]),
        (&Value::Bool(false), &Value::from("ended"))
    );
    let (code, _, err) = ended(&run(["publish", source, &server.url("live/y"), "--report", to]));
    assert_eq!((code, read()), (0, Value::Array(vec![])), "{err}");
    let (code, ..) = ended(&run(["publish", "Cargo.toml", &server.url("live/y"), "--report", to]));
    assert_eq!((code, read()), (1, Value::Array(vec![])));
}

#[test]
fn a_second_sigterm_stops_a_drain_at_once_but_not_as_an_echo_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(dir.path(), "a", &["--drain-deadline", "300"]);
    let source = file(dir.path(), "clip.flv", clip(0..50));
    let url = server.url("live/x");
    let mut play = Process::start(&mut segue(["play", &url, "-o", "-", "--announce", "none", "--plain"]));
    let publish = ["publish", "--loop", source.to_str().unwrap(), &url, "--announce", "none", "--plain"];
    let publish = Process::start(&mut segue(publish));
    play.read(FLOWING);
    server.signal("TERM");
    server.signal("TERM");
    // More than two seconds of media, which come in real time: it is still serving.
    play.read(3 * 25 * 220);
    assert_eq!(server.stop("TERM"), 3);
    publish.signal("INT");
    publish.signal("TERM");
    assert!(matches!(publish.end().0, 1 | 3));
}

#[test]
fn a_stream_key_shows_up_nowhere() {
    const KEY: &str = "canary-f3b1";
    let dir = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (Server::start(dir.path(), "a"), Server::start(dir.path(), "b"));
    let source = file(dir.path(), "clip.flv", clip(0..50));
    let report = dir.path().join("report.json");
    let client = |args: &[&str]| {
        let mut command = segue(args);
        command.env("SEGUE_KEY", format!("{KEY}?token={KEY}")).env("SEGUE_LOG", "trace");
        command
    };
    let mut play = Process::start(&mut client(&["play", &a.url("live"), "-o", "-"]));
    let publish = ["publish", "--loop", source.to_str().unwrap(), &a.url("live"), "--report"];
    let publish = Process::start(client(&publish).arg(&report));
    play.read(FLOWING);
    let mut said = Vec::new();
    for command in [&["drain", "--dry-run"][..], &["drain", "--json", "--to", &format!("rtmp://{}", b.rtmp)]]
    {
        let (code, out, err) = ended(&client(&[command, &["--admin", &a.admin]].concat()).output().unwrap());
        assert_eq!(code, 0, "{err}");
        said.extend([out, err]);
    }
    play.read(FLOWING);
    publish.signal("INT");
    let (code, out, err) = publish.end();
    assert_eq!(code, 0, "{err}");
    said.extend([String::from_utf8(out).unwrap(), err, play.end().2]);
    assert_eq!((a.stop("TERM"), b.stop("TERM")), (0, 0));
    said.extend([&a.log, &b.log, &report].map(|path| std::fs::read_to_string(path).unwrap()));
    said.extend(
        [&a, &b].iter().flat_map(|server| server.recordings()).map(|path| path.display().to_string()),
    );
    assert!(said.iter().any(|text| text.contains("moved")));
    for text in said {
        assert!(!text.contains(KEY), "{text}");
    }
}

#[test]
fn the_demo_ends_well_within_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let began = std::time::Instant::now();
    let (code, out, err) = ended(&run(["demo", "--dir", dir.path().to_str().unwrap()]));
    assert_eq!(code, 0, "{out}{err}");
    assert!(began.elapsed().as_secs() < 30);
    let last = out.rsplit("\nsegue verify ").next().unwrap();
    assert!(
        last.contains("/a/live/") && last.contains("/b/live/") && last.contains("\nmissing 0\n"),
        "{out}"
    );
}
