//! Legs that meet, by index and by alignment.

use std::cell::Cell;

use super::*;
use crate::leg::Position;

thread_local! {
    /// Payloads that were hashed in this test.
    pub(super) static HASHED: Cell<u64> = const { Cell::new(0) };
}

const A: LegId = LegId(1);
const B: LegId = LegId(2);
const STREAM: StreamHash = StreamHash([7; 8]);

fn video(n: u32) -> MediaMessage {
    let payload = vec![if n.is_multiple_of(10) { 0x17 } else { 0x27 }, 1, 0, 0, 0, n as u8];
    MediaMessage::new(TrackKind::Video, Timestamp::from_millis(n * 40), payload.into())
}

fn audio(n: u32) -> MediaMessage {
    MediaMessage::new(TrackKind::Audio, Timestamp::from_millis(n * 40 + 3), vec![0xaf, 1, n as u8].into())
}

fn header(byte: u8) -> MediaMessage {
    MediaMessage::new(TrackKind::Video, Timestamp::ZERO, vec![0x17, 0, 0, 0, 0, byte].into())
}

fn position(index: u64) -> PlayPosition {
    PlayPosition { stream: STREAM, position: Position { index, ..Position::default() } }
}

fn feed(viewer: &mut Viewer, leg: LegId, messages: impl IntoIterator<Item = MediaMessage>) {
    messages.into_iter().for_each(|message| viewer.message(leg, message).unwrap());
}

/// What came out, in short: `v3`, `a3`, `h1` for headers, `>2` where leg 2 joined.
fn drain(viewer: &mut Viewer) -> String {
    let mut words = Vec::new();
    while let Some(output) = viewer.poll() {
        words.push(match output {
            Output::CaughtUp(_) | Output::Leads(_) => continue,
            Output::Joined(join) => format!(">{}", join.leg.0),
            Output::Media(m) => {
                let kind = match (m.kind, m.info().is_media()) {
                    (TrackKind::Video, true) => 'v',
                    (TrackKind::Audio, _) => 'a',
                    _ => 'h',
                };
                format!("{kind}{}", m.payload.last().unwrap())
            }
        });
    }
    words.join(" ")
}

fn expect(kind: char, range: std::ops::Range<u32>) -> String {
    range.map(|n| format!("{kind}{n}")).collect::<Vec<_>>().join(" ")
}

/// Leg A has delivered messages 0 to 24, from index 0 on.
fn indexed() -> Viewer {
    let mut viewer = Viewer::new();
    viewer.begin(A);
    viewer.position(A, position(0));
    feed(&mut viewer, A, (0..25).map(video));
    assert_eq!(drain(&mut viewer), expect('v', 0..25));
    viewer
}

#[test]
fn by_index_repeats_are_dropped_and_the_next_message_joins() {
    let mut viewer = indexed();
    assert_eq!(viewer.resume(), Some(Resume { stream: STREAM, index: 25 }));
    viewer.begin(B);
    viewer.position(B, position(20));
    feed(&mut viewer, B, (20..24).map(video));
    assert_eq!(drain(&mut viewer), "");
    feed(&mut viewer, A, [video(25)]);
    feed(&mut viewer, B, (24..27).map(video));
    feed(&mut viewer, A, [video(26)]);
    assert_eq!(drain(&mut viewer), "v25 >2 v26");
    assert_eq!((viewer.missing(), viewer.count()), (0, 27));
}

/// Leg B has caught up with leg A, which has delivered 0 to 24.
fn side_by_side() -> Viewer {
    let mut viewer = indexed();
    viewer.begin(B);
    viewer.position(B, position(20));
    feed(&mut viewer, B, (20..24).map(video));
    assert_eq!((viewer.poll(), viewer.stands(B)), (None, Some(Ordering::Less)));
    feed(&mut viewer, B, [video(24)]);
    assert_eq!((viewer.poll(), viewer.stands(B)), (Some(Output::CaughtUp(B)), Some(Ordering::Equal)));
    viewer
}

