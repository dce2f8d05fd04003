//! The three libraries behind one face.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
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

/// One way to do it.
pub struct Peer {
    pub name: &'static str,
    pub ours: bool,
    pub run: fn(&Capture) -> (Digest, Duration),
}

const SET_CHUNK_SIZE: u8 = 1;

/// All that can decode.
pub fn decoders() -> Vec<Peer> {
    vec![
        Peer { name: "segue-proto", ours: true, run: decode_segue },
        Peer { name: "rml_rtmp 0.8.0", ours: false, run: decode_rml },
        Peer { name: "scuffle-rtmp 0.2.3", ours: false, run: decode_scuffle },
    ]
}

/// All that can encode.
pub fn encoders() -> Vec<Peer> {
    vec![
        Peer { name: "segue-proto, slices", ours: true, run: encode_segue_slices },
        Peer { name: "segue-proto, one buffer", ours: true, run: encode_segue_buffer },
        Peer { name: "rml_rtmp 0.8.0", ours: false, run: encode_rml },
        Peer { name: "scuffle-rtmp 0.2.3", ours: false, run: encode_scuffle },
    ]
}

/// Runs `work` for each of `items`, after `prepare`, and adds up what `work` took.
fn timed<T, P>(
    items: impl IntoIterator<Item = T>,
    mut prepare: impl FnMut(T) -> P,
    mut work: impl FnMut(P, &mut Digest),
) -> (Digest, Duration) {
    let (mut digest, mut took) = ((0, 0), Duration::ZERO);
    for item in items {
        let input = prepare(item);
        let began = Instant::now();
        work(input, &mut digest);
        took += began.elapsed();
    }
    (digest, took)
}

fn count(digest: &mut Digest, payload: usize) {
    *digest = (digest.0 + 1, digest.1 + payload);
}

fn decode_segue(capture: &Capture) -> (Digest, Duration) {
    let mut reader = Reader::new(Limits::PUBLISHING);
    timed(capture.wire.chunks(READ), Bytes::copy_from_slice, |piece, digest| {
        reader.push(piece);
        while let Some(message) = reader.next().expect("decodes") {
            count(digest, black_box(message).payload.len());
        }
    })
}

fn decode_rml(capture: &Capture) -> (Digest, Duration) {
    let mut reader = ChunkDeserializer::new();
    timed(capture.wire.chunks(READ), Bytes::copy_from_slice, |piece, digest| {
        let mut input = &piece[..];
        while let Some(message) = reader.get_next_message(input).expect("decodes") {
            input = &[];
            if message.type_id == SET_CHUNK_SIZE {
                let size = u32::from_be_bytes(message.data[..4].try_into().expect("four bytes"));
                reader.set_max_chunk_size(size as usize).expect("a size");
            } else {
                count(digest, black_box(message).data.len());
            }
        }
    })
}

fn decode_scuffle(capture: &Capture) -> (Digest, Duration) {
    let mut reader = ChunkReader::default();
    // What its caller reads into is what it parses: the caller's room is made outside of what is timed.
    let mut waiting = BytesMut::new();
    let fill = |piece: &[u8], waiting: &mut BytesMut| waiting.extend_from_slice(piece);
    let (mut digest, mut took) = ((0, 0), Duration::ZERO);
    for piece in capture.wire.chunks(READ) {
        fill(piece, &mut waiting);
        let began = Instant::now();
        while let Some(chunk) = reader.read_chunk(&mut waiting).expect("decodes") {
            if chunk.message_header.msg_type_id.0 == SET_CHUNK_SIZE {
                let size = u32::from_be_bytes(chunk.payload[..4].try_into().expect("four bytes"));
                assert!(reader.update_max_chunk_size(size as usize));
            } else {
                count(&mut digest, black_box(chunk).payload.len());
            }
        }
        took += began.elapsed();
    }
    (digest, took)
}

fn csid(message: &Message) -> u32 {
    match message.type_id {
        8 => 4,
        9 => 6,
        _ => 5,
    }
}

/// Looks at every byte, so that it is in the cache.
fn look(messages: &[Message]) -> &[Message] {
    black_box(messages.iter().flat_map(|message| message.payload.iter()).fold(0_u8, |sum, byte| sum ^ byte));
    messages
}

fn encode_segue(capture: &Capture, mut written: impl FnMut(&mut OutQueue)) -> (Digest, Duration) {
    let mut writer = Writer::new(Headers::Absolute);
    let mut out = OutQueue::new();
    writer.set_chunk_size(capture.chunk_size, &mut out);
    timed(capture.batches(), look, |messages, digest| {
        for message in messages {
            let csid = ChunkStreamId::new(csid(message)).expect("an id");
            assert!(writer.write(csid, message, &mut out));
            count(digest, message.payload.len());
        }
        written(&mut out);
    })
}

fn encode_segue_slices(capture: &Capture) -> (Digest, Duration) {
    encode_segue(capture, |out| {
        let len = out.len();
        black_box(&mut *out).advance(len);
    })
}

fn encode_segue_buffer(capture: &Capture) -> (Digest, Duration) {
    let mut buffer = Vec::with_capacity(2 * READ);
    encode_segue(capture, |out| {
        buffer.clear();
        while let Some(slice) = out.pop() {
            buffer.extend_from_slice(&slice);
        }
        black_box(&buffer);
    })
}

fn encode_rml(capture: &Capture) -> (Digest, Duration) {
    let mut writer = ChunkSerializer::new();
    writer.set_max_chunk_size(capture.chunk_size, RtmpTimestamp::new(0)).expect("a size");
    timed(capture.batches(), look, |messages, digest| {
        for message in messages {
            let payload = MessagePayload {
                timestamp: RtmpTimestamp::new(message.timestamp.as_millis()),
                type_id: message.type_id,
                message_stream_id: message.stream_id.0,
                data: message.payload.clone(),
            };
            black_box(writer.serialize(&payload, true, false).expect("encodes"));
            count(digest, message.payload.len());
        }
    })
}

fn encode_scuffle(capture: &Capture) -> (Digest, Duration) {
    let mut writer = ChunkWriter::default();
    writer.set_chunk_size(capture.chunk_size as usize);
    let mut buffer = Vec::with_capacity(2 * READ);
    timed(capture.batches(), look, |messages, digest| {
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
            count(digest, message.payload.len());
        }
        black_box(&buffer);
    })
}
