//! Servers in memory for tests of the client machines: each connection is a real server session, between it and the
//! machine lie two pipes with latency, an uplink rate, and arbitrary segmentation. Time is virtual and goes in
//! milliseconds; one seed gives one run.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use segue_proto::client::{Action, Closed, ConnId, DialError, Machine, Outcome};
use segue_proto::handover::record::Record;
use segue_proto::leg::{LegHeader, PlayPosition, Position, StreamHash};
use segue_proto::media::{MediaMessage, TrackKind};
use segue_proto::message::MessageStreamId;
use segue_proto::outqueue::OutQueue;
use segue_proto::session::server::{Config, Event, Session};
use segue_proto::session::{GoAwaySignal, Resume};
use segue_proto::url::RtmpUrl;
use segue_proto::{Moment, Timestamp};

/// What the operating system takes before a write blocks.
const SOCKET_BUFFER: usize = 32 << 10;

pub const SEED: [u8; 32] = [42; 32];

pub fn at(ms: u64) -> Moment {
    Moment::from_micros(ms * 1000)
}

pub fn url(host: &str) -> RtmpUrl {
    RtmpUrl::parse(&format!("rtmp://{host}/live/key?token=t")).unwrap()
}

/// What a server answers to `publish`.
#[derive(Clone, PartialEq)]
pub enum OnPublish {
    Start,
    /// After so many milliseconds.
    StartAfter(u64),
    Refuse(&'static str, &'static str),
    /// BadName as long as another connection of these servers has the stream.
    BusyWith(Vec<&'static str>),
    Hang,
    Reset,
}

/// At which step a server goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    DialRefused,
    DialHangs,
    HandshakeHangs,
    ConnectHangs,
    ConnectReset,
    ConnectRejected,
    CreateStreamReset,
}

pub struct Server {
    pub host: &'static str,
    pub config: Arc<Config>,
    pub draining: bool,
    pub on_publish: OnPublish,
    pub fault: Option<Fault>,
    /// Acknowledges nothing from here on, not even at the end.
    pub mute: bool,
    /// What viewers get; none: plays are parked.
    pub stream: Option<Vec<MediaMessage>>,
    pub first_index: u64,
    pub hash: StreamHash,
    /// Told to everyone who connects.
    pub greeting: Option<&'static str>,
}

impl Server {
    pub fn new(host: &'static str) -> Self {
        let config = Config { server_id: host.to_owned(), ..Config::default() };
        Self {
            host,
            config: Arc::new(config),
            draining: false,
            on_publish: OnPublish::Start,
            fault: None,
            mute: false,
            stream: None,
            first_index: 0,
            hash: StreamHash([9; 8]),
            greeting: None,
        }
    }

    /// Speaks plain RTMP with ReconnectRequest.
    pub fn foreign(host: &'static str) -> Self {
        let config = Config { segue: false, ..Config::default() };
        Self { config: Arc::new(config), ..Self::new(host) }
    }
}

/// One connection.
pub struct Link {
    pub conn: ConnId,
    pub server: usize,
    session: Session,
    up: VecDeque<(u64, Option<Bytes>)>,
    down: VecDeque<(u64, Option<Bytes>)>,
    up_bytes: usize,
    line_free: u64,
    down_offset: usize,
    shutdown_due: bool,
    pub client_closed: bool,
    pub server_closed: bool,
    pub accepted: bool,
    pub headers: Vec<LegHeader>,
    /// Everything received as media, configuration included.
    pub got: Vec<MediaMessage>,
    pub unpublished: bool,
    pub saw_eof: bool,
    start_at: Option<(u64, MessageStreamId)>,
    publishing: bool,
    play: Option<(MessageStreamId, Option<Resume>)>,
    pub resume: Option<Resume>,
    cursor: Option<usize>,
    pub play_stopped: bool,
    /// The server reads nothing more.
    pub deaf: bool,
}

