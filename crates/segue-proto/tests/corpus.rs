//! What real peers wrote, read by our sessions and chunk readers: the golden corpus in `tests/corpus`, whose README.md
//! says how each capture was made. A new one needs its two files and a row in `corpus/table.rs`; its counts are those
//! of the README.md, which come from ffmpeg and from a chunk reader that is not ours.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use segue_proto::chunk::{Headers, Limits, Reader, Writer};
use segue_proto::media::{Config, Content, MediaMessage, TrackKind};
use segue_proto::message::command::Command;
use segue_proto::message::control::Control;
use segue_proto::message::user_control::UserControl;
use segue_proto::message::{ChunkStreamId, Message, csid, type_id};
use segue_proto::outqueue::OutQueue;
use segue_proto::session::{Teardown, client, server};
use segue_proto::url::RtmpUrl;
use segue_proto::{Moment, amf0, handshake};

use client::Role::{Player, Publisher};
use table::{CAPTURES, Capture, OTHER_TRANSACTIONS, folder};

#[path = "corpus/table.rs"]
mod table;

/// Pieces of every size class, from bytes to segments.
const SPLITS: u64 = 12;

const NOW: Moment = Moment::ORIGIN;

/// Pseudo-random piece sizes that go on for ever: SplitMix64, of a seed.
fn sizes(mut seed: u64) -> impl FnMut() -> usize {
    move || {
        seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        // Powers of two, so that one-byte pieces are as common as whole segments.
        1 + (z >> 8) as usize % (1 << (z % 12))
    }
}

fn pieces(mut bytes: Bytes, mut size: impl FnMut() -> usize) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        pieces.push(bytes.split_to(size().min(bytes.len())));
    }
    pieces
}

fn written(out: &mut OutQueue) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(slice) = out.pop() {
        bytes.extend_from_slice(&slice);
    }
    bytes
}

/// A server that grants everything, at a client that wrote these pieces: its events, and what it answered.
fn serve(pieces: Vec<Bytes>) -> (Vec<server::Event>, Vec<u8>, server::Session) {
    let config = Arc::new(server::Config::default());
    let mut session = server::Session::new(config, [7; handshake::RANDOM_LEN], NOW);
    let (mut events, mut answers) = (Vec::new(), Vec::new());
    for piece in pieces {
        session.receive(piece, NOW);
        while let Some(event) = session.poll_event().expect("a real client is understood") {
            match &event {
                server::Event::Connect { .. } => session.accept_connect(false, NOW),
                server::Event::Publish { stream, .. } => session.publish_start(*stream),
                server::Event::Play { stream, .. } => session.play_start(*stream),
                _ => {}
            }
            events.push(event);
        }
        answers.extend(written(session.out()));
    }
    (events, answers, session)
}

/// Our client at a server that wrote these pieces: its events, and what it asked.
fn ask(role: client::Role, pieces: Vec<Bytes>) -> (Vec<client::Event>, Vec<u8>) {
    let url = RtmpUrl::parse("rtmp://127.0.0.1/live/golden").expect("a URL");
    let mut session = client::Session::new(client::Config::new(url), role, [9; handshake::RANDOM_LEN], NOW);
    let (mut events, mut asked) = (Vec::new(), written(session.out()));
    for piece in pieces {
        session.receive(piece, NOW);
        while let Some(event) = session.poll_event().expect("a real server is understood") {
            match (&event, role) {
                (client::Event::Connected(_), _) => session.create_stream(),
                (client::Event::StreamCreated(_), Publisher) => session.publish(),
                (client::Event::StreamCreated(_), Player) => session.play(None),
                _ => {}
            }
            events.push(event);
        }
        asked.extend(written(session.out()));
    }
    (events, asked)
}

/// All messages behind the handshake.
fn messages(capture: &Capture, direction: &str) -> Vec<Message> {
    let bytes = capture.bytes(direction);
    let mut reader = Reader::new(Limits::PUBLISHING);
    reader.push(bytes.slice(handshake::LEN..));
    let messages: Vec<_> = std::iter::from_fn(|| reader.next().expect("chunks of a real peer")).collect();
    assert_eq!(reader.consumed(), capture.whole(&bytes, direction), "{}.{direction}", capture.name);
    messages
}

#[test]
fn every_capture_is_in_the_table_and_its_counts_are_the_readmes() {
    let files = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let captures: BTreeSet<String> =
        files.filter(|name| name.ends_with(".c2s") || name.ends_with(".s2c")).collect();
    let table: BTreeSet<String> =
        CAPTURES.iter().flat_map(|c| [format!("{}.c2s", c.name), format!("{}.s2c", c.name)]).collect();
    assert_eq!(captures, table);

    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    for Capture { name, coded: [video, keyframes, audio], messages: [a, v, d], .. } in CAPTURES {
        let line = readme.lines().find(|line| line.starts_with(&format!("| {name} |")));
        let line = line.unwrap_or_else(|| panic!("{name} is not in the README.md"));
        // FFmpeg makes an empty packet of a configuration that came late, and drops an empty one of FLAC.
        let rows =
            [0, 1, 2].map(|n| format!("| {video} / {keyframes} / {} ({a}, {v}, {d}) |", audio + n - 1));
        assert!(rows.iter().any(|row| line.ends_with(row)), "{name}: {line}");
    }
}

