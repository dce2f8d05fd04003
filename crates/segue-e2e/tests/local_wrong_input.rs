//! Wrong input: one clear line on stderr, the contract's exit code, and no stream key in what is printed.

#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::time::Duration;

use segue_e2e::bench::Bench;
use segue_e2e::process::{Output, run};
use segue_e2e::segue::{SHORT, Server, command};
use segue_e2e::source::Clip;
use segue_e2e::{flv, ledger};

const KEY: &str = "sekrit-key-4711";

/// Runs `segue ARGS...` and asserts its exit code, one line on stderr, nothing on stdout, and no key in either.
fn fails(bench: &Bench, args: &[&str], code: i32) -> Output {
    let output = run(bench, "wrong", command(args), Duration::from_secs(30));
    assert_eq!(output.code, code, "{args:?}: {output:?}");
    let lines: Vec<&str> = output.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(lines.len(), 1, "{args:?}: one line: {output:?}");
    assert!(output.stdout.is_empty(), "{args:?}: {output:?}");
    assert!(!output.stderr.contains(KEY), "{args:?} prints the key: {output:?}");
    output
}

/// An address where nobody listens.
fn nowhere() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_bad_url_is_wrong_usage() {
    let bench = Bench::new("bad-url");
    let clip = Clip::demo().path;
    for url in ["http://localhost/live/x", "rtmp://", "rtmp://host", "live/cam", "rtmp://h:99999/live/x", ""]
    {
        fails(&bench, &["publish", text(&clip), url], 2);
        fails(&bench, &["play", url, "-o", "/dev/null"], 2);
    }
}

#[test]
fn wrong_arguments_are_wrong_usage() {
    let bench = Bench::new("bad-arguments");
    for args in [
        ["publish", "--announce=maybe", "x", "rtmp://h/a/b"].as_slice(),
        &["publish"],
        &["serve", "--rtmp", "nowhere"],
        &["drain", "--deadline", "soon"],
        &["verify"],
        &["no-such-command"],
        &["serve", "--no-such-flag"],
    ] {
        let output = run(&bench, "wrong", command(args), SHORT);
        assert_eq!(output.code, 2, "{args:?}: {output:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{args:?}: {output:?}");
    }
}

#[test]
fn not_an_flv_and_no_file_at_all() {
    let bench = Bench::new("not-flv");
    let server = Server::start(&bench, "a");
    let file = bench.path("notes.txt");
    std::fs::write(&file, "no recording, but long enough to hold a header of one\n").unwrap();
    let url = server.url(&format!("live/{KEY}"));
    let not_flv = fails(&bench, &["publish", text(&file), &url], 1);
    assert!(not_flv.stderr.contains("FLV"), "{not_flv:?}");
    let absent = fails(&bench, &["publish", text(&bench.path("absent.flv")), &url], 1);
    assert!(absent.stderr.contains("absent.flv"), "{absent:?}");
}

#[test]
fn an_unreachable_server() {
    let bench = Bench::new("unreachable");
    let addr = nowhere();
    let clip = Clip::demo().path;
    let url = format!("rtmp://{addr}/live/{KEY}");
    let publish = fails(&bench, &["publish", text(&clip), &url], 1);
    assert!(publish.stderr.contains(&addr), "it says where: {publish:?}");
    let play = fails(&bench, &["play", &url, "-o", "/dev/null", "--wait", "1"], 1);
    assert!(play.stderr.contains(&addr), "it says where: {play:?}");
    let admin = format!("http://{addr}");
    let drain = fails(&bench, &["drain", "--admin", &admin], 1);
    assert!(drain.stderr.contains(&addr), "it says where: {drain:?}");
}

#[test]
fn a_stream_that_never_comes() {
    let bench = Bench::new("no-stream");
    let server = Server::start(&bench, "a");
    let url = server.url(&format!("live/{KEY}"));
    fails(&bench, &["play", &url, "-o", "/dev/null", "--wait", "1"], 1);
}

#[test]
fn a_port_that_is_taken() {
    let bench = Bench::new("port-taken");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for flag in ["--rtmp", "--http", "--admin"] {
        let mut args = vec!["serve"];
        for listener in ["--rtmp", "--http", "--admin"] {
            args.extend([listener, if listener == flag { addr.as_str() } else { "127.0.0.1:0" }]);
        }
        let output = run(&bench, "wrong", command(&args), SHORT);
        assert_eq!(output.code, 1, "{flag}: {output:?}");
        let lines = output.stderr.lines().filter(|line| line.contains(&addr)).count();
        assert_eq!(lines, 1, "{flag}: one line says which: {output:?}");
    }
}

#[test]
fn a_folder_that_cannot_be_written() {
    let bench = Bench::new("unwritable");
    // Below a plain file there is no folder, whoever asks; permissions would not stop root.
    let file = bench.path("file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("records");
    let listeners = ["--rtmp", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let mut args = vec!["serve", "--record", text(&below)];
    args.extend(listeners);
    let serve = fails(&bench, &args, 1);
    assert!(serve.stderr.contains("records"), "{serve:?}");
    let play = fails(&bench, &["play", "rtmp://127.0.0.1:1/live/x", "-o", text(&file.join("out.flv"))], 1);
    assert!(play.stderr.contains("out.flv"), "{play:?}");
}

#[test]
fn a_truncated_flv_is_published_to_its_last_whole_tag_with_a_warning() {
    let bench = Bench::new("truncated");
    let mut server = Server::start(&bench, "a");
    let whole = std::fs::read(Clip::demo().path).unwrap();
    let cut = bench.path("cut.flv");
    // No multiple of anything: it falls into a tag.
    std::fs::write(&cut, &whole[..whole.len() / 3 + 1]).unwrap();
    let url = server.url(&format!("live/{KEY}"));
    let output = run(&bench, "publish", command(["publish", text(&cut), &url, "--no-pace"]), SHORT);
    assert_eq!(output.code, 0, "{output:?}");
    let warnings = output.stderr.lines().filter(|line| line.to_lowercase().contains("truncated")).count();
    assert_eq!(warnings, 1, "{output:?}");
    assert!(!output.stderr.contains(KEY), "{output:?}");
    assert_eq!(server.stop(), 0);
    let recordings = server.recordings(&format!("live/{KEY}"));
    let count = flv::read(&cut).iter().filter(|tag| tag.is_media()).count();
    assert_eq!(server.recorded(&format!("live/{KEY}")), count);
    ledger::assert_verified(&bench, &cut, &recordings, &["--whole", "--no-overlap"]);
    let log = server.proc.stderr();
    assert!(!log.contains(KEY), "the server logs the key:\n{log}");
}

#[test]
fn help_and_version_are_results() {
    let bench = Bench::new("help");
    let version = run(&bench, "version", command(["--version"]), SHORT);
    assert!(version.code == 0 && version.stdout.starts_with("segue "), "{version:?}");
    for sub in ["serve", "publish", "play", "verify", "drain", "demo"] {
        let help = run(&bench, "help", command([sub, "--help"]), SHORT);
        assert!(help.code == 0 && help.stdout.contains("Usage") && help.stderr.is_empty(), "{sub}: {help:?}");
    }
}
