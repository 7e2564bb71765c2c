//! Two clocks: whether the lease is held at this moment, and whether the main runtime is alive.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Tells whether a lease is held: the last acknowledged one was *sent* at most one length ago. Cloning shares it.
///
/// It asks the monotonic clock at every look. A process that was frozen thus knows that it is late before any of its tasks
/// had a turn to say so.
#[derive(Clone, Debug)]
pub struct LeaseClock {
    origin: Instant,
    length: Duration,
    /// Milliseconds from `origin` until the lease runs out; 0: none is held.
    runs_out: Arc<AtomicU64>,
}

impl LeaseClock {
    pub(super) fn new(length: Duration) -> Self {
        Self { origin: Instant::now(), length, runs_out: Arc::default() }
    }

    /// Whether the gateway may act for its clients.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.holds_at(Instant::now())
    }

    /// How long a lease lasts.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.length
    }

    fn holds_at(&self, now: Instant) -> bool {
        self.runs_out().is_some_and(|runs_out| now < runs_out)
    }

    /// When the lease runs out, or ran out; nothing while there was none.
    #[must_use]
    pub fn runs_out(&self) -> Option<Instant> {
        match self.runs_out.load(Ordering::Acquire) {
            0 => None,
            milliseconds => Some(self.origin + Duration::from_millis(milliseconds)),
        }
    }

    pub(super) fn acknowledged(&self, sent: Instant) {
        let runs_out = (sent + self.length).saturating_duration_since(self.origin).as_millis();
        self.runs_out.store(u64::try_from(runs_out).unwrap_or(u64::MAX).max(1), Ordering::Release);
    }

    pub(super) fn forget(&self) {
        self.runs_out.store(0, Ordering::Release);
    }
}

/// The store's clock, as the last lease showed it. Cloning shares it.
///
/// Never behind: the answer's time counts from when the lease was asked for. So a deadline may seem to be past a little too
/// early, by at most the time that the lease took, and never too late.
#[derive(Clone, Debug, Default)]
pub struct StoreClock(Arc<Mutex<Option<(Instant, u64)>>>);

impl StoreClock {
    /// The store's milliseconds now; absent before the first lease.
    #[must_use]
    pub fn now(&self) -> Option<u64> {
        let (sent, time) = (*self.shown())?;
        Some(time.saturating_add(u64::try_from(sent.elapsed().as_millis()).unwrap_or(u64::MAX)))
    }

    pub(super) fn shows(&self, sent: Instant, time: u64) {
        *self.shown() = Some((sent, time));
    }

    fn shown(&self) -> MutexGuard<'_, Option<(Instant, u64)>> {
        self.0.lock().expect("nobody panics while holding the clock")
    }
}

/// How often the main runtime shows that it is alive: several times within the shortest time in which it is missed.
const TICKS: u32 = 10;

/// Tells whether the main runtime still turns. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Watchdog {
    origin: Instant,
    patience: Duration,
    /// Milliseconds from `origin` to the last sign of life.
    last: Arc<AtomicU64>,
}

impl Watchdog {
    pub(super) fn new(patience: Duration) -> Self {
        Self { origin: Instant::now(), patience, last: Arc::default() }
    }

    /// Shows that the runtime that polls this is alive.
    pub(super) async fn tick(self, mut shutdown: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(self.between_ticks());
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let over = shutdown.wait_for(|over| *over);
        tokio::pin!(over);
        loop {
            tokio::select! {
                _ = &mut over => return,
                _ = ticks.tick() => self.alive_at(Instant::now()),
            }
        }
    }

    fn alive_at(&self, now: Instant) {
        let since = now.saturating_duration_since(self.origin).as_millis();
        self.last.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Whether the main runtime hangs. After the whole process was frozen it only looks so, until it had its turn: it gets
    /// the time of one tick to show that it is alive.
    pub(super) async fn has_stalled(&self) -> bool {
        if !self.is_stalled_at(Instant::now()) {
            return false;
        }
        tokio::time::sleep(self.between_ticks()).await;
        self.is_stalled_at(Instant::now())
    }

    fn between_ticks(&self) -> Duration {
        self.patience / TICKS
    }

    fn is_stalled_at(&self, now: Instant) -> bool {
        let last = self.origin + Duration::from_millis(self.last.load(Ordering::Relaxed));
        now.saturating_duration_since(last) > self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(12);

    #[test]
    fn a_lease_counts_from_when_it_was_sent() {
        let clock = LeaseClock::new(LEASE);
        let sent = clock.origin + Duration::from_secs(100);
        assert!(!clock.holds_at(sent));
        clock.acknowledged(sent);
        assert!(clock.holds_at(sent + LEASE - Duration::from_millis(1)));
        assert!(!clock.holds_at(sent + LEASE));
        clock.forget();
        assert!(!clock.holds_at(sent));
    }

    #[test]
    fn the_clock_of_the_store_goes_on_from_when_its_time_was_asked_for() {
        let clock = StoreClock::default();
        assert_eq!(clock.now(), None);
        clock.shows(Instant::now() - Duration::from_secs(100), 5_000);
        assert!(clock.now() >= Some(105_000));
    }

    #[test]
    fn a_runtime_that_shows_no_life_is_stalled() {
        let watchdog = Watchdog::new(Duration::from_secs(5));
        let later = watchdog.origin + Duration::from_secs(6);
        assert!(watchdog.is_stalled_at(later));
        watchdog.alive_at(later);
        assert!(!watchdog.is_stalled_at(later + Duration::from_secs(5)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_was_frozen_as_a_whole_does_not_blame_its_runtime() {
        let frozen =
            || Watchdog { origin: Instant::now() - Duration::from_secs(20), ..Watchdog::new(Duration::from_secs(5)) };
        assert!(frozen().has_stalled().await);
        let thawed = frozen();
        let over = watch::Sender::new(false);
        let ticks = thawed.clone().tick(over.subscribe());
        tokio::select! {
            stalled = thawed.has_stalled() => assert!(!stalled),
            () = ticks => {}
        }
    }
}
