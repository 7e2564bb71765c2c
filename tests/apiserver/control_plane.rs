//! etcd, an API server and the garbage collector as processes of this machine: a Kubernetes without nodes, up in seconds.
//!
//! One for all tests of the program. Who asks is authorised by RBAC, ServiceAccounts get tokens, and every request stands in
//! the audit log.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use chatroom_tests::ports;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::audit::{self, AuditLog};
use crate::keeper::Keeper;
use crate::operator::Operator;
use crate::tools;
use chatroom_tests::wait;

/// A process of the control plane has started; on a machine that compiles beside the test this takes its time.
const STARTED: Duration = Duration::from_secs(90);

/// Only what the tests need: children of deleted rooms are collected, deleted namespaces are emptied. There are no kubelets,
/// and no Deployment controller either: the tests play both.
const CONTROLLERS: &str = "garbage-collector-controller,namespace-controller";

/// Certificates and kubeconfigs as the cluster of tests/cluster has them; in $1, for the API server at port $2.
const CREDENTIALS: &str = r#"
set -euo pipefail
. tests/cluster/lib.sh
. tests/cluster/inside/certificates.sh
here=$1 pki=$1/pki api=https://127.0.0.1:$2
mkdir "$pki"
make_certificates "$pki"
make_kubeconfigs
"#;

/// A running control plane, with the operator on it.
pub(crate) struct ControlPlane {
    directory: PathBuf,
    keeper: Keeper,
    ports: Ports,
    operator: OnceLock<Operator>,
}

/// Ports of the loopback address.
#[derive(Clone, Copy, Debug)]
struct Ports {
    first: u16,
}

/// The control plane of this test program. It is started by whoever asks first, and ends with the program.
///
/// # Panics
/// When it does not come up.
pub(crate) fn control_plane() -> &'static ControlPlane {
    static PLANE: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
    // In a thread with a runtime of its own: it outlives the test that happens to be first.
    let started =
        PLANE.get_or_init(|| std::thread::spawn(start).join().unwrap_or_else(|_| Err("see above".to_owned())));
    started.as_ref().unwrap_or_else(|error| panic!("the control plane did not come up: {error}"))
}

#[tokio::main(flavor = "current_thread")]
async fn start() -> Result<ControlPlane, String> {
    // An error says that another test of this process was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let plane = ControlPlane::start().await.map_err(|error| format!("{error:#}"))?;
    let operator = Operator::install(&plane, "chatroom-operator").await?;
    plane.operator.set(operator).expect("nobody else has this control plane yet");
    // After the resource definition: the garbage collector asks only every half minute what there is.
    plane.start_controllers().map_err(|error| error.to_string())?;
    Ok(plane)
}

