//! Decoder configurations of real streams, and of nobody's.
//!
//! Made by FFmpeg 5.1 (Debian's: libx264, libx265, libsvtav1) and 9.0.2 (libaom, libvpx, libvvenc, libopus, aac, flac, ac3)
//! from `-f lavfi -i testsrc2=size=SIZE:rate=RATE` and `-f lavfi -i sine=frequency=440:sample_rate=48000`, taken from the
//! MP4 box or the FLV tag; profiles, sizes and rates are what ffprobe says of the same files.
#![allow(clippy::arithmetic_side_effects)]

use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// FFmpeg 9, `-c:a aac` of 2.1 channels.
const PCE: &str = "118004c4010020000c4c61766336332e312e31303256e500";

/// libx264: 318x238 at 25, main; 1920x1080 at 30000/1001, high; 1280x720 at 50, 4:2:2 with 10 bits, interlaced; 130x98,
/// 4:4:4.
const AVC: [&str; 4] = [
    "014d400dffe10019674d400deca0a0ff5580880000030008000003019078a14cb001000468ce0fc8",
    "01640028ffe1001967640028acd940780227e5c04400000fa40003a9803c60c65801000668ebe3cb22c0fdf8f800",
    "017a0020ffe1001a677a0020b6cd940500bbf138088000000300800000320f8b16cb01000668fba3cb22c0fefafa00",
    "01f4000bffe1001a67f4000b919b2849fc7c7e0220000003002000000641e28532c001000668ebe3c44844fff8f800",
];

#[test]
fn avc_of_x264() {
    let sps =
        |profile, level, (chroma_format, bit_depth), (width, height), interlaced, frame_rate| avc::Sps {
            profile,
            level,
            chroma_format,
            bit_depth,
            width,
            height,
            interlaced,
            frame_rate: Some(frame_rate),
        };
    let expected = [
        sps(77, 13, (1, 8), (318, 238), false, (50, 2)),
        sps(100, 40, (1, 8), (1920, 1080), false, (60_000, 2002)),
        sps(122, 32, (2, 10), (1280, 720), true, (100, 2)),
        sps(244, 11, (3, 8), (130, 98), false, (50, 2)),
    ];
    for (text, expected) in AVC.iter().zip(expected) {
        let record = avc::Record::parse(&hex(text)).unwrap();
        assert_eq!((record.sps.len(), record.pps.len(), record.length_size), (1, 1, 4));
        assert_eq!((record.profile, record.level), (expected.profile, expected.level));
        assert_eq!(record.sps(), Some(Ok(expected)));
    }
}

/// libx265: 318x238, main; 640x360, main; 320x240, main 10. The array with the encoder's own SEI is left out, and counted
/// no more.
const HEVC: [&str; 3] = [
    "0101600000009000000000003cf000fcfdf8f800000f03200001001840010c01ffff01600000030090000003000003003c95980921
     0001002b42010101600000030090000003000003003ca00a080f1d565959a4932bc05a02000003000200000300321022000100074401
     c172b46240",
    "0101600000009000000000003ff000fcfdf8f800000f03200001001840010c01ffff01600000030090000003000003003f95980921
     0001002a42010101600000030090000003000003003fa00502016965959a4932bc05a0200000030020000003032122000100074401
     c172b46240",
    "0102200000009000000000003cf000fcfdfafa00000f03200001001840010c01ffff02200000030090000003000003003c95980921
     0001002d42010102200000030090000003000003003ca00a080f1365959a4932bc05a8488048200000030020000003032122000100
     074401c172b46240",
];

#[test]
fn hevc_of_x265() {
    let expected = [((318, 238), 8, 1, 60), ((640, 360), 8, 1, 63), ((320, 240), 10, 2, 60)];
    for (text, ((width, height), bit_depth, profile, level)) in HEVC.iter().zip(expected) {
        let record = hevc::Record::parse(&hex(text)).unwrap();
        assert_eq!((record.profile, record.level, record.high_tier), (profile, level, false));
        assert_eq!((record.chroma_format, record.bit_depth, record.length_size), (1, bit_depth, 4));
        let kinds: Vec<_> = record.units.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [32, 33, 34]);
        assert_eq!(record.sps(), Some(Ok(hevc::Sps { chroma_format: 1, bit_depth, width, height })));
    }
}

