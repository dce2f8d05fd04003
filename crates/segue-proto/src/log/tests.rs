//! What a stream does with legs: claims, holds, repeats, timelines. Payloads are numbered so that a test can say which
//! messages the log holds.

use std::sync::Arc;
use std::time::Duration;

use crate::leg::{LegHeader, Position, ResumeToken, StreamHash};
use crate::media::{MediaMessage, TrackKind};
use crate::message::status;
use crate::time::Moment;
use crate::timestamp::Timestamp;

use super::*;

const KEY: u8 = 0x17;
const INTER: u8 = 0x27;

fn at(ms: u64) -> Moment {
    Moment::from_micros(ms * 1000)
}

pub(super) fn video(key: bool, ts: u32, n: u32) -> MediaMessage {
    let mut payload = vec![if key { KEY } else { INTER }, 1, 0, 0, 0];
    payload.extend_from_slice(&n.to_be_bytes());
    MediaMessage::new(TrackKind::Video, Timestamp::from_millis(ts), payload.into())
}

pub(super) fn audio(ts: u32, n: u32) -> MediaMessage {
    let mut payload = vec![0xaf, 1];
    payload.extend_from_slice(&n.to_be_bytes());
    MediaMessage::new(TrackKind::Audio, Timestamp::from_millis(ts), payload.into())
}

pub(super) fn avc_header(version: u8) -> MediaMessage {
    MediaMessage::new(TrackKind::Video, Timestamp::ZERO, vec![KEY, 0, 0, 0, 0, version].into())
}

/// `frames` of video from number `from` on, 40 ms apart, a keyframe every 5, from timestamp `from * 40 + base`.
fn run(from: u32, frames: u32, base: u32) -> Vec<MediaMessage> {
    (from..from + frames).map(|n| video(n % 5 == 0, base.wrapping_add(n * 40), n)).collect()
}

const TOKEN: ResumeToken = ResumeToken([7; 16]);

fn header(leg: u32, index: u64) -> LegHeader {
    LegHeader { token: TOKEN, leg, position: Position { index, keyframes: index / 5, ..Default::default() } }
}

pub(super) struct Fixture {
    pub(super) stream: Stream,
    now: Moment,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(super) fn with(config: Config) -> Self {
        Self { stream: Stream::new(config, [1; 16]), now: at(1000) }
    }

    pub(super) fn now(&self) -> Moment {
        self.now
    }

    pub(super) fn publish(&mut self, conn: u64, segue: bool) {
        self.publish_as(conn, segue, "live/name");
    }

    fn publish_as(&mut self, conn: u64, segue: bool, principal: &str) {
        let request = Request { conn: ConnId(conn), principal: principal.to_owned(), segue };
        self.stream.publish(request, self.now);
    }

    pub(super) fn header(&mut self, conn: u64, leg: u32, index: u64) {
        self.stream.leg_header(ConnId(conn), header(leg, index), self.now);
    }

    pub(super) fn send(&mut self, conn: u64, messages: impl IntoIterator<Item = MediaMessage>) {
        for message in messages {
            self.stream.append(ConnId(conn), message, self.now);
        }
    }

    pub(super) fn end(&mut self, conn: u64, end: LegEnd) {
        self.stream.end(ConnId(conn), end, self.now);
    }

    pub(super) fn later(&mut self, by: Duration) {
        self.now = self.now + by;
        self.stream.handle_timeout(self.now);
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.stream.poll_event()).filter(|e| *e != Event::Appended).collect()
    }

    pub(super) fn splices(&mut self) -> Vec<Splice> {
        self.events()
            .into_iter()
            .filter_map(|e| if let Event::Spliced(s) = e { Some(s) } else { None })
            .collect()
    }

    pub(super) fn entries(&self) -> Vec<Arc<Entry>> {
        let mut cursor = self.stream.start(Start::Oldest);
        let mut entries = Vec::new();
        while let Read::Entry(entry) = self.stream.read(&mut cursor) {
            entries.push(entry.clone());
        }
        entries
    }

    /// The numbers in the payloads, in the log's order.
    fn numbers(&self) -> Vec<u32> {
        self.entries().iter().map(|e| number(&e.message)).collect()
    }

    pub(super) fn timestamps(&self) -> Vec<u32> {
        self.entries().iter().map(|e| e.message.timestamp.as_millis()).collect()
    }
}

fn number(message: &MediaMessage) -> u32 {
    let p = &message.payload;
    u32::from_be_bytes(p[p.len() - 4..].try_into().unwrap())
}

