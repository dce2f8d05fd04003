//! Writes the seeds of the fuzzing corpus: `cargo run -p segue-fuzz --example seeds`. They are pieces of the captures
//! in `crates/segue-proto/tests/corpus`, behind the settings that each target reads first, and, for the state machines,
//! operations in an order that goes somewhere. What fuzzing adds, and what it found, is left alone.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use segue_proto::TrackKind;
use segue_proto::chunk::{Limits, Reader};
use segue_proto::handshake;
use segue_proto::media::video::VideoPacket;
use segue_proto::media::{AudioTag, Codec, Config, Content, MediaMessage, VideoTag, audio, video};
use segue_proto::message::aggregate::join;
use segue_proto::message::{Message, type_id};

/// Seeds of one kind and target.
const MAX_SEEDS: usize = 24;
/// Bytes of one.
const MAX_LEN: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

struct Seeds(&'static str, Vec<Vec<u8>>);

impl Seeds {
    fn add(&mut self, head: &[u8], body: &[u8]) {
        let seed = [head, &body[..body.len().min(MAX_LEN)]].concat();
        if !self.1.contains(&seed) && self.1.len() < MAX_SEEDS {
            self.1.push(seed);
        }
    }

    fn write(mut self) {
        // Where the captures give few, their halves do too: a parser's errors are half of it.
        for n in 0..self.1.len() {
            let half = self.1[n][..self.1[n].len() / 2].to_vec();
            if self.1.len() < 16 && !self.1.contains(&half) {
                self.1.push(half);
            }
        }
        let folder = root().join("fuzz/corpus").join(self.0);
        fs::create_dir_all(&folder).expect("a folder");
        for (n, seed) in self.1.iter().enumerate() {
            fs::write(folder.join(format!("seed-{n:02}")), seed).expect("a file");
        }
        println!("{}: {}", self.0, self.1.len());
    }
}

/// The captures of one kind by their name's end, in order.
fn captures(end: &str) -> Vec<Vec<u8>> {
    let folder = root().join("crates/segue-proto/tests/corpus");
    let entries = fs::read_dir(folder).expect("the corpus");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(end));
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a capture")).collect()
}

fn messages(capture: &[u8]) -> Vec<Message> {
    let mut reader = Reader::new(Limits::PUBLISHING);
    reader.push(Bytes::copy_from_slice(&capture[handshake::LEN..]));
    std::iter::from_fn(|| reader.next().expect("a good peer")).collect()
}

/// By hand from RTMP 1.0, 5.3.1.3: a timestamp that takes 32 bits, then deltas that do, in messages of two chunks and of
/// every format. Format 3 repeats them, as most peers do, or not.
fn extended_timestamps(repeats: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let heads: [(&[u8], u8); 4] = [
        (b"\x06\xff\xff\xff\0\0\x8c\x09\x01\0\0\0\x01\0\0\x10", 0x10),
        (b"\x46\xff\xff\xff\0\0\x8c\x09\x01\0\0\x20", 0x20),
        (b"\x86\xff\xff\xff\x01\0\0\x30", 0x30),
        (if repeats { b"\xc6\x01\0\0\x30" } else { b"\xc6" }, 0x30),
    ];
    for (head, field) in heads {
        out.extend_from_slice(head);
        out.extend_from_slice(&[0x55; 128]);
        out.push(0xc6);
        if repeats {
            out.extend_from_slice(&[1, 0, 0, field]);
        }
        out.extend_from_slice(&[0x66; 12]);
    }
    out
}

