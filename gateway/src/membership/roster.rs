//! The connections of this gateway as the room knows them: registered before the client hears "yes", and ended for sure.

mod state;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tracing::debug;

pub(super) use self::state::Change;
use self::state::{Ended, Live, Owed, State, Step};
use super::Renew;
use crate::backplane::{Backplane, BackplaneError, Entry, RegisterAnswer, RegisterMode};
use crate::id::{ConnectionId, Incarnation};
use crate::metrics::Metrics;

/// Between two tries; the backplane itself waits for its connection.
const RETRY: Duration = Duration::from_millis(200);

/// A handle; cloning shares the roster.
#[derive(Clone, Debug)]
pub struct Roster(Arc<Shared>);

/// Why a connection could not be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// Redis did not take it in time: come back later.
    #[error("the registry is unavailable")]
    Unavailable,
    /// The gateway was declared dead between minting the ID and registering it.
    #[error("the gateway was fenced")]
    Fenced,
}

/// What the registry keeps of a connection, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// Milliseconds since 1970 by this gateway's clock.
    pub connected_at: u64,
    /// The peer's IP address.
    pub address: String,
    /// The `User-Agent` header, at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

#[derive(Debug)]
struct Shared {
    backplane: Arc<dyn Backplane>,
    renew: Renew,
    metrics: Metrics,
    /// Ends that may wait, and ends that are remembered.
    most: usize,
    state: Mutex<State>,
    work: Notify,
    /// Ends that are not acknowledged.
    outstanding: watch::Sender<usize>,
    /// Ends that the cleanup function is owed and Redis took.
    handed_over: watch::Sender<u64>,
}

impl Roster {
    pub(super) fn new(
        backplane: Arc<dyn Backplane>,
        incarnation: Incarnation,
        most: usize,
        renew: Renew,
        metrics: &Metrics,
    ) -> Self {
        Self(Arc::new(Shared {
            backplane,
            renew,
            metrics: metrics.clone(),
            most: most.max(1),
            state: Mutex::new(State::new(incarnation)),
            work: Notify::new(),
            outstanding: watch::Sender::new(0),
            handed_over: watch::Sender::new(0),
        }))
    }

    /// A new ID under the incarnation of now.
    #[must_use]
    pub fn mint(&self) -> ConnectionId {
        self.0.state().incarnation.random_connection()
    }

    /// Registers a connection; from then on it counts. Answers within the command time-out of the backplane.
    ///
    /// Dropping the future ends the connection.
    ///
    /// # Errors
    /// See [`RegisterError`]. The connection must then be refused; it does not have to be ended.
    pub async fn register(&self, id: ConnectionId, details: Details) -> Result<(), RegisterError> {
        self.enter(id, details, RegisterMode::Direct).await
    }

    /// The first of two steps of a registration: the connection is known, so that it is swept up after a crash, but does not
    /// count. As [`Roster::register`] else.
    ///
    /// # Errors
    /// See [`RegisterError`].
    pub async fn announce(&self, id: ConnectionId, details: Details) -> Result<(), RegisterError> {
        self.enter(id, details, RegisterMode::Pending).await
    }

    /// The second step: from now on the connection counts. It has to be ended also when this fails: its register function said
    /// yes.
    ///
    /// # Errors
    /// See [`RegisterError`].
    pub async fn confirm(&self, id: ConnectionId) -> Result<(), RegisterError> {
        let shared = &self.0;
        let (rewrites, details) = {
            let state = shared.state();
            let Some(live) = state.live.get(&id) else { return Err(RegisterError::Fenced) };
            (state.rewrites, live.details.to_string())
        };
        let entries = vec![Entry { id, details }];
        let outcome = shared.backplane.register(id.incarnation(), RegisterMode::Confirm, entries).await;
        let mut state = shared.state();
        match outcome {
            Ok(RegisterAnswer::Registered) => {}
            // Swept up by others, or lost by Redis: it is ended with its event, which is written once for an ID.
            Ok(RegisterAnswer::Gone | RegisterAnswer::Fenced) => {
                shared.renew.now();
                return Err(RegisterError::Fenced);
            }
            Err(error) => {
                debug!(%id, %error, "a connection could not be confirmed, it is ended");
                return Err(RegisterError::Unavailable);
            }
        }
        let again = state.rewrites != rewrites;
        let Some(live) = state.live.get_mut(&id) else { return Err(RegisterError::Fenced) };
        live.pending = false;
        if again {
            // It may have been written again as one that does not count.
            state.rewrite.push(id);
        }
        drop(state);
        if again {
            shared.changed();
        }
        Ok(())
    }

