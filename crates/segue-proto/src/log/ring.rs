//! The ring of entries and the cursors that read it: what is kept, for how long, and where a reader may start.
//! It knows nothing of legs; entries come in the order in which the stream has them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::leg::StreamHash;
use crate::media::MediaMessage;
use crate::session::Resume;

use super::entry::Entry;

/// What the ring keeps. Whole GOPs are dropped, oldest first.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// At least so many GOPs stay.
    pub min_gops: usize,
    /// At least so much media stays, by timestamp and by arrival.
    pub min_span: Duration,
    /// Bytes that stay at most: payloads, [`ENTRY_COST`] for each message, and each configuration that some message is
    /// decoded with. This bound wins over the other two, even inside a GOP; only the newest message stays whatever it
    /// costs, with its configuration (at most [`ConfigSet::MAX_BYTES`](crate::media::ConfigSet::MAX_BYTES)).
    pub max_bytes: usize,
}

/// What an entry costs beside its payload: itself, its place in the ring, and its chunk headers once it is framed. It
/// counts, so that a flood of empty messages is bounded too.
pub const ENTRY_COST: usize = 512;
/// How many entries, from the newest on, are looked through for a single message: more than 10 s of any real stream. A
/// log of empty messages has a hundred thousand, and its publisher must not have them all read for each of a few bytes.
pub const LOOK_BACK: usize = 4096;

/// A bounded run of entries with consecutive `seq`.
#[derive(Debug, Default)]
pub(super) struct Ring {
    entries: VecDeque<Arc<Entry>>,
    /// `seq` of the entries that start a GOP, oldest first.
    gops: VecDeque<u64>,
    /// How many of the entries are coded video.
    coded_video: usize,
    bytes: usize,
    next_seq: u64,
}

/// Where a reader starts.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    /// At the last keyframe, or the next one if none is kept.
    Live,
    /// At the oldest entry kept, keyframe or not: for a recorder, which wants all there is.
    Oldest,
    /// At the keyframe at or before this message, or the first one there is; if there is none, at the message itself. As
    /// `Live` if the stream is another, or the message is not there.
    At(Resume),
}

/// A reader's place. Cheap to copy; belongs to the log that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    next: u64,
    /// Entries are passed over until one starts a GOP.
    seek_gop: bool,
}

impl Cursor {
    /// `seq` of the next entry that it would read.
    pub fn next_seq(&self) -> u64 {
        self.next
    }
}

/// What [`Ring::read`] found.
pub(super) enum Found<'a> {
    Entry(&'a Arc<Entry>),
    Lagged,
    End,
}

impl Ring {
    pub(super) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    pub(super) fn first_seq(&self) -> u64 {
        self.entries.front().map_or(self.next_seq, |e| e.seq)
    }

    pub(super) fn last(&self) -> Option<&Arc<Entry>> {
        self.entries.back()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn get(&self, seq: u64) -> Option<&Arc<Entry>> {
        let at = seq.checked_sub(self.first_seq())?;
        self.entries.get(usize::try_from(at).ok()?)
    }

    /// Newest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.iter().rev()
    }

    /// Whether coded video is among the entries.
    pub(super) fn has_video(&self) -> bool {
        self.coded_video > 0
    }

    /// Whether it has this message among its newest [`LOOK_BACK`], by its publisher's timestamp and its payload.
    pub(super) fn holds(&self, message: &MediaMessage) -> bool {
        let same = |e: &&Arc<Entry>| {
            e.raw_timestamp == message.timestamp
                && e.message.kind == message.kind
                && e.message.payload == message.payload
        };
        self.newest().take(LOOK_BACK).find(same).is_some()
    }

    /// Appends `entry`, whose `seq` is [`next_seq`](Self::next_seq), and drops what the bounds no longer keep.
    pub(super) fn push(&mut self, entry: Entry, bounds: &Bounds) {
        debug_assert_eq!(entry.seq, self.next_seq);
        self.next_seq = entry.seq + 1;
        self.bytes += Self::cost(&entry, self.last());
        if entry.starts_gop {
            self.gops.push_back(entry.seq);
        }
        self.coded_video += usize::from(entry.is_coded_video());
        self.entries.push_back(Arc::new(entry));
        self.trim(bounds);
    }

