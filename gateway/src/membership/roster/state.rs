//! Pure: what of the roster has to be written next, and what has to be written again.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::backplane::{BackplaneError, Entry};
use crate::id::{ConnectionId, Incarnation};

/// How long an end that was acknowledged is remembered: longer than any replica lags behind that may take over.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Live connections a script while the registry is built anew.
const REWRITE: usize = 500;
/// Ends a script.
const ENDS: usize = 100;

/// What happened to Redis, so that something has to be written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::membership) enum Change {
    /// A new connection: what was in flight on the old one may have taken effect late.
    Connection,
    /// Another server, or data lost: what was acknowledged may be gone, and what was ended back.
    Server,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) incarnation: Incarnation,
    pub(super) live: HashMap<ConnectionId, String>,
    pub(super) waiting: VecDeque<Ended>,
    /// Taken from `waiting`, not acknowledged.
    pub(super) in_flight: usize,
    /// Acknowledged, oldest first.
    pub(super) remembered: VecDeque<(Instant, Ended)>,
    /// Live connections that have to be written again.
    pub(super) rewrite: Vec<ConnectionId>,
    /// How often all had to be written again.
    pub(super) rewrites: u64,
    /// Until then a rewritten registration whose answer got lost may take effect.
    pub(super) late_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) id: ConnectionId,
    /// Whether its registration may take effect after its end: nobody knows what became of it.
    pub(super) doubtful: bool,
}

/// What the writer does next.
pub(super) enum Step {
    Rewrite(Incarnation, Vec<Entry>),
    Ends(Incarnation, Vec<Ended>),
    /// Until then there is nothing to do.
    Idle(Option<Instant>),
}

impl State {
    pub(super) fn new(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            live: HashMap::new(),
            waiting: VecDeque::new(),
            in_flight: 0,
            remembered: VecDeque::new(),
            rewrite: Vec::new(),
            rewrites: 0,
            late_until: None,
        }
    }

    pub(super) fn changed(&mut self, change: Change) {
        if change == Change::Server {
            self.rewrite = self.live.keys().copied().collect();
            self.rewrites += 1;
        }
        let (again, still): (VecDeque<_>, VecDeque<_>) =
            self.remembered.drain(..).partition(|(_, ended)| change == Change::Server || ended.doubtful);
        self.remembered = still;
        self.waiting.extend(again.into_iter().map(|(_, ended)| ended));
    }

    pub(super) fn next(&mut self, now: Instant) -> Step {
        while let Some((since, ended)) = self.remembered.front().copied()
            && now.saturating_duration_since(since) >= REMEMBERED
        {
            self.remembered.pop_front();
            if ended.doubtful {
                // One last time: whatever was in flight has long arrived or never will.
                self.waiting.push_back(Ended { doubtful: false, ..ended });
            }
        }
        while !self.rewrite.is_empty() {
            let chunk = self.rewrite.split_off(self.rewrite.len().saturating_sub(REWRITE));
            let entry = |id| Some(Entry { id, details: self.live.get(&id)?.clone() });
            let entries: Vec<Entry> = chunk.into_iter().filter_map(entry).collect();
            if !entries.is_empty() {
                return Step::Rewrite(self.incarnation, entries);
            }
        }
        if self.waiting.is_empty() {
            return Step::Idle(self.remembered.front().map(|(since, _)| *since + REMEMBERED));
        }
        let some: Vec<Ended> = self.waiting.drain(..self.waiting.len().min(ENDS)).collect();
        self.in_flight = some.len();
        Step::Ends(self.incarnation, some)
    }

    /// Live connections could not be written again, or nobody knows whether they were.
    pub(super) fn unwritten(&mut self, me: Incarnation, ids: Vec<ConnectionId>, error: &BackplaneError, now: Instant) {
        if self.incarnation != me {
            return;
        }
        if matches!(error, BackplaneError::Unanswered(_)) {
            // It may be read from the old connection behind what is sent on the new one: also behind the end of one of them.
            self.late_until = Some(now + REMEMBERED);
            for ended in self.waiting.iter_mut().filter(|ended| ids.contains(&ended.id)) {
                ended.doubtful = true;
            }
        }
        self.rewrite.extend(ids);
    }

    pub(super) fn written(&mut self, me: Incarnation, ended: Vec<Ended>, failed: bool, most: usize, now: Instant) {
        if self.incarnation != me {
            return;
        }
        self.in_flight = 0;
        if failed {
            for ended in ended.into_iter().rev() {
                self.waiting.push_front(ended);
            }
            return;
        }
        self.remembered.extend(ended.into_iter().map(|ended| (now, ended)));
        // The oldest are the ones that every replica has.
        let over = self.remembered.len().saturating_sub(most);
        self.remembered.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_behind_a_registration_that_may_come_late_is_written_again() {
        let me = Incarnation::random();
        let mut state = State::new(me);
        let (gone, stays) = (me.random_connection(), me.random_connection());
        state.live.extend([gone, stays].map(|id| (id, String::new())));
        state.changed(Change::Server);
        let now = Instant::now();
        assert!(matches!(state.next(now), Step::Rewrite(_, entries) if entries.len() == 2));
        state.live.remove(&gone);
        state.waiting.push_back(Ended { id: gone, doubtful: false });
        state.unwritten(me, vec![gone, stays], &BackplaneError::Unanswered("lost on the way".into()), now);
        assert!(matches!(state.next(now), Step::Rewrite(_, entries) if entries.len() == 1));
        let Step::Ends(_, ended) = state.next(now) else { panic!("the end was not written") };
        state.written(me, ended, false, 10, now);
        assert!(matches!(state.next(now), Step::Idle(_)));
        state.changed(Change::Connection);
        assert!(matches!(state.next(now), Step::Ends(_, again) if again[0].id == gone));
    }
}
