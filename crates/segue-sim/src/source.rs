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
        }
    }
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
        all.push((zero, message(TrackKind::Data, 0, b"\x02\x00\x0aonMetaData\x08\0\0\0\0\0\0\x09".to_vec())));
        if self.fps > 0 {
            all.push((zero, message(TrackKind::Video, 0, b"\x17\0\0\0\0\x01\x64\0\x1f".to_vec())));
        }
        if self.audio > 0 {
            all.push((zero, message(TrackKind::Audio, 0, b"\xaf\0\x12\x10".to_vec())));
        }
        let mut media = Vec::new();
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
        }
        for n in 0.. {
            let Some(ms) = (n * 1000u32).checked_div(self.audio).filter(|ms| *ms < total_ms) else { break };
            let mut payload = vec![0xaf, 1];
            payload.extend_from_slice(&(if self.silent { 0 } else { self.first + n }).to_be_bytes());
            payload.resize(self.audio_bytes, 0x55);
            media.push((ms, message(TrackKind::Audio, ms, payload)));
        }
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
}
