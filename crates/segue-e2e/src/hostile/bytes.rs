//! The bytes of attacks, by the tables of the specifications: chunks (RTMP 1.0, 5.3.1) with whatever lengths they claim,
//! commands, AMF0 and AMF3 values, nested and cut short.

/// Set Chunk Size's largest: a message is one chunk, whatever its length.
pub const ONE_CHUNK: u32 = 0x7fff_ffff;

/// C0, C1 of zeros, and C2, which the server has nothing to compare with in the simple handshake.
pub fn handshake() -> Vec<u8> {
    let mut bytes = vec![0; 1 + 2 * 1536];
    bytes[0] = 3;
    bytes
}

/// A basic header in the shortest form that has room (5.3.1.1).
pub fn basic(format: u8, csid: u32) -> Vec<u8> {
    match csid {
        2..=63 => vec![format << 6 | csid as u8],
        64..=319 => vec![format << 6, (csid - 64) as u8],
        _ => vec![format << 6 | 1, (csid - 64) as u8, ((csid - 64) >> 8) as u8],
    }
}

/// A chunk header of format 0 with timestamp 0, which claims `length`.
pub fn header(csid: u32, type_id: u8, stream: u32, length: u32) -> Vec<u8> {
    let [_, a, b, c] = length.to_be_bytes();
    [&basic(0, csid)[..], &[0, 0, 0, a, b, c, type_id], &stream.to_le_bytes()].concat()
}

/// A whole message in chunks of `chunk` bytes.
pub fn message(csid: u32, type_id: u8, stream: u32, body: &[u8], chunk: u32) -> Vec<u8> {
    let mut bytes = header(csid, type_id, stream, body.len() as u32);
    for (n, piece) in body.chunks(chunk as usize).enumerate() {
        if n > 0 {
            bytes.extend(basic(3, csid));
        }
        bytes.extend_from_slice(piece);
    }
    bytes
}

/// A protocol control message (5.4) of this body.
pub fn control(type_id: u8, body: &[u8]) -> Vec<u8> {
    message(2, type_id, 0, body, ONE_CHUNK)
}

/// Set Chunk Size.
pub fn set_chunk_size(size: u32) -> Vec<u8> {
    control(1, &size.to_be_bytes())
}

/// The body of a User Control message (6.2).
pub fn user_control(event: u16, data: &[u8]) -> Vec<u8> {
    [&event.to_be_bytes(), data].concat()
}

/// A command of at most 128 bytes, with what follows its transaction id.
pub fn command(name: &str, transaction: f64, rest: &[u8], stream: u32) -> Vec<u8> {
    message(3, 20, stream, &[&text(name), &number(transaction), rest].concat(), 128)
}

/// An AMF0 string of at most 65,535 bytes.
pub fn text(text: &str) -> Vec<u8> {
    [&[2], &(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

/// An AMF0 number.
pub fn number(value: f64) -> Vec<u8> {
    [&[0], &value.to_be_bytes()[..]].concat()
}

/// AMF0's null.
pub fn null() -> Vec<u8> {
    vec![5]
}

/// How AMF0 and AMF3 begin a container inside the one before it: repeated, it never ends.
#[derive(Clone, Copy, Debug)]
pub enum Nest {
    /// AMF0 object, its first property an object.
    Object,
    /// AMF0 ECMA array, likewise.
    EcmaArray,
    /// AMF0 strict array of one.
    StrictArray,
    /// AMF0 typed object.
    TypedObject,
    /// AMF3 array of one dense value, behind AMF0's marker.
    Amf3Array,
    /// AMF3 object with one dynamic member, behind AMF0's marker.
    Amf3Object,
}

impl Nest {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Object,
        Self::EcmaArray,
        Self::StrictArray,
        Self::TypedObject,
        Self::Amf3Array,
        Self::Amf3Object,
    ];

    /// `depth` of them, one in the other, and a null inside; none is ended.
    pub fn deep(self, depth: usize) -> Vec<u8> {
        let (first, level, inside): (&[u8], &[u8], u8) = match self {
            Self::Object => (b"", b"\x03\x00\x01a", 5),
            Self::EcmaArray => (b"", b"\x08\x00\x00\x00\x01\x00\x01a", 5),
            Self::StrictArray => (b"", b"\x0a\x00\x00\x00\x01", 5),
            Self::TypedObject => (b"", b"\x10\x00\x01C\x00\x01a", 5),
            Self::Amf3Array => (b"\x11", b"\x09\x03\x01", 1),
            Self::Amf3Object => (b"\x11", b"\x0a\x0b\x01\x03a", 1),
        };
        [first, &level.repeat(depth), &[inside]].concat()
    }
}

/// Values that claim far more than what follows: counts and lengths of 0xFFFFFFFF in AMF0, of 29 bits in AMF3 (1.3.1), all
/// of them cut short.
pub fn lies() -> Vec<Vec<u8>> {
    let amf3 = |marker: u8| vec![0x11, marker, 0xff, 0xff, 0xff, 0xff];
    let mut lies = vec![
        b"\x0a\xff\xff\xff\xff".to_vec(),
        b"\x08\xff\xff\xff\xff".to_vec(),
        b"\x0c\xff\xff\xff\xff".to_vec(),
        b"\x0f\xff\xff\xff\xff".to_vec(),
        b"\x02\xff\xff".to_vec(),
        b"\x03\xff\xff".to_vec(),
        b"\x10\xff\xff".to_vec(),
        // As many members as a command has bytes for.
        [&b"\x0a\xff\xff\xff\xff"[..], &[5; 60_000]].concat(),
        // An object whose traits claim 2^25 members.
        b"\x11\x0a\xff\xff\xff\xfb\x01".to_vec(),
    ];
    // String, XML document, array, object, XML, byte array, the vectors, dictionary.
    lies.extend([6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17].map(amf3));
    lies
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chunk of 5.3.1's figures, and the second example of 5.3.2.
    #[test]
    fn chunks_are_those_of_the_specification() {
        assert_eq!(basic(0, 3), [3]);
        assert_eq!(basic(3, 64), [0xc0, 0]);
        assert_eq!(basic(1, 319), [0x40, 255]);
        assert_eq!(basic(0, 320), [1, 0, 1]);
        assert_eq!(basic(0, 65_599), [1, 255, 255]);
        let found = message(4, 9, 12_346, &[7; 307], 128);
        assert!(found.starts_with(b"\x04\0\0\0\x00\x01\x33\x09\x3a\x30\x00\x00"));
        assert_eq!(found.len(), 12 + 307 + 2);
        assert_eq!(crate::wire::messages(&[handshake(), found].concat())[0].payload, [7; 307]);
    }

    #[test]
    fn nested_values_are_as_deep_as_they_are_asked_for() {
        assert_eq!(Nest::Object.deep(2), b"\x03\x00\x01a\x03\x00\x01a\x05");
        assert!(Nest::ALL.iter().all(|nest| nest.deep(70_000).len() >= 3 * 70_000));
    }
}
