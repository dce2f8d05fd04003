//! A source of many tracks, made of real frames: three of video and four of audio, each encoded by FFmpeg on its own and
//! packed here, in all forms that E-RTMP v2 has for them.

use std::path::PathBuf;

use crate::books::Track;
use crate::enhanced::{
    AUDIO, CODED_FRAMES, CODED_FRAMES_X, Form, FourCc, Message, Part, SEQUENCE_START, VIDEO,
};
use crate::ffmpeg9;
use crate::flv::{self, Tag};
use crate::source::Clip;

/// Pictures a second, of all video tracks.
const FPS: u32 = 15;
/// Between two frames of Opus and of FLAC, in milliseconds. AAC has frames of 1024 samples, at [`RATE`].
const AUDIO_STEP: u32 = 20;
const RATE: u32 = 48_000;

/// One track, encoded.
struct Encoded {
    kind: u8,
    id: u8,
    codec: FourCc,
    header: Vec<u8>,
    /// Keyframe or not, and the bytes, without a composition time.
    frames: Vec<(bool, Vec<u8>)>,
}

impl Encoded {
    fn new((kind, id): Track, codec: &FourCc, args: &[&str]) -> Self {
        let clip = ffmpeg9::made(args);
        let mut encoded = Self { kind, id, codec: *codec, header: Vec::new(), frames: Vec::new() };
        for tag in flv::read(&clip.path).into_iter().filter(|tag| tag.kind == kind) {
            let message = Message::read(&tag);
            let part = &message.parts[0];
            assert_eq!(&part.codec, codec, "{args:?}");
            if message.is_sequence_start() {
                encoded.header.clone_from(&part.data);
            } else if message.is_coded() {
                let composition = if kind == VIDEO && message.packet == CODED_FRAMES { 3 } else { 0 };
                encoded.frames.push((message.key, part.data[composition..].to_vec()));
            }
        }
        assert!(!encoded.header.is_empty() && encoded.frames.len() > 10, "{args:?}");
        encoded
    }

    /// Moving pictures in noise, a keyframe every `gop` of them.
    fn video(seconds: u32, id: u8, codec: &FourCc, size: &str, gop: &str, encoder: &[&str]) -> Self {
        let input = format!(
            "testsrc2=size={size}:rate={FPS}:duration={seconds},noise=all_seed={}:alls=8:allf=t",
            11 + id
        );
        let mut args = vec!["-f", "lavfi", "-i", &input, "-pix_fmt", "yuv420p", "-c:v"];
        args.extend(encoder);
        args.extend([
            "-preset",
            "ultrafast",
            "-g",
            gop,
            "-keyint_min",
            gop,
            "-sc_threshold",
            "0",
            "-bf",
            "0",
        ]);
        Self::new((VIDEO, id), codec, &args)
    }

    /// Noise.
    fn audio(seconds: u32, id: u8, codec: &FourCc, encoder: &[&str]) -> Self {
        let input = format!(
            "anoisesrc=color=pink:amplitude=0.3:sample_rate={RATE}:seed={}:duration={seconds}",
            11 + id
        );
        let mut args = vec!["-f", "lavfi", "-i", &input, "-c:a"];
        args.extend(encoder);
        Self::new((AUDIO, id), codec, &args)
    }

    fn part(&self, data: Vec<u8>) -> Part {
        Part { id: self.id, codec: self.codec, data }
    }

    /// What it has at place `n`, with packet type `packet`.
    fn frame(&self, n: usize, packet: u8) -> Part {
        let has_composition_time = self.kind == VIDEO && packet == CODED_FRAMES;
        let mut data = vec![0; if has_composition_time { 3 } else { 0 }];
        data.extend(&self.frames[n].1);
        self.part(data)
    }

    fn is_key(&self, n: usize) -> bool {
        self.frames[n].0
    }
}

/// Puts messages down: of one kind, what they share and their parts.
struct Tape {
    tags: Vec<Tag>,
}

