//! A namespace of a test's own on a real cluster, and what is done in it.

mod processes;
mod redis;
mod report;

use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use anyhow::Context as _;
use chatroom_api::{ChatRoom, condition};
use chatroom_operator::conditions::{find, is_true};
use futures_util::FutureExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Config, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub use self::processes::Processes;
use self::report::tell_everything;
use crate::chat::ChatClient;
use crate::wait::until;
use crate::{environment, skipped};

/// Pods have to be scheduled and started, perhaps while the machine does other things.
pub const A_ROLLOUT: Duration = Duration::from_secs(180);
/// What the gateways do among themselves: a lease and more.
pub const A_LEASE_AND_MORE: Duration = Duration::from_secs(20);

/// What tells one rule of pod security from another: nothing that the tests or the operator start may need more.
pub const POD_SECURITY: &str = "pod-security.kubernetes.io/enforce";

/// A namespace of a test's own.
pub struct World {
    /// Speaks to the API server.
    pub client: Client,
    /// Its name.
    pub namespace: String,
}

/// Runs `test` in a fresh namespace, if end-to-end tests are wanted. `name` becomes a part of the namespace's.
///
/// # Panics
/// When the test does, after telling what one would have looked up; or when there is no cluster.
pub async fn in_namespace(name: &str, test: impl AsyncFnOnce(&World)) {
    if !environment::e2e_is_wanted() {
        skipped::say(
            name,
            &format!("set {}=1 and KUBECONFIG to run it on a cluster with the operator", environment::E2E),
        );
        return;
    }
    // An error says that another test of this process was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::try_default().await.expect("KUBECONFIG leads to a cluster");
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let wanted: Namespace = serde_json::from_value(json!({
        "metadata": {
            "generateName": format!("e2e-{name}-"),
            "labels": {POD_SECURITY: "restricted", "chatroom.dev/e2e": "true"},
        },
    }))
    .expect("this is a namespace");
    let namespace =
        namespaces.create(&PostParams::default(), &wanted).await.expect("a namespace can be made").name_any();
    let world = World { client, namespace };
    // Boxed: a test's future is as large as everything it does.
    let outcome = AssertUnwindSafe(Box::pin(test(&world))).catch_unwind().await;
    if outcome.is_err() {
        tell_everything(&world).await;
    }
    let removed = namespaces.delete(&world.namespace, &DeleteParams::background()).await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    removed.expect("a namespace can be removed");
}

impl World {
    /// The rooms of this namespace.
    #[must_use]
    pub fn rooms(&self) -> Api<ChatRoom> {
        self.api()
    }

    /// Speaks to the API server and takes "not now" for an answer, where [`Self::client`] would try again.
    ///
    /// # Panics
    /// When KUBECONFIG is gone.
    pub async fn impatient_client(&self) -> Client {
        let mut config = Config::infer().await.expect("KUBECONFIG led to a cluster before");
        config.default_retry = false;
        Client::try_from(config).expect("this was enough for a client before")
    }

    /// The objects of one kind in this namespace.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Makes an object.
    ///
    /// # Panics
    /// When `object` is not of this kind, or the API server refuses it.
    pub async fn create<K>(&self, object: Value)
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + serde::Serialize
            + DeserializeOwned,
    {
        let typed: K = serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{object}: {error}"));
        let made = self.api::<K>().create(&PostParams::default(), &typed).await;
        made.unwrap_or_else(|error| panic!("{object}: {error}"));
    }

