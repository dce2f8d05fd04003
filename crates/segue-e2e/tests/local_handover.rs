//! The hand-over with nothing but `segue` itself, on the clip of the repository: the demo, both dialects, what goes over
//! the wire, real ends, cuts, and servers that stop.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use segue_e2e::bench::{Bench, at, wait_for};
use segue_e2e::fault_proxy::Network;
use segue_e2e::flv::{self, Tag};
use segue_e2e::ledger::{assert_verified, assert_viewed};
use segue_e2e::process::{Proc, run};
use segue_e2e::segue::{self, SHORT, Server, command, stream_id};
use segue_e2e::source::{Clip, Publish};
use segue_e2e::{FaultProxy, http, wire};
use serde_json::Value;

const STREAM: &str = "live/cam";
/// The demo clip and what a hand-over may add.
const TO_THE_END: Duration = Duration::from_secs(40);
/// A second of video and audio has come: the stream runs.
const RUNNING: usize = 60;

fn whole(bench: &Bench, publish: &Publish, a: &Server, b: &Server) {
    let legs: Vec<PathBuf> = [a.recordings(STREAM), b.recordings(STREAM)].concat();
    let verdict = assert_verified(bench, &publish.sent, &legs, &["--whole", "--no-overlap"]);
    assert_eq!(verdict.count("overlap"), 0, "{verdict:?}");
}

#[test]
fn the_demo_ends_by_itself_and_its_numbers_come_from_its_files() {
    let bench = Bench::new("demo");
    let output = run(&bench, "demo", command(["demo"]), Duration::from_secs(30));
    assert_eq!(output.code, 0, "{output:?}");
    for name in ["missing 0", "duplicated 0", "reordered 0", "altered 0", "extra 0"] {
        assert!(output.stdout.lines().any(|line| line == name), "`{name}`: {output:?}");
    }
    let files: Vec<PathBuf> = output
        .stdout
        .split_whitespace()
        .map(|word| PathBuf::from(word.trim_matches(|c: char| "`'\",:;()".contains(c))))
        .filter(|path| path.extension().is_some_and(|e| e == "flv") && path.is_absolute())
        .collect();
    assert!(files.len() >= 3, "it names what was sent and each leg: {output:?}");
    assert!(files.iter().all(|path| !flv::read(path).is_empty()), "{files:?}");
}

/// H26: who announces both dialects is told once, in one of them.
#[test]
fn h26_both_dialects_announced_one_signal() {
    let bench = Bench::new("h26");
    let (a, b) = (Server::start(&bench, "a"), Server::start(&bench, "b"));
    let proxy = FaultProxy::start(a.rtmp, Network::default());
    let args = ["--announce", "both", "--redirect", "any"];
    let mut publish = Publish::paced(&bench, "pub", &Clip::demo(), &proxy.url(STREAM), &args);
    a.wait_recorded(STREAM, RUNNING, SHORT);
    let drain = a.drain(&bench, "drain", &["--to", &b.base(), "--settle", "0"], TO_THE_END);
    assert_eq!(drain.code, 0, "{drain:?}");
    let records = publish.succeeds(TO_THE_END);
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["signal"], "reconnect-request", "{records:?}");
    let connections = proxy.connections();
    assert_eq!(connections.len(), 1, "the new leg goes to the target itself");
    let down = wire::messages(&connections[0].down().bytes);
    let signals = wire::signals(&down);
    assert_eq!(signals.len(), 1, "{signals:?}");
    assert_eq!(signals[0].type_id, 20);
    let legs = [a.recordings(STREAM), b.recordings(STREAM)].concat();
    assert_verified(&bench, &publish.sent, &legs, &["--whole", "--no-overlap"]);
}

