//! The replay buffer as a sequence of operations, beside a plain list of what was pushed: what it numbers, keeps and lets
//! go is what its bounds say.

use std::time::Duration;

use bytes::Bytes;
use segue_proto::handover::replay::{MAX_BYTES, MAX_SPAN, MIN_SPAN, Replay};
use segue_proto::media::{ConfigSet, Content, MediaMessage};
use segue_proto::{Moment, Timestamp, TrackKind};

use crate::input::Input;

/// What a message costs beside its payload.
const MESSAGE_COST: usize = 96;
/// Large payloads are slices of it.
static ZEROS: [u8; 24 << 20] = [0; 24 << 20];

struct Pushed {
    arrived: Moment,
    is_media: bool,
    /// Whether a leg may begin with it, by what has come since too.
    is_boundary: bool,
    cost: usize,
    config: Option<MediaMessage>,
}

/// Operations, a few bytes each.
pub fn replay(data: &[u8]) {
    let mut input = Input::new(data);
    let (mut replay, mut pushed, mut now) = (Replay::default(), Vec::<Pushed>::new(), Moment::ORIGIN);
    let (mut media, mut video) = (0, false);
    while !input.is_empty() {
        let op = input.u8();
        match op & 7 {
            0..=4 => {
                let message = message(op >> 3, &mut input);
                let info = message.info();
                let boundary = replay.is_boundary(&message);
                let cost = message.payload.len() + MESSAGE_COST;
                let is_video = message.kind == TrackKind::Video && info.is_coded();
                if is_video && !std::mem::replace(&mut video, true) {
                    // From the first video on, sound alone is no place to begin.
                    pushed.iter_mut().for_each(|before| before.is_boundary = false);
                }
                let serial = replay.push(message.clone(), now).expect("no leg header");
                assert_eq!(serial, pushed.len() as u64, "serials have no holes");
                pushed.push(Pushed {
                    arrived: now,
                    is_media: info.is_media(),
                    is_boundary: boundary,
                    cost,
                    config: (!info.is_media()).then(|| message.clone()),
                });
                media += u64::from(info.is_media());
                let entry = replay.get(serial).expect("it was just pushed");
                assert_eq!((&entry.message, entry.is_boundary), (&message, boundary));
                assert!(!boundary || info.content == Content::Keyframe);
                assert_eq!(replay.total(), media);
            }
            5 => now = now + Duration::from_millis(u64::from(input.u8()) * 20),
            6 => now = now + Duration::from_millis(u64::from(op)),
            _ => {
                let unproven = replay.first() + input.number().min(1 << 20);
                let first = replay.first();
                let over = over_bounds(&replay, &pushed);
                replay.trim(unproven);
                trimmed(&replay, &pushed, first, unproven, over);
                sound(&replay, &pushed);
            }
        }
    }
    sound(&replay, &pushed);
}

fn message(what: u8, input: &mut Input<'_>) -> MediaMessage {
    let timestamp = Timestamp::from_millis(input.u16().into());
    let (kind, head): (_, &[u8]) = match what % 12 {
        0..=2 => (TrackKind::Video, b"\x17\x01\0\0\0"),
        3..=5 => (TrackKind::Video, b"\x27\x01\0\0\0"),
        6 => (TrackKind::Video, b"\x17\0\0\0\0"),
        7 => (TrackKind::Audio, b"\xaf\x01"),
        8 => (TrackKind::Audio, b"\xaf\0"),
        9 => (TrackKind::Video, b"\x96\x01avc1\x03"),
        10 => (TrackKind::Data, b"\x02\0\x0aonMetaData"),
        // As large as messages get: the bound on bytes is met.
        _ => return MediaMessage::new(TrackKind::Video, timestamp, Bytes::from_static(&ZEROS[..0xff_ffff])),
    };
    MediaMessage::new(kind, timestamp, [head, &[input.u8()]].concat().into())
}

