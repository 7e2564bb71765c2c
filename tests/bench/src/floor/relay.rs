//! The least that it costs to reach another process through Redis: a PUBLISH, and the message at a subscriber.
//!
//! The subscriber is a process that publishes it back, so that one clock times both ways; one hop is half of it.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use chatroom_tests::process::Process;
use futures_util::{Stream, StreamExt as _};
use redis::Msg;
use redis::aio::MultiplexedConnection;

use super::Program;
use crate::say;

const THERE: &str = "bench:there";
const BACK: &str = "bench:back";

/// The other process, and a way there and back.
pub(super) struct Relay {
    publisher: MultiplexedConnection,
    back: Pin<Box<dyn Stream<Item = Msg>>>,
    _process: Process,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Relay").finish_non_exhaustive()
    }
}

impl Relay {
    pub(super) async fn start(redis: &redis::Client, redis_url: &str) -> anyhow::Result<Self> {
        let (process, _) = Program::Relay { redis_url: redis_url.to_owned() }.start().await?;
        Ok(Self {
            publisher: redis.get_multiplexed_async_connection().await?,
            back: messages(redis, BACK).await?,
            _process: process,
        })
    }

    /// From the PUBLISH to the subscriber.
    pub(super) async fn time(&mut self, payload: &[u8]) -> anyhow::Result<Duration> {
        let Self { publisher, back, .. } = self;
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(THERE).arg(payload);
        let begun = Instant::now();
        let returned = async { (back.next().await, begun.elapsed()) };
        let (heard, (message, took)) = tokio::join!(publish.query_async::<usize>(publisher), returned);
        ensure!(heard? == 1, "nobody else listens to {THERE}");
        ensure!(message.context("the subscription ended")?.get_payload_bytes() == payload, "it came back changed");
        Ok(took / 2)
    }
}

/// The other process.
pub(super) async fn run(redis_url: &str) -> anyhow::Result<Infallible> {
    let client = redis::Client::open(redis_url)?;
    let mut publisher = client.get_multiplexed_async_connection().await?;
    let mut there = messages(&client, THERE).await?;
    say("subscribed")?;
    while let Some(message) = there.next().await {
        redis::cmd("PUBLISH").arg(BACK).arg(message.get_payload_bytes()).query_async::<usize>(&mut publisher).await?;
    }
    bail!("the subscription ended")
}

async fn messages(redis: &redis::Client, channel: &str) -> anyhow::Result<Pin<Box<dyn Stream<Item = Msg>>>> {
    let mut subscription = redis.get_async_pubsub().await?;
    subscription.subscribe(channel).await?;
    Ok(Box::pin(subscription.into_on_message()))
}
