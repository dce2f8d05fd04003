//! The hub: which streams there are, who writes and watches them, and how shards reach each other's connections. It
//! owns no connection and no bytes of one; what a stream holds and who may write it is its log's to say.
//!
//! Locks, outermost first: drain, slot, parked; all others (streams, mailboxes, records) are leaves. None is held
//! across a write to a socket or a file.

mod bell;
mod ended;
mod legs;
mod mail;
mod note;
mod parked;
mod slot;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use segue_proto::handover::record::{Record, Signal};
use segue_proto::log::{self, ConnId};
use segue_proto::session::{GoAwaySignal, Resume};

pub use bell::Bell;
pub use mail::{Batch, Mail, Mailbox, Wake};
pub use note::{Note, Outcome};
pub use slot::{CutPlan, Leg, RecorderState, Recording, Slot, State, StreamKey, Watcher};

use crate::config::{MAX_HANDOVERS, WallClock};
use ended::Ended;
use parked::Parked;

/// Bits of a [`ConnId`] that count connections of one shard; the rest name the shard.
const SHARD_SHIFT: u32 = 48;

/// The shard that a connection lives on.
pub fn shard_of(conn: ConnId) -> usize {
    usize::try_from(conn.0 >> SHARD_SHIFT).unwrap_or(usize::MAX)
}

/// The id of a shard's `n`th connection.
pub fn conn_id(shard: usize, n: u64) -> ConnId {
    ConnId(((shard as u64) << SHARD_SHIFT) | (n & ((1 << SHARD_SHIFT) - 1)))
}

/// What a hub is made with.
#[derive(Clone)]
pub struct HubConfig {
    /// Shards that will post and take mail.
    pub shards: usize,
    /// Bounds of each stream's log.
    pub log: log::Config,
    /// Whether streams are recorded.
    pub recorded: bool,
    /// This server as records name it, `host:port`.
    pub address: String,
    /// Random, per process.
    pub server_id: String,
    /// For records.
    pub wall: WallClock,
}

/// How a leg left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// It said that the stream is over: `deleteStream` and the like.
    Finished,
    /// Its connection ended without that.
    Lost,
    /// This server ended it at the drain's deadline.
    Cut,
}

/// The answer to a play.
#[derive(Debug)]
pub enum Watch {
    /// The stream is here.
    Here(Arc<Slot>),
    /// It is not; an [`Mail::Arrived`] comes when it is.
    Parked,
    /// It is not, and new streams are refused.
    Draining,
    /// It is not, and too many wait already.
    Full,
}

/// A publish that was not taken to the log: the server drains, and the stream was not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draining;

/// What a publisher asks with.
#[derive(Clone)]
pub struct Ask {
    /// App and name.
    pub key: StreamKey,
    /// App, name and query, compared exactly.
    pub principal: String,
    /// The connection as others see it.
    pub leg: Leg,
}

/// See the module.
pub struct Hub {
    config: HubConfig,
    mailboxes: Vec<Mailbox>,
    slots: Mutex<BTreeMap<StreamKey, Arc<Slot>>>,
    serials: AtomicU64,
    parked: Mutex<Parked>,
    ended: Mutex<Ended>,
    bell: Bell,
    handovers: Mutex<VecDeque<Record>>,
    notes: Mutex<Vec<Note>>,
    drain_poked: AtomicBool,
    draining: AtomicBool,
    stopping: AtomicBool,
    /// Messages that no recording has.
    unrecorded: AtomicU64,
    /// Connections with a role that have not been flushed and half-closed yet.
    busy: AtomicUsize,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("shards", &self.mailboxes.len()).finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// An empty hub.
    pub fn new(config: HubConfig) -> Arc<Self> {
        let shards = config.shards.max(1);
        Arc::new(Self {
            mailboxes: (0..shards).map(|_| Mailbox::default()).collect(),
            slots: Mutex::default(),
            serials: AtomicU64::new(1),
            parked: Mutex::default(),
            ended: Mutex::default(),
            bell: Bell::default(),
            handovers: Mutex::default(),
            notes: Mutex::default(),
            drain_poked: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            unrecorded: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
            config: HubConfig { shards, ..config },
        })
    }

    /// What it was made with.
    pub fn config(&self) -> &HubConfig {
        &self.config
    }

    /// The mailbox of a shard.
    pub fn mailbox(&self, shard: usize) -> Option<&Mailbox> {
        self.mailboxes.get(shard)
    }

