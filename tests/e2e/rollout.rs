//! New pods for old ones, with people in the room.

use std::collections::BTreeSet;
use std::time::Duration;

use chatroom_tests::crowd::{Crowd, Speaker};
use chatroom_tests::wait::{SOON, until};
use chatroom_tests::world::{A_ROLLOUT, World, in_namespace, status_of, url_of};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

/// A hundred on each gateway; with both ends of each socket well below what a process may open.
const PEOPLE: usize = 300;

/// The condition without which a pod with such a gate is not ready.
const GATE: &str = "chatroom.dev/e2e-open";
/// As nodes that are made one after the other bring them.
const APART: Duration = Duration::from_secs(20);

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

#[tokio::test]
async fn clients_move_once_also_when_the_new_pods_become_ready_long_after_each_other() {
    in_namespace("slowly", async |world| {
        // A third of it is what the first gateway that goes may wait for the last: two of the pauses, and a good deal more.
        let drain = json!({"preStopSeconds": 0, "timeoutSeconds": 240});
        world.apply("lobby", json!({"replicas": 3, "drain": drain})).await;
        world.ready("lobby", 3).await;
        let door = world.door("lobby").await;
        let old = world.gateways("lobby").await;
        let crowd = Crowd::gather(60, &old.iter().map(url_of).collect::<Vec<_>>(), &door).await;
        let speaker = Speaker::start(&door);
        crowd.hears(speaker.says_another().await, SOON).await;

        let gates = json!({"spec": {"template": {"spec": {"readinessGates": [{"conditionType": GATE}]}}}});
        world.apply("lobby", json!({"replicas": 3, "drain": drain, "overrides": {"deployment": gates}})).await;
        let uids: BTreeSet<_> = old.iter().filter_map(ResourceExt::uid).collect();
        let new = until("three new pods wait behind their gates", A_ROLLOUT, async || {
            let pods = world.pods("lobby").await;
            let new: Vec<_> = pods.into_iter().filter(|pod| !uids.contains(&pod.uid().unwrap_or_default())).collect();
            let up = new.iter().filter(|pod| is(pod, "ContainersReady")).count();
            if up == 3 { Ok(new) } else { Err(up) }
        })
        .await;
        for (opened, pod) in new.iter().enumerate() {
            crowd.was_left_alone();
            open_gate(world, pod).await;
            until("one more old pod was told to go", A_ROLLOUT, async || {
                let pods = world.pods("lobby").await;
                let staying = pods.iter().filter(|pod| uids.contains(&pod.uid().unwrap_or_default()));
                let staying = staying.filter(|pod| pod.metadata.deletion_timestamp.is_none()).count();
                if staying == 2 - opened { Ok(()) } else { Err(format!("{staying} old pods stay")) }
            })
            .await;
            if opened < 2 {
                crowd.is_left_alone_for(APART).await;
            }
        }
        are_gone(world, &uids).await;
        world.ready("lobby", 3).await;
        crowd.is_in(SOON).await;
        crowd.moved_once();
        crowd.hears(speaker.says_another().await, SOON).await;
        crowd.missed_nothing();
        speaker.stop().await;
    })
    .await;
}

async fn open_gate(world: &World, pod: &Pod) {
    let open = json!({"status": {"conditions": [{"type": GATE, "status": "True"}]}});
    let pods = world.api::<Pod>();
    let opened = pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Strategic(open)).await;
    opened.expect("a pod's conditions can be set");
}

fn is(pod: &Pod, kind: &str) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == kind && condition.status == "True")
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
