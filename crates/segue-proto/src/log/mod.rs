//! The stream log: one logical stream as a server holds it. A stream outlives its connections: publishers are legs
//! that come and go under it, viewers are cursors into it.
//!
//! Splice and fencing sit here and only here. [`Stream`] decides who writes ([`Epoch`]s only rise, what an older epoch
//! still sends is refused and counted), holds a new leg's media until the old leg's are all in, finds repeats, puts
//! restarted timestamps on one timeline, and counts what is missing. It knows connections by number and no bytes.
//!
//! Feed it one input, then drain [`Stream::poll_event`]; call [`Stream::handle_timeout`] at [`Stream::wake_at`].

mod entry;
mod leg;
mod ring;
mod splice;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

pub use entry::{Entry, Headers, frame};
pub use leg::{LegEnd, Request};
pub use ring::{Bounds, Cursor, Start};

use crate::leg::{LegHeader, Position, ResumeToken, StreamHash};
use crate::media::{Content, MediaMessage, TagInfo, TrackKind};
use crate::message::status;
use crate::time::{Moment, earliest};
use crate::timestamp::Timestamp;

use leg::{Candidate, Held, Hold, LastLeg, Leg, Writer};
use ring::{Found, Ring};
use splice::{Align, Timeline, Verdict};

/// A connection, as the caller numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// The right to write a stream, numbered in the order in which it was given. An older epoch's writes are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

/// What a stream keeps and how long it waits.
#[derive(Debug, Clone)]
pub struct Config {
    /// What the log keeps for readers.
    pub bounds: Bounds,
    /// A new leg's media wait at most so long for the old leg's end.
    pub hold_time: Duration,
    /// And at most so many bytes of them.
    pub hold_bytes: usize,
    /// A stream whose leg was lost lives on for so long.
    pub grace: Duration,
    /// A publisher from whom nothing came for so long may be succeeded by anyone with its principal.
    pub silence: Duration,
    /// A second publisher that announced `segue` has so long to send the leg header that entitles it.
    pub proof: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bounds: Bounds { min_gops: 2, min_span: Duration::from_secs(10), max_bytes: 64 << 20 },
            hold_time: Duration::from_secs(2),
            hold_bytes: 8 << 20,
            grace: Duration::from_secs(15),
            silence: Duration::from_secs(2),
            proof: Duration::from_secs(2),
        }
    }
}

/// Connections that may wait to write one stream at a time.
pub const MAX_CANDIDATES: usize = 4;

/// What the caller must act upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// `publish` is answered with Publish.Start.
    Granted {
        /// Whose.
        conn: ConnId,
    },
    /// `publish` is answered with this status, and the connection closed.
    Refused {
        /// Whose.
        conn: ConnId,
        /// The status code.
        code: &'static str,
        /// For a person.
        description: &'static str,
    },
    /// Another connection has the claim now: acknowledge what was taken and close this one.
    Fenced {
        /// Whose.
        conn: ConnId,
    },
    /// There are new entries to read.
    Appended,
    /// A leg begins in the log: its first message was appended, or found to be a repeat.
    Spliced(Splice),
    /// A leg is over and all of it is in the log. The next one may write already: see [`Stream::publisher`].
    LegEnded {
        /// Whose.
        conn: ConnId,
        /// Which.
        epoch: Epoch,
        /// How.
        end: LegEnd,
    },
    /// The stream is over: readers read to the end.
    Ended,
}

/// How a leg joined the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Splice {
    /// The leg's connection.
    pub conn: ConnId,
    /// Its epoch.
    pub epoch: Epoch,
    /// Whether a leg before it wrote here.
    pub follows: bool,
    /// Messages lost between the last leg and this one; a lower bound unless `exact`.
    pub missing: u64,
    /// Whether leg headers gave the count.
    pub exact: bool,
    /// The timestamp of the last message before it, on the stream's timeline.
    pub old_last: Option<Timestamp>,
    /// The timestamp of its first new message likewise.
    pub new_first: Timestamp,
    /// Its timestamps restarted and were shifted.
    pub restarted: bool,
    /// How long its first message waited in the hold.
    pub held_for: Duration,
}