fn refused(event: &Event) -> bool {
    matches!(event, Event::Refused { code, .. } if *code == status::code::PUBLISH_BAD_NAME)
}

#[test]
fn the_first_publisher_is_granted_and_read_from_the_last_keyframe() {
    let mut f = Fixture::new();
    f.publish(1, false);
    assert_eq!(f.events(), [Event::Granted { conn: ConnId(1) }]);
    f.send(1, [avc_header(1)]);
    f.send(1, run(0, 12, 0));
    let mut live = f.stream.start(Start::Live);
    let Read::Entry(first) = f.stream.read(&mut live) else { panic!() };
    assert_eq!((number(&first.message), first.position.index, first.position.keyframes), (10, 10, 2));
    assert_eq!(first.headers.messages().count(), 1);
    assert!(matches!(f.stream.read(&mut live), Read::Entry(_)));
    assert!(matches!(f.stream.read(&mut live), Read::Empty));
    f.end(1, LegEnd::Finished);
    assert!(matches!(f.stream.read(&mut live), Read::Ended));
}

#[test]
fn a_reader_before_the_first_keyframe_starts_with_it() {
    let mut f = Fixture::new();
    f.publish(1, false);
    let mut cursor = f.stream.start(Start::Live);
    f.send(1, run(3, 4, 0));
    let Read::Entry(first) = f.stream.read(&mut cursor) else { panic!() };
    assert_eq!(number(&first.message), 5);
}

#[test]
fn h25_a_second_publisher_is_refused_while_the_first_is_alive() {
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, run(0, 5, 0));
    f.events();
    f.publish(2, false);
    assert!(matches!(f.events()[..], [ref e] if refused(e)));
    f.send(2, run(5, 1, 0));
    assert_eq!(f.stream.counts().fenced, 1);
    assert_eq!(f.numbers().len(), 5);
}

#[test]
fn another_principal_is_refused_in_the_grace_too() {
    let mut f = Fixture::new();
    f.publish_as(1, false, "live/name?token=a");
    f.send(1, run(0, 5, 0));
    f.end(1, LegEnd::Lost);
    f.events();
    f.publish_as(2, false, "live/name?token=b");
    assert!(matches!(f.events()[..], [ref e] if refused(e)));
    f.publish_as(3, false, "live/name?token=a");
    assert_eq!(f.events(), [Event::Granted { conn: ConnId(3) }]);
}

#[test]
fn a_silent_publisher_may_be_succeeded_after_two_seconds() {
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, run(0, 5, 0));
    f.later(Duration::from_millis(1999));
    f.publish(2, false);
    assert!(f.events().iter().any(refused));
    f.later(Duration::from_millis(1));
    f.publish(3, false);
    assert_eq!(f.events(), [Event::Granted { conn: ConnId(3) }]);
    f.send(3, run(5, 5, 0));
    assert_eq!(f.numbers().len(), 5, "the old leg may still bring media: the new one's are held");
    f.later(Duration::from_secs(2));
    assert_eq!(f.numbers(), (0..10).collect::<Vec<_>>());
    assert!(f.events().contains(&Event::Fenced { conn: ConnId(1) }));
}

#[test]
fn a_told_legs_tail_comes_before_the_new_legs_media() {
    let mut f = Fixture::new();
    f.publish(1, true);
    f.header(1, 1, 0);
    f.send(1, run(0, 8, 0));
    f.stream.told(ConnId(1), f.now);
    f.publish(2, true);
    f.header(2, 2, 10);
    f.send(2, run(10, 3, 0));
    assert!(f.events().contains(&Event::Granted { conn: ConnId(2) }), "start is sent before the hold ends");
    assert!(f.stream.is_held(ConnId(2)));
    f.send(1, run(8, 1, 0));
    assert_eq!(f.numbers().len(), 9);
    f.send(1, run(9, 1, 0));
    assert_eq!(f.numbers(), (0..13).collect::<Vec<_>>(), "the header shows that nothing more can be missing");
    assert!(f.events().contains(&Event::Fenced { conn: ConnId(1) }));
    assert_eq!(f.stream.epoch(), Epoch(2));
    assert_eq!(f.stream.counts(), Counts::default());
}

