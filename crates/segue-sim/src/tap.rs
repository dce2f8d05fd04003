//! What the two sides of a simulated connection were handed, byte for byte, and what that says: how far the client had
//! come, and how often it was told to go. Decodes nothing while the world runs.

use bytes::Bytes;
use segue_proto::Error;
use segue_proto::chunk::{Limits, Reader};
use segue_proto::media::{Config, Content};
use segue_proto::message::command::Command;
use segue_proto::message::{Message, type_id};
use segue_proto::session::GoAwaySignal;
use segue_proto::{MediaMessage, TrackKind};

use crate::ids::{ClientId, ServerId};

/// Bytes kept of each direction; what comes later is not looked at.
pub const MAX_TAPPED: usize = 32 << 20;
/// C0, C1 and C2, as S0, S1 and S2 (RTMP 1.0, 5.2).
const HANDSHAKE: usize = 1 + 2 * 1536;

/// The last thing of a client's that reached a server whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Nothing: it connected.
    Dialed,
    /// C0 and C1.
    Hello,
    /// C2.
    Handshake,
    /// `connect`.
    Connect,
    /// `createStream`.
    CreateStream,
    /// `publish`.
    Publish,
    /// The leg header.
    LegHeader,
    /// Media, or the configuration before it.
    Media,
}

/// One connection, overheard.
#[derive(Debug)]
pub struct Tap {
    /// Whose it is.
    pub client: ClientId,
    /// Where it leads.
    pub server: ServerId,
    up: Vec<u8>,
    down: Vec<u8>,
}

impl Tap {
    pub(crate) fn new(client: ClientId, server: ServerId) -> Self {
        Self { client, server, up: Vec::new(), down: Vec::new() }
    }

    pub(crate) fn heard_by_server(&mut self, data: &[u8]) {
        keep(&mut self.up, data);
    }

    pub(crate) fn heard_by_client(&mut self, data: &[u8]) {
        keep(&mut self.down, data);
    }

    /// How far the client had come, by what reached the server.
    pub fn reached(&self) -> Step {
        match self.up.len() {
            0..=1536 => return Step::Dialed,
            1537..HANDSHAKE => return Step::Hello,
            _ => {}
        }
        let steps = messages(&self.up).into_iter().filter_map(|message| step(&message));
        steps.fold(Step::Handshake, Step::max)
    }

    /// Whether the client plays, by what reached the server: it has asked to and has not ended its message stream since.
    pub fn plays(&self) -> bool {
        let commands =
            messages(&self.up).into_iter().filter(|message| message.type_id == type_id::COMMAND_AMF0);
        let plays = |plays: bool, message: Message| match Command::decode(&message.payload, message.type_id) {
            Ok(command) if command.name == "play" => true,
            Ok(command) if ["deleteStream", "closeStream"].contains(&command.name.as_str()) => false,
            _ => plays,
        };
        commands.fold(false, plays)
    }

    /// Every signal to go that reached the client, in order.
    pub fn signals(&self) -> Vec<GoAwaySignal> {
        let signal = |message: &Message| match message.type_id {
            type_id::GO_AWAY => Some(GoAwaySignal::GoAwayMessage),
            type_id::COMMAND_AMF0 | type_id::COMMAND_AMF3 => {
                let code = segue_proto::message::status::code::RECONNECT_REQUEST.as_bytes();
                message
                    .payload
                    .windows(code.len())
                    .any(|window| window == code)
                    .then_some(GoAwaySignal::ReconnectRequest)
            }
            _ => None,
        };
        messages(&self.down).iter().filter_map(signal).collect()
    }
}

fn keep(kept: &mut Vec<u8>, data: &[u8]) {
    let room = MAX_TAPPED.saturating_sub(kept.len());
    kept.extend(data.iter().take(room));
}

/// The whole messages behind the handshake.
fn messages(bytes: &[u8]) -> Vec<Message> {
    let mut reader = Reader::new(Limits::PUBLISHING);
    reader.push(Bytes::copy_from_slice(bytes.get(HANDSHAKE..).unwrap_or_default()));
    let mut all = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(message)) => all.push(message),
            Ok(None) => return all,
            Err(error) => {
                let error: Error = error;
                unreachable!("both sides speak RTMP: {error}");
            }
        }
    }
}

fn step(message: &Message) -> Option<Step> {
    match message.type_id {
        type_id::COMMAND_AMF0 => {
            let command = Command::decode(&message.payload, message.type_id).ok()?;
            match command.name.as_str() {
                "connect" => Some(Step::Connect),
                "createStream" => Some(Step::CreateStream),
                "publish" => Some(Step::Publish),
                _ => None,
            }
        }
        id => {
            let kind = TrackKind::from_type_id(id)?;
            let media = MediaMessage::new(kind, message.timestamp, message.payload.clone());
            let is_header = media.info().content == Content::Config(Config::LegHeader);
            Some(if is_header { Step::LegHeader } else { Step::Media })
        }
    }
}
