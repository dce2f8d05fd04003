//! Audio and video tags: what is read is written as the same bytes, the quick look agrees with the full reading, and the
//! configuration that is kept is bounded.

use bytes::Bytes;
use segue_proto::amf::MAX_COMMAND_BYTES;
use segue_proto::media::audio::{AudioPacket, ExAudioBody};
use segue_proto::media::multitrack::PacketType;
use segue_proto::media::video::{ExVideoBody, VideoPacket};
use segue_proto::media::{
    AudioTag, Codec, Config, ConfigSet, Content, FourCc, MediaMessage, Multitrack, TagInfo, VideoTag,
    metadata,
};
use segue_proto::{Timestamp, TrackKind};

use crate::check::{assert_slice, bounded};
use crate::input::Input;

/// Bytes allocated at a time for each of a tag's: modifiers of 3 bytes each, 40 bytes of slice in a vector with room for
/// as many again; metadata is AMF0.
const MAX_PER_BYTE: u64 = 96;
const MAX_FIXED: u64 = 1024;

/// Audio, video or data, then a tag's body.
pub fn media_tag(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.pick(&[TrackKind::Video, TrackKind::Audio, TrackKind::Data]);
    let body = Bytes::copy_from_slice(input.rest());
    let message = MediaMessage::new(kind, Timestamp::ZERO, body);
    let body = &message.payload;

    let info = bounded(body.len(), 0, 0, || {
        // Nothing at all.
        let info = message.info();
        assert!(message.tracks().take(300).count() <= 256);
        info
    });
    assert!(info.many || message.tracks().eq([info.track]));
    assert_eq!(info.is_media(), !matches!(info.content, Content::Config(_)));
    match kind {
        TrackKind::Video => video(body, &info, &message),
        TrackKind::Audio => audio(body, &info, &message),
        TrackKind::Data => {}
    }
    configuration(&message, &info);
}

fn video(body: &Bytes, info: &TagInfo, message: &MediaMessage) {
    let Ok(tag) = bounded(body.len(), MAX_FIXED, MAX_PER_BYTE, || VideoTag::parse(body)) else { return };
    let written = tag.encode().expect("what was read can be written");
    assert_eq!(VideoTag::parse(&written).as_ref(), Ok(&tag));
    let modified = matches!(&tag, VideoTag::Enhanced(tag) if !tag.modifiers.is_empty());
    // A modifier's size has two forms, and the longer one need not be.
    assert!(written == *body || (modified && written.len() < body.len()), "{body:?} became {written:?}");
    match tag {
        VideoTag::Legacy(tag) => assert_eq!(info.codec, Codec::Legacy(tag.codec.value())),
        VideoTag::Enhanced(tag) => match tag.body {
            ExVideoBody::Command { .. } => assert_eq!(info.content, Content::Other),
            ExVideoBody::Single { codec, packet } => {
                assert_eq!((info.codec, info.track, info.many), (Codec::FourCc(codec.0), 0, false));
                video_packet(&packet, codec, body);
                let config = match packet {
                    VideoPacket::SequenceStart(_) | VideoPacket::Mpeg2TsSequenceStart(_) => {
                        Some(Config::SequenceHeader)
                    }
                    VideoPacket::Metadata(_) => Some(Config::VideoMetadata),
                    _ => None,
                };
                assert_eq!(config.map(Content::Config), Some(info.content).filter(|_| !info.is_media()));
            }
            ExVideoBody::Multitrack(tracks) => {
                for track in tracks.video().take(300) {
                    let Ok((_, codec, packet)) = track else { continue };
                    video_packet(&packet, codec, body);
                }
                multitrack(&tracks, info, message);
            }
        },
    }
}

