//! Processes of the built binary, and small sources for them. Waits end by a line or by bytes that a process writes,
//! never by the clock.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part; a test may panic")]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use bytes::Bytes;
use segue_flv::Writer;
use segue_proto::{MediaMessage, Timestamp, TrackKind};

/// The built binary with a clean environment.
pub(crate) fn segue<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(args: I) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_segue"));
    command.args(args).env_remove("SEGUE_LOG").env_remove("SEGUE_KEY").stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(args: I) -> Output {
    segue(args).output().unwrap()
}

/// Its exit code and what it says.
pub(crate) fn ended(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// A message of a source: 25 frames a second, a keyframe each half second, each payload different.
pub(crate) fn frame(i: u32) -> MediaMessage {
    let tag: &[u8] = if i.is_multiple_of(12) { b"\x17\x01\0\0\0" } else { b"\x27\x01\0\0\0" };
    let payload: Bytes = [tag, &i.to_be_bytes(), &[0x5a; 200]].concat().into();
    MediaMessage::new(TrackKind::Video, Timestamp::from_millis(i * 40), payload)
}

/// An FLV file of these frames, with a sequence header.
pub(crate) fn clip(frames: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let mut writer = Writer::new(false, true);
    let header = Bytes::from_static(b"\x17\0\0\0\0header");
    writer.push(&MediaMessage::new(TrackKind::Video, Timestamp::ZERO, header)).unwrap();
    for i in frames {
        writer.push(&frame(i)).unwrap();
    }
    writer.take().to_vec()
}

/// Writes `content` to `name` in `dir`.
pub(crate) fn file(dir: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn kill(signal: &str, id: u32) {
    let sent = Command::new("kill").arg(format!("-{signal}")).arg(id.to_string()).status().unwrap();
    assert!(sent.success());
}

/// A process that is ended at the latest with its test.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Sends the signal of that name.
    pub(crate) fn signal(&self, name: &str) {
        kill(name, self.0.id());
    }

    /// Reads so many bytes of its stdout.
    pub(crate) fn read(&mut self, bytes: usize) -> Vec<u8> {
        let mut read = vec![0; bytes];
        self.0.stdout.as_mut().unwrap().read_exact(&mut read).unwrap();
        read
    }

    /// Waits for its end: exit code, the rest of stdout, stderr.
    pub(crate) fn end(mut self) -> (i32, Vec<u8>, String) {
        let stderr = self.0.stderr.take().unwrap();
        let errors = std::thread::spawn(move || std::io::read_to_string(stderr).unwrap());
        let mut out = Vec::new();
        self.0.stdout.take().unwrap().read_to_end(&mut out).unwrap();
        let code = self.0.wait().unwrap().code().unwrap_or(-1);
        (code, out, errors.join().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `segue serve` on free ports of the loopback.
pub(crate) struct Server {
    pub(crate) process: Child,
    pub(crate) rtmp: String,
    pub(crate) admin: String,
    pub(crate) record: PathBuf,
    /// Everything that it logs.
    pub(crate) log: PathBuf,
}

impl Server {
    pub(crate) fn start(dir: &Path, name: &str) -> Self {
        Self::start_with(dir, name, &[])
    }

    /// The same with further arguments.
    pub(crate) fn start_with(dir: &Path, name: &str, more: &[&str]) -> Self {
        Self::launch(dir, name, "127.0.0.1:0", more)
    }

    /// On this address for RTMP.
    pub(crate) fn start_at(dir: &Path, name: &str, rtmp: &str) -> Self {
        Self::launch(dir, name, rtmp, &[])
    }

    fn launch(dir: &Path, name: &str, rtmp: &str, more: &[&str]) -> Self {
        let record = dir.join(name);
        let any = "127.0.0.1:0";
        let mut command =
            segue(["serve", "--rtmp", rtmp, "--http", any, "--admin", any, "--drain-settle", "0"]);
        command.args(more).arg("--record").arg(&record).env("SEGUE_LOG", "trace").stdout(Stdio::piped());
        let log = dir.join(format!("{name}.log"));
        command.stderr(std::fs::File::create(&log).unwrap());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut line = |prefix: &str| lines.next().unwrap().unwrap().strip_prefix(prefix).unwrap().to_owned();
        let rtmp = line("listening rtmp://");
        line("listening http://");
        let admin = line("listening admin http://");
        Self { process, rtmp, admin, record, log }
    }

    pub(crate) fn url(&self, stream: &str) -> String {
        format!("rtmp://{}/{stream}", self.rtmp)
    }

    /// What it recorded under `live`, in order.
    pub(crate) fn recordings(&self) -> Vec<PathBuf> {
        let Ok(folder) = std::fs::read_dir(self.record.join("live")) else { return Vec::new() };
        let mut paths: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        kill(name, self.process.id());
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn stop(&mut self, signal: &str) -> i32 {
        self.signal(signal);
        self.process.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
