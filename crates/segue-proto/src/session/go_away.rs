//! The go-away of one connection, on the server: which signal its client gets, that it gets exactly one, and what may
//! be written after it. Owns no bytes; the session writes what this decides.
//!
//! **Quiet.** A publisher that was told by type 32 and does not speak `segue` leaves by closing its socket, before it
//! reads again (OBS does). A socket that is closed with unread bytes resets the connection, and a reset throws away
//! what the publisher has written and its system not yet sent. Each byte we write after the signal, be it an
//! acknowledgement, a ping or an answer, may cost the tail of the stream. So such a connection is written nothing
//! more, but the signal once again: OBS reads one message at a time and may have missed it behind another.
//!
//! A client that follows ReconnectRequest, or speaks `segue`, reads to the end, and is not kept in silence.

use super::GoAwaySignal;
use crate::caps::Announce;
use crate::state;

/// What one client was told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GoAway {
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Idle,
    /// Told, by a signal that may be given again: the newest counts.
    Told(GoAwaySignal),
    /// Told by type 32, without `segue`: quiet, one repeat left.
    Quiet,
    /// The repeat is out too.
    Repeated,
}

state::plain!(struct GoAway { state });
state::plain!(enum State { 0 => Idle, 1 => Told(signal), 2 => Quiet, 3 => Repeated });

impl GoAway {
    /// The one signal for a client that announced this, if any. Never one that was not announced: many clients fail
    /// on an unknown message type.
    pub const fn signal_for(announce: Announce) -> Option<GoAwaySignal> {
        if announce.reconnect {
            Some(GoAwaySignal::ReconnectRequest)
        } else if announce.go_away {
            Some(GoAwaySignal::GoAwayMessage)
        } else {
            None
        }
    }

    /// The client is to be told now. Returns the signal to write, or `None` if it understands none, or is quiet.
    pub fn tell(&mut self, announce: Announce) -> Option<GoAwaySignal> {
        if self.is_quiet() {
            return None;
        }
        let signal = Self::signal_for(announce)?;
        let quiet = signal == GoAwaySignal::GoAwayMessage && !announce.segue;
        self.state = if quiet { State::Quiet } else { State::Told(signal) };
        Some(signal)
    }

    /// Whether the signal may be repeated now. True once, for a quiet client.
    pub fn repeat(&mut self) -> bool {
        let may = self.state == State::Quiet;
        if may {
            self.state = State::Repeated;
        }
        may
    }

    /// By which signal the client was told.
    pub const fn told(&self) -> Option<GoAwaySignal> {
        match self.state {
            State::Idle => None,
            State::Told(signal) => Some(signal),
            State::Quiet | State::Repeated => Some(GoAwaySignal::GoAwayMessage),
        }
    }

    /// Whether nothing but the repeat may be written any more.
    pub const fn is_quiet(&self) -> bool {
        matches!(self.state, State::Quiet | State::Repeated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use GoAwaySignal::{GoAwayMessage, ReconnectRequest};

    #[test]
    fn exactly_one_signal_and_only_one_that_was_announced() {
        for (reconnect, go_away, expected) in [
            (true, true, Some(ReconnectRequest)),
            (true, false, Some(ReconnectRequest)),
            (false, true, Some(GoAwayMessage)),
            (false, false, None),
        ] {
            for segue in [false, true] {
                let announce = Announce { reconnect, go_away, segue };
                let mut state = GoAway::default();
                assert_eq!(state.tell(announce), expected);
                assert_eq!(state.told(), expected);
                let quiet = expected == Some(GoAwayMessage) && !segue;
                assert_eq!(state.is_quiet(), quiet, "{announce:?}");
                assert_eq!(state.tell(announce), if quiet { None } else { expected }, "told again");
                assert_eq!([state.repeat(), state.repeat()], [quiet, false], "{announce:?}");
                assert_eq!(state.is_quiet(), quiet);
                assert_eq!(state.told(), expected);
            }
        }
    }

    #[test]
    fn nothing_is_repeated_before_it_was_told() {
        let mut state = GoAway::default();
        assert!(!state.repeat());
        assert_eq!(state.told(), None);
    }
}
