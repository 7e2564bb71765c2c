//! What shall stand in the cluster, as values: one file per object. No client, clock, environment, randomness or `Result`.

mod config_map;
mod container;
mod deployment;
pub(crate) mod live;
mod overrides;
mod pod_disruption_budget;
pub(crate) mod push_secret;
mod push_service;
mod redis;
mod security;
mod service;
mod service_account;
pub mod settings;

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::decide::{CredentialStamp, Decision, RedisDecision, ServiceAccountDecision};
use crate::names::{Names, keys};
use crate::room::Room;

/// Every child of a room. Apply them in the order of the fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Resources {
    /// The hot settings.
    pub config_map: ConfigMap,
    /// What the pods run as: no rights, no token; `None`: they run as somebody else's.
    pub service_account: Option<ServiceAccount>,
    /// The Secret with the push keys; `None`: somebody else makes it.
    pub push_secret: Option<SecretToCreate>,
    /// The room's own Redis; `None`: it has none, or [`RedisDecision`](crate::decide::RedisDecision) says that the old one
    /// is left alone.
    pub redis: Option<RedisResources>,
    /// The Service in front of the gateways.
    pub service: Service,
    /// The Service through which other programs push to them.
    pub push_service: Service,
    /// The gateways.
    pub deployment: Deployment,
    /// What a node drain may take at once; `None`: everything.
    pub pod_disruption_budget: Option<PodDisruptionBudget>,
}

/// The children that make up the room's own Redis.
#[derive(Clone, Debug, PartialEq)]
pub struct RedisResources {
    /// The Secret of its password: created once, never written again.
    pub secret: SecretToCreate,
    /// The Service in front of it.
    pub service: Service,
    /// Redis itself.
    pub deployment: Deployment,
}

/// A Secret whose values are made up when it is created. `POST` only: 409 means that there is one, which is used.
#[derive(Clone, Debug, PartialEq)]
pub struct SecretToCreate {
    /// Name, namespace, labels and owner.
    pub metadata: ObjectMeta,
    /// For each key, what to write around one random value that is the same for all keys.
    pub values: BTreeMap<String, SecretTemplate>,
}

/// Text around a random value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretTemplate {
    /// What stands before it.
    pub prefix: String,
    /// What stands after it.
    pub suffix: &'static str,
}

impl SecretToCreate {
    /// The Secret with `value` in its places: letters and digits only, so that it needs no quotes anywhere.
    pub fn with(&self, value: &str) -> Secret {
        let text = |template: &SecretTemplate| format!("{}{value}{}", template.prefix, template.suffix);
        Secret {
            metadata: self.metadata.clone(),
            type_: Some("Opaque".to_owned()),
            string_data: Some(self.values.iter().map(|(key, template)| (key.clone(), text(template))).collect()),
            ..Secret::default()
        }
    }
}

/// What shall stand in the cluster.
pub fn desired(names: &Names, room: &Room, decision: &Decision) -> Resources {
    Resources {
        config_map: config_map::config_map(names, room),
        service_account: (decision.service_account == ServiceAccountDecision::Make)
            .then(|| service_account::service_account(names)),
        push_secret: push_secret::push_secret(names, room),
        redis: redis::redis(names, room, &decision.redis),
        service: service::service(names, room),
        push_service: push_service::push_service(names),
        deployment: deployment::deployment(names, room, decision),
        pod_disruption_budget: pod_disruption_budget::pod_disruption_budget(names, room),
    }
}

/// The annotation by which the templates of gateways and Redis change together when the password was created anew.
fn credential_annotation(redis: &RedisDecision) -> impl Iterator<Item = (String, String)> {
    let CredentialStamp(stamp) = redis.credential();
    (stamp > 0).then(|| (keys::REDIS_CREDENTIAL.to_owned(), stamp.to_string())).into_iter()
}
