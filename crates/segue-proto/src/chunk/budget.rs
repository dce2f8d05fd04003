//! `Budget`: how much work one connection may cause for what it sends. Its unit is the byte: what takes as long as
//! handling that many bytes of media costs so many. Bytes pay for themselves, time pays a little, and who has nothing
//! left is past a limit. So the work of a pass over a connection's input is bounded by the bytes that it takes, and
//! what a few bytes can cause beyond that, by the clock.
//!
//! Chunks of 16 bytes and more, header included, cost nothing: all media, in chunks of 128 bytes too and as fast as
//! it comes. What runs out is one-byte chunks, empty messages, and questions without end.

use crate::error::Error;
use crate::state;
use crate::time::Moment;

/// What a connection has at its start, and can save up: in one-byte chunks 75,000, in pings 16,384, in commands 1,024.
pub const MAX_CREDIT: u64 = 1 << 20;
/// What a millisecond pays.
pub const CREDIT_PER_MS: u64 = 64;
/// What a chunk costs; each of its bytes, header included, pays 1.
pub const CHUNK_COST: u64 = 16;
/// What a control message or user control message costs beside its chunks.
pub const CONTROL_COST: u64 = 64;
/// What a command costs beside its chunks: it is parsed, carried out, answered.
pub const COMMAND_COST: u64 = 1024;

/// What one connection may still ask for. Plain data.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    credit: u64,
    /// Up to when time has paid; `None` before the first time.
    paid: Option<Moment>,
}

impl Budget {
    pub(super) const fn new() -> Self {
        Self { credit: MAX_CREDIT, paid: None }
    }

    /// It is `now`.
    pub(super) fn tick(&mut self, now: Moment) {
        let paid = *self.paid.get_or_insert(now);
        let micros = u64::try_from(now.since(paid).as_micros()).unwrap_or(u64::MAX);
        // Whole milliseconds: the rest of one counts the next time.
        let ms = micros / 1000;
        self.paid = Some(Moment::from_micros(paid.as_micros().saturating_add(ms.saturating_mul(1000))));
        self.earn(ms.saturating_mul(CREDIT_PER_MS));
    }

    /// A chunk of `bytes`, header included, was taken.
    pub(super) fn chunk(&mut self, bytes: u64) -> Result<(), Error> {
        self.earn(bytes);
        self.spend(CHUNK_COST)
    }

    pub(super) fn spend(&mut self, cost: u64) -> Result<(), Error> {
        const SPENT: Error = Error::LimitExceeded("more work than what was sent is worth");
        self.credit = self.credit.checked_sub(cost).ok_or(SPENT)?;
        Ok(())
    }

    fn earn(&mut self, credit: u64) {
        // A chunk may pay before it costs: only what it leaves is saved up.
        self.credit = self.credit.saturating_add(credit).min(MAX_CREDIT.saturating_add(CHUNK_COST));
    }
}

state::plain!(struct Budget { credit, paid } if |budget| budget.credit <= MAX_CREDIT.saturating_add(CHUNK_COST));

#[cfg(test)]
mod tests {
    use super::*;

    fn spent() -> Budget {
        let mut budget = Budget::new();
        budget.spend(MAX_CREDIT).unwrap();
        budget
    }

    #[test]
    fn it_is_spent_to_the_last_and_not_beyond() {
        let mut budget = spent();
        assert!(matches!(budget.spend(1), Err(Error::LimitExceeded(_))));
        assert!(budget.chunk(CHUNK_COST - 1).is_err());
        let mut budget = spent();
        for _ in 0..10 {
            budget.chunk(CHUNK_COST).unwrap();
        }
        budget.chunk(CHUNK_COST + 1).unwrap();
        budget.chunk(CHUNK_COST - 1).unwrap();
        assert!(budget.spend(1).is_err());
    }

    #[test]
    fn time_pays_in_any_steps_and_not_for_the_past() {
        for step in [1, 7, 15, 16, 250_000, 1_000_000] {
            let mut budget = spent();
            // The clock's origin is far back.
            budget.tick(Moment::from_micros(1 << 60));
            assert!(budget.clone().spend(1).is_err());
            for n in 1..=1_000_000_u64 / step {
                budget.tick(Moment::from_micros((1 << 60) + n * step));
            }
            let ms = 1_000_000 / step * step / 1000;
            budget.spend(ms * CREDIT_PER_MS).unwrap();
            assert!(budget.spend(1).is_err(), "in steps of {step}");
        }
    }

    #[test]
    fn no_more_is_saved_up_than_there_was() {
        let mut budget = Budget::new();
        budget.tick(Moment::ORIGIN);
        budget.tick(Moment::from_micros(u64::MAX));
        for _ in 0..10 {
            budget.chunk(1 << 20).unwrap();
        }
        budget.spend(MAX_CREDIT).unwrap();
        assert!(budget.spend(CHUNK_COST).is_err());
    }
}
