//! Reading FLV (Video File Format Specification 10.1, annex E): bytes in, media messages out.
//!
//! [`Reader`] does no I/O, so that files, stdin and async callers share it; [`Messages`] drives it from any
//! [`std::io::Read`]. A `@setDataFrame` wrapper is taken off, and data in AMF3 (tag type 15; E-RTMP v2, "Enabling AMF3 in
//! FLV") becomes AMF0, as everywhere. Tags of unknown type and encrypted ones are skipped. `PreviousTagSize` and
//! `StreamID` are not looked at: nothing depends on them, and writers get them wrong. What else a payload holds is not
//! judged here.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use bytes::{Buf, Bytes, BytesMut};
use segue_proto::message::{data, type_id};
use segue_proto::{MediaMessage, Timestamp, TrackKind};

use crate::Error;

/// Bytes of the header's fixed part (E.2).
const HEADER: usize = 9;
/// Bytes of a tag before its payload (E.4.1).
const TAG_HEAD: usize = 11;
/// Bytes of `PreviousTagSize` (E.3).
const TAG_TAIL: u64 = 4;
/// What the file begins with.
const SIGNATURE: &[u8] = b"FLV";
/// Bits of the header's flags.
pub(crate) const HAS_AUDIO: u8 = 0x04;
pub(crate) const HAS_VIDEO: u8 = 0x01;
/// The bit of a tag's first byte that says that the payload is encrypted.
const FILTER: u8 = 0x20;
/// The bits of a tag's first byte that hold its type.
const TAG_TYPE: u8 = 0x1f;
/// How much [`Messages`] reads at once.
const READ_SIZE: usize = 64 * 1024;

/// What the file header says of the tags to come (E.2). Writers often set both flags whatever follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Audio tags are present.
    pub audio: bool,
    /// Video tags are present.
    pub video: bool,
}

/// An incremental FLV parser. [`push`](Self::push) bytes in any pieces, then take messages with
/// [`next`](Self::next) until it gives none; at the end of the input, ask [`truncated`](Self::truncated).
///
/// It holds what was pushed and not yet given out: less than one tag (16 MiB) and the last piece. Nothing is
/// allocated by a size that a tag or the header claims, only for bytes received.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    buffer: BytesMut,
    header: Option<Header>,
    /// Bytes of no interest that come next: the rest of a long header, a `PreviousTagSize`.
    skip: u64,
}

impl Reader {
    /// A reader at the start of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next bytes of the input.
    pub fn push(&mut self, mut data: Bytes) {
        let n = self.skip.min(data.len() as u64);
        data.advance(n as usize);
        self.skip -= n;
        self.buffer.extend_from_slice(&data);
    }

    /// The next whole audio, video or data tag, or `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`Error::NotFlv`] if the input does not begin with an FLV header; then every later call says so again.
    #[expect(clippy::should_implement_trait, reason = "running out of bytes is not the end of an iterator")]
    pub fn next(&mut self) -> Result<Option<MediaMessage>, Error> {
        if self.header.is_none() && !self.read_header()? {
            return Ok(None);
        }
        loop {
            let Some((tag_type, timestamp, size)) = tag_head(&self.buffer) else { return Ok(None) };
            if self.buffer.len() < TAG_HEAD + size {
                return Ok(None);
            }
            self.buffer.advance(TAG_HEAD);
            let payload = self.buffer.split_to(size).freeze();
            self.discard(TAG_TAIL);
            let payload = data::as_amf0(tag_type, payload);
            if let (Some(kind), Some(payload)) = (kind_of(tag_type), payload) {
                return Ok(Some(MediaMessage::new(kind, timestamp, payload)));
            }
        }
    }

    /// What the file header said, once it is read.
    pub fn header(&self) -> Option<Header> {
        self.header
    }

