//! What a side says of codecs and of enhanced media in `connect` and its `_result`: RTMP 1.0's codec flags (7.2.1.1) and
//! E-RTMP v2's `fourCcList`, `videoFourCcInfoMap`, `audioFourCcInfoMap` ("Enhancing NetConnection connect Command"). It
//! is noted and shown; no media is refused for it, since all of it is forwarded as it came.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::fmt;

use super::{CAPS_EX_MOD_EX, CAPS_EX_MULTITRACK, CAPS_EX_TIMESTAMP_NANO_OFFSET};
use crate::amf0::Value;
use crate::media::FourCc;

/// Entries taken from each of the three lists; what is behind them is not looked at.
pub const MAX_FOUR_CCS: usize = 64;

/// `audioCodecs` of RTMP 1.0: all that a Flash player decodes, but for what is unused.
const AUDIO_CODECS: u32 = 4071;
/// `videoCodecs` likewise.
const VIDEO_CODECS: u32 = 252;

/// `videoFunction` flags (RTMP 1.0, 7.2.1.1; E-RTMP v2, "Metadata Frame").
pub mod video_function {
    /// Frame-accurate seeks.
    pub const CLIENT_SEEK: u32 = 0x01;
    /// HDR video, and with it `colorInfo`.
    pub const CLIENT_HDR: u32 = 0x02;
    /// `VideoPacketType.Metadata`.
    pub const CLIENT_PACKET_TYPE_METADATA: u32 = 0x04;
    /// Large-scale tiles.
    pub const CLIENT_LARGE_SCALE_TILE: u32 = 0x08;
}

/// A codec in a list, or any codec.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodecName {
    /// `"*"`.
    Any,
    /// This one.
    FourCc(FourCc),
}

impl CodecName {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" { Some(Self::Any) } else { FourCc::from_text(text).map(Self::FourCc) }
    }
}

impl fmt::Display for CodecName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::FourCc(code) => code.fmt(f),
        }
    }
}

/// What a side can do with a codec: `FourCcInfoMask`. Bits without a meaning are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CodecFlags(pub u32);

impl CodecFlags {
    /// It decodes.
    pub const CAN_DECODE: Self = Self(0x01);
    /// It encodes.
    pub const CAN_ENCODE: Self = Self(0x02);
    /// It forwards.
    pub const CAN_FORWARD: Self = Self(0x04);

    /// Both.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in here.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// `videoFourCcInfoMap` or `audioFourCcInfoMap`, in the order that it came in.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CodecMap(pub Vec<(CodecName, CodecFlags)>);

impl CodecMap {
    /// These flags for any codec.
    pub fn any(flags: CodecFlags) -> Self {
        Self(vec![(CodecName::Any, flags)])
    }

    /// What can be done with `codec`: what is said of it, and what is said of any.
    pub fn flags(&self, codec: FourCc) -> CodecFlags {
        self.0
            .iter()
            .filter(|(name, _)| matches!(name, CodecName::Any) || *name == CodecName::FourCc(codec))
            .fold(CodecFlags::default(), |all, (_, flags)| all.or(*flags))
    }

    fn parse(value: Option<&Value>) -> Self {
        let entries = value.and_then(Value::as_object).unwrap_or_default().iter().take(MAX_FOUR_CCS);
        Self(
            entries
                .filter_map(|(name, flags)| Some((CodecName::parse(name)?, CodecFlags(integer(flags)?))))
                .collect(),
        )
    }

    fn to_value(&self) -> Value {
        Value::Object(self.0.iter().map(|(name, flags)| (name.to_string(), number(flags.0))).collect())
    }
}

/// What one side says of media. What is malformed counts as not said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MediaCaps {
    /// `fourCcList`: codecs, of audio and video.
    pub four_cc_list: Vec<CodecName>,
    /// `videoFourCcInfoMap`.
    pub video: CodecMap,
    /// `audioFourCcInfoMap`.
    pub audio: CodecMap,
    /// `capsEx`, 0 if absent. See `CAPS_EX_RECONNECT` and its like; which of two sides may send what is not decided
    /// here.
    pub caps_ex: u32,
    /// `audioCodecs`.
    pub audio_codecs: Option<u32>,
    /// `videoCodecs`.
    pub video_codecs: Option<u32>,
    /// `videoFunction`: see [`video_function`].
    pub video_function: Option<u32>,
    /// `objectEncoding`: 0 for AMF0, 3 for AMF3.
    pub object_encoding: Option<u32>,
}

