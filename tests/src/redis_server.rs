//! A Redis of the test's own, that can be killed and started again on the same port.

use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::skipped;
use crate::wait::{SOON, until};

/// Whether this machine has no `redis-server` on PATH; then it says that the test is skipped.
#[must_use]
pub fn is_missing_for(test: &str) -> bool {
    let version = std::process::Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
    if version.is_err() {
        skipped::say(test, "there is no redis-server on PATH");
    }
    version.is_err()
}

/// What clients have to say to it.
pub const PASSWORD: &str = "the-password-of-this-redis";

/// A running `redis-server` from PATH; ended with its guard.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    memory: Memory,
    directory: TempDir,
    child: Child,
}

/// What is left of its data when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Nothing.
    Volatile,
    /// Everything that it has ever acknowledged.
    Persistent,
}

impl RedisServer {
    /// Starts an empty Redis without persistence on this port of the loopback address and waits until it answers.
    ///
    /// # Panics
    /// When there is no `redis-server` on PATH, or it does not come up.
    pub async fn start(port: u16) -> Self {
        Self::start_with(port, Memory::Volatile).await
    }

    /// As [`Self::start`], with a memory of this kind.
    ///
    /// # Panics
    /// When there is no `redis-server` on PATH, or it does not come up.
    pub async fn start_with(port: u16, memory: Memory) -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let child = spawn(port, memory, directory.path());
        let server = Self { port, memory, directory, child };
        server.answers().await;
        server
    }

    /// Where clients find it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}/", self.port)
    }

    /// Kills it, as a crash would: what it held is gone, unless it is [`Memory::Persistent`].
    ///
    /// # Panics
    /// When the system refuses.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("one's own child can be killed");
    }

    /// Starts it again on its old port, with what it remembers.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start_again(&mut self) {
        self.child = spawn(self.port, self.memory, self.directory.path());
        self.answers().await;
    }

    /// A connection for the test's own questions.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url()).expect("the URL is well-formed");
        client.get_multiplexed_async_connection().await.expect("a running Redis answers")
    }

    async fn answers(&self) {
        let client = redis::Client::open(self.url()).expect("the URL is well-formed");
        until("redis-server answers", SOON, async || {
            let mut connection = client.get_multiplexed_async_connection().await?;
            redis::cmd("PING").query_async::<String>(&mut connection).await
        })
        .await;
    }
}

fn spawn(port: u16, memory: Memory, directory: &Path) -> Child {
    let append_only = match memory {
        Memory::Volatile => "no",
        Memory::Persistent => "yes",
    };
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--requirepass", PASSWORD])
        // Written before it is acknowledged: by default a slow disk may hold that back for two seconds.
        .args(["--save", "", "--appendonly", append_only, "--appendfsync", "always"])
        .args(["--maxmemory-policy", "noeviction"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("redis-server is on PATH")
}
