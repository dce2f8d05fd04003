//! `Slot`: one logical stream as the shards share it: its log, the connections that write it, those that watch it,
//! and how far the recorder is. What the log decides is its own; who must hear of it is decided in
//! [`Hub::settle`](super::Hub::settle).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use segue_proto::Moment;
use segue_proto::caps::Announce;
use segue_proto::log::{self, ConnId};
use segue_proto::session::GoAwaySignal;

use crate::config::MAX_UNWRITTEN;

/// A stream's place: app, and name without its query.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamKey {
    /// The app, without its query.
    pub app: String,
    /// The name, without its query. A secret.
    pub name: String,
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app, segue_proto::url::mask(&self.name))
    }
}

/// One publisher connection of a stream, as far as others must know it.
#[derive(Clone)]
pub struct Leg {
    /// What its client announced.
    pub announce: Announce,
    /// Its `tcUrl`.
    pub tc_url: String,
    /// Its peer, `host:port`.
    pub peer: String,
    /// How it was told to go.
    pub told: Option<GoAwaySignal>,
    /// The log let it in: counts grants of the stream; 0 before.
    pub granted: u64,
    /// A go-away is on its way to the connection.
    pub telling: bool,
    /// Media bytes taken.
    pub bytes: u64,
    /// The drain has asked its connection to end it.
    pub cutting: bool,
    /// Told where to, if it was.
    pub target: Option<String>,
    /// The timestamp of its last message on the stream's timeline, in ms, once another leg has followed it.
    pub last_ts: Option<u32>,
}

/// Without the `tcUrl`, which may hold a key.
impl fmt::Debug for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leg")
            .field("announce", &self.announce)
            .field("told", &self.told)
            .field("granted", &self.granted)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// One watching connection, as far as others must know it.
#[derive(Clone)]
pub struct Watcher {
    /// What its client announced.
    pub announce: Announce,
    /// Its `tcUrl`.
    pub tc_url: String,
    /// The drain that told it to go, or is about to: each tells it once.
    pub told: Option<u64>,
}

/// Without the `tcUrl`, which may hold a key.
impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher")
            .field("announce", &self.announce)
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}

/// When a drain cuts who is still publishing.
#[derive(Debug, Clone, Copy)]
pub struct CutPlan {
    /// At the latest then.
    pub deadline: Moment,
    /// At a boundary, no longer before that than this.
    pub at_most: Duration,
}

impl CutPlan {
    /// From when on a boundary ends a leg whose GOPs last `gop`: one GOP before the deadline, and a little for
    /// the network's jitter. With less, a keyframe on either edge would be missed and the cut come inside a GOP.
    pub fn from(&self, gop: Option<Duration>) -> Moment {
        let gop = gop.unwrap_or_default();
        self.deadline - (gop + gop / 50).min(self.at_most)
    }
}

/// What the lock of a [`Slot`] guards.
#[derive(Debug)]
pub struct State {
    /// The stream log.
    pub log: log::Stream,
    /// Connections that publish, or ask to.
    pub legs: BTreeMap<ConnId, Leg>,
    /// Connections that watch. They are added and removed by the hub, which counts them by shard.
    pub viewers: BTreeMap<ConnId, Watcher>,
    /// How many of them each shard has.
    pub(super) viewer_shards: BTreeMap<usize, usize>,
    /// Grants so far.
    pub(super) grants: u64,
    /// Connections whose leg is over and whose last acknowledgement is still to come; whether all of it is in the log.
    pub(super) settling: BTreeMap<ConnId, bool>,
    /// How the leg that left last was told.
    pub(crate) last_left: Option<Option<GoAwaySignal>>,
    /// Drain: a boundary near enough to the deadline ends the leg.
    pub cut: Option<CutPlan>,
    /// Drain: the leg is over, viewers read to the end of the log and are ended.
    pub end_viewers: bool,
    /// The log has said that the stream is over.
    pub ended: bool,
}

impl State {
    /// The epoch given out last; 0 before the first.
    pub fn epoch(&self) -> u64 {
        self.log.epoch().0
    }

    /// The newest message's timestamp on the stream's timeline, in ms.
    pub fn last_timestamp(&self) -> Option<u32> {
        (self.log.next_seq() > 0).then(|| self.log.position().timestamp.as_millis())
    }

    /// Whether all that was given to the log for this connection is in it, and what comes next would be.
    pub(crate) fn has_all_of(&self, conn: ConnId) -> bool {
        let writes = self.log.publisher() == Some(conn) && !self.log.is_held(conn);
        writes || self.settling.get(&conn).is_some_and(|landed| *landed)
    }

    /// Whether at most one connection publishes, and none that did is still read.
    pub(crate) fn is_alone(&self) -> bool {
        self.legs.len() <= 1 && self.settling.is_empty()
    }

    /// Whether a boundary that comes now ends the leg.
    pub fn cuts_now(&self, now: Moment) -> bool {
        self.cut.is_some_and(|plan| now >= plan.from(self.log.gop()))
    }