#[test]
fn a_leg_that_has_caught_up_goes_on_beside_the_old_one() {
    let mut viewer = side_by_side();
    feed(&mut viewer, A, [video(25)]);
    feed(&mut viewer, B, [video(25), video(26)]);
    feed(&mut viewer, A, [video(26), video(27)]);
    assert_eq!(drain(&mut viewer), "v25 >2 v26 >1 v27");
    viewer.take_over(B);
    feed(&mut viewer, A, [video(28)]);
    feed(&mut viewer, B, (27..30).map(video));
    assert_eq!((drain(&mut viewer), viewer.missing()), (">2 v28 v29".to_owned(), 0));
}

/// H3: the publisher comes to nothing at the new server, goes on at the old, and tries again later.
#[test]
fn h03_a_leg_that_breaks_off_after_it_caught_up_costs_nothing() {
    let mut viewer = side_by_side();
    feed(&mut viewer, B, (25..27).map(video));
    feed(&mut viewer, A, (25..28).map(video));
    assert_eq!(
        (drain(&mut viewer), viewer.stands(B)),
        (">2 v25 v26 >1 v27".to_owned(), Some(Ordering::Less))
    );
    // The second attempt: what lies between is at the old server alone.
    viewer.position(B, position(30));
    feed(&mut viewer, B, (30..32).map(video));
    assert_eq!((drain(&mut viewer), viewer.stands(B)), (String::new(), Some(Ordering::Greater)));
    feed(&mut viewer, A, (28..30).map(video));
    viewer.end(A);
    assert_eq!((drain(&mut viewer), viewer.missing()), ("v28 v29 >2 v30 v31".to_owned(), 0));
}

#[test]
fn what_the_old_leg_passes_over_is_awaited_of_the_one_beside_it() {
    let mut viewer = side_by_side();
    viewer.position(A, position(27));
    feed(&mut viewer, A, [video(27)]);
    assert_eq!((viewer.poll(), viewer.poll()), (Some(Output::Leads(B)), None));
    feed(&mut viewer, B, (25..28).map(video));
    assert_eq!((drain(&mut viewer), viewer.missing()), (">2 v25 v26 v27".to_owned(), 0));
}

#[test]
fn what_both_pass_over_is_counted() {
    let mut viewer = side_by_side();
    feed(&mut viewer, A, [video(25)]);
    // It has gone on where the other has not come.
    viewer.position(A, position(28));
    feed(&mut viewer, A, [video(28)]);
    assert_eq!((drain(&mut viewer), viewer.missing()), ("v25 v28".to_owned(), 2));
}

#[test]
fn by_index_what_comes_later_is_held_until_the_old_leg_is_there() {
    let mut viewer = indexed();
    viewer.begin(B);
    viewer.position(B, position(30));
    feed(&mut viewer, B, (30..33).map(video));
    assert_eq!(drain(&mut viewer), "");
    feed(&mut viewer, A, (25..30).map(video));
    assert_eq!(drain(&mut viewer), "v25 v26 v27 v28 v29 >2 v30 v31 v32");
    assert_eq!(viewer.missing(), 0);
}

#[test]
fn by_index_what_the_old_leg_never_delivered_is_counted() {
    let mut viewer = indexed();
    viewer.begin(B);
    viewer.position(B, position(30));
    feed(&mut viewer, B, (30..32).map(video));
    feed(&mut viewer, A, [video(25)]);
    viewer.end(A);
    let joined = Join {
        leg: B,
        old_last: Timestamp::from_millis(1000),
        new_first: Timestamp::from_millis(1200),
        missing: Some(4),
        overlap: 0,
    };
    assert_eq!(viewer.poll(), Some(Output::Media(video(25))));
    assert_eq!(viewer.poll(), Some(Output::Joined(joined)));
    assert_eq!(drain(&mut viewer), "v30 v31");
    assert_eq!(viewer.missing(), 4);
}

#[test]
fn a_jump_of_the_only_leg_is_counted() {
    let mut viewer = indexed();
    viewer.position(A, position(40));
    feed(&mut viewer, A, [video(40)]);
    assert_eq!((viewer.missing(), drain(&mut viewer)), (15, "v40".to_owned()));
}

#[test]
fn h04_after_a_crash_the_next_leg_goes_on_by_index() {
    let mut viewer = indexed();
    viewer.end(A);
    viewer.begin(B);
    viewer.position(B, position(20));
    feed(&mut viewer, B, (20..27).map(video));
    assert_eq!((drain(&mut viewer), viewer.missing()), (">2 v25 v26".to_owned(), 0));
}

