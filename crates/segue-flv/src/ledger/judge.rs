//! The fate of each message. In the order received: a leg's first messages may be an overlap; each of the others
//! takes the sent message of its identity, is a duplicate if that is taken, altered if only its track and timestamp
//! were sent, extra if not even those. What nobody took is missing. Counting is here; offsets come from `align`.

use std::collections::BTreeMap;

use super::report::Report;
use super::{Book, Identity, Options, Shared, Track, align};

/// What became of a received message.
#[derive(Clone, Copy)]
enum Fate {
    /// It repeats the previous leg's tail.
    Overlap,
    /// It is the sent message at this position.
    Sent(u32),
    /// Every sent message of its identity is taken.
    Duplicated,
    /// Its identity was never sent.
    Unknown,
}

pub(super) fn judge(
    options: Options,
    sent: &[Identity],
    mut legs: Vec<Vec<Identity>>,
    shared: &Shared,
) -> Report {
    let book = Book::new(sent, shared);
    let mut taken = Taken { by_identity: vec![false; book.len()], furthest: Furthest::default() };
    let common = (!options.offset_per_leg)
        .then(|| align::offset(&book, legs.iter().flatten(), &taken.by_identity, None));

    let mut offsets = Vec::with_capacity(legs.len());
    let mut fates = Vec::new();
    let mut previous: &[Identity] = &[];
    let mut after = None;
    for leg in &mut legs {
        let offset = common.unwrap_or_else(|| align::offset(&book, leg.iter(), &taken.by_identity, after));
        offsets.push(offset);
        // Of a leg that has no offset nothing matches; its timestamps may still, and then it is altered.
        let offset = offset.unwrap_or_else(|| after.map_or(0, |(_, offset)| offset));
        for message in &mut *leg {
            *message = message.on_source(offset);
        }
        let overlap = overlap(&book, &taken, previous, leg);
        fates.extend(std::iter::repeat_n(Fate::Overlap, overlap));
        for message in leg.iter().skip(overlap) {
            let fate = taken.take(&book, message);
            if let Fate::Sent(position) = fate {
                after = Some((after.map_or(position, |(last, _)| position.max(last)), offset));
            }
            fates.push(fate);
        }
        if !leg.is_empty() {
            previous = leg;
        }
    }
    let received: Vec<&Identity> = legs.iter().flatten().collect();
    count(options, &book, taken, &received, &fates, offsets)
}

/// Which sent messages were received.
struct Taken {
    /// By place in `Book::by_identity`.
    by_identity: Vec<bool>,
    furthest: Furthest,
}

/// The furthest position that each track has reached.
#[derive(Default)]
struct Furthest(BTreeMap<Track, u32>);

impl Furthest {
    /// The furthest of any of these.
    fn of(&self, tracks: &[Track]) -> Option<u32> {
        tracks.iter().filter_map(|track| self.0.get(track)).max().copied()
    }

    fn reach(&mut self, tracks: &[Track], position: u32) {
        for track in tracks {
            let furthest = self.0.entry(*track).or_insert(position);
            *furthest = position.max(*furthest);
        }
    }
}

impl Taken {
    fn take(&mut self, book: &Book<'_>, message: &Identity) -> Fate {
        let range = book.same(message);
        if range.is_empty() {
            return Fate::Unknown;
        }
        // Of several of one identity, the next in order: taking an earlier one would make up a reordering.
        let furthest = self.furthest.of(book.tracks(message));
        let ahead = book.positions(range.clone()).partition_point(|i| furthest.is_some_and(|f| *i <= f));
        let free = |place: &usize| self.by_identity.get(*place) == Some(&false);
        let place = (range.start + ahead..range.end).find(free).or_else(|| range.clone().find(free));
        match place {
            Some(place) => self.mark(book, place, message),
            None => Fate::Duplicated,
        }
    }

    /// Takes a sent message of the same track and timestamp that nobody received as it was.
    fn take_altered(&mut self, book: &Book<'_>, message: &Identity) -> Option<Fate> {
        let place = book.same_time(message).find(|place| self.by_identity.get(*place) == Some(&false))?;
        Some(self.mark(book, place, message))
    }

    fn mark(&mut self, book: &Book<'_>, place: usize, message: &Identity) -> Fate {
        let position = book.by_identity.get(place).copied().unwrap_or_default();
        if let Some(taken) = self.by_identity.get_mut(place) {
            *taken = true;
        }
        self.furthest.reach(book.tracks(message), position);
        Fate::Sent(position)
    }
}

