//! Bytes by hand for the tests of the specification: a peer that says exactly what the test says, to a session of ours.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::sync::Arc;

use segue_proto::caps::Announce;
use segue_proto::chunk::{Limits, Reader};
use segue_proto::message::Message;
use segue_proto::message::command::Command;
use segue_proto::outqueue::OutQueue;
use segue_proto::session::{client, server};
use segue_proto::url::RtmpUrl;
use segue_proto::{Error, Moment};

/// `connect`, transaction 1, to the application `live`: AMF0 string 02, number 00, object 03 with its end 00 00 09.
pub const CONNECT: &[u8] =
    b"\x02\x00\x07connect\x00\x3f\xf0\x00\x00\x00\x00\x00\x00\x03\x00\x03app\x02\x00\x04live\x00\x00\x09";
/// Transaction ids as AMF0 numbers.
pub const NUMBER_0: &[u8] = b"\x00\x00\x00\x00\x00\x00\x00\x00\x00";
pub const NUMBER_2: &[u8] = b"\x00\x40\x00\x00\x00\x00\x00\x00\x00";

pub fn at(ms: u64) -> Moment {
    Moment::from_micros(ms * 1000)
}

pub fn drain(out: &mut OutQueue) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(slice) = out.pop() {
        bytes.extend_from_slice(&slice);
    }
    bytes
}

/// A message in one chunk: format 0, the chunk stream in one byte, a timestamp below 0xFFFFFF.
pub fn chunk(csid: u8, ms: u32, type_id: u8, stream: u8, body: &[u8]) -> Vec<u8> {
    let (time, len) = (ms.to_be_bytes(), u32::try_from(body.len()).unwrap().to_be_bytes());
    let header = [csid, time[1], time[2], time[3], len[1], len[2], len[3], type_id, stream, 0, 0, 0];
    [&header[..], body].concat()
}

/// All messages in the first bytes of a connection, or in what follows those that `reader` has seen.
pub fn messages(reader: &mut Reader, bytes: Vec<u8>) -> Vec<Message> {
    reader.push(bytes.into());
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

pub fn reader() -> Reader {
    Reader::new(Limits::PUBLISHING)
}

/// The commands among them.
pub fn commands(messages: &[Message]) -> Vec<Command> {
    let commands = messages.iter().filter(|message| message.type_id == 20);
    commands.map(|message| Command::decode(&message.payload, 20).unwrap()).collect()
}

/// A server, granting everything, with a client that is written by hand.
pub struct AtServer {
    pub session: server::Session,
    pub events: Vec<server::Event>,
    reader: Reader,
}

impl AtServer {
    /// After the handshake.
    pub fn new() -> Self {
        let session = server::Session::new(Arc::new(server::Config::default()), [7; 1528], at(0));
        let mut this = Self { session, events: Vec::new(), reader: reader() };
        this.feed(&[&[3][..], &[9; 3072]].concat()).unwrap();
        drain(this.session.out());
        this
    }

    /// After `connect`, its answer taken.
    pub fn connected() -> Self {
        let mut this = Self::new();
        this.feed(&chunk(3, 0, 20, 0, CONNECT)).unwrap();
        this.sent();
        this
    }

    /// After `createStream` too: message stream 1.
    pub fn with_stream() -> Self {
        let mut this = Self::connected();
        this.feed(&chunk(3, 0, 20, 0, &Command::new("createStream", 2.0).encode())).unwrap();
        this.sent();
        this
    }

    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.session.receive(bytes.to_vec().into(), at(0));
        while let Some(event) = self.session.poll_event()? {
            match &event {
                server::Event::Connect { .. } => self.session.accept_connect(false, at(0)),
                server::Event::Publish { stream, .. } => self.session.publish_start(*stream),
                server::Event::Play { stream, .. } => self.session.play_start(*stream),
                _ => {}
            }
            self.events.push(event);
        }
        Ok(())
    }

    pub fn command(&mut self, command: &Command, stream: u8) {
        self.feed(&chunk(3, 0, 20, stream, &command.encode())).unwrap();
    }

    /// What the server has written since the last call.
    pub fn sent(&mut self) -> Vec<u8> {
        let bytes = drain(self.session.out());
        messages(&mut self.reader, bytes.clone());
        bytes
    }

    /// The same as messages.
    pub fn messages(&mut self) -> Vec<Message> {
        let bytes = drain(self.session.out());
        messages(&mut self.reader, bytes)
    }
}

/// A client, with a server that is written by hand.
pub struct AtClient {
    pub session: client::Session,
    reader: Reader,
}

impl AtClient {
    /// After the handshake; `connect` waits.
    pub fn new(role: client::Role) -> Self {
        let url = RtmpUrl::parse("rtmp://server.test/live/cam").unwrap();
        let config = client::Config { announce: Announce::NONE, ..client::Config::new(url) };
        let mut this =
            Self { session: client::Session::new(config, role, [1; 1528], at(0)), reader: reader() };
        this.feed(&[&[3][..], &[9; 3072]].concat());
        let handshake = 3073;
        this.session.out().advance(handshake);
        this
    }

    /// With message stream 1, and everything before it taken.
    pub fn with_stream(role: client::Role) -> Self {
        let mut this = Self::new(role);
        this.result(1.0, b"\x05\x05");
        this.session.create_stream();
        let transaction = if role == client::Role::Publisher { 4.0 } else { 2.0 };
        this.result(transaction, b"\x05\x00\x3f\xf0\x00\x00\x00\x00\x00\x00");
        this.sent();
        this
    }

    pub fn feed(&mut self, bytes: &[u8]) -> Vec<client::Event> {
        self.session.receive(bytes.to_vec().into(), at(0));
        std::iter::from_fn(|| self.session.poll_event().unwrap()).collect()
    }

    /// `_result` with these values behind the transaction id.
    pub fn result(&mut self, transaction: f64, values: &[u8]) -> Vec<client::Event> {
        let body = [&b"\x02\x00\x07_result\x00"[..], &transaction.to_be_bytes(), values].concat();
        self.feed(&chunk(3, 0, 20, 0, &body))
    }

    /// What the client has written since the last call.
    pub fn sent(&mut self) -> Vec<u8> {
        let bytes = drain(self.session.out());
        messages(&mut self.reader, bytes.clone());
        bytes
    }

    /// The same as messages.
    pub fn messages(&mut self) -> Vec<Message> {
        let bytes = drain(self.session.out());
        messages(&mut self.reader, bytes)
    }
}
