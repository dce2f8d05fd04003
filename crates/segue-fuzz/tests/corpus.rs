//! Replays the fuzzing corpus: each file of `fuzz/corpus/TARGET` on that target, without a fuzzer. What was once found
//! lies there too.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use segue_fuzz::TARGETS;

fn fuzz(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(folder)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("a folder").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn every_target_has_a_corpus_and_a_binary() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&fuzz("corpus")), targets);
    let binaries = targets.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&fuzz("fuzz_targets")), binaries);
}

#[test]
fn the_corpus_holds() {
    let mut failed = Vec::new();
    for (name, target) in TARGETS {
        let folder = fuzz("corpus").join(name);
        let files = names(&folder);
        assert!(files.len() >= 12, "{name} has a corpus of {}", files.len());
        for file in files {
            let data = fs::read(folder.join(&file)).unwrap();
            if catch_unwind(AssertUnwindSafe(|| target(&data))).is_err() {
                failed.push(format!("{name}/{file}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn nothing_and_one_byte_of_each_hold() {
    for (_, target) in TARGETS {
        target(&[]);
        for byte in 0..=255 {
            target(&[byte]);
        }
    }
}
