//! Abuse (V1 to V9, V15, I3): hostile clients of every kind that we can think of, again and again, against a server that
//! carries a stream. Connections end cleanly, memory and computing stay within stated bounds, and the stream loses nothing.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use segue_e2e::bench::{Bench, wait_for};
use segue_e2e::hostile::attacks::{self, Attack, LINES_PUBLISHING};
use segue_e2e::hostile::cost::{self, Cost};
use segue_e2e::hostile::{Peer, Stage, scans};
use segue_e2e::http;
use segue_e2e::ledger::{assert_verified, assert_viewed};
use segue_e2e::process::Proc;
use segue_e2e::segue::{SHORT, Server, command};
use segue_e2e::source::{Clip, Publish};

const STREAM: &str = "live/cam";
/// A second of video and audio has come: the stream runs.
const RUNNING: usize = 75;
/// Connections of one attack at a time.
const CONNECTIONS: usize = 16;
/// Each attack, so often: 48 connections of each.
const ROUNDS: usize = 3;
/// What the process may take beside what connections hold: buffers of a pass over their sockets (512 KiB a loop), what
/// malloc keeps, and the stream beside.
const SLACK: u64 = 12 << 20;
/// From the second round to the third memory grows by no more.
const FLAT: i64 = 2 << 20;
/// What ended streams may keep, for viewers on their way: the documented bound.
const ENDED: i64 = 128 << 20;
/// A stream that was published and lost lives on for 15 s.
const GRACE: Duration = Duration::from_secs(30);
/// What one connection may have computed, and each MiB that it sends: a debug build on a busy machine included.
const CPU_A_CONNECTION: Duration = Duration::from_millis(60);
const CPU_A_MIB: Duration = Duration::from_millis(30);
#[test]
fn hostile_clients_cost_little_and_the_stream_beside_them_loses_nothing() {
    let bench = Bench::new("hostile");
    let mut server = Server::start(&bench, "server");
    let out = bench.path("view.flv");
    let view = command(["play", &server.url(STREAM), "-o", out.to_str().unwrap()]);
    let mut view = Proc::start(&bench, "view", view);
    let enough = Arc::new(AtomicBool::new(false));
    let over = enough.clone();
    let url = server.url(STREAM);
    let mut publish =
        Publish::endless(&bench, "pub", &Clip::demo(), &url, move || over.load(Ordering::Acquire));
    server.wait_recorded(STREAM, RUNNING, SHORT);

    let mut scene = Scene { server: &server, faults: Vec::new(), started: Instant::now() };
    let (publishing, others): (Vec<_>, Vec<_>) =
        attacks::all().into_iter().partition(|attack| attack.stage == Stage::Publishing);
    let rss: Vec<i64> = (0..ROUNDS).map(|round| scene.round(round, &others)).collect();
    let flat = rss[2] - rss[1];
    let before = rss[2];
    scene.scans();
    for round in 0..ROUNDS {
        scene.round(round, &publishing);
    }
    if flat > FLAT {
        scene.faults.push(format!("{} KiB more after the third round than after the second", flat >> 10));
    }
    // What they published is gone when its grace is over.
    let others_are_gone = || {
        let streams = http::get(server.admin, "/api/v1/streams").json();
        (streams.as_array().unwrap().len() == 1).then_some(())
    };
    wait_for("the end of what was published", GRACE, others_are_gone);
    let left = cost::of(&server.proc).rss as i64 - before;
    println!("when all is over: {:+} KiB to before anybody published", left / 1024);
    if left > ENDED {
        scene.faults.push(format!("{} KiB are left of streams that are no more", left >> 10));
    }
    // What is still resident then is malloc's, in pieces, and no leak: the same once more takes it from there.
    let again = scene.scan(&scans::ALL[0]);
    if again > SLACK {
        scene.faults.push(format!("the same once more takes {} KiB more", again >> 10));
    }
    let faults = scene.faults;

    enough.store(true, Ordering::Release);
    publish.succeeds(SHORT);
    view.succeeds(SHORT);
    assert_eq!(server.stop(), 0);
    assert_verified(&bench, &publish.sent, &server.recordings(STREAM), &["--whole", "--no-overlap"]);
    assert_viewed(&bench, &publish.sent, &out);
    assert!(!server.proc.stderr().contains("panic"), "{}", server.proc.stderr());
    assert!(faults.is_empty(), "{faults:#?}");
}

/// What all attacks have around them.
struct Scene<'a> {
    server: &'a Server,
    faults: Vec<String>,
    started: Instant,
}

