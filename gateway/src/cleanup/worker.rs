//! The worker: one task that claims, and a task for each call and each outcome that has to be written.

mod drain;

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info, warn};

use super::Parts;
use super::health::{Health, Heard, News};
use super::schedule::{self, Next};
use crate::backplane::cleanups::{Claim, Claiming, Claims, Settlement};
use crate::backplane::{Answer, Backplane};
use crate::functions::Told;
use crate::membership::Standing;
use crate::metrics::ByResult;

/// Calls at once: enough to tell thousands of ends in half a minute, few enough for a small function.
const AT_ONCE: usize = 16;
/// An event is hidden for so much longer than its call may take: for what Redis takes to hear what came of it.
const SLACK: Duration = Duration::from_secs(5);
/// Between two tries while Redis does not answer.
const RETRY: Duration = Duration::from_secs(1);
/// Events that are made due in one step, which blocks Redis for about a millisecond; and the pause between two.
const HASTEN: usize = 500;
const HASTEN_PAUSE: Duration = Duration::from_millis(5);

pub(super) struct Worker {
    parts: Parts,
    problem: watch::Sender<String>,
    health: Health,
    calls: JoinSet<Called>,
    /// Outcomes that are being written. They hold their slot, so that what is claimed stays few while Redis is away.
    writing: JoinSet<Written>,
    /// When there may be something to claim; absent: whoever brings something says so.
    look_at: Option<Instant>,
    /// Nothing is claimed before: Redis was away, or the lease ran out.
    rests_until: Instant,
}

/// A call that has ended.
struct Called {
    claim: Claim,
    began: Instant,
    told: Told,
}

/// What was written to the queue.
struct Written {
    /// When there is something to claim because of it.
    due_in: Option<Duration>,
}

/// What came of looking for something to do.
enum Looked {
    /// The queue cannot be reached, or must not.
    Away,
    /// So it stands: how long until there may be more than was claimed; absent: never.
    Next(Option<Duration>),
    /// It was not the time, or there was no slot free.
    NotNow,
}

impl Worker {
    pub(super) fn new(parts: Parts, problem: watch::Sender<String>) -> Self {
        Self {
            parts,
            problem,
            health: Health::default(),
            calls: JoinSet::new(),
            writing: JoinSet::new(),
            look_at: Some(Instant::now()),
            rests_until: Instant::now(),
        }
    }

    pub(super) async fn run(mut self, mut drains: mpsc::Receiver<(Instant, oneshot::Sender<usize>)>) {
        let mut handed_over = self.parts.host.handed_over();
        let mut membership = self.parts.membership.clone();
        loop {
            self.look().await;
            let look_at = self.next_look();
            tokio::select! {
                () = self.progress() => {}
                () = until(look_at) => {}
                Ok(()) = handed_over.changed() => self.look_now(),
                Ok(()) = membership.changed() => {
                    let now = membership.borrow_and_update();
                    if now.standing == Standing::Leased && now.cleanups.is_some_and(|counts| counts.due > 0) {
                        self.look_now();
                    }
                }
                Some((deadline, answer)) = drains.recv() => {
                    let left = self.work_off(deadline).await;
                    // Whoever asked may have stopped waiting.
                    let _ = answer.send(left);
                    return std::future::pending().await;
                }
            }
        }
    }

    /// Takes in what has ended; never ends while nothing is under way.
    async fn progress(&mut self) {
        tokio::select! {
            Some(called) = self.calls.join_next() => self.called(called.expect("a call does not panic")),
            Some(written) = self.writing.join_next() => {
                if let Some(wait) = written.expect("writing does not panic").due_in {
                    self.look_again(wait);
                }
            }
            else => std::future::pending().await,
        }
    }

    /// Claims what is due, if this is the time for it, and begins to tell it.
    async fn look(&mut self) -> Looked {
        let now = Instant::now();
        let probes = self.health.is_down();
        if self.next_look().is_none_or(|at| at > now) {
            return Looked::NotNow;
        }
        if !self.parts.host.may_act() {
            self.rests_until = now + RETRY;
            return Looked::Away;
        }
        let hidden_for = self.parts.callee.timeout() + SLACK;
        let at_most = if probes { 1 } else { self.free() };
        let claiming = Claiming { at_most, hidden_for, early: probes };
        match self.parts.backplane.claim(claiming).await {
            Ok(Claims { events, next }) => {
                self.look_at = next.map(|next| Instant::now() + next);
                match (probes && events.is_empty(), next) {
                    (true, None) => self.health.forget(),
                    (true, Some(_)) => self.health.not_probed(Instant::now().into_std()),
                    (false, _) => {}
                }
                events.into_iter().for_each(|claim| self.tell(claim));
                Looked::Next(next)
            }
            Err(error) => {
                // The lease keeper reports what is wrong with Redis.
                debug!(%error, "failed to claim ends, trying again");
                self.rests_until = Instant::now() + RETRY;
                Looked::Away
            }
        }
    }

