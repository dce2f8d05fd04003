//! What a drain reports: `GET drain`, and what the process exits with.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

/// A server's state as operators see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerState {
    /// Takes streams.
    #[default]
    Running,
    /// Empties itself.
    Draining,
    /// Holds nothing more.
    Drained,
}

impl ServerState {
    /// As JSON names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Drained => "drained",
        }
    }
}

/// What a drain is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// There is no drain.
    #[default]
    None,
    /// Readiness is off, some clients are still to be told.
    Telling,
    /// All are told, some are still here.
    Waiting,
    /// Who is still here is cut at its next boundary.
    Cutting,
    /// It is over.
    Done,
}

/// How one stream fared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamLine {
    /// The stream's id.
    pub id: String,
    /// Its masked name.
    pub name: String,
    /// `reconnect-request`, `go-away` or `none`.
    pub told: &'static str,
    /// `moved`, `ended`, `cut`, `lost`, `stayed`; null while it is still here.
    pub result: Option<&'static str>,
    /// Messages known to be lost; null if this server cannot know.
    pub missing: Option<u64>,
    /// How long a boundary message waited here, in ms; null if this server cannot know.
    pub delay_ms: Option<u64>,
}

/// Publishers by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Publishers {
    /// All that were here.
    pub total: usize,
    /// Went to another server, or to this one again.
    pub moved: usize,
    /// Ended by themselves.
    pub ended: usize,
    /// Cut by this server.
    pub cut: usize,
    /// Ended with media known to be lost.
    pub lost: usize,
    /// Still here.
    pub waiting: usize,
}

/// The whole of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Report {
    /// The server's state.
    pub state: ServerState,
    /// The drain's.
    pub phase: Phase,
    /// Where clients are sent.
    pub to: Option<String>,
    /// Seconds from the command to the cut.
    pub deadline: f64,
    /// Seconds since the command.
    pub elapsed: f64,
    /// Nothing was done, this is what would be.
    pub dry_run: bool,
    /// One line a stream, ordered by id.
    pub streams: Vec<StreamLine>,
    /// Publishers, counted.
    pub publishers: Publishers,
    /// Viewers that could not follow and were ended.
    pub viewers_ended: usize,
}

impl Report {
    /// Whether a publisher was cut or lost something: exit code 3.
    pub fn has_loss(&self) -> bool {
        self.publishers.cut > 0
            || self.publishers.lost > 0
            || self.streams.iter().any(|line| line.missing.is_some_and(|n| n > 0))
    }
}

/// The newest report, and who waits for it to say that the drain is over.
#[derive(Debug, Default)]
pub struct Board {
    report: Mutex<Report>,
    changed: Condvar,
}

impl Board {
    /// The newest.
    pub fn report(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn publish(&self, report: Report) {
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = report;
        self.changed.notify_all();
    }

    /// Blocks until the server is drained, its drain is cancelled, or `patience` is over. Returns the newest report in
    /// each case. To be called while it is draining.
    pub fn wait_drained(&self, patience: Duration) -> Report {
        let report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        let (report, _) = self
            .changed
            .wait_timeout_while(report, patience, |report| report.state == ServerState::Draining)
            .unwrap_or_else(PoisonError::into_inner);
        report.clone()
    }
}
