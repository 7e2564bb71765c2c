//! Pure: what of the roster has to be written next, and what has to be written again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backplane::{BackplaneError, End, Entry, RegisterMode};
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
    pub(super) live: HashMap<ConnectionId, Live>,
    pub(super) waiting: VecDeque<Ended>,
    /// Taken from `waiting`, not acknowledged.
    pub(super) in_flight: Vec<Ended>,
    /// Acknowledged, oldest first.
    pub(super) remembered: VecDeque<(Instant, Ended)>,
    /// Live connections that have to be written again.
    pub(super) rewrite: Vec<ConnectionId>,
    /// How often all had to be written again.
    pub(super) rewrites: u64,
    /// Until then a rewritten registration whose answer got lost may take effect.
    pub(super) late_until: Option<Instant>,
}

/// A connection that the registry has, or is about to have.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) details: Arc<str>,
    /// Whether it does not count yet, because the register function is being asked.
    pub(super) pending: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) id: ConnectionId,
    /// Whether its registration may take effect after its end: nobody knows what became of it.
    pub(super) doubtful: bool,
    /// What the cleanup function is owed; absent: nothing.
    pub(super) owed: Option<Owed>,
}

#[derive(Clone, Debug)]
pub(super) struct Owed {
    pub(super) details: Arc<str>,
    /// Whether Redis has it, unless Redis lost it since.
    pub(super) handed_over: bool,
}

impl Ended {
    /// As it is written. An event that Redis took is not written a second time: it may be worked off already.
    pub(super) fn end(&self) -> End {
        let owed = self.owed.as_ref().filter(|owed| !owed.handed_over);
        End { id: self.id, event: owed.map(|owed| owed.details.to_string()) }
    }
}

/// What the writer does next.
pub(super) enum Step {
    Rewrite(Incarnation, RegisterMode, Vec<Entry>),
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
            in_flight: Vec::new(),
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
        if change == Change::Server {
            // Events that Redis had may be gone with it.
            let owed = self.waiting.iter_mut().filter_map(|ended| ended.owed.as_mut());
            owed.for_each(|owed| owed.handed_over = false);
        }
    }

    pub(super) fn next(&mut self, now: Instant) -> Step {
        while let Some((_, ended)) =
            self.remembered.pop_front_if(|(since, _)| now.saturating_duration_since(*since) >= REMEMBERED)
        {
            if ended.doubtful {
                // One last time: whatever was in flight has long arrived or never will.
                self.waiting.push_back(Ended { doubtful: false, ..ended });
            }
        }
        if let Some((mode, entries)) = self.rewrites() {
            return Step::Rewrite(self.incarnation, mode, entries);
        }
        if self.waiting.is_empty() {
            return Step::Idle(self.remembered.front().map(|(since, _)| *since + REMEMBERED));
        }
        let some: Vec<Ended> = self.waiting.drain(..self.waiting.len().min(ENDS)).collect();
        self.in_flight.clone_from(&some);
        Step::Ends(self.incarnation, some)
    }

    /// Some of the live connections that have to be written again; those of one call have come equally far.
    fn rewrites(&mut self) -> Option<(RegisterMode, Vec<Entry>)> {
        while let Some(last) = self.rewrite.last() {
            let Some(pending) = self.live.get(last).map(|live| live.pending) else {
                self.rewrite.pop();
                continue;
            };
            let mut entries = Vec::new();
            while entries.len() < REWRITE
                && let Some(id) = self.rewrite.pop()
            {
                match self.live.get(&id) {
                    Some(live) if live.pending == pending => {
                        entries.push(Entry { id, details: live.details.to_string() });
                    }
                    Some(_) => {
                        self.rewrite.push(id);
                        break;
                    }
                    None => {}
                }
            }
            return Some((if pending { RegisterMode::Pending } else { RegisterMode::Direct }, entries));
        }
        None
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
        self.in_flight.clear();
        if failed {
            for ended in ended.into_iter().rev() {
                self.waiting.push_front(ended);
            }
            return;
        }
        self.remembered.extend(ended.into_iter().map(|mut ended| {
            if let Some(owed) = &mut ended.owed {
                owed.handed_over = true;
            }
            (now, ended)
        }));
        // The oldest are the ones that every replica has.
        let over = self.remembered.len().saturating_sub(most);
        self.remembered.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(pending: bool) -> Live {
        Live { details: "{}".into(), pending }
    }

    fn ended(id: ConnectionId) -> Ended {
        Ended { id, doubtful: false, owed: Some(Owed { details: "{}".into(), handed_over: false }) }
    }

    #[test]
    fn an_end_behind_a_registration_that_may_come_late_is_written_again() {
        let me = Incarnation::random();
        let mut state = State::new(me);
        let (gone, stays) = (me.random_connection(), me.random_connection());
        state.live.extend([gone, stays].map(|id| (id, live(false))));
        state.changed(Change::Server);
        let now = Instant::now();
        assert!(matches!(state.next(now), Step::Rewrite(_, RegisterMode::Direct, entries) if entries.len() == 2));
        state.live.remove(&gone);
        state.waiting.push_back(ended(gone));
        state.unwritten(me, vec![gone, stays], &BackplaneError::Unanswered("lost on the way".into()), now);
        assert!(matches!(state.next(now), Step::Rewrite(_, _, entries) if entries.len() == 1));
        let Step::Ends(_, ended) = state.next(now) else { panic!("the end was not written") };
        state.written(me, ended, false, 10, now);
        assert!(matches!(state.next(now), Step::Idle(_)));
        state.changed(Change::Connection);
        assert!(
            matches!(state.next(now), Step::Ends(_, again) if again[0].id == gone && again[0].end().event.is_none())
        );
    }

    #[test]
    fn what_is_written_again_has_come_as_far_as_before() {
        let me = Incarnation::random();
        let mut state = State::new(me);
        for pending in [true, false, true, false, false] {
            state.live.insert(me.random_connection(), live(pending));
        }
        state.changed(Change::Server);
        let mut written = HashMap::new();
        while let Step::Rewrite(_, mode, entries) = state.next(Instant::now()) {
            written.extend(entries.into_iter().map(|entry| (entry.id, mode == RegisterMode::Pending)));
        }
        assert_eq!(written, state.live.iter().map(|(id, live)| (*id, live.pending)).collect());
    }

    #[test]
    fn what_the_cleanup_function_is_owed_is_handed_over_once_unless_redis_lost_it() {
        let me = Incarnation::random();
        let mut state = State::new(me);
        let now = Instant::now();
        state.waiting.push_back(ended(me.random_connection()));
        let Step::Ends(_, first) = state.next(now) else { panic!("the end was not written") };
        assert!(first[0].end().event.is_some());
        state.written(me, first, true, 10, now);
        let Step::Ends(_, second) = state.next(now) else { panic!("the end was not written again") };
        assert!(second[0].end().event.is_some(), "nobody took it the first time");
        state.written(me, second, false, 10, now);
        state.changed(Change::Server);
        let Step::Ends(_, third) = state.next(now) else { panic!("the end was not written again") };
        assert!(third[0].end().event.is_some(), "another server may not have it");
    }
}