    fn tell(&mut self, claim: Claim) {
        // The answer to the claim may have taken long.
        if !self.parts.host.may_act() {
            return self.write(false, &claim, Settlement::Later(Duration::ZERO));
        }
        let callee = Arc::clone(&self.parts.callee);
        self.calls.spawn(async move {
            let began = Instant::now();
            let told = callee.tell(claim.id).await;
            Called { claim, began, told }
        });
    }

    fn called(&mut self, called: Called) {
        let Called { claim, began, told } = called;
        let (now, took) = (Instant::now(), began.elapsed());
        let news = self.health.heard(heard(&told), began.into_std(), now.into_std());
        match news {
            News::None => {}
            News::Down => warn!("the cleanup function does not answer: trying one end at a time until it does"),
            News::Back => info!("the cleanup function is back: telling everything that waits"),
        }
        let outcome = match told {
            Told::Done | Told::Unwanted => {
                self.told();
                Settlement::Done
            }
            Told::Failed { answered: _, retry_after, why } => {
                let chance = rand::rng().random_range(-1.0..=1.0);
                debug!(id = %claim.id, tries = claim.tries, why, "the cleanup function could not be told of an end");
                self.tell_problem(why.clone());
                match schedule::next(claim.tries, claim.since_first + took, retry_after, chance) {
                    Next::Later(wait) => {
                        self.count("postponed");
                        Settlement::Later(wait)
                    }
                    Next::GiveUp => {
                        warn!(id = %claim.id, tries = claim.tries, why, "the cleanup function is told no more of an end");
                        self.count("buried");
                        Settlement::Bury(why)
                    }
                }
            }
        };
        self.write(news == News::Back, &claim, outcome);
    }

    fn told(&self) {
        self.count("delivered");
        self.tell_problem(String::new());
    }

    fn tell_problem(&self, problem: String) {
        self.problem.send_if_modified(|before| {
            let differs = *before != problem;
            *before = problem;
            differs
        });
    }

    /// Writes what became of a claim, however long that takes: an end that was told must not be told again.
    fn write(&mut self, hasten: bool, claim: &Claim, outcome: Settlement) {
        let backplane = Arc::clone(&self.parts.backplane);
        let wait = if let Settlement::Later(wait) = outcome { Some(wait) } else { None };
        let settled = vec![claim.settled(outcome)];
        self.writing.spawn(async move {
            // First, so that what is put off just now is not among what is hastened.
            if hasten {
                hasten_all(&*backplane).await;
            }
            repeat(|| backplane.settle(settled.clone())).await;
            Written { due_in: if hasten { Some(Duration::ZERO) } else { wait } }
        });
    }

    fn free(&self) -> usize {
        AT_ONCE.saturating_sub(self.calls.len() + self.writing.len())
    }

    /// When to claim next; absent: not before something else happens.
    fn next_look(&self) -> Option<Instant> {
        let at = match self.health.probe_at() {
            Some(_) if !self.calls.is_empty() => None,
            Some(probe_at) => Some(Instant::from_std(probe_at)),
            None => self.look_at,
        };
        at.filter(|_| self.free() > 0).map(|at| at.max(self.rests_until))
    }

    fn look_now(&mut self) {
        self.look_again(Duration::ZERO);
    }

    fn look_again(&mut self, after: Duration) {
        let at = Instant::now() + after;
        self.look_at = Some(self.look_at.map_or(at, |before| before.min(at)));
    }

    fn count(&self, result: &'static str) {
        self.parts.metrics.cleanups.get_or_create(&ByResult { result }).inc();
    }
}

fn heard(told: &Told) -> Heard {
    match told {
        Told::Done | Told::Unwanted => Heard::Taken,
        Told::Failed { answered: true, .. } => Heard::Refused,
        Told::Failed { answered: false, .. } => Heard::Silence,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn hasten_all(backplane: &dyn Backplane) {
    while repeat(|| backplane.hasten(HASTEN)).await == HASTEN as u64 {
        sleep(HASTEN_PAUSE).await;
    }
}

/// Calls until there is an answer.
async fn repeat<'a, T>(call: impl Fn() -> Answer<'a, T>) -> T {
    loop {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => {
                debug!(%error, "failed to write what became of ends, trying again");
                sleep(RETRY).await;
            }
        }
    }
}
