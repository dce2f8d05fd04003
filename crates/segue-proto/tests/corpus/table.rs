//! The captures of the golden corpus, a row each: what the README.md beside this file says of it, and what its client
//! is known to have done.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use segue_proto::caps::Announce;
use segue_proto::media::{Codec, Config, Content, MediaMessage, TrackKind};
use segue_proto::session::{Teardown, client};
use segue_proto::{Timestamp, handshake};

use Teardown::{DeleteStream, FcUnpublish};
use client::Role::{Player, Publisher};

/// One TCP connection of a client.
pub(super) struct Capture {
    pub(super) name: &'static str,
    pub(super) role: client::Role,
    /// How the client's `flashVer` begins.
    pub(super) flash_ver: &'static str,
    pub(super) announce: Announce,
    pub(super) video: Codec,
    pub(super) audio: Codec,
    /// Coded video frames, keyframes among them, coded audio frames.
    pub(super) coded: [usize; 3],
    /// Audio, video and data messages.
    pub(super) messages: [usize; 3],
    /// How the client left, if it said so.
    pub(super) teardown: Option<Teardown>,
}

const NONE: Announce = Announce::NONE;
const GO_AWAY: Announce = Announce { go_away: true, ..Announce::NONE };
const AVC: Codec = Codec::Legacy(7);
const AAC: Codec = Codec::Legacy(10);
const HEVC: Codec = Codec::FourCc(*b"hvc1");
const AV1: Codec = Codec::FourCc(*b"av01");
const VP9: Codec = Codec::FourCc(*b"vp09");
const OPUS: Codec = Codec::FourCc(*b"Opus");
const FLAC: Codec = Codec::FourCc(*b"fLaC");
const AC3: Codec = Codec::FourCc(*b"ac-3");
const LAVF: &str = "FMLE/3.0 (compatible; Lavf";
const LAVF_PLAYER: &str = "LNX 9,0,124,2";
const LIBRTMP: &str = "LNX 10,0,32,18";
const RTMP2: &str = "LNX 10,0,32,18";
const SEGUE: &str = "FMLE/3.0 (compatible; Segue)";

/// A row of the table.
#[expect(clippy::too_many_arguments, reason = "the columns of a table")]
const fn row(
    name: &'static str,
    role: client::Role,
    flash_ver: &'static str,
    announce: Announce,
    [video, audio]: [Codec; 2],
    coded: [usize; 3],
    messages: [usize; 3],
    teardown: Option<Teardown>,
) -> Capture {
    Capture { name, role, flash_ver, announce, video, audio, coded, messages, teardown }
}

#[rustfmt::skip]
pub(super) const CAPTURES: &[Capture] = &[
    row("ffmpeg-5.1-publish", Publisher, LAVF, NONE, [AVC, AAC], [10, 2, 48], [49, 12, 1], Some(FcUnpublish)),
    row("ffmpeg-9-hevc-opus-publish", Publisher, LAVF, NONE, [HEVC, OPUS], [10, 2, 51], [53, 12, 1], Some(FcUnpublish)),
    row("ffmpeg-9-hevc-flac-publish", Publisher, LAVF, NONE, [HEVC, FLAC], [10, 2, 47], [49, 12, 1], Some(FcUnpublish)),
    row("ffmpeg-9-hevc-ac3-publish", Publisher, LAVF, NONE, [HEVC, AC3], [10, 2, 32], [34, 12, 1], Some(FcUnpublish)),
    row("ffmpeg-9-av1-opus-publish", Publisher, LAVF, NONE, [AV1, OPUS], [10, 2, 52], [54, 12, 1], Some(FcUnpublish)),
    row("ffmpeg-9-av1-flac-publish", Publisher, LAVF, NONE, [AV1, FLAC], [10, 2, 49], [51, 12, 1], Some(FcUnpublish)),
    row("ffmpeg-9-av1-ac3-publish", Publisher, LAVF, NONE, [AV1, AC3], [10, 2, 33], [35, 12, 1], Some(FcUnpublish)),
    row("ffmpeg-9-vp9-opus-publish", Publisher, LAVF, NONE, [VP9, OPUS], [10, 2, 51], [53, 12, 1], Some(FcUnpublish)),
    row("ffmpeg-9-vp9-flac-publish", Publisher, LAVF, NONE, [VP9, FLAC], [10, 2, 47], [49, 12, 1], Some(FcUnpublish)),
    row("ffmpeg-9-vp9-ac3-publish", Publisher, LAVF, NONE, [VP9, AC3], [10, 2, 32], [34, 12, 1], Some(FcUnpublish)),
    row("ffmpeg-9-hevc-hdr-publish", Publisher, LAVF, NONE, [HEVC, AAC], [10, 2, 48], [49, 12, 1], Some(FcUnpublish)),
    row("ffmpeg-9-avc-two-sounds-publish", Publisher, LAVF, NONE, [AVC, OPUS], [10, 2, 102], [106, 12, 1], Some(FcUnpublish)),
    row("gstreamer-1.22-publish", Publisher, RTMP2, NONE, [AVC, AAC], [10, 2, 40], [41, 12, 4], Some(FcUnpublish)),
    row("obs-29-publish", Publisher, "FMLE/3.0 (compatible; FMSc/1.0)", GO_AWAY, [AVC, AAC], [30, 1, 47], [48, 31, 1], None),
    row("nginx-ffmpeg-5.1-publish", Publisher, LAVF, NONE, [AVC, AAC], [10, 2, 48], [49, 12, 1], Some(FcUnpublish)),
    row("nginx-segue-publish", Publisher, SEGUE, Announce::ALL, [AVC, AAC], [10, 2, 48], [49, 12, 1], Some(FcUnpublish)),
    row("ffmpeg-5.1-play", Player, LAVF_PLAYER, NONE, [AVC, AAC], [10, 2, 48], [49, 12, 2], None),
    row("ffmpeg-9-play-hevc-opus", Player, LAVF_PLAYER, NONE, [HEVC, OPUS], [10, 2, 51], [53, 12, 2], None),
    row("gstreamer-1.22-play", Player, RTMP2, NONE, [AVC, AAC], [10, 2, 48], [49, 12, 2], None),
    row("rtmpdump-2.4-play", Player, LIBRTMP, NONE, [AVC, AAC], [10, 2, 48], [49, 12, 2], Some(DeleteStream)),
    row("nginx-ffmpeg-5.1-play", Player, LAVF_PLAYER, NONE, [AVC, AAC], [10, 2, 48], [49, 12, 2], Some(DeleteStream)),
    row("nginx-segue-play", Player, SEGUE, Announce::ALL, [AVC, AAC], [10, 2, 48], [49, 12, 2], None),
];

