//! The ledger against faults of known number, one by one. Several legs are in `tests_legs`, the naive
//! oracle is in `oracle`.

use bytes::Bytes;
use segue_proto::{MediaMessage, Timestamp, TrackKind};

use super::{Ledger, Options, Report, Track};

pub(super) const WHOLE: Options =
    Options { whole: true, no_overlap: false, offset_per_leg: false, track: None };
pub(super) const PER_LEG: Options = Options { offset_per_leg: true, ..WHOLE };

pub(super) fn message(kind: TrackKind, ms: u32, payload: Vec<u8>) -> MediaMessage {
    MediaMessage::new(kind, Timestamp::from_millis(ms), payload.into())
}

/// What the sound holds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Sound {
    Music,
    /// The same payload again and again.
    Silence,
}

/// Interleaved AVC with B-frames (composition offsets that go up and down) and AAC, `frames` of video, with the
/// configuration that a ledger must not count.
pub(super) fn source(frames: u32, sound: Sound) -> Vec<MediaMessage> {
    let mut out = vec![
        message(TrackKind::Data, 0, b"\x02\0\x0aonMetaData\x05".to_vec()),
        message(TrackKind::Video, 0, b"\x17\0\0\0\0\x01".to_vec()),
        message(TrackKind::Audio, 0, b"\xaf\0\x12\x10".to_vec()),
    ];
    let mut audio = 0;
    for i in 0..frames {
        let ms = i * 33;
        while audio * 23 <= ms {
            let body = if sound == Sound::Silence { 0 } else { audio };
            out.push(message(
                TrackKind::Audio,
                audio * 23,
                [b"\xaf\x01".as_slice(), &body.to_be_bytes()].concat(),
            ));
            audio += 1;
        }
        let first = if i % 10 == 0 { 0x17 } else { 0x27 };
        let composition = [33, 99, 0][i as usize % 3];
        out.push(message(
            TrackKind::Video,
            ms,
            [&[first, 1, 0, 0, composition][..], &i.to_be_bytes()].concat(),
        ));
    }
    out
}

/// The n-th of the messages that count.
pub(super) fn nth(messages: &[MediaMessage], kind: TrackKind, n: usize) -> usize {
    let mut media = messages.iter().enumerate().filter(|(_, m)| m.kind == kind && m.info().is_media());
    media.nth(n).unwrap().0
}

pub(super) fn shifted(messages: &[MediaMessage], by: i64) -> Vec<MediaMessage> {
    messages.iter().map(|m| MediaMessage { timestamp: m.timestamp.shifted(by), ..m.clone() }).collect()
}

pub(super) fn flipped(message: &MediaMessage) -> MediaMessage {
    let mut payload = message.payload.to_vec();
    *payload.last_mut().unwrap() ^= 0x40;
    MediaMessage { payload: payload.into(), ..message.clone() }
}

pub(super) fn compare(options: Options, sent: &[MediaMessage], legs: &[&[MediaMessage]]) -> Report {
    let mut ledger = Ledger::new(options);
    sent.iter().for_each(|m| ledger.sent(m));
    for leg in legs {
        ledger.leg_start();
        leg.iter().for_each(|m| ledger.received(m));
    }
    ledger.finish()
}

/// The faults by name, without those that are 0.
pub(super) fn faults(report: &Report) -> Vec<(&'static str, u64)> {
    let all = [
        ("missing", report.missing),
        ("duplicated", report.duplicated),
        ("overlap", report.overlap),
        ("reordered", report.reordered),
        ("altered", report.altered),
        ("extra", report.extra),
        ("absent_tracks", report.absent_tracks),
    ];
    all.into_iter().filter(|(_, n)| *n > 0).collect()
}

