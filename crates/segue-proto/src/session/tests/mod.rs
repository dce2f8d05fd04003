//! Sessions under test: [`Pair`] wires a client and a server in memory, [`Foreign`] speaks to a server byte by byte as
//! other software does. Time stands still unless a test moves it.

use std::sync::Arc;

use bytes::Bytes;

use super::{client, server};
use crate::amf0::Value;
use crate::caps::Announce;
use crate::chunk::{Headers, Limits, Reader, Writer};
use crate::error::Error;
use crate::media::{MediaMessage, TrackKind};
use crate::message::command::{Command, object, string};
use crate::message::{ChunkStreamId, Message, MessageStreamId, csid, type_id};
use crate::outqueue::OutQueue;
use crate::time::Moment;
use crate::timestamp::Timestamp;
use crate::url::RtmpUrl;

mod abuse;
mod amf3;
mod foreign;
mod go_away;
mod play;
mod publish;
mod saved;
mod scripted;
mod splits;

const STREAM: MessageStreamId = MessageStreamId(1);
const WHOLE: Limits = Limits { max_message: 0xff_ffff, max_partials: 64, max_partial_bytes: 32 << 20 };

fn at(ms: u64) -> Moment {
    Moment::from_micros(ms * 1000)
}

fn url() -> RtmpUrl {
    RtmpUrl::parse("rtmp://server.test/live/cam?token=1").unwrap()
}

fn server_config() -> server::Config {
    server::Config { server_id: "server-a".into(), ..Default::default() }
}

fn new_server(now: Moment) -> server::Session {
    server::Session::new(Arc::new(server_config()), [7; 1528], now)
}

fn client_config(announce: Announce) -> client::Config {
    client::Config { announce, ..client::Config::new(url()) }
}

fn drain(out: &mut OutQueue) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(out.len());
    while let Some(slice) = out.pop() {
        bytes.extend_from_slice(&slice);
    }
    bytes
}

fn media(kind: TrackKind, ms: u32, payload: &[u8]) -> MediaMessage {
    MediaMessage::new(kind, Timestamp::from_millis(ms), Bytes::copy_from_slice(payload))
}

/// A video message of this length; the first byte says keyframe or not.
fn video(ms: u32, key: bool, len: usize) -> MediaMessage {
    let mut payload: Vec<u8> = (0..len.max(5)).map(|i| (i * 7 + ms as usize) as u8).collect();
    payload[..5].copy_from_slice(&[if key { 0x17 } else { 0x27 }, 1, 0, 0, 0]);
    media(TrackKind::Video, ms, &payload)
}

fn metadata() -> MediaMessage {
    let mut payload = Vec::new();
    string("onMetaData").encode(&mut payload);
    Value::EcmaArray(vec![("width".into(), Value::Number(320.0))]).encode(&mut payload);
    media(TrackKind::Data, 0, &payload)
}

/// What the server's caller does with an event, so that a conversation goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    Grants,
    OnlyConnects,
    Watches,
}

struct Pair {
    client: client::Session,
    server: server::Session,
    caller: Caller,
    now: Moment,
    client_events: Vec<client::Event>,
    server_events: Vec<server::Event>,
    error: Option<Error>,
    /// Everything that went either way.
    to_server: Vec<u8>,
    to_client: Vec<u8>,
}

impl Pair {
    fn new(role: client::Role, announce: Announce, caller: Caller) -> Self {
        let now = at(1000);
        Self {
            client: client::Session::new(client_config(announce), role, [9; 1528], now),
            server: new_server(now),
            caller,
            now,
            client_events: Vec::new(),
            server_events: Vec::new(),
            error: None,
            to_server: Vec::new(),
            to_client: Vec::new(),
        }
    }

    /// Connected, with a stream created, published or played.
    fn streaming(role: client::Role, announce: Announce) -> Self {
        let mut pair = Self::new(role, announce, Caller::Grants);
        pair.run();
        pair.client.create_stream();
        pair.run();
        match role {
            client::Role::Publisher => pair.client.publish(),
            client::Role::Player => pair.client.play(None),
        }
        pair.run();
        pair
    }

    /// Carries bytes both ways until nothing moves.
    fn run(&mut self) {
        loop {
            let up = drain(self.client.out());
            let down = drain(self.server.out());
            if up.is_empty() && down.is_empty() {
                return;
            }
            self.to_server.extend_from_slice(&up);
            self.to_client.extend_from_slice(&down);
            self.server.receive(up.into(), self.now);
            self.client.receive(down.into(), self.now);
            match serve(&mut self.server, self.caller, self.now, &mut self.server_events) {
                Ok(()) => {}
                Err(error) => self.error = Some(error),
            }
            while let Some(event) = self.client.poll_event().unwrap() {
                self.client_events.push(event);
            }
        }
    }

