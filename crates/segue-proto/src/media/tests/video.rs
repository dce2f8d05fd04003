//! Video tags: after the tables, and as FFmpeg 5.1 (legacy) and 9.0.2 (enhanced) write them. FFmpeg's were made with
//! `ffmpeg -f lavfi -i testsrc2=size=318x238:rate=25 -t 0.2 -c:v ENCODER out.flv` and read from the file; coded data is cut
//! short, nothing here looks into it.

use super::super::code::*;
use super::super::metadata::{self, ColorInfo};
use super::super::mod_ex::{MAX_MOD_EX, MAX_MOD_EX_DATA, ModEx};
use super::super::multitrack::{MAX_TRACKS, Multitrack, Track};
use super::super::video::*;
use super::*;
use crate::amf0::Value;
use crate::error::Error;

fn legacy(frame_type: FrameType, codec: VideoCodecId, body: LegacyVideoBody) -> VideoTag {
    VideoTag::Legacy(LegacyVideo { frame_type, codec, body })
}

fn avc(packet_type: AvcPacketType, composition_ms: i32, data: &'static [u8]) -> LegacyVideoBody {
    LegacyVideoBody::Avc { packet_type, composition_ms, data: bytes(data) }
}

fn single(frame_type: FrameType, codec: FourCc, packet: VideoPacket) -> VideoTag {
    let body = ExVideoBody::Single { codec, packet };
    VideoTag::Enhanced(ExVideo { frame_type, modifiers: vec![], body })
}

fn coded(composition_ms: i32, data: &'static [u8]) -> VideoPacket {
    VideoPacket::CodedFrames { composition_ms, data: bytes(data) }
}

