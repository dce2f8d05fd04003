//! Which tracks a message of many holds (E-RTMP v2, multitrack). A stream has few different sets of them: each is kept
//! once, and a message names it by a number.

use std::collections::BTreeMap;

use super::Track;

/// The number of a set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct SetId(u32);

/// The sets that came, each in order and without repeats.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    numbers: BTreeMap<Vec<Track>, SetId>,
    sets: Vec<Vec<Track>>,
}

impl Shared {
    /// The set of these tracks; none of more sets than a number can tell apart.
    pub(super) fn note(&mut self, tracks: impl Iterator<Item = Track>) -> Option<SetId> {
        let mut set: Vec<Track> = tracks.collect();
        set.sort_unstable();
        set.dedup();
        if let Some(number) = self.numbers.get(&set) {
            return Some(*number);
        }
        let number = SetId(u32::try_from(self.sets.len()).ok()?);
        self.sets.push(set.clone());
        self.numbers.insert(set, number);
        Some(number)
    }

    pub(super) fn get(&self, number: SetId) -> Option<&[Track]> {
        self.sets.get(number.0 as usize).map(Vec::as_slice)
    }
}
