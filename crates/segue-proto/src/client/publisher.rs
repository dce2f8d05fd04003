//! The publisher: media in, one stream at one server after another. Joins the sessions of its connections with the
//! hand-over and the replay buffer. Here are its inputs and its clockwork; `moves` carries out what the hand-over decides,
//! `ending` sees to the stream's end, `accounts` keeps the books of what was lost and writes the records, `begun` knows where
//! earlier legs began.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::caps::Announce;
pub use crate::client::leg::{END_BOUND, STALL_BOUND, SUSPECT_AFTER};
use crate::client::leg::{Leg, Phase, Place};
use crate::client::{
    Action, Closed, ConnId, DIAL_TIMEOUT, DialError, Ending, Machine, Notice, Outcome, PeerAddr,
};
use crate::handover::backoff::Rng;
use crate::handover::publisher::{self as handover, Failure, Handover, SETTLED, State, Step};
use crate::handover::replay::{MAX_BYTES, Replay};
use crate::leg::ResumeToken;
use crate::media::MediaMessage;
use crate::message::status::code;
use crate::outqueue::OutQueue;
use crate::session::client::{Config as SessionConfig, Event, Role, Session};
use crate::time::{Moment, earliest};
use crate::url::RtmpUrl;

mod accounts;
mod begun;
mod config;
mod ending;
mod moves;

pub use config::{PublisherConfig, Report};
pub use ending::{END_RETRY_BOUND, HUNG_PASSED_BY};

/// How long a stream that never had a server tries those that answer `draining`.
pub const START_BOUND: Duration = Duration::from_secs(10);
/// Bytes that an unpaced source may be ahead of the server.
pub const ROOM: u64 = (MAX_BYTES / 4) as u64;

/// A publisher. See [`Machine`] for how to drive it; media goes in by [`push`](Self::push).
#[derive(Debug)]
pub struct Publisher {
    config: PublisherConfig,
    rng: Rng,
    token: ResumeToken,
    handover: Handover,
    replay: Replay,
    legs: BTreeMap<ConnId, Leg>,
    /// The connection that has the stream.
    current: Option<ConnId>,
    /// The one that is to have it.
    candidate: Option<ConnId>,
    next_conn: u64,
    /// The highest leg number used.
    number: u32,
    /// The first message that some server may not have, while no connection has the stream.
    needed: Option<Place>,
    /// Where the legs of connections that are gone began.
    begun: begun::Begun,
    /// Where the stream is, or was last.
    last_url: RtmpUrl,
    accepted: u32,
    started: Moment,
    finishing: bool,
    /// Servers at which the end of the stream has hung, twice or more if it did not work there again. Each took
    /// [`END_BOUND`], or a connection, of a bounded time.
    hung: Vec<String>,
    /// When a stream whose end has hung, and that no server has since, is given up.
    end_given_up: Option<Moment>,
    outcome: Option<Outcome>,
    /// Media messages known to be lost.
    missing: u64,
    /// The server that had the stream last, while none has it.
    left: Option<accounts::Left>,
    /// The stream has ended at its server; whether that one said so. Other connections may still be read.
    completed: Option<bool>,
    records: VecDeque<accounts::OpenRecord>,
    actions: VecDeque<Action>,
}

impl Publisher {
    /// A publisher that begins to dial at `now`. All its randomness comes from `seed`, the resume token's too.
    pub fn new(config: PublisherConfig, seed: [u8; 32], now: Moment) -> Self {
        let mut rng = Rng::new(seed);
        let token = ResumeToken(rng.bytes());
        let bounds =
            handover::Config { boundary_deadline: config.boundary_deadline, give_up: config.give_up };
        let mut publisher = Self {
            rng,
            token,
            handover: Handover::new(bounds, now),
            replay: Replay::default(),
            legs: BTreeMap::new(),
            current: None,
            candidate: None,
            next_conn: 0,
            number: 0,
            needed: Some(Place::default()),
            begun: begun::Begun::default(),
            last_url: config.url.clone(),
            accepted: 0,
            started: now,
            finishing: false,
            hung: Vec::new(),
            end_given_up: None,
            outcome: None,
            missing: 0,
            left: None,
            completed: None,
            records: VecDeque::new(),
            actions: VecDeque::new(),
            config,
        };
        publisher.handle_timeout(now);
        publisher
    }

