//! What the simple handshake (RTMP 1.0, 5.2.3 and 5.2.4) writes. The one with digests begins with the same bytes, and
//! signs them after.

use bytes::BytesMut;

use super::{PACKET_LEN, VERSION};

/// C0 and C1, or S0 and S1: version, time, four zero bytes (any others say "digest handshake"), random bytes.
pub(super) fn version_and_packet(random: &[u8], time_ms: u32) -> BytesMut {
    // With room for S2, which leaves with S0 and S1.
    let mut bytes = BytesMut::with_capacity(super::LEN);
    bytes.extend_from_slice(&[VERSION]);
    bytes.extend_from_slice(&time_ms.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(random);
    bytes
}

/// C2 or S2: the peer's packet again, with the time at which it was read in the second field.
pub(super) fn echo(packet: &[u8; PACKET_LEN], time_ms: u32) -> [u8; PACKET_LEN] {
    let mut bytes = *packet;
    bytes.iter_mut().skip(4).zip(time_ms.to_be_bytes()).for_each(|(to, from)| *to = from);
    bytes
}
