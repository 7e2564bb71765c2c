//! A new room: what is made, and in how many requests.

use std::collections::BTreeSet;

use chatroom_api::condition;
use kube::api::{Api, DynamicObject, ListParams};
use kube::discovery::{Discovery, verbs};
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;

use crate::children::{KEPT, SECRETS};
use crate::world::{World, in_namespace};

#[tokio::test]
async fn a_room_has_exactly_the_children_of_the_table() {
    in_namespace("children", async |world| {
        world.apply("lobby", json!({})).await;
        let room = world.settled("lobby").await;
        let table: BTreeSet<_> = KEPT.iter().chain(&SECRETS).map(|child| child.called("lobby")).collect();
        assert_eq!(owned_by(world, &room.uid().unwrap()).await, table, "a new child belongs into children.rs");
    })
    .await;
}

#[tokio::test]
async fn a_new_room_costs_one_look_and_one_write_a_child() {
    in_namespace("cost", async |world| {
        let mark = world.mark();
        world.apply("lobby", json!({})).await;
        world.has("lobby", crate::world::A_WHILE, condition::STALLED, "False", "Progressing").await;
        let asked = world.asked_since(mark);
        let lines: Vec<_> = asked.iter().map(ToString::to_string).collect();
        // A get and an apply for each that is kept, one create for each Secret, and the status.
        assert!(lines.len() <= 2 * KEPT.len() + SECRETS.len() + 1, "{}: {lines:#?}", lines.len());
        let statuses = asked.iter().filter(|request| request.resource == "chatrooms/status").count();
        assert_eq!(statuses, 1, "{lines:#?}");
    })
    .await;
}

/// `Kind name` of everything in the namespace that the owner controls, of whatever kind the API server knows.
async fn owned_by(world: &World, uid: &str) -> BTreeSet<String> {
    let discovery = Discovery::new(world.client.clone()).run().await.expect("the API server tells what it serves");
    let mut owned = BTreeSet::new();
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            if capabilities.scope != kube::discovery::Scope::Namespaced || !capabilities.supports_operation(verbs::LIST)
            {
                continue;
            }
            let api: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
            let objects = api.list(&ListParams::default()).await.expect("what can be listed is listed");
            let ours = objects.iter().filter(|object| object.owner_references().iter().any(|owner| owner.uid == uid));
            owned.extend(
                ours.map(|object| format!("{} {}", resource.kind, object.meta().name.as_deref().unwrap_or_default())),
            );
        }
    }
    owned
}