/// What a reader gets.
#[derive(Debug)]
pub enum Read<'a> {
    /// The next message.
    Entry(&'a Arc<Entry>),
    /// The reader was too slow: its cursor now stands at the newest keyframe.
    Lagged,
    /// Nothing new yet.
    Empty,
    /// The stream is over and all of it was read.
    Ended,
}

/// Counters of what a stream lost or refused. They only rise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Media messages known to be missing.
    pub missing: u64,
    /// Media messages that came again and were left out.
    pub repeated: u64,
    /// Media messages that a fenced connection still sent.
    pub fenced: u64,
}

/// One logical stream.
#[derive(Debug)]
pub struct Stream {
    config: Config,
    ring: Ring,
    headers: Arc<Headers>,
    writer: Writer,
    candidates: Vec<Candidate>,
    epoch: Epoch,
    principal: Option<String>,
    /// Names the stream's count to viewers while no leg header does.
    own: ResumeToken,
    /// Names the stream's count: the publisher's token, or `own`.
    token: ResumeToken,
    next: Position,
    last_leg: Option<LastLeg>,
    /// The leg whose entries are the newest.
    last_written: Epoch,
    timeline: Timeline,
    lead_video: Option<u8>,
    jump: bool,
    counts: Counts,
    events: VecDeque<Event>,
    /// When the last boundary was appended.
    last_keyframe: Option<Moment>,
    gop: Option<Duration>,
}

impl Stream {
    /// A stream that nobody has published yet. `random` names its count to viewers while no publisher's token does.
    pub fn new(config: Config, random: [u8; 16]) -> Self {
        let own = ResumeToken(random);
        Self {
            config,
            ring: Ring::default(),
            headers: Arc::default(),
            writer: Writer::Nobody,
            candidates: Vec::new(),
            epoch: Epoch::default(),
            principal: None,
            own,
            token: own,
            next: Position::default(),
            last_leg: None,
            last_written: Epoch::default(),
            timeline: Timeline::default(),
            lead_video: None,
            jump: false,
            counts: Counts::default(),
            events: VecDeque::new(),
            last_keyframe: None,
            gop: None,
        }
    }

    // --- getters ---

    /// The hash that names the stream's count to viewers.
    pub fn hash(&self) -> StreamHash {
        self.token.hash()
    }

    /// Where the next message will stand.
    pub fn position(&self) -> Position {
        self.next
    }

    /// `seq` that the next entry will have.
    pub fn next_seq(&self) -> u64 {
        self.ring.next_seq()
    }

    /// Payload bytes that the log holds.
    pub fn bytes(&self) -> usize {
        self.ring.bytes()
    }

    /// The epoch given out last; 0 before the first.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The connection that has the claim.
    pub fn publisher(&self) -> Option<ConnId> {
        match &self.writer {
            Writer::Active(leg) => Some(leg.conn),
            _ => None,
        }
    }

    /// Whether the stream is over.
    pub fn is_over(&self) -> bool {
        matches!(self.writer, Writer::Over)
    }

    /// Whether nothing was ever appended and nobody writes or asks to: viewers may wait, nothing else holds it.
    pub fn is_unused(&self) -> bool {
        matches!(self.writer, Writer::Nobody) && self.candidates.is_empty()
    }

    /// Whether media of `conn` wait in the hold: they are received but not yet in the log.
    pub fn is_held(&self, conn: ConnId) -> bool {
        self.candidates.iter().any(|c| c.request.conn == conn)
            || matches!(&self.writer, Writer::Active(leg) if leg.conn == conn && matches!(leg.align, Align::Seeking { .. }))
    }

    /// What was lost or refused so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The configuration in force at the log's end.
    pub fn headers(&self) -> &Arc<Headers> {
        &self.headers
    }

    /// The last interval between two boundaries (keyframes of the lead video track), as they arrived.
    pub fn gop(&self) -> Option<Duration> {
        self.gop
    }