#[test]
fn a_hold_that_expires_counts_what_is_missing_and_fences() {
    let mut f = Fixture::new();
    f.publish(1, true);
    f.header(1, 1, 0);
    f.send(1, run(0, 8, 0));
    f.stream.told(ConnId(1), f.now);
    f.publish(2, true);
    f.header(2, 2, 10);
    f.send(2, run(10, 3, 0));
    f.events();
    assert_eq!(f.stream.wake_at(), Some(f.now + Duration::from_secs(2)));
    f.later(Duration::from_secs(2));
    let splices = f.splices();
    assert!(matches!(splices[..], [Splice { missing: 2, exact: true, .. }]), "{splices:?}");
    f.send(1, run(8, 2, 0));
    assert_eq!(f.stream.counts(), Counts { missing: 2, fenced: 2, repeated: 0 });
    let indexes: Vec<_> = f.entries().iter().map(|e| e.position.index).collect();
    assert_eq!(indexes, [0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12]);
    assert!(f.entries()[8].jump && !f.entries()[9].jump);
}

#[test]
fn the_hold_is_bounded_by_bytes() {
    let big = |n: u32, len: usize| {
        let mut m = video(n == 0, n * 40, n).payload.to_vec();
        m.resize(len, 0);
        MediaMessage::new(TrackKind::Video, Timestamp::from_millis(n * 40), m.into())
    };
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, [big(0, 100)]);
    f.stream.told(ConnId(1), f.now);
    f.publish(2, false);
    let bound = Config::default().hold_bytes;
    f.send(2, [big(1, bound - 64)]);
    assert!(f.stream.is_held(ConnId(2)), "at the bound it waits");
    f.send(2, [big(2, 10)]);
    assert_eq!(f.stream.publisher(), Some(ConnId(2)), "one past it, the claim passes");
}

#[test]
fn h07_a_second_connection_with_the_token_supersedes_the_first() {
    let mut f = Fixture::new();
    f.publish(1, true);
    f.header(1, 1, 0);
    f.send(1, run(0, 8, 0));
    f.events();
    f.publish(2, true);
    assert_eq!(f.events(), [], "it must prove itself first");
    f.header(2, 2, 5);
    f.send(2, run(5, 5, 0));
    let events = f.events();
    assert!(events.contains(&Event::Granted { conn: ConnId(2) }));
    assert!(events.contains(&Event::Fenced { conn: ConnId(1) }));
    f.send(1, run(8, 2, 0));
    assert_eq!(f.numbers(), (0..10).collect::<Vec<_>>());
    assert_eq!(f.stream.counts(), Counts { missing: 0, repeated: 3, fenced: 2 });
}

#[test]
fn h07_a_third_connection_supersedes_one_that_still_waits() {
    let mut f = Fixture::new();
    f.publish(1, true);
    f.header(1, 1, 0);
    f.send(1, run(0, 3, 0));
    f.publish(2, true);
    f.header(2, 2, 5);
    f.publish(3, true);
    f.header(3, 3, 5);
    let events = f.events();
    assert!(events.contains(&Event::Fenced { conn: ConnId(2) }), "{events:?}");
    assert!(events.contains(&Event::Granted { conn: ConnId(3) }));
    f.send(3, run(5, 1, 0));
    f.send(1, run(3, 2, 0));
    assert_eq!(f.numbers(), (0..6).collect::<Vec<_>>());
}

#[test]
fn a_stranger_with_another_token_is_refused() {
    let mut f = Fixture::new();
    f.publish(1, true);
    f.header(1, 1, 0);
    f.send(1, run(0, 3, 0));
    f.publish(2, true);
    let other = LegHeader { token: ResumeToken([8; 16]), ..header(2, 3) };
    f.stream.leg_header(ConnId(2), other, f.now);
    assert!(f.events().iter().any(refused));
    assert_eq!(f.stream.publisher(), Some(ConnId(1)));
}

#[test]
fn proof_that_never_comes_is_waited_for_two_seconds() {
    let mut f = Fixture::new();
    f.publish(1, true);
    f.header(1, 1, 0);
    f.events();
    f.publish(2, true);
    f.later(Duration::from_millis(1999));
    assert_eq!(f.events(), []);
    f.later(Duration::from_millis(1));
    assert!(f.events().iter().any(refused));
}

