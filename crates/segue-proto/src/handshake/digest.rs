//! The digests of Flash Player's and Flash Media Server's handshake, which no specification tells of; ffmpeg, librtmp,
//! nginx-rtmp and SRS agree on it. C1 and S1 hold an HMAC-SHA256 of themselves, at a place that four of their bytes
//! name, in the first or in the second half; S2 and C2 end in one whose key is made of the other side's digest.
//!
//! Its keys are known to all: it proves that a peer knows the game, and nothing else. What is not as it should be is
//! therefore no fault, but the simple handshake.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::PACKET_LEN;

/// Bytes of a digest.
const LEN: usize = 32;
/// Bytes of the field that names the digest's place, right before the block in which it lies.
const FIELD: usize = 4;
/// The places in a block: the field names one by the sum of its bytes, modulo this.
const PLACES: usize = 728;
/// What stands in both sides' long keys after the name.
const SECRET: [u8; 32] = [
    0xF0, 0xEE, 0xC2, 0x4A, 0x80, 0x68, 0xBE, 0xE8, 0x2E, 0x00, 0xD0, 0xD1, 0x02, 0x9E, 0x7E, 0x57, 0x6E,
    0xEC, 0x5D, 0x2D, 0x29, 0x80, 0x6F, 0xAB, 0x93, 0xB8, 0xE6, 0x36, 0xCF, 0xEB, 0x31, 0xAE,
];

/// C1, S1, C2 or S2.
type Packet = [u8; PACKET_LEN];
/// A digest as it stands in a packet.
pub(super) type Digest = [u8; LEN];

/// Who signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Client,
    Server,
}

impl Side {
    /// The key of what is in C1 or S1.
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Client => b"Genuine Adobe Flash Player 001",
            Self::Server => b"Genuine Adobe Flash Media Server 001",
        }
    }

    /// The second field of C1 or S1: a version. Any but 0 says "digest handshake"; ffmpeg believes a server from 3 on.
    const fn version(self) -> [u8; 4] {
        match self {
            Self::Client => [10, 0, 32, 18],
            Self::Server => [3, 5, 7, 0],
        }
    }
}

/// In which half of C1 and S1 the digest lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scheme {
    First,
    Second,
}

impl Scheme {
    /// Where the field lies that names the digest's place.
    const fn field(self) -> usize {
        match self {
            Self::First => 8,
            Self::Second => 772,
        }
    }

    /// Where the digest of `packet` lies, or should.
    fn place(self, packet: &Packet) -> Option<usize> {
        let field = packet.get(self.field()..)?.first_chunk::<FIELD>()?;
        let sum: u16 = field.iter().map(|&byte| u16::from(byte)).sum();
        self.field().checked_add(FIELD)?.checked_add(usize::from(sum) % PLACES)
    }
}

/// The digest that `packet`, a C1 or S1 of `side`, carries, and where; `None` if it is not there, or not right.
pub(super) fn find(packet: &Packet, side: Side) -> Option<(Scheme, Digest)> {
    // The simple handshake: nothing to compute, which an unknown client should not cost.
    if packet.get(4..8)? == [0; 4] {
        return None;
    }
    [Scheme::First, Scheme::Second].into_iter().find_map(|scheme| {
        let (mac, digest) = of_packet(packet, scheme, side)?;
        mac.verify(digest.into()).ok()?;
        Some((scheme, *digest))
    })
}

/// Writes version and digest into `packet`, a C1 or S1 of `side`, and returns the digest.
pub(super) fn imprint(packet: &mut Packet, scheme: Scheme, side: Side) -> Option<Digest> {
    packet.get_mut(4..8)?.copy_from_slice(&side.version());
    seal(packet, scheme, side)
}

/// Writes the digest of `packet`, with whatever version it has.
fn seal(packet: &mut Packet, scheme: Scheme, side: Side) -> Option<Digest> {
    let digest = of_packet(packet, scheme, side)?.0.finalize().into_bytes().into();
    let place = scheme.place(packet)?;
    *packet.get_mut(place..)?.first_chunk_mut()? = digest;
    Some(digest)
}

/// Writes into `packet`, a C2 or S2 of `side`, what answers `digest`.
pub(super) fn sign(packet: &mut Packet, digest: &Digest, side: Side) -> Option<()> {
    let (body, signature) = packet.split_last_chunk_mut()?;
    *signature = of_answer(body, digest, side)?.finalize().into_bytes().into();
    Some(())
}

/// Whether `packet`, a C2 or S2 of `side`, answers `digest`.
pub(super) fn answers(packet: &Packet, digest: &Digest, side: Side) -> bool {
    packet.split_last_chunk::<LEN>().is_some_and(|(body, signature)| {
        of_answer(body, digest, side).is_some_and(|mac| mac.verify(signature.into()).is_ok())
    })
}