fn over_bounds(replay: &Replay, pushed: &[Pushed]) -> bool {
    let (Some(oldest), Some(newest)) = (pushed.get(replay.first() as usize), pushed.last()) else {
        return false;
    };
    replay.bytes() > MAX_BYTES || newest.arrived.since(oldest.arrived) > MAX_SPAN
}

fn trimmed(replay: &Replay, pushed: &[Pushed], first: u64, unproven: u64, over: bool) {
    assert!(replay.first() >= first);
    if !over {
        assert_eq!(replay.first(), needed_from(pushed, first, unproven), "what is needed, and no more");
    }
    assert!(pushed.is_empty() || replay.end() > replay.first(), "the newest stays");
    assert!(!over_bounds(replay, pushed) || replay.end() == replay.first() + 1);
    if over || replay.first() == first {
        return;
    }
    assert!(replay.first() <= unproven);
    let newest = pushed.last().map_or(Moment::ORIGIN, |last| last.arrived);
    let start = replay.get(replay.first()).expect("the newest stays");
    assert!(start.is_boundary, "a leg may begin at the oldest");
    let from = newest - MIN_SPAN;
    assert!(pushed[..replay.first() as usize].iter().all(|gone| gone.arrived < from), "recent, and gone");
    let boundaries = (replay.first()..replay.end()).filter(|n| replay.get(*n).is_some_and(|e| e.is_boundary));
    assert!(boundaries.count() >= 2, "the last whole GOP stays");
}

/// The serial of the first message that must stay: the last boundary at or before what is unproven or recent, but for the
/// last whole GOP; all of what there is, where there are no two boundaries or none so early.
fn needed_from(pushed: &[Pushed], first: u64, unproven: u64) -> u64 {
    let boundaries: Vec<u64> =
        (first..).zip(&pushed[first as usize..]).filter(|(_, p)| p.is_boundary).map(|(at, _)| at).collect();
    let Some(newest) = pushed.last() else { return first };
    let recent = pushed.partition_point(|p| p.arrived < newest.arrived - MIN_SPAN) as u64;
    let needed = boundaries.iter().copied().filter(|at| *at <= unproven.min(recent)).max();
    match (needed, &boundaries[..]) {
        (Some(needed), [.., last_whole, _]) => needed.min(*last_whole).max(first),
        _ => first,
    }
}

/// The configuration in force before that message.
fn config_before(pushed: &[Pushed], serial: u64) -> ConfigSet {
    let mut set = ConfigSet::default();
    for message in pushed.iter().take(serial as usize).filter_map(|p| p.config.as_ref()) {
        set.set(message, &message.info());
    }
    set
}

fn sound(replay: &Replay, pushed: &[Pushed]) {
    assert_eq!(replay.end(), pushed.len() as u64);
    let kept = &pushed[replay.first() as usize..];
    assert_eq!(replay.bytes(), kept.iter().map(|message| message.cost).sum::<usize>());
    let mut last_boundary = None;
    let mut next = replay.total() - kept.iter().filter(|message| message.is_media).count() as u64;
    for (serial, message) in (replay.first()..).zip(kept) {
        assert_eq!(replay.position(serial).index, next);
        next += u64::from(message.is_media);
        last_boundary = if message.is_boundary { Some(serial) } else { last_boundary };
        assert_eq!(replay.boundary_before(serial), last_boundary);
    }
    let first_boundary = kept.iter().position(|message| message.is_boundary);
    assert_eq!(replay.boundary_after(replay.first()), first_boundary.map(|at| replay.first() + at as u64));
    for serial in [replay.first(), replay.first().midpoint(replay.end()), replay.end()] {
        assert_eq!(replay.config_at(serial), config_before(pushed, serial), "in force at {serial}");
    }
    assert_eq!(replay.position(replay.end()).index, next);
    assert!(replay.get(replay.end()).is_none());
    assert!(replay.first() == 0 || replay.get(replay.first() - 1).is_none());
    assert!(replay.config_at(replay.end()).messages().count() <= ConfigSet::MAX);
}