#[test]
fn a_publisher_with_a_new_token_that_asks_just_before_the_old_leg_is_lost_is_let_in() {
    let mut f = Fixture::new();
    f.publish(1, true);
    f.header(1, 1, 0);
    f.send(1, run(0, 5, 0));
    f.events();
    f.publish(2, true);
    f.end(1, LegEnd::Lost);
    assert!(f.events().contains(&Event::Granted { conn: ConnId(2) }));
    let other = LegHeader { token: ResumeToken([8; 16]), ..header(1, 0) };
    f.stream.leg_header(ConnId(2), other, f.now);
    f.send(2, run(5, 2, 0));
    assert_eq!(f.numbers(), (0..7).collect::<Vec<_>>());
}

#[test]
fn candidates_are_bounded() {
    let mut f = Fixture::new();
    f.publish(1, true);
    f.header(1, 1, 0);
    f.events();
    for conn in 2..2 + MAX_CANDIDATES as u64 {
        f.publish(conn, true);
    }
    assert_eq!(f.events(), []);
    f.publish(99, true);
    assert!(f.events().iter().any(refused));
}

#[test]
fn a_leg_that_comes_back_from_another_server_jumps_without_a_count() {
    let mut f = Fixture::new();
    f.publish(1, true);
    f.header(1, 1, 0);
    f.send(1, run(0, 5, 0));
    f.end(1, LegEnd::Lost);
    f.publish(3, true);
    f.header(3, 3, 20);
    f.send(3, run(20, 5, 0));
    assert_eq!(f.stream.counts(), Counts::default());
    let splices = f.splices();
    assert!(
        matches!(splices[..], [_, Splice { missing: 0, exact: true, restarted: false, .. }]),
        "{splices:?}"
    );
    let fifth = &f.entries()[5];
    assert_eq!((fifth.position.index, fifth.position.keyframes, fifth.jump), (20, 4, true));
}

#[test]
fn a_leg_that_directly_follows_and_starts_later_lost_something() {
    let mut f = Fixture::new();
    f.publish(1, true);
    f.header(1, 1, 0);
    f.send(1, run(0, 5, 0));
    f.end(1, LegEnd::Lost);
    f.publish(2, true);
    f.header(2, 2, 8);
    f.send(2, run(8, 5, 0));
    assert_eq!(f.stream.counts().missing, 3);
    assert_eq!(f.splices().last().map(|s| s.missing), Some(3));
    f.header(2, 2, 15);
    assert_eq!(f.stream.counts().missing, 5, "the same leg's header again: it dropped media");
    assert_eq!(f.events(), [Event::Lost { conn: ConnId(2), missing: 2 }]);
    f.header(2, 2, 15);
    assert_eq!((f.stream.counts().missing, f.events()), (5, vec![]), "and again, without a loss");
}

#[test]
fn a_first_leg_in_the_middle_of_a_stream_counts_from_there() {
    let mut f = Fixture::new();
    f.publish(1, true);
    f.header(1, 2, 50);
    f.send(1, run(50, 3, 0));
    assert_eq!(f.entries()[0].position.index, 50);
    assert_eq!(f.stream.counts(), Counts::default());
    assert_eq!(f.stream.hash(), TOKEN.hash());
}

#[test]
fn h27_a_stream_that_was_finished_is_over_at_once() {
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, run(0, 3, 0));
    f.end(1, LegEnd::Finished);
    assert!(f.events().contains(&Event::Ended));
    assert!(f.stream.is_over());
    f.publish(2, false);
    assert!(f.events().iter().any(refused));
}

#[test]
fn a_lost_leg_is_waited_for_fifteen_seconds() {
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, run(0, 3, 0));
    f.end(1, LegEnd::Lost);
    f.later(Duration::from_millis(14_999));
    assert!(!f.stream.is_over());
    f.later(Duration::from_millis(1));
    assert!(f.stream.is_over());
    assert!(f.events().contains(&Event::Ended));
}