/// libvvenc, 318x238, 4:2:0 with 10 bits: the vvcC box behind version and flags. The picture's size is that before cropping.
const VVC: &str = "ff00655f010220800000014000f00000028f00010095007900ab02208000008028203c7546a00737ffac21365630408
    270032831610860c442064883521e8f56a4bc926a4b2445a88bc449a88914911264889351964842d4217842f56a4bc97a865062c4031
    620204204040a8408081a4204040b1020204410102c820204840419020442040b2102048810682049041c20c81168412421c43425c8e
    5433046714000000300400000064620900001000b0081000014101e22241f41";

#[test]
fn vvc_of_vvenc() {
    let record = vvc::Record::parse(&hex(VVC)).unwrap();
    let profile = record.profile.unwrap();
    assert_eq!((profile.profile, profile.level, profile.bit_depth, profile.chroma_format), (1, 32, 10, 1));
    assert_eq!((profile.max_picture_width, profile.max_picture_height), (320, 240));
    assert_eq!((profile.sublayers, profile.high_tier, record.length_size), (6, false, 4));
    let units: Vec<_> = record.units.iter().map(|(kind, unit)| (*kind, unit.len())).collect();
    assert_eq!(units, [(15, 0x95), (16, 11)], "sequence and picture parameter set");
    let bare = vvc::Record::parse(&hex("fe 00")).unwrap();
    assert_eq!((bare.profile, bare.units.len()), (None, 0));
}

/// libaom, 318x238 with 8 bits; libsvtav1, 1280x720 with 10.
const AV1: [&str; 2] = ["81000c000a0b000000043cf7b4daf90040", "81084c000a0b00000042a67fd9e017c202"];

#[test]
fn av1_of_two_encoders() {
    for (text, (size, level, bit_depth)) in AV1.iter().zip([((318, 238), 0, 8), ((1280, 720), 8, 10)]) {
        let record = av1::Record::parse(&hex(text)).unwrap();
        assert_eq!((record.profile, record.level, record.bit_depth), (0, level, bit_depth));
        assert_eq!((record.monochrome, record.chroma_subsampling), (false, (true, true)));
        let header = record.sequence_header().unwrap().unwrap();
        assert_eq!((header.profile, (header.width, header.height)), (0, size));
    }
    let record = av1::Record::parse(&hex("81000c00")).unwrap();
    assert_eq!(record.sequence_header(), None);
    // After AV1, 5.5, field by field, with all that may stand before the size: timing with equal intervals, a decoder
    // model with delays of ten bits, one operating point of a level that has tiers.
    let zeros = |n: usize| "0".repeat(n);
    let fields: [&str; 19] = [
        "00000", // Main profile, no still picture.
        "1",
        &zeros(64),
        "1",
        "010", // Timing.
        "1",
        "01001",
        &zeros(32),
        "00000",
        "00000", // Decoder model.
        "1",
        "00000",
        &zeros(12),
        "01000",
        "0", // Display delay, one operating point, its level and tier.
        &(String::from("1") + &"1".repeat(20) + "0"),
        "11111", // Its decoder's and its display's delay.
        "00110011",
        "11111111", // Four bits of each size less one.
    ];
    let bits = fields.concat() + &zeros(7);
    let byte = |bits: &[u8]| bits.iter().fold(0, |value, bit| value << 1 | (bit & 1));
    let bytes: Vec<u8> = bits.as_bytes().chunks_exact(8).map(byte).collect();
    let header = av1::SequenceHeader::parse(&bytes).unwrap();
    assert_eq!((header.width, header.height), (16, 16));
}

/// libvpx-vp9, 318x238, in the form that FFmpeg writes; and the record alone.
#[test]
fn vp9_with_and_without_the_box_header() {
    let expected = vp::Record {
        profile: 0,
        level: 20,
        bit_depth: 8,
        chroma_subsampling: 1,
        full_range: false,
        colour: [2, 2, 2],
        initialization: Bytes::new(),
    };
    assert_eq!(vp::Record::parse(&hex("01000000 0014820202020000")), Ok(expected.clone()));
    assert_eq!(vp::Record::parse(&hex("0014820202020000")), Ok(expected));
    assert!(vp::Record::parse(&hex("00148202020200")).is_err());
    assert!(vp::Record::parse(&hex("0014820202020001")).is_err(), "one byte that is not there");
}

