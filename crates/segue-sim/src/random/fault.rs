//! What can go wrong at a moment of a plan.

use std::time::Duration;

use crate::world::Door;

/// Which server a fault is about, when it fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The one that has the stream, or A.
    Holder,
    /// The other one.
    Other,
    /// Server A.
    A,
    /// Server B.
    B,
}

/// Where a go-away sends clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// No address.
    Nowhere,
    /// The server that does not go.
    Other,
    /// A name that stands for both.
    Both,
}

/// Whose network fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The publisher's.
    Publisher,
    /// The viewer's of that number, modulo how many there are.
    Viewer(usize),
}

/// A fault.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// A server is told to empty itself.
    Drain {
        /// Which.
        server: Which,
        /// To where.
        to: To,
        /// Until when.
        deadline: Duration,
        /// From readiness off to the first signal without an address.
        settle: Duration,
    },
    /// `segue drain --stream`, on the server that has the stream.
    TellStream {
        /// To where.
        to: To,
    },
    /// Drains are cancelled.
    Cancel,
    /// A server dies, and comes back with nothing after so long.
    Kill {
        /// Which.
        server: Which,
        /// After so long.
        back: Duration,
    },
    /// Both die, and come back.
    KillBoth {
        /// After so long.
        back: Duration,
    },
    /// A server answers dials in this way for so long.
    Shut {
        /// Which.
        server: Which,
        /// How it answers.
        door: Door,
        /// For so long.
        open_after: Duration,
    },
    /// Connections are reset on both sides.
    Reset(Who),
    /// The publisher hears of a reset, its server of nothing for so long: it connects a second time.
    ConnectTwice(Duration),
    /// Likewise, and what the first connection carried still arrives after so long.
    LoseHold(Duration),
    /// Nothing arrives for so long.
    Stall(Who, Duration),
    /// The publisher's uplink takes so many percent of what the source makes, for so long.
    Thin {
        /// Percent of the source's rate.
        percent: u64,
        /// For so long.
        heals_after: Duration,
    },
    /// Somebody with another key publishes under the stream's name, to the server that has it.
    Stranger,
    /// The source ends.
    End,
    /// A viewer comes late.
    Join,
}

impl Fault {
    /// What the table calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Drain { to: To::Nowhere, .. } => "drain without address",
            Self::Drain { to: To::Other, .. } => "drain to the other server",
            Self::Drain { to: To::Both, .. } => "drain to a name for both",
            Self::TellStream { to: To::Nowhere } => "--stream",
            Self::TellStream { .. } => "--stream with an address",
            Self::Cancel => "cancel",
            Self::Kill { .. } => "kill",
            Self::KillBoth { .. } => "kill of both",
            Self::Shut { door: Door::Refusing, .. } => "door: refuses",
            Self::Shut { door: Door::Silent, .. } => "door: silent dial",
            Self::Shut { door: Door::Mute, .. } => "door: mute",
            Self::Shut { door: Door::ResetAfter(_), .. } => "door: reset at a byte",
            Self::Shut { door: Door::HangAfter(_), .. } => "door: hangs at a byte",
            Self::Shut { door: Door::Open, .. } => "door: open",
            Self::Reset(Who::Publisher) => "reset: publisher",
            Self::Reset(Who::Viewer(_)) => "reset: viewer",
            Self::ConnectTwice(_) => "double connect, first silent",
            Self::LoseHold(_) => "double connect, first delivers late",
            Self::Stall(Who::Publisher, _) => "stall: publisher",
            Self::Stall(Who::Viewer(_), _) => "stall: viewer",
            Self::Thin { .. } => "thin uplink",
            Self::Stranger => "stranger",
            Self::End => "stream ends",
            Self::Join => "late viewer",
        }
    }
}
