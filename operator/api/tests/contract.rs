//! The contract with people: names, defaults and bounds of the schema, and what each rule says to whom it refuses.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use chatroom_api::ChatRoom;
use kube::CustomResourceExt;
use serde_json::{Value, json};

fn schema() -> Value {
    let crd = serde_json::to_value(ChatRoom::crd()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Every field of the schema with its path; `[]` stands for the items of a list.
fn fields(schema: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        found.push((path.clone(), property.clone()));
        fields(property, &path, found);
        fields(&property["items"], &format!("{path}[]"), found);
    }
}

fn all_fields() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    fields(&schema(), "", &mut found);
    found
}

/// Types of Kubernetes itself, whose inside is not ours.
fn is_foreign(path: &str) -> bool {
    [
        "spec.pod.affinity.",
        "spec.pod.env[]",
        "spec.pod.envFrom[]",
        "spec.pod.tolerations[]",
        "spec.pod.topologySpreadConstraints[]",
        "status.conditions[]",
    ]
    .iter()
    .any(|root| path.starts_with(root))
}

fn room(name: &str, spec: Value) -> ChatRoom {
    ChatRoom::new(name, serde_json::from_value(spec).unwrap())
}

fn refusals(room: &ChatRoom) -> Vec<(String, String)> {
    match kube::core::cel::validate_cel(room) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.into_vec().into_iter().map(|error| (error.field_path, error.message)).collect(),
    }
}

#[test]
fn the_names_of_the_fields_are_pinned() {
    let names: Vec<_> = all_fields().into_iter().map(|(path, _)| path).filter(|path| !is_foreign(path)).collect();
    let pinned = include_str!("fields.txt").lines().collect::<Vec<_>>();
    assert_eq!(names, pinned, "a field is for ever: change fields.txt only to add one");
}

#[test]
fn only_scalars_that_are_the_apis_for_ever_have_a_default() {
    let with_default =
        all_fields().into_iter().filter(|(path, property)| !is_foreign(path) && !property["default"].is_null());
    let defaults: Vec<_> = with_default.map(|(path, property)| (path, property["default"].clone())).collect();
    let expected = [
        ("spec.path", json!("/")),
        ("spec.replicas", json!(2)),
        ("spec.suspend", json!(false)),
        ("spec.webClient", json!(false)),
    ];
    assert_eq!(defaults, expected.map(|(path, value)| (path.to_owned(), value)));
}

