//! Whether the operator is alive and ready: what its loops report, and the verdict on it.

use crate::scope::Scope;
use std::collections::{BTreeMap, BTreeSet};
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
}

#[derive(Debug)]
struct State {
    scopes: BTreeMap<Scope, Watched>,
    /// When each running reconcile began, by a number of its own.
    running: BTreeMap<u64, Instant>,
    next: u64,
}

/// What is known of one scope.
#[derive(Debug)]
struct Watched {
    rooms: Rooms,
    rooms_listed: bool,
    caches_synced: bool,
    /// The kinds that the operator may not watch here.
    forbidden: BTreeSet<&'static str>,
    fleet_seen: Option<Instant>,
}

/// How far a scope is.
enum Standing {
    /// Everything in it is watched.
    Watched,
    /// It cannot be watched until somebody grants a right, or creates the namespace.
    Forbidden(String),
    /// Not yet; the text says what is missing.
    Pending(String),
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
    /// Nothing known yet about any of these scopes.
    #[must_use]
    pub fn new(scopes: &[Scope]) -> Arc<Self> {
        let scopes = scopes.iter().map(|scope| (scope.clone(), Watched::unknown())).collect();
        Arc::new(Self { state: Mutex::new(State { scopes, running: BTreeMap::new(), next: 0 }) })
    }

    /// Notes what the API server says about ChatRooms.
    pub fn rooms_are(&self, scope: &Scope, rooms: Rooms) {
        self.note(scope, |watched| watched.rooms = rooms);
    }

    /// Notes that the watch of rooms has delivered its first list.
    pub fn rooms_are_listed(&self, scope: &Scope) {
        self.note(scope, |watched| watched.rooms_listed = true);
    }

    /// Notes that all other watches have delivered their first lists.
    pub fn caches_are_synced(&self, scope: &Scope) {
        self.note(scope, |watched| watched.caches_synced = true);
    }

    /// Notes that the operator may not watch a kind, or may.
    pub fn watching_is_forbidden(&self, scope: &Scope, kind: &'static str, forbidden: bool) {
        self.note(scope, |watched| {
            if forbidden {
                watched.forbidden.insert(kind);
            } else {
                watched.forbidden.remove(kind);
            }
        });
    }

    /// Notes that the fleet's loop moves.
    pub fn fleet_moves(&self, scope: &Scope) {
        self.note(scope, |watched| watched.fleet_seen = Some(Instant::now()));
    }

    /// Whether everything in the scope is watched.
    #[must_use]
    pub fn is_watched(&self, scope: &Scope) -> bool {
        self.state().scopes.get(scope).is_some_and(|watched| matches!(watched.standing(), Standing::Watched))
    }

    fn note(&self, scope: &Scope, change: impl FnOnce(&mut Watched)) {
        let mut state = self.state();
        change(state.scopes.entry(scope.clone()).or_insert_with(Watched::unknown));
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
        for (scope, watched) in &state.scopes {
            if watched.fleet_seen.is_some_and(|seen| older_than(seen, SILENT_FLEET)) {
                let seconds = SILENT_FLEET.as_secs();
                return Err(format!("the fleet of {scope} has been silent for more than {seconds} s"));
            }
        }
        Ok(())
    }

