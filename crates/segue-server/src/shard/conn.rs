//! One connection: its session, what it does (publish, watch, wait), and what its events mean. How a publisher, a
//! viewer and a close go on is in the files beside.

use std::sync::Arc;

use segue_proto::caps::Announce;
use segue_proto::log::{ConnId, Start};
use segue_proto::message::MessageStreamId;
use segue_proto::message::status::code;
use segue_proto::session::server::{Event, Session};
use segue_proto::session::{GoAwaySignal, Resume};
use segue_proto::time::earliest;
use segue_proto::{Error, Moment, url};

use super::leg::Publisher;
use super::phase::Closing;
use super::watch::Viewer;
use super::{Closed, Core, Output};
use crate::config::{PARK, VIEWER_STALL};
use crate::drain::signal_for;
use crate::hub::{Ask, Draining, Leg, Slot, StreamKey, Watch};

pub(super) enum Role {
    Idle,
    Publisher(Publisher),
    Parked(Parked),
    Viewer(Box<Viewer>),
}

/// A play that waits for its stream.
pub(super) struct Parked {
    stream: MessageStreamId,
    key: StreamKey,
    resume: Option<Resume>,
    until: Moment,
}

/// What `connect` said.
pub(super) struct Client {
    pub(super) app: String,
    /// The app as it was sent, with its query.
    principal: String,
    pub(super) tc_url: String,
    pub(super) announce: Announce,
}

pub(super) struct Conn {
    pub(super) id: ConnId,
    pub(super) number: u64,
    pub(super) peer: String,
    pub(super) session: Session,
    pub(super) role: Role,
    pub(super) client: Option<Client>,
    pub(super) closing: Option<Closing>,
    /// What was taken of a connection that does not publish.
    pub(super) taken: u64,
    /// The peer sends nothing more.
    pub(super) peer_ended: bool,
    /// The session gave up: nothing more is fed to it.
    pub(super) deaf: bool,
    /// It was said that aggregates of this connection are not what they say: once, however many come.
    pub(super) fault_said: bool,
    /// When the out queue last moved, or began to wait.
    pub(super) progress: Moment,
    pub(super) waiting: bool,
    /// Counted in the hub as having something to finish.
    pub(super) busy: bool,
    pub(super) timer: Option<Moment>,
    pub(super) touched: bool,
}

impl Conn {
    pub(super) fn new(id: ConnId, number: u64, peer: String, session: Session, now: Moment) -> Self {
        Self {
            id,
            number,
            peer,
            session,
            role: Role::Idle,
            client: None,
            closing: None,
            taken: 0,
            peer_ended: false,
            deaf: false,
            fault_said: false,
            progress: now,
            waiting: false,
            busy: false,
            timer: None,
            touched: false,
        }
    }

    pub(super) fn announce(&self) -> Announce {
        self.client.as_ref().map_or(Announce::NONE, |client| client.announce)
    }

    pub(super) fn received(&mut self, core: &mut Core, data: &[u8], now: Moment) {
        if self.deaf || self.is_gone() {
            return;
        }
        self.session.receive_copy(data, now);
        self.events(core, now);
    }

    fn events(&mut self, core: &mut Core, now: Moment) {
        loop {
            match self.session.poll_event() {
                Ok(Some(event)) => self.event(core, event, now),
                Ok(None) => break,
                Err(error) => return self.failed(core, &error, now),
            }
        }
        self.say_fault();
        match &self.role {
            Role::Publisher(_) => self.checkpoint(now),
            _ if self.closing.is_none() => {
                self.taken = self.session.consumed();
                self.session.taken(self.taken, now);
            }
            // What follows a refused publish is not taken.
            _ => {}
        }
    }

    /// Nothing of it ends a connection, and each of its messages may be one: the first is worth a line.
    fn say_fault(&mut self) {
        if let (1.., Some(fault)) = self.session.faulty_aggregates()
            && !std::mem::replace(&mut self.fault_said, true)
        {
            tracing::warn!(peer = %self.peer, ?fault, "an aggregate message is not what it says");
        }
    }

    fn failed(&mut self, core: &mut Core, error: &Error, now: Moment) {
        tracing::info!(peer = %self.peer, %error, "closing");
        self.deaf = true;
        self.close(core, now);
    }

