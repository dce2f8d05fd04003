//! A publishing connection: its media to the log, acknowledgements of what the log and the recorder have, the
//! go-away, and how its leg ends.

use std::time::Duration;

use segue_proto::handover::record::HandoverResult;
use segue_proto::leg::LegHeader;
use segue_proto::session::GoAwaySignal;
use segue_proto::{MediaMessage, Moment};

use super::Core;
use super::conn::{Conn, Role};
use crate::config::MAX_LOOKS;
use crate::hub::Leaving;

/// A client of type 32 alone is told just after a keyframe, so that it has a whole GOP to read the signal in; it is
/// waited for at most one observed GOP and no longer than this.
const TELL_PATIENCE: Duration = Duration::from_secs(5);

impl Conn {
    /// The log let the leg in.
    pub(super) fn granted(&mut self) {
        if let Role::Publisher(publisher) = &self.role
            && self.closing.is_none()
        {
            self.session.publish_start(publisher.stream);
        }
    }

    /// The log did not.
    pub(super) fn refused(&mut self, core: &mut Core, code: &str, description: &str, now: Moment) {
        if let Role::Publisher(publisher) = &mut self.role {
            publisher.taking = false;
            publisher.left = true;
            if self.closing.is_none() {
                self.session.publish_refused(publisher.stream, code, description);
            }
            self.close(core, now);
        }
    }

    /// Another leg has the claim.
    pub(super) fn fenced(&mut self, core: &mut Core, now: Moment) {
        if let Role::Publisher(publisher) = &mut self.role {
            publisher.taking = false;
            publisher.replaced = true;
            self.leave(core, Leaving::Lost, now);
            self.close(core, now);
        }
    }

    /// The drain's deadline: this leg ends now.
    pub(super) fn cut(&mut self, core: &mut Core, now: Moment) {
        if !matches!(self.role, Role::Publisher(_)) {
            return;
        }
        if self.announce().segue {
            // What comes after its last acknowledgement it knows to be lost: nothing of that is kept.
            self.leave(core, Leaving::Cut, now);
        }
        self.close(core, now);
    }

    pub(super) fn media(&mut self, core: &mut Core, message: MediaMessage, now: Moment) {
        let (id, segue) = (self.id, self.announce().segue);
        let Role::Publisher(publisher) = &mut self.role else { return };
        publisher.late += u64::from(!publisher.taking);
        if !publisher.taking && !publisher.replaced {
            return;
        }
        let slot = publisher.slot.clone();
        let mut state = slot.lock();
        if state.log.refuses(id) {
            // A client with `segue` sends again what is not acknowledged; of others this is the end of it.
            // Who was never let in has nothing to lose here.
            let had_claim = publisher.replaced || state.legs.get(&id).is_some_and(|leg| leg.granted > 0);
            if had_claim && !segue && message.info().is_media() {
                publisher.looks += 1;
                if publisher.looks > MAX_LOOKS || !state.log.holds(&message) {
                    publisher.lost += 1;
                    core.hub.lost(&slot, 1);
                }
            }
            return state.log.append(id, message, now);
        }
        let boundary = state.log.is_boundary(&message);
        if boundary && state.cuts_now(now) && state.log.publisher() == Some(id) {
            drop(state);
            publisher.taking = false;
            self.leave(core, Leaving::Cut, now);
            return self.close(core, now);
        }
        if let Some(leg) = state.legs.get_mut(&id) {
            leg.bytes += message.payload.len() as u64;
        }
        let writes = state.has_all_of(id);
        state.log.append(id, message, now);
        if writes && state.log.publisher() != Some(id) {
            // The message that the next leg waited for: it is in the log, and the last one of this leg that is.
            publisher.note(state.log.next_seq(), self.session.consumed(), now);
        }
        core.settle(&slot, &mut state, now);
        drop(state);
        if boundary {
            if std::mem::take(&mut publisher.repeat_due) {
                self.session.repeat_go_away();
            } else if publisher.tell_by.take().is_some() {
                self.tell_now(core, None, now);
            }
        }
    }

    pub(super) fn leg_header(&mut self, core: &mut Core, header: LegHeader, now: Moment) {
        if let Role::Publisher(publisher) = &self.role
            && publisher.taking
            && core.switches.segue
        {
            let slot = publisher.slot.clone();
            let mut state = slot.lock();
            state.log.leg_header(self.id, header, now);
            core.settle(&slot, &mut state, now);
        }
    }

    /// The client said that its stream is over.
    pub(super) fn unpublished(&mut self, core: &mut Core, now: Moment) {
        if !matches!(&self.role, Role::Publisher(publisher) if !publisher.left) {
            return;
        }
        self.checkpoint(now);
        // Encoders answer the cut of a drain with the farewell of a real end.
        let cut = self.closing.is_some_and(|closing| closing.by_drain);
        self.leave(core, if cut { Leaving::Cut } else { Leaving::Finished }, now);
        if self.announce().segue {
            self.close(core, now);
        } else if self.closing.is_none() {
            self.file_record(core, false);
            self.taken = self.session.consumed();
            self.role = Role::Idle;
            self.set_busy(core, false);
        }
    }

