//! `Input`: a reader's bytes that were received and not yet taken, in order: slices that were pushed, and behind them the
//! room that is received in. What chunks are is the reader's.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use super::header::MAX_HEADER;
use crate::state::{RestoreError, State};

/// A chunk of more bytes does not wait for its end in the room.
pub(super) const MAX_IN_PLACE: usize = 60 << 10;

/// What was received and not yet taken.
#[derive(Clone, Debug)]
pub(super) struct Input {
    /// None is empty.
    slices: VecDeque<Bytes>,
    /// Bytes in the slices.
    pushed: usize,
    /// What comes behind the slices.
    room: Option<BytesMut>,
    /// All bytes ever taken.
    taken: u64,
}

impl Input {
    pub(super) const fn new() -> Self {
        Self { slices: VecDeque::new(), pushed: 0, room: None, taken: 0 }
    }

    /// Bytes received and not yet taken.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.pushed.saturating_add(self.received().len())
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.front().is_empty()
    }

    /// Bytes that went past, straight to where they belong.
    pub(super) fn pass(&mut self, n: usize) {
        self.taken = self.taken.saturating_add(n as u64);
    }

    /// All bytes ever taken.
    #[inline]
    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether the next `n` bytes are not there yet, and will lie together when they are.
    #[inline]
    pub(super) fn will_have(&self, n: usize) -> bool {
        n <= MAX_IN_PLACE && self.slices.is_empty() && self.room.as_ref().is_some_and(|room| room.len() < n)
    }

    #[inline]
    fn received(&self) -> &[u8] {
        self.room.as_deref().unwrap_or_default()
    }

    pub(super) fn push(&mut self, data: Bytes) {
        // The room is behind what is pushed: what it holds goes before.
        let received = self.room.take().map(BytesMut::freeze);
        for data in received.into_iter().chain([data]).filter(|data| !data.is_empty()) {
            self.pushed = self.pushed.saturating_add(data.len());
            self.slices.push_back(data);
        }
    }

    /// See [`super::Reader::room`].
    pub(super) fn room(&mut self, least: usize, fresh: usize) -> &mut BytesMut {
        let room = self.room.get_or_insert_default();
        if !room.try_reclaim(least) {
            let mut new = BytesMut::with_capacity(room.len().saturating_add(least).max(fresh));
            new.extend_from_slice(room);
            *room = new;
        }
        room
    }

    /// The first bytes that lie together; none if there are none at all.
    #[inline]
    pub(super) fn front(&self) -> &[u8] {
        match self.slices.front() {
            Some(front) => front,
            None => self.received(),
        }
    }

    /// The first bytes, as many as are there and fit, without taking them.
    pub(super) fn peek<'a>(&self, into: &'a mut [u8; MAX_HEADER]) -> &'a [u8] {
        let mut len = 0;
        for slice in self.slices.iter().map(|slice| &slice[..]).chain([self.received()]) {
            let Some(free) = into.get_mut(len..).filter(|free| !free.is_empty()) else { break };
            let n = slice.len().min(free.len());
            free.iter_mut().zip(slice).for_each(|(to, from)| *to = *from);
            len = len.saturating_add(n);
        }
        into.get(..len).unwrap_or_default()
    }

    /// Drops the first `n` bytes, at most all.
    #[inline]
    pub(super) fn skip(&mut self, n: usize) {
        let mut left = n.min(self.len());
        self.taken = self.taken.saturating_add(left as u64);
        while let Some(front) = self.slices.front_mut() {
            let here = left.min(front.len());
            self.pushed = self.pushed.saturating_sub(here);
            if here < front.len() {
                return front.advance(here);
            }
            left = left.saturating_sub(here);
            self.slices.pop_front();
        }
        if let Some(room) = &mut self.room {
            room.advance(left);
        }
    }

    /// Drops the first `skip` bytes and takes the `n` behind them, if all of them lie together.
    #[inline]
    pub(super) fn share(&mut self, skip: usize, n: usize) -> Option<Bytes> {
        let total = skip.saturating_add(n);
        let mut taken = match self.slices.front_mut() {
            None => {
                let room = self.room.as_mut().filter(|room| room.len() >= total)?;
                self.taken = self.taken.saturating_add(total as u64);
                room.advance(skip);
                return Some(room.split_to(n).freeze());
            }
            Some(front) if front.len() > total => front.split_to(total),
            Some(front) if front.len() == total => self.slices.pop_front()?,
            Some(_) => return None,
        };
        self.pushed = self.pushed.saturating_sub(total);
        self.taken = self.taken.saturating_add(total as u64);
        taken.advance(skip);
        Some(taken)
    }
}

/// As one slice.
impl State for Input {
    fn save(&self, to: &mut Vec<u8>) {
        self.taken.save(to);
        self.len().save(to);
        self.slices.iter().for_each(|slice| to.extend_from_slice(slice));
        to.extend_from_slice(self.received());
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        let mut input = Self { taken: u64::restore(from)?, ..Self::new() };
        input.push(Bytes::restore(from)?);
        Ok(input)
    }
}