/// One table drives both directions.
#[test]
fn video_tags_of_the_tables_and_of_ffmpeg() {
    use VideoPacket::{CodedFramesX, Mpeg2TsSequenceStart, Other, SequenceEnd, SequenceStart};
    let command = |codec, command, rest| {
        legacy(FrameType::COMMAND, codec, LegacyVideoBody::Command { command, rest: bytes(rest) })
    };
    let cases: Vec<(&str, Bytes, VideoTag)> = vec![
        (
            "FFmpeg 5.1, libx264: header",
            hex("17 00 000000 01 4d40 0d"),
            legacy(
                FrameType::KEY,
                VideoCodecId::AVC,
                avc(AvcPacketType::SEQUENCE_HEADER, 0, b"\x01\x4d\x40\x0d"),
            ),
        ),
        (
            "FFmpeg 5.1, libx264: keyframe, two B frames behind it",
            hex("17 01 000050 0000029f"),
            legacy(FrameType::KEY, VideoCodecId::AVC, avc(AvcPacketType::NALU, 80, b"\x00\x00\x02\x9f")),
        ),
        (
            "FFmpeg 5.1, libx264: end",
            hex("17 02 000000"),
            legacy(FrameType::KEY, VideoCodecId::AVC, avc(AvcPacketType::END_OF_SEQUENCE, 0, b"")),
        ),
        (
            "a composition time below 0",
            hex("27 01 ffffd8 41"),
            legacy(FrameType::INTER, VideoCodecId::AVC, avc(AvcPacketType::NALU, -40, b"\x41")),
        ),
        (
            "the lowest composition time, HEVC of vendors",
            hex("1c 01 800000"),
            legacy(FrameType::KEY, VideoCodecId::HEVC_VENDOR, avc(AvcPacketType::NALU, -0x80_0000, b"")),
        ),
        (
            "Sorenson, disposable",
            hex("32 0000"),
            legacy(
                FrameType::DISPOSABLE,
                VideoCodecId::SORENSON_H263,
                LegacyVideoBody::Coded(bytes(b"\0\0")),
            ),
        ),
        (
            "generated keyframe, VP6 with alpha",
            hex("45 07"),
            legacy(FrameType::GENERATED_KEY, VideoCodecId::VP6_ALPHA, LegacyVideoBody::Coded(bytes(b"\x07"))),
        ),
        ("seek begins", hex("57 00"), command(VideoCodecId::AVC, VideoCommand::START_SEEK, b"")),
        ("seek ends", hex("52 01"), command(VideoCodecId::SORENSON_H263, VideoCommand::END_SEEK, b"")),
        ("a command of tomorrow", hex("54 09 aa"), command(VideoCodecId::VP6, VideoCommand::new(9), b"\xaa")),
        (
            "a codec of tomorrow",
            hex("1d 01"),
            legacy(FrameType::KEY, VideoCodecId::new(13), LegacyVideoBody::Coded(bytes(b"\x01"))),
        ),
        (
            "FFmpeg 9, libx265: header",
            hex("90 68766331 01 0160000000"),
            single(FrameType::KEY, FourCc::HEVC, SequenceStart(bytes(b"\x01\x01\x60\0\0\0"))),
        ),
        (
            "FFmpeg 9, libx265: keyframe",
            hex("91 68766331 000050 00000d01"),
            single(FrameType::KEY, FourCc::HEVC, coded(80, b"\x00\x00\x0d\x01")),
        ),
        (
            "FFmpeg 9, libx265: frame without composition time",
            hex("a3 68766331 000001fa"),
            single(FrameType::INTER, FourCc::HEVC, CodedFramesX(bytes(b"\x00\x00\x01\xfa"))),
        ),
        (
            "FFmpeg 9, libaom-av1: header, whole",
            hex("90 61763031 81000c00 0a0b000000043cf7b4daf90040"),
            single(
                FrameType::KEY,
                FourCc::AV1,
                SequenceStart(bytes(b"\x81\0\x0c\0\x0a\x0b\0\0\0\x04\x3c\xf7\xb4\xda\xf9\0\x40")),
            ),
        ),
        (
            "FFmpeg 9, libaom-av1: keyframe, no composition time with this codec",
            hex("91 61763031 12000a0b"),
            single(FrameType::KEY, FourCc::AV1, coded(0, b"\x12\x00\x0a\x0b")),
        ),
        (
            "FFmpeg 9, libvpx-vp9: header, whole",
            hex("90 76703039 01000000 00148202020200 00"),
            single(
                FrameType::KEY,
                FourCc::VP9,
                SequenceStart(bytes(b"\x01\0\0\0\0\x14\x82\x02\x02\x02\0\0")),
            ),
        ),
        (
            "VP8 header: profile 0, level 1.0, 8 bit, 4:2:0",
            hex("90 76703038 01000000 000a 82 02 02 02 0000"),
            single(
                FrameType::KEY,
                FourCc::VP8,
                SequenceStart(bytes(b"\x01\0\0\0\0\x0a\x82\x02\x02\x02\0\0")),
            ),
        ),
        (
            "VP8 frame, no composition time with this codec",
            hex("a1 76703038 110200"),
            single(FrameType::INTER, FourCc::VP8, coded(0, b"\x11\x02\0")),
        ),
        (
            "VP9 frame, no composition time with this codec",
            hex("91 76703039 824983"),
            single(FrameType::KEY, FourCc::VP9, coded(0, b"\x82\x49\x83")),
        ),
        (
            "AVC by its code, a composition time below 0",
            hex("a1 61766331 ffffd8 41"),
            single(FrameType::INTER, FourCc::AVC, coded(-40, b"\x41")),
        ),
        (
            "AVC by its code, without composition time",
            hex("93 61766331 65"),
            single(FrameType::KEY, FourCc::AVC, CodedFramesX(bytes(b"\x65"))),
        ),
        (
            "VVC, the highest composition time",
            hex("91 76766331 7fffff 00"),
            single(FrameType::KEY, FourCc::VVC, coded(0x7f_ffff, b"\0")),
        ),
        (
            "end of a sequence",
            hex("92 76766331"),
            single(FrameType::KEY, FourCc::VVC, SequenceEnd(bytes(b""))),
        ),
        (
            "transport stream",
            hex("95 61763031 80"),
            single(FrameType::KEY, FourCc::AV1, Mpeg2TsSequenceStart(bytes(b"\x80"))),
        ),
        (
            "a packet and a codec of tomorrow",
            hex("9b 78797a31 0102"),
            single(FrameType::KEY, FourCc(*b"xyz1"), Other(VideoPacketType::new(11), bytes(b"\x01\x02"))),
        ),
        (
            "enhanced seek",
            hex("d1 00"),
            VideoTag::Enhanced(ExVideo {
                frame_type: FrameType::COMMAND,
                modifiers: vec![],
                body: ExVideoBody::Command {
                    packet_type: VideoPacketType::CODED_FRAMES,
                    command: VideoCommand::START_SEEK,
                    rest: bytes(b""),
                },
            }),
        ),
    ];
    for (name, wire, tag) in cases {
        assert_eq!(VideoTag::parse(&wire).as_ref(), Ok(&tag), "{name}");
        assert_eq!(tag.encode().as_ref(), Ok(&wire), "{name}");
    }
}

