//! The binary under test: where it is, `segue serve` as a [`Server`], and the short commands. Nothing here knows more
//! than what the command line, the admin API and the files say.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::bench::{Bench, repository, wait_for};
use crate::process::{Output, Proc, run};
use crate::{flv, http};

/// A server that does not listen by then does not work.
const STARTUP: Duration = Duration::from_secs(10);
/// What a command may take that has nothing to wait for.
pub const SHORT: Duration = Duration::from_secs(20);
/// What a server with nothing to drain may take to stop.
const STOP: Duration = Duration::from_secs(30);

/// The `segue` binary: `SEGUE_BIN`, or the release build, which is made here when it is not up to date.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("SEGUE_BIN") {
            return path.into();
        }
        let exe = std::env::current_exe().expect("where the test is");
        let target = exe.ancestors().nth(3).expect("target/PROFILE/deps/TEST");
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--release", "--package", "segue-cli", "--target-dir"])
            .arg(target)
            .current_dir(repository())
            .status();
        assert!(status.is_ok_and(|s| s.success()), "cargo build --release --package segue-cli failed");
        target.join("release").join("segue")
    })
}

/// `segue ARGS...`, not started yet.
pub fn command<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(binary());
    command.args(args).env_remove("SEGUE_KEY").env_remove("SEGUE_LOG");
    command
}

/// The first 16 hex digits of SHA-256 of `app/name`, which stand for a stream wherever its name may not.
pub fn stream_id(app_and_name: &str) -> String {
    let hash = Sha256::digest(app_and_name.as_bytes());
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A running `segue serve` with a record folder of its own.
#[derive(Debug)]
pub struct Server {
    /// The process.
    pub proc: Proc,
    /// Where it takes RTMP.
    pub rtmp: SocketAddr,
    /// Its public HTTP listener.
    pub http: SocketAddr,
    /// Its admin API.
    pub admin: SocketAddr,
    record: PathBuf,
}

impl Server {
    /// Starts it on free ports of the loopback and waits until all listeners say that they accept.
    pub fn start(bench: &Bench, name: &str) -> Self {
        Self::start_with(bench, name, &[])
    }

    /// The same with further arguments.
    pub fn start_with(bench: &Bench, name: &str, more: &[&str]) -> Self {
        let record = bench.path(&format!("{name}.rec"));
        let mut command = command(["serve", "--rtmp", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        command.args(["--admin", "127.0.0.1:0", "--record"]).arg(&record).args(more);
        let mut proc = Proc::start(bench, name, command);
        let listener = |proc: &mut Proc, prefix: &str| -> SocketAddr {
            let what = format!("{name}: `{prefix}ADDR` on stdout");
            let line = wait_for(&what, STARTUP, || {
                assert!(proc.ended().is_none(), "{name} ended\n{}", proc.stderr());
                let out = proc.stdout();
                // A line without its end may be half a number.
                out.split_inclusive('\n')
                    .find_map(|l| l.strip_prefix(prefix)?.strip_suffix('\n').map(str::to_owned))
            });
            line.parse().unwrap_or_else(|e| panic!("{name}: {line:?}: {e}"))
        };
        let rtmp = listener(&mut proc, "listening rtmp://");
        let http = listener(&mut proc, "listening http://");
        let admin = listener(&mut proc, "listening admin http://");
        Self { proc, rtmp, http, admin, record }
    }

    /// `rtmp://ADDR`.
    pub fn base(&self) -> String {
        format!("rtmp://{}", self.rtmp)
    }

    /// `rtmp://ADDR/APP/NAME`.
    pub fn url(&self, app_and_name: &str) -> String {
        format!("rtmp://{}/{app_and_name}", self.rtmp)
    }

    /// `http://ADDR` of the admin API.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// Where it records.
    pub fn record_dir(&self) -> &Path {
        &self.record
    }

    /// What `GET /api/v1/streams` says of one stream, if it knows it.
    pub fn stream(&self, app_and_name: &str) -> Option<Value> {
        let id = stream_id(app_and_name);
        find_id(&http::get(self.admin, "/api/v1/streams").json(), &id).cloned()
    }

    /// The records of `GET /api/v1/handovers` for one stream.
    pub fn handovers(&self, app_and_name: &str) -> Vec<Value> {
        let id = stream_id(app_and_name);
        let all = http::get(self.admin, "/api/v1/handovers").json();
        records(&all).iter().filter(|r| r["stream"] == *id).cloned().collect()
    }

    /// The recordings of one stream, in the order of its legs.
    pub fn recordings(&self, app_and_name: &str) -> Vec<PathBuf> {
        let app = app_and_name.rsplit_once('/').expect("APP/NAME").0;
        let id = &stream_id(app_and_name)[..8];
        let Ok(folder) = std::fs::read_dir(self.record.join(app)) else { return Vec::new() };
        let mut files: Vec<PathBuf> = folder
            .map(|entry| entry.expect("an entry of the record folder").path())
            .filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(id)))
            .collect();
        files.sort();
        files
    }

    /// How many media messages of one stream it has recorded so far.
    pub fn recorded(&self, app_and_name: &str) -> usize {
        let count = |path: &PathBuf| flv::read(path).iter().filter(|tag| tag.is_media()).count();
        self.recordings(app_and_name).iter().map(count).sum()
    }

    /// Waits until it has recorded `count` media messages of one stream.
    pub fn wait_recorded(&self, app_and_name: &str, count: usize, limit: Duration) {
        let what = format!("{} has recorded {count} messages of {app_and_name}", self.proc.name());
        wait_for(&what, limit, || (self.recorded(app_and_name) >= count).then_some(()));
    }

    /// Runs `segue drain ARGS` on it to its end.
    pub fn drain(&self, bench: &Bench, name: &str, args: &[&str], limit: Duration) -> Output {
        run(bench, name, self.drain_command(args), limit)
    }

    /// `segue drain` on this server, not started yet.
    pub fn drain_command(&self, args: &[&str]) -> Command {
        let mut command = command(["drain", "--admin", &self.admin_url()]);
        command.args(args);
        command
    }

    /// Cancels a drain: the server takes streams again.
    pub fn undrain(&self, bench: &Bench) {
        let output = self.drain(bench, &format!("{}-undrain", self.proc.name()), &["--cancel"], SHORT);
        assert_eq!(output.code, 0, "drain --cancel: {output:?}");
        assert_eq!(http::get(self.http, "/api/v1/health").status, 200);
    }

    /// SIGTERM, and waits: gives the exit code.
    pub fn stop(&mut self) -> i32 {
        if let Some(code) = self.proc.ended() {
            return code;
        }
        self.proc.signal("TERM");
        self.proc.wait(STOP)
    }
}

/// The object with this `id`, wherever it stands in an answer.
fn find_id<'a>(value: &'a Value, id: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) if map.get("id").is_some_and(|v| v == id) => Some(value),
        Value::Object(map) => map.values().find_map(|v| find_id(v, id)),
        Value::Array(list) => list.iter().find_map(|v| find_id(v, id)),
        _ => None,
    }
}

/// The hand-over records of an answer or a report: the array itself, or what stands under `handovers`.
pub fn records(value: &Value) -> &[Value] {
    let list = value.get("handovers").unwrap_or(value);
    list.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digits are those of `printf live/cam | sha256sum`.
    #[test]
    fn a_stream_is_known_by_its_hash() {
        assert_eq!(stream_id("live/cam"), "c956f33eaed69834");
    }
}
