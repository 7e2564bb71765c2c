//! The queue of ends of a room in memory: the rules of the scripts claim, settle, hasten and replay.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use tokio::time::Instant;

use crate::backplane::cleanups::{Claim, Claiming, Claims, Cleanups, Dead, MOST_DEAD, Settled, Settlement, TOLD};
use crate::id::ConnectionId;

#[derive(Debug, Default)]
pub(super) struct Queue {
    events: BTreeMap<ConnectionId, Event>,
    /// When each event is due that nobody has claimed.
    due: BTreeSet<(Instant, ConnectionId)>,
    /// When each claim lapses.
    claims: BTreeSet<(Instant, ConnectionId)>,
    told: HashMap<ConnectionId, Instant>,
    dead: VecDeque<Dead>,
    /// Of the newest one among the dead.
    place: u64,
}

#[derive(Debug)]
struct Event {
    details: String,
    /// As it stands in `due` or in `claims`.
    at: Instant,
    tries: u64,
    first: Option<Instant>,
}

impl Queue {
    /// One event for an ID, whoever works on it now, and also when it was told a moment ago.
    pub(super) fn add(&mut self, id: ConnectionId, details: String, now: Instant) {
        if !self.told.contains_key(&id) {
            self.enter(id, details, now);
        }
    }

    /// Counts the events, and forgets what was told long ago.
    pub(super) fn count(&mut self, now: Instant) -> Cleanups {
        self.told.retain(|_, since| now - *since < TOLD);
        let overdue = |set: &BTreeSet<(Instant, ConnectionId)>| set.iter().take_while(|(at, _)| *at <= now).count();
        Cleanups {
            due: (overdue(&self.due) + overdue(&self.claims)) as u64,
            waiting: self.events.len() as u64,
            dead: self.dead.len() as u64,
        }
    }

    pub(super) fn claim(&mut self, claiming: Claiming, now: Instant) -> Claims {
        let Claiming { at_most, hidden_for, early } = claiming;
        // Whoever claimed these never said what became of them.
        let lapsed: Vec<_> = self.claims.iter().take_while(|(at, _)| *at <= now).take(at_most).copied().collect();
        for claim in lapsed {
            self.claims.remove(&claim);
            self.due.insert(claim);
        }
        let some: Vec<_> = self.due.iter().take_while(|(at, _)| early || *at <= now).take(at_most).copied().collect();
        let mut events = Vec::new();
        for (at, id) in some {
            let event = self.events.get_mut(&id).expect("what is due is an event");
            event.at = now + hidden_for;
            event.tries += 1;
            let since_first = now - *event.first.get_or_insert(now);
            events.push(Claim { id, details: event.details.clone(), tries: event.tries, since_first });
            self.due.remove(&(at, id));
            self.claims.insert((event.at, id));
        }
        let first = self.due.first().into_iter().chain(self.claims.first()).map(|(at, _)| *at).min();
        Claims { events, next: first.map(|at| at.saturating_duration_since(now)) }
    }

    /// Answers how many counted.
    pub(super) fn settle(&mut self, settled: Vec<Settled>, now: Instant) -> u64 {
        settled.into_iter().map(|settled| u64::from(self.settle_one(settled, now))).sum()
    }

    fn settle_one(&mut self, settled: Settled, now: Instant) -> bool {
        let Settled { id, tries, outcome } = settled;
        if outcome == Settlement::Done {
            self.told.insert(id, now);
            return self.remove(id).is_some();
        }
        let Some(event) = self.events.get_mut(&id).filter(|event| event.tries == tries) else { return false };
        if let Settlement::Later(wait) = outcome {
            let before = (std::mem::replace(&mut event.at, now + wait), id);
            self.due.insert((event.at, id));
            if !self.claims.remove(&before) {
                self.due.remove(&before);
            }
        } else if let Settlement::Bury(why) = outcome {
            let event = self.remove(id).expect("it was looked at just now");
            let tried_for = now - event.first.unwrap_or(now);
            self.place += 1;
            let place = self.place.to_string();
            self.dead.push_back(Dead { place, id, details: event.details, tries, tried_for, why });
            if self.dead.len() > MOST_DEAD {
                self.dead.pop_front();
            }
        }
        true
    }

    /// Answers how many were put off.
    pub(super) fn hasten(&mut self, at_most: usize, now: Instant) -> u64 {
        let later: Vec<_> = self.due.iter().rev().take_while(|(at, _)| *at > now).take(at_most).copied().collect();
        for (at, id) in &later {
            self.events.get_mut(id).expect("what is due is an event").at = now;
            self.due.remove(&(*at, *id));
            self.due.insert((now, *id));
        }
        later.len() as u64
    }

    pub(super) fn dead(&self) -> Vec<Dead> {
        self.dead.iter().cloned().collect()
    }

    /// Answers how many were there.
    pub(super) fn replay(&mut self, places: &[String], now: Instant) -> u64 {
        let mut replayed = 0;
        for place in places {
            let Some(at) = self.dead.iter().position(|dead| dead.place == *place) else { continue };
            let Dead { id, details, .. } = self.dead.remove(at).expect("it was found just now");
            self.enter(id, details, now);
            replayed += 1;
        }
        replayed
    }

    fn enter(&mut self, id: ConnectionId, details: String, now: Instant) {
        if let Entry::Vacant(place) = self.events.entry(id) {
            place.insert(Event { details, at: now, tries: 0, first: None });
            self.due.insert((now, id));
        }
    }

    fn remove(&mut self, id: ConnectionId) -> Option<Event> {
        let event = self.events.remove(&id)?;
        self.due.remove(&(event.at, id));
        self.claims.remove(&(event.at, id));
        Some(event)
    }
}