    /// The leg granted last, if it is still here.
    pub fn publisher(&self) -> Option<(ConnId, &Leg)> {
        let granted = self.legs.iter().filter(|(_, leg)| leg.granted > 0);
        granted.max_by_key(|(_, leg)| leg.granted).map(|(conn, leg)| (*conn, leg))
    }

    pub(super) fn watch(&mut self, conn: ConnId, watcher: Watcher) {
        if self.viewers.insert(conn, watcher).is_none() {
            *self.viewer_shards.entry(super::shard_of(conn)).or_default() += 1;
        }
    }

    pub(super) fn unwatch(&mut self, conn: ConnId) -> Option<Watcher> {
        let watcher = self.viewers.remove(&conn)?;
        let shard = super::shard_of(conn);
        if let Some(count) = self.viewer_shards.get_mut(&shard) {
            *count -= 1;
            if *count == 0 {
                self.viewer_shards.remove(&shard);
            }
        }
        Some(watcher)
    }
}

/// How the recorder does with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecorderState {
    /// It keeps up.
    Ok,
    /// It is more than a second behind and holds back nothing.
    Degraded,
    /// The disk refused; it tries again with the next leg or keyframe.
    Failed,
}

impl RecorderState {
    /// As the API names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }
}

/// How far the recorder is: written by its thread, read by shards.
#[derive(Debug, Default)]
pub struct Recording {
    next: AtomicU64,
    state: AtomicU8,
    lost: AtomicU64,
    /// All of the stream was written: what rings after it rings for nothing.
    pub(crate) finished: AtomicBool,
    /// The recorder has been told that there is something to read.
    pub(crate) notified: AtomicBool,
}

impl Recording {
    /// Everything before this sequence number was handed to `write`.
    pub fn written(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    /// The recorder's report.
    pub fn set_written(&self, next: u64) {
        self.next.store(next, Ordering::Release);
    }

    /// Messages that the stream had and its recordings have not.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Acquire)
    }

    /// So many more.
    pub(crate) fn add_lost(&self, messages: u64) {
        self.lost.fetch_add(messages, Ordering::AcqRel);
    }

    /// How it does.
    pub fn state(&self) -> RecorderState {
        match self.state.load(Ordering::Acquire) {
            0 => RecorderState::Ok,
            1 => RecorderState::Degraded,
            _ => RecorderState::Failed,
        }
    }

    /// Sets how it does.
    pub fn set_state(&self, state: RecorderState) {
        let value = match state {
            RecorderState::Ok => 0,
            RecorderState::Degraded => 1,
            RecorderState::Failed => 2,
        };
        self.state.store(value, Ordering::Release);
    }
}

/// One logical stream.
pub struct Slot {
    /// Unlike that of any other slot of this hub, later ones on the same key included.
    pub serial: u64,
    /// App and name.
    pub key: StreamKey,
    /// First 16 hex digits of the SHA-256 of `app/name`: how logs, files and the API name it.
    pub id: String,
    /// The name as a person may see it.
    pub masked: String,
    /// The recorder's side; `None` where nothing is recorded.
    pub recording: Option<Recording>,
    /// It was granted to a publisher at least once: plays may begin.
    pub(super) live: AtomicBool,
    /// Per shard: a `Readable` is in its mailbox.
    pub(super) notified: Vec<AtomicBool>,
    state: Mutex<State>,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({} {})", self.id, self.masked)
    }
}

impl Slot {
    pub(super) fn new(
        serial: u64,
        key: StreamKey,
        config: log::Config,
        random: [u8; 16],
        shards: usize,
        recorded: bool,
    ) -> Self {
        Self {
            serial,
            id: segue_proto::url::stream_id(&key.app, &key.name),
            masked: segue_proto::url::mask(&key.name),
            key,
            recording: recorded.then(Recording::default),
            live: AtomicBool::new(false),
            notified: (0..shards).map(|_| AtomicBool::new(false)).collect(),
            state: Mutex::new(State {
                log: log::Stream::new(config, random),
                legs: BTreeMap::new(),
                viewers: BTreeMap::new(),
                viewer_shards: BTreeMap::new(),
                grants: 0,
                settling: BTreeMap::new(),
                last_left: None,
                cut: None,
                end_viewers: false,
                ended: false,
            }),
        }
    }

    /// The state, locked. Never held across a write to a socket or file.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A shard is about to read: from now on it must be told anew.
    pub(crate) fn reading(&self, shard: usize) {
        if let Some(flag) = self.notified.get(shard) {
            flag.store(false, Ordering::Release);
        }
    }

    /// Whether its recorder, which keeps up otherwise, has enough to write for now.
    pub(crate) fn is_full(&self) -> bool {
        let Some(recording) = self.recording.as_ref().filter(|r| r.state() == RecorderState::Ok) else {
            return false;
        };
        self.lock().log.next_seq() > recording.written() + MAX_UNWRITTEN
    }

    /// Everything before this sequence number is as safe as this server makes it.
    pub fn recorded(&self) -> u64 {
        match &self.recording {
            Some(recording) if recording.state() == RecorderState::Ok => recording.written(),
            _ => u64::MAX,
        }
    }
}
