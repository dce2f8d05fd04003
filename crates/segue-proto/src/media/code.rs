//! The small numbers of tag headers, each a type of its own. A number without a name is legal: it is carried, shown as
//! a number, and written again as it came. What follows a header because of such a number is the parsers' business.

use std::fmt;

/// Defines types of a few bits whose values have names.
macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident($bits:literal) { $($(#[$doc:meta])* $id:ident = $value:literal,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u8);

        impl $name {
            $($(#[$doc])* pub const $id: Self = Self($value);)*

            /// The value in the low bits of `bits`; the others are ignored.
            pub const fn new(bits: u8) -> Self {
                Self(bits & (0xff >> (8 - $bits)))
            }

            /// The number on the wire.
            pub const fn value(self) -> u8 {
                self.0
            }

            /// Its name here, if it has one.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$id => Some(stringify!($id)),)*
                    _ => None,
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, concat!(stringify!($name), "({})"), self.0),
                }
            }
        }
    )*};
}

codes! {
    /// `FrameType` (Video File Format 10.1, E.4.3.1): three bits, the fourth says "enhanced".
    FrameType(3) {
        /// Decoding can start here; for AVC a seekable frame.
        KEY = 1,
        /// Needs others.
        INTER = 2,
        /// Needs others, and no other needs it (H.263).
        DISPOSABLE = 3,
        /// A key frame that a server made up.
        GENERATED_KEY = 4,
        /// No video: a [`VideoCommand`] follows.
        COMMAND = 5,
    }

    /// `CodecID` of a legacy video tag (E.4.3.1).
    VideoCodecId(4) {
        /// Sorenson H.263.
        SORENSON_H263 = 2,
        /// Screen video.
        SCREEN = 3,
        /// On2 VP6.
        VP6 = 4,
        /// On2 VP6 with alpha channel.
        VP6_ALPHA = 5,
        /// Screen video version 2.
        SCREEN_V2 = 6,
        /// AVC (H.264).
        AVC = 7,
        /// HEVC as some vendors sent it before E-RTMP, with AVC's packet types; in no specification.
        HEVC_VENDOR = 12,
    }

    /// `AVCPacketType` (E.4.3.1), the whole byte.
    AvcPacketType(8) {
        /// An AVCDecoderConfigurationRecord.
        SEQUENCE_HEADER = 0,
        /// NAL units of one frame.
        NALU = 1,
        /// The sequence is over.
        END_OF_SEQUENCE = 2,
    }

    /// What a command frame asks for: E-RTMP v2, `VideoCommand`; in legacy tags too.
    VideoCommand(8) {
        /// A sequence of frames for client-side seeking begins.
        START_SEEK = 0,
        /// It ends.
        END_SEEK = 1,
    }

    /// E-RTMP v2, `VideoPacketType`.
    VideoPacketType(4) {
        /// A decoder configuration record.
        SEQUENCE_START = 0,
        /// A coded frame, for AVC, HEVC and VVC behind its composition time.
        CODED_FRAMES = 1,
        /// The sequence is over.
        SEQUENCE_END = 2,
        /// A coded frame whose composition time is 0 and not on the wire.
        CODED_FRAMES_X = 3,
        /// AMF-coded names and values, such as `colorInfo`. The frame type means nothing then.
        METADATA = 4,
        /// A descriptor of an MPEG-2 transport stream in the place of the configuration record.
        MPEG2TS_SEQUENCE_START = 5,
        /// A multitrack header follows.
        MULTITRACK = 6,
        /// A modifier follows, then the packet type proper.
        MOD_EX = 7,
    }

    /// E-RTMP v2, `AudioPacketType`.
    AudioPacketType(4) {
        /// A decoder configuration.
        SEQUENCE_START = 0,
        /// Coded audio.
        CODED_FRAMES = 1,
        /// The sequence is over: silence.
        SEQUENCE_END = 2,
        /// Which channel is which.
        MULTICHANNEL_CONFIG = 4,
        /// A multitrack header follows.
        MULTITRACK = 5,
        /// A modifier follows, then the packet type proper.
        MOD_EX = 7,
    }

    /// E-RTMP v2, `VideoPacketModExType` and `AudioPacketModExType`, which are numbered alike.
    ModExType(4) {
        /// Nanoseconds to add to the message's timestamp.
        TIMESTAMP_OFFSET_NANO = 0,
    }

    /// E-RTMP v2, `AvMultitrackType`.
    MultitrackType(4) {
        /// One track, to the message's end.
        ONE_TRACK = 0,
        /// Many tracks of one codec.
        MANY_TRACKS = 1,
        /// Many tracks, each with its codec.
        MANY_TRACKS_MANY_CODECS = 2,
    }

    /// `SoundFormat` (E.4.2.1).
    SoundFormat(4) {
        /// Linear PCM in the byte order of the machine that made it.
        PCM_PLATFORM_ENDIAN = 0,
        /// ADPCM.
        ADPCM = 1,
        /// MP3.
        MP3 = 2,
        /// Linear PCM, little-endian.
        PCM_LITTLE_ENDIAN = 3,
        /// Nellymoser, 16 kHz mono.
        NELLYMOSER_16K = 4,
        /// Nellymoser, 8 kHz mono.
        NELLYMOSER_8K = 5,
        /// Nellymoser.
        NELLYMOSER = 6,
        /// G.711 A-law.
        G711_A_LAW = 7,
        /// G.711 mu-law.
        G711_MU_LAW = 8,
        /// E-RTMP's audio header follows in place of the legacy one.
        EX_HEADER = 9,
        /// AAC.
        AAC = 10,
        /// Speex.
        SPEEX = 11,
        /// MP3, 8 kHz.
        MP3_8K = 14,
        /// Device-specific.
        NATIVE = 15,
    }

    /// `SoundRate` (E.4.2.1). For AAC it is always 44 kHz, whatever the stream's rate.
    SoundRate(2) {
        /// 5.5 kHz.
        KHZ_5_5 = 0,
        /// 11 kHz.
        KHZ_11 = 1,
        /// 22 kHz.
        KHZ_22 = 2,
        /// 44 kHz.
        KHZ_44 = 3,
    }

    /// `AACPacketType` (E.4.2.1), the whole byte.
    AacPacketType(8) {
        /// An AudioSpecificConfig.
        SEQUENCE_HEADER = 0,
        /// A raw frame.
        RAW = 1,
    }

    /// E-RTMP v2, `AudioChannel`: the speaker of a channel in a custom order.
    AudioChannel(8) {
        /// Front left.
        FRONT_LEFT = 0,
        /// Front right.
        FRONT_RIGHT = 1,
        /// Front centre.
        FRONT_CENTER = 2,
        /// Low frequencies.
        LOW_FREQUENCY_1 = 3,
        /// Back left.
        BACK_LEFT = 4,
        /// Back right.
        BACK_RIGHT = 5,
        /// Between front left and centre.
        FRONT_LEFT_CENTER = 6,
        /// Between front right and centre.
        FRONT_RIGHT_CENTER = 7,
        /// Back centre.
        BACK_CENTER = 8,
        /// Side left.
        SIDE_LEFT = 9,
        /// Side right.
        SIDE_RIGHT = 10,
        /// Above.
        TOP_CENTER = 11,
        /// Front left, high.
        TOP_FRONT_LEFT = 12,
        /// Front centre, high.
        TOP_FRONT_CENTER = 13,
        /// Front right, high.
        TOP_FRONT_RIGHT = 14,
        /// Back left, high.
        TOP_BACK_LEFT = 15,
        /// Back centre, high.
        TOP_BACK_CENTER = 16,
        /// Back right, high.
        TOP_BACK_RIGHT = 17,
        /// The second channel of low frequencies (22.2).
        LOW_FREQUENCY_2 = 18,
        /// Side left, high (22.2).
        TOP_SIDE_LEFT = 19,
        /// Side right, high (22.2).
        TOP_SIDE_RIGHT = 20,
        /// Front centre, low (22.2).
        BOTTOM_FRONT_CENTER = 21,
        /// Front left, low (22.2).
        BOTTOM_FRONT_LEFT = 22,
        /// Front right, low (22.2).
        BOTTOM_FRONT_RIGHT = 23,
        /// Empty: may be skipped.
        UNUSED = 0xfe,
        /// Holds sound for a speaker that is not known.
        UNKNOWN = 0xff,
    }
}

