//! The viewer's hand-over: joins the legs that a viewer receives, from one server after another, into one stream in
//! which every message comes once and in order. Owns what was put out lately and what is held of a new leg; knows no
//! connections and no time.
//!
//! Two ways to compare legs. Where both name the stream's hash and indexes (`onSegueLeg`), by index. Elsewhere by
//! alignment: the first message of each of the leg's tracks is looked for among the track's last, by timestamp and
//! payload, and from there on messages are compared one by one to the end; the first mismatch ends that for good.
//!
//! By index two legs can be told apart message by message, so both may go on side by side until it is clear which of them
//! the stream is on. Without, the new leg leads as soon as it has caught up.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};

use sha2::{Digest, Sha256};

use crate::leg::{PlayPosition, StreamHash};
use crate::media::{Config, ConfigSet, Content, MediaMessage, TrackKind};
use crate::session::Resume;
use crate::timestamp::Timestamp;

/// Most bytes that are held of a new leg until the old one has delivered what comes before.
pub const MAX_HELD_BYTES: usize = 64 << 20;
/// What a held message costs beside its payload.
const MESSAGE_COST: usize = 96;
/// So many messages of each track are remembered for alignment.
pub const MAX_MARKS: usize = 4096;
/// Most tracks that are told apart; others are not aligned.
pub const MAX_TRACKS: usize = 64;

/// Names a leg; the caller numbers them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LegId(pub u64);

/// What comes out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// The next message: configuration, where it changed, before the media that needs it.
    Media(MediaMessage),
    /// That leg, by index, has caught up with the other, or goes beyond it. From now on both are listened to, and each
    /// message is taken from the one that brings it first: the new leg may yet come to nothing, and the stream go on where
    /// it was. This ends with either of them, or by [`Viewer::take_over`].
    CaughtUp(LegId),
    /// That leg leads from now on. What the other still delivers is not needed.
    Leads(LegId),
    /// From here on messages come from another leg than before.
    Joined(Join),
}

/// How two legs met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Join {
    /// The leg that leads from now on.
    pub leg: LegId,
    /// The last media timestamp before.
    pub old_last: Timestamp,
    /// The first after.
    pub new_first: Timestamp,
    /// Messages that are missing between them; `None` where nobody can know.
    pub missing: Option<u64>,
    /// Messages of the new leg that were there already.
    pub overlap: u64,
}

/// The bound [`MAX_HELD_BYTES`] is exceeded: give that leg up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeldTooMuch;

/// The joined stream.
#[derive(Clone, Debug, Default)]
pub struct Viewer {
    /// Hash and index of the next message, if the last one put out had an index.
    at: Option<(StreamHash, u64)>,
    marks: BTreeMap<TrackKey, Marks>,
    config: ConfigSet,
    main: Option<Leg>,
    next: Option<Leg>,
    /// The leg that the last message came from.
    from: Option<LegId>,
    out: VecDeque<Output>,
    last: Option<Timestamp>,
    count: u64,
    missing: u64,
}

type TrackKey = (TrackKind, u8);
/// Timestamp and payload of a message, in short.
type Mark = (Timestamp, u64);

/// The last messages of one track that were put out, numbered from 0 at its first.
#[derive(Clone, Debug, Default)]
struct Marks {
    first: u64,
    last: VecDeque<Mark>,
}

#[derive(Clone, Debug)]
struct Leg {
    id: LegId,
    /// Where its next media message stands, if it says so.
    at: Option<(StreamHash, u64)>,
    config: ConfigSet,
    /// Whether its configuration may differ from what was put out.
    config_changed: bool,
    cursors: BTreeMap<TrackKey, Cursor>,
    held: VecDeque<Item>,
    held_bytes: usize,
    /// The first of what is held in short, once it was looked at: it may wait, and be looked at again with each message of
    /// the other leg.
    first: Option<Mark>,
    /// Whether it needs no other leg any more.
    leads: bool,
    /// Whether that was said of it.
    caught_up: bool,
    overlap: u64,
}