/// The digest to be, over everything around its place, and what stands there.
fn of_packet(packet: &Packet, scheme: Scheme, side: Side) -> Option<(Hmac<Sha256>, &Digest)> {
    let (before, rest) = packet.split_at_checked(scheme.place(packet)?)?;
    let (digest, after) = rest.split_first_chunk()?;
    Some((keyed(side.name())?.chain_update(before).chain_update(after), digest))
}

fn of_answer(body: &[u8], digest: &Digest, side: Side) -> Option<Hmac<Sha256>> {
    let long = [side.name(), &SECRET].concat();
    let key = keyed(&long)?.chain_update(digest).finalize().into_bytes();
    Some(keyed(&key)?.chain_update(body))
}

fn keyed(key: &[u8]) -> Option<Hmac<Sha256>> {
    // A key of any length will do: it never fails.
    Hmac::new_from_slice(key).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FFMPEG: &[u8; 1537] = include_bytes!("testdata/ffmpeg-5.1.bin");
    const LIBRTMP: &[u8; 3073] = include_bytes!("testdata/librtmp-2.4.bin");
    const LIBRTMP_RTMPE: &[u8; 1537] = include_bytes!("testdata/librtmp-2.4-rtmpe.bin");
    const NGINX: &[u8; 3073] = include_bytes!("testdata/nginx-rtmp.bin");

    fn first(bytes: &[u8]) -> Packet {
        *bytes[1..].first_chunk().unwrap()
    }

    fn second(bytes: &[u8]) -> Packet {
        *bytes.last_chunk().unwrap()
    }

    /// Packets that others signed: whose, in which half, at which byte.
    fn captured() -> [(Packet, Side, Scheme, usize); 4] {
        [
            (first(FFMPEG), Side::Client, Scheme::First, 494),
            (first(LIBRTMP), Side::Client, Scheme::First, 430),
            (first(LIBRTMP_RTMPE), Side::Client, Scheme::Second, 1383),
            (first(NGINX), Side::Server, Scheme::First, 531),
        ]
    }

    #[test]
    fn what_others_signed_is_found() {
        for (packet, side, scheme, at) in captured() {
            assert_eq!(find(&packet, side), Some((scheme, packet[at..at + 32].try_into().unwrap())));
            let other = if side == Side::Client { Side::Server } else { Side::Client };
            assert_eq!(find(&packet, other), None, "signed with the other's key");
        }
    }

    #[test]
    fn one_bit_anywhere_undoes_it() {
        for (packet, side, ..) in captured() {
            for at in 0..PACKET_LEN {
                let mut packet = packet;
                packet[at] ^= 1;
                assert_eq!(find(&packet, side), None, "byte {at}");
            }
        }
    }

    #[test]
    fn what_is_signed_is_what_others_signed() {
        for (packet, side, scheme, at) in captured() {
            let mut ours = packet;
            ours[at..at + LEN].fill(0);
            assert!(seal(&mut ours, scheme, side).is_some() && ours == packet);
            // With our version, and its digest.
            let digest = imprint(&mut ours, scheme, side).unwrap();
            assert_eq!(
                (ours[4..8].to_vec(), find(&ours, side)),
                (side.version().to_vec(), Some((scheme, digest)))
            );
        }
    }

    #[test]
    fn answers_of_others_are_right_and_ours_are_theirs() {
        let (_, c1) = find(&first(LIBRTMP), Side::Client).unwrap();
        let (_, s1) = find(&first(NGINX), Side::Server).unwrap();
        for (packet, digest, side) in [(second(NGINX), c1, Side::Server), (second(LIBRTMP), s1, Side::Client)]
        {
            assert!(answers(&packet, &digest, side));
            let mut ours = packet;
            ours[PACKET_LEN - LEN..].fill(0);
            assert!(!answers(&ours, &digest, side));
            sign(&mut ours, &digest, side).unwrap();
            assert!(ours == packet);
            ours[0] ^= 1;
            assert!(!answers(&ours, &digest, side));
        }
        assert!(!answers(&second(NGINX), &s1, Side::Server));
    }

    #[test]
    fn every_place_lies_inside_its_half() {
        for scheme in [Scheme::First, Scheme::Second] {
            for sum in 0..=4 * 255_usize {
                let mut packet = [0x77; PACKET_LEN];
                for (n, byte) in packet[scheme.field()..].iter_mut().take(FIELD).enumerate() {
                    *byte = sum.saturating_sub(255 * n).min(255) as u8;
                }
                let place = scheme.place(&packet).unwrap();
                assert_eq!(place, scheme.field() + 4 + sum % 728);
                assert!(place + LEN <= scheme.field() + 764);
                let digest = imprint(&mut packet, scheme, Side::Client);
                assert_eq!(find(&packet, Side::Client), digest.map(|digest| (scheme, digest)));
            }
        }
    }
}
