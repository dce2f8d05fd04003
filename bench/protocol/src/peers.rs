//! The three libraries behind one face.

use std::hint::black_box;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rml_rtmp::chunk_io::{ChunkDeserializer, ChunkSerializer};
use rml_rtmp::messages::MessagePayload;
use rml_rtmp::time::RtmpTimestamp;
use scuffle_rtmp::chunk::Chunk;
use scuffle_rtmp::chunk::reader::ChunkReader;
use scuffle_rtmp::chunk::writer::ChunkWriter;
use scuffle_rtmp::messages::MessageType;
use segue_proto::chunk::{Headers, Limits, Reader, Writer};
use segue_proto::message::{ChunkStreamId, Message};
use segue_proto::outqueue::OutQueue;

use crate::input::{Capture, READ};

/// Messages and their payload bytes: what all must agree on.
pub type Digest = (usize, usize);

/// Whose work it is.
#[derive(PartialEq, Eq)]
pub enum Kind {
    Ours,
    Other,
    /// Nobody's: a loop that only copies.
    Bare,
}

/// How long one took for about [`READ`] bytes.
#[derive(Clone, Copy, Default)]
pub struct Took {
    pub own: Duration,
    /// And the copy that a read makes.
    pub with_read: Duration,
}

/// One way to do it.
pub struct Peer {
    pub name: &'static str,
    pub kind: Kind,
    pub run: fn(&Capture) -> (Digest, Vec<Took>),
}

const SET_CHUNK_SIZE: u8 = 1;

/// All that can decode.
pub fn decoders() -> Vec<Peer> {
    vec![
        Peer { name: "segue-proto", kind: Kind::Ours, run: decode_segue },
        Peer { name: "segue-proto, copied", kind: Kind::Ours, run: decode_segue_copied },
        Peer { name: "rml_rtmp 0.8.0", kind: Kind::Other, run: decode_rml },
        Peer { name: "scuffle-rtmp 0.2.3", kind: Kind::Other, run: decode_scuffle },
        Peer { name: "bare copy", kind: Kind::Bare, run: decode_bare },
    ]
}

/// All that can encode.
pub fn encoders() -> Vec<Peer> {
    vec![
        Peer { name: "segue-proto, slices", kind: Kind::Ours, run: encode_segue_slices },
        Peer { name: "segue-proto, one buffer", kind: Kind::Ours, run: encode_segue_buffer },
        Peer { name: "rml_rtmp 0.8.0", kind: Kind::Other, run: encode_rml },
        Peer { name: "scuffle-rtmp 0.2.3", kind: Kind::Other, run: encode_scuffle },
        Peer { name: "bare copy", kind: Kind::Bare, run: encode_bare },
    ]
}

/// What arrives at a socket.
struct Source<'a> {
    left: &'a [u8],
    far: UnixStream,
    near: UnixStream,
    /// Of each read.
    took: Vec<Took>,
    now: Took,
}

impl<'a> Source<'a> {
    fn new(capture: &'a Capture) -> Self {
        let (far, near) = UnixStream::pair().expect("sockets");
        Self { left: &capture.wire, far, near, took: Vec::new(), now: Took::default() }
    }

    /// Whether all was read; if not, the next read begins here.
    fn is_over(&mut self) -> bool {
        self.took.push(std::mem::take(&mut self.now));
        self.left.is_empty()
    }

    /// One read, into as much of `room` as there is for it and at most [`READ`]: how much came.
    fn read(&mut self, room: &mut [u8]) -> usize {
        let n = room.len().min(READ).min(self.left.len());
        let (piece, left) = self.left.split_at(n);
        self.left = left;
        self.far.write_all(piece).expect("written");
        let began = Instant::now();
        self.near.read_exact(&mut room[..n]).expect("read");
        self.now.with_read += began.elapsed();
        n
    }

    /// The same, behind what `room` holds, as far as it reaches.
    fn read_behind(&mut self, room: &mut BytesMut) {
        let (from, reach) = (room.len(), room.capacity().min(room.len() + READ));
        room.resize(reach, 0);
        let n = self.read(&mut room[from..]);
        room.truncate(from + n);
    }