/// The record is the contract's, at the publisher and at the server.
#[test]
fn a_hand_over_leaves_its_record_on_both_sides() {
    let bench = Bench::new("record");
    let (a, b) = (Server::start(&bench, "a"), Server::start(&bench, "b"));
    let mut publish =
        Publish::paced(&bench, "pub", &Clip::demo(), &a.url(STREAM), &["--announce", "reconnect"]);
    a.wait_recorded(STREAM, RUNNING, SHORT);
    let drain = a.drain(&bench, "drain", &["--to", &b.base(), "--settle", "0", "--json"], TO_THE_END);
    assert_eq!(drain.code, 0, "{drain:?}");
    let records = publish.succeeds(TO_THE_END);
    let [record] = records.as_slice() else { panic!("one hand-over: {records:?}") };
    let tags = flv::read(&publish.sent);
    let id = stream_id(STREAM);
    assert_eq!(record["stream"], *id);
    assert_eq!(record["cause"], "drain");
    assert_eq!(record["from"], a.rtmp.to_string());
    assert_eq!(record["to"], b.rtmp.to_string());
    assert_eq!(record["result"], "moved");
    assert_eq!((&record["missing"], &record["overlap"]), (&Value::from(0), &Value::from(0)));
    assert_eq!(record["confirmed"], true);
    let first = record["new_first_ts"].as_u64().expect("a number");
    let boundary = tags.iter().position(|tag| tag.is_keyframe() && u64::from(tag.timestamp) == first);
    let boundary = boundary.unwrap_or_else(|| panic!("{first} is no keyframe of the source"));
    let last = tags[..boundary].iter().rev().find(|tag| tag.is_media()).unwrap();
    assert_eq!(record["old_last_ts"], last.timestamp, "{record}");
    let at_server = a.handovers(STREAM);
    assert_eq!(at_server.len(), 1, "{at_server:?}");
    assert_eq!(at_server[0]["result"], "moved", "{at_server:?}");
    let drained: Value = serde_json::from_str(&drain.stdout).expect("drain --json prints JSON");
    assert_eq!(segue::records(&drained).len(), 1, "{drained}");
    for key in ["at", "signal", "delay_ms"] {
        assert!(record.get(key).is_some(), "`{key}` in {record}");
    }
    whole(&bench, &publish, &a, &b);
}

/// H25, with a client that announces neither dialect and no extension, as nearly all do.
#[test]
fn h25_an_unaware_publisher_is_never_signalled_and_cut_after_a_complete_gop() {
    let bench = Bench::new("h25");
    let a = Server::start(&bench, "a");
    let proxy = FaultProxy::start(a.rtmp, Network::default());
    let args = ["--announce", "none", "--plain"];
    let mut publish = Publish::paced(&bench, "pub", &Clip::demo(), &proxy.url(STREAM), &args);
    a.wait_recorded(STREAM, RUNNING * 2, SHORT);
    let drain = a.drain(&bench, "drain", &["--settle", "0", "--deadline", "6", "--json"], TO_THE_END);
    assert_eq!(drain.code, 3, "{drain:?}");
    let drained: Value = serde_json::from_str(&drain.stdout).expect("drain --json prints JSON");
    let cut: Vec<_> = segue::records(&drained).iter().filter(|record| record["result"] == "cut").collect();
    assert_eq!(cut.len(), 1, "{drained}");
    assert_eq!(
        (&cut[0]["stream"], &cut[0]["signal"]),
        (&Value::from(stream_id(STREAM)), &Value::from("none"))
    );
    // What becomes of it afterwards is between the two of them: this publisher dials again after any loss.
    publish.abandon();
    for connection in proxy.connections() {
        let down = wire::messages(&connection.down().bytes);
        assert_eq!(wire::signals(&down), Vec::<&wire::Message>::new());
    }
    ends_with_a_complete_gop(&flv::read(&publish.sent), &a.recordings(STREAM)[0]);
    assert_verified(&bench, &publish.sent, &a.recordings(STREAM)[..1], &[]);
}