#[derive(Clone, Debug)]
enum Item {
    Position(PlayPosition),
    Message(MediaMessage),
}

#[derive(Clone, Copy, Debug)]
enum Cursor {
    /// The track's next message is to be compared with this mark.
    Matching(u64),
    /// Nothing more is compared.
    Free,
}

enum Compared {
    Same,
    Other,
    /// All marks are behind.
    Beyond,
}

enum Verdict {
    /// Was put out before.
    Repeat,
    /// Comes next.
    Next,
    /// Comes later; so many are missing in between, if that can be known.
    Ahead(Option<u64>),
}

impl Viewer {
    /// Nothing received yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What to ask of a server: the next message, if its index is known.
    pub fn resume(&self) -> Option<Resume> {
        self.at.map(|(stream, index)| Resume { stream, index })
    }

    /// Media messages put out.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Media messages known to be missing.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Bytes held of a leg that has not met the other: at most [`MAX_HELD_BYTES`].
    pub fn held_bytes(&self) -> usize {
        self.next.as_ref().map_or(0, |leg| leg.held_bytes)
    }

    /// The last media timestamp put out.
    pub fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// The next output.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// A leg begins. It leads at once if there is none; else it has to meet the one there is, in place of an earlier
    /// one that has not.
    pub fn begin(&mut self, id: LegId) {
        let leg = Leg {
            id,
            at: None,
            config: ConfigSet::default(),
            config_changed: false,
            cursors: BTreeMap::new(),
            held: VecDeque::new(),
            held_bytes: 0,
            first: None,
            leads: false,
            caught_up: false,
            overlap: 0,
        };
        *(if self.main.is_none() { &mut self.main } else { &mut self.next }) = Some(leg);
    }

    /// The leg said where its next message stands.
    pub fn position(&mut self, id: LegId, position: PlayPosition) {
        let _ = self.take(id, Item::Position(position));
    }

    /// The leg delivered a message.
    pub fn message(&mut self, id: LegId, message: MediaMessage) -> Result<(), HeldTooMuch> {
        self.take(id, Item::Message(message))
    }

    /// How far a leg is, by index, in comparison with what was put out: `Less` if it has yet to repeat some of that,
    /// `Equal` if it has all, `Greater` if there is something between. `None` where nobody can know.
    pub fn stands(&self, id: LegId) -> Option<Ordering> {
        let leg = [&self.main, &self.next].into_iter().flatten().find(|leg| leg.id == id)?;
        let ((stream, next), (leg_stream, index)) = (self.at?, leg.at?);
        (stream == leg_stream).then(|| index.cmp(&next))
    }

    /// That leg, which has caught up, leads from now on, and the other is given up.
    pub fn take_over(&mut self, id: LegId) {
        if self.next.as_ref().is_some_and(|leg| leg.id == id) {
            self.main = self.next.take();
            self.advance();
        }
    }

    /// The leg has ended, or is given up. If it led, what is held of the other follows now.
    pub fn end(&mut self, id: LegId) {
        if self.next.as_ref().is_some_and(|leg| leg.id == id) {
            self.next = None;
        } else if self.main.as_ref().is_some_and(|leg| leg.id == id) {
            self.main = self.next.take();
            self.advance();
        }
    }

    fn take(&mut self, id: LegId, item: Item) -> Result<(), HeldTooMuch> {
        let Some(leg) = [&mut self.main, &mut self.next].into_iter().flatten().find(|leg| leg.id == id)
        else {
            return Ok(());
        };
        let size = MESSAGE_COST + if let Item::Message(message) = &item { message.payload.len() } else { 0 };
        leg.held_bytes += size;
        leg.held.push_back(item);
        self.advance();
        let held = self.next.as_ref().map_or(0, |leg| leg.held_bytes);
        if held > MAX_HELD_BYTES {
            self.next = None;
            return Err(HeldTooMuch);
        }
        Ok(())
    }

