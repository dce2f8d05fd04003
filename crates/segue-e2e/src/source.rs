//! Sources: clips that ffmpeg makes from its test sources, and `segue publish -` fed with one, either by `ffmpeg -re`
//! or by a feeder of our own that knows when each message was due. What went into the pipe is kept: it is SENT.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::{Bench, at, repository};
use crate::process::{Proc, Stdout};
use crate::{flv, segue};

/// Kinds of source. All have pictures and sound that never repeat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// H.264 at 30 fps with a keyframe every 2 s and no B-frames, and AAC.
    Av,
    /// The same with two B-frames in a row.
    BFrames,
    /// AAC alone.
    AudioOnly,
    /// H.264 alone.
    VideoOnly,
    /// H.264 whose only keyframe is the first picture, and AAC.
    OneGop,
}

/// An FLV file to publish from.
#[derive(Clone, Debug)]
pub struct Clip {
    /// Where it is.
    pub path: PathBuf,
}

impl Clip {
    /// The clip of the repository: 14 s of H.264 and AAC; needs no ffmpeg.
    pub fn demo() -> Self {
        Self { path: repository().join("assets/demo.flv") }
    }

    /// A clip of this kind, made by ffmpeg once and kept below the build's folder.
    pub fn make(kind: Kind, seconds: u32) -> Self {
        let video =
            format!("testsrc2=size=320x180:rate=30:duration={seconds},noise=all_seed=11:alls=8:allf=t");
        let audio =
            format!("anoisesrc=color=pink:amplitude=0.3:sample_rate=48000:seed=11:duration={seconds}");
        let x264 =
            ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "veryfast", "-threads", "2", "-crf", "32"];
        let length = if kind == Kind::OneGop { "100000" } else { "60" };
        let gop = ["-g", length, "-keyint_min", length, "-sc_threshold", "0"];
        let aac = ["-c:a", "aac", "-b:a", "64k", "-ac", "2"];
        let mut args: Vec<&str> = Vec::new();
        if kind != Kind::AudioOnly {
            args.extend(["-f", "lavfi", "-i", &video]);
        }
        if kind != Kind::VideoOnly {
            args.extend(["-f", "lavfi", "-i", &audio]);
        }
        if kind != Kind::AudioOnly {
            args.extend(x264.iter().chain(&gop));
            args.extend(["-bf", if kind == Kind::BFrames { "2" } else { "0" }]);
        }
        if kind != Kind::VideoOnly {
            args.extend(aac);
        }
        args.extend(["-flvflags", "no_duration_filesize", "-f", "flv"]);
        Self { path: cached(&args) }
    }
}

/// The file that ffmpeg makes with these arguments: from the cache, or made now.
fn cached(args: &[&str]) -> PathBuf {
    let exe = std::env::current_exe().expect("where the test is");
    let folder = exe.ancestors().nth(3).expect("target/PROFILE/deps/TEST").join("e2e-clips");
    fs::create_dir_all(&folder).expect("a folder for clips");
    let path = folder.join(format!("{}.flv", segue::stream_id(&args.join(" "))));
    if !path.exists() {
        let part = folder.join(format!("{}.part", std::process::id()));
        let mut ffmpeg = ffmpeg();
        ffmpeg.args(["-v", "error", "-y"]).args(args).arg(&part);
        let output = ffmpeg.output().expect("ffmpeg runs");
        assert!(output.status.success(), "ffmpeg: {}", String::from_utf8_lossy(&output.stderr));
        fs::rename(&part, &path).expect("a clip in its place");
    }
    path
}

/// `ffmpeg`, which asks nothing on stdin.
pub fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-nostdin"]);
    command
}