fn main() {
    let (up, down) = (captures(".c2s"), captures(".s2c"));
    let mut seeds = ["aggregate", "amf0", "amf3", "chunk_reader", "codec", "command", "media_tag"]
        .map(|name| Seeds(name, Vec::new()));
    let [aggregates, amf0, amf3, chunks, codecs, commands, tags] = &mut seeds;
    let both: Vec<_> = up.iter().chain(&down).collect();
    for capture in &both {
        chunks.add(&[2, 7], &capture[handshake::LEN..]);
        let messages = messages(capture);
        let mut media = Vec::new();
        for message in &messages {
            let Message { type_id, payload, .. } = message;
            match *type_id {
                type_id::COMMAND_AMF0 | type_id::DATA_AMF0 => {
                    amf0.add(&[], payload);
                    commands.add(&[*type_id], payload);
                }
                type_id::AUDIO | type_id::VIDEO => tag(message, tags, codecs),
                _ => commands.add(&[*type_id], payload),
            }
            if TrackKind::from_type_id(*type_id).is_some() && payload.len() < 400 {
                media.push(message.clone());
            }
        }
        for part in media.chunks(3) {
            let whole = join(part).expect("media");
            aggregates.add(&whole.timestamp.as_millis().to_be_bytes(), &whole.payload);
        }
    }
    // By hand from the specification: no peer at hand writes AMF3.
    for value in [
        &b"\x00"[..],
        b"\x04\xff\xff\xff\xff",
        b"\x05\x3f\xf0\0\0\0\0\0\0",
        b"\x06\x07abc",
        b"\x07\x05<a",
        b"\x08\x01\x42\x76\0\0\0\0\0\0",
        b"\x09\x05\x03k\x06\x03v\x01\x04\x01\x04\x02",
        b"\x0a\x0b\x01\x03a\x02\x03b\x03\x01",
        b"\x0a\x23\x07Cls\x03a\x03b\x04\x01\x04\x02",
        b"\x0c\x07\x01\x02\x03",
        b"\x0d\x05\x00\0\0\0\x01\xff\xff\xff\xff",
        b"\x0f\x03\x01\x3f\xf0\0\0\0\0\0\0",
        b"\x10\x05\x00\x03*\x06\x03s\x06\x02",
        b"\x11\x03\x00\x06\x03k\x04\x07",
        b"\x09\x05\x01\x0a\x13\x03C\x03m\x04\x01\x0a\x01\x04\x02",
        b"\x0a\x07\x43flex.messaging.io.ArrayCollection\x09\x03\x01\x04\x07",
    ] {
        amf3.add(&[], value);
        amf0.add(&[0x11], value);
        commands.add(&[15, 0, 2, 0, 1, b'n', 0x11], value);
    }
    for (settings, repeats) in [([2, 1], true), ([2, 2], true), ([2, 1], false), ([0, 7], true)] {
        chunks.1.push([&settings[..], &extended_timestamps(repeats)].concat());
    }
    seeds.into_iter().for_each(Seeds::write);

    let mut flv = Seeds("flv", Vec::new());
    for file in captures(".flv") {
        flv.add(&[3], &file);
        flv.add(&[9], &file[..file.len().min(300)]);
    }
    flv.write();

    let mut shakes = Seeds("handshake", Vec::new());
    for capture in up.iter().step_by(6).chain(up.iter().filter(|capture| capture[5..9] != [0; 4]).take(2)) {
        shakes.1.push([&[0, 9], &capture[..handshake::LEN]].concat());
    }
    for capture in down.iter().step_by(8) {
        shakes.1.push([&[3, 200], &capture[..handshake::LEN]].concat());
    }
    for mode in 4..8 {
        shakes.add(&[mode, 1], &[]);
        shakes.add(&[mode, 5], &[0, 9, 1, 6, 20, 7]);
        shakes.add(&[mode, 6], &[7, 9, 1]);
    }
    shakes.write();

    sessions(&up, &down);
    machines();
}

/// A tag, and the decoder configuration in it.
fn tag(message: &Message, tags: &mut Seeds, codecs: &mut Seeds) {
    let kind = TrackKind::from_type_id(message.type_id).expect("media");
    let media = MediaMessage::new(kind, message.timestamp, message.payload.clone());
    let info = media.info();
    let body = &message.payload[..message.payload.len().min(120)];
    // Every kind of tag is more than many of one.
    if info.content == Content::Config(Config::SequenceHeader) || tags.1.len() < MAX_SEEDS / 2 {
        tags.add(&[u8::from(kind == TrackKind::Audio)], body);
    }
    if info.content != Content::Config(Config::SequenceHeader) {
        return;
    }
    let record = match kind {
        TrackKind::Video => match VideoTag::parse(&message.payload) {
            Ok(VideoTag::Legacy(video::LegacyVideo {
                body: video::LegacyVideoBody::Avc { data, .. },
                ..
            })) => data,
            Ok(VideoTag::Enhanced(video::ExVideo {
                body: video::ExVideoBody::Single { packet: VideoPacket::SequenceStart(data), .. },
                ..
            })) => data,
            _ => return,
        },
        _ => match AudioTag::parse(&message.payload) {
            Ok(AudioTag::Legacy(tag)) => tag.data,
            Ok(AudioTag::Enhanced(audio::ExAudio {
                body: audio::ExAudioBody::Single { packet: audio::AudioPacket::SequenceStart(data), .. },
                ..
            })) => data,
            _ => return,
        },
    };
    let codes: [&[u8; 4]; 9] =
        [b"avc1", b"hvc1", b"vvc1", b"av01", b"vp08", b"vp09", b"mp4a", b"Opus", b"fLaC"];
    let which = match (info.codec, kind) {
        (Codec::FourCc(code), _) => codes.iter().position(|known| **known == code).unwrap_or(9),
        (Codec::Legacy(_), TrackKind::Video) => 0,
        _ => 6,
    };
    codecs.add(&[which as u8], &record);
    // The same bytes as what stands inside records: parameter sets, and the other parsers.
    for parser in 15..20 {
        codecs.add(&[parser], record.get(8..).unwrap_or(&record));
    }
}

