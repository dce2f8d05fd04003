//! `OutQueue`: the bytes that wait to leave one connection, in order. Every byte of a connection goes through its queue
//! and no other way. Long pieces are shared, ref-counted slices; short ones are copied together, since a copy of a few
//! hundred bytes costs less than a slice of its own, here and in the kernel.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

use crate::state::{RestoreError, State};

/// A piece of so many bytes, or more, is shared and not copied.
pub const SHARE_FROM: usize = 512;
/// Copied pieces are put together in blocks of so many bytes at first; of twice as many each time one was not enough
/// for what waits.
const BLOCK: usize = 4096;
/// How often the block doubles at most.
const MAX_GROWN: u32 = 6;
/// The longest block.
const MAX_BLOCK: usize = BLOCK << MAX_GROWN;
/// A long block that was emptied is given back if it was for more than so many times of what waited.
const USED_PART: usize = 4;

/// Bytes waiting to be written to one connection.
#[derive(Debug, Default, Clone)]
pub struct OutQueue {
    pieces: VecDeque<Piece>,
    /// What was copied, in order. None is empty but the last; the last can be added to.
    blocks: VecDeque<BytesMut>,
    len: usize,
    pushed: u64,
    /// Bytes copied since nothing waited.
    copied: usize,
    /// How often the block doubled.
    grown: u32,
}

/// Bytes that lie together, never none.
#[derive(Debug, Clone)]
enum Piece {
    Shared(Bytes),
    /// The next so many of the copied ones, all in one block.
    Copied(usize),
}

impl OutQueue {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `slice`; an empty one is dropped.
    #[inline]
    pub fn push(&mut self, slice: Bytes) {
        if slice.len() < SHARE_FROM {
            return self.copy(&slice);
        }
        self.count(slice.len());
        self.pieces.push_back(Piece::Shared(slice));
    }

    /// Appends `slice`, which somebody else keeps as well.
    pub fn share(&mut self, slice: &Bytes) {
        if slice.len() < SHARE_FROM { self.copy(slice) } else { self.push(slice.clone()) }
    }

