//! The resource itself: what stands at the top of a ChatRoom.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::clients::{Broadcast, Limits};
use crate::functions::Functions;
use crate::overrides::Overrides;
use crate::pod::{Image, LocalSecretReference, Logging, Pod};
use crate::push::Push;
use crate::redis::Redis;
use crate::rollout::{Drain, PodDisruptionBudget, Rollout, Service};
use crate::status::ChatRoomStatus;
use crate::{PING_INTERVAL_SECONDS, REPLICAS};

/// What is wanted of the room. `spec: {}` is a whole room: two gateways, their own Redis, everybody hears everybody else.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "chatroom.dev",
    version = "v1alpha1",
    kind = "ChatRoom",
    plural = "chatrooms",
    shortname = "room",
    shortname = "rooms",
    category = "chat",
    namespaced,
    status = "ChatRoomStatus",
    derive = "PartialEq",
    doc = "A room in which everybody who is connected hears what is said: a fleet of WebSocket gateways that share one Redis.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Whether as many gateways as wanted take clients",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        description = "Why it is ready or not",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(
        name = "Pods",
        type_ = "integer",
        description = "Gateway pods that take clients",
        json_path = ".status.readyReplicas"
    ),
    printcolumn(name = "Online", type_ = "integer", description = "People in the room", json_path = ".status.online"),
    printcolumn(
        name = "URL",
        type_ = "string",
        description = "Where clients inside the cluster connect",
        json_path = ".status.url"
    ),
    printcolumn(
        name = "Desired",
        type_ = "integer",
        description = "Gateway pods that there should be",
        json_path = ".status.desiredReplicas",
        priority = "1"
    ),
    printcolumn(
        name = "Redis",
        type_ = "string",
        description = "Ephemeral or External",
        json_path = ".status.redis",
        priority = "1"
    ),
    printcolumn(
        name = "Image",
        type_ = "string",
        description = "The gateway image of the current template",
        json_path = ".status.image",
        priority = "1"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must be at most 40 lower case letters, digits and '-', begin with a letter and not end with '-': it becomes the name of a Service"),
    validation = Rule::new("!self.metadata.name.endsWith('-redis') && !self.metadata.name.endsWith('-push') && !self.metadata.name.endsWith('-config')")
        .message("metadata.name must not end with -redis, -push or -config: the objects of another room are called so"),
)]
#[x_kube(validation = Rule::new("!(has(self.broadcast) && has(self.functions) && has(self.functions.transport))")
    .message("with functions.transport the function decides who hears what: leave out broadcast, or functions.transport")
    .field_path(".broadcast"))]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