/// Both tracks, interleaved.
fn both(range: std::ops::Range<u32>) -> impl Iterator<Item = MediaMessage> {
    range.flat_map(|n| [video(n), audio(n)])
}

fn foreign() -> Viewer {
    let mut viewer = Viewer::new();
    viewer.begin(A);
    feed(&mut viewer, A, both(0..25));
    drain(&mut viewer);
    viewer
}

#[test]
fn without_indexes_legs_align_by_timestamp_and_payload() {
    let mut viewer = foreign();
    assert_eq!(viewer.resume(), None);
    viewer.begin(B);
    feed(&mut viewer, B, both(20..25));
    assert_eq!(drain(&mut viewer), "");
    feed(&mut viewer, B, both(25..27));
    feed(&mut viewer, A, both(25..27));
    assert_eq!(drain(&mut viewer), ">2 v25 a25 v26 a26");
}

#[test]
fn without_indexes_a_leg_that_interleaves_otherwise_repeats_nothing() {
    let mut viewer = foreign();
    feed(&mut viewer, A, [video(25)]);
    viewer.begin(B);
    // Audio comes first here, and later than what was put out of video.
    let leg = [video(20)].into_iter().chain((20..27).map(audio)).chain((21..28).map(video));
    feed(&mut viewer, B, leg);
    assert_eq!(drain(&mut viewer), "v25 >2 a25 a26 v26 v27");
}

#[test]
fn without_indexes_a_leg_that_begins_later_waits_for_the_old_one() {
    let mut viewer = foreign();
    viewer.begin(B);
    feed(&mut viewer, B, both(30..32));
    assert_eq!(drain(&mut viewer), "");
    feed(&mut viewer, A, both(25..30));
    assert_eq!(drain(&mut viewer).split(' ').count(), 10, "the old one goes on");
    viewer.end(A);
    assert_eq!(drain(&mut viewer), ">2 v30 a30 v31 a31");
    assert_eq!(viewer.missing(), 0, "nobody knows");
}

#[test]
fn without_indexes_a_leg_that_the_old_one_catches_up_with_aligns() {
    let mut viewer = foreign();
    viewer.begin(B);
    feed(&mut viewer, B, both(30..32));
    feed(&mut viewer, A, both(25..30));
    feed(&mut viewer, A, [video(30)]);
    let out = drain(&mut viewer);
    assert!(out.ends_with("v30 >2 a30 v31 a31"), "{out}");
}

#[test]
fn still_pictures_and_silence_are_no_repeats() {
    let still = |n: u32| MediaMessage { timestamp: Timestamp::from_millis(n * 40), ..video(1) };
    let mut viewer = Viewer::new();
    viewer.begin(A);
    feed(&mut viewer, A, (0..20).map(still));
    viewer.begin(B);
    feed(&mut viewer, B, (10..30).map(still));
    viewer.end(A);
    let out = drain(&mut viewer);
    assert_eq!((viewer.count(), out.matches('v').count()), (30, 30));
}

#[test]
fn h14_configuration_comes_where_it_changed_before_the_media() {
    let mut viewer = Viewer::new();
    viewer.begin(A);
    viewer.position(A, position(0));
    feed(&mut viewer, A, [header(1), video(0), header(1), video(1)]);
    assert_eq!(drain(&mut viewer), "h1 v0 v1");
    viewer.begin(B);
    viewer.position(B, position(0));
    feed(&mut viewer, B, [header(1), video(0), video(1), header(2), video(2)]);
    let mut out = Vec::new();
    while let Some(output) = viewer.poll() {
        if let Output::Media(message) = output {
            out.push(message);
        }
    }
    assert_eq!(out.len(), 2, "the header that did not change is not repeated");
    assert_eq!((out[0].payload[5], out[0].timestamp), (2, out[1].timestamp));
}

#[test]
fn another_stream_under_the_name_is_not_compared_by_index() {
    let mut viewer = indexed();
    viewer.end(A);
    viewer.begin(B);
    let other = PlayPosition { stream: StreamHash([8; 8]), position: Position::default() };
    viewer.position(B, other);
    feed(&mut viewer, B, (100..103).map(video));
    assert_eq!(drain(&mut viewer), ">2 v100 v101 v102");
    assert_eq!(viewer.resume(), Some(Resume { stream: StreamHash([8; 8]), index: 3 }));
}

