//! The player: one stream out, from one server after another. Joins the sessions of its connections with the viewer's
//! hand-over. Here are its inputs and what a session's events mean; `pursuit` looks for the next
//! connection, `beside` says when that one takes over, `search` looks for what a server passed over.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::caps::Announce;
use crate::client::{Action, Closed, ConnId, DialError, Ending, Machine, Notice, Outcome, PeerAddr};
use crate::handover::backoff::{Backoff, Rng};
use crate::handover::record::{HandoverResult, Record};
use crate::handover::viewer::{Join, LegId, Output, Viewer};
use crate::outqueue::OutQueue;
use crate::session::GoAwaySignal;
use crate::session::client::{Config as SessionConfig, Event, Role, Session};
use crate::time::{Moment, earliest};
use crate::url::RtmpUrl;

mod beside;
mod config;
mod pursuit;
mod search;

pub use beside::PROVEN_AFTER;
pub use config::PlayerConfig;
use pursuit::Pursuit;
use search::Search;

/// How long a connection that is not needed any more may take to end in order.
pub const LEAVE_BOUND: Duration = Duration::from_secs(2);

/// A player. See [`Machine`] for how to drive it; media comes out as [`Action::Media`].
#[derive(Debug)]
pub struct Player {
    config: PlayerConfig,
    rng: Rng,
    viewer: Viewer,
    conns: BTreeMap<ConnId, Conn>,
    /// The connection that delivers.
    main: Option<ConnId>,
    /// The one that is to deliver next.
    next: Option<ConnId>,
    next_conn: u64,
    pursuit: Option<Pursuit>,
    /// For what a server passed over.
    search: Option<Search>,
    /// Where the stream goes on after what another server had of it.
    goes_on: Option<(RtmpUrl, u32)>,
    /// No other search before.
    search_again_at: Moment,
    /// Since when the next connection, which has caught up, delivers without a jump or a pause, and when it last did.
    caught_up: Option<(Moment, Moment)>,
    /// How the next connection's leg met the other.
    join: Option<Join>,
    /// Since when nothing delivers.
    lost_since: Option<Moment>,
    /// Whether the last leg ended with its publisher's word that the stream did.
    unpublished: bool,
    /// Where the stream came from last.
    last_url: RtmpUrl,
    hops: u32,
    last_hop: Moment,
    /// What went wrong last; for the outcome.
    trouble: String,
    outcome: Option<Outcome>,
    actions: VecDeque<Action>,
}

#[derive(Debug)]
struct Conn {
    url: RtmpUrl,
    session: Option<Session>,
    phase: Phase,
    /// It was told to go.
    told: bool,
    unpublished: bool,
    /// Its server said that the stream has ended, in its way: one that announced `segue` by UnpublishNotify or Play.Stop,
    /// others by StreamEOF alone, too.
    stopped: bool,
    /// It is gone, and the stream was at its end there: what is held of it is all that there is.
    over: bool,
    backoff: Backoff,
    /// Which of its host's addresses it was dialed at.
    attempt: u32,
    /// It asked to be left before it was the one that delivers.
    told_early: Option<(GoAwaySignal, Option<RtmpUrl>)>,
    /// Something of its was handed out.
    delivered: bool,
}

impl Conn {
    /// Whether its server announced `segue`.
    fn has_segue(&self) -> bool {
        self.session.as_ref().and_then(Session::server).is_some_and(|server| server.segue)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Dialing(Moment),
    Connecting,
    /// `play` is sent, then; nothing came yet.
    Asked(Moment),
    /// There is no such stream yet: `play` again then.
    AskAgain(Moment),
    Playing,
    /// Not needed any more: closed by its end, or then.
    Leaving(Moment),
}

impl Player {
    /// A player that begins to dial at `now`. All its randomness comes from `seed`.
    pub fn new(config: PlayerConfig, seed: [u8; 32], now: Moment) -> Self {
        let mut player = Self {
            rng: Rng::new(seed),
            viewer: Viewer::new(),
            conns: BTreeMap::new(),
            main: None,
            next: None,
            next_conn: 0,
            pursuit: Some(Pursuit::start(now)),
            search: None,
            goes_on: None,
            search_again_at: now,
            caught_up: None,
            join: None,
            lost_since: Some(now),
            unpublished: false,
            last_url: config.url.clone(),
            hops: 0,
            last_hop: now,
            trouble: "the stream is not there".to_owned(),
            outcome: None,
            actions: VecDeque::new(),
            config,
        };
        player.handle_timeout(now);
        player
    }