/// The message after the last that was recorded is, in the source, a keyframe.
fn ends_with_a_complete_gop(sent: &[Tag], recording: &std::path::Path) {
    let recorded = flv::read(recording).iter().filter(|tag| tag.is_media()).count();
    let next = sent.iter().filter(|tag| tag.is_media()).nth(recorded).expect("the source went on");
    assert!(next.is_keyframe(), "cut before {} at {} ms, which is no keyframe", next.kind, next.timestamp);
}

/// H18: what was received when the deadline passes is in the recording and at the viewers before they are closed.
#[test]
fn h18_the_deadline_flushes_what_was_received() {
    let bench = Bench::new("h18");
    let a = Server::start(&bench, "a");
    let proxy = FaultProxy::start(a.rtmp, Network::default());
    let out = bench.path("view.flv");
    let view =
        command(["play", &a.url(STREAM), "--announce", "none", "--plain", "-o", out.to_str().unwrap()]);
    let mut view = Proc::start(&bench, "view", view);
    let args = ["--announce", "none", "--plain"];
    let mut publish = Publish::paced(&bench, "pub", &Clip::demo(), &proxy.url(STREAM), &args);
    a.wait_recorded(STREAM, RUNNING, SHORT);
    // One GOP is 2 s, a third of this deadline less than 1: it passes in the middle of a GOP.
    let drain = a.drain(&bench, "drain", &["--settle", "0", "--deadline", "2", "--json"], TO_THE_END);
    assert_eq!(drain.code, 3, "{drain:?}");
    publish.abandon();
    view.wait(SHORT);
    let recorded = flv::read(&a.recordings(STREAM)[0]);
    let seen = flv::read(&out);
    let media = |tags: &[Tag]| tags.iter().filter(|tag| tag.is_media()).cloned().collect::<Vec<_>>();
    assert!(!media(&recorded).is_empty());
    // The viewer was started at the first keyframe; what the publisher does after the cut is not asked here.
    let (recorded, seen) = (media(&recorded), media(&seen));
    let first = recorded.iter().position(|tag| *tag == seen[0]).expect("what was seen first was recorded");
    assert!(recorded[..first].iter().all(|tag| tag.kind == 8), "only audio may be lacking");
    assert!(seen.starts_with(&recorded[first..]), "a viewer from the start has what was recorded");
    assert_verified(&bench, &publish.sent, &a.recordings(STREAM)[..1], &[]);
}

/// H27: a stream that its publisher ends is over at once: another may publish under its name.
#[test]
fn h27_a_real_end_leaves_no_ghost() {
    let bench = Bench::new("h27");
    let mut a = Server::start(&bench, "a");
    for round in 0..2 {
        let clip = Clip::demo().path;
        let args = ["publish", clip.to_str().unwrap(), &a.url(STREAM), "--no-pace", "--report"];
        let mut publish = command(args);
        publish.arg(bench.path(&format!("report-{round}.json")));
        let output = run(&bench, &format!("pub-{round}"), publish, SHORT);
        assert_eq!(output.code, 0, "round {round}: {output:?}");
    }
    assert_eq!(a.stop(), 0);
    let legs = a.recordings(STREAM);
    assert_eq!(legs.len(), 2, "{legs:?}");
    for leg in &legs {
        assert_verified(&bench, &Clip::demo().path, std::slice::from_ref(leg), &["--whole", "--no-overlap"]);
    }
}

/// Two publishers of one name: the second is refused, the first does not notice.
#[test]
fn a_second_publisher_is_refused() {
    let bench = Bench::new("second");
    let mut a = Server::start(&bench, "a");
    let mut first = Publish::paced(&bench, "first", &Clip::demo(), &a.url(STREAM), &[]);
    a.wait_recorded(STREAM, RUNNING, SHORT);
    let clip = Clip::demo().path;
    let second = command(["publish", clip.to_str().unwrap(), &a.url(STREAM), "--no-pace"]);
    let second = run(&bench, "second", second, Duration::from_secs(60));
    assert_eq!(second.code, 1, "{second:?}");
    assert_eq!(first.succeeds(TO_THE_END), Vec::<Value>::new());
    assert_eq!(a.stop(), 0);
    let legs = a.recordings(STREAM);
    assert_eq!(legs.len(), 1, "{legs:?}");
    assert_verified(&bench, &first.sent, &legs, &["--whole", "--no-overlap"]);
}