/// Whose server's answers are to transactions that our client numbers otherwise.
pub(super) const OTHER_TRANSACTIONS: &[&str] = &["gstreamer-1.22-publish"];

/// Captures that end inside a message, with how many bytes of it: FFmpeg writes a chunk's header and its payload apart,
/// and a server that has closed meanwhile gets only the first, here of `deleteStream`.
const CUT_SHORT: &[(&str, u64)] = &[("ffmpeg-5.1-play.c2s", 8), ("ffmpeg-9-play-hevc-opus.c2s", 8)];

/// Where the captures are.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

impl Capture {
    /// All that was sent in this direction.
    pub(super) fn bytes(&self, direction: &str) -> Bytes {
        let path = folder().join(format!("{}.{direction}", self.name));
        fs::read(path).unwrap_or_else(|e| panic!("{}.{direction}: {e}", self.name)).into()
    }

    /// Bytes of whole messages behind the handshake.
    pub(super) fn whole(&self, bytes: &Bytes, direction: &str) -> u64 {
        let name = format!("{}.{direction}", self.name);
        let left = CUT_SHORT.iter().find(|(cut, _)| *cut == name).map_or(0, |(_, left)| *left);
        (bytes.len() - handshake::LEN) as u64 - left
    }

    /// The direction that carries the media.
    pub(super) fn media_direction(&self) -> &'static str {
        if self.role == Publisher { "c2s" } else { "s2c" }
    }

    /// Asserts what the table says of the media.
    pub(super) fn check_media(&self, media: &[MediaMessage]) {
        let of = |kind| media.iter().filter(move |m| m.kind == kind);
        let counts = [TrackKind::Audio, TrackKind::Video, TrackKind::Data].map(|kind| of(kind).count());
        assert_eq!(counts, self.messages, "{}: audio, video, data messages", self.name);
        let coded = |kind| of(kind).filter(|m| m.info().is_coded()).count();
        let keyframes = of(TrackKind::Video).filter(|m| m.info().content == Content::Keyframe).count();
        let counts = [coded(TrackKind::Video), keyframes, coded(TrackKind::Audio)];
        assert_eq!(counts, self.coded, "{}: video, keyframes, audio", self.name);
        for (kind, codec) in [(TrackKind::Video, self.video), (TrackKind::Audio, self.audio)] {
            assert!(of(kind).all(|m| m.info().codec == codec), "{}: {kind} codec", self.name);
            let first = of(kind).next().map(|m| m.info().content);
            assert_eq!(first, Some(Content::Config(Config::SequenceHeader)), "{}: {kind}", self.name);
        }
        let metadata = of(TrackKind::Data).filter(|m| m.info().content == Content::Config(Config::Metadata));
        assert!(metadata.count() >= 1, "{}: metadata", self.name);
        for kind in [TrackKind::Video, TrackKind::Audio] {
            let times: Vec<Timestamp> = of(kind).map(|m| m.timestamp).collect();
            assert!(times.is_sorted_by_key(|t| t.as_millis()), "{}: {kind} in order", self.name);
        }
    }
}
