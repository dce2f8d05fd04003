//! Acknowledgement accounting (RTMP 1.0, 5.4.3 and 5.4.4): when to send one, and what a received one says. Numbers are
//! bytes after the handshake. What an acknowledgement promises, the caller decides by what it reports as taken.

use std::time::Duration;

use crate::state;
use crate::time::Moment;

/// The smallest window that is kept to. One of a few bytes would ask for an acknowledgement, which is 16, a message.
pub const MIN_WINDOW: u32 = 1024;

/// When to send acknowledgements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckWindow {
    /// Bytes after which one is due; `None` until the peer names its window.
    window: Option<u32>,
    /// How long what is new may wait; `None` for as long as the window is not full.
    every: Option<Duration>,
    taken: u64,
    acknowledged: u64,
    last: Moment,
}

state::plain!(struct AckWindow { window, every, taken, acknowledged, last } if |acks| acks.acknowledged <= acks.taken);

impl AckWindow {
    /// Nothing taken, nothing acknowledged. With `every`, what is new waits no longer than that.
    pub fn new(window: Option<u32>, every: Option<Duration>, now: Moment) -> Self {
        let window = window.filter(|&size| size > 0).map(|size| size.max(MIN_WINDOW));
        Self { window, every, taken: 0, acknowledged: 0, last: now }
    }

    /// The peer's Window Acknowledgement Size. 0 says nothing and is ignored, less than [`MIN_WINDOW`] is taken for that.
    pub fn set_window(&mut self, size: u32) {
        if size > 0 {
            self.window = Some(size.max(MIN_WINDOW));
        }
    }

    /// Sets how long what is new may wait.
    pub fn set_interval(&mut self, every: Duration) {
        self.every = Some(every);
    }

    /// Everything up to `offset` is taken; a smaller offset than before changes nothing. Returns the number to
    /// acknowledge if one is due.
    pub fn taken(&mut self, offset: u64, now: Moment) -> Option<u32> {
        self.taken = self.taken.max(offset);
        self.due(now)
    }

    /// The number to acknowledge if one is due by `now`.
    pub fn due(&mut self, now: Moment) -> Option<u32> {
        let new = self.taken - self.acknowledged;
        let full = self.window.is_some_and(|window| new >= u64::from(window));
        let late = self.every.is_some_and(|every| new > 0 && now.since(self.last) >= every);
        (full || late).then(|| self.now_acknowledged(now))
    }

    /// The number for one more acknowledgement of everything up to `offset`, whether or not it is new.
    pub fn last_word(&mut self, offset: u64, now: Moment) -> u32 {
        self.taken = self.taken.max(offset);
        self.now_acknowledged(now)
    }

    /// When [`due`](Self::due) is worth asking again, if nothing else is taken.
    pub fn wake_at(&self) -> Option<Moment> {
        let every = self.every.filter(|_| self.taken > self.acknowledged)?;
        Some(self.last + every)
    }

    fn now_acknowledged(&mut self, now: Moment) -> u32 {
        self.acknowledged = self.taken;
        self.last = now;
        // Modulo 2^32, as the field is 32 bits wide.
        self.taken as u32
    }
}

/// Turns the 32 bits of received acknowledgements into a count that does not wrap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AckCounter {
    total: u64,
}

impl AckCounter {
    /// Takes one acknowledgement and returns the bytes acknowledged so far. Of all counts with these low 32 bits it is
    /// the one nearest to the last; one behind it does not lower the total.
    pub fn receive(&mut self, sequence: u32) -> u64 {
        let step = sequence.wrapping_sub(self.total as u32) as i32;
        if step > 0 {
            self.total += u64::from(step.unsigned_abs());
        }
        self.total
    }

    /// Bytes acknowledged so far.
    pub fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_SECOND: Duration = Duration::from_millis(500);

    fn at(ms: u64) -> Moment {
        Moment::from_micros(ms * 1000)
    }

    #[test]
    fn one_is_due_at_the_window_and_not_a_byte_before() {
        let mut acks = AckWindow::new(None, None, at(0));
        assert_eq!(acks.taken(u64::from(u32::MAX), at(1)), None, "no window, none due");
        acks.set_window(2000);
        let mut acks = AckWindow { taken: 0, ..acks };
        assert_eq!(acks.taken(1999, at(2)), None);
        assert_eq!(acks.taken(2000, at(2)), Some(2000));
        assert_eq!(acks.taken(2000, at(3)), None);
        assert_eq!(acks.taken(500, at(3)), None, "never backwards");
        assert_eq!(acks.taken(3999, at(9000)), None, "no timer was asked for");
        assert_eq!(acks.wake_at(), None);
        assert_eq!(acks.taken(4000, at(9000)), Some(4000));
    }

    #[test]
    fn a_window_of_zero_is_ignored() {
        let mut acks = AckWindow::new(Some(0), None, at(0));
        acks.set_window(0);
        assert_eq!(acks.taken(10_000_000, at(0)), None);
        acks.set_window(5000);
        acks.set_window(0);
        assert_eq!(acks.taken(10_000_000, at(0)), Some(10_000_000));
        assert_eq!(acks.taken(10_004_999, at(0)), None);
    }

    #[test]
    fn a_window_of_next_to_nothing_is_no_storm() {
        for window in [1, MIN_WINDOW - 1, MIN_WINDOW, MIN_WINDOW + 1] {
            let mut named = AckWindow::new(None, None, at(0));
            named.set_window(window);
            for mut acks in [named, AckWindow::new(Some(window), None, at(0))] {
                let due = u64::from(window.max(1024));
                assert_eq!(acks.taken(due - 1, at(0)), None);
                assert_eq!(acks.taken(due, at(0)), Some(due as u32));
            }
        }
    }

    #[test]
    fn what_is_new_waits_half_a_second_at_most() {
        let mut acks = AckWindow::new(Some(1_000_000), Some(HALF_SECOND), at(0));
        assert_eq!(acks.wake_at(), None, "nothing new, nothing to wait for");
        assert_eq!(acks.taken(10, at(100)), None);
        assert_eq!(acks.wake_at(), Some(at(500)));
        assert_eq!(acks.due(at(499)), None);
        assert_eq!(acks.due(at(500)), Some(10));
        assert_eq!(acks.wake_at(), None);
        assert_eq!(acks.due(at(5000)), None, "nothing new");
        assert_eq!(acks.last_word(10, at(5001)), 10, "the last word repeats");
    }

    #[test]
    fn numbers_wrap_at_32_bits_and_are_unwrapped() {
        let mut acks = AckWindow::new(Some(1 << 30), None, at(0));
        let mut counter = AckCounter::default();
        for total in (0x4000_0000..0x3_0000_0000u64).step_by(0x4000_0001) {
            let sequence = acks.taken(total, at(1)).unwrap();
            assert_eq!(u64::from(sequence), total % (1 << 32));
            assert_eq!(counter.receive(sequence), total);
        }
        assert!(counter.total() > 0x2_0000_0000);
    }

    #[test]
    fn the_counter_takes_the_nearest_and_never_falls() {
        let mut counter = AckCounter::default();
        assert_eq!(counter.receive(0x7fff_ffff), 0x7fff_ffff);
        assert_eq!(counter.receive(0xf000_0000), 0xf000_0000);
        assert_eq!(counter.receive(0xefff_ffff), 0xf000_0000, "an old one");
        assert_eq!(counter.receive(5), 0x1_0000_0005);
        assert_eq!(counter.receive(0xffff_ffff), 0x1_0000_0005);
        assert_eq!(counter.total(), 0x1_0000_0005);
    }
}
