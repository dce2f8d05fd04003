//! Who writes a stream: granting, refusing, superseding, and the moment at which the claim passes from one leg to the
//! next.

use std::time::Duration;

use crate::leg::LegHeader;
use crate::message::status;
use crate::time::Moment;

use super::leg::{Candidate, Held, LastLeg, Leg, LegEnd, Writer};
use super::splice::Align;
use super::stream::Stream;
use super::{ConnId, Event};

impl Stream {
    pub(super) fn refuse(&mut self, conn: ConnId, description: &'static str) {
        self.events.push_back(Event::Refused { conn, code: status::code::PUBLISH_BAD_NAME, description });
    }

    pub(super) fn drop_candidate(&mut self, conn: ConnId) -> Option<Candidate> {
        let at = self.candidates.iter().position(|c| c.request.conn == conn)?;
        Some(self.candidates.remove(at))
    }

    /// `conn` may resume the stream: it is told so, and what was granted before it is superseded.
    pub(super) fn grant(&mut self, conn: ConnId, now: Moment) {
        let superseded: Vec<_> = self
            .candidates
            .iter()
            .filter(|c| c.granted.is_some() && c.request.conn != conn)
            .map(|c| c.request.conn)
            .collect();
        for old in superseded {
            if let Some(candidate) = self.drop_candidate(old) {
                let media = |held: &&Held| matches!(held, Held::Media(message) if message.info().is_media());
                self.counts.fenced += candidate.hold.messages.iter().filter(media).count() as u64;
                self.events.push_back(Event::Fenced { conn: old });
            }
        }
        if let Some(candidate) = self.candidates.iter_mut().find(|c| c.request.conn == conn) {
            candidate.granted = Some(now);
            self.principal = Some(candidate.request.principal.clone());
            self.events.push_back(Event::Granted { conn });
        }
        self.pass_if_due(now);
    }

    /// Passes the claim if the old leg has ended, or nothing of it can be missing, or the hold is spent.
    pub(super) fn pass_if_due(&mut self, now: Moment) {
        let Some(candidate) = self.candidates.iter().find(|c| c.granted.is_some()) else { return };
        let spent = candidate.granted.is_some_and(|granted| now >= granted + self.config.hold_time)
            || candidate.hold.bytes > self.config.hold_bytes;
        let complete = candidate
            .header
            .is_some_and(|header| header.token == self.token && header.position.index <= self.next.index);
        let free = !matches!(self.writer, Writer::Active(_));
        if !(spent || complete || free) {
            return;
        }
        let conn = candidate.request.conn;
        if let Some(candidate) = self.drop_candidate(conn) {
            self.pass(candidate, now);
        }
    }

    pub(super) fn pass(&mut self, candidate: Candidate, now: Moment) {
        if let Writer::Active(old) = &self.writer {
            let conn = old.conn;
            self.end_writer(LegEnd::Lost, now);
            self.events.push_back(Event::Fenced { conn });
        }
        self.epoch.0 += 1;
        let first = self.last_leg.is_none();
        self.writer = Writer::Active(Leg {
            conn: candidate.request.conn,
            header: None,
            align: if first { Align::Appending } else { Align::seeking(now) },
            joined: first,
            told: candidate.told,
            last_media: now,
        });
        let held_for = now.since(candidate.granted.unwrap_or(candidate.since));
        for held in candidate.hold.messages {
            match held {
                Held::Header(header) => self.begin_counting(header),
                Held::Media(message) => self.write(message, now, held_for),
            }
        }
        if let Some(end) = candidate.ended {
            self.end_writer(end, now);
        }
    }

    /// The active leg says where its next message stands.
    pub(super) fn begin_counting(&mut self, header: LegHeader) {
        let Writer::Active(leg) = &mut self.writer else { return };
        let again = leg.header.is_some_and(|h| h.leg == header.leg);
        let known = header.token == self.token;
        let index = header.position.index;
        if known && index > self.next.index {
            // Numbers are a peer's to choose, up to the last there is.
            let missing = index - self.next.index;
            if again || self.last_leg.is_some_and(|last| last.precedes(&header)) {
                self.counts.missing = self.counts.missing.saturating_add(missing);
            }
            if again {
                // What is lost between two legs is said by their splice.
                self.events.push_back(Event::Lost { conn: leg.conn, missing });
            }
        }
        leg.header = Some(header);
        if known || self.last_leg.is_none() {
            leg.align = Align::Indexed { next: index };
            leg.joined = true;
            self.token = header.token;
            if index > self.next.index || !known {
                self.jump |= !known || index != self.next.index;
                self.next.index = index;
                self.next.keyframes = header.position.keyframes;
            }
        } else {
            // Another source under the same name: its count replaces ours, its media are aligned as without header.
            self.token = header.token;
            self.next.index = index;
            self.next.keyframes = header.position.keyframes;
            self.jump = true;
        }
    }

    pub(super) fn end_writer(&mut self, end: LegEnd, now: Moment) {
        let Writer::Active(leg) = &mut self.writer else { return };
        let leftover = leg.align.give_up();
        if !leftover.is_empty() {
            self.join_and_append(leftover, now, Duration::ZERO);
        }
        let Writer::Active(leg) = std::mem::replace(&mut self.writer, Writer::Between { since: now }) else {
            return;
        };
        self.last_leg = Some(LastLeg { number: leg.header.map(|h| h.leg) });
        self.events.push_back(Event::LegEnded { conn: leg.conn, epoch: self.epoch, end });
        if end == LegEnd::Finished && !self.candidates.iter().any(|c| c.granted.is_some()) {
            self.over();
        }
    }

    pub(super) fn over(&mut self) {
        self.writer = Writer::Over;
        for candidate in std::mem::take(&mut self.candidates) {
            self.refuse(candidate.request.conn, "the stream has just ended");
        }
        self.events.push_back(Event::Ended);
    }
}
