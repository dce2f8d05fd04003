//! The recorder: files by leg, and what it holds back.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use segue_flv::Reader;
use segue_proto::MediaMessage;
use segue_server::config::MAX_CHECKPOINTS;
use segue_server::hub::RecorderState;

use crate::world::{PLAIN, SEGUE, Source, World, metadata, sequence_header};

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

fn messages(path: &Path) -> Vec<MediaMessage> {
    let mut reader = Reader::new();
    reader.push(fs::read(path).unwrap().into());
    let mut all = Vec::new();
    while let Some(message) = reader.next().unwrap() {
        all.push(message);
    }
    all
}

#[test]
fn one_file_a_leg_headers_first_timestamps_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::with_record(Some(dir.path()));
    let mut source = Source::new();
    let first = w.publish("cam", PLAIN);
    w.send(first, &[metadata(), sequence_header()]);
    w.stream(first, &mut source, 30);
    w.end(first);
    w.pass_time(Duration::from_secs(1));
    let second = w.publish("cam", PLAIN);
    w.stream(second, &mut source, 30);
    let files = files(&dir.path().join("live"));
    assert_eq!(files.len(), 2);
    let id = segue_proto::url::stream_id("live", "cam");
    for (n, file) in files.iter().enumerate() {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with(&id[..8]) && name.ends_with(&format!("-e{}.flv", n + 1)), "{name}");
        assert!(!name.contains("cam"));
        let got = messages(file);
        assert_eq!(got[0].payload, metadata().payload);
        assert_eq!(got[1].payload, sequence_header().payload);
        let times: Vec<_> = got[2..].iter().map(|m| m.timestamp.as_millis()).collect();
        assert_eq!(times, (0..30).map(|i| (30 * n as u32 + i) * 40).collect::<Vec<_>>());
    }
    let name = files[0].file_name().unwrap().to_str().unwrap();
    assert_eq!(&name[8..], "-19700101T001640.000Z-e1.flv");
}

#[test]
fn a_stream_that_is_over_is_recorded_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::with_record(Some(dir.path()));
    let publisher = w.publish("cam", PLAIN);
    w.stream(publisher, &mut Source::new(), 30);
    let slot = w.hub.streams()[0].clone();
    w.client(publisher).session.finish_publish();
    w.run();
    // Rung for once more, behind its end.
    w.hub.announce(&slot, &slot.lock());
    w.run();
    assert_eq!(files(&dir.path().join("live")).len(), 1);
}

#[test]
fn the_header_says_what_the_file_holds() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::with_record(Some(dir.path()));
    let publisher = w.publish("cam", PLAIN);
    w.stream(publisher, &mut Source::new(), 1);
    let path = &files(&dir.path().join("live"))[0];
    assert_eq!(fs::read(path).unwrap()[4], 1);
    let audio = MediaMessage::new(
        segue_proto::TrackKind::Audio,
        Default::default(),
        bytes::Bytes::from_static(b"\xaf\x01\x21"),
    );
    w.send(publisher, &[audio]);
    assert_eq!(fs::read(path).unwrap()[4], 5);
}

#[test]
fn an_acknowledgement_waits_for_the_recorder_but_not_longer_than_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::with_record(Some(dir.path()));
    let publisher = w.publish("cam", SEGUE);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 30);
    w.recorder_stuck = true;
    let written = w.client(publisher).session.sent();
    w.stream(publisher, &mut source, 20);
    assert!(w.client(publisher).acknowledged().iter().all(|ack| u64::from(*ack) <= written));
    let slot = w.hub.streams()[0].clone();
    assert_eq!(slot.recording.as_ref().unwrap().state(), RecorderState::Ok);
    w.stream(publisher, &mut source, 30);
    assert_eq!(slot.recording.as_ref().unwrap().state(), RecorderState::Degraded);
    assert!(w.client(publisher).acknowledged().iter().any(|ack| u64::from(*ack) > written));
    w.recorder_stuck = false;
    w.stream(publisher, &mut source, 1);
    assert_eq!(slot.recording.as_ref().unwrap().state(), RecorderState::Ok);
    let all = messages(&files(&dir.path().join("live"))[0]);
    assert_eq!(all.len(), 81);
}

#[test]
fn h20_a_disk_that_refuses_shows_and_disturbs_nobody() {
    let dir = tempfile::tempdir().unwrap();
    // A file where the folder should be.
    fs::write(dir.path().join("live"), b"").unwrap();
    let mut w = World::with_record(Some(dir.path()));
    let publisher = w.publish("cam", SEGUE);
    let viewer = w.play("cam", PLAIN);
    let mut source = Source::new();
    w.leg(publisher, 1, &source);
    w.stream(publisher, &mut source, 30);
    let slot = w.hub.streams()[0].clone();
    assert_eq!(slot.recording.as_ref().unwrap().state(), RecorderState::Failed);
    assert_eq!(w.client(viewer).timestamps().len(), 30);
    assert_eq!((slot.recording.as_ref().unwrap().lost(), w.hub.unrecorded()), (30, 30));
    assert!(!w.client(publisher).acknowledged().is_empty());
    fs::remove_file(dir.path().join("live")).unwrap();
    w.stream(publisher, &mut source, 30);
    assert_eq!(slot.recording.as_ref().unwrap().state(), RecorderState::Ok);
    let files = files(&dir.path().join("live"));
    assert_eq!(messages(&files[0])[0].timestamp.as_millis(), 50 * 40);
    assert_eq!(w.hub.unrecorded(), 50);
}

#[test]
fn an_unwritable_folder_is_seen_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(segue_server::record::prepare(&file.join("below")).is_err());
    assert!(segue_server::record::prepare(dir.path()).is_ok());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn past_the_checkpoints_kept_acknowledgements_get_coarser_and_stay_true() {
    let dir = tempfile::tempdir().unwrap();
    for extra in [0, 1, 10] {
        let mut w = World::with_record(Some(dir.path()));
        let publisher = w.publish(&format!("cam{extra}"), SEGUE);
        let mut source = Source::new();
        w.leg(publisher, 1, &source);
        w.run();
        w.recorder_stuck = true;
        let begun = w.client(publisher).session.sent();
        for _ in 0..MAX_CHECKPOINTS + extra {
            let message = source.next();
            w.send(publisher, &[message]);
        }
        w.pass_time(Duration::from_millis(900));
        let acknowledged =
            |w: &mut World| w.client(publisher).acknowledged().last().copied().map_or(0, u64::from);
        assert!(acknowledged(&mut w) <= begun);
        w.recorder_stuck = false;
        w.pass_time(Duration::from_millis(50));
        w.pass_time(Duration::from_secs(1));
        assert_eq!(acknowledged(&mut w), w.client(publisher).session.sent());
    }
}
