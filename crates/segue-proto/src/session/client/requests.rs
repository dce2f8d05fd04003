//! What a client's session writes: the commands in the order that FMLE made customary, the leg header, media.

use super::{Phase, Role, Session};
use crate::amf0::Value;
use crate::caps::MediaCaps;
use crate::leg::LegHeader;
use crate::media::{Config as MediaConfig, Content, MediaMessage, wrap_set_data_frame};
use crate::message::command::{Command, string};
use crate::message::control::Control;
use crate::message::user_control::UserControl;
use crate::message::{Message, MessageStreamId, csid, type_id};
use crate::session::{PLAY_TIMEOUT, Resume, STEP_TIMEOUT, leg, media_message};

/// What a player says it buffers, in milliseconds. Servers without interest in it ignore it.
const BUFFER_MS: u32 = 3000;
/// `play` from a live stream, else from a recording (RTMP 1.0, 7.2.2.1).
const START_LIVE_OR_RECORDED: f64 = -2.0;

impl Session {
    /// `connect`, right behind the handshake.
    pub(super) fn connect(&mut self) {
        let url = &self.config.url;
        let mut object = vec![("app".to_owned(), string(&url.app))];
        match self.role {
            Role::Publisher => object.push(("type".to_owned(), string("nonprivate"))),
            Role::Player => {
                object.push(("fpad".to_owned(), Value::Boolean(false)));
                object.push(("capabilities".to_owned(), Value::Number(15.0)));
            }
        }
        let media = match self.role {
            Role::Publisher => MediaCaps::publisher(),
            Role::Player => MediaCaps::player(),
        };
        object.extend(media.legacy_properties());
        object.push(("flashVer".to_owned(), string(&self.config.flash_ver)));
        object.push(("tcUrl".to_owned(), string(&url.tc_url())));
        object.extend(self.config.announce.with_media(&media));
        let transaction = self.next_transaction();
        let connect =
            Command { name: "connect".into(), transaction, object: Value::Object(object), args: Vec::new() };
        self.phase = Phase::Connecting { transaction };
        self.send_command(&connect, MessageStreamId::CONTROL);
        self.deadline = Some(self.now + STEP_TIMEOUT);
    }

    /// Asks for a message stream; a publisher announces its stream's name first, as FMLE does. To be called after
    /// [`Event::Connected`](super::Event::Connected); answered by [`Event::StreamCreated`](super::Event::StreamCreated).
    pub fn create_stream(&mut self) {
        if !matches!(self.phase, Phase::Connected) {
            return;
        }
        self.window_told = self.config.window_ack_size;
        self.send(csid::CONTROL, &Control::WindowAckSize(self.window_told).to_message());
        self.writer.set_chunk_size(self.config.chunk_size, &mut self.out);
        if self.role == Role::Publisher {
            for name in ["releaseStream", "FCPublish"] {
                self.send_named(name);
            }
        }
        let transaction = self.next_transaction();
        self.send_command(&Command::new("createStream", transaction), MessageStreamId::CONTROL);
        self.phase = Phase::Creating { transaction };
        self.deadline = Some(self.now + STEP_TIMEOUT);
    }

    /// Asks to publish. Media may follow at once; a server without `segue` may drop what comes before
    /// [`Event::PublishStarted`](super::Event::PublishStarted).
    pub fn publish(&mut self) {
        let (Phase::Created { stream }, Role::Publisher) = (&self.phase, self.role) else { return };
        let stream = *stream;
        let transaction = self.next_transaction();
        let publish = Command::new("publish", transaction)
            .arg(Value::String(self.config.url.stream_name()))
            .arg(string("live"));
        self.send_command(&publish, stream);
        self.phase = Phase::Asked { stream, transaction };
        self.deadline = Some(self.now + STEP_TIMEOUT);
    }

