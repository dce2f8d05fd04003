//! `OutQueue`: the bytes that wait to leave one connection, as ref-counted slices, in order. Every byte of a
//! connection goes through its queue and no other way.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use crate::state::{RestoreError, State};

/// Bytes waiting to be written to one connection.
#[derive(Debug, Default, Clone)]
pub struct OutQueue {
    slices: VecDeque<Bytes>,
    len: usize,
    pushed: u64,
}

impl OutQueue {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `slice`; an empty one is dropped.
    pub fn push(&mut self, slice: Bytes) {
        if !slice.is_empty() {
            self.len += slice.len();
            self.pushed += slice.len() as u64;
            self.slices.push_back(slice);
        }
    }

    /// Bytes waiting.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All bytes ever pushed: the stream offset at which the next push begins.
    pub fn offset(&self) -> u64 {
        self.pushed
    }

    /// The first slices, for one vectored write: at most `into.len()` of them. Returns how many were set.
    pub fn io_slices<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let mut n = 0;
        for (slot, slice) in into.iter_mut().zip(&self.slices) {
            *slot = IoSlice::new(slice);
            n += 1;
        }
        n
    }

    /// The first slice, without removing it.
    pub fn front(&self) -> Option<&Bytes> {
        self.slices.front()
    }

    /// Removes the first slice, whole.
    pub fn pop(&mut self) -> Option<Bytes> {
        let slice = self.slices.pop_front()?;
        self.len -= slice.len();
        Some(slice)
    }

    /// Removes `n` bytes from the front: they were written.
    ///
    /// More than [`len`](Self::len) empties the queue.
    pub fn advance(&mut self, mut n: usize) {
        while let Some(front) = self.slices.front_mut() {
            if n < front.len() {
                front.advance(n);
                self.len -= n;
                return;
            }
            n -= front.len();
            self.len -= front.len();
            self.slices.pop_front();
        }
    }

    /// Drops everything that waits.
    pub fn clear(&mut self) {
        self.slices.clear();
        self.len = 0;
    }
}

/// As one slice: where one ends and the next begins means nothing.
impl State for OutQueue {
    fn save(&self, to: &mut Vec<u8>) {
        self.pushed.save(to);
        self.len.save(to);
        self.slices.iter().for_each(|slice| to.extend_from_slice(slice));
    }

    fn restore(from: &mut &[u8]) -> Result<Self, RestoreError> {
        let pushed = u64::restore(from)?;
        let mut queue = Self::new();
        queue.push(Bytes::restore(from)?);
        if !(queue.pushed..=MAX_OFFSET).contains(&pushed) {
            return Err(RestoreError::Malformed("a stream offset"));
        }
        queue.pushed = pushed;
        Ok(queue)
    }
}

/// More than any connection ever carries, and far from an overflow.
const MAX_OFFSET: u64 = 1 << 62;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_writes_leave_the_rest_in_order() {
        let mut q = OutQueue::new();
        q.push(Bytes::from_static(b"abc"));
        q.push(Bytes::new());
        q.push(Bytes::from_static(b"defg"));
        assert_eq!((q.len(), q.offset()), (7, 7));
        q.advance(4);
        assert_eq!(q.front().map(|b| &b[..]), Some(&b"efg"[..]));
        assert_eq!((q.len(), q.offset()), (3, 7));
        let mut slices = [IoSlice::new(&[]), IoSlice::new(&[])];
        assert_eq!(q.io_slices(&mut slices), 1);
        assert_eq!(&*slices[0], b"efg");
        q.advance(100);
        assert!(q.is_empty());
        assert_eq!(q.pop(), None);
    }
}
