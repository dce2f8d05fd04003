//! RTMP without I/O: bytes go in, events and bytes come out.
//!
//! Nothing in this crate opens a socket, reads a clock, starts a thread or makes a random number: time is a
//! [`time::Moment`] argument, randomness enters through constructors. The same code therefore runs under tokio, under
//! the server's own loop, and in a simulation with virtual time.
//!
//! From the wire up: [`handshake`], [`chunk`], [`amf0`] and [`amf3`] know bytes; [`message`], [`caps`], [`media`], [`codec`]
//! and [`url`] know what they mean; [`session`] is one connection's conversation, as server or as client. [`handover`]
//! decides when
//! to move and knows no bytes; [`client`] joins sessions and hand-over into a publisher and a player. [`log`] is the
//! server's side of it: a stream that outlives its connections.

pub mod amf;
pub mod amf0;
pub mod amf3;
pub mod caps;
pub mod chunk;
pub mod client;
pub mod codec;
pub mod error;
pub mod handover;
pub mod handshake;
pub mod leg;
pub mod log;
pub mod media;
pub mod message;
pub mod outqueue;
pub mod session;
pub mod state;
pub mod time;
pub mod timestamp;
pub mod url;

pub use error::Error;
pub use media::{MediaMessage, TrackKind};
pub use time::Moment;
pub use timestamp::Timestamp;