#[test]
fn h27_finishing_the_old_leg_does_not_end_a_stream_that_was_handed_on() {
    let mut f = Fixture::new();
    f.publish(1, true);
    f.header(1, 1, 0);
    f.send(1, run(0, 4, 0));
    f.stream.told(ConnId(1), f.now);
    f.publish(2, true);
    f.header(2, 2, 5);
    f.send(2, run(5, 1, 0));
    f.send(1, run(4, 1, 0));
    f.end(1, LegEnd::Finished);
    assert!(!f.stream.is_over());
    assert_eq!(f.numbers(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn repeats_without_a_header_are_found_by_alignment() {
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, run(0, 13, 0));
    f.end(1, LegEnd::Lost);
    f.publish(2, false);
    f.send(2, run(10, 8, 0));
    assert_eq!(f.numbers(), (0..18).collect::<Vec<_>>());
    assert_eq!(f.stream.counts().repeated, 3);
    let splices = f.splices();
    assert!(
        matches!(splices[..], [_, Splice { exact: false, restarted: false, missing: 0, .. }]),
        "{splices:?}"
    );
}

/// The leg in between brought no keyframe at all.
#[test]
fn h07_repeats_that_reach_behind_a_short_leg_are_found_too() {
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, run(0, 12, 0));
    f.end(1, LegEnd::Lost);
    f.publish(2, false);
    f.send(2, run(10, 4, 0));
    f.end(2, LegEnd::Lost);
    f.publish(3, false);
    f.send(3, run(5, 12, 0));
    f.end(3, LegEnd::Lost);
    assert_eq!(f.numbers(), (0..17).collect::<Vec<_>>());
    assert_eq!(f.timestamps(), (0..17).map(|n| n * 40).collect::<Vec<_>>());
    assert!(f.splices().iter().all(|splice| !splice.restarted));
}

/// The same file again, from its beginning, on a timeline that was shifted before: no repeat of what lies before the shift.
#[test]
fn h12_what_restarted_is_not_looked_for_behind_the_restart() {
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, run(0, 10, 0));
    f.end(1, LegEnd::Lost);
    f.publish(2, false);
    f.send(2, run(100, 5, 0u32.wrapping_sub(4000)));
    f.end(2, LegEnd::Lost);
    f.publish(3, false);
    f.send(3, run(0, 5, 0));
    assert_eq!(f.entries().len(), 20);
    assert_eq!(f.stream.counts().repeated, 0);
}

#[test]
fn the_first_mismatch_ends_the_alignment_for_good() {
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, run(0, 13, 0));
    f.end(1, LegEnd::Lost);
    f.publish(2, false);
    f.send(2, [video(true, 400, 10), video(false, 440, 99), video(false, 480, 12)]);
    assert_eq!(f.numbers()[13..], [99, 12]);
    assert_eq!(f.stream.counts().repeated, 1);
}

#[test]
fn what_comes_before_an_aligned_keyframe_is_a_repeat_too() {
    let mut f = Fixture::new();
    f.publish(1, false);
    let mut messages = run(0, 10, 0);
    messages.insert(5, audio(199, 1000));
    messages.push(audio(370, 1001));
    f.send(1, messages.clone());
    f.end(1, LegEnd::Lost);
    f.publish(2, false);
    f.send(2, messages[5..].to_vec());
    f.send(2, run(10, 2, 0));
    assert_eq!(f.entries().len(), messages.len() + 2);
    assert_eq!(f.stream.counts().repeated, 7);
}

#[test]
fn silence_that_repeats_is_kept() {
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, (0..10).map(|n| audio(n * 23, 0)));
    f.end(1, LegEnd::Lost);
    f.publish(2, false);
    f.send(2, (10..20).map(|n| audio(n * 23, 0)));
    assert_eq!(f.entries().len(), 20);
    assert_eq!(f.stream.counts().repeated, 0);
}

#[test]
fn h12_a_leg_that_restarts_at_zero_continues_the_timeline_in_step() {
    let mut f = Fixture::new();
    f.publish(1, false);
    let mut first = run(0, 10, 5000);
    first.push(audio(5361, 1));
    f.send(1, first);
    f.end(1, LegEnd::Lost);
    f.publish(2, false);
    f.send(2, [video(true, 0, 100), audio(3, 101), video(false, 40, 102)]);
    // The last video frame was at 5360, frames are 40 ms apart: the new leg begins at 5400.
    assert_eq!(f.timestamps()[11..], [5400, 5403, 5440]);
    let splices = f.splices();
    assert!(matches!(splices[..], [_, Splice { restarted: true, old_last: Some(_), .. }]), "{splices:?}");
}

#[test]
fn h12_audio_that_ran_ahead_keeps_every_track_monotonic() {
    let mut f = Fixture::new();
    f.publish(1, false);
    let mut first = run(0, 10, 5000);
    first.push(audio(5900, 1));
    f.send(1, first);
    f.end(1, LegEnd::Lost);
    f.publish(2, false);
    f.send(2, [audio(2, 100), video(true, 0, 101)]);
    // Audio wants 5901 for its timestamp 2, so the leg's 0 is 5899, though video alone would take 5400.
    assert_eq!(f.timestamps()[11..], [5901, 5899]);
}

