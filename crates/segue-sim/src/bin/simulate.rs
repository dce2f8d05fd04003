//! `simulate --seeds N [--from N] [--threads N] [--plant NAME] [--first]`: runs random schedules, prints what was fired
//! and which seeds broke an invariant; exit code 1 if any did. `simulate --seed N [--verbose]` replays one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use segue_sim::plant::Plant;
use segue_sim::random::judge::Verdict;
use segue_sim::random::simulate;
use segue_sim::random::tally::Tally;

const USAGE: &str =
    "usage: simulate [--seeds N] [--from N] [--threads N] [--plant NAME] [--first] | --seed N [--verbose]
NAME is dropped-boundary, stale-epoch or short-replay; --first stops at the first violation.";

struct Args {
    from: u64,
    seeds: u64,
    threads: usize,
    plant: Plant,
    first: bool,
    verbose: bool,
}

fn parse(mut args: impl Iterator<Item = String>) -> Option<Args> {
    let mut parsed =
        Args { from: 0, seeds: 200, threads: 1, plant: Plant::None, first: false, verbose: false };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seeds" => parsed.seeds = args.next()?.parse().ok()?,
            "--from" => parsed.from = args.next()?.parse().ok()?,
            "--seed" => (parsed.from, parsed.seeds) = (args.next()?.parse().ok()?, 1),
            "--threads" => parsed.threads = args.next()?.parse().ok()?,
            "--plant" => parsed.plant = Plant::parse(&args.next()?)?,
            "--first" => parsed.first = true,
            "--verbose" => parsed.verbose = true,
            _ => return None,
        }
    }
    Some(parsed)
}

/// A panic of the product, or of the world that runs it, breaks no less than an invariant.
fn run(seed: u64, plant: Plant) -> Verdict {
    catch_unwind(AssertUnwindSafe(|| simulate(seed, plant))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Verdict {
            seed,
            trace: 0,
            tally: Tally::default(),
            violations: vec![format!("panic: {}", text.unwrap_or_default())],
            story: String::new(),
        }
    })
}

fn main() -> ExitCode {
    let Some(args) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let began = Instant::now();
    let next = AtomicU64::new(args.from);
    let end = args.from.saturating_add(args.seeds);
    let stop = AtomicBool::new(false);
    let work = || {
        let (mut tally, mut failed) = (Tally::default(), Vec::new());
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                break;
            }
            let verdict = run(seed, args.plant);
            tally.merge(&verdict.tally);
            if args.verbose {
                println!("seed {seed}, trace {:016x}\n{}", verdict.trace, verdict.story);
            }
            if !verdict.violations.is_empty() {
                for violation in &verdict.violations {
                    println!("seed {seed}: {}", violation.replace('\n', " "));
                }
                stop.fetch_or(args.first, Ordering::Relaxed);
                failed.push(seed);
            }
        }
        (tally, failed)
    };
    let (mut tally, mut failed) = (Tally::default(), Vec::new());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..args.threads.max(1)).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let (part, seeds) = worker.join().expect("a worker catches the panics of its seeds");
            tally.merge(&part);
            failed.extend(seeds);
        }
    });
    failed.sort_unstable();
    let ran = next.load(Ordering::Relaxed).min(end) - args.from;
    let took = began.elapsed().as_secs_f64();
    print!("{tally}");
    println!("{ran} seeds in {took:.1} s, {:.0} a second", ran as f64 / took);
    if failed.is_empty() {
        println!("no violation");
        return ExitCode::SUCCESS;
    }
    println!("{} seeds broke an invariant, the first is {}", failed.len(), failed[0]);
    ExitCode::FAILURE
}
