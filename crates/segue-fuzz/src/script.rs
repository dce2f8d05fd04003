//! Bytes that a peer might send, more to the point than random ones: operations of the input become messages, cut to
//! chunks as they should be, whose contents are the input's. A few operations spoil it on purpose.

use bytes::Bytes;
use segue_proto::Timestamp;
use segue_proto::amf0::Value;
use segue_proto::chunk::{Headers, Writer};
use segue_proto::message::command::{Command, object, string};
use segue_proto::message::{Message, MessageStreamId, csid, type_id};
use segue_proto::outqueue::OutQueue;

use crate::input::Input;

/// Bytes that a script may become: far more than its own, as media are stated by their length.
const MAX_BYTES: usize = 12 << 10;

/// The bytes that `input` describes. `names` are the commands that the receiver knows, `codes` what a status may say.
pub(crate) fn bytes(input: &mut Input<'_>, writer: Writer, names: &[&str], codes: &[&str]) -> Vec<u8> {
    let mut script = Script { writer, out: OutQueue::new(), bytes: Vec::new() };
    while !input.is_empty() && script.bytes.len() < MAX_BYTES {
        script.step(input, names, codes);
    }
    script.bytes
}

/// As a client or server writes from the beginning.
pub(crate) const fn writer() -> Writer {
    Writer::new(Headers::Compressed)
}

struct Script {
    writer: Writer,
    out: OutQueue,
    bytes: Vec<u8>,
}

impl Script {
    fn step(&mut self, input: &mut Input<'_>, names: &[&str], codes: &[&str]) {
        let op = input.u8();
        let stream = MessageStreamId(u32::from(op >> 4 & 3));
        match op & 0x0f {
            0..=3 => {
                let command = command(input, names, codes);
                self.write(&command.to_message(stream));
            }
            4 => {
                let kind = input.pick(&[type_id::COMMAND_AMF3, type_id::DATA_AMF0, type_id::DATA_AMF3]);
                let len = usize::from(input.u8());
                self.message(kind, stream, 0, Bytes::copy_from_slice(input.take(len)));
            }
            5 | 6 => {
                // A frame with the head of the input's choice, and of any length.
                let kind = input.pick(&[type_id::VIDEO, type_id::AUDIO]);
                let (ms, len) = (input.u32(), input.number() as usize % 4000);
                let mut payload = input.take(5).to_vec();
                payload.resize(len, 0);
                self.message(kind, stream, ms, payload.into());
            }
            7 => {
                let (ms, len) = (input.u32(), usize::from(input.u8()));
                self.message(type_id::AGGREGATE, stream, ms, Bytes::copy_from_slice(input.take(len)));
            }
            8 => {
                let kind = input.pick(&[3, 4, 5, 6, 1, 2, 32]);
                let len = usize::from(input.u8() % 12);
                self.message(kind, MessageStreamId::CONTROL, 0, Bytes::copy_from_slice(input.take(len)));
            }
            9 => {
                self.writer.set_chunk_size(u32::from(input.u16()), &mut self.out);
                self.drain();
            }
            10 => {
                let kind = input.u8();
                let len = usize::from(input.u8());
                self.message(kind, stream, 0, Bytes::copy_from_slice(input.take(len)));
            }
            11 => {
                let header = object([
                    (
                        "stream",
                        string(input.pick(&["00112233445566778899aabbccddeeff", "0011223344556677", "x"])),
                    ),
                    ("leg", Value::Number(f64::from(input.u8()))),
                    ("index", Value::Number(input.number() as f64)),
                    ("keyframes", Value::Number(f64::from(input.u8()))),
                    ("timestamp", Value::Number(f64::from(input.u32()))),
                ]);
                let mut payload = Vec::new();
                string("onSegueLeg").encode(&mut payload);
                header.encode(&mut payload);
                self.message(type_id::DATA_AMF0, stream, 0, payload.into());
            }
            12 => {
                // Not by the writer: chunks of the input's own.
                let len = usize::from(input.u8());
                self.bytes.extend_from_slice(input.take(len));
            }
            _ => {
                let len = usize::from(input.u8() % 32);
                self.message(type_id::DATA_AMF0, stream, 0, Bytes::copy_from_slice(input.take(len)));
            }
        }
    }

    fn message(&mut self, type_id: u8, stream_id: MessageStreamId, ms: u32, payload: Bytes) {
        self.write(&Message { type_id, stream_id, timestamp: Timestamp::from_millis(ms), payload });
    }

    fn write(&mut self, message: &Message) {
        let csid = match message.type_id {
            type_id::VIDEO => csid::VIDEO,
            type_id::AUDIO => csid::AUDIO,
            type_id::COMMAND_AMF0 | type_id::COMMAND_AMF3 => csid::COMMAND,
            1..=6 => csid::CONTROL,
            _ => csid::DATA,
        };
        self.writer.write(csid, message, &mut self.out);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(slice) = self.out.pop() {
            self.bytes.extend_from_slice(&slice);
        }
    }
}

fn command(input: &mut Input<'_>, names: &[&str], codes: &[&str]) -> Command {
    let mut command = Command::new(input.pick(names), f64::from(input.u8() % 8));
    let shape = input.u8();
    if shape & 0x80 != 0 {
        command.object = value(input, codes, 0);
    }
    for _ in 0..shape % 6 {
        command = command.arg(value(input, codes, 0));
    }
    command
}

fn value(input: &mut Input<'_>, codes: &[&str], depth: u8) -> Value {
    match input.u8() % 10 {
        0 => Value::Null,
        1 => Value::Number(f64::from(input.u8())),
        2 => Value::Number(f64::from(input.u32()) - 2f64.powi(31)),
        3 => Value::Boolean(input.u8() & 1 != 0),
        4 => string(&String::from_utf8_lossy(input.take(6))),
        5 => string(input.pick(codes)),
        6 | 7 if depth < 3 => {
            const KEYS: &[&str] = &[
                "code",
                "level",
                "description",
                "tcUrl",
                "ex",
                "redirect",
                "app",
                "capsEx",
                "supportsGoAway",
                "segue",
                "objectEncoding",
                "fourCcList",
                "videoFourCcInfoMap",
                "serverId",
                "draining",
                "stream",
                "index",
                "flashVer",
            ];
            let members = (0..input.u8() % 6)
                .map(|_| (input.pick(KEYS).to_owned(), value(input, codes, depth + 1)))
                .collect();
            Value::Object(members)
        }
        8 if depth < 3 => {
            Value::StrictArray((0..input.u8() % 4).map(|_| value(input, codes, depth + 1)).collect())
        }
        _ => string("cam"),
    }
}
