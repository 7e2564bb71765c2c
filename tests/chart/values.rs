//! Every value does what its comment says: for each of them one case, and no value without a case.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::helm::{Rendering, text_of, with_helm};

/// Values that are one thing, although they have parts.
const WHOLE: [&str; 3] = ["resources", "podSecurityContext", "securityContext"];

const POD: &str = "/spec/template/spec";

/// What has to be seen when a value is set.
enum Then {
    /// The only object of a kind has this at this place.
    Has(&'static str, String, Value),
    /// There is an object of this kind.
    There(&'static str),
    /// There is none.
    Gone(&'static str),
}

use Then::{Gone, Has, There};

struct Case {
    value: &'static str,
    set: Value,
    /// Further values without which it would not count, as Helm's `--set` takes them.
    with: &'static str,
    then: Then,
}

#[test]
fn every_value_does_something_that_is_seen() {
    with_helm("every_value_does_something_that_is_seen", |helm| {
        let mut without = BTreeMap::new();
        for Case { value, set, with, then } in cases() {
            let before = without.entry(with).or_insert_with(|| {
                helm.render([format!("--set={with}")]).unwrap_or_else(|refusal| panic!("{with}: {refusal}"))
            });
            let after = helm.render([format!("--set={with}"), format!("--set-json={value}={set}")]);
            let after = after.unwrap_or_else(|refusal| panic!("{value}={set}: {refusal}"));
            assert!(!holds(&then, before), "{value}: it is so without the value, too");
            assert!(holds(&then, &after), "{value}={set}: {}", seen(&then, &after));
        }
    });
}

#[test]
fn no_value_is_without_a_case() {
    let values: Value = serde_yaml::from_str(&text_of("values.yaml")).expect("values.yaml is YAML");
    let mut leaves = Vec::new();
    collect_leaves("", &values, &mut leaves);
    let cases: Vec<_> = cases().iter().map(|case| case.value.to_owned()).collect();
    let without: Vec<_> = leaves.iter().filter(|leaf| !cases.contains(leaf)).collect();
    assert!(without.is_empty(), "nothing shows what these do: {without:?}");
    let unknown: Vec<_> = cases.iter().filter(|case| !leaves.contains(case)).collect();
    assert!(unknown.is_empty(), "these are no values of values.yaml: {unknown:?}");
}

fn case(value: &'static str, set: Value, then: Then) -> Case {
    Case { value, set, with: "", then }
}

/// Something of the operator's pod.
fn pod(value: &'static str, set: Value, place: &str, expected: Value) -> Case {
    case(value, set, Has("Deployment", format!("{POD}{place}"), expected))
}

/// Something that stands as it was given.
fn same(value: &'static str, set: Value, place: &str) -> Case {
    pod(value, set.clone(), place, set)
}

fn cases() -> Vec<Case> {
    let mut all = images();
    all.extend(rights());
    all.extend(the_pod());
    all.extend(around());
    all
}

fn images() -> Vec<Case> {
    let digest = format!("sha256:{}", "a".repeat(64));
    let mut all = vec![
        pod(
            "global.imageRegistry",
            json!("mirror:5000"),
            "/containers/0/image",
            json!("mirror:5000/chatroom-dev/operator:0.1.0"),
        ),
        pod("image.pullPolicy", json!("Always"), "/containers/0/imagePullPolicy", json!("Always")),
        same("imagePullSecrets", json!([{"name": "mirror"}]), "/imagePullSecrets"),
    ];
    let own = [
        (
            "image",
            ["image.registry", "image.repository", "image.tag", "image.digest"],
            "/containers/0/image",
            "operator",
        ),
        (
            "gatewayImage",
            ["gatewayImage.registry", "gatewayImage.repository", "gatewayImage.tag", "gatewayImage.digest"],
            "/containers/0/env/1/value",
            "gateway",
        ),
        (
            "redisImage",
            ["redisImage.registry", "redisImage.repository", "redisImage.tag", "redisImage.digest"],
            "/containers/0/env/2/value",
            "redis",
        ),
    ];
    for (_, [registry, repository, tag, by_digest], place, name) in own {
        all.extend([
            pod(registry, json!("mirror"), place, json!(format!("mirror/chatroom-dev/{name}:0.1.0"))),
            pod(registry, json!(""), place, json!(format!("chatroom-dev/{name}:0.1.0"))),
            pod(repository, json!("my/own"), place, json!("ghcr.io/my/own:0.1.0")),
            pod(tag, json!("1.2.3"), place, json!(format!("ghcr.io/chatroom-dev/{name}:1.2.3"))),
            pod(by_digest, json!(digest), place, json!(format!("ghcr.io/chatroom-dev/{name}@{digest}"))),
        ]);
    }
    all
}

fn rights() -> Vec<Case> {
    let annotations = json!({"example.com/role": "chat"});
    vec![
        pod(
            "watchNamespaces",
            json!(["a", "b"]),
            "/containers/0/env/3",
            json!({"name": "WATCH_NAMESPACES", "value": "a,b"}),
        ),
        case("watchNamespaces", json!(["a"]), Has("Role", "/metadata/namespace".into(), json!("a"))),
        case("watchNamespaces", json!(["a"]), Has("RoleBinding", "/metadata/namespace".into(), json!("a"))),
        case("watchNamespaces", json!(["a"]), Gone("ClusterRoleBinding")),
        case("crds.install", json!(false), Gone("CustomResourceDefinition")),
        case(
            "crds.keep",
            json!(false),
            Has(
                "CustomResourceDefinition",
                "/metadata/annotations/argocd.argoproj.io~1sync-options".into(),
                json!("ServerSideApply=true"),
            ),
        ),
        case("rbac.create", json!(false), Gone("ClusterRole")),
        case("rbac.create", json!(false), Gone("ClusterRoleBinding")),
        Case { value: "rbac.aggregate", set: json!(false), with: "watchNamespaces={a}", then: Gone("ClusterRole") },
        case("serviceAccount.create", json!(false), Gone("ServiceAccount")),
        pod("serviceAccount.create", json!(false), "/serviceAccountName", json!("default")),
        same("serviceAccount.name", json!("given"), "/serviceAccountName"),
        case("serviceAccount.name", json!("given"), Has("ServiceAccount", "/metadata/name".into(), json!("given"))),
        case(
            "serviceAccount.name",
            json!("given"),
            Has("ClusterRoleBinding", "/subjects/0/name".into(), json!("given")),
        ),
        case(
            "serviceAccount.annotations",
            annotations.clone(),
            Has("ServiceAccount", "/metadata/annotations".into(), annotations),
        ),
        same("serviceAccount.automount", json!(false), "/automountServiceAccountToken"),
    ]
}

fn the_pod() -> Vec<Case> {
    let affinity = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 1, "preference": {"matchExpressions": [{"key": "pool", "operator": "Exists"}]}},
    ]}});
    let spread = json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]);
    let template = "/spec/template/metadata";
    vec![
        pod("logging.filter", json!("debug"), "/containers/0/env/3", json!({"name": "LOG_FILTER", "value": "debug"})),
        pod("logging.format", json!("Text"), "/containers/0/env/4", json!({"name": "LOG_FORMAT", "value": "text"})),
        pod(
            "resources",
            json!({"limits": {"memory": "1Gi"}}),
            "/containers/0/resources/limits",
            json!({"memory": "1Gi"}),
        ),
        pod("podSecurityContext", json!({"runAsUser": 65532}), "/securityContext/runAsUser", json!(65532)),
        pod("securityContext", json!({"runAsUser": 65532}), "/containers/0/securityContext/runAsUser", json!(65532)),
        same("priorityClassName", json!("system-cluster-critical"), "/priorityClassName"),
        same("nodeSelector", json!({"pool": "system"}), "/nodeSelector"),
        same("affinity", affinity, "/affinity"),
        same("tolerations", json!([{"operator": "Exists"}]), "/tolerations"),
        same("topologySpreadConstraints", spread, "/topologySpreadConstraints"),
        case("podLabels", json!({"team": "chat"}), Has("Deployment", format!("{template}/labels/team"), json!("chat"))),
        case(
            "podAnnotations",
            json!({"a": "b"}),
            Has("Deployment", format!("{template}/annotations"), json!({"a": "b"})),
        ),
        case("commonLabels", json!({"team": "chat"}), Has("Service", "/metadata/labels/team".into(), json!("chat"))),
        case(
            "commonLabels",
            json!({"team": "chat"}),
            Has("Deployment", format!("{template}/labels/team"), json!("chat")),
        ),
        same("extraArgs", json!(["--port=9090"]), "/containers/0/args"),
        pod(
            "extraEnv",
            json!([{"name": "A", "value": "b"}]),
            "/containers/0/env/5",
            json!({"name": "A", "value": "b"}),
        ),
        same("extraVolumes", json!([{"name": "ca", "configMap": {"name": "ca"}}]), "/volumes"),
        same("extraVolumeMounts", json!([{"name": "ca", "mountPath": "/ca"}]), "/containers/0/volumeMounts"),
    ]
}

