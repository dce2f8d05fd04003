//! Joining a leg to the log without a gap or a repeat: which of its messages the log has already, and which offset
//! puts its timestamps on the stream's timeline.
//!
//! With a leg header the publisher's own count decides. Without one, nothing in RTMP says where a leg begins, and
//! looking up single messages would lie (silence and still pictures repeat legitimately): the leg's first coded
//! keyframe is looked for among what was written on the same timeline, and from there messages are compared one by one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::media::{Content, MediaMessage, TagInfo, TrackKind};
use crate::time::Moment;
use crate::timestamp::Timestamp;

use super::entry::Entry;
use super::ring::Ring;

/// A leg without a header continues the stream's timeline if its first frames lie at most this far ahead.
const MAX_STEP_MS: i32 = 10_000;
/// Messages before a leg's first keyframe that wait for it; more than that, and the leg is not aligned.
const MAX_LEADING: usize = 1_000;
/// Bytes of payload that they may have.
const MAX_LEADING_BYTES: usize = 8 << 20;
/// How long they wait: viewers see nothing of a leg meanwhile.
const MAX_LEADING_TIME: Duration = Duration::from_secs(2);
/// Frame interval assumed until two frames were seen.
const DEFAULT_INTERVAL_MS: i32 = 33;

/// How a leg's messages relate to the log.
#[derive(Debug, Clone)]
pub(super) enum Align {
    /// By the publisher's count: `next` is the index of the next message that comes.
    Indexed { next: u64 },
    /// The first keyframe has not come; what came before it waits.
    Seeking { leading: Vec<MediaMessage>, bytes: usize, since: Moment },
    /// The log has what comes, so far: the next message is compared with entry `at`.
    Matching { at: u64 },
    /// What comes is new.
    Appending,
}

/// What to do with a leg's message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The log has it.
    Repeat,
    /// It waits for the leg's first keyframe.
    Wait,
    /// Append these, in order; the last is the message itself.
    Append(Vec<MediaMessage>),
}

impl Align {
    /// The start of a leg that has no usable header, after a previous leg.
    pub(super) fn seeking(now: Moment) -> Self {
        Self::Seeking { leading: Vec::new(), bytes: 0, since: now }
    }

    /// Judges the leg's next media message. Returns the verdict and how many messages turned out to be
    /// repeats, this one included.
    pub(super) fn judge(
        &mut self,
        message: MediaMessage,
        info: &TagInfo,
        ring: &Ring,
        next_index: u64,
        now: Moment,
    ) -> (Verdict, u64) {
        match self {
            Self::Appending => (Verdict::Append(vec![message]), 0),
            Self::Indexed { next } => {
                let index = *next;
                *next += 1;
                if index < next_index { (Verdict::Repeat, 1) } else { (Verdict::Append(vec![message]), 0) }
            }
            Self::Matching { at } => match ring.get(*at) {
                Some(entry) if same(entry.raw_timestamp, &entry.message, &message) => {
                    *at += 1;
                    if *at == ring.next_seq() {
                        *self = Self::Appending;
                    }
                    (Verdict::Repeat, 1)
                }
                _ => {
                    *self = Self::Appending;
                    (Verdict::Append(vec![message]), 0)
                }
            },
            Self::Seeking { leading, bytes, since } => {
                let boundary = info.content == Content::Keyframe
                    && (message.kind == TrackKind::Video || !ring.has_video());
                let fits = leading.len() < MAX_LEADING
                    && *bytes + message.payload.len() <= MAX_LEADING_BYTES
                    && now.since(*since) < MAX_LEADING_TIME;
                if !boundary && fits {
                    *bytes += message.payload.len();
                    leading.push(message);
                    return (Verdict::Wait, 0);
                }
                let mut waiting = std::mem::take(leading);
                let found = if boundary { find(ring, &message) } else { None };
                match found {
                    Some(at) => {
                        // What came before an aligned keyframe lies before it in the log as well: appending it now
                        // would put it out of order.
                        let repeats = waiting.len() as u64 + 1;
                        *self = if at + 1 == ring.next_seq() {
                            Self::Appending
                        } else {
                            Self::Matching { at: at + 1 }
                        };
                        (Verdict::Repeat, repeats)
                    }
                    None => {
                        *self = Self::Appending;
                        waiting.push(message);
                        (Verdict::Append(waiting), 0)
                    }
                }
            }
        }
    }

