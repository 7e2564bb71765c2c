//! The least that a step in Redis costs: a script that gives back what it got.

use std::time::{Duration, Instant};

use anyhow::ensure;
use redis::aio::MultiplexedConnection;

const TRIVIAL: &str = "return ARGV[1]";

/// A connection to the Redis of the run, which knows the script.
pub(super) struct Script {
    connection: MultiplexedConnection,
    sha: String,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Script").field("sha", &self.sha).finish_non_exhaustive()
    }
}

impl Script {
    pub(super) async fn load(redis: &redis::Client) -> anyhow::Result<Self> {
        let mut connection = redis.get_multiplexed_async_connection().await?;
        let sha = redis::cmd("SCRIPT").arg("LOAD").arg(TRIVIAL).query_async(&mut connection).await?;
        Ok(Self { connection, sha })
    }

    /// From the EVALSHA to its answer.
    pub(super) async fn time(&mut self, payload: &[u8]) -> anyhow::Result<Duration> {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.sha).arg(0).arg(payload);
        let begun = Instant::now();
        let answer: Vec<u8> = call.query_async(&mut self.connection).await?;
        let took = begun.elapsed();
        ensure!(answer == payload, "the script answered something else");
        Ok(took)
    }
}