/// A four-character code, by its bytes: E-RTMP v2, `VideoFourCc` and `AudioFourCc`. Any four bytes are one; those of the
/// specification have names here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FourCc(pub [u8; 4]);

impl FourCc {
    /// VP8.
    pub const VP8: Self = Self(*b"vp08");
    /// VP9.
    pub const VP9: Self = Self(*b"vp09");
    /// AV1.
    pub const AV1: Self = Self(*b"av01");
    /// AVC (H.264).
    pub const AVC: Self = Self(*b"avc1");
    /// HEVC (H.265).
    pub const HEVC: Self = Self(*b"hvc1");
    /// VVC (H.266).
    pub const VVC: Self = Self(*b"vvc1");
    /// AC-3.
    pub const AC3: Self = Self(*b"ac-3");
    /// E-AC-3.
    pub const EAC3: Self = Self(*b"ec-3");
    /// Opus.
    pub const OPUS: Self = Self(*b"Opus");
    /// MP3.
    pub const MP3: Self = Self(*b".mp3");
    /// FLAC.
    pub const FLAC: Self = Self(*b"fLaC");
    /// AAC.
    pub const AAC: Self = Self(*b"mp4a");

    /// The video codecs that the specification names.
    pub const VIDEO: [Self; 6] = [Self::VP8, Self::VP9, Self::AV1, Self::AVC, Self::HEVC, Self::VVC];
    /// The audio codecs that the specification names.
    pub const AUDIO: [Self; 6] = [Self::AC3, Self::EAC3, Self::OPUS, Self::MP3, Self::FLAC, Self::AAC];

