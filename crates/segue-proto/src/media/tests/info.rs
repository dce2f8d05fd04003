//! What a glance at a tag header finds.

use super::super::*;

fn info(kind: TrackKind, payload: &'static [u8]) -> TagInfo {
    MediaMessage::new(kind, Timestamp::ZERO, Bytes::from_static(payload)).info()
}

/// Bytes after the specifications' tables; frame bodies are cut short, nothing reads them.
#[test]
fn tag_headers_of_both_specifications() {
    use Content::{Config as C, Frame, Keyframe, Other};
    use TrackKind::{Audio, Data, Video};
    let fcc = |c: &[u8; 4]| Codec::FourCc(*c);
    type Case = (&'static str, TrackKind, &'static [u8], Content, u8, Codec);
    let cases: &[Case] = &[
        ("avc header", Video, b"\x17\x00\x00\x00\x00\x01", C(Config::SequenceHeader), 0, Codec::Legacy(7)),
        ("avc key", Video, b"\x17\x01\x00\x00\x2a\x00", Keyframe, 0, Codec::Legacy(7)),
        ("avc inter", Video, b"\x27\x01\x00\x00\x00\x00", Frame, 0, Codec::Legacy(7)),
        ("avc end", Video, b"\x17\x02\x00\x00\x00", Other, 0, Codec::Legacy(7)),
        ("avc cut short", Video, b"\x17", Other, 0, Codec::Legacy(7)),
        ("h263 key", Video, b"\x12\x00", Keyframe, 0, Codec::Legacy(2)),
        ("command frame", Video, b"\x57\x00", Other, 0, Codec::Legacy(7)),
        ("hevc header", Video, b"\x90hvc1\x01", C(Config::SequenceHeader), 0, fcc(b"hvc1")),
        ("hevc key", Video, b"\x91hvc1\0\0\0\0", Keyframe, 0, fcc(b"hvc1")),
        ("hevc inter x", Video, b"\xa3hvc1\0", Frame, 0, fcc(b"hvc1")),
        ("av1 key x", Video, b"\x93av01\0", Keyframe, 0, fcc(b"av01")),
        ("end", Video, b"\x92hvc1", Other, 0, fcc(b"hvc1")),
        ("colour info", Video, b"\x94hvc1\x02", C(Config::VideoMetadata), 0, fcc(b"hvc1")),
        ("mpeg2ts header", Video, b"\x95av01\0", C(Config::SequenceHeader), 0, fcc(b"av01")),
        ("mod ex", Video, b"\x97\x02\x01\x02\x03\x01hvc1\0", Keyframe, 0, fcc(b"hvc1")),
        ("mod ex long", Video, b"\x97\xff\x00\x00\x09\x01hvc1\0", Keyframe, 0, fcc(b"hvc1")),
        ("mod ex cut", Video, b"\x97\x09\x01", Other, 0, Codec::None),
        ("one track", Video, b"\x96\x01avc1\x05\0", Keyframe, 5, fcc(b"avc1")),
        ("many tracks", Video, b"\xa6\x11hvc1\x02\x00\x00\x01\0", Frame, 2, fcc(b"hvc1")),
        ("many codecs", Video, b"\x96\x20av01\x03\x00\x00\x01\0", C(Config::SequenceHeader), 3, fcc(b"av01")),
        ("ex command", Video, b"\xd1\x00", Other, 0, Codec::None),
        ("empty", Video, b"", Other, 0, Codec::None),
        ("aac header", Audio, b"\xaf\x00\x12\x10", C(Config::SequenceHeader), 0, Codec::Legacy(10)),
        ("aac frame", Audio, b"\xaf\x01\x21", Keyframe, 0, Codec::Legacy(10)),
        ("mp3", Audio, b"\x2f\xff", Keyframe, 0, Codec::Legacy(2)),
        ("opus header", Audio, b"\x90Opus", C(Config::SequenceHeader), 0, fcc(b"Opus")),
        ("opus frame", Audio, b"\x91Opus\x01", Keyframe, 0, fcc(b"Opus")),
        ("multichannel", Audio, b"\x94Opus\x01\x02", C(Config::MultichannelConfig), 0, fcc(b"Opus")),
        ("audio track", Audio, b"\x95\x01mp4a\x02\x01", Keyframe, 2, fcc(b"mp4a")),
        ("metadata", Data, b"\x02\x00\x0aonMetaData\x08", C(Config::Metadata), 0, Codec::None),
        (
            "wrapped",
            Data,
            b"\x02\0\x0d@setDataFrame\x02\0\x0aonMetaData",
            C(Config::Metadata),
            0,
            Codec::None,
        ),
        // Found by fuzzing: one wrapper less at each reading made a recording another stream than what was sent.
        (
            "wrapped twice",
            Data,
            b"\x02\0\x0d@setDataFrame\x02\0\x0d@setDataFrame\x02\0\x0aonMetaData",
            C(Config::Metadata),
            0,
            Codec::None,
        ),
        ("leg", Data, b"\x02\x00\x0aonSegueLeg\x03", C(Config::LegHeader), 0, Codec::None),
        ("text", Data, b"\x02\x00\x0aonTextData\x08", Other, 0, Codec::None),
        ("no string", Data, b"\x05", Other, 0, Codec::None),
    ];
    for (name, kind, payload, content, track, codec) in cases {
        let expected = TagInfo::new(*content, *track, *codec);
        assert_eq!(info(*kind, payload), expected, "{name}");
    }
}

proptest::proptest! {
    #[test]
    fn no_payload_panics(kind in 0usize..3, payload: Vec<u8>) {
        let kind = [TrackKind::Audio, TrackKind::Video, TrackKind::Data][kind];
        let _ = MediaMessage::new(kind, Timestamp::ZERO, payload.into()).info();
    }
}
