//! Whatever the functions answer, the clients do and the gateways suffer: the end of every connection that the register
//! function may have let in is told, no other is, and nothing is told of a connection after its end.
//!
//! Cases are played by the clock and mostly wait, so several are played at once. `PROPTEST_CASES` plays more of them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in a test a panic is the report, and a line is for its reader"
)]

mod case;
mod judge;
mod node;
mod scene;
#[path = "../support/mod.rs"]
mod support;
mod told;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use case::Case;
use chatroom_gateway::backplane::Backplane;
use chatroom_gateway::backplane::memory::Memory;
use judge::{Tally, judge};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use scene::{Backplanes, play};

fn memory() -> Backplanes {
    let room = Memory::new();
    [(); _].map(|()| Arc::new(room.clone()) as Arc<dyn Backplane>)
}

/// Plays one case; fails with what was wrong.
fn check(case: &Case, backplanes: Backplanes, tally: &Mutex<Tally>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(play(case, backplanes));
    tally.lock().unwrap().add(&outcome);
    let wrong = judge(case, &outcome);
    if wrong.is_empty() {
        return Ok(());
    }
    // It may take a while until there is a smaller one.
    println!("{case:?}\n{wrong:#?}");
    Err(wrong.join("\n"))
}

/// Plays random cases, `at_once` of them at a time.
fn explore(cases: u32, at_once: u32, room: impl Fn() -> Backplanes + Sync) -> Tally {
    #[allow(clippy::disallowed_methods, reason = "how long to look is for whoever looks to say")]
    let asked_for = std::env::var("PROPTEST_CASES").ok().map(|cases| cases.parse().unwrap());
    let config = Config {
        cases: asked_for.unwrap_or(cases).div_ceil(at_once),
        // Each try takes seconds.
        max_shrink_iters: 30,
        max_shrink_time: 60_000,
        failure_persistence: None,
        ..Config::default()
    };
    let tally = Mutex::default();
    let worker = || {
        TestRunner::new(config.clone())
            .run(&Case::any(), |case| check(&case, room(), &tally).map_err(TestCaseError::fail))
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            if let Err(error) = worker.join().unwrap() {
                panic!("{error}");
            }
        }
    });
    let tally = tally.into_inner().unwrap();
    println!("{tally:?}");
    tally
}

#[test]
fn every_answer_and_every_client() {
    let tally = Mutex::default();
    if let Err(wrong) = check(&Case::grid(), memory(), &tally) {
        panic!("{wrong}");
    }
    println!("{tally:?}");
}

#[test]
fn in_memory_every_end_is_told_and_nothing_after_it() {
    let tally = explore(48, 8, memory);
    assert!(tally.seated > 0 && tally.messages > 0 && tally.swept > 0 && tally.ends > tally.swept, "{tally:?}");
}

#[test]
fn in_redis_every_end_is_told_and_nothing_after_it() {
    let Some(server) = support::redis::Server::start(&[]) else { return };
    let rooms = AtomicUsize::new(0);
    let tally = explore(12, 4, || {
        let room = format!("lives-{}", rooms.fetch_add(1, Ordering::Relaxed));
        [(); _].map(|()| server.backplane(&room))
    });
    assert!(tally.seated > 0 && tally.ends > 0, "{tally:?}");
}
