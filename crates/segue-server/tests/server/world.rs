//! One shard under virtual time, with scripted clients: no thread, clock or socket. Bytes of the clients are made by
//! segue-proto's client session.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use segue_proto::caps::Announce;
use segue_proto::leg::{LegHeader, Position, ResumeToken};
use segue_proto::log::{self, ConnId};
use segue_proto::session::client::{Config, Event, Role, Session};
use segue_proto::session::{GoAwaySignal, Resume};
use segue_proto::url::RtmpUrl;
use segue_proto::{MediaMessage, Moment, Timestamp, TrackKind};
use segue_server::Switches;
use segue_server::drain::{Control, Request, Target};
use segue_server::hub::{Hub, HubConfig};
use segue_server::record::Recorder;
use segue_server::shard::{Closed, Output, Shard};

pub(crate) const PLAIN: Announce = Announce::NONE;
pub(crate) const RECONNECT: Announce = Announce { reconnect: true, go_away: false, segue: false };
pub(crate) const GO_AWAY: Announce = Announce { reconnect: false, go_away: true, segue: false };
pub(crate) const SEGUE: Announce = Announce::ALL;

/// What one client has seen.
pub(crate) struct Client {
    pub(crate) session: Session,
    pub(crate) events: Vec<Event>,
    pub(crate) eof: bool,
    pub(crate) closed: bool,
    /// Bytes from the server wait here unread.
    pub(crate) stalled: bool,
    /// Bytes that came, after which each event came.
    pub(crate) received: usize,
    resume: Option<Resume>,
    left: bool,
}

impl Client {
    pub(crate) fn media(&self) -> Vec<&MediaMessage> {
        self.events.iter().filter_map(|e| if let Event::Media(m) = e { Some(m) } else { None }).collect()
    }

    /// Timestamps of coded messages, configuration left out.
    pub(crate) fn timestamps(&self) -> Vec<u32> {
        self.media().iter().filter(|m| m.info().is_media()).map(|m| m.timestamp.as_millis()).collect()
    }

    pub(crate) fn signals(&self) -> Vec<(GoAwaySignal, Option<String>)> {
        self.events
            .iter()
            .filter_map(|e| {
                if let Event::GoAway { signal, tc_url } = e { Some((*signal, tc_url.clone())) } else { None }
            })
            .collect()
    }

    pub(crate) fn acknowledged(&self) -> Vec<u32> {
        self.events
            .iter()
            .filter_map(|e| if let Event::Acknowledged { sequence } = e { Some(*sequence) } else { None })
            .collect()
    }

    pub(crate) fn saw(&self, event: &Event) -> bool {
        self.events.contains(event)
    }

    pub(crate) fn refused(&self) -> Option<(&str, &str)> {
        self.events.iter().find_map(|e| match e {
            Event::PublishRefused { code, description } | Event::PlayRefused { code, description } => {
                Some((code.as_str(), description.as_str()))
            }
            _ => None,
        })
    }
}