    /// Stops: the caller has seen enough.
    pub fn stop(&mut self, _now: Moment) {
        for conn in self.conns.values_mut() {
            if let Some(session) = &mut conn.session {
                session.stop_play();
            }
        }
        self.done(Ending::Aborted);
    }

    /// Media messages received so far.
    pub fn received_count(&self) -> u64 {
        self.viewer.count()
    }

    /// Media messages known to be missing.
    pub fn missing(&self) -> u64 {
        self.viewer.missing()
    }

    /// Bytes that are held of a new server's media until the old one has delivered what comes before: at most
    /// [`MAX_HELD_BYTES`](crate::handover::viewer::MAX_HELD_BYTES).
    pub fn held_bytes(&self) -> usize {
        self.viewer.held_bytes()
    }

    /// The server that delivers, `host:port`.
    pub fn server(&self) -> Option<String> {
        self.main.and_then(|conn| self.conns.get(&conn)).map(|conn| conn.url.authority())
    }

    fn notice(&mut self, text: String) {
        self.actions.push_back(Action::Notice(Notice(text)));
    }

    fn new_session(&mut self, url: &RtmpUrl, now: Moment) -> Session {
        let announce = Announce { segue: self.config.segue, ..self.config.announce };
        let mut config = SessionConfig { announce, ..SessionConfig::new(url.clone()) };
        if let Some(flash_ver) = &self.config.flash_ver {
            config.flash_ver.clone_from(flash_ver);
        }
        Session::new(config, Role::Player, self.rng.bytes(), now)
    }

    fn drain_events(&mut self, id: ConnId, now: Moment) {
        while let Some(session) = self.conns.get_mut(&id).and_then(|conn| conn.session.as_mut()) {
            match session.poll_event() {
                Ok(Some(event)) => self.event(id, event, now),
                Ok(None) => return,
                Err(error) => return self.gone(id, &error.to_string(), now),
            }
        }
    }

    fn event(&mut self, id: ConnId, event: Event, now: Moment) {
        let is_next = self.next == Some(id);
        let takes_draining = self.takes_draining();
        let to_leave = self.server_to_leave();
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if matches!(conn.phase, Phase::Leaving(_)) {
            return;
        }
        match event {
            Event::Connected(info) => {
                if info.draining && !takes_draining {
                    return self.next_failed("the server is draining", now);
                }
                if to_leave.is_some() && info.server_id == to_leave {
                    return self.next_failed("it is the server that sent us away", now);
                }
                if let Some(session) = &mut conn.session {
                    session.create_stream();
                }
            }
            Event::Rejected { code, description, redirect } => {
                self.rejected(id, &super::reason(&code, &description), redirect.as_deref(), now);
            }
            Event::StreamCreated(_) => self.ask(id, now),
            Event::PlayRefused { code, description } => {
                self.refused(id, &super::reason(&code, &description), now);
            }
            Event::StreamNotFound => self.refused(id, "the stream is not there", now),
            Event::Position(position) => {
                if self.looks_for_what_it_passes_over(id, &position, now) {
                    return;
                }
                if is_next && let Some((since, _)) = &mut self.caught_up {
                    *since = now;
                }
                self.viewer.position(LegId(id.0), position);
                self.drain_viewer(now);
            }
            Event::Media(message) => self.media(id, message, now),
            Event::Unpublished | Event::PlayStopped | Event::StreamEof => {
                conn.unpublished |= event == Event::Unpublished;
                conn.stopped |= event != Event::StreamEof || !conn.has_segue();
                if !is_next {
                    self.leg_ended(id, now);
                } else if matches!(conn.phase, Phase::Asked(_)) {
                    self.refused(id, "the stream has ended", now);
                }
            }
            Event::GoAway { signal, tc_url } => self.told(id, signal, tc_url.as_deref(), now),
            Event::PlayStarted | Event::PublishStarted | Event::PublishRefused { .. } => {}
            Event::Acknowledged { .. } | Event::Status { .. } => {}
        }
    }

