//! What a server's session writes at its caller's word: answers to `connect`, `publish` and `play`, media, the go-away,
//! acknowledgements. What the connection's state does not allow is not written.

use super::{Asked, Phase, Session, Stream};
use crate::amf0::Value;
use crate::caps::{CAPS_EX_RECONNECT, MediaCaps, SEGUE_VERSION};
use crate::chunk::Frame;
use crate::leg::PlayPosition;
use crate::media::MediaMessage;
use crate::message::command::{Command, object, string};
use crate::message::control::{self, Control, LimitType};
use crate::message::status::{self, Level, code};
use crate::message::user_control::UserControl;
use crate::message::{ChunkStreamId, Message, MessageStreamId, csid, type_id};
use crate::session::{ACK_INTERVAL, GoAwaySignal, leg, media_message};
use crate::time::Moment;

/// What encoders and players know a server by; some look for the name of one they know.
const FMS_VERSION: &str = "FMS/3,5,7,7009";
const FMS_CAPABILITIES: f64 = 31.0;
const FMS_MODE: f64 = 1.0;

impl Session {
    /// Answers [`super::Event::Connect`]: window, bandwidth, chunk size and StreamBegin, then `_result`. Poll for events
    /// afterwards.
    ///
    /// `draining` is told to clients with `segue`.
    pub fn accept_connect(&mut self, draining: bool, now: Moment) {
        self.now = now;
        let Phase::Asked { transaction, encoding } = self.phase else { return };
        self.phase = Phase::Open;
        let window = self.config.window_ack_size;
        self.send(csid::CONTROL, &Control::WindowAckSize(window).to_message());
        self.window_told = window;
        let bandwidth = Control::SetPeerBandwidth { window, limit: LimitType::Dynamic };
        self.send(csid::CONTROL, &bandwidth.to_message());
        self.writer.set_chunk_size(self.config.chunk_size, &mut self.out);
        self.send(csid::CONTROL, &UserControl::StreamBegin(MessageStreamId::CONTROL.0).to_message());
        let properties = object([
            ("fmsVer", string(FMS_VERSION)),
            ("capabilities", Value::Number(FMS_CAPABILITIES)),
            ("mode", Value::Number(FMS_MODE)),
        ]);
        let mut info = vec![
            ("level".to_owned(), string(Level::Status.as_str())),
            ("code".to_owned(), string(code::CONNECT_SUCCESS)),
            ("description".to_owned(), string("Connection succeeded.")),
            ("objectEncoding".to_owned(), Value::Number(encoding.number())),
        ];
        // E-RTMP v2, "Enhancing NetConnection connect Command": a server states its support by the properties that the
        // client has for it. A client that knows nothing of it is not shown what it may trip over.
        let enhanced = self.media_caps.is_enhanced();
        if self.config.reconnect || enhanced {
            let reconnect = if self.config.reconnect { CAPS_EX_RECONNECT } else { 0 };
            let bits = MediaCaps::server().caps_ex | reconnect;
            info.push(("capsEx".to_owned(), Value::Number(bits.into())));
        }
        if enhanced {
            info.extend(MediaCaps::server().maps());
        }
        if self.announce.segue {
            info.push(("segue".to_owned(), Value::Number(SEGUE_VERSION)));
            info.push(("serverId".to_owned(), string(&self.config.server_id)));
            info.push(("draining".to_owned(), Value::Boolean(draining)));
            self.acks.set_window(window);
            self.acks.set_interval(ACK_INTERVAL);
        }
        let result = Command {
            name: "_result".into(),
            transaction,
            object: properties,
            args: vec![Value::Object(info)],
        };
        self.send_command(&result, MessageStreamId::CONTROL);
        self.rest();
    }

    /// Answers [`super::Event::Connect`] with `_error`. Nothing more is read: write what waits, then close.
    pub fn reject_connect(&mut self, code: &str, description: &str) {
        let Phase::Asked { transaction, .. } = self.phase else { return };
        self.phase = Phase::Rejected;
        let info = status::info(Level::Error, code, description);
        self.send_command(&Command::new("_error", transaction).arg(info), MessageStreamId::CONTROL);
    }

