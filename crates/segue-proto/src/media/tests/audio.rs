//! Audio tags: after the tables, and as FFmpeg 9.0.2 writes them, from
//! `ffmpeg -f lavfi -i sine=frequency=440:sample_rate=48000 -t 0.2 -c:a ENCODER -ac 2 out.flv`; coded data is cut short.

use super::super::audio::*;
use super::super::channels::*;
use super::super::code::*;
use super::super::mod_ex::ModEx;
use super::super::multitrack::{Multitrack, Track};
use super::*;
use crate::error::Error;

fn legacy(
    format: SoundFormat,
    rate: SoundRate,
    sixteen_bit: bool,
    stereo: bool,
    data: &'static [u8],
) -> AudioTag {
    AudioTag::Legacy(LegacyAudio { format, rate, sixteen_bit, stereo, aac: None, data: bytes(data) })
}

fn aac(packet_type: AacPacketType, data: &'static [u8]) -> AudioTag {
    AudioTag::Legacy(LegacyAudio {
        format: SoundFormat::AAC,
        rate: SoundRate::KHZ_44,
        sixteen_bit: true,
        stereo: true,
        aac: Some(packet_type),
        data: bytes(data),
    })
}

fn single(codec: FourCc, packet: AudioPacket) -> AudioTag {
    AudioTag::Enhanced(ExAudio { modifiers: vec![], body: ExAudioBody::Single { codec, packet } })
}

fn channels(channels: u8, order: ChannelOrder) -> AudioPacket {
    AudioPacket::MultichannelConfig(MultichannelConfig { channels, order, rest: bytes(b"") })
}

