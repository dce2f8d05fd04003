//! The dialects of the signal, as a choice on the command line: what a client announces, what a server sends.

/// The dialects of the signal.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dialects {
    Both,
    Reconnect,
    GoAway,
    None,
}

impl Dialects {
    /// Whether Reconnect Request and whether Go Away are among them.
    pub(crate) fn reconnect_and_go_away(self) -> (bool, bool) {
        match self {
            Self::Both => (true, true),
            Self::Reconnect => (true, false),
            Self::GoAway => (false, true),
            Self::None => (false, false),
        }
    }
}
