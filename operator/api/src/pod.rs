//! What the gateway pods are made of: image, logging, and what a room's owner may say about its pods.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, EnvFromSource, EnvVar, Toleration, TopologySpreadConstraint};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The gateway's image.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("!has(self.tag) || self.tag != 'latest'")
    .message("image.tag 'latest' says nothing about what runs: name a version, or use image.digest").field_path(".tag"))]
#[x_kube(validation = Rule::new("!(has(self.tag) && has(self.digest))")
    .message("set image.tag or image.digest, not both: the digest alone would count"))]
#[x_kube(validation = Rule::new("!has(self.repository) || has(self.tag) || has(self.digest)")
    .message("image.repository needs image.tag or image.digest: without one, 'latest' would be pulled"))]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct Image {
    /// Registry and name without tag and digest, as in `registry.example.com/chat/gateway`; at most 255 characters.
    /// Absent: the operator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z0-9][a-zA-Z0-9.-]*(:[0-9]{1,5}/[a-z0-9._-]+)?(/[a-z0-9._-]+)*$')")
        .message("repository is the image without tag and digest, as in registry.example.com/chat/gateway"))]
    pub repository: Option<String>,
    /// A tag. `latest` is refused: a rollout would not know what it rolls. Absent: the digest counts, or the operator's own tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_][A-Za-z0-9._-]*$')")
        .message("tag takes letters, digits, '_', '.' and '-'"))]
    pub tag: Option<String>,
    /// A digest, `sha256:` and 64 hex digits; then every pod runs the same bytes. Absent: the tag counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 71, max = 71))]
    #[x_kube(validation = Rule::new("self.matches('^sha256:[a-f0-9]{64}$')")
        .message("digest must be 'sha256:' and 64 lower case hex digits"))]
    pub digest: Option<String>,
    /// When a node pulls the image: `Always` at each start, `IfNotPresent` when it does not have it, `Never` when somebody else
    /// brings it to the node. Absent: IfNotPresent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
}

/// When a node pulls the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// At each start of a container.
    Always,
    /// When the node does not have it.
    #[default]
    IfNotPresent,
    /// Not at all: somebody else brought it to the node.
    Never,
}

/// A Secret in the room's namespace.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct LocalSecretReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')")
        .message("name must be the name of a Secret: lower case letters, digits, '-' and '.'"))]
    pub name: String,
}

/// What the gateways log.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct Logging {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`), or levels by part: `info,chatroom_gateway::session=debug`.
    /// Absent: `info`. At most 256 characters. Reaches running gateways without a restart, within about a minute and a half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub filter: Option<String>,
    /// How a line looks: `JSON` is one object a line, for log collectors; `Text` is for people. Absent: JSON. A change rolls the
    /// gateways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<LogFormat>,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LogFormat {
    /// One JSON object a line, for log collectors.
    #[default]
    #[serde(rename = "JSON")]
    Json,
    /// For people.
    Text,
}

