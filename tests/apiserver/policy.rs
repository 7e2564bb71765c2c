//! A cluster whose policy changes what is written: the operator does not fight it.

use std::time::Duration;

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::json;

use crate::children::KEPT;
use crate::world::{A_WHILE, PROMISED, World, in_namespace};
use chatroom_tests::wait::until;

/// Looks of the operator while nothing changes but an annotation of the room, and the time between two.
const LOOKS: usize = 10;
const BETWEEN: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_policy_that_rewrites_what_is_applied_makes_no_write_loop_and_drift_is_still_repaired() {
    in_namespace("policy", async |world| {
        a_policy_rewrites_deployments(world).await;
        let [.., deployment, _] = KEPT;
        world.apply("lobby", json!({})).await;
        world.settled("lobby").await;
        let live = world.child(deployment, "lobby").await;
        assert_eq!(cpu(&live), "250m");
        assert_eq!(live.labels()["policy.example/seen"], "yes");

        let mark = world.mark();
        for stamp in 0..LOOKS {
            world.touch("lobby", stamp).await;
            // Here time itself is meant: a loop would show as writes in it.
            tokio::time::sleep(BETWEEN).await;
        }
        let written: Vec<_> = world.written_since(mark).iter().map(ToString::to_string).collect();
        assert_eq!(written, Vec::<String>::new());

        world.edit_child(deployment, "lobby", json!({"spec": {"replicas": 7}})).await;
        let right = |live: &DynamicObject| live.data["spec"]["replicas"] == 2;
        world.child_becomes(deployment, "lobby", "is set right", PROMISED, right).await;
        world.settled("lobby").await;
        assert_eq!(cpu(&world.child(deployment, "lobby").await), "250m", "what the policy says still holds");
    })
    .await;
}

fn cpu(deployment: &DynamicObject) -> String {
    let path = "/spec/template/spec/containers/0/resources/requests/cpu";
    deployment.data.pointer(path).and_then(|cpu| cpu.as_str()).unwrap_or_default().to_owned()
}

/// Makes every Deployment of this namespace ask for more CPU and carry a label, and waits until that holds.
async fn a_policy_rewrites_deployments(world: &World) {
    let expression = r#"[
        JSONPatch{op: "replace", path: "/spec/template/spec/containers/0/resources/requests/cpu", value: "250m"},
        JSONPatch{op: "add", path: "/metadata/labels/policy.example~1seen", value: "yes"}
    ]"#;
    let (api_version, name) = ("admissionregistration.k8s.io/v1", &world.namespace);
    let policy = json!({
        "apiVersion": api_version, "kind": "MutatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
                "resourceRules": [{
                    "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
                    "resources": ["deployments"],
                }],
            },
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        },
    });
    let binding = json!({
        "apiVersion": api_version, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {"policyName": name},
    });
    for object in [policy, binding] {
        world.plane.kubectl(&["create", "--filename=-"], &object.to_string()).unwrap();
    }
    let probe = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "probe", "labels": {"app": "probe"}},
        "spec": {"selector": {"matchLabels": {"app": "probe"}}, "template": {
            "metadata": {"labels": {"app": "probe"}},
            "spec": {"containers": [{"name": "probe", "image": "probe:1", "resources": {"requests": {"cpu": "1m"}}}]},
        }},
    });
    until("the policy is in force", A_WHILE, async || {
        let create = ["create", "--dry-run=server", "--output=json", "--filename=-"];
        let made = world.kubectl(&create, &probe.to_string())?;
        if made.contains("policy.example/seen") { Ok(()) } else { Err("it changes nothing yet".to_owned()) }
    })
    .await;
}
