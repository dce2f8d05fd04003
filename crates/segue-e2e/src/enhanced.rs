//! Audio and video tag bodies of E-RTMP v2 ("Enhanced Audio", "Enhanced Video"), read and written by the specification's
//! tables and by no code of the product: which tracks a message holds, in which form, and the bytes of each. Legacy AVC
//! and AAC (Video File Format 10.1, E.4.2 and E.4.3) are track 0 in the clear. Strict: what it cannot follow is a failed
//! test.

use crate::flv::Tag;

/// FLV's tag type of audio.
pub const AUDIO: u8 = 8;
/// FLV's tag type of video.
pub const VIDEO: u8 = 9;
/// `SequenceStart`, of audio and video.
pub const SEQUENCE_START: u8 = 0;
/// `CodedFrames`, of audio and video.
pub const CODED_FRAMES: u8 = 1;
/// `CodedFramesX`: video without a composition time.
pub const CODED_FRAMES_X: u8 = 3;
/// Video's `Metadata`, and audio's `MultichannelConfig`.
const DESCRIPTION: u8 = 4;
/// `ModEx`, of audio and video.
const MOD_EX: u8 = 7;
const KEY: u8 = 1;
const INTER: u8 = 2;

/// A codec's name.
pub type FourCc = [u8; 4];

/// How a message names its tracks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Form {
    /// Not at all: it is track 0.
    Clear,
    /// `AvMultitrackType.OneTrack`.
    OneTrack,
    /// `AvMultitrackType.ManyTracks`: of one codec.
    ManyTracks,
    /// `AvMultitrackType.ManyTracksManyCodecs`.
    ManyCodecs,
}

/// What a message holds of one track.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// The track's number.
    pub id: u8,
    /// Its codec.
    pub codec: FourCc,
    /// Its bytes, behind packet type, codec, number and size.
    pub data: Vec<u8>,
}

/// An audio or video message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// [`AUDIO`] or [`VIDEO`].
    pub kind: u8,
    /// A keyframe, if it is a coded frame; all audio is.
    pub key: bool,
    /// The packet type: that of E-RTMP, which legacy AVC and AAC share as far as they have it.
    pub packet: u8,
    /// `TimestampOffsetNano`, if it is said.
    pub nanos: Option<u32>,
    /// How the tracks are named.
    pub form: Form,
    /// The tracks.
    pub parts: Vec<Part>,
}

impl Message {
    /// Reads a tag of audio or video.
    ///
    /// # Panics
    /// At one that is cut short, and at forms and codecs that the tests do not use.
    pub fn read(tag: &Tag) -> Self {
        let mut rest = Rest(&tag.body);
        let first = rest.byte();
        let (enhanced, multitrack) = match tag.kind {
            VIDEO => (first & 0x80 != 0, 6),
            AUDIO => (first >> 4 == 9, 5),
            other => panic!("tag type {other} has no tracks"),
        };
        let key = tag.kind == AUDIO || (first >> 4) & 7 == KEY;
        if !enhanced {
            let codec = match (tag.kind, first & 0x0f, first >> 4) {
                (VIDEO, 7, _) => *b"avc1",
                (AUDIO, _, 10) => *b"mp4a",
                _ => panic!("a legacy codec: first byte {first:#x}"),
            };
            let packet = rest.byte();
            if tag.kind == VIDEO && packet != CODED_FRAMES {
                // Legacy AVC has a composition time everywhere (E.4.3.1), E-RTMP with coded frames alone.
                assert_eq!(rest.take(3), [0; 3], "the composition time of no frame");
            }
            let parts = vec![Part { id: 0, codec, data: rest.0.to_vec() }];
            return Self { kind: tag.kind, key, packet, nanos: None, form: Form::Clear, parts };
        }
        let (mut packet, mut nanos) = (first & 0x0f, None);
        while packet == MOD_EX {
            let size = usize::from(rest.byte()) + 1;
            assert!(size < 256, "a modifier of 256 bytes and more");
            let modifier = rest.take(size);
            let types = rest.byte();
            if types >> 4 == 0 {
                nanos = Some(u32::from_be_bytes([0, modifier[0], modifier[1], modifier[2]]));
            }
            packet = types & 0x0f;
        }
        if packet != multitrack {
            let part = Part { codec: rest.codec(), id: 0, data: rest.0.to_vec() };
            return Self { kind: tag.kind, key, packet, nanos, form: Form::Clear, parts: vec![part] };
        }
        let types = rest.byte();
        let form = match types >> 4 {
            0 => Form::OneTrack,
            1 => Form::ManyTracks,
            2 => Form::ManyCodecs,
            other => panic!("multitrack type {other}"),
        };
        let common = (form != Form::ManyCodecs).then(|| rest.codec());
        let mut parts = Vec::new();
        while parts.is_empty() || !rest.0.is_empty() {
            let codec = common.unwrap_or_else(|| rest.codec());
            let id = rest.byte();
            let size = match form {
                Form::OneTrack => rest.0.len(),
                _ => rest.take(3).iter().fold(0, |size, byte| size << 8 | usize::from(*byte)),
            };
            parts.push(Part { id, codec, data: rest.take(size).to_vec() });
        }
        Self { kind: tag.kind, key, packet: types & 0x0f, nanos, form, parts }
    }