/// What a room may say about its gateway pods.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct Pod {
    /// Labels of the pods, at most 64. Keys that the operator sets itself (`app.kubernetes.io/…`, `chatroom.dev/…`,
    /// `pod-template-hash`) are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::string_map")]
    #[x_kube(validation = Rule::new(
            "self.all(key, !key.startsWith('app.kubernetes.io/') && !key.startsWith('chatroom.dev/') && key != 'pod-template-hash')")
        .message("labels app.kubernetes.io/…, chatroom.dev/… and pod-template-hash are set by the operator: use another key"))]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the pods, at most 64. Keys that begin with `chatroom.dev/` are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::string_map")]
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('chatroom.dev/'))")
        .message("annotations chatroom.dev/… are set by the operator: use another key"))]
    pub annotations: BTreeMap<String, String>,
    /// Memory and CPU of a gateway. Absent: requests of 100m CPU and 128Mi memory, limit of 512Mi memory, no CPU limit.
    /// Naming resources replaces these defaults as a whole.
    ///
    /// A CPU limit makes messages late in bursts; prefer a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Labels that a node must have; at most 64. Absent: any node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::string_map")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that the pods put up with; at most 32. Absent: none.
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tolerations: Vec<Toleration>,
    /// Which nodes the pods need or prefer, and next to which pods they stand. Absent: none.
    ///
    /// To keep gateways apart, `topologySpreadConstraints` is the lighter way: a required anti-affinity leaves the new pods of a
    /// rollout without a node as soon as the old ones stand on all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// How the pods are spread over zones, nodes or whatever else nodes have a label for; at most 8, each pair of `topologyKey`
    /// and `whenUnsatisfiable` once. Absent: over zones and over nodes, as even as the cluster allows (`ScheduleAnyway`). An
    /// empty list: not at all.
    ///
    /// A constraint without `labelSelector` counts the gateways of this room, and without `matchLabelKeys` those of one template
    /// only, so that the new pods of a rollout are spread among themselves.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["topologyKey".into(), "whenUnsatisfiable".into()]))]
    #[x_kube(validation = Rule::new("self.all(constraint, constraint.maxSkew >= 1)")
        .message("maxSkew is the largest difference between two places: at least 1"))]
    #[x_kube(validation = Rule::new(
            "self.all(constraint, constraint.whenUnsatisfiable in ['DoNotSchedule', 'ScheduleAnyway'])")
        .message("whenUnsatisfiable must be ScheduleAnyway or DoNotSchedule"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub topology_spread_constraints: Option<Vec<TopologySpreadConstraint>>,
    /// The PriorityClass of the pods. Absent: the cluster's default. One that is not there keeps the pods from being made, and
    /// the room's condition says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')")
        .message("priorityClassName must be the name of a PriorityClass: lower case letters, digits, '-' and '.'"))]
    pub priority_class_name: Option<String>,
    /// The ServiceAccount that the gateways, and an ephemeral Redis, run as. Absent: one of the room's own without any rights. A
    /// change rolls the gateways and restarts an ephemeral Redis.
    ///
    /// With a name here the room's own ServiceAccount is not made, and one that was made before goes when the last pod of the
    /// old template went. The pods get no token either way, except what a webhook of the cluster brings them. Whoever may edit a
    /// ChatRoom may have its pods run as any ServiceAccount of its namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')")
        .message("serviceAccountName must be the name of a ServiceAccount: lower case letters, digits, '-' and '.'"))]
    pub service_account_name: Option<String>,
    /// Environment variables of the gateway container; at most 64, each name once. Names that begin with `CHATROOM_` are
    /// the operator's own and are refused. What the gateway does is decided by this resource, not by its environment: this
    /// is for what surrounds it, such as `RUST_BACKTRACE`, or what a webhook of the cluster looks for.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[x_kube(validation = Rule::new("self.all(variable, !variable.name.startsWith('CHATROOM_'))")
        .message("variables CHATROOM_… are set by the operator: use another name"))]
    #[x_kube(validation = Rule::new("self.all(variable, !has(variable.value) || !has(variable.valueFrom))")
        .message("a variable has value or valueFrom, not both"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub env: Vec<EnvVar>,
    /// ConfigMaps and Secrets all of whose keys become environment variables of the gateway container; at most 16. Absent: none.
    ///
    /// Of one name the operator's own variable wins, then `env`, then the last of this list: a key `CHATROOM_…` in a Secret
    /// does nothing. A Secret or ConfigMap that is missing keeps the pods from starting, unless it is `optional`. Whoever may
    /// edit a ChatRoom may have any Secret of its namespace read so.
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    #[x_kube(validation = Rule::new("self.all(source, has(source.configMapRef) != has(source.secretRef))")
        .message("each entry names one source: set configMapRef or secretRef"))]
    #[x_kube(validation = Rule::new("self.all(source, !has(source.prefix) || !source.prefix.startsWith('CHATROOM_'))")
        .message("variables CHATROOM_… are set by the operator: use another prefix"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub env_from: Vec<EnvFromSource>,
}

/// Memory and CPU of a container.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct Resources {
    /// What is set aside for the container on its node, such as `cpu: 100m`, `memory: 128Mi`. A fraction stands in quotes: `"0.5"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "crate::schema::quantities")]
    #[schemars(schema_with = "crate::schema::quantity_map")]
    pub requests: BTreeMap<String, Quantity>,
    /// What the container may use at most. Above its memory limit it is killed; above its CPU limit it is slowed down.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "crate::schema::quantities")]
    #[schemars(schema_with = "crate::schema::quantity_map")]
    pub limits: BTreeMap<String, Quantity>,
}