    /// The next message of the source, configuration included, in decode order.
    pub fn push(&mut self, message: MediaMessage, now: Moment) {
        if self.finishing || self.outcome.is_some() {
            return;
        }
        let switch = self.replay.is_boundary(&message) && self.handover.boundary(now);
        let Some(serial) = self.replay.push(message, now) else { return };
        if switch {
            self.switch_at(serial, now);
        }
        self.trim();
        self.settle(now);
        self.pump(now);
    }

    /// Whether an unpaced source may push more: what the server has yet to take is below [`ROOM`].
    pub fn room(&self) -> bool {
        let needed = self.unproven_serial();
        let (all, here) = (self.replay.end() - self.replay.first(), self.replay.end().saturating_sub(needed));
        // Counted by messages: the buffer's mean size is close enough for a bound this far from the buffer's own.
        let bytes = self.replay.bytes() as u64;
        all == 0 || bytes / all * here < ROOM
    }

    /// Bytes that the replay buffer holds, with what each message costs beside its payload: at most [`MAX_BYTES`].
    pub fn buffered(&self) -> usize {
        self.replay.bytes()
    }

    /// The source's end: sends what is left, ends the stream properly, and waits for the server's last
    /// acknowledgement. [`Action::Finished`] comes after it.
    pub fn finish(&mut self, now: Moment) {
        if self.finishing || self.outcome.is_some() {
            return;
        }
        self.finishing = true;
        self.end_where_it_is();
        if let Some(leg) = self.current.and_then(|conn| self.legs.get_mut(&conn)) {
            leg.progress = now;
        }
        self.pump(now);
    }

    /// Stops at once.
    pub fn abort(&mut self, _now: Moment) {
        self.done(Ending::Aborted);
    }

    /// How it is doing.
    pub fn report(&self) -> Report {
        let current = self.current.and_then(|conn| self.legs.get(&conn));
        Report {
            stream: self.config.url.stream_id(),
            pushed: self.replay.total(),
            sent: current.map_or(self.needed.map_or(0, |place| place.index), |leg| leg.cursor.index),
            acknowledged: current.filter(|leg| leg.segue).map(|leg| leg.proven.index),
            missing: self.missing,
            legs: self.accepted,
            server: current.map(|leg| leg.url.authority()),
        }
    }

    fn session(&mut self, url: &RtmpUrl, now: Moment) -> Session {
        let announce = Announce { segue: self.config.segue, ..self.config.announce };
        let mut config = SessionConfig { announce, ..SessionConfig::new(url.clone()) };
        if let Some(flash_ver) = &self.config.flash_ver {
            config.flash_ver.clone_from(flash_ver);
        }
        Session::new(config, Role::Publisher, self.rng.bytes(), now)
    }

    fn notice(&mut self, text: String) {
        self.actions.push_back(Action::Notice(Notice(text)));
    }

    fn is_candidate(&self, conn: ConnId) -> bool {
        self.candidate == Some(conn)
    }

    fn drain_events(&mut self, conn: ConnId, now: Moment) {
        while let Some(session) = self.legs.get_mut(&conn).and_then(|leg| leg.session.as_mut()) {
            match session.poll_event() {
                Ok(Some(event)) => self.event(conn, event, now),
                Ok(None) => return,
                Err(error) => return self.broken(conn, &error.to_string(), now),
            }
        }
    }

