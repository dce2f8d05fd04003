//! Jittered exponential back-off, and the small seeded generator behind the jitter. Not for secrets: resume tokens and
//! handshakes take their bytes from [`Rng`] too, so its seed must come from the operating system.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// The first delay's upper bound.
pub const FIRST: Duration = Duration::from_millis(200);
/// No delay is longer.
pub const LONGEST: Duration = Duration::from_secs(5);

/// A stream of bytes from a 32-byte seed: SHA-256 in counter mode, so that what is made of it (a resume token, which
/// is a secret) says nothing of the rest.
#[derive(Clone)]
pub struct Rng {
    seed: [u8; 32],
    counter: u64,
}

impl std::fmt::Debug for Rng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rng(#{})", self.counter)
    }
}

impl Rng {
    /// A generator that yields the same for the same seed.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, counter: 0 }
    }

    /// Fills `out`.
    pub fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let block =
                Sha256::new().chain_update(self.seed).chain_update(self.counter.to_be_bytes()).finalize();
            self.counter = self.counter.wrapping_add(1);
            for (to, from) in chunk.iter_mut().zip(block) {
                *to = from;
            }
        }
    }

    /// `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// A duration in `0..=most`, evenly spread.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        let random = u64::from_be_bytes(self.bytes());
        Duration::from_micros(random % most.saturating_add(1).max(1))
    }
}

/// Delays between attempts: each lies between half of its bound and the bound, which doubles from [`FIRST`] to
/// [`LONGEST`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// How long to wait before the next attempt.
    pub fn next(&mut self, rng: &mut Rng) -> Duration {
        let bound = FIRST.saturating_mul(1 << self.attempts.min(8)).min(LONGEST);
        self.attempts = self.attempts.saturating_add(1);
        bound / 2 + rng.up_to(bound / 2)
    }

    /// Starts over: something worked.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_to_the_longest_and_stay_within_their_bounds() {
        let mut rng = Rng::new([7; 32]);
        let mut backoff = Backoff::default();
        for bound in
            [200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000, 5000, 5000].map(Duration::from_millis)
        {
            let delay = backoff.next(&mut rng);
            assert!(delay >= bound / 2 && delay <= bound, "{delay:?} of {bound:?}");
        }
        backoff.reset();
        assert!(backoff.next(&mut rng) <= FIRST);
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        let mut a = Rng::new([1; 32]);
        let mut b = Rng::new([1; 32]);
        assert_eq!(a.bytes::<100>(), b.bytes::<100>());
        assert_ne!(a.bytes::<16>(), Rng::new([2; 32]).bytes::<16>());
        assert_eq!(a.up_to(Duration::ZERO), Duration::ZERO);
    }
}