/// One table drives both directions.
#[test]
fn audio_tags_of_the_tables_and_of_ffmpeg() {
    use AudioPacket::{CodedFrames, Other, SequenceEnd, SequenceStart};
    let native = |count, mask| channels(count, ChannelOrder::Native(ChannelMask(mask)));
    let cases: Vec<(&str, Bytes, AudioTag)> = vec![
        ("silence", bytes(b""), AudioTag::Silence),
        (
            "FFmpeg 9, aac: header, whole",
            hex("af 00 119056e500"),
            aac(AacPacketType::SEQUENCE_HEADER, b"\x11\x90\x56\xe5\x00"),
        ),
        ("FFmpeg 9, aac: frame", hex("af 01 dc004c61"), aac(AacPacketType::RAW, b"\xdc\x00La")),
        (
            "FFmpeg 9, libmp3lame",
            hex("2f fffb9464"),
            legacy(SoundFormat::MP3, SoundRate::KHZ_44, true, true, b"\xff\xfb\x94\x64"),
        ),
        (
            "Nellymoser, 11 kHz, mono",
            hex("66 01"),
            legacy(SoundFormat::NELLYMOSER, SoundRate::KHZ_11, true, false, b"\x01"),
        ),
        (
            "8-bit PCM, 5.5 kHz",
            hex("30 80"),
            legacy(SoundFormat::PCM_LITTLE_ENDIAN, SoundRate::KHZ_5_5, false, false, b"\x80"),
        ),
        (
            "a format of tomorrow",
            hex("c9"),
            legacy(SoundFormat::new(12), SoundRate::KHZ_22, false, true, b""),
        ),
        (
            "FFmpeg 9, libopus: header, whole",
            hex("90 4f707573 4f707573486561640102380180bb0000000000"),
            single(FourCc::OPUS, SequenceStart(bytes(b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0"))),
        ),
        (
            "FFmpeg 9, libopus: channels, whole",
            hex("94 4f707573 01 02 00000003"),
            single(FourCc::OPUS, native(2, 3)),
        ),
        (
            "FFmpeg 9, libopus 5.1: channels, whole",
            hex("94 4f707573 01 06 0000003f"),
            single(FourCc::OPUS, native(6, 0x3f)),
        ),
        (
            "FFmpeg 9, libopus: packet",
            hex("91 4f707573 fc7e0299"),
            single(FourCc::OPUS, CodedFrames(bytes(b"\xfc\x7e\x02\x99"))),
        ),
        ("FFmpeg 9, ac3: header, whole", hex("90 61632d33"), single(FourCc::AC3, SequenceStart(bytes(b"")))),
        (
            "FFmpeg 9, eac3: frame",
            hex("91 65632d33 0b77017f"),
            single(FourCc::EAC3, CodedFrames(bytes(b"\x0b\x77\x01\x7f"))),
        ),
        (
            "custom order",
            hex("94 664c6143 02 03 01 00 ff"),
            single(FourCc::FLAC, channels(3, ChannelOrder::Custom(bytes(b"\x01\x00\xff")))),
        ),
        ("no order", hex("94 2e6d7033 00 02"), single(FourCc::MP3, channels(2, ChannelOrder::Unspecified))),
        ("end", hex("92 6d703461"), single(FourCc::AAC, SequenceEnd(bytes(b"")))),
        (
            "a packet of tomorrow",
            hex("9e 6d703461 01"),
            single(FourCc::AAC, Other(AudioPacketType::new(14), bytes(b"\x01"))),
        ),
        (
            "FFmpeg 9, second track: header, whole",
            hex("95 00 4f707573 01 4f707573486561640101380180bb0000000000"),
            AudioTag::Enhanced(ExAudio {
                modifiers: vec![],
                body: ExAudioBody::Multitrack(
                    Multitrack::new(
                        MultitrackType::ONE_TRACK,
                        AudioPacketType::SEQUENCE_START,
                        &[Track {
                            id: 1,
                            codec: FourCc::OPUS,
                            data: bytes(b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0"),
                        }],
                    )
                    .unwrap(),
                ),
            }),
        ),
        (
            "offset, then a frame",
            hex("97 02 0003e8 01 4f707573 fc"),
            AudioTag::Enhanced(ExAudio {
                modifiers: vec![ModEx::timestamp_offset(1000).unwrap()],
                body: ExAudioBody::Single { codec: FourCc::OPUS, packet: CodedFrames(bytes(b"\xfc")) },
            }),
        ),
    ];
    for (name, wire, tag) in cases {
        assert_eq!(AudioTag::parse(&wire).as_ref(), Ok(&tag), "{name}");
        assert_eq!(tag.encode().as_ref(), Ok(&wire), "{name}");
    }
}

/// FFmpeg 9.0.2, two mono Opus tracks: the second track's channels, in a custom order, whole tag.
#[test]
fn channels_of_a_track_of_ffmpeg() {
    let wire = hex("95 04 4f707573 01 01 01 00000004");
    let Ok(AudioTag::Enhanced(ExAudio { body: ExAudioBody::Multitrack(tracks), .. })) =
        AudioTag::parse(&wire)
    else {
        panic!()
    };
    let (id, codec, packet) = tracks.audio().next().unwrap().unwrap();
    assert_eq!((id, codec), (1, FourCc::OPUS));
    let AudioPacket::MultichannelConfig(config) = packet else { panic!() };
    assert_eq!(config.channels, 1);
    let speakers: Vec<_> = config.order.speakers().collect();
    assert_eq!(speakers, [AudioChannel::FRONT_CENTER]);
}

/// The pseudocode's forms: one codec before all tracks, or each track's own before its number; sizes count what is
/// behind them.
#[test]
fn tracks_of_one_codec_and_of_many() {
    use AudioPacket::CodedFrames;
    let cases = [
        (hex("95 01 4f707573 07 fc7e"), vec![(7, FourCc::OPUS, CodedFrames(bytes(b"\xfc\x7e")))]),
        (
            hex("95 11 4f707573 00 000002 fc7e 01 000001 fd"),
            vec![
                (0, FourCc::OPUS, CodedFrames(bytes(b"\xfc\x7e"))),
                (1, FourCc::OPUS, CodedFrames(bytes(b"\xfd"))),
            ],
        ),
        (
            hex("95 21 4f707573 00 000001 fc 6d703461 ff 000002 2110"),
            vec![
                (0, FourCc::OPUS, CodedFrames(bytes(b"\xfc"))),
                (255, FourCc::AAC, CodedFrames(bytes(b"\x21\x10"))),
            ],
        ),
        (
            hex("95 24 2e6d7033 00 000002 0002 664c6143 01 000002 0001"),
            vec![
                (0, FourCc::MP3, channels(2, ChannelOrder::Unspecified)),
                (1, FourCc::FLAC, channels(1, ChannelOrder::Unspecified)),
            ],
        ),
    ];
    for (wire, packets) in cases {
        let tag = AudioTag::parse(&wire).unwrap();
        assert_eq!(tag.encode().as_ref(), Ok(&wire));
        let AudioTag::Enhanced(ExAudio { body: ExAudioBody::Multitrack(tracks), .. }) = tag else { panic!() };
        assert_eq!(tracks.audio().collect::<Result<Vec<_>, _>>(), Ok(packets));
    }
    let track = Track { id: 0, codec: FourCc::OPUS, data: bytes(b"") };
    let inner = Multitrack::new(MultitrackType::ONE_TRACK, AudioPacketType::MULTITRACK, &[track]);
    assert!(matches!(inner, Err(Error::Misuse(_))), "no tracks in a track");
    for nested in [hex("95 05 4f707573 01 00"), hex("95 25 4f707573 01 000000")] {
        assert!(matches!(AudioTag::parse(&nested), Err(Error::PeerMisbehaved(_))), "{nested:?}");
    }
}

#[test]
fn speakers_by_order() {
    let named = |order: ChannelOrder| order.speakers().collect::<Vec<_>>();
    use AudioChannel as C;
    let five_one =
        [C::FRONT_LEFT, C::FRONT_RIGHT, C::FRONT_CENTER, C::LOW_FREQUENCY_1, C::BACK_LEFT, C::BACK_RIGHT];
    assert_eq!(named(ChannelOrder::Native(ChannelMask(0x3f))), five_one);
    assert_eq!(named(ChannelOrder::Native(ChannelMask::DEFINED)).len(), 24);
    assert_eq!(named(ChannelOrder::Native(ChannelMask(u32::MAX))).len(), 32);
    assert_eq!(named(ChannelOrder::Custom(bytes(b"\xfe\x17"))), [C::UNUSED, C::BOTTOM_FRONT_RIGHT]);
    assert_eq!(named(ChannelOrder::Unspecified), []);
    assert!(!ChannelMask(u32::MAX).has(C::UNKNOWN));
}

#[test]
fn headers_cut_anywhere_are_errors() {
    for whole in [
        hex("af 01"),
        hex("91 4f707573"),
        hex("94 4f707573 01 02 00000003"),
        hex("94 4f707573 02 02 0001"),
        hex("97 02 0003e8 01 4f707573"),
        hex("95 01 4f707573"),
        hex("95 21"),
    ] {
        assert!(AudioTag::parse(&whole).is_ok());
        for len in 1..whole.len() {
            assert!(AudioTag::parse(&whole.slice(..len)).is_err(), "{whole:?} cut at {len}");
        }
    }
}

#[test]
fn what_the_header_would_not_announce_is_not_written() {
    let misuse = |tag: AudioTag| assert!(matches!(tag.encode(), Err(Error::Misuse(_))), "{tag:?}");
    misuse(legacy(SoundFormat::EX_HEADER, SoundRate::KHZ_44, true, true, b""));
    misuse(legacy(SoundFormat::AAC, SoundRate::KHZ_44, true, true, b""));
    misuse(single(FourCc::AAC, AudioPacket::Other(AudioPacketType::MULTITRACK, bytes(b""))));
    misuse(single(FourCc::AAC, AudioPacket::Other(AudioPacketType::MOD_EX, bytes(b""))));
    misuse(single(FourCc::AAC, channels(2, ChannelOrder::Custom(bytes(b"\0")))));
    misuse(single(FourCc::AAC, channels(2, ChannelOrder::Reserved(1))));
}