/// `ffmpeg -re` that publishes a clip straight to `url`, as an encoder that knows nothing of go-aways. The same muxer
/// writes the same messages to the file that is returned, which goes on when the server does not.
pub fn ffmpeg_publish(bench: &Bench, name: &str, clip: &Clip, url: &str) -> (Proc, PathBuf) {
    let sent = bench.path(&format!("{name}.sent.flv"));
    let outputs = format!(
        "[f=flv:flvflags=no_duration_filesize:onfail=ignore]{url}|[f=flv:flvflags=no_duration_filesize]{}",
        sent.display()
    );
    let mut command = ffmpeg();
    command.args(["-v", "warning", "-re", "-i"]).arg(&clip.path).args(["-map", "0", "-c", "copy"]);
    command.args(["-flush_packets", "1", "-f", "tee", &outputs]);
    (Proc::start(bench, name, command), sent)
}

/// `ffmpeg` as a viewer of `url` that keeps the packets as they come.
pub fn ffmpeg_view(bench: &Bench, name: &str, url: &str, out: &Path) -> Proc {
    let mut command = ffmpeg();
    command.args(["-v", "warning", "-y", "-i", url, "-c", "copy", "-copyts", "-f", "flv"]).arg(out);
    Proc::start(bench, name, command)
}

/// Decodes a file whole.
///
/// # Panics
/// When ffmpeg has anything to complain of.
pub fn decodes_silently(bench: &Bench, file: &Path) {
    let mut command = ffmpeg();
    command.args(["-v", "error", "-i"]).arg(file).args(["-f", "null", "-"]);
    let output = crate::process::run(bench, "decode", command, Duration::from_secs(60));
    let what = file.display();
    assert!(
        output.code == 0 && output.stderr.is_empty(),
        "ffmpeg on {what}: {}\n{}",
        output.code,
        output.stderr
    );
}

/// A `segue publish - URL` and what feeds it.
#[derive(Debug)]
pub struct Publish {
    /// The publisher.
    pub proc: Proc,
    /// What was written to its stdin.
    pub sent: PathBuf,
    /// When the first message was due: of meaning for [`Publish::paced`].
    pub started: Instant,
    report: PathBuf,
    feeder: Option<JoinHandle<std::io::Result<()>>>,
    /// Killed with the publisher when a test fails.
    _ffmpeg: Option<Proc>,
}

impl Publish {
    /// `ffmpeg -re -i CLIP -c copy -f flv - | tee SENT | segue publish - URL ARGS`.
    pub fn live(bench: &Bench, name: &str, clip: &Clip, url: &str, args: &[&str]) -> Self {
        let mut command = ffmpeg();
        command.args(["-v", "error", "-re", "-i"]).arg(&clip.path).args([
            "-c",
            "copy",
            "-flush_packets",
            "1",
        ]);
        command.args(["-flvflags", "no_duration_filesize", "-f", "flv", "-"]);
        let ffmpeg_name = format!("{name}-ffmpeg");
        let mut ffmpeg = Proc::start_with(bench, &ffmpeg_name, command, Stdio::null(), Stdout::Pipe);
        let mut from = ffmpeg.take_stdout();
        Self::start(bench, name, url, args, Some(ffmpeg), move |to: &mut dyn Write, _| {
            let mut buffer = vec![0; 64 << 10];
            loop {
                match from.read(&mut buffer)? {
                    0 => return Ok(()),
                    n => to.write_all(&buffer[..n])?,
                }
            }
        })
    }

    /// The same with a feeder of our own, which writes each message when its timestamp is due: the first at once.
    pub fn paced(bench: &Bench, name: &str, clip: &Clip, url: &str, args: &[&str]) -> Self {
        let tags = flv::read(&clip.path);
        assert!(!tags.is_empty(), "{}: no messages", clip.path.display());
        Self::start(bench, name, url, args, None, move |to: &mut dyn Write, started| {
            to.write_all(&flv::HEADER)?;
            let zero = tags.first().map_or(0, |tag| tag.timestamp);
            for tag in tags {
                at(started + Duration::from_millis(tag.timestamp.wrapping_sub(zero).into()));
                to.write_all(&tag.bytes())?;
            }
            Ok(())
        })
    }

