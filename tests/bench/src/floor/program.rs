//! The programs that answer. The bench starts them from its own executable and talks to them over sockets.

use std::convert::Infallible;
use std::path::PathBuf;

use anyhow::Context as _;
use chatroom_tests::process::Process;
use chatroom_tests::wait::SOON;
use clap::Subcommand;

use super::{echo, relay};

/// What the bench can be besides itself.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Program {
    /// Answers each POST with its body; prints its URL.
    Echo,
    /// Hands each message of one channel on to another; prints a line when it is subscribed.
    Relay {
        /// Where Redis is.
        redis_url: String,
    },
}

impl Program {
    /// Is that program, until it is killed.
    ///
    /// # Errors
    /// When it cannot go on.
    pub(crate) async fn run(self) -> anyhow::Result<Infallible> {
        match self {
            Self::Echo => echo::run().await,
            Self::Relay { redis_url } => relay::run(&redis_url).await,
        }
    }

    /// Starts it as a process and returns it with the first line that it prints.
    ///
    /// # Errors
    /// When this process' own program is gone.
    pub(super) async fn start(&self) -> anyhow::Result<(Process, String)> {
        let own: PathBuf = std::env::current_exe().context("failed to find the bench's own program")?;
        let mut process = match self {
            Self::Echo => Process::start(&own, &["floor", "echo"]),
            Self::Relay { redis_url } => Process::start(&own, &["floor", "relay", redis_url]),
        };
        let line = process.first_line(SOON).await;
        Ok((process, line))
    }
}