/// H10: told to go without an address, the publisher finds only the server that it should leave. It stays, and when the
/// drain is cancelled nothing has happened to the stream.
#[test]
fn h10_who_meets_the_same_server_stays_and_loses_nothing() {
    let bench = Bench::new("h10");
    let mut a = Server::start(&bench, "a");
    let proxy = FaultProxy::start(a.rtmp, Network::default());
    let mut publish =
        Publish::paced(&bench, "pub", &Clip::demo(), &proxy.url(STREAM), &["--announce", "go-away"]);
    a.wait_recorded(STREAM, RUNNING, SHORT);
    let drain = a.drain_command(&["--settle", "0", "--deadline", "20"]);
    let mut drain = Proc::start(&bench, "drain", drain);
    wait_for("the publisher dials again", SHORT, || (proxy.connections().len() >= 2).then_some(()));
    assert_eq!(http::get(a.http, "/api/v1/health").status, 503);
    a.undrain(&bench);
    drain.wait(SHORT);
    publish.succeeds(TO_THE_END);
    assert_eq!(a.stop(), 0);
    assert_verified(&bench, &publish.sent, &a.recordings(STREAM), &["--whole", "--no-overlap"]);
}

/// The same with a client that is no Segue and comes straight back: it is taken, spliced, and nothing is lost.
#[test]
fn h10_a_foreign_client_that_comes_back_is_taken_and_spliced() {
    let bench = Bench::new("h10-plain");
    let mut a = Server::start(&bench, "a");
    let out = bench.path("view.flv");
    let view = command(["play", &a.url(STREAM), "-o", out.to_str().unwrap()]);
    let mut view = Proc::start(&bench, "view", view);
    let args = ["--announce", "go-away", "--plain"];
    let mut publish = Publish::paced(&bench, "pub", &Clip::demo(), &a.url(STREAM), &args);
    a.wait_recorded(STREAM, RUNNING, SHORT);
    let drain = a.drain(&bench, "drain", &["--stream", STREAM, "--settle", "0"], TO_THE_END);
    assert_eq!(drain.code, 0, "{drain:?}");
    assert_eq!(http::get(a.http, "/api/v1/health").status, 200, "the server stays running");
    publish.succeeds(TO_THE_END);
    assert_eq!(view.wait(SHORT), 0, "{}", view.stderr());
    assert_eq!(a.stop(), 0);
    assert_eq!(a.recordings(STREAM).len(), 2);
    assert_verified(&bench, &publish.sent, &a.recordings(STREAM), &["--whole", "--no-overlap"]);
    assert_viewed(&bench, &publish.sent, &out);
}

/// SIGTERM drains to the configured target; the process ends by itself with 0.
#[test]
fn sigterm_hands_over_and_exits_0() {
    let bench = Bench::new("sigterm");
    let b = Server::start(&bench, "b");
    let more = ["--drain-to", &b.base(), "--drain-settle", "0", "--drain-deadline", "15"];
    let mut a = Server::start_with(&bench, "a", &more);
    let mut publish =
        Publish::paced(&bench, "pub", &Clip::demo(), &a.url(STREAM), &["--announce", "reconnect"]);
    a.wait_recorded(STREAM, RUNNING, SHORT);
    assert_eq!(a.stop(), 0);
    let records = publish.succeeds(TO_THE_END);
    assert_eq!(records.len(), 1, "{records:?}");
    whole(&bench, &publish, &a, &b);
}