    /// Appends a copy of `bytes`.
    #[inline]
    pub fn copy(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.copy_with(bytes.len(), |block| block.extend_from_slice(bytes));
        }
    }

    /// Appends a copy of `bytes`, cut to pieces of `size` bytes, `between` before each but the first.
    pub(crate) fn copy_cut(&mut self, bytes: &[u8], size: usize, between: &[u8]) {
        let size = size.max(1);
        let pieces_a_block = (MAX_BLOCK / size.saturating_add(between.len())).max(1);
        let mut first = true;
        for run in bytes.chunks(pieces_a_block.saturating_mul(size)) {
            let pieces = run.len().div_ceil(size) - usize::from(first);
            self.copy_with(run.len() + pieces * between.len(), |block| {
                for piece in run.chunks(size) {
                    if !std::mem::take(&mut first) {
                        append(block, between);
                    }
                    append(block, piece);
                }
            });
        }
    }

    /// Appends the `n` bytes, at least one, that `copy` appends to the last block.
    #[inline]
    fn copy_with(&mut self, n: usize, copy: impl FnOnce(&mut BytesMut)) {
        let fits = self
            .blocks
            .back_mut()
            .is_some_and(|block| block.capacity() - block.len() >= n || block.try_reclaim(n));
        if !fits {
            self.add_block(n);
        }
        match self.pieces.back_mut() {
            Some(Piece::Copied(last)) if fits => *last += n,
            _ => self.pieces.push_back(Piece::Copied(n)),
        }
        if let Some(block) = self.blocks.back_mut() {
            copy(block);
        }
        self.copied += n;
        self.count(n);
    }

    /// Adds a block for `n` bytes at least.
    fn add_block(&mut self, n: usize) {
        if self.blocks.back().is_some_and(BytesMut::is_empty) {
            self.blocks.pop_back();
        }
        if self.copied >= self.block() && self.grown < MAX_GROWN {
            self.grown += 1;
        }
        self.blocks.push_back(BytesMut::with_capacity(n.max(self.block())));
    }

    fn block(&self) -> usize {
        BLOCK << self.grown
    }

    fn count(&mut self, bytes: usize) {
        self.len += bytes;
        self.pushed += bytes as u64;
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

    /// What waits, piece by piece.
    fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut blocks = self.blocks.iter();
        let mut block: &[u8] = &[];
        self.pieces.iter().map(move |piece| match piece {
            Piece::Shared(slice) => &slice[..],
            Piece::Copied(n) => {
                if block.is_empty() {
                    block = blocks.next().map_or(&[], |block| &block[..]);
                }
                let (here, rest) = block.split_at_checked(*n).unwrap_or((block, &[]));
                block = rest;
                here
            }
        })
    }

    /// The first slices, for one vectored write: at most `into.len()` of them. Returns how many were set.
    pub fn io_slices<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let mut n = 0;
        for (slot, slice) in into.iter_mut().zip(self.slices()) {
            *slot = IoSlice::new(slice);
            n += 1;
        }
        n
    }

    /// The first bytes that lie together.
    pub fn front(&self) -> Option<&[u8]> {
        self.slices().next()
    }

    /// Removes the first slice, whole. Where one ends and the next begins means nothing.
    pub fn pop(&mut self) -> Option<Bytes> {
        let slice = match self.pieces.pop_front()? {
            Piece::Shared(slice) => slice,
            Piece::Copied(n) => match self.blocks.front_mut() {
                Some(block) if block.len() > n => block.split_to(n).freeze(),
                _ => self.blocks.pop_front()?.freeze(),
            },
        };
        self.took(slice.len());
        Some(slice)
    }

    /// Removes `n` bytes from the front: they were written.
    ///
    /// More than [`len`](Self::len) empties the queue.
    pub fn advance(&mut self, n: usize) {
        if n >= self.len {
            // The usual case: all of it was written.
            self.pieces.clear();
            self.blocks.drain(..self.blocks.len().saturating_sub(1));
            self.blocks.iter_mut().for_each(BytesMut::clear);
            return self.took(self.len);
        }
        let mut left = n;
        while left > 0 {
            let Some(front) = self.pieces.front_mut() else { break };
            let here = match front {
                Piece::Shared(slice) => {
                    let here = left.min(slice.len());
                    if here < slice.len() {
                        slice.advance(here);
                    } else {
                        self.pieces.pop_front();
                    }
                    here
                }
                Piece::Copied(n) => {
                    let here = left.min(*n);
                    *n -= here;
                    if *n == 0 {
                        self.pieces.pop_front();
                    }
                    if let Some(block) = self.blocks.front_mut() {
                        block.advance(here);
                        if block.is_empty() && self.blocks.len() > 1 {
                            self.blocks.pop_front();
                        }
                    }
                    here
                }
            };
            left -= here;
        }
        self.took(n);
    }

    /// Drops everything that waits.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.blocks.clear();
        self.took(self.len);
    }

    /// `n` bytes went. Where nothing waits any more, a block that was for much more than what there was is given back.
    fn took(&mut self, n: usize) {
        self.len -= n;
        if self.len == 0 {
            let used = std::mem::take(&mut self.copied);
            if self.grown > 0 && used < self.block() / USED_PART {
                self.grown -= 1;
                self.blocks.clear();
            }
        }
    }
}

