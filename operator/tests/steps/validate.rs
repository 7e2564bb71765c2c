//! ChatRoom → Room: one broken field each, and that whatever the contract takes is taken here.

use chatroom_operator::controller::validate::validate;
use chatroom_operator::decide::decide;
use chatroom_operator::desired::desired;
use chatroom_operator::names::Names;
use chatroom_operator::observed::Observed;
use chatroom_operator::room::{Invalid, Redis, Violation};
use chatroom_operator::tool::manifest::Manifest;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::{chat_room, defaults, room};

fn invalid(spec: &Value) -> Vec<Violation> {
    let Invalid { violations } = validate(&chat_room(spec.clone()), &defaults()).expect_err(&spec.to_string());
    violations
}

/// A good constraint with one thing changed or added.
fn spread(key: &str, value: Value) -> Value {
    let mut constraint = json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"});
    constraint[key] = value;
    json!({"pod": {"topologySpreadConstraints": [constraint]}})
}

/// Good functions with one thing changed or added.
fn function(key: &str, value: Value) -> Value {
    let mut functions = json!({"dialect": "Tencent", "register": {"url": "http://chat.default.svc/"}});
    functions[key] = value;
    json!({"functions": functions})
}

fn register(key: &str, value: Value) -> Value {
    let mut spec = function("register", json!({"url": "http://chat.default.svc/"}));
    spec["functions"]["register"][key] = value;
    spec
}

fn beside_transport() -> Value {
    let mut spec = function("transport", json!({"url": "http://chat.default.svc/"}));
    spec["broadcast"] = json!({});
    spec
}

const NODES: &str = "spec.pod.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0]";

fn affinity(expression: &Value) -> Value {
    json!({"pod": {"affinity": {"nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]},
    }}}})
}