    /// Sends `play`, naming the next message if its index is known.
    fn ask(&mut self, id: ConnId, now: Moment) {
        let resume = self.viewer.resume();
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.phase = Phase::Asked(now);
        if let Some(session) = &mut conn.session {
            session.play(resume);
        }
        self.viewer.end(LegId(id.0));
        self.viewer.begin(LegId(id.0));
    }

    /// The stream is not (or no longer) there. One that has not begun is asked for again.
    fn refused(&mut self, id: ConnId, why: &str, now: Moment) {
        self.trouble = why.to_owned();
        if self.main == Some(id) {
            return self.leg_ended(id, now);
        }
        if self.is_searching() {
            return self.next_failed(why, now);
        }
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.phase = Phase::AskAgain(now + conn.backoff.next(&mut self.rng));
    }

    /// The connection that delivers says that there is no more. If it was told to go, or its server is one that says so
    /// when a stream ends and has not, that is the leg's end and not the stream's.
    fn leg_ended(&mut self, id: ConnId, now: Moment) {
        let Some(conn) = self.conns.get(&id).filter(|_| self.main == Some(id)) else { return };
        // A server that has less of the stream than was seen does not know its end.
        let knows = self.viewer.stands(LegId(id.0)) != Some(Ordering::Less);
        let is_all = knows && self.pursuit.as_ref().is_none_or(|pursuit| !pursuit.goes_on);
        if !conn.told && conn.stopped && is_all {
            return self.done(Ending::Complete);
        }
        self.unpublished |= conn.unpublished;
        self.leave(id, now);
        self.lost(id, now);
    }

    /// The connection that delivered has ended. What is held of the next one follows now.
    fn lost(&mut self, id: ConnId, now: Moment) {
        self.main = None;
        self.lost_since = Some(now);
        self.viewer.end(LegId(id.0));
        if let Some(next) = self.next
            && self.conns.get(&next).is_some_and(|conn| conn.phase == Phase::Playing)
        {
            if self.has_fallen_behind(next) {
                self.drop_next();
            } else {
                self.promote(next, now);
            }
        }
        self.drain_viewer(now);
        if self.main.is_none() && self.outcome.is_none() {
            self.hurry(now);
        }
    }

    /// That connection delivers from now on.
    fn promote(&mut self, id: ConnId, now: Moment) {
        if self.main == Some(id) {
            return;
        }
        self.goes_on = self.search.take().and_then(Search::found);
        (self.next, self.caught_up) = (None, None);
        if let Some(old) = self.main.replace(id) {
            self.leave(old, now);
        }
        let mut told_early = None;
        if let Some(conn) = self.conns.get_mut(&id) {
            self.last_url = conn.url.clone();
            told_early = conn.told_early.take();
        }
        (self.lost_since, self.unpublished) = (None, false);
        if let Some(join) = self.join.take().filter(|join| join.leg == LegId(id.0)) {
            self.joined(&join, now);
        }
        if let Some((signal, target)) = told_early {
            self.told_to(id, signal, target, now);
        }
    }

