//! Nobody to ask: the operator, or the API server, is away for a while.

use chatroom_tests::conversation::count_becomes;
use chatroom_tests::crowd::{Crowd, Speaker};
use chatroom_tests::repository;
use chatroom_tests::wait::{SOON, until};
use chatroom_tests::world::{A_LEASE_AND_MORE, A_ROLLOUT, Processes, restarts_of, url_of};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::DeleteParams;
use serde_json::json;
use tokio::process::Command;

use crate::operator::alone;

const LOBBY: &str = "(===Online people:{online}===)";

#[tokio::test]
async fn rooms_go_on_without_the_operator_and_edits_are_carried_out_when_it_is_back() {
    alone("down", async |world, operator| {
        let mut spec = json!({"replicas": 3, "broadcast": {"onlineSuffix": LOBBY}});
        world.apply("lobby", spec.clone()).await;
        world.ready("lobby", 3).await;
        let gateways = world.gateways("lobby").await;
        let mut ann = world.connect("ann", &gateways[0]).await;
        let mut bob = world.connect("bob", &gateways[1]).await;

        operator.scale(0).await;
        count_becomes(2, &mut ann, &mut bob, SOON).await;
        let at_once = DeleteParams::default().grace_period(0);
        world.api::<Pod>().delete(&gateways[2].name_any(), &at_once).await.expect("a pod can be deleted");
        let replacement = until("the killed gateway is replaced", A_ROLLOUT, async || {
            let now = world.gateways("lobby").await;
            let new = now.iter().find(|pod| gateways.iter().all(|old| old.uid() != pod.uid())).cloned();
            match new {
                Some(new) if now.len() == 3 => Ok(new),
                _ => Err(now.len()),
            }
        })
        .await;
        let mut cy = world.connect("cy", &replacement).await;
        count_becomes(3, &mut cy, &mut ann, A_LEASE_AND_MORE).await;

        // Two edits: the one that needs no new pods, and the one that does.
        spec["replicas"] = json!(2);
        spec["pingIntervalSeconds"] = json!(20);
        world.apply("lobby", spec).await;
        let generation = |deployment: Deployment| deployment.metadata.generation;
        let before = generation(world.api::<Deployment>().get("lobby").await.expect("the room has a Deployment"));
        count_becomes(3, &mut bob, &mut cy, SOON).await;
        operator.scale(1).await;
        world.ready("lobby", 2).await;
        let after = generation(world.api::<Deployment>().get("lobby").await.expect("the room has a Deployment"));
        assert!(after > before, "{after:?} is not after {before:?}");
        for pod in world.gateways("lobby").await {
            assert!(
                pod.annotations()["chatroom.dev/settings"].contains("pingIntervalSeconds: 20"),
                "{:?}",
                pod.annotations()
            );
        }
    })
    .await;
}

#[tokio::test]
async fn rooms_go_on_without_an_api_server_and_the_operator_goes_on_with_a_new_one() {
    alone("apiserver", async |world, operator| {
        let Some(processes) = Processes::are_here_for("an API server that is killed") else { return };
        let starts_it = repository::root().join("tests/cluster/inside/up.sh");
        world.apply("lobby", json!({"replicas": 2})).await;
        world.ready("lobby", 2).await;
        let door = world.door("lobby").await;
        let gateways = world.gateways("lobby").await;
        let crowd = Crowd::gather(20, &gateways.iter().map(url_of).collect::<Vec<_>>(), &door).await;
        let speaker = Speaker::start(&door);
        let before = operator.runs().await;

        assert!(processes.kill_component("kube-apiserver"), "it runs");
        until("the API server does not answer", SOON, async || match world.client.apiserver_version().await {
            Ok(_) => Err("it does"),
            Err(_) => Ok(()),
        })
        .await;
        crowd.hears(speaker.says_another().await, SOON).await;
        let started = Command::new("bash").arg(&starts_it).output().await.expect("bash is on PATH");
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));

        // Edits are carried out again, by the same operator.
        world.apply("lobby", json!({"replicas": 3})).await;
        world.ready("lobby", 3).await;
        let now = operator.runs().await;
        assert_eq!((now.uid(), restarts_of(&now)), (before.uid(), restarts_of(&before)));
        crowd.hears(speaker.says_another().await, SOON).await;
        crowd.was_left_alone();
        crowd.missed_nothing();
    })
    .await;
}
