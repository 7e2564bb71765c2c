//! The operator as it runs in life: the built program, with the rights of the chart and a token of its ServiceAccount.

use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use chatroom_tests::process::{is_running, send};
use chatroom_tests::wait::{self, SOON, until};
use chatroom_tests::{binaries, http, repository};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use nix::sys::signal::Signal;

use crate::control_plane::ControlPlane;
use crate::tools;

/// Where the chart is installed.
pub(crate) const NAMESPACE: &str = "chatroom-system";

/// What rooms get that name no image; nobody pulls them here.
pub(crate) const GATEWAY_IMAGE: &str = "registry.example/gateway:1";
/// See [`GATEWAY_IMAGE`].
pub(crate) const REDIS_IMAGE: &str = "registry.example/redis:1";

/// The program reads the caches first.
const STARTED: Duration = Duration::from_secs(60);

/// A running operator.
#[derive(Debug)]
pub(crate) struct Operator {
    /// As whom it asks: the audit log tells its requests by it.
    pub(crate) user: String,
    pid: u32,
}

impl Operator {
    /// Installs the chart as `release`, but for what needs a node, and starts the operator under that release's rights. Each
    /// release is a user of its own.
    ///
    /// # Errors
    /// What went wrong.
    pub(crate) async fn install(plane: &ControlPlane, release: &str) -> Result<Self, String> {
        let crds = format!("--set=crds.install={}", release == "chatroom-operator");
        Self::install_as(plane, release, &chart(release, &["--no-hooks", &crds])?, &[]).await
    }

    /// Installs these manifests as `release`, and starts the operator under the rights that they give, with these variables.
    ///
    /// # Errors
    /// What went wrong.
    pub(crate) async fn install_as(
        plane: &ControlPlane,
        release: &str,
        manifests: &str,
        variables: &[(&str, &str)],
    ) -> Result<Self, String> {
        let account = install_chart(plane, release, manifests).await?;
        let token = token(plane, &account).await?;
        let kubeconfig = plane.kubeconfig(release, &token).map_err(|error| error.to_string())?;
        let pid = start(plane, release, &[&[("KUBECONFIG", kubeconfig.as_str())], variables].concat()).await?;
        Ok(Self { user: format!("system:serviceaccount:{NAMESPACE}:{account}"), pid })
    }

    /// Lets it end as a deploy would.
    pub(crate) async fn stops(&self) {
        send(self.pid, Signal::SIGTERM);
        until("the operator has ended", SOON, async || if is_running(self.pid) { Err("it runs") } else { Ok(()) })
            .await;
    }
}

/// Applies what the chart makes, the operator's own Deployment included: nobody runs it here. Answers the name of the operator's
/// ServiceAccount.
async fn install_chart(plane: &ControlPlane, release: &str, manifests: &str) -> Result<String, String> {
    let namespace = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    plane.kubectl(&["apply", "--server-side", "--filename=-"], &namespace.to_string())?;
    plane.kubectl(&["apply", "--server-side", "--filename=-"], manifests)?;
    established(plane, "chatrooms.chatroom.dev").await;
    let selector = format!("--selector=app.kubernetes.io/instance={release}");
    let accounts =
        plane.kubectl(&["get", "serviceaccounts", "--namespace", NAMESPACE, &selector, "--output=name"], "")?;
    let account = accounts.lines().next().and_then(|line| line.strip_prefix("serviceaccount/"));
    account.map(str::to_owned).ok_or_else(|| format!("the chart makes no ServiceAccount:\n{manifests}"))
}

/// Waits until the API server serves what a resource definition defines. `kubectl wait` alone fails at once while the definition
/// has no conditions at all.
pub(crate) async fn established(plane: &ControlPlane, definition: &str) {
    let definition = format!("crd/{definition}");
    until("the definition is established", STARTED, async || {
        plane.kubectl(&["wait", "--for=condition=Established", &definition, "--timeout=60s"], "").map(drop)
    })
    .await;
}

/// The chart's manifests as helm makes them.
///
/// # Errors
/// What helm says.
pub(crate) fn chart(release: &str, arguments: &[&str]) -> Result<String, String> {
    let chart = repository::chart().display().to_string();
    let fixed = ["template", release, chart.as_str(), "--namespace", NAMESPACE];
    let all: Vec<_> = fixed.into_iter().chain(arguments.iter().copied()).collect();
    tools::run(&tools::path("helm"), &all, "")
}

/// A token of a ServiceAccount in the operator's namespace.
///
/// # Errors
/// What the API server says.
pub(crate) async fn token(plane: &ControlPlane, account: &str) -> Result<String, String> {
    let client = plane.client().await.map_err(|error| error.to_string())?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client, NAMESPACE);
    let spec = TokenRequestSpec { expiration_seconds: Some(3600), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let answer = accounts.create_token_request(account, &PostParams::default(), &request).await;
    let answer = answer.map_err(|error| format!("a token of {account}: {error}"))?;
    answer.status.map(|status| status.token).ok_or_else(|| format!("no token for {account}"))
}

async fn start(plane: &ControlPlane, release: &str, variables: &[(&str, &str)]) -> Result<u32, String> {
    static STARTED_SO_FAR: AtomicU16 = AtomicU16::new(0);
    let port = plane.operator_port(STARTED_SO_FAR.fetch_add(1, Ordering::Relaxed));
    let program = binaries::path(binaries::OPERATOR);
    let words: [&str; 5] = [
        "--bind=127.0.0.1",
        &format!("--port={port}"),
        &format!("--gateway-image={GATEWAY_IMAGE}"),
        &format!("--redis-image={REDIS_IMAGE}"),
        "--log-format=text",
    ];
    let pid = plane.keep(release, &[&[("POD_NAME", release)], variables].concat(), &program, &words);
    let pid = pid.map_err(|error| format!("{}: {error}", program.display()))?;
    let ready = format!("http://127.0.0.1:{port}/readyz");
    let answer = wait::ask(STARTED, async || match http::get(&ready).await {
        Ok(answer) if answer.status() == 200 => Ok(()),
        Ok(answer) => Err(answer.into_body()),
        Err(error) => Err(format!("{error:#}")),
    });
    answer.await.map_err(|seen| format!("{release} is not ready: {seen}\n{}", plane.last_words(release)))?;
    Ok(pid)
}
