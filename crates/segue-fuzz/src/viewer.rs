//! The viewer's joining of legs as a sequence of operations. Servers deliver what one source made, from anywhere in it on,
//! at any pace, with gaps, and end; as long as they say truly where they stand, every message comes out once and in
//! order, behind the configuration that decodes it, and what is missing is counted to the message.

use std::collections::BTreeMap;

use bytes::Bytes;
use segue_proto::handover::viewer::{LegId, MAX_HELD_BYTES, Output, Viewer};
use segue_proto::leg::{PlayPosition, Position, StreamHash};
use segue_proto::media::MediaMessage;
use segue_proto::{Timestamp, TrackKind};

use crate::input::Input;

/// Messages that one input may have delivered.
const MAX_MESSAGES: usize = 1024;

/// A mode, then operations of two bytes.
pub fn viewer(data: &[u8]) {
    let mut input = Input::new(data);
    let honest = input.u8() & 1 == 0;
    let mut run = Run {
        viewer: Viewer::new(),
        legs: BTreeMap::new(),
        config: None,
        last: None,
        count: 0,
        missing: 0,
        honest,
        delivered: 0,
    };
    let mut next_id = 0;
    while !input.is_empty() && run.delivered < MAX_MESSAGES {
        let (op, argument) = (input.u8(), input.u8());
        let leg = LegId(u64::from(argument) % next_id.max(1));
        match op % 8 {
            0 => {
                run.viewer.begin(LegId(next_id));
                run.legs.insert(LegId(next_id), Leg { at: u64::from(argument), config: None });
                if honest || argument & 1 == 0 {
                    run.position(LegId(next_id), StreamHash([1; 8]));
                }
                next_id += 1;
            }
            // It lost some, and says so.
            1 => {
                if let Some(Leg { at, .. }) = run.legs.get_mut(&leg) {
                    *at += u64::from(op >> 3) % 4;
                    let stream = if honest { [1; 8] } else { [op >> 5; 8] };
                    run.position(leg, StreamHash(stream));
                }
            }
            2 => {
                run.viewer.end(leg);
                run.legs.remove(&leg);
            }
            3 if !honest => {
                // Any message at all.
                let message = source(u64::from(op), u64::from(argument));
                let _ = run.viewer.message(leg, message);
            }
            _ => run.deliver(leg, 1 + u64::from(op >> 3) % 8),
        }
        run.drain();
    }
}

/// A server that delivers.
#[derive(Default)]
struct Leg {
    /// Where it stands in the source.
    at: u64,
    /// The configuration that it sent last.
    config: Option<u8>,
}

struct Run {
    viewer: Viewer,
    legs: BTreeMap<LegId, Leg>,
    /// The configuration that came out last.
    config: Option<u8>,
    /// The source's number of the last message that came out.
    last: Option<u64>,
    count: u64,
    missing: u64,
    honest: bool,
    delivered: usize,
}

impl Run {
    fn position(&mut self, leg: LegId, stream: StreamHash) {
        let Some(index) = self.legs.get(&leg).map(|leg| leg.at) else { return };
        let position = Position { index, keyframes: index / 4, timestamp: Timestamp::ZERO };
        self.viewer.position(leg, PlayPosition { stream, position });
    }

    fn deliver(&mut self, leg: LegId, many: u64) {
        let Some(Leg { at, config }) = self.legs.get_mut(&leg) else { return };
        self.delivered += many as usize;
        for _ in 0..many {
            let message = source(*at, *at);
            // Before what needs it, as servers do, and before a keyframe again and again.
            if *at % 4 == 0 || *config != Some(config_of(*at)) {
                *config = Some(config_of(*at));
                let header = Bytes::copy_from_slice(&[0x17, 0, 0, 0, 0, config_of(*at)]);
                let _ =
                    self.viewer.message(leg, MediaMessage::new(TrackKind::Video, message.timestamp, header));
            }
            *at += 1;
            if self.viewer.message(leg, message).is_err() {
                // Given up, as the caller is told to.
                self.legs.remove(&leg);
                return;
            }
        }
    }

    fn drain(&mut self) {
        let mut bytes = 0;
        while let Some(output) = self.viewer.poll() {
            match output {
                Output::Media(message) if message.info().is_media() => {
                    self.count += 1;
                    bytes += message.payload.len();
                    if self.honest {
                        self.media(&message);
                    }
                }
                Output::Media(message) => self.config = message.payload.last().copied(),
                Output::Joined(join) if self.honest => {
                    assert!(join.missing.is_some(), "the indexes tell");
                }
                Output::CaughtUp(_) | Output::Leads(_) | Output::Joined(_) => {}
            }
        }
        assert!(bytes <= 2 * MAX_HELD_BYTES, "more than can be held comes out at once");
        assert_eq!(self.viewer.count(), self.count);
        if self.honest {
            assert_eq!(self.viewer.missing(), self.missing, "counted to the message");
            assert_eq!(self.viewer.resume().map(|resume| resume.index), self.last.map(|last| last + 1));
        }
    }

    fn media(&mut self, message: &MediaMessage) {
        let number = message.timestamp.as_millis() / 10;
        assert_eq!(*message, source(number.into(), number.into()), "byte for byte");
        let number = u64::from(number);
        assert_eq!(self.config, Some(config_of(number)), "what decodes {number}");
        if let Some(last) = self.last {
            assert!(number > last, "{number} after {last}");
            self.missing += number - last - 1;
        }
        self.last = Some(number);
        assert_eq!(self.viewer_last(), Some(message.timestamp.as_millis()));
    }

    fn viewer_last(&self) -> Option<u32> {
        // The last that was put out is at or behind the one that is drained.
        let last = self.viewer.last()?;
        self.last.map(|number| (number * 10) as u32).filter(|ms| *ms <= last.as_millis())
    }
}

/// The source's configuration at this message: another every eight.
fn config_of(number: u64) -> u8 {
    (number / 8) as u8
}

/// The source's message of this number: every fourth a keyframe, and as many sound.
fn source(number: u64, contents: u64) -> MediaMessage {
    let timestamp = Timestamp::from_millis((number * 10) as u32);
    let (kind, head) = match number % 4 {
        0 => (TrackKind::Video, [0x17, 1]),
        3 => (TrackKind::Audio, [0xaf, 1]),
        _ => (TrackKind::Video, [0x27, 1]),
    };
    MediaMessage::new(kind, timestamp, [&head[..], &contents.to_be_bytes()].concat().into())
}
