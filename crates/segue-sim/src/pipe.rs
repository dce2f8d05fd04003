//! One direction of a simulated TCP connection: latency, bandwidth, a bounded amount in flight, arbitrary
//! segmentation, stalls, and the two ways in which it ends. Time and chance come from outside.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use segue_proto::Moment;

/// What a link does to what is sent over it.
#[derive(Debug, Clone)]
pub struct Link {
    /// One-way delay.
    pub latency: Duration,
    /// Bytes per second; `None` is unbounded.
    pub bandwidth: Option<u64>,
    /// Bytes in flight at most: what the two sockets' buffers would hold. A sender keeps the rest.
    pub window: usize,
    /// Segments are at most so long; each is cut at random below that.
    pub segment: usize,
}

impl Default for Link {
    fn default() -> Self {
        Self { latency: Duration::from_micros(50), bandwidth: None, window: 256 << 10, segment: 1500 }
    }
}

/// What arrives at the far end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// Bytes, in order.
    Data(Bytes),
    /// The sender shut down writing.
    Fin,
    /// The connection was reset.
    Reset,
}

/// One direction of a connection.
#[derive(Debug)]
pub struct Pipe {
    link: Link,
    queue: VecDeque<(Moment, Arrival)>,
    in_flight: usize,
    /// When the last byte accepted has left the sender.
    busy_until: Moment,
    /// Nothing arrives before.
    stalled_until: Moment,
    fin: bool,
}

impl Pipe {
    /// An empty pipe over `link`.
    pub fn new(link: Link) -> Self {
        Self {
            link,
            queue: VecDeque::new(),
            in_flight: 0,
            busy_until: Moment::ORIGIN,
            stalled_until: Moment::ORIGIN,
            fin: false,
        }
    }

    /// From now on so many bytes a second; what is under way keeps its pace.
    pub fn set_bandwidth(&mut self, bandwidth: Option<u64>) {
        self.link.bandwidth = bandwidth;
    }

    /// Bytes that it would take now.
    pub fn room(&self) -> usize {
        if self.fin { 0 } else { self.link.window.saturating_sub(self.in_flight) }
    }

    /// Bytes sent and not arrived.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Takes `data`, of which there is [`room`](Self::room), cut into segments.
    pub fn send(&mut self, mut data: Bytes, now: Moment, rng: &mut fastrand::Rng) {
        while !data.is_empty() {
            let cut = rng.usize(1..=self.link.segment.max(1)).min(data.len());
            let segment = data.split_to(cut);
            self.in_flight += segment.len();
            let start = self.busy_until.max(now);
            let transmission = self.link.bandwidth.map_or(Duration::ZERO, |rate| {
                Duration::from_micros(segment.len() as u64 * 1_000_000 / rate.max(1))
            });
            self.busy_until = start + transmission;
            self.queue.push_back((self.busy_until + self.link.latency, Arrival::Data(segment)));
        }
    }

    /// No more will be sent; arrives behind all that was.
    pub fn finish(&mut self, now: Moment) {
        if !self.fin {
            self.fin = true;
            self.queue.push_back((self.busy_until.max(now) + self.link.latency, Arrival::Fin));
        }
    }

    /// Nothing arrives until then.
    pub fn stall(&mut self, until: Moment) {
        self.stalled_until = self.stalled_until.max(until);
    }

    /// Throws away what is on its way: the connection is reset, and the far end hears of it.
    pub fn reset(&mut self, now: Moment) {
        self.queue.clear();
        self.in_flight = 0;
        self.fin = true;
        self.queue.push_back((now + self.link.latency, Arrival::Reset));
    }

    /// Whether it is reset, and the far end has not heard of it.
    pub fn is_reset(&self) -> bool {
        self.queue.iter().any(|(_, arrival)| *arrival == Arrival::Reset)
    }

    /// Whether what was accepted is still leaving the sender.
    pub fn is_busy(&self, now: Moment) -> bool {
        !self.queue.is_empty() && self.busy_until > now
    }

    /// What has arrived by `now`.
    pub fn arrived(&mut self, now: Moment) -> Option<Arrival> {
        if self.arrives_at()? > now {
            return None;
        }
        let (_, arrival) = self.queue.pop_front()?;
        if let Arrival::Data(data) = &arrival {
            self.in_flight -= data.len();
        }
        Some(arrival)
    }

    /// When the next arrival is due.
    pub fn arrives_at(&self) -> Option<Moment> {
        self.queue.front().map(|(at, _)| (*at).max(self.stalled_until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::from_micros(ms * 1000)
    }

    #[test]
    fn latency_bandwidth_and_order() {
        let mut rng = fastrand::Rng::with_seed(1);
        let link =
            Link { latency: Duration::from_millis(10), bandwidth: Some(1000), window: 500, segment: 500 };
        let mut pipe = Pipe::new(link);
        assert_eq!(pipe.room(), 500);
        pipe.send(Bytes::from(vec![7; 500]), at(0), &mut rng);
        assert_eq!(pipe.room(), 0);
        pipe.finish(at(0));
        let mut got = 0;
        while let Some(Arrival::Data(d)) = pipe.arrived(at(509)) {
            got += d.len();
        }
        assert!(got < 500, "the last byte leaves after 500 ms and takes 10 more");
        while let Some(Arrival::Data(d)) = pipe.arrived(at(510)) {
            got += d.len();
        }
        assert_eq!(got, 500);
        assert_eq!(pipe.arrived(at(509)), None);
        assert_eq!((pipe.room(), pipe.in_flight()), (0, 0), "finished");
    }

    #[test]
    fn a_stall_delays_and_a_reset_drops() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut pipe = Pipe::new(Link::default());
        pipe.send(Bytes::from_static(b"x"), at(0), &mut rng);
        pipe.stall(at(100));
        assert_eq!(pipe.arrives_at(), Some(at(100)));
        assert_eq!(pipe.arrived(at(99)), None);
        assert_eq!(pipe.arrived(at(100)), Some(Arrival::Data(Bytes::from_static(b"x"))));
        pipe.send(Bytes::from_static(b"y"), at(100), &mut rng);
        pipe.reset(at(100));
        assert_eq!((pipe.arrived(at(999)), pipe.room()), (Some(Arrival::Reset), 0));
        assert_eq!(pipe.arrived(at(999)), None);
    }
}
