//! Random schedules: a [`plan`] drawn from a seed (a source, links, clients, timed [`fault`]s), [`run`] in a world (`fire` does what
//! they say, `watch` keeps an eye on it), and
//! [`judge`]d by the ledger and the invariants. [`tally`] counts what was fired. One seed gives one trace.

pub mod fault;
mod fire;
pub mod judge;
pub mod plan;
pub mod run;
pub mod tally;
mod watch;

use crate::plant::Plant;
pub use judge::Verdict;

/// Runs and judges one seed.
pub fn simulate(seed: u64, plant: Plant) -> Verdict {
    let plan = plan::Plan::draw(seed);
    let seen = run::run(&plan, plant);
    judge::judge(&plan, seen)
}