#[test]
fn each_mistake_is_named_with_its_field() {
    let cases = [
        (json!({"replicas": -1}), "spec.replicas"),
        (json!({"replicas": 501}), "spec.replicas"),
        (json!({"path": "/a/../b"}), "spec.path"),
        (json!({"path": "chat"}), "spec.path"),
        (json!({"allowedOrigins": []}), "spec.allowedOrigins"),
        (json!({"allowedOrigins": ["https://a.com", "*"]}), "spec.allowedOrigins[1]"),
        (json!({"limits": {"slowSeconds": 0}}), "spec.limits.slowSeconds"),
        (json!({"pingIntervalSeconds": 1}), "spec.pingIntervalSeconds"),
        (json!({"functions": {"dialect": "Tencent"}}), "spec.functions"),
        (register("url", json!("ftp://a/")), "spec.functions.register.url"),
        (register("url", json!("http://169.254.169.254/latest")), "spec.functions.register.url"),
        (register("timeoutSeconds", json!(10)), "spec.functions.register.timeoutSeconds"),
        (
            function("transport", json!({"url": "http://a", "timeoutSeconds": 0})),
            "spec.functions.transport.timeoutSeconds",
        ),
        (
            function("cleanup", json!({"url": "http://a", "timeoutSeconds": 61})),
            "spec.functions.cleanup.timeoutSeconds",
        ),
        (function("signingSecretRef", json!({"name": ""})), "spec.functions.signingSecretRef.name"),
        (function("caSecretRef", json!({"name": ""})), "spec.functions.caSecretRef.name"),
        (function("tencent", json!({"serviceName": ""})), "spec.functions.tencent.serviceName"),
        (function("tencent", json!({"stage": "a".repeat(129)})), "spec.functions.tencent.stage"),
        (beside_transport(), "spec.broadcast"),
        (json!({"drain": {"timeoutSeconds": 4000}}), "spec.drain.timeoutSeconds"),
        (json!({"rollout": {"maxSurge": "0%"}}), "spec.rollout"),
        (json!({"rollout": {"maxSurge": "x"}}), "spec.rollout.maxSurge"),
        (json!({"podDisruptionBudget": {"maxUnavailable": "0%"}}), "spec.podDisruptionBudget.maxUnavailable"),
        (json!({"image": {"tag": "latest"}}), "spec.image.tag"),
        (json!({"image": {"repository": "a"}}), "spec.image"),
        (json!({"redis": {"ephemeral": {}, "external": {"urlSecretRef": {"name": "r"}}}}), "spec.redis"),
        (
            json!({"redis": {"external": {"urlSecretRef": {"name": "r"}, "keyPrefix": "x"}}}),
            "spec.redis.external.keyPrefix",
        ),
        (
            json!({"redis": {"ephemeral": {"resources": {"limits": {"memory": "1x"}}}}}),
            "spec.redis.ephemeral.resources.limits.memory",
        ),
        (json!({"logging": {"filter": "info,["}}), "spec.logging.filter"),
        (json!({"pod": {"labels": {"a b": "c"}}}), "spec.pod.labels.a b"),
        (json!({"pod": {"labels": {"a": "c d"}}}), "spec.pod.labels.a"),
        (json!({"pod": {"labels": {"app.kubernetes.io/name": "c"}}}), "spec.pod.labels.app.kubernetes.io/name"),
        (json!({"pod": {"annotations": {"chatroom.dev/settings": "c"}}}), "spec.pod.annotations.chatroom.dev/settings"),
        (json!({"service": {"annotations": {"/x": "c"}}}), "spec.service.annotations./x"),
        (json!({"pod": {"nodeSelector": {"a": "-"}}}), "spec.pod.nodeSelector.a"),
        (json!({"pod": {"env": [{"name": "CHATROOM_HOT_FILE"}]}}), "spec.pod.env[0].name"),
        (json!({"pod": {"env": [{"name": "A"}, {"name": "A"}]}}), "spec.pod.env[1].name"),
        (json!({"pod": {"env": [{"name": "A=B"}]}}), "spec.pod.env[0].name"),
        (json!({"pod": {"resources": {"requests": {"cpu": "-1"}}}}), "spec.pod.resources.requests.cpu"),
        (json!({"pod": {"envFrom": [{}]}}), "spec.pod.envFrom[0]"),
        (json!({"pod": {"envFrom": [{"secretRef": {"name": ""}}]}}), "spec.pod.envFrom[0].secretRef.name"),
        (
            json!({"pod": {"envFrom": [{"prefix": "CHATROOM_", "secretRef": {"name": "a"}}]}}),
            "spec.pod.envFrom[0].prefix",
        ),
        (json!({"pod": {"serviceAccountName": "a..b"}}), "spec.pod.serviceAccountName"),
        (json!({"pod": {"priorityClassName": "A"}}), "spec.pod.priorityClassName"),
        (json!({"pod": {"tolerations": [{"operator": "Exist"}]}}), "spec.pod.tolerations[0].operator"),
        (json!({"pod": {"tolerations": [{"value": "a"}]}}), "spec.pod.tolerations[0].key"),
        (json!({"pod": {"tolerations": [{"operator": "Exists", "value": "a"}]}}), "spec.pod.tolerations[0].value"),
        (json!({"pod": {"tolerations": [{"key": "a", "effect": "Never"}]}}), "spec.pod.tolerations[0].effect"),
        (
            json!({"pod": {"tolerations": [{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 1}]}}),
            "spec.pod.tolerations[0].tolerationSeconds",
        ),
        (spread("topologyKey", json!("a b")), "spec.pod.topologySpreadConstraints[0].topologyKey"),
        (spread("maxSkew", json!(0)), "spec.pod.topologySpreadConstraints[0].maxSkew"),
        (spread("whenUnsatisfiable", json!("no")), "spec.pod.topologySpreadConstraints[0].whenUnsatisfiable"),
        (spread("minDomains", json!(2)), "spec.pod.topologySpreadConstraints[0].minDomains"),
        (spread("nodeTaintsPolicy", json!("x")), "spec.pod.topologySpreadConstraints[0].nodeTaintsPolicy"),
        (
            spread("labelSelector", json!({"matchLabels": {"a": "b c"}})),
            "spec.pod.topologySpreadConstraints[0].labelSelector.matchLabels.a",
        ),
        (affinity(&json!({"key": "", "operator": "Exists"})), &format!("{NODES}.key")),
        (affinity(&json!({"key": "a", "operator": "Has"})), &format!("{NODES}.operator")),
        (affinity(&json!({"key": "a", "operator": "In"})), &format!("{NODES}.values")),
        (affinity(&json!({"key": "a", "operator": "Exists", "values": ["b"]})), &format!("{NODES}.values")),
        (affinity(&json!({"key": "a", "operator": "Gt", "values": ["b"]})), &format!("{NODES}.values")),
        (
            json!({"pod": {"affinity": {"nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []},
            }}}}),
            "spec.pod.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms",
        ),
        (
            json!({"pod": {"affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 0, "podAffinityTerm": {"topologyKey": "zone"}},
            ]}}}}),
            "spec.pod.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight",
        ),
        (
            json!({"pod": {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "zone", "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Lt"}]}},
            ]}}}}),
            "spec.pod.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector.matchExpressions[0].operator",
        ),
        (
            json!({"pod": {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}}}),
            "spec.pod.resources.requests.cpu",
        ),
    ];
    for (spec, field) in cases {
        let fields: Vec<_> = invalid(&spec).into_iter().map(|violation| violation.field).collect();
        assert_eq!(fields, [field], "{spec}");
    }
}

