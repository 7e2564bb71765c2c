//! A gateway stands still for longer than its lease, and then goes on.

use std::time::Duration;

use chatroom_tests::functions::Function;
use chatroom_tests::redis_server::{Memory, is_missing_for};
use chatroom_tests::wait::{SOON, until};
use chatroom_tests::{http, process};
use nix::sys::signal::Signal;
use tokio::time::Instant;

use super::{INCARNATION, World, ids, leave, measured};
use crate::run::Replica;

const CLIENTS: usize = 15;
/// Not the one through which functions push.
const FROZEN: usize = 1;

#[tokio::test]
async fn clients_of_a_frozen_gateway_are_over_once_it_was_declared_dead_and_come_back_as_others() {
    if is_missing_for("clients_of_a_frozen_gateway_are_over_once_it_was_declared_dead_and_come_back_as_others") {
        return;
    }
    let mut world = World::start(Memory::Volatile, Duration::from_secs(30)).await;
    let (mut frozen, mut others): (Vec<_>, Vec<_>) =
        world.guests(CLIENTS).await.into_iter().partition(|guest| guest.gateway == FROZEN);
    let Replica { pid, internal_url, .. } = &world.room.announcement.replicas[FROZEN];
    // What the gateway holds for functions that are away, it would say in the moment in which it wakes.
    world.functions.stop().await;
    for guest in &mut frozen {
        guest.client.say("from the ice").await;
    }
    has_received(internal_url, frozen.len()).await;
    process::send(*pid, Signal::SIGSTOP);
    process::has_stopped(*pid).await;
    let frozen_at = Instant::now();
    world.functions.start_again().await;
    for guest in &mut frozen {
        guest.client.say("from deep in the ice").await;
    }
    measured("from the freeze to the last end told", frozen_at, world.are_cleaned_up(&ids(&frozen)).await);
    // Those who are frozen never hear of it.
    others[0].client.say("they are gone").await;
    for guest in &mut others[1..] {
        guest.client.hears("they are gone").await;
    }

    process::send(*pid, Signal::SIGCONT);
    let dead = &frozen[0].id[..INCARNATION].to_owned();
    for guest in &mut frozen {
        guest.client.is_closed_with(1012).await;
    }
    for _ in 0..frozen.len() {
        let guest = world.guest(FROZEN).await;
        assert!(!guest.id.starts_with(dead), "{} comes from the dead {dead}", guest.id);
        others.push(guest);
    }
    world.counts(others.len()).await;
    let (speaker, listeners) = others.split_last_mut().expect("somebody is there");
    speaker.client.say("from the living").await;
    for guest in listeners {
        guest.client.reads_until("from the living").await;
    }
    let told = world.functions.calls_of(Function::Transport);
    assert!(!told.iter().any(|call| call.text.ends_with("ice")), "{told:?}");

    leave(others).await;
    world.are_cleaned_up(&world.functions.ids(Function::Register)).await;
    world.kept_its_promises().await;
}

async fn has_received(internal_url: &str, messages: usize) {
    let wanted = format!("chatroom_gateway_messages_received_total {messages}");
    until("the gateway has what its clients said", SOON, async || {
        let metrics = http::get(&format!("{internal_url}/metrics")).await?;
        if metrics.body().lines().any(|line| line == wanted) {
            Ok(())
        } else {
            Err(anyhow::anyhow!("{}", metrics.body()))
        }
    })
    .await;
}
