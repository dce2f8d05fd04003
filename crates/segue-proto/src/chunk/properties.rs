//! What holds for all chunk streams: any split reads the same, what is written is read back, no bytes cause a panic or
//! memory out of proportion.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::header::{Format, extended};
use super::tests::{drain, drain_reader, message};
use super::*;
use crate::error::Error;
use crate::message::{ChunkStreamId, Message, MessageStreamId, type_id};
use crate::outqueue::OutQueue;
use crate::timestamp::Timestamp;

/// Small ones, so that the limits are met.
const LIMITS: Limits = Limits { max_message: 2000, max_partials: 3, max_partial_bytes: 3000 };

/// How a reader gets its bytes.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Feed {
    Pushed,
    Copied,
    /// In its own room, of so many bytes each.
    InRoom(usize),
    /// Now this way, now that.
    InTurns,
}

impl Feed {
    fn give(self, reader: &mut Reader, turn: usize, piece: &[u8]) {
        match self {
            // A copy, as a new read buffer is one: the pieces are not one slice.
            Self::Pushed => reader.push(Bytes::copy_from_slice(piece)),
            Self::Copied => reader.copy(piece),
            Self::InRoom(fresh) => reader.room(piece.len(), fresh).extend_from_slice(piece),
            Self::InTurns => {
                let ways =
                    [Self::InRoom(64), Self::Copied, Self::InRoom(300), Self::InRoom(64), Self::Pushed];
                ways[turn % ways.len()].give(reader, turn, piece);
            }
        }
    }
}

fn feed() -> impl Strategy<Value = Feed> {
    let ways =
        [Feed::Pushed, Feed::Copied, Feed::InRoom(1), Feed::InRoom(500), Feed::InRoom(9000), Feed::InTurns];
    prop::sample::select(ways.to_vec())
}

/// Reads `bytes` cut to pieces of these sizes, over and over.
fn read_split(limits: Limits, bytes: &Bytes, sizes: &[usize]) -> (Vec<Message>, Option<Error>, u64) {
    read_fed(Feed::Pushed, limits, bytes, sizes)
}

fn read_fed(
    feed: Feed,
    limits: Limits,
    bytes: &Bytes,
    sizes: &[usize],
) -> (Vec<Message>, Option<Error>, u64) {
    let mut reader = Reader::new(limits);
    let (mut messages, mut left) = (Vec::new(), bytes.clone());
    let mut received = 0;
    for (turn, size) in sizes.iter().cycle().enumerate() {
        let piece = left.split_to((*size).min(left.len()));
        received += piece.len();
        feed.give(&mut reader, turn, &piece);
        let (more, end) = drain_reader(&mut reader);
        messages.extend(more);
        assert!(reader.buffered() <= 4 * received && reader.buffered() <= 4 * limits.max_partial_bytes);
        if end.is_some() || left.is_empty() {
            return (messages, end, reader.consumed());
        }
    }
    unreachable!("sizes are not empty")
}

fn timestamp() -> impl Strategy<Value = u32> {
    prop_oneof![0..200_u32, 0xFF_FFF0..0x100_0010_u32, 0x7FFF_FFF0..0x8000_0010_u32, any::<u32>()]
}

fn chunk_stream() -> impl Strategy<Value = ChunkStreamId> {
    prop_oneof![3..6_u32, 60..70_u32, 315..325_u32, 2..=65_599_u32]
        .prop_map(|id| ChunkStreamId::new(id).unwrap())
}

fn split() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![Just(vec![1]), vec(1..20_usize, 1..8), vec(1..2000_usize, 1..8)]
}

/// Chunks that often make sense, and raw bytes.
fn hostile() -> impl Strategy<Value = Bytes> {
    let length = prop_oneof![Just(0_u32), 1..300_u32, 1900..2100_u32, Just(0xFF_FFFF)];
    let kind = prop_oneof![3 => Just(9_u8), 1 => 1..7_u8, 1 => any::<u8>()];
    let payload = prop_oneof![vec(any::<u8>(), 0..130), vec(Just(0), 0..8), vec(any::<u8>(), 128)];
    let chunk = (0..4_u8, 2..6_u32, timestamp(), length, kind, payload).prop_map(
        |(format, csid, timestamp, length, type_id, payload)| {
            let header = match format {
                0 => {
                    let timestamp = Timestamp::from_millis(timestamp);
                    Format::Full { timestamp, length, type_id, stream_id: MessageStreamId(1) }
                }
                1 => Format::SameStream { delta: timestamp, length, type_id },
                2 => Format::SameLength { delta: timestamp },
                _ => Format::Same { extended: extended(timestamp) },
            };
            let mut bytes = Vec::new();
            bytes.extend_from_slice(&header.encode(ChunkStreamId::new(csid).unwrap()));
            bytes.extend(payload);
            bytes
        },
    );
    let piece = prop_oneof![6 => chunk, 1 => vec(any::<u8>(), 0..20)];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat().into())
}

/// One message as a peer sends it.
#[derive(Clone, Debug)]
struct Sent {
    csid: ChunkStreamId,
    format: u8,
    /// Timestamp or delta.
    ms: u32,
    length: usize,
}

