//! `segue verify` as a script sees it: names and values, JSON of the same names, exit codes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{clip, ended, file, run};
use serde_json::Value;

fn value(out: &str, name: &str) -> u64 {
    let line = out.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in {out}")).parse().unwrap()
}

#[test]
fn each_fault_has_its_count_and_exits_3() {
    let dir = tempfile::tempdir().unwrap();
    let path =
        |name: &str, frames: Vec<u32>| file(dir.path(), name, clip(frames)).to_str().unwrap().to_owned();
    let sent = path("sent.flv", (0..100).collect());
    let a = path("a.flv", (0..48).collect());
    let b = path("b.flv", (48..100).collect());
    let overlapping = path("o.flv", (36..100).collect());
    let hole = path("hole.flv", (0..50).chain(53..100).collect());
    let twice = path("twice.flv", (0..60).chain(59..100).collect());
    let tail = path("tail.flv", (0..90).collect());
    let foreign = path("foreign.flv", (0..100).chain([500]).collect());
    let cases: &[(&[&str], i32, &str, u64)] = &[
        (&[&sent, &sent, "--whole", "--no-overlap"], 0, "received", 100),
        (&[&sent, &a, &b, "--whole", "--no-overlap"], 0, "missing", 0),
        (&[&sent, &a, &overlapping], 0, "overlap", 12),
        (&[&sent, &a, &overlapping, "--no-overlap"], 3, "overlap", 12),
        (&[&sent, &hole], 3, "missing", 3),
        (&[&sent, &twice], 3, "duplicated", 1),
        (&[&sent, &tail], 0, "missing", 0),
        (&[&sent, &tail, "--whole"], 3, "missing", 10),
        (&[&sent, &foreign], 3, "extra", 1),
        (&[&sent, &a, "--whole", "--track", "audio"], 3, "received", 0),
    ];
    for (args, exit, name, count) in cases {
        let (code, out, err) = ended(&run([&["verify"], *args].concat()));
        assert_eq!((code, value(&out, name)), (*exit, *count), "{args:?}\n{out}{err}");
        let (code, json, _) = ended(&run([&["verify", "--json"], *args].concat()));
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((code, json[*name].as_u64()), (*exit, Some(*count)), "{args:?}");
    }
}

#[test]
fn a_received_file_that_is_cut_or_empty_is_judged_by_what_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let content = clip(0..100);
    let sent = file(dir.path(), "sent.flv", &content);
    let cut = file(dir.path(), "cut.flv", &content[..content.len() - 20]);
    let empty = file(dir.path(), "empty.flv", "");
    let verify = |received: &std::path::Path| {
        ended(&run(["verify".as_ref(), sent.as_os_str(), received.as_os_str(), "--whole".as_ref()]))
    };
    let (code, out, err) = verify(&cut);
    assert_eq!((code, value(&out, "missing")), (3, 1));
    assert!(err.contains("ends inside a tag"), "{err}");
    let (code, out, _) = verify(&empty);
    assert_eq!((code, value(&out, "missing"), value(&out, "received")), (3, 100, 0));
}