    /// The median interval between video frames, in ms.
    pub fn video_interval_ms(&self) -> Option<i32> {
        self.timeline.video_interval()
    }

    /// Whether a message is one before which the stream can be cut: a keyframe of the lead video track, or any coded
    /// audio frame where there has been no video.
    pub fn is_boundary(&self, message: &MediaMessage) -> bool {
        self.starts_gop(message, &message.info())
    }

    // --- inputs ---

    /// A connection asks to write. The answer is an event: at once, or when its leg header shows who it is.
    pub fn publish(&mut self, request: Request, now: Moment) {
        let conn = request.conn;
        if self.is_over() {
            return self.refuse(conn, "the stream has just ended");
        }
        if self.principal.as_ref().is_some_and(|p| *p != request.principal) {
            return self.refuse(conn, "the stream belongs to another publisher");
        }
        if self.candidates.len() >= MAX_CANDIDATES {
            return self.refuse(conn, "too many publishers are waiting for this stream");
        }
        let segue = request.segue;
        let candidate = Candidate {
            request,
            since: now,
            granted: None,
            header: None,
            hold: Hold::default(),
            ended: None,
            told: false,
        };
        self.candidates.push(candidate);
        let entitled = match &self.writer {
            Writer::Nobody | Writer::Between { .. } => true,
            Writer::Active(leg) => leg.told || now.since(leg.last_media) >= self.config.silence,
            Writer::Over => false,
        };
        if entitled {
            self.grant(conn, now);
        } else if !segue {
            self.drop_candidate(conn);
            self.refuse(conn, "the stream is being published");
        }
    }

    /// A leg header came from `conn`.
    pub fn leg_header(&mut self, conn: ConnId, header: LegHeader, now: Moment) {
        if let Writer::Active(leg) = &self.writer
            && leg.conn == conn
        {
            self.begin_counting(header);
            return;
        }
        let matches = header.token == self.token;
        let Some(candidate) = self.candidates.iter_mut().find(|c| c.request.conn == conn) else { return };
        if candidate.header.is_none() {
            candidate.header = Some(header);
        }
        candidate.hold.push(Held::Header(header));
        if candidate.granted.is_none() {
            if !matches {
                self.drop_candidate(conn);
                return self.refuse(conn, "the stream is being published");
            }
            self.grant(conn, now);
        }
        self.pass_if_due(now);
    }

    /// A media or configuration message came from `conn`.
    pub fn append(&mut self, conn: ConnId, message: MediaMessage, now: Moment) {
        if let Writer::Active(leg) = &mut self.writer
            && leg.conn == conn
        {
            leg.last_media = now;
            self.write(message, now, Duration::ZERO);
            self.pass_if_due(now);
            return;
        }
        let Some(candidate) = self.candidates.iter_mut().find(|c| c.request.conn == conn) else {
            if message.info().is_media() {
                self.counts.fenced += 1;
            }
            return;
        };
        if candidate.ended.is_some() {
            return;
        }
        candidate.hold.push(Held::Media(message));
        if candidate.granted.is_none() && candidate.hold.bytes > self.config.hold_bytes {
            self.drop_candidate(conn);
            return self.refuse(conn, "the stream is being published");
        }
        self.pass_if_due(now);
    }

    /// The client of `conn` was told to go: from now on its stream may be resumed by another connection.
    pub fn told(&mut self, conn: ConnId, now: Moment) {
        if let Writer::Active(leg) = &mut self.writer
            && leg.conn == conn
        {
            leg.told = true;
        }
        if let Some(candidate) = self.candidates.iter_mut().find(|c| c.request.conn == conn) {
            candidate.told = true;
        }
        let waiting: Vec<_> =
            self.candidates.iter().filter(|c| c.granted.is_none()).map(|c| c.request.conn).collect();
        if self.publisher() == Some(conn) {
            for candidate in waiting {
                self.grant(candidate, now);
            }
        }
    }

