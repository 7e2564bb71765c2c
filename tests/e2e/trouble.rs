//! Rooms that cannot be brought about: the API server takes them, and their conditions say what would be right.

use chatroom_api::condition;
use chatroom_tests::wait::{SOON, until};
use chatroom_tests::world::{POD_SECURITY, in_namespace};
use k8s_openapi::api::core::v1::{Namespace, ResourceQuota, Service};
use kube::Api;
use serde_json::{Value, json};

#[tokio::test]
async fn a_room_that_makes_no_sense_is_stalled_says_what_would_be_right_and_recovers() {
    in_namespace("invalid", async |world| {
        for (number, (reason, spec, parts)) in invalid().into_iter().enumerate() {
            world.apply(&format!("room{number}"), spec.clone()).await;
            let stalled = world.says(&format!("room{number}"), condition::STALLED, ("True", reason), parts).await;
            world.says(&format!("room{number}"), condition::READY, ("False", "InvalidSpec"), parts).await;
            assert!(!stalled.message.is_empty());
        }
        world.apply("room0", json!({"replicas": 1})).await;
        world.ready("room0", 1).await;
        world.says("room0", condition::STALLED, ("False", "Progressing"), &[]).await;
        // And a running room that becomes nonsense goes on as it was.
        let before = world.gateways("room0").await;
        world.apply("room0", invalid().remove(0).1).await;
        world.says("room0", condition::STALLED, ("True", "InvalidSpec"), &[]).await;
        let mut ann = world.connect("ann", &before[0]).await;
        let mut bob = world.connect("bob", &before[0]).await;
        ann.say("hello").await;
        bob.hears("hello").await;
    })
    .await;
}