#[test]
fn what_is_held_is_bounded() {
    let mut viewer = indexed();
    viewer.begin(B);
    viewer.position(B, position(100));
    let size = MAX_HELD_BYTES / 4 - MESSAGE_COST;
    let big = |n: u8| MediaMessage::new(TrackKind::Video, Timestamp::ZERO, vec![n; size].into());
    // The position before them costs as much as an empty message, but is no longer held.
    for n in 0..4 {
        assert_eq!(viewer.message(B, big(n)), Ok(()), "at the bound");
    }
    assert_eq!(viewer.message(B, video(9)), Err(HeldTooMuch), "one past it");
    feed(&mut viewer, A, [video(25)]);
    assert_eq!(drain(&mut viewer), "v25", "the old leg goes on");
}

#[test]
fn marks_are_bounded() {
    let mut marks = Marks::default();
    for n in 0..=MAX_MARKS as u32 {
        marks.push((Timestamp::from_millis(n), 0));
    }
    assert_eq!(marks.last.len(), MAX_MARKS);
    assert_eq!(marks.find((Timestamp::ZERO, 0)), None);
    assert_eq!(marks.find((Timestamp::from_millis(1), 0)), Some(1));
}

#[test]
fn a_server_that_skips_to_the_end_of_counting_again_and_again_overflows_nothing() {
    let mut viewer = Viewer::new();
    viewer.begin(A);
    for n in 0..2100u32 {
        let stream = StreamHash([(n % 250) as u8; 8]);
        for (n, index) in [(2 * n, 0), (2 * n + 1, (1 << 53) - 1)] {
            viewer.position(A, PlayPosition { stream, position: Position { index, ..Position::default() } });
            feed(&mut viewer, A, [video(n)]);
            while viewer.poll().is_some() {}
        }
    }
    assert_eq!(viewer.missing(), u64::MAX);
}

/// What waits is long, and the other leg's messages are many.
#[test]
fn a_message_that_waits_is_hashed_once() {
    let mut viewer = Viewer::new();
    viewer.begin(A);
    feed(&mut viewer, A, (0..5).map(video));
    viewer.begin(B);
    feed(&mut viewer, B, (90..95).map(video));
    HASHED.set(0);
    feed(&mut viewer, A, (5..55).map(video));
    assert_eq!(HASHED.get(), 50, "those that came, and no other");
    viewer.end(A);
    assert_eq!(drain(&mut viewer), format!("{} >2 {}", expect('v', 0..55), expect('v', 90..95)));
    assert_eq!(HASHED.get(), 50 + 4, "the first of those that waited was known");
}

/// Configuration that waits is counted, what was put out is bounded by [`ConfigSet`].
#[test]
fn i3_large_configuration_between_tiny_frames_is_bounded() {
    let metadata = |n: u32| {
        let mut payload = [&b"\x02\0\x0aonMetaData"[..], &n.to_be_bytes()].concat();
        payload.resize(1 << 20, 0);
        MediaMessage::new(TrackKind::Data, Timestamp::ZERO, payload.into())
    };
    let mut viewer = indexed();
    viewer.begin(B);
    viewer.position(B, position(100));
    let mut held_too_much = 0;
    for n in 0..80 {
        for message in [metadata(n), video(100 + n)] {
            held_too_much += u32::from(viewer.message(B, message).is_err());
        }
        viewer.message(A, metadata(n)).unwrap();
        viewer.message(A, video(25 + n % 10)).unwrap();
        viewer.out.clear();
        let bytes = |messages: &mut dyn Iterator<Item = &MediaMessage>| -> usize {
            messages.map(|message| message.payload.len()).sum()
        };
        for leg in [&viewer.main, &viewer.next].into_iter().flatten() {
            let held = leg.held.iter().filter_map(|item| match item {
                Item::Message(message) => Some(message),
                Item::Position(_) => None,
            });
            assert!(bytes(&mut { held }) <= MAX_HELD_BYTES);
            assert!(bytes(&mut leg.config.messages()) <= ConfigSet::MAX_BYTES);
        }
        assert!(bytes(&mut viewer.config.messages()) <= ConfigSet::MAX_BYTES);
    }
    assert_eq!(held_too_much, 1);
}