    /// Whether the operator can do its work. A namespace of its list for which it lacks rights does not make it unready as long
    /// as there is another: the rooms of the others are looked after, and a slip in one name should not look like an outage. It
    /// is named in the answer.
    ///
    /// # Errors
    /// Says what is missing, and what would be right.
    pub fn ready(&self) -> Result<String, String> {
        let state = self.state();
        let (mut watched, mut forbidden) = (0, Vec::new());
        for (scope, of_scope) in &state.scopes {
            match (of_scope.standing(), scope) {
                (Standing::Watched, _) => watched += 1,
                (Standing::Pending(why), Scope::Cluster) => return Err(why),
                (Standing::Pending(why), Scope::Namespace(_)) => return Err(format!("{scope}: {why}")),
                (Standing::Forbidden(why), Scope::Cluster) => {
                    return Err(format!("{why}: bind the operator's ClusterRole to it"));
                }
                (Standing::Forbidden(why), Scope::Namespace(name)) => {
                    forbidden.push(format!("{name} ({why}: create the namespace, and bind the operator's Role in it)"));
                }
            }
        }
        let forbidden = forbidden.join(", ");
        match (watched, forbidden.is_empty()) {
            (0, _) => Err(format!("no namespace can be watched: {forbidden}")),
            (_, true) => Ok("ok".to_owned()),
            (_, false) => Ok(format!("ok, but for what cannot be watched: {forbidden}")),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every method leaves the state whole, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    fn unknown() -> Self {
        let (rooms_listed, caches_synced) = (false, false);
        Self { rooms: Rooms::Unknown, rooms_listed, caches_synced, forbidden: BTreeSet::new(), fleet_seen: None }
    }

    fn standing(&self) -> Standing {
        match self.rooms {
            Rooms::Unknown => Standing::Pending("the API server has not answered yet".to_owned()),
            Rooms::Missing => Standing::Pending(
                "the API server does not know chatrooms.chatroom.dev: install the resource definition".to_owned(),
            ),
            Rooms::Forbidden => {
                Standing::Forbidden("the service account may not list chatrooms.chatroom.dev".to_owned())
            }
            Rooms::Served if !self.forbidden.is_empty() => {
                let kinds = self.forbidden.iter().copied().collect::<Vec<_>>().join(", ");
                Standing::Forbidden(format!("the service account may not list and watch: {kinds}"))
            }
            Rooms::Served if self.rooms_listed && self.caches_synced => Standing::Watched,
            Rooms::Served => Standing::Pending("the watches have not delivered their first lists yet".to_owned()),
        }
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

    fn cluster() -> Arc<Health> {
        Health::new(&[Scope::Cluster])
    }

    fn all_well(health: &Health, scope: &Scope) {
        health.rooms_are(scope, Rooms::Served);
        health.rooms_are_listed(scope);
        health.caches_are_synced(scope);
    }

    #[test]
    fn a_reconcile_that_does_not_end_is_not_alive() {
        let health = cluster();
        let running = health.reconcile_begins();
        assert_eq!(health.alive(later(100)), Ok(()));
        assert!(health.alive(later(121)).unwrap_err().contains("reconcile"));
        drop(running);
        assert_eq!(health.alive(later(121)), Ok(()));
    }

    #[test]
    fn a_fleet_that_falls_silent_is_not_alive() {
        let [one, other] = ["team-a", "team-b"].map(|name| Scope::Namespace(name.into()));
        let health = Health::new(&[one.clone(), other.clone()]);
        assert_eq!(health.alive(later(600)), Ok(()), "it has not begun yet");
        health.fleet_moves(&one);
        health.fleet_moves(&other);
        assert!(health.alive(later(61)).unwrap_err().contains("team-a"));
    }

    #[test]
    fn a_missing_resource_definition_is_alive_and_not_ready() {
        let health = cluster();
        health.rooms_are(&Scope::Cluster, Rooms::Missing);
        assert!(health.ready().unwrap_err().contains("resource definition"));
        assert_eq!(health.alive(later(600)), Ok(()));
    }

    #[test]
    fn ready_needs_served_rooms_and_synced_caches() {
        let health = cluster();
        assert!(health.ready().is_err());
        health.rooms_are(&Scope::Cluster, Rooms::Served);
        assert!(health.ready().is_err());
        health.caches_are_synced(&Scope::Cluster);
        assert!(health.ready().is_err());
        health.rooms_are_listed(&Scope::Cluster);
        assert_eq!(health.ready(), Ok("ok".to_owned()));
    }

    #[test]
    fn a_kind_that_may_not_be_watched_is_named() {
        let health = cluster();
        health.rooms_are(&Scope::Cluster, Rooms::Served);
        health.watching_is_forbidden(&Scope::Cluster, "Pod", true);
        assert!(health.ready().unwrap_err().contains("Pod: bind"));
        health.watching_is_forbidden(&Scope::Cluster, "Pod", false);
        all_well(&health, &Scope::Cluster);
        assert!(health.ready().is_ok());
    }

    #[test]
    fn a_namespace_without_rights_is_named_and_only_stops_an_operator_that_has_no_other() {
        let [one, other] = ["team-a", "team-b"].map(|name| Scope::Namespace(name.into()));
        let health = Health::new(&[one.clone(), other.clone()]);
        all_well(&health, &one);
        assert!(health.ready().unwrap_err().contains("team-b"), "it was not asked yet");
        health.rooms_are(&other, Rooms::Forbidden);
        assert!(health.ready().unwrap().contains("team-b"));
        assert!(health.is_watched(&one) && !health.is_watched(&other));
        health.rooms_are(&one, Rooms::Forbidden);
        assert!(health.ready().unwrap_err().contains("team-a"));
        all_well(&health, &other);
        assert!(health.ready().unwrap().contains("team-a"));
        all_well(&health, &one);
        assert_eq!(health.ready(), Ok("ok".to_owned()));
    }
}
