//! What somebody breaks, and what the operator and the gateways make of it.

use std::fmt::Debug;

use chatroom_tests::conversation::count_becomes;
use chatroom_tests::crowd::{Crowd, Speaker};
use chatroom_tests::wait::{SOON, until};
use chatroom_tests::world::{
    A_LEASE_AND_MORE, A_ROLLOUT, Processes, World, in_namespace, restarts_of, status_of, url_of,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, EvictParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

const LOBBY: &str = "(===Online people:{online}===)";

#[tokio::test]
async fn a_killed_pod_is_counted_out_disturbs_nobody_else_and_is_replaced() {
    in_namespace("killed", async |world| {
        world.apply("lobby", json!({"replicas": 3, "broadcast": {"onlineSuffix": LOBBY}})).await;
        world.ready("lobby", 3).await;
        let gateways = world.gateways("lobby").await;
        let mut ann = world.connect("ann", &gateways[0]).await;
        let mut bob = world.connect("bob", &gateways[1]).await;
        let mut cy = world.connect("cy", &gateways[2]).await;
        count_becomes(3, &mut ann, &mut bob, SOON).await;

        let at_once = DeleteParams::default().grace_period(0);
        world.api::<Pod>().delete(&gateways[2].name_any(), &at_once).await.expect("a pod can be deleted");
        cy.reads_until_the_end().await;
        count_becomes(2, &mut ann, &mut bob, A_LEASE_AND_MORE).await;
        world.ready("lobby", 3).await;
        count_becomes(2, &mut bob, &mut ann, SOON).await;
    })
    .await;
}

#[tokio::test]
async fn a_killed_container_starts_again_and_its_clients_are_off_the_books() {
    in_namespace("crashed", async |world| {
        let Some(processes) = Processes::are_here_for("a killed container") else { return };
        world.apply("lobby", json!({"replicas": 3, "broadcast": {"onlineSuffix": LOBBY}})).await;
        world.ready("lobby", 3).await;
        let gateways = world.gateways("lobby").await;
        let mut ann = world.connect("ann", &gateways[0]).await;
        let mut bob = world.connect("bob", &gateways[1]).await;
        let mut cy = world.connect("cy", &gateways[2]).await;
        count_becomes(3, &mut ann, &mut bob, SOON).await;
        let before = status_of(&gateways[2]).await.expect("a gateway answers").incarnation;

        assert!(processes.kill(&gateways[2], "chatroom-gateway"), "it runs");
        cy.reads_until_the_end().await;
        count_becomes(2, &mut ann, &mut bob, A_LEASE_AND_MORE).await;
        let pods = until("the same pods serve, one of them after a restart", A_ROLLOUT, async || {
            let pods = world.gateways("lobby").await;
            let seen: Vec<_> = pods.iter().map(|pod| (pod.uid(), restarts_of(pod))).collect();
            let restarts = gateways.iter().zip([0, 0, 1]);
            let expected: Vec<_> = restarts.map(|(pod, restarts)| (pod.uid(), restarts)).collect();
            if seen == expected { Ok(pods) } else { Err(format!("{seen:?}")) }
        })
        .await;
        assert_ne!(status_of(&pods[2]).await.expect("a gateway answers").incarnation, before);
        let mut cy = world.connect("cy again", &pods[2]).await;
        count_becomes(3, &mut cy, &mut ann, SOON).await;
        count_becomes(3, &mut bob, &mut cy, SOON).await;
    })
    .await;
}

#[tokio::test]
async fn an_eviction_is_allowed_to_one_gateway_at_a_time_and_moves_its_clients_alone() {
    in_namespace("evicted", async |world| {
        world.apply("lobby", json!({"replicas": 3})).await;
        world.ready("lobby", 3).await;
        let gateways = world.gateways("lobby").await;
        let door = world.door("lobby").await;
        let sent_away = Crowd::gather(10, &[url_of(&gateways[0])], &door).await;
        let others = Crowd::gather(20, &[url_of(&gateways[1]), url_of(&gateways[2])], &door).await;

        let pods: Api<Pod> = Api::namespaced(world.impatient_client().await, &world.namespace);
        let evict = async |pod: &Pod| pods.evict(&pod.name_any(), &EvictParams::default()).await;
        // The budget is known once its controller has counted the pods.
        until("the first eviction is allowed", SOON, async || evict(&gateways[0]).await.map(drop)).await;
        match evict(&gateways[1]).await {
            Err(kube::Error::Api(refusal)) if refusal.code == 429 => {}
            other => panic!("the second eviction while the first gateway is away: {other:?}"),
        }
        until("the evicted gateway is gone", A_ROLLOUT, async || {
            let gone = pods.get_opt(&gateways[0].name_any()).await.map_err(|error| error.to_string())?.is_none();
            if gone { Ok(()) } else { Err("it is still there".to_owned()) }
        })
        .await;
        world.ready("lobby", 3).await;
        sent_away.is_in(SOON).await;
        sent_away.moved_once();
        others.was_left_alone();
        let everybody = Speaker::start(&door);
        let line = everybody.says_another().await;
        sent_away.hears(line, SOON).await;
        others.hears(line, SOON).await;
        until("the next eviction is allowed", SOON, async || evict(&gateways[1]).await.map(drop)).await;
    })
    .await;
}

#[tokio::test]
async fn every_deleted_child_comes_back() {
    in_namespace("children", async |world| {
        world.apply("lobby", json!({"replicas": 2, "broadcast": {"onlineSuffix": LOBBY}})).await;
        world.ready("lobby", 2).await;
        comes_back::<ConfigMap>(world, "lobby-config").await;
        comes_back::<ServiceAccount>(world, "lobby").await;
        comes_back::<Service>(world, "lobby").await;
        comes_back::<Service>(world, "lobby-push").await;
        comes_back::<PodDisruptionBudget>(world, "lobby").await;
        comes_back::<Service>(world, "lobby-redis").await;
        comes_back::<Deployment>(world, "lobby-redis").await;
        comes_back::<Deployment>(world, "lobby").await;
        // The Secret takes longer, and has a test of its own beside the other tales of Redis.
        world.ready("lobby", 2).await;
        until("everybody hears everybody again", SOON, async || {
            let gateways = world.gateways("lobby").await;
            let [one, .., other] = gateways.as_slice() else { return Err("there are not two gateways".to_owned()) };
            let mut ann = world.connect("ann", one).await;
            let mut bob = world.connect("bob", other).await;
            ann.try_say("hello").await;
            match bob.next_within(A_LEASE_AND_MORE / 4).await {
                Some(chatroom_tests::chat::Received::Text(text)) if text.starts_with("hello(") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn what_somebody_changes_by_hand_is_set_right() {
    in_namespace("drift", async |world| {
        world.apply("lobby", json!({"replicas": 1})).await;
        world.ready("lobby", 1).await;
        let deployments = world.api::<Deployment>();
        let by_hand = Patch::Merge(json!({"spec": {"replicas": 3}}));
        deployments.patch("lobby", &PatchParams::default(), &by_hand).await.expect("a Deployment can be changed");
        until("the operator has its number again", SOON, async || {
            let deployment = deployments.get("lobby").await.map_err(|error| error.to_string())?;
            let replicas = deployment.spec.and_then(|spec| spec.replicas);
            if replicas == Some(1) { Ok(()) } else { Err(format!("{replicas:?}")) }
        })
        .await;
        world.ready("lobby", 1).await;
    })
    .await;
}

async fn comes_back<K>(world: &World, name: &str)
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + Debug
        + for<'de> serde::Deserialize<'de>,
{
    let api = world.api::<K>();
    let kind = K::kind(&());
    let old = api.get(name).await.unwrap_or_else(|error| panic!("{kind} {name}: {error}")).uid();
    api.delete(name, &DeleteParams::background()).await.unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
    until(&format!("{kind} {name} is back"), SOON, async || {
        let now = api.get(name).await.map_err(|error| error.to_string())?;
        let alive = now.meta().deletion_timestamp.is_none();
        if now.uid() != old && alive { Ok(()) } else { Err("it is still the old one".to_owned()) }
    })
    .await;
}
