//! The Helm release: upgraded, removed, installed again, with people in a room.

use chatroom_tests::crowd::{Crowd, Speaker};
use chatroom_tests::wait::SOON;
use chatroom_tests::world::{World, restarts_of, url_of};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::operator::alone;

#[tokio::test]
async fn an_upgrade_of_an_unchanged_release_restarts_nothing() {
    alone("upgrade", async |world, operator| {
        world.apply("lobby", json!({"replicas": 2})).await;
        world.ready("lobby", 2).await;
        let (crowd, speaker) = people(world).await;
        let (room, pod) = (standing(world).await, operator.runs().await);
        let generation = operator.generation().await;

        operator.install().await;
        operator.install().await;

        assert_eq!(operator.generation().await, generation, "of the operator's Deployment");
        let now = operator.runs().await;
        assert_eq!((now.uid(), restarts_of(&now)), (pod.uid(), restarts_of(&pod)), "the operator's pod");
        assert_eq!(standing(world).await, room);
        crowd.hears(speaker.says_another().await, SOON).await;
        crowd.was_left_alone();
        crowd.missed_nothing();
    })
    .await;
}

#[tokio::test]
async fn an_uninstalled_release_leaves_rooms_that_serve_and_a_new_one_takes_them_over_as_they_are() {
    alone("uninstall", async |world, operator| {
        world.apply("lobby", json!({"replicas": 2})).await;
        let before = world.ready("lobby", 2).await;
        let (crowd, speaker) = people(world).await;
        let room = standing(world).await;

        operator.uninstall().await;
        operator.is_gone().await;
        let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
        definitions.get("chatrooms.chatroom.dev").await.expect("the CRD stays");
        let kept = world.rooms().get("lobby").await.expect("the room stays");
        assert_eq!((kept.uid(), kept.metadata.deletion_timestamp), (before.uid(), None));
        crowd.hears(speaker.says_another().await, SOON).await;

        operator.install().await;
        operator.runs().await;
        world.ready("lobby", 2).await;
        // An edit goes through the new one, and comes after whatever it did by itself.
        world.apply("lobby", json!({"replicas": 2, "limits": {"maxMessageBytes": 1000}})).await;
        world.ready("lobby", 2).await;
        assert_eq!(standing(world).await, room);
        crowd.hears(speaker.says_another().await, SOON).await;
        crowd.was_left_alone();
        crowd.missed_nothing();
    })
    .await;
}

#[tokio::test]
async fn helm_tests_whether_the_operator_is_ready() {
    alone("helm-test", async |_, operator| {
        let said = operator.tested().await.expect("an operator that is ready passes");
        assert!(said.contains("/readyz: 200 ok") && said.contains("/metrics: 200"), "{said}");

        operator.scale(0).await;
        let said = operator.tested().await.expect_err("an operator that is gone does not");
        assert!(said.contains("/readyz: no "), "{said}");
        operator.scale(1).await;
    })
    .await;
}

async fn people(world: &World) -> (Crowd, Speaker) {
    let door = world.door("lobby").await;
    let urls: Vec<_> = world.gateways("lobby").await.iter().map(url_of).collect();
    let crowd = Crowd::gather(20, &urls, &door).await;
    let speaker = Speaker::start(&door);
    crowd.hears(speaker.says_another().await, SOON).await;
    (crowd, speaker)
}

/// What a rollout or a restart would change: generation and template of the Deployments; uid and restarts of the pods.
async fn standing(world: &World) -> String {
    let mut lines = Vec::new();
    for name in ["lobby", "lobby-redis"] {
        let deployment = world.api::<Deployment>().get(name).await.expect("the room has this Deployment");
        lines.push(format!("{name}: generation {:?}", deployment.metadata.generation));
    }
    for pod in world.pods("lobby").await {
        lines.push(format!("{} {:?}: {} restarts", pod.name_any(), pod.uid(), restarts_of(&pod)));
    }
    lines.join("\n")
}
