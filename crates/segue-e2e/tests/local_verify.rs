//! `segue verify` on recordings that were done wrong, one wrong at a time: each is caught by name and count.

#![allow(clippy::unwrap_used)]

use segue_e2e::bench::Bench;
use segue_e2e::flv::{self, Tag};
use segue_e2e::ledger::{FAULTS, verify};
use segue_e2e::mutate::WRONGS;
use segue_e2e::source::Clip;

#[test]
fn the_source_itself_is_whole() {
    let bench = Bench::new("verify-same");
    let clip = Clip::demo().path;
    let verdict = verify(&bench, &clip, std::slice::from_ref(&clip), &["--whole", "--no-overlap"]);
    assert_eq!(verdict.code, 0, "{verdict:?}");
    for name in FAULTS.iter().chain(&["overlap"]) {
        assert_eq!(verdict.count(name), 0, "{name}: {verdict:?}");
    }
}

#[test]
fn a_constant_offset_and_other_metadata_are_no_fault() {
    let bench = Bench::new("verify-offset");
    let clip = Clip::demo().path;
    let mut tags: Vec<Tag> = flv::read(&clip).into_iter().filter(|tag| tag.kind != 18).collect();
    tags.iter_mut().for_each(|tag| tag.timestamp += 12_345);
    let shifted = bench.path("shifted.flv");
    flv::write(&shifted, &tags);
    let verdict = verify(&bench, &clip, &[shifted], &["--whole", "--no-overlap"]);
    assert_eq!(verdict.code, 0, "{verdict:?}");
    assert!(verdict.output.stdout.contains("12345"), "the offset is printed: {verdict:?}");
}

#[test]
fn each_wrong_is_caught_by_name_and_count() {
    let bench = Bench::new("verify-wrongs");
    let clip = Clip::demo().path;
    for wrong in WRONGS {
        let mut tags = flv::read(&clip);
        (wrong.apply)(&mut tags);
        let path = bench.path(&format!("{}.flv", wrong.name));
        flv::write(&path, &tags);
        let verdict = verify(&bench, &clip, &[path], wrong.flags);
        assert_eq!(verdict.code, 3, "{}: {verdict:?}", wrong.name);
        for &(name, count) in wrong.counts {
            assert_eq!(verdict.count(name), count, "{}: {name}: {verdict:#?}", wrong.name);
        }
    }
}

#[test]
fn without_whole_a_cut_tail_is_allowed() {
    let bench = Bench::new("verify-tail");
    let clip = Clip::demo().path;
    let mut tags = flv::read(&clip);
    tags.truncate(tags.len() - 10);
    let path = bench.path("cut.flv");
    flv::write(&path, &tags);
    assert_eq!(verify(&bench, &clip, &[path], &[]).code, 0);
}

#[test]
fn a_track_that_never_came_is_missed_with_and_without_whole() {
    let bench = Bench::new("verify-track");
    let clip = Clip::demo().path;
    let tags = flv::read(&clip);
    let audio = tags.iter().filter(|tag| tag.kind == 8 && tag.is_media()).count();
    let silent: Vec<Tag> = tags.into_iter().filter(|tag| tag.kind != 8).collect();
    let path = bench.path("silent.flv");
    flv::write(&path, &silent);
    assert_eq!(verify(&bench, &clip, std::slice::from_ref(&path), &[]).code, 3);
    let verdict = verify(&bench, &clip, &[path], &["--whole"]);
    assert_eq!((verdict.code, verdict.count("missing")), (3, audio as i64), "{verdict:?}");
}

#[test]
fn nothing_received_is_3_and_no_flv_is_1() {
    let bench = Bench::new("verify-empty");
    let clip = Clip::demo().path;
    let (bare, none, text) = (bench.path("bare.flv"), bench.path("none.flv"), bench.path("text.flv"));
    flv::write(&bare, &[]);
    std::fs::write(&none, b"").unwrap();
    std::fs::write(&text, b"this is not a recording").unwrap();
    assert_eq!(verify(&bench, &clip, &[bare], &[]).code, 3);
    let empty = verify(&bench, &clip, &[none], &[]);
    assert_eq!(empty.code, 3, "{empty:?}");
    assert_eq!(verify(&bench, &clip, &[text], &[]).code, 1);
    assert_eq!(verify(&bench, &clip, &[bench.path("absent.flv")], &[]).code, 1);
}

#[test]
fn a_tail_repeated_by_the_next_leg_is_overlap_and_not_duplication() {
    let bench = Bench::new("verify-overlap");
    let clip = Clip::demo().path;
    let tags = flv::read(&clip);
    let split = tags.len() / 2;
    let keyframe = (0..split).rev().find(|&n| tags[n].is_keyframe()).unwrap();
    let overlap = tags[keyframe..split].iter().filter(|tag| tag.is_media()).count();
    let (a, b) = (bench.path("a.flv"), bench.path("b.flv"));
    flv::write(&a, &tags[..split]);
    flv::write(&b, &tags[keyframe..]);
    let allowed = verify(&bench, &clip, &[a.clone(), b.clone()], &["--whole"]);
    assert_eq!((allowed.code, allowed.count("overlap")), (0, overlap as i64), "{allowed:?}");
    assert_eq!(allowed.count("duplicated"), 0, "{allowed:?}");
    assert_eq!(verify(&bench, &clip, &[a, b], &["--whole", "--no-overlap"]).code, 3);
}

#[test]
fn legs_that_restart_need_an_offset_each() {
    let bench = Bench::new("verify-restart");
    let clip = Clip::demo().path;
    let tags = flv::read(&clip);
    let split = (tags.len() / 2..).find(|&n| tags[n].is_keyframe()).unwrap();
    let start = tags[split].timestamp;
    let mut second = tags[split..].to_vec();
    second.iter_mut().for_each(|tag| tag.timestamp = tag.timestamp.wrapping_sub(start));
    let (a, b) = (bench.path("a.flv"), bench.path("b.flv"));
    flv::write(&a, &tags[..split]);
    flv::write(&b, &second);
    let files = [a, b];
    assert_eq!(verify(&bench, &clip, &files, &["--whole", "--no-overlap"]).code, 3);
    let verdict = verify(&bench, &clip, &files, &["--whole", "--no-overlap", "--offset-per-leg"]);
    assert_eq!(verdict.code, 0, "{verdict:?}");
}
