//! Wrong usage exits 2, wrong input 1, each with one clear line on stderr, nothing on stdout, and no stream key.

mod common;

use common::{ended, file, run, segue};

/// A key that must show up nowhere.
const KEY: &str = "canary-f3b1";

#[test]
fn wrong_usage_is_one_line_and_2() {
    let url = format!("rtmp://127.0.0.1/live/{KEY}");
    let no_app = format!("rtmp://127.0.0.1/{KEY}");
    let cases: &[&[&str]] = &[
        &["frobnicate"],
        &["publish"],
        &["publish", "in.flv"],
        &["publish", "in.flv", &no_app],
        &["publish", "in.flv", "http://127.0.0.1/live/x"],
        &["publish", "in.flv", &url, &url],
        &["publish", "in.flv", &url, "--announce", "neither"],
        &["publish", "in.flv", &url, "--redirect", "host:1"],
        &["publish", "in.flv", &url, "--boundary-deadline", "-1"],
        &["publish", "-", &url, "--loop"],
        &["play"],
        &["play", &no_app],
        &["play", &url, "--duration", "x"],
        &["serve", "--rtmp", "1935"],
        &["serve", "--drain-to", "b:1935"],
        &["serve", "--drain-deadline", "soon"],
        &["drain", "--admin", "https://127.0.0.1"],
        &["drain", "--to", "nowhere"],
        &["drain", "--cancel", "--dry-run"],
        &["verify", "sent.flv"],
        &["verify", "sent.flv", "received.flv", "--track", "subtitles"],
        &["demo", "--fast"],
    ];
    for args in cases {
        let (code, out, err) = ended(&run(*args));
        assert_eq!((code, &*out), (2, ""), "{args:?}: {err}");
        assert!(err.starts_with("segue: ") && err.lines().count() == 1, "{args:?}: {err}");
        assert!(!err.contains(KEY), "{err}");
    }
}

#[test]
fn wrong_input_is_one_line_and_1() {
    let dir = tempfile::tempdir().unwrap();
    let text = file(dir.path(), "text.flv", "no FLV at all");
    let text = text.to_str().unwrap();
    let good = file(dir.path(), "good.flv", common::clip(0..30));
    let good = good.to_str().unwrap();
    let bare = file(dir.path(), "bare.flv", &common::clip(0..0)[..13]);
    let bare = bare.to_str().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let url = format!("rtmp://{closed}/live/{KEY}");
    let admin = format!("http://{closed}");
    let any = "127.0.0.1:0";
    let cases: &[(&[&str], &str)] = &[
        (&["publish", text, &url], "not an FLV file"),
        (&["publish", bare, &url], "no whole message"),
        (&["publish", "/nonexistent.flv", &url], "cannot read /nonexistent.flv"),
        (&["publish", good, &url], "refused"),
        (&["publish", good, &url, "--report", "/nonexistent/r"], "cannot write /nonexistent/r"),
        (&["publish", good, &url, "--key-file", "/nonexistent.key"], "cannot read the key file"),
        (&["play", &url, "-o", "/nonexistent/x.flv"], "cannot write /nonexistent/x.flv"),
        (&["play", &url, "-o", "-", "--wait", "0.1"], "refused"),
        (&["serve", "--rtmp", &taken, "--http", any, "--admin", any], "cannot listen on"),
        (&["serve", "--rtmp", any, "--http", any, "--admin", any, "--record", "/proc/none"], "cannot write"),
        (&["drain", "--admin", &admin], "cannot reach"),
        (&["verify", text, good], "not an FLV file"),
        (&["verify", good, "/nonexistent.flv"], "nonexistent.flv"),
    ];
    for (args, says) in cases {
        let (code, out, err) = ended(&run(*args));
        assert_eq!(code, 1, "{args:?}: {err}");
        assert!(
            err.contains(says) && err.starts_with("segue: ") && err.lines().count() == 1,
            "{args:?}: {err}"
        );
        assert!(!err.contains(KEY) && !out.contains(KEY), "{err}");
    }
}

#[test]
fn help_is_on_stdout_and_lists_every_command() {
    let (code, out, _) = ended(&run(["--help"]));
    assert_eq!(code, 0);
    for command in ["serve", "publish", "play", "drain", "verify", "demo"] {
        assert!(out.contains(&format!("\n  {command} ")), "{command}");
        let (code, help, err) = ended(&run([command, "--help"]));
        assert_eq!((code, &*err), (0, ""), "{command}");
        assert!(help.contains("Usage: segue"), "{help}");
    }
    assert_eq!(ended(&run(["--version"])).0, 0);
    assert_eq!(ended(&run([""; 0])).0, 2);
}

#[test]
fn a_key_comes_from_a_file_or_the_environment_and_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let key = file(dir.path(), "key", format!("{KEY}?token={KEY}\n"));
    let clip = file(dir.path(), "clip.flv", common::clip(0..3));
    let publish = |url: &str| {
        let mut command = segue(["publish", clip.to_str().unwrap(), url]);
        command.env("SEGUE_LOG", "trace");
        command
    };
    // A URL without a name is wrong usage, unless the key comes from elsewhere: then the server is missing.
    let url = "rtmp://127.0.0.1:1/live";
    assert_eq!(ended(&publish(url).output().unwrap()).0, 2);
    for command in [publish(url).env("SEGUE_KEY", KEY), publish(url).arg("--key-file").arg(&key)] {
        let (code, out, err) = ended(&command.output().unwrap());
        assert_eq!(code, 1, "{err}");
        assert!(!out.contains(KEY) && !err.contains(KEY), "{err}");
    }
}
