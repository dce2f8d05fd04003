//! One connection as a client sees it, as a publisher or as a player: handshake, `connect`, one stream. Here are the
//! types and the driving of a [`Session`]; `incoming` reads what the server says, `requests` writes what the caller
//! asks for. When to connect, publish or leave is decided elsewhere.

use std::fmt;

use bytes::{Bytes, BytesMut};

use super::ack::AckWindow;
use super::incoming::Incoming;
use super::{GoAwaySignal, LIMITS_MEDIA};
use crate::caps::{Announce, ServerInfo};
use crate::chunk::{Headers, Writer};
use crate::error::Error;
use crate::handshake;
use crate::leg::PlayPosition;
use crate::media::MediaMessage;
use crate::message::MessageStreamId;
use crate::outqueue::OutQueue;
use crate::session::STEP_TIMEOUT;
use crate::time::Moment;
use crate::url::RtmpUrl;

mod incoming;
mod requests;
mod saved;

/// What a client sends before the first chunk: C0, C1 and C2. Offsets count after it.
const HANDSHAKE_LEN: u64 = handshake::LEN as u64;

/// What a client wants of its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// To publish.
    Publisher,
    /// To play.
    Player,
}

/// What a client says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Where the stream is, and its name.
    pub url: RtmpUrl,
    /// What it announces.
    pub announce: Announce,
    /// Chunk size of what it sends, in bytes.
    pub chunk_size: u32,
    /// `flashVer`.
    pub flash_ver: String,
    /// The window that the server is given, in bytes: how often it acknowledges.
    pub window_ack_size: u32,
    /// Whether C1 is signed: see [`handshake::Client::with_digest`].
    pub digest: bool,
}

impl Config {
    /// For `url`, with everything announced and everything else as usual.
    pub fn new(url: RtmpUrl) -> Self {
        Self {
            url,
            announce: Announce::ALL,
            chunk_size: 60_000,
            // The form that servers know from FMLE; some look for it.
            flash_ver: "FMLE/3.0 (compatible; Segue)".to_owned(),
            window_ack_size: 2_500_000,
            // librtmp signs only where it must, so that no server can ask for it; it costs both sides some hashing.
            digest: false,
        }
    }
}

/// What happened on a connection.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// `connect` was accepted. Next: [`Session::create_stream`].
    Connected(ServerInfo),
    /// `connect` was refused: close.
    Rejected {
        /// The status code; may be empty.
        code: String,
        /// For a person: the key and control characters taken out, cut to a line's length.
        description: String,
        /// The `tcUrl` to try instead.
        redirect: Option<String>,
    },
    /// `createStream` was answered. Next: [`Session::publish`] or [`Session::play`].
    StreamCreated(MessageStreamId),
    /// The server takes the stream.
    PublishStarted,
    /// It does not, or no longer.
    PublishRefused {
        /// The status code.
        code: String,
        /// For a person: the key and control characters taken out, cut to a line's length.
        description: String,
    },
    /// The play begins.
    PlayStarted,
    /// It does not, or no longer.
    PlayRefused {
        /// The status code.
        code: String,
        /// For a person: the key and control characters taken out, cut to a line's length.
        description: String,
    },
    /// There is no such stream: `NetStream.Play.StreamNotFound`.
    StreamNotFound,
    /// User control StreamEOF: the server has no more of the stream.
    StreamEof,
    /// `NetStream.Play.UnpublishNotify`: the publisher ended the stream.
    Unpublished,
    /// `NetStream.Play.Stop`.
    PlayStopped,
    /// A message of the stream that is played.
    Media(MediaMessage),
    /// Where the next message stands, from a server with `segue`.
    Position(PlayPosition),
    /// The server asks to be left. Comes in a dialect that was announced only.
    GoAway {
        /// Which dialect.
        signal: GoAwaySignal,
        /// A ReconnectRequest's target, unresolved: see [`RtmpUrl::resolve`].
        tc_url: Option<String>,
    },
    /// The server acknowledged bytes, by the number on the wire.
    Acknowledged {
        /// That number.
        sequence: u32,
    },
    /// Any other `onStatus`.
    Status {
        /// The status code.
        code: String,
        /// The level.
        level: String,
    },
}

/// One connection of a client. Plain data: it can be cloned at any point and both go on alike.
///
/// # Driving it
/// Feed **one** input ([`receive`](Self::receive), [`handle_timeout`](Self::handle_timeout), or a request), then drain:
/// 1. [`poll_event`](Self::poll_event) until it gives `None`;
/// 2. [`out`](Self::out): write what waits there, in order, and take it off with [`OutQueue::advance`]. C0 and C1 wait
///    there from the start. There is no other way out;
/// 3. [`wake_at`](Self::wake_at): call [`handle_timeout`](Self::handle_timeout) then.
///
/// After an error the session is over: close. The order of requests is `create_stream` after [`Event::Connected`],
/// then, at any later time, `publish` or `play`; one out of order does nothing.
#[derive(Clone)]
pub struct Session {
    config: Config,
    role: Role,
    now: Moment,
    phase: Phase,
    reader: Incoming,
    writer: Writer,
    out: OutQueue,
    acks: AckWindow,
    server: Option<ServerInfo>,
    /// The Window Acknowledgement Size that the server was told last; 0 before the first.
    window_told: u32,
    transaction: u32,
    deadline: Option<Moment>,
    failed: Option<Error>,
}

