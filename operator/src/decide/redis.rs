//! Which Redis a room runs, when it is restarted for a new password, and when the old one may go.

use std::collections::BTreeSet;

use chatroom_settings::names::files;
use chatroom_settings::{Backplane, Cold, GatewayStatus};
use k8s_openapi::api::apps::v1::Deployment;

use crate::desired::live;
use crate::names::keys;
use crate::observed::Observed;
use crate::room::{EphemeralRedis, ImageReference, Redis, Room};

/// How often gateways and Redis were restarted together because the password had been created anew. Stands on both
/// templates as annotation [`REDIS_CREDENTIAL`](keys::REDIS_CREDENTIAL); 0 is not written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CredentialStamp(pub u32);

impl CredentialStamp {
    /// What stands on a live template; nothing, or nonsense, is 0.
    fn of(deployment: Option<&Deployment>) -> Self {
        let annotation = deployment.and_then(|deployment| live::annotation(deployment, keys::REDIS_CREDENTIAL));
        Self(annotation.and_then(|text| text.parse().ok()).unwrap_or_default())
    }
}

/// What becomes of the room's own Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisDecision {
    /// It runs.
    Run {
        /// What it runs.
        image: ImageReference,
        /// What stands on both templates.
        credential: CredentialStamp,
        /// Whether its Secret shall be created, if there is none: nothing was created yet, or a gateway misses it.
        create_secret: bool,
    },
    /// The room has another Redis now, but gateways of the old template still use this one: it is left as it is.
    Keep,
    /// The room has another Redis. If one is left, it may be deleted.
    Remove,
}

impl RedisDecision {
    /// What stands on the gateways' template.
    pub fn credential(&self) -> CredentialStamp {
        match self {
            Self::Run { credential, .. } => *credential,
            Self::Keep | Self::Remove => CredentialStamp::default(),
        }
    }
}

pub(super) fn decide(room: &Room, observed: &Observed) -> RedisDecision {
    match &room.redis {
        Redis::Ephemeral(wanted) => run(wanted, observed),
        Redis::External(_) if observed.redis.is_some() && is_in_use(observed) => RedisDecision::Keep,
        Redis::External(_) => RedisDecision::Remove,
    }
}

fn run(wanted: &EphemeralRedis, observed: &Observed) -> RedisDecision {
    // The higher one: if one of the two Deployments was deleted by hand, the other one still knows.
    let gateways = CredentialStamp::of(observed.deployment.as_ref());
    let redis = CredentialStamp::of(observed.redis.as_ref());
    let live = gateways.max(redis);
    let restart = gateways == redis && is_password_refused(observed, live);
    let credential = if restart { CredentialStamp(live.0.saturating_add(1)) } else { live };
    let image = match observed.redis.as_ref() {
        Some(redis) if !restart => image_that_serves(redis).unwrap_or_else(|| wanted.image.clone()),
        _ => wanted.image.clone(),
    };
    let create_secret = observed.redis.is_none() || answers(observed).any(|status| names_password(&status.missing));
    RedisDecision::Run { image, credential, create_secret }
}

/// The image of a Redis that serves. It is kept over upgrades of the operator, because replacing it forgets what it holds; one
/// that is down has nothing to lose and gets the current image.
fn image_that_serves(redis: &Deployment) -> Option<ImageReference> {
    let serves = redis.status.as_ref()?.available_replicas.unwrap_or_default() > 0;
    let image = live::image(redis)?;
    serves.then(|| ImageReference::parse("image", image).ok()).flatten()
}

/// Whether gateways that were started under the current stamp have their password refused by a Redis that was, too.
///
/// Only theirs counts: after a restart the old ones still hold the old password, and would call for the next restart. A
/// rollout that goes on meanwhile is no reason to wait, since it may wait for the password itself. Redis counts as
/// available only some time after it became ready, which is longer than an answer of a gateway is kept.
fn is_password_refused(observed: &Observed, current: CredentialStamp) -> bool {
    let is_current = |name: &str| {
        observed.pods.iter().any(|pod| pod.name == name && !pod.terminating && pod.redis_credential == current.0)
    };
    let is_refused = |status: &GatewayStatus| !status.draining && names_password(&status.refused);
    observed.redis.as_ref().is_some_and(|redis| live::is_available(redis, 1))
        && observed
            .gateways
            .iter()
            .any(|gateway| gateway.answer.as_ref().is_ok_and(is_refused) && is_current(&gateway.pod))
}

/// Whether some gateway may still use the room's own Redis, after the room got another one.
fn is_in_use(observed: &Observed) -> bool {
    let Some(deployment) = &observed.deployment else { return !observed.pods.is_empty() };
    let moved_on = !template_uses_own_redis(deployment) && live::is_updated(deployment);
    let templates: BTreeSet<_> = observed.pods.iter().map(|pod| &pod.template_hash).collect();
    !(moved_on && templates.len() <= 1)
}

fn template_uses_own_redis(deployment: &Deployment) -> bool {
    let settings =
        live::annotation(deployment, keys::SETTINGS).and_then(|text| serde_yaml::from_str::<Cold>(text).ok());
    match settings.map(|settings| settings.backplane) {
        Some(Backplane::Redis(redis)) => redis.address.is_some(),
        Some(Backplane::Memory) => false,
        // Unreadable settings: better keep a Redis too long than take it from under somebody.
        None => true,
    }
}

fn answers(observed: &Observed) -> impl Iterator<Item = &GatewayStatus> {
    observed.gateways.iter().filter_map(|gateway| gateway.answer.as_ref().ok())
}

fn names_password(files: &[String]) -> bool {
    files.iter().any(|file| file.strip_prefix("redis/") == Some(files::REDIS_PASSWORD))
}
