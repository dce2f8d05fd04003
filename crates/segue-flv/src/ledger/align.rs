//! Finding the offset between the source's timestamps and a receiver's. One payload proves nothing, since silence
//! and still pictures repeat: each received message votes for every offset at which its payload was sent, and the
//! candidates that lead are then tried on all messages. The one under which most messages are found wins; among
//! equals the one that finds more that was not found before, then the plainer one (see [`plain`]).

use std::collections::HashMap;

use super::{Book, Identity};

/// A payload sent at most so often is rare: each of its copies votes.
const RARE: usize = 4;
/// How many votes common payloads have together, the first received first.
const COMMON_VOTES: usize = 1 << 20;
/// How many of the leading candidates are tried.
const TRIED: usize = 16;
/// Candidates are first tried on about so many messages, spread evenly; one that explains less than 3/4 of what the
/// best so far explains is not tried on all.
const SAMPLE: usize = 2000;

/// The offset to subtract from the timestamps of `received` to get the source's, or `None` if nothing received was
/// ever sent. `found` tells which positions (in `by_identity`) earlier legs have, `after` the last position that they
/// have and their offset.
pub(super) fn offset<'r>(
    book: &Book<'_>,
    received: impl Iterator<Item = &'r Identity> + Clone,
    found: &[bool],
    after: Option<(u32, u32)>,
) -> Option<u32> {
    let total = received.clone().count();
    let sample = || received.clone().step_by(total / SAMPLE + 1);
    let mut tried: Vec<u32> = Vec::new();
    let mut best: Option<Candidate> = None;
    // Votes are only counted if no plain candidate explains everything.
    let candidates = plain(book, received.clone(), after).into_iter();
    for offset in candidates.chain(std::iter::once_with(|| leading(book, received.clone())).flatten()) {
        if tried.contains(&offset) {
            continue;
        }
        tried.push(offset);
        let sampled = score(book, sample(), offset, found).0;
        if best.as_ref().is_some_and(|best| sampled < best.sampled / 4 * 3) {
            continue;
        }
        let score = score(book, received.clone(), offset, found);
        if score.0 > 0 && best.as_ref().is_none_or(|best| score > best.score) {
            best = Some(Candidate { score, sampled, offset });
        }
        if score == (total, total) {
            break;
        }
    }
    best.map(|best| best.offset)
}

struct Candidate {
    score: (usize, usize),
    /// How many messages of the sample it explains.
    sampled: usize,
    offset: u32,
}

/// Candidates that need no vote, the likeliest first: the offset of the leg before; none; and those under which the
/// leg follows that leg, begins where the source begins, or ends where it ends.
fn plain<'r>(
    book: &Book<'_>,
    mut received: impl Iterator<Item = &'r Identity> + Clone,
    after: Option<(u32, u32)>,
) -> Vec<u32> {
    let mut candidates: Vec<u32> = after.map(|(_, offset)| offset).into_iter().chain([0]).collect();
    let last = received.clone().last();
    let mut add = |message: &Identity, position: Option<&u32>| {
        let sent = position.and_then(|i| book.sent.get(*i as usize));
        candidates.extend(sent.map(|sent| message.timestamp.wrapping_sub(sent.timestamp)));
    };
    if let Some(first) = received.next() {
        let positions = book.same_payload(first);
        let next = positions.partition_point(|i| after.is_some_and(|(position, _)| *i <= position));
        add(first, positions.get(next));
        add(first, positions.first());
    }
    if let Some(last) = last {
        add(last, book.same_payload(last).last());
    }
    candidates
}

/// The offsets with most votes, most first.
fn leading<'r>(book: &Book<'_>, received: impl Iterator<Item = &'r Identity>) -> Vec<u32> {
    let mut votes: HashMap<u32, u32> = HashMap::new();
    let mut left = COMMON_VOTES;
    for message in received {
        let positions = book.same_payload(message);
        let count = if positions.len() <= RARE { positions.len() } else { positions.len().min(left) };
        if positions.len() > RARE {
            left -= count;
        }
        for position in positions.iter().take(count) {
            if let Some(sent) = book.sent.get(*position as usize) {
                *votes.entry(message.timestamp.wrapping_sub(sent.timestamp)).or_default() += 1;
            }
        }
    }
    let mut votes: Vec<(u32, u32)> = votes.into_iter().collect();
    // Equal votes: the smaller shift first, so that the result depends on nothing but the messages.
    votes
        .sort_by_key(|(offset, count)| (std::cmp::Reverse(*count), (*offset as i32).unsigned_abs(), *offset));
    votes.into_iter().take(TRIED).map(|(offset, _)| offset).collect()
}

/// How many messages were sent as they are under this offset, and how many different ones of them are new.
fn score<'r>(
    book: &Book<'_>,
    received: impl Iterator<Item = &'r Identity>,
    offset: u32,
    found: &[bool],
) -> (usize, usize) {
    let mut seen = found.to_vec();
    let (mut matched, mut new) = (0, 0);
    for message in received {
        let range = book.same(&message.on_source(offset));
        matched += usize::from(!range.is_empty());
        // Of several of one identity, the first that nobody has.
        if let Some(free) = seen.get_mut(range).and_then(|seen| seen.iter_mut().find(|seen| !**seen)) {
            *free = true;
            new += 1;
        }
    }
    (matched, new)
}
