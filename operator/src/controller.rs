//! The reconcile of one room, step by step, and what makes it run.

pub mod apply;
pub mod errors;
pub mod memory;
pub mod notices;
pub mod observe;
pub mod pace;
pub mod publish;
pub mod report;
pub mod skip;
pub mod takeover;
pub mod validate;
pub mod watches;

use crate::controller::apply::{Attempt, apply};
use crate::controller::errors::Error;
use crate::controller::memory::Memory;
use crate::controller::observe::observe;
use crate::controller::publish::publish;
use crate::controller::report::{Plan, report};
use crate::controller::takeover::concerned;
use crate::controller::validate::validate;
use crate::controller::watches::{Stores, Watches};
use crate::decide::decide;
use crate::desired::desired;
use crate::events::Events;
use crate::fleet::{Fleet, RoomRef};
use crate::health::Health;
use crate::metrics::{CategoryLabel, Metrics, ResultLabel};
use crate::names::Names;
use crate::observed::Observed;
use crate::room::Defaults;
use chatroom_api::{ChatRoom, ChatRoomStatus};
use futures_util::{StreamExt, future, stream};
use kube::runtime::controller::{self as kube_controller, Action, Controller};
use kube::{Client, Resource, ResourceExt};
use rand::RngExt;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::{debug, warn};

/// How many rooms are reconciled at once.
const CONCURRENCY: u16 = 8;

/// How long one reconcile may take. It makes some twenty requests at most; a room that takes longer gives way to others.
pub const TIME_OUT: Duration = Duration::from_secs(60);

/// What a reconcile has at hand.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What the watches have seen.
    pub stores: Stores,
    /// What the gateways said.
    pub fleet: Fleet,
    /// What stands for the images that a room does not name.
    pub defaults: Defaults,
    /// What is remembered from one reconcile to the next.
    pub memory: Memory,
    /// Where people are told.
    pub events: Events,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where a reconcile says that it runs.
    pub health: Arc<Health>,
}

/// Brings one room about: observe, validate, decide, desired, apply, report. Answers when to look again.
///
/// # Errors
/// See [`Error`]; what it asks for, [`on_error`] decides.
pub async fn reconcile(room: Arc<ChatRoom>, context: Arc<Context>) -> Result<Action, Error> {
    if room.metadata.deletion_timestamp.is_some() {
        // The garbage collector takes the children; putting one back would hold it up.
        return Ok(Action::await_change());
    }
    let (running, began) = (context.health.reconcile_begins(), Instant::now());
    let run = Box::pin(run_once(&room, &context));
    let ended = tokio::time::timeout(TIME_OUT, run).await.unwrap_or(Err(Error::TimedOut(TIME_OUT)));
    drop(running);
    context.metrics.reconcile_seconds.observe(began.elapsed().as_secs_f64());
    let result = if ended.is_ok() { "ok" } else { "error" };
    context.metrics.reconciles.get_or_create(&ResultLabel { result }).inc();
    ended
}

async fn run_once(room: &ChatRoom, context: &Context) -> Result<Action, Error> {
    let room = context.memory.with_written_status(room);

    let observed = observe(&room, context).await?;
    let attempt = match validate(&room, &context.defaults) {
        Err(invalid) => Attempt::refused(invalid),
        Ok(valid) => {
            let decision = decide(&valid, &observed);
            let plan = Plan { names: Names::new(&valid.identity), room: valid, decision };
            let resources = desired(&plan.names, &plan.room, &plan.decision);
            Box::pin(apply(context, plan, &resources)).await
        }
    };
    let status = report(&room, &attempt.outcome, &observed, jiff::Timestamp::now());

    Box::pin(conclude(context, &room, &observed, attempt, status)).await
}

/// Tells and writes what came of it, and says when to look again.
async fn conclude(
    context: &Context,
    room: &ChatRoom,
    observed: &Observed,
    attempt: Attempt,
    status: ChatRoomStatus,
) -> Result<Action, Error> {
    let reference = room.object_ref(&());
    for notice in notices::of_deeds(&attempt.deeds, room, observed) {
        context.events.tell(&reference, notice).await;
    }
    let published = publish(context, room, &status).await;
    // What could not be written is a transition again next time, and told then.
    if published.is_ok() {
        for notice in notices::of_transition(room.status.as_ref(), &status) {
            context.events.tell(&reference, notice).await;
        }
    }
    if let Some(error) = attempt.error {
        return Err(error);
    }
    published?;
    context.memory.succeeded(room.metadata.uid.as_deref().unwrap_or_default());
    Ok(Action::requeue(pace::next_look(&status, luck())))
}

/// When to try again after an error, by what the error asks for.
#[allow(clippy::needless_pass_by_value, reason = "the controller hands it over by value")]
pub fn on_error(room: Arc<ChatRoom>, error: &Error, context: Arc<Context>) -> Action {
    let category = error.category();
    context.metrics.errors.get_or_create(&CategoryLabel { category: category.label() }).inc();
    let uid = room.metadata.uid.as_deref().unwrap_or_default();
    let wait = match category.retry() {
        Some(wait) => pace::jittered(wait, luck()),
        None => context.memory.wait_after_failure(uid, luck()),
    };
    warn!(
        room = room.name_any(),
        namespace = room.namespace(),
        category = category.label(),
        error = error.story(),
        retry_in = ?wait,
        "failed to bring a room about"
    );
    Action::requeue(wait)
}

/// Reconciles rooms until `shutdown` resolves and the reconciles that run then have ended.
pub async fn run(
    context: Arc<Context>,
    watches: Watches,
    triggers: mpsc::Receiver<RoomRef>,
    shutdown: impl Future<Output = ()> + Send + Sync + 'static,
) {
    let Watches { rooms, config_maps, service_accounts, services, deployments, budgets, pods } = watches;
    let triggers = stream::unfold(triggers, |mut queue| async move { Some((queue.recv().await?, queue)) });
    Controller::for_stream(rooms, context.stores.rooms.clone())
        // No debounce: it waits for quiet, and a room in trouble has none.
        .with_config(kube_controller::Config::default().concurrency(CONCURRENCY))
        .watches_stream(config_maps, |child| concerned(&child))
        .watches_stream(service_accounts, |child| concerned(&child))
        .watches_stream(services, |child| concerned(&child))
        .watches_stream(deployments, |child| concerned(&child))
        .watches_stream(budgets, |child| concerned(&child))
        // Pods point to no room; their store is filled by whoever polls their stream, which is done here.
        .watches_stream(pods, |_| None)
        .reconcile_on(triggers)
        .graceful_shutdown_on(shutdown)
        .run(reconcile, on_error, Arc::clone(&context))
        .for_each(|ended| {
            match ended {
                Ok((room, action)) => debug!(%room, ?action, "a reconcile ended"),
                // `on_error` has logged it.
                Err(kube_controller::Error::ReconcilerFailed(..)) => {}
                // The children of a deleted room go after it and ask for it once more: time to forget it.
                Err(kube_controller::Error::ObjectNotFound(_)) => context.forget_gone_rooms(),
                Err(error) => warn!(%error, "the controller stumbled"),
            }
            future::ready(())
        })
        .await;
}

impl Context {
    fn forget_gone_rooms(&self) {
        let uids: HashSet<_> = self.stores.rooms.state().iter().filter_map(|room| room.uid()).collect();
        self.memory.keep_only(|uid| uids.contains(uid));
    }
}

fn luck() -> f64 {
    rand::rng().random()
}
