//! Whether a function is worth calling: pure, the clock and the chance come as values.

use std::time::{Duration, Instant};

/// When a breaker opens and how it closes.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// So many calls in a row that did not reach the function, or that it did not answer in time.
    pub failures: u32,
    /// How long nobody calls then; doubled with each try that fails again.
    pub first_wait: Duration,
    /// At most.
    pub longest_wait: Duration,
}

impl Default for Policy {
    /// Five in a row are no coincidence; a function that is back is found within 10 s.
    fn default() -> Self {
        Self { failures: 5, first_wait: Duration::from_secs(1), longest_wait: Duration::from_secs(10) }
    }
}

impl Policy {
    /// Never opens.
    pub(super) const NEVER: Self =
        Self { failures: u32::MAX, first_wait: Duration::ZERO, longest_wait: Duration::ZERO };
}

/// What one call showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Showed {
    /// The function answered, whatever it said.
    Answer,
    /// It was not reached, or did not answer in time.
    Failure,
    /// Nothing can be told: the call was given up, or it broke on the way.
    Nothing,
}

/// A call that may be made. Its end has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// It is the one that finds out whether the function is back.
    probe: bool,
}

/// What changed for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nobody calls any more.
    Opened,
    /// Everybody calls again.
    Closed,
}

/// The breaker of one function.
#[derive(Clone, Debug)]
pub struct Breaker {
    policy: Policy,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant, wait: Duration },
    Probing { wait: Duration },
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy, state: State::Closed { failures: 0 } }
    }

    /// Whether a call would be refused now.
    #[must_use]
    pub fn refuses(&self, now: Instant) -> bool {
        match self.state {
            State::Closed { .. } => false,
            State::Open { until, .. } => now < until,
            State::Probing { .. } => true,
        }
    }

    /// Asks for a call; one at a time after the wait.
    pub fn admit(&mut self, now: Instant) -> Option<Admitted> {
        if self.refuses(now) {
            return None;
        }
        let State::Open { wait, .. } = self.state else { return Some(Admitted { probe: false }) };
        self.state = State::Probing { wait };
        Some(Admitted { probe: true })
    }

    /// Tells how an admitted call ended. `chance` from 0 to 1 spreads the gateways of a room over the wait's length ± 25 %.
    pub fn end(&mut self, call: Admitted, showed: Showed, now: Instant, chance: f64) -> Option<Change> {
        match (self.state, showed) {
            // Also one that was made before it opened: the function lives.
            (State::Closed { .. }, Showed::Answer) => {
                self.state = State::Closed { failures: 0 };
                None
            }
            (_, Showed::Answer) => {
                self.state = State::Closed { failures: 0 };
                Some(Change::Closed)
            }
            (State::Closed { failures }, Showed::Failure) => {
                let failures = failures.saturating_add(1);
                if failures < self.policy.failures {
                    self.state = State::Closed { failures };
                    return None;
                }
                self.open(self.policy.first_wait, now, chance);
                Some(Change::Opened)
            }
            (State::Probing { wait }, Showed::Failure) if call.probe => {
                self.open((wait * 2).min(self.policy.longest_wait), now, chance);
                None
            }
            // Somebody else has to find out, and may at once.
            (State::Probing { wait }, Showed::Nothing) if call.probe => {
                self.state = State::Open { until: now, wait };
                None
            }
            (_, Showed::Failure | Showed::Nothing) => None,
        }
    }

    fn open(&mut self, wait: Duration, now: Instant, chance: f64) {
        self.state = State::Open { until: now + wait.mul_f64(0.75 + 0.5 * chance), wait };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    struct Clocked {
        breaker: Breaker,
        now: Instant,
    }

    impl Clocked {
        fn new() -> Self {
            Self { breaker: Breaker::new(Policy::default()), now: Instant::now() }
        }

        fn call(&mut self, showed: Showed) -> Option<Change> {
            let call = self.breaker.admit(self.now).expect("the call is admitted");
            self.end(call, showed)
        }

        fn end(&mut self, call: Admitted, showed: Showed) -> Option<Change> {
            self.breaker.end(call, showed, self.now, 0.5)
        }

        fn opened() -> Self {
            let mut clocked = Self::new();
            for _ in 1..5 {
                assert_eq!(clocked.call(Showed::Failure), None);
            }
            assert_eq!(clocked.call(Showed::Failure), Some(Change::Opened));
            clocked
        }
    }

    #[test]
    fn opens_after_five_failures_in_a_row_and_not_before() {
        let mut clocked = Clocked::new();
        for _ in 0..20 {
            for _ in 0..4 {
                assert_eq!(clocked.call(Showed::Failure), None);
            }
            assert_eq!(clocked.call(Showed::Answer), None);
        }
        for _ in 0..20 {
            assert_eq!(clocked.call(Showed::Nothing), None);
        }
        let mut clocked = Clocked::opened();
        assert!(clocked.breaker.refuses(clocked.now));
        assert_eq!(clocked.breaker.admit(clocked.now), None);
    }

    #[test]
    fn lets_one_call_through_after_the_wait_and_everybody_after_its_answer() {
        let mut clocked = Clocked::opened();
        clocked.now += SECOND - Duration::from_millis(1);
        assert_eq!(clocked.breaker.admit(clocked.now), None);
        clocked.now += Duration::from_millis(1);
        let probe = clocked.breaker.admit(clocked.now).unwrap();
        assert_eq!(clocked.breaker.admit(clocked.now), None);
        assert_eq!(clocked.end(probe, Showed::Answer), Some(Change::Closed));
        assert!(clocked.breaker.admit(clocked.now).is_some() && clocked.breaker.admit(clocked.now).is_some());
        // It starts to count anew.
        assert_eq!(clocked.call(Showed::Failure), None);
    }

    #[test]
    fn waits_twice_as_long_each_time_up_to_ten_seconds_and_one_second_again_after_an_answer() {
        let mut clocked = Clocked::opened();
        for wait in [1, 2, 4, 8, 10, 10, 10] {
            clocked.now += SECOND * wait - Duration::from_millis(1);
            assert!(clocked.breaker.refuses(clocked.now), "{wait}");
            clocked.now += Duration::from_millis(1);
            assert_eq!(clocked.call(Showed::Failure), None, "{wait}");
        }
        clocked.now += SECOND * 10;
        assert_eq!(clocked.call(Showed::Answer), Some(Change::Closed));
        for _ in 0..5 {
            clocked.call(Showed::Failure);
        }
        clocked.now += SECOND;
        assert!(!clocked.breaker.refuses(clocked.now));
    }

    #[test]
    fn chance_moves_the_end_of_the_wait_by_a_quarter() {
        for (chance, wait) in [(0.0, 750), (1.0, 1250)] {
            let mut clocked = Clocked::new();
            for _ in 0..5 {
                let call = clocked.breaker.admit(clocked.now).unwrap();
                clocked.breaker.end(call, Showed::Failure, clocked.now, chance);
            }
            assert!(clocked.breaker.refuses(clocked.now + Duration::from_millis(wait - 1)), "{chance}");
            assert!(!clocked.breaker.refuses(clocked.now + Duration::from_millis(wait)), "{chance}");
        }
    }

    #[test]
    fn a_probe_that_was_given_up_makes_room_for_another_one_at_once() {
        let mut clocked = Clocked::opened();
        clocked.now += SECOND;
        assert_eq!(clocked.call(Showed::Nothing), None);
        assert!(clocked.breaker.admit(clocked.now).is_some());
    }

    #[test]
    fn of_calls_made_before_it_opened_only_an_answer_counts() {
        let mut clocked = Clocked::new();
        let late: Vec<_> = (0..3).map(|_| clocked.breaker.admit(clocked.now).unwrap()).collect();
        for _ in 0..5 {
            clocked.call(Showed::Failure);
        }
        clocked.now += SECOND;
        let probe = clocked.breaker.admit(clocked.now).unwrap();
        assert_eq!(clocked.end(late[0], Showed::Failure), None);
        assert_eq!(clocked.end(late[1], Showed::Nothing), None);
        assert_eq!(clocked.breaker.admit(clocked.now), None, "the probe is still under way");
        assert_eq!(clocked.end(late[2], Showed::Answer), Some(Change::Closed));
        assert_eq!(clocked.end(probe, Showed::Failure), None);
        assert!(clocked.breaker.admit(clocked.now).is_some());
    }
}
