//! What holds for any bytes and for any tag.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::audio::*;
use super::super::channels::*;
use super::super::code::*;
use super::super::metadata::{self, ColorInfo};
use super::super::mod_ex::ModEx;
use super::super::multitrack::PacketType;
use super::super::video::*;
use super::super::*;

fn data() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn fourcc() -> impl Strategy<Value = FourCc> {
    let named = [FourCc::VIDEO, FourCc::AUDIO].concat();
    prop_oneof![prop::sample::select(named), any::<[u8; 4]>().prop_map(FourCc)]
}

fn modifiers() -> impl Strategy<Value = Vec<ModEx>> {
    let modifier = (0u8..16, prop_oneof![9 => 1usize..5, 1 => 250usize..260])
        .prop_map(|(kind, size)| ModEx { kind: ModExType::new(kind), data: vec![kind; size].into() });
    vec(modifier, 0..4)
}

fn tracks() -> impl Strategy<Value = (MultitrackType, Vec<Track>)> {
    let track = (any::<u8>(), fourcc(), data()).prop_map(|(id, codec, data)| Track { id, codec, data });
    (0u8..3, vec(track, 1..6)).prop_map(|(kind, mut tracks)| {
        let kind = MultitrackType::new(kind);
        if kind == MultitrackType::ONE_TRACK {
            tracks.truncate(1);
        }
        if kind != MultitrackType::MANY_TRACKS_MANY_CODECS {
            let codec = tracks[0].codec;
            tracks.iter_mut().for_each(|track| track.codec = codec);
        }
        (kind, tracks)
    })
}

/// The packet type of tracks: any but `multitrack` itself.
fn inner<P: PacketType>(byte: u8, multitrack: P) -> P {
    P::from_bits(if byte & 0x0f == multitrack.bits() { 0 } else { byte })
}

fn video() -> impl Strategy<Value = VideoTag> {
    let composition = prop_oneof![-0x80_0000..=0x7f_ffff, Just(0)];
    let legacy = (0u8..8, 0u8..16, any::<u8>(), composition.clone(), data());
    let legacy = legacy.prop_map(|(frame_type, codec, byte, composition_ms, data)| {
        let (frame_type, codec) = (FrameType::new(frame_type), VideoCodecId::new(codec));
        let body = match codec {
            _ if frame_type == FrameType::COMMAND => {
                LegacyVideoBody::Command { command: VideoCommand::new(byte), rest: data }
            }
            VideoCodecId::AVC | VideoCodecId::HEVC_VENDOR => {
                LegacyVideoBody::Avc { packet_type: AvcPacketType::new(byte), composition_ms, data }
            }
            _ => LegacyVideoBody::Coded(data),
        };
        VideoTag::Legacy(LegacyVideo { frame_type, codec, body })
    });
    let packet_type = (0u8..16).prop_map(VideoPacketType::new);
    let ex = (0u8..8, packet_type, modifiers(), (fourcc(), composition, data(), any::<u8>()), tracks());
    let ex =
        ex.prop_map(|(frame_type, packet_type, modifiers, (codec, composition_ms, data, byte), tracks)| {
            let frame_type = FrameType::new(frame_type);
            // A chain of modifiers ends with something else.
            let packet_type =
                if packet_type == VideoPacketType::MOD_EX { VideoPacketType::METADATA } else { packet_type };
            let body = if frame_type == FrameType::COMMAND && packet_type != VideoPacketType::METADATA {
                ExVideoBody::Command { packet_type, command: VideoCommand::new(byte), rest: data }
            } else if packet_type == VideoPacketType::MULTITRACK {
                ExVideoBody::Multitrack(
                    Multitrack::new(tracks.0, inner(byte, VideoPacketType::MULTITRACK), &tracks.1).unwrap(),
                )
            } else if packet_type == VideoPacketType::CODED_FRAMES {
                let composition_ms = if codec.has_composition_time() { composition_ms } else { 0 };
                ExVideoBody::Single { codec, packet: VideoPacket::CodedFrames { composition_ms, data } }
            } else {
                ExVideoBody::Single { codec, packet: VideoPacket::parse(packet_type, codec, data).unwrap() }
            };
            VideoTag::Enhanced(ExVideo { frame_type, modifiers, body })
        });
    prop_oneof![legacy, ex]
}

