//! Lateness: when each message arrived at a viewer, less when it was due at the source, less the median of that in the
//! steady state. The viewer is `segue play -o -`; a thread reads its stdout and notes the time of every message.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::flv::{Splitter, Tag};
use crate::process::{Proc, Stdout};
use crate::segue;

/// A message and when it came.
pub type Arrival = (Instant, Tag);

/// `segue play URL -o -`, with the time of arrival of each message.
#[derive(Debug)]
pub struct Tap {
    /// The viewer.
    pub proc: Proc,
    seen: Arc<Mutex<Vec<Arrival>>>,
    reader: Option<JoinHandle<()>>,
}

impl Tap {
    /// Starts the viewer.
    pub fn start(bench: &Bench, name: &str, url: &str, args: &[&str]) -> Self {
        let mut command = segue::command(["play", url, "-o", "-"]);
        command.args(args);
        let mut proc = Proc::start_with(bench, name, command, std::process::Stdio::null(), Stdout::Pipe);
        let mut from = proc.take_stdout();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&seen);
        let reader = std::thread::spawn(move || {
            let mut splitter = Splitter::default();
            let mut buffer = vec![0; 256 << 10];
            while let Ok(n @ 1..) = from.read(&mut buffer) {
                let now = Instant::now();
                splitter.push(&buffer[..n]);
                let tags = std::iter::from_fn(|| splitter.next_tag()).map(|tag| (now, tag));
                into.lock().unwrap_or_else(PoisonError::into_inner).extend(tags);
            }
        });
        Self { proc, seen, reader: Some(reader) }
    }

    /// What has arrived so far.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the viewer's end: its exit code, and all that arrived.
    pub fn finish(&mut self, limit: Duration) -> (i32, Vec<Arrival>) {
        let code = self.proc.wait(limit);
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader's end");
        }
        (code, self.arrivals())
    }
}

/// From this long before a hand-over's boundary was due ...
const BEFORE: Duration = Duration::from_millis(500);
/// ... to this long after it, a message belongs to the hand-over.
const AFTER: Duration = Duration::from_secs(3);
/// Messages of the first seconds tell of starting, not of the steady state.
const WARM_UP: Duration = Duration::from_secs(2);

/// What the hand-overs cost.
#[derive(Clone, Copy, Debug)]
pub struct Lateness {
    /// Median of arrival minus due time away from hand-overs (where all is near one: of everything).
    pub steady: Duration,
    /// The worst message of all hand-overs, beyond the steady median.
    pub worst: Duration,
    /// How many messages were due around a hand-over.
    pub judged: usize,
}

/// Computes it, for a source that starts at timestamp 0. `started` is when that was due; `boundaries` are the timestamps at which hand-overs switched, in
/// milliseconds.
pub fn measure(arrivals: &[Arrival], started: Instant, boundaries: &[u32]) -> Lateness {
    let due = |ms: u32| started + Duration::from_millis(ms.into());
    let near = |ms: u32| boundaries.iter().any(|&b| due(ms) + BEFORE >= due(b) && due(ms) <= due(b) + AFTER);
    let media: Vec<(u32, Duration)> = arrivals
        .iter()
        .filter(|(_, tag)| tag.is_media())
        .map(|(at, tag)| (tag.timestamp, at.saturating_duration_since(due(tag.timestamp))))
        .collect();
    let warm = |ms: &u32| Duration::from_millis((*ms).into()) >= WARM_UP;
    let mut steady: Vec<Duration> =
        media.iter().filter(|(ms, _)| warm(ms) && !near(*ms)).map(|m| m.1).collect();
    if steady.len() < 100 {
        steady = media.iter().filter(|(ms, _)| warm(ms)).map(|m| m.1).collect();
    }
    steady.sort();
    let steady = *steady.get(steady.len() / 2).expect("messages arrived");
    let judged: Vec<Duration> = media.iter().filter(|(ms, _)| near(*ms)).map(|m| m.1).collect();
    let worst = judged.iter().max().copied().unwrap_or_default().saturating_sub(steady);
    Lateness { steady, worst, judged: judged.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_message_around_a_boundary_counts_beyond_the_median() {
        let started = Instant::now();
        let arrivals: Vec<Arrival> = (0..1000u32)
            .map(|n| {
                let ms = n * 20;
                // Everything takes 10 ms; one message near the boundary 70, one far from it 500.
                let late = match ms {
                    10_200 => 70,
                    5_000 => 500,
                    _ => 10,
                };
                let at = started + Duration::from_millis(u64::from(ms) + late);
                (at, Tag { kind: 9, timestamp: ms, body: vec![0x27, 1] })
            })
            .collect();
        let lateness = measure(&arrivals, started, &[10_000]);
        assert_eq!(lateness.steady, Duration::from_millis(10));
        assert_eq!(lateness.worst, Duration::from_millis(60));
        assert_eq!(lateness.judged, 176);
    }
}