    /// Puts out what can be, until neither leg goes on.
    fn advance(&mut self) {
        loop {
            let mut moved = false;
            if let Some(mut main) = self.main.take() {
                while self.step(&mut main, true) {
                    moved = true;
                }
                self.main = Some(main);
            }
            let Some(mut next) = self.next.take() else { return };
            while (!next.leads || self.is_beside(&next)) && self.step(&mut next, false) {
                moved = true;
            }
            // What the other leads on with comes after something that only this one can have.
            let is_needed = !moved && self.main.as_ref().is_some_and(|main| !main.held.is_empty());
            if is_needed || (next.leads && !self.is_beside(&next)) {
                self.out.push_back(Output::Leads(next.id));
                self.main = Some(next);
                continue;
            }
            if next.leads && !std::mem::replace(&mut next.caught_up, true) {
                self.out.push_back(Output::CaughtUp(next.id));
            }
            self.next = Some(next);
            if !moved {
                return;
            }
        }
    }

    /// Whether two legs can be told apart message by message.
    fn are_counted(&self, one: &Leg, other: &Leg) -> bool {
        let streams = [self.at, one.at, other.at].map(|at| at.map(|(stream, _)| stream));
        streams[0].is_some() && streams.iter().all(|stream| *stream == streams[0])
    }

    /// Whether `next` goes on beside the leg that leads.
    fn is_beside(&self, next: &Leg) -> bool {
        self.main.as_ref().is_some_and(|main| self.are_counted(main, next))
    }

    /// Whether the other leg has all that was put out, and so may have what `main` passes over.
    fn may_be_elsewhere(&self, main: &Leg) -> bool {
        self.next
            .as_ref()
            .is_some_and(|next| next.leads && next.at == self.at && self.are_counted(main, next))
    }

    /// Takes the first of what is held of `leg`; `false` if there is nothing or it must wait.
    fn step(&mut self, leg: &mut Leg, is_main: bool) -> bool {
        let Some(item) = leg.held.front() else { return false };
        let message = match item {
            Item::Position(position) => {
                leg.at = Some((position.stream, position.position.index));
                leg.pop();
                return true;
            }
            Item::Message(message) => message.clone(),
        };
        let info = message.info();
        if let Content::Config(config) = info.content {
            if config != Config::LegHeader {
                leg.config_changed |= leg.config.set(&message, &info);
            }
            leg.pop();
            return true;
        }
        let key = (message.kind, info.track);
        let mark = *leg.first.get_or_insert_with(|| mark(&message));
        match self.judge(leg, key, mark, is_main) {
            Verdict::Ahead(_) if !is_main || self.may_be_elsewhere(leg) => return false,
            Verdict::Repeat => {
                leg.overlap += 1;
                leg.leads |= self.has_caught_up(leg, key);
            }
            Verdict::Next => self.put(leg, key, mark, message, Some(0)),
            Verdict::Ahead(missing) => self.put(leg, key, mark, message, missing),
        }
        if let Some((_, index)) = &mut leg.at {
            *index += 1;
        }
        leg.pop();
        true
    }

    fn judge(&self, leg: &mut Leg, key: TrackKey, mark: Mark, is_main: bool) -> Verdict {
        if self.last.is_none() {
            return Verdict::Next;
        }
        if let (Some((stream, next)), Some((leg_stream, index))) = (self.at, leg.at)
            && stream == leg_stream
        {
            return match index.checked_sub(next) {
                None => Verdict::Repeat,
                Some(0) => Verdict::Next,
                Some(missing) => Verdict::Ahead(Some(missing)),
            };
        }
        let marks = self.marks.get(&key);
        let at = match leg.cursors.get(&key) {
            Some(Cursor::Matching(at)) => Some(*at),
            Some(Cursor::Free) => None,
            None => marks.and_then(|marks| marks.find(mark)),
        };
        match (at, at.zip(marks).map(|(at, marks)| marks.compare(at, mark))) {
            (Some(at), Some(Compared::Same)) => {
                leg.cursors.insert(key, Cursor::Matching(at + 1));
                return Verdict::Repeat;
            }
            // All that was put out of this track is behind: nobody has delivered this one.
            (Some(_), Some(Compared::Beyond)) => return Verdict::Next,
            // The leg that waits is looked at again once the other has delivered more.
            (None, _) if !is_main => {}
            _ => {
                leg.cursors.insert(key, Cursor::Free);
            }
        }
        // A track that has nothing to compare goes by the others: a leg is in order.
        let aligned = leg.cursors.values().any(|cursor| matches!(cursor, Cursor::Matching(_)));
        if aligned { Verdict::Next } else { Verdict::Ahead(None) }
    }

