//! ChatRoom → [`Room`]: parses every part once, so that nothing after it has to ask again.
//!
//! The API server has already applied the bounds and rules of the CRD; here stands what they cannot see, and once more
//! what a [`Room`] relies on, because a cluster may still have an older CRD.

use chatroom_api::{ChatRoom, REPLICAS};

use crate::annotations::Annotations;
use crate::room::{
    Clients, DisruptionBudget, Drain, Functions, Identity, Image, Logging, Overrides, Pod, Problems, Push, Redis,
    Rollout, Room, Service, bounded,
};
pub use crate::room::{Defaults, Invalid, Violation};

/// The valid room, or every mistake at once.
pub fn validate(room: &ChatRoom, defaults: &Defaults) -> Result<Room, Invalid> {
    let spec = &room.spec;
    let mut problems = Problems::default();
    let identity = problems.keep(Identity::parse(room));
    let replicas = problems.keep(bounded("spec.replicas", Some(spec.replicas), REPLICAS)).map(|_| spec.replicas);
    let image = problems.keep(Image::parse(spec.image.as_ref(), &defaults.gateway_image));
    let clients = problems.keep(Clients::parse(spec));
    let functions = problems.keep(Functions::parse(spec, room.metadata.name.as_deref().unwrap_or_default()));
    let called = spec.functions.as_ref().map(|functions| functions.dialect);
    let push = problems.keep(Push::parse(spec.push.as_ref(), called));
    let redis = problems.keep(Redis::parse(spec, &defaults.redis_image));
    let drain = problems.keep(Drain::parse(spec.drain.as_ref()));
    let rollout = problems.keep(Rollout::parse(spec.rollout.as_ref()));
    let service = problems.keep(Service::parse(spec));
    let disruption_budget = problems.keep(DisruptionBudget::parse(spec.pod_disruption_budget.as_ref()));
    let logging = problems.keep(Logging::parse(spec.logging.as_ref()));
    let pod = problems.keep(Pod::parse(spec));
    let overrides = problems.keep(Overrides::parse(spec));
    let restarted_at = Annotations::of(room).restarted_at;
    let image_pull_secrets = spec.image_pull_secrets.iter().map(|secret| secret.name.clone()).collect();
    let assemble = || {
        Some(Room {
            identity: identity?,
            replicas: replicas?,
            suspend: spec.suspend,
            restarted_at,
            image: image?,
            image_pull_secrets,
            clients: clients?,
            functions: functions?,
            push: push?,
            redis: redis?,
            drain: drain?,
            rollout: rollout?,
            service: service?,
            disruption_budget: disruption_budget?,
            logging: logging?,
            pod: pod?,
            overrides: overrides?,
        })
    };
    let room = assemble();
    problems.finish(room)
}
