//! What comes in, as whole messages: chunks put together, aggregates taken apart. Both sessions read through it.

use bytes::Bytes;

use crate::chunk::{Limits, Reader};
use crate::error::Error;
use crate::message::aggregate::Parts;
use crate::message::{Message, type_id};
use crate::state;
use crate::time::Moment;

/// A [`Reader`] that gives an aggregate's sub-messages in its place.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    reader: Reader,
    /// The aggregate that is being taken apart, and what was consumed before it.
    parts: Option<(Parts, u64)>,
}

state::plain!(struct Incoming { reader, parts });

impl Incoming {
    pub(super) fn new(limits: Limits) -> Self {
        Self { reader: Reader::new(limits), parts: None }
    }

    pub(super) fn push(&mut self, data: Bytes) {
        self.reader.push(data);
    }

    /// See [`Reader::copy`].
    pub(super) fn copy(&mut self, data: &[u8]) {
        self.reader.copy(data);
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.reader.set_limits(limits);
    }

    /// See [`Reader::buffered`].
    #[cfg(test)]
    pub(super) fn buffered(&self) -> usize {
        self.reader.buffered()
    }

    /// See [`Reader::waiting`].
    pub(super) fn waiting(&self) -> usize {
        self.reader.waiting()
    }

    /// See [`Reader::tick`].
    pub(super) fn tick(&mut self, now: Moment) {
        self.reader.tick(now);
    }

    /// See [`Reader::charge`].
    pub(super) fn charge(&mut self, cost: u64) -> Result<(), Error> {
        self.reader.charge(cost)
    }

    /// Bytes up to the end of the last message that was taken. An aggregate is taken with the last of its parts: until
    /// then an acknowledgement must not cover it.
    pub(super) fn consumed(&self) -> u64 {
        match &self.parts {
            Some((parts, before)) if !parts.is_over() => *before,
            _ => self.reader.consumed(),
        }
    }

    /// The next message. What is wrong with an aggregate ends that aggregate only.
    pub(super) fn next(&mut self) -> Result<Option<Message>, Error> {
        loop {
            if let Some((parts, _)) = &mut self.parts {
                if let Some(part) = parts.next() {
                    return Ok(Some(part));
                }
                self.parts = None;
            }
            let before = self.reader.consumed();
            match self.reader.next()? {
                Some(message) if message.type_id == type_id::AGGREGATE => {
                    self.parts = Some((Parts::of(&message), before));
                }
                other => return Ok(other),
            }
        }
    }
}
