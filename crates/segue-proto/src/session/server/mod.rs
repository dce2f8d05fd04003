//! One connection as a server sees it: handshake, `connect`, streams that are published or played, until it is
//! closed. Here are the types, the driving of a [`Session`] and what comes in as messages; `commands` reads commands,
//! `answers` writes what the caller decided. Who may publish or play, and where media goes, is the caller's business.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::ack::AckWindow;
use super::go_away::GoAway;
use super::incoming::Incoming;
use super::{
    CONNECT_TIMEOUT, GoAwaySignal, IDLE_TIMEOUT, LIMITS_BEFORE, MAX_BACKLOG, MAX_IDLE_RENEWALS, MAX_UNREAD,
    Resume, Teardown, cost, leg, received_media,
};
use crate::caps::{Announce, MediaCaps, ObjectEncoding};
use crate::chunk::{Headers, Writer};
use crate::error::Error;
use crate::handshake;
use crate::leg::LegHeader;
use crate::media::{Config as MediaConfig, Content, MediaMessage};
use crate::message::aggregate::Fault;
use crate::message::command::Command;
use crate::message::control::Control;
use crate::message::user_control::UserControl;
use crate::message::{ChunkStreamId, Message, MessageStreamId, csid, type_id};
use crate::outqueue::OutQueue;
use crate::time::{Moment, earliest};
use crate::url::mask;

mod answers;
mod commands;
mod saved;

/// What all sessions of one server share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Chunk size of everything sent, in bytes. One for the process's life, so that frames can be shared.
    pub chunk_size: u32,
    /// The window that clients are given, in bytes: how often they acknowledge, and how often those with `segue` are
    /// acknowledged until they name a window themselves.
    pub window_ack_size: u32,
    /// Random per process; shown to clients that announced `segue`.
    pub server_id: String,
    /// Whether ReconnectRequest is offered and used.
    pub reconnect: bool,
    /// Whether the go-away message (type 32) is used.
    pub go_away: bool,
    /// Whether Segue's extension is offered and used.
    pub segue: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            chunk_size: 60_000,
            window_ack_size: 2_500_000,
            server_id: String::new(),
            reconnect: true,
            go_away: true,
            segue: true,
        }
    }
}

/// What happened on a connection.
///
/// `Debug` masks names: they are keys.
#[derive(Clone, PartialEq)]
pub enum Event {
    /// `connect` came. Nothing more is read until it is answered with [`Session::accept_connect`] or
    /// [`Session::reject_connect`].
    Connect {
        /// The application, with its query if it has one; of the grammar of [`crate::url::valid_app`].
        app: String,
        /// `tcUrl` as sent, of any content.
        tc_url: String,
        /// What the client announced and the configuration allows.
        announce: Announce,
        /// `flashVer` as sent, of any content.
        flash_ver: String,
    },
    /// A client asks to publish. Answer with [`Session::publish_start`] or [`Session::publish_refused`]. Its media may
    /// come before the answer.
    Publish {
        /// The message stream.
        stream: MessageStreamId,
        /// Name with query; of the grammar of [`crate::url::valid_stream_name`].
        name: String,
    },
    /// A client asks to play. Answer with [`Session::play_start`] or [`Session::play_refused`], at any time.
    Play {
        /// The message stream.
        stream: MessageStreamId,
        /// Name with query, as for `Publish`.
        name: String,
        /// Where a viewer with `segue` goes on.
        resume: Option<Resume>,
    },
    /// A publisher with `segue` says where the leg's next message stands.
    LegHeader {
        /// The message stream.
        stream: MessageStreamId,
        /// The header.
        header: LegHeader,
    },
    /// A message of a stream that is published, or asked to be. Its last byte is at [`Session::consumed`].
    Media {
        /// The message stream.
        stream: MessageStreamId,
        /// The message, `@setDataFrame` stripped; data of type 15 as [`crate::message::data::as_amf0`] gives it.
        message: MediaMessage,
    },
    /// The publisher ended its stream, or the attempt at one.
    Unpublish {
        /// The message stream.
        stream: MessageStreamId,
        /// By which command.
        teardown: Teardown,
    },
    /// The viewer ended its play, or the attempt at one.
    StopPlay {
        /// The message stream.
        stream: MessageStreamId,
    },
    /// The client acknowledged bytes, by the number on the wire.
    Acknowledged {
        /// That number.
        sequence: u32,
    },
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { announce, .. } => write!(f, "Connect {announce:?}"),
            Self::Publish { stream, name } => write!(f, "Publish {} {}", stream.0, mask(name)),
            Self::Play { stream, name, resume } => write!(f, "Play {} {} {resume:?}", stream.0, mask(name)),
            Self::LegHeader { stream, header } => write!(f, "LegHeader {} {header:?}", stream.0),
            Self::Media { stream, message } => write!(f, "Media {} {message:?}", stream.0),
            Self::Unpublish { stream, teardown } => write!(f, "Unpublish {} {teardown:?}", stream.0),
            Self::StopPlay { stream } => write!(f, "StopPlay {}", stream.0),
            Self::Acknowledged { sequence } => write!(f, "Acknowledged {sequence}"),
        }
    }
}

