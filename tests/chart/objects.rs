//! Every object of every rendering: made of fields that Kubernetes knows, labelled, in its place, safe.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::helm::{Helm, NAMESPACE, Rendering, chart, title, values_files, with_helm};

/// Kinds whose types are not part of Kubernetes; the CRD's own test compares it with the operator's source.
const NOT_OF_KUBERNETES: [&str; 3] = ["CustomResourceDefinition", "ServiceMonitor", "PrometheusRule"];
/// Kinds that have no namespace.
const OF_THE_CLUSTER: [&str; 3] = ["CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"];

#[test]
fn helm_itself_finds_nothing_wrong() {
    with_helm("helm_itself_finds_nothing_wrong", |helm| {
        let own = chart().join("values.yaml");
        for file in values_files().into_iter().map(|(_, path)| path).chain([own]) {
            let (chart, values) = (chart().display().to_string(), format!("--values={}", file.display()));
            let words = ["lint", "--strict", &chart, &values, "--kube-version=1.34.0"];
            helm.run(words).unwrap_or_else(|said| panic!("{}: {said}", file.display()));
        }
    });
}

#[test]
fn every_field_is_one_that_kubernetes_knows() {
    with_helm("every_field_is_one_that_kubernetes_knows", |helm| {
        for (file, rendering) in renderings(helm) {
            for object in &rendering.0 {
                if !NOT_OF_KUBERNETES.contains(&object["kind"].as_str().unwrap()) {
                    let known = known_part(object).unwrap_or_else(|error| panic!("{file}: {}: {error}", title(object)));
                    assert_eq!(&known, object, "{file}: {}: what Kubernetes knows is on the left", title(object));
                }
            }
        }
    });
}

#[test]
fn a_field_that_kubernetes_does_not_know_is_found() {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"prots": []}});
    assert_ne!(known_part(&service).unwrap(), service);
}

#[test]
fn every_object_is_labelled_and_in_the_namespace_of_the_release() {
    with_helm("every_object_is_labelled_and_in_the_namespace_of_the_release", |helm| {
        for object in &helm.render(["--set=commonLabels.team=chat"]).unwrap().0 {
            let title = title(object);
            let labels = &object["metadata"]["labels"];
            assert_eq!(labels["app.kubernetes.io/name"], "chatroom-operator", "{title}");
            assert_eq!(labels["app.kubernetes.io/instance"], "release", "{title}");
            assert_eq!(labels["app.kubernetes.io/managed-by"], "Helm", "{title}");
            assert_eq!(labels["team"], "chat", "{title}");
            let of_cluster = OF_THE_CLUSTER.contains(&object["kind"].as_str().unwrap());
            let namespace = if of_cluster { Value::Null } else { json!(NAMESPACE) };
            assert_eq!(object["metadata"]["namespace"], namespace, "{title}");
        }
    });
}

#[test]
fn no_label_of_people_changes_what_the_deployment_selects() {
    with_helm("no_label_of_people_changes_what_the_deployment_selects", |helm| {
        let more = r#"{"app.kubernetes.io/name": "mine", "team": "chat"}"#;
        let labelled = helm.render([format!("--set-json=commonLabels={more}"), format!("--set-json=podLabels={more}")]);
        let plain = helm.render::<&str>([]).unwrap();
        let labelled = labelled.unwrap();
        let selector = |rendering: &Rendering| rendering.one("Deployment")["spec"]["selector"].clone();
        assert_eq!(selector(&labelled), selector(&plain));
        let pod = &labelled.one("Deployment")["spec"]["template"]["metadata"]["labels"];
        for (key, value) in selector(&plain)["matchLabels"].as_object().unwrap() {
            assert_eq!(&pod[key], value, "the Deployment finds its pod by {key}");
        }
    });
}

#[test]
fn every_pod_is_as_pod_security_restricted_asks_for() {
    with_helm("every_pod_is_as_pod_security_restricted_asks_for", |helm| {
        let rendering = helm.render::<&str>([]).unwrap();
        let pods = [&rendering.one("Deployment")["spec"]["template"]["spec"], &rendering.one("Pod")["spec"]];
        for pod in pods {
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert_eq!(pod["securityContext"]["seccompProfile"], json!({"type": "RuntimeDefault"}));
            assert_eq!(pod["enableServiceLinks"], false);
            for forbidden in ["hostNetwork", "hostPID", "hostIPC", "volumes"] {
                assert!(pod[forbidden].is_null(), "{forbidden}");
            }
            let container = &pod["containers"][0]["securityContext"];
            assert_eq!(container["allowPrivilegeEscalation"], false);
            assert_eq!(container["readOnlyRootFilesystem"], true);
            assert_eq!(container["capabilities"], json!({"drop": ["ALL"]}));
        }
        assert_eq!(pods[1]["automountServiceAccountToken"], false, "a test needs no rights");
    });
}

#[test]
fn there_is_one_operator_and_never_a_second_beside_it() {
    with_helm("there_is_one_operator_and_never_a_second_beside_it", |helm| {
        let rendering = helm.render::<&str>([]).unwrap();
        let spec = &rendering.one("Deployment")["spec"];
        assert_eq!((&spec["replicas"], &spec["strategy"]), (&json!(1), &json!({"type": "Recreate"})));
    });
}