/// What the rules of the CRD cannot see: the reason, a spec, parts of the message.
fn invalid() -> Vec<(&'static str, Value, &'static [&'static str])> {
    let pod = |pod: Value| json!({"replicas": 1, "pod": pod});
    let deployment = |spec: Value| json!({"replicas": 1, "overrides": {"deployment": {"spec": spec}}});
    vec![
        (
            "InvalidSpec",
            json!({"replicas": 1, "logging": {"filter": "loud,,=x"}}),
            &["spec.logging.filter", "must be a level"],
        ),
        (
            "InvalidSpec",
            pod(json!({"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}})),
            &["spec.pod.resources.requests.memory", "above the limit"],
        ),
        (
            "InvalidSpec",
            pod(json!({"resources": {"requests": {"cpu": "-1"}, "limits": {"memory": "1Gib"}}})),
            &["spec.pod.resources.requests.cpu", "spec.pod.resources.limits.memory", "must be a quantity"],
        ),
        ("InvalidSpec", pod(json!({"labels": {"team": "no spaces"}})), &["spec.pod.labels.team", "at most 63 letters"]),
        (
            "InvalidSpec",
            pod(json!({"nodeSelector": {"-zone": "a"}})),
            &["spec.pod.nodeSelector.-zone", "key must be a name"],
        ),
        (
            "InvalidSpec",
            pod(json!({"env": [{"name": "A=B", "value": "x"}]})),
            &["spec.pod.env[0].name", "without spaces"],
        ),
        (
            "InvalidOverride",
            deployment(json!({"template": {"spec": {"dnsPolice": "Default"}}})),
            &["spec.overrides.deployment.spec.template.spec.dnsPolice"],
        ),
        (
            "InvalidOverride",
            deployment(json!({"replicas": 5})),
            &["spec.overrides.deployment.spec.replicas", "set spec.replicas"],
        ),
        (
            "InvalidOverride",
            json!({"replicas": 1, "overrides": {"service": {"spec": {"selector": {"app": "mine"}}}}}),
            &["spec.overrides.service.spec.selector"],
        ),
    ]
}

#[tokio::test]
async fn an_image_that_cannot_be_had_is_named_and_costs_nobody_a_running_gateway() {
    in_namespace("image", async |world| {
        world.apply("lobby", json!({"replicas": 1})).await;
        world.ready("lobby", 1).await;
        let good = world.gateways("lobby").await;
        let image = json!({"repository": "registry.invalid/gateway", "tag": "0.0.0"});
        world.apply("lobby", json!({"replicas": 1, "image": image})).await;
        // The old gateway serves; what is in the way is told beside.
        let parts = &["registry.invalid/gateway:0.0.0"];
        world.says("lobby", condition::RECONCILING, ("True", "RollingOut"), parts).await;
        world.says("lobby", condition::READY, ("True", "RolloutBlocked"), parts).await;
        let _ann = world.connect("ann", &good[0]).await;
        // A room that never had another one.
        let image = json!({"repository": "registry.invalid/gateway", "tag": "0.0.0"});
        world.apply("fresh", json!({"replicas": 1, "image": image})).await;
        world.says("fresh", condition::READY, ("False", "ReplicasNotReady"), parts).await;
        world.apply("fresh", json!({"replicas": 1})).await;
        world.ready("fresh", 1).await;
    })
    .await;
}

#[tokio::test]
async fn pods_that_no_node_takes_are_told_and_start_when_one_does() {
    in_namespace("nowhere", async |world| {
        let spec = json!({"replicas": 1, "pod": {"nodeSelector": {"chatroom.dev/e2e": "nowhere"}}});
        world.apply("lobby", spec).await;
        world.says("lobby", condition::READY, ("False", "ReplicasNotReady"), &["Unschedulable"]).await;
        world.apply("lobby", json!({"replicas": 1})).await;
        world.ready("lobby", 1).await;
    })
    .await;
}

#[tokio::test]
async fn a_quota_in_the_way_is_told_and_the_room_goes_on_when_it_is_raised() {
    in_namespace("quota", async |world| {
        let quota = |pods: u32| json!({"metadata": {"name": "few"}, "spec": {"hard": {"pods": pods.to_string()}}});
        world.create::<ResourceQuota>(quota(2)).await;
        until("the quota is counted", SOON, async || {
            let few = world.api::<ResourceQuota>().get("few").await.map_err(|error| error.to_string())?;
            let counted = few.status.and_then(|status| status.hard).is_some();
            if counted { Ok(()) } else { Err("it is not".to_owned()) }
        })
        .await;
        world.apply("lobby", json!({"replicas": 3})).await;
        world.says("lobby", condition::READY, ("False", "RolloutInProgress"), &["exceeded quota"]).await;
        world.change::<ResourceQuota>("few", quota(10)).await;
        world.ready("lobby", 3).await;
    })
    .await;
}

#[tokio::test]
async fn an_object_of_somebody_else_is_left_alone_and_the_room_goes_on_once_it_is_gone() {
    in_namespace("foreign", async |world| {
        let theirs =
            json!({"metadata": {"name": "lobby"}, "spec": {"ports": [{"port": 1234}], "selector": {"app": "theirs"}}});
        world.create::<Service>(theirs).await;
        world.apply("lobby", json!({"replicas": 1})).await;
        world.says("lobby", condition::STALLED, ("True", "ForeignObject"), &["Service lobby"]).await;
        let service = world.api::<Service>().get("lobby").await.expect("it is still there");
        assert_eq!(service.metadata.owner_references, None);
        assert_eq!(service.spec.and_then(|spec| spec.ports).map(|ports| ports.len()), Some(1));
        world.api::<Service>().delete("lobby", &kube::api::DeleteParams::default()).await.expect("it can be deleted");
        // Nothing of the room's own changed: an edit, or the resync, makes the operator look again.
        world.apply("lobby", json!({"replicas": 1, "pingIntervalSeconds": 20})).await;
        world.ready("lobby", 1).await;
    })
    .await;
}

#[tokio::test]
async fn restricted_pod_security_is_enforced_wherever_the_product_runs() {
    in_namespace("restricted", async |world| {
        let namespaces: Api<Namespace> = Api::all(world.client.clone());
        for name in ["chatroom-system", "default", &world.namespace] {
            let labels =
                namespaces.get(name).await.expect("the namespace is there").metadata.labels.unwrap_or_default();
            assert_eq!(labels.get(POD_SECURITY).map(String::as_str), Some("restricted"), "namespace {name}");
        }
    })
    .await;
}
