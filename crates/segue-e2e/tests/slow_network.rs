//! Type-32 clients behind a network with 100 ms of delay and an uplink of one and a half times the bitrate: what is
//! still under way when they leave arrives. On the loopback a tail that is thrown away would never show.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use segue_e2e::bench::{Bench, at};
use segue_e2e::fault_proxy::{Ending, Network};
use segue_e2e::haproxy::{Backend, Haproxy};
use segue_e2e::ledger::assert_exact;
use segue_e2e::segue::{SHORT, Server};
use segue_e2e::source::{Clip, Kind, Publish};
use segue_e2e::{FaultProxy, wire};

/// Seconds.
const CLIP: u32 = 9;
const TO_THE_END: Duration = Duration::from_secs(60);
const DELAY: Duration = Duration::from_millis(100);
const PUBLISHERS: usize = 5;

/// `args` beside `--announce go-away`; `segue` says whether the client announced the extension.
fn no_tail_is_lost(name: &str, args: &[&str], segue: bool) {
    let bench = Bench::new(name);
    let mut rng = bench.rng();
    let (a, b) = (Server::start(&bench, "a"), Server::start(&bench, "b"));
    let backend = |s: &Server| Backend { rtmp: s.rtmp, http: s.http };
    let haproxy = Haproxy::start(&bench, "haproxy", backend(&a), backend(&b));
    haproxy.wait_sees("first", "UP");
    haproxy.wait_sees("second", "UP");
    let clip = Clip::make(Kind::Av, CLIP);
    let bitrate = fs::metadata(&clip.path).unwrap().len() / u64::from(CLIP);
    let network = Network { delay: DELAY, uplink: Some(bitrate * 3 / 2), ..Network::default() };
    let mut running = Vec::new();
    let started = std::time::Instant::now();
    for n in 0..PUBLISHERS {
        at(started + Duration::from_secs(2).mul_f32(n as f32 / PUBLISHERS as f32 + rng.f32() / 5.0));
        let stream = format!("live/cam-{n}");
        // A network of its own for each, as encoders have.
        let proxy = FaultProxy::start(haproxy.addr, network);
        let args = [&["--announce", "go-away"], args].concat();
        let publish = Publish::live(&bench, &format!("pub-{n}"), &clip, &proxy.url(&stream), &args);
        running.push((stream, proxy, publish));
    }
    a.wait_recorded(&running[PUBLISHERS - 1].0, 60, SHORT);
    let drain = a.drain(&bench, "drain", &["--settle", "1"], TO_THE_END);
    assert_eq!(drain.code, 0, "{drain:?}");
    for (stream, proxy, publish) in &mut running {
        let records = publish.succeeds(TO_THE_END);
        assert_eq!(records.len(), 1, "{stream}: {records:?}");
        assert_eq!((&records[0]["result"], &records[0]["signal"]), (&"moved".into(), &"go-away".into()));
        let legs: Vec<PathBuf> = [a.recordings(stream), b.recordings(stream)].concat();
        assert_eq!(legs.len(), 2, "{legs:?}");
        assert_exact(&bench, &publish.sent, &legs);
        let connections = proxy.connections();
        let old = connections[0].up();
        assert_eq!(old.ending, Some(Ending::Eof), "{stream}: the old leg ends, it is not reset");
        if !segue {
            silent_after_the_signal(stream, &connections[0].down().bytes);
        }
    }
}

/// To a type-32 client without the extension nothing follows the signal but one repeat of it: an ack or a ping that it
/// has not read when it closes would turn the close into a reset.
fn silent_after_the_signal(stream: &str, down: &[u8]) {
    let messages = wire::messages(down);
    let first = messages.iter().position(|m| m.type_id == 32);
    let first = first.unwrap_or_else(|| panic!("{stream}: no type 32 among {} messages", messages.len()));
    let told = &messages[first];
    assert_eq!((told.csid, told.stream), (2, 0), "{stream}: {told:?}");
    assert!(!told.payload.is_empty(), "{stream}: OBS ignores an empty body");
    let after = &messages[first + 1..];
    assert!(after.len() <= 1 && after.iter().all(|m| m.type_id == 32), "{stream}: {after:?}");
}

/// H5, with clients that announce the extension and are acknowledged to the last byte.
#[test]
fn h05_type_32_clients_of_ours_lose_no_tail() {
    no_tail_is_lost("h05-segue", &[], true);
}

/// H5, with clients that announce nothing beyond type 32, as an encoder in the field.
#[test]
fn h05_foreign_type_32_clients_lose_no_tail() {
    no_tail_is_lost("h05-plain", &["--plain"], false);
}

/// The same network under a Reconnect Request: the new server is as far away as the old.
#[test]
fn h05_reconnect_request_loses_no_tail_either() {
    let bench = Bench::new("h05-reconnect");
    let (a, b) = (Server::start(&bench, "a"), Server::start(&bench, "b"));
    let clip = Clip::make(Kind::Av, CLIP);
    let bitrate = fs::metadata(&clip.path).unwrap().len() / u64::from(CLIP);
    let network = Network { delay: DELAY, uplink: Some(bitrate * 3 / 2), ..Network::default() };
    let (to_a, to_b) = (FaultProxy::start(a.rtmp, network), FaultProxy::start(b.rtmp, network));
    let stream = "live/cam";
    let args = ["--announce", "reconnect"];
    let mut publish = Publish::live(&bench, "pub", &clip, &to_a.url(stream), &args);
    a.wait_recorded(stream, 60, SHORT);
    let target = format!("rtmp://{}", to_b.addr());
    let drain = a.drain(&bench, "drain", &["--to", &target, "--settle", "0"], TO_THE_END);
    assert_eq!(drain.code, 0, "{drain:?}");
    let records = publish.succeeds(TO_THE_END);
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["confirmed"], true, "{records:?}");
    assert_exact(&bench, &publish.sent, &[a.recordings(stream), b.recordings(stream)].concat());
    assert_eq!(to_a.connections()[0].up().ending, Some(Ending::Eof));
}
