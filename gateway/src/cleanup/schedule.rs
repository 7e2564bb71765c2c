//! Pure: when an end that could not be told is tried again, and when it is given up.

use std::time::Duration;

/// Between the first tries; after these, [`LONGEST`].
const WAITS: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(1_800),
];
const LONGEST: Duration = Duration::from_secs(1_800);
/// How far a wait may be off, so that ends that failed together do not come back together.
const SPREAD: f64 = 0.2;
/// From the first try to the last.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest time for which the function is left alone because it asked for it.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

/// What becomes of an end after a try that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is tried again after so long.
    Later(Duration),
    /// It was tried for a day.
    GiveUp,
}

/// `tries` counts those that failed, from 1; `since_first` is how long ago the first was; `chance` is between -1 and 1.
#[must_use]
pub(super) fn next(tries: u64, since_first: Duration, asked: Option<Duration>, chance: f64) -> Next {
    let left = PATIENCE.saturating_sub(since_first);
    if left.is_zero() {
        return Next::GiveUp;
    }
    let failed = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
    let wait = WAITS.get(failed).copied().unwrap_or(LONGEST).mul_f64(1.0 + SPREAD * chance.clamp(-1.0, 1.0));
    // The last try is when the day is over, unless the function asked for more.
    Next::Later(wait.min(left).max(asked.unwrap_or_default().min(LONGEST_ASKED)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn waits_grow_to_half_an_hour_and_end_with_the_day() {
        let (mut tries, mut at, mut waits) = (1, Duration::ZERO, Vec::new());
        while let Next::Later(wait) = next(tries, at, None, 0.0) {
            waits.push(wait.as_secs());
            (tries, at) = (tries + 1, at + wait);
        }
        assert_eq!(waits[..8], [1, 5, 15, 60, 300, 1_800, 1_800, 1_800]);
        assert_eq!(at, PATIENCE, "the last try is when the day is over");
        assert!(waits[6..waits.len() - 1].iter().all(|wait| *wait == 1_800), "{waits:?}");
    }

    #[test]
    fn a_wait_is_off_by_a_fifth_at_most() {
        let waits = [-1.0, 1.0, 5.0].map(|chance| next(2, Duration::ZERO, None, chance));
        assert_eq!(waits, [4, 6, 6].map(|seconds| Next::Later(Duration::from_secs(seconds))));
    }

    #[test]
    fn what_the_function_asks_for_is_heeded_up_to_an_hour() {
        for (asked, expected) in [(0, 5), (3, 5), (7, 7), (3_600, 3_600), (u64::MAX, 3_600)] {
            let wait = next(2, Duration::ZERO, Some(Duration::from_secs(asked)), 0.0);
            assert_eq!(wait, Next::Later(Duration::from_secs(expected)), "asked for {asked} s");
        }
        let late = PATIENCE - Duration::from_secs(1);
        assert_eq!(next(60, late, Some(HOUR), 0.0), Next::Later(HOUR), "also beyond the day");
        assert_eq!(next(61, late + HOUR, Some(HOUR), 0.0), Next::GiveUp);
    }
}
