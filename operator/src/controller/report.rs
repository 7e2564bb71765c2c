//! What happened this time → the room's status. Pure: the clock is an argument.

mod gateways;
mod online;
mod progress;
mod redis;

use chatroom_api::{ChatRoom, ChatRoomStatus, condition};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;

use self::gateways::Gateways;
use crate::conditions::conditions;
use crate::decide::Decision;
use crate::desired::live;
use crate::names::{Component, Names};
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
        Outcome::Invalid(_) | Outcome::Failed(..) => observed.deployment.as_ref(),
    };
    let plan = outcome.plan();
    let desired = plan.map(|plan| plan.decision.replicas).or(previous.desired_replicas).unwrap_or_default();
    let gateways = Gateways::of(deployment, desired, &observed.pods);
    let redis_ready = redis::redis_ready(plan.map(|plan| &plan.room.redis), observed);
    let judged = progress::judge(outcome, &gateways, &redis_ready);

    let mut status = ChatRoomStatus {
        // A change that could not be written yet was not taken up yet; one that never can be was.
        observed_generation: match outcome {
            Outcome::Failed(_, failure) if !failure.kind.is_permanent() => previous.observed_generation,
            _ => generation,
        },
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
                (condition::READY, judged.ready),
                (condition::RECONCILING, judged.reconciling),
                (condition::STALLED, judged.stalled),
                (condition::REDIS_READY, redis_ready),
            ],
            generation,
            now,
        ),
        ..previous.clone()
    };
    if let Some(Plan { names, room, .. }) = plan {
        status.selector = Some(names.selector_string(Component::Gateway));
        status.url = Some(names.url(&room.clients.path));
        status.redis = Some(redis::kind(&room.redis).to_owned());
    }
    online::unless_only_the_count_moved(status, previous, online::last_written(room), now)
}

impl Outcome {
    fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Applied(Applied { plan, .. }) | Self::Failed(plan, _) => Some(plan),
            Self::Invalid(_) => None,
        }
    }
}
