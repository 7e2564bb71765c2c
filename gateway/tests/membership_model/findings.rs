//! What a run of the model found: what must not be, and what it did to look for it.

use std::collections::BTreeSet;

use super::{Model, PREFIX};

#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) ended: usize,
    pub(crate) fenced: usize,
    pub(crate) killed: usize,
    pub(crate) stalled: usize,
    /// Ended connections whose end was never settled as done.
    pub(crate) missing: usize,
    /// Events of connections that were refused and never existed.
    pub(crate) of_refused: usize,
    /// Events of connections that live.
    pub(crate) of_living: usize,
    /// Ends that were settled as done more than once, and that two had in hand at the same time.
    pub(crate) repeated: usize,
    pub(crate) twice: usize,
    pub(crate) buried: usize,
    pub(crate) crashed: usize,
    /// The count beside the truth.
    pub(crate) online: i64,
    pub(crate) truth: i64,
    /// Keys and members that nobody will ever tidy up.
    pub(crate) left_over: Vec<String>,
}

impl Findings {
    pub(crate) fn are_right(&self) -> bool {
        let wrong = self.missing + self.of_refused + self.of_living + self.repeated + self.twice + self.left_over.len();
        wrong == 0 && self.online == self.truth
    }
}

impl Model {
    /// Lets the workers finish, and compares what they did with what had to be.
    pub(crate) fn find(mut self) -> Findings {
        self.work_off();
        let waiting: BTreeSet<String> = self.command(&["HKEYS", &format!("{PREFIX}events")]);
        let stray = self.stray(&waiting);
        let done = std::mem::take(&mut self.workers.done);
        let told = |id: &String| done.contains_key(id) || waiting.contains(id);
        let living: BTreeSet<String> = self.gateways.iter().flat_map(|gateway| gateway.live.clone()).collect();
        let online: i64 = self.command(&["HGET", &format!("{PREFIX}room"), "online"]);
        let of_gateways: BTreeSet<String> = self.gateways.iter().map(|gateway| gateway.name.clone()).collect();
        let keys: Vec<String> = self.command(&["KEYS", "*"]);
        let fields: Vec<String> = self.command(&["HKEYS", &format!("{PREFIX}room")]);
        let named = keys.iter().chain(&fields).filter_map(|name| name.rsplit_once(':').map(|(_, owner)| owner));
        let owner_is_dead =
            |owner: &&str| owner.starts_with('g') && *owner != "gateways" && !of_gateways.contains(*owner);
        Findings {
            ended: self.must.len(),
            missing: self.must.iter().filter(|id| !done.contains_key(*id)).count(),
            of_refused: self.never.iter().filter(|id| told(id)).count(),
            of_living: self.findings.of_living + living.iter().filter(|id| told(id)).count(),
            repeated: done.values().filter(|times| **times > 1).count(),
            twice: self.workers.twice,
            buried: self.workers.buried,
            crashed: self.workers.crashed,
            online,
            truth: i64::try_from(living.len()).unwrap(),
            left_over: named.filter(owner_is_dead).map(str::to_owned).chain(stray).collect(),
            ..self.findings
        }
    }
}
