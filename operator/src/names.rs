//! Every name that is derived from a room: children, labels, selectors, owner, addresses. Written here and nowhere else.

use std::collections::BTreeMap;

use chatroom_api::ChatRoom;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::Resource;

use crate::room::{Identity, Path};

/// The field manager under which the operator writes, and the value of `app.kubernetes.io/managed-by`.
pub const MANAGER: &str = "chatroom-operator";
/// The value of `app.kubernetes.io/part-of`.
pub const PART_OF: &str = "chatroom";

/// Keys of our labels and annotations.
pub mod keys {
    /// What kind of program it is.
    pub const NAME: &str = "app.kubernetes.io/name";
    /// Which room it belongs to.
    pub const INSTANCE: &str = "app.kubernetes.io/instance";
    /// Which part of the room it is.
    pub const COMPONENT: &str = "app.kubernetes.io/component";
    /// Who keeps it.
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// What it all is.
    pub const PART_OF: &str = "app.kubernetes.io/part-of";
    /// Annotation of the pod template: the cold settings, as YAML.
    pub const SETTINGS: &str = "chatroom.dev/settings";
    /// Annotation of the templates of gateways and Redis: counts how often both had to restart for a new password.
    pub const REDIS_CREDENTIAL: &str = "chatroom.dev/redis-credential";
    /// Annotation of a room: `disabled` makes the operator leave it alone.
    pub const RECONCILE: &str = "chatroom.dev/reconcile";
    /// Annotation of a room, and of the gateways' template: a time whose change restarts all gateways.
    pub const RESTARTED_AT: &str = "chatroom.dev/restarted-at";
    /// What all annotations that are ours begin with.
    pub const PREFIX: &str = "chatroom.dev/";
    /// Label that the Deployment controller gives the pods of one template.
    pub const TEMPLATE_HASH: &str = "pod-template-hash";
}

/// Names inside a gateway's pod.
pub mod pod {
    /// The gateway's container.
    pub const CONTAINER: &str = "gateway";
    /// Name of the clients' port, to which the Service points.
    pub const CLIENTS_PORT: &str = "ws";
    /// Name of the port of reverse push, to which its Service points.
    pub const PUSH_PORT: &str = "push";
    /// Name of the port of probes and metrics.
    pub const INTERNAL_PORT: &str = "internal";
    /// Volume of the hot settings.
    pub const HOT_VOLUME: &str = "hot";
    /// Volume of the cold settings.
    pub const COLD_VOLUME: &str = "cold";
    /// Volume of the Redis credentials.
    pub const REDIS_VOLUME: &str = "redis";
    /// Volume of the push keys.
    pub const PUSH_VOLUME: &str = "push";
    /// Volume of the keys that calls of functions are signed with.
    pub const SIGNING_VOLUME: &str = "functions-signing";
    /// Volume of the roots that functions' certificates may come from.
    pub const CA_VOLUME: &str = "functions-ca";
    /// All volumes of ours, also those that not every room has.
    pub const VOLUMES: [&str; 6] = [HOT_VOLUME, COLD_VOLUME, REDIS_VOLUME, PUSH_VOLUME, SIGNING_VOLUME, CA_VOLUME];
}

/// The parts of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Component {
    /// The pods that hold the sockets.
    Gateway,
    /// The room's own Redis.
    Redis,
}

impl Component {
    /// Value of `app.kubernetes.io/component`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Redis => "redis",
        }
    }

    /// Value of `app.kubernetes.io/name`.
    pub fn program(self) -> &'static str {
        match self {
            Self::Gateway => "chatroom-gateway",
            Self::Redis => "chatroom-redis",
        }
    }
}

/// The names of one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    identity: Identity,
}

impl Names {
    /// The port on which the room's own Redis listens.
    pub const REDIS_PORT: u16 = 6379;
    /// The port of the room's Services.
    pub const SERVICE_PORT: u16 = 80;

    /// The names of the room that `identity` tells apart.
    pub fn new(identity: &Identity) -> Self {
        Self { identity: identity.clone() }
    }

