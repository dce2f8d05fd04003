//! One connection of a publisher: its session, and what of the replay buffer went over it. Owns the cursor, the end,
//! and which messages are acknowledged; decides nothing about other connections.

use std::collections::VecDeque;
use std::time::Duration;

use crate::client::{ConnId, QUEUE_TARGET};
use crate::handover::replay::Replay;
use crate::leg::{LegHeader, ResumeToken};
use crate::session::ack::AckCounter;
use crate::session::client::Session;
use crate::time::Moment;
use crate::timestamp::Timestamp;
use crate::url::RtmpUrl;

/// How long a connection that is ending may go without anything going forward: what is left to send, or the last
/// acknowledgement.
pub const END_BOUND: Duration = Duration::from_secs(10);
/// How long a server that speaks segue may acknowledge nothing of what it was sent.
pub const STALL_BOUND: Duration = Duration::from_secs(10);
/// Most messages under way whose place is remembered once the buffer had to drop any: more than what fills the sockets of
/// a slow line. Beyond it the oldest are forgotten, and then more may be counted as lost than is.
pub(super) const MAX_PASSED: usize = 1 << 16;
/// One that acknowledges nothing for so long while there is something is not relied on to have what was sent last:
/// acknowledgements come twice a second, and a recorder holds them back for a second at most.
pub const SUSPECT_AFTER: Duration = Duration::from_millis(1500);

/// A place in the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Place {
    /// Of the replay buffer: counts configuration too.
    pub(super) serial: u64,
    /// Media messages before it.
    pub(super) index: u64,
    /// Those among them that this leg never sent, because the buffer had to drop them.
    pub(super) skipped: u64,
}

impl Place {
    /// The place of the message of that serial.
    pub(super) fn of(replay: &Replay, serial: u64) -> Self {
        Self { serial, index: replay.position(serial).index, skipped: 0 }
    }

    /// Media messages from `earlier` to here that a leg sent.
    pub(super) fn sent_since(&self, earlier: &Self) -> u64 {
        (self.index.saturating_sub(earlier.index))
            .saturating_sub(self.skipped.saturating_sub(earlier.skipped))
    }
}

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Dialing, until then.
    Dialing(Moment),
    /// Handshake, connect, createStream.
    Connecting,
    /// Ready to publish.
    Ready,
    /// `publish` is sent.
    Publishing,
    /// The server took the stream, then.
    Live(Moment),
    /// Another connection has the stream: sends the rest, then is half-closed.
    Leaving,
    /// Half-closed: read to its end.
    Draining,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) conn: ConnId,
    pub(super) url: RtmpUrl,
    pub(super) session: Option<Session>,
    pub(super) phase: Phase,
    /// Whether the server announced `segue`, and we did.
    pub(super) segue: bool,
    /// The number in its leg header; 0 before it is published, and once that is refused.
    pub(super) number: u32,
    pub(super) start: Place,
    pub(super) cursor: Place,
    /// What comes before needs no proof of this server's: others have given it, or it is counted as lost. A leg that
    /// replays begins earlier, at a boundary.
    pub(super) owed: Place,
    /// Nothing from here on is sent here.
    pub(super) end: Option<Place>,
    /// Everything before is acknowledged.
    pub(super) proven: Place,
    /// Offsets at which messages end, and the place after each.
    sent: VecDeque<(u64, Place)>,
    acks: AckCounter,
    /// Configuration (and, after a jump, the leg header) goes before the next message.
    fresh: bool,
    header_due: bool,
    pub(super) first_ts: Option<Timestamp>,
    pub(super) last_ts: Option<Timestamp>,
    /// Whose handing-on is measured: serial, and how late it was.
    pub(super) mark: u64,
    pub(super) delay_ms: Option<u64>,
    /// Its tail is sent again elsewhere: nothing of it is lost.
    pub(super) covered: bool,
    /// FCUnpublish and deleteStream are sent, up to this offset.
    pub(super) finished: Option<u64>,
    /// When something last went forward.
    pub(super) progress: Moment,
    /// When the server last acknowledged something, or something was first sent that it has yet to acknowledge.
    unanswered: Moment,
}