#[test]
fn headers_cut_anywhere_are_errors() {
    for whole in [
        hex("17 01 000050"),
        hex("57 00"),
        hex("91 68766331 000050"),
        hex("93 68766331"),
        hex("97 02 000001 01 68766331 000050"),
        hex("96 01 68766331"),
        hex("96 21"),
        hex("d1 00"),
    ] {
        assert!(VideoTag::parse(&whole).is_ok());
        for len in 0..whole.len() {
            assert!(VideoTag::parse(&whole.slice(..len)).is_err(), "{:?} cut at {len}", whole);
        }
    }
}

#[test]
fn modifiers_come_in_both_sizes_and_chains() {
    let nanos = ModEx::timestamp_offset(999_999).unwrap();
    assert_eq!(nanos.data, hex("0f423f"));
    assert_eq!(nanos.timestamp_offset_nanos(), Some(999_999));
    assert!(ModEx::timestamp_offset(1_000_000).is_err());
    let short = ModEx { data: bytes(b"\x01\x02"), ..nanos.clone() };
    assert_eq!(short.timestamp_offset_nanos(), None, "two bytes are no 24 bits");
    let long = ModEx { data: hex("0003e8 ff"), ..nanos.clone() };
    assert_eq!(long.timestamp_offset_nanos(), Some(1000), "the first three bytes of more");
    let unknown = ModEx { kind: ModExType::new(5), data: vec![9; 256].into() };
    assert_eq!(unknown.timestamp_offset_nanos(), None);

    // 0x02: three bytes; 0xff 0x00ff: 256 bytes in the long form. Type and next packet type share a byte.
    let wire = [&hex("97 02 0f423f 07 ff 00ff")[..], &[9; 256], &hex("51 61763031 aa")].concat();
    let tag = VideoTag::Enhanced(ExVideo {
        frame_type: FrameType::KEY,
        modifiers: vec![nanos, unknown],
        body: ExVideoBody::Single { codec: FourCc::AV1, packet: coded(0, b"\xaa") },
    });
    assert_eq!(VideoTag::parse(&wire.clone().into()).as_ref(), Ok(&tag));
    assert_eq!(tag.encode(), Ok(wire.into()));

    // A size below 256 in the long form is read, and written in the short one.
    let wordy = hex("97 ff 0001 0102 01 61763031");
    let Ok(VideoTag::Enhanced(tag)) = VideoTag::parse(&wordy) else { panic!() };
    assert_eq!(tag.modifiers[0].data, hex("0102"));
    assert_eq!(VideoTag::Enhanced(tag).encode(), Ok(hex("97 01 0102 01 61763031")));
}

