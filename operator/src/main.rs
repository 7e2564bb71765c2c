//! The program `chatroom-operator`: reads its task, does it, and ends with an exit code that says how.

use anyhow::Context;
use chatroom_operator::app::{self, Parts};
use chatroom_operator::cli::{Settings, Task};
use chatroom_operator::{probe, telemetry, web};
use http::Uri;
use std::io::{self, Write};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

#[tokio::main]
async fn main() -> ExitCode {
    match Task::read() {
        Task::Run(settings) => operate(settings).await,
        Task::Probe(addresses) => ask(addresses).await,
    }
}

async fn operate(settings: Settings) -> ExitCode {
    // First of all: a second provider anywhere among the dependencies would make the first TLS handshake panic.
    rustls::crypto::ring::default_provider().install_default().expect("nothing has run yet that could have set one");
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

/// Asks every address, also after one that is not well: each line tells something.
async fn ask(addresses: Vec<Uri>) -> ExitCode {
    let mut all_good = true;
    for address in addresses {
        let answer = probe::ask(address).await;
        all_good &= answer.is_good();
        // The exit code tells it to whoever does not read.
        let _ = writeln!(io::stdout(), "{answer}");
    }
    if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    error!(error = format!("{error:#}"), "failed");
    ExitCode::FAILURE
}
