//! How much of something a client may do: token buckets without a clock of their own.

use std::time::{Duration, Instant};

use super::Close;

/// How much of something is allowed: `burst` at once, and `per_second` from then on. Both at least 1.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Tokens that come back every second.
    pub per_second: u32,
    /// Tokens of a full bucket.
    pub burst: u32,
}

/// A token bucket, kept as the one instant at which it would be full again.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Takes a token; says whether there was one.
    #[must_use]
    pub fn take(&mut self, rate: Rate, now: Instant) -> bool {
        let interval = Duration::from_secs(1) / rate.per_second.max(1);
        let full_at = self.full_at.max(now);
        let granted = full_at.duration_since(now) <= interval * rate.burst.saturating_sub(1);
        if granted {
            self.full_at = full_at + interval;
        }
        granted
    }
}

/// Control frames a second, and at once. A heartbeat needs one every few seconds; a flood of them costs a core.
const CONTROL_FRAMES: Rate = Rate { per_second: 10, burst: 20 };
/// Fragments under [`TINY_FRAGMENT_BYTES`] a second, and at once. Splitting a message is allowed, grinding it is not.
const TINY_FRAGMENTS: Rate = Rate { per_second: 100, burst: 1000 };
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
        Self { control: Bucket::new(now), fragments: Bucket::new(now) }
    }

    /// A ping or pong arrived.
    ///
    /// # Errors
    /// When it was one too many.
    pub fn control_frame(&mut self, now: Instant) -> Result<(), Close> {
        if self.control.take(CONTROL_FRAMES, now) { Ok(()) } else { Err(Close::Flood("too many control frames")) }
    }

    /// A fragment of `bytes` arrived that does not end its message.
    ///
    /// # Errors
    /// When it was one too many.
    pub fn fragment(&mut self, bytes: usize, now: Instant) -> Result<(), Close> {
        if bytes >= TINY_FRAGMENT_BYTES || self.fragments.take(TINY_FRAGMENTS, now) {
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
        let mut bucket = Bucket::new(now);
        let taken = (0..50).filter(|_| bucket.take(CONTROL_FRAMES, now)).count();
        assert_eq!(taken, 20);
        let later = now + Duration::from_secs(1);
        assert_eq!((0..50).filter(|_| bucket.take(CONTROL_FRAMES, later)).count(), 10);
    }

    #[test]
    fn a_rest_fills_the_bucket_and_no_more() {
        let now = Instant::now();
        let mut bucket = Bucket::new(now);
        while bucket.take(CONTROL_FRAMES, now) {}
        let later = now + Duration::from_secs(3600);
        assert_eq!((0..50).filter(|_| bucket.take(CONTROL_FRAMES, later)).count(), 20);
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
