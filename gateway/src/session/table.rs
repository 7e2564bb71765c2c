//! Who is here: so that sessions can be counted, closed and waited for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::{oneshot, watch};
use tracing::{debug, error};

use super::AdmitError;
use super::hold::{Held, Hold};
use super::pump::Orders;
use crate::hub::Letterbox;
use crate::id::{ConnectionId, Incarnation};
use crate::message::Kind;
use crate::metrics::Metrics;
use crate::protocol::Close;

/// The sessions of this gateway.
#[derive(Debug)]
pub(super) struct Table {
    state: Mutex<State>,
    held: watch::Sender<usize>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct State {
    /// Those whom the register function is being asked about, or said yes to: what waits for them.
    holds: HashMap<ConnectionId, Hold>,
    /// Those who are registered: where to write to them, and how to close them.
    seats: HashMap<ConnectionId, Seat>,
    draining: bool,
    /// Connections of another incarnation than this one do not begin; `None`: none was ever another.
    current: Option<Incarnation>,
}

#[derive(Debug)]
struct Seat {
    letterbox: Letterbox,
    heard: Heard,
    /// Absent before the session begins, and when it was told.
    order: Option<oneshot::Sender<Close>>,
}

/// When a client was last heard. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    born: Instant,
    /// Milliseconds since.
    last: Arc<AtomicU64>,
}

impl Heard {
    fn new() -> Self {
        Self { born: Instant::now(), last: Arc::default() }
    }

    pub(super) fn now(&self) {
        let since = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(since, Ordering::Relaxed);
    }

    /// Milliseconds from the beginning of the connection.
    fn after(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }
}

/// A place for one socket, from its ticket to the end of its stream.
#[derive(Debug)]
pub(super) struct Place {
    table: Arc<Table>,
    id: ConnectionId,
}

impl Table {
    pub(super) fn new(metrics: Metrics) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), held: watch::Sender::default(), metrics })
    }

    /// Takes a place, unless `at_most` are taken: in one step, so that no burst comes between.
    pub(super) fn place(self: &Arc<Self>, id: ConnectionId, at_most: usize) -> Result<Place, AdmitError> {
        let state = self.state();
        if state.draining {
            return Err(AdmitError::Draining);
        }
        if self.count() >= at_most {
            return Err(AdmitError::Full);
        }
        self.held.send_modify(|held| *held += 1);
        self.metrics.connections.inc();
        drop(state);
        Ok(Place { table: Arc::clone(self), id })
    }

    /// Sockets held, tickets included.
    pub(super) fn count(&self) -> usize {
        *self.held.borrow()
    }

    /// Waits until no socket is held.
    pub(super) async fn emptied(&self) {
        // The sender is part of `self`, so it is there for as long as anybody can wait.
        let _ = self.held.subscribe().wait_for(|held| *held == 0).await;
    }

    /// From now on nobody begins. Says who is here.
    pub(super) fn drain(&self) -> Vec<ConnectionId> {
        let mut state = self.state();
        state.draining = true;
        state.seats.iter().filter(|(_, seat)| seat.order.is_some()).map(|(id, _)| *id).collect()
    }

    /// Keeps a push for a client that is being registered; `None`: it is not.
    pub(super) fn hold(&self, id: ConnectionId, kind: Kind, payload: &[u8]) -> Option<Held> {
        self.state().holds.get_mut(&id).map(|hold| hold.push(kind, payload))
    }

    /// Has a client that is being registered refused; answers whether it is one.
    pub(super) fn refuse(&self, id: ConnectionId) -> bool {
        self.state().holds.get_mut(&id).map(Hold::refuse).is_some()
    }

    /// Where to write to a connection that is registered here.
    pub(super) fn letterbox(&self, id: ConnectionId) -> Option<Letterbox> {
        self.state().seats.get(&id).map(|seat| seat.letterbox.clone())
    }

    /// How many milliseconds after its beginning the client was last heard. Of one that is being registered: none.
    pub(super) fn heard_after(&self, id: ConnectionId) -> Option<u64> {
        let state = self.state();
        if state.holds.contains_key(&id) {
            return Some(0);
        }
        state.seats.get(&id).filter(|seat| !seat.letterbox.is_over()).map(|seat| seat.heard.after())
    }

    /// Tells a session to close, if it is still here and was not told before.
    pub(super) fn close(&self, id: ConnectionId, close: Close) {
        if let Some(order) = self.state().seats.get_mut(&id).and_then(|seat| seat.order.take()) {
            // It is ending by itself.
            let _ = order.send(close);
        }
    }

    /// Tells all sessions of other incarnations to close, and those that are about to begin.
    pub(super) fn close_foreign(&self, current: Incarnation, close: &Close) {
        let mut state = self.state();
        state.current = Some(current);
        let foreign = state.seats.iter_mut().filter(|(id, _)| id.incarnation() != current);
        for order in foreign.filter_map(|(_, seat)| seat.order.take()) {
            let _ = order.send(close.clone());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing that holds the lock can panic")
    }
}

impl Place {
    /// Whose it is.
    pub(super) fn id(&self) -> ConnectionId {
        self.id
    }

    /// The register function hears of the client next: from here on what is pushed to it waits.
    pub(super) fn hold(&self) {
        self.table.state().holds.insert(self.id, Hold::default());
    }

    /// The client is registered: from here on it can be written to. What waited for it is written first, in one step. Answers
    /// whether the client may come in.
    pub(super) fn sit(&self, letterbox: Letterbox, mut write: impl FnMut(&Letterbox, Kind, &[u8])) -> bool {
        let mut state = self.table.state();
        let Some(held) = state.holds.remove(&self.id).unwrap_or_default().open() else { return false };
        for (kind, payload) in held {
            write(&letterbox, kind, &payload);
        }
        state.seats.insert(self.id, Seat { letterbox, heard: Heard::new(), order: None });
        true
    }

    /// The session begins: from here on it can be told to close. It is told at once when it comes too late.
    pub(super) fn begin(&self) -> (Orders, Heard) {
        debug!(connection = %self.id, "session begins");
        let (order, orders) = oneshot::channel();
        let mut state = self.table.state();
        let is_foreign = state.current.is_some_and(|current| current != self.id.incarnation());
        if state.draining || is_foreign {
            let _ = order.send(Close::Restart);
            return (Orders(Some(orders)), Heard::new());
        }
        let seat = state.seats.get_mut(&self.id).expect("who begins has a seat");
        seat.order = Some(order);
        (Orders(Some(orders)), seat.heard.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!(connection = %self.id, "session panicked");
        } else {
            debug!(connection = %self.id, "session ended");
        }
        {
            let mut state = self.table.state();
            state.holds.remove(&self.id);
            state.seats.remove(&self.id);
        }
        self.table.metrics.connections.dec();
        self.table.held.send_modify(|held| *held -= 1);
    }
}
