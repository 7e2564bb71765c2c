//! What the operator says about a room.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// How the room stands, as the operator saw it last.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct ChatRoomStatus {
    /// The generation of the spec that was carried out last, and that the rest of the status speaks of. It stays behind while the
    /// room is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Gateway pods that exist, without those that are going. What `kubectl scale` and autoscalers read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Gateway pods that take clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// Gateway pods that run the current template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_replicas: Option<i32>,
    /// Gateway pods that there should be; 0 while the room is suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_replicas: Option<i32>,
    /// Gateway pods that are letting their clients go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draining_replicas: Option<i32>,
    /// Label selector of the gateway pods, as a string; autoscalers read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Where clients inside the cluster connect. Known at once, before the first pod is ready, and kept while the room is
    /// suspended. After a change of `path` it names the new one as soon as no gateway of an older version takes clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Where programs inside the cluster push: `http://<room>-push.<namespace>.svc/push`. Known at once. It holds no key; the
    /// Secret's `url` is the same with one.
    #[serde(rename = "pushURL", default, skip_serializing_if = "Option::is_none")]
    pub push_url: Option<String>,
    /// The Secret with the push keys, one a line under `keys`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push_secret_name: Option<String>,
    /// People in the room. Written at most once a minute, and only when it moved by 5 % or to or from 0, so it may be a
    /// minute behind; the gateways' metrics are the live number. Absent while no gateway can be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<i64>,
    /// Which kind of Redis the room uses: `Ephemeral` or `External`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<String>,
    /// The gateway image that the current template runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// `Ready`: as many gateways as wanted take clients, and what the spec says can be carried out; when it cannot, gateways that
    /// run already are left as they are. `Reconciling`: something is still on its way. `Stalled`: it will not get on without
    /// somebody's help. `RedisReady`: what the gateways say about Redis. `PushReady`: the gateways have a
    /// key and take pushes. `FunctionsReady`, where `functions` names a Secret: the gateways have what it holds. `CleanupHealthy`,
    /// where there is a cleanup function: it is told of ends. `SettingsCurrent`: every gateway runs the current limits, origins and log filter. `Paused`: the annotation `chatroom.dev/reconcile: disabled` keeps the operator away.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}