#[test]
fn every_field_is_explained() {
    let silent: Vec<_> = all_fields().into_iter().filter(|(_, p)| p["description"].is_null()).map(|(p, _)| p).collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn every_list_has_a_type_and_an_end() {
    for (path, property) in all_fields() {
        if property["type"] == "array" && !is_foreign(&path) {
            assert!(property["x-kubernetes-list-type"].is_string(), "{path} has no list type");
            assert!(property["maxItems"].is_u64(), "{path} has no end");
        }
    }
}

#[test]
fn every_string_and_map_that_people_write_has_an_end() {
    for (path, property) in all_fields() {
        if is_foreign(&path) || !path.starts_with("spec") {
            continue;
        }
        if property["type"] == "string" && property["enum"].is_null() {
            assert!(property["maxLength"].is_u64(), "{path} has no end");
        }
        if property["additionalProperties"].is_object() {
            assert!(property["maxProperties"].is_u64(), "{path} has no end");
        }
    }
}

#[test]
fn no_field_of_ours_may_be_null_so_that_null_means_absent() {
    for (path, property) in all_fields() {
        let nullable = property["nullable"] == true;
        assert!(!nullable || is_foreign(&path) || path == "status", "{path} may be null");
    }
}

#[test]
fn every_block_belongs_to_one_applier_so_that_it_can_be_emptied() {
    let shared: Vec<_> = all_fields()
        .into_iter()
        .filter(|(path, property)| {
            path.matches('.').count() == 1 && path.starts_with("spec.") && property["type"] == "object"
        })
        .filter(|(_, property)| property["x-kubernetes-map-type"] != "atomic")
        .map(|(path, _)| path)
        .collect();
    assert!(shared.is_empty(), "server-side apply could not empty {shared:?}");
}

#[test]
fn the_numbers_of_the_schema_are_the_bounds() {
    let number = |path: &str| {
        let (_, property) = all_fields().into_iter().find(|(name, _)| name == path).unwrap();
        (property["minimum"].as_f64().unwrap(), property["maximum"].as_f64().unwrap())
    };
    for (path, bounds) in [
        ("spec.replicas", chatroom_api::REPLICAS),
        ("spec.pingIntervalSeconds", chatroom_api::PING_INTERVAL_SECONDS),
        ("spec.limits.maxMessageBytes", chatroom_api::MAX_MESSAGE_BYTES),
        ("spec.limits.maxPendingBytes", chatroom_api::MAX_PENDING_BYTES),
        ("spec.drain.timeoutSeconds", chatroom_api::DRAIN_TIMEOUT_SECONDS),
        ("spec.functions.register.timeoutSeconds", chatroom_api::REGISTER_TIMEOUT_SECONDS),
        ("spec.functions.transport.timeoutSeconds", chatroom_api::TRANSPORT_TIMEOUT_SECONDS),
        ("spec.functions.cleanup.timeoutSeconds", chatroom_api::CLEANUP_TIMEOUT_SECONDS),
    ] {
        assert_eq!(number(path), (f64::from(bounds.min), f64::from(bounds.max)), "{path}");
    }
}

#[test]
fn rooms_that_are_right_are_taken() {
    let specs = [
        json!({}),
        json!({"redis": {}}),
        json!({"redis": {"ephemeral": {}}}),
        json!({"redis": {"external": {"urlSecretRef": {"name": "redis", "key": "REDIS_URL"}, "keyPrefix": "lobby:{eu-1}:"}}}),
        json!({"image": {"tag": "1.2.3"}}),
        json!({"image": {"repository": "localhost:5000/chat/gateway", "tag": "v1"}}),
        json!({"image": {"digest": format!("sha256:{}", "0a".repeat(32)), "pullPolicy": "Always"}}),
        json!({"rollout": {"maxSurge": 0, "maxUnavailable": "25%"}}),
        json!({"rollout": {"maxSurge": "25%", "maxUnavailable": 0}}),
        json!({"rollout": {"maxUnavailable": "0%"}}),
        json!({"allowedOrigins": ["https://chat.example.com", "http://localhost:3000", "https://[::1]:8443", "app://x"]}),
        json!({"path": "/chat/v1.0/"}),
        json!({"podDisruptionBudget": {"enabled": false, "maxUnavailable": "50%"}}),
        json!({"imagePullSecrets": [{"name": "a"}, {"name": "b.c"}]}),
        json!({"pod": {"labels": {"team": "chat"}, "annotations": {"a/b": "c"}, "env": [{"name": "A", "value": "b"}]}}),
        json!({"pod": {"envFrom": [{"secretRef": {"name": "a"}}, {"prefix": "B_", "configMapRef": {"name": "b"}}]}}),
        json!({"pod": {"serviceAccountName": "chat", "priorityClassName": "high.chat", "topologySpreadConstraints": []}}),
        json!({"pod": {"topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"},
            {"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"},
        ]}}),
        json!({"push": {}}),
        json!({"push": {"secretName": "chat.keys", "dialects": ["Tencent"]}}),
        json!({"push": {"dialects": []}, "limits": {"maxPendingBytes": 1024}}),
        json!({"overrides": {"deployment": {"spec": {"anything": [1, {"a": null}]}}, "service": {}}}),
    ];
    for spec in specs {
        assert_eq!(refusals(&room("lobby", spec.clone())), [], "{spec}");
    }
    assert_eq!(refusals(&room(&"a".repeat(40), json!({}))), []);
}

