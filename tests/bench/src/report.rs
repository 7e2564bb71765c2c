//! Pure: what was measured, as a table for the terminal and as a page.

use crate::machine::Machine;
use crate::probe::{Effort, Probe};
use crate::rounds::{Round, Spread, VOID_ABOVE, Verdict};

/// The names of the columns of the comparisons.
const COLUMNS: [&str; 8] = ["scenario", "floor", "floor µs", "ours µs", "ratio", "bar", "met", "rounds (void)"];
/// The names of the columns of the probes.
const PROBE_COLUMNS: [&str; 2] = ["what was timed", "p50 µs"];

/// Everything that a reader gets.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) rounds: Vec<Round>,
    pub(crate) effort: Effort,
    pub(crate) machine: Machine,
    /// Before and behind the measurement.
    pub(crate) load: [Option<f64>; 2],
}

impl Report {
    /// For the terminal.
    pub(crate) fn text(&self) -> String {
        format!("{}\n{}\n{}\n", aligned(&self.comparisons()), aligned(&self.probes()), self.circumstances())
    }

    /// The page.
    pub(crate) fn markdown(&self) -> String {
        let Machine { processor, cores, system, redis, rust, chatroom, date } = &self.machine;
        let Effort { rounds, turns, burst } = self.effort;
        format!(
            "{BEGINNING}
{comparisons}
A ratio is the median of those of the rounds, with the lowest and the highest. {met}

{probes}
{METHOD}{rule}
This run: {rounds} rounds, in each of them {turns} turns of {burst} samples for each probe. {circumstances}

| | |
|---|---|
| date | {date} |
| processor | {processor}, {cores} cores |
| system | {system} |
| chatroom | {chatroom} |
| compiled by | {rust}, release profile |
| Redis | {redis} |

{END}",
            comparisons = markdown(&self.comparisons()),
            met = self.met(),
            probes = markdown(&self.probes()),
            rule = rule(),
            circumstances = self.circumstances(),
        )
    }

    fn comparisons(&self) -> Vec<Vec<String>> {
        let mut rows = vec![COLUMNS.map(str::to_owned).to_vec()];
        rows.extend(self.verdicts.iter().map(|verdict| {
            let comparison = verdict.comparison;
            vec![
                comparison.name.to_owned(),
                comparison.floor_name.to_owned(),
                verdict.floor.map_or_else(nothing, micros),
                verdict.ours.map_or_else(nothing, micros),
                verdict.ratio.map_or_else(nothing, |ratio| spread(ratio, |value| format!("{value:.2}"))),
                comparison.bar.map_or_else(nothing, |bar| format!("≤ {bar}")),
                verdict.is_met().map_or_else(nothing, |met| if met { "yes" } else { "NO" }.to_owned()),
                format!("{} ({})", verdict.rounds, verdict.void),
            ]
        }));
        rows
    }

    fn probes(&self) -> Vec<Vec<String>> {
        let mut rows = vec![PROBE_COLUMNS.map(str::to_owned).to_vec()];
        for probe in Probe::ALL {
            let p50s = self.rounds.iter().filter_map(|round| round.p50(probe)).collect();
            let told = Spread::of(p50s).map_or_else(nothing, |p50s| spread(p50s, micros));
            rows.push(vec![probe.words().to_owned(), told]);
        }
        rows
    }

    fn met(&self) -> String {
        let judged: Vec<bool> = self.verdicts.iter().filter_map(Verdict::is_met).collect();
        if judged.is_empty() {
            return "No bar could be judged.".to_owned();
        }
        format!("Bars that are met: {} of {}.", judged.iter().filter(|met| **met).count(), judged.len())
    }

    fn circumstances(&self) -> String {
        let told = |load: Option<f64>| load.map_or_else(|| "unknown".to_owned(), |load| format!("{load:.1}"));
        let [before, after] = self.load.map(told);
        let cores = self.machine.cores;
        format!("The load of the machine was {before} before and {after} behind it, on {cores} cores.")
    }
}

const BEGINNING: &str = "# How fast a push is

Written by `make bench`, which measures anew and replaces this page. Absolute figures are those of one machine on one day; what one may
quote are the ratios: each compares two things that took turns on the same machine in the same moments.
";

const METHOD: &str = "## What is measured

Three gateways as `chatroom local` runs them, from a manifest with a register and a transport function, with a `redis-server` of the run's
own; all programs built for release. One thing happens at a time: this is how long one push takes, and not how many there can
be. All texts have 200 bytes, all connections are open and warm, all traffic stays on the loopback address.

- **Push**: from the begin of the POST, in Tencent's words, to the frame at the client; pusher and client are one process, so that one
  clock tells both. The answer to the POST is waited for, and not counted.
- **Transport**: from the begin of a client's frame until the function's server has read the whole request. The server has a thread
  in the process of the client, for the same clock. Its floor is a POST with the same body from that process.