    /// Sends mail to the shard of a connection.
    pub fn post(&self, conn: ConnId, mail: Mail) {
        if let Some(mailbox) = self.mailboxes.get(shard_of(conn)) {
            mailbox.post(mail);
        }
    }

    /// Where the recorder hears of work.
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    /// All streams, ordered by app and name.
    pub fn streams(&self) -> Vec<Arc<Slot>> {
        locked(&self.slots).values().cloned().collect()
    }

    /// The stream of that key, if there is one.
    pub fn find(&self, key: &StreamKey) -> Option<Arc<Slot>> {
        locked(&self.slots).get(key).cloned()
    }

    /// Whether new streams are refused.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether the server is on its way out.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Ends every connection, by the closing sequence.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        for mailbox in &self.mailboxes {
            mailbox.post(Mail::Stop);
        }
    }

    /// The newest hand-over records, oldest first.
    pub fn handovers(&self) -> Vec<Record> {
        locked(&self.handovers).iter().cloned().collect()
    }

    pub(crate) fn record(&self, mut record: Record) {
        record.at = (self.config.wall)().map(|at| format!("{at:.3}"));
        tracing::info!(record = %serde_json::to_string(&record).unwrap_or_default(), "hand-over");
        let mut records = locked(&self.handovers);
        if records.len() == MAX_HANDOVERS {
            records.pop_front();
        }
        records.push_back(record);
    }

    pub(crate) fn busy_began(&self) {
        self.busy.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn busy_ended(&self) {
        self.busy.fetch_sub(1, Ordering::AcqRel);
        self.poke_drain();
    }

    /// Messages that were to be recorded and were not, of all streams since the start.
    pub fn unrecorded(&self) -> u64 {
        self.unrecorded.load(Ordering::Acquire)
    }

    pub(crate) fn add_unrecorded(&self, messages: u64) {
        self.unrecorded.fetch_add(messages, Ordering::AcqRel);
    }

    /// Publishing and watching connections that have not been flushed and half-closed yet.
    pub fn busy(&self) -> usize {
        self.busy.load(Ordering::Acquire)
    }

    fn forget(&self, slot: &Arc<Slot>) {
        let mut slots = locked(&self.slots);
        if slots.get(&slot.key).is_some_and(|s| Arc::ptr_eq(s, slot)) {
            slots.remove(&slot.key);
        }
    }

    /// A connection asks to watch, from `resume` on if it has seen some of it.
    pub fn watch(&self, conn: ConnId, key: &StreamKey, resume: Option<Resume>) -> Watch {
        // Under no other lock: this one looks into streams.
        if let Some(resume) = resume {
            let ended = locked(&self.ended).of(key);
            // A publisher that never heard that it had ended its stream sent some of it again: that came later, and has less.
            let whole = ended.iter().find(|slot| slot.lock().log.reaches(resume));
            if let Some(slot) = whole.or(ended.iter().find(|slot| ended::has_more(slot, resume))) {
                return Watch::Here(slot.clone());
            }
        }
        let mut parked = locked(&self.parked);
        if let Some(slot) = self.find(key).filter(|slot| slot.live.load(Ordering::Acquire)) {
            drop(parked);
            // Its publisher left for another server: what remains is no stream to watch, and its end is not the stream's.
            // Who lacks some of it gets that, and is sent on.
            let left = self.is_draining() && slot.lock().end_viewers;
            let lacks = resume.is_some_and(|resume| ended::has_more(&slot, resume));
            return if left && !lacks { Watch::Draining } else { Watch::Here(slot) };
        }
        if self.is_draining() {
            return Watch::Draining;
        }
        if parked.add(key, conn) { Watch::Parked } else { Watch::Full }
    }

    /// An ended stream has been kept for long enough.
    pub(crate) fn let_go(&self, serial: u64) {
        locked(&self.ended).let_go(serial);
    }

    /// A parked connection waits no longer.
    pub fn unpark(&self, conn: ConnId, key: &StreamKey) {
        locked(&self.parked).remove(key, conn);
    }

    /// Adds a viewer to a stream that is here.
    pub fn join(&self, state: &mut State, conn: ConnId, watcher: Watcher) {
        state.watch(conn, watcher);
        if self.is_draining() {
            self.poke_drain();
        }
    }

    /// A viewer is gone. `ended` if this server ended it because its stream left and it could not follow.
    pub fn part(&self, slot: &Slot, conn: ConnId, ended: bool) {
        slot.lock().unwatch(conn);
        if ended {
            self.note(Note::ViewerEnded);
        }
        if self.is_draining() {
            self.poke_drain();
        }
    }

    /// Hands on what the log has to say. To be called after everything that changes a log, under its lock.
    pub fn settle(&self, slot: &Arc<Slot>, state: &mut State) {
        let mut readable = false;
        while let Some(event) = state.log.poll_event() {
            match event {
                log::Event::Granted { conn } => {
                    state.grants += 1;
                    let grants = state.grants;
                    if let Some(leg) = state.legs.get_mut(&conn) {
                        leg.granted = grants;
                        tracing::info!(stream = %slot.id, peer = %leg.peer, "publishing");
                    }
                    state.end_viewers = false;
                    state.cut = None;
                    slot.live.store(true, Ordering::Release);
                    self.post(conn, Mail::Granted(conn));
                    for viewer in locked(&self.parked).take(Some(&slot.key)) {
                        self.post(viewer, Mail::Arrived(viewer, slot.clone()));
                    }
                    self.poke_drain();
                }
                log::Event::Refused { conn, code, description } => {
                    if let Some(leg) = state.legs.remove(&conn) {
                        tracing::info!(stream = %slot.id, peer = %leg.peer, description, "refused a publisher");
                    }
                    let (code, description) = (code.to_string(), description.to_string());
                    self.post(conn, Mail::Refused { conn, code, description });
                }
                log::Event::Fenced { conn } => self.post(conn, Mail::Fenced(conn)),
                log::Event::Appended => readable = true,
                log::Event::LegEnded { conn, .. } => {
                    readable = true;
                    if let Some(landed) = state.settling.get_mut(&conn) {
                        *landed = true;
                        self.post(conn, Mail::Progress(conn));
                    }
                    self.poke_drain();
                }
                log::Event::Spliced(splice) => self.spliced(slot, state, &splice),
                log::Event::Lost { missing, .. } => {
                    tracing::warn!(stream = %slot.id, missing, "its publisher dropped media");
                    self.lost(slot, missing);
                }
                log::Event::Ended => {
                    state.ended = true;
                    readable = true;
                    self.forget(slot);
                    locked(&self.ended).keep(slot.clone(), state.log.bytes());
                    self.poke_drain();
                }
            }
        }
        if readable {
            self.announce(slot, state);
        }
    }

    /// Tells the shards that have viewers of it, and the recorder, that the log has something.
    pub fn announce(&self, slot: &Arc<Slot>, state: &State) {
        for shard in state.viewer_shards.keys() {
            let Some(flag) = slot.notified.get(*shard) else { continue };
            if !flag.swap(true, Ordering::AcqRel)
                && let Some(mailbox) = self.mailboxes.get(*shard)
            {
                mailbox.post(Mail::Readable(slot.clone()));
            }
        }
        if let Some(recording) = &slot.recording
            && !recording.notified.swap(true, Ordering::AcqRel)
        {
            self.bell.ring(slot.clone());
        }
    }

    fn note(&self, event: Note) {
        // A stream that is told alone has its drain while the server runs.
        if self.is_draining() || !matches!(event, Note::ViewerEnded) {
            locked(&self.notes).push(event);
            self.poke_drain();
        }
    }

    /// Makes the first shard look at the drain soon.
    pub fn poke_drain(&self) {
        if !self.drain_poked.swap(true, Ordering::AcqRel)
            && let Some(mailbox) = self.mailboxes.first()
        {
            mailbox.wake();
        }
    }

    pub(crate) fn is_poked(&self) -> bool {
        self.drain_poked.load(Ordering::Acquire)
    }

    pub(crate) fn take_poke(&self) -> bool {
        self.drain_poked.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn take_notes(&self) -> Vec<Note> {
        std::mem::take(&mut *locked(&self.notes))
    }

    pub(crate) fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::Release);
        if draining {
            for viewer in locked(&self.parked).take(None) {
                self.post(viewer, Mail::Unpark(viewer));
            }
        }
    }
}

/// A signal as records name it.
pub fn signal_name(told: Option<GoAwaySignal>) -> &'static str {
    match Signal::from(told) {
        Signal::ReconnectRequest => "reconnect-request",
        Signal::GoAway => "go-away",
        Signal::None => "none",
    }
}
