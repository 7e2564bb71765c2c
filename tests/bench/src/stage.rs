//! What is measured: a room of three gateways as `chatroom local` runs it, with a Redis of the run's own.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use chatroom_tests::ports;
use chatroom_tests::process::Process;
use chatroom_tests::redis_server::RedisServer;
use chatroom_tests::wait::SOON;
use nix::sys::signal::Signal;
use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;

use crate::load::function::{Function, REGISTER, TRANSPORT};

/// One holds the clients, another is pushed to in its place, and one more is there as there would be.
const REPLICAS: &str = "3";
const NAME: &str = "bench";

/// The running room.
#[derive(Debug)]
pub(crate) struct Stage {
    room: Process,
    redis: RedisServer,
    gateways: Vec<Gateway>,
    push_key: String,
}

#[derive(Debug, Deserialize)]
struct Announcement {
    replicas: Vec<Gateway>,
    push: Push,
}

#[derive(Debug, Deserialize)]
struct Gateway {
    url: String,
    #[serde(rename = "pushURL")]
    push_url: String,
}

#[derive(Debug, Deserialize)]
struct Push {
    keys: Vec<String>,
}

impl Stage {
    /// Starts it, with `function` as the room's functions and the programs that lie beside the bench, and waits until it is ready.
    ///
    /// # Errors
    /// When a program is missing, or does not come up as it should.
    pub(crate) async fn start(function: &Function) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("failed to find the bench's own program")?;
        let programs = own.parent().context("a program lies in a directory")?;
        let tool = programs.join("chatroom");
        for program in [&tool, &programs.join("chatroom-gateway")] {
            ensure!(program.is_file(), "{} is missing: build all programs, as `make bench` does", program.display());
        }
        let redis = Command::new("redis-server").arg("--version").output();
        redis.context("redis-server is not on PATH, and the gateways share one")?;
        let directory = TempDir::new()?;
        let manifest = directory.path().join("room.json");
        std::fs::write(&manifest, manifest_for(function))?;
        let redis = RedisServer::start(ports::free_block()).await;
        let mut room = start(&tool, &manifest, &redis.url());
        let line = room.first_line(SOON).await;
        let Announcement { replicas, push } =
            serde_json::from_str(&line).with_context(|| format!("chatroom local announced {line}"))?;
        let push_key = push.keys.into_iter().next().context("the room has no push key")?;
        ensure!(replicas.len().to_string() == REPLICAS, "the room has {} gateways", replicas.len());
        Ok(Self { room, redis, gateways: replicas, push_key })
    }

    /// Where clients of a gateway connect.
    pub(crate) fn url(&self, gateway: usize) -> &str {
        &self.gateways[gateway].url
    }

    /// Where functions push to a gateway, in Tencent's words.
    pub(crate) fn push_url(&self, gateway: usize) -> String {
        format!("{}/{}", self.gateways[gateway].push_url, self.push_key)
    }

    /// Where the Redis of the run is.
    pub(crate) fn redis_url(&self) -> String {
        self.redis.url()
    }

    /// Lets everything end in its order.
    pub(crate) async fn end(mut self) {
        self.room.signal(Signal::SIGTERM);
        self.room.ended(SOON).await;
    }
}

fn start(tool: &Path, manifest: &Path, redis_url: &str) -> Process {
    let port = ports::free_block().to_string();
    let manifest = manifest.display().to_string();
    let arguments = ["local", &manifest, "--replicas", REPLICAS, "--redis", redis_url, "--port", &port];
    Process::start(tool, &[&arguments[..], &["--output", "json"]].concat())
}

/// JSON, which is YAML.
fn manifest_for(function: &Function) -> String {
    let functions = json!({
        "dialect": "Tencent",
        "register": {"url": function.url(REGISTER)},
        "transport": {"url": function.url(TRANSPORT)},
    });
    json!({
        "apiVersion": "chatroom.dev/v1alpha1",
        "kind": "ChatRoom",
        "metadata": {"name": NAME},
        "spec": {"functions": functions},
    })
    .to_string()
}
