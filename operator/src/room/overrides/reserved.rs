//! What an override may not touch, because the operator has to keep it in its hands, and what does the same instead.

use std::collections::BTreeMap;

use chatroom_settings::names::{env, files, ports};
use serde_json::Value;

use crate::names::{Names, pod};
use crate::room::labels::{annotations, labels};
use crate::room::{Invalid, Problems};

/// JSON pointers, and what is said to whoever sets what stands there.
const OF_DEPLOYMENT: &[(&str, &str)] = &[
    ("/status", "is what the cluster says: leave it out"),
    ("/spec/replicas", "is decided by the operator: set spec.replicas"),
    ("/spec/selector", "says which pods are the room's, and cannot change"),
    ("/spec/strategy", "is decided by the operator: set spec.rollout"),
    ("/spec/template/spec/serviceAccountName", "is decided by the operator: set spec.pod.serviceAccountName"),
    ("/spec/template/spec/serviceAccount", "is decided by the operator: set spec.pod.serviceAccountName"),
];
const OF_GATEWAY: &[(&str, &str)] = &[
    ("/image", "is decided by the operator: set spec.image"),
    ("/imagePullPolicy", "is decided by the operator: set spec.image.pullPolicy"),
    ("/ports", "the gateway listens on its own ports and on no others"),
];
const OF_SERVICE: &[(&str, &str)] = &[
    ("/status", "is what the cluster says: leave it out"),
    ("/spec/selector", "says which pods are the room's, and cannot change"),
    ("/spec/type", "is decided by the operator: set spec.service.type"),
];
/// The drain is at most 2 h.
const MAX_GRACE_PERIOD_SECONDS: i64 = 86_400;

pub(super) fn in_deployment(field: &str, given: &Value) -> Result<(), Invalid> {
    let mut problems = Problems::default();
    pointed_at(&mut problems, field, given, OF_DEPLOYMENT);
    metadata(&mut problems, &format!("{field}.metadata"), &given["metadata"]);
    metadata(&mut problems, &format!("{field}.spec.template.metadata"), &given["spec"]["template"]["metadata"]);
    let spec = &given["spec"]["template"]["spec"];
    let field = format!("{field}.spec.template.spec");
    for (volume, place) in items(&field, spec, "volumes") {
        if pod::VOLUMES.contains(&name(volume)) {
            problems.refuse(format!("{place}.name"), "holds the room's settings or credentials: use another name");
        }
    }
    for (container, place) in items(&field, spec, "containers") {
        if name(container) == pod::CONTAINER {
            gateway(&mut problems, &place, container);
        } else {
            neighbour(&mut problems, &place, container);
        }
    }
    for (container, place) in items(&field, spec, "initContainers") {
        if name(container) == pod::CONTAINER {
            problems.refuse(format!("{place}.name"), "is the name of the gateway's container: use another one");
        }
        neighbour(&mut problems, &place, container);
    }
    if spec["terminationGracePeriodSeconds"].as_i64().is_some_and(|it| !(0..=MAX_GRACE_PERIOD_SECONDS).contains(&it)) {
        let message = format!("must be 0 to {MAX_GRACE_PERIOD_SECONDS}");
        problems.refuse(format!("{field}.terminationGracePeriodSeconds"), message);
    }
    problems.finish(Some(()))
}

pub(super) fn in_service(field: &str, given: &Value) -> Result<(), Invalid> {
    let mut problems = Problems::default();
    pointed_at(&mut problems, field, given, OF_SERVICE);
    metadata(&mut problems, &format!("{field}.metadata"), &given["metadata"]);
    for (port, place) in items(&format!("{field}.spec"), &given["spec"], "ports") {
        if port["port"] != Names::SERVICE_PORT {
            let message = format!("the Service has port {} and no other", Names::SERVICE_PORT);
            problems.refuse(format!("{place}.port"), message);
        }
        let keys = port.as_object().into_iter().flat_map(|port| port.keys());
        for key in keys.filter(|key| !matches!(key.as_str(), "port" | "nodePort" | "appProtocol")) {
            let message = "is decided by the operator: of this port only nodePort and appProtocol can be set";
            problems.refuse(format!("{place}.{key}"), message);
        }
    }
    problems.finish(Some(()))
}