    /// The room's own name.
    pub fn room(&self) -> &str {
        self.identity.name.as_str()
    }

    /// The namespace of the room and all its children.
    pub fn namespace(&self) -> &str {
        &self.identity.namespace
    }

    /// The room's uid.
    pub fn uid(&self) -> &str {
        &self.identity.uid
    }

    /// ConfigMap of the hot settings.
    pub fn config_map(&self) -> String {
        format!("{}-config", self.room())
    }

    /// ServiceAccount of the gateways.
    pub fn service_account(&self) -> String {
        self.room().to_owned()
    }

    /// Deployment of the gateways.
    pub fn deployment(&self) -> String {
        self.room().to_owned()
    }

    /// Service in front of the gateways.
    pub fn service(&self) -> String {
        self.room().to_owned()
    }

    /// PodDisruptionBudget of the gateways.
    pub fn pod_disruption_budget(&self) -> String {
        self.room().to_owned()
    }

    /// Deployment, Service and Secret of the room's own Redis.
    pub fn redis(&self) -> String {
        format!("{}-redis", self.room())
    }

    /// Service of reverse push, and the room's own Secret with its keys.
    pub fn push(&self) -> String {
        format!("{}-push", self.room())
    }

    /// Labels of every child of a component.
    pub fn labels(&self, component: Component) -> BTreeMap<String, String> {
        let mut labels = self.selector(component);
        labels.insert(keys::MANAGED_BY.to_owned(), MANAGER.to_owned());
        labels.insert(keys::PART_OF.to_owned(), PART_OF.to_owned());
        labels
    }

    /// What tells the pods of a component from all others: name, instance and component.
    pub fn selector(&self, component: Component) -> BTreeMap<String, String> {
        BTreeMap::from([
            (keys::NAME.to_owned(), component.program().to_owned()),
            (keys::INSTANCE.to_owned(), self.room().to_owned()),
            (keys::COMPONENT.to_owned(), component.as_str().to_owned()),
        ])
    }

    /// [`Names::selector`] as the typed selector of a Deployment or PodDisruptionBudget.
    pub fn label_selector(&self, component: Component) -> LabelSelector {
        LabelSelector { match_labels: Some(self.selector(component)), match_expressions: None }
    }

    /// [`Names::selector`] as one string, as queries and the scale subresource want it.
    pub fn selector_string(&self, component: Component) -> String {
        let pairs: Vec<_> = self.selector(component).iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join(",")
    }

    /// The room as the controlling owner of its children, so that they go with it.
    pub fn owner_reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: ChatRoom::api_version(&()).into_owned(),
            kind: ChatRoom::kind(&()).into_owned(),
            name: self.room().to_owned(),
            uid: self.uid().to_owned(),
            controller: Some(true),
            // Nothing waits for the children: a room can be deleted while the operator is away.
            block_owner_deletion: None,
        }
    }

    /// Metadata of a child of `component`.
    pub fn metadata(&self, name: String, component: Component) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.namespace().to_owned()),
            labels: Some(self.labels(component)),
            owner_references: Some(vec![self.owner_reference()]),
            ..ObjectMeta::default()
        }
    }

    /// What all Redis keys of the room begin with. `cr1` is the number of the layout; the braces keep a room in one slot.
    pub fn key_prefix(&self) -> String {
        format!("cr1:{{{}}}:", self.uid())
    }

    /// `host:port` of the room's own Redis. Without the cluster domain, which is not the same everywhere.
    pub fn redis_address(&self) -> String {
        format!("{}.{}.svc:{}", self.redis(), self.namespace(), Self::REDIS_PORT)
    }

    /// Where programs inside the cluster push. Without a key.
    pub fn push_url(&self) -> String {
        format!("http://{}.{}.svc/push", self.push(), self.namespace())
    }

    /// Where clients inside the cluster connect.
    pub fn url(&self, path: &Path) -> String {
        format!("ws://{}.{}.svc{}", self.service(), self.namespace(), path.as_str())
    }
}
