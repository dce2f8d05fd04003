//! Decodes and encodes the same RTMP chunk stream with `segue-proto`, `rml_rtmp` and `scuffle-rtmp`, on one thread, in
//! turns, and prints MB/s of each (10^6 bytes of the wire, the median of the rounds) and the ratio to the better of the
//! other two.
//!
//!     cargo run --release -- [SHOW.flv ["decode segue-proto"]]
//!
//! The second argument picks one line, for a profiler. The messages of an FLV file (by default the demo clip, whose pictures are small) are cut into chunks as publishers do
//! it, over and over up to 100 MB: format 0 for the first message of each chunk stream, format 1 for the others. An
//! ordinary show, 2.5 Mbit/s: ffmpeg -f lavfi -i testsrc2=size=1280x720:rate=30,noise=alls=20:allf=t -f lavfi -i
//! anoisesrc -t 60 -c:v libx264 -preset ultrafast -g 60 -b:v 2400k -maxrate 2400k -bufsize 2400k -c:a aac -b:a 128k
//! -f flv show.flv
//!
//! What is timed is the library's own work, on input that is hot in the cache, as a socket's read leaves it: 64 KiB at a
//! time are put where the library wants them (a `BytesMut` that it parses in place, a `Bytes` that it shares, a slice
//! that it copies), then the clock runs until there is no whole message left. Writing, messages of about as much are
//! looked at first, then written; `segue-proto` has two figures there: the slices that a vectored write takes, as the
//! product uses them, and the same copied into one buffer, as the other two give it.

mod input;
mod peers;

use std::time::Duration;

use input::Capture;
use peers::{Digest, Peer};

const ROUNDS: usize = 7;

fn main() {
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/demo.flv");
    let path = std::env::args().nth(1).unwrap_or_else(|| demo.to_owned());
    for chunk_size in [128, 4096, 60_000] {
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
    let speeds: Vec<f64> = times.iter_mut().map(|times| speed(capture, times)).collect();
    let other = peers.iter().zip(&speeds).filter(|(peer, _)| !peer.ours).map(|(_, speed)| *speed);
    let best = other.fold(0.0, f64::max);
    for (peer, speed) in peers.iter().zip(&speeds) {
        println!("  {what} {:26} {speed:9.0} MB/s {:6.2} of the better peer", peer.name, speed / best);
    }
}

/// MB/s of the median.
fn speed(capture: &Capture, times: &mut [Duration]) -> f64 {
    times.sort();
    capture.wire.len() as f64 / 1e6 / times[times.len() / 2].as_secs_f64()
}