impl Link {
    /// The media it received, as the ledger counts it.
    pub fn media(&self) -> Vec<MediaMessage> {
        self.got.iter().filter(|message| message.info().is_media()).cloned().collect()
    }
}

pub struct World<M> {
    pub ms: u64,
    pub machine: M,
    pub servers: Vec<Server>,
    pub links: Vec<Link>,
    pub latency: u64,
    /// Bytes a second of each uplink.
    pub uplink: Option<u64>,
    pub records: Vec<Record>,
    pub notices: Vec<String>,
    pub media: Vec<MediaMessage>,
    pub outcome: Option<Outcome>,
    /// When, where to, and which address.
    pub dials: Vec<(u64, String, u32)>,
    pending_dials: VecDeque<(u64, ConnId, Option<usize>)>,
    random: u64,
}

impl<M: Machine> World<M> {
    pub fn new(machine: M, servers: Vec<Server>) -> Self {
        Self {
            ms: 0,
            machine,
            servers,
            links: Vec::new(),
            latency: 5,
            uplink: None,
            records: Vec::new(),
            notices: Vec::new(),
            media: Vec::new(),
            outcome: None,
            dials: Vec::new(),
            pending_dials: VecDeque::new(),
            random: 1,
        }
    }

    pub fn now(&self) -> Moment {
        at(self.ms)
    }

    pub fn server(&mut self, host: &str) -> &mut Server {
        self.servers.iter_mut().find(|server| server.host == host).unwrap()
    }

    /// The connections of a server, in order.
    pub fn links_of(&self, host: &str) -> Vec<&Link> {
        self.links.iter().filter(|link| self.servers[link.server].host == host).collect()
    }

    /// The live connections of a server that have the stream, told to go.
    pub fn tell(&mut self, host: &str, target: Option<&str>) -> Vec<GoAwaySignal> {
        let (now, servers) = (self.now(), &self.servers);
        let live =
            self.links.iter_mut().filter(|link| servers[link.server].host == host && !link.server_closed);
        let target = target.map(|host| format!("rtmp://{host}/live"));
        let told = live.filter_map(|link| link.session.go_away(target.as_deref(), now)).collect();
        self.settle();
        told
    }

    /// A server dies: what is under way to it is lost.
    pub fn kill(&mut self, host: &str, how: Closed) {
        let now = self.now();
        let server = self.servers.iter().position(|server| server.host == host).unwrap();
        let dying: Vec<usize> = (0..self.links.len()).filter(|&n| self.links[n].server == server).collect();
        for n in dying {
            let link = &mut self.links[n];
            if !std::mem::replace(&mut link.server_closed, true) && !link.client_closed {
                link.up.clear();
                link.down.clear();
                let conn = link.conn;
                self.machine.peer_closed(conn, how, now);
            }
        }
        self.settle();
    }

    /// A server cuts its connections in order: a last acknowledgement, then the end.
    pub fn cut(&mut self, host: &str) {
        let server = self.servers.iter().position(|server| server.host == host).unwrap();
        for n in 0..self.links.len() {
            let link = &mut self.links[n];
            if link.server == server && !link.server_closed {
                link.session.final_acknowledgement(link.session.consumed());
                link.up.clear();
                self.server_shutdown(n);
            }
        }
        self.settle();
    }

    /// Ends all plays of a server, and closes their connections.
    pub fn end_plays(&mut self, host: &str, unpublished: bool) {
        self.ms_step();
        let server = self.servers.iter().position(|server| server.host == host).unwrap();
        for n in 0..self.links.len() {
            let link = &mut self.links[n];
            if link.server != server || link.server_closed {
                continue;
            }
            if let Some((stream, _)) = link.play {
                if unpublished {
                    link.session.play_ended(stream, true);
                } else {
                    link.session.stream_eof(stream);
                }
                self.server_shutdown(n);
            }
        }
        self.settle();
    }

