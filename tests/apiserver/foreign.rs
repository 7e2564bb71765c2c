//! Objects of somebody else that stand where one of a room's should stand.

use chatroom_api::condition;
use kube::ResourceExt as _;
use serde_json::json;

use crate::children::{KEPT, SECRET};
use crate::world::{PROMISED, in_namespace};

#[tokio::test]
async fn whatever_of_somebody_else_is_in_the_way_is_named_and_not_touched_and_the_room_gets_on_when_it_is_gone() {
    in_namespace("foreign", async |world| {
        for child in KEPT {
            let room = format!("by-{}", child.plural.to_owned() + if child.name("").is_empty() { "" } else { "-r" });
            let theirs = world.create(child, &child.of_somebody_else(&room)).await;
            world.apply(&room, json!({})).await;
            let message = world.has(&room, PROMISED, condition::STALLED, "True", "ForeignObject").await;
            assert!(message.starts_with(&format!("{}: belongs to", child.called(&room))), "{message}");
            assert_eq!(world.child(child, &room).await, theirs);
        }
        for child in KEPT {
            let room = format!("by-{}", child.plural.to_owned() + if child.name("").is_empty() { "" } else { "-r" });
            let theirs = world.child(child, &room).await;
            world.delete(child, &theirs).await;
            let is_ours = |live: &kube::api::DynamicObject| live.uid() != theirs.uid();
            world.child_becomes(child, &room, "is the room's", PROMISED, is_ours).await;
            world.settled(&room).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_secret_that_is_there_is_used_and_not_touched() {
    in_namespace("secret", async |world| {
        let theirs = world.create(SECRET, &SECRET.of_somebody_else("lobby")).await;
        world.apply("lobby", json!({})).await;
        world.settled("lobby").await;
        assert_eq!(world.child(SECRET, "lobby").await, theirs);
    })
    .await;
}