    /// At the end of the input, after [`next`](Self::next) gave `None`: how many bytes of a tag are left that never
    /// became whole, or `None` if the input ended after a whole tag. An absent last `PreviousTagSize` is no loss.
    ///
    /// # Errors
    ///
    /// [`Error::NoHeader`] if the input ended before its header was complete.
    pub fn truncated(&self) -> Result<Option<u64>, Error> {
        if self.header.is_none() || self.skip > TAG_TAIL {
            return Err(Error::NoHeader);
        }
        Ok(Some(self.buffer.len() as u64).filter(|left| *left > 0))
    }

    /// Whether the header is complete; it need not be for the first wrong byte to be an error.
    fn read_header(&mut self) -> Result<bool, Error> {
        let seen = self.buffer.len().min(SIGNATURE.len());
        if self.buffer.get(..seen) != SIGNATURE.get(..seen) {
            return Err(Error::NotFlv);
        }
        let Some((head, _)) = self.buffer.split_first_chunk::<HEADER>() else { return Ok(false) };
        let [_, _, _, _version, flags, offset @ ..] = *head;
        let offset = u32::from_be_bytes(offset);
        // The offset counts from the file's first byte, so that later versions can lengthen the header.
        let Some(rest) = offset.checked_sub(HEADER as u32) else { return Err(Error::NotFlv) };
        self.header = Some(Header { audio: flags & HAS_AUDIO != 0, video: flags & HAS_VIDEO != 0 });
        self.buffer.advance(HEADER);
        self.discard(u64::from(rest) + TAG_TAIL);
        Ok(true)
    }

    fn discard(&mut self, bytes: u64) {
        let here = bytes.min(self.buffer.len() as u64);
        self.buffer.advance(here as usize);
        self.skip = bytes - here;
    }
}

/// The kind of tag that it is, if it is one that we give out. An encrypted one's type is none of these.
fn kind_of(tag_type: u8) -> Option<TrackKind> {
    if tag_type == type_id::DATA_AMF3 { Some(TrackKind::Data) } else { TrackKind::from_type_id(tag_type) }
}

/// The tag's type with the bit for encryption, its timestamp and payload size (E.4.1).
fn tag_head(buffer: &[u8]) -> Option<(u8, Timestamp, usize)> {
    let (head, _) = buffer.split_first_chunk::<TAG_HEAD>()?;
    let [first, s2, s1, s0, t2, t1, t0, t3, _stream_id @ ..] = *head;
    let timestamp = Timestamp::from_millis(u32::from_be_bytes([t3, t2, t1, t0]));
    Some((first & (FILTER | TAG_TYPE), timestamp, u32::from_be_bytes([0, s2, s1, s0]) as usize))
}

/// The messages of an FLV input, read to its end. After the first error it ends.
#[derive(Debug)]
pub struct Messages<R> {
    input: R,
    reader: Reader,
    block: Vec<u8>,
    ended: bool,
}

/// Opens a file.
///
/// # Errors
///
/// [`Error::Io`]; whether it is FLV shows with the first message.
pub fn read_file(path: &Path) -> Result<Messages<File>, Error> {
    Ok(Messages::new(File::open(path)?))
}

impl<R: Read> Messages<R> {
    /// The messages of `input`, from its first byte.
    pub fn new(input: R) -> Self {
        Self { input, reader: Reader::new(), block: vec![0; READ_SIZE], ended: false }
    }

    /// As [`Reader::truncated`], once the messages are at their end.
    ///
    /// # Errors
    ///
    /// [`Error::NoHeader`] if the input ended before its header was complete.
    pub fn truncated(&self) -> Result<Option<u64>, Error> {
        self.reader.truncated()
    }