    /// Lets `ms` milliseconds pass.
    pub fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.ms_step();
        }
    }

    pub fn run_until_finished(&mut self, most: u64) -> Outcome {
        for _ in 0..most {
            if let Some(outcome) = &self.outcome {
                return outcome.clone();
            }
            self.ms_step();
        }
        panic!("not finished after {most} ms; notices {:?}", self.notices);
    }

    fn ms_step(&mut self) {
        self.ms += 1;
        let now = self.now();
        while self.pending_dials.front().is_some_and(|(due, ..)| *due <= self.ms) {
            let (_, conn, server) = self.pending_dials.pop_front().unwrap();
            self.connect(conn, server);
        }
        for n in 0..self.links.len() {
            while self.links[n].up.front().is_some_and(|(due, _)| *due <= self.ms) {
                let (_, data) = self.links[n].up.pop_front().unwrap();
                self.server_receives(n, data);
            }
            while self.links[n].down.front().is_some_and(|(due, _)| *due <= self.ms) {
                let (_, data) = self.links[n].down.pop_front().unwrap();
                let (conn, closed) = (self.links[n].conn, self.links[n].client_closed);
                match data {
                    _ if closed => {}
                    Some(data) => self.machine.received(conn, data, now),
                    None => self.machine.peer_closed(conn, Closed::Eof, now),
                }
                self.settle();
            }
            self.server_works(n);
        }
        if self.machine.wake_at().is_some_and(|wake| wake <= now) {
            self.machine.handle_timeout(now);
            assert!(self.machine.wake_at().is_none_or(|wake| wake > now), "a deadline that never passes");
        }
        self.settle();
    }

    /// Carries out actions and moves bytes, until nothing more comes of it.
    pub fn settle(&mut self) {
        let now = self.now();
        loop {
            let mut quiet = true;
            while let Some(action) = self.machine.poll_action() {
                quiet = false;
                self.act(action);
            }
            for n in 0..self.links.len() {
                if self.links[n].client_closed {
                    continue;
                }
                let conn = self.links[n].conn;
                while self.links[n].up_bytes < SOCKET_BUFFER {
                    let Some(out) = self.machine.transmit(conn, now).filter(|out| !out.is_empty()) else {
                        break;
                    };
                    let piece = take_piece(out, &mut self.random);
                    self.send_up(n, piece);
                    quiet = false;
                }
                let empty = self.machine.transmit(conn, now).is_none_or(|out| out.is_empty());
                let link = &mut self.links[n];
                if link.shutdown_due && empty {
                    link.shutdown_due = false;
                    let due = link.line_free.div_ceil(1000).max(self.ms) + self.latency;
                    link.up.push_back((due, None));
                }
            }
            self.flush_servers();
            if quiet {
                return;
            }
        }
    }

    fn send_up(&mut self, n: usize, piece: Bytes) {
        let link = &mut self.links[n];
        let mut free = link.line_free.max(self.ms * 1000);
        if let Some(rate) = self.uplink {
            free += piece.len() as u64 * 1_000_000 / rate;
            link.up_bytes += piece.len();
        }
        link.line_free = free;
        link.up.push_back((free.div_ceil(1000) + self.latency, Some(piece)));
    }

    fn act(&mut self, action: Action) {
        let link = |links: &Vec<Link>, conn| links.iter().position(|link: &Link| link.conn == conn);
        match action {
            Action::Dial { conn, url, attempt } => {
                self.dials.push((self.ms, url.host.clone(), attempt));
                let server = self.servers.iter().position(|server| server.host == url.host);
                let fault = server.and_then(|server| self.servers[server].fault);
                if fault != Some(Fault::DialHangs) {
                    let server = server.filter(|_| fault != Some(Fault::DialRefused));
                    self.pending_dials.push_back((self.ms + 2 * self.latency, conn, server));
                }
            }
            Action::ShutdownWrite(conn) => {
                if let Some(n) = link(&self.links, conn) {
                    self.links[n].shutdown_due = true;
                }
            }
            Action::Close(conn) => {
                self.pending_dials.retain(|(_, pending, _)| *pending != conn);
                if let Some(n) = link(&self.links, conn) {
                    self.links[n].client_closed = true;
                    let due = self.links[n].line_free.div_ceil(1000).max(self.ms) + self.latency;
                    self.links[n].up.push_back((due, None));
                }
            }
            Action::Handover(record) => self.records.push(record),
            Action::Notice(notice) => self.notices.push(notice.0),
            Action::Media(message) => self.media.push(message),
            Action::Finished(outcome) => self.outcome = Some(outcome),
            other => panic!("{other:?}"),
        }
    }

    fn connect(&mut self, conn: ConnId, server: Option<usize>) {
        let now = self.now();
        let Some(server) = server else {
            let error = DialError { reason: "connection refused".into(), addresses: 1 };
            self.machine.dialed(conn, Err(error), now);
            return self.settle();
        };
        self.links.push(Link {
            conn,
            server,
            session: Session::new(self.servers[server].config.clone(), [7; 1528], now),
            up: VecDeque::new(),
            down: VecDeque::new(),
            up_bytes: 0,
            line_free: 0,
            down_offset: 0,
            shutdown_due: false,
            client_closed: false,
            server_closed: false,
            accepted: false,
            headers: Vec::new(),
            got: Vec::new(),
            unpublished: false,
            saw_eof: false,
            start_at: None,
            publishing: false,
            play: None,
            resume: None,
            cursor: None,
            play_stopped: false,
            deaf: false,
        });
        self.machine.dialed(conn, Ok(format!("{}:1935", self.servers[server].host)), now);
        self.settle();
    }

    fn server_receives(&mut self, n: usize, data: Option<Bytes>) {
        let now = self.now();
        let server = self.links[n].server;
        if self.links[n].server_closed || self.links[n].deaf {
            return;
        }
        let fault = self.servers[server].fault;
        let Some(data) = data else {
            let mute = self.servers[server].mute;
            let link = &mut self.links[n];
            link.saw_eof = true;
            link.publishing = false;
            if !mute {
                link.session.final_acknowledgement(link.session.consumed());
            }
            return self.server_shutdown(n);
        };
        if self.uplink.is_some() {
            self.links[n].up_bytes -= data.len();
        }
        if fault == Some(Fault::HandshakeHangs) {
            return;
        }
        self.links[n].session.receive(data, now);
        while let Some(event) = self.links[n].session.poll_event().unwrap() {
            self.server_event(n, event);
            if self.links[n].server_closed {
                return;
            }
        }
    }

    fn server_event(&mut self, n: usize, event: Event) {
        let now = self.now();
        let index = self.links[n].server;
        let busy = match &self.servers[index].on_publish {
            OnPublish::BusyWith(hosts) => self.links.iter().enumerate().any(|(m, link)| {
                m != n
                    && link.publishing
                    && !link.server_closed
                    && hosts.contains(&self.servers[link.server].host)
            }),
            _ => false,
        };
        let server = &self.servers[index];
        let (fault, mute) = (server.fault, server.mute);
        let link = &mut self.links[n];
        match event {
            Event::Connect { .. } => match fault {
                Some(Fault::ConnectHangs) => {}
                Some(Fault::ConnectReset) => self.reset(n),
                Some(Fault::ConnectRejected) => {
                    link.session.reject_connect("NetConnection.Connect.Rejected", "wrong key");
                    self.server_shutdown(n);
                }
                Some(Fault::CreateStreamReset) => {
                    link.session.accept_connect(false, now);
                    link.start_at = Some((self.ms + 1, MessageStreamId(0)));
                }
                _ => {
                    link.session.accept_connect(server.draining, now);
                    if let Some(target) = server.greeting {
                        link.session.go_away(Some(&format!("rtmp://{target}/live")), now);
                    }
                }
            },
            Event::Publish { stream, name } => {
                assert_eq!(name, "key?token=t");
                match &server.on_publish {
                    OnPublish::Start => link.grant(stream),
                    OnPublish::StartAfter(ms) => link.start_at = Some((self.ms + ms, stream)),
                    OnPublish::Refuse(code, text) => link.session.publish_refused(stream, code, text),
                    OnPublish::BusyWith(_) if busy => {
                        link.session.publish_refused(stream, "NetStream.Publish.BadName", "busy");
                    }
                    OnPublish::BusyWith(_) => link.grant(stream),
                    OnPublish::Hang => {}
                    OnPublish::Reset => self.reset(n),
                }
            }
            Event::LegHeader { header, .. } => link.headers.push(header),
            Event::Media { message, .. } => {
                link.got.push(message);
                if !mute {
                    link.session.taken(link.session.consumed(), now);
                }
            }
            Event::Unpublish { .. } => {
                link.unpublished = true;
                link.publishing = false;
                if !mute {
                    link.session.final_acknowledgement(link.session.consumed());
                }
            }
            Event::Play { stream, resume, .. } => {
                link.play = Some((stream, resume));
                link.resume = resume.or(link.resume);
            }
            Event::StopPlay { .. } => {
                link.play = None;
                link.play_stopped = true;
            }
            Event::Acknowledged { .. } => {}
        }
    }

    /// Refuses the plays that are parked.
    pub fn refuse_parked(&mut self, host: &str) {
        let server = self.servers.iter().position(|server| server.host == host).unwrap();
        for link in self.links.iter_mut().filter(|link| link.server == server && link.cursor.is_none()) {
            if let Some((stream, _)) = link.play.take() {
                link.session.play_refused(stream, "NetStream.Play.StreamNotFound", "not here");
            }
        }
        self.settle();
    }

    /// What a server does by itself: late answers, acknowledgements, media to viewers.
    fn server_works(&mut self, n: usize) {
        let now = self.now();
        if self.links[n].server_closed {
            return;
        }
        if let Some((due, stream)) = self.links[n].start_at
            && due <= self.ms
        {
            self.links[n].start_at = None;
            if stream.0 == 0 {
                return self.reset(n);
            }
            self.links[n].grant(stream);
        }
        let server = &self.servers[self.links[n].server];
        let link = &mut self.links[n];
        if link.session.wake_at().is_some_and(|wake| wake <= now) && !server.mute && server.fault.is_none() {
            let _ = link.session.handle_timeout(now);
        }
        let (Some((stream, resume)), Some(log)) = (link.play, &server.stream) else { return };
        let cursor = *link.cursor.get_or_insert_with(|| {
            let wanted = resume.filter(|resume| resume.stream == server.hash).map(|resume| resume.index);
            let wanted = wanted.map_or(log.len(), |index| index.saturating_sub(server.first_index) as usize);
            let is_key = |message: &MediaMessage| {
                message.kind == TrackKind::Video && message.payload[..2] == [0x17, 1]
            };
            let start = log.iter().take(wanted.saturating_add(1)).rposition(is_key).unwrap_or(0);
            link.session.play_start(stream);
            let index = server.first_index + start as u64;
            let position = Position { index, ..Position::default() };
            link.session.send_position(stream, PlayPosition { stream: server.hash, position });
            start
        });
        for message in &log[cursor..] {
            link.session.send_media(stream, message);
        }
        link.cursor = Some(log.len());
        self.flush_servers();
    }

    fn flush_servers(&mut self) {
        for link in &mut self.links {
            while !link.session.out().is_empty() {
                let piece = take_piece(link.session.out(), &mut self.random);
                if !link.server_closed {
                    link.down.push_back((self.ms + self.latency, Some(piece)));
                }
            }
        }
    }

    fn server_shutdown(&mut self, n: usize) {
        self.flush_servers();
        let link = &mut self.links[n];
        link.server_closed = true;
        link.down.push_back((self.ms + self.latency, None));
    }

    fn reset(&mut self, n: usize) {
        let now = self.now();
        self.links[n].server_closed = true;
        self.links[n].up.clear();
        let conn = self.links[n].conn;
        self.machine.peer_closed(conn, Closed::Reset, now);
        self.settle();
    }
}

