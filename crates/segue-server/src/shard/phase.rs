//! How far a connection that the server closes has come.

use segue_proto::Moment;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// What was received is on its way into the log and to the recorder.
    Settling { until: Moment },
    /// What waits is being written.
    Flushing { until: Moment },
    /// The peer may still be sending.
    Lingering { until: Moment },
    /// Closed.
    Gone,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Closing {
    pub(super) phase: Phase,
    /// A leg that ends with this connection is cut, not lost.
    pub(super) by_drain: bool,
}

impl Closing {
    pub(super) fn wake_at(&self) -> Option<Moment> {
        match self.phase {
            Phase::Settling { until } | Phase::Flushing { until } | Phase::Lingering { until } => Some(until),
            Phase::Gone => None,
        }
    }

    /// Whether the last acknowledgement was sent.
    pub(super) fn is_said(&self) -> bool {
        !matches!(self.phase, Phase::Settling { .. })
    }
}
