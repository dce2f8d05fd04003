//! What is looked at while a plan runs: where the stream is, whether anybody lacks something that is within reach, and
//! which messages a fault may have cost. By default that is none.

use std::collections::BTreeSet;
use std::time::Duration;

use segue_proto::{MediaMessage, Moment};

use super::fault::To;
use super::run::{Key, LOOK_EVERY, Run, Watched, key};
use crate::node::Recorded;
use crate::world::{Door, ServerId};

/// A server that has the stream has more of it within that time.
const SILENT: Duration = Duration::from_secs(3);
/// The longest way there and back.
pub(super) const NEWS: Duration = Duration::from_millis(550);
/// Without progress for so long the replay buffer may come to its bound of 30 s: what was there before counts too.
const OVERRUN: Duration = Duration::from_secs(20);

impl Run<'_> {
    /// A connection of the publisher's breaks. What it sent on one that another has replaced is lost with it (design,
    /// Evidence: "or, if it already runs, what is missing is counted"); so is what a server without proof had not read.
    pub(super) fn publisher_broke(&mut self) {
        self.seen.evidence_lost = true;
        if self.is_moving() || !self.plan.publisher.segue {
            let lost = self.unrecorded();
            self.seen.doomed.extend(lost);
        }
    }

    pub(super) fn due(&self, by: Moment) -> impl Iterator<Item = &MediaMessage> {
        let due = self.schedule.iter().take_while(move |(at, _)| *at <= by);
        due.map(|(_, message)| message).filter(|message| message.info().is_media())
    }

    /// Messages that no server has.
    pub(super) fn unrecorded(&mut self) -> BTreeSet<Key> {
        // What is sent until the news of a break has come back to the sender goes the same way.
        let mut missing: BTreeSet<Key> = self.due(self.world.now() + NEWS).map(key).collect();
        let mut has = |legs: &mut dyn Iterator<Item = &Recorded>| {
            for message in legs.flat_map(|leg| &leg.messages) {
                missing.remove(&key(message));
            }
        };
        has(&mut self.seen.recordings.iter().flatten());
        for server in self.servers {
            if self.world.is_alive(server) {
                let node = self.world.server(server);
                has(&mut node.recordings().flat_map(|legs| legs.values()));
            }
        }
        missing
    }

    /// A viewer's server dies or its connection breaks. What it had not got yet of what was acknowledged there may be
    /// nowhere else; while the stream moves, that goes for all that comes before it is back.
    pub(super) fn doom_viewer(&mut self, n: usize, back: Duration) {
        let now = self.world.now();
        let lately = self.last_trouble.is_some_and(|at| now.since(at) < Duration::from_secs(25));
        if back > Duration::ZERO && !lately {
            return;
        }
        let mut unseen: BTreeSet<Key> = self.due(now + back).map(key).collect();
        for (_, message) in &self.viewers[n].1.borrow().seen {
            unseen.remove(&key(message));
        }
        self.viewers[n].2.doomed.extend(unseen);
    }

    pub(super) fn look(&mut self) {
        self.world.look();
        let now = self.world.now();
        let holding: Vec<_> = self
            .servers
            .into_iter()
            .filter(|server| self.world.is_alive(*server) && self.world.server(*server).has_publisher())
            .collect();
        if !holding.is_empty() || !self.is_publishing() {
            self.held = now;
        }
        self.seen.outage = self.seen.outage.max(now.since(self.held));
        let within_reach = holding.iter().any(|server| {
            let (_, messages, _) = self.written[server.0];
            messages > 0
                && self.world.door(*server) == Door::Open
                && !self.world.server(*server).is_draining()
        });
        for (_, log, watched) in &mut self.viewers {
            let seen = log.borrow().seen.len();
            let (before, time) = watched.starving;
            let time = if log.borrow().outcome.is_some() {
                time
            } else if seen > before {
                Duration::ZERO
            } else {
                time + LOOK_EVERY * u32::from(within_reach)
            };
            watched.starving = (seen, time);
            watched.starved = watched.starved.max(time);
        }
        let mut recorded = 0;
        for server in self.servers {
            if !self.world.is_alive(server) {
                self.written[server.0] = (0, 0, now);
                continue;
            }
            let legs = self.world.server(server).recordings().flat_map(|legs| legs.values());
            let (legs, messages) = legs.fold((0, 0), |(legs, all), leg| (legs + 1, all + leg.messages.len()));
            recorded += messages;
            let (legs_before, messages_before, grew) = self.written[server.0];
            self.written[server.0] = (legs, messages, if messages > messages_before { now } else { grew });
            if legs > legs_before && server != self.holder {
                self.came_to(server);
            }
        }
        let (here, there) = (self.written[self.holder.0].2, self.written[self.other(self.holder).0].2);
        if there > here + SILENT {
            // Its new leg came to nothing, and the stream goes on where it was.
            self.came_to(self.other(self.holder));
        }
        if recorded != self.recorded.0 {
            self.recorded = (recorded, now);
        }
        let thin = self.thin_since.is_some_and(|since| now.since(since) > OVERRUN);
        if (thin || now.since(self.recorded.1) > OVERRUN) && self.is_publishing() {
            let lost = self.unrecorded();
            self.seen.doomed.extend(lost);
        }
        self.thin_backlog &= self.world.is_uplink_behind(self.publisher.0);
        self.seen.moved_unheard |= self.is_moving() && self.world.is_reset_unheard(self.publisher.0);
        let cut = self.deadlines.iter().flatten().any(|deadline| now >= *deadline);
        if self.is_moving() && (self.thin_since.is_some() || self.thin_backlog || cut) {
            // A tail that takes longer than the hold, or the deadline (design, "waits in a bounded hold"; contract,
            // drain): what is missing is counted.
            let lost = self.unrecorded();
            self.seen.doomed.extend(lost);
            self.seen.evidence_lost = true;
        }
    }

    /// The stream is at another server. Viewers of the one it left, if that one does not know, are not told: servers that
    /// share nothing have no other way (design, "Two servers that share nothing").
    pub(super) fn came_to(&mut self, server: ServerId) {
        let left = std::mem::replace(&mut self.holder, server);
        let strayed = self.world.is_alive(left)
            && match self.told[left.0] {
                None => true,
                // Contract, drain: "--stream tells one stream's publisher (and its viewers if there is a --to) once".
                Some((to, alone)) => alone && (to != To::Other || self.viewers_came_later()),
            };
        if strayed {
            self.strays_from(left);
        }
        let now = self.world.now().since(self.began);
        self.story(format!("{now:?}: the stream is at {server:?}{}", if strayed { ", astray" } else { "" }));
    }

    /// Viewers at that server do not hear where the stream goes on: what is not there may never come to them.
    pub(super) fn strays_from(&mut self, left: ServerId) {
        let mut lost: BTreeSet<Key> = self.due(Moment::from_micros(u64::MAX)).map(key).collect();
        if self.world.is_alive(left) {
            for message in self
                .world
                .server(left)
                .recordings()
                .flat_map(|legs| legs.values())
                .flat_map(|leg| &leg.messages)
            {
                lost.remove(&key(message));
            }
        }
        self.seen.astray.extend(lost);
    }

    /// Whether there are viewers, or connections of theirs, that were not there from the beginning.
    pub(super) fn viewers_came_later(&self) -> bool {
        // Type 32 names no address: who hears that comes back, and is not told again.
        let later = |watched: &Watched| watched.late || !watched.announce.reconnect;
        self.seen.troubled || self.viewers.iter().any(|(_, _, watched)| later(watched))
    }
}