    /// The same, over and over with timestamps that go on, until `enough` says so.
    pub fn endless(
        bench: &Bench,
        name: &str,
        clip: &Clip,
        url: &str,
        enough: impl Fn() -> bool + Send + 'static,
    ) -> Self {
        let tags = flv::read(&clip.path);
        let last = tags.last().expect("a clip of some messages").timestamp;
        Self::start(bench, name, url, &[], None, move |to: &mut dyn Write, started| {
            to.write_all(&flv::HEADER)?;
            for round in 0_u32.. {
                // A frame's time from the end of one round to the start of the next.
                let from = round * (last + 33);
                for tag in tags.iter().filter(|tag| round == 0 || tag.is_media()) {
                    let timestamp = tag.timestamp + from;
                    at(started + Duration::from_millis(timestamp.into()));
                    if enough() {
                        return Ok(());
                    }
                    to.write_all(&flv::Tag { timestamp, ..tag.clone() }.bytes())?;
                }
            }
            Ok(())
        })
    }

    fn start(
        bench: &Bench,
        name: &str,
        url: &str,
        args: &[&str],
        ffmpeg: Option<Proc>,
        feed: impl FnOnce(&mut dyn Write, Instant) -> std::io::Result<()> + Send + 'static,
    ) -> Self {
        let (sent, report) = (bench.path(&format!("{name}.sent.flv")), bench.path(&format!("{name}.json")));
        let mut command = segue::command(["publish", "-", url]);
        command.args(args).arg("--report").arg(&report);
        let mut proc = Proc::start_with(bench, name, command, Stdio::piped(), Stdout::File);
        let stdin = proc.take_stdin();
        let file = File::create(&sent).expect("a file for what is sent");
        let started = Instant::now();
        let feeder = std::thread::spawn(move || feed(&mut Tee { file, pipe: Some(stdin) }, started));
        Self { proc, sent, started, report, feeder: Some(feeder), _ffmpeg: ffmpeg }
    }

    /// Waits for the publisher's end; gives its exit code and its hand-over records.
    pub fn finish(&mut self, limit: Duration) -> (i32, Vec<Value>) {
        let code = self.proc.wait(limit);
        if let Some(feeder) = self.feeder.take() {
            feeder
                .join()
                .expect("the feeder's end")
                .unwrap_or_else(|e| panic!("feeding {}: {e}", self.proc.name()));
        }
        let report = fs::read_to_string(&self.report).unwrap_or_else(|_| "[]".to_owned());
        let report: Value = serde_json::from_str(&report).expect("the report is JSON");
        (code, segue::records(&report).to_vec())
    }

    /// Kills the publisher, and waits until the source has come to its end all the same: SENT is complete.
    pub fn abandon(&mut self) {
        self.proc.kill();
        if let Some(feeder) = self.feeder.take() {
            feeder
                .join()
                .expect("the feeder's end")
                .unwrap_or_else(|e| panic!("feeding {}: {e}", self.proc.name()));
        }
    }

    /// Waits for an end without fault; gives the hand-over records.
    pub fn succeeds(&mut self, limit: Duration) -> Vec<Value> {
        let (code, records) = self.finish(limit);
        assert_eq!(code, 0, "{} exits with {code}\n{}", self.proc.name(), self.proc.stderr());
        records
    }
}

/// Writes to a file and a pipe. A publisher that has ended closes the pipe; the file goes on to be complete.
struct Tee {
    file: File,
    pipe: Option<std::process::ChildStdin>,
}

impl Write for Tee {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write_all(bytes)?;
        if let Some(pipe) = &mut self.pipe {
            match pipe.write_all(bytes) {
                Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => self.pipe = None,
                other => other?,
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// How many video and audio packets ffmpeg finds in a file.
pub fn packets(bench: &Bench, file: &Path) -> (usize, usize) {
    let count = |stream: &str| {
        let mut command = ffmpeg();
        command
            .args(["-v", "error", "-i"])
            .arg(file)
            .args(["-map", stream, "-c", "copy", "-f", "framecrc", "-"]);
        let output = crate::process::run(bench, "packets", command, Duration::from_secs(60));
        output.stdout.lines().filter(|line| !line.starts_with('#')).count()
    };
    (count("0:v?"), count("0:a?"))
}
