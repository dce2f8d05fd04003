//! The stream log as a sequence of operations on several connections: epochs only rise, the index has no holes but where
//! an entry says so, nothing is written by whom it was taken from, bytes stay within the bounds, and every wait ends. Where
//! the legs tell the truth (`counted`), each message is the one that its index says.

mod counted;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use segue_proto::leg::{LegHeader, Position, ResumeToken};
use segue_proto::log::{
    Bounds, Config, ConnId, Counts, ENTRY_COST, Epoch, Event, LegEnd, MAX_CANDIDATES, Read, Request, Start,
    Stream,
};
use segue_proto::media::{Content, MediaMessage};
use segue_proto::session::Resume;
use segue_proto::{Moment, Timestamp, TrackKind};

use crate::input::Input;

/// Small, so that they are met.
fn config() -> Config {
    Config {
        bounds: Bounds { min_gops: 2, min_span: Duration::from_secs(2), max_bytes: 40 * ENTRY_COST },
        hold_bytes: 4000,
        ..Config::default()
    }
}

/// Bytes of a message's payload, at most.
const MAX_PAYLOAD: usize = 2048;
/// Connections of one input.
const MAX_CONNS: u64 = 24;

/// What an input of legs that tell the truth begins with.
const COUNTED: u8 = 0xff;

/// Operations, a few bytes each.
pub fn stream_log(data: &[u8]) {
    let mut input = Input::new(data);
    if let [COUNTED, rest @ ..] = data {
        return counted::counted(Input::new(rest));
    }
    let stream = Stream::new(config(), [9; 16]);
    let cursor = stream.start(Start::Oldest);
    let mut run = Run {
        stream,
        now: Moment::from_micros(1_000_000),
        conns: 0,
        cursor,
        last: None,
        epoch: Epoch::default(),
        counts: Counts::default(),
        given: 0,
        gone: BTreeSet::new(),
        ended: BTreeSet::new(),
        asked: BTreeSet::new(),
        over: None,
    };
    while !input.is_empty() {
        run.step(&mut input);
        run.events();
        run.read();
        run.sound();
    }
    run.ends();
}

struct Run {
    stream: Stream,
    now: Moment,
    conns: u64,
    /// Of a reader that reads all there is.
    cursor: segue_proto::log::Cursor,
    /// What it read last: seq, epoch, position, whether a keyframe.
    last: Option<(u64, Epoch, Position, bool)>,
    epoch: Epoch,
    counts: Counts,
    /// Messages and headers given to the stream.
    given: u64,
    /// Connections that were refused or fenced.
    gone: BTreeSet<ConnId>,
    /// Connections that have ended.
    ended: BTreeSet<ConnId>,
    /// Connections that wait for their answer.
    asked: BTreeSet<ConnId>,
    /// Once the stream is over, where it ended.
    over: Option<u64>,
}

impl Run {
    fn step(&mut self, input: &mut Input<'_>) {
        let (op, argument) = (input.u8(), input.u8());
        let conn = ConnId(u64::from(argument) % self.conns.max(1));
        match op % 16 {
            0 | 1 if self.conns < MAX_CONNS => {
                let conn = ConnId(self.conns);
                self.conns += 1;
                let principal = if argument & 0x0f == 0x0f { "other" } else { "app/key" }.to_owned();
                self.asked.insert(conn);
                self.stream.publish(Request { conn, principal, segue: argument & 0x10 != 0 }, self.now);
            }
            2..=10 if self.ended.contains(&conn) => {}
            2 | 3 => {
                let token = ResumeToken([input.u8() % 3; 16]);
                let (leg, index) = (u32::from(input.u8() % 8), input.number());
                let position = Position { index, keyframes: index / 2, timestamp: Timestamp::ZERO };
                self.given += 1;
                self.stream.leg_header(conn, LegHeader { token, leg, position }, self.now);
            }
            4..=10 => {
                let message = message(op, input);
                let gone = self.gone.contains(&conn);
                let (before, fenced) = (self.stream.next_seq(), self.stream.counts().fenced);
                self.given += 1;
                let is_media = message.info().is_media();
                self.stream.append(conn, message, self.now);
                if gone {
                    assert_eq!(self.stream.next_seq(), before, "a connection without the claim wrote");
                    assert_eq!(self.stream.counts().fenced - fenced, u64::from(is_media));
                }
            }
            11 => self.stream.told(conn, self.now),
            12 if self.conns > 0 => {
                let end = if op & 0x80 == 0 { LegEnd::Lost } else { LegEnd::Finished };
                self.stream.end(conn, end, self.now);
                // It keeps its word: nothing more comes of it, though what waits may still be granted.
                self.ended.insert(conn);
            }
            13 => self.now = self.now + Duration::from_millis(u64::from(argument) * 20),
            _ => {
                if let Some(due) = self.stream.wake_at() {
                    self.now = self.now.max(due);
                    self.stream.handle_timeout(self.now);
                    assert!(
                        self.stream.wake_at().is_none_or(|next| next > self.now),
                        "it would be woken for ever"
                    );
                }
            }
        }
    }

