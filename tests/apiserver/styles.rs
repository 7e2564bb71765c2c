//! The two ways in which people apply a room, and what becomes of fields that they take away, or that others set.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::children::{Child, KEPT};
use crate::world::{A_WHILE, World, in_namespace, manifest};

const CLIENT_SIDE: &str = "--server-side=false";
const SERVER_SIDE: &str = "--server-side=true";

#[tokio::test]
async fn client_side_apply_leads_from_every_arm_of_every_union_to_every_other() {
    in_namespace("client-side", async |world| goes_through_every_arm(world, CLIENT_SIDE).await).await;
}

#[tokio::test]
async fn server_side_apply_leads_from_every_arm_of_every_union_to_every_other() {
    in_namespace("server-side", async |world| goes_through_every_arm(world, SERVER_SIDE).await).await;
}

async fn goes_through_every_arm(world: &World, style: &str) {
    applied(world, style, &json!({})).await;
    world.settled("lobby").await;
    let plain = children(world).await;
    for spec in way_through(&arms()) {
        applied(world, style, &spec).await;
        world.settled("lobby").await;
        let version = world.rooms().get("lobby").await.unwrap().resource_version();
        applied(world, style, &spec).await;
        let after = world.rooms().get("lobby").await.unwrap();
        assert_eq!(after.resource_version(), version, "the same once more changes nothing: {spec}");
    }
    applied(world, style, &json!({})).await;
    world.settled("lobby").await;
    assert_eq!(children(world).await, plain, "nothing is left of what was taken away");
}

/// Applies the spec, and makes sure that it stands there as if there had been none before.
async fn applied(world: &World, style: &str, spec: &Value) {
    let text = manifest("lobby", spec).to_string();
    world.kubectl(&["apply", style, "--filename=-"], &text).unwrap_or_else(|refused| panic!("{spec}: {refused}"));
    stands_as_if_new(world, spec);
}

/// Makes sure that the room's spec is the one that a new room would have.
fn stands_as_if_new(world: &World, spec: &Value) {
    let fresh = manifest("fresh", spec).to_string();
    let fresh = world.kubectl(&["create", "--dry-run=server", "--output=json", "--filename=-"], &fresh).unwrap();
    let fresh: Value = serde_json::from_str(&fresh).unwrap();
    let live = world.kubectl(&["get", "room", "lobby", "--output=json"], "").unwrap();
    let live: Value = serde_json::from_str(&live).unwrap();
    assert_eq!(live["spec"], fresh["spec"], "what stands there after {spec} was applied");
}

/// Each arm of each union, and a room that says much.
fn arms() -> Vec<Value> {
    vec![
        json!({}),
        json!({"redis": {}}),
        json!({"redis": {"ephemeral": {}}}),
        json!({"redis": {"ephemeral": {"resources": {"limits": {"memory": "256Mi"}}}}}),
        json!({"redis": {"external": {"urlSecretRef": {"name": "redis", "key": "url"}}}}),
        json!({"functions": {"dialect": "Tencent", "transport": {"url": "http://chat.default.svc/transport"}}}),
        json!({"broadcast": {"excludeSender": false}, "functions": {
            "dialect": "Tencent", "register": {"url": "http://chat.default.svc/register", "onFailure": "Accept"},
            "cleanup": {"url": "http://chat.default.svc/cleanup", "timeoutSeconds": 20}, "signingSecretRef": {"name": "sign"},
            "caSecretRef": {"name": "corp", "key": "root.pem"}, "tencent": {"stage": "prod"},
        }}),
        json!({
            "replicas": 3, "allowedOrigins": ["https://chat.example.com"], "rollout": {"maxSurge": 1, "maxUnavailable": "25%"},
            "redis": {"external": {"urlSecretRef": {"name": "other", "key": "url"}, "keyPrefix": "lobby:{1}:"}},
            "podDisruptionBudget": {"maxUnavailable": "50%"}, "imagePullSecrets": [{"name": "registry"}],
            "service": {"annotations": {"cloud.example.com/balancer": "internal"}},
            "pod": {
                "labels": {"team": "chat"}, "annotations": {"example.com/note": "x"},
                "env": [{"name": "RUST_BACKTRACE", "value": "1"}], "nodeSelector": {"disk": "fast"},
                "tolerations": [{"key": "dedicated", "operator": "Exists"}],
            },
        }),
    ]
}

