//! What a client's session reads: the answers to its requests, status, go-aways, media.

use super::{Event, Phase, Role, Session};
use crate::amf0::{self, Value};
use crate::caps::ServerInfo;
use crate::error::Error;
use crate::media::{Config as MediaConfig, Content, TrackKind};
use crate::message::command::Command;
use crate::message::control::Control;
use crate::message::status::{Status, code};
use crate::message::user_control::UserControl;
use crate::message::{ChunkStreamId, Message, MessageStreamId, csid, type_id};
use crate::session::{GoAwaySignal, MAX_BACKLOG, cost, leg, received_media};
use crate::url::mask;

/// Characters kept of a server's description.
const MAX_DESCRIPTION: usize = 200;
/// Names shorter than this are found in any text, and are no secret.
const MIN_SECRET: usize = 3;

impl Session {
    pub(super) fn message(&mut self, message: Message) -> Result<Option<Event>, Error> {
        self.reader.charge(cost(message.type_id))?;
        self.acknowledge();
        if let Some(control) = Control::decode(message.type_id, &message.payload)? {
            return self.control(control);
        }
        match message.type_id {
            type_id::USER_CONTROL => self.user_control(&message),
            type_id::COMMAND_AMF0 | type_id::COMMAND_AMF3 => {
                self.command(Command::decode(&message.payload, message.type_id)?)
            }
            type_id::AUDIO | type_id::VIDEO | type_id::DATA_AMF0 | type_id::DATA_AMF3 => self.media(message),
            // Any length, on any stream; the text gives it no content.
            type_id::GO_AWAY if self.config.announce.go_away => {
                Ok(Some(Event::GoAway { signal: GoAwaySignal::GoAwayMessage, tc_url: None }))
            }
            _ => Ok(None),
        }
    }

    fn control(&mut self, control: Control) -> Result<Option<Event>, Error> {
        match control {
            Control::Acknowledgement { sequence } => return Ok(Some(Event::Acknowledged { sequence })),
            Control::WindowAckSize(size) => self.acks.set_window(size),
            // RTMP 1.0, 5.4.5: answered with our window if that differs from the last one told.
            Control::SetPeerBandwidth { window, .. } => {
                if window > 0 && std::mem::replace(&mut self.window_told, window) != window {
                    self.answer(csid::CONTROL, &Control::WindowAckSize(window).to_message())?;
                }
            }
        }
        Ok(None)
    }

    fn user_control(&mut self, message: &Message) -> Result<Option<Event>, Error> {
        match UserControl::decode(&message.payload)? {
            UserControl::PingRequest(number) => {
                self.answer(csid::CONTROL, &UserControl::PingResponse(number).to_message())?;
                Ok(None)
            }
            UserControl::StreamEof(stream) if self.stream() == Some(MessageStreamId(stream)) => {
                Ok(Some(Event::StreamEof))
            }
            _ => Ok(None),
        }
    }

    fn media(&mut self, message: Message) -> Result<Option<Event>, Error> {
        let playing =
            matches!(self.phase, Phase::Asked { .. } | Phase::Streaming { .. }) && self.role == Role::Player;
        if !playing {
            return Ok(None);
        }
        let Some(media) = received_media(message) else { return Ok(None) };
        if media.info().content == Content::Config(MediaConfig::LegHeader) {
            // Ours only from a server that said so; from any other it is no media either.
            if !self.speaks_segue() {
                return Ok(None);
            }
            return Ok(Some(Event::Position(leg::decode_position(&media.payload)?)));
        }
        if media.kind == TrackKind::Data && is_servers_own(&media.payload) {
            return Ok(None);
        }
        Ok(Some(Event::Media(media)))
    }

    fn command(&mut self, command: Command) -> Result<Option<Event>, Error> {
        match command.name.as_str() {
            "_result" => self.result(&command),
            "_error" => self.error(&command),
            "onStatus" => Ok(self.status(Status::of(&command))),
            _ => Ok(None),
        }
    }

    fn result(&mut self, command: &Command) -> Result<Option<Event>, Error> {
        match self.phase {
            Phase::Connecting { transaction } if transaction == command.transaction => {
                let status = Status::of(command);
                if status.is_error() {
                    return Ok(Some(self.rejected(status)));
                }
                let objects: Vec<&Value> = command.args.iter().chain([&command.object]).collect();
                let server = ServerInfo::parse(&objects);
                self.server = Some(server.clone());
                self.phase = Phase::Connected;
                self.deadline = None;
                Ok(Some(Event::Connected(server)))
            }
            Phase::Creating { transaction } if transaction == command.transaction => {
                let id = command.args.first().and_then(Value::as_f64).filter(|id| id.fract() == 0.0);
                let id = id.filter(|id| (1.0..=f64::from(u32::MAX)).contains(id));
                let stream =
                    MessageStreamId(id.ok_or(Error::PeerMisbehaved("createStream gave no stream"))? as u32);
                self.phase = Phase::Created { stream };
                self.deadline = None;
                Ok(Some(Event::StreamCreated(stream)))
            }
            _ => Ok(None),
        }
    }