impl MediaCaps {
    /// What this library can do with media beside handing it on: all enhanced forms are read, and none is changed.
    const CAPS_EX: u32 = CAPS_EX_MULTITRACK | CAPS_EX_MOD_EX | CAPS_EX_TIMESTAMP_NANO_OFFSET;

    /// A server's: it forwards everything.
    pub fn server() -> Self {
        Self::of_any(CodecFlags::CAN_FORWARD)
    }

    /// A publisher's: what it brings was encoded, by it or before it, by any codec.
    pub fn publisher() -> Self {
        Self::of_any(CodecFlags::CAN_ENCODE.or(CodecFlags::CAN_FORWARD))
    }

    /// A player's: it takes any codec, for whoever decodes or keeps it behind it.
    pub fn player() -> Self {
        use video_function::{CLIENT_HDR, CLIENT_PACKET_TYPE_METADATA, CLIENT_SEEK};
        Self {
            audio_codecs: Some(AUDIO_CODECS),
            video_codecs: Some(VIDEO_CODECS),
            video_function: Some(CLIENT_SEEK | CLIENT_HDR | CLIENT_PACKET_TYPE_METADATA),
            ..Self::of_any(CodecFlags::CAN_DECODE.or(CodecFlags::CAN_FORWARD))
        }
    }

    fn of_any(flags: CodecFlags) -> Self {
        Self {
            four_cc_list: vec![CodecName::Any],
            video: CodecMap::any(flags),
            audio: CodecMap::any(flags),
            caps_ex: Self::CAPS_EX,
            ..Self::default()
        }
    }

    /// Reads the object of a `connect`, or one of its `_result`.
    pub fn parse(object: &Value) -> Self {
        let flags = |name: &str| object.property(name).and_then(integer);
        let list = match object.property("fourCcList") {
            Some(Value::StrictArray(list)) => list.iter().take(MAX_FOUR_CCS).collect(),
            // Some write arrays as objects whose names are the indexes.
            Some(other) => {
                let entries = other.as_object().unwrap_or_default().iter().take(MAX_FOUR_CCS);
                entries.map(|(_, value)| value).collect()
            }
            None => Vec::new(),
        };
        Self {
            four_cc_list: list.into_iter().filter_map(|v| CodecName::parse(v.as_str()?)).collect(),
            video: CodecMap::parse(object.property("videoFourCcInfoMap")),
            audio: CodecMap::parse(object.property("audioFourCcInfoMap")),
            caps_ex: super::caps_ex(object),
            audio_codecs: flags("audioCodecs"),
            video_codecs: flags("videoCodecs"),
            video_function: flags("videoFunction"),
            object_encoding: flags("objectEncoding"),
        }
    }

    /// Whether anything of E-RTMP is said.
    pub fn is_enhanced(&self) -> bool {
        self.caps_ex != 0
            || !(self.four_cc_list.is_empty() && self.video.0.is_empty() && self.audio.0.is_empty())
    }

    /// The flags of RTMP 1.0, as properties of an object.
    pub fn legacy_properties(&self) -> Vec<(String, Value)> {
        [
            ("audioCodecs", self.audio_codecs),
            ("videoCodecs", self.video_codecs),
            ("videoFunction", self.video_function),
        ]
        .into_iter()
        .filter_map(|(name, flags)| Some((name.to_owned(), number(flags?))))
        .collect()
    }

    /// What E-RTMP added, but for `capsEx`, as properties of an object.
    pub fn four_cc_properties(&self) -> Vec<(String, Value)> {
        let list = self.four_cc_list.iter().map(|name| Value::String(name.to_string()));
        let mut properties = vec![("fourCcList".to_owned(), Value::StrictArray(list.collect()))];
        properties.extend(self.maps());
        properties
    }

    /// The two maps alone: a server's answer, which says no more in a list.
    pub fn maps(&self) -> [(String, Value); 2] {
        [
            ("videoFourCcInfoMap".to_owned(), self.video.to_value()),
            ("audioFourCcInfoMap".to_owned(), self.audio.to_value()),
        ]
    }
}

fn number(flags: u32) -> Value {
    Value::Number(flags.into())
}

