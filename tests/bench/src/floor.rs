//! The floors: the least that the same job costs with the same tools on the same machine, measured beside ours.
//!
//! What answers runs as a process of its own, as the gateway does, so that it costs the same switches between processes.

mod echo;
mod program;
mod relay;
mod script;

use std::time::Duration;

use bytes::Bytes;

use self::echo::Echo;
pub(crate) use self::program::Program;
use self::relay::Relay;
use self::script::Script;
use crate::load::text;

/// The floors, ready and warm.
#[derive(Debug)]
pub(crate) struct Floors {
    echo: Echo,
    script: Script,
    relay: Relay,
    payload: Bytes,
}

impl Floors {
    /// Starts the programs and connects to them and to the Redis of the run.
    ///
    /// # Errors
    /// When one of them does not come up.
    pub(crate) async fn start(redis: &redis::Client, redis_url: &str) -> anyhow::Result<Self> {
        Ok(Self {
            echo: Echo::start().await?,
            script: Script::load(redis).await?,
            relay: Relay::start(redis, redis_url).await?,
            payload: text::payload(text::NOTE, 0).into(),
        })
    }

    /// One POST with the payload, and its answer.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn echo(&mut self) -> anyhow::Result<Duration> {
        self.echo.time(self.payload.clone()).await
    }

    /// One script that gets the payload, and its answer.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn script(&mut self) -> anyhow::Result<Duration> {
        self.script.time(&self.payload).await
    }

    /// The payload from one process to another through a channel of Redis.
    ///
    /// # Errors
    /// When it does not arrive.
    pub(crate) async fn hop(&mut self) -> anyhow::Result<Duration> {
        self.relay.time(&self.payload).await
    }
}
