//! The resource definition as a real API server takes it, and what people see through it.

use chatroom_tests::repository;
use chatroom_tests::wait::until;
use serde_json::{Value, json};

use crate::children::KEPT;
use crate::operator::established;
use crate::world::{A_WHILE, World, in_namespace, manifest};

#[tokio::test]
async fn the_definition_is_taken_in_both_styles_and_at_any_cost_of_its_rules() {
    in_namespace("definition", async |world| {
        // Under another name, so that each of the two is a first time: the server reckons the cost of all rules.
        for (style, group) in
            [("--server-side=false", "client-side.example"), ("--server-side=true", "server-side.example")]
        {
            let definition = definition(group);
            world.plane.kubectl(&["apply", style, "--filename=-"], &definition.to_string()).unwrap();
            served(world, group).await;
            let conditions = "--output=jsonpath={.status.conditions[*].type}";
            let types = world.plane.kubectl(&["get", "crd", &format!("chatrooms.{group}"), conditions], "").unwrap();
            assert!(!types.contains("NonStructuralSchema"), "{types}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_bad_room_is_refused_with_words_that_say_what_would_be_right() {
    in_namespace("refused", async |world| {
        for (name, spec, words) in [
            ("Lobby", json!({}), "a lowercase RFC 1123 subdomain"),
            ("lobby-redis", json!({}), "metadata.name must not end with -redis, -push or -config"),
            ("1-lobby", json!({}), "it becomes the name of a Service"),
            (
                "lobby",
                json!({"redis": {"ephemeral": {}, "external": {"urlSecretRef": {"name": "redis", "key": "url"}}}}),
                "set redis.ephemeral or redis.external, not both",
            ),
            ("lobby", json!({"path": "chat"}), "path must begin with '/'"),
            ("lobby", json!({"allowedOrigins": ["https://chat.example.com/"]}), "no slash at the end"),
            ("lobby", json!({"rollout": {"maxSurge": 0, "maxUnavailable": 0}}), "no pod could ever be replaced"),
            ("lobby", json!({"podDisruptionBudget": {"maxUnavailable": 0}}), "would block every node drain"),
            ("lobby", json!({"pod": {"labels": {"chatroom.dev/x": "y"}}}), "are set by the operator: use another key"),
            ("lobby", functions(json!({})), "name at least one function: register, transport or cleanup"),
            (
                "lobby",
                functions(json!({"cleanup": {"url": "chat.default.svc/cleanup"}})),
                "url is http:// or https://, a host",
            ),
            (
                "lobby",
                functions(json!({"cleanup": {"url": "http://me:pass@chat.default.svc/"}})),
                "no user, no password",
            ),
            (
                "lobby",
                functions(json!({"register": {"url": "http://chat.default.svc/", "timeoutSeconds": 10}})),
                "should be less than or equal to 9",
            ),
            (
                "lobby",
                functions(json!({"register": {"url": "http://chat.default.svc/", "onFailure": "Ignore"}})),
                "supported values: \"Refuse\", \"Accept\"",
            ),
            ("lobby", json!({"functions": {"cleanup": {"url": "http://chat.default.svc/"}}}), "spec.functions.dialect"),
            (
                "lobby",
                json!({
                    "broadcast": {"excludeSender": false},
                    "functions": {"dialect": "Tencent", "transport": {"url": "http://chat.default.svc/"}},
                }),
                "with functions.transport the function decides who hears what: leave out broadcast",
            ),
            ("lobby", json!({"replicas": 501}), "should be less than or equal to 500"),
            ("lobby", json!({"replcas": 1}), "unknown field \"spec.replcas\""),
        ] {
            for style in ["--server-side=false", "--server-side=true"] {
                let text = manifest(name, &spec).to_string();
                let refused = world.kubectl(&["apply", style, "--dry-run=server", "--filename=-"], &text);
                let said = refused.expect_err(&format!("{name} {spec} should be refused"));
                // With server-side apply the schema's own words for an unknown field are others.
                let unknown = words.starts_with("unknown field") && said.contains("field not declared in schema");
                assert!(said.contains(words) || unknown, "{name} {spec}: {said}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn kubectl_shows_scales_and_explains_a_room() {
    in_namespace("kubectl", async |world| {
        world.apply("lobby", json!({})).await;
        world.settled("lobby").await;
        let header = |wide: &[&str]| {
            let all: Vec<_> = ["get", "rooms"].iter().chain(wide).copied().collect();
            let table = world.kubectl(&all, "").unwrap();
            table.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        let narrow = header(&[]);
        assert_eq!(narrow[0], ["NAME", "READY", "REASON", "PODS", "ONLINE", "URL", "AGE"]);
        assert_eq!(narrow[1][..4], ["lobby", "True", "AllReplicasReady", "2"]);
        let wide = header(&["--output=wide"]);
        assert_eq!(wide[0], ["NAME", "READY", "REASON", "PODS", "ONLINE", "URL", "DESIRED", "REDIS", "IMAGE", "AGE"]);

        world.kubectl(&["scale", "room", "lobby", "--replicas=3"], "").unwrap();
        let [.., deployment, _] = KEPT;
        world
            .child_becomes(deployment, "lobby", "has three pods", A_WHILE, |live| live.data["spec"]["replicas"] == 3)
            .await;
        world.settled("lobby").await;
        let path = format!("/apis/chatroom.dev/v1alpha1/namespaces/{}/chatrooms/lobby/scale", world.namespace);
        let scale: Value = serde_json::from_str(&world.plane.kubectl(&["get", "--raw", &path], "").unwrap()).unwrap();
        assert_eq!((&scale["spec"]["replicas"], &scale["status"]["replicas"]), (&json!(3), &json!(3)));
        assert!(scale["status"]["selector"].as_str().unwrap().contains("app.kubernetes.io/instance=lobby"), "{scale}");

        for path in ["room", "room.spec", "room.spec.limits", "room.spec.functions", "room.status"] {
            let text = world.kubectl(&["explain", path], "").unwrap();
            assert!(!text.contains("<empty>") && text.contains("DESCRIPTION"), "{path}: {text}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_room_that_was_stored_under_looser_rules_can_still_be_worked_with_after_the_upgrade() {
    in_namespace("upgrade", async |world| {
        let group = "upgrade.example";
        let mut older = definition(group);
        without_rules(&mut older);
        world.plane.kubectl(&["apply", "--server-side", "--filename=-"], &older.to_string()).unwrap();
        served(world, group).await;
        let mut room = manifest("lobby", &json!({"path": "chat", "redis": {"ephemeral": {}}}));
        room["apiVersion"] = json!(format!("{group}/v1alpha1"));
        world.kubectl(&["create", "--filename=-"], &room.to_string()).unwrap();
        world.plane.kubectl(&["apply", "--server-side", "--filename=-"], &definition(group).to_string()).unwrap();
        let patch = |patch: Value, more: &str| {
            let patch = patch.to_string();
            let resource = format!("chatrooms.{group}");
            let words = ["patch", resource.as_str(), "lobby", "--type=merge", "--patch", patch.as_str()];
            let all: Vec<_> = words.into_iter().chain([more].into_iter().filter(|word| !word.is_empty())).collect();
            world.kubectl(&all, "")
        };
        until("the new rules hold", A_WHILE, async || {
            let refused = patch(json!({"spec": {"path": "talk"}}), "--dry-run=server");
            if refused.is_err_and(|why| why.contains("path must begin")) { Ok(()) } else { Err("the old ones hold") }
        })
        .await;
        patch(json!({"spec": {"replicas": 3}}), "").expect("what was not touched does not get in the way");
        patch(json!({"status": {"observedGeneration": 2}}), "--subresource=status").expect("nor in the operator's");
        patch(json!({"spec": {"path": "/chat"}}), "").expect("it can be set right");
    })
    .await;
}

fn functions(mut more: Value) -> Value {
    more["dialect"] = json!("Tencent");
    json!({"functions": more})
}

/// The definition that we ship, for another group: what is done to it disturbs no other test.
fn definition(group: &str) -> Value {
    let text = std::fs::read_to_string(repository::root().join("crds/chatrooms.yaml")).unwrap();
    let mut definition: Value = serde_yaml::from_str(&text).unwrap();
    definition["metadata"]["name"] = json!(format!("chatrooms.{group}"));
    definition["spec"]["group"] = json!(group);
    // Short names and categories are shared by all groups.
    let names = definition["spec"]["names"].as_object_mut().unwrap();
    names.retain(|name, _| !["shortNames", "categories"].contains(&name.as_str()));
    definition
}

/// Takes every rule out of a schema.
fn without_rules(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("x-kubernetes-validations");
            fields.values_mut().for_each(without_rules);
        }
        Value::Array(items) => items.iter_mut().for_each(without_rules),
        _ => {}
    }
}

async fn served(world: &World, group: &str) {
    established(world.plane, &format!("chatrooms.{group}")).await;
    // Discovery comes a moment later.
    until("the group is served", A_WHILE, async || {
        let path = format!("/apis/{group}/v1alpha1/namespaces/{}/chatrooms", world.namespace);
        world.plane.kubectl(&["get", "--raw", &path], "").map(drop)
    })
    .await;
}