    /// What `entry` costs beside that neighbour: entries with the same configuration, which follow one another, share it.
    fn cost(entry: &Entry, neighbour: Option<&Arc<Entry>>) -> usize {
        let shared = neighbour.is_some_and(|other| Arc::ptr_eq(&other.headers, &entry.headers));
        entry.message.payload.len() + ENTRY_COST + if shared { 0 } else { entry.headers.bytes() }
    }

    fn trim(&mut self, bounds: &Bounds) {
        while self.bytes > bounds.max_bytes && self.entries.len() > 1 {
            self.drop_to(
                self.gops.iter().copied().find(|&g| g > self.first_seq()).unwrap_or(self.first_seq() + 1),
            );
        }
        while self.gops.len() > bounds.min_gops {
            let Some(second) = self.gops.iter().copied().find(|&g| g > self.first_seq()) else { return };
            let (Some(start), Some(last)) = (self.get(second), self.last()) else { return };
            // By both clocks: a source that sends faster than its timestamps say must not outrun its readers.
            let by_timestamp = last.message.timestamp.since(start.message.timestamp);
            let by_timestamp = Duration::from_millis(u64::try_from(by_timestamp).unwrap_or(0));
            if by_timestamp.min(last.arrived.since(start.arrived)) < bounds.min_span {
                return;
            }
            self.drop_to(second);
        }
    }

    fn drop_to(&mut self, seq: u64) {
        while self.entries.len() > 1 && self.first_seq() < seq {
            if let Some(entry) = self.entries.pop_front() {
                self.bytes -= Self::cost(&entry, self.entries.front());
                self.coded_video -= usize::from(entry.is_coded_video());
            }
        }
        while self.gops.front().is_some_and(|&g| g < self.first_seq()) {
            self.gops.pop_front();
        }
    }

    pub(super) fn start(&self, start: Start, current: StreamHash) -> Cursor {
        match start {
            Start::Live => self.newest_gop(),
            Start::Oldest => Cursor { next: self.first_seq(), seek_gop: false },
            Start::At(resume) if resume.stream == current => {
                let mut starts =
                    self.gops.iter().filter_map(|&g| self.get(g)).filter(|e| e.stream == current);
                let first = starts.clone().next();
                let at = starts.rfind(|e| e.position.index <= resume.index).or(first).map(|e| e.seq);
                // Without a keyframe to begin at, who lacks only what comes next needs none: its decoder has what is before.
                let at = at.or_else(|| self.place_of(resume.index, current));
                at.map_or_else(|| self.newest_gop(), |next| Cursor { next, seek_gop: false })
            }
            Start::At(_) => self.newest_gop(),
        }
    }

    /// `seq` of the message of that index, or the one that it will have if it comes next.
    fn place_of(&self, index: u64, stream: StreamHash) -> Option<u64> {
        let counted = |e: &&Arc<Entry>| e.stream == stream;
        let next =
            self.last().filter(counted).is_some_and(|e| e.position.index.checked_add(1) == Some(index));
        if next {
            return Some(self.next_seq);
        }
        self.newest().take_while(counted).find(|e| e.position.index == index).map(|e| e.seq)
    }

    /// Whether the message that a reader lacks is here.
    pub(super) fn reaches(&self, resume: Resume) -> bool {
        self.place_of(resume.index, resume.stream).is_some_and(|seq| seq < self.next_seq)
    }

    fn newest_gop(&self) -> Cursor {
        match self.gops.back() {
            Some(&next) => Cursor { next, seek_gop: false },
            None => Cursor { next: self.next_seq, seek_gop: true },
        }
    }

    pub(super) fn read(&self, cursor: &mut Cursor) -> Found<'_> {
        if cursor.seek_gop {
            // It lacks nothing that was dropped: what it waits for starts a GOP.
            cursor.next = cursor.next.max(self.first_seq());
        } else if cursor.next < self.first_seq() {
            *cursor = self.newest_gop();
            return Found::Lagged;
        }
        while let Some(entry) = self.get(cursor.next) {
            cursor.next += 1;
            if !cursor.seek_gop || entry.starts_gop {
                cursor.seek_gop = false;
                return Found::Entry(entry);
            }
        }
        Found::End
    }
}
