//! New pods for old ones, with people in the room.

use std::collections::BTreeSet;

use chatroom_tests::crowd::{Crowd, Speaker};
use chatroom_tests::wait::{SOON, until};
use chatroom_tests::world::{A_ROLLOUT, World, in_namespace, status_of, url_of};
use kube::ResourceExt;
use serde_json::{Value, json};

/// A hundred on each gateway; with both ends of each socket well below what a process may open.
const PEOPLE: usize = 300;

/// Time for the old gateways to hear of each other's end, so that nobody is sent from one to the next. They do not take
/// it when they need not.
fn unhurried() -> Value {
    json!({"preStopSeconds": 0, "timeoutSeconds": 60})
}

#[tokio::test]
async fn a_rollout_moves_each_of_three_hundred_clients_once_and_nobody_misses_a_line() {
    in_namespace("rollout", async |world| {
        let mut spec = json!({"replicas": 3, "drain": unhurried()});
        world.apply("lobby", spec.clone()).await;
        world.ready("lobby", 3).await;
        let door = world.door("lobby").await;
        let old = world.gateways("lobby").await;
        let urls: Vec<_> = old.iter().map(url_of).collect();
        let crowd = Crowd::gather(PEOPLE, &urls, &door).await;
        let speaker = Speaker::start(&door);
        crowd.hears(speaker.says_another().await, SOON).await;

        spec["pingIntervalSeconds"] = json!(20);
        world.apply("lobby", spec).await;
        are_gone(world, &old.iter().filter_map(|pod| pod.uid()).collect()).await;
        world.ready("lobby", 3).await;
        crowd.is_in(SOON).await;

        crowd.moved_once();
        crowd.hears(speaker.says_another().await, SOON).await;
        crowd.missed_nothing();
        crowd.moved_once();
        // All of them, and the speaker, are on gateways of the new template, and there are no others.
        let mut connections = 0;
        for gateway in world.pods("lobby").await {
            connections += status_of(&gateway).await.expect("a ready gateway answers").connections;
        }
        assert_eq!(connections, PEOPLE as u64 + 1);
        speaker.stop().await;
    })
    .await;
}

/// Waits until none of these pods is left.
async fn are_gone(world: &World, uids: &BTreeSet<String>) {
    until("the old pods are gone", A_ROLLOUT, async || {
        let left: Vec<_> =
            world.pods("lobby").await.into_iter().filter(|pod| uids.contains(&pod.uid().unwrap_or_default())).collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(left.iter().map(ResourceExt::name_any).collect::<Vec<_>>().join(", "))
        }
    })
    .await;
}