    /// Ends the leg in the hub.
    pub(super) fn leave(&mut self, core: &mut Core, leaving: Leaving, now: Moment) {
        let id = self.id;
        let Role::Publisher(publisher) = &mut self.role else { return };
        if std::mem::replace(&mut publisher.left, true) {
            return;
        }
        publisher.tell_by = None;
        publisher.repeat_due = false;
        let slot = publisher.slot.clone();
        publisher.record = core.hub.leave(&slot, id, leaving, now);
        core.watch_time(&slot, &slot.lock(), now);
    }

    /// The peer's side ended: all that it sent is here.
    pub(super) fn detach_publisher_at_eof(&mut self, core: &mut Core, now: Moment) {
        if matches!(self.role, Role::Publisher(_)) {
            self.checkpoint(now);
            let cut = matches!(&self.closing, Some(closing) if closing.by_drain);
            self.leave(core, if cut { Leaving::Cut } else { Leaving::Lost }, now);
        }
    }

    /// Notes what the log has of this publisher, and acknowledges what may be.
    pub(super) fn checkpoint(&mut self, now: Moment) {
        let (id, offset) = (self.id, self.session.consumed());
        if let Role::Publisher(publisher) = &mut self.role
            && publisher.taking
        {
            publisher.checkpoint(id, offset, now);
        }
        self.acknowledge(now);
    }

    /// The recorder or the hold may have got on.
    pub(super) fn acknowledge(&mut self, now: Moment) {
        let (id, offset) = (self.id, self.session.consumed());
        let last_said = self.closing.as_ref().is_some_and(|closing| closing.is_said());
        let Role::Publisher(publisher) = &mut self.role else { return };
        if publisher.held {
            publisher.checkpoint(id, offset, now);
        }
        if let Some(taken) = publisher.advance(now)
            && !last_said
        {
            self.session.taken(taken, now);
        }
    }

    /// The last word to a client with `segue`: what was taken of its bytes. From here on nothing more is.
    pub(super) fn last_acknowledgement(&mut self, core: &Core) {
        if !self.announce().segue {
            return;
        }
        let (idle, consumed) = (self.taken, self.session.consumed());
        let (taken, settled) = match &mut self.role {
            Role::Publisher(publisher) => {
                publisher.taking = false;
                // What another leg's claim kept out of the log was consumed as well, and not taken.
                let all = publisher.taken == consumed;
                (publisher.taken, publisher.is_settled() && publisher.late == 0 && all)
            }
            _ => (idle, true),
        };
        self.session.final_acknowledgement(taken);
        self.file_record(core, settled);
    }

    /// Writes the hand-over record, now that it is known what was acknowledged.
    pub(super) fn file_record(&mut self, core: &Core, settled: bool) {
        let segue = self.announce().segue;
        let Role::Publisher(publisher) = &mut self.role else { return };
        core.hub.settled(&publisher.slot, self.id);
        if let Some(mut record) = publisher.record.take() {
            record.confirmed = segue.then_some(settled);
            if publisher.lost > 0 {
                record.missing = Some(publisher.lost);
                record.result = HandoverResult::Lost;
            }
            core.hub.record(record);
        }
    }

    pub(super) fn tell_at_keyframe(&mut self, core: &mut Core, now: Moment) {
        let Role::Publisher(publisher) = &mut self.role else { return };
        match publisher.slot.lock().log.gop() {
            Some(gop) => publisher.tell_by = Some(now + gop.min(TELL_PATIENCE)),
            None => publisher.tell_by = Some(now),
        }
        self.publisher_timeout(core, now);
    }

    pub(super) fn tell_now(&mut self, core: &mut Core, tc_url: Option<&str>, now: Moment) {
        let segue = self.announce().segue;
        let Role::Publisher(publisher) = &mut self.role else { return };
        let slot = publisher.slot.clone();
        let mut state = slot.lock();
        // The drain that wanted it may have been cancelled meanwhile.
        let Some(leg) = state.legs.get_mut(&self.id) else { return };
        if !std::mem::take(&mut leg.telling) {
            return;
        }
        let mut signal = self.session.go_away(tc_url, now);
        if signal.is_none() && self.session.repeat_go_away() {
            // A quiet client that an earlier, cancelled drain told has one more coming.
            signal = Some(GoAwaySignal::GoAwayMessage);
        }
        leg.told = signal.or(leg.told);
        if signal.is_some() {
            tracing::info!(stream = %slot.id, signal = crate::hub::signal_name(signal), "told its publisher to go");
            publisher.repeat_due = signal == Some(GoAwaySignal::GoAwayMessage) && !segue;
            state.log.told(self.id, now);
            core.settle(&slot, &mut state, now);
        }
    }

    /// The drain was cancelled.
    pub(super) fn untell(&mut self) {
        if let Role::Publisher(publisher) = &mut self.role {
            publisher.tell_by = None;
            publisher.repeat_due = false;
        }
    }

    pub(super) fn publisher_timeout(&mut self, core: &mut Core, now: Moment) {
        let Role::Publisher(publisher) = &mut self.role else { return };
        if publisher.tell_by.is_some_and(|by| now >= by) {
            publisher.tell_by = None;
            self.tell_now(core, None, now);
        }
        self.acknowledge(now);
    }
}
