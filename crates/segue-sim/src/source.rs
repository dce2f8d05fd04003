//! A source of synthetic media whose payloads never repeat (but for what a test asks to): video with keyframes at a
//! fixed distance, audio between, each message due at a time of its own.

use std::time::Duration;

use segue_proto::{MediaMessage, Moment, Timestamp, TrackKind};

/// What a source makes.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Video frames a second; 0 for none.
    pub fps: u32,
    /// Frames from keyframe to keyframe; `u32::MAX` for one keyframe only.
    pub gop: u32,
    /// Audio frames a second; 0 for none.
    pub audio: u32,
    /// Payload bytes of a keyframe.
    pub keyframe_bytes: usize,
    /// Of any other video frame.
    pub frame_bytes: usize,
    /// Of an audio frame.
    pub audio_bytes: usize,
    /// The first timestamp.
    pub start: Timestamp,
    /// How long it lasts.
    pub duration: Duration,
    /// Silence: all audio frames are alike.
    pub silent: bool,
    /// Composition offsets, as with B-frames.
    pub b_frames: bool,
    /// The number in the payload of the first frame of each track: sources with other numbers share no payload.
    pub first: u32,
    /// Video tracks beside the first, as E-RTMP v2 multitrack messages of one track each. Their keyframes stand elsewhere
    /// than the first track's.
    pub extra_tracks: u8,
    /// Configuration that changes: milliseconds after the start, before the media of that moment.
    pub changes: Vec<(u32, Change)>,
}

/// Which configuration changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// `onMetaData`.
    Metadata,
    /// The sequence header of the first video track.
    VideoHeader,
    /// That of audio.
    AudioHeader,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            fps: 30,
            gop: 60,
            audio: 43,
            keyframe_bytes: 20_000,
            frame_bytes: 3_000,
            audio_bytes: 300,
            start: Timestamp::ZERO,
            duration: Duration::from_secs(12),
            silent: false,
            b_frames: false,
            first: 0,
            extra_tracks: 0,
            changes: Vec::new(),
        }
    }
}

/// The `version`th metadata: an ECMA array with one number in it, or with none (AMF 0, 2.10).
fn metadata(version: u8) -> Vec<u8> {
    let mut payload = b"\x02\x00\x0aonMetaData\x08\0\0\0".to_vec();
    payload.push(version.min(1));
    if version > 0 {
        payload.extend_from_slice(b"\0\x07version\0");
        payload.extend_from_slice(&f64::from(version).to_be_bytes());
    }
    payload.extend_from_slice(b"\0\0\x09");
    payload
}

fn video_header(version: u8) -> Vec<u8> {
    let mut payload = b"\x17\0\0\0\0\x01\x64\0\x1f".to_vec();
    payload.extend((version > 0).then_some(version));
    payload
}

fn audio_header(version: u8) -> Vec<u8> {
    let mut payload = b"\xaf\0\x12\x10".to_vec();
    payload.extend((version > 0).then_some(version));
    payload
}

/// E-RTMP v2, "Enhanced Video", VideoPacketType::Multitrack with AvMultitrackType::OneTrack: the packet type that it
/// stands for, the codec and the track.
fn one_track(frame_type: u8, packet_type: u8, track: u8) -> Vec<u8> {
    [&[0x80 | frame_type << 4 | 6, packet_type], b"avc1".as_slice(), &[track]].concat()
}

impl Shape {
    /// All that the source makes, in order, each with the time after the start at which it is due. Configuration
    /// first.
    pub fn messages(&self) -> Vec<(Duration, MediaMessage)> {
        let mut all = Vec::new();
        let zero = Duration::ZERO;
        let message = |kind, ms: u32, payload: Vec<u8>| {
            MediaMessage::new(kind, self.start.shifted(i64::from(ms)), payload.into())
        };
        all.push((zero, message(TrackKind::Data, 0, metadata(0))));
        if self.fps > 0 {
            all.push((zero, message(TrackKind::Video, 0, video_header(0))));
            for track in 1..=self.extra_tracks {
                let payload = [one_track(1, 0, track).as_slice(), b"\x01\x64\0\x1f"].concat();
                all.push((zero, message(TrackKind::Video, 0, payload)));
            }
        }
        if self.audio > 0 {
            all.push((zero, message(TrackKind::Audio, 0, audio_header(0))));
        }
        let mut media = Vec::new();
        for (n, (ms, change)) in self.changes.iter().enumerate() {
            let version = n as u8 + 1;
            media.push((
                *ms,
                match change {
                    Change::Metadata => message(TrackKind::Data, *ms, metadata(version)),
                    Change::VideoHeader => message(TrackKind::Video, *ms, video_header(version)),
                    Change::AudioHeader => message(TrackKind::Audio, *ms, audio_header(version)),
                },
            ));
        }
        let total_ms = u32::try_from(self.duration.as_millis()).unwrap_or(u32::MAX);
        for n in 0.. {
            let Some(ms) = (n * 1000u32).checked_div(self.fps).filter(|ms| *ms < total_ms) else { break };
            let key = n % self.gop == 0;
            let mut payload = vec![if key { 0x17 } else { 0x27 }, 1];
            let composition: i32 = if self.b_frames { [66, 0, -33, 33][n as usize % 4] } else { 0 };
            payload.extend_from_slice(&composition.to_be_bytes()[1..]);
            payload.extend_from_slice(&(self.first + n).to_be_bytes());
            payload.resize(if key { self.keyframe_bytes } else { self.frame_bytes }, n as u8);
            media.push((ms, message(TrackKind::Video, ms, payload)));
            for track in 1..=self.extra_tracks {
                let place = n.saturating_add(u32::from(track) * 7);
                let key = n == 0 || self.gop != u32::MAX && place % self.gop.saturating_add(3) == 0;
                let mut payload = one_track(if key { 1 } else { 2 }, 1, track);
                payload.extend_from_slice(&composition.to_be_bytes()[1..]);
                payload.extend_from_slice(&(self.first + n).to_be_bytes());
                payload.resize(self.frame_bytes, n as u8);
                media.push((ms, message(TrackKind::Video, ms, payload)));
            }
        }
        for n in 0.. {
            let Some(ms) = (n * 1000u32).checked_div(self.audio).filter(|ms| *ms < total_ms) else { break };
            let mut payload = vec![0xaf, 1];
            payload.extend_from_slice(&(if self.silent { 0 } else { self.first + n }).to_be_bytes());
            payload.resize(self.audio_bytes, 0x55);
            media.push((ms, message(TrackKind::Audio, ms, payload)));
        }
        // The sort keeps the order of equals: configuration was first.
        media.sort_by_key(|(ms, _)| *ms);
        all.extend(media.into_iter().map(|(ms, m)| (Duration::from_millis(u64::from(ms)), m)));
        all
    }
}