    fn error(&mut self, command: &Command) -> Result<Option<Event>, Error> {
        let status = Status::of(command);
        match self.phase {
            Phase::Connecting { transaction } if transaction == command.transaction => {
                Ok(Some(self.rejected(status)))
            }
            Phase::Creating { transaction } if transaction == command.transaction => {
                Err(Error::PeerIncompatible("createStream was refused"))
            }
            Phase::Asked { transaction, .. } if transaction == command.transaction => {
                Ok(Some(self.refused(status)))
            }
            // releaseStream, FCPublish and the like: many servers know them not, and none needs them.
            _ => Ok(None),
        }
    }

    fn status(&mut self, status: Status) -> Option<Event> {
        let event = match status.code.as_str() {
            code::RECONNECT_REQUEST => {
                // Not announced: not for us, and no status that anybody waits for.
                return self.config.announce.reconnect.then_some(Event::GoAway {
                    signal: GoAwaySignal::ReconnectRequest,
                    tc_url: status.tc_url,
                });
            }
            code::PUBLISH_START if self.role == Role::Publisher => self.started(Event::PublishStarted)?,
            code::PLAY_START if self.role == Role::Player => self.started(Event::PlayStarted)?,
            code::PLAY_STREAM_NOT_FOUND if self.is_active() => {
                self.over();
                Event::StreamNotFound
            }
            code::PLAY_UNPUBLISH_NOTIFY => Event::Unpublished,
            code::PLAY_STOP => Event::PlayStopped,
            _ if self.is_active() && refuses(&status) => self.refused(status),
            // Some reject a connect in this way, and close.
            _ if matches!(self.phase, Phase::Connecting { .. }) && status.is_error() => self.rejected(status),
            _ => Event::Status { code: status.code, level: status.level },
        };
        Some(event)
    }

    fn started(&mut self, event: Event) -> Option<Event> {
        let Phase::Asked { stream, .. } = self.phase else { return None };
        self.phase = Phase::Streaming { stream };
        self.deadline = None;
        Some(event)
    }

    fn rejected(&mut self, status: Status) -> Event {
        self.phase = Phase::Rejected;
        self.deadline = None;
        let description = self.printable(&status.description);
        Event::Rejected { code: status.code, description, redirect: status.redirect }
    }

    fn refused(&mut self, status: Status) -> Event {
        self.over();
        let description = self.printable(&status.description);
        let code = status.code;
        match self.role {
            Role::Publisher => Event::PublishRefused { code, description },
            Role::Player => Event::PlayRefused { code, description },
        }
    }

    /// A description that a person may be shown: servers like to repeat the name in it, which is the key.
    fn printable(&self, text: &str) -> String {
        let url = &self.config.url;
        let mut text = text.to_owned();
        let secrets = [Some(url.stream_name()), Some(url.name.clone()), url.query.clone()];
        for secret in secrets.into_iter().flatten().filter(|secret| secret.len() >= MIN_SECRET) {
            text = text.replace(&secret, &mask(&url.name));
        }
        text.chars().take(MAX_DESCRIPTION).map(|c| if c.is_control() { ' ' } else { c }).collect()
    }

    /// The stream is refused or gone. Its message stream stays, and can be asked for again.
    fn over(&mut self) {
        if let Some(stream) = self.stream() {
            self.phase = Phase::Created { stream };
            self.deadline = None;
        }
    }

    fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Asked { .. } | Phase::Streaming { .. })
    }

    /// Acknowledges what was read, as often as the server's window asks.
    fn acknowledge(&mut self) {
        if let Some(sequence) = self.acks.taken(self.reader.consumed(), self.now) {
            self.send(csid::CONTROL, &Control::Acknowledgement { sequence }.to_message());
        }
    }

    /// [`send`](Self::send), for what the server's own messages cause: bounded, as it may never read.
    fn answer(&mut self, csid: ChunkStreamId, message: &Message) -> Result<(), Error> {
        if self.out.len() > MAX_BACKLOG {
            return Err(Error::LimitExceeded("answers that the peer does not read"));
        }
        self.send(csid, message);
        Ok(())
    }

    pub(super) fn send(&mut self, csid: ChunkStreamId, message: &Message) {
        self.writer.write(csid, message, &mut self.out);
    }
}

/// Whether a status ends what was asked for: by its level, or by a code whose level some servers get wrong.
fn refuses(status: &Status) -> bool {
    status.is_error()
        || [code::PUBLISH_BAD_NAME, code::PLAY_FAILED, code::CONNECT_REJECTED].contains(&&*status.code)
}

/// Whether a data message is a server's own word to a player and none of the stream's: `|RtmpSampleAccess`, and the
/// status events that are sent as data.
fn is_servers_own(payload: &[u8]) -> bool {
    let mut rest = payload;
    match amf0::decode(&mut rest) {
        Ok(Value::String(name)) if name == "|RtmpSampleAccess" => true,
        Ok(Value::String(name)) if name == "onStatus" => {
            let code = amf0::decode(&mut rest).ok();
            let code = code.as_ref().and_then(|info| info.property("code")).and_then(Value::as_str);
            code.is_some_and(|code| code.starts_with("NetStream."))
        }
        _ => false,
    }
}