#[test]
fn h12_restarts_add_up_and_the_log_counts_on() {
    let mut f = Fixture::new();
    for leg in 0..5 {
        f.publish(leg, false);
        f.send(leg, (0..10).map(|n| video(n % 5 == 0, n * 40, leg as u32 * 100 + n)));
        f.end(leg, LegEnd::Lost);
    }
    assert_eq!(f.timestamps(), (0..50).map(|n| n * 40).collect::<Vec<_>>());
    let indexes: Vec<_> = f.entries().iter().map(|e| e.position.index).collect();
    assert_eq!(indexes, (0..50).collect::<Vec<_>>());
}

#[test]
fn h12_a_leg_continues_across_the_wrap() {
    for base in [0x00ff_ff00_u32, 0x7fff_ff00, 0xffff_ff00] {
        let mut f = Fixture::new();
        f.publish(1, false);
        f.send(1, run(0, 5, base));
        f.end(1, LegEnd::Lost);
        f.publish(2, false);
        f.send(2, run(5, 5, base));
        let expected: Vec<_> = (0..10).map(|n: u32| base.wrapping_add(n * 40)).collect();
        assert_eq!(f.timestamps(), expected);
        assert!(f.splices().iter().all(|s| !s.restarted));
    }
}

#[test]
fn a_step_of_ten_seconds_continues_and_one_more_restarts() {
    for (gap, restarted) in [(10_000, false), (10_001, true)] {
        let mut f = Fixture::new();
        f.publish(1, false);
        f.send(1, run(0, 5, 0));
        f.end(1, LegEnd::Lost);
        f.publish(2, false);
        f.send(2, [video(true, 160 + gap, 5)]);
        assert_eq!(f.splices().last().map(|s| s.restarted), Some(restarted), "{gap}");
    }
}

#[test]
fn h14_configuration_is_state_and_changes_only_when_it_differs() {
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, [avc_header(1)]);
    f.send(1, run(0, 5, 0));
    f.end(1, LegEnd::Lost);
    f.publish(2, false);
    f.send(2, [avc_header(1)]);
    f.send(2, run(5, 5, 0));
    f.send(2, [avc_header(2)]);
    f.send(2, run(10, 1, 0));
    let entries = f.entries();
    assert!(Arc::ptr_eq(&entries[0].headers, &entries[9].headers));
    assert_eq!(entries[10].headers.changed_since(&entries[9].headers).count(), 1);
    assert_eq!(entries[10].position.index, 10, "configuration is not counted");
}

#[test]
fn the_log_keeps_two_gops_and_ten_seconds_and_drops_whole_gops() {
    let mut f = Fixture::new();
    f.publish(1, false);
    // GOPs of 5 frames, a second apart: 5 s each.
    let send = |f: &mut Fixture, range: std::ops::Range<u32>| {
        for n in range {
            f.now = at(u64::from(n) * 1000);
            f.send(1, [video(n % 5 == 0, n * 1000, n)]);
        }
    };
    send(&mut f, 0..16);
    assert_eq!(f.numbers()[0], 5, "from 5 to 15 are ten seconds");
    send(&mut f, 16..20);
    assert_eq!(f.numbers()[0], 5, "from 10 to 19 are nine");
    send(&mut f, 20..21);
    assert_eq!(f.numbers()[0], 10);
}

#[test]
fn a_source_faster_than_its_timestamps_does_not_outrun_its_readers() {
    let mut f = Fixture::new();
    f.publish(1, false);
    let mut reader = f.stream.start(Start::Oldest);
    f.send(1, (0..500).map(|n| video(n % 5 == 0, n * 1000, n)));
    for _ in 0..500 {
        assert!(matches!(f.stream.read(&mut reader), Read::Entry(_)));
    }
}

#[test]
fn the_log_is_bounded_by_bytes_even_inside_a_gop() {
    let config = Config {
        bounds: Bounds { min_gops: 2, min_span: Duration::from_secs(10), max_bytes: 10 * (9 + ENTRY_COST) },
        ..Config::default()
    };
    let mut f = Fixture { stream: Stream::new(config, [1; 16]), now: at(0) };
    f.publish(1, false);
    // Nine bytes a payload: ten fit.
    f.send(1, (0..10).map(|n| video(n == 0, n * 40, n)));
    assert_eq!((f.entries().len(), f.stream.bytes()), (10, 10 * (9 + ENTRY_COST)));
    let mut reader = f.stream.start(Start::Live);
    f.send(1, [video(false, 400, 10)]);
    assert_eq!((f.entries().len(), f.stream.bytes()), (10, 10 * (9 + ENTRY_COST)));
    assert!(matches!(f.stream.read(&mut reader), Read::Lagged));
    assert!(matches!(f.stream.read(&mut reader), Read::Empty), "no keyframe is kept: it waits for the next");
    f.send(1, [video(false, 440, 11), video(true, 480, 12)]);
    let Read::Entry(entry) = f.stream.read(&mut reader) else { panic!() };
    assert_eq!(number(&entry.message), 12);
}