fn sent() -> impl Strategy<Value = Sent> {
    // Payload bytes are 0x55; what an extended timestamp begins with is not, so that none is taken for the other.
    let ms = timestamp().prop_filter("looks like payload", |ms| ms >> 24 != 0x55);
    (3..6_u32, 0..4_u8, ms, 1..400_usize).prop_map(|(csid, format, ms, length)| Sent {
        csid: ChunkStreamId::new(csid).unwrap(),
        format,
        ms,
        length,
    })
}

proptest! {
    #[test]
    fn any_split_of_anything_reads_the_same(bytes in hostile(), sizes in split(), feed in feed()) {
        let whole = read_split(LIMITS, &bytes, &[usize::MAX]);
        prop_assert_eq!(read_fed(feed, LIMITS, &bytes, &sizes), whole);
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..600), sizes in split()) {
        let bytes = Bytes::from(bytes);
        let whole = read_split(Limits::BEFORE_PUBLISH, &bytes, &[usize::MAX]);
        prop_assert!(whole.2 <= bytes.len() as u64);
        prop_assert_eq!(read_split(Limits::BEFORE_PUBLISH, &bytes, &sizes), whole);
    }

    #[test]
    fn what_the_writer_writes_is_read_back(
        compressed in any::<bool>(),
        messages in vec((chunk_stream(), 3..40_u8, 0..3_u32, timestamp(), vec(any::<u8>(), 0..400)), 1..12),
        chunk_sizes in vec(prop_oneof![1..8_u32, 100..150_u32, Just(60_000), Just(MAX_CHUNK_SIZE)], 1..4),
        sizes in split(),
        feed in feed(),
    ) {
        let headers = if compressed { Headers::Compressed } else { Headers::Absolute };
        let (mut writer, mut out, mut written) = (Writer::new(headers), OutQueue::new(), Vec::new());
        for (n, (csid, kind, stream, ms, payload)) in messages.into_iter().enumerate() {
            if let Some(size) = chunk_sizes.get(n) {
                writer.set_chunk_size(*size, &mut out);
            }
            written.push(message(kind, stream, ms, payload));
            prop_assert!(writer.write(csid, written.last().unwrap(), &mut out));
        }
        let bytes = drain(&mut out);
        let read = read_fed(feed, Limits::PUBLISHING, &bytes, &sizes);
        prop_assert_eq!(read, (written, None, bytes.len() as u64));
    }

    #[test]
    fn v08_every_format_and_both_habits_of_extended_timestamps_are_read(
        sent in vec(sent(), 1..12),
        repeats in any::<bool>(),
        chunk_size in 1..200_usize,
        sizes in split(),
        feed in feed(),
    ) {
        let mut bytes = Vec::new();
        let set = Bytes::copy_from_slice(&(chunk_size as u32).to_be_bytes());
        let set = Message::control(type_id::SET_CHUNK_SIZE, set);
        bytes.extend_from_slice(&Format::full(&set, MessageStreamId::CONTROL).encode(ChunkStreamId::MIN));
        bytes.extend(&set.payload);
        let mut wanted = Vec::new();
        // By chunk stream: timestamp, delta, extended timestamp, length.
        let mut state = std::collections::BTreeMap::<_, (u32, u32, Option<u32>, usize)>::new();
        for Sent { csid, format, ms, length } in sent {
            let known = state.get(&csid).copied();
            let stream_id = MessageStreamId(1);
            let (header, next) = match (format, known) {
                (0, _) | (_, None) => {
                    let timestamp = Timestamp::from_millis(ms);
                    let header = Format::Full { timestamp, length: length as u32, type_id: 9, stream_id };
                    (header, (ms, ms, extended(ms), length))
                }
                (1, Some((timestamp, ..))) => {
                    let header = Format::SameStream { delta: ms, length: length as u32, type_id: 9 };
                    (header, (timestamp.wrapping_add(ms), ms, extended(ms), length))
                }
                (2, Some((timestamp, .., length))) => {
                    (Format::SameLength { delta: ms }, (timestamp.wrapping_add(ms), ms, extended(ms), length))
                }
                (_, Some((timestamp, delta, extended, length))) => {
                    let repeated = if extended.is_some() && !repeats { 0 } else { delta };
                    let header = Format::Same { extended: extended.filter(|_| repeats) };
                    (header, (timestamp.wrapping_add(repeated), delta, extended, length))
                }
            };
            state.insert(csid, next);
            let (timestamp, _, extended, length) = next;
            let payload = vec![0x55; length];
            bytes.extend_from_slice(&header.encode(csid));
            for (n, chunk) in payload.chunks(chunk_size).enumerate() {
                if n > 0 {
                    bytes.extend_from_slice(&Format::Same { extended: extended.filter(|_| repeats) }.encode(csid));
                }
                bytes.extend(chunk);
            }
            wanted.push(message(9, 1, timestamp, payload));
        }
        let bytes = Bytes::from(bytes);
        let read = read_fed(feed, Limits::PUBLISHING, &bytes, &sizes);
        prop_assert_eq!(read, (wanted, None, bytes.len() as u64));
    }
}
