//! Who is here: so that sessions can be counted, closed and waited for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{oneshot, watch};
use tracing::{debug, error};

use super::AdmitError;
use super::pump::Orders;
use crate::id::{ConnectionId, Incarnation};
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
    /// How to close each session that has not been told to close.
    orders: HashMap<ConnectionId, oneshot::Sender<Close>>,
    draining: bool,
    /// Connections of another incarnation than this one do not begin; `None`: none was ever another.
    current: Option<Incarnation>,
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
        state.orders.keys().copied().collect()
    }

    /// Tells a session to close, if it is still here and was not told before.
    pub(super) fn close(&self, id: ConnectionId, close: Close) {
        if let Some(order) = self.state().orders.remove(&id) {
            // It is ending by itself.
            let _ = order.send(close);
        }
    }

    /// Tells all sessions of other incarnations to close, and those that are about to begin.
    pub(super) fn close_foreign(&self, current: Incarnation, close: Close) {
        let mut state = self.state();
        state.current = Some(current);
        for (_, order) in state.orders.extract_if(|id, _| id.incarnation() != current) {
            let _ = order.send(close);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing that holds the lock can panic")
    }
}

impl Place {
    /// The session begins: from here on it can be told to close. It is told at once when it comes too late.
    pub(super) fn begin(&self) -> Orders {
        debug!(connection = %self.id, "session begins");
        let (order, orders) = oneshot::channel();
        let mut state = self.table.state();
        let is_foreign = state.current.is_some_and(|current| current != self.id.incarnation());
        if state.draining || is_foreign {
            let _ = order.send(Close::Restart);
        } else {
            state.orders.insert(self.id, order);
        }
        Orders(Some(orders))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!(connection = %self.id, "session panicked");
        } else {
            debug!(connection = %self.id, "session ended");
        }
        self.table.state().orders.remove(&self.id);
        self.table.metrics.connections.dec();
        self.table.held.send_modify(|held| *held -= 1);
    }
}
