//! `Bench`: what one test stands on. A directory, a seed, and the turn: tests that measure time run one at a time. The
//! words for waiting are here too. It starts no process.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One test at a time in this process, whatever `--test-threads` says: they share two cores and measure time.
static TURN: Mutex<()> = Mutex::new(());

/// A test's own directory and random numbers, and its turn.
#[derive(Debug)]
pub struct Bench {
    dir: Option<tempfile::TempDir>,
    seed: u64,
    _turn: MutexGuard<'static, ()>,
}

impl Bench {
    /// Waits for its turn, makes a directory, and prints the seed. `SEGUE_SEED` in the environment replays one.
    pub fn new(name: &str) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let prefix = format!("segue-{name}-");
        let dir = tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary directory");
        let seed = match std::env::var("SEGUE_SEED") {
            Ok(seed) => seed.parse().expect("SEGUE_SEED is a decimal number"),
            Err(_) => fastrand::u64(..),
        };
        println!("{name}: seed {seed} (SEGUE_SEED={seed} replays it)");
        Self { dir: Some(dir), seed, _turn: turn }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.dir.as_ref().expect("kept until dropped").path()
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Random numbers that the printed seed replays.
    pub fn rng(&self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(dir) = self.dir.take()
        {
            println!("files kept in {}", dir.keep().display());
        }
    }
}

/// Where the repository is.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/NAME below the root").to_owned()
}

/// Between two looks at a condition that announces itself to nobody.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until `condition` gives something.
///
/// # Panics
/// When it has not within `limit`; `what` says what was waited for.
pub fn wait_for<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Blocks until `due`: for moments that are part of the scenario (a publisher that starts later, a drain at a random
/// time), never to give something time to happen.
pub fn at(due: Instant) {
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
}
