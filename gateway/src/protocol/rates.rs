//! How much of something a client may do: token buckets without a clock of their own.

use std::time::{Duration, Instant};

use super::Close;

/// A token bucket, kept as the one instant at which it would be full again.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    /// Time one token takes to come back.
    interval: Duration,
    /// How far `full_at` may lie ahead: the time that all tokens but one take to come back.
    tolerance: Duration,
    full_at: Instant,
}

impl Bucket {
    /// A full bucket of `burst` tokens, of which `per_second` come back every second. Both at least 1.
    #[must_use]
    pub fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, tolerance: interval * burst.saturating_sub(1), full_at: now }
    }

    /// Takes a token; says whether there was one.
    #[must_use]
    pub fn take(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.max(now);
        let granted = full_at.duration_since(now) <= self.tolerance;
        if granted {
            self.full_at = full_at + self.interval;
        }
        granted
    }
}

/// Control frames a second, and at once. A heartbeat needs one every few seconds; a flood of them costs a core.
const CONTROL_FRAMES: (u32, u32) = (10, 20);
/// Fragments under [`TINY_FRAGMENT_BYTES`] a second, and at once. Splitting a message is allowed, grinding it is not.
const TINY_FRAGMENTS: (u32, u32) = (100, 1000);
/// From this size on, a message's size bounds the number of its fragments well enough.
const TINY_FRAGMENT_BYTES: usize = 64;

/// What one client may do beside sending messages.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    control: Bucket,
    fragments: Bucket,
}

impl Rates {
    /// For a client that begins now.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            control: Bucket::new(CONTROL_FRAMES.0, CONTROL_FRAMES.1, now),
            fragments: Bucket::new(TINY_FRAGMENTS.0, TINY_FRAGMENTS.1, now),
        }
    }

    /// A ping or pong arrived.
    ///
    /// # Errors
    /// When it was one too many.
    pub fn control_frame(&mut self, now: Instant) -> Result<(), Close> {
        if self.control.take(now) { Ok(()) } else { Err(Close::Flood("too many control frames")) }
    }

    /// A fragment of `bytes` arrived that does not end its message.
    ///
    /// # Errors
    /// When it was one too many.
    pub fn fragment(&mut self, bytes: usize, now: Instant) -> Result<(), Close> {
        if bytes >= TINY_FRAGMENT_BYTES || self.fragments.take(now) {
            Ok(())
        } else {
            Err(Close::Flood("too many tiny fragments"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_only_the_rate() {
        let now = Instant::now();
        let mut bucket = Bucket::new(10, 20, now);
        let taken = (0..50).filter(|_| bucket.take(now)).count();
        assert_eq!(taken, 20);
        let later = now + Duration::from_secs(1);
        assert_eq!((0..50).filter(|_| bucket.take(later)).count(), 10);
    }

    #[test]
    fn a_rest_fills_the_bucket_and_no_more() {
        let now = Instant::now();
        let mut bucket = Bucket::new(10, 20, now);
        while bucket.take(now) {}
        let later = now + Duration::from_secs(3600);
        assert_eq!((0..50).filter(|_| bucket.take(later)).count(), 20);
    }

    #[test]
    fn a_steady_client_at_the_rate_is_never_refused() {
        let start = Instant::now();
        let mut rates = Rates::new(start);
        for tick in 0..1000 {
            assert_eq!(rates.control_frame(start + Duration::from_millis(100) * tick), Ok(()));
        }
    }

    #[test]
    fn large_fragments_do_not_count() {
        let now = Instant::now();
        let mut rates = Rates::new(now);
        for _ in 0..10_000 {
            assert_eq!(rates.fragment(TINY_FRAGMENT_BYTES, now), Ok(()));
        }
        assert!((0..1001).any(|_| rates.fragment(0, now).is_err()));
    }
}