/// The gateway's own container: what it reads and where it listens is not up for change.
fn gateway(problems: &mut Problems, field: &str, container: &Value) {
    pointed_at(problems, field, container, OF_GATEWAY);
    for (variable, place) in items(field, container, "env") {
        if name(variable).starts_with(env::PREFIX) {
            problems.refuse(format!("{place}.name"), "variables CHATROOM_… are set by the operator: use another name");
        }
    }
    for (mount, place) in items(field, container, "volumeMounts") {
        let path = mount["mountPath"].as_str().unwrap_or_default();
        let ours = [
            files::HOT_DIRECTORY,
            files::COLD_DIRECTORY,
            files::REDIS_DIRECTORY,
            files::PUSH_DIRECTORY,
            files::SIGNING_DIRECTORY,
            files::CA_DIRECTORY,
        ];
        if let Some(ours) = ours.into_iter().find(|ours| overlap(path, ours)) {
            let message = format!("would hide {ours}, where the gateway finds its settings: use another path");
            problems.refuse(format!("{place}.mountPath"), message);
        }
    }
}

/// A container beside the gateway's: all containers of a pod share its ports.
fn neighbour(problems: &mut Problems, field: &str, container: &Value) {
    if container["image"].is_null() {
        let message = format!("is missing: this is one more container; the gateway's is called '{}'", pod::CONTAINER);
        problems.refuse(format!("{field}.image"), message);
    }
    for (port, place) in items(field, container, "ports") {
        let number = port["containerPort"].as_u64();
        if number.is_some_and(|number| {
            [ports::CLIENTS, ports::PUSH, ports::INTERNAL].iter().any(|ours| u64::from(*ours) == number)
        }) {
            problems.refuse(format!("{place}.containerPort"), "is a port of the gateway: use another one");
        }
        if [pod::CLIENTS_PORT, pod::PUSH_PORT, pod::INTERNAL_PORT].contains(&name(port)) {
            problems.refuse(format!("{place}.name"), "is the name of a port of the gateway: use another one");
        }
    }
}

/// Labels and annotations that are not ours, and nothing else.
fn metadata(problems: &mut Problems, field: &str, metadata: &Value) {
    for key in metadata.as_object().into_iter().flat_map(|metadata| metadata.keys()) {
        if key != "labels" && key != "annotations" {
            let message = "is decided by the operator: only labels and annotations can be set";
            problems.refuse(format!("{field}.{key}"), message);
        }
    }
    problems.keep(labels(&format!("{field}.labels"), texts(&metadata["labels"])));
    let given = texts(&metadata["annotations"]);
    for key in given.keys().filter(|key| key.starts_with("deployment.kubernetes.io/")) {
        problems.refuse(format!("{field}.annotations.{key}"), "is set by Kubernetes: use another key");
    }
    problems.keep(annotations(&format!("{field}.annotations"), given));
}

fn texts(value: &Value) -> BTreeMap<String, String> {
    let map = value.as_object().into_iter().flatten();
    map.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn pointed_at(problems: &mut Problems, field: &str, given: &Value, table: &[(&str, &str)]) {
    for (pointer, message) in table {
        if given.pointer(pointer).is_some() {
            problems.refuse(format!("{field}{}", pointer.replace('/', ".")), *message);
        }
    }
}

/// The entries of a list, each with its path.
fn items<'a>(field: &str, object: &'a Value, list: &str) -> Vec<(&'a Value, String)> {
    let items = object[list].as_array().into_iter().flatten().enumerate();
    items.map(|(index, item)| (item, format!("{field}.{list}[{index}]"))).collect()
}

fn name(item: &Value) -> &str {
    item["name"].as_str().unwrap_or_default()
}

/// Whether one of two directories lies in the other, or is the other.
fn overlap(one: &str, other: &str) -> bool {
    one.is_empty() || {
        let (one, other) = (steps(one), steps(other));
        one.iter().zip(&other).all(|(one, other)| one == other)
    }
}

/// The steps of a path from the root, without detours.
fn steps(path: &str) -> Vec<&str> {
    let mut steps = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_over_below_or_at_ours_overlaps_whatever_its_spelling() {
        for path in ["/etc/chatroom/hot", "/etc/chatroom/hot/", "/etc/chatroom/hot/x", "/etc", "/", "etc//./chatroom"] {
            assert!(overlap(path, files::HOT_DIRECTORY), "{path}");
        }
        assert!(overlap("/var/../etc/chatroom/hot", files::HOT_DIRECTORY));
        for path in ["/etc/chatroom/hotter", "/etc/ssl", "/data", "/etc/chatroom/own"] {
            assert!(!overlap(path, files::HOT_DIRECTORY), "{path}");
        }
    }
}
