//! Overrides: what is laid over the objects of a room, what is refused, and what no override can take away.

use chatroom_operator::controller::validate::validate;
use chatroom_operator::decide::decide;
use chatroom_operator::desired::{Resources, desired};
use chatroom_operator::names::{Names, keys, pod};
use chatroom_operator::observed::Observed;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::{chat_room, defaults, room};

fn resources(spec: Value) -> Resources {
    let room = room(spec);
    desired(&Names::new(&room.identity), &room, &decide(&room, &Observed::default()))
}

/// The pod of a room whose pod is overridden so.
fn overridden(pod: &Value) -> PodSpec {
    pod_of(&resources(json!({"overrides": {"deployment": {"spec": {"template": {"spec": pod}}}}})))
}

fn pod_of(resources: &Resources) -> PodSpec {
    resources.deployment.spec.clone().unwrap().template.spec.unwrap()
}

fn plain() -> PodSpec {
    pod_of(&resources(json!({})))
}

fn container<'a>(pod: &'a PodSpec, name: &str) -> &'a Container {
    pod.containers.iter().find(|container| container.name == name).unwrap()
}

/// What is said about an override, without the beginning of its path that they all share.
fn refusals(overrides: &Value) -> Vec<String> {
    let invalid = validate(&chat_room(json!({"overrides": overrides})), &defaults()).expect_err(&overrides.to_string());
    assert_eq!(invalid.reason(), "InvalidOverride");
    let said = invalid.violations.iter().map(ToString::to_string);
    said.map(|said| said.strip_prefix("spec.overrides.").unwrap().to_owned()).collect()
}

#[test]
fn a_container_more_stands_after_the_gateways() {
    let pod = overridden(
        &json!({"containers": [{"name": "watcher", "image": "watcher:1", "ports": [{"containerPort": 1}]}]}),
    );
    let names: Vec<_> = pod.containers.iter().map(|container| container.name.as_str()).collect();
    assert_eq!(names, ["gateway", "watcher"]);
    assert_eq!(pod.containers[0], plain().containers[0], "the gateway is as it was");
}

