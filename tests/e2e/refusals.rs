//! What the API server refuses by itself, with words that say what would be right.

use chatroom_api::ChatRoom;
use kube::Resource as _;
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use serde_json::{Value, json};

use chatroom_tests::world::in_namespace;

#[tokio::test]
async fn a_bad_manifest_is_refused_with_the_field_and_what_would_be_right() {
    in_namespace("refused", async |world| {
        let kind = ApiResource::erase::<ChatRoom>(&());
        let rooms: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), &world.namespace, &kind);
        for (name, spec, expected) in cases() {
            let room = json!({
                "apiVersion": ChatRoom::api_version(&()), "kind": ChatRoom::kind(&()),
                "metadata": {"name": name}, "spec": spec,
            });
            let room: DynamicObject = serde_json::from_value(room).expect("this is an object");
            match rooms.create(&PostParams::default(), &room).await {
                Ok(_) => panic!("{name} with {spec} was taken"),
                Err(kube::Error::Api(status)) => {
                    for part in expected {
                        assert!(
                            status.message.contains(part),
                            "{part:?} is not in what {spec} got: {}",
                            status.message
                        );
                    }
                }
                Err(error) => panic!("{name} with {spec}: {error}"),
            }
        }
    })
    .await;
}

fn cases() -> Vec<(&'static str, Value, &'static [&'static str])> {
    vec![
        ("lobby", json!({"replicas": -1}), &["spec.replicas", "0"]),
        ("lobby", json!({"replicas": 501}), &["spec.replicas", "500"]),
        ("lobby", json!({"replicas": "3"}), &["spec.replicas", "integer"]),
        ("lobby", json!({"path": "chat"}), &["spec.path", "begin with '/'"]),
        ("lobby", json!({"path": "/a?b=c"}), &["spec.path", "no query"]),
        ("lobby", json!({"allowedOrigins": ["https://a.example/path"]}), &["spec.allowedOrigins", "scheme://host"]),
        ("lobby", json!({"allowedOrigins": ["*"]}), &["spec.allowedOrigins", "no '*'"]),
        ("lobby", json!({"limits": {"maxMessageBytes": 33_554_433}}), &["spec.limits.maxMessageBytes", "33554432"]),
        ("lobby", json!({"pingIntervalSeconds": 4}), &["spec.pingIntervalSeconds", "5"]),
        ("lobby", json!({"image": {"tag": "latest"}}), &["spec.image", "name a version"]),
        (
            "lobby",
            json!({"redis": {"ephemeral": {}, "external": {"urlSecretRef": {"name": "a"}}}}),
            &["spec.redis", "redis.ephemeral or redis.external, not both"],
        ),
        ("lobby", json!({"redis": {"external": {}}}), &["spec.redis.external.urlSecretRef", "Required"]),
        (
            "lobby",
            json!({"redis": {"external": {"urlSecretRef": {"name": "a"}, "keyPrefix": "plain:"}}}),
            &["spec.redis.external.keyPrefix", "in braces"],
        ),
        (
            "lobby",
            json!({"rollout": {"maxSurge": 0, "maxUnavailable": 0}}),
            &["spec.rollout", "no pod could ever be replaced"],
        ),
        (
            "lobby",
            json!({"podDisruptionBudget": {"maxUnavailable": 0}}),
            &["maxUnavailable 0 would block every node drain"],
        ),
        ("lobby", json!({"drain": {"timeoutSeconds": 3601}}), &["spec.drain.timeoutSeconds", "3600"]),
        (
            "lobby",
            json!({"pod": {"labels": {"app.kubernetes.io/name": "mine"}}}),
            &["spec.pod.labels", "set by the operator"],
        ),
        (
            "lobby",
            json!({"pod": {"annotations": {"chatroom.dev/settings": "mine"}}}),
            &["spec.pod.annotations", "set by the operator"],
        ),
        (
            "lobby",
            json!({"pod": {"env": [{"name": "CHATROOM_POD_UID", "value": "mine"}]}}),
            &["spec.pod.env", "set by the operator"],
        ),
        ("lobby", json!({"image": {"repository": "registry.example.com/chat:1"}}), &["spec.image", "without tag"]),
        (
            "lobby",
            json!({"image": {"tag": "1", "digest": format!("sha256:{}", "0".repeat(64))}}),
            &["spec.image", "not both"],
        ),
        ("lobby", json!({"allowedOrigins": ["https://a.example:443"]}), &["spec.allowedOrigins", "default port"]),
        ("lobby", json!({"rollout": {"maxSurge": "half"}}), &["spec.rollout.maxSurge", "as in '25%'"]),
        ("lobby", json!({"service": {"type": "ExternalName"}}), &["spec.service.type", "supported values"]),
        ("lobby", json!({"limits": {"idleTimeoutSeconds": 4}}), &["spec.limits.idleTimeoutSeconds", "5"]),
        (
            "lobby",
            json!({"redis": {"external": {"urlSecretRef": {"name": "No Secret"}}}}),
            &["spec.redis.external.urlSecretRef.name", "name of a Secret"],
        ),
        ("lobby-redis", json!({}), &["must not end with -redis"]),
        ("a-name-that-is-longer-than-forty-characters", json!({}), &["at most 40"]),
        ("1lobby", json!({}), &["begin with a letter"]),
    ]
}