#[test]
fn aac_of_ffmpeg_and_of_the_tables() {
    let parse = |text| aac::AudioSpecificConfig::parse(&hex(text)).unwrap();
    let lc = |sample_rate, channel_configuration, channels| aac::AudioSpecificConfig {
        object_type: 2,
        sample_rate,
        channel_configuration,
        channels,
        sbr_rate: None,
        parametric_stereo: false,
    };
    // FFmpeg 9: stereo at 48 kHz, 5.1 at 44.1 kHz, each with "no SBR" behind it; 2.1 with a list of elements.
    assert_eq!(parse("119056e500"), lc(48_000, 2, Some(2)));
    assert_eq!(parse("123056e500"), lc(44_100, 6, Some(6)));
    assert_eq!(parse(PCE), lc(48_000, 0, Some(3)));
    // After ISO/IEC 14496-3, tables 1.17 to 1.19: HE-AAC and HE-AAC v2, said first; v2, said behind an LC configuration.
    let he = |rate, channels, sbr, parametric_stereo| aac::AudioSpecificConfig {
        sbr_rate: Some(sbr),
        parametric_stereo,
        ..lc(rate, channels, Some(channels))
    };
    assert_eq!(parse("2b920800"), he(22_050, 2, 44_100, false));
    assert_eq!(parse("eb8a0800"), he(22_050, 1, 44_100, true));
    assert_eq!(parse("131056e59d4880"), he(24_000, 2, 48_000, true));
    assert_eq!(parse("eb8a0800").output_rate(), 44_100);
    // A rate of its own, 24 bits of it; an object type past 31 (42, USAC).
    assert_eq!(parse("1780000890").sample_rate, 17);
    assert_eq!(parse("f94840").object_type, 42);
    assert!(aac::AudioSpecificConfig::parse(&hex("1680")).is_err(), "a reserved rate");
    assert!(aac::AudioSpecificConfig::parse(&hex("12")).is_err());
    // Found by fuzzing: a rate of its own that is 0; a list of elements that has none.
    assert!(aac::AudioSpecificConfig::parse(&hex("1780000010")).is_err());
    assert_eq!(parse("11800000000000000000"), lc(48_000, 0, None));
}

#[test]
fn opus_of_libopus() {
    let stereo = opus::Head::parse(&hex("4f707573486561640102380180bb0000000000")).unwrap();
    assert_eq!((stereo.channels, stereo.pre_skip, stereo.input_rate, stereo.gain), (2, 312, 48_000, 0));
    assert_eq!(stereo.mapping, None);
    let surround = hex("4f707573486561640106380180bb00000000010402000401020305");
    let head = opus::Head::parse(&surround).unwrap();
    let mapping = head.mapping.unwrap();
    assert_eq!((head.channels, head.family, mapping.streams, mapping.coupled), (6, 1, 4, 2));
    assert_eq!(mapping.map, hex("000401020305"));
    assert!(opus::Head::parse(&surround.slice(..surround.len() - 1)).is_err());
    assert!(opus::Head::parse(&hex("4f707573486561640100380180bb0000000000")).is_err(), "no channels");
    assert!(opus::Head::parse(&hex("4f707573486561641002380180bb0000000000")).is_err(), "version 16");
}

#[test]
fn flac_with_and_without_signature() {
    let block = "040004000000000010980bb802f00000000000000000000000000000000000000000";
    let info =
        flac::StreamInfo { block_size: (1024, 1024), sample_rate: 48_000, channels: 2, bits_per_sample: 16 };
    assert_eq!(flac::StreamInfo::parse(&hex(block)), Ok(info));
    assert_eq!(flac::StreamInfo::parse(&hex(&format!("664c6143 80000022 {block}"))), Ok(info));
    assert!(flac::StreamInfo::parse(&hex(&format!("664c6143 81000022 {block}"))).is_err(), "padding");
    let silent = format!("{}000002f0{}", &block[..20], &block[28..]);
    assert!(flac::StreamInfo::parse(&hex(&silent)).is_err(), "0 Hz");
    let surround = hex("040004000000000030240bb80af0");
    assert_eq!(flac::StreamInfo::parse(&surround).unwrap().channels, 6);
}