#[test]
fn modifiers_are_bounded() {
    let tag = |count: usize, size: usize| {
        let modifier = ModEx { kind: ModExType::TIMESTAMP_OFFSET_NANO, data: vec![0; size].into() };
        VideoTag::Enhanced(ExVideo {
            frame_type: FrameType::KEY,
            modifiers: vec![modifier; count],
            body: ExVideoBody::Single { codec: FourCc::AV1, packet: coded(0, b"") },
        })
    };
    for tag in [tag(MAX_MOD_EX, 3), tag(1, 1), tag(1, 255), tag(1, MAX_MOD_EX_DATA)] {
        assert_eq!(VideoTag::parse(&tag.encode().unwrap()), Ok(tag));
    }
    for tag in [tag(MAX_MOD_EX + 1, 3), tag(1, 0), tag(1, MAX_MOD_EX_DATA + 1)] {
        assert!(matches!(tag.encode(), Err(Error::Misuse(_))));
    }
    let mut wire = vec![0x97];
    (0..=MAX_MOD_EX).for_each(|_| wire.extend_from_slice(b"\x00\x00\x07"));
    assert!(matches!(VideoTag::parse(&wire.into()), Err(Error::LimitExceeded(_))));
}

#[test]
fn tracks_in_three_forms() {
    let frame = |composition_ms, data| coded(composition_ms, data);
    let key = |kind, packet_type, tracks: &[Track]| {
        VideoTag::Enhanced(ExVideo {
            frame_type: FrameType::KEY,
            modifiers: vec![],
            body: ExVideoBody::Multitrack(Multitrack::new(kind, packet_type, tracks).unwrap()),
        })
    };
    let hevc = frame(80, b"\x01\x02").to_track(1, FourCc::HEVC).unwrap();
    let also_hevc = frame(-40, b"").to_track(0, FourCc::HEVC).unwrap();
    let av1 = frame(0, b"\x0a").to_track(2, FourCc::AV1).unwrap();
    let cases = [
        (
            // As FFmpeg 9 wrote the keyframe of its second track (libx265, `-map 0 -map 1`).
            hex("96 01 68766331 01 000050 0102"),
            key(MultitrackType::ONE_TRACK, VideoPacketType::CODED_FRAMES, std::slice::from_ref(&hevc)),
            vec![(1, FourCc::HEVC, frame(80, b"\x01\x02"))],
        ),
        (
            hex("96 11 68766331 01 000005 000050 0102 00 000003 ffffd8"),
            key(MultitrackType::MANY_TRACKS, VideoPacketType::CODED_FRAMES, &[hevc.clone(), also_hevc]),
            vec![(1, FourCc::HEVC, frame(80, b"\x01\x02")), (0, FourCc::HEVC, frame(-40, b""))],
        ),
        (
            hex("96 21 68766331 01 000005 000050 0102 61763031 02 000001 0a"),
            key(
                MultitrackType::MANY_TRACKS_MANY_CODECS,
                VideoPacketType::CODED_FRAMES,
                &[hevc.clone(), av1.clone()],
            ),
            vec![(1, FourCc::HEVC, frame(80, b"\x01\x02")), (2, FourCc::AV1, frame(0, b"\x0a"))],
        ),
    ];
    for (wire, tag, packets) in cases {
        assert_eq!(VideoTag::parse(&wire).as_ref(), Ok(&tag));
        assert_eq!(tag.encode().as_ref(), Ok(&wire));
        let VideoTag::Enhanced(ExVideo { body: ExVideoBody::Multitrack(tracks), .. }) = &tag else {
            panic!()
        };
        let found: Result<Vec<_>, _> = tracks.video().collect();
        assert_eq!(found, Ok(packets));
    }
    let one = |tracks: &[Track]| {
        Multitrack::new(MultitrackType::ONE_TRACK, VideoPacketType::CODED_FRAMES, tracks).is_ok()
    };
    let many = |tracks: &[Track]| {
        Multitrack::new(MultitrackType::MANY_TRACKS, VideoPacketType::CODED_FRAMES, tracks).is_ok()
    };
    assert!(!one(&[]) && !one(&[hevc.clone(), hevc.clone()]) && !many(&[]));
    assert!(!many(&[hevc.clone(), av1]), "one codec only");
    let inner = Multitrack::new(MultitrackType::ONE_TRACK, VideoPacketType::MULTITRACK, &[hevc]);
    assert!(matches!(inner, Err(Error::Misuse(_))), "no tracks in a track");
    for nested in [hex("96 06 68766331 01 00"), hex("96 26 68766331 01 000000")] {
        assert!(matches!(VideoTag::parse(&nested), Err(Error::PeerMisbehaved(_))), "{nested:?}");
    }
}

