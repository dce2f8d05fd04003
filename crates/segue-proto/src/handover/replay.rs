//! The replay buffer: what a publisher may have to send again, in the order it was given. Owns the numbering of the
//! stream (serial of every message, index of every media message), which messages are media boundaries, and the
//! configuration in force at each of them. Knows no connections: who has sent or acknowledged what is told to
//! [`Replay::trim`].

use std::collections::VecDeque;
use std::time::Duration;

use crate::leg::Position;
use crate::media::{Config, ConfigSet, Content, LeadTrack, MediaMessage, TrackKind};
use crate::time::Moment;
use crate::timestamp::Timestamp;

/// At least this much is kept, acknowledged or not: a server may go with the last of what it acknowledged unserved.
pub const MIN_SPAN: Duration = Duration::from_secs(5);
/// Nothing older than this is kept, measured by arrival against the newest message.
pub const MAX_SPAN: Duration = Duration::from_secs(30);
/// No more bytes than this are kept.
pub const MAX_BYTES: usize = 64 << 20;
/// What a message costs beside its payload, so that empty messages are bounded too.
const MESSAGE_COST: usize = 96;

/// One message of the buffer.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The message.
    pub message: MediaMessage,
    /// Where it stands; configuration stands where the next media message does.
    pub position: Position,
    /// Whether the ledger counts it: everything but configuration.
    pub is_media: bool,
    /// Whether a leg may begin with it.
    pub is_boundary: bool,
    /// When it was pushed.
    pub arrived: Moment,
}

/// The buffer. *Serials* number all its messages, configuration included, from 0.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    entries: VecDeque<Entry>,
    first: u64,
    bytes: usize,
    /// Configuration in force before the first entry.
    base: ConfigSet,
    /// Serials of the boundaries that are still here.
    boundaries: VecDeque<u64>,
    lead: LeadTrack,
    index: u64,
    keyframes: u64,
    last_timestamp: Timestamp,
}

impl Replay {
    /// Whether a leg may begin with `message`: see [`LeadTrack::is_boundary`].
    pub fn is_boundary(&self, message: &MediaMessage) -> bool {
        self.lead.is_boundary(message, &message.info())
    }

    /// Appends `message` and returns its serial. A leg header is not for passing on: `None`.
    pub fn push(&mut self, message: MediaMessage, now: Moment) -> Option<u64> {
        let info = message.info();
        if info.content == Content::Config(Config::LegHeader) {
            return None;
        }
        let is_boundary = self.lead.is_boundary(&message, &info);
        let is_config = matches!(info.content, Content::Config(_));
        let no_video_yet = self.lead.id().is_none();
        self.lead.passed(&message, &info);
        if no_video_yet && self.lead.id().is_some() {
            // Audio frames that came before are no place to begin at any more.
            self.boundaries.clear();
        }
        let serial = self.end();
        let position =
            Position { index: self.index, keyframes: self.keyframes, timestamp: message.timestamp };
        self.bytes += message.payload.len() + MESSAGE_COST;
        if !is_config {
            self.index += 1;
            self.last_timestamp = message.timestamp;
            self.keyframes += u64::from(is_boundary && message.kind == TrackKind::Video);
        }
        if is_boundary {
            self.boundaries.push_back(serial);
        }
        self.entries.push_back(Entry { message, position, is_media: !is_config, is_boundary, arrived: now });
        Some(serial)
    }

    /// The serial of the oldest message here.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The serial that the next message will have.
    pub fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Bytes held, with what each message costs beside its payload.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Media messages pushed since the stream began.
    pub fn total(&self) -> u64 {
        self.index
    }

