//! values.schema.json refuses what the chart would not understand, at every level, and says which word it means.

use serde_json::{Value, json};

use crate::helm::{text_of, with_helm};

/// Places where people's own keys stand; everywhere else an unknown key is a typing error.
const OF_PEOPLE: [&str; 5] = [
    "/definitions/strings",
    "/definitions/quantities",
    "/definitions/volumeSource",
    // Shared with other charts.
    "/properties/global",
    // A manifest of any kind.
    "/properties/extraObjects/items",
];

#[test]
fn no_object_of_the_schema_takes_unknown_keys_but_those_of_people() {
    let schema = schema();
    let mut open = Vec::new();
    collect_open("", &schema, &mut open);
    open.sort();
    let mut expected = OF_PEOPLE.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(open, expected);
}

#[test]
fn the_schema_and_the_values_name_the_same_keys() {
    let values: Value = serde_yaml::from_str(&text_of("values.yaml")).expect("values.yaml is YAML");
    let mut differences = Vec::new();
    compare_keys("", &values, &schema(), &mut differences);
    assert_eq!(differences, Vec::<String>::new());
}

#[test]
fn a_typing_error_is_refused_at_every_level_and_named() {
    with_helm("a_typing_error_is_refused_at_every_level_and_named", |helm| {
        let values: Value = serde_yaml::from_str(&text_of("values.yaml")).expect("values.yaml is YAML");
        let mut places = Vec::new();
        collect_places("", &values, &mut places);
        places.extend(deeper());
        // All at once, each with a name of its own: Helm lists whatever it finds wrong.
        let named: Vec<_> = places.iter().enumerate().map(|(index, place)| format!("{place}-{index}-")).collect();
        let refusal =
            helm.render(named.iter().map(|key| format!("--set-json={key}=1"))).expect_err("these are no values");
        for (index, place) in places.iter().enumerate() {
            assert!(refusal.contains(&format!("misspelt-{index}-")), "{place} is taken: {refusal}");
        }
    });
}

#[test]
fn values_that_cannot_be_meant_are_refused() {
    with_helm("values_that_cannot_be_meant_are_refused", |helm| {
        let cases = [
            ("image.tag", json!("latest")),
            ("gatewayImage.tag", json!("latest")),
            ("redisImage.tag", json!("latest")),
            ("image.tag", json!(1.5)),
            ("image.digest", json!("sha256:abc")),
            ("image.repository", json!("chatroom-dev/operator:0.1.0")),
            ("image.repository", json!("")),
            ("image.registry", json!("https://ghcr.io")),
            ("image.pullPolicy", json!("always")),
            ("imagePullSecrets", json!(["registry"])),
            ("watchNamespaces", json!("a,b")),
            ("watchNamespaces", json!(["a", "a"])),
            ("watchNamespaces", json!(["*"])),
            ("watchNamespaces", json!([""])),
            ("crds.keep", json!("true")),
            ("logging.format", json!("json")),
            ("logging.filter", json!("")),
            ("resources.limits.memory", json!({"max": 1})),
            ("podSecurityContext.runAsUser", json!(0)),
            ("affinity", json!([])),
            ("networkPolicy.metricsFrom", json!([{}])),
            ("networkPolicy.apiServer.ports", json!([])),
            ("networkPolicy.apiServer.ports", json!(["https"])),
            ("networkPolicy.apiServer.cidrs", json!(["10.0.0.1"])),
            ("metrics.serviceMonitor.interval", json!("30")),
            ("podLabels", json!({"count": 1})),
            ("extraEnv", json!({"A": "b"})),
            ("extraVolumes", json!([{"secret": {"secretName": "a"}}])),
            ("extraObjects", json!([{"kind": "ConfigMap"}])),
            ("nameOverride", json!("Chat")),
            ("fullnameOverride", json!("n".repeat(64))),
            ("global.imageRegistry", json!(["a"])),
        ];
        for (value, set) in cases {
            let rendered = helm.render([format!("--set-json={value}={set}")]);
            let refusal = rendered.err().unwrap_or_else(|| panic!("{value}={set} is taken"));
            let key = value.split('.').next_back().unwrap();
            assert!(refusal.contains(key), "{value}={set} is refused for its own sake: {refusal}");
        }
    });
}

/// Places within lists, which values.yaml leaves empty.
fn deeper() -> impl Iterator<Item = String> {
    [
        "imagePullSecrets[0].misspelt",
        "tolerations[0].misspelt",
        "topologySpreadConstraints[0].labelSelector.misspelt",
        "affinity.misspelt",
        "affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].misspelt",
        "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].misspelt",
        "networkPolicy.metricsFrom[0].misspelt",
        "extraEnv[0].misspelt",
        "extraEnv[0].valueFrom.misspelt",
        "extraVolumes[0].misspelt",
        "extraVolumeMounts[0].misspelt",
    ]
    .into_iter()
    .map(str::to_owned)
}

fn schema() -> Value {
    serde_json::from_str(&text_of("values.schema.json")).expect("values.schema.json is JSON")
}

/// Where the schema takes objects with keys that it does not name.
fn collect_open(place: &str, schema: &Value, open: &mut Vec<String>) {
    match schema {
        Value::Object(parts) => {
            let is_schema_of_object = parts.get("type").is_some_and(|kind| kind == "object");
            if is_schema_of_object && parts.get("additionalProperties") != Some(&json!(false)) {
                open.push(place.to_owned());
            }
            for (key, part) in parts {
                collect_open(&format!("{place}/{key}"), part, open);
            }
        }
        Value::Array(parts) => {
            for (index, part) in parts.iter().enumerate() {
                collect_open(&format!("{place}/{index}"), part, open);
            }
        }
        _ => {}
    }
}

/// Keys that stand on one side only. Parts of Kubernetes that the schema takes from `definitions` may have more there.
fn compare_keys(path: &str, values: &Value, schema: &Value, differences: &mut Vec<String>) {
    let (Some(values), Some(properties)) = (values.as_object(), schema["properties"].as_object()) else { return };
    for (key, value) in values {
        match properties.get(key) {
            Some(property) => compare_keys(&format!("{path}.{key}"), value, property, differences),
            None => differences.push(format!("{path}.{key} is not in the schema")),
        }
    }
    if !path.starts_with(".resources") {
        let more = properties.keys().filter(|key| !values.contains_key(*key));
        differences.extend(more.map(|key| format!("{path}.{key} has no default in values.yaml")));
    }
}

/// One misspelt key in each object of the values.
fn collect_places(path: &str, values: &Value, places: &mut Vec<String>) {
    let Some(parts) = values.as_object() else { return };
    let own_keys = ["global", "requests", "limits", "annotations", "labels", "nodeSelector", "commonLabels"];
    let own_keys_of_pod = ["podLabels", "podAnnotations"];
    let last = path.rsplit('.').next().unwrap_or_default();
    if !own_keys.contains(&last) && !own_keys_of_pod.contains(&last) {
        places.push(if path.is_empty() { "misspelt".to_owned() } else { format!("{path}.misspelt") });
    }
    for (key, part) in parts {
        collect_places(&if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, part, places);
    }
}
