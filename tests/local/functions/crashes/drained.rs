//! A room ends in order: no end is left for later, as there is no later.

use std::time::Duration;

use chatroom_tests::functions::Function;
use chatroom_tests::redis_server::{Memory, is_missing_for};
use nix::sys::signal::Signal;
use tokio::time::Instant;

use super::{World, measured};

const CLIENTS: usize = 200;
/// More than the ends of connections wait for Redis.
const DRAINED: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_room_that_is_ended_has_told_every_end_before_its_gateways_are_gone() {
    if is_missing_for("a_room_that_is_ended_has_told_every_end_before_its_gateways_are_gone") {
        return;
    }
    tells_every_end(World::start(Memory::Volatile, Duration::from_secs(30)).await, true).await;
}

#[tokio::test]
async fn a_room_that_is_ended_without_redis_has_told_every_end_before_its_gateways_are_gone() {
    if is_missing_for("a_room_that_is_ended_without_redis_has_told_every_end_before_its_gateways_are_gone") {
        return;
    }
    tells_every_end(World::start(Memory::Volatile, Duration::from_secs(30)).await, false).await;
}

async fn tells_every_end(mut world: World, with_redis: bool) {
    let guests = world.guests(CLIENTS).await;
    world.kept_its_promises().await;
    if !with_redis {
        world.redis.kill().await;
    }
    world.room.tool.signal(Signal::SIGTERM);
    let begin = Instant::now();
    for mut guest in guests {
        guest.client.is_closed_with(1012).await;
    }
    let status = world.room.tool.ended(DRAINED).await;
    measured(if with_redis { "drain" } else { "drain without Redis" }, begin, Instant::now());
    assert_eq!(status.code(), Some(0), "{}", world.room.tool);
    let (came, told) = (world.functions.ids(Function::Register), world.functions.ids(Function::Cleanup));
    assert_eq!(came.len(), CLIENTS);
    let untold: Vec<_> = came.difference(&told).collect();
    assert!(untold.is_empty(), "{} were not told, such as {:?}", untold.len(), untold[0]);
    world.functions.were_called_in_order();
    world.logs_hide_secrets();
}
