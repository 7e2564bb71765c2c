//! Whether the operator is alive and ready: what its loops report, and the verdict on it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a reconcile may run before it counts as stuck: twice its own time-out, which must have ended it before.
const STUCK_RECONCILE: Duration = Duration::from_secs(120);

/// How long the fleet may be silent before it counts as stuck: several of its rounds.
const SILENT_FLEET: Duration = Duration::from_secs(60);

/// What the loops of the operator report about themselves.
///
/// Liveness is about loops that a restart would mend. Readiness is about the cluster: a restart does not make a
/// resource definition appear.
#[derive(Debug)]
pub struct Health {
    state: Mutex<State>,
    rooms_listed: AtomicBool,
    caches_synced: AtomicBool,
}

#[derive(Debug)]
struct State {
    rooms: Rooms,
    fleet_seen: Option<Instant>,
    /// When each running reconcile began, by a number of its own.
    running: BTreeMap<u64, Instant>,
    next: u64,
}

/// What the API server says when it is asked for ChatRooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rooms {
    /// It was not asked yet, or did not answer.
    Unknown,
    /// It does not know the resource.
    Missing,
    /// It does not let us look.
    Forbidden,
    /// It serves them.
    Served,
}

/// A reconcile that runs; it has ended when this is dropped, in whichever way.
#[derive(Debug)]
pub struct Running {
    health: Arc<Health>,
    number: u64,
}

impl Health {
    /// Nothing known yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let state = State { rooms: Rooms::Unknown, fleet_seen: None, running: BTreeMap::new(), next: 0 };
        Arc::new(Self {
            state: Mutex::new(state),
            rooms_listed: AtomicBool::new(false),
            caches_synced: AtomicBool::new(false),
        })
    }

    /// Notes what the API server says about ChatRooms.
    pub fn rooms_are(&self, rooms: Rooms) {
        self.state().rooms = rooms;
    }

    /// Notes that the watch of rooms has delivered its first list.
    pub fn rooms_are_listed(&self) {
        self.rooms_listed.store(true, Ordering::Relaxed);
    }

    /// Notes that all other watches have delivered their first lists.
    pub fn caches_are_synced(&self) {
        self.caches_synced.store(true, Ordering::Relaxed);
    }

    /// Notes that the fleet's loop moves.
    pub fn fleet_moves(&self) {
        self.state().fleet_seen = Some(Instant::now());
    }

    /// Notes that a reconcile has begun.
    #[must_use]
    pub fn reconcile_begins(self: &Arc<Self>) -> Running {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.running.insert(number, Instant::now());
        Running { health: Arc::clone(self), number }
    }

    /// Whether every loop moves.
    ///
    /// # Errors
    /// Says which one does not.
    pub fn alive(&self, now: Instant) -> Result<(), String> {
        let state = self.state();
        let older_than = |since: Instant, limit| now.saturating_duration_since(since) > limit;
        if state.running.values().any(|began| older_than(*began, STUCK_RECONCILE)) {
            return Err(format!("a reconcile has been running for more than {} s", STUCK_RECONCILE.as_secs()));
        }
        if state.fleet_seen.is_some_and(|seen| older_than(seen, SILENT_FLEET)) {
            return Err(format!("the fleet has been silent for more than {} s", SILENT_FLEET.as_secs()));
        }
        Ok(())
    }

    /// Whether the operator can do its work.
    ///
    /// # Errors
    /// Says what is missing, and what would be right.
    pub fn ready(&self) -> Result<(), &'static str> {
        match self.state().rooms {
            Rooms::Served
                if self.rooms_listed.load(Ordering::Relaxed) && self.caches_synced.load(Ordering::Relaxed) =>
            {
                Ok(())
            }
            Rooms::Served => Err("the watches have not delivered their first lists yet"),
            Rooms::Unknown => Err("the API server has not answered yet"),
            Rooms::Missing => {
                Err("the API server does not know chatrooms.chatroom.dev: install the resource definition")
            }
            Rooms::Forbidden => Err("the service account may not list chatrooms.chatroom.dev: bind its ClusterRole"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every method leaves the state whole, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.health.state().running.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[test]
    fn a_reconcile_that_does_not_end_is_not_alive() {
        let health = Health::new();
        let running = health.reconcile_begins();
        assert_eq!(health.alive(later(100)), Ok(()));
        assert!(health.alive(later(121)).unwrap_err().contains("reconcile"));
        drop(running);
        assert_eq!(health.alive(later(121)), Ok(()));
    }

    #[test]
    fn a_fleet_that_falls_silent_is_not_alive() {
        let health = Health::new();
        assert_eq!(health.alive(later(600)), Ok(()), "it has not begun yet");
        health.fleet_moves();
        assert!(health.alive(later(61)).unwrap_err().contains("fleet"));
    }

    #[test]
    fn a_missing_resource_definition_is_alive_and_not_ready() {
        let health = Health::new();
        health.rooms_are(Rooms::Missing);
        assert!(health.ready().unwrap_err().contains("resource definition"));
        assert_eq!(health.alive(later(600)), Ok(()));
    }

    #[test]
    fn ready_needs_served_rooms_and_synced_caches() {
        let health = Health::new();
        assert!(health.ready().is_err());
        health.rooms_are(Rooms::Served);
        assert!(health.ready().is_err());
        health.caches_are_synced();
        assert!(health.ready().is_err());
        health.rooms_are_listed();
        assert_eq!(health.ready(), Ok(()));
    }
}
