//! Helm installs the chart for real: the API server takes every object, and the resource definition changes hands only when
//! somebody says so.

use std::path::{Path, PathBuf};

use chatroom_tests::repository;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::control_plane::{ControlPlane, control_plane};
use crate::tools;
use crate::world::is_skipped;

const CRD: &str = "chatrooms.chatroom.dev";
const NAMESPACE: &str = "chatroom-system";
/// Every namespace that a values file of the chart names.
const NAMESPACES: [&str; 4] = [NAMESPACE, "chat-system", "team-a", "team-b"];

#[tokio::test]
async fn helm_installs_and_the_resource_definition_changes_hands_only_when_told() {
    if is_skipped("helm_installs_and_the_resource_definition_changes_hands_only_when_told") {
        return;
    }
    // Its own: the resource definition is the cluster's, and here it comes and goes.
    let plane = Plane::start().await;
    for helm in helms() {
        let helm = |words: &[&str]| plane.helm(&helm, words);
        helm(&["install", "one"]).expect("the chart can be installed");
        assert_eq!(plane.owner(), Some("one".to_owned()));

        let before = plane.deployment("one-chatroom-operator");
        helm(&["upgrade", "one"]).expect("and upgraded");
        assert_eq!(plane.deployment("one-chatroom-operator"), before, "an upgrade without a change restarts nothing");

        let refusal = helm(&["install", "two"]).expect_err("the definition belongs to the first");
        assert!(refusal.contains("cannot be imported into the current release"), "{refusal}");
        assert!(refusal.contains(CRD), "{refusal}");

        plane.kubectl(&["apply", "--filename=-"], &room("kept"));
        helm(&["uninstall", "one"]).expect("the release can be uninstalled");
        assert_eq!(plane.kubectl(&["get", "chatrooms", "--output=name"], ""), "chatroom.chatroom.dev/kept\n");

        let refusal = helm(&["install", "two"]).expect_err("Helm remembers whose it was");
        assert!(refusal.contains("cannot be imported into the current release"), "{refusal}");
        helm(&["install", "two", "--take-ownership"]).expect("the definition can be handed over");
        assert_eq!(plane.owner(), Some("two".to_owned()));
        assert_eq!(plane.kubectl(&["get", "chatrooms", "--output=name"], ""), "chatroom.chatroom.dev/kept\n");

        helm(&["upgrade", "two", "--set=crds.keep=false"]).expect("one may also not keep it");
        helm(&["uninstall", "two", "--wait"]).expect("the release can be uninstalled");
        assert_eq!(plane.owner(), None, "the definition went with the release");
    }
}

#[tokio::test]
async fn the_api_server_knows_every_field_of_every_rendering() {
    if is_skipped("the_api_server_knows_every_field_of_every_rendering") {
        return;
    }
    let plane = control_plane();
    for namespace in NAMESPACES {
        // What a controller would have made before anybody installs something.
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}});
        let made = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {
            "pod-security.kubernetes.io/enforce": "restricted",
        }}});
        for object in [made, account] {
            plane.kubectl(&["apply", "--server-side", "--filename=-"], &object.to_string()).unwrap();
        }
    }
    for helm in helms() {
        for file in values_files() {
            let values = format!("--values={}", file.display());
            let chart = repository::chart().display().to_string();
            let words = ["template", "dry", &chart, "--namespace", NAMESPACE, "--kube-version=1.34.0", &values];
            let rendered = tools::run(&helm, &words, "").unwrap();
            let known =
                objects(&rendered).into_iter().filter(|object| object["apiVersion"] != "monitoring.coreos.com/v1");
            let list = json!({"apiVersion": "v1", "kind": "List", "items": known.collect::<Vec<_>>()}).to_string();
            // By force: the definition of the operator that the other tests use has an owner.
            let how =
                ["--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--warnings-as-errors"];
            let words: Vec<_> = ["apply", "--filename=-"].into_iter().chain(how).collect();
            plane.kubectl(&words, &list).unwrap_or_else(|refusal| panic!("{}: {refusal}", file.display()));
        }
    }
}

/// A control plane for a test alone.
struct Plane(ControlPlane);

impl Plane {
    async fn start() -> Self {
        // An error says that another test of this process was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self(ControlPlane::start().await.unwrap_or_else(|error| panic!("the control plane did not come up: {error:#}")))
    }

    /// `helm install NAME` and so on, of the chart in its namespace.
    fn helm(&self, helm: &Path, words: &[&str]) -> Result<String, String> {
        let (verb, rest) = words.split_first().expect("helm has a verb");
        let (release, flags) = rest.split_first().expect("a release has a name");
        let (chart, kubeconfig) = (repository::chart().display().to_string(), self.0.admin());
        let mut all = vec![*verb, *release];
        if *verb != "uninstall" {
            all.push(&chart);
        }
        if *verb == "install" {
            all.push("--create-namespace");
        }
        all.extend(["--namespace", NAMESPACE, "--kubeconfig", &kubeconfig]);
        all.extend(flags);
        tools::run(helm, &all, "")
    }

    fn kubectl(&self, words: &[&str], input: &str) -> String {
        self.0.kubectl(words, input).unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    /// The release that has the resource definition; `None` when there is no definition.
    fn owner(&self) -> Option<String> {
        let path = r"--output=jsonpath={.items[*].metadata.annotations.meta\.helm\.sh/release-name}";
        let owner = self.kubectl(&["get", "crds", path], "");
        (!owner.is_empty()).then_some(owner)
    }

    /// The generation of the operator's Deployment, which every change raises, and its spec.
    fn deployment(&self, name: &str) -> String {
        let path = "--output=jsonpath={.metadata.generation} {.spec}";
        self.kubectl(&["get", "deployment", name, "--namespace", NAMESPACE, path], "")
    }
}

/// Helm 4, and 3 where it is.
fn helms() -> impl Iterator<Item = PathBuf> {
    let three = repository::root().join("target/tools/helm3");
    [Some(tools::path("helm")), three.is_file().then_some(three)].into_iter().flatten()
}

fn values_files() -> Vec<PathBuf> {
    let mut files = repository::files_with_extension(&repository::chart().join("ci"), "yaml");
    files.push(repository::chart().join("values.yaml"));
    files
}

fn objects(text: &str) -> Vec<Value> {
    let documents =
        serde_yaml::Deserializer::from_str(text).map(|document| Value::deserialize(document).expect("YAML"));
    documents.filter(|document| !document.is_null()).collect()
}

fn room(name: &str) -> String {
    json!({"apiVersion": "chatroom.dev/v1alpha1", "kind": "ChatRoom", "metadata": {"name": name}, "spec": {}})
        .to_string()
}