    async fn enter(&self, id: ConnectionId, details: Details, mode: RegisterMode) -> Result<(), RegisterError> {
        let details = serde_json::to_string(&details).expect("numbers and strings are always JSON");
        let shared = &self.0;
        let rewrites = {
            let mut state = shared.state();
            if state.incarnation != id.incarnation() {
                return Err(RegisterError::Fenced);
            }
            // Ends pile up while Redis is away. A pod takes on no more than it can remember to take back.
            if state.waiting.len() >= shared.most {
                return Err(RegisterError::Unavailable);
            }
            let pending = mode == RegisterMode::Pending;
            state.live.insert(id, Live { details: details.as_str().into(), pending });
            state.rewrites
        };
        let attempt = Attempt { shared, id, rewrites, doubtful: true };
        let outcome = shared.backplane.register(id.incarnation(), mode, vec![Entry { id, details }]).await;
        attempt.finish(outcome)
    }

    /// Ends a connection. Returns at once; the end is written as soon as Redis takes it, and written again after
    /// Redis changed under it. Idempotent. `owed`: whether the cleanup function has to be told.
    pub fn end(&self, id: ConnectionId, owed: bool) {
        self.0.end(id, false, owed);
    }

    /// Waits until every end is written, at most until the deadline. Answers how many are not.
    pub async fn flush(&self, deadline: Instant) -> usize {
        let mut outstanding = self.0.outstanding.subscribe();
        let written = outstanding.wait_for(|outstanding| *outstanding == 0);
        // Whether it was in time shows in what is left.
        let _ = tokio::time::timeout_at(deadline.into(), written).await;
        *self.0.outstanding.borrow()
    }

    /// Ends that the cleanup function is owed, with the details of the connection, and that Redis has not taken yet.
    #[must_use]
    pub fn owed(&self) -> Vec<(ConnectionId, String)> {
        let state = self.0.state();
        let ends = state.waiting.iter().chain(&state.in_flight).map(Ended::end);
        ends.filter_map(|end| Some((end.id, end.event?))).collect()
    }

    /// Counts the ends that Redis took and that the cleanup function is owed.
    #[must_use]
    pub fn handed_over(&self) -> watch::Receiver<u64> {
        self.0.handed_over.subscribe()
    }

    /// Connections that are registered, or being registered.
    #[must_use]
    pub fn live(&self) -> usize {
        self.0.state().live.len()
    }

    /// What is known of a connection that is registered here.
    #[must_use]
    pub fn details(&self, id: ConnectionId) -> Option<Details> {
        let details = Arc::clone(&self.0.state().live.get(&id)?.details);
        Some(serde_json::from_str(&details).expect("it was written by `register`"))
    }

    /// The connections of the incarnation before belong to whoever sweeps it.
    pub(super) fn start_anew(&self, incarnation: Incarnation) {
        *self.0.state() = State::new(incarnation);
        self.0.changed();
    }

    pub(super) fn changed(&self, change: Change) {
        self.0.state().changed(change);
        self.0.changed();
    }

    /// Writes what has to be written, one script after the other: so an end never overtakes its rewritten registration.
    pub(super) async fn write(self) {
        let shared = self.0;
        loop {
            let step = shared.state().next(Instant::now());
            shared.report();
            match step {
                Step::Idle(until) => shared.rest(until).await,
                Step::Rewrite(me, mode, entries) => {
                    let ids = entries.iter().map(|entry| entry.id).collect();
                    let outcome = shared.backplane.register(me, mode, entries).await;
                    shared.rewritten(me, ids, outcome).await;
                }
                Step::Ends(me, ended) => {
                    let ends = ended.iter().map(Ended::end).collect();
                    let outcome = shared.backplane.unregister(me, ends, true).await;
                    shared.ended(me, ended, outcome).await;
                }
            }
        }
    }
}