    /// Asks to play. `resume`, the next message that the viewer lacks, is told to servers with `segue` only.
    pub fn play(&mut self, resume: Option<Resume>) {
        let (Phase::Created { stream }, Role::Player) = (&self.phase, self.role) else { return };
        let stream = *stream;
        let transaction = self.next_transaction();
        let mut play = Command::new("play", transaction)
            .arg(Value::String(self.config.url.stream_name()))
            .arg(Value::Number(START_LIVE_OR_RECORDED));
        if let Some(resume) = resume.filter(|_| self.speaks_segue()) {
            // After `start`, `duration` (-1: to the end) and `reset` of RTMP 1.0, 7.2.2.1.
            play = play.arg(Value::Number(-1.0)).arg(Value::Boolean(true)).arg(leg::resume_value(&resume));
        }
        let buffer = UserControl::SetBufferLength { stream: stream.0, ms: BUFFER_MS };
        self.send(csid::CONTROL, &buffer.to_message());
        self.send_command(&play, stream);
        self.phase = Phase::Asked { stream, transaction };
        self.deadline = Some(self.now + PLAY_TIMEOUT);
    }

    /// Says where the leg's next message stands; nothing unless both sides announced `segue`.
    pub fn send_leg_header(&mut self, header: &LegHeader) {
        if let (true, Some(stream_id)) = (self.speaks_segue() && self.is_publishing(), self.stream()) {
            let message = Message {
                type_id: type_id::DATA_AMF0,
                stream_id,
                timestamp: header.position.timestamp,
                payload: leg::encode_header(header),
            };
            self.send(csid::DATA, &message);
        }
    }

    /// Sends one message, metadata wrapped in `@setDataFrame`. Returns the offset after the handshake of the end of
    /// its last chunk: once the server acknowledged that much, it has the message.
    ///
    /// Before [`publish`](Self::publish), or after the stream has ended, nothing is sent.
    pub fn send_media(&mut self, media: &MediaMessage) -> u64 {
        if let (true, Some(stream)) = (self.is_publishing(), self.stream()) {
            let metadata = media.info().content == Content::Config(MediaConfig::Metadata);
            let payload = if metadata { wrap_set_data_frame(&media.payload) } else { media.payload.clone() };
            let (csid, message) = media_message(stream, media, payload);
            self.send(csid, &message);
        }
        self.sent()
    }

    /// Ends the stream properly: `FCUnpublish`, `deleteStream`. Not for leaving a server that was told to go.
    pub fn finish_publish(&mut self) {
        if let (true, Some(stream)) = (self.role == Role::Publisher, self.stream()) {
            self.send_named("FCUnpublish");
            self.delete_stream(stream);
        }
    }

    /// Ends the play: `deleteStream`.
    pub fn stop_play(&mut self) {
        if let (true, Some(stream)) = (self.role == Role::Player, self.stream()) {
            self.delete_stream(stream);
        }
    }

    fn delete_stream(&mut self, stream: MessageStreamId) {
        let delete = Command::new("deleteStream", 0.0).arg(Value::Number(f64::from(stream.0)));
        self.send_command(&delete, MessageStreamId::CONTROL);
        self.phase = Phase::Ended;
        self.deadline = None;
    }

    /// A command whose argument is the stream's name.
    fn send_named(&mut self, name: &str) {
        let transaction = self.next_transaction();
        let command = Command::new(name, transaction).arg(Value::String(self.config.url.stream_name()));
        self.send_command(&command, MessageStreamId::CONTROL);
    }

    fn is_publishing(&self) -> bool {
        self.role == Role::Publisher && matches!(self.phase, Phase::Asked { .. } | Phase::Streaming { .. })
    }

    fn next_transaction(&mut self) -> f64 {
        self.transaction = self.transaction.saturating_add(1);
        f64::from(self.transaction)
    }

    fn send_command(&mut self, command: &Command, stream: MessageStreamId) {
        self.send(csid::COMMAND, &command.to_message(stream));
    }
}