#[test]
fn a_track_that_is_cut_short_ends_the_tracks_before_it_stay() {
    let wire = hex("96 11 68766331 01 000001 aa 02 000009 bb");
    let Ok(VideoTag::Enhanced(ExVideo { body: ExVideoBody::Multitrack(tracks), .. })) =
        VideoTag::parse(&wire)
    else {
        panic!()
    };
    let found: Vec<_> = tracks.tracks().collect();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].as_ref().unwrap().data, hex("aa"));
    assert!(found[1].is_err());
}

#[test]
fn at_most_256_tracks_are_read() {
    let count = |n: usize| {
        let wire = [&b"\x96\x10av01"[..], &b"\x00\x00\x00\x00".repeat(n)].concat().into();
        match VideoTag::parse(&wire) {
            Ok(VideoTag::Enhanced(ExVideo { body: ExVideoBody::Multitrack(tracks), .. })) => {
                tracks.tracks().collect::<Result<Vec<_>, _>>().map(|tracks| tracks.len())
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(count(MAX_TRACKS), Ok(MAX_TRACKS));
    assert!(matches!(count(MAX_TRACKS + 1), Err(Error::LimitExceeded(_))));
}

#[test]
fn nothing_is_copied() {
    let wire: Bytes = [&b"\x96\x11hvc1\x01\x00\x04\x00\x00\x00\x00"[..], &[7; 1021]].concat().into();
    let Ok(VideoTag::Enhanced(ExVideo { body: ExVideoBody::Multitrack(tracks), .. })) =
        VideoTag::parse(&wire)
    else {
        panic!()
    };
    let (_, _, packet) = tracks.video().next().unwrap().unwrap();
    let VideoPacket::CodedFrames { data, .. } = packet else { panic!() };
    assert!(wire.as_ptr_range().contains(&data.as_ptr()));
}

#[test]
fn what_the_header_would_not_announce_is_not_written() {
    let data = || bytes(b"");
    let misuse = |tag: VideoTag| assert!(matches!(tag.encode(), Err(Error::Misuse(_))), "{tag:?}");
    misuse(legacy(FrameType::KEY, VideoCodecId::AVC, LegacyVideoBody::Coded(data())));
    misuse(legacy(FrameType::COMMAND, VideoCodecId::AVC, avc(AvcPacketType::NALU, 0, b"")));
    misuse(legacy(FrameType::KEY, VideoCodecId::VP6, avc(AvcPacketType::NALU, 0, b"")));
    misuse(legacy(FrameType::KEY, VideoCodecId::AVC, avc(AvcPacketType::NALU, 0x80_0000, b"")));
    misuse(single(FrameType::KEY, FourCc::HEVC, coded(-0x80_0001, b"")));
    misuse(single(FrameType::KEY, FourCc::AV1, coded(1, b"")));
    misuse(single(FrameType::COMMAND, FourCc::AV1, coded(0, b"")));
    misuse(single(FrameType::KEY, FourCc::AV1, VideoPacket::Other(VideoPacketType::MOD_EX, data())));
    misuse(single(FrameType::KEY, FourCc::AV1, VideoPacket::Other(VideoPacketType::MULTITRACK, data())));
}

/// FFmpeg 9.0.2, libx265 with `-pix_fmt yuv420p10le -colorspace bt2020nc`, whole tag: frame type "command", which means
/// nothing beside a metadata packet.
#[test]
fn colour_information_of_ffmpeg() {
    let wire =
        hex("d468766331020009636f6c6f72496e666f03000b636f6c6f72436f6e6669670300126d6174726978436f656666
        696369656e7473004022000000000000000009000009");
    let tag = VideoTag::parse(&wire).unwrap();
    assert_eq!(tag.encode().as_ref(), Ok(&wire));
    let VideoTag::Enhanced(ExVideo {
        frame_type: FrameType::COMMAND,
        body: ExVideoBody::Single { codec: FourCc::HEVC, packet: VideoPacket::Metadata(data) },
        ..
    }) = tag
    else {
        panic!()
    };
    let pairs = metadata::decode(&data).unwrap();
    assert_eq!(metadata::encode(&pairs), data);
    let [(name, value)] = &pairs[..] else { panic!() };
    assert_eq!(name, metadata::COLOR_INFO);
    let info = ColorInfo::from_value(value).unwrap();
    assert_eq!(info.config.matrix, Some(9.0), "BT.2020 non-constant (H.273, table 4)");
    assert_eq!(info.config.primaries, None);
    assert_eq!(info.to_value(), *value);
}

/// By hand from AMF3 3.12: an object, in it another of the same traits, in it the integer 10.
#[test]
fn colour_information_may_be_in_amf3() {
    let data = b"\x02\x00\x09colorInfo\x11\x0a\x0b\x01\x17colorConfig\x0a\x01\x11bitDepth\x04\x0a\x01\x01";
    let pairs = metadata::decode(data).unwrap();
    let [(name, value)] = &pairs[..] else { panic!() };
    assert_eq!(name, metadata::COLOR_INFO);
    assert_eq!(ColorInfo::from_value(value).unwrap().config.bit_depth, Some(10.0));
    let reset = metadata::decode(b"\x02\x00\x09colorInfo\x11\x00").unwrap();
    assert_eq!(ColorInfo::from_value(&reset[0].1), None);
}

#[test]
fn colour_information_is_whole_partial_or_reset() {
    let numbers = |names: &[&str]| {
        Value::object(names.iter().enumerate().map(|(n, name)| (*name, Value::Number(n as f64 + 0.5))))
    };
    let all = Value::object([
        (
            "colorConfig",
            numbers(&["bitDepth", "colorPrimaries", "transferCharacteristics", "matrixCoefficients"]),
        ),
        ("hdrCll", numbers(&["maxFall", "maxCLL"])),
        (
            "hdrMdcv",
            numbers(&[
                "redX",
                "redY",
                "greenX",
                "greenY",
                "blueX",
                "blueY",
                "whitePointX",
                "whitePointY",
                "maxLuminance",
                "minLuminance",
            ]),
        ),
    ]);
    let info = ColorInfo::from_value(&all).unwrap();
    assert_eq!(info.to_value(), all);
    assert_eq!((info.light.max_cll, info.mastering.white_point), (Some(1.5), [Some(6.5), Some(7.5)]));
    for reset in [Value::Undefined, Value::Null, Value::Object(vec![]), Value::Number(1.0)] {
        assert_eq!(ColorInfo::from_value(&reset), None);
    }
    let odd = Value::object([("colorConfig", Value::object([("bitDepth", "ten")])), ("more", 1.0.into())]);
    assert_eq!(ColorInfo::from_value(&odd), Some(ColorInfo::default()));

    let mut name_only = Vec::new();
    Value::from("colorInfo").encode(&mut name_only);
    assert!(metadata::decode(&name_only).is_err());
    assert!(metadata::decode(b"\x05\x05").is_err());
    assert_eq!(metadata::decode(b""), Ok(vec![]));
}