    /// The tag body.
    ///
    /// # Panics
    /// At what the form cannot say.
    pub fn body(&self) -> Vec<u8> {
        let first = match self.kind {
            VIDEO => 0x80 | if self.key { KEY } else { INTER } << 4,
            _ => 0x90,
        };
        let types = match (self.form, self.kind) {
            (Form::Clear, _) => return self.clear(first),
            (_, VIDEO) => 6,
            _ => 5,
        };
        let mut body = vec![first | types];
        if let Some(nanos) = self.nanos {
            let [_, a, b, c] = nanos.to_be_bytes();
            body = vec![first | MOD_EX, 2, a, b, c, types];
        }
        let form = match self.form {
            Form::ManyTracks => 1,
            Form::ManyCodecs => 2,
            _ => 0,
        };
        body.push(form << 4 | self.packet);
        if self.form != Form::ManyCodecs {
            body.extend(self.parts[0].codec);
        }
        for part in &self.parts {
            if self.form == Form::ManyCodecs {
                body.extend(part.codec);
            }
            body.push(part.id);
            if self.form != Form::OneTrack {
                body.extend(&u32::try_from(part.data.len()).expect("a small track").to_be_bytes()[1..]);
            }
            body.extend(&part.data);
        }
        assert_eq!(Self::read(&Tag { kind: self.kind, timestamp: 0, body: body.clone() }), *self);
        body
    }

    /// Of AVC and AAC the legacy form.
    fn clear(&self, first: u8) -> Vec<u8> {
        let [part] = self.parts.as_slice() else { panic!("tracks in the clear: {self:?}") };
        assert_eq!((part.id, self.nanos), (0, None), "a legacy tag can't say so");
        let head = match &part.codec {
            b"avc1" if self.packet == CODED_FRAMES => vec![first & 0x70 | 7, self.packet],
            b"avc1" => vec![first & 0x70 | 7, self.packet, 0, 0, 0],
            b"mp4a" => vec![0xaf, self.packet],
            other => panic!("{other:?} has no legacy form"),
        };
        [head, part.data.clone()].concat()
    }

    /// Whether it says how to decode what follows.
    pub fn is_sequence_start(&self) -> bool {
        self.packet == SEQUENCE_START
    }

    /// Whether it holds coded frames.
    pub fn is_coded(&self) -> bool {
        self.packet == CODED_FRAMES || (self.kind == VIDEO && self.packet == CODED_FRAMES_X)
    }

    /// Whether the ledger counts it: everything but configuration.
    pub fn is_media(&self) -> bool {
        !self.is_sequence_start() && self.packet != DESCRIPTION
    }
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(n).expect("a tag body that is not cut short");
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn codec(&mut self) -> FourCc {
        self.take(4).try_into().expect("four bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: u8, body: &[u8]) -> Message {
        Message::read(&Tag { kind, timestamp: 0, body: body.to_vec() })
    }

    fn part(id: u8, codec: &FourCc, data: &[u8]) -> Part {
        Part { id, codec: *codec, data: data.to_vec() }
    }

    /// As FFmpeg 9 writes them, cut short behind what matters.
    #[test]
    fn what_ffmpeg_writes() {
        let avc = read(VIDEO, b"\x27\x01\0\0\0\0\0\x05\x1c\x41");
        assert!(avc.is_coded() && !avc.key && avc.form == Form::Clear);
        assert_eq!(avc.parts, [part(0, b"avc1", b"\0\0\0\0\0\x05\x1c\x41")]);
        let header = read(VIDEO, b"\x17\x00\0\0\0\x01\x42\xc0");
        assert!(header.is_sequence_start() && header.parts == [part(0, b"avc1", b"\x01\x42\xc0")]);
        assert_eq!(header.body(), b"\x17\x00\0\0\0\x01\x42\xc0");
        let header = read(VIDEO, b"\x96\x00hvc1\x01\x01\x01\x60");
        assert!(header.is_sequence_start() && !header.is_media() && header.form == Form::OneTrack);
        assert_eq!(header.parts, [part(1, b"hvc1", b"\x01\x01\x60")]);
        let frame = read(VIDEO, b"\xa6\x03hvc1\x01\0\0\0\xd9");
        assert!(frame.is_coded() && frame.is_media() && !frame.key);
        assert!(!read(VIDEO, b"\xd4hvc1\x02\0\x09colorI").is_media());
        let sound = read(AUDIO, b"\x95\x01Opus\x01\xf8\x7c");
        assert_eq!((sound.is_coded(), sound.parts), (true, vec![part(1, b"Opus", b"\xf8\x7c")]));
        assert!(!read(AUDIO, b"\x95\x04Opus\x01\x01\x01").is_media());
    }

    /// By the specification's tables: many tracks of one codec, and of many behind a modifier.
    #[test]
    fn what_the_tables_say() {
        let many = read(VIDEO, b"\xa6\x11avc1\x00\0\0\x02ab\x02\0\0\x01c");
        assert_eq!(many.parts, [part(0, b"avc1", b"ab"), part(2, b"avc1", b"c")]);
        let body = b"\x97\x02\x01\xe2\x40\x05\x21Opus\x01\0\0\x01afLaC\x03\0\0\0";
        let codecs = read(AUDIO, body);
        assert_eq!(codecs.parts, [part(1, b"Opus", b"a"), part(3, b"fLaC", b"")]);
        assert_eq!(
            (codecs.nanos, codecs.form, codecs.body()),
            (Some(123_456), Form::ManyCodecs, body.to_vec())
        );
        assert_eq!(many.body(), b"\xa6\x11avc1\x00\0\0\x02ab\x02\0\0\x01c");
    }
}
