//! The numbers of E-RTMP v2's enumerations, as its tables give them.

use super::super::channels::ChannelMask;
use super::super::code::*;

#[test]
fn audio_numbers_of_the_tables() {
    use AudioPacketType as P;
    use SoundFormat as F;
    let formats = [
        (0, F::PCM_PLATFORM_ENDIAN),
        (1, F::ADPCM),
        (2, F::MP3),
        (3, F::PCM_LITTLE_ENDIAN),
        (4, F::NELLYMOSER_16K),
        (5, F::NELLYMOSER_8K),
        (6, F::NELLYMOSER),
        (7, F::G711_A_LAW),
        (8, F::G711_MU_LAW),
        (9, F::EX_HEADER),
        (10, F::AAC),
        (11, F::SPEEX),
        (14, F::MP3_8K),
        (15, F::NATIVE),
    ];
    for (number, format) in formats {
        assert_eq!(F::new(number), format);
    }
    for reserved in [12, 13] {
        assert_eq!(F::new(reserved).name(), None);
    }
    let rates = [SoundRate::KHZ_5_5, SoundRate::KHZ_11, SoundRate::KHZ_22, SoundRate::KHZ_44];
    assert_eq!(rates.map(SoundRate::value), [0, 1, 2, 3]);
    assert_eq!([AacPacketType::SEQUENCE_HEADER, AacPacketType::RAW].map(AacPacketType::value), [0, 1]);
    let packets = [
        (0, P::SEQUENCE_START),
        (1, P::CODED_FRAMES),
        (2, P::SEQUENCE_END),
        (4, P::MULTICHANNEL_CONFIG),
        (5, P::MULTITRACK),
        (7, P::MOD_EX),
    ];
    for (number, packet) in packets {
        assert_eq!(P::new(number), packet);
    }
    for reserved in [3, 6, 8, 9, 10, 11, 12, 13, 14, 15] {
        assert_eq!(P::new(reserved).name(), None);
    }
}

#[test]
fn video_numbers_of_the_tables() {
    use FrameType as F;
    use VideoCodecId as C;
    use VideoPacketType as P;
    let frames = [F::KEY, F::INTER, F::DISPOSABLE, F::GENERATED_KEY, F::COMMAND];
    assert_eq!(frames.map(F::value), [1, 2, 3, 4, 5]);
    for reserved in [0, 6, 7] {
        assert_eq!(F::new(reserved).name(), None);
    }
    let codecs = [C::SORENSON_H263, C::SCREEN, C::VP6, C::VP6_ALPHA, C::SCREEN_V2, C::AVC];
    assert_eq!(codecs.map(C::value), [2, 3, 4, 5, 6, 7]);
    let avc = [AvcPacketType::SEQUENCE_HEADER, AvcPacketType::NALU, AvcPacketType::END_OF_SEQUENCE];
    assert_eq!(avc.map(AvcPacketType::value), [0, 1, 2]);
    let packets = [
        P::SEQUENCE_START,
        P::CODED_FRAMES,
        P::SEQUENCE_END,
        P::CODED_FRAMES_X,
        P::METADATA,
        P::MPEG2TS_SEQUENCE_START,
        P::MULTITRACK,
        P::MOD_EX,
    ];
    assert_eq!(packets.map(P::value), [0, 1, 2, 3, 4, 5, 6, 7]);
    for reserved in 8..=15 {
        assert_eq!(P::new(reserved).name(), None);
    }
    let commands = [VideoCommand::START_SEEK, VideoCommand::END_SEEK];
    assert_eq!(commands.map(VideoCommand::value), [0, 1]);
}

#[test]
fn numbers_that_audio_and_video_share() {
    use MultitrackType as M;
    assert_eq!(ModExType::TIMESTAMP_OFFSET_NANO.value(), 0);
    assert!((1..=15).all(|reserved| ModExType::new(reserved).name().is_none()));
    assert_eq!([M::ONE_TRACK, M::MANY_TRACKS, M::MANY_TRACKS_MANY_CODECS].map(M::value), [0, 1, 2]);
    assert!((3..=15).all(|reserved| M::new(reserved).name().is_none()));
}

/// Codes in the order of the tables, as 32-bit integers, which are big-endian.
#[test]
fn four_character_codes_of_the_tables() {
    let numbers = |codes: [FourCc; 6]| codes.map(|code| u32::from_be_bytes(code.0));
    // vp08, vp09, av01, avc1, hvc1, vvc1
    let video = [0x7670_3038, 0x7670_3039, 0x6176_3031, 0x6176_6331, 0x6876_6331, 0x7676_6331];
    assert_eq!(numbers(FourCc::VIDEO), video);
    // ac-3, ec-3, Opus, .mp3, fLaC, mp4a
    let audio = [0x6163_2d33, 0x6563_2d33, 0x4f70_7573, 0x2e6d_7033, 0x664c_6143, 0x6d70_3461];
    assert_eq!(numbers(FourCc::AUDIO), audio);
    // The document's own examples.
    assert_eq!(u32::from_be_bytes(FourCc::AV1.0), 1_635_135_537);
    assert_eq!(u32::from_be_bytes(FourCc::OPUS.0), 1_332_770_163);
}

#[test]
fn speakers_and_mask_bits_of_the_tables() {
    use AudioChannel as C;
    let table = [
        (C::FRONT_LEFT, 0, 0x00_0001),
        (C::FRONT_RIGHT, 1, 0x00_0002),
        (C::FRONT_CENTER, 2, 0x00_0004),
        (C::LOW_FREQUENCY_1, 3, 0x00_0008),
        (C::BACK_LEFT, 4, 0x00_0010),
        (C::BACK_RIGHT, 5, 0x00_0020),
        (C::FRONT_LEFT_CENTER, 6, 0x00_0040),
        (C::FRONT_RIGHT_CENTER, 7, 0x00_0080),
        (C::BACK_CENTER, 8, 0x00_0100),
        (C::SIDE_LEFT, 9, 0x00_0200),
        (C::SIDE_RIGHT, 10, 0x00_0400),
        (C::TOP_CENTER, 11, 0x00_0800),
        (C::TOP_FRONT_LEFT, 12, 0x00_1000),
        (C::TOP_FRONT_CENTER, 13, 0x00_2000),
        (C::TOP_FRONT_RIGHT, 14, 0x00_4000),
        (C::TOP_BACK_LEFT, 15, 0x00_8000),
        (C::TOP_BACK_CENTER, 16, 0x01_0000),
        (C::TOP_BACK_RIGHT, 17, 0x02_0000),
        (C::LOW_FREQUENCY_2, 18, 0x04_0000),
        (C::TOP_SIDE_LEFT, 19, 0x08_0000),
        (C::TOP_SIDE_RIGHT, 20, 0x10_0000),
        (C::BOTTOM_FRONT_CENTER, 21, 0x20_0000),
        (C::BOTTOM_FRONT_LEFT, 22, 0x40_0000),
        (C::BOTTOM_FRONT_RIGHT, 23, 0x80_0000),
    ];
    for (speaker, number, bit) in table {
        assert_eq!(C::new(number), speaker);
        assert_eq!(ChannelMask(bit).channels().collect::<Vec<_>>(), [speaker]);
    }
    for reserved in 24..=0xfd {
        assert_eq!(C::new(reserved).name(), None);
    }
    assert_eq!([C::UNUSED, C::UNKNOWN].map(C::value), [0xfe, 0xff]);
}