    /// Changes a part of an object with a merge patch.
    ///
    /// # Panics
    /// When the API server refuses.
    pub async fn change<K>(&self, name: &str, patch: Value)
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let changed = self.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        changed.unwrap_or_else(|error| panic!("{} {name}, {patch}: {error}", K::kind(&())));
    }

    /// Applies a room: the given spec and, unless it says otherwise, a short drain and small pods. Many rooms share a node
    /// here, and pods that wait for each other's place would not start when a test lets them.
    ///
    /// # Panics
    /// When the API server refuses.
    pub async fn apply(&self, name: &str, mut spec: Value) {
        if spec.get("drain").is_none() {
            spec["drain"] = json!({"preStopSeconds": 0, "timeoutSeconds": 5});
        }
        if spec["pod"]["resources"].is_null() {
            spec["pod"]["resources"] =
                json!({"requests": {"cpu": "40m", "memory": "32Mi"}, "limits": {"memory": "512Mi"}});
        }
        let room = json!({"apiVersion": "chatroom.dev/v1alpha1", "kind": "ChatRoom", "metadata": {"name": name}, "spec": spec});
        let parameters = PatchParams::apply("e2e").force();
        self.rooms().patch(name, &parameters, &Patch::Apply(room)).await.expect("a good room is taken");
    }

    /// Waits until the room is ready with so many gateways, all of the current generation, and answers it.
    ///
    /// # Panics
    /// When it takes longer than [`A_ROLLOUT`].
    pub async fn ready(&self, name: &str, replicas: i32) -> ChatRoom {
        let rooms = self.rooms();
        until(&format!("{name} is ready with {replicas} gateways"), A_ROLLOUT, async || {
            let room = rooms.get(name).await.map_err(|error| error.to_string())?;
            let status = room.status.clone().unwrap_or_default();
            let current = status.observed_generation == room.metadata.generation;
            let counts = (status.desired_replicas, status.ready_replicas, status.updated_replicas, status.replicas);
            let all = counts == (Some(replicas), Some(replicas), Some(replicas), Some(replicas));
            let is = |kind: &str| is_true(&status, kind);
            if current && all && is(condition::READY) && !is(condition::RECONCILING) && !is(condition::STALLED) {
                Ok(room)
            } else {
                Err(serde_json::to_string(&status).unwrap_or_default())
            }
        })
        .await
    }

    /// Waits until a condition of the current generation has this status and reason, and a message with all these parts.
    ///
    /// # Panics
    /// When it takes longer than [`A_ROLLOUT`].
    pub async fn says(&self, name: &str, kind: &str, (status, reason): (&str, &str), parts: &[&str]) -> Condition {
        let rooms = self.rooms();
        until(&format!("{name} says {kind} {status}, {reason}, {parts:?}"), A_ROLLOUT, async || {
            let room = rooms.get(name).await.map_err(|error| error.to_string())?;
            let said = room.status.as_ref().and_then(|status| find(status, kind)).cloned();
            let said = said.ok_or_else(|| format!("no {kind}"))?;
            let current = said.observed_generation == room.metadata.generation;
            let words = parts.iter().all(|part| said.message.contains(part));
            if current && said.status == status && said.reason == reason && words {
                Ok(said)
            } else {
                Err(serde_json::to_string(&said).unwrap_or_default())
            }
        })
        .await
    }

    /// The gateways of a room that take clients and are not going, by name.
    ///
    /// # Panics
    /// When the API server does not answer.
    pub async fn gateways(&self, room: &str) -> Vec<Pod> {
        let mut pods = self.pods(room).await;
        pods.retain(serves);
        pods
    }

    /// All gateway pods of a room, also those that start or end, by name.
    ///
    /// # Panics
    /// When the API server does not answer.
    pub async fn pods(&self, room: &str) -> Vec<Pod> {
        let selector = format!("app.kubernetes.io/name=chatroom-gateway,app.kubernetes.io/instance={room}");
        let pods = self.api::<Pod>().list(&ListParams::default().labels(&selector)).await.expect("pods can be listed");
        let mut pods = pods.items;
        pods.sort_by_key(ResourceExt::name_any);
        pods
    }

    /// Where clients from inside the cluster find the room: the address of its Service, since names mean nothing to a test.
    ///
    /// # Panics
    /// When the room has no Service.
    pub async fn door(&self, room: &str) -> String {
        let service = self.api::<Service>().get(room).await.expect("a room has a Service");
        let address = service.spec.and_then(|spec| spec.cluster_ip).expect("a ClusterIP has an address");
        format!("ws://{address}:80/")
    }

    /// A client of one gateway.
    ///
    /// # Panics
    /// When the gateway refuses it.
    pub async fn connect(&self, name: &str, gateway: &Pod) -> ChatClient {
        ChatClient::connect(name, &url_of(gateway)).await
    }
}

/// The address of a pod that runs.
///
/// # Panics
/// When it has none.
#[must_use]
pub fn address_of(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()).expect("a running pod has an address")
}

/// Where clients find one gateway.
///
/// # Panics
/// When it does not run.
#[must_use]
pub fn url_of(gateway: &Pod) -> String {
    format!("ws://{}:8080/", address_of(gateway))
}

/// What a gateway says about itself on `/status`.
///
/// # Errors
/// When it does not answer.
pub async fn status_of(gateway: &Pod) -> anyhow::Result<chatroom_settings::GatewayStatus> {
    let answer = crate::http::get(&format!("http://{}:9090/status", address_of(gateway))).await?;
    serde_json::from_str(answer.body()).with_context(|| format!("status of {}", gateway.name_any()))
}

/// How often the pod's containers were started again.
#[must_use]
pub fn restarts_of(pod: &Pod) -> i32 {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses.map(|container| container.restart_count).sum()
}

/// Whether the pod is ready and not going.
#[must_use]
pub fn serves(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.into_iter().flatten().any(|own| own.type_ == "Ready" && own.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}

/// An object as it shall be, to compare it with another one: without its status, its uid and its owner's, the addresses and
/// passwords that chance gave it.
///
/// # Panics
/// When it cannot be written as YAML.
pub fn in_words<K: serde::Serialize>(kind: &str, object: &K) -> String {
    let mut object = serde_json::to_value(object).expect("an object can be written as JSON");
    let owner = object["metadata"]["ownerReferences"][0]["uid"].as_str().unwrap_or_default().to_owned();
    let metadata = json!({
        "name": object["metadata"]["name"],
        "labels": object["metadata"]["labels"],
        "annotations": object["metadata"]["annotations"],
        "owners": object["metadata"]["ownerReferences"],
    });
    object["metadata"] = metadata;
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
        if kind == "Secret"
            && let Some(Value::Object(data)) = fields.get_mut("data")
        {
            data.values_mut().for_each(|value| *value = Value::Null);
        }
    }
    if let Some(Value::Object(spec)) = object.get_mut("spec") {
        spec.retain(|field, _| !field.starts_with("clusterIP"));
    }
    let text = serde_yaml::to_string(&object).expect("an object can be written as YAML");
    let text = if owner.is_empty() { text } else { text.replace(&owner, "<uid of the room>") };
    format!("--- {kind}\n{text}")
}