    fn read(&mut self) -> Result<Option<MediaMessage>, Error> {
        loop {
            if let Some(message) = self.reader.next()? {
                return Ok(Some(message));
            }
            match self.input.read(&mut self.block) {
                Ok(0) => return self.reader.truncated().map(|_| None),
                Ok(n) => self.reader.push(Bytes::copy_from_slice(self.block.get(..n).unwrap_or_default())),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl<R: Read> Iterator for Messages<R> {
    type Item = Result<MediaMessage, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.read().transpose();
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E.2 and E.4.1, by hand: header, then AAC at 0x01020304 ms, an encrypted tag, data in no known
    /// format, AVC at 5.
    const FILE: &[u8] = b"FLV\x01\x05\0\0\0\x09\0\0\0\0\
        \x08\0\0\x03\x02\x03\x04\x01\0\0\0\xaf\x01\x2a\0\0\0\x0e\
        \x29\0\0\x02\0\0\0\0\0\0\0zz\0\0\0\x0d\
        \x0f\0\0\x01\0\0\0\0\0\0\0z\0\0\0\x0c\
        \x09\0\0\x02\0\0\x05\0\0\0\0\x27\x01\xde\xad\xbe\xef";

    fn read_all(pieces: impl IntoIterator<Item = Vec<u8>>) -> (Vec<MediaMessage>, Reader) {
        let (mut reader, mut messages) = (Reader::new(), Vec::new());
        for piece in pieces {
            reader.push(piece.into());
            while let Some(message) = reader.next().unwrap() {
                messages.push(message);
            }
        }
        (messages, reader)
    }

    fn expected() -> Vec<MediaMessage> {
        vec![
            MediaMessage::new(
                TrackKind::Audio,
                Timestamp::from_millis(0x0102_0304),
                Bytes::from_static(b"\xaf\x01\x2a"),
            ),
            MediaMessage::new(TrackKind::Video, Timestamp::from_millis(5), Bytes::from_static(b"\x27\x01")),
        ]
    }

    #[test]
    fn a_file_by_the_tables_in_any_split() {
        for size in 1..=FILE.len() {
            let (messages, reader) = read_all(FILE.chunks(size).map(<[u8]>::to_vec));
            assert_eq!(messages, expected(), "pieces of {size}");
            assert_eq!(reader.truncated().unwrap(), None);
            assert_eq!(reader.header(), Some(Header { audio: true, video: true }));
        }
    }

    #[test]
    fn every_cut_gives_the_whole_tags_and_says_what_is_left() {
        // Ends of: header, PreviousTagSize0, and the four tags without their PreviousTagSize.
        let ends = [13, 13 + 14, 31 + 13, 48 + 12, 64 + 13];
        for cut in 0..=FILE.len() {
            let (messages, reader) = read_all([FILE[..cut].to_vec()]);
            if cut < HEADER {
                assert!(matches!(reader.truncated(), Err(Error::NoHeader)));
                continue;
            }
            let whole = usize::from(cut >= ends[1]) + usize::from(cut >= ends[4]);
            assert_eq!(messages.len(), whole, "cut at {cut}");
            let starts = [13, 31, 48, 64, FILE.len()];
            let left = starts.windows(2).zip(&ends[1..]).find(|(w, end)| (w[0] + 1..**end).contains(&cut));
            assert_eq!(reader.truncated().unwrap(), left.map(|(w, _)| (cut - w[0]) as u64), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_not_flv_is_said_at_its_first_wrong_byte() {
        for bytes in [&b"G"[..], b"FLW", b"\0\0\0\x20ftyp", b"FLV\x01\x05\0\0\0\x08\0\0\0\0"] {
            let mut reader = Reader::new();
            reader.push(Bytes::from_static(bytes));
            assert!(matches!(reader.next(), Err(Error::NotFlv)), "{bytes:?}");
            assert!(matches!(reader.next(), Err(Error::NotFlv)), "again");
        }
        assert_eq!(Error::NotFlv.to_string(), "not an FLV file");
    }

    #[test]
    fn a_longer_header_is_skipped_however_it_arrives() {
        let mut long = FILE.to_vec();
        long[8] = 9 + 300u16.to_be_bytes()[1];
        long[7] = 1;
        long.splice(9..9, [0xff; 300]);
        for size in [1, 7, 200, long.len()] {
            assert_eq!(read_all(long.chunks(size).map(<[u8]>::to_vec)).0, expected());
        }
        let (_, reader) = read_all([long[..200].to_vec()]);
        assert!(matches!(reader.truncated(), Err(Error::NoHeader)));
    }

    #[test]
    fn the_largest_tag_is_held_only_as_it_arrives() {
        let mut head = FILE[..13].to_vec();
        head.extend_from_slice(b"\x09\xff\xff\xff\0\0\0\0\0\0\0");
        let mut reader = Reader::new();
        reader.push(head.into());
        assert_eq!(reader.next().unwrap(), None);
        assert!(reader.buffer.capacity() < 4096);
        reader.push(vec![7; 0xff_fffe].into());
        assert_eq!(reader.next().unwrap(), None);
        assert_eq!(reader.truncated().unwrap(), Some(11 + 0xff_fffe));
        reader.push(Bytes::from_static(&[7]));
        assert_eq!(reader.next().unwrap().unwrap().payload.len(), 0xff_ffff);
    }

    #[test]
    fn zero_length_tags_and_wrapped_metadata() {
        let mut file = FILE[..13].to_vec();
        file.extend_from_slice(b"\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\x0b\x12\0\0\x1d\0\0\0\0\0\0\0");
        file.extend_from_slice(b"\x02\0\x0d@setDataFrame\x02\0\x0aonMetaData");
        let (messages, reader) = read_all([file]);
        assert!(messages[0].payload.is_empty());
        assert_eq!(&messages[1].payload[..], b"\x02\0\x0aonMetaData");
        assert_eq!(reader.truncated().unwrap(), None);
    }

    /// E-RTMP v2, "Enabling AMF3 in FLV": format 0, a string in AMF0, an object in AMF3 behind the marker 0x11.
    #[test]
    fn tag_type_15_is_data_whose_amf3_becomes_amf0() {
        let payload = b"\x00\x02\x00\x0aonMetaData\x11\x0a\x0b\x01\x0bwidth\x04\x82\x40\x01";
        for (tag_type, read) in [(0x0f, true), (0x2f, false), (0x10, false), (0x11, false)] {
            let head = [tag_type, 0, 0, payload.len() as u8, 0, 0, 7, 0, 0, 0, 0];
            let (messages, reader) = read_all([[&FILE[..13], &head, payload].concat()]);
            let data = MediaMessage::new(
                TrackKind::Data,
                Timestamp::from_millis(7),
                Bytes::from_static(
                    b"\x02\x00\x0aonMetaData\x03\x00\x05width\x00\x40\x74\0\0\0\0\0\0\x00\x00\x09",
                ),
            );
            assert_eq!(messages, if read { vec![data] } else { vec![] }, "{tag_type:#x}");
            assert_eq!(reader.truncated().unwrap(), None);
        }
    }

    #[test]
    fn an_iterator_over_any_input_ends_after_its_first_error() {
        let mut messages = Messages::new(&FILE[..70]);
        assert_eq!(messages.by_ref().map(Result::unwrap).collect::<Vec<_>>(), expected()[..1]);
        assert_eq!(messages.truncated().unwrap(), Some(6));
        let mut messages = Messages::new(&b"not at all"[..]);
        assert!(matches!(messages.next(), Some(Err(Error::NotFlv))));
        assert!(messages.next().is_none());
        assert!(matches!(Messages::new(&b""[..]).next(), Some(Err(Error::NoHeader))));
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(bytes: Vec<u8>, split: usize) {
            let input = [&FILE[..13], &bytes].concat();
            let at = split % (input.len() + 1);
            let whole = read_all([input.clone()]);
            let pieces = read_all([input[..at].to_vec(), input[at..].to_vec()]);
            proptest::prop_assert_eq!(whole.0, pieces.0);
            proptest::prop_assert_eq!(whole.1.truncated().unwrap(), pieces.1.truncated().unwrap());
        }
    }
}
