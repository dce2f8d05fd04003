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
                    // A copy: who keeps one part must not keep the whole aggregate.
                    return Ok(Some(Message { payload: Bytes::copy_from_slice(&part.payload), ..part }));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::aggregate::join;
    use crate::message::{MessageStreamId, type_id};
    use crate::session::LIMITS_MEDIA;
    use crate::timestamp::Timestamp;

    /// Who keeps one message of many keeps no more: an aggregate has up to 16 MiB.
    #[test]
    fn i3_a_part_keeps_no_aggregate() {
        let part = Message {
            type_id: type_id::AUDIO,
            stream_id: MessageStreamId(1),
            timestamp: Timestamp::ZERO,
            payload: Bytes::from_static(&[0xaf, 1, 2]),
        };
        let whole = join(&[part.clone(), part.clone()]).unwrap().payload;
        let header = [6, 0, 0, 0, 0, 0, whole.len() as u8, type_id::AGGREGATE, 1, 0, 0, 0];
        let read = Bytes::from([&header[..], &whole].concat());
        let mut incoming = Incoming::new(LIMITS_MEDIA);
        incoming.push(read.clone());
        let kept = [incoming.next().unwrap().unwrap(), incoming.next().unwrap().unwrap()];
        drop(incoming);
        assert_eq!(kept, [part.clone(), part]);
        assert!(read.is_unique());
    }
}
