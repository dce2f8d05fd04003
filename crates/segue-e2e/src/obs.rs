//! Debian 12's OBS without a screen, by `scripts/obs-headless`: it streams, and records the same encoded packets.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::bench::{Bench, repository, wait_for};
use crate::flv::{END_OF_SEQUENCE, Tag};
use crate::process::Proc;
use crate::segue::Server;

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
        let acts = log.matches("Silent reconnect signal received").count();
        Stopped { recording, acts, aborted: log.lines().any(|line| line == "obs ended with 134") }
    }

    /// Waits until `server` has recorded so much of a stream, or OBS is gone.
    pub fn wait_recorded(&mut self, server: &Server, stream: &str, count: usize, limit: Duration) {
        let what = format!("{count} messages of {stream} recorded");
        wait_for(&what, limit, || {
            (server.recorded(stream) >= count || self.proc.ended().is_some()).then_some(())
        });
    }
}

/// What OBS leaves behind.
#[derive(Debug)]
pub struct Stopped {
    /// Its own recording.
    pub recording: PathBuf,
    /// How often it acted on a signal, by its log.
    pub acts: usize,
    /// Whether it ended by SIGABRT.
    pub aborted: bool,
}

impl Stopped {
    /// Whether OBS acted more than once on one signal. It does now and then: it starts the thread that sends on its new
    /// connection before it takes back the flag that made it leave the old one, and if that thread is first, it leaves
    /// the new connection too, at once and before a byte of the server's could have told it so (`send_thread` and
    /// `connect_thread` of OBS 29.0.2's rtmp-stream.c). It then falls into its ordinary reconnect, which drops what was
    /// queued. Or its allocator aborts it just after it has acted (`free(): invalid pointer`), most often on a machine that
    /// is short of time. No server can help that, so nothing is learnt of ours. Call only when the wire shows one signal.
    pub fn raced_with_itself(&self) -> bool {
        self.acts > 1 || (self.acts == 1 && self.aborted)
    }
}

/// One packet's length in OBS as scripts/obs-headless sets it up, in ms as a fraction: a picture of 30 a second, a frame
/// of 1024 samples of 48,000 a second.
const fn packet(kind: u8) -> (u64, u64) {
    if kind == 9 { (1000, 30) } else { (1024, 48) }
}

/// OBS's recording on the clock of OBS's stream. OBS counts packets and writes milliseconds: its muxer for files rounds
/// them to the nearest, its stream cuts them off, so that a third of the packets differ by 1 ms. Both are exact of the
/// packet's number, which is restored here from the recording's milliseconds. `first_leg` says one thing only: at which
/// packet of each track the stream began, by the first packet in it whose payload is like no other's. What OBS recorded
/// before its stream began is left out, and so is the mark that the muxer ends a file with: it is no packet of OBS's. OBS
/// puts its encoder's SEI before the first picture of each of its outputs: where the two did not begin together, such a
/// picture differs between them, and is left out too.
///
/// # Panics
/// When a timestamp is not what either of the two would write.
pub fn as_streamed(recording: &[Tag], first_leg: &[Tag]) -> Vec<Tag> {
    let begin: [i64; 2] = [8, 9].map(|kind| began_at(recording, first_leg, kind));
    let mut streamed = Vec::new();
    for tag in recording.iter().filter(|tag| tag.is_media() && !tag.body.starts_with(END_OF_SEQUENCE)) {
        let recorded = recorded_number(tag);
        let Ok(number) = u64::try_from(recorded as i64 - begin[usize::from(tag.kind == 9)]) else { continue };
        let opens = tag.kind == 9 && (number == 0 || recorded == 0);
        if !opens || first_leg.iter().any(|other| other.kind == 9 && other.body == tag.body) {
            let (ms, per) = packet(tag.kind);
            let timestamp = u32::try_from(number * ms / per).expect("a short recording");
            streamed.push(Tag { timestamp, ..tag.clone() });
        }
    }
    // By time, as a stream has them: audio and video may have begun at different packets.
    streamed.sort_by_key(|tag| tag.timestamp);
    streamed
}