#[test]
fn the_test_asks_the_service_which_leads_to_the_operator() {
    with_helm("the_test_asks_the_service_which_leads_to_the_operator", |helm| {
        let rendering = helm.render::<&str>([]).unwrap();
        let (service, test) = (rendering.one("Service"), rendering.one("Pod"));
        let host = format!("http://{}.{NAMESPACE}.svc:9090", service["metadata"]["name"].as_str().unwrap());
        assert_eq!(
            test["spec"]["containers"][0]["args"],
            json!(["probe", format!("{host}/readyz"), format!("{host}/metrics")])
        );
        assert_eq!(test["metadata"]["annotations"]["helm.sh/hook"], "test");
        assert_eq!(
            test["metadata"]["annotations"]["helm.sh/hook-delete-policy"],
            "before-hook-creation,hook-succeeded"
        );
        let template = &rendering.one("Deployment")["spec"]["template"];
        for (key, value) in service["spec"]["selector"].as_object().unwrap() {
            assert_eq!(&template["metadata"]["labels"][key], value, "the Service finds the operator by {key}");
            if key == "app.kubernetes.io/component" {
                assert_ne!(&test["metadata"]["labels"][key], value, "the Service does not lead to the test itself");
            }
        }
        let ports = &template["spec"]["containers"][0]["ports"][0];
        assert_eq!(
            (&service["spec"]["ports"][0]["targetPort"], &ports["containerPort"]),
            (&ports["name"], &json!(9090))
        );
    });
}

#[test]
fn the_network_policy_lets_the_test_in_and_the_gateways_be_asked() {
    with_helm("the_network_policy_lets_the_test_in_and_the_gateways_be_asked", |helm| {
        let rendering = helm.render(["--set=networkPolicy.enabled=true"]).unwrap();
        let policy = &rendering.one("NetworkPolicy")["spec"];
        let from = policy["ingress"][0]["from"].as_array().unwrap();
        assert_eq!(from.len(), 1, "nobody else is let in unasked");
        for (key, value) in from[0]["podSelector"]["matchLabels"].as_object().unwrap() {
            assert_eq!(&rendering.one("Pod")["metadata"]["labels"][key], value, "the test is let in by {key}");
        }
        let gateways = &policy["egress"][1];
        let program = chatroom_operator::names::Component::Gateway.program();
        assert_eq!(gateways["to"][0]["podSelector"]["matchLabels"], json!({"app.kubernetes.io/name": program}));
        assert_eq!(gateways["to"][0]["namespaceSelector"], json!({}));
        assert_eq!(gateways["ports"], json!([{"port": chatroom_settings::names::ports::INTERNAL, "protocol": "TCP"}]));
        assert_eq!(policy["egress"].as_array().unwrap().len(), 2, "the operator speaks with nobody else");
    });
}

#[test]
fn names_fit_also_with_the_longest_release() {
    with_helm("names_fit_also_with_the_longest_release", |helm| {
        let longest = "a-release-whose-name-is-as-long-as-helm-lets-it-be-53";
        assert_eq!(longest.len(), 53);
        let rendering = helm.render_chart(&chart(), longest, ["--set=fullnameOverride=".to_owned() + &"n".repeat(63)]);
        for rendering in [helm.render_chart(&chart(), longest, [""; 0]).unwrap(), rendering.unwrap()] {
            let mut seen = BTreeSet::new();
            for object in &rendering.0 {
                let name = object["metadata"]["name"].as_str().unwrap();
                assert!(name.len() <= 63 && !name.ends_with('-'), "{name}");
                assert!(seen.insert((object["kind"].to_string(), name)), "two objects are {}", title(object));
            }
        }
    });
}

#[test]
fn the_resource_definition_outlives_the_release_unless_somebody_says_otherwise() {
    with_helm("the_resource_definition_outlives_the_release_unless_somebody_says_otherwise", |helm| {
        for (keep, helms, argos) in [
            (true, json!("keep"), "ServerSideApply=true,Delete=false,Prune=false"),
            (false, Value::Null, "ServerSideApply=true"),
        ] {
            let rendering = helm.render([format!("--set=crds.keep={keep}")]).unwrap();
            let annotations = &rendering.one("CustomResourceDefinition")["metadata"]["annotations"];
            assert_eq!(annotations["helm.sh/resource-policy"], helms);
            assert_eq!(annotations["argocd.argoproj.io/sync-options"], argos);
        }
    });
}

fn renderings(helm: &Helm) -> Vec<(String, Rendering)> {
    let mut all = vec![("values.yaml".to_owned(), helm.render::<&str>([]).expect("the chart's own values are good"))];
    all.extend(values_files().into_iter().map(|(name, path)| (name, helm.render_file(&path))));
    all
}

/// What is left of an object when it has gone through its type.
fn known_part(object: &Value) -> Result<Value, serde_json::Error> {
    match object["kind"].as_str().expect("an object has a kind") {
        "ClusterRole" => through::<ClusterRole>(object),
        "ClusterRoleBinding" => through::<ClusterRoleBinding>(object),
        "ConfigMap" => through::<ConfigMap>(object),
        "Deployment" => through::<Deployment>(object),
        "NetworkPolicy" => through::<NetworkPolicy>(object),
        "Pod" => through::<Pod>(object),
        "PodDisruptionBudget" => through::<PodDisruptionBudget>(object),
        "Role" => through::<Role>(object),
        "RoleBinding" => through::<RoleBinding>(object),
        "Service" => through::<Service>(object),
        "ServiceAccount" => through::<ServiceAccount>(object),
        kind => panic!("{kind} is new: say here of which type it is"),
    }
}

fn through<T: DeserializeOwned + Serialize>(object: &Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_value::<T>(object.clone())?)
}