fn around() -> Vec<Case> {
    const POLICY: &str = "networkPolicy.enabled=true";
    const MONITOR: &str = "metrics.serviceMonitor.enabled=true";
    const RULE: &str = "metrics.prometheusRule.enabled=true";
    let with = |value, set, with, then| Case { value, set, with, then };
    let peer = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}});
    let extra = json!([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-more"}}]);
    vec![
        case(
            "podDisruptionBudget.enabled",
            json!(true),
            Has("PodDisruptionBudget", "/spec/maxUnavailable".into(), json!(1)),
        ),
        case("networkPolicy.enabled", json!(true), There("NetworkPolicy")),
        with(
            "networkPolicy.metricsFrom",
            json!([peer]),
            POLICY,
            Has("NetworkPolicy", "/spec/ingress/0/from/1".into(), peer),
        ),
        with(
            "networkPolicy.apiServer.cidrs",
            json!(["10.0.0.1/32"]),
            POLICY,
            Has("NetworkPolicy", "/spec/egress/0/to".into(), json!([{"ipBlock": {"cidr": "10.0.0.1/32"}}])),
        ),
        with(
            "networkPolicy.apiServer.ports",
            json!([7443]),
            POLICY,
            Has("NetworkPolicy", "/spec/egress/0/ports".into(), json!([{"port": 7443, "protocol": "TCP"}])),
        ),
        with(
            "watchNamespaces",
            json!(["a"]),
            POLICY,
            Has(
                "NetworkPolicy",
                "/spec/egress/1/to/0/namespaceSelector/matchExpressions/0/values".into(),
                json!(["a"]),
            ),
        ),
        case("metrics.serviceMonitor.enabled", json!(true), There("ServiceMonitor")),
        with(
            "metrics.serviceMonitor.interval",
            json!("1m"),
            MONITOR,
            Has("ServiceMonitor", "/spec/endpoints/0/interval".into(), json!("1m")),
        ),
        with(
            "metrics.serviceMonitor.labels",
            json!({"by": "me"}),
            MONITOR,
            Has("ServiceMonitor", "/metadata/labels/by".into(), json!("me")),
        ),
        case("metrics.prometheusRule.enabled", json!(true), There("PrometheusRule")),
        with(
            "metrics.prometheusRule.labels",
            json!({"by": "me"}),
            RULE,
            Has("PrometheusRule", "/metadata/labels/by".into(), json!("me")),
        ),
        case("extraObjects", extra, Has("ConfigMap", "/metadata/name".into(), json!("release-more"))),
        case("nameOverride", json!("chat"), Has("Deployment", "/metadata/name".into(), json!("release-chat"))),
        case("fullnameOverride", json!("chat"), Has("Deployment", "/metadata/name".into(), json!("chat"))),
        case("namespaceOverride", json!("chat"), Has("Deployment", "/metadata/namespace".into(), json!("chat"))),
        case(
            "namespaceOverride",
            json!("chat"),
            Has("ClusterRoleBinding", "/subjects/0/namespace".into(), json!("chat")),
        ),
    ]
}

fn holds(then: &Then, rendering: &Rendering) -> bool {
    match then {
        Has(kind, place, expected) => found(rendering, kind, place).as_ref() == Some(expected),
        There(kind) => !rendering.all(kind).is_empty(),
        Gone(kind) => rendering.all(kind).is_empty(),
    }
}

fn seen(then: &Then, rendering: &Rendering) -> String {
    match then {
        Has(kind, place, expected) => {
            format!("{kind} should have {expected} at {place}, and has {:?}", found(rendering, kind, place))
        }
        There(kind) => format!("there should be a {kind}"),
        Gone(kind) => format!("there should be no {kind}"),
    }
}

fn found(rendering: &Rendering, kind: &str, place: &str) -> Option<Value> {
    rendering.find(kind).and_then(|object| object.pointer(place)).cloned()
}

/// The dotted paths of all values that have no parts.
fn collect_leaves(path: &str, value: &Value, leaves: &mut Vec<String>) {
    match value.as_object() {
        Some(parts) if !parts.is_empty() && !WHOLE.contains(&path) => {
            for (key, part) in parts {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect_leaves(&path, part, leaves);
            }
        }
        _ => leaves.push(path.to_owned()),
    }
}
