//! The leg header: the words of `onSegueLeg`, Segue's extension that says where a publisher's leg begins in its
//! stream. Two TCP connections have no order between them and RTMP has no field for it, so a client and a server that
//! both announced `segue: 1` in `connect` and `_result` send it before a leg's first message.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::timestamp::Timestamp;

/// 128 random bits that name a stream to the one who publishes it. A secret: whoever has it may resume the stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ResumeToken(pub [u8; 16]);

impl ResumeToken {
    /// What viewers are shown in the token's place: indexes are compared only under the same hash.
    pub fn hash(&self) -> StreamHash {
        let digest = Sha256::digest(self.0);
        let mut hash = [0; 8];
        hash.copy_from_slice(&digest[..8]);
        StreamHash(hash)
    }
}

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResumeToken(..)")
    }
}

/// The first 8 bytes of the SHA-256 of a [`ResumeToken`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamHash(pub [u8; 8]);

impl fmt::Display for StreamHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for StreamHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where the next message stands in its stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Position {
    /// Media messages, as the ledger counts them, before it since the stream began.
    pub index: u64,
    /// Keyframes likewise.
    pub keyframes: u64,
    /// Its timestamp.
    pub timestamp: Timestamp,
}

/// `onSegueLeg` as a publisher sends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LegHeader {
    /// Names the stream.
    pub token: ResumeToken,
    /// 1 for the stream's first connection, one more for each that follows. The same number again means that the
    /// publisher had to drop media in this leg.
    pub leg: u32,
    /// Where the leg's next media message stands.
    pub position: Position,
}

/// `onSegueLeg` as a server sends it to a viewer that announced `segue`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlayPosition {
    /// Names the stream without giving the token away.
    pub stream: StreamHash,
    /// Where the next media message stands.
    pub position: Position,
}