/// As one slice: where one ends and the next begins means nothing.
impl State for OutQueue {
    fn save(&self, to: &mut Vec<u8>) {
        self.pushed.save(to);
        self.len.save(to);
        self.slices().for_each(|slice| to.extend_from_slice(slice));
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

/// Appends `bytes`, for which there is room. The usual sizes, a header of one byte and a chunk of 128 (RTMP 1.0, 5.4.1),
/// are copied without a call.
fn append(to: &mut BytesMut, bytes: &[u8]) {
    if let Ok(byte) = <&[u8; 1]>::try_from(bytes) {
        to.extend_from_slice(byte);
    } else if let Ok(chunk) = <&[u8; 128]>::try_from(bytes) {
        to.extend_from_slice(chunk);
    } else {
        to.extend_from_slice(bytes);
    }
}

/// More than any connection ever carries, and far from an overflow.
const MAX_OFFSET: u64 = 1 << 62;

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that waits.
    fn waiting(q: &OutQueue) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 64];
        let n = q.io_slices(&mut slices);
        slices[..n].iter().flat_map(|slice| slice.iter().copied()).collect()
    }

    #[test]
    fn partial_writes_leave_the_rest_in_order() {
        let mut q = OutQueue::new();
        q.push(Bytes::from_static(b"abc"));
        q.push(Bytes::new());
        q.copy(b"defg");
        assert_eq!((q.len(), q.offset()), (7, 7));
        q.advance(4);
        assert_eq!(waiting(&q), b"efg");
        assert_eq!((q.len(), q.offset()), (3, 7));
        assert_eq!(q.front(), Some(&b"efg"[..]));
        assert_eq!(q.pop().as_deref(), Some(&b"efg"[..]));
        assert_eq!((q.pop(), q.front(), q.len()), (None, None, 0));
        q.copy(b"h");
        q.advance(100);
        assert!(q.is_empty() && q.pop().is_none());
    }

    #[test]
    fn short_pieces_are_put_together_and_long_ones_shared() {
        let long = Bytes::from(vec![7; SHARE_FROM]);
        let short = long.slice(1..);
        let mut q = OutQueue::new();
        for piece in [&short, &long, &short, &short, &long] {
            q.push(piece.clone());
        }
        let lens = |q: &mut OutQueue| -> Vec<usize> {
            std::iter::from_fn(|| q.pop()).map(|slice| slice.len()).collect()
        };
        let mut shared = q.clone();
        shared.pop();
        assert_eq!(shared.pop().map(|slice| slice.as_ptr()), Some(long.as_ptr()));
        assert_eq!(lens(&mut q), [511, 512, 1022, 512]);
        for _ in 0..100 {
            q.push(short.clone());
        }
        assert!(lens(&mut q).len() <= 100 * SHARE_FROM / BLOCK + 1);
    }

    /// Memory for what is copied.
    fn blocks(q: &OutQueue) -> usize {
        q.blocks.iter().map(BytesMut::capacity).sum()
    }

    #[test]
    fn blocks_grow_with_what_waits_to_a_bound_and_shrink_when_less_does() {
        let mut q = OutQueue::new();
        let fill = |q: &mut OutQueue, bytes: usize| {
            for _ in 0..bytes / 100 {
                q.copy(&[1; 100]);
            }
            assert!(blocks(q) <= 2 * bytes + MAX_BLOCK, "{} for {bytes}", blocks(q));
            q.advance(bytes);
        };
        for _ in 0..20 {
            fill(&mut q, 4 * MAX_BLOCK);
        }
        assert_eq!((q.block(), q.blocks.len()), (MAX_BLOCK, 1));
        fill(&mut q, MAX_BLOCK / USED_PART / 100 * 100 + 100);
        assert_eq!(q.block(), MAX_BLOCK, "enough to keep it");
        for n in 1..=MAX_GROWN {
            fill(&mut q, 100);
            assert_eq!(q.block(), MAX_BLOCK >> n);
        }
        fill(&mut q, 100);
        assert_eq!(q.block(), BLOCK);
        assert!((1..=BLOCK).contains(&blocks(&q)));
        q.copy(&[1; 3 * MAX_BLOCK]);
        q.clear();
        assert_eq!(blocks(&q), 0);
    }

    #[test]
    fn a_block_is_filled_again_and_not_made_anew() {
        let mut q = OutQueue::new();
        q.copy(&[1; 100]);
        let place = q.front().unwrap().as_ptr();
        for _ in 0..1000 {
            q.advance(100);
            q.copy(&[1; 100]);
        }
        assert_eq!((q.blocks.len(), blocks(&q)), (1, q.blocks[0].capacity()));
        q.advance(100);
        q.copy(&[1; BLOCK]);
        assert_eq!(q.front().unwrap().as_ptr(), place);
    }

    #[test]
    fn cut_pieces_have_their_header_between_across_blocks_too() {
        for (len, size) in
            [(0, 5), (1, 128), (128, 128), (129, 128), (5 * MAX_BLOCK, 511), (10, 0), (MAX_BLOCK, 1)]
        {
            let bytes: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let mut q = OutQueue::new();
            q.copy(b"before");
            q.copy_cut(&bytes, size, &[0xC6, 0xFF]);
            let wanted: Vec<u8> = bytes.chunks(size.max(1)).collect::<Vec<_>>().join(&[0xC6, 0xFF][..]);
            assert!(waiting(&q) == [b"before", &wanted[..]].concat(), "{len} bytes in pieces of {size}");
            assert_eq!(q.len(), 6 + wanted.len());
        }
    }

    proptest::proptest! {
        #[test]
        fn what_goes_in_comes_out(
            steps in proptest::collection::vec((0..5, 0..1500_usize), 0..60)
        ) {
            let (mut q, mut model, mut pushed) = (OutQueue::new(), Vec::new(), 0_u64);
            for (n, (step, size)) in steps.into_iter().enumerate() {
                let bytes = vec![n as u8; size];
                match step {
                    0 => q.copy(&bytes),
                    1 => q.push(bytes.clone().into()),
                    2 => q.advance(size),
                    3 => drop(model.drain(..q.pop().map_or(0, |slice| slice.len()))),
                    _ => assert!(q.front().is_none_or(|front| model.starts_with(front))),
                }
                match step {
                    0 | 1 => {
                        model.extend(bytes);
                        pushed += size as u64;
                    }
                    2 => drop(model.drain(..size.min(model.len()))),
                    _ => {}
                }
                assert_eq!((waiting(&q), q.len(), q.offset()), (model.clone(), model.len(), pushed));
            }
        }
    }
}
