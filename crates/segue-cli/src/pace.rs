//! When a file's messages are due, and what their timestamps are when the file is played over and over.

use std::collections::BTreeMap;
use std::time::Duration;

use segue_proto::{MediaMessage, Timestamp, TrackKind};
use tokio::time::Instant;

/// Sends a file at the speed of its timestamps: the first message is due at once, the others when as much time has
/// passed as their timestamps say. A message that is late goes at once, and does not shift those after it.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    start: Option<(Instant, Timestamp)>,
    /// Milliseconds from the first timestamp to the last one seen; a sum of steps, so that a wrap does not matter.
    position: i64,
}

impl Pace {
    /// When the message with `timestamp`, which follows those asked about before, is due.
    pub(crate) fn due(&mut self, timestamp: Timestamp) -> Instant {
        let (start, last) = *self.start.get_or_insert_with(|| (Instant::now(), timestamp));
        self.position += i64::from(timestamp.since(last));
        self.start = Some((start, timestamp));
        start + Duration::from_millis(u64::try_from(self.position).unwrap_or(0))
    }
}

/// Timestamps of a file that is played in passes: each begins one frame interval after the end of the one before, with
/// one offset for all tracks, so that they stay in step.
#[derive(Debug, Default)]
pub(crate) struct Passes {
    /// Added to the file's timestamps.
    offset: i64,
    first: Option<Timestamp>,
    tracks: BTreeMap<(TrackKind, u8), Track>,
}

#[derive(Debug)]
struct Track {
    last: Timestamp,
    /// Between its last two messages, in ms.
    interval: i32,
}

impl Passes {
    /// Before the first message of the first pass.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The message as it is sent in this pass.
    pub(crate) fn shift(&mut self, message: MediaMessage) -> MediaMessage {
        let info = message.info();
        if info.is_media() {
            self.first.get_or_insert(message.timestamp);
            for id in message.tracks() {
                let track = self.tracks.entry((message.kind, id));
                let track = track.or_insert(Track { last: message.timestamp, interval: 0 });
                let step = message.timestamp.since(track.last);
                if step > 0 {
                    *track = Track { last: message.timestamp, interval: step };
                }
            }
        }
        MediaMessage { timestamp: message.timestamp.shifted(self.offset), ..message }
    }

    /// Whether the pass held no media: another one would be no different.
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The file begins again.
    pub(crate) fn next_pass(&mut self) {
        let Some(first) = self.first.take() else { return };
        let ends = self.tracks.values().map(|track| track.last.shifted(track.interval.into()).since(first));
        self.offset += i64::from(ends.max().unwrap_or(0).max(1));
        self.tracks.clear();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn message(kind: TrackKind, ms: u32, payload: &'static [u8]) -> MediaMessage {
        MediaMessage::new(kind, Timestamp::from_millis(ms), Bytes::from_static(payload))
    }

    #[test]
    fn due_times_follow_timestamps_through_the_wrap() {
        let mut pace = Pace::default();
        let start = pace.due(Timestamp::from_millis(u32::MAX - 10));
        assert_eq!(pace.due(Timestamp::from_millis(29)) - start, Duration::from_millis(40));
        // Audio may lie a little behind video: it is due at its own time, which has passed.
        assert_eq!(pace.due(Timestamp::from_millis(19)) - start, Duration::from_millis(30));
        assert_eq!(pace.due(Timestamp::from_millis(69)) - start, Duration::from_millis(80));
        // Before the start is at once.
        assert_eq!(pace.due(Timestamp::from_millis(u32::MAX - 500)), start);
        assert_eq!(pace.due(Timestamp::from_millis(89)) - start, Duration::from_millis(100));
    }

    #[test]
    fn passes_keep_tracks_in_step_and_monotonic() {
        let file = [
            message(TrackKind::Video, 0, b"\x17\0\0\0\0header"),
            message(TrackKind::Video, 1000, b"\x17\x01\0\0\0"),
            message(TrackKind::Audio, 1010, b"\xaf\x01"),
            message(TrackKind::Video, 1040, b"\x27\x01\0\0\0"),
            message(TrackKind::Audio, 1033, b"\xaf\x01"),
        ];
        let mut passes = Passes::new();
        let mut pass = || {
            let sent: Vec<_> = file.iter().map(|m| passes.shift(m.clone()).timestamp.as_millis()).collect();
            passes.next_pass();
            sent
        };
        assert_eq!(pass(), [0, 1000, 1010, 1040, 1033]);
        assert_eq!(pass(), [80, 1080, 1090, 1120, 1113]);
        assert_eq!(pass(), [160, 1160, 1170, 1200, 1193]);
    }

    #[test]
    fn a_single_frame_still_moves_on() {
        let mut passes = Passes::new();
        let frame = message(TrackKind::Audio, 5, b"\xaf\x01");
        assert!(passes.is_empty());
        passes.shift(frame.clone());
        assert!(!passes.is_empty());
        passes.next_pass();
        assert_eq!(passes.shift(frame).timestamp.as_millis(), 6);
    }
}