    /// Does what a decoder does by itself.
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        let took = began.elapsed();
        self.now.own += took;
        self.now.with_read += took;
        done
    }
}

fn count(digest: &mut Digest, payload: usize) {
    *digest = (digest.0 + 1, digest.1 + payload);
}

/// A read of fewer bytes is not worth its call.
const LEAST_READ: usize = 16 << 10;
/// The room of `segue-proto`'s reader.
const ROOM: usize = 128 << 10;

fn decode_segue(capture: &Capture) -> (Digest, Vec<Took>) {
    let (mut reader, mut digest) = (Reader::new(Limits::PUBLISHING), (0, 0));
    let mut source = Source::new(capture);
    reader.room(LEAST_READ, ROOM);
    while !source.is_over() {
        source.read_behind(reader.room(0, 0));
        source.time(|| {
            while let Some(message) = reader.next().expect("decodes") {
                count(&mut digest, black_box(&message).payload.len());
            }
            reader.room(LEAST_READ, ROOM);
        });
    }
    (digest, source.took)
}

fn decode_segue_copied(capture: &Capture) -> (Digest, Vec<Took>) {
    let (mut reader, mut digest) = (Reader::new(Limits::PUBLISHING), (0, 0));
    let (mut source, mut buffer) = (Source::new(capture), vec![0; READ]);
    while !source.is_over() {
        let filled = source.read(&mut buffer);
        source.time(|| {
            reader.copy(&buffer[..filled]);
            while let Some(message) = reader.next().expect("decodes") {
                count(&mut digest, black_box(&message).payload.len());
            }
        });
    }
    (digest, source.took)
}

fn decode_rml(capture: &Capture) -> (Digest, Vec<Took>) {
    let (mut reader, mut digest) = (ChunkDeserializer::new(), (0, 0));
    let (mut source, mut buffer) = (Source::new(capture), vec![0; READ]);
    while !source.is_over() {
        let filled = source.read(&mut buffer);
        source.time(|| {
            let mut input = &buffer[..filled];
            while let Some(message) = reader.get_next_message(input).expect("decodes") {
                input = &[];
                if message.type_id == SET_CHUNK_SIZE {
                    let size = u32::from_be_bytes(message.data[..4].try_into().expect("four bytes"));
                    reader.set_max_chunk_size(size as usize).expect("a size");
                } else {
                    count(&mut digest, black_box(&message).data.len());
                }
            }
        });
    }
    (digest, source.took)
}

fn decode_scuffle(capture: &Capture) -> (Digest, Vec<Took>) {
    let (mut reader, mut digest) = (ChunkReader::default(), (0, 0));
    let (mut source, mut waiting) = (Source::new(capture), BytesMut::with_capacity(READ));
    while !source.is_over() {
        source.read_behind(&mut waiting);
        source.time(|| {
            while let Some(chunk) = reader.read_chunk(&mut waiting).expect("decodes") {
                if chunk.message_header.msg_type_id.0 == SET_CHUNK_SIZE {
                    let size = u32::from_be_bytes(chunk.payload[..4].try_into().expect("four bytes"));
                    assert!(reader.update_max_chunk_size(size as usize));
                } else {
                    count(&mut digest, black_box(&chunk).payload.len());
                }
            }
            waiting.reserve(READ);
        });
    }
    (digest, source.took)
}

/// What the messages are is known before.
fn digest(capture: &Capture) -> Digest {
    (capture.messages.len(), capture.messages.iter().map(|message| message.payload.len()).sum())
}

const APART: usize = 2048;