pub(crate) struct World {
    pub(crate) hub: Arc<Hub>,
    pub(crate) drain: Arc<Control>,
    pub(crate) shard: Shard,
    pub(crate) now: Moment,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) recorder_stuck: bool,
    pub(crate) clients: BTreeMap<ConnId, Client>,
    /// The order in which connections were written to.
    pub(crate) writes: Vec<ConnId>,
    /// What the next publisher sends behind its `publish`, before any answer.
    eager: Vec<MediaMessage>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_record(None)
    }

    pub(crate) fn with_record(dir: Option<&Path>) -> Self {
        let wall: segue_server::config::WallClock = Arc::new(|| None);
        let config = HubConfig {
            shards: 1,
            log: log::Config::default(),
            recorded: dir.is_some(),
            address: "a.test:1935".into(),
            server_id: "feed".into(),
            wall: wall.clone(),
        };
        let hub = Hub::new(config);
        let drain = Control::new(7);
        Self {
            shard: Shard::new(hub.clone(), drain.clone(), 0, Switches::default(), 1),
            hub,
            drain,
            now: Moment::from_micros(1_000_000_000),
            recorder: dir.map(|dir| Recorder::new(dir.to_owned(), wall)),
            recorder_stuck: false,
            clients: BTreeMap::new(),
            writes: Vec::new(),
            eager: Vec::new(),
        }
    }

    pub(crate) fn client(&mut self, conn: ConnId) -> &mut Client {
        self.clients.get_mut(&conn).unwrap()
    }

    fn connect(
        &mut self,
        name: &str,
        announce: Announce,
        role: Role,
        resume: Option<Resume>,
        left: bool,
    ) -> ConnId {
        self.connect_in("live", name, announce, role, resume, left)
    }

    fn connect_in(
        &mut self,
        app: &str,
        name: &str,
        announce: Announce,
        role: Role,
        resume: Option<Resume>,
        left: bool,
    ) -> ConnId {
        let url = RtmpUrl::parse(&format!("rtmp://a.test/live/{name}")).unwrap();
        let url = RtmpUrl { app: app.to_owned(), ..url };
        let session = Session::new(Config { announce, ..Config::new(url) }, role, [3; 1528], self.now);
        let conn = self.shard.accepted("127.0.0.1:9".into(), self.now);
        self.clients.insert(
            conn,
            Client {
                session,
                events: Vec::new(),
                eof: false,
                closed: false,
                stalled: false,
                received: 0,
                resume,
                left,
            },
        );
        self.run();
        conn
    }

    pub(crate) fn publish(&mut self, name: &str, announce: Announce) -> ConnId {
        self.connect(name, announce, Role::Publisher, None, false)
    }

    /// Sends messages with its `publish`, in one piece.
    pub(crate) fn publish_eagerly(
        &mut self,
        name: &str,
        announce: Announce,
        messages: &[MediaMessage],
    ) -> ConnId {
        self.eager = messages.to_vec();
        self.publish(name, announce)
    }

    /// In an app of its own, with a query perhaps.
    pub(crate) fn publish_in(&mut self, app: &str, name: &str, announce: Announce) -> ConnId {
        self.connect_in(app, name, announce, Role::Publisher, None, false)
    }

    pub(crate) fn play(&mut self, name: &str, announce: Announce) -> ConnId {
        self.connect(name, announce, Role::Player, None, false)
    }

    pub(crate) fn play_from(&mut self, name: &str, announce: Announce, resume: Resume) -> ConnId {
        self.connect(name, announce, Role::Player, Some(resume), false)
    }

    /// A connection on which nothing is ever said.
    pub(crate) fn silent(&mut self) -> ConnId {
        let conn = self.connect("cam", PLAIN, Role::Player, None, true);
        assert_eq!(self.client(conn).received, 0);
        conn
    }

    /// Sends messages, and lets everything settle after each.
    pub(crate) fn send(&mut self, conn: ConnId, messages: &[MediaMessage]) {
        for message in messages {
            self.client(conn).session.send_media(message);
            self.run();
        }
    }

    pub(crate) fn leg(&mut self, conn: ConnId, leg: u32, source: &Source) {
        let header = LegHeader { token: ResumeToken([9; 16]), leg, position: source.position() };
        self.client(conn).session.send_leg_header(&header);
        self.run();
    }

    /// The client's side ends, in order.
    pub(crate) fn end(&mut self, conn: ConnId) {
        self.run();
        self.client(conn).left = true;
        self.shard.peer_closed(conn, Closed::Eof, self.now);
        self.run();
    }

    /// Everything on its way arrives, no time passes.
    pub(crate) fn run(&mut self) {
        loop {
            let mut moved = false;
            for (conn, client) in &mut self.clients {
                let out = client.session.out();
                while let Some(bytes) = out.pop() {
                    if !client.left {
                        self.shard.received(*conn, &bytes, self.now);
                    }
                    moved = true;
                }
            }
            self.shard.pass(self.now);
            while let Some(output) = self.shard.poll_output() {
                moved |= self.carry_out(output);
            }
            if let Some(recorder) = self.recorder.as_mut().filter(|_| !self.recorder_stuck) {
                recorder.pass(&self.hub);
            }
            let mail = !self.hub.mailbox(0).unwrap().is_empty();
            if !moved && !mail {
                return;
            }
        }
    }

    fn carry_out(&mut self, output: Output) -> bool {
        match output {
            Output::Transmit(conn) => {
                let client = self.clients.get_mut(&conn).unwrap();
                if client.stalled {
                    return false;
                }
                self.writes.push(conn);
                let mut data = Vec::new();
                while let Some(bytes) = self.shard.transmit(conn).and_then(|queue| queue.pop()) {
                    data.extend_from_slice(&bytes);
                }
                self.shard.written(conn, self.now);
                self.read(conn, data.into());
            }
            Output::ShutdownWrite(conn) => self.client(conn).eof = true,
            Output::Close(conn) => self.client(conn).closed = true,
        }
        true
    }

    fn read(&mut self, conn: ConnId, data: Bytes) {
        let now = self.now;
        let mut eager = std::mem::take(&mut self.eager);
        let client = self.client(conn);
        client.received += data.len();
        client.session.receive(data, now);
        while let Ok(Some(event)) = client.session.poll_event() {
            match &event {
                Event::Connected(_) => client.session.create_stream(),
                Event::StreamCreated(_) => {
                    client.session.publish();
                    eager.drain(..).for_each(|message| _ = client.session.send_media(&message));
                    client.session.play(client.resume);
                }
                _ => {}
            }
            client.events.push(event);
        }
        self.eager = eager;
    }

    /// Time passes; everything due happens at its moment.
    pub(crate) fn pass_time(&mut self, span: Duration) {
        let until = self.now + span;
        loop {
            let wake = self.shard.wake_at(self.now).filter(|at| *at <= until);
            let Some(at) = wake else { break };
            self.now = self.now.max(at);
            self.shard.handle_timeout(self.now);
            self.run();
            if self.shard.wake_at(self.now) == wake {
                // Nothing may be due for ever: it would be a busy loop.
                panic!("due again at {at:?}, at {:?}", self.now);
            }
        }
        self.now = until;
        self.run();
    }

    /// One publisher sends what a source gives, in its time.
    pub(crate) fn stream(&mut self, conn: ConnId, source: &mut Source, messages: usize) {
        for _ in 0..messages {
            let message = source.next();
            self.send(conn, &[message]);
            self.pass_time(FRAME);
        }
    }

    pub(crate) fn begin_drain(&mut self, request: Request) {
        let hub = self.hub.clone();
        self.drain.lock().begin(&hub, request, self.now).unwrap();
        self.run();
    }
}

