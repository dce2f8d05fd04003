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

    /// Stops streaming and recording properly.
    pub fn stop(mut self) -> Stopped {
        if self.proc.ended().is_none() {
            self.proc.signal("TERM");
        }
        let code = self.proc.wait(STOP);
        assert_eq!(code, 0, "OBS: {}", self.proc.stderr());
        let mut files = std::fs::read_dir(&self.record).expect("OBS's record folder");
        let recording = files.next().expect("OBS's recording").expect("OBS's recording").path();
        let log = self.proc.stdout() + &self.proc.stderr();
        Stopped { recording, acts: log.matches("Silent reconnect signal received").count() }
    }
}

/// What OBS leaves behind.
#[derive(Debug)]
pub struct Stopped {
    /// Its own recording.
    pub recording: PathBuf,
    /// How often it acted on a signal, by its log.
    pub acts: usize,
}

impl Stopped {
    /// Whether OBS acted more than once on one signal. It does now and then: it starts the thread that sends on its new
    /// connection before it takes back the flag that made it leave the old one, and if that thread is first, it leaves
    /// the new connection too, at once and before a byte of the server's could have told it so (`send_thread` and
    /// `connect_thread` of OBS 29.0.2's rtmp-stream.c). It then falls into its ordinary reconnect, which drops what was
    /// queued. No server can help that, so nothing is learnt of ours. Call only when the wire shows one signal.
    pub fn raced_with_itself(&self) -> bool {
        self.acts > 1
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
