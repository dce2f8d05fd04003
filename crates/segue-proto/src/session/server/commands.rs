//! The commands that a server's session reads: those of RTMP 1.0, 7.2, and what FMLE, and all that imitate it, send
//! around them. Each is answered as those clients expect.

use super::{Asked, Event, Phase, Session, Stream};
use crate::amf0::Value;
use crate::caps::{Announce, MediaCaps, ObjectEncoding};
use crate::error::Error;
use crate::message::command::Command;
use crate::message::status::{self, Level, code};
use crate::message::{MessageStreamId, csid};
use crate::session::{BEGIN_COST, LIMITS_MEDIA, MAX_STREAMS, Teardown, leg};
use crate::url::{split_query, valid_app, valid_stream_name};

impl Session {
    pub(super) fn command(
        &mut self,
        command: Command,
        stream: MessageStreamId,
    ) -> Result<Option<Event>, Error> {
        if matches!(self.phase, Phase::AwaitConnect) {
            return match command.name.as_str() {
                "connect" => self.connect(&command),
                _ => Err(Error::PeerMisbehaved("a command came before connect")),
            };
        }
        match command.name.as_str() {
            "connect" => Err(Error::PeerMisbehaved("connect came twice")),
            "createStream" => self.create_stream(&command),
            "publish" => self.publish(&command, stream),
            "play" => self.play(&command, stream),
            "deleteStream" => {
                let id = command.args.first().and_then(Value::as_f64).unwrap_or(f64::from(stream.0));
                Ok(self.delete_stream(id as u32))
            }
            "closeStream" => Ok(self.end(stream.0, Teardown::CloseStream)),
            "FCUnpublish" => self.fc_unpublish(&command),
            "FCPublish" => {
                self.result(&command, Value::Undefined)?;
                self.reply(&status::on_fc("onFCPublish", code::PUBLISH_START), MessageStreamId::CONTROL)?;
                Ok(None)
            }
            "FCSubscribe" => {
                self.result(&command, Value::Undefined)?;
                self.reply(&status::on_fc("onFCSubscribe", code::PLAY_START), MessageStreamId::CONTROL)?;
                Ok(None)
            }
            // A length of 0: the stream is live.
            "getStreamLength" => self.result(&command, Value::Number(0.0)).map(|()| None),
            "releaseStream" | "_checkbw" | "FCUnsubscribe" => {
                self.result(&command, Value::Undefined).map(|()| None)
            }
            // Answers to what we never ask.
            "_result" | "_error" | "onStatus" => Ok(None),
            _ => self.call_failed(&command, "not supported").map(|()| None),
        }
    }

    fn connect(&mut self, command: &Command) -> Result<Option<Event>, Error> {
        let text =
            |key: &str| command.object.property(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let app = text("app").trim_matches('/').to_owned();
        let encoding = ObjectEncoding::parse(&command.object);
        self.phase = Phase::Asked { transaction: command.transaction, encoding };
        if !valid_app(&app) {
            self.reject_connect(code::CONNECT_INVALID_APP, "this application name is not allowed");
            return Err(Error::PeerMisbehaved("the application name is not allowed"));
        }
        let allowed = Announce {
            reconnect: self.config.reconnect,
            go_away: self.config.go_away,
            segue: self.config.segue,
        };
        self.announce = Announce::parse(&command.object).and(allowed);
        self.media_caps = MediaCaps::parse(&command.object);
        let announce = self.announce;
        Ok(Some(Event::Connect { app, tc_url: text("tcUrl"), announce, flash_ver: text("flashVer") }))
    }

    fn create_stream(&mut self, command: &Command) -> Result<Option<Event>, Error> {
        if self.streams.len() >= MAX_STREAMS {
            self.call_failed(command, "too many streams")?;
            return Ok(None);
        }
        // The lowest free: frames that many viewers share are made for stream 1.
        let Some(id) = (1..).find(|id| !self.streams.contains_key(id)) else { return Ok(None) };
        self.streams.insert(id, Stream::Idle);
        self.rest();
        self.result(command, Value::Number(f64::from(id)))?;
        Ok(None)
    }

    /// Why `name` cannot be published or played on `stream`, if it cannot.
    fn why_not(&self, stream: MessageStreamId, name: &str) -> Option<&'static str> {
        match self.streams.get(&stream.0) {
            None => Some("there is no such message stream"),
            Some(Stream::Idle) if valid_stream_name(name) => None,
            Some(Stream::Idle) => Some("this stream name is not allowed"),
            Some(_) => Some("this message stream is in use"),
        }
    }

