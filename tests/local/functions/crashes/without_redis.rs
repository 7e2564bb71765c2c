//! Redis is killed, with and without what it held.

use std::collections::BTreeSet;
use std::time::Duration;

use chatroom_tests::functions::Function;
use chatroom_tests::redis_server::{Memory, RedisServer, is_missing_for};
use chatroom_tests::wait::{SOON, until};
use chatroom_tests::{http, process};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::time::Instant;

use super::{GATEWAYS, Guest, World, ids, leave, measured};

const CLIENTS: usize = 45;
/// So many leave at each step, some of each gateway.
const LEAVE: usize = 9;

#[tokio::test]
async fn a_killed_redis_that_keeps_its_data_costs_no_socket_and_no_end() {
    if is_missing_for("a_killed_redis_that_keeps_its_data_costs_no_socket_and_no_end") {
        return;
    }
    let (mut world, mut guests, mut gone) = Box::pin(before_the_kill(Memory::Persistent)).await;
    world.redis.kill().await;
    gone.extend(some_leave(&mut guests).await);
    Box::pin(is_whole_again(world, guests, gone)).await;
}

#[tokio::test]
async fn a_redis_that_comes_back_empty_after_everybody_stood_still_costs_no_socket_and_no_end() {
    if is_missing_for("a_redis_that_comes_back_empty_after_everybody_stood_still_costs_no_socket_and_no_end") {
        return;
    }
    let (mut world, mut guests, mut gone) = Box::pin(before_the_kill(Memory::Volatile)).await;
    world.redis.kill().await;
    gone.extend(some_leave(&mut guests).await);
    stand_still(&world).await;
    // They just hang up: while a gateway stands still, it reads no goodbye.
    let hang_up: Vec<_> = guests.drain(..LEAVE).collect();
    gone.extend(ids(&hang_up));
    drop(hang_up);
    Box::pin(is_whole_again(world, guests, gone)).await;
}

#[tokio::test]
async fn a_gateway_killed_together_with_a_redis_that_keeps_its_data_costs_no_end() {
    if is_missing_for("a_gateway_killed_together_with_a_redis_that_keeps_its_data_costs_no_end") {
        return;
    }
    let (mut world, guests, mut gone) = Box::pin(before_the_kill(Memory::Persistent)).await;
    let doomed = GATEWAYS - 1;
    world.redis.kill().await;
    process::send(world.room.announcement.replicas[doomed].pid, Signal::SIGKILL);
    let (lost, guests): (Vec<_>, Vec<_>) = guests.into_iter().partition(|guest| guest.gateway == doomed);
    gone.extend(ids(&lost));
    Box::pin(is_whole_again(world, guests, gone)).await;
}

/// A room in which some have left, and the cleanup function does not know yet: Redis holds that.
async fn before_the_kill(memory: Memory) -> (World, Vec<Guest>, BTreeSet<String>) {
    let mut world = World::start(memory, Duration::from_secs(30)).await;
    let mut guests = world.guests(CLIENTS).await;
    world.functions.stop().await;
    let gone = some_leave(&mut guests).await;
    holds_ends(&world.redis, gone.len()).await;
    world.functions.start_again().await;
    (world, guests, gone)
}

/// Redis comes back; the functions hear of everybody who is gone, and those who stayed go on as if nothing had happened.
async fn is_whole_again(mut world: World, mut guests: Vec<Guest>, gone: BTreeSet<String>) {
    let begin = Instant::now();
    world.redis.start_again().await;
    let back_at = Instant::now();
    measured("Redis' own start", begin, back_at);
    measured("from Redis being back to the last end told", back_at, world.are_cleaned_up(&gone).await);
    world.counts(guests.len()).await;
    let (speaker, listeners) = guests.split_first_mut().expect("somebody stayed");
    speaker.client.say("still here").await;
    for listener in listeners {
        listener.client.reads_until("still here").await;
    }
    leave(guests).await;
    world.are_cleaned_up(&world.functions.ids(Function::Register)).await;
    world.kept_its_promises().await;
}

async fn some_leave(guests: &mut Vec<Guest>) -> BTreeSet<String> {
    let some: Vec<_> = guests.drain(..LEAVE).collect();
    let gone = ids(&some);
    leave(some).await;
    gone
}

async fn holds_ends(redis: &RedisServer, count: usize) {
    let mut connection = redis.connection().await;
    let question = redis::cmd("HLEN").arg("cr1:{local-lobby}:events").clone();
    until("Redis holds the ends", SOON, async || {
        let held: usize = question.query_async(&mut connection).await.expect("it answers");
        if held == count { Ok(()) } else { Err(held) }
    })
    .await;
}

/// Waits until each lease has run out.
async fn stand_still(world: &World) {
    for replica in &world.room.announcement.replicas {
        until("the gateway knows that it is alone", SOON, async || {
            let status = http::get(&format!("{}/status", replica.internal_url)).await?;
            let isolated = serde_json::from_str::<Value>(status.body())?["isolated"] == true;
            if isolated { Ok(()) } else { Err(anyhow::anyhow!("{status:?}")) }
        })
        .await;
    }
}
