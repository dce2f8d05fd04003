//! `Timestamp`: RTMP's 32 bits of milliseconds, which wrap after 49.7 days (RTMP 1.0, 4: "Byte Order, Alignment, and
//! Time Format"). Comparison is serial-number arithmetic: of two timestamps less than 2^31 ms apart, the later is
//! the one ahead modulo 2^32.

use std::fmt;

/// Milliseconds modulo 2^32.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Timestamp(u32);

impl Timestamp {
    /// Timestamp 0.
    pub const ZERO: Self = Self(0);

    /// The timestamp of `ms` milliseconds.
    pub const fn from_millis(ms: u32) -> Self {
        Self(ms)
    }

    /// Its value on the wire, in milliseconds.
    pub const fn as_millis(self) -> u32 {
        self.0
    }

    /// `ms` milliseconds later (or earlier, if negative), modulo 2^32.
    #[must_use]
    pub const fn shifted(self, ms: i64) -> Self {
        Self(self.0.wrapping_add(ms as u32))
    }

    /// Milliseconds from `earlier` to this one, modulo 2^32, in −2^31 ..= 2^31−1.
    pub const fn since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0) as i32
    }

    /// Whether this lies after `other` on the circle.
    pub const fn is_after(self, other: Self) -> bool {
        self.since(other) > 0
    }

    /// The one further ahead on the circle.
    #[must_use]
    pub const fn later(self, other: Self) -> Self {
        if other.is_after(self) { other } else { self }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_survives_the_wrap() {
        let before = Timestamp::from_millis(u32::MAX - 10);
        let after = before.shifted(33);
        assert_eq!(after.as_millis(), 22);
        assert!(after.is_after(before));
        assert_eq!(after.since(before), 33);
        assert_eq!(before.since(after), -33);
        assert_eq!(after.shifted(-33), before);
        assert_eq!(before.later(after), after);
    }

    #[test]
    fn a_negative_shift_goes_below_zero() {
        assert_eq!(Timestamp::ZERO.shifted(-1).as_millis(), u32::MAX);
    }
}