#[test]
fn what_looks_like_the_placeholder_misspelt_is_refused_and_other_braces_are_not() {
    let suffix = |suffix: &str| json!({"broadcast": {"onlineSuffix": suffix}});
    for (wrong, named) in [
        ("({onlin})", "{onlin}"),
        ("{Online}", "{Online}"),
        ("{ online }", "{ online }"),
        ("{online} of {count}", "{count}"),
        ("{}", "{}"),
        ("{{online}}", "{{online}}"),
        ("{ {People}", "{People}"),
    ] {
        let violations = invalid(&suffix(wrong));
        let said =
            format!("{named} would be sent as it stands: {{online}} is what is replaced by the number of people");
        assert_eq!(violations, [Violation::new("spec.broadcast.onlineSuffix", said)], "{wrong}");
    }
    for right in ["{online}", "{online}/{online}", "{\"online\":{online}}", "{smile}", "}{", "{", "no braces"] {
        room(suffix(right));
    }
}

#[test]
fn all_mistakes_are_named_at_once() {
    let violations =
        invalid(&json!({"replicas": -1, "path": "x", "image": {"tag": "latest"}, "drain": {"preStopSeconds": -5}}));
    let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["spec.replicas", "spec.image.tag", "spec.path", "spec.drain.preStopSeconds"]);
}

#[test]
fn a_name_that_only_an_older_crd_would_have_let_in_is_refused() {
    for name in ["lobby-redis", "9lives", &"a".repeat(41), ""] {
        let mut room = chat_room(json!({}));
        room.metadata.name = Some(name.to_owned());
        let violations = validate(&room, &defaults()).unwrap_err().violations;
        assert_eq!(violations[0].field, "metadata.name", "{name}");
    }
}

#[test]
fn the_parts_of_an_image_that_are_absent_are_the_operators() {
    let image = |spec: Value, default: &str| {
        let defaults = chatroom_operator::room::Defaults { gateway_image: default.to_owned(), ..defaults() };
        validate(&chat_room(json!({"image": spec})), &defaults).unwrap().image.reference.to_string()
    };
    let digest = format!("sha256:{}", "0a".repeat(32));
    let default = "localhost:5000/chat/gateway:1@sha256:ff";
    assert_eq!(image(json!({}), default), default);
    assert_eq!(image(json!({"tag": "2"}), default), "localhost:5000/chat/gateway:2");
    assert_eq!(image(json!({"digest": digest}), default), format!("localhost:5000/chat/gateway@{digest}"));
    assert_eq!(image(json!({"repository": "a.b/c", "tag": "2"}), default), "a.b/c:2");
    assert_eq!(image(json!({"tag": "2"}), "localhost:5000/gateway"), "localhost:5000/gateway:2");
    assert_eq!(image(json!({"tag": "2"}), "gateway:1"), "gateway:2");
}

#[test]
fn redis_may_fill_two_thirds_of_its_memory() {
    let memory = |resources: Value| match room(json!({"redis": {"ephemeral": {"resources": resources}}})).redis {
        Redis::Ephemeral(redis) => redis.max_memory_bytes,
        Redis::External(_) => panic!("ephemeral"),
    };
    assert_eq!(memory(json!({"limits": {"memory": "192Mi"}})), 128 << 20);
    assert_eq!(memory(json!({"limits": {"memory": 300}})), 200);
    assert_eq!(memory(json!({"limits": {"memory": "0.3k"}})), 200);
    assert_eq!(memory(json!({"requests": {"cpu": 1}})), 128 << 20);
}