    /// The code of a text of four bytes, all of which `Display` shows as they are: no control characters, quotes or
    /// backslashes.
    pub fn from_text(text: &str) -> Option<Self> {
        let code: [u8; 4] = text.as_bytes().try_into().ok()?;
        code.escape_ascii().eq(code).then_some(Self(code))
    }

    /// Whether its coded frames start with a composition time (`VideoPacketType::CodedFrames`): AVC, HEVC and VVC do.
    pub const fn has_composition_time(self) -> bool {
        matches!(self, Self::AVC | Self::HEVC | Self::VVC)
    }
}

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_without_a_name_are_kept() {
        assert_eq!(VideoPacketType::new(0x9d).value(), 13);
        assert_eq!(format!("{:?}", VideoPacketType::new(13)), "VideoPacketType(13)");
        assert_eq!(format!("{:?}", AudioChannel::UNKNOWN), "UNKNOWN");
        assert_eq!(FrameType::new(0xff).value(), 7);
        assert_eq!(AvcPacketType::new(0xff).value(), 0xff);
    }

    #[test]
    fn four_character_codes_show_no_control_characters() {
        assert_eq!(FourCc::OPUS.to_string(), "Opus");
        assert_eq!(format!("{:?}", FourCc(*b"a\n\x00\xff")), "a\\n\\x00\\xff");
        assert_eq!(FourCc::from_text("av01"), Some(FourCc::AV1));
        assert_eq!(FourCc::from_text("*"), None);
        for odd in ["O\x01us", "a'b ", "\\abc", "\u{20ac}1"] {
            assert_eq!(FourCc::from_text(odd), None, "found by fuzzing: written back, it was another text");
        }
        assert_eq!(FourCc::from_text("ac-3"), Some(FourCc::AC3));
    }
}