    /// Grants a [`super::Event::Publish`].
    pub fn publish_start(&mut self, stream: MessageStreamId) {
        let Some(Stream::Publish { state, .. }) = self.streams.get_mut(&stream.0) else { return };
        if std::mem::replace(state, Asked::Granted) == Asked::Granted {
            return;
        }
        self.send(csid::CONTROL, &UserControl::StreamBegin(stream.0).to_message());
        let started = status::on_status(Level::Status, code::PUBLISH_START, "The stream is being published.");
        self.send_command(&started, stream);
    }

    /// Refuses a publish, or ends one that was granted: `onStatus` of level `error`. Media that still comes for it is
    /// ignored.
    pub fn publish_refused(&mut self, stream: MessageStreamId, code: &str, description: &str) {
        if let Some(Stream::Publish { .. }) = self.streams.get(&stream.0) {
            self.streams.insert(stream.0, Stream::Idle);
            self.send_command(&status::on_status(Level::Error, code, description), stream);
            self.rest();
        }
    }

    /// Grants a [`super::Event::Play`]. Media may follow.
    pub fn play_start(&mut self, stream: MessageStreamId) {
        let Some(Stream::Play { state, reset }) = self.streams.get_mut(&stream.0) else { return };
        let reset = *reset;
        if std::mem::replace(state, Asked::Granted) == Asked::Granted {
            return;
        }
        self.send(csid::CONTROL, &UserControl::StreamBegin(stream.0).to_message());
        if reset {
            let text = "The stream is reset.";
            self.send_command(&status::on_status(Level::Status, code::PLAY_RESET, text), stream);
        }
        let text = "The stream starts.";
        self.send_command(&status::on_status(Level::Status, code::PLAY_START, text), stream);
        // Flash and its imitators show nothing before this.
        let mut payload = Vec::with_capacity(24);
        string("|RtmpSampleAccess").encode(&mut payload);
        Value::Boolean(true).encode(&mut payload);
        Value::Boolean(true).encode(&mut payload);
        let timestamp = Default::default();
        let access =
            Message { type_id: type_id::DATA_AMF0, stream_id: stream, timestamp, payload: payload.into() };
        self.send(csid::DATA, &access);
    }

    /// Refuses a play: `onStatus` of level `error`.
    pub fn play_refused(&mut self, stream: MessageStreamId, code: &str, description: &str) {
        if let Some(Stream::Play { .. }) = self.streams.get(&stream.0) {
            self.streams.insert(stream.0, Stream::Idle);
            self.send_command(&status::on_status(Level::Error, code, description), stream);
            self.rest();
        }
    }

    /// Ends a play from this side. With `unpublished`, for viewers that cannot follow the stream elsewhere, it says
    /// that the stream is over; StreamEOF is sent in any case.
    pub fn play_ended(&mut self, stream: MessageStreamId, unpublished: bool) {
        if !matches!(self.streams.get(&stream.0), Some(Stream::Play { .. })) {
            return;
        }
        if unpublished {
            let text = "The publisher has ended the stream.";
            self.play_message(csid::COMMAND, &on_status(code::PLAY_UNPUBLISH_NOTIFY, text, stream));
            self.play_message(csid::COMMAND, &on_status(code::PLAY_STOP, "The stream is over.", stream));
        }
        self.stream_eof(stream);
        self.streams.insert(stream.0, Stream::Idle);
        self.rest();
    }

    /// StreamEOF alone: this leg's media are over. The play goes on.
    pub fn stream_eof(&mut self, stream: MessageStreamId) {
        if matches!(self.streams.get(&stream.0), Some(Stream::Play { .. })) {
            self.play_message(csid::CONTROL, &UserControl::StreamEof(stream.0).to_message());
        }
    }

