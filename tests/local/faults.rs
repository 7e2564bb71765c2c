//! What breaks, and who notices.

use std::time::Duration;

use chatroom_tests::chat::{ChatClient, Received};
use chatroom_tests::ports;
use chatroom_tests::process::send;
use chatroom_tests::redis_server::{RedisServer, is_missing_for};
use chatroom_tests::wait::{SOON, until};
use nix::sys::signal::Signal;

use chatroom_tests::conversation::{count_becomes, with_count};

use crate::run::LocalRoom;

/// A lease is 12 s long: whoever is dead is known to be after that and a little more.
const A_LEASE_AND_MORE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_killed_gateway_is_counted_out_disturbs_nobody_and_comes_back() {
    if is_missing_for("a_killed_gateway_is_counted_out_disturbs_nobody_and_comes_back") {
        return;
    }
    let room = LocalRoom::start(&["--replicas", "3"]).await;
    let mut ann = room.client("ann", 0).await;
    let mut bob = room.client("bob", 1).await;
    let mut cy = room.client("cy", 2).await;
    let _dee = room.client("dee", 2).await;
    count_becomes(4, &mut ann, &mut bob, SOON).await;

    send(room.announcement.replicas[2].pid, Signal::SIGKILL);
    cy.reads_until_the_end().await;
    count_becomes(2, &mut ann, &mut bob, A_LEASE_AND_MORE).await;

    // Started again on the same port, it serves the same room.
    let url = &room.announcement.replicas[2].url;
    let mut eve = until("the killed gateway is back", SOON, async || ChatClient::try_connect("eve", url).await).await;
    count_becomes(3, &mut eve, &mut ann, SOON).await;
    // Bob and Ann are the same clients as before: whoever had been cut off could not speak now.
    bob.say("still here").await;
    ann.reads_until(&with_count("still here", 3)).await;
    let told = room.tool.stderr().all().join("\n");
    assert!(told.contains("lobby-2"), "the tool tells which gateway ended:\n{told}");
}

#[tokio::test]
async fn a_redis_that_is_lost_with_all_its_data_costs_nobody_the_connection() {
    if is_missing_for("a_redis_that_is_lost_with_all_its_data_costs_nobody_the_connection") {
        return;
    }
    let mut redis = RedisServer::start(ports::free_block()).await;
    let room = LocalRoom::start(&["--replicas", "3", "--redis", &redis.url()]).await;
    let mut ann = room.client("ann", 0).await;
    let mut bob = room.client("bob", 1).await;
    let mut cy = room.client("cy", 2).await;
    count_becomes(3, &mut ann, &mut bob, SOON).await;

    redis.kill().await;
    redis.start_again().await;

    count_becomes(3, &mut ann, &mut bob, A_LEASE_AND_MORE).await;
    cy.say("me too").await;
    ann.reads_until(&with_count("me too", 3)).await;
    bob.reads_until(&with_count("me too", 3)).await;
    // Cy heard the others as well, on the same socket.
    ann.say("good").await;
    cy.reads_until(&with_count("good", 3)).await;
}

#[tokio::test]
async fn a_message_said_while_redis_is_away_is_delivered_once_when_it_is_back() {
    if is_missing_for("a_message_said_while_redis_is_away_is_delivered_once_when_it_is_back") {
        return;
    }
    let mut redis = RedisServer::start(ports::free_block()).await;
    let room = LocalRoom::start(&["--replicas", "2", "--redis", &redis.url()]).await;
    let mut ann = room.client("ann", 0).await;
    let mut bob = room.client("bob", 1).await;
    count_becomes(2, &mut ann, &mut bob, SOON).await;

    redis.kill().await;
    ann.say("into the dark").await;
    redis.start_again().await;
    ann.say("end").await;
    // How many people a Redis that has just lost everything counts is another test's question.
    let mut heard = Vec::new();
    while !heard.iter().any(|text: &String| text.starts_with("end(")) {
        match bob.next().await {
            Received::Text(text) => heard.push(text),
            other => panic!("{bob} received {other:?}"),
        }
    }
    let dark = heard.iter().filter(|text| text.starts_with("into the dark(")).count();
    assert_eq!(dark, 1, "{heard:?}");
}

#[tokio::test]
async fn a_silent_pubsub_connection_loses_nothing() {
    if is_missing_for("a_silent_pubsub_connection_loses_nothing") {
        return;
    }
    let redis = RedisServer::start(ports::free_block()).await;
    let room = LocalRoom::start(&["--replicas", "2", "--redis", &redis.url()]).await;
    let mut ann = room.client("ann", 0).await;
    let mut bob = room.client("bob", 1).await;
    count_becomes(2, &mut ann, &mut bob, SOON).await;

    let mut connection = redis.connection().await;
    for number in 0..20 {
        ann.say(&format!("number {number}")).await;
        if number % 5 == 2 {
            let _: i64 =
                redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").query_async(&mut connection).await.unwrap();
        }
    }
    for number in 0..20 {
        bob.hears(&with_count(&format!("number {number}"), 2)).await;
    }
}