fn audio() -> impl Strategy<Value = AudioTag> {
    let legacy = (0u8..16, 0u8..4, any::<[bool; 2]>(), any::<u8>(), data());
    let legacy = legacy.prop_map(|(format, rate, [sixteen_bit, stereo], packet_type, data)| {
        let format = SoundFormat::new(if format == 9 { 10 } else { format });
        let aac = (format == SoundFormat::AAC).then(|| AacPacketType::new(packet_type));
        let rate = SoundRate::new(rate);
        AudioTag::Legacy(LegacyAudio { format, rate, sixteen_bit, stereo, aac, data })
    });
    let order = prop_oneof![
        Just(ChannelOrder::Unspecified),
        any::<u32>().prop_map(|mask| ChannelOrder::Native(ChannelMask(mask))),
        data().prop_map(ChannelOrder::Custom),
        (3u8..).prop_map(ChannelOrder::Reserved),
    ];
    let ex = (0u8..16, modifiers(), (fourcc(), data(), order, any::<u8>()), tracks());
    let ex = ex.prop_map(|(packet_type, modifiers, (codec, data, order, byte), tracks)| {
        let body = match AudioPacketType::new(packet_type) {
            AudioPacketType::MULTITRACK | AudioPacketType::MOD_EX => ExAudioBody::Multitrack(
                Multitrack::new(tracks.0, inner(byte, AudioPacketType::MULTITRACK), &tracks.1).unwrap(),
            ),
            AudioPacketType::MULTICHANNEL_CONFIG => {
                let channels = match &order {
                    ChannelOrder::Custom(map) => map.len() as u8,
                    _ => byte,
                };
                let config = MultichannelConfig { channels, order, rest: data };
                ExAudioBody::Single { codec, packet: AudioPacket::MultichannelConfig(config) }
            }
            packet_type => {
                ExAudioBody::Single { codec, packet: AudioPacket::parse(packet_type, data).unwrap() }
            }
        };
        AudioTag::Enhanced(ExAudio { modifiers, body })
    });
    prop_oneof![Just(AudioTag::Silence), legacy, ex]
}

/// Bytes that look like enhanced tags more often than random ones do.
fn like_a_tag() -> impl Strategy<Value = Bytes> {
    let head = prop::sample::select(vec![
        &b""[..],
        b"\x17\x01",
        b"\x91hvc1",
        b"\x94av01",
        b"\x96\x11hvc1",
        b"\x96\x21",
        b"\x97",
        b"\xd4",
        b"\x95\x11Opus",
        b"\x95\x24",
        b"\x94Opus",
        b"\xaf",
    ]);
    (head, vec(any::<u8>(), 0..64)).prop_map(|(head, tail)| [head, &tail].concat().into())
}

/// As much of a tag as there is in it.
fn exhaust(body: &Bytes) {
    if let Ok(VideoTag::Enhanced(ExVideo { body, modifiers, .. })) = VideoTag::parse(body) {
        for modifier in &modifiers {
            let _ = modifier.timestamp_offset_nanos();
        }
        match body {
            ExVideoBody::Multitrack(tracks) => tracks.video().for_each(drop),
            ExVideoBody::Single { packet: VideoPacket::Metadata(data), .. } => {
                for (_, value) in metadata::decode(&data).unwrap_or_default() {
                    let _ = ColorInfo::from_value(&value);
                }
            }
            _ => {}
        }
    }
    if let Ok(AudioTag::Enhanced(ExAudio { body: ExAudioBody::Multitrack(tracks), .. })) =
        AudioTag::parse(body)
    {
        tracks.audio().for_each(drop);
    }
}

proptest! {
    #[test]
    fn no_tag_panics(body in like_a_tag()) {
        exhaust(&body);
        for kind in [TrackKind::Audio, TrackKind::Video, TrackKind::Data] {
            let message = MediaMessage::new(kind, Timestamp::ZERO, body.clone());
            let info = message.info();
            let tracks: Vec<_> = message.tracks().collect();
            prop_assert_eq!(tracks.first(), Some(&info.track));
            prop_assert_eq!(tracks.len() > 1, info.many);
        }
    }

    #[test]
    fn video_is_read_as_it_was_written(tag in video()) {
        let wire = tag.encode().unwrap();
        let read = VideoTag::parse(&wire).unwrap();
        prop_assert_eq!(read.encode().unwrap(), wire);
        prop_assert_eq!(read, tag);
    }

    #[test]
    fn audio_is_read_as_it_was_written(tag in audio()) {
        let wire = tag.encode().unwrap();
        let read = AudioTag::parse(&wire).unwrap();
        prop_assert_eq!(read.encode().unwrap(), wire);
        prop_assert_eq!(read, tag);
    }

    #[test]
    fn a_tag_cut_short_is_read_or_an_error(tag in video(), sound in audio(), at: prop::sample::Index) {
        for wire in [tag.encode().unwrap(), sound.encode().unwrap()] {
            exhaust(&wire.slice(..at.index(wire.len() + 1)));
        }
    }

    /// The glance and the whole tag agree on what is configuration and what is coded.
    #[test]
    fn the_glance_agrees_with_the_tag((kind, parts) in tracks(), packet_type in 0u8..6) {
        let packet_type = VideoPacketType::new(packet_type);
        let ids: Vec<_> = parts.iter().map(|track| track.id).collect();
        let body = ExVideoBody::Multitrack(Multitrack::new(kind, packet_type, &parts).unwrap());
        let tag = VideoTag::Enhanced(ExVideo { frame_type: FrameType::KEY, modifiers: vec![], body });
        let message = MediaMessage::new(TrackKind::Video, Timestamp::ZERO, tag.encode().unwrap());
        let info = message.info();
        prop_assert_eq!(message.tracks().collect::<Vec<_>>(), ids);
        prop_assert_eq!(info.codec, Codec::FourCc(parts[0].codec.0));
        let content = match packet_type {
            VideoPacketType::SEQUENCE_START | VideoPacketType::MPEG2TS_SEQUENCE_START => {
                Content::Config(Config::SequenceHeader)
            }
            VideoPacketType::METADATA => Content::Config(Config::VideoMetadata),
            VideoPacketType::SEQUENCE_END => Content::Other,
            _ => Content::Keyframe,
        };
        prop_assert_eq!(info.content, content);
    }
}
