//! Rooms that go and come back: what they find of themselves.

use std::collections::BTreeMap;

use chatroom_api::ChatRoom;
use futures_util::future::join_all;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, PropagationPolicy};
use serde_json::json;

use crate::audit::Request;
use crate::children::{KEPT, SECRETS};
use crate::world::{A_WHILE, PROMISED, World, in_namespace};
use chatroom_tests::wait::until;

#[tokio::test]
async fn children_that_a_restore_brought_back_without_their_owner_are_adopted_and_it_is_told() {
    in_namespace("restored", async |world| {
        world.apply("lobby", json!({})).await;
        let former = world.settled("lobby").await;
        let before = uids(world).await;
        // What a backup brings back looks like what an orphaning deletion leaves: our labels, no owner.
        let orphaning = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
        world.rooms().delete("lobby", &orphaning).await.expect("a room can be deleted");
        is_gone(world, &former).await;
        world.apply("lobby", json!({})).await;
        let room = world.settled("lobby").await;
        assert_eq!(uids(world).await, before, "they are the same objects");
        for child in KEPT {
            let owners = world.child(child, "lobby").await.owner_references().to_vec();
            assert_eq!(owners.len(), 1, "{}: {owners:?}", child.called("lobby"));
            assert_eq!(owners[0].uid, room.uid().unwrap());
        }
        let note = world.is_told("lobby", "Adopted").await;
        assert!(note.contains("it has our labels and had no owner"), "{note}");
    })
    .await;
}

#[tokio::test]
async fn a_child_that_loses_its_owner_gets_it_back_as_soon_as_promised() {
    in_namespace("ownerless", async |world| {
        world.apply("lobby", json!({})).await;
        let room = world.settled("lobby").await;
        join_all(KEPT.iter().map(async |child| {
            let before = world.child(*child, "lobby").await;
            world.edit_child(*child, "lobby", json!({"metadata": {"ownerReferences": null}})).await;
            let owned =
                |live: &DynamicObject| live.owner_references().iter().any(|owner| owner.uid == room.uid().unwrap());
            let after = world.child_becomes(*child, "lobby", "has its owner again", PROMISED, owned).await;
            assert_eq!(after.uid(), before.uid(), "{}", child.called("lobby"));
        }))
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_room_that_is_made_anew_at_once_waits_for_the_children_of_the_former_and_makes_its_own() {
    in_namespace("anew", async |world| {
        world.apply("lobby", json!({})).await;
        let former = world.settled("lobby").await;
        let before = uids(world).await;
        world.rooms().delete("lobby", &DeleteParams::background()).await.expect("a room can be deleted");
        is_gone(world, &former).await;
        world.apply("lobby", json!({})).await;
        until("every child is the new room's", A_WHILE, async || {
            let now = uids(world).await;
            let old: Vec<_> = before.iter().filter(|(child, uid)| now.get(*child) == Some(uid)).collect();
            if old.is_empty() && now.len() == before.len() { Ok(()) } else { Err(format!("{old:?} of {}", now.len())) }
        })
        .await;
        let room = world.settled("lobby").await;
        for child in KEPT {
            assert_eq!(world.child(child, "lobby").await.owner_references()[0].uid, room.uid().unwrap());
        }
        let written = world.plane.audit().writes(&world.plane.operator().user, &world.namespace);
        assert_eq!(written.iter().filter(|request| request.verb == "delete").count(), 0, "the collector deletes");
    })
    .await;
}

#[tokio::test]
async fn a_room_in_a_namespace_that_is_deleted_ends_quietly() {
    in_namespace("ending", async |world| {
        world.apply("lobby", json!({})).await;
        world.settled("lobby").await;
        let mark = world.mark();
        let namespaces: Api<Namespace> = Api::all(world.client.clone());
        namespaces.delete(&world.namespace, &DeleteParams::default()).await.expect("a namespace can be deleted");
        until("the namespace is gone", A_WHILE, async || match namespaces.get_opt(&world.namespace).await {
            Ok(None) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        let asked = world.plane.audit().since(mark, &world.plane.operator().user, &world.namespace);
        let lines: Vec<_> = asked.iter().map(ToString::to_string).collect();
        let warnings = asked.iter().filter(|request| request.is_event()).count();
        assert_eq!(warnings, 0, "nobody is called for help: {lines:#?}");
        let writes = asked.iter().filter(|request| Request::is_write(request)).count();
        assert!(writes <= 2 * KEPT.len(), "{writes} tries: {lines:#?}");
    })
    .await;
}

/// The uid of each child that is there.
async fn uids(world: &World) -> BTreeMap<String, Option<String>> {
    let all = KEPT.iter().chain(&SECRETS);
    let found = join_all(all.map(async |child| {
        let live = world.of_kind(*child).get_opt(&child.name("lobby")).await.expect("the API server answers");
        live.map(|live| (child.called("lobby"), live.uid()))
    }));
    found.await.into_iter().flatten().collect()
}

async fn is_gone(world: &World, former: &ChatRoom) {
    until("the former room is gone", A_WHILE, async || match world.rooms().get_opt("lobby").await {
        Ok(Some(room)) if room.uid() == former.uid() => Err("it is there".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    })
    .await;
}
