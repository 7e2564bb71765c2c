//! The lease keeper: connects, renews, and tells everybody how it stands.
//!
//! It also makes the connection for commands, and its runtime drives it. So a lease shares the connection with what is
//! published (one connection fewer a pod, and "lease first" on a new one comes for free), and still nothing that the main
//! runtime does can delay it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chatroom_settings::{RedisState, RedisStatus};
use rand::RngExt as _;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};

use super::clock::Watchdog;
use super::roster::Change;
use super::{Beat, Joined, Membership, Settings, Standing};
use crate::backplane::{Backplane, BackplaneError, Lease, LeaseAnswer, LeaseRequest, Peers, Position};
use crate::id::Incarnation;
use crate::metrics::{ByResult, Metrics};

/// Shortest time between two connections: a connection that is made and lost at once must not become a hot loop.
const RECONNECT: Duration = Duration::from_secs(1);
/// Longest time between two tries while Redis is away: soon enough that nobody notices once it is back.
const LONGEST_AWAY: Duration = Duration::from_millis(2_500);
/// Between two tries while somebody has to change something.
const REFUSED: Duration = Duration::from_secs(5);
/// Shortest time between two leases, however often one is asked for.
const SHORTEST_BEAT: Duration = Duration::from_millis(50);

/// Who asks the keeper to give the lease up.
pub(super) type Leaving = mpsc::Receiver<oneshot::Sender<Result<u64, BackplaneError>>>;

/// What the keeper writes to and hears from.
pub(super) struct Doors {
    pub(super) joined: Joined,
    pub(super) membership: watch::Sender<Membership>,
    pub(super) beats: watch::Sender<Beat>,
    pub(super) condemned: watch::Sender<Vec<Incarnation>>,
    pub(super) watchdog: Watchdog,
}

pub(super) struct Keeper {
    backplane: Arc<dyn Backplane>,
    settings: Settings,
    metrics: Metrics,
    doors: Doors,
    incarnation: Incarnation,
    /// The registry and the server's run as of the last lease.
    known: Option<(Arc<str>, Arc<str>)>,
    connected_at: Option<Instant>,
    connected: bool,
    /// Tries that failed in a row.
    failures: u32,
}

impl Keeper {
    pub(super) fn new(backplane: Arc<dyn Backplane>, settings: Settings, metrics: Metrics, doors: Doors) -> Self {
        let incarnation = doors.joined.membership.borrow().incarnation;
        Self {
            backplane,
            settings,
            metrics,
            doors,
            incarnation,
            known: None,
            connected_at: None,
            connected: false,
            failures: 0,
        }
    }