/// A source at work: hands out what is due.
#[derive(Debug)]
pub struct Source {
    messages: Vec<(Duration, MediaMessage)>,
    next: usize,
    started: Moment,
}

impl Source {
    /// Starts at `now`.
    pub fn new(shape: &Shape, now: Moment) -> Self {
        Self { messages: shape.messages(), next: 0, started: now }
    }

    /// When the next message is due; `None` at the end.
    pub fn due(&self) -> Option<Moment> {
        self.messages.get(self.next).map(|(after, _)| self.started + *after)
    }

    /// The next message, if it is due.
    pub fn take(&mut self, now: Moment) -> Option<MediaMessage> {
        if self.due()? > now {
            return None;
        }
        let (_, message) = self.messages.get(self.next)?;
        self.next += 1;
        Some(message.clone())
    }

    /// How many messages were handed out, configuration included.
    pub fn taken(&self) -> usize {
        self.next
    }

    /// Lets `skip` pass over the next message: it counts as made, and is never handed out.
    pub fn skip(&mut self) {
        self.next += 1;
    }

    /// The next message, due or not.
    pub fn peek(&self) -> Option<&MediaMessage> {
        self.messages.get(self.next).map(|(_, message)| message)
    }

    /// All that it makes, handed out or not, with the moment at which each is due.
    pub fn schedule(&self) -> impl Iterator<Item = (Moment, &MediaMessage)> {
        self.messages.iter().map(|(after, message)| (self.started + *after, message))
    }

    /// All that it makes, handed out or not.
    pub fn all(&self) -> impl Iterator<Item = &MediaMessage> {
        self.messages.iter().map(|(_, m)| m)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_media() {
        let shape = Shape { duration: Duration::from_secs(1), gop: 10, ..Shape::default() };
        let source = Source::new(&shape, Moment::ORIGIN);
        let keyframes =
            source.all().filter(|m| m.kind == TrackKind::Video && m.payload[..2] == [0x17, 1]).count();
        assert_eq!(source.all().count(), 3 + 30 + 43);
        assert_eq!(keyframes, 3);
        let mut payloads: Vec<_> = source.all().map(|m| m.payload.clone()).collect();
        payloads.sort();
        payloads.dedup();
        assert_eq!(payloads.len(), 76, "no payload repeats");
    }

    #[test]
    fn further_tracks_have_keyframes_of_their_own() {
        let shape = Shape {
            duration: Duration::from_secs(1),
            gop: 10,
            extra_tracks: 1,
            audio: 0,
            ..Shape::default()
        };
        let keyframes = |track| {
            let key = move |(_, m): &(Duration, MediaMessage)| {
                m.info().track == track && m.info().content == segue_proto::media::Content::Keyframe
            };
            shape.messages().into_iter().filter(key).map(|(_, m)| m.timestamp.as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(keyframes(0), [0, 333, 666]);
        assert_eq!(keyframes(1), [0, 200, 633]);
    }

    #[test]
    fn a_change_comes_before_the_media_of_its_moment() {
        let changes = vec![(333, Change::VideoHeader), (333, Change::Metadata)];
        let shape = Shape { gop: 10, changes, audio: 0, ..Shape::default() };
        let at: Vec<_> =
            shape.messages().into_iter().filter(|(_, m)| m.timestamp.as_millis() == 333).collect();
        let kinds: Vec<_> = at.iter().map(|(_, m)| (m.kind, m.info().is_media())).collect();
        assert_eq!(kinds, [(TrackKind::Video, false), (TrackKind::Data, false), (TrackKind::Video, true)]);
    }
}
