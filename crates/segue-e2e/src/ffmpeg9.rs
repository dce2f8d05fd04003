//! FFmpeg 9, for what Debian's cannot do: Enhanced RTMP's codecs in FLV. It is a static binary that comes in a Python
//! package of a fixed version, installed once below the build's folder. Everything else uses [`crate::source::ffmpeg`].

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::bench::{Bench, repository};
use crate::process::{Output, run};
use crate::segue;
use crate::source::Clip;

/// The package, and the version whose binary is FFmpeg 9.
const PACKAGE: &str = "imageio-ffmpeg";
const VERSION: &str = "0.8.1";
/// What decoding a short clip may take.
const DECODING: Duration = Duration::from_secs(60);

/// The build's folder.
fn target() -> PathBuf {
    let exe = std::env::current_exe().expect("where the test is");
    exe.ancestors().nth(3).expect("target/PROFILE/deps/TEST").to_owned()
}

/// A folder that holds FFmpeg 9 as `ffmpeg`, for programs that look for that name.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = target().join("peers").join(format!("{PACKAGE}-{VERSION}"));
        if !folder.exists() {
            install(&folder);
        }
        folder
    })
}

/// Installs beside `folder`, and puts it in place when all is there.
fn install(folder: &Path) {
    let part = folder.with_extension(format!("{}.part", std::process::id()));
    let output = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
        .arg(&part)
        .arg(format!("{PACKAGE}=={VERSION}"))
        .output()
        .expect("python3 runs");
    assert!(output.status.success(), "pip: {}", String::from_utf8_lossy(&output.stderr));
    let binaries = fs::read_dir(part.join("imageio_ffmpeg/binaries")).expect("the package's binaries");
    let binary = binaries
        .map(|file| file.expect("an entry").path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ffmpeg-")));
    fs::rename(binary.expect("the package has an ffmpeg"), part.join("ffmpeg")).expect("a name of its own");
    fs::rename(&part, folder).expect("a folder in its place");
}

/// `ffmpeg` 9, which asks nothing on stdin.
pub fn ffmpeg() -> Command {
    let mut command = Command::new(folder().join("ffmpeg"));
    command.args(["-hide_banner", "-nostdin"]);
    command
}

/// A clip of moving picture and noise that never repeat, with a keyframe every second: 15 fps by the encoder with these
/// arguments, and Opus. Made once and kept.
pub fn clip(seconds: u32, encoder: &[&str]) -> Clip {
    let video = format!("testsrc2=size=160x90:rate=15:duration={seconds},noise=all_seed=11:alls=8:allf=t");
    let audio = format!("anoisesrc=color=pink:amplitude=0.3:sample_rate=48000:seed=11:duration={seconds}");
    let mut args = vec!["-f", "lavfi", "-i", &video, "-f", "lavfi", "-i", &audio];
    args.extend(["-pix_fmt", "yuv420p", "-g", "15", "-keyint_min", "15"]);
    args.extend(encoder);
    args.extend(["-c:a", "libopus", "-b:a", "48k"]);
    made(&args)
}

/// The FLV file that FFmpeg 9 makes with these arguments. Made once and kept.
pub fn made(args: &[&str]) -> Clip {
    let args = [&["-v", "error"], args, &["-flvflags", "no_duration_filesize", "-f", "flv"]].concat();
    let clips = target().join("e2e-clips");
    fs::create_dir_all(&clips).expect("a folder for clips");
    let name = segue::stream_id(&format!("{VERSION} {}", args.join(" ")));
    let path = clips.join(format!("{name}.flv"));
    if !path.exists() {
        let part = clips.join(format!("{}.part", std::process::id()));
        let output = ffmpeg().args(&args).arg("-y").arg(&part).output().expect("ffmpeg 9 runs");
        assert!(output.status.success(), "ffmpeg 9: {}", String::from_utf8_lossy(&output.stderr));
        fs::rename(&part, &path).expect("a clip in its place");
    }
    Clip { path }
}

/// Decodes a file whole, all its tracks.
///
/// # Panics
/// When FFmpeg 9 has so much as a warning.
pub fn decodes_without_a_warning(bench: &Bench, file: &Path) {
    let mut command = ffmpeg();
    command.args(["-v", "warning", "-i"]).arg(file).args(["-map", "0:v?", "-map", "0:a?", "-f", "null", "-"]);
    let output = run(bench, "decode-9", command, DECODING);
    let what = file.display();
    assert!(
        output.code == 0 && output.stderr.is_empty(),
        "ffmpeg 9 on {what}: {}\n{}",
        output.code,
        output.stderr
    );
}

/// The codecs of the tracks that FFmpeg 9 finds in a file, without decoding it: `video h264`, `audio opus`, ...
///
/// # Panics
/// When it has so much as a warning.
pub fn tracks(bench: &Bench, file: &Path) -> Vec<String> {
    let mut command = ffmpeg();
    command.args(["-v", "warning", "-i"]).arg(file).args([
        "-map",
        "0:v?",
        "-map",
        "0:a?",
        "-c",
        "copy",
        "-copyinkf",
    ]);
    command.args(["-f", "framehash", "-"]);
    let output = run(bench, "tracks-9", command, DECODING);
    let what = file.display();
    assert!(output.code == 0 && output.stderr.is_empty(), "ffmpeg 9 on {what}: {output:?}");
    let of = |prefix: &str| {
        let values = output.stdout.lines().filter_map(|line| line.strip_prefix(prefix)?.split_once(": "));
        values.map(|(_, value)| value.to_owned()).collect::<Vec<_>>()
    };
    of("#media_type ").iter().zip(of("#codec_id ")).map(|(kind, codec)| format!("{kind} {codec}")).collect()
}

/// Runs `tests/framehash.py SENT RECEIVED... FLAGS` with FFmpeg 9 as its `ffmpeg`.
pub fn framehash(bench: &Bench, sent: &Path, received: &[PathBuf], flags: &[&str]) -> Output {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(folder().to_owned()).chain(std::env::split_paths(&path));
    let mut command = Command::new("python3");
    command.arg(repository().join("tests/framehash.py")).arg(sent).args(received).args(flags);
    command.env("PATH", std::env::join_paths(path).expect("folders without a colon"));
    run(bench, "framehash-9", command, DECODING)
}