pub(crate) const FRAME: Duration = Duration::from_millis(40);
/// Frames of a GOP: 1 s.
pub(crate) const GOP: u32 = 25;

/// Video that never repeats, 25 frames a second.
pub(crate) struct Source {
    next: u32,
    start: u32,
}

impl Source {
    pub(crate) fn new() -> Self {
        Self { next: 0, start: 0 }
    }

    /// The same frames, with timestamps from 0 again: what an encoder does that reconnects.
    pub(crate) fn restarted(at: u32) -> Self {
        Self { next: at, start: at }
    }

    pub(crate) fn next(&mut self) -> MediaMessage {
        let n = self.next;
        self.next += 1;
        let first = if n.is_multiple_of(GOP) { 0x17 } else { 0x27 };
        let mut payload = vec![first, 1, 0, 0, 0];
        payload.extend_from_slice(&n.to_be_bytes());
        payload.resize(600, n as u8);
        MediaMessage::new(TrackKind::Video, Timestamp::from_millis((n - self.start) * 40), payload.into())
    }

    pub(crate) fn position(&self) -> Position {
        Position {
            index: u64::from(self.next),
            keyframes: u64::from(self.next.div_ceil(GOP)),
            timestamp: Timestamp::from_millis((self.next - self.start) * 40),
        }
    }
}

pub(crate) fn sequence_header() -> MediaMessage {
    MediaMessage::new(TrackKind::Video, Timestamp::ZERO, Bytes::from_static(b"\x17\x00\0\0\0\x01\x02\x03"))
}

pub(crate) fn metadata() -> MediaMessage {
    MediaMessage::new(
        TrackKind::Data,
        Timestamp::ZERO,
        Bytes::from_static(b"\x02\0\x0aonMetaData\x08\0\0\0\0\0\0\x09"),
    )
}

pub(crate) fn request(to: Option<&str>) -> Request {
    Request {
        to: to.map(|to| Target::parse(to).unwrap()),
        deadline: Duration::from_secs(25),
        settle: Duration::ZERO,
        over: Duration::ZERO,
        stream: None,
        dry_run: false,
    }
}
