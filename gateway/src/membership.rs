//! This gateway's standing among the replicas: its incarnation, its lease, and the sweeping of the dead.
//!
//! [`join`] starts it all. The lease keeper has a thread of its own, which the fan-out cannot starve; it renews only while
//! the main runtime is alive, so that a gateway that hangs loses its lease instead of holding dead sockets for ever.

mod clock;
mod keeper;
pub mod roster;
mod sweeper;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chatroom_settings::RedisStatus;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use self::clock::Watchdog;
pub use self::clock::{LeaseClock, StoreClock};
use self::roster::Roster;
use crate::backplane::cleanups::Cleanups;
use crate::backplane::seen::Seen;
use crate::backplane::{Backplane, BackplaneError, Peers, Position};
use crate::id::Incarnation;
use crate::metrics::Metrics;

/// What membership tells everybody else, through a `watch` channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The name of this run. It changes when the gateway was declared dead and starts again: connections of an
    /// older one have to go (1012).
    pub incarnation: Incarnation,
    /// Whether the gateway may act.
    pub standing: Standing,
    /// People in the room, as of the last lease.
    pub online: Option<u64>,
    /// Ends that the cleanup function has yet to be told of, as of the last lease of this incarnation.
    pub cleanups: Option<Cleanups>,
    /// How it stands with Redis, for `/status`.
    pub redis: RedisStatus,
    /// Credential files that are missing, and that were refused, for `/status`.
    pub missing: Vec<String>,
    /// See `missing`.
    pub refused: Vec<String>,
    /// Whether another gateway of this template is alive and not draining, and whether one of another template is.
    pub peers: Peers,
}

/// Whether a gateway may act for its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No lease yet: takes no client.
    Joining,
    /// Holds a lease: all is well.
    Leased,
    /// The last lease that was acknowledged was sent too long ago: delivers nothing, reads no client, takes no client.
    Isolated,
}

/// How often and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long a lease lasts. So long a gateway may be away without its clients noticing.
    pub lease: Duration,
    /// Between two renewals: three may be lost.
    pub renew: Duration,
    /// A main runtime that did not turn for so long hangs: no renewal.
    pub stalled: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { lease: Duration::from_secs(12), renew: Duration::from_secs(3), stalled: Duration::from_secs(5) }
    }
}

/// What membership has to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// uid of the pod, by which a restarted container recognises its predecessor. Empty: unknown.
    pub pod_uid: String,
    /// Hash of the pod template. Empty: unknown; all such gateways are of one template.
    pub template: String,
    /// Connections a pod may hold; as many ended ones are remembered, and as many ends may wait for Redis.
    pub connections: usize,
    /// Whether the room has a cleanup function: then it is owed the ends of those who are swept up.
    pub cleanup: bool,
    /// The defaults are the room's rules; tests are in a hurry.
    pub timing: Timing,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pod_uid: String::new(),
            template: String::new(),
            connections: 10_000,
            cleanup: false,
            timing: Timing::default(),
        }
    }
}

/// A gateway that joined the room, or is about to. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Joined {
    /// What everybody may know.
    pub membership: watch::Receiver<Membership>,
    /// The connections.
    pub roster: Roster,
    /// Whether the lease is held at this very moment; exact also right after a freeze, when `membership` is late.
    pub clock: LeaseClock,
    /// What time it is for the store.
    pub store_clock: StoreClock,
    /// Asks for a lease out of turn.
    pub renew: Renew,
    /// The highest places in the order that were seen.
    pub seen: Seen,
    /// Acknowledged leases.
    pub beats: watch::Receiver<Beat>,
    draining: Arc<AtomicBool>,
    leave: mpsc::Sender<oneshot::Sender<Result<u64, BackplaneError>>>,
}

