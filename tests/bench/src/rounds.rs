//! Pure: from samples to a ratio that one may quote.
//!
//! A machine has good and bad moments, so nothing is compared across rounds: each round has a ratio of its own, of medians
//! that were sampled in turns within it. What is told is the median of these ratios, with their range.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::probe::{Comparison, Probe};

/// A round whose floor is so much further from the median floor, as a part of it, is void: the machine was busy with
/// something else.
pub(crate) const VOID_ABOVE: f64 = 0.25;

/// The p50 of each probe in one round, in microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round(BTreeMap<Probe, f64>);

/// A median with the lowest and the highest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

/// What all rounds say about one comparison.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) comparison: Comparison,
    /// Microseconds, median over the rounds that count. Absent, as the next two, when none does.
    pub(crate) floor: Option<f64>,
    /// Microseconds.
    pub(crate) ours: Option<f64>,
    pub(crate) ratio: Option<Spread>,
    /// All rounds, the void ones too.
    pub(crate) rounds: usize,
    pub(crate) void: usize,
}

impl Round {
    /// Takes the samples of one round. A probe without samples is not part of it.
    pub(crate) fn of(samples: &BTreeMap<Probe, Vec<Duration>>) -> Self {
        let p50 = |samples: &Vec<Duration>| median(samples.iter().map(|it| it.as_secs_f64() * 1e6).collect());
        Self(samples.iter().filter_map(|(probe, samples)| Some((*probe, p50(samples)?))).collect())
    }

    /// The p50 of a probe, in microseconds.
    pub(crate) fn p50(&self, probe: Probe) -> Option<f64> {
        self.0.get(&probe).copied()
    }

    fn floor(&self, of: &Comparison) -> Option<f64> {
        of.floor.iter().map(|probe| self.p50(*probe)).sum()
    }

    fn ours(&self, of: &Comparison) -> Option<f64> {
        let without = of.without.map_or(Some(0.0), |probe| self.p50(probe));
        Some(self.p50(of.ours)? - without?)
    }
}

impl Verdict {
    /// Judges; rounds without one of the probes are left out.
    pub(crate) fn over(rounds: &[Round], comparison: Comparison) -> Self {
        let pairs: Vec<(f64, f64)> =
            rounds.iter().filter_map(|round| Some((round.floor(&comparison)?, round.ours(&comparison)?))).collect();
        let usual = median(pairs.iter().map(|(floor, _)| *floor).collect());
        let counts = |(floor, _): &&(f64, f64)| usual.is_some_and(|usual| (floor - usual).abs() <= usual * VOID_ABOVE);
        let valid: Vec<(f64, f64)> = pairs.iter().filter(counts).copied().collect();
        Self {
            comparison,
            floor: median(valid.iter().map(|(floor, _)| *floor).collect()),
            ours: median(valid.iter().map(|(_, ours)| *ours).collect()),
            ratio: Spread::of(valid.iter().map(|(floor, ours)| ours / floor).collect()),
            rounds: pairs.len(),
            void: pairs.len() - valid.len(),
        }
    }

    /// Whether the bar is met; absent without a bar, or without a round that counts.
    pub(crate) fn is_met(&self) -> Option<bool> {
        Some(self.ratio?.median <= self.comparison.bar?)
    }
}

impl Spread {
    /// Of values in any order; absent without any.
    pub(crate) fn of(values: Vec<f64>) -> Option<Self> {
        let lowest = values.iter().copied().reduce(f64::min)?;
        let highest = values.iter().copied().reduce(f64::max)?;
        Some(Self { median: median(values)?, lowest, highest })
    }
}

/// The middle one, or halfway between the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUSH: Comparison = Comparison {
        name: "push",
        floor_name: "echo and script",
        floor: &[Probe::Echo, Probe::Script],
        ours: Probe::PushToOwner,
        without: None,
        bar: Some(3.0),
    };

    fn round(echo: u64, script: u64, push: u64) -> Round {
        let all = [(Probe::Echo, echo), (Probe::Script, script), (Probe::PushToOwner, push)];
        Round::of(&all.map(|(probe, micros)| (probe, vec![Duration::from_micros(micros)])).into())
    }

    #[test]
    fn a_round_is_the_median_of_its_samples() {
        let micros = |all: &[u64]| all.iter().copied().map(Duration::from_micros).collect::<Vec<_>>();
        let round = Round::of(&[(Probe::Echo, micros(&[9, 1, 5])), (Probe::Script, micros(&[4, 1, 2, 90]))].into());
        assert_eq!((round.p50(Probe::Echo), round.p50(Probe::Script)), (Some(5.0), Some(3.0)));
        assert_eq!(Round::of(&[(Probe::Echo, vec![])].into()).p50(Probe::Echo), None);
    }

    #[test]
    fn the_ratio_is_the_median_of_each_rounds_own_and_not_the_ratio_of_medians() {
        let verdict = Verdict::over(&[round(40, 60, 400), round(45, 65, 220), round(50, 70, 240)], PUSH);
        assert_eq!(verdict.ratio, Some(Spread { median: 2.0, lowest: 2.0, highest: 4.0 }));
        assert_eq!((verdict.floor, verdict.ours), (Some(110.0), Some(240.0)));
        assert_eq!((verdict.rounds, verdict.void, verdict.is_met()), (3, 0, Some(true)));
    }

    #[test]
    fn a_round_whose_floor_moved_is_void_whichever_way() {
        let rounds = [round(50, 50, 200), round(50, 50, 200), round(63, 63, 1), round(37, 37, 1), round(62, 63, 400)];
        let verdict = Verdict::over(&rounds, PUSH);
        assert_eq!((verdict.rounds, verdict.void), (5, 2));
        assert_eq!(verdict.ratio, Some(Spread { median: 2.0, lowest: 2.0, highest: 3.2 }));
    }

    #[test]
    fn what_something_adds_is_compared_without_what_it_adds_to() {
        let adds = Comparison { floor: &[Probe::Script], without: Some(Probe::Echo), ..PUSH };
        let verdict = Verdict::over(&[round(40, 60, 220)], adds);
        assert_eq!((verdict.ours, verdict.ratio.map(|ratio| ratio.median)), (Some(180.0), Some(3.0)));
        assert_eq!(verdict.is_met(), Some(true));
    }

    #[test]
    fn above_the_bar_it_is_missed_and_without_a_bar_nothing_is() {
        let rounds = [round(50, 50, 301)];
        assert_eq!(Verdict::over(&rounds, PUSH).is_met(), Some(false));
        assert_eq!(Verdict::over(&rounds, Comparison { bar: None, ..PUSH }).is_met(), None);
    }

    #[test]
    fn without_rounds_nothing_is_claimed() {
        let verdict = Verdict::over(&[], PUSH);
        assert_eq!((verdict.ratio, verdict.is_met(), verdict.rounds, verdict.void), (None, None, 0, 0));
    }

    #[test]
    fn a_round_without_one_of_the_probes_is_left_out() {
        let half = Round::of(&[(Probe::Echo, vec![Duration::from_micros(1)])].into());
        assert_eq!(Verdict::over(&[half, round(50, 50, 200)], PUSH).rounds, 1);
    }
}