#[test]
fn ac3_and_eac3_of_ffmpeg() {
    let frame = |enhanced| ac3::Frame { enhanced, sample_rate: 48_000, channels: 2, low_frequencies: false };
    assert_eq!(ac3::Frame::parse(&hex("0b77fe95144043e106")), Ok(frame(false)));
    assert_eq!(ac3::Frame::parse(&hex("0b77017f3487c00020")), Ok(frame(true)));
    assert!(
        ac3::Frame::parse(&hex("0b77fe95144043")).is_ok() && ac3::Frame::parse(&hex("0b77fe9514")).is_err()
    );
    assert!(ac3::Frame::parse(&hex("770bfe95144043e106")).is_err());
    assert!(ac3::Frame::parse(&hex("0b77fe95d44043e106")).is_err(), "a reserved rate");
}

#[test]
fn what_describes_a_stream_is_found_by_codec() {
    let parse = |codec, text| DecoderConfig::parse(codec, &hex(text)).unwrap().unwrap();
    assert_eq!(parse(Codec::Legacy(7), AVC[1]).size(), Some((1920, 1080)));
    assert_eq!(parse(Codec::FourCc(*b"avc1"), AVC[0]).size(), Some((318, 238)));
    assert_eq!(parse(Codec::Legacy(12), HEVC[0]).size(), Some((318, 238)));
    assert_eq!(parse(Codec::FourCc(*b"vvc1"), VVC).size(), Some((320, 240)));
    assert_eq!(parse(Codec::FourCc(*b"av01"), AV1[1]).size(), Some((1280, 720)));
    assert_eq!(parse(Codec::FourCc(*b"vp09"), "0014820202020000").size(), None);
    assert_eq!(parse(Codec::Legacy(10), "123056e500").sound(), Some((44_100, 6)));
    assert_eq!(parse(Codec::FourCc(*b"mp4a"), PCE).sound(), Some((48_000, 3)));
    assert_eq!(
        parse(Codec::FourCc(*b"Opus"), "4f707573486561640102380180bb0000000000").sound(),
        Some((48_000, 2))
    );
    for (codec, data) in [
        (Codec::FourCc(*b"Opus"), ""),
        (Codec::FourCc(*b"ac-3"), ""),
        (Codec::FourCc(*b"xyz1"), "00"),
        (Codec::Legacy(2), "00"),
        (Codec::None, "00"),
    ] {
        assert_eq!(DecoderConfig::parse(codec, &hex(data)), Ok(None));
    }
}

#[test]
fn v15_numbers_out_of_all_proportion_are_refused() {
    // Header and profile; then sps id 0, frame numbers 0, picture order by type 2, no references, no gaps: 1 1 011 1 0.
    let sps = |tail: &[&str]| {
        let bits = ["1", "1", "011", "1", "0"].iter().chain(tail).copied().collect::<String>() + "10000000";
        let mut unit = hex("67 42 00 1e").to_vec();
        for byte in bits.as_bytes().chunks_exact(8) {
            unit.push(byte.iter().fold(0, |value, bit| value << 1 | (bit & 1)));
            // As an encoder must, escape what looks like a start code.
            if let [.., 0, 0, last] = unit[..]
                && last <= 3
            {
                let at = unit.len() - 1;
                unit.insert(at, 3);
            }
        }
        avc::Sps::parse(&unit)
    };
    // The longest code: 2^32 - 2.
    let huge = &("0".repeat(31) + "1" + &"1".repeat(30) + "1")[..];
    let one = "010";
    let plain = sps(&[one, one, "1", "1", "0", "0"]).unwrap();
    assert_eq!((plain.width, plain.height, plain.frame_rate), (32, 32, None));
    assert!(sps(&[huge, one, "1", "1", "0", "0"]).is_err(), "width");
    assert!(sps(&[one, huge, "1", "1", "0", "0"]).is_err(), "height");
    assert!(sps(&[one, one, "1", "1", "1", huge, "1", "1", "1", "0"]).is_err(), "cropping");
    assert!(sps(&[one, one, "1", "1", "1", huge, huge, "1", "1", "0"]).is_err(), "the sum of it");
    // 16 samples of 32 cropped from the left by 8 units of 2, then all 32 of them.
    let cropped = sps(&[one, one, "1", "1", "1", "0001001", "1", "1", "1", "0"]).unwrap();
    assert_eq!((cropped.width, cropped.height), (16, 32));
    assert!(sps(&[one, one, "1", "1", "1", "000010001", "1", "1", "1", "0"]).is_err(), "nothing left");
    // At the bound: 4096 macroblocks; one more.
    let mbs = |n: u32| format!("{}{:b}", "0".repeat(12), n);
    assert_eq!(sps(&[&mbs(4096), one, "1", "1", "0", "0"]).unwrap().width, MAX_DIMENSION);
    assert!(sps(&[&mbs(4097), one, "1", "1", "0", "0"]).is_err());
}