#[test]
fn a_volume_and_its_mount_stand_beside_ours() {
    let pod = overridden(&json!({
        "volumes": [{"name": "scratch", "emptyDir": {}}],
        "containers": [{"name": "gateway", "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}]}],
    }));
    let names = |pod: &PodSpec| pod.volumes.iter().flatten().map(|volume| volume.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&pod), ["hot", "cold", "redis", "push", "scratch"]);
    let mounts = container(&pod, "gateway").volume_mounts.as_ref().unwrap();
    assert_eq!(mounts[..4], plain().containers[0].volume_mounts.as_ref().unwrap()[..]);
    assert_eq!(mounts[4].mount_path, "/scratch");
}

#[test]
fn of_resources_only_what_is_named_changes() {
    let pod =
        overridden(&json!({"containers": [{"name": "gateway", "resources": {"limits": {"memory": "2Gi", "cpu": 2}}}]}));
    let resources = serde_json::to_value(&container(&pod, "gateway").resources).unwrap();
    let expected = json!({"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "2", "memory": "2Gi"}});
    assert_eq!(resources, expected);
}

#[test]
fn lists_without_keys_are_replaced_and_those_with_keys_are_not() {
    let base = json!({"tolerations": [{"key": "a", "operator": "Exists"}], "nodeSelector": {"disk": "ssd"}});
    let over = json!({
        "tolerations": [{"key": "b", "operator": "Exists"}],
        "hostAliases": [{"ip": "192.0.2.7", "hostnames": ["x.example"]}],
        "terminationGracePeriodSeconds": 7,
        "topologySpreadConstraints": [
            {"topologyKey": "kubernetes.io/hostname", "maxSkew": 3, "whenUnsatisfiable": "DoNotSchedule"},
        ],
    });
    let pod = pod_of(&resources(json!({
        "pod": base, "overrides": {"deployment": {"spec": {"template": {"spec": over}}}},
    })));
    let keys: Vec<_> = pod.tolerations.iter().flatten().map(|toleration| toleration.key.as_deref().unwrap()).collect();
    assert_eq!(keys, ["b"]);
    assert_eq!(pod.host_aliases.unwrap()[0].ip, "192.0.2.7");
    assert_eq!(pod.termination_grace_period_seconds, Some(7));
    assert_eq!(pod.node_selector.unwrap()["disk"], "ssd");
    let spread = pod.topology_spread_constraints.unwrap();
    assert_eq!(spread.len(), 2);
    assert_eq!((spread[1].max_skew, spread[1].when_unsatisfiable.as_str()), (3, "DoNotSchedule"));
    assert!(spread[1].label_selector.is_some(), "what was not named is still there");
}

#[test]
fn of_several_ways_the_wanted_one_takes_the_place_of_ours() {
    let spec = json!({
        "pod": {"env": [{"name": "REGION", "valueFrom": {"configMapKeyRef": {"name": "region", "key": "name"}}}]},
        "overrides": {"deployment": {"spec": {"template": {"spec": {"containers": [{
            "name": "gateway",
            "env": [{"name": "REGION", "value": "eu"}],
            "livenessProbe": {"tcpSocket": {"port": "internal"}},
            "readinessProbe": {"periodSeconds": 9},
            "lifecycle": {"preStop": {"exec": {"command": ["/wait"]}}},
        }]}}}}},
    });
    let pod = pod_of(&resources(spec));
    let gateway = container(&pod, "gateway");
    let region = gateway.env.as_ref().unwrap().iter().find(|variable| variable.name == "REGION").unwrap();
    assert_eq!((region.value.as_deref(), region.value_from.is_some()), (Some("eu"), false));
    let liveness = gateway.liveness_probe.as_ref().unwrap();
    assert!(liveness.http_get.is_none() && liveness.tcp_socket.is_some());
    assert_eq!(liveness.period_seconds, Some(10), "the rest of the probe is ours");
    let readiness = gateway.readiness_probe.as_ref().unwrap();
    assert!(readiness.http_get.is_some(), "no other way was named");
    let pre_stop = gateway.lifecycle.as_ref().unwrap().pre_stop.as_ref().unwrap();
    assert!(pre_stop.sleep.is_none() && pre_stop.exec.is_some());
}

#[test]
fn labels_and_annotations_of_objects_and_of_pods_can_be_added() {
    let metadata = json!({"labels": {"team": "chat"}, "annotations": {"example.com/a": "b"}});
    let resources = resources(json!({"overrides": {
        "deployment": {"metadata": metadata, "spec": {"template": {"metadata": metadata}}},
        "service": {"apiVersion": "v1", "kind": "Service", "metadata": metadata},
    }}));
    let template = resources.deployment.spec.unwrap().template.metadata.unwrap();
    for found in [resources.deployment.metadata, template, resources.service.metadata] {
        let (labels, annotations) = (found.labels.unwrap(), found.annotations.unwrap());
        assert_eq!((labels["team"].as_str(), labels[keys::MANAGED_BY].as_str()), ("chat", "chatroom-operator"));
        assert_eq!(annotations["example.com/a"], "b");
    }
}

#[test]
fn the_service_takes_a_node_port_and_whatever_is_not_ours() {
    let service = resources(json!({
        "service": {"type": "NodePort"},
        "overrides": {"service": {"spec": {
            "externalTrafficPolicy": "Local", "loadBalancerSourceRanges": ["192.0.2.0/24"],
            "ports": [{"port": 80, "nodePort": 30080}],
        }}},
    }))
    .service;
    let spec = service.spec.unwrap();
    let ports = spec.ports.unwrap();
    assert_eq!((ports.len(), ports[0].node_port, ports[0].name.as_deref()), (1, Some(30080), Some("ws")));
    assert_eq!(spec.external_traffic_policy.as_deref(), Some("Local"));
    assert_eq!(spec.type_.as_deref(), Some("NodePort"));
}

#[test]
fn a_misspelt_field_is_named_with_its_path_and_with_what_was_probably_meant() {
    let lost = "Kubernetes 1.33 has no such field here, and later ones cannot be set";
    let pod = |pod: Value| json!({"deployment": {"spec": {"template": {"spec": pod}}}});
    for (overrides, said) in [
        (
            pod(json!({"hostAlias": []})),
            format!("deployment.spec.template.spec.hostAlias: {lost}; did you mean `hostAliases`?"),
        ),
        (
            pod(json!({"containers": [{"name": "gateway", "resource": {}}]})),
            format!("deployment.spec.template.spec.containers[0].resource: {lost}; did you mean `resources`?"),
        ),
        (
            pod(json!({"containers": [{"name": "gateway", "resources": {"limit": {}}}]})),
            format!("deployment.spec.template.spec.containers[0].resources.limit: {lost}; did you mean `limits`?"),
        ),
        (json!({"service": {"spec": {"fromTheFuture": 1}}}), format!("service.spec.fromTheFuture: {lost}")),
        (json!({"service": {"specs": {}}}), format!("service.specs: {lost}; did you mean `spec`?")),
    ] {
        assert_eq!(refusals(&overrides), [said]);
    }
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_its_path() {
    for (overrides, said) in [
        (
            json!({"deployment": {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": "30s"}}}}}),
            "deployment.spec.template.spec.terminationGracePeriodSeconds: invalid type: string \"30s\", expected a whole number",
        ),
        (
            json!({"deployment": {"spec": {"template": {"spec": {"containers": {"name": "gateway"}}}}}}),
            "deployment.spec.template.spec.containers: invalid type: map, expected a list",
        ),
        (json!({"service": {"spec": 1}}), "service.spec: invalid type: integer `1`, expected an object (ServiceSpec)"),
        (json!({"service": {"kind": "Deployment"}}), "service: invalid value: string \"Deployment\", expected Service"),
    ] {
        assert_eq!(refusals(&overrides), [said]);
    }
}

#[test]
fn null_is_no_way_to_take_something_away() {
    let null = "null takes nothing away: an override adds and changes only";
    let overrides = json!({"deployment": {"spec": {"template": {"spec": {"securityContext": null, "affinity": {"podAffinity": null}}}}}});
    let place = "deployment.spec.template.spec";
    assert_eq!(
        refusals(&overrides),
        [format!("{place}.affinity.podAffinity: {null}"), format!("{place}.securityContext: {null}")]
    );
}

#[test]
fn what_an_entry_is_told_apart_by_has_to_be_named() {
    let missing = "is missing: an entry of a list, or an action, needs it to be told apart";
    let pod = |pod: Value| json!({"deployment": {"spec": {"template": {"spec": pod}}}});
    let place = "deployment.spec.template.spec";
    for (overrides, field) in [
        (pod(json!({"volumes": [{"emptyDir": {}}]})), "volumes[0].name"),
        (pod(json!({"containers": [{"name": "gateway", "env": [{"value": "x"}]}]})), "containers[0].env[0].name"),
        // Left out, it would have become 0.
        (
            pod(json!({"containers": [{"name": "gateway", "livenessProbe": {"httpGet": {"path": "/x"}}}]})),
            "containers[0].livenessProbe.httpGet.port",
        ),
    ] {
        assert_eq!(refusals(&overrides), [format!("{place}.{field}: {missing}")]);
    }
}

#[test]
fn what_the_operator_keeps_in_its_hands_is_refused_with_what_does_the_same() {
    let pod = |pod: Value| json!({"deployment": {"spec": {"template": {"spec": pod}}}});
    let gateway = |mut container: Value| {
        container["name"] = json!("gateway");
        pod(json!({"containers": [container]}))
    };
    let deployment = |spec: Value| json!({"deployment": {"spec": spec}});
    let place = "deployment.spec.template.spec.";
    let cases = [
        (deployment(json!({"replicas": 3})), "deployment.spec.replicas", "set spec.replicas"),
        (deployment(json!({"strategy": {"type": "Recreate"}})), "deployment.spec.strategy", "set spec.rollout"),
        (deployment(json!({"selector": {"matchLabels": {"a": "b"}}})), "deployment.spec.selector", "cannot change"),
        (json!({"deployment": {"status": {}}}), "deployment.status", "leave it out"),
        (json!({"deployment": {"metadata": {"name": "x"}}}), "deployment.metadata.name", "only labels and annotations"),
        (
            json!({"deployment": {"metadata": {"finalizers": ["a/b"]}}}),
            "deployment.metadata.finalizers",
            "only labels and annotations",
        ),
        (
            json!({"deployment": {"metadata": {"labels": {"app.kubernetes.io/name": "x"}}}}),
            "deployment.metadata.labels.app.kubernetes.io/name",
            "use another key",
        ),
        (
            json!({"deployment": {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "1"}}}}),
            "deployment.metadata.annotations.deployment.kubernetes.io/revision",
            "use another key",
        ),
        (
            deployment(json!({"template": {"metadata": {"annotations": {"chatroom.dev/settings": "x"}}}})),
            "deployment.spec.template.metadata.annotations.chatroom.dev/settings",
            "use another key",
        ),
        (
            deployment(json!({"template": {"metadata": {"labels": {"pod-template-hash": "x"}}}})),
            "deployment.spec.template.metadata.labels.pod-template-hash",
            "use another key",
        ),
        (pod(json!({"serviceAccountName": "a"})), "serviceAccountName", "set spec.pod.serviceAccountName"),
        (pod(json!({"serviceAccount": "a"})), "serviceAccount", "set spec.pod.serviceAccountName"),
        (pod(json!({"terminationGracePeriodSeconds": -1})), "terminationGracePeriodSeconds", "must be 0 to 86400"),
        (pod(json!({"volumes": [{"name": "cold", "emptyDir": {}}]})), "volumes[0].name", "use another name"),
        (gateway(json!({"image": "x"})), "containers[0].image", "set spec.image"),
        (gateway(json!({"imagePullPolicy": "Never"})), "containers[0].imagePullPolicy", "set spec.image.pullPolicy"),
        (gateway(json!({"ports": [{"containerPort": 1}]})), "containers[0].ports", "on no others"),
        (gateway(json!({"env": [{"name": "CHATROOM_X"}]})), "containers[0].env[0].name", "use another name"),
        (
            gateway(json!({"volumeMounts": [{"name": "a", "mountPath": "/etc/chatroom"}]})),
            "containers[0].volumeMounts[0].mountPath",
            "use another path",
        ),
        (pod(json!({"containers": [{"name": "gatway"}]})), "containers[0].image", "the gateway's is called 'gateway'"),
        (
            pod(json!({"containers": [{"name": "a", "image": "b", "ports": [{"containerPort": 8080}]}]})),
            "containers[0].ports[0].containerPort",
            "use another one",
        ),
        (
            pod(json!({"containers": [{"name": "a", "image": "b", "ports": [{"containerPort": 8081}]}]})),
            "containers[0].ports[0].containerPort",
            "use another one",
        ),
        (
            pod(json!({"containers": [{"name": "a", "image": "b", "ports": [{"containerPort": 1, "name": "ws"}]}]})),
            "containers[0].ports[0].name",
            "use another one",
        ),
        (
            pod(json!({"initContainers": [{"name": "gateway", "image": "b"}]})),
            "initContainers[0].name",
            "use another one",
        ),
        (json!({"service": {"spec": {"type": "NodePort"}}}), "service.spec.type", "set spec.service.type"),
        (json!({"service": {"spec": {"selector": {}}}}), "service.spec.selector", "cannot change"),
        (json!({"service": {"spec": {"ports": [{"port": 81}]}}}), "service.spec.ports[0].port", "no other"),
        (
            json!({"service": {"spec": {"ports": [{"port": 80, "targetPort": 1}]}}}),
            "service.spec.ports[0].targetPort",
            "only nodePort and appProtocol",
        ),
        (
            json!({"service": {"metadata": {"ownerReferences": []}}}),
            "service.metadata.ownerReferences",
            "only labels and annotations",
        ),
    ];
    for (overrides, field, instead) in cases {
        let said = refusals(&overrides);
        let [said] = said.as_slice() else { panic!("{overrides}: {said:?}") };
        let (at, message) = said.split_once(": ").unwrap();
        assert!(at == field || at == format!("{place}{field}"), "{said}");
        assert!(message.contains(instead), "{said}");
    }
}

#[test]
fn all_mistakes_are_named_at_once() {
    let spec = json!({"replicas": 3, "paused": "yes", "template": {"metadata": {"labels": {"chatroom.dev/a": "b"}}}});
    let said = refusals(&json!({"deployment": {"spec": spec}, "service": {"status": {}}}));
    let fields: Vec<_> = said.iter().map(|said| said.split_once(": ").unwrap().0).collect();
    let label = "deployment.spec.template.metadata.labels.chatroom.dev/a";
    assert_eq!(fields, ["deployment.spec.paused", "deployment.spec.replicas", label, "service.status"]);
}

#[test]
fn beside_another_mistake_the_room_is_what_is_invalid() {
    let room = chat_room(json!({"replicas": -1, "overrides": {"service": {"spec": 1}}}));
    assert_eq!(validate(&room, &defaults()).unwrap_err().reason(), "InvalidSpec");
}

/// Overrides of the right shape, of which many reach for what is ours.
fn overrides() -> impl Strategy<Value = Value> {
    let key =
        || prop::sample::select(vec!["team", "a/b", keys::NAME, keys::SETTINGS, keys::TEMPLATE_HASH, "chatroom.dev/x"]);
    let map = move || prop::collection::btree_map(key(), "[a-z]{1,3}", 0..2);
    let metadata =
        move || (map(), map()).prop_map(|(labels, annotations)| json!({"labels": labels, "annotations": annotations}));
    let name = || prop::sample::select(vec!["gateway", "hot", "cold", "redis", "other"]);
    let path =
        prop::sample::select(vec!["/etc", "/etc/chatroom/hot", "/etc/chatroom/cold/", "/data", "/etc/chatroom/../x"]);
    let variable = prop::sample::select(vec!["CHATROOM_HOT_FILE", "CHATROOM_POD_UID", "A"]);
    let container = (name(), prop::option::of("[a-z]{1,3}"), path, variable, name(), prop::option::of(8079..8082))
        .prop_map(|(name, image, path, variable, volume, port)| {
            let mut container = json!({
                "name": name,
                "volumeMounts": [{"name": volume, "mountPath": path}],
                "env": [{"name": variable, "value": "x"}],
            });
            if let Some(image) = image {
                container["image"] = json!(image);
            }
            if let Some(port) = port {
                container["ports"] = json!([{"containerPort": port}]);
            }
            container
        });
    let volume = name().prop_map(|name| json!({"name": name, "emptyDir": {}}));
    let lists = (prop::collection::vec(container, 0..2), prop::collection::vec(volume, 0..2));
    let extra = prop::option::of(prop::sample::select(vec![
        ("replicas", json!(9)),
        ("selector", json!({"matchLabels": {"a": "b"}})),
        ("strategy", json!({"type": "Recreate"})),
        ("minReadySeconds", json!(1)),
        ("paused", json!(true)),
    ]));
    (metadata(), metadata(), lists, extra, prop::option::of("[a-z]{1,3}"), metadata()).prop_map(
        |(metadata, template, (containers, volumes), extra, name, service)| {
            let mut deployment = json!({
                "metadata": metadata,
                "spec": {"template": {"metadata": template, "spec": {"containers": containers, "volumes": volumes}}},
            });
            if let Some((key, value)) = extra {
                deployment["spec"][key] = value;
            }
            if let Some(name) = name {
                deployment["metadata"]["name"] = json!(name);
            }
            json!({"deployment": deployment, "service": {"metadata": service}})
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_override_takes_away_what_makes_the_objects_the_rooms(overrides in overrides()) {
        let spec = json!({"overrides": overrides});
        if validate(&chat_room(spec.clone()), &defaults()).is_err() {
            return Ok(());
        }
        let (ours, theirs) = (resources(json!({})), resources(spec));
        prop_assert_eq!(&theirs.deployment.metadata.name, &ours.deployment.metadata.name);
        prop_assert_eq!(&theirs.deployment.metadata.owner_references, &ours.deployment.metadata.owner_references);
        prop_assert_eq!(&theirs.service.spec, &ours.service.spec);
        let (our_spec, their_spec) = (ours.deployment.spec.clone().unwrap(), theirs.deployment.spec.clone().unwrap());
        prop_assert_eq!(their_spec.replicas, our_spec.replicas);
        prop_assert_eq!(their_spec.selector, our_spec.selector);
        prop_assert_eq!(their_spec.strategy, our_spec.strategy);
        let (our_template, their_template) = (our_spec.template.metadata.unwrap(), their_spec.template.metadata.unwrap());
        for (ours, theirs) in [
            (ours.deployment.metadata.labels, theirs.deployment.metadata.labels),
            (ours.service.metadata.labels, theirs.service.metadata.labels),
            (our_template.labels, their_template.labels),
            (our_template.annotations, their_template.annotations),
        ] {
            let theirs = theirs.unwrap();
            for (key, value) in ours.unwrap() {
                prop_assert_eq!(theirs.get(&key), Some(&value));
            }
        }
        let (our_pod, their_pod) = (our_spec.template.spec.unwrap(), their_spec.template.spec.unwrap());
        let (our_volumes, their_volumes) = (our_pod.volumes.unwrap(), their_pod.volumes.unwrap());
        prop_assert_eq!(&their_volumes[..our_volumes.len()], &our_volumes[..]);
        let (ours, theirs) = (&our_pod.containers[0], &their_pod.containers[0]);
        prop_assert_eq!((&theirs.name, &theirs.image, &theirs.ports), (&ours.name, &ours.image, &ours.ports));
        prop_assert_eq!(theirs.name.as_str(), pod::CONTAINER);
        let (our_mounts, their_mounts) = (ours.volume_mounts.clone().unwrap(), theirs.volume_mounts.clone().unwrap());
        prop_assert_eq!(&their_mounts[..our_mounts.len()], &our_mounts[..]);
        let (our_env, their_env) = (ours.env.clone().unwrap(), theirs.env.clone().unwrap());
        prop_assert_eq!(&their_env[..our_env.len()], &our_env[..]);
    }
}