impl Link {
    fn grant(&mut self, stream: MessageStreamId) {
        self.accepted = true;
        self.publishing = true;
        self.session.publish_start(stream);
    }
}

/// Some of what waits: a slice, or a part of it.
fn take_piece(out: &mut OutQueue, random: &mut u64) -> Bytes {
    *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let front = out.front().map(Bytes::copy_from_slice).unwrap_or_default();
    let whole = front.len();
    let piece = match (*random >> 33) % 4 {
        0 => 1 + (*random >> 40) as usize % whole,
        _ => whole,
    };
    out.advance(piece);
    front.slice(..piece)
}

/// A live source: a video frame and an audio frame every 40 ms.
pub struct Source {
    pub next: u32,
    /// Frames a GOP; 0: a single keyframe at the start.
    pub gop: u32,
    pub video: bool,
    pub audio: bool,
    pub frame_size: usize,
    pub first_ts: u32,
    pub sent: Vec<MediaMessage>,
}

impl Source {
    /// 2 s GOPs, audio and video.
    pub fn new() -> Self {
        Self { next: 0, gop: 50, video: true, audio: true, frame_size: 400, first_ts: 0, sent: Vec::new() }
    }

    pub fn video_header(byte: u8) -> MediaMessage {
        MediaMessage::new(TrackKind::Video, Timestamp::ZERO, vec![0x17, 0, 0, 0, 0, byte].into())
    }