/// An unsigned 32-bit integer, if it is one.
pub(super) fn integer(value: &Value) -> Option<u32> {
    let number = value.as_f64()?;
    (number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number)).then_some(number as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::command::{Command, object, string};

    fn names(names: &[&str]) -> Vec<CodecName> {
        names.iter().map(|name| CodecName::parse(name).unwrap()).collect()
    }

    /// `connect` bodies as FFmpeg 9.0.2 sends them, captured behind the handshake, chunk headers taken out: publishing
    /// with `-rtmp_enhanced_codecs hvc1,av01,vp09,Opus`, publishing without it, playing.
    #[test]
    fn ffmpegs_connects() {
        let enhanced = b"\x02\x00\x07connect\x00\x3f\xf0\0\0\0\0\0\0\x03\x00\x03app\x02\x00\x04live\
            \x00\x0afourCcList\x0a\0\0\0\x04\x02\x00\x04hvc1\x02\x00\x04av01\x02\x00\x04vp09\x02\x00\x04Opus\
            \x00\x04type\x02\x00\x0anonprivate\x00\x08flashVer\x02\x00\x23FMLE/3.0 (compatible; Lavf63.1.102)\
            \x00\x05tcUrl\x02\x00\x1brtmp://127.0.0.1:49043/live\0\0\x09";
        let command = Command::decode(enhanced, 20).unwrap();
        let caps = MediaCaps::parse(&command.object);
        let four_cc_list = names(&["hvc1", "av01", "vp09", "Opus"]);
        assert_eq!(caps, MediaCaps { four_cc_list, ..MediaCaps::default() });
        assert!(caps.is_enhanced());

        let plain = b"\x02\x00\x07connect\x00\x3f\xf0\0\0\0\0\0\0\x03\x00\x03app\x02\x00\x04live\
            \x00\x04type\x02\x00\x0anonprivate\x00\x08flashVer\x02\x00\x23FMLE/3.0 (compatible; Lavf63.1.102)\
            \x00\x05tcUrl\x02\x00\x1brtmp://127.0.0.1:49487/live\0\0\x09";
        let caps = MediaCaps::parse(&Command::decode(plain, 20).unwrap().object);
        assert_eq!(caps, MediaCaps::default());
        assert!(!caps.is_enhanced());

        let player = b"\x02\x00\x07connect\x00\x3f\xf0\0\0\0\0\0\0\x03\x00\x03app\x02\x00\x04live\
            \x00\x08flashVer\x02\x00\x0dLNX 9,0,124,2\x00\x05tcUrl\x02\x00\x1brtmp://127.0.0.1:50267/live\
            \x00\x04fpad\x01\x00\x00\x0ccapabilities\x00\x40\x2e\0\0\0\0\0\0\
            \x00\x0baudioCodecs\x00\x40\xaf\xce\0\0\0\0\0\x00\x0bvideoCodecs\x00\x40\x6f\x80\0\0\0\0\0\
            \x00\x0dvideoFunction\x00\x3f\xf0\0\0\0\0\0\0\0\0\x09";
        let caps = MediaCaps::parse(&Command::decode(player, 20).unwrap().object);
        let expected = MediaCaps {
            audio_codecs: Some(4071),
            video_codecs: Some(252),
            video_function: Some(video_function::CLIENT_SEEK),
            ..MediaCaps::default()
        };
        assert_eq!(caps, expected);
    }

    /// The specification's examples of a map: any codec forwarded, VP9 decoded and encoded.
    #[test]
    fn maps_by_codec_and_by_wildcard() {
        let map = object([("*", Value::Number(4.0)), ("vp09", Value::Number(3.0))]);
        let caps = MediaCaps::parse(&object([("videoFourCcInfoMap", map.clone())]));
        assert_eq!(caps.video.flags(FourCc::VP9).0, 7);
        assert_eq!(caps.video.flags(FourCc::AV1), CodecFlags::CAN_FORWARD);
        assert!(caps.video.flags(FourCc::VP9).has(CodecFlags::CAN_DECODE.or(CodecFlags::CAN_ENCODE)));
        assert_eq!(caps.audio.flags(FourCc::OPUS), CodecFlags::default());
        assert_eq!(caps.video.to_value(), map);
    }

    /// The flags as the tables number them, read and written.
    #[test]
    fn flags_of_the_tables() {
        use video_function::{CLIENT_HDR, CLIENT_LARGE_SCALE_TILE, CLIENT_PACKET_TYPE_METADATA, CLIENT_SEEK};
        let functions = [CLIENT_SEEK, CLIENT_HDR, CLIENT_PACKET_TYPE_METADATA, CLIENT_LARGE_SCALE_TILE];
        assert_eq!(functions, [1, 2, 4, 8]);
        for flags in 0..16 {
            let caps = MediaCaps::parse(&object([("videoFunction", number(flags))]));
            assert_eq!(caps.video_function, Some(flags));
            assert_eq!(caps.legacy_properties(), [("videoFunction".to_owned(), number(flags))]);
        }
        let codec = [CodecFlags::CAN_DECODE, CodecFlags::CAN_ENCODE, CodecFlags::CAN_FORWARD];
        assert_eq!(codec.map(|flags| flags.0), [1, 2, 4]);
        let caps_ex = [
            super::super::CAPS_EX_RECONNECT,
            CAPS_EX_MULTITRACK,
            CAPS_EX_MOD_EX,
            CAPS_EX_TIMESTAMP_NANO_OFFSET,
        ];
        assert_eq!(caps_ex, [1, 2, 4, 8]);
    }

    #[test]
    fn what_is_malformed_is_passed_over() {
        let numbers =
            [Value::Number(-1.0), Value::Number(0.5), Value::Number(f64::NAN), string("1"), Value::Null];
        for odd in numbers {
            let map = object([
                ("avc1", odd.clone()),
                ("hvc1", Value::Number(1.0)),
                ("toolong", Value::Number(1.0)),
            ]);
            let caps = MediaCaps::parse(&object([
                ("audioCodecs", odd.clone()),
                ("videoFunction", odd.clone()),
                ("objectEncoding", odd.clone()),
                ("videoFourCcInfoMap", map),
                ("fourCcList", Value::StrictArray(vec![odd, string("av1"), string("av01")])),
            ]));
            let video = CodecMap(vec![(CodecName::FourCc(FourCc::HEVC), CodecFlags(1))]);
            let four_cc_list = vec![CodecName::FourCc(FourCc::AV1)];
            assert_eq!(caps, MediaCaps { video, four_cc_list, ..MediaCaps::default() });
        }
        let list = Value::EcmaArray(vec![("0".into(), string("*")), ("1".into(), string("mp4a"))]);
        assert_eq!(MediaCaps::parse(&object([("fourCcList", list)])).four_cc_list, names(&["*", "mp4a"]));
        assert_eq!(MediaCaps::parse(&object([("fourCcList", string("av01"))])), MediaCaps::default());
        assert_eq!(MediaCaps::parse(&Value::Null), MediaCaps::default());
    }

    #[test]
    fn lists_are_bounded() {
        let caps = |n: usize| {
            let code = |i| format!("x{i:03}");
            let map = Value::Object((0..n).map(|i| (code(i), Value::Number(1.0))).collect());
            MediaCaps::parse(&object([
                ("fourCcList", Value::StrictArray((0..n).map(|i| Value::String(code(i))).collect())),
                ("videoFourCcInfoMap", map.clone()),
                ("audioFourCcInfoMap", map),
            ]))
        };
        for n in [MAX_FOUR_CCS, MAX_FOUR_CCS + 1] {
            let caps = caps(n);
            let counts = [caps.four_cc_list.len(), caps.video.0.len(), caps.audio.0.len()];
            assert_eq!(counts, [MAX_FOUR_CCS; 3]);
        }
    }

    #[test]
    fn what_is_said_is_understood() {
        for caps in [MediaCaps::server(), MediaCaps::publisher(), MediaCaps::player()] {
            let mut properties = caps.legacy_properties();
            properties.extend(caps.four_cc_properties());
            properties.push(("capsEx".to_owned(), number(caps.caps_ex)));
            assert_eq!(MediaCaps::parse(&Value::Object(properties)), caps);
            assert_eq!(caps.caps_ex, 0x0e, "multitrack, ModEx, nanosecond offsets");
        }
        assert_eq!(MediaCaps::server().video.flags(FourCc(*b"new1")), CodecFlags::CAN_FORWARD);
    }
}
