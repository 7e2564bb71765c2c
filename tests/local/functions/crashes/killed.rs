//! A gateway is killed while its room talks.

use std::collections::BTreeSet;
use std::time::Duration;

use chatroom_tests::chat::Received;
use chatroom_tests::functions::Function;
use chatroom_tests::process;
use chatroom_tests::redis_server::{Memory, is_missing_for};
use chatroom_tests::wait::{SOON, until};
use nix::sys::signal::Signal;
use tokio::time::Instant;

use super::{Guest, World, ids, leave, measured};

const CLIENTS: usize = 500;
/// The first so many of them speak, a third of them at the gateway that is killed.
const SPEAKERS: usize = 9;
/// What each of the others says.
const WORDS: usize = 20;
/// What each at the killed gateway would say: more than it comes to.
const DOOMED_WORDS: usize = 300;
/// The kill comes when so much was told.
const TOLD_BEFORE: usize = 60;
/// Not the one through which functions push.
const DOOMED: usize = 1;

#[tokio::test]
async fn a_gateway_killed_among_five_hundred_clients_costs_the_others_no_word_and_the_functions_no_end() {
    if is_missing_for("a_gateway_killed_among_five_hundred_clients_costs_the_others_no_word_and_the_functions_no_end") {
        return;
    }
    let world = World::start(Memory::Volatile, Duration::from_secs(30)).await;
    let mut guests = world.guests(CLIENTS).await;
    let mut expected = BTreeSet::new();
    for (number, guest) in guests.iter_mut().enumerate().take(SPEAKERS) {
        let is_doomed = guest.gateway == DOOMED;
        for word in 0..if is_doomed { DOOMED_WORDS } else { WORDS } {
            let text = format!("{number} says {word}");
            guest.client.say(&text).await;
            if !is_doomed {
                expected.insert(text);
            }
        }
    }
    until("some of it is told", SOON, async || match world.functions.calls_of(Function::Transport).len() {
        told if told >= TOLD_BEFORE => Ok(()),
        told => Err(told),
    })
    .await;
    process::send(world.room.announcement.replicas[DOOMED].pid, Signal::SIGKILL);
    let killed_at = Instant::now();

    let (doomed, mut others): (Vec<_>, Vec<_>) = guests.into_iter().partition(|guest| guest.gateway == DOOMED);
    let gone = ids(&doomed);
    for mut guest in doomed {
        guest.client.reads_until_the_end().await;
    }
    measured("from the kill to the last end told", killed_at, world.are_cleaned_up(&gone).await);

    until("all that the others said is told and pushed", SOON, async || {
        let told = world.functions.calls_of(Function::Transport);
        let missing = expected.iter().filter(|text| !told.iter().any(|call| call.text == **text)).count();
        let pushed = world.functions.pushed().len();
        if missing == 0 && pushed == told.len() { Ok(()) } else { Err(format!("{missing} not told, {pushed} pushed")) }
    })
    .await;
    everybody_heard_the_others_once(&world, &mut others).await;
    let told = world.functions.calls_of(Function::Transport);
    let of_the_doomed = told.iter().filter(|call| gone.contains(&call.id)).count();
    assert!((1..DOOMED_WORDS * SPEAKERS / 3).contains(&of_the_doomed), "killed while they spoke: {of_the_doomed}");

    leave(others).await;
    world.are_cleaned_up(&world.functions.ids(Function::Register)).await;
    world.kept_its_promises().await;
}

/// Each hears once what the functions were told by others, also what the killed gateway's clients still could say.
async fn everybody_heard_the_others_once(world: &World, guests: &mut [Guest]) {
    assert!(world.functions.pushed().iter().all(|status| *status == 200), "{:?}", world.functions.pushed());
    world.push("the last word").await.expect("the room takes it");
    let told = world.functions.calls_of(Function::Transport);
    for guest in guests {
        let of_others = told.iter().filter(|call| call.id != guest.id);
        let mut expected: Vec<_> = of_others.map(|call| Received::Text(call.text.clone())).collect();
        let mut heard = guest.client.reads_until("the last word").await;
        heard.sort_by_key(|received| format!("{received:?}"));
        expected.sort_by_key(|received| format!("{received:?}"));
        assert!(heard == expected, "{} heard {} of {}", guest.client, heard.len(), expected.len());
    }
}