    fn event(&mut self, core: &mut Core, event: Event, now: Moment) {
        match event {
            Event::Media { message, .. } => self.media(core, message, now),
            Event::LegHeader { header, .. } => self.leg_header(core, header, now),
            Event::Unpublish { .. } => self.unpublished(core, now),
            _ if self.closing.is_some() => (),
            Event::Connect { app, tc_url, announce, .. } => self.connected(core, &app, tc_url, announce, now),
            Event::Publish { stream, name } => self.publish(core, stream, &name, now),
            Event::Play { stream, name, resume } => self.play(core, stream, &name, resume, now),
            Event::StopPlay { .. } => self.stop_play(core),
            Event::Acknowledged { .. } => {}
        }
    }

    fn connected(&mut self, core: &mut Core, app: &str, tc_url: String, announce: Announce, now: Moment) {
        let principal = app.to_owned();
        let app = app.split_once('?').map_or(app, |(app, _)| app).trim_matches('/');
        if !url::valid_app(app) {
            self.session.reject_connect(code::CONNECT_INVALID_APP, "invalid app");
            return self.close(core, now);
        }
        let switches = core.switches;
        let ours =
            Announce { reconnect: switches.reconnect, go_away: switches.go_away, segue: switches.segue };
        self.client = Some(Client { app: app.to_owned(), principal, tc_url, announce: announce.and(ours) });
        self.session.accept_connect(core.hub.is_draining(), now);
    }

    /// App and name of a stream asked for, if they are in order.
    fn key(&self, name: &str) -> Option<StreamKey> {
        let (bare, _) = url::split_query(name);
        let client = self.client.as_ref()?;
        url::valid_stream_name(name).then(|| StreamKey { app: client.app.clone(), name: bare.to_owned() })
    }

    fn publish(&mut self, core: &mut Core, stream: MessageStreamId, name: &str, now: Moment) {
        let refusal = match (&self.role, self.key(name), &self.client) {
            (Role::Idle, Some(key), Some(client)) => {
                let leg = Leg {
                    announce: client.announce,
                    tc_url: client.tc_url.clone(),
                    peer: self.peer.clone(),
                    told: None,
                    granted: 0,
                    telling: false,
                    bytes: 0,
                    cutting: false,
                    target: None,
                    last_ts: None,
                };
                let principal = format!("{}/{name}", client.principal);
                match core.hub.publish(self.id, &Ask { key, principal, leg }, now) {
                    Ok(slot) => {
                        core.watch_time(&slot, &slot.lock(), now);
                        self.role = Role::Publisher(Publisher::new(slot, stream));
                        self.set_busy(core, true);
                        return;
                    }
                    Err(Draining) => (code::CONNECT_REJECTED, "draining"),
                }
            }
            (Role::Idle, ..) => (code::PUBLISH_BAD_NAME, "invalid stream name"),
            _ => (code::PUBLISH_BAD_NAME, "this connection has a stream already"),
        };
        self.session.publish_refused(stream, refusal.0, refusal.1);
        self.close(core, now);
    }

    fn play(
        &mut self,
        core: &mut Core,
        stream: MessageStreamId,
        name: &str,
        resume: Option<Resume>,
        now: Moment,
    ) {
        let refusal = match (&self.role, self.key(name)) {
            (Role::Idle, Some(key)) => match core.hub.watch(self.id, &key, resume) {
                Watch::Here(slot) => {
                    return self.attach(core, &slot, stream, resume.map_or(Start::Live, Start::At));
                }
                Watch::Parked => {
                    self.role = Role::Parked(Parked { stream, key, resume, until: now + PARK });
                    return;
                }
                Watch::Draining => (code::CONNECT_REJECTED, "draining"),
                Watch::Full => (code::PLAY_STREAM_NOT_FOUND, "too many wait for streams that are not here"),
            },
            (Role::Idle, None) => (code::PLAY_STREAM_NOT_FOUND, "invalid stream name"),
            _ => (code::PLAY_FAILED, "this connection has a stream already"),
        };
        self.session.play_refused(stream, refusal.0, refusal.1);
        self.close(core, now);
    }

    /// The stream that this connection waits for is here.
    pub(super) fn arrived(&mut self, core: &mut Core, slot: &Arc<Slot>) {
        if let Role::Parked(parked) = &self.role {
            let (stream, resume) = (parked.stream, parked.resume);
            // It waited for the stream's beginning, and what came in one piece with it is its beginning.
            self.attach(core, slot, stream, resume.map_or(Start::Oldest, Start::At));
        }
    }