impl Leg {
    pub(super) fn new(conn: ConnId, url: RtmpUrl, dial_until: Moment, now: Moment) -> Self {
        Self {
            conn,
            url,
            session: None,
            phase: Phase::Dialing(dial_until),
            segue: false,
            number: 0,
            start: Place::default(),
            cursor: Place::default(),
            owed: Place::default(),
            end: None,
            proven: Place::default(),
            sent: VecDeque::new(),
            acks: AckCounter::default(),
            fresh: true,
            header_due: false,
            first_ts: None,
            last_ts: None,
            mark: 0,
            delay_ms: None,
            covered: false,
            finished: None,
            progress: now,
            unanswered: now,
        }
    }

    /// What the server calls itself, if it does.
    pub(super) fn server_id(&self) -> Option<String> {
        self.session.as_ref()?.server()?.server_id.clone()
    }

    /// Whether the server has taken the stream over this connection, now or earlier.
    pub(super) fn was_accepted(&self) -> bool {
        matches!(self.phase, Phase::Live(_) | Phase::Leaving | Phase::Draining)
    }

    /// Sends `publish`; media from `start` on follows, the delay of `mark` is measured.
    pub(super) fn publish(&mut self, number: u32, start: Place, mark: u64) {
        self.phase = Phase::Publishing;
        self.number = number;
        self.mark = mark;
        self.header_due = true;
        self.begin_at(start);
        if let Some(session) = &mut self.session {
            session.publish();
        }
    }

    /// Begins there; nothing was sent yet.
    pub(super) fn begin_at(&mut self, start: Place) {
        (self.start, self.cursor, self.proven) = (start, start, start);
    }

    /// Whether media went into the session.
    pub(super) fn has_sent(&self) -> bool {
        self.cursor != self.start
    }

    /// Whether a server that speaks segue may have a leg that begins at [`start`](Self::start): the leg header is out, and
    /// was not refused.
    pub(super) fn has_begun(&self) -> bool {
        self.segue && self.number > 0 && (self.has_sent() || !self.header_due)
    }

    /// What must stay in the buffer for it: what is not acknowledged, or where nobody can tell, not sent.
    pub(super) fn needs(&self) -> Place {
        if self.segue { self.unless_owed_later(self.proven) } else { self.cursor }
    }

    /// That place, or where what this server owes begins, if that is later.
    fn unless_owed_later(&self, place: Place) -> Place {
        // What was passed over is counted from where it was.
        let later = self.owed.serial > place.serial && self.cursor.skipped == 0;
        if later { Place { skipped: 0, ..self.owed } } else { place }
    }

    /// The first message that the server may not have, now that the connection is gone. A server that does not prove
    /// anything is trusted with everything after a `clean` end, and not with the last seconds otherwise.
    pub(super) fn unproven(&self, replay: &Replay, clean: bool, now: Moment) -> Place {
        if self.segue {
            return self.needs();
        }
        let recent = replay.recent(now);
        if clean || recent >= self.cursor.serial {
            return self.cursor;
        }
        let recent = Place::of(replay, recent.max(self.start.serial));
        Place { skipped: self.cursor.skipped, ..recent }
    }

    /// [`unproven`](Self::unproven) as what the stream needs from its next connection: `skipped` is what lies after it
    /// and is counted as lost already.
    pub(super) fn owes(&self, replay: &Replay, clean: bool, now: Moment) -> Place {
        let from = self.unproven(replay, clean, now);
        Place { skipped: self.cursor.skipped.saturating_sub(from.skipped), ..from }
    }