    fn events(&mut self) {
        while let Some(event) = self.stream.poll_event() {
            match event {
                Event::Granted { conn } => {
                    assert!(self.asked.remove(&conn), "granted twice, or not asked");
                    assert!(!self.gone.contains(&conn));
                }
                Event::Refused { conn, .. } => {
                    self.asked.remove(&conn);
                    assert!(self.stream.refuses(conn));
                    self.gone.insert(conn);
                }
                Event::Fenced { conn } => {
                    assert!(self.stream.refuses(conn) && self.stream.publisher() != Some(conn));
                    self.gone.insert(conn);
                }
                Event::Spliced(splice) => assert!(splice.epoch <= self.stream.epoch()),
                Event::LegEnded { conn, epoch, .. } => {
                    assert!(epoch <= self.stream.epoch() && self.stream.publisher() != Some(conn));
                    self.gone.insert(conn);
                }
                Event::Ended => {
                    assert!(self.stream.is_over() && self.over.is_none(), "over once");
                    self.over = Some(self.stream.next_seq());
                }
                Event::Appended => assert!(self.stream.next_seq() > 0),
                Event::Lost { missing, .. } => assert!(missing > 0),
            }
        }
    }

    fn read(&mut self) {
        loop {
            let entry = match self.stream.read(&mut self.cursor) {
                Read::Entry(entry) => entry,
                Read::Lagged => {
                    self.last = None;
                    continue;
                }
                Read::Empty => return assert!(!self.stream.is_over()),
                Read::Ended => return assert!(self.stream.is_over()),
            };
            let position = entry.position;
            if let Some((seq, epoch, before, keyframe)) = self.last {
                assert_eq!(entry.seq, seq + 1);
                assert!(entry.epoch >= epoch, "legs interleave");
                if !entry.jump {
                    assert_eq!(position.index, before.index + 1, "a hole that no jump says");
                    assert_eq!(position.keyframes, before.keyframes + u64::from(keyframe));
                }
            }
            assert_eq!(position.timestamp, entry.message.timestamp);
            assert!(entry.epoch <= self.stream.epoch());
            let keyframe = entry.starts_gop && entry.message.kind == TrackKind::Video;
            assert!(!entry.starts_gop || entry.info.content == Content::Keyframe);
            self.last = Some((entry.seq, entry.epoch, position, keyframe));
        }
    }

    fn sound(&mut self) {
        let Self { stream, .. } = self;
        assert!(stream.epoch() >= self.epoch, "epochs only rise");
        self.epoch = stream.epoch();
        let counts = stream.counts();
        assert!(counts.missing >= self.counts.missing && counts.repeated >= self.counts.repeated);
        assert!(counts.fenced >= self.counts.fenced);
        self.counts = counts;
        // Each message is in the log, or known, or refused: never two of them.
        assert!(stream.next_seq() + counts.repeated + counts.fenced <= self.given);
        let max = config().bounds.max_bytes.max(ENTRY_COST + MAX_PAYLOAD);
        assert!(stream.bytes() <= max, "{} bytes", stream.bytes());
        let waiting = self.asked.difference(&self.ended).count();
        assert!(waiting <= MAX_CANDIDATES, "more wait than may");
        assert!(self.over.is_none_or(|end| stream.is_over() && stream.next_seq() == end));
        assert!(!stream.is_over() || (stream.publisher().is_none() && waiting == 0));
        if let Some(conn) = stream.publisher() {
            assert!(!stream.refuses(conn));
        }
        // Any reader that comes now gets the newest there is. One that says what it lacks may be given just that, where no
        // keyframe is kept and a publisher has set its index back.
        let lacks = stream.position().index;
        for start in [Start::Live, Start::At(Resume { stream: stream.hash(), index: lacks })] {
            let mut cursor = stream.start(start);
            assert!(cursor.next_seq() <= stream.next_seq());
            if let Read::Entry(entry) = stream.read(&mut cursor) {
                let lacked = matches!(start, Start::At(_)) && entry.position.index == lacks;
                assert!(entry.starts_gop || lacked, "a reader begins where it can decode");
            }
        }
    }

    /// Without publishers a stream is over after the grace, whatever was before.
    fn ends(&mut self) {
        let begun = self.stream.epoch() > Epoch::default();
        for conn in (0..self.conns).map(ConnId) {
            self.stream.end(conn, LegEnd::Lost, self.now);
        }
        for _ in 0..16 {
            let Some(due) = self.stream.wake_at() else { break };
            self.now = self.now.max(due);
            self.stream.handle_timeout(self.now);
        }
        self.events();
        assert!(self.stream.wake_at().is_none());
        assert!(self.stream.is_over() || !begun, "a stream that nobody writes lives on");
    }
}

fn message(op: u8, input: &mut Input<'_>) -> MediaMessage {
    // The same again often, as a leg that comes back sends it.
    let number = input.u8();
    let timestamp =
        Timestamp::from_millis(u32::from(number) * 40).shifted(if op & 0x80 != 0 { -4000 } else { 0 });
    let (kind, head): (_, &[u8]) = match number % 16 {
        0 | 4 | 8 | 12 => (TrackKind::Video, b"\x17\x01\0\0\0"),
        3 | 7 | 11 => (TrackKind::Audio, b"\xaf\x01"),
        15 => (TrackKind::Video, b"\x17\0\0\0\0"),
        13 => (TrackKind::Video, b"\x96\x11avc1\0\0\0\x01a\x01\0\0\x01b"),
        14 => (TrackKind::Data, b"\x02\0\x04note"),
        _ => (TrackKind::Video, b"\x27\x01\0\0\0"),
    };
    let len = if op & 0x40 != 0 { MAX_PAYLOAD } else { head.len() + 1 };
    let mut payload = head.to_vec();
    payload.resize(len, number);
    MediaMessage::new(kind, timestamp, Bytes::from(payload))
}
