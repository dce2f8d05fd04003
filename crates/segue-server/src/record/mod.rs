//! Recording: a reader of the logs that writes one FLV file for each leg. It blocks on files in its own thread and
//! holds up nobody: a disk that is slow or full shows in a stream's recorder state, and ingest goes on.

mod file;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use segue_proto::log::{Cursor, Entry, Epoch, Read, Start};

use crate::config::WallClock;
use crate::hub::{Hub, RecorderState, Slot};
use file::LegFile;

/// Messages taken from a log under its lock at a time.
const BATCH: usize = 256;

struct Track {
    slot: Arc<Slot>,
    cursor: Cursor,
    epoch: Option<Epoch>,
    file: Option<LegFile>,
}

/// Writes what the logs hold. One for the whole server.
pub struct Recorder {
    dir: PathBuf,
    wall: WallClock,
    tracks: BTreeMap<u64, Track>,
}

/// Makes the folder, and tries whether files can be made in it.
///
/// # Errors
///
/// What the system says.
pub fn prepare(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let probe = dir.join(format!(".segue-{}", std::process::id()));
    fs::File::create(&probe)?;
    fs::remove_file(&probe)
}

impl Recorder {
    /// A recorder into `dir`.
    pub fn new(dir: PathBuf, wall: WallClock) -> Self {
        Self { dir, wall, tracks: BTreeMap::new() }
    }

    /// Writes until the hub's bell is stopped and nothing waits.
    pub fn run(mut self, hub: &Hub) {
        while let Some(slots) = hub.bell().wait(Duration::from_secs(60)) {
            self.write(hub, &slots);
        }
    }

    /// Writes what waits now. For a driver without threads.
    pub fn pass(&mut self, hub: &Hub) {
        let slots = hub.bell().take();
        self.write(hub, &slots);
    }

    fn write(&mut self, hub: &Hub, slots: &[Arc<Slot>]) {
        for slot in slots {
            self.catch_up(hub, slot);
            hub.bell().done(1);
            hub.poke_drain();
        }
    }

    fn catch_up(&mut self, hub: &Hub, slot: &Arc<Slot>) {
        let Some(recording) = &slot.recording else { return };
        recording.notified.store(false, Ordering::Release);
        if recording.finished.load(Ordering::Acquire) {
            return;
        }
        let track = self.tracks.entry(slot.serial).or_insert_with(|| Track {
            slot: slot.clone(),
            cursor: slot.lock().log.start(Start::Oldest),
            epoch: None,
            file: None,
        });
        loop {
            let (entries, more, passed_over) = track.take();
            let (kept, written) = track.write(&self.dir, &self.wall, &entries);
            let lost = passed_over + (entries.len() as u64).saturating_sub(kept);
            recording.add_lost(lost);
            hub.add_unrecorded(lost);
            if let Err(error) = &written {
                tracing::warn!(stream = %slot.id, %error, "recording failed");
                recording.set_state(RecorderState::Failed);
                track.file = None;
            }
            let wrote = written.is_ok() && !entries.is_empty() && track.file.is_some();
            if wrote && recording.state() == RecorderState::Failed {
                recording.set_state(RecorderState::Ok);
            }
            recording.set_written(track.cursor.next_seq());
            match more {
                More::Yes => continue,
                More::Lost => {
                    tracing::warn!(stream = %slot.id, "the recorder was too slow and lost media");
                    recording.set_state(RecorderState::Degraded);
                    continue;
                }
                More::No | More::Ended => {}
            }
            if recording.state() == RecorderState::Degraded {
                recording.set_state(RecorderState::Ok);
            }
            if more == More::Ended {
                recording.finished.store(true, Ordering::Release);
                self.tracks.remove(&slot.serial);
            }
            break;
        }
        hub.recorded(slot);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum More {
    Yes,
    No,
    Lost,
    Ended,
}

impl Track {
    /// What comes next, and how many messages the log had to drop before.
    fn take(&mut self) -> (Vec<Arc<Entry>>, More, u64) {
        let state = self.slot.lock();
        let mut entries = Vec::new();
        loop {
            if entries.len() == BATCH {
                return (entries, More::Yes, 0);
            }
            let next = self.cursor.next_seq();
            match state.log.read(&mut self.cursor) {
                Read::Entry(entry) => entries.push(entry.clone()),
                Read::Lagged => {
                    return (entries, More::Lost, self.cursor.next_seq().saturating_sub(next));
                }
                Read::Empty => return (entries, More::No, 0),
                Read::Ended => return (entries, More::Ended, 0),
            }
        }
    }

    /// Writes `entries`. Returns how many of them are in a file: of a batch that failed, none is counted on.
    fn write(&mut self, dir: &Path, wall: &WallClock, entries: &[Arc<Entry>]) -> (u64, io::Result<()>) {
        let mut kept = 0;
        let result = self.write_all(dir, wall, entries, &mut kept);
        (if result.is_ok() { kept } else { 0 }, result)
    }

    fn write_all(
        &mut self,
        dir: &Path,
        wall: &WallClock,
        entries: &[Arc<Entry>],
        kept: &mut u64,
    ) -> io::Result<()> {
        for entry in entries {
            let new_leg = self.epoch != Some(entry.epoch);
            if new_leg {
                if let Some(file) = &mut self.file {
                    file.flush()?;
                }
                self.epoch = Some(entry.epoch);
            }
            // After a failure in the middle of a leg a new file starts where it can be decoded from.
            if new_leg || (self.file.is_none() && entry.starts_gop) {
                self.file = None;
                let start = wall().unwrap_or_else(|| {
                    let micros = i64::try_from(entry.arrived.as_micros()).unwrap_or(0);
                    jiff::Timestamp::from_microsecond(micros).unwrap_or_default()
                });
                self.file = Some(LegFile::create(&file::path(dir, &self.slot, entry.epoch.0, start))?);
            }
            if let Some(file) = &mut self.file {
                file.push(entry)?;
                *kept += 1;
            }
        }
        match &mut self.file {
            Some(file) => file.flush(),
            None => Ok(()),
        }
    }
}