    /// The message of that serial, if it is still here.
    pub fn get(&self, serial: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(serial.checked_sub(self.first)?).ok()?)
    }

    /// Where the message of that serial stands; for the end, where the next message will, with the last timestamp.
    pub fn position(&self, serial: u64) -> Position {
        match self.get(serial.max(self.first)) {
            Some(entry) => entry.position,
            None => Position { index: self.index, keyframes: self.keyframes, timestamp: self.last_timestamp },
        }
    }

    /// The configuration in force just before the message of that serial, with what stands directly before it.
    pub fn config_at(&self, serial: u64) -> ConfigSet {
        let mut set = self.base.clone();
        let before = serial.saturating_sub(self.first);
        for entry in self.entries.iter().take(usize::try_from(before).unwrap_or(usize::MAX)) {
            if !entry.is_media {
                set.set(&entry.message, &entry.message.info());
            }
        }
        set
    }

    /// The last boundary at or before `serial` that is still here.
    pub fn boundary_before(&self, serial: u64) -> Option<u64> {
        let n = self.boundaries.partition_point(|&boundary| boundary <= serial);
        n.checked_sub(1).and_then(|n| self.boundaries.get(n)).copied()
    }

    /// The first boundary at or after `serial`.
    pub fn boundary_after(&self, serial: u64) -> Option<u64> {
        let n = self.boundaries.partition_point(|&boundary| boundary < serial);
        self.boundaries.get(n).copied()
    }

    /// The first message that arrived less than [`MIN_SPAN`] before `now`; the end, if none did.
    pub fn recent(&self, now: Moment) -> u64 {
        let from = now - MIN_SPAN;
        self.first + self.entries.partition_point(|entry| entry.arrived < from) as u64
    }

    /// Lets go of what nobody needs: everything before the last boundary at or before `unproven` (the first message that
    /// some server may not have), but for the last whole GOP and [`MIN_SPAN`]. Then, whether needed or not, whole GOPs,
    /// oldest first, until [`MAX_BYTES`] and [`MAX_SPAN`] are kept; of a GOP that alone exceeds them, single messages.
    pub fn trim(&mut self, unproven: u64) {
        let Some(newest) = self.entries.back().map(|entry| entry.arrived) else { return };
        let last_whole = self.boundaries.len().checked_sub(2).and_then(|n| self.boundaries.get(n)).copied();
        let needed = unproven.min(self.recent(newest));
        if let (Some(needed), Some(last_whole)) = (self.boundary_before(needed), last_whole) {
            self.drop_before(needed.min(last_whole));
        }
        while self.is_over_bounds(newest) {
            match self.boundary_after(self.first + 1) {
                Some(next_gop) => self.drop_before(next_gop),
                None => self.drop_before(self.first + 1),
            }
        }
    }

    fn is_over_bounds(&self, newest: Moment) -> bool {
        let oldest = self.entries.front().map_or(newest, |entry| entry.arrived);
        self.entries.len() > 1 && (self.bytes > MAX_BYTES || newest.since(oldest) > MAX_SPAN)
    }

    fn drop_before(&mut self, serial: u64) {
        while self.first < serial {
            let Some(entry) = self.entries.pop_front() else { return };
            self.first += 1;
            self.bytes -= entry.message.payload.len() + MESSAGE_COST;
            if !entry.is_media {
                self.base.set(&entry.message, &entry.message.info());
            }
            if self.boundaries.front().is_some_and(|&boundary| boundary < self.first) {
                self.boundaries.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn video(key: bool, ts: u32, size: usize) -> MediaMessage {
        let mut payload = vec![if key { 0x17 } else { 0x27 }, 1, 0, 0, 0];
        payload.resize(size.max(5), 0);
        MediaMessage::new(TrackKind::Video, Timestamp::from_millis(ts), payload.into())
    }

    fn audio(ts: u32) -> MediaMessage {
        MediaMessage::new(TrackKind::Audio, Timestamp::from_millis(ts), Bytes::from_static(b"\xaf\x01\x21"))
    }

    fn header(byte: u8) -> MediaMessage {
        MediaMessage::new(TrackKind::Video, Timestamp::ZERO, vec![0x17, 0, 0, 0, 0, byte].into())
    }

    fn at(ms: u64) -> Moment {
        Moment::from_micros(ms * 1000)
    }

    /// A GOP of `frames` frames, 100 ms apart, from `from` ms on.
    fn gop(replay: &mut Replay, from: u64, frames: u64, size: usize) {
        for n in 0..frames {
            let ms = from + n * 100;
            replay.push(video(n == 0, ms as u32, size), at(ms)).unwrap();
        }
    }

    #[test]
    fn configuration_has_a_serial_but_no_index() {
        let mut replay = Replay::default();
        assert_eq!(replay.push(header(1), at(0)), Some(0));
        assert_eq!(replay.push(video(true, 40, 9), at(0)), Some(1));
        assert_eq!(replay.push(header(2), at(0)), Some(2));
        assert_eq!(replay.push(video(false, 80, 9), at(0)), Some(3));
        let position = replay.position(3);
        assert_eq!((position.index, position.keyframes, position.timestamp.as_millis()), (1, 1, 80));
        assert_eq!((replay.position(4).index, replay.total()), (2, 2));
        let config = |serial| replay.config_at(serial).messages().map(|m| m.payload[5]).collect::<Vec<_>>();
        assert_eq!((config(0), config(1), config(2), config(3)), (vec![], vec![1], vec![1], vec![2]));
    }

    #[test]
    fn a_leg_header_in_the_input_is_not_passed_on() {
        let mut replay = Replay::default();
        let leg =
            MediaMessage::new(TrackKind::Data, Timestamp::ZERO, Bytes::from_static(b"\x02\0\x0aonSegueLeg"));
        assert_eq!(replay.push(leg, at(0)), None);
        assert_eq!(replay.end(), 0);
    }

    #[test]
    fn audio_frames_are_boundaries_until_there_is_video() {
        let mut replay = Replay::default();
        replay.push(audio(0), at(0));
        assert_eq!(replay.boundary_before(0), Some(0));
        replay.push(header(1), at(0));
        assert!(replay.is_boundary(&audio(20)), "video is only announced");
        assert!(replay.is_boundary(&video(true, 40, 9)));
        assert!(!replay.is_boundary(&video(false, 40, 9)));
        assert!(!replay.is_boundary(&header(1)));
        replay.push(video(false, 40, 9), at(0));
        assert!(!replay.is_boundary(&audio(60)));
        assert_eq!(replay.boundary_before(2), None);
    }

    #[test]
    fn h16_only_the_lead_track_makes_boundaries() {
        let mut replay = Replay::default();
        let key = |track| {
            let payload = [b"\x96\x01avc1".as_slice(), &[track, 0]].concat();
            MediaMessage::new(TrackKind::Video, Timestamp::ZERO, payload.into())
        };
        // Headers come in the tracks' own order, and lead nothing.
        let header = |track| {
            let payload = [b"\x96\x00avc1".as_slice(), &[track, 1]].concat();
            MediaMessage::new(TrackKind::Video, Timestamp::ZERO, payload.into())
        };
        for message in [header(3), header(1), key(1), key(3), key(3), key(1)] {
            replay.push(message, at(0));
        }
        let boundaries: Vec<_> = (0..6).map(|serial| replay.get(serial).unwrap().is_boundary).collect();
        assert_eq!(boundaries, [false, false, true, false, false, true]);
        assert_eq!(replay.position(6).keyframes, 2);
    }

    #[test]
    fn what_is_acknowledged_goes_but_for_a_whole_gop_and_five_seconds() {
        let mut replay = Replay::default();
        for n in 0..10 {
            gop(&mut replay, n * 1000, 10, 9);
        }
        replay.trim(0);
        assert_eq!(replay.first(), 0, "nothing is acknowledged");
        replay.trim(100);
        // The newest came at 9.9 s: what came from 4.9 s on stays, from its keyframe at 4 s.
        assert_eq!(replay.first(), 40);
        gop(&mut replay, 20_000, 100, 9);
        replay.trim(200);
        // All of the last 5 s belong to a GOP that is not whole: the one before it stays, too.
        assert_eq!(replay.first(), 90);
    }

    #[test]
    fn an_unproven_message_holds_its_gop() {
        let mut replay = Replay::default();
        for n in 0..20 {
            gop(&mut replay, n * 1000, 10, 9);
        }
        replay.trim(15);
        assert_eq!(replay.first(), 10);
    }

    #[test]
    fn thirty_seconds_are_kept_and_no_more() {
        let mut replay = Replay::default();
        replay.push(header(1), at(0));
        replay.push(video(true, 0, 9), at(0));
        replay.push(video(true, 1, 9), at(1));
        replay.push(video(true, 2, 9), at(30_000));
        replay.trim(0);
        assert_eq!(replay.first(), 0, "at the bound");
        replay.push(video(false, 3, 9), at(30_001));
        replay.trim(0);
        // The first drop takes what stands before the first boundary, the second a whole GOP.
        assert_eq!(replay.first(), 2);
        assert_eq!(replay.config_at(2).messages().count(), 1, "the header is still known");
    }

    #[test]
    fn sixty_four_mebibytes_are_kept_and_no_more() {
        let mut replay = Replay::default();
        let size = (MAX_BYTES / 4) - MESSAGE_COST;
        for n in 0..4 {
            replay.push(video(n % 2 == 0, n, size), at(u64::from(n)));
        }
        replay.trim(0);
        assert_eq!((replay.first(), replay.bytes()), (0, MAX_BYTES), "at the bound");
        replay.push(video(false, 9, 5), at(9));
        replay.trim(0);
        assert_eq!(replay.first(), 2, "one past it a whole GOP goes");
    }

    /// Configuration counts like any message, and of what went by only what is in force stays.
    #[test]
    fn i3_large_configuration_between_tiny_frames_is_bounded() {
        let mut replay = Replay::default();
        for n in 0..400u32 {
            let mut payload = [&b"\x02\0\x0aonMetaData"[..], &n.to_be_bytes()].concat();
            payload.resize(512 << 10, 0);
            replay.push(MediaMessage::new(TrackKind::Data, Timestamp::ZERO, payload.into()), at(n.into()));
            replay.push(video(n % 10 == 0, n, 9), at(n.into()));
            replay.trim(0);
            let entries: usize = replay.entries.iter().map(|entry| entry.message.payload.len()).sum();
            let base: usize = replay.base.messages().map(|message| message.payload.len()).sum();
            assert!(entries <= MAX_BYTES && base <= ConfigSet::MAX_BYTES, "{entries} and {base} bytes");
        }
        assert!(replay.first() > 0);
    }

    #[test]
    fn h01_of_an_endless_gop_single_messages_go() {
        let mut replay = Replay::default();
        gop(&mut replay, 0, 311, 9);
        replay.trim(0);
        assert_eq!(replay.first(), 10);
        assert_eq!(replay.boundary_before(u64::MAX), None);
    }
}