/// Specs of the right shape with values from anywhere, near the borders more often than not.
fn spec() -> impl Strategy<Value = Value> {
    let count = prop_oneof![
        (-2..3000).prop_map(Value::from),
        "[0-9]{1,3}%?".prop_map(Value::from),
        Just(json!("0%")),
        ".{0,4}".prop_map(Value::from),
    ];
    let quantity = prop_oneof!["[0-9.]{1,4}(m|k|Ki|Mi|Gi|)", ".{0,3}"].prop_map(Value::from);
    let path = prop_oneof!["/[a-z./~-]{0,8}", ".{0,5}"];
    let origin = prop_oneof!["(http|https|app)://[a-z.]{1,6}(:[0-9]{1,4})?", ".{0,8}"];
    let prefix = prop_oneof!["[a-z:]{0,3}\\{[a-z0-9-]{0,3}\\}[a-z:]{0,2}", ".{0,5}"];
    let map = || {
        prop::collection::btree_map(prop_oneof!["[a-z./]{1,6}", ".{0,3}"], prop_oneof!["[a-z-]{0,5}", ".{0,3}"], 0..3)
    };
    let number = || prop_oneof![Just(0), -1..40, 3590..3610, any::<i32>()];
    (
        (number(), path, prop::option::of(prop::collection::vec(origin, 0..3)), prop::option::of("(?s).{0,20}")),
        (count.clone(), count.clone(), count, number(), number()),
        (map(), map(), map(), prop::collection::vec("[A-Z_]{0,3}|CHATROOM_X", 0..3), quantity.clone(), quantity),
        (prop::option::of(prefix), prop::option::of("[a-z=,\\[]{0,8}"), number(), number()),
    )
        .prop_map(|(clients, counts, pod, rest)| {
            let (replicas, path, origins, suffix) = clients;
            let (surge, unavailable, budget, pre_stop, timeout) = counts;
            let (labels, annotations, node_selector, env, memory, cpu) = pod;
            let (prefix, filter, ping, slow) = rest;
            let mut spec = json!({
                "replicas": replicas, "path": path, "pingIntervalSeconds": ping,
                "limits": {"slowSeconds": slow},
                "rollout": {"maxSurge": surge, "maxUnavailable": unavailable},
                "podDisruptionBudget": {"maxUnavailable": budget},
                "drain": {"preStopSeconds": pre_stop, "timeoutSeconds": timeout},
                "service": {"annotations": annotations},
                "pod": {
                    "labels": labels, "annotations": annotations, "nodeSelector": node_selector,
                    "env": env.into_iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
                    "resources": {"limits": {"memory": memory, "cpu": cpu}},
                },
                "redis": {"ephemeral": {"resources": {"limits": {"memory": memory}}}},
            });
            let mut set = |key: &str, value: Option<Value>| {
                if let Some(value) = value {
                    spec[key] = value;
                }
            };
            set("allowedOrigins", origins.map(Value::from));
            set("broadcast", suffix.map(|suffix| json!({"onlineSuffix": suffix})));
            set("logging", filter.map(|filter| json!({"filter": filter})));
            set(
                "redis",
                prefix.map(|prefix| json!({"external": {"urlSecretRef": {"name": "r"}, "keyPrefix": prefix}})),
            );
            spec
        })
}

proptest! {
    #[test]
    fn every_room_is_either_refused_or_rendered_the_same_twice(spec in spec()) {
        let Ok(room) = validate(&chat_room(spec), &defaults()) else { return Ok(()) };
        let names = Names::new(&room.identity);
        let render = || desired(&names, &room, &decide(&room, &Observed::default()));
        prop_assert_eq!(render(), render());
    }

    #[test]
    fn a_path_an_origin_a_prefix_and_a_url_that_the_rules_take_are_taken(
        path in "/?[a-zA-Z0-9./~%?-]{0,8}",
        origin in "(http|HTTP|app|)(://|:)(\\[::1\\]|[a-zA.-]{0,4})(:[0-9]{1,3}|:443|/|)",
        prefix in "[a-z:]{0,3}\\{?[a-z0-9-]{0,3}\\}?[a-z:]{0,2}",
        url in "(http|https|HTTP|)(://|:)(a@|)(\\[::1\\]|[a-zA.-]{0,4})(:[1-9]{1,4}|:|)([/?][a-z%'#/?]{0,4}|)",
    ) {
        let spec = json!({
            "path": path, "allowedOrigins": [origin],
            "redis": {"external": {"urlSecretRef": {"name": "r"}, "keyPrefix": prefix}},
            "functions": {"dialect": "Tencent", "cleanup": {"url": url}},
        });
        let manifest = json!({
            "apiVersion": "chatroom.dev/v1alpha1", "kind": "ChatRoom", "metadata": {"name": "lobby"}, "spec": spec,
        });
        if let Ok(manifest) = Manifest::parse(&manifest.to_string()) {
            prop_assert!(manifest.validate(|_| "uid".to_owned(), &defaults()).is_ok());
        }
    }
}