#[test]
fn our_server_understands_every_client() {
    for capture in CAPTURES {
        let name = capture.name;
        let bytes = capture.bytes("c2s");
        let (events, _, session) = serve(vec![bytes.clone()]);
        assert_eq!(session.consumed(), capture.whole(&bytes, "c2s"), "{name}");
        let [server::Event::Connect { app, tc_url, announce, flash_ver }, rest @ ..] = &events[..] else {
            panic!("{name}: {events:?}")
        };
        assert_eq!((app.as_str(), *announce), ("live", capture.announce), "{name}");
        assert!(flash_ver.starts_with(capture.flash_ver), "{name}: {flash_ver}");
        let port = tc_url.strip_prefix("rtmp://127.0.0.1:").and_then(|rest| rest.strip_suffix("/live"));
        assert!(port.is_some_and(|port| port.parse::<u16>().is_ok()), "{name}: {tc_url}");

        let (mut media, mut asked, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for event in rest {
            match event {
                server::Event::Publish { name, .. } => asked.push((Publisher, name.as_str())),
                server::Event::Play { name, resume: None, .. } => asked.push((Player, name.as_str())),
                server::Event::Media { message, .. } => media.push(message.clone()),
                server::Event::Unpublish { teardown, .. } => left.push(*teardown),
                server::Event::StopPlay { .. } => left.push(Teardown::DeleteStream),
                server::Event::Acknowledged { .. } => {}
                other => panic!("{name}: {other:?}"),
            }
        }
        assert_eq!(asked, [(capture.role, "golden")], "{name}");
        assert_eq!(left.first(), capture.teardown.as_ref(), "{name}");
        match capture.role {
            Publisher => capture.check_media(&media),
            Player => assert_eq!(media, [], "{name}"),
        }
    }
}

#[test]
fn our_client_understands_every_server() {
    for capture in CAPTURES {
        let name = capture.name;
        let (events, _) = ask(capture.role, vec![capture.bytes("s2c")]);
        let position = |wanted: fn(&client::Event) -> bool| {
            // NetStream.Play.Reset comes from some.
            events.iter().filter(|e| !matches!(e, client::Event::Status { .. })).position(wanted)
        };
        assert_eq!(position(|e| matches!(e, client::Event::Connected(_))), Some(0), "{name}: {events:?}");
        assert!(position(|e| matches!(e, client::Event::Rejected { .. })).is_none(), "{name}: {events:?}");
        if OTHER_TRANSACTIONS.contains(&name) {
            assert_eq!(
                position(|e| matches!(e, client::Event::StreamCreated(_))),
                None,
                "{name}: {events:?}"
            );
            continue;
        }
        assert_eq!(position(|e| matches!(e, client::Event::StreamCreated(_))), Some(1), "{name}: {events:?}");
        let media: Vec<_> = events
            .iter()
            .filter_map(|e| if let client::Event::Media(m) = e { Some(m.clone()) } else { None })
            .collect();
        match capture.role {
            Publisher => {
                assert_eq!(position(|e| *e == client::Event::PublishStarted), Some(2), "{name}: {events:?}");
                assert_eq!(media, [], "{name}");
            }
            Player => {
                assert_eq!(position(|e| *e == client::Event::PlayStarted), Some(2), "{name}: {events:?}");
                assert!(position(|e| *e == client::Event::StreamEof).is_some(), "{name}: {events:?}");
                // The session keeps what servers say beside the stream to itself.
                let [audio, video, data] = capture.messages;
                Capture { messages: [audio, video, data - 1], ..*capture }.check_media(&media);
            }
        }
    }
}

#[test]
fn any_split_gives_the_same() {
    for (n, capture) in CAPTURES.iter().enumerate() {
        let (client, server) = (capture.bytes("c2s"), capture.bytes("s2c"));
        let (events, answers, _) = serve(vec![client.clone()]);
        let asked = ask(capture.role, vec![server.clone()]);
        for seed in 0..SPLITS {
            let seed = seed + SPLITS * n as u64;
            let (split_events, split_answers, _) = serve(pieces(client.clone(), sizes(seed)));
            assert!(split_events == events && split_answers == answers, "{}.c2s, seed {seed}", capture.name);
            assert!(
                ask(capture.role, pieces(server.clone(), sizes(seed))) == asked,
                "{}.s2c, {seed}",
                capture.name
            );
        }
    }
}

#[test]
fn every_message_means_something() {
    for capture in CAPTURES {
        for direction in ["c2s", "s2c"] {
            let name = capture.name;
            let all = messages(capture, direction);
            for message in &all {
                let understood = match message.type_id {
                    type_id::USER_CONTROL => UserControl::decode(&message.payload).is_ok(),
                    type_id::COMMAND_AMF0 => Command::decode(&message.payload, message.type_id).is_ok(),
                    type_id::DATA_AMF0 => amf0::decode_all(&message.payload).is_ok(),
                    type_id::AUDIO | type_id::VIDEO => true,
                    other => matches!(Control::decode(other, &message.payload), Ok(Some(_))),
                };
                assert!(understood, "{name}.{direction}: {message:?}");
            }
            let count = |id| all.iter().filter(|m| m.type_id == id).count();
            let counts = [type_id::AUDIO, type_id::VIDEO, type_id::DATA_AMF0].map(count);
            let expected = if direction == capture.media_direction() { capture.messages } else { [0; 3] };
            assert_eq!(counts, expected, "{name}.{direction}");
        }
    }
}

/// The chunk stream that we would send a message on.
fn chunk_stream(message: &Message) -> ChunkStreamId {
    match message.type_id {
        type_id::AUDIO => csid::AUDIO,
        type_id::VIDEO => csid::VIDEO,
        type_id::DATA_AMF0 => csid::DATA,
        type_id::COMMAND_AMF0 => csid::COMMAND,
        _ => csid::CONTROL,
    }
}

#[test]
fn our_writer_says_the_same() {
    for capture in CAPTURES {
        for direction in ["c2s", "s2c"] {
            let all = messages(capture, direction);
            for (headers, chunk_size) in [
                (Headers::Absolute, 60_000),
                (Headers::Absolute, 128),
                (Headers::Compressed, 128),
                (Headers::Compressed, 16),
            ] {
                let (mut writer, mut out) = (Writer::new(headers), OutQueue::new());
                writer.set_chunk_size(chunk_size, &mut out);
                assert!(all.iter().all(|message| writer.write(chunk_stream(message), message, &mut out)));
                let mut reader = Reader::new(Limits::PUBLISHING);
                reader.push(written(&mut out).into());
                let again: Vec<_> = std::iter::from_fn(|| reader.next().unwrap()).collect();
                assert!(again == all, "{}.{direction}, {headers:?}, {chunk_size}", capture.name);
            }
        }
    }
}

/// AMF0 has one way to write most values: commands and metadata of all these peers, read and written, are the same
/// bytes.
#[test]
fn amf0_is_written_as_its_peers_do() {
    for capture in CAPTURES {
        for direction in ["c2s", "s2c"] {
            let name = format!("{}.{direction}", capture.name);
            let (mut commands, mut data) = (0, 0);
            for Message { type_id, payload, .. } in messages(capture, direction) {
                if type_id == type_id::COMMAND_AMF0 {
                    let command = Command::decode(&payload, type_id).unwrap();
                    assert_eq!(command.encode(), payload, "{name}: {}", command.name);
                    commands += 1;
                } else if type_id == type_id::DATA_AMF0 {
                    let mut again = Vec::new();
                    amf0::decode_all(&payload).unwrap().iter().for_each(|value| value.encode(&mut again));
                    assert_eq!(again, payload, "{name}");
                    data += 1;
                }
            }
            let expected = if direction == capture.media_direction() { capture.messages[2] } else { 0 };
            assert_eq!(data, expected, "{name}");
            assert!(commands >= 3, "{name}: {commands} commands");
        }
    }
}

/// E-RTMP v2's multitrack messages, its colour information and channel layouts, as FFmpeg 9 writes them.
#[test]
fn enhanced_messages_are_told_apart() {
    let media = |name: &str| -> Vec<MediaMessage> {
        let capture = CAPTURES.iter().find(|capture| capture.name == name).unwrap();
        let media = messages(capture, "c2s").into_iter().filter_map(|m| {
            Some(MediaMessage::new(TrackKind::from_type_id(m.type_id)?, m.timestamp, m.payload))
        });
        media.collect()
    };
    let sounds = media("ffmpeg-9-avc-two-sounds-publish");
    for track in [0, 1] {
        let of = |content| {
            let wanted = |m: &&MediaMessage| {
                m.kind == TrackKind::Audio && m.info().track == track && m.info().content == content
            };
            sounds.iter().filter(wanted).count()
        };
        assert_eq!(of(Content::Keyframe), 51, "track {track}");
        assert_eq!(of(Content::Config(Config::SequenceHeader)), 1, "track {track}");
        assert_eq!(of(Content::Config(Config::MultichannelConfig)), 1, "track {track}");
    }
    for name in ["ffmpeg-9-hevc-hdr-publish", "ffmpeg-9-av1-ac3-publish"] {
        let colour = Content::Config(Config::VideoMetadata);
        assert_eq!(media(name).iter().filter(|m| m.info().content == colour).count(), 1, "{name}");
    }
}