/// As if every byte that is not payload were a chunk's header of one byte.
fn decode_bare(capture: &Capture) -> (Digest, Vec<Took>) {
    let size = capture.chunk_size as usize;
    let (mut source, mut buffer) = (Source::new(capture), vec![0; READ]);
    let mut into = Vec::with_capacity(APART + READ);
    while !source.is_over() {
        let filled = source.read(&mut buffer);
        source.time(|| {
            // Not at the same place in its page as what is copied: that is ten times slower.
            into.clear();
            into.resize(APART, 0);
            for chunk in buffer[..filled].chunks(size + 1) {
                chunk[1..].chunks(4096).for_each(|part| into.extend_from_slice(part));
            }
            black_box(&into);
        });
    }
    (digest(capture), source.took)
}

fn csid(message: &Message) -> u32 {
    match message.type_id {
        8 => 4,
        9 => 6,
        _ => 5,
    }
}

/// Looks at every byte of about as much as [`READ`], so that it is in the cache, then lets `work` write it.
fn timed(capture: &Capture, mut work: impl FnMut(&[Message])) -> (Digest, Vec<Took>) {
    let took = capture.batches().into_iter().map(|messages| {
        let bytes = messages.iter().flat_map(|message| message.payload.iter());
        black_box(bytes.fold(0_u8, |sum, byte| sum ^ byte));
        let began = Instant::now();
        work(messages);
        let own = began.elapsed();
        Took { own, with_read: own }
    });
    let took = took.collect();
    (digest(capture), took)
}

fn encode_segue(capture: &Capture, mut written: impl FnMut(&mut OutQueue)) -> (Digest, Vec<Took>) {
    let mut writer = Writer::new(Headers::Absolute);
    let mut out = OutQueue::new();
    writer.set_chunk_size(capture.chunk_size, &mut out);
    timed(capture, |messages| {
        for message in messages {
            let csid = ChunkStreamId::new(csid(message)).expect("an id");
            assert!(writer.write(csid, message, &mut out));
        }
        written(&mut out);
    })
}

fn encode_segue_slices(capture: &Capture) -> (Digest, Vec<Took>) {
    encode_segue(capture, |out| {
        let len = out.len();
        black_box(&mut *out).advance(len);
    })
}

fn encode_segue_buffer(capture: &Capture) -> (Digest, Vec<Took>) {
    let mut buffer = Vec::with_capacity(2 * READ);
    encode_segue(capture, |out| {
        buffer.clear();
        while let Some(slice) = out.pop() {
            buffer.extend_from_slice(&slice);
        }
        black_box(&buffer);
    })
}

fn encode_rml(capture: &Capture) -> (Digest, Vec<Took>) {
    let mut writer = ChunkSerializer::new();
    writer.set_max_chunk_size(capture.chunk_size, RtmpTimestamp::new(0)).expect("a size");
    timed(capture, |messages| {
        for message in messages {
            let payload = MessagePayload {
                timestamp: RtmpTimestamp::new(message.timestamp.as_millis()),
                type_id: message.type_id,
                message_stream_id: message.stream_id.0,
                data: message.payload.clone(),
            };
            black_box(writer.serialize(&payload, true, false).expect("encodes"));
        }
    })
}

fn encode_scuffle(capture: &Capture) -> (Digest, Vec<Took>) {
    let mut writer = ChunkWriter::default();
    writer.set_chunk_size(capture.chunk_size as usize);
    let mut buffer = Vec::with_capacity(2 * READ);
    timed(capture, |messages| {
        buffer.clear();
        for message in messages {
            let chunk = Chunk::new(
                csid(message),
                message.timestamp.as_millis(),
                MessageType(message.type_id),
                message.stream_id.0,
                message.payload.clone(),
            );
            writer.write_chunk(&mut buffer, chunk).expect("encodes");
        }
        black_box(&buffer);
    })
}

fn encode_bare(capture: &Capture) -> (Digest, Vec<Took>) {
    let size = capture.chunk_size as usize;
    let mut buffer = Vec::with_capacity(4 * READ);
    timed(capture, |messages| {
        buffer.clear();
        for message in messages {
            for piece in message.payload.chunks(size) {
                buffer.push(0xC6);
                buffer.extend_from_slice(piece);
            }
        }
        black_box(&buffer);
    })
}
