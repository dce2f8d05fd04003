//! Bugs planted at the seams, to show that the oracle would find them: a client or a server that is not what the product
//! is. The product's own code has no part in it.

use bytes::Bytes;

/// A bug, as a wrapper around the product's machines commits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plant {
    /// None.
    #[default]
    None,
    /// The publisher's side leaves out the boundary message while it has a second connection.
    DroppedBoundary,
    /// A server appends what a connection still sends whose leg was replaced, as if it were its successor's.
    StaleEpoch,
    /// The publisher takes everything for acknowledged when a connection breaks: its replay begins at the last keyframe,
    /// and not at the one before the first message that the server may not have.
    ShortReplay,
}

impl Plant {
    /// All of them, as the command line names them.
    pub const ALL: [(&'static str, Self); 3] = [
        ("dropped-boundary", Self::DroppedBoundary),
        ("stale-epoch", Self::StaleEpoch),
        ("short-replay", Self::ShortReplay),
    ];

    /// The one of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, plant)| *plant)
    }
}

/// An Acknowledgement of more than any simulated connection carries, as one chunk: fmt 0 on chunk stream 2, timestamp 0,
/// four bytes, type 3, message stream 0 (RTMP 1.0, 5.3.1.2.1 and 5.4.3).
pub(crate) fn forged_acknowledgement() -> Bytes {
    Bytes::from_static(&[0x02, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0x40, 0, 0, 0])
}