/// The newest answer to a lease.
#[derive(Clone, Debug)]
pub struct Beat {
    /// Counts the answers; 0: none yet.
    pub number: u64,
    /// For whom the lease is now.
    pub incarnation: Incarnation,
    /// Where the order stood at the first lease of this incarnation: from there on it may have clients. Absent before.
    pub began: Option<Position>,
}

/// Asks the lease keeper for a lease out of turn. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Renew(Arc<Notify>);

impl Renew {
    /// Returns at once; asking twice is asking once.
    pub fn now(&self) {
        self.0.notify_one();
    }
}

impl Joined {
    /// Tells the room that this gateway is letting its clients go.
    pub fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::Relaxed);
        self.renew.now();
    }

    /// Gives the lease up, for good: the last step of a drain. Answers how many connections the registry still had;
    /// the other gateways sweep those.
    ///
    /// # Errors
    /// When Redis does not take it; the lease then runs out by itself.
    pub async fn leave(&self) -> Result<u64, BackplaneError> {
        let ended = || BackplaneError::Away("the lease keeper has ended".into());
        let (answer, left) = oneshot::channel();
        self.leave.send(answer).await.map_err(|_| ended())?;
        left.await.unwrap_or_else(|_| Err(ended()))
    }
}

/// A background task and its name, for whoever awaits it.
pub type Task = (&'static str, JoinHandle<()>);

/// Starts to join the room; needs a tokio runtime. All tasks end when `shutdown` becomes true or its sender is gone, and
/// the lease keeper also after [`Joined::leave`]; one that ends otherwise has died.
#[must_use]
pub fn join(
    backplane: &Arc<dyn Backplane>,
    settings: Settings,
    metrics: &Metrics,
    shutdown: &watch::Receiver<bool>,
) -> (Joined, Vec<Task>) {
    let incarnation = Incarnation::random();
    let (membership, membership_now) = watch::channel(Membership {
        incarnation,
        standing: Standing::Joining,
        online: None,
        cleanups: None,
        redis: RedisStatus::default(),
        missing: Vec::new(),
        refused: Vec::new(),
        peers: Peers::default(),
    });
    let (beats, beats_now) = watch::channel(Beat { number: 0, incarnation, began: None });
    let (condemned, condemned_now) = watch::channel(Vec::new());
    // One gateway leaves once.
    let (leave, leaving) = mpsc::channel(1);
    let renew = Renew::default();
    let roster = Roster::new(Arc::clone(backplane), incarnation, settings.connections, renew.clone(), metrics);
    let joined = Joined {
        membership: membership_now,
        roster: roster.clone(),
        clock: LeaseClock::new(settings.timing.lease),
        store_clock: StoreClock::default(),
        renew,
        seen: Seen::default(),
        beats: beats_now,
        draining: Arc::default(),
        leave,
    };
    let watchdog = Watchdog::new(settings.timing.stalled);
    let tick = watchdog.clone().tick(shutdown.clone());
    let sweep = sweeper::run(Arc::clone(backplane), condemned_now, settings.cleanup, metrics.clone());
    let keeper = keeper::Keeper::new(
        Arc::clone(backplane),
        settings,
        metrics.clone(),
        keeper::Doors { joined: joined.clone(), membership, beats, condemned, watchdog },
    );
    let until = shutdown.clone();
    let tasks = vec![
        ("lease keeper", tokio::task::spawn_blocking(move || keeper.run(leaving, until))),
        ("watchdog", tokio::spawn(tick)),
        ("ends", tokio::spawn(until_shutdown(shutdown.clone(), roster.write()))),
        ("sweeper", tokio::spawn(until_shutdown(shutdown.clone(), sweep))),
    ];
    (joined, tasks)
}

/// Runs the work until it ends or the gateway does.
async fn until_shutdown(mut shutdown: watch::Receiver<bool>, work: impl Future<Output = ()>) {
    let over = async move { _ = shutdown.wait_for(|over| *over).await };
    tokio::select! {
        () = over => {}
        () = work => {}
    }
}