#[schemars(transform = crate::schema::own_blocks_as_a_whole)]
pub struct ChatRoomSpec {
    /// The gateway's image. Absent, or a part absent: as the operator was installed with; then an upgrade of the operator
    /// rolls the room.
    ///
    /// A tag or a digest alone picks another build from the operator's own repository. A repository needs one of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// Secrets with the credentials of private registries, for the gateways and for an ephemeral Redis; at most 8. A change
    /// rolls the gateways and restarts an ephemeral Redis.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub image_pull_secrets: Vec<LocalSecretReference>,
    /// How many gateways there should be; 0 to 500. Absent: 2. 0: nobody can connect, everything else is kept.
    ///
    /// `kubectl scale room`, a HorizontalPodAutoscaler or KEDA may set it through the scale subresource; then leave it out of
    /// what you keep in Git, or the two will take turns. Past about 20 gateways the room's one Redis is the limit.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = REPLICAS.min, max = REPLICAS.max))]
    pub replicas: i32,
    /// Whether the room is put to sleep: no gateways, so that nobody can connect, and no PodDisruptionBudget. Everything else
    /// is kept: Services, settings, Secrets, an ephemeral Redis and what it holds. Absent: false.
    ///
    /// Gateways that run let their clients go as in any drain. `replicas` keeps its number meanwhile, also one that
    /// `kubectl scale` or an autoscaler sets, and counts again when this is false. The room is not Ready, with the reason
    /// Suspended.
    #[serde(default)]
    pub suspend: bool,
    /// The one path at which clients connect; every other path is answered with 404. Absent: `/`. Up to 256 letters, digits
    /// and `-._~/`, beginning with `/`; no query, no fragment, no `.` or `..` between slashes. It is compared as it stands.
    #[serde(default = "default_path")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("self.startsWith('/')").message("path must begin with '/'"))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9._~/-]*$')")
        .message("path takes letters, digits and '-._~/' only: no query, no fragment, no escapes"))]
    #[x_kube(validation = Rule::new("!self.matches('(^|/)[.][.]?(/|$)') && !self.contains('//')")
        .message("path must not have empty, '.' or '..' segments: clients resolve them before they connect"))]
    pub path: String,
    /// Whether a browser that opens the path gets a small chat page. Absent: false. For trials: the page asks nobody who they
    /// are.
    #[serde(default)]
    pub web_client: bool,
    /// The origins whose pages may connect, each `scheme://host` or `scheme://host:port` as browsers send it; 1 to 64.
    /// Absent: any, which is safe as long as nothing depends on a cookie: gateways never read one.
    ///
    /// A page of another origin is refused with HTTP 403. A client that sends no Origin header is no browser and is always
    /// let in. Reaches running gateways without a restart.
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[x_kube(validation = Rule::new(
            "self.all(origin, origin.matches('^[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\\\\[[0-9a-f:.]+\\\\])(:[0-9]{1,5})?$'))")
        .message("an origin is scheme://host or scheme://host:port in lower case, as in https://chat.example.com: no path, no '*', no slash at the end"))]
    #[x_kube(validation = Rule::new("!self.exists(origin, origin.matches('^(http://.*:80|https://.*:443)$'))")
        .message("browsers leave the default port out of an origin: write https://host, not https://host:443"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 270)))]
    pub allowed_origins: Option<Vec<String>>,
    /// What a gateway does with a client's message. Absent: everybody but the sender gets it as it is.
    ///
    /// The message goes to everybody in the room, on every gateway, in one order that is the same for all. Text stays text
    /// and binary stays binary. A client that reads too slowly is closed (see `limits.slowSeconds`), it never holds up the
    /// others. A change rolls the gateways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<Broadcast>,
    /// HTTP backends of the room's owner that decide who comes in, get the messages, and hear of ends; each of the three may be
    /// left out. Absent: the gateways do it all by themselves. A change rolls the gateways.
    ///
    /// A function that is slow or dead costs those who wait for it, and nobody else: pushes, pings and other rooms go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub functions: Option<Functions>,
    /// How other programs speak to the clients: by HTTP requests to `status.pushURL`, with a key out of a Secret. Absent: the
    /// operator makes the Secret, and pushes are understood as Tencent API Gateway took them and in the plain form.
    ///
    /// Any gateway takes any push. Whoever has a key may speak to, and close, every client of the room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<Push>,
    /// What one client, and one gateway pod, may take. Absent: the defaults of its fields.
    ///
    /// Limits reach running gateways without a restart, within about a minute and a half, and count for those who are
    /// connected as well: whom a new `idleTimeoutSeconds` or `maxConnectionAgeSeconds` finds past it already is closed, one
    /// after the other within a fifth of that time. A lowered `maxConnectionsPerPod` closes nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Seconds of silence of a client after which it is asked with a ping; 5 to 300. Absent: 25. A change rolls the gateways.
    ///
    /// Each connection has its own number within 20 % of this one. A client from which nothing comes for 10 s after a ping is
    /// cut off without a close frame: nobody would read it. Keep it a quarter below the idle time-out of every proxy on the
    /// way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = PING_INTERVAL_SECONDS.min, max = PING_INTERVAL_SECONDS.max))]
    pub ping_interval_seconds: Option<i32>,
    /// The Redis through which the replicas of the room find each other: at most one of `ephemeral` and `external`.
    /// Absent, or neither of them: `ephemeral`, one of the room's own without a disk.
    ///
    /// Switching from one to the other rolls the gateways like any other change. While old and new gateways run side by side
    /// the room is split in two, at most for the drain window; the old ephemeral Redis goes when its last gateway went.
    /// Whoever may edit a ChatRoom may have any Secret of its namespace mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<Redis>,
    /// How a gateway that has to go lets its clients go. Absent: 10 s of grace for load balancers, then up to 120 s.
    ///
    /// A pod's grace period is `preStopSeconds` + `timeoutSeconds` + 30 s. Node drains and cluster autoscalers often give up
    /// after 600 s: a longer drain is cut off by them. A change rolls the gateways, and restarts an ephemeral Redis, which has
    /// to outlive them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,
    /// How many gateways may be above or below `replicas` while a new version rolls out. Absent: all new pods come up, then
    /// the old ones go, so that each client moves once.
    ///
    /// With the defaults the cluster needs room for twice the pods while it rolls. On a small one take `maxSurge: 25%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// The Service through which clients reach the gateways: port 80, named after the room. Absent: a ClusterIP without
    /// annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// How many gateways a node drain may take away at the same time. Absent: one.
    ///
    /// The next one may go as soon as the replacement of the last one is ready; their drains overlap. Gateways that are not ready
    /// count as gone: while Redis is away, a node drain waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_disruption_budget: Option<PodDisruptionBudget>,
    /// What the gateways log. Absent: level info, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    /// What the room says about its gateway pods. Absent: nothing. A change rolls the gateways.
    ///
    /// Whatever is said here, pods stay restricted, without host access and without a service account token; `overrides` can
    /// say more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
    /// The last resort: parts of objects of Kubernetes, laid over those that the operator makes, for what has no field of its own.
    /// Absent: nothing.
    ///
    /// Objects are merged field by field, and lists whose entries have a key entry by entry: containers, volumes and variables
    /// by name, mounts by path, host aliases by address. Other lists, as `tolerations` and `args`, and `nodeSelector` are
    /// replaced as a whole. Nothing can be taken away. A field that the type does not have, a value of the wrong type, and what
    /// the operator has to keep in its hands make the room invalid: condition Stalled, reason InvalidOverride, with the path.
    /// The types are those of Kubernetes 1.33; a field that came later cannot be set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Overrides>,
}

// The scalars whose value is part of the API for ever, beside the two switches that are off. `replicas` has to be one of them: the scale subresource reads an
// absent number as 0, and an autoscaler takes 0 for "switched off".

fn default_replicas() -> i32 {
    REPLICAS.default.expect("replicas have a default")
}

fn default_path() -> String {
    "/".to_owned()
}