/// One connection of a server. Plain data: it can be cloned at any point and both go on alike.
///
/// # Driving it
/// Feed **one** input ([`receive`](Self::receive), [`handle_timeout`](Self::handle_timeout), or a call that answers or
/// sends), then drain:
/// 1. [`poll_event`](Self::poll_event) until it gives `None`, handling each event before the next. Messages are parsed
///    as they are polled for, so what an event caused (an answer, a limit) holds for the very next message.
/// 2. [`out`](Self::out): write what waits there, in order, and take it off with
///    [`OutQueue::advance`]. There is no other way out.
/// 3. [`wake_at`](Self::wake_at): call [`handle_timeout`](Self::handle_timeout) then.
///
/// After an error the session is over: write what `out` still holds, then close. A call that comes too late, for a
/// stream that has ended meanwhile, does nothing.
#[derive(Clone)]
pub struct Session {
    config: Arc<Config>,
    now: Moment,
    phase: Phase,
    reader: Incoming,
    writer: Writer,
    out: OutQueue,
    streams: BTreeMap<u32, Stream>,
    announce: Announce,
    media_caps: MediaCaps,
    acks: AckWindow,
    /// The Window Acknowledgement Size that the client was told last; 0 before the first.
    window_told: u32,
    go_away: GoAway,
    /// Whether the last acknowledgement is out; a new publish begins anew.
    last_ack_sent: bool,
    deadline: Option<Moment>,
    idle_renewals: u32,
    failed: Option<Error>,
}

#[derive(Clone)]
enum Phase {
    Handshake {
        machine: handshake::Server,
        input: BytesMut,
    },
    /// For `connect`.
    AwaitConnect,
    /// For the caller's answer to `connect`.
    Asked {
        transaction: f64,
        encoding: ObjectEncoding,
    },
    Open,
    /// `connect` was refused: nothing is read any more.
    Rejected,
}

/// A message stream, from `createStream` to `deleteStream`.
#[derive(Clone, PartialEq, Eq)]
enum Stream {
    Idle,
    Publish { name: String, state: Asked },
    Play { state: Asked, reset: bool },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    Pending,
    Granted,
}

impl Session {
    /// A connection accepted at `now`. `random` is for the handshake.
    pub fn new(config: Arc<Config>, random: [u8; handshake::RANDOM_LEN], now: Moment) -> Self {
        let time_ms = (now.as_micros() / 1000) as u32;
        Self {
            config,
            now,
            phase: Phase::Handshake {
                machine: handshake::Server::new(random, time_ms),
                input: BytesMut::new(),
            },
            reader: Incoming::new(LIMITS_BEFORE),
            writer: Writer::new(Headers::Absolute),
            out: OutQueue::new(),
            streams: BTreeMap::new(),
            announce: Announce::NONE,
            media_caps: MediaCaps::default(),
            acks: AckWindow::new(None, None, now),
            window_told: 0,
            go_away: GoAway::default(),
            last_ack_sent: false,
            deadline: Some(now + CONNECT_TIMEOUT),
            idle_renewals: 0,
            failed: None,
        }
    }