- **Loop**: a client says something, the function pushes it through the same gateway, and another client hears it. That passes four
  times from one program to another, as two HTTP echoes do.
- **HTTP echo**: a POST with 200 bytes to a server on hyper in a process of its own, which sends them back.
- **Redis script**: EVALSHA of `return ARGV[1]` with 200 bytes, on the Redis of the gateways.
- **Redis hop**: PUBLISH of 200 bytes on that Redis until a subscriber in another process has them; half of the way there and back.
";

const END: &str = "## Repeat it

```sh
make bench               # about a minute, and before it the build for release, which takes longer the first time; writes this page
make bench ARGS=--short  # some seconds, once it is built; prints the tables alone
```

Whatever else runs on the machine widens the ranges and makes rounds void; it moves the ratios less than the figures. No test
depends on a figure: a missed bar is said in the table, and `make bench` ends well all the same.
";

/// Behind [`METHOD`].
fn rule() -> String {
    format!(
        "
All probes take turns in short bursts, in an order that is drawn anew each time. Each round gives a p50 of each probe, and a ratio of
these. A round is void when its floor is more than {:.0} % away from the median floor: then the machine was busy with something
else, and no ratio is taken from it.
",
        VOID_ABOVE * 100.0
    )
}

fn nothing() -> String {
    "-".to_owned()
}

fn micros(value: f64) -> String {
    format!("{value:.0}")
}

fn spread(of: Spread, told: impl Fn(f64) -> String) -> String {
    format!("{} [{}–{}]", told(of.median), told(of.lowest), told(of.highest))
}

/// Columns as wide as what stands in them.
fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column).unwrap_or(0)));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// The first row is the head.
fn markdown(rows: &[Vec<String>]) -> String {
    let mut lines: Vec<String> = rows.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect();
    if let Some(head) = rows.first() {
        lines.insert(1, format!("{}|\n", "|---".repeat(head.len())));
    }
    lines.concat()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::probe::Comparison;

    const PUSH: Comparison = Comparison {
        name: "push",
        floor_name: "echo",
        floor: &[Probe::Echo],
        ours: Probe::PushToOwner,
        without: None,
        bar: Some(3.0),
    };

    fn round(echo: u64, push: u64) -> Round {
        let all = [(Probe::Echo, echo), (Probe::PushToOwner, push)];
        Round::of(&all.map(|(probe, micros)| (probe, vec![Duration::from_micros(micros)])).into())
    }

    fn report(rounds: Vec<Round>, comparison: Comparison) -> Report {
        let verdicts = vec![Verdict::over(&rounds, comparison)];
        let machine = Machine {
            processor: "a processor".into(),
            cores: 2,
            system: "a system".into(),
            redis: "7".into(),
            rust: "rustc 1".into(),
            chatroom: "0".into(),
            date: "2030-01-02".into(),
        };
        let effort = Effort { rounds: rounds.len(), turns: 1, burst: 1 };
        Report { verdicts, rounds, effort, machine, load: [Some(1.25), None] }
    }

    #[test]
    fn the_table_tells_ratio_range_bar_and_void_rounds() {
        let report = report(vec![round(100, 200), round(100, 250), round(200, 800)], PUSH);
        let text = report.text();
        let line = text.lines().nth(1).unwrap();
        let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(cells, ["push", "echo", "100", "225", "2.25 [2.00–2.50]", "≤ 3", "yes", "3 (1)"]);
        assert!(text.contains("was 1.2 before and unknown behind it, on 2 cores"), "{text}");
    }

    #[test]
    fn a_missed_bar_is_told_in_table_and_page() {
        let report = report(vec![round(100, 301)], PUSH);
        assert!(report.text().contains("NO"));
        assert!(report.markdown().contains("Bars that are met: 0 of 1."));
    }

    #[test]
    fn without_a_bar_nothing_is_met_and_nothing_missed() {
        let report = report(vec![round(100, 200)], Comparison { bar: None, ..PUSH });
        assert!(report.markdown().contains("| push | echo | 100 | 200 | 2.00 [2.00–2.00] | - | - | 1 (0) |"));
    }

    #[test]
    fn without_a_round_there_are_dashes_and_no_numbers() {
        let report = report(vec![], PUSH);
        assert!(report.markdown().contains("No bar could be judged"));
        let text = report.text();
        assert!(text.lines().nth(1).unwrap().ends_with("-         -        -      ≤ 3  -    0 (0)"), "{text}");
    }

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [vec!["a".to_owned(), "b".into()], vec!["µµµ".into(), "c".into()]];
        assert_eq!(aligned(&rows), "a    b\nµµµ  c\n");
    }

    #[test]
    fn the_page_says_on_what_and_how_to_repeat_it() {
        let page = report(vec![round(100, 200)], PUSH).markdown();
        for told in
            ["# How fast", "Bars that are met: 1 of 1.", "a processor, 2 cores", "2030-01-02", "make bench", "25 %"]
        {
            assert!(page.contains(told), "{told} is missing in {page}");
        }
    }
}
