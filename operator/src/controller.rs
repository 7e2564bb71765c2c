//! The reconcile of one room, step by step.

pub mod apply;
pub mod errors;
pub mod gate;
pub mod memory;
pub mod notices;
pub mod observe;
pub mod pace;
pub mod publish;
pub mod report;
pub mod run;
pub mod skip;
pub mod takeover;
pub mod validate;
pub mod watches;
pub mod way_back;

use crate::annotations::Annotations;
use crate::controller::apply::{Attempt, apply};
use crate::controller::errors::Error;
use crate::controller::gate::{Gate, Pass};
use crate::controller::memory::Memory;
use crate::controller::observe::observe;
use crate::controller::publish::publish;
use crate::controller::report::{Plan, report};
use crate::controller::validate::validate;
use crate::controller::watches::Stores;
use crate::decide::decide;
use crate::desired::desired;
use crate::events::Events;
use crate::fleet::Fleet;
use crate::health::Health;
use crate::metrics::{CategoryLabel, Metrics, ResultLabel};
use crate::names::Names;
use crate::observed::Observed;
use crate::room::Defaults;
use chatroom_api::{ChatRoom, ChatRoomStatus};
use kube::runtime::controller::Action;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource, ResourceExt};
use rand::RngExt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::warn;

/// How long one reconcile may take. It makes some twenty requests at most; a room that takes longer gives way to others.
pub const TIME_OUT: Duration = Duration::from_secs(60);

/// What a reconcile has at hand. There is one for each scope that is watched: stores, fleet and memory are its own, the rest is
/// shared by all.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What the watches have seen.
    pub stores: Stores,
    /// What the gateways said.
    pub fleet: Fleet,
    /// Where reconciles wait for their turn.
    pub gate: Gate,
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
    let Some(_pass) = wait_for_a_turn(&room, &context).await? else {
        return Ok(Action::await_change());
    };
    // It may have changed, and even gone, while it waited.
    let room = context.stores.rooms.get(&ObjectRef::from_obj(room.as_ref()));
    let Some(room) = room.filter(|room| room.metadata.deletion_timestamp.is_none()) else {
        // The garbage collector takes the children; putting one back would hold it up.
        return Ok(Action::await_change());
    };
    let (running, began) = (context.health.reconcile_begins(), Instant::now());
    let run = Box::pin(run_once(&room, &context));
    let ended = tokio::time::timeout(TIME_OUT, run).await.unwrap_or(Err(Error::TimedOut(TIME_OUT)));
    drop(running);
    context.metrics.reconcile_seconds.observe(began.elapsed().as_secs_f64());
    let result = if ended.is_ok() { "ok" } else { "error" };
    context.metrics.reconciles.get_or_create(&ResultLabel { result }).inc();
    ended
}

/// A place at the gate, or `None` when the operator stops. Whoever has nothing to look at yet waits outside: a namespace whose
/// watches do not come up must not take the places of the others.
async fn wait_for_a_turn(room: &ChatRoom, context: &Context) -> Result<Option<Pass>, Error> {
    let (rooms, reference) = (context.stores.rooms.clone(), ObjectRef::from_obj(room));
    let turn = async {
        context.stores.wait_until_ready().await?;
        context.fleet.wait_until_asked().await;
        Ok(context.gate.enter(move || is_news(&rooms, &reference)).await)
    };
    context.metrics.reconciles_waiting.inc();
    let turn = tokio::select! {
        turn = turn => turn,
        () = context.gate.closed() => Ok(None),
    };
    context.metrics.reconciles_waiting.dec();
    turn
}

/// Whether somebody has edited the room, or made it, and waits for what comes of it.
fn is_news(rooms: &Store<ChatRoom>, room: &ObjectRef<ChatRoom>) -> bool {
    rooms.get(room).is_some_and(|room| {
        room.metadata.generation != room.status.as_ref().and_then(|status| status.observed_generation)
    })
}

async fn run_once(room: &ChatRoom, context: &Context) -> Result<Action, Error> {
    let room = context.memory.with_written_status(room);

    let observed = observe(&room, context);
    let attempt = if Annotations::of(&room).paused {
        Attempt::left_alone()
    } else {
        Box::pin(carry_out(&room, &observed, context)).await
    };
    let status = report(&room, &attempt.outcome, &observed, jiff::Timestamp::now());

    Box::pin(conclude(context, &room, &observed, attempt, status)).await
}

/// Validate, decide, desired, apply.
async fn carry_out(room: &ChatRoom, observed: &Observed, context: &Context) -> Attempt {
    match validate(room, &context.defaults) {
        Err(invalid) => Attempt::refused(invalid),
        Ok(valid) => {
            let decision = decide(&valid, observed);
            let plan = Plan { names: Names::new(&valid.identity), room: valid, decision };
            let resources = desired(&plan.names, &plan.room, &plan.decision);
            Box::pin(apply(context, plan, &resources)).await
        }
    }
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
    let uid = room.metadata.uid.as_deref().unwrap_or_default();
    let complaints = context.memory.unheard(uid, Annotations::of(room).complaints);
    let told =
        notices::of_deeds(&attempt.deeds, room, observed).into_iter().chain(notices::of_complaints(complaints, room));
    for notice in told {
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
    context.memory.succeeded(uid);
    Ok(Action::requeue(pace::next_look(&status, luck())))
}

/// When to try again after an error, by what the error asks for.
#[allow(clippy::needless_pass_by_value, reason = "the controller hands it over by value")]
pub fn on_error(room: Arc<ChatRoom>, error: &Error, context: Arc<Context>) -> Action {
    let category = error.category();
    context.metrics.errors.get_or_create(&CategoryLabel { category: category.label() }).inc();
    let uid = room.metadata.uid.as_deref().unwrap_or_default();
    let wait = pace::after_failure(category, context.memory.failed(uid, category), luck());
    let wait = error.retry_after().map_or(wait, |asked_for| wait.max(asked_for));
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

fn luck() -> f64 {
    rand::rng().random()
}
