//! Commands (types 20 and 17; RTMP 1.0, 7.2): a name, a transaction id, a command object, arguments. What each means
//! is the sessions' business.

use bytes::Bytes;

use super::data::FORMAT_AMF0;
use super::{Message, MessageStreamId, type_id};
use crate::amf0::{self, Value};
use crate::error::Error;
use crate::timestamp::Timestamp;

/// One command.
#[derive(Clone, PartialEq, Debug)]
pub struct Command {
    /// `connect`, `_result`, `onStatus`, ...
    pub name: String,
    /// Non-zero if an answer is expected, or which command this answers.
    pub transaction: f64,
    /// The command object; null for most.
    pub object: Value,
    /// What follows it.
    pub args: Vec<Value>,
}

impl Command {
    /// A command without arguments.
    pub fn new(name: &str, transaction: f64) -> Self {
        Self { name: name.to_owned(), transaction, object: Value::Null, args: Vec::new() }
    }

    /// The same with one more argument.
    #[must_use]
    pub fn arg(mut self, value: Value) -> Self {
        self.args.push(value);
        self
    }

    /// Whether the sender waits for an answer: FFmpeg and others send 0 for "no".
    pub fn wants_answer(&self) -> bool {
        self.transaction != 0.0
    }

    /// The argument at `index` as a string.
    pub fn str_arg(&self, index: usize) -> Option<&str> {
        self.args.get(index)?.as_str()
    }

    /// Decodes the payload of a command message. Type 17 has a format selector, 0, before what is AMF0 all the same;
    /// what is AMF3 in there, by the marker 0x11, is given as the AMF0 that says the same ([`amf0::plain`]).
    ///
    /// # Errors
    /// It is not AMF0 within the bounds of [`amf0`], or has no name.
    pub fn decode(payload: &[u8], type_id: u8) -> Result<Self, Error> {
        let payload = match payload {
            [FORMAT_AMF0, rest @ ..] if type_id == type_id::COMMAND_AMF3 => rest,
            _ => payload,
        };
        let mut values = amf0::plain(amf0::decode_all(payload)?).into_iter();
        let Some(Value::String(name)) = values.next() else {
            return Err(Error::PeerMisbehaved("a command has no name"));
        };
        let transaction = match values.next() {
            Some(Value::Number(transaction)) => transaction,
            None => 0.0,
            Some(_) => return Err(Error::PeerMisbehaved("a command's transaction id is no number")),
        };
        Ok(Self { name, transaction, object: values.next().unwrap_or(Value::Null), args: values.collect() })
    }

    /// The AMF0 payload.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(128);
        Value::String(self.name.clone()).encode(&mut out);
        Value::Number(self.transaction).encode(&mut out);
        self.object.encode(&mut out);
        self.args.iter().for_each(|arg| arg.encode(&mut out));
        out.into()
    }

    /// The message, type 20, timestamp 0. Peers that speak AMF3 get this too: they read both, and no server of the field
    /// answers them otherwise.
    pub fn to_message(&self, stream_id: MessageStreamId) -> Message {
        Message {
            type_id: type_id::COMMAND_AMF0,
            stream_id,
            timestamp: Timestamp::ZERO,
            payload: self.encode(),
        }
    }
}

/// An AMF0 object of these properties, in this order.
pub fn object<const N: usize>(properties: [(&str, Value); N]) -> Value {
    Value::Object(properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// An AMF0 string.
pub fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `createStream`, transaction 2, null: AMF0 2.2 and 2.4 by hand (string marker 2, number marker 0, null 5).
    const CREATE_STREAM: &[u8] = b"\x02\x00\x0ccreateStream\x00\x40\x00\x00\x00\x00\x00\x00\x00\x05";

    #[test]
    fn a_command_is_name_transaction_object_arguments() {
        let command = Command::new("createStream", 2.0);
        assert_eq!(&command.encode()[..], CREATE_STREAM);
        assert_eq!(Command::decode(CREATE_STREAM, 20), Ok(command.clone()));
        assert_eq!(Command::decode(&[b"\x00", CREATE_STREAM].concat(), 17), Ok(command.clone()));
        assert_eq!(Command::decode(CREATE_STREAM, 17), Ok(command.clone()), "type 17 without its extra byte");
        assert!(command.wants_answer());
        let message = command.to_message(MessageStreamId(0));
        assert_eq!((message.type_id, message.timestamp), (20, Timestamp::ZERO));
    }

    /// By hand from AMF3 3.8, 3.6 and 3.12: name, transaction and object behind 0x11; the member's name `app`.
    #[test]
    fn a_command_may_switch_to_amf3() {
        let mixed = b"\x00\x02\x00\x07connect\x00\x3f\xf0\0\0\0\0\0\0\x11\x0a\x0b\x01\x07app\x06\x09live\x01";
        let switched = b"\x00\x11\x06\x0fconnect\x11\x04\x01\x11\x0a\x0b\x01\x07app\x06\x09live\x01";
        for payload in [&mixed[..], switched] {
            let command = Command::decode(payload, 17).unwrap();
            assert_eq!((&*command.name, command.transaction), ("connect", 1.0));
            assert_eq!(command.object, object([("app", string("live"))]));
        }
        // A byte array has no AMF0; it does no harm where nobody reads it.
        let command = Command::decode(b"\x00\x02\x00\x01a\x00\0\0\0\0\0\0\0\0\x05\x11\x0c\x03x", 17).unwrap();
        assert_eq!(command.args, [Value::AvmPlus(crate::amf3::Value::ByteArray(b"x".to_vec()))]);
    }

    #[test]
    fn what_is_missing_is_zero_and_null() {
        let command = Command::decode(b"\x02\x00\x01a", 20).unwrap();
        assert_eq!(command, Command::new("a", 0.0));
        assert!(!command.wants_answer());
    }

    #[test]
    fn what_is_no_command() {
        for bad in [
            &b""[..],
            b"\x05",
            b"\x00\x40\x00\x00\x00\x00\x00\x00\x00",
            b"\x02\x00\x01a\x05",
            b"\x02\x00\x05a",
        ] {
            assert!(Command::decode(bad, 20).is_err(), "{bad:?}");
        }
    }
}
