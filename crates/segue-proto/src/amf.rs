//! What the decoders of AMF0 and AMF3 share: the bounds on what a peer may send before it has said who it is, what is
//! left of them while a message is read, and reading from the front of its bytes. The formats are [`crate::amf0`]'s
//! and [`crate::amf3`]'s; a value of the one inside the other counts against the same budget.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use crate::error::Error;

/// How deep containers may nest: a value inside this many objects or arrays is accepted, a further container is not.
pub const MAX_DEPTH: usize = 32;
/// How many values one command or one call of a decoder may hold, containers and their members all counted.
pub const MAX_VALUES: usize = 4096;
/// How many bytes one command may have.
pub const MAX_COMMAND_BYTES: usize = 64 * 1024;
/// How many bytes the text in AMF3 values of one command may have when each reference to a text counts as the text.
/// Whoever prints, writes or translates such values meets no more than this.
pub const MAX_TEXT: usize = 4 * MAX_COMMAND_BYTES;

/// What may still be read.
pub(crate) struct Budget {
    values: usize,
    text: usize,
}

impl Budget {
    pub(crate) const fn new() -> Self {
        Self { values: MAX_VALUES, text: MAX_TEXT }
    }

    /// Takes `count` values off.
    pub(crate) fn values(&mut self, count: usize) -> Result<(), Error> {
        self.values = self
            .values
            .checked_sub(count)
            .ok_or(Error::LimitExceeded("more than 4096 AMF values in a command"))?;
        Ok(())
    }

    /// Takes `len` bytes of AMF3 text off.
    pub(crate) fn text(&mut self, len: usize) -> Result<(), Error> {
        self.text = self
            .text
            .checked_sub(len)
            .ok_or(Error::LimitExceeded("more than 256 KiB of AMF3 text in a command"))?;
        Ok(())
    }
}

/// The depth inside a container at `depth`.
pub(crate) fn deeper(depth: usize) -> Result<usize, Error> {
    depth
        .checked_add(1)
        .filter(|inside| *inside <= MAX_DEPTH)
        .ok_or(Error::LimitExceeded("AMF nested deeper than 32"))
}

/// Takes `N` bytes from the front.
pub(crate) fn array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], Error> {
    let (bytes, rest) = input.split_first_chunk::<N>().ok_or(CUT_SHORT)?;
    *input = rest;
    Ok(*bytes)
}

/// Takes `len` bytes from the front.
pub(crate) fn take<'a>(input: &mut &'a [u8], len: usize) -> Result<&'a [u8], Error> {
    let (bytes, rest) = input.split_at_checked(len).ok_or(CUT_SHORT)?;
    *input = rest;
    Ok(bytes)
}

const CUT_SHORT: Error = Error::PeerMisbehaved("AMF value cut short");

/// The front of `text` that a length field up to `max` can state, cut between characters.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}
