//! The functions are away for a while.

use std::time::Duration;

use chatroom_tests::functions::Function;
use chatroom_tests::http;
use chatroom_tests::redis_server::{Memory, is_missing_for};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::{GATEWAYS, World, ids, leave, measured};

/// Long enough that ends were tried several times, and breakers are open.
const AWAY: Duration = Duration::from_secs(12);
/// How long a message waits for the transport function.
const PATIENCE: Duration = Duration::from_secs(3);
const LEAVE: usize = 60;

#[tokio::test]
async fn functions_that_were_away_hear_of_everybody_who_left_and_meanwhile_only_those_wait_who_need_them() {
    if is_missing_for("functions_that_were_away_hear_of_everybody_who_left_and_meanwhile_only_those_wait_who_need_them")
    {
        return;
    }
    let mut world = World::start(Memory::Volatile, PATIENCE).await;
    let leaving = world.guests(LEAVE).await;
    let mut staying = world.guests(GATEWAYS).await;
    let mut speaker = world.guest(0).await;
    let mut gone = ids(&leaving);

    world.functions.stop().await;
    let away_since = Instant::now();
    leave(leaving).await;
    let said_at = Instant::now();
    speaker.client.say("does anybody hear me?").await;
    nobody_is_let_in(&world).await;
    world.push("others do").await.expect("a push needs no function");
    for guest in &mut staying {
        guest.client.hears("others do").await;
    }
    // Itself as well, before it is sent away: who waits for a function keeps nobody from speaking to it.
    speaker.client.hears("others do").await;
    speaker.client.is_closed_with(1013).await;
    assert!(said_at.elapsed() >= PATIENCE, "sent away after {:?}", said_at.elapsed());
    gone.insert(speaker.id);
    sleep_until(away_since + AWAY).await;
    assert!(world.functions.calls_of(Function::Cleanup).is_empty(), "they were away");

    world.functions.start_again().await;
    let back_at = Instant::now();
    measured("from the functions being back to the last end told", back_at, world.are_cleaned_up(&gone).await);
    for gateway in 0..GATEWAYS {
        staying.push(world.guest(gateway).await);
    }
    measured("from the functions being back until each gateway let somebody in", back_at, Instant::now());
    staying[0].client.say("here we are again").await;
    for guest in &mut staying[1..] {
        guest.client.hears("here we are again").await;
    }
    leave(staying).await;
    // Whoever was refused was never registered.
    world.are_cleaned_up(&world.functions.ids(Function::Register)).await;
    world.kept_its_promises().await;
}

async fn nobody_is_let_in(world: &World) {
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    for replica in &world.room.announcement.replicas {
        let url = replica.url.replacen("ws://", "http://", 1);
        let answer = http::get_with(&url, &upgrade).await.expect("it answers");
        let problem: Value = serde_json::from_str(answer.body()).expect("a refusal is JSON");
        assert_eq!((answer.status().as_u16(), &problem["code"]), (503, &Value::from("register_unreachable")));
        assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
    }
}
