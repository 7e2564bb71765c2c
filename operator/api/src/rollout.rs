//! How gateways come and go: drain, rollout, Service, disruption budget.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DRAIN_TIMEOUT_SECONDS, PRE_STOP_SECONDS};

/// How a gateway that has to go lets its clients go.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct Drain {
    /// Seconds in which a pod that has to go still takes new clients, while load balancers learn of it; 0 to 3600.
    /// Absent: 10. 0: no such wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = PRE_STOP_SECONDS.min, max = PRE_STOP_SECONDS.max))]
    pub pre_stop_seconds: Option<i32>,
    /// Seconds after that within which all clients are closed with code 1012, one after the other; 1 to 3600. Absent: 120.
    ///
    /// The closing is spread so that at most about 100 clients a second have to come back elsewhere; a gateway with
    /// few clients is done sooner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = DRAIN_TIMEOUT_SECONDS.min, max = DRAIN_TIMEOUT_SECONDS.max))]
    pub timeout_seconds: Option<i32>,
}

/// How many gateways may be above or below the wanted number while a new version rolls out.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new(
        "!(has(self.maxSurge) && string(self.maxSurge).matches('^0+%?$') \
         && (!has(self.maxUnavailable) || string(self.maxUnavailable).matches('^0+%?$')))")
    .message("maxSurge and maxUnavailable are both 0: no pod could ever be replaced; raise one of them"))]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct Rollout {
    /// Pods above `replicas` while rolling out: a number, or a percentage up to `999%`, rounded up. Absent: `100%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("string(self).matches('^([0-9]{1,4}|[0-9]{1,3}%)$')")
        .message("maxSurge must be a number of pods, as in 1, or a percentage, as in '25%'"))]
    pub max_surge: Option<IntOrString>,
    /// Pods below `replicas` while rolling out: a number, or a percentage up to `100%`, rounded down. Absent: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("string(self).matches('^([0-9]{1,4}|[0-9]{1,2}%|100%)$')")
        .message("maxUnavailable must be a number of pods, as in 1, or a percentage up to 100%, as in '25%'"))]
    pub max_unavailable: Option<IntOrString>,
}

/// The Service through which clients reach the gateways.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct Service {
    /// The type of the Service: `ClusterIP` for clients inside the cluster and for whatever stands in front of it,
    /// `NodePort` for a port on every node as well, `LoadBalancer` for a load balancer of the cloud as well. Absent: ClusterIP.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<ServiceType>,
    /// Annotations of the Service, as load balancers of the clouds read them; at most 64. Taking one away here takes it
    /// away from the Service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::string_map")]
    pub annotations: BTreeMap<String, String>,
}

/// The types of Service that a room can have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// An address inside the cluster.
    #[default]
    ClusterIP,
    /// A port on every node as well.
    NodePort,
    /// A load balancer of the cloud as well.
    LoadBalancer,
}

/// How many gateways a node drain may take away at the same time.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct PodDisruptionBudget {
    /// Whether there is a budget. Absent: true. false: a node drain may take all gateways at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Pods that may be gone at the same time: a number, or a percentage up to `100%`, rounded up. Absent: 1.
    ///
    /// 0 blocks every node drain until somebody deletes the pods by hand: it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("string(self).matches('^([0-9]{1,4}|[0-9]{1,2}%|100%)$')")
        .message("maxUnavailable must be a number of pods, as in 1, or a percentage up to 100%, as in '25%'"))]
    #[x_kube(validation = Rule::new("!string(self).matches('^0+%?$')")
        .message("maxUnavailable 0 would block every node drain: use at least 1, or a percentage above 0%"))]
    pub max_unavailable: Option<IntOrString>,
}
