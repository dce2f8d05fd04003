//! FLV files and streams, read and written for the tests: the bytes of each tag, and as much of its header as a test
//! asks for. Own code on purpose: the product's reader is under test.

use std::fs;
use std::io::Read;
use std::path::Path;

/// `FLV`, version 1, audio and video, nine bytes, and the size of no previous tag (Video File Format 10.1, E.2).
pub const HEADER: [u8; 13] = *b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00";
/// How the video tag begins with which ffmpeg's muxer ends a file: AVC, packet type 2 (E.4.3.1).
pub const END_OF_SEQUENCE: &[u8] = &[0x17, 2];
const FILE_HEADER: usize = 13;
const TAG_HEADER: usize = 11;

/// One tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tag {
    /// 8 audio, 9 video, 18 data.
    pub kind: u8,
    /// Milliseconds, all 32 bits.
    pub timestamp: u32,
    /// The body.
    pub body: Vec<u8>,
}

impl Tag {
    /// Header, body and size of the tag.
    pub fn bytes(&self) -> Vec<u8> {
        let size = u32::try_from(self.body.len()).expect("a small body").to_be_bytes();
        let [high, a, b, c] = self.timestamp.to_be_bytes();
        let mut bytes = vec![self.kind, size[1], size[2], size[3], a, b, c, high, 0, 0, 0];
        bytes.extend_from_slice(&self.body);
        bytes.extend_from_slice(
            &u32::try_from(self.body.len() + TAG_HEADER).expect("a small body").to_be_bytes(),
        );
        bytes
    }

    /// Whether the ledger counts it, for the codecs that the tests use: legacy AVC and AAC.
    pub fn is_media(&self) -> bool {
        match self.kind {
            8 => self.body.first().is_some_and(|b| b >> 4 != 10 || self.body.get(1) != Some(&0)),
            9 => self.body.first().is_some_and(|b| b & 0x8f != 7 || self.body.get(1) != Some(&0)),
            _ => {
                !self.body.starts_with(b"\x02\x00\x0aonMetaData")
                    && !self.body.starts_with(b"\x02\x00\x0d@setDataFrame")
            }
        }
    }

    /// Whether it is a coded AVC keyframe.
    pub fn is_keyframe(&self) -> bool {
        self.kind == 9 && self.body.starts_with(&[0x17, 1])
    }

    /// Whether it is a sequence header of AVC or AAC.
    pub fn is_sequence_header(&self) -> bool {
        (self.kind == 9 && self.body.starts_with(&[0x17, 0]))
            || (self.kind == 8 && self.body.starts_with(&[0xaf, 0]))
    }
}

/// Cuts a stream of FLV bytes into tags, however they come.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: Vec<u8>,
    header_seen: bool,
}

impl Splitter {
    /// Takes more bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole tag, if it is there.
    pub fn next_tag(&mut self) -> Option<Tag> {
        if !self.header_seen {
            if self.buffer.len() < FILE_HEADER {
                return None;
            }
            assert!(self.buffer.starts_with(b"FLV"), "not an FLV stream");
            self.buffer.drain(..FILE_HEADER);
            self.header_seen = true;
        }
        let head: [u8; TAG_HEADER] = self.buffer.get(..TAG_HEADER)?.try_into().ok()?;
        let size = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
        let body = self.buffer.get(TAG_HEADER..TAG_HEADER + size)?.to_vec();
        if self.buffer.len() < TAG_HEADER + size + 4 {
            return None;
        }
        self.buffer.drain(..TAG_HEADER + size + 4);
        let timestamp = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
        Some(Tag { kind: head[0], timestamp, body })
    }
}

/// All whole tags of a file; none if there is no such file yet.
pub fn read(path: &Path) -> Vec<Tag> {
    let mut bytes = Vec::new();
    if let Ok(mut file) = fs::File::open(path) {
        file.read_to_end(&mut bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    let mut splitter = Splitter::default();
    splitter.push(&bytes);
    std::iter::from_fn(|| splitter.next_tag()).collect()
}

/// Writes a file of these tags.
pub fn write(path: &Path, tags: &[Tag]) {
    let mut bytes = HEADER.to_vec();
    tags.iter().for_each(|tag| bytes.extend(tag.bytes()));
    fs::write(path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes after E.4.1: type 9, size 5, timestamp 0x01020304 with its high byte last, stream 0, body, size 16.
    #[test]
    fn a_tag_has_the_bytes_of_the_table() {
        let tag = Tag { kind: 9, timestamp: 0x0102_0304, body: vec![0x17, 1, 0, 0, 0] };
        let bytes = b"\x09\0\0\x05\x02\x03\x04\x01\0\0\0\x17\x01\0\0\0\0\0\0\x10";
        assert_eq!(tag.bytes(), bytes);
        let mut splitter = Splitter::default();
        for byte in HEADER.iter().chain(bytes) {
            assert_eq!(splitter.next_tag(), None);
            splitter.push(&[*byte]);
        }
        assert_eq!(splitter.next_tag(), Some(tag.clone()));
        assert_eq!(splitter.next_tag(), None);
        assert!(tag.is_media() && tag.is_keyframe() && !tag.is_sequence_header());
    }
}
