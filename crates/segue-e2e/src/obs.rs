//! Debian 12's OBS without a screen, by `scripts/obs-headless`: it streams, and records the same encoded packets.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::bench::{Bench, repository};
use crate::process::Proc;

/// OBS makes its scene's clip, then starts Xvfb and itself; stopping it takes until both have closed their files.
const STOP: Duration = Duration::from_secs(30);

/// A running OBS.
#[derive(Debug)]
pub struct Obs {
    /// The script.
    pub proc: Proc,
    record: PathBuf,
}

impl Obs {
    /// Starts it to stream `key` to `server` (`rtmp://ADDR/APP`) for at most `seconds`.
    pub fn start(bench: &Bench, server: &str, key: &str, seconds: u32) -> Self {
        let record = bench.path("obs.rec");
        let mut command = Command::new(repository().join("scripts/obs-headless"));
        command.arg(server).arg(key).arg(&record).arg(seconds.to_string());
        Self { proc: Proc::start(bench, "obs", command), record }
    }

    /// Stops streaming and recording properly; gives OBS's own recording.
    pub fn stop(mut self) -> PathBuf {
        if self.proc.ended().is_none() {
            self.proc.signal("TERM");
        }
        let code = self.proc.wait(STOP);
        assert_eq!(code, 0, "OBS: {}", self.proc.stderr());
        let mut files = std::fs::read_dir(&self.record).expect("OBS's record folder");
        files.next().expect("OBS's recording").expect("OBS's recording").path()
    }
}

impl Drop for Obs {
    /// The script ends OBS and Xvfb if it gets the chance.
    fn drop(&mut self) {
        if self.proc.ended().is_none() {
            self.proc.signal("TERM");
            let patience = std::time::Instant::now() + STOP;
            while self.proc.ended().is_none() && std::time::Instant::now() < patience {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}
