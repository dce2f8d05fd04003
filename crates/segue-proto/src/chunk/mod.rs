//! Chunks: how messages are cut and interleaved on the wire (RTMP 1.0, section 5.3). [`Reader`] puts messages together,
//! [`Writer`] cuts them for one connection, [`Frame`] cuts one once for many connections. What a message means is
//! [`crate::message`]'s, but for Set Chunk Size and Abort, which change the chunks themselves.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used))]

mod budget;
mod frame;
mod header;
mod input;
mod reader;
mod table;
mod writer;

pub use budget::{CHUNK_COST, COMMAND_COST, CONTROL_COST, CREDIT_PER_MS, MAX_CREDIT};
pub use frame::Frame;
pub use reader::{Limits, MAX_CHUNK_STREAMS, Reader};
pub use writer::{Headers, Writer};

/// Bytes of payload in a chunk until Set Chunk Size says otherwise (5.4.1).
pub const DEFAULT_CHUNK_SIZE: u32 = 128;
/// The largest chunk size that can be set: the top bit is zero (5.4.1).
pub const MAX_CHUNK_SIZE: u32 = 0x7FFF_FFFF;

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod captures;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