    /// The server drains: a stream that is not here will not come.
    pub(super) fn unparked(&mut self, core: &mut Core, now: Moment) {
        if let Role::Parked(parked) = &self.role {
            self.session.play_refused(parked.stream, code::CONNECT_REJECTED, "draining");
            self.role = Role::Idle;
            self.close(core, now);
        }
    }

    fn stop_play(&mut self, core: &mut Core) {
        match std::mem::replace(&mut self.role, Role::Idle) {
            Role::Parked(parked) => core.hub.unpark(self.id, &parked.key),
            Role::Viewer(viewer) => {
                viewer.part(core, self.id, self.number, false);
                self.set_busy(core, false);
            }
            role => self.role = role,
        }
    }

    /// Leaves whatever it was doing: the connection goes away.
    pub(super) fn detach(&mut self, core: &mut Core, now: Moment) {
        match &self.role {
            Role::Publisher(_) => self.leave(core, crate::hub::Leaving::Lost, now),
            Role::Parked(_) | Role::Viewer(_) => self.stop_play(core),
            Role::Idle => {}
        }
    }

    /// Sends the go-away that this client understands.
    pub(super) fn tell(&mut self, core: &mut Core, tc_url: Option<String>, now: Moment) {
        if self.closing.is_some() {
            return;
        }
        let quiet =
            signal_for(&self.announce()) == Some(GoAwaySignal::GoAwayMessage) && !self.announce().segue;
        match &self.role {
            Role::Publisher(_) if quiet => self.tell_at_keyframe(core, now),
            Role::Publisher(_) => self.tell_now(core, tc_url.as_deref(), now),
            Role::Viewer(_) => {
                let _ = self.session.go_away(tc_url.as_deref(), now);
            }
            Role::Idle | Role::Parked(_) => {}
        }
    }

    pub(super) fn peer_closed(&mut self, core: &mut Core, how: Closed, now: Moment) {
        self.peer_ended = true;
        if how == Closed::Reset {
            self.deaf = true;
            return self.drop_now(core, now);
        }
        self.detach_publisher_at_eof(core, now);
        self.close(core, now);
    }

    pub(super) fn progressed(&mut self, now: Moment) {
        self.progress = now;
    }

    pub(super) fn handle_timeout(&mut self, core: &mut Core, now: Moment) {
        if self.closing.is_none()
            && !self.deaf
            && let Err(error) = self.session.handle_timeout(now)
        {
            return self.failed(core, &error, now);
        }
        if let Role::Parked(parked) = &self.role
            && now >= parked.until
        {
            let stream = parked.stream;
            self.stop_play(core);
            self.session.play_refused(stream, code::PLAY_STREAM_NOT_FOUND, "the stream is not here");
        }
        if self.is_stalled(now) {
            tracing::info!(peer = %self.peer, "dropping a viewer that takes nothing");
            return self.drop_now(core, now);
        }
        self.publisher_timeout(core, now);
    }

    fn is_stalled(&self, now: Moment) -> bool {
        matches!(self.role, Role::Viewer(_)) && self.waiting && now >= self.progress + VIEWER_STALL
    }

    pub(super) fn wake_at(&self) -> Option<Moment> {
        if let Some(closing) = &self.closing {
            return closing.wake_at();
        }
        let role = match &self.role {
            Role::Parked(parked) => Some(parked.until),
            Role::Viewer(_) if self.waiting => Some(self.progress + VIEWER_STALL),
            Role::Publisher(publisher) => publisher.wake_at(),
            Role::Viewer(_) | Role::Idle => None,
        };
        earliest(self.session.wake_at(), role)
    }

    /// The end of a pass: reads on for a viewer, goes on with a close, and says whether there are bytes to write.
    pub(super) fn finish(&mut self, core: &mut Core, now: Moment) {
        self.pull(core, now);
        self.go_on_closing(core, now);
        let waits = !self.session.out().is_empty();
        if waits && !self.waiting {
            self.progress = now;
        }
        self.waiting = waits;
        if waits && !self.is_gone() {
            core.outputs.push_back(Output::Transmit(self.id));
        }
    }

    pub(super) fn set_busy(&mut self, core: &Core, busy: bool) {
        if std::mem::replace(&mut self.busy, busy) != busy {
            if busy {
                core.hub.busy_began();
            } else {
                core.hub.busy_ended();
            }
        }
    }
}
