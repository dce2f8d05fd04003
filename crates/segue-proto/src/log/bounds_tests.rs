//! What a log keeps in memory, found by walking it and not by its own account, under a publisher that alternates large
//! configuration with tiny frames.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::media::{MediaMessage, TrackKind};
use crate::timestamp::Timestamp;

use super::tests::{Fixture, audio, video};
use super::*;

const MAX_BYTES: usize = 4 << 20;
/// The configuration in force, which is there whatever the ring holds.
const BESIDE: usize = Headers::MAX_BYTES;

fn config(min_gops: usize) -> Config {
    let bounds = Bounds { min_gops, min_span: Duration::from_secs(10), max_bytes: MAX_BYTES };
    Config { bounds, hold_bytes: 2 << 20, ..Config::default() }
}

/// Metadata of so many bytes that say `n`.
fn metadata(len: usize, n: u32) -> MediaMessage {
    let mut payload = b"\x02\x00\x0aonMetaData\x0c".to_vec();
    payload.extend_from_slice(&u32::try_from(len).unwrap().to_be_bytes());
    payload.extend_from_slice(&n.to_be_bytes());
    payload.resize(len.max(payload.len()), 0);
    MediaMessage::new(TrackKind::Data, Timestamp::ZERO, payload.into())
}

/// A sequence header of a track, likewise.
fn sequence_header(track: u8, len: usize, n: u32) -> MediaMessage {
    let mut payload = [&b"\x96\x00avc1"[..], &[track], &n.to_be_bytes()].concat();
    payload.resize(len.max(payload.len()), 0);
    MediaMessage::new(TrackKind::Video, Timestamp::ZERO, payload.into())
}

/// Bytes that these messages keep from being freed: each payload once, however many share it.
fn payloads<'a>(messages: impl Iterator<Item = &'a MediaMessage>) -> usize {
    let mut seen = BTreeSet::new();
    messages.filter(|m| seen.insert(m.payload.as_ptr())).map(|m| m.payload.len()).sum()
}

/// Bytes of memory that the log's entries and the configuration in force keep, each allocation once.
fn kept(f: &Fixture) -> usize {
    let entries = f.entries();
    let mut versions: Vec<&Arc<Headers>> = entries.iter().map(|e| &e.headers).collect();
    versions.push(f.stream.headers());
    versions.sort_unstable_by_key(|headers| Arc::as_ptr(headers));
    versions.dedup_by_key(|headers| Arc::as_ptr(headers));
    let lists: usize =
        versions.iter().map(|headers| size_of::<Headers>() + headers.messages().count() * 48).sum();
    let messages = entries.iter().map(|e| &e.message).chain(versions.into_iter().flat_map(|h| h.messages()));
    payloads(messages) + lists + entries.len() * size_of::<Entry>()
}

fn check(f: &Fixture) {
    let (kept, counted) = (kept(f), f.stream.bytes());
    assert!(kept <= MAX_BYTES + BESIDE, "{kept} bytes are kept");
    assert!(counted <= MAX_BYTES, "{counted} bytes are counted");
    // All that the ring counts is there; the configuration in force may be there beside.
    assert!(kept <= counted + BESIDE, "{kept} bytes are kept and {counted} counted");
}

#[test]
fn i3_large_configuration_between_tiny_frames_is_counted_and_goes_with_them() {
    for len in [64 << 10, 1 << 20] {
        let mut f = Fixture::with(config(2));
        f.publish(1, false);
        for n in 0..200 {
            f.send(1, [metadata(len, n), video(n % 10 == 0, n * 40, n)]);
            check(&f);
        }
        let entries = f.entries().len();
        assert!((1..=MAX_BYTES / len).contains(&entries), "{entries} entries");
    }
}

#[test]
fn a_configuration_counts_once_and_until_the_last_entry_that_has_it_is_gone() {
    let (mut f, entry) = (Fixture::with(config(1)), 9 + ENTRY_COST);
    f.publish(1, false);
    f.send(1, [metadata(1000, 0), video(true, 0, 0), video(false, 40, 1)]);
    let first = f.stream.headers().bytes();
    assert!((1000..1200).contains(&first));
    assert_eq!(f.stream.bytes(), 2 * entry + first);
    f.send(1, [metadata(3000, 1)]);
    assert_eq!(f.stream.bytes(), 2 * entry + first, "no entry has it");
    f.send(1, [video(false, 80, 2)]);
    assert_eq!(f.stream.bytes(), 3 * entry + first + f.stream.headers().bytes());
    f.send(1, [metadata(500, 2), video(true, 11_000, 3)]);
    f.later(Duration::from_secs(11));
    f.send(1, [video(true, 22_000, 4)]);
    assert_eq!((f.entries().len(), f.stream.bytes()), (2, 2 * entry + f.stream.headers().bytes()));
}

#[test]
fn an_entry_costs_no_more_than_what_is_counted_for_it() {
    let frame = size_of::<bytes::Bytes>() * 2;
    assert!(size_of::<Entry>() + size_of::<Arc<Entry>>() * 2 + frame <= ENTRY_COST);
}

#[derive(Debug, Clone)]
enum Op {
    Metadata(usize),
    Header(u8, usize),
    Video(bool),
    Audio,
    Later,
}

fn op() -> impl Strategy<Value = Op> {
    let len = prop_oneof![Just(20usize), 0..4096usize, (64usize << 10)..=(1 << 20)];
    prop_oneof![
        len.clone().prop_map(Op::Metadata),
        (0u8..4, len).prop_map(|(track, len)| Op::Header(track, len)),
        any::<bool>().prop_map(Op::Video),
        Just(Op::Audio),
        Just(Op::Later),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn i3_whatever_alternates_the_memory_kept_is_bounded(ops in vec(op(), 1..150), min_gops in 0..4usize) {
        let mut f = Fixture::with(config(min_gops));
        f.publish(1, false);
        for (n, op) in (0u32..).zip(ops) {
            match op {
                Op::Metadata(len) => f.send(1, [metadata(len, n)]),
                Op::Header(track, len) => f.send(1, [sequence_header(track, len, n)]),
                Op::Video(key) => f.send(1, [video(key, n * 40, n)]),
                Op::Audio => f.send(1, [audio(n * 40, n)]),
                Op::Later => f.later(Duration::from_secs(4)),
            }
            check(&f);
        }
    }

    /// What waits for a claim is configuration too, and counts.
    #[test]
    fn i3_a_hold_is_bounded_whatever_it_holds(lens in vec(20..(1usize << 20), 1..40)) {
        let mut f = Fixture::with(config(2));
        f.publish(1, false);
        f.send(1, [video(true, 0, 0)]);
        f.stream.told(ConnId(1), f.now());
        f.publish(2, false);
        for (n, len) in (1u32..).zip(lens) {
            f.send(2, [metadata(len, n)]);
            if n % 3 == 0 {
                f.send(2, [video(true, n * 40, n)]);
            }
            // One message past it and the claim passes.
            prop_assert!(f.stream.held_bytes() <= config(2).hold_bytes);
            check(&f);
        }
    }
}
