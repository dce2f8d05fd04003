//! Publishing and playing RTMP from Rust programs, over tokio.
//!
//! [`Publisher`] and [`Player`] are thin: everything that has to do with the protocol and with moving from one server
//! to another is `segue_proto::client`'s; here are the sockets ([`dial`], and a driver that executes what the machines
//! ask for) and the clock. A stream goes on when its server says that it is going, and when it dies: the program that
//! pushes or takes messages notices nothing but an [`Event`].

pub mod clock;
pub mod dial;
mod driver;
pub mod event;
pub mod player;
pub mod publisher;

pub use event::Event;
pub use player::Player;
pub use publisher::Publisher;

/// Random bytes for a machine: tokens, handshake, jitter.
///
/// # Panics
///
/// Where the system has no random source: whoever guesses a resume token may take over the stream.
fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    #[expect(clippy::expect_used, reason = "there is no safe way to go on")]
    getrandom::fill(&mut seed).expect("the system's random source");
    seed
}
