//! The model's workers on the queue of ends: they claim, die with what they hold, speak too late, put off, give up, bring back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::{Model, PREFIX};

const HIDDEN: Duration = Duration::from_millis(60);
/// Redis counts whole milliseconds.
const GRAIN: Duration = Duration::from_millis(2);

/// An event in somebody's hands.
struct Held {
    id: String,
    try_number: u64,
    /// Before, nobody else may get it.
    hidden_until: Instant,
    /// Whether its worker speaks only when that is over.
    late: bool,
}

/// What the workers did, and what they saw that must not be.
#[derive(Default)]
pub(crate) struct Workers {
    held: Vec<Held>,
    /// How often each end was settled as done.
    pub(crate) done: BTreeMap<String, u64>,
    /// Events that were handed to two at the same time.
    pub(crate) twice: usize,
    pub(crate) buried: usize,
    pub(crate) crashed: usize,
}

impl Model {
    /// One of the workers does something.
    pub(crate) fn work(&mut self) {
        match self.random.random_range(0..100) {
            0..30 => {
                let early = self.random.random_bool(0.1);
                self.claim(5, early);
            }
            30 => {
                // Dies with what it holds.
                let some = self.random.random_range(0..=self.workers.held.len());
                self.workers.crashed += self.workers.held.drain(..some).count();
            }
            31..70 => {
                for _ in 0..3.min(self.workers.held.len()) {
                    let slot = self.random.random_range(0..self.workers.held.len());
                    if self.workers.held[slot].late && self.workers.held[slot].hidden_until > Instant::now() {
                        continue;
                    }
                    let held = self.workers.held.swap_remove(slot);
                    let outcome = outcome(&mut self.random);
                    self.settle_event(&held, outcome);
                }
            }
            _ => {}
        }
    }

    /// Brings back what was given up, and works until nothing waits.
    pub(crate) fn work_off(&mut self) {
        let dead: Vec<(String, Vec<String>)> = self.command(&["XRANGE", &format!("{PREFIX}dead"), "-", "+"]);
        let script = self.scripts.replay.clone();
        for (place, _) in dead {
            let replayed: u64 = self.call(&script, &["dead", "due", "events", "tries"], &["86400", &place]);
            assert_eq!(replayed, 1);
        }
        self.workers.held.clear();
        let until = Instant::now() + Duration::from_secs(10);
        let events = format!("{PREFIX}events");
        // What a planted defect lost never comes.
        while self.command::<u64>(&["HLEN", &events]) > 0 && Instant::now() < until {
            self.claim(100, true);
            for held in std::mem::take(&mut self.workers.held) {
                self.settle_event(&held, "done");
            }
        }
    }

    fn claim(&mut self, at_most: usize, early: bool) {
        let before = Instant::now();
        let script = self.scripts.claim.clone();
        let hidden = HIDDEN.as_millis().to_string();
        let at_most = at_most.to_string();
        let arguments = [at_most.as_str(), hidden.as_str(), if early { "1" } else { "0" }, "86400"];
        let (events, _): (Vec<(String, String, u64, u64)>, i64) =
            self.call(&script, &["due", "claims", "events", "tries"], &arguments);
        let now = Instant::now();
        for (id, event, try_number, _) in events {
            // None at all belongs to a defect that is planted.
            assert!(event.is_empty() || event.ends_with(&id), "{id} has another one's event: {event}");
            self.workers.twice +=
                self.workers.held.iter().filter(|held| held.id == id && held.hidden_until > now).count();
            let late = self.random.random_bool(0.3);
            self.workers.held.push(Held { id, try_number, hidden_until: before + HIDDEN - GRAIN, late });
        }
    }

    fn settle_event(&mut self, held: &Held, outcome: &str) {
        let script = self.scripts.settle.clone();
        let (try_number, more) = (held.try_number.to_string(), if outcome == "later" { "5" } else { "tried enough" });
        let arguments = ["10000", "86400", held.id.as_str(), &try_number, outcome, more];
        let settled: u64 = self.call(&script, &["due", "claims", "events", "tries", "told", "dead"], &arguments);
        match outcome {
            "done" => *self.workers.done.entry(held.id.clone()).or_default() += settled,
            "bury" if settled > 0 => {
                self.workers.buried += 1;
                // A day passes until then: nobody writes this end again.
                self.written.retain(|(_, written)| *written != held.id);
            }
            _ => {}
        }
    }

    /// Members of the queue's keys that belong to no event.
    pub(crate) fn stray(&mut self, events: &BTreeSet<String>) -> Vec<String> {
        let mut stray = Vec::new();
        for (key, command) in [("due", "ZRANGE"), ("claims", "ZRANGE"), ("tries", "HKEYS")] {
            let name = format!("{PREFIX}{key}");
            let range: &[&str] = if command == "ZRANGE" { &["0", "-1"] } else { &[] };
            let members: Vec<String> = self.command(&[&[command, name.as_str()], range].concat());
            stray.extend(members.into_iter().filter(|id| !events.contains(id)).map(|id| format!("{key}:{id}")));
        }
        stray
    }
}

fn outcome(random: &mut StdRng) -> &'static str {
    match random.random_range(0..20) {
        0..5 => "later",
        5 => "bury",
        _ => "done",
    }
}
