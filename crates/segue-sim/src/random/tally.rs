//! How often each kind of fault and each numbered scenario was fired, over many plans.

use std::collections::BTreeMap;
use std::fmt;

/// The numbered scenarios that random schedules must come to.
pub const SCENARIOS: [&str; 18] = [
    "H1", "H2", "H3", "H4", "H5", "H6", "H7", "H8", "H10", "H12", "H13", "H14", "H15", "H16", "H17", "H18",
    "H25", "H26",
];
/// The last two, which nearly every plan comes to.
pub const USUAL: [&str; 2] = ["H27", "H28"];

/// Counts by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    /// One more.
    pub fn add(&mut self, name: &'static str) {
        *self.0.entry(name).or_default() += 1;
    }

    /// All of another.
    pub fn merge(&mut self, other: &Self) {
        for (name, n) in &other.0 {
            *self.0.entry(name).or_default() += n;
        }
    }

    /// How often that was fired.
    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }
}

/// The table, scenarios last and in their order.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = || SCENARIOS.iter().chain(&USUAL);
        let kinds = self.0.iter().filter(|(name, _)| !all().any(|scenario| scenario == *name));
        for (name, n) in kinds {
            writeln!(f, "{name:<36} {n:>8}")?;
        }
        for name in all() {
            writeln!(f, "{name:<36} {:>8}", self.of(name))?;
        }
        Ok(())
    }
}