impl Scene<'_> {
    /// All of these attacks, one after the other. Gives the resident bytes after them.
    fn round(&mut self, round: usize, attacks: &[Attack]) -> i64 {
        for (kind, attack) in attacks.iter().enumerate() {
            self.wave(round, kind, attack);
        }
        let cost = cost::of(&self.server.proc);
        let (rss, cpu, time) = (cost.rss >> 10, cost.cpu, self.started.elapsed());
        println!("round {round}: {rss} KiB resident, {cpu:?} computed so far, after {time:.1?}");
        cost.rss as i64
    }

    /// One attack by all its connections at once: they get there, then all send, then each is judged.
    fn wave(&mut self, round: usize, kind: usize, attack: &Attack) {
        let (name, stage, server) = (attack.name, attack.stage, self.server);
        let fault = |nth: usize, error: String| format!("{name}, {stage:?}, round {round}, {nth}: {error}");
        let form = |nth: usize| (round * CONNECTIONS + nth) % attack.forms.len();
        let before = Before::now(server);

        let connected = at_once((0..CONNECTIONS).collect(), |nth| {
            let own = format!("hostile/{kind}-{round}-{nth}");
            (nth, Peer::connect(server.rtmp, stage, STREAM, &own))
        });
        let mut peers = Vec::new();
        for (nth, peer) in connected {
            match peer {
                Ok(peer) => peers.push((nth, peer)),
                Err(error) => self.faults.push(fault(nth, error)),
            }
        }
        let peers = at_once(peers, |(nth, mut peer)| {
            peer.send(&attack.forms[form(nth)]);
            (nth, peer)
        });
        let health = http::get(server.http, "/api/v1/health").status;
        if health != 200 {
            self.faults.push(format!("{name}, {stage:?}, round {round}: health says {health}"));
        }
        let sent: u64 = peers.iter().map(|(_, peer)| peer.sent).sum();
        let judged = at_once(peers, |(nth, peer)| attack.judge(peer).err().map(|error| (nth, error)));
        for (nth, error) in judged.into_iter().flatten() {
            self.faults.push(fault(nth, format!("form {}: {error}", form(nth))));
        }
        self.judge(
            &format!("{round} {name}, {stage:?}"),
            &before,
            CONNECTIONS,
            sent,
            attack.may_hold,
            attack.lines,
        );
    }

    /// What small messages can make a server look for, in a log of a hundred thousand messages.
    fn scans(&mut self) {
        for scan in &scans::ALL {
            self.scan(scan);
        }
    }

    /// One of them. Gives what memory grew by at its peak.
    fn scan(&mut self, (name, scan): &(&str, scans::Scan)) -> u64 {
        let before = Before::now(self.server);
        let mut filled = Duration::ZERO;
        match scan(self.server.rtmp, &mut || filled = cost::of(&self.server.proc).cpu) {
            Ok(sent) => {
                let before = Before { cost: Cost { cpu: filled, ..before.cost }, ..before };
                self.judge(name, &before, scans::CONNECTIONS, sent, scans::MAY_HOLD, 2 * LINES_PUBLISHING)
            }
            Err(error) => {
                self.faults.push(format!("{name}: {error}"));
                0
            }
        }
    }

    /// Prints what it cost, notes what was more than it may be, and gives what memory grew by at its peak.
    fn judge(
        &mut self,
        what: &str,
        before: &Before,
        connections: usize,
        sent: u64,
        may_hold: u64,
        lines: usize,
    ) -> u64 {
        let after = Before::now(self.server);
        let peak = after.cost.peak.saturating_sub(before.cost.rss);
        let stays = (after.cost.rss as i64 - before.cost.rss as i64) / 1024;
        let cpu = after.cost.cpu.saturating_sub(before.cost.cpu);
        let logged = after.lines - before.lines;
        let time = before.at.elapsed();
        println!(
            "{what}: {} KiB sent, peak +{} KiB, stays {stays:+} KiB, {cpu:?} computed in {time:.1?}, {logged} lines",
            sent >> 10,
            peak >> 10,
        );
        let may_hold = connections as u64 * may_hold + SLACK;
        if peak > may_hold {
            self.faults.push(format!("{what}: {} KiB more at its peak than {}", peak >> 10, may_hold >> 10));
        }
        // The stream beside costs something too, in the time that it took.
        let beside = time / 20;
        let may_compute = CPU_A_CONNECTION * connections as u32
            + CPU_A_MIB.mul_f64(sent as f64 / f64::from(1 << 20))
            + beside;
        if cpu > may_compute {
            self.faults.push(format!("{what}: {cpu:?} computed, more than {may_compute:?}"));
        }
        if logged > connections * lines {
            self.faults.push(format!("{what}: {logged} lines of log"));
        }
        peak
    }
}

/// What there was before an attack.
struct Before {
    cost: Cost,
    lines: usize,
    at: Instant,
}

impl Before {
    fn now(server: &Server) -> Self {
        let (cost, lines) = (cost::of(&server.proc), server.proc.stderr().lines().count());
        cost::forget_peak(&server.proc);
        Self { cost, lines, at: Instant::now() }
    }
}

/// `f` of each item, all at the same time.
fn at_once<T: Send, R: Send>(items: Vec<T>, f: impl Fn(T) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = items.into_iter().map(|item| scope.spawn(|| f(item))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
