//! Writing FLV (Video File Format Specification 10.1, annex E).
//!
//! A [`Frame`] is one message framed as a tag: made once, shared by recorder and HTTP viewers, its payload the
//! message's own bytes. [`Writer`] collects a whole file in memory, for whoever writes it out in pieces. Timestamps
//! are written as they are, never rebased.

use bytes::Bytes;
use segue_proto::MediaMessage;

use crate::Error;
use crate::reader::{HAS_AUDIO, HAS_VIDEO};

/// The largest payload of a tag: its size has 24 bits.
pub const MAX_PAYLOAD: usize = 0xff_ffff;

/// A file's first bytes: the header (E.2) and `PreviousTagSize0` (E.3).
pub const fn file_header(audio: bool, video: bool) -> [u8; 13] {
    let flags = if audio { HAS_AUDIO } else { 0 } | if video { HAS_VIDEO } else { 0 };
    [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]
}

/// A message framed as an FLV tag (E.4.1) with the `PreviousTagSize` that follows it. The three parts are written one
/// after the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The tag's header.
    pub head: [u8; 11],
    /// The message's payload, shared with it.
    pub payload: Bytes,
    /// The size of head and payload, for readers that go backwards.
    pub tail: [u8; 4],
}

impl Frame {
    /// Frames `message`.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] beyond [`MAX_PAYLOAD`], which no RTMP message reaches.
    pub fn new(message: &MediaMessage) -> Result<Self, Error> {
        let len = message.payload.len();
        if len > MAX_PAYLOAD {
            return Err(Error::TooLarge(len));
        }
        let [_, s2, s1, s0] = (len as u32).to_be_bytes();
        let [t3, t2, t1, t0] = message.timestamp.as_millis().to_be_bytes();
        let head = [message.kind.type_id(), s2, s1, s0, t2, t1, t0, t3, 0, 0, 0];
        let tail = (head.len() as u32 + len as u32).to_be_bytes();
        Ok(Self { head, payload: message.payload.clone(), tail })
    }

    /// The parts in order, for a vectored write.
    pub fn parts(&self) -> [&[u8]; 3] {
        [&self.head, &self.payload, &self.tail]
    }

    /// Bytes of all parts.
    #[expect(clippy::len_without_is_empty, reason = "a frame is never empty")]
    pub fn len(&self) -> usize {
        self.head.len() + self.payload.len() + self.tail.len()
    }
}

/// Encodes a file into memory. Take what is ready with [`take`](Self::take), as often as you like.
#[derive(Clone, Debug)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// A file whose header says which tags to expect.
    pub fn new(audio: bool, video: bool) -> Self {
        Self { out: file_header(audio, video).to_vec() }
    }

    /// Appends `message`.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`]; nothing is appended then.
    pub fn push(&mut self, message: &MediaMessage) -> Result<(), Error> {
        for part in Frame::new(message)?.parts() {
            self.out.extend_from_slice(part);
        }
        Ok(())
    }

    /// What was encoded since the last call.
    pub fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.out).into()
    }
}

#[cfg(test)]
mod tests {
    use segue_proto::{Timestamp, TrackKind};

    use super::*;
    use crate::Reader;

    fn message(kind: TrackKind, ms: u32, payload: impl Into<Bytes>) -> MediaMessage {
        MediaMessage::new(kind, Timestamp::from_millis(ms), payload.into())
    }

    #[test]
    fn the_bytes_of_the_tables() {
        let mut writer = Writer::new(true, false);
        assert_eq!(writer.take(), &b"FLV\x01\x04\0\0\0\x09\0\0\0\0"[..]);
        writer.push(&message(TrackKind::Audio, 0x0102_0304, &b"\xaf\x01\x2a"[..])).unwrap();
        writer.push(&message(TrackKind::Data, 0xff_ffff, &b"\x05"[..])).unwrap();
        assert_eq!(
            writer.take(),
            &b"\x08\0\0\x03\x02\x03\x04\x01\0\0\0\xaf\x01\x2a\0\0\0\x0e\
               \x12\0\0\x01\xff\xff\xff\0\0\0\0\x05\0\0\0\x0c"[..]
        );
        assert_eq!(file_header(true, true)[4], 5);
        assert_eq!(file_header(false, true)[4], 1);
    }

    #[test]
    fn the_largest_payload_and_one_more() {
        let frame = Frame::new(&message(TrackKind::Video, 0, vec![0; MAX_PAYLOAD])).unwrap();
        assert_eq!(frame.head[..4], [9, 0xff, 0xff, 0xff]);
        assert_eq!(frame.tail, [1, 0, 0, 10]);
        assert_eq!(frame.len(), MAX_PAYLOAD + 15);
        let error = Frame::new(&message(TrackKind::Video, 0, vec![0; MAX_PAYLOAD + 1])).unwrap_err();
        assert_eq!(error.to_string(), "a message of 16777216 bytes does not fit an FLV tag");
    }

    #[test]
    fn a_reader_gives_back_what_was_written() {
        let sent = [
            message(TrackKind::Video, u32::MAX, &b"\x17\x01"[..]),
            message(TrackKind::Audio, 0x8000_0000, &b""[..]),
            message(TrackKind::Data, 7, &b"\x02\0\x0aonTextData"[..]),
        ];
        let mut writer = Writer::new(true, true);
        let mut reader = Reader::new();
        for message in &sent {
            writer.push(message).unwrap();
            reader.push(writer.take());
            assert_eq!(reader.next().unwrap().as_ref(), Some(message));
        }
        assert_eq!(reader.truncated().unwrap(), None);
    }
}