impl Tape {
    fn headers(&mut self, form: Form, tracks: &[&Encoded]) {
        let parts = tracks.iter().map(|track| track.part(track.header.clone())).collect();
        let kind = tracks[0].kind;
        let message = Message { kind, key: true, packet: SEQUENCE_START, nanos: None, form, parts };
        self.tags.push(Tag { kind, timestamp: 0, body: message.body() });
    }

    fn frames(&mut self, at: u32, n: usize, form: Form, packet: u8, nanos: Option<u32>, tracks: &[&Encoded]) {
        let parts = tracks.iter().map(|track| track.frame(n, packet)).collect();
        let (kind, key) = (tracks[0].kind, tracks[0].is_key(n));
        assert!(tracks.iter().all(|track| track.is_key(n) == key), "a message has one frame type");
        let message = Message { kind, key, packet, nanos, form, parts };
        self.tags.push(Tag { kind, timestamp: at, body: message.body() });
    }
}

/// How the sequence starts come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Headers {
    /// One a message. FFmpeg 9 reads no others: of a sequence start of many tracks it takes the first, and what follows
    /// for a broken file.
    Apart,
    /// In all three forms, as the frames.
    Shared,
}

/// Writes the source to `path`. Its keyframes lie apart: every 15 pictures of video 0, every 11 of 1, every 13 of 2.
/// Video 0 and audio 0 come in the clear, but where video 0 shares a message.
pub fn synthetic(path: PathBuf, seconds: u32, headers: Headers) -> Clip {
    let x264 = ["libx264", "-threads", "1"];
    let x265 = ["libx265", "-x265-params", "log-level=none:bframes=0:scenecut=0:open-gop=0"];
    let videos = [
        Encoded::video(seconds, 0, b"avc1", "160x90", "15", &x264),
        Encoded::video(seconds, 1, b"hvc1", "128x72", "11", &x265),
        Encoded::video(seconds, 2, b"avc1", "96x54", "13", &x264),
    ];
    let aac = Encoded::audio(seconds, 0, b"mp4a", &["aac", "-b:a", "64k"]);
    let audios = [
        Encoded::audio(seconds, 1, b"Opus", &["libopus", "-b:a", "48k"]),
        Encoded::audio(seconds, 2, b"Opus", &["libopus", "-b:a", "32k"]),
        Encoded::audio(seconds, 3, b"fLaC", &["flac", "-frame_size", "960"]),
    ];
    let mut tape = Tape { tags: vec![Tag { kind: 18, timestamp: 0, body: metadata() }] };
    tape.headers(Form::Clear, &[&videos[0]]);
    tape.headers(Form::Clear, &[&aac]);
    match headers {
        Headers::Shared => {
            tape.headers(Form::ManyCodecs, &[&videos[1], &videos[2]]);
            tape.headers(Form::ManyTracks, &[&audios[0], &audios[1]]);
            tape.headers(Form::OneTrack, &[&audios[2]]);
        }
        Headers::Apart => {
            videos[1..].iter().chain(&audios).for_each(|track| tape.headers(Form::OneTrack, &[track]));
        }
    }

    let pictures = videos.iter().map(|track| track.frames.len()).min().unwrap_or(0);
    (0..pictures).for_each(|n| pictures_at(&mut tape, n, &videos));
    let sounds = audios.iter().map(|track| track.frames.len()).min().unwrap_or(0);
    (0..sounds).for_each(|n| sounds_at(&mut tape, n, &audios));
    for n in 0..aac.frames.len() {
        let at = millis(n, 1024, RATE);
        tape.frames(at, n, Form::Clear, CODED_FRAMES, None, &[&aac]);
    }
    // Stable: what is of one moment stays in order.
    tape.tags.sort_by_key(|tag| tag.timestamp);
    flv::write(&path, &tape.tags);
    Clip { path }
}

/// When the `n`th of frames begins that last `step` of `rate` parts of a second each.
fn millis(n: usize, step: u32, rate: u32) -> u32 {
    u32::try_from(n).expect("a short clip") * step * 1000 / rate
}

