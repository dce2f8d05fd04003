//! FLV files by other makers, of the golden corpus beside `segue-proto`'s tests: read and written again they are the same
//! bytes, and where a connection carried the same stream, its messages are the file's tags.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use segue_flv::{Messages, Reader, Writer};
use segue_proto::chunk::{self, Limits};
use segue_proto::media::{Config, Content};
use segue_proto::{MediaMessage, TrackKind, handshake};

/// Files, and how many audio, video and data tags they have.
const FILES: &[(&str, [usize; 3])] = &[
    ("ffmpeg-5.1-avc-aac", [49, 12, 1]),
    ("ffmpeg-9-av1-ac3", [34, 13, 1]),
    ("ffmpeg-9-av1-flac", [52, 13, 1]),
    ("ffmpeg-9-av1-opus", [53, 13, 1]),
    ("ffmpeg-9-avc-two-sounds", [106, 12, 1]),
    ("ffmpeg-9-hevc-ac3", [34, 12, 1]),
    ("ffmpeg-9-hevc-flac", [52, 12, 1]),
    ("ffmpeg-9-hevc-hdr", [49, 12, 1]),
    ("ffmpeg-9-hevc-opus", [53, 12, 1]),
    ("ffmpeg-9-vp9-ac3", [34, 12, 1]),
    ("ffmpeg-9-vp9-flac", [52, 12, 1]),
    ("ffmpeg-9-vp9-opus", [53, 12, 1]),
    ("gstreamer-1.22-publish", [41, 12, 4]),
    ("obs-29-publish", [50, 32, 1]),
    ("rtmpdump-2.4-play", [49, 11, 1]),
];

/// A file, the connection that carried the same audio and video, and how many messages at its end the file lacks:
/// rtmpdump leaves out the end of sequence.
const SAME: &[(&str, &str, usize)] = &[
    ("ffmpeg-5.1-avc-aac", "ffmpeg-5.1-publish.c2s", 0),
    ("ffmpeg-5.1-avc-aac", "nginx-ffmpeg-5.1-publish.c2s", 0),
    ("ffmpeg-5.1-avc-aac", "nginx-segue-publish.c2s", 0),
    ("ffmpeg-5.1-avc-aac", "nginx-segue-play.s2c", 0),
    ("ffmpeg-9-hevc-hdr", "ffmpeg-9-hevc-hdr-publish.c2s", 0),
    ("ffmpeg-9-avc-two-sounds", "ffmpeg-9-avc-two-sounds-publish.c2s", 0),
    ("gstreamer-1.22-publish", "gstreamer-1.22-publish.c2s", 0),
    ("rtmpdump-2.4-play", "rtmpdump-2.4-play.s2c", 1),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../segue-proto/tests/corpus")
}

fn bytes(name: &str) -> Bytes {
    fs::read(folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}")).into()
}

fn tags(name: &str) -> Vec<MediaMessage> {
    let file = bytes(&format!("{name}.flv"));
    Messages::new(&file[..]).map(|tag| tag.unwrap_or_else(|e| panic!("{name}: {e}"))).collect()
}

#[test]
fn every_file_is_read_and_written_byte_for_byte() {
    let on_disk =
        fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(on_disk.filter(|name| name.ends_with(".flv")).count(), FILES.len(), "all are in the table");
    for (name, counts) in FILES {
        let file = bytes(&format!("{name}.flv"));
        let mut reader = Reader::new();
        reader.push(file.clone());
        let tags: Vec<_> = std::iter::from_fn(|| reader.next().unwrap()).collect();
        assert_eq!(reader.truncated().unwrap(), None, "{name}");
        let of = |kind| tags.iter().filter(|tag| tag.kind == kind).count();
        assert_eq!([of(TrackKind::Audio), of(TrackKind::Video), of(TrackKind::Data)], *counts, "{name}");

        let header = reader.header().unwrap();
        let mut writer = Writer::new(header.audio, header.video);
        tags.iter().for_each(|tag| writer.push(tag).unwrap());
        assert!(writer.take() == file, "{name}");
    }
}

#[test]
fn the_coded_frames_are_the_packets_that_ffmpeg_finds() {
    let readme = String::from_utf8(bytes("README.md").to_vec()).unwrap();
    for (name, _) in FILES {
        let tags = tags(name);
        let count = |kind, wanted: fn(&MediaMessage) -> bool| {
            tags.iter().filter(|tag| tag.kind == kind && wanted(tag)).count()
        };
        let video = count(TrackKind::Video, |tag| tag.info().is_coded());
        let keyframes = count(TrackKind::Video, |tag| tag.info().content == Content::Keyframe);
        let audio = count(TrackKind::Audio, |tag| tag.info().is_coded());
        let line = readme.lines().find(|line| line.starts_with(&format!("| {name}.flv |"))).unwrap();
        // FFmpeg makes an empty packet of a configuration that came late, and drops an empty one of FLAC.
        let rows = [0, 1, 2].map(|n| format!("| {video} / {keyframes} / {} |", audio + n - 1));
        assert!(rows.iter().any(|row| line.ends_with(row)), "{name}: {audio} audio: {line}");
        let metadata = |tag: &MediaMessage| tag.info().content == Content::Config(Config::Metadata);
        assert!(tags.first().is_some_and(metadata), "{name} begins with metadata");
    }
}

#[test]
fn a_connection_carries_the_tags_of_the_file() {
    for (file, capture, lacking) in SAME {
        let mut reader = chunk::Reader::new(Limits::PUBLISHING);
        reader.push(bytes(capture).slice(handshake::LEN..));
        let media = std::iter::from_fn(|| reader.next().unwrap()).filter_map(|message| {
            let kind = TrackKind::from_type_id(message.type_id)?;
            Some(MediaMessage::new(kind, message.timestamp, message.payload))
        });
        // Metadata is rewritten by some on the way.
        let mut carried: Vec<_> = media.filter(|message| message.kind != TrackKind::Data).collect();
        let mut tags: Vec<_> = tags(file).into_iter().filter(|tag| tag.kind != TrackKind::Data).collect();
        carried.truncate(carried.len() - lacking);
        // A file's muxer interleaves the tracks as it likes.
        carried.sort_by_key(|message| message.kind);
        tags.sort_by_key(|tag| tag.kind);
        assert!(carried == tags, "{file} and {capture}");
    }
}
