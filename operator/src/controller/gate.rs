//! How many rooms are brought about at once, in all namespaces together, and which goes next.
//!
//! The controllers of the namespaces start as many reconciles as they like; this is where they wait. A room that somebody has
//! just edited goes before those that are only looked at again, which may be all of them after a start.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{oneshot, watch};

/// Lets a number of reconciles run at a time. Cheap to clone; all clones are the same gate.
///
/// Nobody is turned away: each room waits at most once, so there are never more who wait than rooms.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    line: Mutex<Line>,
    closed: watch::Sender<bool>,
}

#[derive(Debug)]
struct Line {
    free: usize,
    waiting: VecDeque<Waiting>,
}

/// Somebody who waits.
struct Waiting {
    is_urgent: Box<dyn Fn() -> bool + Send>,
    go: oneshot::Sender<Pass>,
}

/// A place, which is free again when this is dropped.
#[derive(Debug)]
pub struct Pass(Option<Gate>);

impl Gate {
    /// With this many places.
    #[must_use]
    pub fn new(places: usize) -> Self {
        let line = Mutex::new(Line { free: places, waiting: VecDeque::new() });
        Self(Arc::new(Inner { line, closed: watch::Sender::new(false) }))
    }

    /// Waits for a place, first come, first served, but for the urgent. Whether somebody is, is asked anew whenever a place
    /// becomes free: a room may be edited while it waits. `None` when the gate is closed.
    pub async fn enter(&self, is_urgent: impl Fn() -> bool + Send + 'static) -> Option<Pass> {
        let pass = {
            let mut line = self.line();
            if *self.0.closed.borrow() {
                return None;
            }
            if line.free > 0 {
                line.free -= 1;
                return Some(Pass(Some(self.clone())));
            }
            let (go, pass) = oneshot::channel();
            line.waiting.push_back(Waiting { is_urgent: Box::new(is_urgent), go });
            pass
        };
        pass.await.ok()
    }

    /// Lets nobody in any more; who waits is sent away. Whoever is inside may end.
    pub fn close(&self) {
        self.0.closed.send_replace(true);
        let waiting = mem::take(&mut self.line().waiting);
        drop(waiting);
    }

    /// Resolves when the gate is closed.
    pub async fn closed(&self) {
        // Fails only when the sender is gone, which is a part of this.
        let _ = self.0.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Somebody has left: the place goes to the next.
    fn hand_on(&self) {
        let mut line = self.line();
        loop {
            let urgent = line.waiting.iter().position(|waiting| (waiting.is_urgent)());
            let Some(next) = line.waiting.remove(urgent.unwrap_or(0)) else {
                line.free += 1;
                return;
            };
            match next.go.send(Pass(Some(self.clone()))) {
                Ok(()) => return,
                // Gave up waiting. The place was never taken, so nothing is to be given back.
                Err(mut pass) => drop(pass.0.take()),
            }
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Every method leaves the line whole, so a panic elsewhere does not spoil it.
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(gate) = self.0.take() {
            gate.hand_on();
        }
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Poll;

    fn entered(polled: Poll<Option<Pass>>) -> Option<Pass> {
        match polled {
            Poll::Ready(pass) => pass,
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn only_so_many_are_inside_and_the_first_who_waits_is_next() {
        let gate = Gate::new(2);
        let inside = (gate.enter(|| false).await.unwrap(), gate.enter(|| false).await.unwrap());
        let (mut first, mut second) = (pin!(gate.enter(|| false)), pin!(gate.enter(|| false)));
        assert!(poll!(&mut first).is_pending());
        assert!(poll!(&mut second).is_pending());
        drop(inside.0);
        assert!(poll!(&mut second).is_pending());
        assert!(entered(poll!(&mut first)).is_some());
    }

    #[tokio::test]
    async fn who_becomes_urgent_while_waiting_goes_first() {
        let gate = Gate::new(1);
        let inside = gate.enter(|| false).await.unwrap();
        let edited = Arc::new(AtomicBool::new(false));
        let is_edited = Arc::clone(&edited);
        let (mut resync, mut edit) =
            (pin!(gate.enter(|| false)), pin!(gate.enter(move || is_edited.load(Ordering::Relaxed))));
        assert!(poll!(&mut resync).is_pending());
        assert!(poll!(&mut edit).is_pending());
        edited.store(true, Ordering::Relaxed);
        drop(inside);
        assert!(poll!(&mut resync).is_pending());
        assert!(entered(poll!(&mut edit)).is_some());
    }

    #[tokio::test]
    async fn a_place_is_never_lost() {
        let gate = Gate::new(1);
        let inside = gate.enter(|| false).await.unwrap();
        {
            let mut gave_up = pin!(gate.enter(|| false));
            assert!(poll!(&mut gave_up).is_pending());
        }
        {
            let mut called_and_gone = pin!(gate.enter(|| false));
            assert!(poll!(&mut called_and_gone).is_pending());
            drop(inside);
        }
        let mut last = pin!(gate.enter(|| false));
        assert!(entered(poll!(&mut last)).is_some());
    }

    #[tokio::test]
    async fn a_closed_gate_sends_everybody_away_but_who_is_inside() {
        let gate = Gate::new(1);
        let inside = gate.enter(|| false).await.unwrap();
        let mut waiting = pin!(gate.enter(|| false));
        assert!(poll!(&mut waiting).is_pending());
        gate.close();
        gate.closed().await;
        assert!(matches!(poll!(&mut waiting), Poll::Ready(None)));
        drop(inside);
        assert!(gate.enter(|| true).await.is_none());
    }
}
