//! Golden bytes and quirks of chunks: the examples of RTMP 1.0, 5.3.2, and bytes worked out by hand.

use bytes::{Bytes, BytesMut};

use super::header::basic;
use super::*;
use crate::error::Error;
use crate::message::{ChunkStreamId, Message, MessageStreamId, csid, type_id};
use crate::outqueue::{OutQueue, SHARE_FROM};
use crate::timestamp::Timestamp;

pub(super) const LIMITS: Limits = Limits::PUBLISHING;

pub(super) fn message(type_id: u8, stream_id: u32, ms: u32, payload: impl Into<Bytes>) -> Message {
    Message {
        type_id,
        stream_id: MessageStreamId(stream_id),
        timestamp: Timestamp::from_millis(ms),
        payload: payload.into(),
    }
}

pub(super) fn drain(out: &mut OutQueue) -> Bytes {
    let mut bytes = BytesMut::new();
    while let Some(slice) = out.pop() {
        bytes.extend_from_slice(&slice);
    }
    bytes.freeze()
}

pub(super) fn written(headers: Headers, csid: u32, messages: &[Message]) -> Bytes {
    let (mut writer, mut out) = (Writer::new(headers), OutQueue::new());
    for message in messages {
        assert!(writer.write(ChunkStreamId::new(csid).unwrap(), message, &mut out));
    }
    drain(&mut out)
}

/// All messages in `bytes`, pushed at once, and how the reading ended.
pub(super) fn read(bytes: impl Into<Bytes>) -> (Vec<Message>, Option<Error>) {
    read_with(LIMITS, bytes)
}

pub(super) fn read_with(limits: Limits, bytes: impl Into<Bytes>) -> (Vec<Message>, Option<Error>) {
    let mut reader = Reader::new(limits);
    reader.push(bytes.into());
    drain_reader(&mut reader)
}

pub(super) fn drain_reader(reader: &mut Reader) -> (Vec<Message>, Option<Error>) {
    let mut messages = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => return (messages, None),
            Err(error) => return (messages, Some(error)),
        }
    }
}

fn timestamps(messages: &[Message]) -> Vec<u32> {
    messages.iter().map(|m| m.timestamp.as_millis()).collect()
}

pub(super) fn misbehaved(end: &Option<Error>) -> bool {
    matches!(end, Some(Error::PeerMisbehaved(_)))
}

/// A format 0 header by hand: one-byte basic header, no extended timestamp.
pub(super) fn header0(csid: u8, ms: u32, length: u32, type_id: u8, stream_id: u8) -> Vec<u8> {
    let (t, l) = (ms.to_be_bytes(), length.to_be_bytes());
    vec![csid, t[1], t[2], t[3], l[1], l[2], l[3], type_id, stream_id, 0, 0, 0]
}

#[test]
fn spec_example_1_audio_in_formats_0_2_3_3() {
    // 5.3.2.1: four audio messages of 32 bytes, 20 ms apart, on chunk stream 3, message stream 12345.
    let messages: Vec<_> = (0..4).map(|n| message(8, 12_345, 1000 + 20 * n, vec![n as u8; 32])).collect();
    let mut golden = vec![0x03, 0x00, 0x03, 0xE8, 0x00, 0x00, 0x20, 0x08, 0x39, 0x30, 0x00, 0x00];
    golden.extend([0; 32]);
    golden.extend([0x83, 0x00, 0x00, 0x14]);
    golden.extend([1; 32]);
    golden.push(0xC3);
    golden.extend([2; 32]);
    golden.push(0xC3);
    golden.extend([3; 32]);
    assert_eq!(golden.len(), 44 + 36 + 33 + 33);
    assert_eq!(written(Headers::Compressed, 3, &messages), golden);
    assert_eq!(read(golden), (messages, None));
}

#[test]
fn spec_example_2_video_in_three_chunks() {
    // 5.3.2.2: one video message of 307 bytes at 1000 ms, on chunk stream 4, message stream 12346.
    let payload: Vec<u8> = (0..307).map(|n| n as u8).collect();
    let video = message(9, 12_346, 1000, payload.clone());
    let mut golden = vec![0x04, 0x00, 0x03, 0xE8, 0x00, 0x01, 0x33, 0x09, 0x3A, 0x30, 0x00, 0x00];
    golden.extend(&payload[..128]);
    golden.push(0xC4);
    golden.extend(&payload[128..256]);
    golden.push(0xC4);
    golden.extend(&payload[256..]);
    assert_eq!(golden.len(), 140 + 129 + 52);
    for headers in [Headers::Compressed, Headers::Absolute] {
        assert_eq!(written(headers, 4, std::slice::from_ref(&video)), golden);
    }
    assert_eq!(read(golden), (vec![video], None));
}