/// A registration under way. Dropped before its outcome is known, it ends the connection.
struct Attempt<'a> {
    shared: &'a Shared,
    id: ConnectionId,
    /// As of its beginning.
    rewrites: u64,
    doubtful: bool,
}

impl Attempt<'_> {
    fn finish(mut self, outcome: Result<RegisterAnswer, BackplaneError>) -> Result<(), RegisterError> {
        match outcome {
            Ok(RegisterAnswer::Registered) => {
                self.doubtful = false;
                let current = self.shared.state().incarnation;
                if current == self.id.incarnation() { Ok(()) } else { Err(RegisterError::Fenced) }
            }
            Ok(RegisterAnswer::Gone | RegisterAnswer::Fenced) => {
                self.forget();
                self.shared.renew.now();
                Err(RegisterError::Fenced)
            }
            Err(BackplaneError::Unanswered(error)) => {
                debug!(id = %self.id, error, "a registration was not answered, the connection is ended");
                Err(RegisterError::Unavailable)
            }
            // Nothing was done, so there is nothing to end.
            Err(_) => {
                self.forget();
                Err(RegisterError::Unavailable)
            }
        }
    }

    /// Nothing was registered, unless all connections were written again meanwhile, this one among them.
    fn forget(&mut self) {
        let mut state = self.shared.state();
        self.doubtful = state.rewrites != self.rewrites;
        if !self.doubtful {
            state.live.remove(&self.id);
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.doubtful {
            // Nobody was let in or asked.
            self.shared.end(self.id, true, false);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding the roster")
    }

    fn end(&self, id: ConnectionId, doubtful: bool, owed: bool) {
        {
            let mut state = self.state();
            let Some(live) = state.live.remove(&id) else { return };
            let doubtful = doubtful || state.late_until.is_some_and(|late| Instant::now() < late);
            let owed = owed.then_some(Owed { details: live.details, handed_over: false });
            state.waiting.push_back(Ended { id, doubtful, owed });
        }
        self.changed();
    }

    fn changed(&self) {
        self.report();
        self.work.notify_one();
    }

    fn report(&self) {
        let outstanding = {
            let state = self.state();
            state.waiting.len() + state.in_flight.len()
        };
        self.metrics.ends_waiting.set(i64::try_from(outstanding).unwrap_or(i64::MAX));
        self.outstanding.send_replace(outstanding);
    }

    async fn rest(&self, until: Option<Instant>) {
        let work = self.work.notified();
        match until {
            // Whichever comes first: the next step is looked for anyway.
            Some(until) => _ = tokio::time::timeout_at(until.into(), work).await,
            None => work.await,
        }
    }

    async fn rewritten(
        &self,
        me: Incarnation,
        ids: Vec<ConnectionId>,
        outcome: Result<RegisterAnswer, BackplaneError>,
    ) {
        match outcome {
            Ok(RegisterAnswer::Registered) => {}
            // The keeper finds out what that means, and starts the rewriting or the gateway anew.
            Ok(RegisterAnswer::Gone | RegisterAnswer::Fenced) => self.renew.now(),
            Err(error) => {
                debug!(%error, "failed to write my connections, trying again");
                self.state().unwritten(me, ids, &error, Instant::now());
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    async fn ended(&self, me: Incarnation, ended: Vec<Ended>, outcome: Result<u64, BackplaneError>) {
        let failed = outcome.is_err();
        let owed = ended.iter().filter(|ended| ended.end().event.is_some()).count() as u64;
        if owed > 0 && !failed {
            self.handed_over.send_modify(|handed_over| *handed_over += owed);
        }
        self.state().written(me, ended, failed, self.most, Instant::now());
        if let Err(error) = outcome {
            debug!(%error, "failed to write ends, trying again");
            tokio::time::sleep(RETRY).await;
        }
    }
}