/// How many of the leg's first messages are the previous leg's last ones again, in one run that ends where that leg
/// ends: the longest prefix of the one that is a suffix of the other (Knuth, Morris and Pratt's failure function).
fn overlap(book: &Book<'_>, taken: &Taken, previous: &[Identity], leg: &[Identity]) -> usize {
    let leg = leg.get(..previous.len().min(leg.len())).unwrap_or_default();
    // border[n]: the longest proper border of the first n messages.
    let mut border = vec![0_usize; leg.len() + 1];
    let advance = |border: &[usize], mut matched: usize, message: &Identity| {
        while matched > 0 && leg.get(matched) != Some(message) {
            matched = border.get(matched).copied().unwrap_or_default();
        }
        matched + usize::from(leg.get(matched) == Some(message))
    };
    for (i, message) in leg.iter().enumerate().skip(1) {
        let from = border.get(i).copied().unwrap_or_default();
        let next = advance(&border, from, message);
        if let Some(slot) = border.get_mut(i + 1) {
            *slot = next;
        }
    }
    let run = previous.iter().fold(0, |matched, message| advance(&border, matched, message));
    // If the source itself sent the same twice, and the second is still due, this is it.
    let due = |m: &Identity| taken.by_identity.get(book.same(m)).is_some_and(|taken| taken.contains(&false));
    if leg.iter().take(run).all(due) { 0 } else { run }
}

fn count(
    options: Options,
    book: &Book<'_>,
    mut taken: Taken,
    received: &[&Identity],
    fates: &[Fate],
    offsets: Vec<Option<u32>>,
) -> Report {
    let mut report = Report::new(options, offsets);
    report.sent = book.len() as u64;
    report.received = received.len() as u64;
    for track in book.sent.iter().flat_map(|message| book.tracks(message)) {
        report.tracks.entry(*track).or_default().sent += 1;
    }
    let mut furthest = Furthest::default();
    let mut reached = vec![false; book.len()];
    for (message, fate) in received.iter().zip(fates) {
        let tracks = book.tracks(message);
        for track in tracks {
            report.tracks.entry(*track).or_default().received += 1;
        }
        let mut fate = *fate;
        match fate {
            Fate::Overlap => report.overlap += 1,
            Fate::Duplicated => report.duplicated += 1,
            Fate::Unknown if book.same_time(message).is_empty() => report.extra += 1,
            Fate::Unknown => {
                report.altered += 1;
                fate = taken.take_altered(book, message).unwrap_or(fate);
            }
            Fate::Sent(_) => {}
        }
        if let Fate::Sent(position) = fate {
            report.reordered += u64::from(furthest.of(tracks).is_some_and(|furthest| position < furthest));
            furthest.reach(tracks, position);
            if let Some(reached) = reached.get_mut(position as usize) {
                *reached = true;
            }
        }
    }
    report.absent_tracks = report.tracks.values().filter(|t| t.sent > 0 && t.received == 0).count() as u64;

    let first = reached.iter().position(|reached| *reached);
    let last = reached.iter().rposition(|reached| *reached);
    let due = match (first, last) {
        (Some(first), Some(last)) if !options.whole => first..last + 1,
        // Where nothing arrived there is no first and last: all of it is missing.
        _ => 0..book.len(),
    };
    let mut holes: BTreeMap<Track, Hole> = BTreeMap::new();
    let sent = book.sent.get(due.clone()).unwrap_or_default();
    let reached = reached.get(due).unwrap_or_default();
    for (message, reached) in sent.iter().zip(reached) {
        report.missing += u64::from(!*reached);
        for track in book.tracks(message) {
            let hole = holes.entry(*track).or_default();
            if *reached {
                hole.close(message.timestamp);
            } else {
                report.tracks.entry(*track).or_default().missing += 1;
                hole.missing(message.timestamp);
            }
            hole.before = Some(message.timestamp);
        }
    }
    report.gap_ms = holes.into_values().map(Hole::longest).max().unwrap_or_default();
    report
}

/// The holes of one track, on the source's timeline: each from its first missing message to the next received one.
#[derive(Default)]
struct Hole {
    start: Option<u32>,
    /// The timestamp of the message before, received or not, and how long after its own predecessor it came.
    before: Option<u32>,
    step: u64,
    longest: u64,
}

impl Hole {
    fn missing(&mut self, timestamp: u32) {
        self.start.get_or_insert(timestamp);
        self.step = self.before.map_or(0, |before| ahead(timestamp, before));
    }

    fn close(&mut self, timestamp: u32) {
        if let Some(start) = self.start.take() {
            self.longest = self.longest.max(ahead(timestamp, start));
        }
    }

    /// A hole that nothing received ends lasts as long again after its last message as that came after the one before.
    fn longest(self) -> u64 {
        let open = match (self.start, self.before) {
            (Some(start), Some(last)) => ahead(last, start) + self.step,
            _ => 0,
        };
        self.longest.max(open)
    }
}

/// Milliseconds from `earlier` to `later` modulo 2^32; 0 if it is not later.
fn ahead(later: u32, earlier: u32) -> u64 {
    u64::try_from(later.wrapping_sub(earlier) as i32).unwrap_or_default()
}