/// One broken field, what is said about it, and where.
#[test]
fn each_rule_says_what_would_be_right() {
    let nothing_but_origins = "an origin is scheme://host or scheme://host:port in lower case, as in https://chat.example.com: no path, no '*', no slash at the end";
    let default_port = "browsers leave the default port out of an origin: write https://host, not https://host:443";
    let path_characters = "path takes letters, digits and '-._~/' only: no query, no fragment, no escapes";
    let path_segments = "path must not have empty, '.' or '..' segments: clients resolve them before they connect";
    let both_zero = "maxSurge and maxUnavailable are both 0: no pod could ever be replaced; raise one of them";
    let surge = "maxSurge must be a number of pods, as in 1, or a percentage, as in '25%'";
    let unavailable = "maxUnavailable must be a number of pods, as in 1, or a percentage up to 100%, as in '25%'";
    let no_drain = "maxUnavailable 0 would block every node drain: use at least 1, or a percentage above 0%";
    let repository = "repository is the image without tag and digest, as in registry.example.com/chat/gateway";
    let prefix =
        "keyPrefix takes letters, digits, ':', '.', '_', '-' and exactly one part in braces, as in 'lobby:{eu-1}:'";
    let labels =
        "labels app.kubernetes.io/…, chatroom.dev/… and pod-template-hash are set by the operator: use another key";
    let one_source = "each entry names one source: set configMapRef or secretRef";
    let secret = "name must be the name of a Secret: lower case letters, digits, '-' and '.'";
    let external = |extra: Value| {
        let mut external = json!({"urlSecretRef": {"name": "redis"}});
        external.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({"redis": {"external": external}})
    };
    let cases = [
        (
            json!({"redis": {"ephemeral": {}, "external": {"urlSecretRef": {"name": "r"}}}}),
            "spec.redis",
            "set redis.ephemeral or redis.external, not both",
        ),
        (external(json!({"keyPrefix": "lobby"})), "spec.redis.external.keyPrefix", prefix),
        (external(json!({"keyPrefix": "{a}{b}"})), "spec.redis.external.keyPrefix", prefix),
        (external(json!({"keyPrefix": "{}"})), "spec.redis.external.keyPrefix", prefix),
        (external(json!({"urlSecretRef": {"name": "Redis"}})), "spec.redis.external.urlSecretRef.name", secret),
        (
            external(json!({"urlSecretRef": {"name": "r", "key": "a/b"}})),
            "spec.redis.external.urlSecretRef.key",
            "key must be a key of a Secret: letters, digits, '-', '_' and '.'",
        ),
        (
            json!({"image": {"tag": "latest"}}),
            "spec.image.tag",
            "image.tag 'latest' says nothing about what runs: name a version, or use image.digest",
        ),
        (
            json!({"image": {"tag": "1", "digest": format!("sha256:{}", "0a".repeat(32))}}),
            "spec.image",
            "set image.tag or image.digest, not both: the digest alone would count",
        ),
        (
            json!({"image": {"repository": "chat/gateway"}}),
            "spec.image",
            "image.repository needs image.tag or image.digest: without one, 'latest' would be pulled",
        ),
        (json!({"image": {"repository": "chat/gateway:1", "tag": "1"}}), "spec.image.repository", repository),
        (json!({"image": {"tag": "a b"}}), "spec.image.tag", "tag takes letters, digits, '_', '.' and '-'"),
        (
            json!({"image": {"digest": "sha256:abc"}}),
            "spec.image.digest",
            "digest must be 'sha256:' and 64 lower case hex digits",
        ),
        (json!({"imagePullSecrets": [{"name": "A"}]}), "spec.imagePullSecrets[0].name", secret),
        (
            json!({"push": {"secretName": "Keys"}}),
            "spec.push.secretName",
            "secretName must be the name of a Secret: lower case letters, digits, '-' and '.'",
        ),
        (json!({"rollout": {"maxSurge": 0}}), "spec.rollout", both_zero),
        (json!({"rollout": {"maxSurge": "0%", "maxUnavailable": "0%"}}), "spec.rollout", both_zero),
        (json!({"rollout": {"maxSurge": "0000", "maxUnavailable": "0000"}}), "spec.rollout", both_zero),
        (json!({"rollout": {"maxSurge": "a lot"}}), "spec.rollout.maxSurge", surge),
        (json!({"rollout": {"maxSurge": -1}}), "spec.rollout.maxSurge", surge),
        (json!({"rollout": {"maxUnavailable": "101%"}}), "spec.rollout.maxUnavailable", unavailable),
        (
            json!({"podDisruptionBudget": {"maxUnavailable": "some"}}),
            "spec.podDisruptionBudget.maxUnavailable",
            unavailable,
        ),
        (json!({"podDisruptionBudget": {"maxUnavailable": 0}}), "spec.podDisruptionBudget.maxUnavailable", no_drain),
        (
            json!({"podDisruptionBudget": {"maxUnavailable": "000"}}),
            "spec.podDisruptionBudget.maxUnavailable",
            no_drain,
        ),
        (json!({"allowedOrigins": ["*"]}), "spec.allowedOrigins", nothing_but_origins),
        (json!({"allowedOrigins": ["a.com"]}), "spec.allowedOrigins", nothing_but_origins),
        (json!({"allowedOrigins": ["https://a.com/"]}), "spec.allowedOrigins", nothing_but_origins),
        (json!({"allowedOrigins": ["https://a.com/path"]}), "spec.allowedOrigins", nothing_but_origins),
        (json!({"allowedOrigins": ["https://user:pass@a.com"]}), "spec.allowedOrigins", nothing_but_origins),
        (json!({"allowedOrigins": ["https://A.com"]}), "spec.allowedOrigins", nothing_but_origins),
        (json!({"allowedOrigins": ["https://a.com:443"]}), "spec.allowedOrigins", default_port),
        (json!({"path": "chat"}), "spec.path", "path must begin with '/'"),
        (json!({"path": "/a?b"}), "spec.path", path_characters),
        (json!({"path": "/a#b"}), "spec.path", path_characters),
        (json!({"path": "/a%20b"}), "spec.path", path_characters),
        (json!({"path": "/a/../b"}), "spec.path", path_segments),
        (json!({"path": "/."}), "spec.path", path_segments),
        (json!({"path": "//a"}), "spec.path", path_segments),
        (json!({"pod": {"labels": {"app.kubernetes.io/name": "x"}}}), "spec.pod.labels", labels),
        (json!({"pod": {"labels": {"pod-template-hash": "x"}}}), "spec.pod.labels", labels),
        (
            json!({"pod": {"annotations": {"chatroom.dev/settings": "x"}}}),
            "spec.pod.annotations",
            "annotations chatroom.dev/… are set by the operator: use another key",
        ),
        (
            json!({"pod": {"env": [{"name": "CHATROOM_HOT_FILE", "value": "/x"}]}}),
            "spec.pod.env",
            "variables CHATROOM_… are set by the operator: use another name",
        ),
        (
            json!({"pod": {"env": [{"name": "A", "value": "b", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}}),
            "spec.pod.env",
            "a variable has value or valueFrom, not both",
        ),
        (
            json!({"pod": {"envFrom": [{"prefix": "CHATROOM_", "secretRef": {"name": "a"}}]}}),
            "spec.pod.envFrom",
            "variables CHATROOM_… are set by the operator: use another prefix",
        ),
        (json!({"pod": {"envFrom": [{"prefix": "A"}]}}), "spec.pod.envFrom", one_source),
        (
            json!({"pod": {"envFrom": [{"secretRef": {"name": "a"}, "configMapRef": {"name": "b"}}]}}),
            "spec.pod.envFrom",
            one_source,
        ),
        (
            json!({"pod": {"serviceAccountName": "Chat"}}),
            "spec.pod.serviceAccountName",
            "serviceAccountName must be the name of a ServiceAccount: lower case letters, digits, '-' and '.'",
        ),
        (
            json!({"pod": {"priorityClassName": "a b"}}),
            "spec.pod.priorityClassName",
            "priorityClassName must be the name of a PriorityClass: lower case letters, digits, '-' and '.'",
        ),
        (
            json!({"pod": {"topologySpreadConstraints": [
                {"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"},
            ]}}),
            "spec.pod.topologySpreadConstraints",
            "maxSkew is the largest difference between two places: at least 1",
        ),
        (
            json!({"pod": {"topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "Never"},
            ]}}),
            "spec.pod.topologySpreadConstraints",
            "whenUnsatisfiable must be ScheduleAnyway or DoNotSchedule",
        ),
    ];
    for (spec, field, message) in cases {
        let refusals = refusals(&room("lobby", spec.clone()));
        assert_eq!(refusals, [(field.to_owned(), message.to_owned())], "{spec}");
    }
}

#[test]
fn names_from_which_no_child_could_be_made_are_refused() {
    let label = "metadata.name must be at most 40 lower case letters, digits and '-', begin with a letter and not end with '-': it becomes the name of a Service";
    let suffix = "metadata.name must not end with -redis, -push or -config: the objects of another room are called so";
    let long = "a".repeat(41);
    let cases = [
        ("9lives", label),
        ("a.b", label),
        ("a-", label),
        (long.as_str(), label),
        ("lobby-redis", suffix),
        ("lobby-push", suffix),
        ("lobby-config", suffix),
    ];
    for (name, message) in cases {
        let said: Vec<_> = refusals(&room(name, json!({}))).into_iter().map(|(_, message)| message).collect();
        assert_eq!(said, [message], "{name}");
    }
}

#[test]
fn the_resource_is_found_by_the_names_that_people_type() {
    let crd = ChatRoom::crd();
    assert_eq!(crd.metadata.name.as_deref(), Some("chatrooms.chatroom.dev"));
    assert_eq!(crd.spec.names.short_names.unwrap(), ["room", "rooms"]);
    assert_eq!(crd.spec.names.categories.unwrap(), ["chat"]);
}

#[test]
fn a_room_without_a_spec_says_the_defaults_of_the_schema_alone() {
    let room = room("lobby", json!({}));
    assert_eq!(
        serde_json::to_value(&room.spec).unwrap(),
        json!({"replicas": 2, "suspend": false, "path": "/", "webClient": false})
    );
}

#[test]
fn the_crd_is_far_below_what_client_side_apply_can_take() {
    // Client-side apply keeps a copy in an annotation: 262144 bytes at most, and one day for two versions.
    let bytes = serde_json::to_string(&ChatRoom::crd()).unwrap().len();
    assert!(bytes < 110_000, "{bytes} bytes");
}
