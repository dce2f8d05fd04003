//! Reads captured RTMP bytes back into messages, by the specification and by no code of the product, to say what a
//! server really sent. Strict: a stream that it cannot follow is a failed test.

/// A message as it went over the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Chunk stream.
    pub csid: u32,
    /// Message stream.
    pub stream: u32,
    /// RTMP message type.
    pub type_id: u8,
    /// Absolute, in milliseconds.
    pub timestamp: u32,
    /// The body.
    pub payload: Vec<u8>,
    /// Bytes from the connection's first to this message's last.
    pub end: usize,
}

/// C0/S0 to C2/S2 (RTMP 1.0, 5.2).
const HANDSHAKE: usize = 1 + 1536 + 1536;
const SET_CHUNK_SIZE: u8 = 1;
const ABORT: u8 = 2;
const GO_AWAY: u8 = 32;
/// The code of the Reconnect Request of E-RTMP v2.
const RECONNECT_REQUEST: &[u8] = b"NetConnection.Connect.ReconnectRequest";

#[derive(Clone, Default)]
struct ChunkStream {
    stream: u32,
    type_id: u8,
    timestamp: u32,
    delta: u32,
    length: usize,
    extended: bool,
    partial: Vec<u8>,
}

/// All whole messages in one direction of a connection, from its first byte.
///
/// # Panics
/// At a chunk that refers to a header which never came.
pub fn messages(bytes: &[u8]) -> Vec<Message> {
    let mut streams = std::collections::BTreeMap::<u32, ChunkStream>::new();
    let mut chunk_size = 128;
    let mut found = Vec::new();
    let mut at = HANDSHAKE;
    while let Some((end, message)) = chunk(bytes, at, &mut streams, chunk_size) {
        at = end;
        let Some(message) = message else { continue };
        match (message.type_id, message.payload.as_slice()) {
            (SET_CHUNK_SIZE, &[a, b, c, d]) => chunk_size = u32::from_be_bytes([a, b, c, d]) as usize,
            (ABORT, &[a, b, c, d]) => {
                if let Some(stream) = streams.get_mut(&u32::from_be_bytes([a, b, c, d])) {
                    stream.partial.clear();
                }
            }
            _ => found.push(message),
        }
    }
    found
}

/// The messages that tell a client to go, in either dialect.
pub fn signals(messages: &[Message]) -> Vec<&Message> {
    let tells = |m: &&Message| {
        m.type_id == GO_AWAY || m.payload.windows(RECONNECT_REQUEST.len()).any(|w| w == RECONNECT_REQUEST)
    };
    messages.iter().filter(tells).collect()
}

