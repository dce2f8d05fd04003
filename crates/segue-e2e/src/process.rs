//! `Proc`: a child process whose output goes to files, whose end is awaited within a limit, and who never outlives its
//! value. It knows no program in particular.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::bench::{Bench, wait_for};

/// How much of a log a failing test shows: its last bytes.
const SHOWN: usize = 4000;

/// What becomes of a child's standard output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stdout {
    /// To the file `NAME.out` on the bench.
    File,
    /// To a pipe: see [`Proc::take_stdout`].
    Pipe,
}

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Proc {
    name: String,
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Proc {
    /// Starts `command` with stdin from nowhere and stdout to a file.
    pub fn start(bench: &Bench, name: &str, command: Command) -> Self {
        Self::start_with(bench, name, command, Stdio::null(), Stdout::File)
    }

    /// Starts `command`; stderr goes to `NAME.err` on the bench.
    pub fn start_with(bench: &Bench, name: &str, mut command: Command, stdin: Stdio, stdout: Stdout) -> Self {
        let (out, err) = (bench.path(&format!("{name}.out")), bench.path(&format!("{name}.err")));
        let create = |path: &PathBuf| File::create(path).expect("a log file on the bench");
        command.stdin(stdin).stderr(create(&err));
        match stdout {
            Stdout::File => command.stdout(create(&out)),
            Stdout::Pipe => command.stdout(Stdio::piped()),
        };
        let child = command.spawn().unwrap_or_else(|e| panic!("{name}: cannot start {command:?}: {e}"));
        Self { name: name.to_owned(), child, out, err }
    }

    /// The name it was started with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The write end of its stdin, which was piped and not taken yet.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("stdin was piped")
    }

    /// The read end of its stdout, which was piped and not taken yet.
    pub fn take_stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("stdout was piped")
    }

    /// What it wrote to stdout so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.out).unwrap_or_default()).into_owned()
    }

    /// What it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.err).unwrap_or_default()).into_owned()
    }

    /// Sends a signal by name: `TERM`, `INT`, `KILL`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        // The shell's own `kill` is everywhere, and the standard library sends SIGKILL only.
        let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.child.id())).status();
        assert!(status.is_ok_and(|s| s.success()), "{}: cannot send SIG{name}", self.name);
    }

    /// Its exit code if it has ended; one who died by a signal is -1.
    pub fn ended(&mut self) -> Option<i32> {
        let status = self.child.try_wait().expect("the state of a child");
        status.map(|s| s.code().unwrap_or(-1))
    }

    /// Waits for its end and gives its exit code.
    ///
    /// # Panics
    /// When it runs longer than `limit`.
    pub fn wait(&mut self, limit: Duration) -> i32 {
        let what = format!("the end of {}", self.name);
        wait_for(&what, limit, || self.ended())
    }

    /// Waits for its end, which must be exit code 0.
    pub fn succeeds(&mut self, limit: Duration) {
        let code = self.wait(limit);
        assert_eq!(code, 0, "{} exits with {code}\n{}", self.name, tail(&self.stderr()));
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        let ended = self.ended();
        self.kill();
        if std::thread::panicking() {
            let state = ended.map_or("still running".to_owned(), |code| format!("ended with {code}"));
            println!("--- {} ({state}), stderr:\n{}", self.name, tail(&self.stderr()));
            if self.out.exists() {
                println!("--- {}, stdout:\n{}", self.name, tail(&self.stdout()));
            }
        }
    }
}

fn tail(text: &str) -> &str {
    let mut from = text.len().saturating_sub(SHOWN);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

/// What a command that ran to its end left.
#[derive(Clone, Debug)]
pub struct Output {
    /// Exit code; -1 after a signal.
    pub code: i32,
    /// All of stdout.
    pub stdout: String,
    /// All of stderr.
    pub stderr: String,
}

/// Runs a command to its end.
///
/// # Panics
/// When it takes longer than `limit`.
pub fn run(bench: &Bench, name: &str, command: Command, limit: Duration) -> Output {
    let mut child = Proc::start(bench, name, command);
    let code = child.wait(limit);
    Output { code, stdout: child.stdout(), stderr: child.stderr() }
}