    /// What the client announced and the configuration allows; nothing before `connect`.
    pub fn announce(&self) -> Announce {
        self.announce
    }

    /// What the client said of codecs and enhanced media; nothing before `connect`.
    pub fn media_caps(&self) -> &MediaCaps {
        &self.media_caps
    }

    /// By which signal the client was told to go.
    pub fn told(&self) -> Option<GoAwaySignal> {
        self.go_away.told()
    }

    /// Bytes after the handshake, up to the end of the last message that was polled.
    pub fn consumed(&self) -> u64 {
        self.reader.consumed()
    }

    /// How many aggregate messages (type 22) were not what they said, and what was wrong with the last. Nothing of it ends
    /// the session; what of them could be read was given as any other message. Counted since the session began or was
    /// restored.
    pub fn faulty_aggregates(&self) -> (u64, Option<Fault>) {
        self.reader.faulty()
    }

    /// The bytes that wait to be written.
    pub fn out(&mut self) -> &mut OutQueue {
        &mut self.out
    }

    /// Takes bytes from the connection, in any split.
    pub fn receive(&mut self, data: Bytes, now: Moment) {
        match self.phase {
            Phase::Handshake { .. } | Phase::Rejected => self.receive_copy(&data, now),
            _ => {
                self.now = now;
                self.reader.tick(now);
                self.reader.push(data);
            }
        }
    }

    /// Takes a copy of bytes from the connection, which then stand nowhere else: see [`Reader::copy`](crate::chunk::Reader::copy).
    pub fn receive_copy(&mut self, data: &[u8], now: Moment) {
        self.now = now;
        self.reader.tick(now);
        match &mut self.phase {
            Phase::Handshake { machine, input } => {
                machine.tick((now.as_micros() / 1000) as u32);
                input.extend_from_slice(data);
            }
            Phase::Rejected => {}
            _ => self.reader.copy(data),
        }
    }

    /// The next event, or `None` until there is more input or, after [`Event::Connect`], an answer.
    ///
    /// # Errors
    /// The client broke the protocol or a bound. The same error comes again and again.
    pub fn poll_event(&mut self) -> Result<Option<Event>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.next_event().inspect_err(|error| self.failed = Some(error.clone()))
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn wake_at(&self) -> Option<Moment> {
        let acks = if self.may_acknowledge() { self.acks.wake_at() } else { None };
        earliest(self.deadline, acks)
    }

