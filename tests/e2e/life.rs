//! What happens to a room in its life: scaled, changed, deleted.

use std::collections::BTreeSet;
use std::fmt::Debug;

use chatroom_tests::conversation::count_becomes;
use chatroom_tests::wait::{SOON, until};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

use chatroom_tests::world::{A_LEASE_AND_MORE, A_ROLLOUT, World, in_namespace};

const LOBBY: &str = "(===Online people:{online}===)";

#[tokio::test]
async fn a_room_is_scaled_through_its_scale_subresource() {
    in_namespace("scale", async |world| {
        world.apply("lobby", json!({"replicas": 2, "broadcast": {"onlineSuffix": LOBBY}})).await;
        world.ready("lobby", 2).await;
        let gateways = world.gateways("lobby").await;
        let mut ann = world.connect("ann", &gateways[0]).await;

        scale(world, 4).await;
        world.ready("lobby", 4).await;
        let four = world.gateways("lobby").await;
        let old: BTreeSet<_> = gateways.iter().map(ResourceExt::name_any).collect();
        let added = four.iter().find(|pod| !old.contains(&pod.name_any())).expect("two of four are new");
        let mut bob = world.connect("bob", added).await;
        count_becomes(2, &mut ann, &mut bob, SOON).await;
        bob.leave().await;

        scale(world, 2).await;
        world.ready("lobby", 2).await;
        let subresource = world.rooms().get_scale("lobby").await.expect("a room has a scale");
        assert_eq!(subresource.status.map(|status| status.replicas), Some(2));
        until("two gateways are left", A_ROLLOUT, async || {
            let left = world.gateways("lobby").await.len();
            if left == 2 { Ok(()) } else { Err(left) }
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_hot_setting_reaches_the_room_without_touching_a_pod_and_a_cold_one_moves_the_clients() {
    in_namespace("change", async |world| {
        let spec = json!({"replicas": 2, "broadcast": {"onlineSuffix": LOBBY}});
        world.apply("lobby", spec.clone()).await;
        world.ready("lobby", 2).await;
        let before = uids(&world.gateways("lobby").await);
        let mut ann = world.connect("ann", &world.gateways("lobby").await[0]).await;

        let mut hot = spec.clone();
        hot["limits"] = json!({"maxMessageBytes": 1000});
        world.apply("lobby", hot.clone()).await;
        let maps = world.api::<ConfigMap>();
        until("the hot settings hold the limit", SOON, async || {
            let map = maps.get("lobby-config").await.map_err(|error| error.to_string())?;
            let text = map.data.and_then(|data| data.get("hot.yaml").cloned()).unwrap_or_default();
            if text.contains("maxMessageBytes: 1000") { Ok(()) } else { Err(text) }
        })
        .await;
        world.ready("lobby", 2).await;
        assert_eq!(uids(&world.gateways("lobby").await), before);
        // The kubelet brings a changed ConfigMap within about a minute and a half.
        until("a long message is refused", 4 * SOON, async || {
            let mut probe = world.connect("probe", &world.gateways("lobby").await[1]).await;
            probe.try_say(&"x".repeat(1001)).await;
            match probe.next_within(A_LEASE_AND_MORE / 10).await {
                Some(chatroom_tests::chat::Received::Closed(Some(1009))) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;

        let mut cold = hot;
        cold["pingIntervalSeconds"] = json!(20);
        world.apply("lobby", cold).await;
        // Ann may meanwhile have heard what the probes said.
        let end = loop {
            if let chatroom_tests::chat::Received::Closed(code) = ann.next().await {
                break code;
            }
        };
        assert_eq!(end, Some(1012), "{ann}");
        world.ready("lobby", 2).await;
        until("all gateways are new", A_ROLLOUT, async || {
            let now = uids(&world.gateways("lobby").await);
            if now.is_disjoint(&before) && now.len() == 2 { Ok(()) } else { Err(format!("{before:?} {now:?}")) }
        })
        .await;
        let gateways = world.gateways("lobby").await;
        let mut ann = world.connect("ann again", &gateways[0]).await;
        let mut bob = world.connect("bob", &gateways[1]).await;
        count_becomes(2, &mut ann, &mut bob, SOON).await;
    })
    .await;
}

#[tokio::test]
async fn a_deleted_room_leaves_nothing_behind() {
    in_namespace("delete", async |world| {
        world.apply("lobby", json!({"replicas": 2})).await;
        world.ready("lobby", 2).await;
        assert!(!left(world).await.is_empty());
        world.rooms().delete("lobby", &DeleteParams::default()).await.expect("a room can be deleted");
        until("nothing of the room is left", A_ROLLOUT, async || {
            let left = left(world).await;
            if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
        })
        .await;
    })
    .await;
}

async fn scale(world: &World, replicas: i32) {
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    world.rooms().patch_scale("lobby", &PatchParams::default(), &patch).await.expect("a room can be scaled");
}

fn uids(pods: &[Pod]) -> BTreeSet<String> {
    pods.iter().filter_map(ResourceExt::uid).collect()
}

/// Everything in the namespace that the cluster itself did not put there.
async fn left(world: &World) -> Vec<String> {
    let mut left = Vec::new();
    left.extend(names::<Deployment>(world).await);
    left.extend(names::<ReplicaSet>(world).await);
    left.extend(names::<Pod>(world).await);
    left.extend(names::<Service>(world).await);
    left.extend(names::<Secret>(world).await);
    left.extend(names::<PodDisruptionBudget>(world).await);
    left.extend(names::<ConfigMap>(world).await.into_iter().filter(|name| name != "ConfigMap/kube-root-ca.crt"));
    left.extend(names::<ServiceAccount>(world).await.into_iter().filter(|name| name != "ServiceAccount/default"));
    left
}

async fn names<K>(world: &World) -> Vec<String>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + Debug
        + for<'de> serde::Deserialize<'de>,
{
    let list = world.api::<K>().list(&ListParams::default()).await.expect("objects can be listed");
    list.items.iter().map(|object| format!("{}/{}", K::kind(&()), object.name_any())).collect()
}
