//! The installed operator: its release, its Deployment, its pod; and the turn of each test.

use std::process::Stdio;

use chatroom_tests::wait::until;
use chatroom_tests::world::{A_ROLLOUT, World, in_namespace, serves};
use chatroom_tests::{repository, tools};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use tokio::process::Command;
use tokio::sync::Mutex;

const NAMESPACE: &str = "chatroom-system";
const RELEASE: &str = "chatroom-operator";

/// Whose turn it is.
static TURN: Mutex<()> = Mutex::const_new(());

/// Runs `test` in a fresh namespace, alone, with an installed operator, also when the test before left none.
pub(crate) async fn alone(name: &str, test: impl AsyncFnOnce(&World, &Operator)) {
    let _turn = TURN.lock().await;
    in_namespace(name, async |world| {
        let operator = Operator::of(world);
        operator.install().await;
        operator.runs().await;
        Box::pin(test(world, &operator)).await;
    })
    .await;
}

/// The operator that `make up` installs.
pub(crate) struct Operator {
    deployments: Api<Deployment>,
    pub(crate) pods: Api<Pod>,
}

impl Operator {
    fn of(world: &World) -> Self {
        Self {
            deployments: Api::namespaced(world.client.clone(), NAMESPACE),
            pods: Api::namespaced(world.client.clone(), NAMESPACE),
        }
    }

    /// Installs the release, or upgrades it, as `deploy/scripts/up.sh` does: the same chart, the same values.
    pub(crate) async fn install(&self) {
        let chart = repository::chart();
        let values = repository::root().join("target/images/values.yaml");
        let (chart, values) = (chart.to_string_lossy(), values.to_string_lossy());
        let how = ["--values", &values, "--wait", "--timeout", "3m"];
        helm(&[["upgrade", "--install", RELEASE, &chart].as_slice(), &how].concat()).await;
    }

    /// What `helm test` says of it, and whether it found it well.
    pub(crate) async fn tested(&self) -> Result<String, String> {
        helm_says(&["test", RELEASE, "--logs", "--timeout", "2m"]).await
    }

    /// Removes the release.
    pub(crate) async fn uninstall(&self) {
        helm(&["uninstall", RELEASE, "--wait", "--timeout", "3m"]).await;
    }

    /// Sends the operator away, or lets it come back; and waits until that is so.
    pub(crate) async fn scale(&self, replicas: i32) {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        self.deployments.patch(RELEASE, &PatchParams::default(), &patch).await.expect("the operator can be scaled");
        if replicas > 0 { drop(self.runs().await) } else { self.is_gone().await }
    }

    /// Waits until it is ready, and answers its pod.
    pub(crate) async fn runs(&self) -> Pod {
        until("the operator is ready", A_ROLLOUT, async || {
            let mut pods = self.its_pods().await.map_err(|error| error.to_string())?;
            match (pods.pop(), pods.len()) {
                (Some(pod), 0) if serves(&pod) => Ok(pod),
                (one, more) => Err(format!("{} and {more} more", one.map_or("none", |_| "one that is not ready"))),
            }
        })
        .await
    }

    /// Waits until none of its pods is left.
    pub(crate) async fn is_gone(&self) {
        until("the operator is gone", A_ROLLOUT, async || {
            let left = self.its_pods().await.map_err(|error| error.to_string())?.len();
            if left == 0 { Ok(()) } else { Err(format!("{left} pods of it are left")) }
        })
        .await;
    }

    /// Its pods, also those that start or end.
    pub(crate) async fn its_pods(&self) -> kube::Result<Vec<Pod>> {
        let selector = format!("app.kubernetes.io/name={RELEASE},app.kubernetes.io/component=operator");
        Ok(self.pods.list(&ListParams::default().labels(&selector)).await?.items)
    }

    /// The Deployment's generation: it grows when anything is asked of it anew.
    pub(crate) async fn generation(&self) -> Option<i64> {
        self.deployments.get(RELEASE).await.expect("the operator is installed").metadata.generation
    }
}

async fn helm(arguments: &[&str]) {
    helm_says(arguments).await.unwrap_or_else(|said| panic!("helm {arguments:?}: {said}"));
}

/// All that Helm says, as an error when it fails.
async fn helm_says(arguments: &[&str]) -> Result<String, String> {
    let command = [arguments, &["--namespace", NAMESPACE]].concat();
    let ended = Command::new(tools::path("helm")).args(&command).stdin(Stdio::null()).kill_on_drop(true).output().await;
    let ended = ended.expect("tools.sh brings helm");
    let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
    if ended.status.success() { Ok(said) } else { Err(said) }
}
