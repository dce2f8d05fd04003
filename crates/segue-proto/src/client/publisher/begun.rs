//! Where legs began at which server: what a publisher remembers of connections that are gone, to know what a server takes
//! no more. What follows from it is `moves`'s.

use std::collections::BTreeMap;

use crate::client::leg::Place;

/// Most servers that are remembered: more than a stream comes back to. Beyond it the one where the earliest leg began goes.
const MAX_SERVERS: usize = 64;

/// By what servers call themselves, where the latest leg began that one of them may have some of.
#[derive(Debug, Default)]
pub(super) struct Begun(BTreeMap<Option<String>, Place>);

impl Begun {
    /// A leg that began there is gone.
    pub(super) fn note(&mut self, server_id: Option<String>, start: Place) {
        let latest = self.0.entry(server_id).or_insert(start);
        if start.serial > latest.serial {
            *latest = start;
        }
        if self.0.len() > MAX_SERVERS {
            let earliest = self.0.iter().min_by_key(|(_, place)| place.serial).map(|(id, _)| id.clone());
            earliest.map(|id| self.0.remove(&id));
        }
    }

    /// Where the latest leg at that server began.
    pub(super) fn at(&self, server_id: Option<&String>) -> Option<Place> {
        self.0.get(&server_id.cloned()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(serial: u64) -> Place {
        Place { serial, index: serial, skipped: 0 }
    }

    #[test]
    fn the_latest_leg_at_a_server_counts() {
        let (mut begun, a) = (Begun::default(), "a".to_owned());
        for serial in [7, 9, 8] {
            begun.note(Some(a.clone()), place(serial));
        }
        assert_eq!(begun.at(Some(&a)), Some(place(9)));
        assert_eq!(begun.at(None), None, "one without a name is another");
    }

    #[test]
    fn servers_are_remembered_up_to_a_bound() {
        let id = |n: usize| n.to_string();
        let mut begun = Begun::default();
        for n in 0..MAX_SERVERS {
            begun.note(Some(id(n)), place(n as u64));
        }
        assert_eq!(begun.at(Some(&id(0))), Some(place(0)), "at the bound");
        begun.note(Some(id(MAX_SERVERS)), place(MAX_SERVERS as u64));
        assert_eq!(begun.at(Some(&id(0))), None, "one past it the earliest goes");
        assert_eq!(begun.at(Some(&id(1))), Some(place(1)));
        assert_eq!(begun.at(Some(&id(MAX_SERVERS))), Some(place(MAX_SERVERS as u64)));
    }
}