#[test]
fn basic_headers_have_three_forms() {
    let cases: [(u32, &[u8]); 8] = [
        (2, &[0x02]),
        (63, &[0x3F]),
        (64, &[0x00, 0x00]),
        (319, &[0x00, 0xFF]),
        (320, &[0x01, 0x00, 0x01]),
        (575, &[0x01, 0xFF, 0x01]),
        (576, &[0x01, 0x00, 0x02]),
        (65_599, &[0x01, 0xFF, 0xFF]),
    ];
    for (id, basic) in cases {
        let m = message(8, 1, 5, &b"x"[..]);
        let golden = [basic, &[0, 0, 5, 0, 0, 1, 8, 1, 0, 0, 0, b'x']].concat();
        assert_eq!(written(Headers::Absolute, id, std::slice::from_ref(&m)), golden, "chunk stream {id}");
        assert_eq!(read(golden), (vec![m], None), "chunk stream {id}");
    }
    // 64 said in the form for higher ids is the same chunk stream.
    let mut long = vec![0x01, 0x00, 0x00, 0, 0, 5, 0, 0, 1, 8, 1, 0, 0, 0, b'x'];
    long.extend([0x80, 0x00, 0, 0, 7, b'y']);
    assert_eq!(timestamps(&read(long).0), [5, 12]);
}

#[test]
fn every_chunk_stream_id_is_read_back() {
    for id in ChunkStreamId::MIN.as_u32()..=ChunkStreamId::MAX.as_u32() {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&basic(3, ChunkStreamId::new(id).unwrap()));
        let mut reader = Reader::new(LIMITS);
        reader.push(written(Headers::Absolute, id, &[message(8, 1, 9, &b"a"[..])]));
        reader.push(bytes.into());
        reader.push(Bytes::from_static(b"b"));
        assert_eq!(timestamps(&drain_reader(&mut reader).0), [9, 18], "chunk stream {id}");
    }
}

#[test]
fn v08_extended_timestamps_begin_at_0xffffff_and_are_repeated() {
    let below = message(9, 1, 0xFF_FFFE, vec![7; 129]);
    let mut golden = header0(6, 0xFF_FFFE, 129, 9, 1);
    golden.extend([7; 128]);
    golden.extend([0xC6, 7]);
    assert_eq!(written(Headers::Absolute, 6, std::slice::from_ref(&below)), golden);
    assert_eq!(read(golden), (vec![below], None));

    for ms in [0xFF_FFFF, 0x0100_0000, 0x7FFF_FFFF, u32::MAX] {
        let at = message(9, 1, ms, vec![7; 129]);
        let mut golden = header0(6, 0xFF_FFFF, 129, 9, 1);
        golden.extend(ms.to_be_bytes());
        golden.extend([7; 128]);
        golden.push(0xC6);
        let without = [&golden[..], &[7]].concat();
        golden.extend(ms.to_be_bytes());
        golden.push(7);
        assert_eq!(written(Headers::Compressed, 6, std::slice::from_ref(&at)), golden);
        assert_eq!(read(golden), (vec![at.clone()], None));
        // A peer that does not repeat it.
        assert_eq!(read(without), (vec![at], None));
    }
}

#[test]
fn extended_deltas_are_added_modulo_2_32() {
    // librtmp sends a step back as a delta of nearly 2^32.
    let mut bytes = header0(4, 1000, 1, 8, 1);
    bytes.push(b'a');
    bytes.extend([0x84, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xEC, b'b']);
    bytes.extend([0xC4, 0xFF, 0xFF, 0xFF, 0xEC, b'c']);
    // Format 3 without the four bytes: librtmp's "same timestamp".
    bytes.extend([0xC4, b'd']);
    bytes.extend([0x84, 0, 0, 40, b'e']);
    assert_eq!(timestamps(&read(bytes).0), [1000, 980, 960, 960, 1000]);
}

