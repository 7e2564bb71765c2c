//! The program `chatroom-operator`: reads its settings, runs, and ends with an exit code that says how.

use anyhow::Context;
use chatroom_operator::app::{self, Parts};
use chatroom_operator::cli::Settings;
use chatroom_operator::{telemetry, web};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

#[tokio::main]
async fn main() -> ExitCode {
    // First of all: a second provider anywhere among the dependencies would make the first TLS handshake panic.
    rustls::crypto::ring::default_provider().install_default().expect("nothing has run yet that could have set one");
    let settings = Settings::read();
    if let Err(error) = telemetry::start(&settings.log) {
        return failed(&error);
    }
    match run(settings).await {
        Ok(()) => {
            info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    let Settings { defaults, scopes, listen, pod_name, log: _ } = settings;
    info!(version = env!("CARGO_PKG_VERSION"), %listen, ?defaults, ?scopes, "starting");
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let listener = web::bind(listen).await.with_context(|| format!("failed to listen on {listen}"))?;
    let client = app::client().await.context("failed to find out how to reach the cluster")?;
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    app::run(Parts { client, scopes, listener, defaults, pod_name }, shutdown).await
}

fn failed(error: &anyhow::Error) -> ExitCode {
    error!(error = format!("{error:#}"), "failed");
    ExitCode::FAILURE
}