    /// Keeps the lease until the gateway ends or leaves. Blocks: for a thread of its own.
    ///
    /// # Panics
    /// When the system has no resources for a runtime.
    pub(super) fn run(self, leaving: Leaving, shutdown: watch::Receiver<bool>) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("the system has a timer and a poller to give")
            .block_on(super::until_shutdown(shutdown, self.keep(leaving)));
    }

    async fn keep(mut self, mut leaving: Leaving) {
        loop {
            let pause = self.round().await;
            match self.attend(self.wait(pause, &mut leaving)).await {
                Woken::Due => {}
                Woken::Lost => {
                    self.connected = false;
                    self.report(&BackplaneError::Away("the connection to Redis was lost".into()));
                }
                Woken::Leave(answer) => {
                    let left = self.backplane.leave(self.incarnation).await;
                    // Whoever asked may have stopped waiting; the lease is given up all the same.
                    let _ = answer.send(left);
                    return;
                }
            }
        }
    }

    async fn wait(&self, pause: Duration, leaving: &mut Leaving) -> Woken {
        let due = tokio::time::sleep(pause);
        tokio::pin!(due);
        if !self.connected {
            // Asking for a lease out of turn does not bring Redis back.
            return tokio::select! {
                () = due => Woken::Due,
                Some(answer) = leaving.recv() => Woken::Leave(answer),
            };
        }
        tokio::time::sleep(SHORTEST_BEAT).await;
        tokio::select! {
            () = due => Woken::Due,
            () = self.doors.joined.renew.0.notified() => Woken::Due,
            () = self.backplane.disconnected() => Woken::Lost,
            Some(answer) = leaving.recv() => Woken::Leave(answer),
        }
    }

    /// One try to hold the lease; answers when the next one is due.
    async fn round(&mut self) -> Duration {
        if !self.connected {
            let wait = self.connected_at.map_or(Duration::ZERO, |at| RECONNECT.saturating_sub(at.elapsed()));
            self.attend(tokio::time::sleep(wait)).await;
            self.connected_at = Some(Instant::now());
            let backplane = Arc::clone(&self.backplane);
            if let Err(error) = self.attend(backplane.connect()).await {
                return self.failed(&error);
            }
            self.connected = true;
            self.metrics.redis_connects.inc();
            self.doors.joined.roster.changed(Change::Connection);
        }
        if self.attend(self.doors.watchdog.has_stalled()).await {
            error!("the main runtime stands still: the lease is not renewed");
            self.count("withheld");
            return self.settings.timing.renew;
        }
        let (sent, request) = (Instant::now(), self.request());
        let backplane = Arc::clone(&self.backplane);
        match self.attend(backplane.lease(request)).await {
            Ok(LeaseAnswer::Leased(lease)) => {
                self.leased(sent, lease);
                self.settings.timing.renew
            }
            Ok(LeaseAnswer::Fenced) => {
                self.fenced();
                Duration::ZERO
            }
            Err(error) => {
                self.connected = false;
                self.failed(&error)
            }
        }
    }

    /// Awaits something, and notices meanwhile when the lease runs out.
    async fn attend<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            let runs_out = self.doors.joined.clock.runs_out();
            let isolated = self.doors.membership.borrow().standing != Standing::Leased;
            let isolation = async {
                match runs_out {
                    Some(at) if !isolated => tokio::time::sleep_until(at.into()).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                outcome = &mut work => return outcome,
                () = isolation => self.isolate(),
            }
        }
    }

    fn request(&self) -> LeaseRequest {
        LeaseRequest {
            incarnation: self.incarnation,
            length: self.settings.timing.lease,
            born: self.known.as_ref().map(|(born, _)| Arc::clone(born)),
            pod_uid: self.settings.pod_uid.clone(),
            template: self.settings.template.clone(),
            draining: self.doors.joined.draining.load(Ordering::Relaxed),
            seen: self.doors.joined.seen.all(),
        }
    }

    fn leased(&mut self, sent: Instant, lease: Lease) {
        let Lease { born, run, online, condemned, cleanups, peers, position, time } = lease;
        self.failures = 0;
        self.count("ok");
        self.metrics.redis_connected.set(1);
        self.metrics.online.set(i64::try_from(online).unwrap_or(i64::MAX));
        self.metrics.cleanups_waiting.set(i64::try_from(cleanups.waiting).unwrap_or(i64::MAX));
        self.metrics.cleanups_dead.set(i64::try_from(cleanups.dead).unwrap_or(i64::MAX));
        self.metrics.isolated.set(0);
        if let Some((known_born, known_run)) = &self.known
            && (*known_born != born || *known_run != run)
        {
            warn!(data_lost = *known_born != born, "another Redis, or one that started again: writing my connections");
            self.doors.joined.roster.changed(Change::Server);
        }
        self.known = Some((born, run));
        self.doors.joined.seen.observe(&position.epoch, position.seq);
        // First, so that whoever sees a lease also sees whose it is.
        self.beat(Some(position));
        self.doors.joined.store_clock.shows(sent, time);
        self.doors.joined.clock.acknowledged(sent);
        let redis = match self.backplane.trouble() {
            Some(message) => RedisStatus { state: RedisState::Unsuitable, message },
            None => self.backplane.healthy(),
        };
        // Looked at with each lease, so that a Secret that was deleted is told long before a connection needs it.
        let missing: Vec<_> = self.backplane.missing_credential().map(str::to_owned).into_iter().collect();
        if !missing.is_empty() && self.doors.membership.borrow().missing.is_empty() {
            warn!(file = missing[0], "a credential is gone: this connection holds, the next one cannot be made");
        }
        let before = self.tell(|membership| {
            membership.standing = Standing::Leased;
            membership.online = Some(online);
            membership.cleanups = Some(cleanups);
            membership.peers = peers;
            membership.redis = redis;
            membership.missing = missing;
            membership.refused.clear();
        });
        if before != Standing::Leased {
            info!(incarnation = %self.incarnation, online, "the lease is held");
        }
        if !condemned.is_empty() {
            self.doors.condemned.send_replace(condemned);
        }
    }

    fn fenced(&mut self) {
        self.count("fenced");
        let dead = std::mem::replace(&mut self.incarnation, Incarnation::random());
        warn!(%dead, incarnation = %self.incarnation, "this gateway was declared dead and starts anew");
        self.known = None;
        self.doors.joined.clock.forget();
        self.doors.joined.roster.start_anew(self.incarnation);
        let incarnation = self.incarnation;
        self.tell(|membership| {
            membership.incarnation = incarnation;
            membership.standing = Standing::Joining;
            membership.online = None;
            membership.cleanups = None;
            membership.peers = Peers::default();
        });
        self.beat(None);
    }

    fn failed(&mut self, error: &BackplaneError) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.count("failed");
        self.report(error);
        // Spread, so that the gateways of a fleet do not all come back in the same moment.
        pause(error, self.failures).mul_f64(rand::rng().random_range(0.8..1.2))
    }

    fn report(&self, error: &BackplaneError) {
        warn!(%error, "Redis does not serve");
        self.metrics.redis_connected.set(0);
        self.tell(|membership| {
            membership.redis = error.status();
            membership.missing.clear();
            membership.refused.clear();
            match error {
                BackplaneError::CredentialsMissing(file) => membership.missing.push((*file).to_owned()),
                BackplaneError::CredentialsRefused { file, .. } => membership.refused.push((*file).to_owned()),
                BackplaneError::Away(_) | BackplaneError::Unanswered(_) | BackplaneError::Unsuitable(_) => {}
            }
        });
    }

    fn isolate(&self) {
        warn!(incarnation = %self.incarnation, "the lease ran out: standing still until Redis answers");
        self.metrics.isolated.set(1);
        self.tell(|membership| {
            membership.standing = Standing::Isolated;
            membership.online = None;
        });
    }

    fn beat(&self, position: Option<Position>) {
        self.doors.beats.send_modify(|beat| {
            beat.number += 1;
            if beat.incarnation != self.incarnation {
                (beat.incarnation, beat.began) = (self.incarnation, None);
            }
            beat.began = beat.began.take().or(position);
        });
    }

    /// Publishes what is new, and answers the standing before.
    fn tell(&self, change: impl FnOnce(&mut Membership)) -> Standing {
        let before = self.doors.membership.borrow().clone();
        let mut after = before.clone();
        change(&mut after);
        self.doors.membership.send_if_modified(|membership| {
            let differs = *membership != after;
            *membership = after;
            differs
        });
        before.standing
    }

    fn count(&self, result: &'static str) {
        self.metrics.leases.get_or_create(&ByResult { result }).inc();
    }
}

/// Pure: how long to wait after the `failures`-th failure in a row, 1 or more.
fn pause(error: &BackplaneError, failures: u32) -> Duration {
    match error {
        BackplaneError::Away(_) | BackplaneError::Unanswered(_) => (RECONNECT * failures.min(10)).min(LONGEST_AWAY),
        BackplaneError::CredentialsMissing(_)
        | BackplaneError::CredentialsRefused { .. }
        | BackplaneError::Unsuitable(_) => REFUSED,
    }
}

enum Woken {
    Due,
    Lost,
    Leave(oneshot::Sender<Result<u64, BackplaneError>>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_that_is_away_is_asked_again_after_a_second_and_never_later_than_somebody_would_notice() {
        let away = BackplaneError::Away("connection refused".into());
        let pauses = [1, 2, 3, u32::MAX].map(|failures| pause(&away, failures).as_millis());
        assert_eq!(pauses, [1_000, 2_000, 2_500, 2_500]);
    }

    #[test]
    fn what_somebody_has_to_mend_is_looked_at_every_five_seconds() {
        assert_eq!(pause(&BackplaneError::CredentialsMissing("redis/url"), 1), Duration::from_secs(5));
    }
}
