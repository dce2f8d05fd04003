//! Each bound of chunks, met and passed by one, and memory in proportion to what was received.

use bytes::Bytes;

use super::header::basic;
use super::input::MAX_IN_PLACE;
use super::tests::{LIMITS, drain_reader, header0, message, misbehaved, read, read_with, written};
use super::*;
use crate::error::Error;
use crate::message::{ChunkStreamId, Message, MessageStreamId, csid, type_id};
use crate::outqueue::OutQueue;

fn over_limit(end: &Option<Error>) -> bool {
    matches!(end, Some(Error::LimitExceeded(_)))
}

#[test]
fn v06_chunk_sizes_are_refused_outside_1_to_2_31_and_size_nothing() {
    for (size, accepted) in
        [(0, false), (1, true), (MAX_CHUNK_SIZE, true), (1 << 31, false), (u32::MAX, false)]
    {
        let mut reader = Reader::new(LIMITS);
        let mut bytes = header0(2, 0, 4, type_id::SET_CHUNK_SIZE, 0);
        bytes.extend(size.to_be_bytes());
        bytes.extend(header0(6, 0, 0xFF_FFFF, 9, 1));
        bytes.extend(vec![1; 100.min(size as usize)]);
        reader.push(bytes.into());
        let (messages, end) = drain_reader(&mut reader);
        assert!(messages.is_empty());
        assert_eq!(misbehaved(&end), !accepted, "chunk size {size:#x}");
        assert!(reader.buffered() <= 400, "{} bytes for 100", reader.buffered());
    }
    let mut short = header0(2, 0, 3, type_id::SET_CHUNK_SIZE, 0);
    short.extend([0, 1, 0]);
    assert!(misbehaved(&read(short).1));
}

#[test]
fn messages_are_bounded_before_their_payload() {
    let limits = Limits { max_message: 1000, ..LIMITS };
    assert_eq!(read_with(limits, header0(6, 0, 1000, 9, 1)), (vec![], None));
    assert!(over_limit(&read_with(limits, header0(6, 0, 1001, 9, 1)).1));
    assert_eq!(read(header0(6, 0, 0xFF_FFFF, 9, 1)), (vec![], None));
}

#[test]
fn v05_partial_messages_are_bounded_in_number_and_bytes() {
    let begun = |ids: std::ops::Range<u8>| {
        let begin = |id| [header0(id, 0, 129, 9, 1), vec![0; 128]].concat();
        ids.flat_map(begin).collect::<Vec<u8>>()
    };
    let limits = Limits { max_partials: 8, max_partial_bytes: 1 << 20, ..LIMITS };
    assert_eq!(read_with(limits, begun(3..11)), (vec![], None));
    assert!(over_limit(&read_with(limits, begun(3..12)).1));
    // A whole message takes no place among them.
    let whole = [begun(3..11), header0(20, 0, 1, 8, 1), vec![5]].concat();
    assert_eq!(read_with(limits, whole).0.len(), 1);
    // And the end of one makes room.
    let again = [begun(3..11), vec![0xC3, 0], begun(20..21)].concat();
    assert_eq!(read_with(limits, again).1, None);

    let limits = Limits { max_partials: 64, max_partial_bytes: 8 * 128, ..LIMITS };
    assert_eq!(read_with(limits, begun(3..11)), (vec![], None));
    let one_more = [begun(3..11), header0(20, 0, 1, 8, 1)].concat();
    assert!(over_limit(&read_with(limits, one_more).1));
}

#[test]
fn v05_chunk_streams_are_bounded() {
    let first = |n: usize| {
        let mut bytes = Vec::new();
        for id in (2..).take(n) {
            bytes.extend_from_slice(&basic(0, ChunkStreamId::new(id).unwrap()));
            bytes.extend([0; 11]);
        }
        bytes
    };
    let (messages, end) = read(first(MAX_CHUNK_STREAMS));
    assert_eq!((messages.len(), end), (MAX_CHUNK_STREAMS, None));
    let (messages, end) = read(first(MAX_CHUNK_STREAMS + 1));
    assert_eq!(messages.len(), MAX_CHUNK_STREAMS);
    assert!(over_limit(&end));
}

#[test]
fn a_long_message_ends_in_memory_of_its_own_size() {
    let payload = vec![4; 1_000_000];
    let bytes = written(Headers::Absolute, 6, &[message(9, 1, 0, payload.clone())]);
    let mut reader = Reader::new(LIMITS);
    let mut received = 0;
    for piece in bytes.chunks(1460) {
        received += piece.len();
        reader.push(Bytes::copy_from_slice(piece));
        if let Some(message) = reader.next().unwrap() {
            let vec = Vec::from(message.payload);
            assert!(vec == payload && vec.capacity() == payload.len());
        }
        assert!(reader.buffered() <= 4 * received);
    }
    assert_eq!((reader.consumed(), reader.buffered()), (bytes.len() as u64, 0));
}

/// A message of `length` bytes in one chunk, its chunk size said before.
fn in_one_chunk(length: usize) -> Vec<u8> {
    let (mut writer, mut out) = (Writer::new(Headers::Absolute), OutQueue::new());
    writer.set_chunk_size(MAX_CHUNK_SIZE, &mut out);
    writer.write(csid::VIDEO, &message(9, 1, 0, vec![4; length]), &mut out);
    std::iter::from_fn(|| out.pop()).collect::<Vec<_>>().concat()
}