#[test]
fn h28_a_resuming_viewer_starts_at_the_keyframe_at_or_before_its_index() {
    let mut f = Fixture::new();
    f.publish(1, true);
    f.header(1, 1, 0);
    f.send(1, run(0, 18, 0));
    let first = |index, stream| {
        let mut cursor = f.stream.start(Start::At(crate::session::Resume { stream, index }));
        let Read::Entry(entry) = f.stream.read(&mut cursor) else { panic!() };
        number(&entry.message)
    };
    assert_eq!(first(7, TOKEN.hash()), 5);
    assert_eq!(first(10, TOKEN.hash()), 10);
    assert_eq!(first(500, TOKEN.hash()), 15);
    assert_eq!(first(7, StreamHash([0; 8])), 15, "another stream's index says nothing");
    let reaches = |index, stream| f.stream.reaches(crate::session::Resume { stream, index });
    assert!(reaches(0, TOKEN.hash()) && reaches(17, TOKEN.hash()));
    assert!(!reaches(18, TOKEN.hash()), "it has yet to come");
    assert!(!reaches(7, StreamHash([0; 8])));
}

#[test]
fn what_lies_before_the_first_message_here_is_not_reached() {
    let mut f = Fixture::new();
    f.publish(1, true);
    f.header(1, 1, 102);
    f.send(1, (101..105).map(|n| video(false, n * 40, n)));
    let reaches = |index| f.stream.reaches(crate::session::Resume { stream: TOKEN.hash(), index });
    assert_eq!([101, 102, 105, 106].map(reaches), [false, true, true, false]);
}

/// A GOP without end that came from another server: there is no keyframe here.
#[test]
fn h28_a_resuming_viewer_needs_no_keyframe_for_what_comes_next() {
    let mut f = Fixture::new();
    f.publish(1, true);
    f.header(1, 1, 102);
    f.send(1, (101..105).map(|n| video(false, n * 40, n)));
    let resume = |index| Start::At(crate::session::Resume { stream: TOKEN.hash(), index });
    let first = |f: &Fixture, index| {
        let mut cursor = f.stream.start(resume(index));
        match f.stream.read(&mut cursor) {
            Read::Entry(entry) => Some(entry.position.index),
            _ => None,
        }
    };
    assert_eq!(first(&f, 104), Some(104));
    assert_eq!(first(&f, 101), None, "what is not here is not missed in silence");
    let mut next = f.stream.start(resume(106));
    f.send(1, [video(false, 4200, 105)]);
    assert!(matches!(f.stream.read(&mut next), Read::Entry(entry) if entry.position.index == 106));
}

#[test]
fn a_leg_without_header_takes_the_stream_out_of_the_tokens_count() {
    let mut f = Fixture::new();
    f.publish(1, true);
    f.header(1, 1, 0);
    f.send(1, run(0, 5, 0));
    f.end(1, LegEnd::Lost);
    f.publish(2, false);
    f.send(2, run(5, 2, 0));
    let entries = f.entries();
    assert_ne!(entries[5].stream, TOKEN.hash());
    assert!(entries[5].jump && !entries[6].jump);
}

#[test]
fn audio_alone_has_boundaries_at_every_frame() {
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, [audio(0, 0), audio(23, 1)]);
    assert!(f.entries().iter().all(|e| e.starts_gop));
    assert!(f.stream.is_boundary(&audio(46, 2)));
    f.send(1, [video(true, 50, 3)]);
    assert!(!f.stream.is_boundary(&audio(69, 4)));
}

#[test]
fn h16_only_the_lead_tracks_keyframes_are_boundaries() {
    let track = |id: u8, ts: u32| {
        let payload = [&b"\x96\x01avc1"[..], &[id, 0, 0, 0, 0, 0]].concat();
        MediaMessage::new(TrackKind::Video, Timestamp::from_millis(ts), payload.into())
    };
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, [track(0, 0), track(1, 0), track(1, 40), track(0, 80)]);
    let starts: Vec<_> = f.entries().iter().map(|e| e.starts_gop).collect();
    assert_eq!(starts, [true, false, false, true]);
}

