//! What somebody does to the children of a room: it is repaired or told, and nothing of anybody else's is touched. How
//! long each repair took stands in the output.

use std::collections::BTreeSet;

use chatroom_api::condition;
use futures_util::future::join_all;
use kube::api::DynamicObject;
use kube::api::PostParams;
use kube::{Error, ResourceExt as _};
use serde_json::{Value, json};

use crate::children::{Child, KEPT, SECRETS};
use crate::world::{PROMISED, World, in_namespace};

#[tokio::test]
async fn every_deleted_child_comes_back_as_soon_as_promised() {
    in_namespace("deleted", async |world| {
        world.apply("lobby", json!({})).await;
        let room = world.settled("lobby").await;
        for child in KEPT {
            let old = world.child(child, "lobby").await;
            world.delete(child, &old).await;
            let new = world.becomes_ours(child, "lobby", &old).await;
            assert_eq!(new.owner_references()[0].uid, room.uid().unwrap());
        }
        world.settled("lobby").await;
        only_its_own_was_written(world, "lobby");
    })
    .await;
}

#[tokio::test]
async fn every_edited_child_is_set_right_as_soon_as_promised() {
    in_namespace("edited", async |world| {
        world.apply("lobby", json!({})).await;
        world.settled("lobby").await;
        for child in KEPT {
            let before = world.child(child, "lobby").await;
            let (path, value) = of_ours(child);
            let edited = world.edit_child(child, "lobby", patch(path, &value)).await;
            assert_ne!(at(&edited, path), at(&before, path), "{} was edited", child.called("lobby"));
            let right = |live: &DynamicObject| at(live, path) == at(&before, path);
            world.child_becomes(child, "lobby", "is set right", PROMISED, right).await;
        }
        world.settled("lobby").await;
        only_its_own_was_written(world, "lobby");
    })
    .await;
}

#[tokio::test]
async fn what_ours_cannot_stand_beside_is_taken_out_again() {
    in_namespace("beside", async |world| {
        world.apply("lobby", json!({})).await;
        world.settled("lobby").await;
        for (child, edit) in KEPT.into_iter().filter_map(|child| Some((child, unbearable(child)?))) {
            let before = world.child(child, "lobby").await;
            world.edit_child(child, "lobby", edit).await;
            let right = |live: &DynamicObject| live.data["spec"] == before.data["spec"];
            world.child_becomes(child, "lobby", "is set right", PROMISED, right).await;
        }
        world.settled("lobby").await;
        only_its_own_was_written(world, "lobby");
    })
    .await;
}

/// An edit after which server-side apply of what we ask for is refused.
fn unbearable(child: Child) -> Option<Value> {
    match child.kind {
        "Service" if child.name("").is_empty() => {
            Some(json!({"spec": {"ports": [{"name": "ws", "port": 8080, "targetPort": "ws"}]}}))
        }
        "PodDisruptionBudget" => Some(json!({"spec": {"minAvailable": 1, "maxUnavailable": null}})),
        _ => None,
    }
}

#[tokio::test]
async fn a_child_that_somebody_swaps_for_their_own_object_is_told_of_and_theirs_is_not_eaten() {
    in_namespace("swapped", async |world| {
        join_all(KEPT.iter().enumerate().map(async |(index, child)| is_swapped(world, *child, index).await)).await;
    })
    .await;
}

async fn is_swapped(world: &World, child: Child, index: usize) {
    let room = format!("room-{index}");
    world.apply(&room, json!({})).await;
    world.settled(&room).await;
    let theirs = swap(world, child, &room).await;
    world.has(&room, PROMISED, condition::STALLED, "True", "ForeignObject").await;
    assert_eq!(world.child(child, &room).await, theirs);
    world.delete(child, &theirs).await;
    world.becomes_ours(child, &room, &theirs).await;
    world.settled(&room).await;
}

/// Deletes the child and puts an object of somebody else in its place; again, when the operator was faster.
async fn swap(world: &World, child: Child, room: &str) -> DynamicObject {
    let theirs = child.of_somebody_else(room);
    loop {
        world.delete(child, &world.child(child, room).await).await;
        match world.of_kind(child).create(&PostParams::default(), &theirs).await {
            Ok(created) => return created,
            Err(Error::Api(status)) if status.is_already_exists() => {}
            Err(error) => panic!("{}: {error}", child.called(room)),
        }
    }
}

/// The audit log knows: the operator wrote the room's children and its status, and deleted nothing.
fn only_its_own_was_written(world: &World, room: &str) {
    let children = KEPT.iter().chain(&SECRETS);
    let mut own: BTreeSet<_> = children.map(|child| (child.plural.to_owned(), child.name(room))).collect();
    own.insert(("chatrooms/status".to_owned(), room.to_owned()));
    let written = world.plane.audit().writes(&world.plane.operator().user, &world.namespace);
    for request in written.iter().filter(|request| !request.is_event()) {
        assert!(["create", "patch"].contains(&request.verb.as_str()), "{request}");
        // A request that makes an object has its name in the body.
        let is_secret = request.verb == "create" && request.resource == "secrets";
        assert!(is_secret || own.contains(&(request.resource.clone(), request.name.clone())), "{request}");
    }
}

/// A field of ours, and another value for it.
fn of_ours(child: Child) -> (&'static str, Value) {
    match (child.kind, child.name("")) {
        ("ConfigMap", _) => ("/data/hot.yaml", json!("limits: none\n")),
        ("ServiceAccount", _) => ("/automountServiceAccountToken", json!(true)),
        ("Service", _) => ("/spec/selector/app.kubernetes.io~1name", json!("something-else")),
        ("Deployment", name) if name.is_empty() => ("/spec/replicas", json!(7)),
        ("Deployment", _) => ("/spec/template/spec/enableServiceLinks", json!(true)),
        ("PodDisruptionBudget", _) => ("/spec/maxUnavailable", json!("100%")),
        (kind, name) => panic!("{kind} {name}: say here what of it is ours"),
    }
}

/// A merge patch that sets the value at a JSON pointer.
fn patch(pointer: &str, value: &Value) -> Value {
    let names = pointer.trim_start_matches('/').rsplit('/').map(|name| name.replace("~1", "/"));
    names.fold(value.clone(), |inner, name| json!({name: inner}))
}

fn at(object: &DynamicObject, pointer: &str) -> Value {
    object.data.pointer(pointer).cloned().unwrap_or_default()
}