#[test]
fn a_chunk_up_to_a_bound_waits_for_its_end_in_the_room_and_a_longer_one_has_memory_of_its_own() {
    for (length, waits) in [(MAX_IN_PLACE, true), (MAX_IN_PLACE + 1, false)] {
        let bytes = in_one_chunk(length);
        let mut reader = Reader::new(LIMITS);
        let room = reader.room(100_000, 100_000);
        let place = room.as_ptr();
        room.extend_from_slice(&bytes[..1000]);
        assert_eq!(reader.next(), Ok(None));
        assert_eq!((reader.waiting() > 0, reader.buffered() > 0), (waits, !waits), "{length} bytes");
        let room = reader.room(bytes.len() - 1000, 1);
        room.extend_from_slice(&bytes[1000..]);
        let received = reader.next().unwrap().unwrap().payload;
        assert_eq!(received.len(), length);
        // 16 bytes of Set Chunk Size and 12 of the header are before it.
        assert_eq!(received.as_ptr() == place.wrapping_add(28), waits, "{length} bytes");
        assert_eq!((reader.consumed(), reader.waiting()), (bytes.len() as u64, 0));
    }
}

#[test]
fn a_room_is_used_again_or_as_large_as_was_asked() {
    let bytes = in_one_chunk(30_000);
    let mut reader = Reader::new(LIMITS);
    let mut kept = Vec::new();
    for piece in bytes.chunks(2000) {
        // Whoever keeps messages keeps their room: the next is a new one.
        let room = reader.room(2000, 8000);
        assert!((2000..=MAX_IN_PLACE).contains(&room.capacity()), "{} bytes", room.capacity());
        room.extend_from_slice(piece);
        kept.extend(reader.next().unwrap());
    }
    assert_eq!(kept.len(), 1);
    drop(kept);
    let place = reader.room(2000, 8000).as_ptr();
    for _ in 0..100 {
        reader.room(2000, 8000).extend_from_slice(&header0(4, 0, 1, 8, 1));
        reader.room(2000, 8000).extend_from_slice(&[7]);
        assert_eq!(reader.next().unwrap().unwrap().payload[..], [7]);
    }
    let again = reader.room(8000, 8000).as_ptr();
    assert!(again <= place.wrapping_add(8000) && reader.room(0, 0).capacity() <= MAX_IN_PLACE);
}

#[test]
fn what_is_copied_takes_its_own_size_and_goes_straight_to_its_message() {
    let bytes = in_one_chunk(1_000_000);
    let mut reader = Reader::new(LIMITS);
    let mut received = 0;
    for piece in bytes.chunks(1460) {
        received += piece.len();
        reader.copy(piece);
        // All but the first, which holds the header, waits for nobody.
        assert_eq!(reader.waiting(), if received == 1460 { 1460 } else { 0 });
        if let Some(message) = reader.next().unwrap() {
            let vec = Vec::from(message.payload);
            assert_eq!((vec.len(), vec.capacity()), (1_000_000, 1_000_000));
        }
        assert!(reader.buffered() <= 4 * received);
    }
    assert_eq!((reader.consumed(), reader.buffered()), (bytes.len() as u64, 0));
}

#[test]
fn a_run_of_chunks_costs_what_they_cost_one_by_one() {
    // In chunks of one byte the credit ends inside the message; in any split at the same chunk.
    let (mut writer, mut out) = (Writer::new(Headers::Absolute), OutQueue::new());
    writer.set_chunk_size(1, &mut out);
    writer.write(csid::VIDEO, &message(9, 1, 0, vec![4; 100_000]), &mut out);
    let bytes = std::iter::from_fn(|| out.pop()).collect::<Vec<_>>().concat();
    let ends = [1, 7, 1460, bytes.len()].map(|size| {
        let mut reader = Reader::new(LIMITS);
        let end = bytes.chunks(size).find_map(|piece| {
            reader.push(Bytes::copy_from_slice(piece));
            reader.next().err()
        });
        assert!(over_limit(&end), "in pieces of {size}");
        reader.consumed()
    });
    // 16 bytes and CONTROL_COST more for Set Chunk Size; two bytes a chunk come back of CHUNK_COST.
    let chunks = (MAX_CREDIT - CONTROL_COST) / (CHUNK_COST - 2);
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
    assert!((2 * chunks..2 * chunks + 64).contains(&ends[0]), "{} for {chunks} chunks", ends[0]);
}

#[test]
fn what_24_bits_cannot_say_is_not_written() {
    let (mut writer, mut out) = (Writer::new(Headers::Absolute), OutQueue::new());
    let longest = Bytes::from(vec![0; Message::MAX_PAYLOAD + 1]);
    let over = message(9, 1, 0, longest.clone());
    assert!(!writer.write(csid::VIDEO, &over, &mut out) && out.is_empty());
    let frame = Frame::new(&over, csid::VIDEO, 60_000);
    frame.push_to_stream(MessageStreamId(3), &mut out);
    assert!(frame.is_empty() && out.is_empty());

    let at = message(9, 1, 0, longest.slice(1..));
    assert!(writer.write(csid::VIDEO, &at, &mut out));
    assert_eq!(out.front().unwrap()[4..7], [0xFF, 0xFF, 0xFF]);
    assert_eq!(Frame::new(&at, csid::VIDEO, u32::MAX).len(), 12 + Message::MAX_PAYLOAD);
}