    pub fn metadata() -> MediaMessage {
        MediaMessage::new(
            TrackKind::Data,
            Timestamp::ZERO,
            Bytes::from_static(b"\x02\0\x0aonMetaData\x08\0\0\0\0\0\0\x09"),
        )
    }

    /// What a source sends first.
    pub fn configuration(&self) -> Vec<MediaMessage> {
        let audio =
            MediaMessage::new(TrackKind::Audio, Timestamp::ZERO, Bytes::from_static(b"\xaf\0\x12\x10"));
        let mut all = vec![Self::metadata()];
        all.extend(self.video.then(|| Self::video_header(1)));
        all.extend(self.audio.then_some(audio));
        all
    }

    /// The messages of the next 40 ms.
    pub fn tick(&mut self) -> Vec<MediaMessage> {
        let n = self.next;
        self.next += 1;
        let ts = Timestamp::from_millis(self.first_ts.wrapping_add(n * 40));
        let key = n.is_multiple_of(self.gop);
        let mut all = Vec::new();
        if self.video {
            // B-frames: the composition offset varies, and may be negative.
            let offset: i32 = [80, -40, 0][n as usize % 3];
            let mut payload = vec![if key { 0x17 } else { 0x27 }, 1];
            payload.extend_from_slice(&offset.to_be_bytes()[1..]);
            payload.extend_from_slice(&n.to_be_bytes());
            payload.resize(payload.len().max(self.frame_size), 0x55);
            all.push(MediaMessage::new(TrackKind::Video, ts, payload.into()));
        }
        if self.audio {
            let mut payload = vec![0xaf, 1];
            payload.extend_from_slice(&n.to_be_bytes());
            payload.resize(60, 0x33);
            all.push(MediaMessage::new(TrackKind::Audio, ts, payload.into()));
        }
        self.sent.extend(all.iter().cloned());
        all
    }
}

/// The union of what connections received, by the index that their leg headers name. Every message that came twice must
/// be the same.
pub fn by_index(links: &[&Link]) -> BTreeMap<u64, MediaMessage> {
    let mut all = BTreeMap::new();
    for link in links {
        let Some(header) = link.headers.first() else { continue };
        for (n, message) in link.media().into_iter().enumerate() {
            let index = header.position.index + n as u64;
            if let Some(known) = all.insert(index, message.clone()) {
                assert_eq!(known, message, "index {index}");
            }
        }
    }
    all
}
