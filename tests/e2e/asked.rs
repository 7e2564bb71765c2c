//! What people ask of a room beside its ordinary settings: to restart, to sleep, to be left alone.

use std::collections::BTreeSet;

use chatroom_api::{ChatRoom, condition};
use chatroom_tests::crowd::{Crowd, Speaker};
use chatroom_tests::wait::{SOON, until};
use chatroom_tests::world::{A_ROLLOUT, World, in_namespace, in_words, url_of};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use serde_json::{Value, json};

#[tokio::test]
async fn a_restart_moves_everybody_once_whether_the_room_is_asked_or_its_deployment() {
    in_namespace("restart", async |world| {
        // Time to wait for each other; it is not taken when it is not needed.
        let drain = json!({"preStopSeconds": 0, "timeoutSeconds": 60});
        world.apply("lobby", json!({"replicas": 2, "drain": drain})).await;
        world.ready("lobby", 2).await;
        let door = world.door("lobby").await;

        let crowd = gather(world, &door).await;
        let old = uids(world).await;
        let asked = json!({"metadata": {"annotations": {"chatroom.dev/restarted-at": "2026-11-23T10:00:00Z"}}});
        world.change::<ChatRoom>("lobby", asked).await;
        are_replaced(world, &old).await;
        crowd.is_in(SOON).await;
        crowd.moved_once();
        drop(crowd);

        // As `kubectl rollout restart` does.
        let crowd = gather(world, &door).await;
        let old = uids(world).await;
        let stamp = json!({"kubectl.kubernetes.io/restartedAt": "2026-11-23T11:00:00Z"});
        let asked = json!({"spec": {"template": {"metadata": {"annotations": stamp}}}});
        world.change::<Deployment>("lobby", asked).await;
        are_replaced(world, &old).await;
        crowd.is_in(SOON).await;
        crowd.moved_once();

        // Once is once: the operator does not take it back, which would be another rollout.
        let deployment = world.api::<Deployment>().get("lobby").await.expect("the room has a Deployment");
        let template =
            deployment.spec.and_then(|spec| spec.template.metadata).and_then(|metadata| metadata.annotations);
        let annotations = template.unwrap_or_default();
        assert_eq!(annotations["chatroom.dev/restarted-at"], "2026-11-23T10:00:00Z");
        assert_eq!(annotations["kubectl.kubernetes.io/restartedAt"], "2026-11-23T11:00:00Z");
    })
    .await;
}

#[tokio::test]
async fn a_suspended_room_sleeps_without_gateways_and_wakes_as_it_was() {
    in_namespace("suspend", async |world| {
        world.apply("lobby", json!({"replicas": 2})).await;
        world.ready("lobby", 2).await;
        let door = world.door("lobby").await;
        let crowd = gather(world, &door).await;
        let kept = async || {
            let mut words = vec![in_words("ConfigMap", &get::<ConfigMap>(world, "lobby-config").await)];
            words.push(in_words("Service", &get::<Service>(world, "lobby").await));
            words.push(in_words("Service", &get::<Service>(world, "lobby-push").await));
            words.push(format!("{:?}", get::<Secret>(world, "lobby-push").await.uid()));
            words.push(format!("{:?}", get::<Secret>(world, "lobby-redis").await.uid()));
            words.push(in_words("Deployment", &get::<Deployment>(world, "lobby-redis").await));
            words.push(format!("{:?}", get::<Deployment>(world, "lobby-redis").await.uid()));
            words
        };
        let before = kept().await;

        world.apply("lobby", json!({"replicas": 2, "suspend": true})).await;
        world.says("lobby", condition::READY, ("False", "Suspended"), &["no gateways run"]).await;
        until("no gateway is left", A_ROLLOUT, async || {
            let left = world.pods("lobby").await.len();
            if left == 0 { Ok(()) } else { Err(left) }
        })
        .await;
        assert_eq!(crowd.ends(), vec![vec![Some(1012)]; PEOPLE]);
        let budget = world.api::<PodDisruptionBudget>().get_opt("lobby").await.expect("budgets can be asked for");
        assert_eq!(budget, None);
        assert_eq!(kept().await, before);

        world.apply("lobby", json!({"replicas": 2})).await;
        world.ready("lobby", 2).await;
        crowd.is_in(SOON).await;
        let speaker = Speaker::start(&door);
        crowd.hears(speaker.says_another().await, SOON).await;
        crowd.moved_once();
        get::<PodDisruptionBudget>(world, "lobby").await;
        assert_eq!(kept().await, before);
    })
    .await;
}