#[derive(Clone)]
enum Phase {
    Handshake {
        machine: handshake::Client,
        input: BytesMut,
    },
    Connecting {
        transaction: f64,
    },
    Connected,
    Creating {
        transaction: f64,
    },
    Created {
        stream: MessageStreamId,
    },
    /// `publish` or `play` is out.
    Asked {
        stream: MessageStreamId,
        transaction: f64,
    },
    Streaming {
        stream: MessageStreamId,
    },
    /// The stream is over, from either side; the connection stays readable.
    Ended,
    Rejected,
}

impl Session {
    /// A connection established at `now`. `random` is for the handshake. C0 and C1 wait in [`out`](Self::out).
    pub fn new(config: Config, role: Role, random: [u8; handshake::RANDOM_LEN], now: Moment) -> Self {
        let mut out = OutQueue::new();
        let handshake = if config.digest { handshake::Client::with_digest } else { handshake::Client::new };
        let mut machine = handshake(random, (now.as_micros() / 1000) as u32);
        machine.start(&mut out);
        Self {
            config,
            role,
            now,
            phase: Phase::Handshake { machine, input: BytesMut::new() },
            reader: Incoming::new(LIMITS_MEDIA),
            writer: Writer::new(Headers::Compressed),
            out,
            acks: AckWindow::new(None, None, now),
            server: None,
            window_told: 0,
            transaction: 0,
            deadline: Some(now + STEP_TIMEOUT),
            failed: None,
        }
    }

    /// What the server said of itself, once connected.
    pub fn server(&self) -> Option<&ServerInfo> {
        self.server.as_ref()
    }

    /// Whether both sides announced `segue`.
    pub fn speaks_segue(&self) -> bool {
        self.config.announce.segue && self.server.as_ref().is_some_and(|server| server.segue)
    }

    /// Bytes sent after the handshake, whether written yet or not: what a server's acknowledgements count.
    pub fn sent(&self) -> u64 {
        self.out.offset().saturating_sub(HANDSHAKE_LEN)
    }

    /// Bytes received after the handshake, up to the end of the last message that was polled.
    pub fn consumed(&self) -> u64 {
        self.reader.consumed()
    }

    /// The bytes that wait to be written.
    pub fn out(&mut self) -> &mut OutQueue {
        &mut self.out
    }

    /// Takes bytes from the connection, in any split.
    pub fn receive(&mut self, data: Bytes, now: Moment) {
        self.now = now;
        self.reader.tick(now);
        match &mut self.phase {
            Phase::Handshake { machine, input } => {
                machine.tick((now.as_micros() / 1000) as u32);
                input.extend_from_slice(&data);
            }
            _ => self.reader.push(data),
        }
    }

    /// The next event, or `None` until there is more input.
    ///
    /// # Errors
    /// The server broke the protocol or a bound, or has no stream for us. The same error comes again and again.
    pub fn poll_event(&mut self) -> Result<Option<Event>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.next_event().inspect_err(|error| self.failed = Some(error.clone()))
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn wake_at(&self) -> Option<Moment> {
        self.deadline
    }

    /// Does what is due by `now`.
    ///
    /// # Errors
    /// `TimedOut`: the server took too long to answer the step that the text names.
    pub fn handle_timeout(&mut self, now: Moment) -> Result<(), Error> {
        self.now = now;
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        let error = Error::TimedOut(match (&self.phase, self.role) {
            (Phase::Handshake { .. }, _) => "the handshake",
            (Phase::Creating { .. }, _) => "the answer to createStream",
            (Phase::Asked { .. }, Role::Publisher) => "the answer to publish",
            (Phase::Asked { .. }, Role::Player) => "the answer to play",
            _ => "the answer to connect",
        });
        self.failed = Some(error.clone());
        Err(error)
    }

    fn next_event(&mut self) -> Result<Option<Event>, Error> {
        if let Phase::Handshake { machine, input } = &mut self.phase {
            if !machine.receive(input, &mut self.out)? {
                return Ok(None);
            }
            let rest = input.split().freeze();
            self.connect();
            self.reader.push(rest);
        }
        while let Some(message) = self.reader.next()? {
            if let Some(event) = self.message(message)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The message stream in use.
    fn stream(&self) -> Option<MessageStreamId> {
        match self.phase {
            Phase::Created { stream } | Phase::Asked { stream, .. } | Phase::Streaming { stream } => {
                Some(stream)
            }
            _ => None,
        }
    }
}

/// No bytes: they may hold the key.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.phase {
            Phase::Handshake { .. } => "handshake",
            Phase::Connecting { .. } => "connecting",
            Phase::Connected => "connected",
            Phase::Creating { .. } => "creating a stream",
            Phase::Created { .. } => "stream created",
            Phase::Asked { .. } => "asked",
            Phase::Streaming { .. } => "streaming",
            Phase::Ended => "ended",
            Phase::Rejected => "rejected",
        };
        f.debug_struct("client::Session")
            .field("role", &self.role)
            .field("url", &self.config.url)
            .field("phase", &phase)
            .field("server", &self.server)
            .field("consumed", &self.consumed())
            .field("waiting", &self.out.len())
            .field("deadline", &self.deadline)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
