//! No end goes untold: of clients that leave, and of those that a killed gateway takes with it.

use std::time::Duration;

use chatroom_tests::conversation::with_count;
use chatroom_tests::process;
use chatroom_tests::wait::{SOON, until};
use nix::sys::signal::Signal;

use super::{Running, are_missing_for};

/// What was held by a killed gateway is noticed after a lease, and told within 30 s of that.
const NOTICED_AND_TOLD: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_cleanup_function_is_told_of_each_client_of_a_killed_gateway_and_in_the_end_of_everybody() {
    if are_missing_for("the_cleanup_function_is_told_of_each_client_of_a_killed_gateway_and_in_the_end_of_everybody") {
        return;
    }
    let (running, clients) = Running::start(&[]).await;
    let came = running.told("comes");
    assert_eq!(came.len(), clients.len());
    // Not the one through which the functions push.
    process::send(running.room.announcement.replicas[1].pid, Signal::SIGKILL);
    let mut survivors = Vec::new();
    for (index, mut client) in clients.into_iter().enumerate() {
        if index % 3 == 1 {
            client.reads_until_the_end().await;
        } else {
            survivors.push(client);
        }
    }
    let lost = came.len() - survivors.len();
    until("the functions know who went with the gateway", NOTICED_AND_TOLD, async || {
        match running.told("goes").len() {
            told if told == lost => Ok(()),
            told => Err(format!("they were told of {told} of {lost}")),
        }
    })
    .await;
    let online = survivors.len();
    let (speaker, listeners) = survivors.split_last_mut().expect("two gateways are left");
    speaker.say("who is still here?").await;
    for listener in listeners {
        listener.hears(&with_count("who is still here?", online)).await;
    }
    for client in survivors {
        client.leave().await;
    }
    until("the functions know that everybody is gone", SOON, async || match running.told("goes") {
        told if told == came => Ok(()),
        told => Err(format!("they were told of {} of {}", told.len(), came.len())),
    })
    .await;
}
