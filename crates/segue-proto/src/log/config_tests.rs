//! What readers decode with: configuration that changes at a cut, comes again or comes late, and multitrack streams whose
//! tracks have keyframes of their own.

use std::sync::Arc;

use crate::media::code::{FrameType, MultitrackType, VideoPacketType};
use crate::media::video::{ExVideo, ExVideoBody};
use crate::media::{Content, FourCc, MediaMessage, Multitrack, Track, TrackKind, VideoTag};
use crate::timestamp::Timestamp;

use super::tests::{Fixture, audio, avc_header, video};
use super::*;

fn metadata(width: u8) -> MediaMessage {
    let payload =
        [&b"\x02\x00\x0aonMetaData\x03\x00\x05width\x00\x40"[..], &[width], &[0; 6], b"\x00\x00\x09"]
            .concat();
    MediaMessage::new(TrackKind::Data, Timestamp::ZERO, payload.into())
}

/// `colorInfo` for AVC, with this matrix.
fn colour(matrix: u8) -> MediaMessage {
    let payload = [&b"\xd4avc1\x02\x00\x09colorInfo\x00\x40"[..], &[matrix], &[0; 6]].concat();
    MediaMessage::new(TrackKind::Video, Timestamp::ZERO, payload.into())
}

/// A multitrack message: what kind of frame, packet type, and for each track number and data.
fn multitrack(
    frame_type: FrameType,
    packet_type: VideoPacketType,
    ts: u32,
    parts: &[(u8, &[u8])],
) -> MediaMessage {
    let kind = if parts.len() == 1 { MultitrackType::ONE_TRACK } else { MultitrackType::MANY_TRACKS };
    let tracks: Vec<_> = parts
        .iter()
        .map(|(id, data)| Track { id: *id, codec: FourCc::AV1, data: data.to_vec().into() })
        .collect();
    let body = ExVideoBody::Multitrack(Multitrack::new(kind, packet_type, &tracks).unwrap());
    let tag = VideoTag::Enhanced(ExVideo { frame_type, modifiers: vec![], body });
    MediaMessage::new(TrackKind::Video, Timestamp::from_millis(ts), tag.encode().unwrap())
}

fn start(parts: &[(u8, &[u8])]) -> MediaMessage {
    multitrack(FrameType::KEY, VideoPacketType::SEQUENCE_START, 0, parts)
}

/// A frame of these tracks; the data is the timestamp.
fn frame(key: bool, ts: u32, tracks: &[u8]) -> MediaMessage {
    let frame_type = if key { FrameType::KEY } else { FrameType::INTER };
    let data = ts.to_be_bytes();
    let parts: Vec<(u8, &[u8])> = tracks.iter().map(|id| (*id, &data[..])).collect();
    multitrack(frame_type, VideoPacketType::CODED_FRAMES, ts, &parts)
}

/// What a reader is sent that starts at `from`: configuration where it changed, before the message that needs it.
fn sent(f: &Fixture, from: Start) -> Vec<MediaMessage> {
    let mut cursor = f.stream.start(from);
    let mut known: Option<Arc<Headers>> = None;
    let mut out = Vec::new();
    while let Read::Entry(entry) = f.stream.read(&mut cursor) {
        let before = known.replace(entry.headers.clone()).unwrap_or_default();
        out.extend(entry.headers.changed_since(&before).cloned());
        out.push(entry.message.clone());
    }
    out
}

fn payloads(messages: &[MediaMessage]) -> Vec<bytes::Bytes> {
    messages.iter().map(|m| m.payload.clone()).collect()
}

#[test]
fn h14_a_header_that_changes_at_the_cut_comes_before_the_new_legs_first_frame() {
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, [avc_header(1), video(true, 0, 0), video(false, 40, 1)]);
    f.end(1, LegEnd::Lost);
    f.publish(2, false);
    f.send(2, [avc_header(2), video(true, 80, 2), video(false, 120, 3)]);
    let expected = [
        avc_header(1),
        video(true, 0, 0),
        video(false, 40, 1),
        avc_header(2),
        video(true, 80, 2),
        video(false, 120, 3),
    ];
    assert_eq!(payloads(&sent(&f, Start::Oldest)), payloads(&expected));
    assert_eq!(
        payloads(&sent(&f, Start::Live)),
        payloads(&expected[3..]),
        "a late joiner has no use for the old"
    );
}

#[test]
fn h14_a_header_that_only_comes_again_at_the_cut_is_no_discontinuity() {
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, [metadata(1), avc_header(1), video(true, 0, 0)]);
    f.end(1, LegEnd::Lost);
    f.publish(2, false);
    let mut again = avc_header(1);
    again.timestamp = Timestamp::from_millis(40);
    f.send(2, [metadata(1), again, video(true, 40, 1)]);
    let expected = [metadata(1), avc_header(1), video(true, 0, 0), video(true, 40, 1)];
    assert_eq!(payloads(&sent(&f, Start::Oldest)), payloads(&expected));
    let entries = f.entries();
    assert!(Arc::ptr_eq(&entries[0].headers, &entries[1].headers), "nothing changed, nothing is compared");
    assert!(!f.splices().last().unwrap().restarted);
}