    /// Whether the leg, which just repeated a message, has repeated the last one that was put out.
    fn has_caught_up(&self, leg: &Leg, key: TrackKey) -> bool {
        match (self.at, leg.at) {
            (Some((stream, next)), Some((leg_stream, index))) if stream == leg_stream => index + 1 == next,
            _ => match (leg.cursors.get(&key), self.marks.get(&key)) {
                (Some(Cursor::Matching(at)), Some(marks)) => *at == marks.first + marks.last.len() as u64,
                _ => false,
            },
        }
    }

    fn put(&mut self, leg: &mut Leg, key: TrackKey, mark: Mark, message: MediaMessage, missing: Option<u64>) {
        // What a server says of its indexes may add up to more than there is room for.
        self.missing = self.missing.saturating_add(missing.unwrap_or(0));
        leg.leads = true;
        if self.from.replace(leg.id) != Some(leg.id) {
            leg.config_changed = true;
            if let Some(old_last) = self.last {
                let (leg, new_first, overlap) = (leg.id, message.timestamp, leg.overlap);
                self.out.push_back(Output::Joined(Join { leg, old_last, new_first, missing, overlap }));
            }
        }
        if std::mem::take(&mut leg.config_changed) {
            let changed: Vec<_> = leg.config.changed_since(&self.config).cloned().collect();
            for mut config in changed {
                config.timestamp = message.timestamp;
                self.config.set(&config, &config.info());
                self.out.push_back(Output::Media(config));
            }
        }
        leg.cursors.insert(key, Cursor::Free);
        self.at = leg.at.map(|(stream, index)| (stream, index + 1));
        self.last = Some(message.timestamp);
        self.count += 1;
        if self.marks.contains_key(&key) || self.marks.len() < MAX_TRACKS {
            self.marks.entry(key).or_default().push(mark);
        }
        self.out.push_back(Output::Media(message));
    }
}

impl Leg {
    fn pop(&mut self) {
        self.first = None;
        if let Some(item) = self.held.pop_front() {
            let payload = if let Item::Message(message) = &item { message.payload.len() } else { 0 };
            self.held_bytes -= MESSAGE_COST + payload;
        }
    }
}

impl Marks {
    fn push(&mut self, mark: Mark) {
        if self.last.len() == MAX_MARKS {
            self.last.pop_front();
            self.first += 1;
        }
        self.last.push_back(mark);
    }

    fn compare(&self, at: u64, mark: Mark) -> Compared {
        let Some(offset) = at.checked_sub(self.first) else { return Compared::Other };
        match usize::try_from(offset).ok().and_then(|offset| self.last.get(offset)) {
            Some(known) if *known == mark => Compared::Same,
            Some(_) => Compared::Other,
            None => Compared::Beyond,
        }
    }

    /// The latest place of `mark`.
    fn find(&self, mark: Mark) -> Option<u64> {
        self.last.iter().rposition(|known| *known == mark).map(|n| self.first + n as u64)
    }
}

fn mark(message: &MediaMessage) -> Mark {
    #[cfg(test)]
    tests::HASHED.with(|hashed| hashed.set(hashed.get() + 1));
    let digest = Sha256::digest(&message.payload);
    let mut short = [0; 8];
    short.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    (message.timestamp, u64::from_be_bytes(short))
}

#[cfg(test)]
#[path = "viewer_tests.rs"]
mod tests;
