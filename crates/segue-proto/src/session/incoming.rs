//! What comes in, as whole messages: chunks put together, aggregates taken apart. Both sessions read through it. Whoever
//! keeps a message keeps its bytes and little else: see [`MAX_PINNED`].

use bytes::Bytes;

use crate::chunk::{Limits, Reader};
use crate::error::Error;
use crate::message::aggregate::{Fault, Parts};
use crate::message::{Message, type_id};
use crate::state::{RestoreError, State};
use crate::time::Moment;

/// A payload keeps at most so many times its own bytes from being freed. Payloads are slices of what was received, or
/// of an aggregate; a small one of something large is copied out of it. Without that a log of tiny messages could hold
/// all that ever came beside them, and its bounds count payloads.
pub(super) const MAX_PINNED: usize = 4;

/// A [`Reader`] that gives an aggregate's sub-messages in its place.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    reader: Reader,
    /// The aggregate that is being taken apart, and what was consumed before it.
    parts: Option<(Parts, u64)>,
    /// Bytes of the largest piece or aggregate that the next message may be a slice of.
    largest: usize,
    /// Aggregates that were not what they said, and what was wrong with the last.
    faulty: u64,
    fault: Option<Fault>,
}

impl Incoming {
    pub(super) fn new(limits: Limits) -> Self {
        Self { reader: Reader::new(limits), parts: None, largest: 0, faulty: 0, fault: None }
    }

    pub(super) fn push(&mut self, data: Bytes) {
        self.comes(data.len());
        self.reader.push(data);
    }

    /// See [`Reader::copy`].
    pub(super) fn copy(&mut self, data: &[u8]) {
        self.comes(data.len());
        self.reader.copy(data);
    }

