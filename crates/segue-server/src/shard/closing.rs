//! How the server closes a connection: flush, to a client with `segue` a last acknowledgement of what was taken, end
//! the writing side, read to the end or for 2 s, close. A socket closed with unread input would be reset, and its
//! peer's tail lost with it.

use segue_proto::Moment;

use super::conn::{Conn, Role};
use super::phase::{Closing, Phase};
use super::{Core, Output};
use crate::config::{FLUSH, LINGER, SETTLE};
use crate::hub::Leaving;

impl Conn {
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.closing, Some(Closing { phase: Phase::Gone, .. }))
    }

    /// Begins the close. Its steps are taken at the end of each pass.
    pub(super) fn close(&mut self, core: &mut Core, now: Moment) {
        if self.closing.is_some() {
            return;
        }
        match &self.role {
            // It may go on sending: taken until the end, unless what it was told says otherwise.
            Role::Publisher(_) if self.deaf => self.leave(core, Leaving::Lost, now),
            Role::Parked(_) => self.detach(core, now),
            _ => {}
        }
        if !self.deaf && !matches!(self.role, Role::Publisher(_)) {
            self.taken = self.session.consumed();
        }
        let by_drain = core.hub.is_draining() || core.hub.is_stopping();
        self.closing = Some(Closing { phase: Phase::Settling { until: now + SETTLE }, by_drain });
    }

    /// The server stops.
    pub(super) fn stop(&mut self, core: &mut Core, now: Moment) {
        self.end_viewer(core);
        self.cut(core, now);
        self.close(core, now);
    }

    /// Closes without a word: the connection is broken, or takes nothing.
    pub(super) fn drop_now(&mut self, core: &mut Core, now: Moment) {
        self.detach_publisher_at_eof(core, now);
        self.gone(core, now);
    }

    fn gone(&mut self, core: &mut Core, now: Moment) {
        if self.is_gone() {
            return;
        }
        if let (aggregates @ 2.., _) = self.session.faulty_aggregates() {
            tracing::warn!(peer = %self.peer, aggregates, "its aggregate messages were not what they said");
        }
        let by_drain = self.closing.is_some_and(|closing| closing.by_drain);
        self.leave(core, if by_drain { Leaving::Cut } else { Leaving::Lost }, now);
        self.file_record(core, false);
        if matches!(&self.role, Role::Viewer(_)) {
            self.part_viewer(core);
        }
        self.detach(core, now);
        self.set_busy(core, false);
        self.closing = Some(Closing { phase: Phase::Gone, by_drain });
        core.outputs.push_back(Output::Close(self.id));
    }

    pub(super) fn go_on_closing(&mut self, core: &mut Core, now: Moment) {
        let Some(mut closing) = self.closing else { return };
        if let Phase::Settling { until } = closing.phase {
            self.acknowledge(now);
            let settled = match &self.role {
                Role::Publisher(publisher) => publisher.is_settled() || !self.announce().segue,
                _ => true,
            };
            if !settled && now < until {
                return;
            }
            self.last_acknowledgement(core);
            closing.phase = Phase::Flushing { until: now + FLUSH };
        }
        if let Phase::Flushing { until } = closing.phase {
            if self.session.out().is_empty() {
                core.outputs.push_back(Output::ShutdownWrite(self.id));
                if !matches!(self.role, Role::Publisher(_)) {
                    self.set_busy(core, false);
                }
                closing.phase = Phase::Lingering { until: now + LINGER };
            } else if now >= until {
                return self.gone(core, now);
            }
        }
        self.closing = Some(closing);
        if let Phase::Lingering { until } = closing.phase
            && (self.peer_ended || now >= until)
        {
            self.gone(core, now);
        }
    }
}