/// Reads the chunk at `at` (RTMP 1.0, 5.3.1): where it ends, and the message that it completes. None: it is not whole.
fn chunk(
    bytes: &[u8],
    at: usize,
    streams: &mut std::collections::BTreeMap<u32, ChunkStream>,
    chunk_size: usize,
) -> Option<(usize, Option<Message>)> {
    let mut rest = bytes.get(at..)?;
    let first = take(&mut rest, 1)?[0];
    let csid = match first & 0x3f {
        0 => u32::from(take(&mut rest, 1)?[0]) + 64,
        1 => {
            let two = take(&mut rest, 2)?;
            u32::from(two[0]) + u32::from(two[1]) * 256 + 64
        }
        n => n.into(),
    };
    let format = first >> 6;
    let mut stream = streams.get(&csid).cloned();
    assert!(format == 0 || stream.is_some(), "chunk at byte {at}: fmt {format} first on chunk stream {csid}");
    let mut state = stream.take().unwrap_or_default();
    let header = take(&mut rest, [11, 7, 3, 0][usize::from(format)])?;
    let mut time = None;
    if let Some(&[a, b, c]) = header.get(..3) {
        assert!(state.partial.is_empty(), "chunk at byte {at}: a new header inside a message");
        time = Some(u32::from_be_bytes([0, a, b, c]));
        state.extended = time == Some(0xff_ffff);
    }
    if let Some(&[a, b, c, type_id]) = header.get(3..7) {
        state.length = u32::from_be_bytes([0, a, b, c]) as usize;
        state.type_id = type_id;
    }
    if let Some(&[a, b, c, d]) = header.get(7..11) {
        state.stream = u32::from_le_bytes([a, b, c, d]);
    }
    if state.extended {
        let four = take(&mut rest, 4)?;
        if time.is_some() {
            time = Some(u32::from_be_bytes([four[0], four[1], four[2], four[3]]));
        }
    }
    if state.partial.is_empty() {
        match (format, time) {
            (0, Some(time)) => (state.timestamp, state.delta) = (time, time),
            (_, Some(delta)) => {
                state.delta = delta;
                state.timestamp = state.timestamp.wrapping_add(delta);
            }
            (_, None) => state.timestamp = state.timestamp.wrapping_add(state.delta),
        }
    }
    let n = (state.length - state.partial.len()).min(chunk_size);
    state.partial.extend_from_slice(take(&mut rest, n)?);
    let end = bytes.len() - rest.len();
    let message = (state.partial.len() == state.length).then(|| Message {
        csid,
        stream: state.stream,
        type_id: state.type_id,
        timestamp: state.timestamp,
        payload: std::mem::take(&mut state.partial),
        end,
    });
    streams.insert(csid, state);
    Some((end, message))
}

fn take<'a>(rest: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(n)?;
    *rest = tail;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(chunks: &[u8]) -> Vec<Message> {
        let mut bytes = vec![0; HANDSHAKE];
        bytes.extend_from_slice(chunks);
        messages(&bytes)
    }

    /// The first example of the specification (5.3.2.1): four audio messages of 32 bytes, in fmt 0, 2, 3 and 3.
    #[test]
    fn the_specifications_first_example() {
        let mut bytes = b"\x03\x00\x03\xe8\x00\x00\x20\x08\x39\x30\x00\x00".to_vec();
        bytes.extend([1; 32]);
        bytes.extend(b"\x83\x00\x00\x14");
        bytes.extend([2; 32]);
        for n in [3, 4] {
            bytes.push(0xc3);
            bytes.extend([n; 32]);
        }
        let found = captured(&bytes);
        let seen: Vec<_> = found.iter().map(|m| (m.timestamp, m.stream, m.type_id, m.payload[0])).collect();
        assert_eq!(
            seen,
            [(1000, 12345, 8, 1), (1020, 12345, 8, 2), (1040, 12345, 8, 3), (1060, 12345, 8, 4)]
        );
    }

    /// The second (5.3.2.2): one video message of 307 bytes in three chunks of at most 128.
    #[test]
    fn the_specifications_second_example() {
        let mut bytes = b"\x04\x00\x03\xe8\x00\x01\x33\x09\x3a\x30\x00\x00".to_vec();
        for n in [128, 128, 51] {
            bytes.extend(vec![7; n]);
            bytes.push(0xc4);
        }
        let found = captured(&bytes);
        assert_eq!((found.len(), found[0].payload.len(), found[0].stream), (1, 307, 12346));
    }

    #[test]
    fn both_dialects_are_seen() {
        let mut bytes = b"\x02\0\0\0\0\0\x04\x20\0\0\0\0\0\0\0\0".to_vec();
        let body = [b"\x02\0\x26".as_slice(), RECONNECT_REQUEST].concat();
        bytes.extend(b"\x03\0\0\0\0\0");
        bytes.push(u8::try_from(body.len()).unwrap());
        bytes.extend(b"\x14\0\0\0\0");
        bytes.extend(&body);
        bytes.extend(b"\x02\0\0\0\0\0\x04\x03\0\0\0\0\0\0\0\x09");
        let found = captured(&bytes);
        assert_eq!(found.len(), 3);
        assert_eq!(signals(&found).len(), 2);
    }
}
