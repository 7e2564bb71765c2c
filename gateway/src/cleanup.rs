//! Tells the cleanup function of ends: claims those that are due, calls, and settles what came of it.
//!
//! The queue is the room's (see [`crate::backplane::cleanups`]); every gateway works on it. An end is told at least once,
//! always under the ID of its connection: whoever is killed in between leaves a claim that lapses.

pub mod dead;
mod health;
mod schedule;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use chatroom_settings::CleanupStatus;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::worker::Worker;
use crate::backplane::Backplane;
use crate::functions::{Functions, Told};
use crate::id::ConnectionId;
use crate::membership::{Joined, Membership};
use crate::metrics::Metrics;

/// Whom ends are told to.
pub trait Callee: Send + Sync + 'static {
    /// Tells of one end, once; answers within [`Callee::timeout`].
    fn tell(&self, id: ConnectionId) -> BoxFuture<'static, Told>;

    /// How long a call may take.
    fn timeout(&self) -> Duration;
}

impl Callee for Functions {
    fn tell(&self, id: ConnectionId) -> BoxFuture<'static, Told> {
        let functions = self.clone();
        Box::pin(async move { functions.cleanup(id).await })
    }

    fn timeout(&self) -> Duration {
        self.cleanup_timeout()
    }
}

/// What the worker has to know of its own gateway.
pub trait Host: Send + Sync + 'static {
    /// Whether the gateway holds its lease at this very moment. Without, it calls nobody: others may have taken over.
    fn may_act(&self) -> bool;

    /// Counts the ends that this gateway handed over to the queue.
    fn handed_over(&self) -> watch::Receiver<u64>;

    /// Ends of this gateway that the queue has not taken, with the details of the connection.
    fn owed(&self) -> Vec<(ConnectionId, String)>;
}

impl Host for Joined {
    fn may_act(&self) -> bool {
        self.clock.holds()
    }

    fn handed_over(&self) -> watch::Receiver<u64> {
        self.roster.handed_over()
    }

    fn owed(&self) -> Vec<(ConnectionId, String)> {
        self.roster.owed()
    }
}

/// What the worker works with.
pub struct Parts {
    /// Where the queue is.
    pub backplane: Arc<dyn Backplane>,
    /// Whom to tell.
    pub callee: Arc<dyn Callee>,
    /// Whose worker it is.
    pub host: Arc<dyn Host>,
    /// How the gateway stands with the room: says when something is due, and whether others are left to do it.
    pub membership: watch::Receiver<Membership>,
    /// Where it is counted.
    pub metrics: Metrics,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Nothing of the callee: it holds signing keys.
        formatter.debug_struct("Parts").field("backplane", &self.backplane).finish_non_exhaustive()
    }
}

/// A handle to the worker; cloning shares it.
#[derive(Clone, Debug)]
pub struct Cleanup {
    drain: mpsc::Sender<(Instant, oneshot::Sender<usize>)>,
    problem: watch::Receiver<String>,
    membership: watch::Receiver<Membership>,
}

/// Starts the worker. It ends when `shutdown` becomes true or its sender is gone.
#[must_use]
pub fn start(parts: Parts, mut shutdown: watch::Receiver<bool>) -> (Cleanup, JoinHandle<()>) {
    // A gateway drains once.
    let (drain, drains) = mpsc::channel(1);
    let problem = watch::Sender::new(String::new());
    let cleanup = Cleanup { drain, problem: problem.subscribe(), membership: parts.membership.clone() };
    let worker = Worker::new(parts, problem);
    let task = tokio::spawn(async move {
        tokio::select! {
            _ = shutdown.wait_for(|over| *over) => {}
            () = worker.run(drains) => {}
        }
    });
    (cleanup, task)
}

impl Cleanup {
    /// The last work of a draining gateway, when its ends are written: goes on until nothing is due and nothing is in its
    /// hands, at most until the deadline. What is put off is left to the other gateways; the last one of a room tries all of it
    /// once. Ends that the queue did not take are told directly. Answers how many of those could not be told.
    ///
    /// Afterwards the worker rests.
    pub async fn work_off(&self, deadline: Instant) -> usize {
        let (answer, left) = oneshot::channel();
        // A worker that has ended has nothing left to do.
        if self.drain.send((deadline, answer)).await.is_err() {
            return 0;
        }
        left.await.unwrap_or(0)
    }

    /// How it stands, for `/status`; absent before the first lease.
    #[must_use]
    pub fn status(&self) -> Option<CleanupStatus> {
        let counts = self.membership.borrow().cleanups?;
        Some(CleanupStatus { waiting: counts.waiting, dead: counts.dead, problem: self.problem.borrow().clone() })
    }
}
