//! A namespace of a test's own, and what is done in it.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use chatroom_api::{ChatRoom, condition};
use chatroom_tests::chat::ChatClient;
use chatroom_tests::wait::until;
use chatroom_tests::{environment, skipped};
use futures_util::FutureExt as _;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use crate::report::tell_everything;

/// Pods have to be scheduled and started, perhaps while the machine does other things.
pub(crate) const A_ROLLOUT: Duration = Duration::from_secs(180);
/// What the gateways do among themselves: a lease and more.
pub(crate) const A_LEASE_AND_MORE: Duration = Duration::from_secs(20);

/// A namespace of a test's own.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

/// Runs `test` in a fresh namespace, if end-to-end tests are wanted.
pub(crate) async fn in_namespace(name: &str, test: impl AsyncFnOnce(&World)) {
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
            "labels": {"pod-security.kubernetes.io/enforce": "restricted", "chatroom.dev/e2e": "true"},
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
    pub(crate) fn rooms(&self) -> Api<ChatRoom> {
        self.api()
    }

    /// The objects of one kind in this namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies a room: the given spec and a short drain.
    pub(crate) async fn apply(&self, name: &str, mut spec: Value) {
        if spec.get("drain").is_none() {
            spec["drain"] = json!({"preStopSeconds": 0, "timeoutSeconds": 5});
        }
        let room = json!({"apiVersion": "chatroom.dev/v1alpha1", "kind": "ChatRoom", "metadata": {"name": name}, "spec": spec});
        let parameters = PatchParams::apply("e2e").force();
        self.rooms().patch(name, &parameters, &Patch::Apply(room)).await.expect("a good room is taken");
    }

    /// Waits until the room is ready with so many gateways, all of the current generation, and answers it.
    pub(crate) async fn ready(&self, name: &str, replicas: i32) -> ChatRoom {
        let rooms = self.rooms();
        until(&format!("{name} is ready with {replicas} gateways"), A_ROLLOUT, async || {
            let room = rooms.get(name).await.map_err(|error| error.to_string())?;
            let status = room.status.clone().unwrap_or_default();
            let current = status.observed_generation == room.metadata.generation;
            let counts = (status.desired_replicas, status.ready_replicas, status.updated_replicas, status.replicas);
            let all = counts == (Some(replicas), Some(replicas), Some(replicas), Some(replicas));
            let is = |kind: &str| status.conditions.iter().any(|own| own.type_ == kind && own.status == "True");
            if current && all && is(condition::READY) && !is(condition::RECONCILING) && !is(condition::STALLED) {
                Ok(room)
            } else {
                Err(serde_json::to_string(&status).unwrap_or_default())
            }
        })
        .await
    }

    /// The gateways of a room that take clients and are not going, by name.
    pub(crate) async fn gateways(&self, room: &str) -> Vec<Pod> {
        let selector = format!("app.kubernetes.io/name=chatroom-gateway,app.kubernetes.io/instance={room}");
        let pods = self.api::<Pod>().list(&ListParams::default().labels(&selector)).await.expect("pods can be listed");
        let mut pods: Vec<_> = pods.items.into_iter().filter(serves).collect();
        pods.sort_by_key(ResourceExt::name_any);
        pods
    }

    /// A client of one gateway.
    pub(crate) async fn connect(&self, name: &str, gateway: &Pod) -> ChatClient {
        ChatClient::connect(name, &format!("ws://{}:8080/", address_of(gateway))).await
    }
}

/// The address of a pod that runs.
pub(crate) fn address_of(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()).expect("a running pod has an address")
}

fn serves(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.into_iter().flatten().any(|own| own.type_ == "Ready" && own.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}
