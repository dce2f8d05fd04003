//! The judge: `segue verify`, and beside it `tests/framehash.py`, which compares what ffmpeg's framehash muxer says of
//! the same files and uses no code of the product. Both must come to the same end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::bench::{Bench, repository};
use crate::flv::END_OF_SEQUENCE;
use crate::process::{Output, run};
use crate::segue::{self, SHORT};

/// What `segue verify --json` said.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Exit code.
    pub code: i32,
    /// The numbers by name: `missing`, `duplicated`, `overlap`, ...
    pub counts: BTreeMap<String, i64>,
    /// As it was printed, for messages.
    pub output: Output,
}

impl Verdict {
    /// One number.
    ///
    /// # Panics
    /// When it was not printed.
    pub fn count(&self, name: &str) -> i64 {
        *self.counts.get(name).unwrap_or_else(|| panic!("verify printed no `{name}`: {:?}", self.output))
    }
}

/// Runs `segue verify SENT RECEIVED... FLAGS --json` and, for the numbers that people read, checks that the plain form
/// prints the same.
pub fn verify(bench: &Bench, sent: &Path, received: &[PathBuf], flags: &[&str]) -> Verdict {
    let command = || {
        let mut command = segue::command(["verify"]);
        command.arg(sent).args(received).args(flags);
        command
    };
    let mut json = command();
    json.arg("--json");
    let output = run(bench, "verify-json", json, SHORT);
    let plain = run(bench, "verify", command(), SHORT);
    assert_eq!(output.code, plain.code, "verify with and without --json: {output:?} {plain:?}");
    let counts = match serde_json::from_str::<Value>(&output.stdout) {
        Ok(Value::Object(map)) => {
            map.into_iter().filter_map(|(name, value)| Some((name, value.as_i64()?))).collect()
        }
        _ => BTreeMap::new(),
    };
    for (name, value) in &counts {
        let line = format!("{name} {value}");
        assert!(plain.stdout.lines().any(|l| l == line), "verify prints no `{line}`:\n{}", plain.stdout);
    }
    Verdict { code: output.code, counts, output }
}

/// The counts that must be 0 for exit code 0.
pub const FAULTS: [&str; 5] = ["missing", "duplicated", "reordered", "altered", "extra"];

/// Asserts that `verify` with these flags finds no fault.
pub fn assert_verified(bench: &Bench, sent: &Path, received: &[PathBuf], flags: &[&str]) -> Verdict {
    assert!(!received.is_empty(), "nothing was received of {}", sent.display());
    let verdict = verify(bench, sent, received, flags);
    assert_eq!(verdict.code, 0, "verify {flags:?} of {received:?}: {:#?}", verdict.output);
    for fault in FAULTS {
        assert_eq!(verdict.count(fault), 0, "{fault}: {:#?}", verdict.output);
    }
    verdict
}

/// Asserts that all of SENT was received exactly once, and that the second judge, which knows no Segue, agrees.
pub fn assert_exact(bench: &Bench, sent: &Path, received: &[PathBuf]) -> Verdict {
    let verdict = assert_verified(bench, sent, received, &["--whole", "--no-overlap"]);
    assert_eq!(verdict.count("overlap"), 0, "{:#?}", verdict.output);
    confirm(bench, sent, received, &["--whole", "--no-overlap"]);
    verdict
}

/// A viewer who waits for a stream of audio alone joins at whatever frame is the newest when it begins: no later than
/// this, about a tenth of a second.
const HEAD: usize = 5;

/// Asserts that a viewer who was there from the start has the source in one contiguous run to its end. A viewer is
/// started at a keyframe: the audio before the first may be lacking, or a few messages of audio alone.
pub fn assert_viewed(bench: &Bench, sent: &Path, viewed: &Path) {
    let received = [viewed.to_owned()];
    assert_verified(bench, sent, &received, &["--no-overlap"]);
    let media = |path: &Path| {
        crate::flv::read(path).into_iter().filter(crate::flv::Tag::is_media).collect::<Vec<_>>()
    };
    let (source, viewed) = (media(sent), media(viewed));
    let before = source.iter().position(crate::flv::Tag::is_keyframe).unwrap_or(HEAD);
    let whole = verify(bench, sent, &received, &["--whole", "--no-overlap"]);
    let missing = whole.count("missing");
    let what = format!("{missing} missing, {before} messages before the first keyframe: {:#?}", whole.output);
    assert!(missing <= before as i64, "{what}");
    assert!(viewed.last().map(|tag| &tag.body) == source.last().map(|tag| &tag.body), "the end: {what}");
}

/// The same, confirmed by the second judge and by ffmpeg's count of the pictures.
pub fn assert_watched(bench: &Bench, sent: &Path, viewed: &Path) {
    assert_viewed(bench, sent, viewed);
    confirm(bench, sent, &[viewed.to_owned()], &["--no-overlap"]);
    let pictures = |path: &Path| crate::source::packets(bench, path).0;
    assert_eq!(pictures(viewed), pictures(sent), "pictures in {}", viewed.display());
}

/// Asserts that what ffmpeg kept of a leg that it viewed is the leg from a keyframe to its very end: of each track the
/// last messages, by payload, and of video all. Between tracks ffmpeg has an order of its own, and it ends a file with
/// a message that marks the end.
pub fn assert_leg_viewed(leg: &Path, viewed: &Path) {
    let bodies = |path: &Path, kind: u8| -> Vec<Vec<u8>> {
        let tags = crate::flv::read(path).into_iter().filter(|tag| tag.kind == kind && tag.is_media());
        tags.map(|tag| tag.body).filter(|body| !body.starts_with(END_OF_SEQUENCE)).collect()
    };
    for kind in [8, 9] {
        let (leg, viewed) = (bodies(leg, kind), bodies(viewed, kind));
        let lacking = leg.len().saturating_sub(viewed.len());
        let allowed = if kind == 8 { HEAD } else { 0 };
        assert!(leg.ends_with(&viewed), "type {kind}: {} of {} are not its end", viewed.len(), leg.len());
        assert!(lacking <= allowed, "type {kind}: {lacking} of {} are lacking at the start", leg.len());
    }
}

/// Asserts that `tests/framehash.py` with these flags finds no fault either.
pub fn confirm(bench: &Bench, sent: &Path, received: &[PathBuf], flags: &[&str]) {
    let output = framehash(bench, sent, received, flags);
    assert_eq!(output.code, 0, "framehash.py {flags:?} of {received:?}: {output:#?}");
}

/// Runs `tests/framehash.py SENT RECEIVED... FLAGS`.
pub fn framehash(bench: &Bench, sent: &Path, received: &[PathBuf], flags: &[&str]) -> Output {
    let mut command = Command::new("python3");
    command.arg(repository().join("tests/framehash.py")).arg(sent).args(received).args(flags);
    run(bench, "framehash", command, Duration::from_secs(120))
}

/// Counts distinct payloads of a file: the media messages, and how many different ones are among them.
pub fn distinct(file: &Path) -> (usize, usize) {
    let media: Vec<_> = crate::flv::read(file).into_iter().filter(crate::flv::Tag::is_media).collect();
    let different: std::collections::BTreeSet<_> = media.iter().map(|tag| (tag.kind, &tag.body)).collect();
    (media.len(), different.len())
}
