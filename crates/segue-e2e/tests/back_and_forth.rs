//! One stream that moves again and again, a viewer that watches throughout, and how late its messages came.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::Duration;

use segue_e2e::bench::Bench;
use segue_e2e::fault_proxy::Network;
use segue_e2e::lateness::{Tap, measure};
use segue_e2e::ledger::{assert_exact, assert_watched};
use segue_e2e::segue::{SHORT, Server};
use segue_e2e::source::{Clip, Kind, Publish, decodes_silently};
use segue_e2e::{FaultProxy, flv};

const STREAM: &str = "live/cam";
/// A hand-over waits for a keyframe, so it takes one GOP at most, and what a drain takes beside.
const ONE_MOVE: Duration = Duration::from_secs(15);
/// The worst message around a hand-over may be this much later than the steady state.
const LATE: Duration = Duration::from_millis(100);

/// Publishes `seconds` of video and audio, moves it `moves` times between two servers, reached through networks with
/// `delay` each way, and judges everything.
fn back_and_forth(name: &str, seconds: u32, moves: usize, delay: Duration) {
    let bench = Bench::new(name);
    let servers = [Server::start(&bench, "a"), Server::start(&bench, "b")];
    let network = Network { delay, ..Network::default() };
    let proxies: Vec<FaultProxy> = servers.iter().map(|s| FaultProxy::start(s.rtmp, network)).collect();
    let through = !delay.is_zero();
    let base = |n: usize| if through { format!("rtmp://{}", proxies[n].addr()) } else { servers[n].base() };
    let url = format!("{}/{STREAM}", base(0));
    let clip = Clip::make(Kind::Av, seconds);
    let mut tap = Tap::start(&bench, "view", &url, &["--announce", "reconnect"]);
    let mut publish = Publish::paced(&bench, "pub", &clip, &url, &["--announce", "reconnect"]);
    servers[0].wait_recorded(STREAM, 60, SHORT);
    for n in 0..moves {
        let (from, to) = (&servers[n % 2], (n + 1) % 2);
        let drain =
            from.drain(&bench, &format!("drain-{n}"), &["--to", &base(to), "--settle", "0"], ONE_MOVE);
        assert_eq!(drain.code, 0, "move {n}: {drain:?}");
        from.undrain(&bench);
    }
    assert!(publish.proc.ended().is_none(), "the clip is too short for {moves} moves");
    let records = publish.succeeds(Duration::from_secs(u64::from(seconds) + 20));
    assert_eq!(records.len(), moves, "{records:?}");
    for record in &records {
        assert_eq!(record["result"], "moved", "{record}");
        assert_eq!((&record["missing"], &record["overlap"]), (&0.into(), &0.into()), "{record}");
        assert_eq!(record["confirmed"], true, "{record}");
    }
    let (code, arrivals) = tap.finish(SHORT);
    assert_eq!(code, 0, "{}", tap.proc.stderr());

    let mut legs: Vec<PathBuf> = servers.iter().flat_map(|s| s.recordings(STREAM)).collect();
    assert_eq!(legs.len(), moves + 1, "{legs:?}");
    // Their names start with the stream and the time, whichever server wrote them.
    legs.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
    assert_exact(&bench, &publish.sent, &legs);

    let seen = bench.path("view.flv");
    flv::write(&seen, &arrivals.iter().map(|(_, tag)| tag.clone()).collect::<Vec<_>>());
    assert_watched(&bench, &publish.sent, &seen);
    decodes_silently(&bench, &seen);

    let boundaries: Vec<u32> =
        records.iter().map(|r| u32::try_from(r["new_first_ts"].as_u64().unwrap()).unwrap()).collect();
    let lateness = measure(&arrivals, publish.started, &boundaries);
    println!("{name}: {lateness:?} over {moves} hand-overs");
    assert!(lateness.judged > 50 * moves, "{lateness:?}");
    let round_trip = delay * 2;
    assert!(lateness.worst <= LATE + round_trip, "{lateness:?}");
}

#[test]
fn forty_times_back_and_forth_with_a_viewer_throughout() {
    back_and_forth("forty", 96, 40, Duration::ZERO);
}

#[test]
fn twenty_times_through_a_network_that_adds_50_ms() {
    back_and_forth("twenty-far", 56, 20, Duration::from_millis(50));
}