    fn take_client_events(&mut self) -> Vec<client::Event> {
        std::mem::take(&mut self.client_events)
    }

    fn take_server_events(&mut self) -> Vec<server::Event> {
        std::mem::take(&mut self.server_events)
    }
}

/// Drains a server's events, acting on each as `caller` does.
fn serve(
    server: &mut server::Session,
    caller: Caller,
    now: Moment,
    events: &mut Vec<server::Event>,
) -> Result<(), Error> {
    while let Some(event) = server.poll_event()? {
        match &event {
            server::Event::Connect { .. } if caller != Caller::Watches => server.accept_connect(false, now),
            server::Event::Publish { stream, .. } if caller == Caller::Grants => {
                server.publish_start(*stream)
            }
            server::Event::Play { stream, .. } if caller == Caller::Grants => server.play_start(*stream),
            _ => {}
        }
        events.push(event);
    }
    Ok(())
}

/// Another maker's client, at a server: what it sends is written by hand, what it receives is read as messages.
struct Foreign {
    server: server::Session,
    caller: Caller,
    now: Moment,
    writer: Writer,
    out: OutQueue,
    reader: Reader,
    handshake_left: usize,
    events: Vec<server::Event>,
}

impl Foreign {
    /// After the handshake.
    fn new() -> Self {
        let mut foreign = Self {
            server: new_server(at(0)),
            caller: Caller::Grants,
            now: at(0),
            writer: Writer::new(Headers::Compressed),
            out: OutQueue::new(),
            reader: Reader::new(WHOLE),
            handshake_left: 3073,
            events: Vec::new(),
        };
        let mut hello = vec![3; 1];
        hello.resize(3073, 0x55);
        foreign.feed(&hello).unwrap();
        foreign
    }

    /// After `connect` with these properties beside `app`.
    fn connected<const N: usize>(properties: [(&str, Value); N]) -> Self {
        let mut foreign = Self::new();
        foreign.connect(properties).unwrap();
        foreign
    }

    fn connect<const N: usize>(&mut self, properties: [(&str, Value); N]) -> Result<(), Error> {
        let mut all = vec![("app".to_owned(), string("live"))];
        all.extend(properties.into_iter().map(|(key, value)| (key.to_owned(), value)));
        let connect =
            Command { name: "connect".into(), transaction: 1.0, object: Value::Object(all), args: vec![] };
        self.command(&connect, 0)
    }

    /// After `createStream` and `publish` too.
    fn publishing<const N: usize>(properties: [(&str, Value); N]) -> Self {
        let mut foreign = Self::connected(properties);
        foreign.command(&Command::new("createStream", 2.0), 0).unwrap();
        foreign
            .command(&Command::new("publish", 3.0).arg(string("cam?token=1")).arg(string("live")), 1)
            .unwrap();
        foreign
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.server.receive(Bytes::copy_from_slice(bytes), self.now);
        serve(&mut self.server, self.caller, self.now, &mut self.events)
    }

    fn command(&mut self, command: &Command, stream: u32) -> Result<(), Error> {
        self.message(csid::COMMAND, &command.to_message(MessageStreamId(stream)))
    }

    fn message(&mut self, csid: ChunkStreamId, message: &Message) -> Result<(), Error> {
        self.writer.write(csid, message, &mut self.out);
        let bytes = drain(&mut self.out);
        self.feed(&bytes)
    }

    fn media(&mut self, media: &MediaMessage) -> Result<(), Error> {
        let message = Message {
            type_id: media.kind.type_id(),
            stream_id: STREAM,
            timestamp: media.timestamp,
            payload: media.payload.clone(),
        };
        self.message(csid::VIDEO, &message)
    }

    /// What the server has written since the last call.
    fn received(&mut self) -> Vec<Message> {
        let mut bytes = drain(self.server.out());
        let handshake = bytes.len().min(self.handshake_left);
        self.handshake_left -= handshake;
        self.reader.push(Bytes::from(bytes.split_off(handshake)));
        std::iter::from_fn(|| self.reader.next().unwrap()).collect()
    }

    /// The commands among it.
    fn commands(&mut self) -> Vec<Command> {
        let commands = self.received().into_iter().filter(|message| message.type_id == type_id::COMMAND_AMF0);
        commands.map(|message| Command::decode(&message.payload, 20).unwrap()).collect()
    }

    fn take_events(&mut self) -> Vec<server::Event> {
        std::mem::take(&mut self.events)
    }
}

fn segue() -> [(&'static str, Value); 1] {
    [("segue", Value::Number(1.0))]
}

fn code_of(command: &Command) -> &str {
    command.args.iter().find_map(|arg| arg.property("code")).and_then(Value::as_str).unwrap_or_default()
}

fn empty_object() -> Value {
    object([])
}