#[test]
fn hostile_leg_numbers_and_indexes_overflow_nothing() {
    const FARTHEST: u64 = (1 << 53) - 1;
    let mut f = Fixture::new();
    f.publish(1, true);
    f.header(1, u32::MAX, 0);
    f.send(1, run(0, 2, 0));
    f.end(1, LegEnd::Lost);
    f.publish(2, true);
    f.header(2, 0, FARTHEST);
    f.send(2, run(0, 2, 0));
    assert_eq!(f.stream.counts().missing, 0, "leg 0 does not follow the last there can be");
    for n in 0..2100u64 {
        let header = LegHeader { token: ResumeToken([(n % 250) as u8; 16]), ..header(0, 0) };
        f.stream.leg_header(ConnId(2), header, f.now);
        let farthest = Position { index: FARTHEST, ..header.position };
        f.stream.leg_header(ConnId(2), LegHeader { position: farthest, ..header }, f.now);
    }
    assert_eq!(f.stream.counts().missing, u64::MAX);
    f.send(2, run(0, 2, 0));
}

#[test]
fn a_flood_of_empty_messages_is_bounded() {
    let mut f = Fixture::new();
    f.publish(1, false);
    let empty = MediaMessage::new(TrackKind::Data, Timestamp::ZERO, Default::default());
    let most = Config::default().bounds.max_bytes / ENTRY_COST;
    f.send(1, std::iter::repeat_n(empty.clone(), most));
    assert_eq!(f.entries().len(), most);
    f.send(1, [empty]);
    assert_eq!(f.entries().len(), most);
    let entry = size_of::<Entry>() + size_of::<crate::chunk::Frame>();
    assert!(entry <= ENTRY_COST, "{entry}");
}

#[test]
fn what_waits_for_a_legs_first_keyframe_is_bounded_by_bytes_and_time() {
    let mut f = Fixture::new();
    f.publish(1, false);
    f.send(1, run(0, 3, 0));
    f.end(1, LegEnd::Lost);
    f.publish(2, false);
    let mut big = video(false, 160, 0).payload.to_vec();
    big.resize(4 << 20, 0);
    let big = |ts| MediaMessage::new(TrackKind::Video, Timestamp::from_millis(ts), big.clone().into());
    f.send(2, [big(160), big(200)]);
    assert_eq!(f.entries().len(), 3, "at the bound");
    f.send(2, [video(false, 240, 9)]);
    assert_eq!(f.entries().len(), 6);

    f.end(2, LegEnd::Lost);
    f.publish(3, false);
    f.send(3, [video(false, 280, 10)]);
    f.later(Duration::from_millis(1999));
    f.send(3, [video(false, 320, 11)]);
    assert_eq!(f.entries().len(), 6);
    f.later(Duration::from_millis(1));
    f.send(3, [video(false, 360, 12)]);
    assert_eq!(f.numbers()[6..], [10, 11, 12]);
}

/// Whoever asks for a message that is not there has so much of the log read and no more.
#[test]
fn a_message_is_looked_for_among_the_newest_only() {
    let mut f = Fixture::new();
    f.publish(1, false);
    let sent = run(0, LOOK_BACK as u32 + 1, 0);
    f.send(1, sent.clone());
    assert_eq!(f.entries().len(), LOOK_BACK + 1);
    assert!(f.stream.holds(&sent[1]) && f.stream.holds(&sent[LOOK_BACK]));
    assert!(!f.stream.holds(&sent[0]));
}

#[test]
fn whether_there_is_video_is_known_without_a_look() {
    let bounds = Bounds { max_bytes: 10 * (ENTRY_COST + 100), ..Config::default().bounds };
    let mut f = Fixture::new();
    f.stream = Stream::new(Config { bounds, ..Config::default() }, [1; 16]);
    f.publish(1, false);
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..40 {
        // Video, sound alone until no video is left, video again.
        let message = if (10..25).contains(&n) { audio(n * 40, n) } else { video(n % 5 == 0, n * 40, n) };
        f.send(1, [avc_header(n as u8), message]);
        let has_video = f.entries().iter().any(|e| e.message.kind == TrackKind::Video);
        assert_eq!(f.stream.ring.has_video(), has_video, "after {n}");
        seen.insert(has_video);
    }
    assert_eq!(seen.len(), 2);
}