    /// What waits, when the leg ends before its first keyframe.
    pub(super) fn give_up(&mut self) -> Vec<MediaMessage> {
        match std::mem::replace(self, Self::Appending) {
            Self::Seeking { leading, .. } => leading,
            _ => Vec::new(),
        }
    }
}

fn same(raw: Timestamp, logged: &MediaMessage, message: &MediaMessage) -> bool {
    raw == message.timestamp && logged.kind == message.kind && logged.payload == message.payload
}

/// Where `keyframe` stands among the entries since the stream's timestamps were last shifted, searched from the newest: a
/// leg that was too short to matter may lie between it and the log's end.
fn find(ring: &Ring, keyframe: &MediaMessage) -> Option<u64> {
    let shift = |e: &Entry| e.message.timestamp.since(e.raw_timestamp);
    let last = shift(ring.last()?);
    ring.newest()
        .take_while(|e| shift(e) == last)
        .find(|e| same(e.raw_timestamp, &e.message, keyframe))
        .map(|e| e.seq)
}

/// The stream's timeline: where each track has got to, and how far the current leg's timestamps are off.
#[derive(Debug, Clone, Default)]
pub(super) struct Timeline {
    tracks: BTreeMap<(TrackKind, u8), Track>,
    offset_ms: i64,
}

#[derive(Debug, Clone)]
struct Track {
    last: Timestamp,
    /// The last frame intervals, for their median.
    intervals: Vec<i32>,
}

/// Frame intervals remembered for the median.
const INTERVALS: usize = 31;

impl Track {
    fn interval(&self) -> i32 {
        let mut sorted = self.intervals.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(DEFAULT_INTERVAL_MS)
    }
}

impl Timeline {
    /// `raw` on the stream's timeline.
    pub(super) fn place(&self, raw: Timestamp) -> Timestamp {
        raw.shifted(self.offset_ms)
    }

    /// Notes a coded frame that was appended, with its timestamp on the timeline.
    pub(super) fn passed(&mut self, kind: TrackKind, track: u8, at: Timestamp) {
        let t = self.tracks.entry((kind, track)).or_insert_with(|| Track { last: at, intervals: Vec::new() });
        let step = at.since(t.last);
        if step > 0 && step <= MAX_STEP_MS {
            if t.intervals.len() == INTERVALS {
                t.intervals.remove(0);
            }
            t.intervals.push(step);
        }
        t.last = at;
    }

    /// Decides, from the first messages of a leg without header or alignment, whether it continues or restarted, and
    /// sets the one offset for all its tracks. Returns whether it restarted.
    pub(super) fn join(&mut self, first: &[(MediaMessage, TagInfo)]) -> bool {
        let mut firsts: BTreeMap<(TrackKind, u8), Timestamp> = BTreeMap::new();
        for (message, _) in first.iter().filter(|(_, info)| info.is_coded()) {
            for track in message.tracks() {
                firsts.entry((message.kind, track)).or_insert(message.timestamp);
            }
        }
        // The offset in force first: a leg may continue one that was itself shifted; then raw timestamps as they are.
        for offset in [self.offset_ms, 0] {
            let continues = firsts.iter().all(|(key, ts)| {
                self.tracks
                    .get(key)
                    .is_none_or(|t| (1..=MAX_STEP_MS).contains(&ts.shifted(offset).since(t.last)))
            });
            if continues {
                self.offset_ms = offset;
                return false;
            }
        }
        let Some(earliest) = firsts.values().copied().reduce(|a, b| if b.is_after(a) { a } else { b }) else {
            return false;
        };
        // Where each track wants the leg's beginning: video one frame interval after its last frame, the others
        // anywhere after theirs. A track not seen yet may begin as early as the earliest does.
        let wanted = self.tracks.iter().map(|(key, t)| {
            let first = firsts.get(key).copied().unwrap_or(earliest);
            let step = if key.0 == TrackKind::Video { t.interval() } else { 1 };
            t.last.shifted(i64::from(step)).shifted(-i64::from(first.as_millis()))
        });
        if let Some(offset) = wanted.reduce(Timestamp::later) {
            self.offset_ms = i64::from(offset.as_millis());
        }
        true
    }
}
