//! The composition root: builds the rooms of the program, owns every task, ends them in order.

use crate::controller::Context;
use crate::controller::gate::Gate;
use crate::controller::memory::Memory;
use crate::controller::run;
use crate::controller::watches::{Lookout, Stores, Watches};
use crate::events::Events;
use crate::fleet::{self, Fleet, Poll};
use crate::health::Health;
use crate::limit::limited;
use crate::metrics::{self, Metrics};
use crate::room::Defaults;
use crate::scope::Scope;
use crate::served::rooms_are_served;
use crate::web;
use chatroom_settings::names::ports;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use kube::{Client, Config};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tracing::{info, warn};

/// How long the reconciles that run at the end may take; less than the 30 s that Kubernetes gives a pod by default. What is
/// cut off is taken up by the next operator: every run begins anew.
const GRACE: Duration = Duration::from_secs(25);

/// Resolves when the program shall stop.
type Shutdown = Shared<BoxFuture<'static, ()>>;

/// What the program is made of.
pub struct Parts {
    /// The API server.
    pub client: Client,
    /// What is watched, each on its own; at least one.
    pub scopes: Vec<Scope>,
    /// The port for probes and metrics.
    pub listener: TcpListener,
    /// What stands for the images that a room does not name.
    pub defaults: Defaults,
    /// Name of the operator's pod.
    pub pod_name: Option<String>,
}

/// The API server, as far away as it may be: nothing waits for ever.
///
/// # Errors
/// When no cluster is configured, or its credentials cannot be read.
pub async fn client() -> anyhow::Result<Client> {
    let mut config = Config::infer().await?;
    config.connect_timeout = Some(Duration::from_secs(10));
    config.write_timeout = Some(Duration::from_secs(30));
    // Longer than a watch is silent, which ends itself after five minutes without a word.
    config.read_timeout = Some(Duration::from_secs(330));
    config.reset_reader_on_write = true;
    // Retries inside one request would eat the time of the whole reconcile; each room has its own back-off.
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// Runs until `shutdown` resolves, then lets the reconciles that run end.
///
/// # Errors
/// When one of the tasks ended before it was asked to: then nothing of the program would be right any more.
pub async fn run(parts: Parts, shutdown: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
    let shutdown: Shutdown = shutdown.boxed().shared();
    let mut tasks = spawn(parts, &shutdown);
    // Whoever ends first says which: the signal, or a task that was not asked to.
    tokio::select! {
        biased;
        () = shutdown.clone() => info!("stopping: running reconciles may end"),
        Some(ended) = tasks.join_next() => {
            let name = whole(ended)?;
            if shutdown.peek().is_none() {
                anyhow::bail!("{name} ended without being asked to");
            }
        }
    }
    let rest = async {
        while let Some(ended) = tasks.join_next().await {
            whole(ended)?;
        }
        anyhow::Ok(())
    };
    match tokio::time::timeout(GRACE, rest).await {
        Ok(ended) => ended,
        Err(_) => {
            warn!(grace = ?GRACE, "running reconciles took too long and are cut off");
            Ok(())
        }
    }
}

/// What all scopes have in common.
struct Common {
    client: Client,
    defaults: Defaults,
    events: Events,
    gate: Gate,
    /// How many gateways of one scope are asked at once.
    gateways_at_once: usize,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
}

type Tasks = JoinSet<anyhow::Result<&'static str>>;

fn spawn(parts: Parts, shutdown: &Shutdown) -> Tasks {
    let Parts { client, scopes, listener, defaults, pod_name } = parts;
    let health = Health::new(&scopes);
    // A store has one watch that fills it, so every scope has its own.
    let stores: Vec<_> = scopes.iter().map(|_| Stores::new()).collect();
    let rooms: Vec<_> = stores.iter().map(|(stores, _)| stores.rooms.clone()).collect();
    let metrics =
        Metrics::new(move || metrics::phases(&rooms.iter().flat_map(|rooms| rooms.state()).collect::<Vec<_>>()));
    let client = limited(client, Arc::clone(&metrics));
    let common = Common {
        events: Events::new(client.clone(), pod_name),
        client,
        defaults,
        gate: Gate::new(run::CONCURRENCY),
        gateways_at_once: fleet::at_once(scopes.len()),
        metrics: Arc::clone(&metrics),
        health: Arc::clone(&health),
    };

    let mut tasks = Tasks::new();
    let serving = web::serve(listener, health, metrics, shutdown.clone());
    tasks.spawn(async move { Ok(serving.await.map(|()| "the port for probes and metrics")?) });
    for (scope, (stores, writers)) in scopes.into_iter().zip(stores) {
        let lookout = Lookout::new(scope, &common.health, &common.metrics);
        let watches = Watches::begin(&common.client, writers, &lookout);
        spawn_scope(&common, lookout, stores, watches, shutdown, &mut tasks);
    }
    tasks
}

/// The fleet and the controller of one scope.
fn spawn_scope(
    common: &Common,
    lookout: Lookout,
    stores: Stores,
    watches: Watches,
    shutdown: &Shutdown,
    tasks: &mut Tasks,
) {
    let fleet = Fleet::default();
    let (triggers, triggered) = mpsc::channel(fleet::TRIGGERS);
    let poll = Poll {
        scope: lookout.scope().clone(),
        at_once: common.gateways_at_once,
        pods: stores.pods.clone(),
        rooms: stores.rooms.clone(),
        port: ports::INTERNAL,
        triggers,
        health: Arc::clone(&common.health),
        metrics: Arc::clone(&common.metrics),
    };
    let context = Arc::new(Context {
        client: common.client.clone(),
        stores,
        fleet: fleet.clone(),
        gate: common.gate.clone(),
        defaults: common.defaults.clone(),
        memory: Memory::default(),
        events: common.events.clone(),
        metrics: Arc::clone(&common.metrics),
        health: Arc::clone(&common.health),
    });
    let pods_are_known = {
        let context = Arc::clone(&context);
        async move { context.stores.wait_until_ready().await }
    };
    let polling = fleet.run(poll, pods_are_known, shutdown.clone());
    tasks.spawn(async move {
        polling.await;
        Ok("the fleet")
    });
    let controlling = control(context, lookout, watches, triggered, shutdown.clone());
    tasks.spawn(async move {
        controlling.await;
        Ok("the controller")
    });
}

/// Waits for the resource definition, then reconciles.
async fn control(
    context: Arc<Context>,
    lookout: Lookout,
    watches: Watches,
    triggered: mpsc::Receiver<fleet::RoomRef>,
    shutdown: Shutdown,
) {
    tokio::select! {
        () = rooms_are_served(&context.client, &lookout) => {}
        () = shutdown.clone() => return,
    }
    let synced = async {
        // Fails only when the watches end, and then so does the controller.
        if context.stores.wait_until_ready().await.is_ok() {
            lookout.caches_are_synced();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = run::run(Arc::clone(&context), watches, triggered, shutdown) => {}
        () = synced => {}
    }
}

/// A task that panicked takes the program with it.
fn whole(ended: Result<anyhow::Result<&'static str>, JoinError>) -> anyhow::Result<&'static str> {
    match ended {
        Ok(ended) => ended,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(error) => Err(error.into()),
    }
}