    /// `conn` will send nothing more; everything that it sent was given to [`append`](Self::append) before.
    pub fn end(&mut self, conn: ConnId, end: LegEnd, now: Moment) {
        if self.publisher() == Some(conn) {
            self.end_writer(end, now);
            return self.pass_if_due(now);
        }
        if let Some(candidate) = self.candidates.iter_mut().find(|c| c.request.conn == conn) {
            if candidate.granted.is_some() && candidate.ended.is_none() {
                candidate.ended = Some(end);
            } else if candidate.granted.is_none() {
                self.drop_candidate(conn);
            }
        }
    }

    /// The moment at which [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn wake_at(&self) -> Option<Moment> {
        let grace = match &self.writer {
            Writer::Between { since } => Some(*since + self.config.grace),
            _ => None,
        };
        self.candidates.iter().fold(grace, |wake, c| {
            earliest(
                wake,
                Some(
                    c.granted.map_or(c.since + self.config.proof, |granted| granted + self.config.hold_time),
                ),
            )
        })
    }

    /// Ends what has waited long enough: an unproven candidate, a hold, the grace.
    pub fn handle_timeout(&mut self, now: Moment) {
        let late: Vec<_> = self
            .candidates
            .iter()
            .filter(|c| c.granted.is_none() && now >= c.since + self.config.proof)
            .map(|c| c.request.conn)
            .collect();
        for conn in late {
            self.drop_candidate(conn);
            self.refuse(conn, "the stream is being published");
        }
        self.pass_if_due(now);
        if let Writer::Between { since } = &self.writer
            && now >= *since + self.config.grace
            && self.candidates.is_empty()
        {
            self.over();
        }
    }

    /// What the caller must act upon, until there is nothing more.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    // --- reading ---

    /// A reader's place.
    pub fn start(&self, start: Start) -> Cursor {
        self.ring.start(start, self.hash())
    }

    /// The next message for a reader.
    pub fn read(&self, cursor: &mut Cursor) -> Read<'_> {
        match self.ring.read(cursor) {
            Found::Entry(entry) => Read::Entry(entry),
            Found::Lagged => Read::Lagged,
            Found::End if self.is_over() => Read::Ended,
            Found::End => Read::Empty,
        }
    }

    // --- claims ---

    fn refuse(&mut self, conn: ConnId, description: &'static str) {
        self.events.push_back(Event::Refused { conn, code: status::code::PUBLISH_BAD_NAME, description });
    }

    fn drop_candidate(&mut self, conn: ConnId) -> Option<Candidate> {
        let at = self.candidates.iter().position(|c| c.request.conn == conn)?;
        Some(self.candidates.remove(at))
    }

    /// `conn` may resume the stream: it is told so, and what was granted before it is superseded.
    fn grant(&mut self, conn: ConnId, now: Moment) {
        let superseded: Vec<_> = self
            .candidates
            .iter()
            .filter(|c| c.granted.is_some() && c.request.conn != conn)
            .map(|c| c.request.conn)
            .collect();
        for old in superseded {
            if let Some(candidate) = self.drop_candidate(old) {
                self.counts.fenced += candidate.hold.messages.len() as u64;
                self.events.push_back(Event::Fenced { conn: old });
            }
        }
        if let Some(candidate) = self.candidates.iter_mut().find(|c| c.request.conn == conn) {
            candidate.granted = Some(now);
            self.principal = Some(candidate.request.principal.clone());
            self.events.push_back(Event::Granted { conn });
        }
        self.pass_if_due(now);
    }

    /// Passes the claim if the old leg has ended, or nothing of it can be missing, or the hold is spent.
    fn pass_if_due(&mut self, now: Moment) {
        let Some(candidate) = self.candidates.iter().find(|c| c.granted.is_some()) else { return };
        let spent = candidate.granted.is_some_and(|granted| now >= granted + self.config.hold_time)
            || candidate.hold.bytes > self.config.hold_bytes;
        let complete = candidate
            .header
            .is_some_and(|header| header.token == self.token && header.position.index <= self.next.index);
        let free = !matches!(self.writer, Writer::Active(_));
        if !(spent || complete || free) {
            return;
        }
        let conn = candidate.request.conn;
        if let Some(candidate) = self.drop_candidate(conn) {
            self.pass(candidate, now);
        }
    }

    fn pass(&mut self, candidate: Candidate, now: Moment) {
        if let Writer::Active(old) = &self.writer {
            let conn = old.conn;
            self.end_writer(LegEnd::Lost, now);
            self.events.push_back(Event::Fenced { conn });
        }
        self.epoch.0 += 1;
        let first = self.last_leg.is_none();
        self.writer = Writer::Active(Leg {
            conn: candidate.request.conn,
            header: None,
            align: if first { Align::Appending } else { Align::seeking() },
            joined: first,
            told: candidate.told,
            last_media: now,
        });
        let held_for = now.since(candidate.granted.unwrap_or(candidate.since));
        for held in candidate.hold.messages {
            match held {
                Held::Header(header) => self.begin_counting(header),
                Held::Media(message) => self.write(message, now, held_for),
            }
        }
        if let Some(end) = candidate.ended {
            self.end_writer(end, now);
        }
    }

    /// The active leg says where its next message stands.
    fn begin_counting(&mut self, header: LegHeader) {
        let Writer::Active(leg) = &mut self.writer else { return };
        let again = leg.header.is_some_and(|h| h.leg == header.leg);
        let known = header.token == self.token;
        let index = header.position.index;
        if known && index > self.next.index {
            let follows =
                again || self.last_leg.is_some_and(|l| l.number.is_some_and(|n| n + 1 == header.leg));
            if follows {
                self.counts.missing += index - self.next.index;
            }
        }
        leg.header = Some(header);
        if known || self.last_leg.is_none() {
            leg.align = Align::Indexed { next: index };
            leg.joined = true;
            self.token = header.token;
            if index > self.next.index || !known {
                self.jump |= !known || index != self.next.index;
                self.next.index = index;
                self.next.keyframes = header.position.keyframes;
            }
        } else {
            // Another source under the same name: its count replaces ours, its media are aligned as without header.
            self.token = header.token;
            self.next.index = index;
            self.next.keyframes = header.position.keyframes;
            self.jump = true;
        }
    }

    fn end_writer(&mut self, end: LegEnd, now: Moment) {
        let Writer::Active(leg) = &mut self.writer else { return };
        let leftover = leg.align.give_up();
        if !leftover.is_empty() {
            self.join_and_append(leftover, now, Duration::ZERO);
        }
        let Writer::Active(leg) = std::mem::replace(&mut self.writer, Writer::Between { since: now }) else {
            return;
        };
        self.last_leg = Some(LastLeg { number: leg.header.map(|h| h.leg), told: leg.told });
        self.events.push_back(Event::LegEnded { conn: leg.conn, epoch: self.epoch, end });
        if end == LegEnd::Finished && !self.candidates.iter().any(|c| c.granted.is_some()) {
            self.over();
        }
    }

    fn over(&mut self) {
        self.writer = Writer::Over;
        for candidate in std::mem::take(&mut self.candidates) {
            self.refuse(candidate.request.conn, "the stream has just ended");
        }
        self.events.push_back(Event::Ended);
    }

    /// Whether the last leg's client had been told to go when it ended.
    pub fn last_leg_was_told(&self) -> bool {
        self.last_leg.is_some_and(|l| l.told)
    }

    // --- writing ---

    /// A message of the active leg.
    fn write(&mut self, message: MediaMessage, now: Moment, held_for: Duration) {
        let info = message.info();
        if !info.is_media() {
            let mut headers = Headers::clone(&self.headers);
            if headers.set(&message, &info) {
                self.headers = Arc::new(headers);
            }
            return;
        }
        let look_in = self.last_written;
        let Writer::Active(leg) = &mut self.writer else { return };
        let (verdict, repeats) = leg.align.judge(message, &info, &self.ring, self.next.index, look_in);
        if repeats > 0 {
            // Without a header, only an alignment finds repeats: the leg is on the timeline of the one it repeats.
            leg.joined = true;
            self.counts.repeated += repeats;
            if leg.header.is_some() && !matches!(leg.align, Align::Indexed { .. }) {
                // Its header named the index of its first message, and these were the first.
                self.next.index += repeats;
            }
        }
        if let Verdict::Append(messages) = verdict {
            self.join_and_append(messages, now, held_for);
        }
    }

    /// Appends messages that are new, after putting the leg on the timeline if it is not there yet.
    fn join_and_append(&mut self, messages: Vec<MediaMessage>, now: Moment, held_for: Duration) {
        let with_info: Vec<_> = messages
            .into_iter()
            .map(|message| {
                let info = message.info();
                (message, info)
            })
            .collect();
        let Writer::Active(leg) = &mut self.writer else { return };
        let conn = leg.conn;
        let counted = matches!(leg.align, Align::Indexed { .. });
        let mut restarted = false;
        if !std::mem::replace(&mut leg.joined, true) {
            restarted = self.timeline.join(&with_info);
        }
        if !counted && leg.header.is_none() && self.token != self.own {
            // A leg that does not count by the token takes the stream out of that count.
            self.token = self.own;
            self.jump = true;
        }
        for (message, info) in with_info {
            if self.last_written != self.epoch {
                self.note_splice(conn, &message, restarted, held_for);
            }
            self.push(message, info, now);
        }
        if self.events.back() != Some(&Event::Appended) {
            self.events.push_back(Event::Appended);
        }
    }

    fn note_splice(&mut self, conn: ConnId, first: &MediaMessage, restarted: bool, held_for: Duration) {
        let Writer::Active(leg) = &self.writer else { return };
        let exact = matches!(leg.align, Align::Indexed { .. });
        let expected = self.ring.last().map_or(0, |e| e.position.index + 1);
        let directly = match (leg.header, self.last_leg) {
            (Some(header), Some(last)) => last.number.is_some_and(|n| n + 1 == header.leg),
            _ => false,
        };
        self.events.push_back(Event::Spliced(Splice {
            conn,
            epoch: self.epoch,
            follows: self.last_leg.is_some(),
            missing: if exact && directly { self.next.index.saturating_sub(expected) } else { 0 },
            exact,
            old_last: self.ring.last().map(|e| e.message.timestamp),
            new_first: self.timeline.place(first.timestamp),
            restarted,
            held_for,
        }));
    }

    fn starts_gop(&self, message: &MediaMessage, info: &TagInfo) -> bool {
        match (message.kind, info.content) {
            (TrackKind::Video, Content::Keyframe) => self.lead_video.is_none_or(|lead| lead == info.track),
            (TrackKind::Audio, Content::Keyframe) => self.lead_video.is_none(),
            _ => false,
        }
    }

    fn push(&mut self, mut message: MediaMessage, info: TagInfo, now: Moment) {
        let raw_timestamp = message.timestamp;
        message.timestamp = self.timeline.place(raw_timestamp);
        let starts_gop = self.starts_gop(&message, &info);
        if info.is_coded() {
            if message.kind == TrackKind::Video {
                self.lead_video.get_or_insert(info.track);
            }
            self.timeline.passed(message.kind, info.track, message.timestamp);
        }
        let keyframe = message.kind == TrackKind::Video && info.content == Content::Keyframe;
        if starts_gop {
            self.gop = self.last_keyframe.map(|at| now.since(at));
            self.last_keyframe = Some(now);
        }
        let position = Position { timestamp: message.timestamp, ..self.next };
        let entry = Entry {
            seq: self.ring.next_seq(),
            stream: self.token.hash(),
            position,
            jump: std::mem::take(&mut self.jump),
            epoch: self.epoch,
            message,
            raw_timestamp,
            info,
            starts_gop,
            headers: self.headers.clone(),
            arrived: now,
            frame: Default::default(),
        };
        self.ring.push(entry, &self.config.bounds);
        self.last_written = self.epoch;
        self.next.index += 1;
        self.next.keyframes += u64::from(keyframe);
        self.next.timestamp = position.timestamp;
    }
}

#[cfg(test)]
mod tests;