    fn event(&mut self, conn: ConnId, event: Event, now: Moment) {
        let is_candidate = self.is_candidate(conn);
        let to_leave = self.server_to_leave();
        let Some(leg) = self.legs.get_mut(&conn) else { return };
        match event {
            Event::Connected(info) => {
                leg.segue = info.segue && self.config.segue;
                if to_leave.is_some() && info.server_id == to_leave {
                    let why = "it is the server that sent us away";
                    return self.candidate_failed(Failure::Refused, why, now);
                }
                if info.draining && !self.handover.takes_draining() {
                    return self.candidate_failed(Failure::Draining, "the server is draining", now);
                }
                if is_candidate && self.passes_by(info.server_id.as_deref()) {
                    let why = "the end of the stream has hung at that server";
                    return self.candidate_failed(Failure::Refused, why, now);
                }
                if let Some(session) = self.legs.get_mut(&conn).and_then(|leg| leg.session.as_mut()) {
                    session.create_stream();
                }
            }
            Event::Rejected { code, description, redirect } => {
                self.rejected(conn, &super::reason(&code, &description), redirect.as_deref(), now);
            }
            Event::StreamCreated(_) if is_candidate => {
                leg.phase = Phase::Ready;
                if self.handover.primed(now) == Step::SwitchByReplay {
                    self.switch_by_replay(now);
                }
            }
            Event::PublishStarted if is_candidate => self.accept(conn, now),
            Event::PublishRefused { code, description } => {
                let why = super::reason(&code, &description);
                if is_candidate {
                    // It took nothing: the number is free again.
                    self.number -= 1;
                    leg.number = 0;
                    let failure = match code.as_str() {
                        code::PUBLISH_BAD_NAME => Failure::Busy,
                        code::CONNECT_REJECTED if description.contains("draining") => Failure::Draining,
                        _ => Failure::Refused,
                    };
                    self.candidate_failed(failure, &why, now);
                } else {
                    // Some start first and refuse then.
                    self.broken(conn, &why, now);
                }
            }
            Event::GoAway { signal, tc_url } => self.told(conn, signal, tc_url.as_deref(), now),
            Event::Acknowledged { sequence } => {
                if leg.segue && leg.acknowledged(sequence, now) {
                    self.trim();
                    self.settle(now);
                }
                self.check_end(conn);
            }
            _ => {}
        }
    }

    /// Tells the hand-over that the server that has the stream accepts media.
    fn settle(&mut self, now: Moment) {
        let Some(leg) = self.current.and_then(|conn| self.legs.get(&conn)) else { return };
        let accepted = if leg.segue { leg.proven } else { leg.cursor };
        if let Phase::Live(since) = leg.phase
            && now.since(since) >= SETTLED
            && accepted.index > leg.start.index
        {
            self.handover.settled(now);
        }
    }

    fn pump(&mut self, now: Moment) {
        let conns: Vec<ConnId> = self.legs.keys().copied().collect();
        conns.into_iter().for_each(|conn| self.pump_one(conn, now));
    }

    /// Encodes what may be, then ends the connection if that was the last of it.
    fn pump_one(&mut self, conn: ConnId, now: Moment) {
        let is_current = self.current == Some(conn);
        let steady = matches!(self.handover.state(), State::Steady);
        let Some(leg) = self.legs.get_mut(&conn) else { return };
        leg.pump(&self.replay, self.token, now);
        if !leg.is_flushed(&self.replay) {
            return;
        }
        if leg.phase == Phase::Leaving {
            leg.phase = Phase::Draining;
            leg.progress = now;
            self.actions.push_back(Action::ShutdownWrite(conn));
        } else if self.finishing && is_current && steady && leg.finished.is_none() {
            leg.finish(now);
            self.actions.push_back(Action::ShutdownWrite(conn));
        }
        self.settle_records(false);
    }

    fn unproven_serial(&self) -> u64 {
        let needs = self.legs.values().filter(|leg| leg.was_accepted() || leg.phase == Phase::Publishing);
        let needed = needs.map(|leg| leg.needs().serial).chain(self.needed.map(|place| place.serial)).min();
        needed.unwrap_or(self.replay.end())
    }

    /// Lets the buffer go of what is not needed, and passes over what it had to drop.
    fn trim(&mut self) {
        self.replay.trim(self.unproven_serial());
        for leg in self.legs.values_mut() {
            let passed = leg.skip(&self.replay);
            if leg.was_accepted() {
                self.missing += passed;
            }
        }
    }

    fn timeouts(&mut self, conn: ConnId, now: Moment) {
        let due = |at: Option<Moment>| at.is_some_and(|at| now >= at);
        let is_ending = self.is_ending(conn);
        let Some(leg) = self.legs.get_mut(&conn) else { return };
        match leg.phase {
            Phase::Dialing(until) if now >= until => {
                return self.candidate_failed(Failure::Refused, "timed out dialing", now);
            }
            Phase::Leaving | Phase::Draining if due(leg.ends_by()) => return self.gone(conn, false, now),
            _ if is_ending && now.since(leg.progress) >= END_BOUND => {
                if leg.finished.is_some() && !leg.segue {
                    // It cannot say more than that the connection lives.
                    self.current = None;
                    self.close(conn);
                    return self.complete(false);
                }
                return self.end_hangs(conn, now);
            }
            _ if due(leg.stalled_at()) => {
                let why = format!("nothing acknowledged for {} s", STALL_BOUND.as_secs());
                return self.broken(conn, &why, now);
            }
            _ => {}
        }
        if let Some(session) = &mut leg.session
            && let Err(error) = session.handle_timeout(now)
        {
            self.broken(conn, &error.to_string(), now);
        }
    }
}