impl ControlPlane {
    /// Starts one of its own, without an operator.
    ///
    /// # Errors
    /// When it does not come up.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("chatroom-apiserver-").tempdir()?.keep();
        let keeper = Keeper::new(&directory)?;
        let plane = Self { keeper, ports: Ports { first: ports::free_block() }, operator: OnceLock::new(), directory };
        let api_port = plane.ports.api().to_string();
        tools::run(Path::new("bash"), &["-c", CREDENTIALS, "credentials", &plane.file(""), &api_port], "")
            .map_err(anyhow::Error::msg)?;
        std::fs::write(plane.file("audit-policy.yaml"), audit::POLICY)?;
        plane.start_etcd()?;
        plane.start_api_server()?;
        let client = plane.client().await?;
        let ready = http::Request::get("/readyz").body(Vec::new())?;
        let answer = wait::ask(STARTED, async || client.request_text(ready.clone()).await).await;
        answer.map_err(|seen| anyhow::anyhow!("{seen}\n{}", plane.last_words("kube-apiserver")))?;
        Ok(plane)
    }

    fn start_etcd(&self) -> std::io::Result<u32> {
        let [clients, peers] =
            [self.ports.etcd(), self.ports.etcd_peers()].map(|port| format!("http://127.0.0.1:{port}"));
        let (data, alone) = (self.file("etcd"), format!("alone={peers}"));
        self.keep(
            "etcd",
            &[],
            &tools::kube(),
            &[
                "etcd",
                "--name=alone",
                &format!("--data-dir={data}"),
                "--unsafe-no-fsync",
                "--log-level=warn",
                &format!("--listen-client-urls={clients}"),
                &format!("--advertise-client-urls={clients}"),
                &format!("--listen-peer-urls={peers}"),
                &format!("--initial-advertise-peer-urls={peers}"),
                &format!("--initial-cluster={alone}"),
            ],
        )
    }

    fn start_api_server(&self) -> std::io::Result<u32> {
        let pki = |name: &str| self.file(&format!("pki/{name}"));
        self.keep(
            "kube-apiserver",
            &[],
            &tools::kube(),
            &[
                "kube-apiserver",
                "--bind-address=127.0.0.1",
                &format!("--secure-port={}", self.ports.api()),
                // It is published nowhere, but a loopback address is not taken.
                "--advertise-address=10.244.0.1",
                "--endpoint-reconciler-type=none",
                &format!("--etcd-servers=http://127.0.0.1:{}", self.ports.etcd()),
                "--service-cluster-ip-range=10.96.0.0/16",
                "--authorization-mode=RBAC",
                &format!("--client-ca-file={}", pki("ca.crt")),
                &format!("--tls-cert-file={}", pki("apiserver.crt")),
                &format!("--tls-private-key-file={}", pki("apiserver.key")),
                "--service-account-issuer=https://kubernetes.default.svc",
                &format!("--service-account-key-file={}", pki("accounts.key")),
                &format!("--service-account-signing-key-file={}", pki("accounts.key")),
                &format!("--audit-policy-file={}", self.file("audit-policy.yaml")),
                &format!("--audit-log-path={}", self.file("audit.log")),
            ],
        )
    }

    fn start_controllers(&self) -> std::io::Result<u32> {
        self.keep(
            "kube-controller-manager",
            &[],
            &tools::kube(),
            &[
                "kube-controller-manager",
                &format!("--kubeconfig={}", self.file("kube-controller-manager.conf")),
                &format!("--controllers={CONTROLLERS}"),
                "--leader-elect=false",
                "--use-service-account-credentials",
                &format!("--service-account-private-key-file={}", self.file("pki/accounts.key")),
                "--bind-address=127.0.0.1",
                &format!("--secure-port={}", self.ports.controllers()),
            ],
        )
    }

    /// Starts a program that ends with the tests.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn keep(
        &self,
        name: &str,
        environment: &[(&str, &str)],
        program: &Path,
        words: &[&str],
    ) -> std::io::Result<u32> {
        self.keeper.start(Path::new(&self.file(&format!("{name}.log"))), environment, program, words)
    }

    /// A client of its administrator; for the runtime that asks.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        let kubeconfig = Kubeconfig::read_from(self.admin())?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// Path of the administrator's kubeconfig.
    pub(crate) fn admin(&self) -> String {
        self.file("admin.conf")
    }

    /// Writes a kubeconfig of somebody who has this token, and answers its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn kubeconfig(&self, name: &str, token: &str) -> std::io::Result<String> {
        let config = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": {
                "server": format!("https://127.0.0.1:{}", self.ports.api()),
                "certificate-authority": self.file("pki/ca.crt"),
            }}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": name}}],
            "current-context": "here",
        });
        let path = self.file(&format!("{name}.conf"));
        std::fs::write(&path, config.to_string())?;
        Ok(path)
    }

    /// Every request that was made.
    pub(crate) fn audit(&self) -> AuditLog {
        AuditLog::new(self.file("audit.log").into())
    }

    /// The operator that keeps the rooms of all tests.
    pub(crate) fn operator(&self) -> &Operator {
        self.operator.get().expect("it was installed before anybody got this control plane")
    }

    /// `kubectl` as the administrator.
    ///
    /// # Errors
    /// What it wrote to stderr, when it failed.
    pub(crate) fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let kubeconfig = format!("--kubeconfig={}", self.admin());
        let all: Vec<_> = [kubeconfig.as_str()].into_iter().chain(arguments.iter().copied()).collect();
        tools::run(&tools::path("kubectl"), &all, input)
    }

    /// What a process has written last.
    pub(crate) fn last_words(&self, name: &str) -> String {
        const LINES: usize = 30;
        let text = std::fs::read_to_string(self.file(&format!("{name}.log"))).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        format!("--- {name} said last\n{}", lines[lines.len().saturating_sub(LINES)..].join("\n"))
    }

    /// Path of one of its files.
    pub(crate) fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// The port of a further operator's probes; `index` 0 to 9.
    pub(crate) fn operator_port(&self, index: u16) -> u16 {
        self.ports.operator(index)
    }
}

impl Ports {
    fn etcd(self) -> u16 {
        self.first
    }

    fn etcd_peers(self) -> u16 {
        self.first + 1
    }

    fn api(self) -> u16 {
        self.first + 2
    }

    fn controllers(self) -> u16 {
        self.first + 3
    }

    fn operator(self, index: u16) -> u16 {
        self.first + 10 + index
    }
}
