//! The last work of a draining gateway: its own ends that Redis did not take, and what is due.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::{info, warn};

use super::{AT_ONCE, Looked, Worker, Written, hasten_all, heard, until};
use crate::backplane::cleanups::{Settled, Settlement};
use crate::cleanup::health::Heard;
use crate::cleanup::schedule::{self, Next};
use crate::functions::Told;
use crate::id::ConnectionId;

/// The last gateway of a room waits so long for what is tried again soon: nobody else will, perhaps for ever.
const SOON: Duration = Duration::from_secs(6);

impl Worker {
    /// See [`crate::cleanup::Cleanup::work_off`].
    pub(super) async fn work_off(&mut self, deadline: Instant) -> usize {
        let mut told = HashSet::new();
        let work = async {
            self.tell_owed(&mut told).await;
            self.empty_queue().await;
        };
        let in_time = timeout_at(deadline, work).await.is_ok();
        let left = self.parts.host.owed().iter().filter(|(id, _)| !told.contains(id)).count();
        info!(in_time, told_directly = told.len(), left, "the ends of connections are worked off");
        left
    }

    /// Tells this gateway's own ends that Redis did not take. Without a lease as well: nobody else knows of them, and whoever
    /// sweeps this gateway up tells them under the same ID.
    async fn tell_owed(&self, told: &mut HashSet<ConnectionId>) {
        let mut again: HashMap<ConnectionId, (u64, Instant)> = HashMap::new();
        loop {
            let owed = self.parts.host.owed().into_iter().map(|(id, _)| id).filter(|id| !told.contains(id));
            let owed: Vec<_> = owed.map(|id| (again.get(&id).map_or_else(Instant::now, |(_, at)| *at), id)).collect();
            let Some(next) = owed.iter().map(|(at, _)| *at).min() else { break };
            sleep_until(next).await;
            let now = Instant::now();
            let mut due = owed.into_iter().filter(|(at, _)| *at <= now).map(|(_, id)| id);
            let first = due.next().expect("the earliest is due");
            let answer = self.parts.callee.tell(first).await;
            // A function that is down is not asked for each of them.
            let others = if heard(&answer) == Heard::Silence { Vec::new() } else { due.collect() };
            let calls = stream::iter(others).map(|id| async move { (id, self.parts.callee.tell(id).await) });
            let mut answers: Vec<_> = calls.buffer_unordered(AT_ONCE).collect().await;
            answers.push((first, answer));
            for (id, answer) in answers {
                self.told_directly(id, answer, told, &mut again);
            }
        }
        if !told.is_empty() && self.parts.host.may_act() {
            // Redis is back, and may hear of these ends yet: so that it makes no events of them.
            let done = |id: &ConnectionId| Settled { id: *id, tries: 0, outcome: Settlement::Done };
            if let Err(error) = self.parts.backplane.settle(told.iter().map(done).collect()).await {
                warn!(%error, "ends that were told directly may be told again");
            }
        }
    }

    fn told_directly(
        &self,
        id: ConnectionId,
        answer: Told,
        told: &mut HashSet<ConnectionId>,
        again: &mut HashMap<ConnectionId, (u64, Instant)>,
    ) {
        let Told::Failed { answered: _, retry_after, why } = answer else {
            told.insert(id);
            return self.told();
        };
        self.tell_problem(why);
        self.count("postponed");
        let tries = again.get(&id).map_or(0, |(tries, _)| *tries) + 1;
        if let Next::Later(wait) = schedule::next(tries, Duration::ZERO, retry_after, 0.0) {
            again.insert(id, (tries, Instant::now() + wait));
        }
    }

    /// Goes on until nothing is due and nothing is in hand.
    async fn empty_queue(&mut self) {
        let peers = self.parts.membership.borrow().peers;
        let is_last = peers.same_template_staying + peers.other_template_staying == 0;
        if is_last && self.parts.host.may_act() {
            let backplane = std::sync::Arc::clone(&self.parts.backplane);
            self.writing.spawn(async move {
                hasten_all(&*backplane).await;
                Written { due_in: Some(Duration::ZERO) }
            });
        }
        loop {
            self.look_now();
            let looked = self.look().await;
            if self.calls.is_empty() && self.is_done(&looked, is_last) {
                return;
            }
            let look_at = self.next_look();
            tokio::select! {
                () = self.progress() => {}
                () = until(look_at) => {}
            }
        }
    }

    fn is_done(&self, looked: &Looked, is_last: bool) -> bool {
        // What is not written by now, nobody takes.
        if !self.parts.host.may_act() {
            return true;
        }
        let is_soon = |next: Duration| next.is_zero() || (is_last && (next <= SOON || self.health.is_down()));
        self.writing.is_empty()
            && match looked {
                Looked::Away => false,
                Looked::NotNow => self.health.is_down() && !is_last,
                Looked::Next(next) => !next.is_some_and(is_soon),
            }
    }
}