/// The number of a packet in the recording: its timestamp is rounded to the nearest millisecond.
fn recorded_number(tag: &Tag) -> u64 {
    let (ms, per) = packet(tag.kind);
    let number = (u64::from(tag.timestamp) * per + ms / 2) / ms;
    let rounded = (number * ms + per / 2) / per;
    assert!(rounded.abs_diff(tag.timestamp.into()) <= 1, "{tag:?} is no packet's timestamp");
    number
}

/// The recording's number of the packet that is number 0 of the stream; negative if the recording began later.
fn began_at(recording: &[Tag], first_leg: &[Tag], kind: u8) -> i64 {
    let of_kind = |tag: &&Tag| tag.kind == kind && tag.is_media();
    let marked = first_leg.iter().filter(of_kind).find_map(|streamed| {
        let mut alike = recording.iter().filter(of_kind).filter(|tag| tag.body == streamed.body);
        Some((streamed, alike.next().filter(|_| alike.next().is_none())?))
    });
    let (streamed, recorded) =
        marked.unwrap_or_else(|| panic!("no packet of type {kind} is in the first leg and the recording"));
    let (ms, per) = packet(kind);
    let number = (u64::from(streamed.timestamp) * per).div_ceil(ms);
    assert_eq!(number * ms / per, u64::from(streamed.timestamp), "{streamed:?} is no packet's timestamp");
    recorded_number(recorded) as i64 - number as i64
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(kind: u8, timestamp: u32, n: u8) -> Tag {
        let head: &[u8] = if kind == 9 { &[0x27, 1, 0, 0, 0] } else { &[0xaf, 1] };
        Tag { kind, timestamp, body: [head, &[n]].concat() }
    }

    #[test]
    fn rounded_milliseconds_become_cut_off_ones_from_the_first_packet_of_the_stream_on() {
        // Packets 0 to 6 of both tracks, rounded; by the fractions 1000/30 and 1024/48.
        let video = [0, 33, 67, 100, 133, 167, 200];
        let audio = [0, 21, 43, 64, 85, 107, 128];
        let all = |kind, times: [u32; 7]| (0..).zip(times).map(move |(n, at)| tag(kind, at, n));
        let recording: Vec<Tag> = all(9, video).chain(all(8, audio)).collect();
        let times = |tags: &[Tag], kind| -> Vec<(u32, u8)> {
            tags.iter().filter(|t| t.kind == kind).map(|t| (t.timestamp, *t.body.last().unwrap())).collect()
        };
        let same = as_streamed(&recording, &[tag(9, 0, 0), tag(8, 0, 0)]);
        assert_eq!(times(&same, 9), [(0, 0), (33, 1), (66, 2), (100, 3), (133, 4), (166, 5), (200, 6)]);
        assert_eq!(times(&same, 8), [(0, 0), (21, 1), (42, 2), (64, 3), (85, 4), (106, 5), (128, 6)]);
        // The stream began at packet 2 of video and 1 of audio.
        let leg = [tag(9, 0, 2), tag(9, 33, 3), tag(8, 42, 3)];
        let later = as_streamed(&recording, &leg);
        assert_eq!(times(&later, 9), [(0, 2), (33, 3), (66, 4), (100, 5), (133, 6)]);
        assert_eq!(times(&later, 8), [(0, 1), (21, 2), (42, 3), (64, 4), (85, 5), (106, 6)]);
        // Its first picture is not the recording's.
        let other = as_streamed(&recording, &[tag(9, 0, 99), leg[1].clone(), leg[2].clone()]);
        assert_eq!(times(&other, 9), [(33, 3), (66, 4), (100, 5), (133, 6)]);
    }

    #[test]
    #[should_panic = "no packet's timestamp"]
    fn a_shifted_stream_is_noticed() {
        as_streamed(&[tag(9, 0, 0), tag(8, 0, 0)], &[tag(9, 1, 0), tag(8, 0, 0)]);
    }
}