    fn drain_viewer(&mut self, now: Moment) {
        while let Some(output) = self.viewer.poll() {
            match output {
                Output::Media(message) => {
                    if let Some(conn) = self.main.and_then(|main| self.conns.get_mut(&main)) {
                        conn.delivered = true;
                    }
                    self.actions.push_back(Action::Media(message));
                }
                Output::CaughtUp(leg) => self.has_caught_up(ConnId(leg.0), now),
                Output::Leads(leg) => self.promote(ConnId(leg.0), now),
                Output::Joined(join) if self.main != Some(ConnId(join.leg.0)) => self.join = Some(join),
                // It has met the others before; now it goes on where the next one came to nothing, or has yet to.
                Output::Joined(_) if self.has_delivered() => {}
                Output::Joined(join) => self.joined(&join, now),
            }
        }
        if self.main.and_then(|main| self.conns.get(&main)).is_some_and(|conn| conn.over) {
            return self.done(Ending::Complete);
        }
        // The stream's first leg joins nothing.
        if self.main.is_some() && self.pursuit.as_ref().is_some_and(Pursuit::is_start) {
            self.pursuit = None;
        }
    }

    fn joined(&mut self, join: &Join, now: Moment) {
        let to = self.conns.get(&ConnId(join.leg.0)).map(|conn| conn.url.authority());
        let pursuit = self.pursuit.take();
        let from = pursuit.as_ref().and_then(|pursuit| pursuit.from.clone());
        let record = Record {
            missing: join.missing,
            overlap: Some(join.overlap),
            old_last_ts: Some(join.old_last.as_millis()),
            new_first_ts: Some(join.new_first.as_millis()),
            to,
            ..self.record(pursuit.as_ref(), from, HandoverResult::Moved)
        };
        self.actions.push_back(Action::Handover(record));
        if let Some(address) = self.goes_on.take() {
            self.pursuit = Some(Pursuit::on_to(address, self.server(), now));
        }
    }

    fn record(&self, pursuit: Option<&Pursuit>, from: Option<String>, result: HandoverResult) -> Record {
        Record {
            stream: self.config.url.stream_id(),
            at: None,
            cause: Some(pursuit.map_or(crate::handover::record::Cause::Crash, |pursuit| pursuit.cause)),
            signal: pursuit.and_then(|pursuit| pursuit.signal).into(),
            from,
            to: None,
            old_last_ts: self.viewer.last().map(|last| last.as_millis()),
            new_first_ts: None,
            missing: None,
            overlap: None,
            delay_ms: None,
            confirmed: None,
            result,
        }
    }

