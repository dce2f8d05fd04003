//! Legs that say truly where they stand in what one source makes: at any time, in any order, from any place, with gaps that
//! they tell of. Each message in the log is the source's of its index, behind the configuration that decodes it, and what
//! the leg that writes brings is appended or known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use segue_proto::leg::{LegHeader, Position, ResumeToken};
use segue_proto::log::{
    Config, ConnId, Cursor, ENTRY_COST, Entry, Epoch, LegEnd, Read, Request, Start, Stream,
};
use segue_proto::media::MediaMessage;
use segue_proto::{Moment, Timestamp, TrackKind};

use super::config;
use crate::input::Input;

/// Legs of one input.
const MAX_LEGS: usize = 12;
/// A message is a keyframe every so many.
const GOP: u64 = 4;
/// And configured anew every so many.
const CONFIGURED: u64 = 8;
/// Bytes of a long configuration: three are more than the log may keep.
const LONG: usize = 8000;

struct Leg {
    at: u64,
    /// It has sent its header.
    begun: bool,
    ended: bool,
    /// The configuration that it sent last.
    config: Option<u64>,
}

struct Run {
    stream: Stream,
    now: Moment,
    legs: Vec<Leg>,
    cursor: Cursor,
    last: Option<u64>,
    /// The leg whose first keyframe was read.
    keyed: Option<Epoch>,
}

/// As elsewhere, but what configures a message is much of what is kept.
fn bounds() -> Config {
    Config { hold_bytes: 20_000, ..config() }
}

/// Operations of two bytes.
pub(super) fn counted(mut input: Input<'_>) {
    let stream = Stream::new(bounds(), [9; 16]);
    let cursor = stream.start(Start::Oldest);
    let now = Moment::from_micros(1_000_000);
    let mut run = Run { stream, now, legs: Vec::new(), cursor, last: None, keyed: None };
    while !input.is_empty() {
        let (op, argument) = (input.u8(), input.u8());
        run.step(op, argument);
        while run.stream.poll_event().is_some() {}
        run.read();
        run.bounded();
    }
}

impl Run {
    fn step(&mut self, op: u8, argument: u8) {
        let (more, conn) = (u64::from(op >> 4), usize::from(argument) % self.legs.len().max(1));
        let id = ConnId(conn as u64);
        match op % 10 {
            0 if self.legs.len() < MAX_LEGS => {
                let conn = ConnId(self.legs.len() as u64);
                self.stream.publish(Request { conn, principal: "app/key".to_owned(), segue: true }, self.now);
                self.legs.push(Leg { at: argument.into(), begun: false, ended: false, config: None });
            }
            8 => self.now = self.now + Duration::from_millis(u64::from(argument) * 20),
            9 => {
                if let Some(due) = self.stream.wake_at() {
                    self.now = self.now.max(due);
                    self.stream.handle_timeout(self.now);
                }
            }
            op => {
                let Some(leg) = self.legs.get_mut(conn).filter(|leg| !leg.ended) else { return };
                match op {
                    1 => {
                        if std::mem::replace(&mut leg.begun, true) {
                            // It lost some on its side.
                            leg.at += more % 4;
                        }
                        let (index, keyframes) = (leg.at, leg.at.div_ceil(GOP));
                        let position = Position { index, keyframes, timestamp: timestamp(index) };
                        let header = LegHeader { token: ResumeToken([1; 16]), leg: conn as u32, position };
                        self.stream.leg_header(id, header, self.now);
                    }
                    6 => self.stream.told(id, self.now),
                    7 => {
                        leg.ended = true;
                        self.stream.end(id, LegEnd::Lost, self.now);
                    }
                    _ if leg.begun => (0..=more % 8).for_each(|_| self.deliver(conn)),
                    _ => {}
                }
            }
        }
    }

    fn deliver(&mut self, conn: usize) {
        let (id, leg) = (ConnId(conn as u64), &mut self.legs[conn]);
        let (at, wanted) = (leg.at, leg.at / CONFIGURED);
        leg.at += 1;
        if leg.config.replace(wanted) != Some(wanted) {
            self.stream.append(id, configuration(wanted), self.now);
        }
        // Without a count to go by, as after a leg that brought nothing, a leg's first messages wait for a keyframe.
        let writes = self.stream.publisher() == Some(id) && !self.stream.is_held(id);
        let (seq, next, counts) =
            (self.stream.next_seq(), self.stream.position().index, self.stream.counts());
        self.stream.append(id, source(at), self.now);
        // Behind it the claim may have passed, and what was held followed.
        if writes && self.stream.publisher() == Some(id) {
            let known = u64::from(at < next);
            assert_eq!(self.stream.next_seq() - seq, 1 - known, "message {at} where {next} comes next");
            assert_eq!(self.stream.counts().repeated - counts.repeated, known);
            assert_eq!(self.stream.position().index, next.max(at + 1));
        }
    }

    fn read(&mut self) {
        loop {
            match self.stream.read(&mut self.cursor) {
                Read::Entry(entry) => {
                    let index = entry.position.index;
                    assert_eq!(entry.message, source(index), "the message of index {index}");
                    assert_eq!(entry.position.keyframes, index.div_ceil(GOP));
                    assert_eq!(entry.starts_gop, index.is_multiple_of(GOP));
                    // What waits for its leg's first keyframe may find newer configuration in force then; nothing
                    // decodes it either way.
                    self.keyed = if entry.starts_gop { Some(entry.epoch) } else { self.keyed };
                    if self.keyed == Some(entry.epoch) {
                        let config: Vec<_> = entry.headers.messages().cloned().collect();
                        assert_eq!(config, [configuration(index / CONFIGURED)], "what decodes {index}");
                    }
                    if let Some(last) = self.last.replace(index) {
                        assert!(if entry.jump { index > last } else { index == last + 1 });
                    }
                }
                Read::Lagged => self.last = None,
                Read::Empty | Read::Ended => return,
            }
        }
    }

    /// What the log keeps in memory, found by a walk.
    fn bounded(&self) {
        let mut cursor = self.stream.start(Start::Oldest);
        let mut kept = BTreeMap::new();
        let mut entries = 0;
        while let Read::Entry(entry) = self.stream.read(&mut cursor) {
            entries += 1;
            kept.insert(entry.message.payload.as_ptr(), entry.message.payload.len());
            kept.extend(entry.headers.messages().map(|m| (m.payload.as_ptr(), m.payload.len())));
        }
        let bytes = kept.values().sum::<usize>() + entries * size_of::<Arc<Entry>>();
        let max = bounds().bounds.max_bytes.max(ENTRY_COST + 2 * LONG);
        assert!(bytes <= max && self.stream.bytes() <= max, "{bytes} bytes are kept");
    }
}

fn timestamp(index: u64) -> Timestamp {
    Timestamp::from_millis(index as u32 * 40)
}

/// The source's message of this index.
fn source(index: u64) -> MediaMessage {
    let head = if index.is_multiple_of(GOP) { [0x17, 1, 0, 0, 0] } else { [0x27, 1, 0, 0, 0] };
    let payload = [&head[..], &index.to_be_bytes()].concat();
    MediaMessage::new(TrackKind::Video, timestamp(index), payload.into())
}

/// The configuration of this number: a long one each second time.
fn configuration(number: u64) -> MediaMessage {
    let mut payload = [&[0x17, 0, 0, 0, 0][..], &number.to_be_bytes()].concat();
    payload.resize(if number.is_multiple_of(2) { LONG } else { payload.len() }, 0);
    MediaMessage::new(TrackKind::Video, Timestamp::ZERO, Bytes::from(payload))
}