    /// A piece of so many bytes comes.
    fn comes(&mut self, len: usize) {
        let waits = self.waiting() > 0 || self.parts.is_some();
        self.largest = if waits { self.largest.max(len) } else { len };
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

    /// How many aggregates were not what they said, and what was wrong with the last of them.
    pub(super) fn faulty(&self) -> (u64, Option<Fault>) {
        (self.faulty, self.fault)
    }

    /// The next message. What is wrong with an aggregate ends that aggregate only.
    pub(super) fn next(&mut self) -> Result<Option<Message>, Error> {
        let Some(mut message) = self.message()? else { return Ok(None) };
        if message.payload.len().saturating_mul(MAX_PINNED) < self.largest {
            message.payload = Bytes::copy_from_slice(&message.payload);
        }
        Ok(Some(message))
    }

    fn message(&mut self) -> Result<Option<Message>, Error> {
        loop {
            if let Some((parts, _)) = &mut self.parts {
                if let Some(part) = parts.next() {
                    return Ok(Some(part));
                }
                if let Some(fault) = parts.fault() {
                    self.faulty = self.faulty.saturating_add(1);
                    self.fault = Some(fault);
                }
                self.parts = None;
            }
            let before = self.reader.consumed();
            match self.reader.next()? {
                Some(message) if message.type_id == type_id::AGGREGATE => {
                    self.largest = self.largest.max(message.payload.len());
                    self.parts = Some((Parts::of(&message), before));
                }
                other => return Ok(other),
            }
        }
    }
}

/// Without what was counted: it is for who looks at this process.
impl State for Incoming {
    fn save(&self, to: &mut Vec<u8>) {
        let Self { reader, parts, largest: _, faulty: _, fault: _ } = self;
        reader.save(to);
        parts.save(to);
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        let (reader, parts) = (Reader::restore(from)?, <Option<(Parts, u64)>>::restore(from)?);
        let left = parts.as_ref().map_or(0, |(parts, _)| parts.left());
        Ok(Self { largest: reader.waiting().max(left), reader, parts, faulty: 0, fault: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::{Headers, Writer};
    use crate::message::{MessageStreamId, aggregate, csid};
    use crate::outqueue::OutQueue;
    use crate::timestamp::Timestamp;

    fn message(type_id: u8, len: usize) -> Message {
        let (stream_id, timestamp) = (MessageStreamId(1), Timestamp::ZERO);
        Message { type_id, stream_id, timestamp, payload: vec![7; len].into() }
    }

    /// What comes of these messages, in one piece, and whether the piece can be freed while they are kept.
    fn received(messages: &[Message]) -> (Vec<Message>, bool) {
        let (mut writer, mut out) = (Writer::new(Headers::Absolute), OutQueue::new());
        writer.set_chunk_size(1 << 20, &mut out);
        for message in messages {
            assert!(writer.write(csid::VIDEO, message, &mut out));
        }
        let mut bytes = Vec::new();
        while let Some(slice) = out.pop() {
            bytes.extend_from_slice(&slice);
        }
        let piece = Bytes::from(bytes);
        let mut copied = Incoming::new(Limits::PUBLISHING);
        copied.copy(&piece);
        let mut incoming = Incoming::new(Limits::PUBLISHING);
        incoming.push(piece.clone());
        let kept: Vec<_> = std::iter::from_fn(|| incoming.next().unwrap()).collect();
        drop(incoming);
        // The same if the piece was copied, and a message of its own memory there is one here.
        let others: Vec<_> = std::iter::from_fn(|| copied.next().unwrap()).collect();
        drop(copied);
        assert_eq!(others, kept);
        if messages.len() > 1 {
            let own = |messages: &[Message]| messages.iter().filter(|m| m.payload.is_unique()).count();
            assert!(own(&others) >= own(&kept), "{} and {}", own(&others), own(&kept));
        }
        (kept, piece.is_unique())
    }

    #[test]
    fn i3_a_small_message_does_not_keep_the_large_piece_that_it_came_in() {
        let (tiny, large) = (message(type_id::AUDIO, 10), message(type_id::VIDEO, 10_000));
        let (kept, freed) = received(&[tiny.clone(), large.clone(), tiny.clone()]);
        assert_eq!((&kept[..], freed), (&[tiny.clone(), large.clone(), tiny.clone()][..], false));
        assert!(kept[0].payload.is_unique() && kept[2].payload.is_unique(), "copies of their own");
        // A small one of a small piece is a slice, and so is a large one of any.
        assert_eq!(received(std::slice::from_ref(&tiny)), (vec![tiny.clone()], false));
        assert_eq!(received(std::slice::from_ref(&large)), (vec![large], false));
        // What else came is nothing that anybody keeps.
        let (kept, freed) = received(&[tiny.clone(), message(type_id::ABORT, 10_000), tiny.clone()]);
        assert_eq!((kept, freed), (vec![tiny.clone(), tiny], true));
    }

    #[test]
    fn i3_a_small_part_does_not_keep_its_aggregate() {
        let (tiny, large) = (message(type_id::AUDIO, 10), message(type_id::VIDEO, 10_000));
        let whole = aggregate::join(&[tiny.clone(), large, tiny.clone()]).unwrap();
        let parts = received(&[whole]).0;
        let payloads: Vec<Bytes> = parts.into_iter().map(|part| part.payload).collect();
        let [first, large, last] = &payloads[..] else { panic!("three parts") };
        assert_eq!((first, last), (&tiny.payload, &tiny.payload));
        assert!(first.is_unique() && last.is_unique(), "copies of their own");
        assert_eq!(large.len(), 10_000);
    }

    #[test]
    fn what_is_wrong_with_aggregates_is_counted() {
        let (part, mut incoming) = (message(type_id::AUDIO, 10), Incoming::new(Limits::PUBLISHING));
        let whole = aggregate::join(&[part.clone(), part.clone()]).unwrap();
        let cut = Message { payload: whole.payload.slice(..whole.payload.len() - 5), ..whole.clone() };
        let mut wrong = whole.payload.to_vec();
        wrong[11 + 10 + 3] ^= 1;
        let back = Message { payload: wrong.into(), ..whole.clone() };
        let (mut writer, mut out) = (Writer::new(Headers::Absolute), OutQueue::new());
        let mut counts = Vec::new();
        for sent in [&whole, &cut, &part, &back, &whole] {
            writer.write(csid::VIDEO, sent, &mut out);
            while let Some(slice) = out.pop() {
                incoming.push(slice);
            }
            let messages = std::iter::from_fn(|| incoming.next().unwrap()).count();
            counts.push((messages, incoming.faulty().0));
        }
        assert_eq!(counts, [(2, 0), (1, 1), (1, 1), (2, 2), (2, 2)]);
        assert_eq!(incoming.faulty().1, Some(Fault::BackPointer));
    }
}
