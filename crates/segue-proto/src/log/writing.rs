//! What happens to a message of the leg that has the claim: configuration becomes state, repeats are left out, a leg's
//! first new message puts it on the timeline, and the rest is appended.

use std::sync::Arc;
use std::time::Duration;

use crate::leg::Position;
use crate::media::{MediaMessage, TagInfo, TrackKind};
use crate::time::Moment;

use super::entry::Entry;
use super::leg::Writer;
use super::splice::{Align, Verdict};
use super::stream::Stream;
use super::{ConnId, Event, Headers, Splice};

impl Stream {
    /// A message of the active leg.
    pub(super) fn write(&mut self, message: MediaMessage, now: Moment, held_for: Duration) {
        let info = message.info();
        if !info.is_media() {
            let mut headers = Headers::clone(&self.headers);
            if headers.set(&message, &info) {
                self.headers = Arc::new(headers);
            }
            return;
        }
        let Writer::Active(leg) = &mut self.writer else { return };
        let (verdict, repeats) = leg.align.judge(message, &info, &self.ring, self.next.index, now);
        if repeats > 0 {
            // Without a header, only an alignment finds repeats: the leg is on the timeline of the one it repeats.
            leg.joined = true;
            self.counts.repeated += repeats;
            if leg.header.is_some() && !matches!(leg.align, Align::Indexed { .. }) {
                // Its header named the index of its first message, and these were the first.
                self.next.index += repeats;
            }
        }
        if let Verdict::Append(messages) = verdict {
            self.join_and_append(messages, now, held_for);
        }
    }

    /// Appends messages that are new, after putting the leg on the timeline if it is not there yet.
    pub(super) fn join_and_append(&mut self, messages: Vec<MediaMessage>, now: Moment, held_for: Duration) {
        let with_info: Vec<_> = messages
            .into_iter()
            .map(|message| {
                let info = message.info();
                (message, info)
            })
            .collect();
        let Writer::Active(leg) = &mut self.writer else { return };
        let conn = leg.conn;
        let counted = matches!(leg.align, Align::Indexed { .. });
        let mut restarted = false;
        if !std::mem::replace(&mut leg.joined, true) {
            restarted = self.timeline.join(&with_info);
        }
        if !counted && leg.header.is_none() && self.token != self.own {
            // A leg that does not count by the token takes the stream out of that count.
            self.token = self.own;
            self.jump = true;
        }
        for (message, info) in with_info {
            if self.last_written != self.epoch {
                self.note_splice(conn, &message, restarted, held_for);
            }
            self.push(message, info, now);
        }
        if self.events.back() != Some(&Event::Appended) {
            self.events.push_back(Event::Appended);
        }
    }

    pub(super) fn note_splice(
        &mut self,
        conn: ConnId,
        first: &MediaMessage,
        restarted: bool,
        held_for: Duration,
    ) {
        let Writer::Active(leg) = &self.writer else { return };
        let exact = matches!(leg.align, Align::Indexed { .. });
        let expected = self.ring.last().map_or(0, |e| e.position.index + 1);
        let directly = match (leg.header, self.last_leg) {
            (Some(header), Some(last)) => last.precedes(&header),
            _ => false,
        };
        self.events.push_back(Event::Spliced(Splice {
            conn,
            epoch: self.epoch,
            follows: self.last_leg.is_some(),
            missing: if exact && directly { self.next.index.saturating_sub(expected) } else { 0 },
            exact,
            old_last: self.ring.last().map(|e| e.message.timestamp),
            new_first: self.timeline.place(first.timestamp),
            restarted,
            held_for,
        }));
    }

    pub(super) fn push(&mut self, mut message: MediaMessage, info: TagInfo, now: Moment) {
        let raw_timestamp = message.timestamp;
        message.timestamp = self.timeline.place(raw_timestamp);
        let starts_gop = self.lead.is_boundary(&message, &info);
        self.lead.passed(&message, &info);
        if info.is_coded() {
            // Of many tracks in one message, all have a frame here: the message is one entry, its timestamp all of theirs.
            for track in message.tracks() {
                self.timeline.passed(message.kind, track, message.timestamp);
            }
        }
        let keyframe = starts_gop && message.kind == TrackKind::Video;
        if starts_gop {
            self.gop = self.last_keyframe.map(|at| now.since(at));
            self.last_keyframe = Some(now);
        }
        let position = Position { timestamp: message.timestamp, ..self.next };
        let entry = Entry {
            seq: self.ring.next_seq(),
            stream: self.token.hash(),
            position,
            jump: std::mem::take(&mut self.jump),
            epoch: self.epoch,
            message,
            raw_timestamp,
            info,
            starts_gop,
            headers: self.headers.clone(),
            arrived: now,
            frame: Default::default(),
        };
        self.ring.push(entry, &self.config.bounds);
        self.last_written = self.epoch;
        self.next.index += 1;
        self.next.keyframes += u64::from(keyframe);
        self.next.timestamp = position.timestamp;
    }
}