#[test]
fn format_3_after_format_0_repeats_its_timestamp_as_delta() {
    // 5.3.1.2.4; ffmpeg writes this for messages of one size at 40, 80 and 120 ms.
    let mut bytes = header0(4, 40, 1, 8, 1);
    bytes.extend([b'a', 0xC4, b'b', 0xC4, b'c']);
    assert_eq!(timestamps(&read(bytes).0), [40, 80, 120]);
    // librtmp's case: both at 0.
    let mut bytes = header0(4, 0, 1, 8, 1);
    bytes.extend([b'a', 0xC4, b'b']);
    assert_eq!(timestamps(&read(bytes).0), [0, 0]);
}

#[test]
fn the_writer_never_leans_on_what_readers_disagree_about() {
    // No format 3 right after format 0, no delta for a step back, a long step or another message stream.
    let at = |ms, stream_id| message(8, stream_id, ms, &b"x"[..]);
    let formats = |messages: &[Message]| {
        let (mut writer, mut out) = (Writer::new(Headers::Compressed), OutQueue::new());
        let written = messages.iter().map(|m| {
            writer.write(csid::AUDIO, m, &mut out);
            drain(&mut out)[0] >> 6
        });
        written.collect::<Vec<_>>()
    };
    assert_eq!(formats(&[at(40, 1), at(80, 1), at(120, 1), at(120, 1)]), [0, 2, 3, 2]);
    assert_eq!(formats(&[at(40, 1), at(39, 1), at(40, 1)]), [0, 0, 2]);
    assert_eq!(formats(&[at(0, 1), at(0xFF_FFFE, 1), at(0x1FF_FFFD, 1)]), [0, 2, 0]);
    assert_eq!(formats(&[at(40, 1), at(40, 2)]), [0, 0]);
    assert_eq!(formats(&[at(u32::MAX, 1), at(9, 1), at(19, 1)]), [0, 2, 3]);
    assert_eq!(formats(&[at(0, 1), message(9, 1, 0, &b"x"[..]), message(9, 1, 0, &b"xy"[..])]), [0, 1, 1]);
}

#[test]
fn set_chunk_size_precedes_its_effect() {
    let (mut writer, mut out) = (Writer::new(Headers::Absolute), OutQueue::new());
    writer.set_chunk_size(60_000, &mut out);
    assert_eq!(writer.chunk_size(), 60_000);
    assert_eq!(drain(&mut out)[..], [2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0x00, 0x00, 0xEA, 0x60]);
    writer.set_chunk_size(0, &mut out);
    assert_eq!(writer.chunk_size(), 1);
    writer.set_chunk_size(u32::MAX, &mut out);
    assert_eq!(writer.chunk_size(), MAX_CHUNK_SIZE);
}

#[test]
fn v06_chunk_size_changes_inside_a_message() {
    let mut bytes = header0(6, 0, 300, 9, 1);
    bytes.extend([1; 128]);
    bytes.extend(header0(2, 0, 4, type_id::SET_CHUNK_SIZE, 0));
    bytes.extend(171_u32.to_be_bytes());
    bytes.push(0xC6);
    bytes.extend([2; 171]);
    bytes.extend([0xC6, 3]);
    let payload = [&[1; 128][..], &[2; 171], &[3]].concat();
    assert_eq!(read(bytes), (vec![message(9, 1, 0, payload)], None));
}

#[test]
fn abort_drops_one_partial_and_nothing_else() {
    let abort = |id: u32| {
        let mut bytes = header0(2, 0, 4, type_id::ABORT, 0);
        bytes.extend(id.to_be_bytes());
        bytes
    };
    let mut bytes = header0(6, 500, 200, 9, 1);
    bytes.extend([1; 128]);
    bytes.extend(header0(4, 0, 130, 8, 1));
    bytes.extend([2; 128]);
    bytes.extend(abort(6));
    bytes.extend(abort(6)); // nothing is pending: no effect
    bytes.extend(abort(77));
    bytes.extend(abort(0));
    bytes.extend(header0(6, 600, 1, 9, 1));
    bytes.push(3);
    bytes.extend([0xC4, 2, 2]);
    let limits = Limits { max_partials: 2, max_partial_bytes: 256 + 4, ..LIMITS };
    let wanted = vec![message(9, 1, 600, vec![3]), message(8, 1, 0, vec![2; 130])];
    assert_eq!(read_with(limits, bytes), (wanted, None));
    let mut short = header0(2, 0, 3, type_id::ABORT, 0);
    short.extend([0, 0, 6]);
    assert!(misbehaved(&read(short).1));
}