/// Within a millisecond, and never the same in a row.
fn nanos(n: usize) -> Option<u32> {
    Some(u32::try_from(n * 7919 % 1_000_000).expect("below a million"))
}

/// The pictures of one moment, in a form after the other.
fn pictures_at(tape: &mut Tape, n: usize, [zero, one, two]: &[Encoded; 3]) {
    let at = millis(n, 1, FPS);
    let shared = !zero.is_key(n) && !two.is_key(n) && n % 3 == 2;
    if shared {
        tape.frames(
            at,
            n,
            Form::ManyTracks,
            CODED_FRAMES,
            nanos(n).filter(|_| n.is_multiple_of(2)),
            &[two, zero],
        );
    } else {
        tape.frames(at, n, Form::Clear, CODED_FRAMES, None, &[zero]);
    }
    if !shared && n.is_multiple_of(3) && one.is_key(n) == two.is_key(n) {
        return tape.frames(at, n, Form::ManyCodecs, CODED_FRAMES, None, &[one, two]);
    }
    tape.frames(at, n, Form::OneTrack, CODED_FRAMES_X, nanos(n).filter(|_| n % 3 == 1), &[one]);
    if !shared {
        tape.frames(at, n, Form::OneTrack, CODED_FRAMES, None, &[two]);
    }
}

/// The sounds of one moment, likewise.
fn sounds_at(tape: &mut Tape, n: usize, [one, two, three]: &[Encoded; 3]) {
    let at = u32::try_from(n).expect("a short clip") * AUDIO_STEP;
    match n % 3 {
        0 => tape.frames(at, n, Form::ManyCodecs, CODED_FRAMES, nanos(n), &[one, two, three]),
        1 => {
            tape.frames(at, n, Form::ManyTracks, CODED_FRAMES, None, &[one, two]);
            tape.frames(at, n, Form::OneTrack, CODED_FRAMES, nanos(n), &[three]);
        }
        _ => {
            for track in [three, one, two] {
                tape.frames(at, n, Form::OneTrack, CODED_FRAMES, None, &[track]);
            }
        }
    }
}

/// `onMetaData` ("Enhancing onMetaData"): track 0 at the top, the others in the maps. AMF 0: 2.2, 2.5, 2.10.
fn metadata() -> Vec<u8> {
    fn number(name: &str, value: f64) -> Vec<u8> {
        [&key(name), [0].as_slice(), &value.to_be_bytes()].concat()
    }
    fn object(name: &str, properties: &[Vec<u8>]) -> Vec<u8> {
        [&key(name), [3].as_slice(), &properties.concat(), b"\0\0\x09"].concat()
    }
    fn key(name: &str) -> Vec<u8> {
        [&u16::try_from(name.len()).expect("a short name").to_be_bytes(), name.as_bytes()].concat()
    }
    let codec = |name: &str, codec: &FourCc| number(name, u32::from_be_bytes(*codec).into());
    let video = |id: &str, fourcc: &FourCc, width: f64, height: f64| {
        object(id, &[number("width", width), number("height", height), codec("videocodecid", fourcc)])
    };
    let audio = |id: &str, fourcc: &FourCc| {
        object(
            id,
            &[number("samplerate", RATE.into()), number("channels", 1.0), codec("audiocodecid", fourcc)],
        )
    };
    let properties = [
        number("width", 160.0),
        number("height", 90.0),
        number("framerate", FPS.into()),
        number("videocodecid", 7.0),
        number("audiocodecid", 10.0),
        object("videoTrackIdInfoMap", &[video("1", b"hvc1", 128.0, 72.0), video("2", b"avc1", 96.0, 54.0)]),
        object("audioTrackIdInfoMap", &[audio("1", b"Opus"), audio("2", b"Opus"), audio("3", b"fLaC")]),
    ];
    [b"\x02\0\x0aonMetaData\x08\0\0\0\x07", properties.concat().as_slice(), b"\0\0\x09"].concat()
}