impl Machine for Publisher {
    fn dialed(&mut self, conn: ConnId, result: Result<PeerAddr, DialError>, now: Moment) {
        let Some(leg) = self.legs.get_mut(&conn).filter(|leg| matches!(leg.phase, Phase::Dialing(_))) else {
            return;
        };
        match result {
            Ok(_) => {
                leg.phase = Phase::Connecting;
                let url = leg.url.clone();
                let session = self.session(&url, now);
                if let Some(leg) = self.legs.get_mut(&conn) {
                    leg.session = Some(session);
                }
            }
            Err(error) => {
                let attempt = self.handover.pending().map_or(0, |pending| pending.attempt);
                if self.accepted == 0 && attempt + 1 >= error.addresses {
                    return self.done(Ending::Failed(error.reason));
                }
                self.drop_candidate();
                self.retry(Failure::Refused, &error.reason, now);
            }
        }
    }

    fn received(&mut self, conn: ConnId, data: Bytes, now: Moment) {
        if let Some(session) = self.legs.get_mut(&conn).and_then(|leg| leg.session.as_mut()) {
            session.receive(data, now);
            self.drain_events(conn, now);
            self.pump(now);
        }
    }

    fn peer_closed(&mut self, conn: ConnId, how: Closed, now: Moment) {
        if self.legs.contains_key(&conn) {
            self.gone(conn, how == Closed::Eof, now);
            self.pump(now);
        }
    }

    fn transmit(&mut self, conn: ConnId, now: Moment) -> Option<&mut OutQueue> {
        self.pump_one(conn, now);
        self.legs.get_mut(&conn)?.session.as_mut().map(Session::out)
    }

    fn handle_timeout(&mut self, now: Moment) {
        let conns: Vec<ConnId> = self.legs.keys().copied().collect();
        conns.into_iter().for_each(|conn| self.timeouts(conn, now));
        if self.outcome.is_some() {
            return;
        }
        if self.end_given_up_at().is_some_and(|at| now >= at) {
            return self.done(Ending::Lost("no server acknowledged the end of the stream".into()));
        }
        self.settle(now);
        match self.handover.handle_timeout(now) {
            Step::Wait => {}
            Step::Dial => self.dial(now),
            Step::SwitchByReplay => self.switch_by_replay(now),
            Step::GiveUp => {
                self.done(Ending::Lost(format!("no server for {} s", self.config.give_up.as_secs())));
            }
        }
        self.pump(now);
    }

    fn wake_at(&self) -> Option<Moment> {
        if self.outcome.is_some() {
            return None;
        }
        let of_leg = |leg: &Leg| {
            let own = match leg.phase {
                Phase::Dialing(until) => Some(until),
                _ if self.is_ending(leg.conn) => Some(leg.progress + END_BOUND),
                _ => earliest(leg.ends_by(), leg.stalled_at()),
            };
            earliest(own, leg.session.as_ref().and_then(Session::wake_at))
        };
        let own = earliest(self.handover.wake_at(), self.end_given_up_at());
        self.legs.values().map(of_leg).fold(own, earliest)
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
}

impl Publisher {
    /// The connection is gone for a reason of its own: closes it, and goes on as if the peer had.
    fn broken(&mut self, conn: ConnId, why: &str, now: Moment) {
        if self.is_candidate(conn) {
            return self.candidate_failed(Failure::Refused, why, now);
        }
        if self.current == Some(conn) {
            self.notice(format!("the connection failed: {why}"));
        }
        self.gone(conn, false, now);
    }

    /// Tells the driver to close it, and forgets it.
    fn close(&mut self, conn: ConnId) -> Option<Leg> {
        let leg = self.legs.remove(&conn)?;
        self.actions.push_back(Action::Close(conn));
        self.leg_removed(&leg);
        Some(leg)
    }

    fn dial(&mut self, now: Moment) {
        self.drop_candidate();
        let (url, attempt) = self.handover.address(&self.config.url, &self.last_url);
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        self.legs.insert(conn, Leg::new(conn, url.clone(), now + DIAL_TIMEOUT, now));
        self.candidate = Some(conn);
        self.actions.push_back(Action::Dial { conn, url, attempt });
    }
}