/// Runs a case for both kinds of sound and for offsets around every edge, and asserts faults and the offset found.
fn each(case: impl Fn(&[MediaMessage]) -> (Vec<MediaMessage>, Vec<(&'static str, u64)>)) {
    for sound in [Sound::Music, Sound::Silence] {
        let sent = source(60, sound);
        let (received, expected) = case(&sent);
        for offset in [0, 1, -1, 12_345, i64::from(i32::MAX), i64::from(i32::MIN)] {
            let report = compare(WHOLE, &sent, &[&shifted(&received, offset)]);
            assert_eq!(faults(&report), expected, "{sound:?}, offset {offset}");
            assert_eq!(report.offsets_ms, [Some(offset as i32)], "{sound:?}");
            assert_eq!(report.exit_code(), if expected.is_empty() { 0 } else { 3 });
            let across = shifted(&sent, i64::from(u32::MAX) - 700);
            assert_eq!(
                faults(&compare(WHOLE, &across, &[&shifted(&received, offset)])),
                expected,
                "across 2^32"
            );
        }
    }
}

#[test]
fn all_of_it() {
    each(|sent| (sent.to_vec(), vec![]));
    let sent = source(60, Sound::Music);
    let report = compare(WHOLE, &sent, &[&sent]);
    assert_eq!((report.sent, report.received, report.gap_ms), (60 + 85, 60 + 85, 0));
    let video = report.tracks[&Track { kind: TrackKind::Video, id: 0 }];
    assert_eq!((video.sent, video.received, video.missing), (60, 60, 0));
}

#[test]
fn configuration_is_not_counted_wherever_it_stands() {
    each(|sent| {
        let mut received = sent[1..].to_vec();
        received.splice(40..40, sent[..3].iter().cloned());
        received.push(message(TrackKind::Data, 5, b"\x02\0\x0aonSegueLeg\x05".to_vec()));
        received.push(message(TrackKind::Video, 5, b"\x94hvc1\x02".to_vec()));
        received.push(message(TrackKind::Audio, 5, b"\x94Opus\x01".to_vec()));
        (received, vec![])
    });
}

#[test]
fn a_dropped_message() {
    for kind in [TrackKind::Audio, TrackKind::Video] {
        for n in [0, 17, 59] {
            each(|sent| {
                let mut received = sent.to_vec();
                received.remove(nth(sent, kind, n));
                (received, vec![("missing", 1)])
            });
        }
    }
}

#[test]
fn a_repeated_message_at_once_or_later() {
    for (from, to) in [(0, 1), (17, 18), (17, 40), (59, 60)] {
        each(|sent| {
            let mut received = sent.to_vec();
            let again = sent[nth(sent, TrackKind::Video, from)].clone();
            let at = if to < 60 { nth(sent, TrackKind::Video, to) } else { sent.len() };
            received.insert(at, again);
            (received, vec![("duplicated", 1)])
        });
    }
    each(|sent| {
        let mut received = sent.to_vec();
        let i = nth(sent, TrackKind::Audio, 30);
        received.insert(i, sent[i].clone());
        (received, vec![("duplicated", 1)])
    });
}

#[test]
fn two_messages_swapped() {
    for kind in [TrackKind::Audio, TrackKind::Video] {
        each(|sent| {
            let mut received = sent.to_vec();
            received.swap(nth(sent, kind, 20), nth(sent, kind, 21));
            (received, vec![("reordered", 1)])
        });
    }
}

#[test]
fn the_order_of_different_tracks_does_not_matter() {
    each(|sent| {
        let mut received = sent.to_vec();
        let i = (20..).find(|i| sent[*i].kind != sent[*i + 1].kind).unwrap();
        received.swap(i, i + 1);
        (received, vec![])
    });
    each(|sent| {
        let (video, audio): (Vec<_>, Vec<_>) = sent.iter().cloned().partition(|m| m.kind == TrackKind::Video);
        ([video, audio].concat(), vec![])
    });
}

#[test]
fn one_flipped_byte() {
    for kind in [TrackKind::Audio, TrackKind::Video] {
        for n in [0, 30, 59] {
            each(|sent| {
                let mut received = sent.to_vec();
                let i = nth(sent, kind, n);
                received[i] = flipped(&sent[i]);
                (received, vec![("altered", 1)])
            });
        }
    }
}

#[test]
fn one_shifted_timestamp_is_one_lost_and_one_never_sent() {
    for (kind, n, by) in
        [(TrackKind::Video, 0, 5), (TrackKind::Video, 30, -1), (TrackKind::Audio, 59, 10_000)]
    {
        each(|sent| {
            let mut received = sent.to_vec();
            let i = nth(sent, kind, n);
            received[i].timestamp = received[i].timestamp.shifted(by);
            (received, vec![("missing", 1), ("extra", 1)])
        });
    }
    // Onto a timestamp that another message of its track has: that is another payload there.
    each(|sent| {
        let mut received = sent.to_vec();
        let i = nth(sent, TrackKind::Video, 30);
        received[i].timestamp = received[i].timestamp.shifted(33);
        (received, vec![("missing", 1), ("altered", 1)])
    });
}

#[test]
fn a_cut_tail_counts_when_the_whole_is_due() {
    each(|sent| (sent[..sent.len() - 11].to_vec(), vec![("missing", 11)]));
    let sent = source(60, Sound::Silence);
    let cut = &sent[..sent.len() - 11];
    assert_eq!(compare(Options::default(), &sent, &[cut]).exit_code(), 0);
}

#[test]
fn a_start_in_mid_stream_counts_when_the_whole_is_due() {
    for sound in [Sound::Music, Sound::Silence] {
        let sent = source(60, sound);
        let start = nth(&sent, TrackKind::Video, 20);
        let late = shifted(&sent[start..], -660);
        let report = compare(Options::default(), &sent, &[&late]);
        assert_eq!((faults(&report), report.offsets_ms.clone()), (vec![], vec![Some(-660)]));
        assert_eq!(faults(&compare(WHOLE, &sent, &[&late])), [("missing", start as u64 - 3)]);
        let mut holed = late;
        holed.remove(7);
        assert_eq!(faults(&compare(Options::default(), &sent, &[&holed])), [("missing", 1)]);
    }
}

#[test]
fn a_removed_track() {
    for (kind, lost) in [(TrackKind::Audio, 85), (TrackKind::Video, 60)] {
        for sound in [Sound::Music, Sound::Silence] {
            let sent = source(60, sound);
            let received: Vec<_> = sent.iter().filter(|m| m.kind != kind).cloned().collect();
            let report = compare(WHOLE, &sent, &[&received]);
            assert_eq!(faults(&report), [("missing", lost), ("absent_tracks", 1)]);
            assert_eq!(report.tracks[&Track { kind, id: 0 }].received, 0);
        }
    }
    // Absent even where none of it lies between the first and the last received.
    let mut sent = vec![message(TrackKind::Data, 0, b"\x02\0\x0aonTextData".to_vec())];
    sent.extend(source(60, Sound::Music));
    let report = compare(Options::default(), &sent, &[&sent[10..]]);
    assert_eq!((faults(&report), report.exit_code()), (vec![("absent_tracks", 1)], 3));
}

#[test]
fn nothing_received() {
    let sent = source(60, Sound::Music);
    for legs in [&[][..], &[&sent[..0]], &[&sent[..3]], &[&sent[..0], &sent[..0]]] {
        let report = compare(Options::default(), &sent, legs);
        assert_eq!(faults(&report), [("missing", 145), ("absent_tracks", 2)]);
        assert_eq!((report.received, report.exit_code()), (0, 3));
    }
    assert_eq!(compare(WHOLE, &[], &[&[]]).exit_code(), 3);
    assert_eq!(faults(&compare(WHOLE, &[], &[&sent])), [("extra", 145)]);
}

#[test]
fn never_sent() {
    each(|sent| {
        let mut received = sent.to_vec();
        received.insert(50, message(TrackKind::Video, 7, b"\x27\x01\0\0\0stranger".to_vec()));
        (received, vec![("extra", 1)])
    });
}

#[test]
fn the_tracks_of_a_multitrack_stream_are_told_apart() {
    let frame =
        |track: u8, i: u32| message(TrackKind::Video, i * 33, [b"\x96\x01avc1", &[track][..], b"x"].concat());
    let sent: Vec<_> = (0..40).flat_map(|i| [frame(0, i), frame(5, i)]).collect();
    assert_eq!(faults(&compare(WHOLE, &sent, &[&sent])), []);
    let one: Vec<_> = (0..40).map(|i| frame(0, i)).collect();
    let report = compare(WHOLE, &sent, &[&one]);
    assert_eq!(faults(&report), [("missing", 40), ("absent_tracks", 1)]);
    assert!(report.to_string().contains("\nmissing_video_5 40\n"), "{report}");
}

#[test]
fn only_the_track_asked_for() {
    let sent = source(60, Sound::Silence);
    let mut received = sent.clone();
    received.remove(nth(&sent, TrackKind::Audio, 9));
    for (kind, expected) in [(TrackKind::Audio, vec![("missing", 1)]), (TrackKind::Video, vec![])] {
        assert_eq!(faults(&compare(Options { track: Some(kind), ..WHOLE }, &sent, &[&received])), expected);
    }
    assert_eq!(
        compare(Options { track: Some(TrackKind::Data), ..WHOLE }, &sent, &[&received]).exit_code(),
        3
    );
}

#[test]
fn what_the_source_itself_sent_twice_is_due_twice() {
    let text = || message(TrackKind::Data, 500, b"\x02\0\x0aonTextData\x05".to_vec());
    let mut sent = source(60, Sound::Music);
    sent.splice(40..40, [text(), text()]);
    assert_eq!(faults(&compare(WHOLE, &sent, &[&sent])), []);
    assert_eq!(faults(&compare(WHOLE, &sent, &[&sent[..41], &sent[41..]])), []);
    let mut once = sent.clone();
    once.remove(40);
    assert_eq!(faults(&compare(WHOLE, &sent, &[&once])), [("missing", 1)]);
    let mut thrice = sent.clone();
    thrice.insert(60, text());
    assert_eq!(faults(&compare(WHOLE, &sent, &[&thrice])), [("duplicated", 1)]);
    // Which of the two is lost cannot be told, and must not look like another order.
    sent.insert(41, message(TrackKind::Data, 500, b"\x02\0\x0aonTextData\x06".to_vec()));
    let mut once = sent.clone();
    once.remove(40);
    assert_eq!(faults(&compare(WHOLE, &sent, &[&once])), [("missing", 1)]);
}

#[test]
fn the_longest_gap() {
    let sent = source(60, Sound::Music);
    let without = |video: std::ops::Range<usize>, audio: std::ops::Range<usize>| {
        let gone: Vec<usize> = video
            .map(|n| nth(&sent, TrackKind::Video, n))
            .chain(audio.map(|n| nth(&sent, TrackKind::Audio, n)))
            .collect();
        let received: Vec<_> =
            sent.iter().enumerate().filter(|(i, _)| !gone.contains(i)).map(|(_, m)| m.clone()).collect();
        compare(WHOLE, &sent, &[&received]).gap_ms
    };
    assert_eq!(without(20..21, 0..0), 33);
    assert_eq!(without(20..24, 10..14), 4 * 33);
    assert_eq!(without(20..22, 10..14), 4 * 23);
    assert_eq!(without(58..60, 0..0), 2 * 33, "at the end, as long as its last message was due");
    assert_eq!(without(0..60, 0..0), 60 * 33);
    let across = shifted(&sent, -500);
    let mut received = across.clone();
    received.remove(nth(&across, TrackKind::Video, 15));
    assert_eq!(compare(WHOLE, &across, &[&received]).gap_ms, 33, "across 2^32");
}

#[test]
fn set_data_frame_is_no_part_of_a_message() {
    let text = b"\x02\0\x0aonTextData\x05";
    let sent = [message(TrackKind::Data, 9, [b"\x02\0\x0d@setDataFrame".as_slice(), text].concat())];
    let received = [MediaMessage { payload: Bytes::from_static(text), ..sent[0].clone() }];
    assert_eq!(faults(&compare(WHOLE, &sent, &[&received])), []);
}

#[test]
fn both_forms_have_the_same_names() {
    let sent = source(60, Sound::Music);
    let report = compare(PER_LEG, &sent, &[&sent[..70], &sent[..0], &shifted(&sent[71..], -50)]);
    let text = report.to_string();
    assert!(text.starts_with("sent 145\nreceived 144\nmissing 1\nduplicated 0\noverlap 0\n"), "{text}");
    assert!(text.contains("\noffsets_ms 0 - -50\nsteps_ms - -\nsent_audio 85\n"), "{text}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["offsets_ms"], serde_json::json!([0, null, -50]));
    for line in text.lines() {
        let (name, value) = line.split_once(' ').unwrap();
        assert!(json[name].is_array() || json[name].as_u64() == value.parse().ok(), "{line}");
    }
    assert_eq!(json.as_object().unwrap().len(), text.lines().count());
    assert!(compare(WHOLE, &sent, &[&sent]).to_string().contains("\nsteps_ms -\n"));
}