    /// Ends the play on a connection in order.
    fn leave(&mut self, id: ConnId, now: Moment) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.phase = Phase::Leaving(now + LEAVE_BOUND);
            if let Some(session) = &mut conn.session {
                session.stop_play();
            }
            self.actions.push_back(Action::ShutdownWrite(id));
        }
    }

    fn close(&mut self, id: ConnId) {
        if self.conns.remove(&id).is_some() {
            self.actions.push_back(Action::Close(id));
        }
    }

    /// A connection is gone, or of no more use.
    fn gone(&mut self, id: ConnId, why: &str, now: Moment) {
        if self.next == Some(id) {
            let complete = |conn: &&mut Conn| conn.unpublished && conn.phase == Phase::Playing;
            let is_behind = self.has_fallen_behind(id);
            let stays = self.main.is_some() && !is_behind;
            if let Some(conn) = self.conns.get_mut(&id).filter(complete).filter(|_| stays) {
                // The old server may have yet to deliver what comes before.
                (conn.session, conn.over) = (None, true);
                if self.caught_up.is_some() && self.viewer.stands(LegId(id.0)) == Some(Ordering::Equal) {
                    self.take_over(id, now);
                }
                return;
            }
            return self.next_failed(why, now);
        }
        let was_main = self.main == Some(id);
        self.close(id);
        if was_main {
            self.trouble = why.to_owned();
            self.lost(id, now);
        }
    }

    fn done(&mut self, ending: Ending) {
        if self.outcome.is_some() {
            return;
        }
        if let (Ending::Lost(_), Some(pursuit)) = (&ending, self.pursuit.take()) {
            let record = self.record(Some(&pursuit), pursuit.from.clone(), HandoverResult::Lost);
            self.actions.push_back(Action::Handover(record));
        }
        for id in self.conns.keys().copied().collect::<Vec<_>>() {
            self.close(id);
        }
        (self.main, self.next, self.pursuit, self.lost_since) = (None, None, None, None);
        let outcome = Outcome { ending, confirmed: None, missing: self.viewer.missing() };
        self.outcome = Some(outcome.clone());
        self.actions.push_back(Action::Finished(outcome));
    }

    fn timeouts(&mut self, id: ConnId, now: Moment) {
        if self.looks_elsewhere_at(id).is_some_and(|at| now >= at) {
            return self.next_failed("the stream is not there", now);
        }
        let Some(conn) = self.conns.get_mut(&id) else { return };
        match conn.phase {
            Phase::Dialing(until) if now >= until => return self.gone(id, "timed out dialing", now),
            Phase::Leaving(until) if now >= until => return self.close(id),
            Phase::AskAgain(at) if now >= at => return self.ask(id, now),
            _ => {}
        }
        if let Some(session) = &mut conn.session
            && let Err(error) = session.handle_timeout(now)
        {
            self.gone(id, &error.to_string(), now);
        }
    }
}

impl Machine for Player {
    fn dialed(&mut self, id: ConnId, result: Result<PeerAddr, DialError>, now: Moment) {
        if self.next != Some(id) {
            return;
        }
        let Some(conn) = self.conns.get_mut(&id) else { return };
        match result {
            Ok(_) => {
                conn.phase = Phase::Connecting;
                let url = conn.url.clone();
                let session = self.new_session(&url, now);
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.session = Some(session);
                }
            }
            Err(error) => {
                let attempt = self.pursuit.as_ref().map_or(0, |pursuit| pursuit.attempt);
                if self.viewer.count() == 0 && attempt + 1 >= error.addresses {
                    return self.done(Ending::Failed(error.reason));
                }
                self.next_failed(&error.reason, now);
            }
        }
    }

    fn received(&mut self, id: ConnId, data: Bytes, now: Moment) {
        if let Some(session) = self.conns.get_mut(&id).and_then(|conn| conn.session.as_mut()) {
            session.receive(data, now);
            self.drain_events(id, now);
        }
    }

    fn peer_closed(&mut self, id: ConnId, _how: Closed, now: Moment) {
        if self.conns.contains_key(&id) {
            self.gone(id, "the connection was lost", now);
        }
    }

    fn transmit(&mut self, id: ConnId, _now: Moment) -> Option<&mut OutQueue> {
        self.conns.get_mut(&id)?.session.as_mut().map(Session::out)
    }

    fn handle_timeout(&mut self, now: Moment) {
        for id in self.conns.keys().copied().collect::<Vec<_>>() {
            self.timeouts(id, now);
        }
        if self.given_up_at().is_some_and(|at| now >= at) {
            return self.give_up();
        }
        self.pursue(now);
    }

    fn wake_at(&self) -> Option<Moment> {
        let of_conn = |conn: &Conn| {
            let own = match conn.phase {
                Phase::Dialing(at) | Phase::Leaving(at) | Phase::AskAgain(at) => Some(at),
                _ => None,
            };
            earliest(own, conn.session.as_ref().and_then(Session::wake_at))
        };
        let own = earliest(self.given_up_at(), self.pursuit.as_ref().and_then(|pursuit| pursuit.dial_at));
        let own = earliest(own, self.next.and_then(|next| self.looks_elsewhere_at(next)));
        self.conns.values().map(of_conn).fold(own, earliest)
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
}