    /// Does what is due by `now`.
    ///
    /// # Errors
    /// `TimedOut`: the client took too long to connect, or to publish or play.
    pub fn handle_timeout(&mut self, now: Moment) -> Result<(), Error> {
        self.now = now;
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            let error = Error::TimedOut(match self.phase {
                Phase::Open => "publish or play",
                Phase::Handshake { .. } => "the handshake",
                _ => "connect",
            });
            self.failed = Some(error.clone());
            return Err(error);
        }
        if self.may_acknowledge()
            && let Some(sequence) = self.acks.due(now)
        {
            self.send(csid::CONTROL, &Control::Acknowledgement { sequence }.to_message());
        }
        Ok(())
    }

    /// Bytes kept of what was received.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.reader.buffered() + self.reader.waiting()
    }

    fn next_event(&mut self) -> Result<Option<Event>, Error> {
        if let Phase::Handshake { machine, input } = &mut self.phase {
            if !machine.receive(input, &mut self.out)? {
                return Ok(None);
            }
            self.reader.push(input.split().freeze());
            self.phase = Phase::AwaitConnect;
        }
        loop {
            match self.phase {
                Phase::Asked { .. } if self.reader.waiting() > MAX_UNREAD => {
                    return Err(Error::LimitExceeded("too many bytes before connect is answered"));
                }
                Phase::Asked { .. } | Phase::Rejected => return Ok(None),
                _ => {}
            }
            let Some(message) = self.reader.next()? else { return Ok(None) };
            if let Some(event) = self.message(message)? {
                return Ok(Some(event));
            }
        }
    }

    fn message(&mut self, message: Message) -> Result<Option<Event>, Error> {
        self.reader.charge(cost(message.type_id))?;
        if let Some(control) = Control::decode(message.type_id, &message.payload)? {
            return self.control(control);
        }
        match message.type_id {
            type_id::USER_CONTROL => {
                if let UserControl::PingRequest(number) = UserControl::decode(&message.payload)? {
                    self.answer(csid::CONTROL, &UserControl::PingResponse(number).to_message())?;
                }
                Ok(None)
            }
            type_id::COMMAND_AMF0 | type_id::COMMAND_AMF3 => {
                let command = Command::decode(&message.payload, message.type_id)?;
                self.command(command, message.stream_id)
            }
            type_id::AUDIO | type_id::VIDEO | type_id::DATA_AMF0 | type_id::DATA_AMF3 => self.media(message),
            _ => Ok(None),
        }
    }

    fn control(&mut self, control: Control) -> Result<Option<Event>, Error> {
        match control {
            Control::Acknowledgement { sequence } => return Ok(Some(Event::Acknowledged { sequence })),
            Control::WindowAckSize(size) => self.acks.set_window(size),
            // A limit for what we send: the network's own flow control keeps it. That it was heard is said (RTMP 1.0,
            // 5.4.5), by our window if it is another than the last one told.
            Control::SetPeerBandwidth { window, .. } => {
                if window > 0 && std::mem::replace(&mut self.window_told, window) != window {
                    self.answer(csid::CONTROL, &Control::WindowAckSize(window).to_message())?;
                }
            }
        }
        Ok(None)
    }

    fn media(&mut self, message: Message) -> Result<Option<Event>, Error> {
        let Some(Stream::Publish { .. }) = self.streams.get(&message.stream_id.0) else { return Ok(None) };
        let stream = message.stream_id;
        let Some(message) = received_media(message) else { return Ok(None) };
        if message.info().content == Content::Config(MediaConfig::LegHeader) {
            // From a client without `segue` it is not ours, and must not look so further on either.
            if !self.announce.segue {
                return Ok(None);
            }
            let header = leg::decode_header(&message.payload)?;
            return Ok(Some(Event::LegHeader { stream, header }));
        }
        Ok(Some(Event::Media { stream, message }))
    }

    /// Writes `message`, unless the session is quiet.
    fn send(&mut self, csid: ChunkStreamId, message: &Message) {
        if !self.go_away.is_quiet() {
            self.writer.write(csid, message, &mut self.out);
        }
    }

    /// [`send`](Self::send), for what the client's own messages cause: bounded, as it may never read.
    fn answer(&mut self, csid: ChunkStreamId, message: &Message) -> Result<(), Error> {
        if self.out.len() > MAX_BACKLOG {
            return Err(Error::LimitExceeded("answers that the peer does not read"));
        }
        self.send(csid, message);
        Ok(())
    }

    /// The client neither publishes nor plays from now on, if no other stream does.
    fn rest(&mut self) {
        let active = self.streams.values().any(|stream| *stream != Stream::Idle);
        if active {
            self.deadline = None;
        } else if self.idle_renewals < MAX_IDLE_RENEWALS {
            self.idle_renewals += 1;
            self.deadline = Some(self.now + IDLE_TIMEOUT);
        } else if self.deadline.is_none() {
            self.deadline = Some(self.now);
        }
    }

    fn may_acknowledge(&self) -> bool {
        !self.go_away.is_quiet() && !self.last_ack_sent
    }
}

/// No bytes and no names: both may hold keys.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.phase {
            Phase::Handshake { .. } => "handshake",
            Phase::AwaitConnect => "before connect",
            Phase::Asked { .. } => "connect asked",
            Phase::Open => "open",
            Phase::Rejected => "rejected",
        };
        f.debug_struct("server::Session")
            .field("phase", &phase)
            .field("announce", &self.announce)
            .field("streams", &self.streams)
            .field("go_away", &self.go_away)
            .field("consumed", &self.consumed())
            .field("waiting", &self.out.len())
            .field("deadline", &self.deadline)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("Idle"),
            Self::Publish { name, state } => write!(f, "Publish {} {state:?}", mask(name)),
            Self::Play { state, .. } => write!(f, "Play {state:?}"),
        }
    }
}
