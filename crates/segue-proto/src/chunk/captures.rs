//! What real peers wrote, read back: bytes from a publishing client to its server, after the handshake.
//!
//! Both clients sent the same FLV file, made by ffmpeg 5.1 (Debian 12) with `-f lavfi -i testsrc2=s=64x36:r=25 -f lavfi -i
//! sine=440:r=22050 -t 0.4 -c:v libx264 -g 5 -bf 0 -crf 40 -c:a aac -b:a 24k`, to an `ffmpeg -listen 1` through a proxy
//! that kept the bytes. ffmpeg was told `-copyts -c copy -output_ts_offset 17000`, which leaves the sequence headers at
//! 0; for librtmp 2.4 (`RTMP_Write`, tag by tag) 17,000,000 ms were added to every media tag. Timestamps therefore lie
//! beyond 24 bits, in several chunks of 128 bytes.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::tests::drain_reader;
use super::*;

/// The file's audio and video: tag type, timestamp, length.
const TAGS: [(u8, u32, usize); 23] = [
    (9, 0, 49),
    (8, 0, 7),
    (8, 0, 221),
    (9, 46, 855),
    (8, 46, 195),
    (9, 86, 17),
    (8, 92, 120),
    (9, 126, 20),
    (8, 139, 136),
    (9, 166, 37),
    (8, 185, 147),
    (9, 206, 34),
    (8, 232, 121),
    (9, 246, 261),
    (8, 278, 183),
    (9, 286, 22),
    (8, 325, 145),
    (9, 326, 20),
    (9, 366, 21),
    (8, 371, 124),
    (9, 406, 21),
    (8, 418, 136),
    (9, 406, 5),
];
/// SHA-256 of all their bodies in a row, computed without this crate.
const BODIES: &str = "bc0027eef3af541f2cb835fc94ddae4e349d218bbf730ba4255f5570244e1dbe";
const OFFSET: u32 = 17_000_000;

fn check(capture: &'static [u8], headers_at: u32) {
    for piece in [1, 100, 1460, capture.len()] {
        let mut reader = Reader::new(Limits::BEFORE_PUBLISH);
        let mut messages = Vec::new();
        for piece in capture.chunks(piece) {
            reader.push(Bytes::from_static(piece));
            let (more, end) = drain_reader(&mut reader);
            assert_eq!(end, None);
            messages.extend(more);
        }
        assert_eq!(reader.consumed(), capture.len() as u64);
        let media: Vec<_> = messages.into_iter().filter(|m| matches!(m.type_id, 8 | 9)).collect();
        let got = media.iter().map(|m| (m.type_id, m.timestamp.as_millis(), m.payload.len()));
        let wanted = TAGS
            .iter()
            .enumerate()
            .map(|(n, (kind, ms, len))| (*kind, if n < 2 { headers_at } else { ms + OFFSET }, *len));
        assert!(got.eq(wanted), "in pieces of {piece}");
        let digest = media.iter().fold(Sha256::new(), |sum, m| sum.chain_update(&m.payload)).finalize();
        assert_eq!(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), BODIES);
    }
}

#[test]
fn ffmpeg_is_read() {
    // Its first video frame is a format 1 chunk with an extended delta, which its format 3 chunks repeat.
    check(include_bytes!("testdata/ffmpeg-5.1.bin"), 0);
}

#[test]
fn librtmp_is_read() {
    // Audio and video share a chunk stream.
    check(include_bytes!("testdata/librtmp-2.4.bin"), OFFSET);
}
