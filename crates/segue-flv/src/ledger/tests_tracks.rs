//! Messages of many tracks (E-RTMP v2, multitrack): one message each, counted on every track that it holds.

use bytes::Bytes;
use segue_proto::{MediaMessage, TrackKind};

use super::tests::{WHOLE, compare, faults, message};
use super::{Report, Track, TrackCounts};

/// A coded frame of these tracks, by the specification's table: `OneTrack`, `ManyTracks` of AVC, or
/// `ManyTracksManyCodecs`.
fn frame(ms: u32, key: bool, codecs: &[(u8, &[u8; 4])]) -> MediaMessage {
    let mut payload = vec![if key { 0x96 } else { 0xa6 }];
    let common = codecs.iter().all(|(_, codec)| *codec == codecs[0].1);
    match (codecs.len(), common) {
        (1, _) => payload.extend([&[0x01], codecs[0].1.as_slice(), &[codecs[0].0]].concat()),
        (_, true) => payload.extend([&[0x11], codecs[0].1.as_slice()].concat()),
        _ => payload.push(0x21),
    }
    for (id, codec) in codecs {
        let data = [b"frame".as_slice(), &[*id], &ms.to_be_bytes()].concat();
        if codecs.len() > 1 {
            payload.extend(if common { vec![] } else { codec.to_vec() });
            payload.extend([*id, 0, 0, data.len() as u8]);
        }
        payload.extend(data);
    }
    message(TrackKind::Video, ms, payload)
}

const AVC: &[u8; 4] = b"avc1";
const HEVC: &[u8; 4] = b"hvc1";

/// Two tracks, together, apart, and in codecs of their own; track 2 never comes alone.
fn source() -> Vec<MediaMessage> {
    (0..24)
        .flat_map(|n| {
            let (ms, key) = (n * 40, n % 8 == 0);
            match n % 4 {
                0 => vec![frame(ms, key, &[(0, AVC)]), frame(ms, n % 12 == 0, &[(1, HEVC)])],
                1 => vec![frame(ms, false, &[(0, AVC), (2, AVC)])],
                2 => vec![frame(ms, false, &[(1, HEVC), (0, AVC)])],
                _ => vec![frame(ms, false, &[(1, HEVC), (2, AVC)]), frame(ms, false, &[(0, AVC)])],
            }
        })
        .collect()
}

fn track(report: &Report, id: u8) -> TrackCounts {
    report.tracks[&Track { kind: TrackKind::Video, id }]
}

fn counts(sent: u64, received: u64, missing: u64) -> TrackCounts {
    TrackCounts { sent, received, missing }
}

#[test]
fn each_track_of_a_message_is_counted_and_the_message_once() {
    let sent = source();
    let report = compare(WHOLE, &sent, &[&sent[..10], &sent[10..]]);
    assert_eq!((faults(&report), report.sent, report.received), (vec![], 36, 36));
    assert_eq!(track(&report, 0), counts(24, 24, 0));
    assert_eq!(track(&report, 1), counts(18, 18, 0));
    assert_eq!(track(&report, 2), counts(12, 12, 0));
}

#[test]
fn a_dropped_message_is_missing_on_each_of_its_tracks() {
    let sent = source();
    for (at, missing) in [(2, [1, 0, 1]), (3, [1, 1, 0]), (4, [0, 1, 1]), (0, [1, 0, 0])] {
        let received = [&sent[..at], &sent[at + 1..]].concat();
        let report = compare(WHOLE, &sent, &[&received]);
        assert_eq!(faults(&report), [("missing", 1)], "message {at}");
        assert_eq!([0, 1, 2].map(|id| track(&report, id).missing), missing, "message {at}");
    }
    // The holes are those of the tracks: track 2's next message is 80 ms later, track 0's 40.
    let received = [&sent[..2], &sent[3..]].concat();
    assert_eq!(compare(WHOLE, &sent, &[&received]).gap_ms, 80);
}

#[test]
fn a_track_that_never_comes_alone_is_absent_when_it_does_not_come() {
    let sent = source();
    let received: Vec<_> = sent.iter().filter(|m| m.tracks().all(|id| id != 2)).cloned().collect();
    let report = compare(WHOLE, &sent, &[&received]);
    assert_eq!(faults(&report), [("missing", 12), ("absent_tracks", 1)]);
    assert_eq!(track(&report, 2), counts(12, 0, 12));
}

#[test]
fn order_is_that_of_each_track_whichever_stands_first_in_a_message() {
    let mut sent = source();
    // [1, 2] and then 0: nothing in common, and they may come the other way round. 0 and 1 neither.
    for (at, reordered) in [(4, 0), (0, 0), (2, 1), (3, 1)] {
        sent.swap(at, at + 1);
        let report = compare(WHOLE, &source(), &[&sent]);
        assert_eq!(report.reordered, reordered, "{:?} before {:?}", sent[at], sent[at + 1]);
        sent.swap(at, at + 1);
    }
}

#[test]
fn what_is_altered_in_any_of_its_tracks_is_altered() {
    let sent = source();
    let mut received = sent.clone();
    let payload = received[2].payload.to_vec();
    let place = payload.windows(5).rposition(|w| w == b"frame").unwrap();
    let mut changed = payload.clone();
    changed[place] ^= 1;
    received[2].payload = Bytes::from(changed);
    let report = compare(WHOLE, &sent, &[&received]);
    assert_eq!(faults(&report), [("altered", 1)]);
    // A track left out of a shared message is an alteration too, and shows on that track.
    received[2] = frame(40, false, &[(0, AVC)]);
    let report = compare(WHOLE, &sent, &[&received]);
    assert_eq!(faults(&report), [("altered", 1)]);
    assert_eq!([0, 2].map(|id| track(&report, id).received), [24, 11]);
}