/// H28: a viewer that was told goes on at the new server without loss; one that cannot follow is ended cleanly and
/// counted, which is no failure of the drain.
#[test]
fn h28_viewers_follow_or_are_ended_cleanly() {
    let bench = Bench::new("h28");
    let (a, b) = (Server::start(&bench, "a"), Server::start(&bench, "b"));
    let view = |name: &str, args: &[&str]| {
        let out = bench.path(&format!("{name}.flv"));
        let mut view = command(["play", &a.url(STREAM), "-o", out.to_str().unwrap()]);
        view.args(args);
        (Proc::start(&bench, name, view), out)
    };
    let (mut aware, aware_out) = view("aware", &["--announce", "reconnect"]);
    let (mut foreign, foreign_out) = view("foreign", &["--announce", "none", "--plain"]);
    let mut publish =
        Publish::paced(&bench, "pub", &Clip::demo(), &a.url(STREAM), &["--announce", "reconnect"]);
    a.wait_recorded(STREAM, RUNNING, SHORT);
    let drain = a.drain(&bench, "drain", &["--to", &b.base(), "--settle", "0", "--json"], TO_THE_END);
    assert_eq!(drain.code, 0, "{drain:?}");
    let drained: Value = serde_json::from_str(&drain.stdout).expect("drain --json prints JSON");
    assert_eq!(drained["viewers_ended"], 1, "{drained}");
    publish.succeeds(TO_THE_END);
    assert_eq!(aware.wait(SHORT), 0, "{}", aware.stderr());
    foreign.wait(SHORT);
    whole(&bench, &publish, &a, &b);
    assert_viewed(&bench, &publish.sent, &aware_out);
    assert_viewed(&bench, &a.recordings(STREAM)[0], &foreign_out);
}

/// A target that takes connections and treats them like this.
fn target(treat: impl Fn(TcpStream, &mut Vec<TcpStream>) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for socket in listener.incoming().flatten() {
            treat(socket, &mut kept);
        }
    });
    addr
}

/// H3: the target refuses, hangs, closes at once or talks nonsense. The stream stays where it is, and is whole.
#[test]
fn h03_a_target_that_does_not_work_leaves_the_stream_on_the_old_server() {
    let bench = Bench::new("h03");
    let refuses = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hangs = target(|socket, kept| kept.push(socket));
    let closes = target(|socket, _| drop(socket));
    let nonsense = target(|mut socket, kept| {
        // It may be gone already.
        let _ = socket.write_all(&[0x48; 4000]);
        kept.push(socket);
    });
    let mut running = Vec::new();
    for (name, to) in [("refuses", refuses), ("hangs", hangs), ("closes", closes), ("nonsense", nonsense)] {
        let server = Server::start(&bench, name);
        let out = bench.path(&format!("{name}.view.flv"));
        let view = command(["play", &server.url(STREAM), "-o", out.to_str().unwrap()]);
        let view = Proc::start(&bench, &format!("view-{name}"), view);
        let args = ["--announce", "reconnect"];
        let publish =
            Publish::paced(&bench, &format!("pub-{name}"), &Clip::demo(), &server.url(STREAM), &args);
        server.wait_recorded(STREAM, RUNNING, SHORT);
        let drain =
            server.drain_command(&["--to", &format!("rtmp://{to}"), "--settle", "0", "--deadline", "20"]);
        let drain = Proc::start(&bench, &format!("drain-{name}"), drain);
        running.push((name, server, publish, view, out, drain));
    }
    for (name, server, _, _, _, drain) in &mut running {
        // At least two keyframes have passed at which it would have gone.
        server.wait_recorded(STREAM, 6 * RUNNING, SHORT);
        assert!(drain.ended().is_none(), "{name}: nothing moved, so the drain goes on");
        server.undrain(&bench);
        drain.wait(SHORT);
    }
    for (_, server, publish, view, out, _) in &mut running {
        publish.succeeds(TO_THE_END);
        // It was told to go too, and may look for the stream elsewhere for 15 s.
        view.succeeds(TO_THE_END);
        let legs = server.recordings(STREAM);
        assert_verified(&bench, &publish.sent, &legs, &["--whole", "--no-overlap"]);
        assert_viewed(&bench, &publish.sent, out);
    }
}