#[test]
fn h15_metadata_and_colour_change_at_the_cut_and_a_late_joiner_gets_the_newest() {
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, [metadata(1), avc_header(1), colour(1), video(true, 0, 0)]);
    f.end(1, LegEnd::Lost);
    f.publish(2, false);
    // The new leg says its metadata anew, the colour only, or both: what it does not say stays in force.
    f.send(2, [metadata(2), avc_header(1), video(true, 40, 1)]);
    f.send(2, [colour(9), video(true, 80, 2)]);
    let live = sent(&f, Start::Live);
    assert_eq!(payloads(&live), payloads(&[metadata(2), avc_header(1), colour(9), video(true, 80, 2)]));
    let oldest = sent(&f, Start::Oldest);
    let expected = [
        metadata(1),
        avc_header(1),
        colour(1),
        video(true, 0, 0),
        metadata(2),
        video(true, 40, 1),
        colour(9),
        video(true, 80, 2),
    ];
    assert_eq!(payloads(&oldest), payloads(&expected));
    assert_eq!(f.stream.position().index, 3, "configuration is not counted");
}

#[test]
fn h16_only_the_lead_tracks_keyframes_start_a_gop() {
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, [start(&[(0, b"a")]), start(&[(1, b"b")])]);
    // Track 0 leads; the other's keyframes lie elsewhere.
    f.send(1, [frame(true, 0, &[0]), frame(false, 0, &[1]), frame(false, 40, &[0]), frame(true, 40, &[1])]);
    f.send(1, [frame(true, 80, &[0]), frame(false, 80, &[1]), frame(true, 120, &[1])]);
    let starts: Vec<_> = f.entries().iter().map(|e| e.starts_gop).collect();
    assert_eq!(starts, [true, false, false, false, true, false, false]);
    assert_eq!(f.stream.position().keyframes, 2, "boundaries are counted, as a publisher counts them");
    assert!(!f.stream.is_boundary(&frame(true, 160, &[1])) && f.stream.is_boundary(&frame(true, 160, &[0])));
    let live = sent(&f, Start::Live);
    let expected = [
        start(&[(0, b"a")]),
        start(&[(1, b"b")]),
        frame(true, 80, &[0]),
        frame(false, 80, &[1]),
        frame(true, 120, &[1]),
    ];
    assert_eq!(payloads(&live), payloads(&expected));
}

#[test]
fn h16_tracks_that_share_a_message_are_all_configured_and_all_lead() {
    let mut f = Fixture::new();
    f.publish(1, false);
    let (all, newer) = (start(&[(0, b"a"), (1, b"b")]), start(&[(1, b"c")]));
    f.send(1, [all.clone(), frame(true, 0, &[0]), newer.clone()]);
    // The lead is not the first of these, and is among them all the same.
    f.send(1, [frame(true, 40, &[1, 0]), frame(true, 80, &[1, 2])]);
    let entries = f.entries();
    assert_eq!(entries.iter().map(|e| e.starts_gop).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(entries[1].info.content, Content::Keyframe);
    assert_eq!(entries[1].message.payload, frame(true, 40, &[1, 0]).payload, "one unit, byte for byte");
    let live = sent(&f, Start::Live);
    let expected = [all, newer, frame(true, 40, &[1, 0]), frame(true, 80, &[1, 2])];
    assert_eq!(payloads(&live), payloads(&expected));
}

/// A publisher counts boundaries by the same rule: a server that takes a leg at one of them counts as the one before.
#[test]
fn h16_who_takes_over_has_the_same_lead() {
    let stream = [
        start(&[(2, b"c"), (0, b"a")]),
        frame(true, 0, &[2, 0]),
        frame(true, 40, &[2]),
        frame(false, 40, &[0]),
        frame(true, 80, &[2, 0]),
        frame(true, 120, &[2]),
        frame(true, 120, &[0]),
    ];
    let mut replay = crate::handover::replay::Replay::default();
    let mut whole = Fixture::new();
    whole.publish(1, false);
    for message in &stream {
        replay.push(message.clone(), crate::time::Moment::ORIGIN);
        whole.send(1, [message.clone()]);
    }
    let mut taken_over = Fixture::new();
    taken_over.publish(1, false);
    taken_over.send(1, [stream[0].clone()]);
    taken_over.send(1, stream[4..].to_vec());
    let starts = |f: &Fixture| f.entries().iter().map(|e| e.starts_gop).collect::<Vec<_>>();
    let of_publisher: Vec<_> = (1..7).map(|serial| replay.get(serial).unwrap().is_boundary).collect();
    assert_eq!(of_publisher, [true, false, false, true, false, true]);
    assert_eq!((starts(&whole), starts(&taken_over)), (of_publisher, vec![true, false, true]));
}

#[test]
fn h16_when_the_lead_track_ends_readers_find_another_place_to_start() {
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, [frame(true, 0, &[0]), frame(false, 0, &[1])]);
    f.send(1, [frame(true, 5000, &[1]), frame(false, 5040, &[1]), frame(true, 6000, &[1])]);
    let starts: Vec<_> = f.entries().iter().map(|e| e.starts_gop).collect();
    assert_eq!(starts, [true, false, false, false, true]);
    assert!(f.stream.is_boundary(&frame(true, 7000, &[1])));
    assert_eq!(payloads(&sent(&f, Start::Live)), payloads(&[frame(true, 6000, &[1])]));
}

#[test]
fn h16_a_restarted_leg_is_placed_after_every_track_of_a_shared_message() {
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, (0..5).map(|n| frame(n == 0, 1000 + n * 40, &[0, 1])));
    f.end(1, LegEnd::Lost);
    f.publish(2, false);
    // Track 1 alone starts the new leg, at 0: it must come after its last frame, which came in a shared message.
    f.send(2, [frame(true, 0, &[1]), frame(true, 0, &[0]), audio(10, 0)]);
    let timestamps = f.timestamps();
    assert_eq!(timestamps[..5], [1000, 1040, 1080, 1120, 1160]);
    assert_eq!(timestamps[5..], [1200, 1200, 1210], "one frame's interval later, one offset for all");
    assert!(f.splices().last().unwrap().restarted);
}
