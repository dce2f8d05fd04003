//! The clock of a process: turns tokio's instants into [`Moment`]s. It owns the origin, and nothing else reads a clock
//! on behalf of the protocol machines.

use std::sync::LazyLock;
use std::time::Duration;

use segue_proto::Moment;
use tokio::time::Instant;

/// One origin for the process, so that moments of different connections can be compared.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The present, as time since the process first asked.
pub fn now() -> Moment {
    at(Instant::now())
}

/// The moment of `instant`; the origin, if it lies before that.
pub fn at(instant: Instant) -> Moment {
    Moment::ORIGIN + instant.saturating_duration_since(*ORIGIN)
}

/// The instant of `moment`, for a timer: the same for the same moment. Beyond what the clock can count it is now,
/// and the machine, asked too early, says so.
pub(crate) fn instant(moment: Moment) -> Instant {
    ORIGIN.checked_add(Duration::from_micros(moment.as_micros())).unwrap_or_else(Instant::now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_instants_agree() {
        let base = *ORIGIN + Duration::from_secs(1);
        let (a, b) = (at(base), at(base + Duration::from_millis(1500)));
        assert_eq!(b.since(a), Duration::from_millis(1500));
        assert_eq!(at(*ORIGIN), Moment::ORIGIN);
    }

    #[test]
    fn an_instant_of_a_moment_is_its_inverse() {
        let moment = Moment::from_micros(1_234_567);
        assert_eq!(at(instant(moment)), moment);
        let _ = instant(Moment::from_micros(u64::MAX));
    }
}
