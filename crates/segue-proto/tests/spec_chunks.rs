//! RTMP 1.0, 5.1, 5.3 and 5.4, as far as it shows only from outside: message streams and types to the chunk layer,
//! directions, what control messages travel on and do. The bytes of chunks are tested beside the code.

#![allow(clippy::unwrap_used, reason = "tests")]

mod wire;

use segue_proto::Timestamp;
use segue_proto::media::{MediaMessage, TrackKind};
use segue_proto::message::MessageStreamId;
use segue_proto::message::command::Command;
use segue_proto::session::client::Role;
use wire::{AtClient, AtServer, CONNECT, NUMBER_2, chunk, commands, messages, reader};

/// Set Peer Bandwidth, Window Acknowledgement Size: the figures of 5.4.5 and 5.4.4.
fn bandwidth(window: u32, limit: u8) -> Vec<u8> {
    chunk(2, 0, 6, 0, &[&window.to_be_bytes()[..], &[limit]].concat())
}

fn window(size: u32) -> Vec<u8> {
    chunk(2, 0, 5, 0, &size.to_be_bytes())
}

#[test]
fn types_and_message_streams_are_any_numbers() {
    // On one chunk stream: two message streams, each begun by a full header, then one more message of the second.
    let mut bytes = chunk(5, 10, 8, 1, b"a");
    bytes.extend(chunk(5, 20, 8, 2, b"b"));
    bytes.extend([0x85, 0, 0, 5, b'c']);
    // A message stream of four different bytes, little-endian; types that mean nothing.
    for type_id in [0, 7, 99, 255] {
        bytes.extend([0x06, 0, 0, 0, 0, 0, 1, type_id, 0x01, 0x02, 0x03, 0x84, b'd']);
    }
    let read: Vec<_> = messages(&mut reader(), bytes)
        .into_iter()
        .map(|m| (m.type_id, m.stream_id.0, m.timestamp.as_millis(), m.payload[0]))
        .collect();
    let other = 0x8403_0201;
    assert_eq!(read[..3], [(8, 1, 10, b'a'), (8, 2, 20, b'b'), (8, 2, 25, b'c')]);
    assert_eq!(
        read[3..],
        [(0, other, 0, b'd'), (7, other, 0, b'd'), (99, other, 0, b'd'), (255, other, 0, b'd')]
    );
}

#[test]
fn each_direction_has_a_chunk_size_of_its_own() {
    let mut server = AtServer::new();
    server.feed(&chunk(3, 0, 20, 0, CONNECT)).unwrap();
    assert_eq!(server.messages().last().unwrap().type_id, 20, "the answer, in chunks of 60,000 bytes");
    // The client goes on in chunks of 128, as it has not said otherwise.
    let mut body = [&b"\x02\x00\x0ccreateStream"[..], NUMBER_2, b"\x05\x02\x00\xc8"].concat();
    body.extend([b'x'; 200]);
    let mut bytes = chunk(3, 0, 20, 0, &body);
    bytes.insert(12 + 128, 0xc3);
    server.feed(&bytes).unwrap();
    assert_eq!(commands(&server.messages())[0].name, "_result");
    // Its own new size takes effect at once, and concerns what it sends only.
    let mut bytes = chunk(2, 0, 1, 0, &[0, 0, 0, 200]);
    body[14 + 9] = 5;
    bytes.extend(chunk(3, 0, 20, 0, &body));
    bytes.insert(16 + 12 + 200, 0xc3);
    server.feed(&bytes).unwrap();
    assert_eq!(commands(&server.messages())[0].name, "_result");
}

#[test]
fn control_messages_act_whatever_their_timestamp() {
    let mut server = AtServer::connected();
    let mut bytes = chunk(2, 0xab_cdef, 1, 0, &[0, 0, 1, 0]);
    let ping = [0, 6, 1, 2, 3, 4];
    bytes.extend(chunk(2, 5000, 4, 0, &ping));
    // Earlier than the one before; 130 bytes in one chunk, which the new chunk size allows.
    bytes.extend(chunk(2, 7, 4, 0, &[&ping[..], &[0; 124]].concat()));
    server.feed(&bytes).unwrap();
    let pong = chunk(2, 0, 4, 0, &[0, 7, 1, 2, 3, 4]);
    assert_eq!(server.sent(), [pong.clone(), pong].concat());
}