#[test]
fn v09_a_chunk_stream_begins_with_a_full_header() {
    for format in 1..=3 {
        let mut bytes = vec![format << 6 | 5, 0, 0, 0, 0, 0, 1, 8];
        bytes.extend([0; 8]);
        assert!(misbehaved(&read(bytes).1), "format {format}");
    }
    // But librtmp's first word on chunk stream 2 may be a pong or an acknowledgement in format 1.
    let pong = Bytes::from_static(&[0x42, 0, 0, 0, 0, 0, 6, 4, 0, 7, 0, 0, 0, 9]);
    assert_eq!(read(pong.clone()), (vec![message(4, 0, 0, pong.slice(8..))], None));
    assert!(misbehaved(&read(&[0x42, 0, 0, 0, 0, 0, 6, 9][..]).1));
    assert!(misbehaved(&read(&[0x82, 0, 0, 0][..]).1));
}

#[test]
fn v04_a_header_inside_a_message_is_refused_and_the_error_stays() {
    for format in 0..=2 {
        let mut bytes = header0(6, 0, 200, 9, 1);
        bytes.extend([1; 128]);
        bytes.extend([format << 6 | 6, 0, 0, 0, 0, 0, 1, 9, 1, 0, 0, 0, 1]);
        let mut reader = Reader::new(LIMITS);
        reader.push(bytes.into());
        let (messages, end) = drain_reader(&mut reader);
        assert!(messages.is_empty() && misbehaved(&end), "format {format}");
        assert_eq!(reader.consumed(), 140);
        reader.push(Bytes::from(header0(4, 0, 0, 8, 1)));
        assert_eq!(reader.next().err(), end);
    }
}

#[test]
fn empty_messages_are_messages() {
    let mut bytes = header0(5, 3, 0, 18, 1);
    bytes.push(0xC5);
    assert_eq!(read(bytes), (vec![message(18, 1, 3, vec![]), message(18, 1, 6, vec![])], None));
    assert_eq!(written(Headers::Absolute, 5, &[message(18, 1, 3, vec![])]), header0(5, 3, 0, 18, 1));
}

#[test]
fn a_message_in_one_chunk_and_one_slice_is_shared() {
    let mut bytes = header0(4, 0, 100, 8, 1);
    bytes.extend([9; 100]);
    bytes.extend(header0(4, 0, 100, 8, 1));
    let pushed = Bytes::from(bytes);
    let mut reader = Reader::new(LIMITS);
    reader.push(pushed.clone());
    let first = reader.next().unwrap().unwrap();
    assert_eq!(first.payload.as_ptr(), pushed[12..].as_ptr());
    assert_eq!(reader.consumed(), 112);
    // Its header in one slice and its payload in the next: shared too.
    assert_eq!(reader.next(), Ok(None));
    assert_eq!(reader.consumed(), 112);
    let body = Bytes::from(vec![8; 101]);
    reader.push(body.clone());
    assert_eq!(reader.next().unwrap().unwrap().payload.as_ptr(), body.as_ptr());
    assert_eq!(reader.consumed(), 224);
}

#[test]
fn a_frame_is_the_absolute_writer_on_any_message_stream() {
    for (ms, length) in [(0, 0), (40, 1), (0xFF_FFFE, 60_000), (0xFF_FFFF, 60_001), (u32::MAX, 180_000)] {
        let m = message(9, 1, ms, vec![6; length]);
        let frame = Frame::new(&m, csid::VIDEO, 60_000);
        let (mut writer, mut out) = (Writer::new(Headers::Absolute), OutQueue::new());
        writer.set_chunk_size(60_000, &mut out);
        out.clear();
        for stream_id in [1, 7] {
            let m = message(9, stream_id, ms, m.payload.clone());
            writer.write(csid::VIDEO, &m, &mut out);
            let golden = drain(&mut out);
            frame.push_to_stream(MessageStreamId(stream_id), &mut out);
            assert_eq!((out.len(), drain(&mut out)), (frame.len(), golden));
        }
        frame.push_to(&mut out);
        out.pop();
        assert_eq!(out.front().map(|b| b.as_ptr()), (length >= SHARE_FROM).then(|| m.payload.as_ptr()));
    }
}
