//! What happened this time → the room's status. Pure: the clock is an argument.

mod cleanup;
mod functions;
mod gateways;
mod obstacle;
mod online;
mod progress;
mod push;
mod redis;
mod settings;

use chatroom_api::{ChatRoom, ChatRoomStatus, condition};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;

use self::gateways::Gateways;
use crate::conditions::{Judgement, conditions, find};
use crate::decide::Decision;
use crate::desired::{live, push_secret};
use crate::names::{Component, Names, keys};
use crate::observed::Observed;
use crate::room::{Invalid, Room};

/// What was to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The room's names.
    pub names: Names,
    /// The valid room.
    pub room: Room,
    /// What was decided.
    pub decision: Decision,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "there is one for each reconcile, and it is not moved about")]
pub enum Outcome {
    /// Everything stands as it should.
    Applied(Applied),
    /// The ChatRoom cannot be carried out; nothing was written.
    Invalid(Invalid),
    /// Nothing was tried: the room's annotation says that it shall be left alone.
    Paused,
    /// Something could not be written.
    Failed(Plan, ApplyFailure),
}

/// Everything stands as it should.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// What was to be done.
    pub plan: Plan,
    /// The live Deployment of the gateways, after it was written (or found right).
    pub deployment: Deployment,
    /// The live Deployment of the room's own Redis, if it has one.
    pub redis: Option<Deployment>,
}

/// Something could not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyFailure {
    /// Kind and name: `Deployment lobby`.
    pub object: String,
    /// What kind of failure.
    pub kind: FailureKind,
    /// What the API server said; for [`FailureKind::ForeignObject`] who owns it.
    pub message: String,
}

/// What can go wrong, as far as it makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Somebody else has an object of that name. Permanent.
    ForeignObject,
    /// The operator may not. Permanent.
    Forbidden,
    /// A webhook or a policy of the cluster does not let such an object in. Permanent.
    Denied,
    /// The API server does not take such an object. Permanent.
    Rejected,
    /// Something has to go first, and does so by itself.
    Waiting,
    /// It may work next time.
    Transient,
}

impl FailureKind {
    /// Whether trying again is pointless until somebody changes something.
    pub fn is_permanent(self) -> bool {
        !matches!(self, Self::Transient | Self::Waiting)
    }
}

/// The room's status after this run. The caller writes it only when it differs from the one in `room`.
pub fn report(room: &ChatRoom, outcome: &Outcome, observed: &Observed, now: Timestamp) -> ChatRoomStatus {
    let previous = room.status.clone().unwrap_or_default();
    let generation = room.metadata.generation;
    let deployment = match outcome {
        Outcome::Applied(applied) => Some(&applied.deployment),
        Outcome::Invalid(_) | Outcome::Paused | Outcome::Failed(..) => observed.deployment.as_ref(),
    };
    let plan = outcome.plan();
    let desired = match outcome {
        Outcome::Applied(Applied { plan, .. }) | Outcome::Failed(plan, _) => plan.decision.replicas,
        Outcome::Invalid(_) => previous.desired_replicas.unwrap_or_default(),
        // Whoever paused the room may have scaled it.
        Outcome::Paused => deployment.map(live::replicas).or(previous.desired_replicas).unwrap_or_default(),
    };
    let gateways = Gateways::of(deployment, desired, &observed.pods);
    let redis_ready = redis::redis_ready(plan.map(|plan| &plan.room.redis), observed);
    let judged = progress::judge(outcome, room.spec.suspend, &gateways, &redis_ready, observed);
    let observed_generation = match outcome {
        // What was not carried out is not observed, whatever else of the room is.
        Outcome::Paused => previous.observed_generation,
        // A change that could not be written yet was not taken up yet; one that never can be was.
        Outcome::Failed(_, failure) if !failure.kind.is_permanent() => previous.observed_generation,
        _ => generation,
    };
    let spoken_of = if *outcome == Outcome::Paused { observed_generation } else { generation };
    let functions_ready = functions::functions_ready(room, plan, observed);
    let cleanup_healthy = cleanup::cleanup_healthy(room, plan, observed);

    let mut status = ChatRoomStatus {
        observed_generation,
        replicas: Some(gateways.replicas),
        ready_replicas: Some(gateways.ready),
        updated_replicas: Some(gateways.updated),
        desired_replicas: Some(desired),
        draining_replicas: Some(gateways.draining),
        online: online::online(observed),
        image: deployment.and_then(live::image).map(str::to_owned),
        conditions: conditions(
            &previous.conditions,
            [
                Some((condition::READY, judged.ready, spoken_of)),
                Some((condition::RECONCILING, judged.reconciling, spoken_of)),
                Some((condition::STALLED, judged.stalled, spoken_of)),
                Some((condition::REDIS_READY, redis_ready, spoken_of)),
                Some((condition::PUSH_READY, push::push_ready(plan, observed), spoken_of)),
                functions_ready.map(|judgement| (condition::FUNCTIONS_READY, judgement, spoken_of)),
                cleanup_healthy.map(|judgement| (condition::CLEANUP_HEALTHY, judgement, spoken_of)),
                Some((condition::SETTINGS_CURRENT, settings::settings_current(outcome, observed), spoken_of)),
                Some((condition::PAUSED, paused(outcome), generation)),
            ]
            .into_iter()
            .flatten(),
            now,
        ),
        ..previous.clone()
    };
    if let Some(Plan { names, room, .. }) = plan {
        status.selector = Some(names.selector_string(Component::Gateway));
        // While gateways of an older template take clients, they do so at the older path.
        if status.url.is_none() || !gateways.older_ones_may_serve() {
            status.url = Some(names.url(&room.clients.path));
        }
        status.push_url = Some(names.push_url());
        status.push_secret_name = Some(push_secret::name(names, room));
        status.redis = Some(redis::kind(&room.redis).to_owned());
    }
    online::unless_only_the_count_moved(status, previous, online::last_written(room), now)
}

/// What is said by nobody: with one reason where there are gateways, with another where there are none.
fn nobody_answers(observed: &Observed, unreachable: &'static str, none: &'static str) -> Judgement {
    let first = observed.gateways.iter().find_map(|gateway| {
        let error = gateway.answer.as_ref().err()?;
        Some(format!("no gateway can be asked; pod {}: {}", gateway.pod, error.message))
    });
    match first {
        Some(message) => Judgement::unknown(unreachable, message),
        None => Judgement::unknown(none, "no gateway runs that could be asked"),
    }
}

/// Whether the room's status has such a condition. Where it is not known what the gateways were told last, because nothing was
/// carried out this time, those conditions stay that not every room has.
fn stood_before(room: &ChatRoom, type_: &str) -> bool {
    room.status.as_ref().is_some_and(|status| find(status, type_).is_some())
}

fn paused(outcome: &Outcome) -> Judgement {
    match outcome {
        Outcome::Paused => {
            let message = format!("annotation {} is disabled: nothing but the status is written", keys::RECONCILE);
            Judgement::yes(condition::paused::RECONCILE_DISABLED, message)
        }
        _ => Judgement::no(condition::paused::NOT_PAUSED, "the room is carried out as its spec says"),
    }
}

impl Outcome {
    fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Applied(Applied { plan, .. }) | Self::Failed(plan, _) => Some(plan),
            Self::Invalid(_) | Self::Paused => None,
        }
    }
}
