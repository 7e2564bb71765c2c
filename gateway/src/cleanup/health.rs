//! Pure: whether the cleanup function answers, as its calls showed; while it does not, one call at a time finds out.

use std::time::{Duration, Instant};

/// From the call that showed that the function is down to the first look whether it is back.
const FIRST_PROBE: Duration = Duration::from_secs(1);
/// Between two looks. Ends have to arrive within 30 s of the function being back.
const PROBES: Duration = Duration::from_secs(5);
/// Failures in a row after which a success is news: something in front of the function may have answered for it.
const BAD_SPELL: u32 = 8;

#[derive(Debug, Default)]
pub(super) struct Health {
    down: Option<Down>,
    answered_at: Option<Instant>,
    /// In a row, of any kind.
    failures: u32,
}

#[derive(Clone, Copy, Debug)]
struct Down {
    since: Instant,
    probe_at: Instant,
}

/// What a call showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The end was taken.
    Taken,
    /// The function answered, and did not take it.
    Refused,
    /// Nobody answered.
    Silence,
}

/// What follows from it for other ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing.
    None,
    /// The function is down: only one call at a time from now on.
    Down,
    /// The function is back: what waits is due now.
    Back,
}

impl Health {
    pub(super) fn is_down(&self) -> bool {
        self.down.is_some()
    }

    /// When to look whether the function is back; nothing while it is not down.
    pub(super) fn probe_at(&self) -> Option<Instant> {
        Some(self.down?.probe_at)
    }

    /// Nothing was there to probe with.
    pub(super) fn not_probed(&mut self, now: Instant) {
        if let Some(down) = &mut self.down {
            down.probe_at = now + PROBES;
        }
    }

    /// Nothing waits: the next end will show how it stands.
    pub(super) fn forget(&mut self) {
        self.down = None;
    }

    /// Takes in what a call showed that began at `began` and ended now.
    pub(super) fn heard(&mut self, heard: Heard, began: Instant, now: Instant) -> News {
        let failures = match heard {
            Heard::Taken => std::mem::take(&mut self.failures),
            Heard::Refused | Heard::Silence => {
                self.failures = self.failures.saturating_add(1);
                0
            }
        };
        if heard == Heard::Silence {
            return self.silence(began, now);
        }
        self.answered_at = Some(now);
        // An answer to a call from before shows that it was not down; one to a probe, that it is back.
        let is_back = self.down.take().is_some_and(|down| began >= down.since);
        if is_back || failures >= BAD_SPELL { News::Back } else { News::None }
    }

    fn silence(&mut self, began: Instant, now: Instant) -> News {
        if let Some(down) = &mut self.down {
            down.probe_at = now + PROBES;
            return News::None;
        }
        // One slow call among others that are answered says nothing about the function.
        if self.answered_at.is_some_and(|answered| answered >= began) {
            return News::None;
        }
        self.down = Some(Down { since: now, probe_at: now + FIRST_PROBE });
        News::Down
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(origin: Instant, seconds: u64) -> Instant {
        origin + Duration::from_secs(seconds)
    }

    #[test]
    fn a_function_that_does_not_answer_is_probed_and_its_answer_is_news() {
        let at = |of| seconds(Instant::now(), of);
        let (zero, mut health) = (at(0), Health::default());
        assert_eq!(health.heard(Heard::Silence, zero, zero), News::Down);
        assert_eq!(health.probe_at(), Some(zero + FIRST_PROBE));
        let first = zero + FIRST_PROBE;
        assert_eq!(health.heard(Heard::Silence, first, first), News::None);
        assert_eq!(health.probe_at(), Some(first + PROBES));
        let second = first + PROBES;
        assert_eq!(health.heard(Heard::Refused, second, second), News::Back, "an answer of any kind");
        assert!(!health.is_down());
    }

    #[test]
    fn one_slow_call_among_answered_ones_is_no_outage() {
        let zero = Instant::now();
        let mut health = Health::default();
        assert_eq!(health.heard(Heard::Taken, zero, seconds(zero, 3)), News::None);
        assert_eq!(health.heard(Heard::Silence, zero, seconds(zero, 10)), News::None);
        assert!(!health.is_down());
        assert_eq!(health.heard(Heard::Silence, seconds(zero, 4), seconds(zero, 14)), News::Down);
        // Nor is it news when a call from before is answered after all.
        assert_eq!(health.heard(Heard::Taken, seconds(zero, 5), seconds(zero, 15)), News::None);
        assert!(!health.is_down());
    }

    #[test]
    fn a_success_after_many_failures_is_news_and_after_a_few_it_is_not() {
        let zero = Instant::now();
        let mut health = Health::default();
        for (failures, news) in [(BAD_SPELL - 1, News::None), (BAD_SPELL, News::Back), (1, News::None)] {
            (0..failures).for_each(|_| _ = health.heard(Heard::Refused, zero, zero));
            assert_eq!(health.heard(Heard::Taken, zero, zero), news, "after {failures}");
        }
    }
}