/// H12: the keyframe at which the stream moves has a timestamp within a frame of where fields of 24, 31 and 32 bits end.
#[test]
fn h12_the_cut_falls_on_the_edge_of_a_timestamp_field() {
    let bench = Bench::new("h12");
    let (a, b) = (Server::start(&bench, "a"), Server::start(&bench, "b"));
    // The clip's keyframes are 2 s apart; the third is where the drain below moves the streams.
    let demo = flv::read(&Clip::demo().path);
    let boundary = demo.iter().filter(|tag| tag.is_keyframe()).nth(2).unwrap().timestamp;
    let mut running = Vec::new();
    for (name, edge) in [("24-bits", 0xff_ffff_u32), ("31-bits", 0x8000_0000), ("32-bits", 0)] {
        let mut tags = flv::read(&Clip::demo().path);
        tags.iter_mut()
            .for_each(|tag| tag.timestamp = tag.timestamp.wrapping_add(edge).wrapping_sub(boundary + 10));
        let path = bench.path(&format!("{name}.flv"));
        flv::write(&path, &tags);
        let stream = format!("live/{name}");
        let view_out = bench.path(&format!("{name}.view.flv"));
        let view = command(["play", &a.url(&stream), "-o", view_out.to_str().unwrap()]);
        let view = Proc::start(&bench, &format!("view-{name}"), view);
        let args = ["--announce", "reconnect"];
        let url = a.url(&stream);
        let publish = Publish::paced(&bench, &format!("pub-{name}"), &Clip { path }, &url, &args);
        running.push((stream, edge, publish, view, view_out));
    }
    // Half a GOP before the boundary.
    at(running[2].2.started + Duration::from_secs(3));
    let drain = a.drain(&bench, "drain", &["--to", &b.base(), "--settle", "0"], TO_THE_END);
    assert_eq!(drain.code, 0, "{drain:?}");
    for (stream, edge, publish, view, view_out) in &mut running {
        let records = publish.succeeds(TO_THE_END);
        assert_eq!(records.len(), 1, "{stream}: {records:?}");
        assert_eq!(records[0]["new_first_ts"], edge.wrapping_sub(10), "{stream}: {records:?}");
        view.succeeds(SHORT);
        let legs = [a.recordings(stream), b.recordings(stream)].concat();
        assert_eq!(legs.len(), 2, "{legs:?}");
        assert_verified(&bench, &publish.sent, &legs, &["--whole", "--no-overlap"]);
        assert_viewed(&bench, &publish.sent, view_out);
    }
}

/// H4 on one server: the connection is reset in the middle; the publisher dials again and replays what was not surely
/// received; the server, which still has the stream, splices it.
#[test]
fn h04_a_reset_connection_loses_and_repeats_nothing_at_the_same_server() {
    let bench = Bench::new("h04");
    let mut a = Server::start(&bench, "a");
    let proxy = FaultProxy::start(a.rtmp, Network::default());
    let out = bench.path("view.flv");
    let mut view =
        Proc::start(&bench, "view", command(["play", &a.url(STREAM), "-o", out.to_str().unwrap()]));
    let mut publish = Publish::paced(&bench, "pub", &Clip::demo(), &proxy.url(STREAM), &[]);
    a.wait_recorded(STREAM, 2 * RUNNING, SHORT);
    proxy.reset_all();
    publish.succeeds(TO_THE_END);
    assert_eq!(proxy.connections().len(), 2);
    assert_eq!(view.wait(SHORT), 0, "{}", view.stderr());
    assert_eq!(a.stop(), 0);
    assert_verified(&bench, &publish.sent, &a.recordings(STREAM), &["--whole", "--no-overlap"]);
    assert_viewed(&bench, &publish.sent, &out);
}