    /// Media messages of this leg's that are not proven, or, where nobody can tell, not sent.
    pub(super) fn tail(&self) -> u64 {
        let end = self.end.map_or(self.cursor.index, |end| end.index.max(self.cursor.index));
        Place { index: end, ..self.cursor }.sent_since(&self.needs())
    }

    /// An acknowledgement came. Numbers beyond what was sent are a foreign way of counting and prove nothing. Returns
    /// whether it proved something.
    pub(super) fn acknowledged(&mut self, sequence: u32, now: Moment) -> bool {
        let before = self.acks.total();
        let offset = self.acks.receive(sequence);
        let mut proved = false;
        while let Some((end, place)) = self.sent.front()
            && *end <= offset
        {
            self.proven = *place;
            self.sent.pop_front();
            proved = true;
        }
        // One that covers no whole message that is remembered, perhaps a part of one over a thin line, says all the same that
        // the server lives and takes more.
        if offset > before {
            (self.progress, self.unanswered) = (now, now);
        }
        proved
    }

    /// Whether nothing was acknowledged for so long that what was sent last may be lost.
    pub(super) fn is_suspect(&self, now: Moment) -> bool {
        self.segue && !self.sent.is_empty() && now.since(self.unanswered) >= SUSPECT_AFTER
    }

    /// When a server that speaks segue has acknowledged nothing for too long: its acknowledgements come twice a second,
    /// so it, or the way to it, is dead, even if nothing closes the connection.
    pub(super) fn stalled_at(&self) -> Option<Moment> {
        let waits = matches!(self.phase, Phase::Live(_)) && self.finished.is_none() && !self.sent.is_empty();
        waits.then(|| self.unanswered + STALL_BOUND)
    }

    /// When a connection that is ending is closed, if nothing goes forward until then.
    pub(super) fn ends_by(&self) -> Option<Moment> {
        let ending = matches!(self.phase, Phase::Leaving | Phase::Draining) || self.finished.is_some();
        ending.then(|| self.progress + END_BOUND)
    }

    /// Ends the stream properly.
    pub(super) fn finish(&mut self, now: Moment) {
        self.progress = now;
        if let Some(session) = &mut self.session {
            session.finish_publish();
            self.finished = Some(session.sent());
        }
    }

    /// Whether the server acknowledged the end of the stream.
    pub(super) fn is_end_proven(&self) -> bool {
        self.is_proven() && self.finished.is_some_and(|end| self.acks.total() >= end)
    }

    /// Whether all that it was to send is sent.
    pub(super) fn is_flushed(&self, replay: &Replay) -> bool {
        self.cursor.serial >= self.end.map_or(replay.end(), |end| end.serial)
    }

    /// Whether all that it sent is acknowledged.
    pub(super) fn is_proven(&self) -> bool {
        self.segue && self.proven == self.cursor
    }

    /// The buffer dropped what this leg had yet to send: it goes on at what is left. Returns how many media messages
    /// that passes over.
    pub(super) fn skip(&mut self, replay: &Replay) -> u64 {
        // What is under way can't be sent again any more once it is dropped; whether it arrives still counts.
        while self.sent.len() > MAX_PASSED
            && self.sent.front().is_some_and(|(_, place)| place.serial <= replay.first())
        {
            self.sent.pop_front();
        }
        if self.cursor.serial >= replay.first() {
            return 0;
        }
        let first = Place::of(replay, replay.first());
        let to = self.end.filter(|end| end.serial <= first.serial).unwrap_or(first);
        let passed = to.index.saturating_sub(self.cursor.index);
        if self.has_sent() {
            self.cursor = Place { skipped: self.cursor.skipped + passed, ..to };
        } else {
            self.begin_at(Place { skipped: 0, ..to });
        }
        self.fresh = true;
        self.header_due |= self.phase != Phase::Ready;
        passed
    }