#[test]
fn v15_counts_are_bounded_by_what_is_there() {
    // 31 parameter sets announced, one there.
    assert!(avc::Record::parse(&hex("014d400dffff 0001 67")).is_err());
    let arrays = |count: u16| {
        let mut data = hex("0101600000009000000000003cf000fcfdf8f800000f 01 21").to_vec();
        data.extend_from_slice(&count.to_be_bytes());
        data.resize(data.len() + 2 * usize::from(count), 0);
        hevc::Record::parse(&data.into())
    };
    assert_eq!(arrays(nal::MAX_PARAMETER_SETS as u16).unwrap().units.len(), nal::MAX_PARAMETER_SETS);
    assert!(matches!(arrays(nal::MAX_PARAMETER_SETS as u16 + 1), Err(Error::LimitExceeded(_))));
    let two =
        [&hex("0101600000009000000000003cf000fcfdf8f800000f 02")[..], &hex("2100810000").repeat(1)].concat();
    assert!(hevc::Record::parse(&two.into()).is_err());
    // An OBU longer than all there is.
    let record = av1::Record::parse(&hex("81000c00 0a ffffffff0f")).unwrap();
    assert!(record.sequence_header().unwrap().is_err());
    let record = av1::Record::parse(&hex("81000c00 0a ffffffffffffffff")).unwrap();
    assert!(record.sequence_header().unwrap().is_err());
    // Empty OBUs of another type, as many as are looked through: the header behind them is not found.
    let many = [&hex("81000c00")[..], &hex("7a00").repeat(16), &hex("0a0b000000043cf7b4daf90040")].concat();
    assert_eq!(av1::Record::parse(&many.into()).unwrap().sequence_header(), None);
    let fewer = [&hex("81000c00")[..], &hex("7a00").repeat(15), &hex("0a0b000000043cf7b4daf90040")].concat();
    assert!(av1::Record::parse(&fewer.into()).unwrap().sequence_header().unwrap().is_ok());
}

const CODECS: [Codec; 11] = [
    Codec::FourCc(*b"avc1"),
    Codec::FourCc(*b"hvc1"),
    Codec::FourCc(*b"vvc1"),
    Codec::FourCc(*b"av01"),
    Codec::FourCc(*b"vp08"),
    Codec::FourCc(*b"vp09"),
    Codec::FourCc(*b"mp4a"),
    Codec::FourCc(*b"Opus"),
    Codec::FourCc(*b"fLaC"),
    Codec::Legacy(7),
    Codec::Legacy(12),
];

fn exhaust(data: &Bytes) {
    for codec in CODECS {
        if let Ok(Some(config)) = DecoderConfig::parse(codec, data) {
            let size = config.size();
            assert!(
                size.is_none_or(|(w, h)| w.max(h) <= MAX_DIMENSION && w.min(h) > 0 || codec == CODECS[2])
            );
            let _ = config.sound();
        }
    }
    let _ = ac3::Frame::parse(data);
    let _ = avc::Sps::parse(data);
    let _ = hevc::Sps::parse(data);
    let _ = av1::SequenceHeader::parse(data);
}

#[test]
fn v15_records_cut_anywhere_do_not_panic() {
    for text in AVC.iter().chain(&HEVC).chain(&AV1).chain([&VVC, &PCE]) {
        let whole = hex(text);
        (0..=whole.len()).for_each(|len| exhaust(&whole.slice(..len)));
    }
}

proptest! {
    #[test]
    fn v15_no_record_panics(data: Vec<u8>) {
        exhaust(&data.into());
    }

    #[test]
    fn v15_no_record_that_almost_is_one_panics(
        which in 0usize..10,
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let all: Vec<_> = AVC.iter().chain(&HEVC).chain(&AV1).chain([&VVC]).collect();
        let mut data = hex(all[which]).to_vec();
        for (at, byte) in hits {
            let at = at.index(data.len());
            data[at] = byte;
        }
        exhaust(&data.into());
    }
}