/// A walk on which every arm follows the first one and is followed by it, and every arm its neighbour in both directions.
fn way_through(arms: &[Value]) -> Vec<Value> {
    let [first, rest @ ..] = arms else { return Vec::new() };
    let there_and_back = rest.iter().flat_map(|arm| [arm.clone(), first.clone()]);
    there_and_back.chain(rest.iter().cloned()).chain(rest.iter().rev().cloned()).collect()
}

#[tokio::test]
async fn client_side_apply_empties_every_block() {
    in_namespace("empty-client-side", async |world| empties_every_block(world, CLIENT_SIDE).await).await;
}

#[tokio::test]
async fn server_side_apply_empties_every_block() {
    in_namespace("empty-server-side", async |world| empties_every_block(world, SERVER_SIDE).await).await;
}

async fn empties_every_block(world: &World, style: &str) {
    let paused = |spec: &Value| {
        // What the operator would do of it is another test's.
        let mut room = manifest("lobby", spec);
        room["metadata"]["annotations"] = json!({"chatroom.dev/reconcile": "disabled"});
        room.to_string()
    };
    for (full, empty) in emptied() {
        for spec in [&full, &empty, &full, &json!({})] {
            let taken = world.kubectl(&["apply", style, "--filename=-"], &paused(spec));
            taken.unwrap_or_else(|refused| panic!("{spec} after {full}: {refused}"));
            stands_as_if_new(world, spec);
        }
    }
}

/// Every block of the spec with something in it, and without.
fn emptied() -> Vec<(Value, Value)> {
    let block = |name: &str, full: Value| (json!({name: full}), json!({name: {}}));
    let inner = |name: &str, inside: &str, full: Value| (json!({name: {inside: full}}), json!({name: {inside: {}}}));
    vec![
        block("image", json!({"tag": "1.2.3"})),
        block("broadcast", json!({"excludeSender": false})),
        block("limits", json!({"slowSeconds": 20})),
        block("redis", json!({"ephemeral": {}})),
        inner("redis", "ephemeral", json!({"resources": {"limits": {"memory": "256Mi"}}})),
        (
            json!({"functions": {
                "dialect": "Tencent", "register": {"url": "http://a"}, "cleanup": {"url": "http://a", "timeoutSeconds": 20},
                "signingSecretRef": {"name": "sign"}, "caSecretRef": {"name": "corp", "key": "root.pem"},
                "tencent": {"stage": "prod"},
            }}),
            json!({"functions": {"dialect": "Tencent", "cleanup": {"url": "http://a"}, "tencent": {}}}),
        ),
        block("drain", json!({"timeoutSeconds": 60})),
        block("rollout", json!({"maxSurge": 1})),
        block("service", json!({"type": "NodePort"})),
        inner("service", "annotations", json!({"example.com/note": "x"})),
        block("podDisruptionBudget", json!({"maxUnavailable": 2})),
        block("logging", json!({"filter": "debug"})),
        block("pod", json!({"labels": {"team": "chat"}})),
        inner("pod", "labels", json!({"team": "chat"})),
        inner("pod", "annotations", json!({"example.com/note": "x"})),
        inner("pod", "nodeSelector", json!({"disk": "fast"})),
        inner("pod", "resources", json!({"limits": {"memory": "1Gi"}})),
        inner("pod", "affinity", json!({"nodeAffinity": {}})),
        block("overrides", json!({"deployment": {"metadata": {"labels": {"team": "chat"}}}})),
        inner("overrides", "deployment", json!({"metadata": {"labels": {"team": "chat"}}})),
        inner("overrides", "service", json!({"spec": {"sessionAffinity": "ClientIP"}})),
    ]
}