    /// Encodes from the buffer, while the queue is below [`QUEUE_TARGET`]. Where the server speaks segue media follows
    /// `publish` at once, elsewhere only after its answer.
    pub(super) fn pump(&mut self, replay: &Replay, token: ResumeToken, now: Moment) {
        let may_send = match self.phase {
            Phase::Publishing => self.segue,
            Phase::Live(_) | Phase::Leaving => true,
            _ => false,
        };
        let Some(session) = self.session.as_mut().filter(|_| may_send && self.finished.is_none()) else {
            return;
        };
        if std::mem::take(&mut self.header_due) && self.segue {
            let position = replay.position(self.cursor.serial);
            session.send_leg_header(&LegHeader { token, leg: self.number, position });
        }
        while session.out().len() < QUEUE_TARGET {
            if self.end.is_some_and(|end| self.cursor.serial >= end.serial) {
                return;
            }
            let Some(entry) = replay.get(self.cursor.serial) else { return };
            if std::mem::take(&mut self.fresh) {
                for config in replay.config_at(self.cursor.serial).messages() {
                    let mut config = config.clone();
                    config.timestamp = entry.message.timestamp;
                    session.send_media(&config);
                }
            }
            let offset = session.send_media(&entry.message);
            self.cursor.serial += 1;
            self.progress = now;
            if entry.is_media {
                self.cursor.index += 1;
                self.first_ts.get_or_insert(entry.message.timestamp);
                self.last_ts = Some(entry.message.timestamp);
                if self.delay_ms.is_none() && self.cursor.serial > self.mark {
                    let late = now.since(entry.arrived).as_millis();
                    self.delay_ms = Some(u64::try_from(late).unwrap_or(u64::MAX));
                }
            }
            if self.segue {
                if self.sent.is_empty() {
                    self.unanswered = now;
                }
                self.sent.push_back((offset, self.cursor));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::{MediaMessage, TrackKind};

    /// A leg that has sent `count` keyframes, all of them dropped from the buffer since but for the last.
    fn passed(count: usize) -> Leg {
        let url = RtmpUrl::parse("rtmp://a/live/key").expect("a URL");
        let (mut leg, mut replay) =
            (Leg::new(ConnId(1), url, Moment::ORIGIN, Moment::ORIGIN), Replay::default());
        let minute = Duration::from_secs(60);
        for n in 0..count {
            let payload = Bytes::from_static(b"\x17\x01\0\0\0");
            let message = MediaMessage::new(TrackKind::Video, Timestamp::ZERO, payload);
            let at = Moment::ORIGIN + if n + 1 == count { minute } else { Duration::ZERO };
            replay.push(message, at);
            leg.cursor.serial += 1;
            leg.sent.push_back((n as u64 + 1, leg.cursor));
        }
        replay.trim(u64::MAX);
        assert_eq!(replay.first(), count as u64 - 1);
        assert_eq!(leg.skip(&replay), 0);
        leg
    }

    #[test]
    fn places_of_dropped_messages_are_remembered_up_to_a_bound() {
        assert_eq!(passed(MAX_PASSED).sent.front().map(|(offset, _)| *offset), Some(1), "at the bound");
        let leg = passed(MAX_PASSED + 1);
        assert_eq!(leg.sent.len(), MAX_PASSED);
        assert_eq!(leg.sent.front().map(|(offset, _)| *offset), Some(2), "one past it the oldest goes");
    }

    #[test]
    fn an_acknowledgement_that_proves_nothing_remembered_is_a_sign_of_life() {
        let mut leg = passed(MAX_PASSED + 1);
        leg.segue = true;
        leg.phase = Phase::Live(Moment::ORIGIN);
        let later = Moment::ORIGIN + STALL_BOUND;
        assert_eq!(leg.stalled_at(), Some(later));
        assert!(!leg.acknowledged(1, later), "its place is forgotten");
        assert_eq!(leg.stalled_at(), Some(later + STALL_BOUND));
        assert!(!leg.acknowledged(1, later + STALL_BOUND), "the same again is none");
        assert_eq!(leg.stalled_at(), Some(later + STALL_BOUND));
    }
}
