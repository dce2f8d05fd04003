//! [`Stream`] itself: its state, what it shows, what goes in, and how it is read. Who may write is `claims`', what
//! happens to a message is `writing`'s.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::leg::{LegHeader, Position, ResumeToken, StreamHash};
use crate::media::{LeadTrack, MediaMessage};
use crate::session::Resume;
use crate::time::{Moment, earliest};

use super::leg::{Candidate, Held, Hold, LastLeg, LegEnd, Request, Writer};
use super::ring::{Cursor, Found, Ring, Start};
use super::splice::{Align, Timeline};
use super::{Config, ConnId, Counts, Epoch, Event, Headers, MAX_CANDIDATES, Read};

/// One logical stream.
#[derive(Debug)]
pub struct Stream {
    pub(super) config: Config,
    pub(super) ring: Ring,
    pub(super) headers: Arc<Headers>,
    pub(super) writer: Writer,
    pub(super) candidates: Vec<Candidate>,
    pub(super) epoch: Epoch,
    pub(super) principal: Option<String>,
    /// Names the stream's count to viewers while no leg header does.
    pub(super) own: ResumeToken,
    /// Names the stream's count: the publisher's token, or `own`.
    pub(super) token: ResumeToken,
    pub(super) next: Position,
    pub(super) last_leg: Option<LastLeg>,
    /// The leg whose entries are the newest.
    pub(super) last_written: Epoch,
    pub(super) timeline: Timeline,
    pub(super) lead: LeadTrack,
    pub(super) jump: bool,
    pub(super) counts: Counts,
    pub(super) events: VecDeque<Event>,
    /// When the last boundary was appended.
    pub(super) last_keyframe: Option<Moment>,
    pub(super) gop: Option<Duration>,
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
            lead: LeadTrack::default(),
            jump: false,
            counts: Counts::default(),
            events: VecDeque::new(),
            last_keyframe: None,
            gop: None,
        }
    }

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

    /// Bytes that the log holds: payloads, [`ENTRY_COST`](super::ENTRY_COST) for each message, and the configurations that
    /// they are decoded with, each once.
    pub fn bytes(&self) -> usize {
        self.ring.bytes()
    }

    /// Bytes of media that wait for their leg's claim: in each hold at most [`Config::hold_bytes`] and one message more.
    pub fn held_bytes(&self) -> usize {
        self.candidates.iter().map(|candidate| candidate.hold.bytes).sum()
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

    /// Whether what `conn` sends is not taken any more: another connection has the claim, or the stream is over.
    pub fn refuses(&self, conn: ConnId) -> bool {
        self.publisher() != Some(conn) && !self.candidates.iter().any(|c| c.request.conn == conn)
    }

    /// Whether the log still holds this very message, with the timestamp that its publisher gave it, among its newest
    /// [`LOOK_BACK`](super::LOOK_BACK).
    pub fn holds(&self, message: &MediaMessage) -> bool {
        self.ring.holds(message)
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

    /// Whether a message is one before which the stream can be cut: see [`LeadTrack::is_boundary`].
    pub fn is_boundary(&self, message: &MediaMessage) -> bool {
        let placed = MediaMessage { timestamp: self.timeline.place(message.timestamp), ..message.clone() };
        self.lead.is_boundary(&placed, &message.info())
    }

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
            // Whoever was still to prove itself needs no proof against a leg that is gone.
            let unproven = self.candidates.iter().rev().find(|c| c.granted.is_none() && c.ended.is_none());
            if let Some(conn) = unproven.map(|c| c.request.conn)
                && self.candidates.iter().all(|c| c.granted.is_none())
                && !self.is_over()
            {
                return self.grant(conn, now);
            }
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

    /// A reader's place.
    pub fn start(&self, start: Start) -> Cursor {
        self.ring.start(start, self.hash())
    }

    /// Whether the very message that a reader names is here: nothing is passed over if it begins here.
    pub fn reaches(&self, resume: Resume) -> bool {
        resume.stream == self.hash() && self.ring.reaches(resume)
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
}