#[test]
fn a_server_answers_a_new_bandwidth_with_its_window() {
    let mut server = AtServer::connected();
    server.feed(&bandwidth(2_500_000, 2)).unwrap();
    assert_eq!(server.sent(), [], "the window that it has told already");
    server.feed(&[bandwidth(1_000_000, 0), bandwidth(1_000_000, 1)].concat()).unwrap();
    assert_eq!(server.sent(), window(1_000_000), "once");
    server.feed(&[bandwidth(0, 0), bandwidth(2_500_000, 0)].concat()).unwrap();
    assert_eq!(server.sent(), window(2_500_000), "no window of 0");
}

#[test]
fn a_client_answers_a_new_bandwidth_with_its_window() {
    let mut client = AtClient::new(Role::Player);
    client.sent();
    client.feed(&bandwidth(1_000_000, 2));
    assert_eq!(client.sent(), window(1_000_000));
    client.result(1.0, b"\x05\x05");
    client.session.create_stream();
    assert_eq!(client.sent()[..16], window(2_500_000), "its own, for what it will send");
    client.feed(&bandwidth(2_500_000, 2));
    assert_eq!(client.sent(), [], "told already");
    client.feed(&bandwidth(1_000_000, 2));
    // Chunk stream 2 again: its last header says it all but for the body.
    let answer = client.messages();
    assert_eq!((answer.len(), answer[0].type_id, &answer[0].payload[..]), (1, 5, &[0, 0x0f, 0x42, 0x40][..]));
}

#[test]
fn every_control_message_goes_on_chunk_stream_2_and_message_stream_0() {
    let mut client = AtClient::new(Role::Player);
    client.sent();
    client.result(1.0, b"\x05\x05");
    client.session.create_stream();
    let golden = [window(2_500_000), chunk(2, 0, 1, 0, &[0, 0, 0xea, 0x60])].concat();
    assert_eq!(client.sent()[..32], golden, "window, and a chunk size of more than 128");

    let mut client = AtClient::with_stream(Role::Player);
    client.session.play(None);
    let sent = client.sent();
    assert_eq!(sent[0] & 0x3f, 2, "SetBufferLength");
    let mut server = AtServer::with_stream();
    server.command(&Command::new("play", 0.0).arg(segue_proto::amf0::Value::String("cam".into())), 1);
    assert_eq!(server.sent()[..18], chunk(2, 0, 4, 0, &[0, 0, 0, 0, 0, 1]), "StreamBegin");
    server.session.stream_eof(MessageStreamId(1));
    assert_eq!(server.sent(), chunk(2, 0, 4, 0, &[0, 1, 0, 0, 0, 1]), "StreamEOF");
    server.feed(&chunk(2, 0, 5, 0, &[0, 0, 0x27, 0x10])).unwrap();
    server.session.taken(10_000, wire::at(1));
    assert_eq!(server.sent(), chunk(2, 0, 3, 0, &[0, 0, 0x27, 0x10]), "Acknowledgement");
}

#[test]
fn each_kind_of_message_has_a_chunk_stream_of_its_own() {
    let mut client = AtClient::with_stream(Role::Publisher);
    client.session.publish();
    let command = client.sent()[0];
    let mut used = vec![2, command & 0x3f];
    for (kind, payload) in [
        (TrackKind::Audio, &b"\xaf\x01a"[..]),
        (TrackKind::Video, b"\x27\x01\x00\x00\x00v"),
        (TrackKind::Data, b"\x02\x00\x0aonTextData\x05"),
    ] {
        let media = MediaMessage::new(kind, Timestamp::ZERO, payload.into());
        client.session.send_media(&media);
        let sent = client.sent();
        assert_eq!(sent[0] >> 6, 0, "a chunk stream begins with a full header");
        used.push(sent[0] & 0x3f);
    }
    used.sort_unstable();
    used.dedup();
    assert_eq!(used.len(), 5, "control, commands, audio, video, data: {used:?}");
}