#[tokio::test]
async fn what_others_set_on_the_children_stays_when_the_operator_writes() {
    in_namespace("others", async |world| {
        world.apply("lobby", json!({"replicas": 2})).await;
        world.settled("lobby").await;
        let [config_map, _, _, _, service, _, deployment, _] = KEPT;
        world.kubectl(&["rollout", "restart", "deployment/lobby"], "").unwrap();
        world.kubectl(&["annotate", "service/lobby", "cloud.example.com/seen=yes"], "").unwrap();
        world.kubectl(&["label", "configmap/lobby-config", "example.com/backup=yes"], "").unwrap();
        let theirs = deployment.object(
            "lobby",
            &json!({}),
            json!({
                "spec": {"template": {"metadata": {"annotations": {"example.com/recommended": "cpu=1"}}}},
            }),
        );
        let parameters = PatchParams::apply("recommender");
        world.of_kind(deployment).patch("lobby", &parameters, &Patch::Apply(&theirs)).await.unwrap();
        // Something that the operator has to write on each of the three.
        let all = json!({"replicas": 3, "limits": {"slowSeconds": 20}, "service": {"type": "NodePort"}});
        world.apply("lobby", all).await;
        world.settled("lobby").await;
        let annotations = "/spec/template/metadata/annotations";
        let live = world.child(deployment, "lobby").await;
        assert_eq!(live.data["spec"]["replicas"], 3);
        let template = live.data.pointer(annotations).unwrap();
        assert!(template["kubectl.kubernetes.io/restartedAt"].is_string(), "{template}");
        assert_eq!(template["example.com/recommended"], "cpu=1");
        let live = world.child(service, "lobby").await;
        assert_eq!(live.data["spec"]["type"], "NodePort");
        assert_eq!(live.annotations()["cloud.example.com/seen"], "yes");
        let live = world.child(config_map, "lobby").await;
        assert!(live.data["data"]["hot.yaml"].as_str().unwrap().contains("slowSeconds: 20"));
        assert_eq!(live.labels()["example.com/backup"], "yes");
    })
    .await;
}

#[tokio::test]
async fn what_is_taken_away_from_a_room_vanishes_from_its_children() {
    in_namespace("taken-away", async |world| {
        let much = arms().pop().unwrap();
        world.apply("lobby", much).await;
        world.settled("lobby").await;
        let [_, _, _, _, service, _, deployment, _] = KEPT;
        let said = ["team", "example.com/note", "RUST_BACKTRACE", "fast", "dedicated"];
        let text = world.child(deployment, "lobby").await.data.to_string();
        assert!(said.iter().all(|word| text.contains(word)), "{text}");
        assert_eq!(world.child(service, "lobby").await.annotations()["cloud.example.com/balancer"], "internal");
        world.apply("lobby", json!({})).await;
        world.settled("lobby").await;
        let clean = |live: &DynamicObject| said.iter().all(|word| !live.data.to_string().contains(word));
        world.child_becomes(deployment, "lobby", "says nothing of it any more", A_WHILE, clean).await;
        assert_eq!(world.child(service, "lobby").await.annotations(), &BTreeMap::new());
    })
    .await;
}

/// The children without what the server makes up anew for each object.
async fn children(world: &World) -> BTreeMap<String, Value> {
    let mut children = BTreeMap::new();
    for child in KEPT {
        children.insert(child.called("lobby"), essence(world, child).await);
    }
    children
}

async fn essence(world: &World, child: Child) -> Value {
    let live = world.child(child, "lobby").await;
    let mut object = json!({"labels": live.labels(), "annotations": live.annotations(), "rest": live.data});
    object["rest"].as_object_mut().unwrap().remove("status");
    for address in ["clusterIP", "clusterIPs"] {
        if let Some(spec) = object["rest"]["spec"].as_object_mut() {
            spec.remove(address);
        }
    }
    object
}
