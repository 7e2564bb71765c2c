//! Objects of somebody else that stand where one of a room's should stand.

use chatroom_api::condition;
use futures_util::future::join_all;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::children::{Child, KEPT, SECRETS};
use crate::world::{PROMISED, World, in_namespace};

#[tokio::test]
async fn whatever_of_somebody_else_is_in_the_way_is_named_and_not_touched_and_the_room_gets_on_when_it_is_gone() {
    in_namespace("foreign", async |world| {
        join_all(KEPT.iter().enumerate().map(async |(index, child)| is_in_the_way(world, *child, index).await)).await;
    })
    .await;
}

async fn is_in_the_way(world: &World, child: Child, index: usize) {
    let room = format!("room-{index}");
    let theirs = world.create(child, &child.of_somebody_else(&room)).await;
    world.apply(&room, json!({})).await;
    let message = world.has(&room, PROMISED, condition::STALLED, "True", "ForeignObject").await;
    assert!(message.starts_with(&format!("{}: belongs to somebody else", child.called(&room))), "{message}");
    world.is_told(&room, "ForeignObject").await;
    assert_eq!(world.child(child, &room).await, theirs);
    world.delete(child, &theirs).await;
    world.becomes_ours(child, &room, &theirs).await;
    world.settled(&room).await;
}

#[tokio::test]
async fn a_secret_that_is_there_is_used_and_not_touched() {
    in_namespace("secret", async |world| {
        let theirs =
            join_all(SECRETS.map(async |secret| world.create(secret, &secret.of_somebody_else("lobby")).await)).await;
        world.apply("lobby", json!({})).await;
        world.settled("lobby").await;
        for (secret, theirs) in SECRETS.into_iter().zip(theirs) {
            assert_eq!(world.child(secret, "lobby").await, theirs);
        }
    })
    .await;
}

#[tokio::test]
async fn a_room_that_names_its_push_keys_gets_no_secret_for_them_and_its_status_names_theirs() {
    in_namespace("push-keys", async |world| {
        world.apply("lobby", json!({"push": {"secretName": "ours", "dialects": ["Tencent"]}})).await;
        let status = world.settled("lobby").await.status.unwrap_or_default();
        assert_eq!(status.push_secret_name.as_deref(), Some("ours"));
        let url = format!("http://lobby-push.{}.svc/push", world.namespace);
        assert_eq!(status.push_url, Some(url));
        let [push, _] = SECRETS;
        assert_eq!(world.of_kind(push).get_opt("lobby-push").await.expect("Secrets can be asked for"), None);
    })
    .await;
}

#[tokio::test]
async fn a_child_of_another_room_is_somebody_elses() {
    in_namespace("other-room", async |world| {
        let hall = world.apply("hall", json!({})).await;
        let [.., service, _, _, _] = KEPT;
        let metadata =
            json!({"ownerReferences": [owner("chatroom.dev/v1alpha1", "ChatRoom", "hall", &hall.uid().unwrap())]});
        let theirs = service.object("lobby", &metadata, json!({"spec": {"ports": [{"port": 80}]}}));
        let theirs = world.create(service, &theirs).await;
        world.apply("lobby", json!({})).await;
        let message = world.has("lobby", PROMISED, condition::STALLED, "True", "ForeignObject").await;
        assert!(message.starts_with("Service lobby: belongs to ChatRoom hall"), "{message}");
        assert_eq!(world.child(service, "lobby").await, theirs);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_longer_wanted_is_deleted_by_its_uid() {
    in_namespace("orphans", async |world| {
        let [_, _, redis_service, redis, .., budget] = KEPT;
        world.apply("lobby", json!({})).await;
        world.settled("lobby").await;
        let mut expected = Vec::new();
        for child in [budget, redis, redis_service] {
            expected.push((child.plural.to_owned(), child.name("lobby"), world.child(child, "lobby").await.uid()));
        }
        let mark = world.mark();
        world.apply("lobby", json!({"podDisruptionBudget": {"enabled": false}, "redis": external()})).await;
        world.settled("lobby").await;
        world.is_gone(redis_service, "lobby").await;
        let deletions = world.written_since(mark).into_iter().filter(|request| request.verb == "delete");
        let deleted: Vec<_> = deletions
            .map(|request| {
                let uid = request.body["preconditions"]["uid"].as_str().map(str::to_owned);
                (request.resource, request.name, uid)
            })
            .collect();
        assert_eq!(deleted, expected);
        for secret in SECRETS {
            world.child(secret, "lobby").await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_only_looks_like_an_orphan_of_ours_is_left() {
    in_namespace("lookalikes", async |world| {
        let [config_map, _, redis_service, redis, .., budget] = KEPT;
        let note = world.create(config_map, &config_map.of_somebody_else("note")).await;
        let metadata = json!({
            "labels": {"app.kubernetes.io/managed-by": "chatroom-operator", "app.kubernetes.io/instance": "lobby"},
            "ownerReferences": [owner("v1", "ConfigMap", &note.name_any(), &note.uid().unwrap())],
        });
        let mut theirs = Vec::new();
        for child in [budget, redis, redis_service] {
            let mut object = child.of_somebody_else("lobby");
            object.metadata.labels = serde_json::from_value(metadata["labels"].clone()).unwrap();
            object.metadata.owner_references = serde_json::from_value(metadata["ownerReferences"].clone()).unwrap();
            theirs.push((child, world.create(child, &object).await));
        }
        world.apply("lobby", json!({"podDisruptionBudget": {"enabled": false}, "redis": external()})).await;
        world.settled("lobby").await;
        for (child, theirs) in theirs {
            assert_eq!(world.child(child, "lobby").await, theirs);
        }
    })
    .await;
}

fn external() -> Value {
    json!({"external": {"urlSecretRef": {"name": "redis", "key": "url"}}})
}

fn owner(api_version: &str, kind: &str, name: &str, uid: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": true})
}