#[tokio::test]
async fn a_paused_room_is_left_as_it_is_whatever_is_asked_of_it_until_it_goes_on() {
    in_namespace("paused", async |world| {
        let mut spec = json!({"replicas": 1});
        world.apply("lobby", spec.clone()).await;
        world.ready("lobby", 1).await;
        pause(world, json!("disabled")).await;
        world.says("lobby", condition::PAUSED, ("True", "ReconcileDisabled"), &[]).await;
        let old = uids(world).await;

        spec["pingIntervalSeconds"] = json!(20);
        spec["limits"] = json!({"maxMessageBytes": 1000});
        world.apply("lobby", spec).await;
        // By hand: what the operator otherwise sets right.
        world.change::<Deployment>("lobby", json!({"spec": {"replicas": 2}})).await;
        until("the room has the gateways that somebody gave it", A_ROLLOUT, async || {
            let now = uids(world).await;
            if now.len() == 2 && now.is_superset(&old) { Ok(()) } else { Err(format!("{now:?}")) }
        })
        .await;
        // The status still follows; nothing else does.
        until("the status counts both", SOON, async || {
            let status = get::<ChatRoom>(world, "lobby").await.status.unwrap_or_default();
            if status.ready_replicas == Some(2) { Ok(()) } else { Err(format!("{:?}", status.ready_replicas)) }
        })
        .await;
        let deployment = get::<Deployment>(world, "lobby").await;
        assert_eq!(deployment.spec.and_then(|spec| spec.replicas), Some(2));
        let hot = get::<ConfigMap>(world, "lobby-config").await.data.unwrap_or_default().remove("hot.yaml");
        assert!(hot.is_some_and(|hot| !hot.contains("maxMessageBytes: 1000")), "the ConfigMap was written");

        pause(world, Value::Null).await;
        are_replaced(world, &old).await;
        world.ready("lobby", 1).await;
        let hot = get::<ConfigMap>(world, "lobby-config").await.data.unwrap_or_default().remove("hot.yaml");
        assert!(hot.is_some_and(|hot| hot.contains("maxMessageBytes: 1000")), "the ConfigMap was not written");
    })
    .await;
}

const PEOPLE: usize = 20;

async fn gather(world: &World, door: &str) -> Crowd {
    let urls: Vec<_> = world.gateways("lobby").await.iter().map(url_of).collect();
    Crowd::gather(PEOPLE, &urls, door).await
}

async fn pause(world: &World, value: Value) {
    world.change::<ChatRoom>("lobby", json!({"metadata": {"annotations": {"chatroom.dev/reconcile": value}}})).await;
}

async fn uids(world: &World) -> BTreeSet<String> {
    world.gateways("lobby").await.iter().filter_map(ResourceExt::uid).collect()
}

/// Waits until the room is ready with other pods than these, and these are gone.
async fn are_replaced(world: &World, old: &BTreeSet<String>) {
    until("all pods are new", A_ROLLOUT, async || {
        let now: BTreeSet<_> = world.pods("lobby").await.iter().filter_map(ResourceExt::uid).collect();
        let serving = uids(world).await.len();
        if now.is_disjoint(old) && serving > 0 && serving == now.len() {
            Ok(())
        } else {
            Err(format!("{now:?}, {serving} of them serve"))
        }
    })
    .await;
}

async fn get<K>(world: &World, name: &str) -> K
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + for<'de> serde::Deserialize<'de>,
{
    world.api::<K>().get(name).await.unwrap_or_else(|error| panic!("{} {name}: {error}", K::kind(&())))
}