    fn publish(&mut self, command: &Command, stream: MessageStreamId) -> Result<Option<Event>, Error> {
        let name = stream_name(command);
        if let Some(why) = self.why_not(stream, &name) {
            self.reply(&status::on_status(Level::Error, code::PUBLISH_BAD_NAME, why), stream)?;
            return Ok(None);
        }
        self.reader.charge(BEGIN_COST)?;
        self.streams.insert(stream.0, Stream::Publish { name: name.clone(), state: Asked::Pending });
        self.reader.set_limits(LIMITS_MEDIA);
        self.last_ack_sent = false;
        self.rest();
        Ok(Some(Event::Publish { stream, name }))
    }

    fn play(&mut self, command: &Command, stream: MessageStreamId) -> Result<Option<Event>, Error> {
        let name = stream_name(command);
        if let Some(why) = self.why_not(stream, &name) {
            self.reply(&status::on_status(Level::Error, code::PLAY_FAILED, why), stream)?;
            return Ok(None);
        }
        self.reader.charge(BEGIN_COST)?;
        let resume = if self.announce.segue { leg::find_resume(&command.args)? } else { None };
        self.streams.insert(stream.0, Stream::Play { state: Asked::Pending, reset: wants_reset(command) });
        self.rest();
        Ok(Some(Event::Play { stream, name, resume }))
    }

    fn delete_stream(&mut self, id: u32) -> Option<Event> {
        let event = self.end(id, Teardown::DeleteStream);
        self.streams.remove(&id);
        event
    }

    /// Ends what goes on on a message stream, which stays.
    fn end(&mut self, id: u32, teardown: Teardown) -> Option<Event> {
        let stream = MessageStreamId(id);
        let event = match self.streams.get(&id)? {
            Stream::Idle => return None,
            Stream::Publish { .. } => Event::Unpublish { stream, teardown },
            Stream::Play { .. } => Event::StopPlay { stream },
        };
        self.streams.insert(id, Stream::Idle);
        self.rest();
        Some(event)
    }

    /// FMLE names the stream here, not the message stream; some leave its query out.
    fn fc_unpublish(&mut self, command: &Command) -> Result<Option<Event>, Error> {
        let asked = stream_name(command);
        let is_it = |name: &str| name == asked || split_query(name).0 == asked;
        let found = self.streams.iter().find_map(|(id, stream)| match stream {
            Stream::Publish { name, .. } if is_it(name) => Some(*id),
            _ => None,
        });
        self.result(command, Value::Undefined)?;
        self.reply(&status::on_fc("onFCUnpublish", code::UNPUBLISH_SUCCESS), MessageStreamId::CONTROL)?;
        Ok(found.and_then(|id| self.end(id, Teardown::FcUnpublish)))
    }

    /// `_result` with one value, if the client waits for it.
    fn result(&mut self, command: &Command, value: Value) -> Result<(), Error> {
        if !command.wants_answer() {
            return Ok(());
        }
        self.reply(&Command::new("_result", command.transaction).arg(value), MessageStreamId::CONTROL)
    }

    /// `_error`, if the client waits for an answer.
    fn call_failed(&mut self, command: &Command, why: &str) -> Result<(), Error> {
        if !command.wants_answer() {
            return Ok(());
        }
        let info = status::info(Level::Error, code::CALL_FAILED, why);
        self.reply(&Command::new("_error", command.transaction).arg(info), MessageStreamId::CONTROL)
    }

    fn reply(&mut self, command: &Command, stream: MessageStreamId) -> Result<(), Error> {
        self.answer(csid::COMMAND, &command.to_message(stream))
    }
}

/// The fourth argument of `play` (RTMP 1.0, 7.2.2.1), boolean or number: whether an earlier playlist is flushed. There
/// are no playlists here, and so it decides on Play.Reset alone. Who does not say means yes, as in Flash.
fn wants_reset(play: &Command) -> bool {
    match play.args.get(3) {
        Some(Value::Boolean(reset)) => *reset,
        Some(Value::Number(reset)) => *reset != 0.0,
        _ => true,
    }
}

/// The first argument; players put a slash or nothing before it.
fn stream_name(command: &Command) -> String {
    let name = command.str_arg(0).unwrap_or_default();
    name.strip_prefix('/').unwrap_or(name).to_owned()
}
