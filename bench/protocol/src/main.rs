//! Decodes and encodes the same RTMP chunk stream with `segue-proto`, `rml_rtmp` and `scuffle-rtmp`, on one thread, in
//! turns, and prints MB/s of each (10^6 bytes of the wire; of each piece of about 64 KiB the median of the rounds) and
//! the ratio to the better of the other two.
//!
//!     cargo run --release -- [SHOW.flv ["decode segue-proto" [128]]]
//!
//! The second argument picks one line, the third one chunk size, for a profiler. The messages of an FLV file (by default the demo clip, whose
//! pictures are small) are cut into chunks as publishers do it, over and over up to 100 MB: format 0 for the first
//! message of each chunk stream, format 1 for the others. An ordinary show, 2.5 Mbit/s: ffmpeg -f lavfi -i
//! testsrc2=size=1280x720:rate=30,noise=alls=20:allf=t -f lavfi -i anoisesrc -t 60 -c:v libx264 -preset ultrafast -g 60
//! -b:v 2400k -maxrate 2400k -bufsize 2400k -c:a aac -b:a 128k -f flv show.flv
//!
//! Decoding, what is timed is all that is done between two reads of a socket, for all three alike: making room to read
//! into, moving what is left of the read before, putting messages together until there is no whole one left. What
//! the read itself does, which is the kernel's copy of up to 64 KiB into that room, is left out, for all three alike. It
//! leaves its bytes hot in the cache. Each reads as its users do: `scuffle-rtmp` into the `BytesMut` that it parses in
//! place, `rml_rtmp` into a buffer from which it copies, `segue-proto` into its reader's room (and, "copied", into a
//! buffer that connections share and from which the reader copies, as Segue's server does for the sake of memory). Room for 64 KiB at once is more than the sessions of the other two
//! give themselves, 4096 bytes, and suits them better. The second pair of figures has the kernel's copy in it: one
//! more copy of every byte, the same for all.
//!
//! Encoding, messages of about as much are looked at first, then written; `segue-proto` has two figures there: the
//! slices that a vectored write takes, as the product uses them, and the same copied into one buffer, as the other two
//! give it.
//!
//! "bare copy" takes part in no ratio: it is the copy of each chunk's payload out of, or into, its place between the
//! headers, by a loop that looks at nothing, into memory that is there: the limit for what copies chunks once.

mod input;
mod peers;

use std::time::Duration;

use input::Capture;
use peers::{Digest, Kind, Peer, Took};

const ROUNDS: usize = 9;

fn main() {
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/demo.flv");
    let path = std::env::args().nth(1).unwrap_or_else(|| demo.to_owned());
    let only: Option<u32> = std::env::args().nth(3).and_then(|size| size.parse().ok());
    for chunk_size in [128, 4096, 60_000].into_iter().filter(|size| only.is_none_or(|only| only == *size)) {
        let capture = Capture::of_show(&path, chunk_size);
        let (messages, bytes) = (capture.messages.len(), capture.wire.len());
        println!("chunks of {chunk_size} bytes: {messages} messages, {:.1} MB", bytes as f64 / 1e6);
        compare("decode", &capture, peers::decoders());
        compare("encode", &capture, peers::encoders());
    }
}

/// Runs all of `peers` in turns and prints what each took.
fn compare(what: &str, capture: &Capture, mut peers: Vec<Peer>) {
    if let Some(only) = std::env::args().nth(2) {
        peers.retain(|peer| only == format!("{what} {}", peer.name));
    }
    let mut times = vec![Vec::new(); peers.len()];
    for _ in 0..ROUNDS {
        let mut agreed: Option<Digest> = None;
        for (peer, times) in peers.iter().zip(&mut times) {
            let (digest, took) = (peer.run)(capture);
            times.push(took);
            // What was decoded, or what the encoded bytes hold, is the same for all.
            assert_eq!(*agreed.get_or_insert(digest), digest, "{}", peer.name);
        }
    }
    let own = column(capture, &peers, &times, |took| took.own);
    let read = column(capture, &peers, &times, |took| took.with_read);
    for ((peer, own), read) in peers.iter().zip(own).zip(read) {
        print!("  {what} {:26} {:8.0} MB/s {:6.2}", peer.name, own.0, own.1);
        if what == "decode" {
            print!("   with the read's copy {:8.0} MB/s {:6.2}", read.0, read.1);
        }
        println!();
    }
}

/// MB/s of each peer, and its ratio to the better of those that are not ours.
fn column(
    capture: &Capture,
    peers: &[Peer],
    times: &[Vec<Vec<Took>>],
    of: impl Fn(&Took) -> Duration,
) -> Vec<(f64, f64)> {
    // Of each piece the median of the rounds, and their sum: what else the machine does falls on few pieces of a round.
    let total = |rounds: &Vec<Vec<Took>>| -> Duration {
        let pieces = rounds.iter().map(Vec::len).min().unwrap_or(0);
        let median = |piece: usize| {
            let mut times: Vec<_> = rounds.iter().map(|round| of(&round[piece])).collect();
            times.sort();
            times[times.len() / 2]
        };
        (0..pieces).map(median).sum()
    };
    let speeds: Vec<f64> =
        times.iter().map(|times| capture.wire.len() as f64 / 1e6 / total(times).as_secs_f64()).collect();
    let others = peers.iter().zip(&speeds).filter(|(peer, _)| peer.kind == Kind::Other);
    let best = others.map(|(_, speed)| *speed).fold(0.0, f64::max);
    speeds.into_iter().map(|speed| (speed, speed / best)).collect()
}