fn video_packet(packet: &VideoPacket, codec: FourCc, body: &Bytes) {
    let VideoPacket::Metadata(data) = packet else {
        if let VideoPacket::CodedFrames { data, .. } = packet {
            assert_slice(body, data);
        }
        let track = packet.to_track(1, codec).expect("what was read can be written");
        assert_eq!(VideoPacket::parse(packet.packet_type(), codec, track.data).as_ref(), Ok(packet));
        return;
    };
    let Ok(pairs) = metadata::decode(data) else { return };
    let written = metadata::encode(&pairs);
    // Text that AMF3 refers to is written out each time: that may be longer than what is read.
    let again = metadata::decode(&written);
    assert!(again.is_ok() || written.len() > MAX_COMMAND_BYTES, "what was written is read: {again:?}");
    if let Ok(again) = again {
        assert_eq!(metadata::encode(&again), written);
    }
    for (_, value) in pairs.iter().filter(|(name, _)| name == metadata::COLOR_INFO) {
        if let Some(color) = metadata::ColorInfo::from_value(value) {
            let again = metadata::ColorInfo::from_value(&color.to_value()).unwrap_or_default();
            // Of numbers that are none nothing equals another.
            assert_eq!(format!("{again:?}"), format!("{color:?}"));
        }
    }
}

fn audio(body: &Bytes, info: &TagInfo, message: &MediaMessage) {
    let Ok(tag) = bounded(body.len(), MAX_FIXED, MAX_PER_BYTE, || AudioTag::parse(body)) else { return };
    let written = tag.encode().expect("what was read can be written");
    assert_eq!(AudioTag::parse(&written).as_ref(), Ok(&tag));
    let modified = matches!(&tag, AudioTag::Enhanced(tag) if !tag.modifiers.is_empty());
    assert!(written == *body || (modified && written.len() < body.len()), "{body:?} became {written:?}");
    match tag {
        AudioTag::Silence => assert!(body.is_empty()),
        AudioTag::Legacy(tag) => assert_eq!(info.codec, Codec::Legacy(tag.format.value())),
        AudioTag::Enhanced(tag) => match tag.body {
            ExAudioBody::Single { codec, packet } => {
                assert_eq!((info.codec, info.track, info.many), (Codec::FourCc(codec.0), 0, false));
                audio_packet(&packet, codec);
            }
            ExAudioBody::Multitrack(tracks) => {
                for (_, codec, packet) in tracks.audio().take(300).flatten() {
                    audio_packet(&packet, codec);
                }
                multitrack(&tracks, info, message);
            }
        },
    }
}

fn audio_packet(packet: &AudioPacket, codec: FourCc) {
    let track = packet.to_track(1, codec).expect("what was read can be written");
    assert_eq!(AudioPacket::parse(packet.packet_type(), track.data).as_ref(), Ok(packet));
    if let AudioPacket::MultichannelConfig(config) = packet {
        assert!(config.order.speakers().count() <= 256);
    }
}

/// The quick look and the full reading see the same tracks.
fn multitrack<P: PacketType>(tracks: &Multitrack<P>, info: &TagInfo, message: &MediaMessage) {
    let mut read: Vec<_> =
        tracks.tracks().map_while(Result::ok).map(|track| (track.id, track.codec)).collect();
    assert_eq!(info.many, read.len() > 1);
    if let Some((id, codec)) = read.first() {
        assert_eq!((info.track, info.codec), (*id, Codec::FourCc(codec.0)));
    } else {
        read.push((0, FourCc([0; 4])));
    }
    assert!(message.tracks().eq(read.iter().map(|(id, _)| *id)));
}

/// The set that is kept for readers who come later.
fn configuration(message: &MediaMessage, info: &TagInfo) {
    let mut set = ConfigSet::default();
    let changed = set.set(message, info);
    assert!(!changed || !info.is_media());
    assert_eq!(set.messages().count(), usize::from(changed));
    assert!(!set.set(message, info), "an identical repeat changes nothing");
    assert_eq!(set.changed_since(&ConfigSet::default()).count(), usize::from(changed));
    assert_eq!(set.changed_since(&set).count(), 0);
}