/// Conversations from their beginning, and from the point where each base stands; scripts that go somewhere.
fn sessions(up: &[Vec<u8>], down: &[Vec<u8>]) {
    let mut servers = Seeds("server_session", Vec::new());
    for (n, capture) in up.iter().enumerate().step_by(5) {
        let lives = if n % 2 == 0 { 0x80 } else { 0 };
        servers.1.push([&[0x40 | lives, n as u8, 0], &capture[..capture.len().min(3400)]].concat());
        servers.add(&[0x41 | lives, n as u8, 0], &capture[handshake::LEN..]);
    }
    for base in 0..8 {
        for lives in [0, 0x80] {
            // connect, createStream, publish, play, a frame, a leg header, an end.
            let script = [
                0, 0, 1, 0x81, 6, 1, 6, 5, 0, 0, 1, 2, 0, 0, 2, 3, 1, 0, 5, 1, 0x10, 2, 3, 2, 9, 5, 1, 0x15,
                0, 0, 0, 0, 40, 1, 44, 0x17, 1, 0, 0, 0, 0x1b, 0, 1, 5, 1, 0, 0, 0, 0, 0, 3, 4, 1, 1, 1,
            ];
            servers.add(&[base | lives, base * 3, 0], &script);
        }
    }
    servers.write();

    let mut clients = Seeds("client_session", Vec::new());
    for (n, capture) in down.iter().enumerate().step_by(7) {
        let lives = if n % 2 == 0 { 0x80 } else { 0 };
        clients.1.push([&[0x40 | lives | 20, n as u8], &capture[..capture.len().min(3400)]].concat());
        clients.add(&[0x40 | lives | 16, n as u8], &capture[handshake::LEN..]);
    }
    for base in 0..24_u8 {
        // `_result`, onStatus with a code, a frame, a user control message.
        let script = [
            0, 0, 1, 0x82, 6, 1, 0, 5, 0, 0, 0, 2, 2, 0, 1, 1, 0x10, 2, 0, 2, 0, 6, 1, 0, 5, base, 0x15, 0,
            0, 0, 0, 40, 1, 44, 0x17, 1, 0, 0, 0, 8, 1, 6, 0, 1, 0, 0, 0, 1,
        ];
        let lives = if base % 2 == 0 { 0x80 } else { 0 };
        clients.add(&[base | lives, base], &script);
    }
    clients.write();
}

/// Operations that bring a state machine somewhere, and some that follow from a number.
fn machines() {
    let random = |seed: u64, len: usize| -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let byte = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        };
        (0..len).map(byte).collect()
    };
    let mut handover = Seeds("handover", Vec::new());
    // Dial, primed, accepted; boundaries; told; due; primed; a boundary; accepted; then lost, and again.
    let moved = [
        1, 2, 0, 8, 0, 9, 0, 7, 0, 0, 50, 7, 0, 5, 1, 2, 0, 8, 0, 7, 0, 9, 0, 11, 0, 2, 0, 10, 0, 2, 0, 8, 0,
        9, 0,
    ];
    handover.add(&[], &moved);
    let mut replay = Seeds("replay", Vec::new());
    replay.add(&[], &[0, 0, 0, 1, 0x18, 0, 9, 2, 5, 90, 0, 0, 40, 3, 0x58, 1, 1, 5, 200, 7, 2]);
    let mut viewer = Seeds("viewer", Vec::new());
    viewer.add(&[0], &[0, 0, 0x3c, 0, 0x3c, 0, 0, 6, 0x3c, 1, 0x3c, 0, 2, 0, 0x3c, 1, 9, 1, 4, 1]);
    let mut log = Seeds("stream_log", Vec::new());
    log.add(
        &[],
        &[0, 0x10, 2, 0, 1, 1, 0, 4, 0, 0, 4, 0, 1, 11, 0, 0, 0x10, 2, 1, 1, 2, 2, 4, 1, 4, 12, 0, 4, 1, 5],
    );
    let mut url = Seeds("url", Vec::new());
    for text in [
        "rtmp://server.test/live/cam",
        "rtmps://[::1]:443/a/b/c?token=1\n../d/",
        "rtmp://h:1935/live/x?y\n//other.test:99/app",
        "rtmp://h/live?app=1\n?q",
        "rtmp://user@h/live/cam",
        "rtmp://h/%2e%2e/cam\n/",
        "//h/live",
        "RTMP://H.test/a/b\nrtmp://c/./d/../e#f",
    ] {
        url.add(&[], text.as_bytes());
        url.add(&[], &text.as_bytes()[5..]);
    }
    for seeds in [&mut handover, &mut replay, &mut viewer, &mut log] {
        for n in 0..15 {
            seeds.1.push(random(n, 60 + n as usize * 20));
        }
    }
    // Legs that tell the truth: one that writes, one that comes back from before its end, one that lost some.
    log.add(
        &[0xff],
        &[
            0, 3, 1, 0, 0x72, 0, 0x72, 0, 0x32, 0, 6, 0, 0, 9, 1, 1, 0x72, 1, 7, 0, 0x72, 1, 0x21, 1, 0x72,
            1, 7, 1, 0, 40, 1, 2, 0x72, 2, 9, 0, 8, 99, 9, 0,
        ],
    );
    [handover, replay, viewer, log, url].into_iter().for_each(Seeds::write);
}