    /// Sends a shared frame to a viewer. It was cut with [`Config::chunk_size`](super::Config::chunk_size).
    pub fn send_frame(&mut self, stream: MessageStreamId, frame: &Frame) {
        if self.is_playing(stream) {
            frame.push_to_stream(stream, &mut self.out);
        }
    }

    /// Sends one message to a viewer.
    pub fn send_media(&mut self, stream: MessageStreamId, media: &MediaMessage) {
        if self.is_playing(stream) {
            let (csid, message) = media_message(stream, media, media.payload.clone());
            self.play_message(csid, &message);
        }
    }

    /// Tells a viewer with `segue` where the next message stands; others nothing.
    pub fn send_position(&mut self, stream: MessageStreamId, position: PlayPosition) {
        if self.announce.segue && self.is_playing(stream) {
            let message = Message {
                type_id: type_id::DATA_AMF0,
                stream_id: stream,
                timestamp: position.position.timestamp,
                payload: leg::encode_position(&position),
            };
            self.play_message(csid::DATA, &message);
        }
    }

    /// Tells the client to go, by the one signal that it announced; `None` if there is none, or it was told by type 32
    /// and is left in peace. `tc_url` is where to, for a ReconnectRequest. A newer ReconnectRequest replaces an older.
    pub fn go_away(&mut self, tc_url: Option<&str>, now: Moment) -> Option<GoAwaySignal> {
        self.now = now;
        if !matches!(self.phase, Phase::Open) {
            return None;
        }
        let signal = self.go_away.tell(self.announce)?;
        // Past `send`: the signal is what a quiet session is allowed.
        match signal {
            GoAwaySignal::ReconnectRequest => {
                let message = status::reconnect_request(tc_url).to_message(MessageStreamId::CONTROL);
                self.writer.write(csid::COMMAND, &message, &mut self.out);
            }
            GoAwaySignal::GoAwayMessage => {
                self.writer.write(csid::CONTROL, &control::go_away(), &mut self.out);
            }
        }
        Some(signal)
    }

    /// Repeats a type 32, once, to a client without `segue` that may have missed it; else does nothing. Returns whether
    /// it was repeated.
    pub fn repeat_go_away(&mut self) -> bool {
        let repeats = self.go_away.repeat();
        if repeats {
            self.writer.write(csid::CONTROL, &control::go_away(), &mut self.out);
        }
        repeats
    }

    /// Everything up to `offset` (bytes after the handshake, as of [`consumed`](Self::consumed)) is handed on. May
    /// acknowledge it: to a client with `segue` at the window or within [`ACK_INTERVAL`], to others at the window that
    /// they asked for.
    pub fn taken(&mut self, offset: u64, now: Moment) {
        self.now = now;
        if !self.may_acknowledge() {
            return;
        }
        if let Some(sequence) = self.acks.taken(offset, now) {
            self.send(csid::CONTROL, &Control::Acknowledgement { sequence }.to_message());
        }
    }

    /// The last acknowledgement of a publish, for a client with `segue`: once, even if nothing is new. What comes after
    /// `offset` was not taken.
    pub fn final_acknowledgement(&mut self, offset: u64) {
        if self.announce.segue && self.may_acknowledge() {
            let sequence = self.acks.last_word(offset, self.now);
            self.send(csid::CONTROL, &Control::Acknowledgement { sequence }.to_message());
            self.last_ack_sent = true;
        }
    }

    fn is_playing(&self, stream: MessageStreamId) -> bool {
        matches!(self.streams.get(&stream.0), Some(Stream::Play { state: Asked::Granted, .. }))
    }

    fn send_command(&mut self, command: &Command, stream: MessageStreamId) {
        self.send(csid::COMMAND, &command.to_message(stream));
    }

    /// Writes to a viewer, quiet or not: it has no tail to lose, and its stream goes on until it leaves.
    fn play_message(&mut self, csid: ChunkStreamId, message: &Message) {
        self.writer.write(csid, message, &mut self.out);
    }
}

fn on_status(code: &str, description: &str, stream: MessageStreamId) -> Message {
    status::on_status(Level::Status, code, description).to_message(stream)
}
