//! The cleanup worker against a function that a test plays: nothing is lost, nothing is told twice at once, and a function
//! that is down is left in peace.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in a test a panic is the report, and a line is for its reader"
)]

mod dead;
mod draining;
mod port;
#[path = "../support/mod.rs"]
mod support;
mod swept;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use chatroom_gateway::backplane::Backplane;
use chatroom_gateway::backplane::memory::Memory;
use chatroom_gateway::functions::Told;
use port::{Function, Gateway, TIMEOUT, refused, silent};
use tokio::time::Instant;

fn room() -> Arc<dyn Backplane> {
    Arc::new(Memory::new())
}

/// Whether it is that many seconds, by a fifth more or less and a little for what lies between.
fn about(time: Duration, seconds: f64) -> bool {
    let time = time.as_secs_f64();
    time >= seconds * 0.8 - 0.01 && time <= seconds * 1.2 + 0.1
}

#[tokio::test(start_paused = true)]
async fn an_end_is_told_at_once_and_once() {
    let function = Function::always(Told::Done);
    let gateway = Gateway::start(&room(), &function).await;
    let ids = gateway.end(3).await;
    let calls = function.called(3).await;
    assert!(calls.iter().all(|(at, _)| *at < Duration::from_millis(100)), "{calls:?}");
    gateway.all_told().await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(function.told().into_iter().collect::<BTreeSet<_>>(), ids.into_iter().collect());
    assert_eq!((function.told().len(), gateway.results()), (3, [3, 0, 0]));
    let status = gateway.cleanup.status().unwrap();
    assert_eq!((status.waiting, status.dead, status.problem.as_str()), (0, 0, ""));
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_refused_is_tried_again_after_growing_waits() {
    let function = Function::always(refused());
    let gateway = Gateway::start(&room(), &function).await;
    gateway.end(1).await;
    let calls = function.called(9).await;
    let waits: Vec<_> = calls.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    for (wait, seconds) in waits.iter().zip([1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0, 1_800.0, 1_800.0]) {
        assert!(about(*wait, seconds), "{seconds} s: {waits:?}");
    }
    let status = gateway.cleanup.status().unwrap();
    assert_eq!((status.waiting, status.problem.as_str()), (1, "it answered 500"));
    function.answers(|_| (Duration::ZERO, Told::Done));
    gateway.all_told().await;
    assert_eq!(gateway.cleanup.status().unwrap().problem, "");
}

#[tokio::test(start_paused = true)]
async fn what_the_function_asks_for_is_heeded() {
    let asks =
        Told::Failed { answered: true, retry_after: Some(Duration::from_secs(40)), why: "it answered 429".into() };
    let function = Function::always(asks);
    let gateway = Gateway::start(&room(), &function).await;
    gateway.end(1).await;
    let calls = function.called(2).await;
    let wait = calls[1].0 - calls[0].0;
    assert!(wait >= Duration::from_secs(40) && wait < Duration::from_secs(44), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_nobody_wants_to_hear_of_is_done() {
    let function = Function::always(Told::Unwanted);
    let gateway = Gateway::start(&room(), &function).await;
    gateway.end(1).await;
    gateway.all_told().await;
    assert_eq!((function.told().len(), gateway.counts().await.dead), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_end_is_given_up_after_a_day_and_comes_back_when_replayed() {
    let function = Function::always(refused());
    let gateway = Gateway::start(&room(), &function).await;
    let ids = gateway.end(1).await;
    gateway.all_told().await;
    let calls = function.calls();
    assert!(about(calls.last().unwrap().0, 24.0 * 3_600.0), "{calls:?}");
    let dead = gateway.backplane.dead().await.unwrap();
    assert_eq!((dead[0].id, dead[0].tries, dead[0].why.as_str()), (ids[0], calls.len() as u64, "it answered 500"));
    assert_eq!((gateway.counts().await.dead, gateway.results()[2]), (1, 1));
    tokio::time::sleep(Duration::from_secs(24 * 3_600)).await;
    assert_eq!(function.calls().len(), calls.len(), "no more of it");

    function.answers(|_| (Duration::ZERO, Told::Done));
    let before = Instant::now();
    gateway.backplane.replay(vec![dead[0].place.clone()]).await.unwrap();
    gateway.all_told().await;
    assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
    assert_eq!(gateway.counts().await.dead, 0);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_is_down_is_asked_one_at_a_time_and_hears_everything_when_it_is_back() {
    let function = Function::always(silent());
    let gateway = Gateway::start(&room(), &function).await;
    let ids = gateway.end(200).await;
    function.called(1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let first = function.calls().len();
    assert!(first <= 16, "{first} calls before it was known to be down");
    function.answers(|_| (Duration::from_millis(200), silent()));
    function.most_at_once();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let probes = function.calls().len() - first;
    assert!((100..=125).contains(&probes), "about one in 5 s: {probes}");
    assert_eq!(function.most_at_once(), 1);
    let probed: BTreeSet<_> = function.told().into_iter().collect();
    assert!(probed.len() > 100, "the oldest first, not always the same");

    function.answers(|_| (Duration::from_millis(50), Told::Done));
    let (back, calls) = (Instant::now(), function.calls().len());
    gateway.all_told().await;
    assert!(back.elapsed() < Duration::from_secs(30), "{:?}", back.elapsed());
    assert_eq!(function.most_at_once(), 16, "at most");
    let told: Vec<_> = function.told().split_off(calls);
    assert_eq!((told.len(), told.into_iter().collect::<BTreeSet<_>>()), (200, ids.into_iter().collect()));
}

#[tokio::test(start_paused = true)]
async fn what_was_put_off_is_due_when_a_function_is_back() {
    let function = Function::always(refused());
    let gateway = Gateway::start(&room(), &function).await;
    let mut ids = gateway.end(5).await;
    // Put off by five minutes, each of them.
    function.called(25).await;
    function.answers(|_| (Duration::ZERO, silent()));
    ids.extend(gateway.end(1).await);
    function.called(26).await;
    function.answers(|_| (Duration::ZERO, Told::Done));
    let back = Instant::now();
    gateway.all_told().await;
    assert!(back.elapsed() < Duration::from_secs(10), "{:?}", back.elapsed());
    assert_eq!(function.told().split_off(26).into_iter().collect::<BTreeSet<_>>(), ids.into_iter().collect());
}

#[tokio::test(start_paused = true)]
async fn a_gateway_without_a_lease_calls_nobody() {
    let function = Function::always(Told::Done);
    let gateway = Gateway::start(&room(), &function).await;
    gateway.host.leaseless.store(true, SeqCst);
    gateway.end(20).await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(function.calls(), []);
    assert_eq!(gateway.cleanup.status().unwrap().problem, "", "to wait is no problem");
    gateway.host.leaseless.store(false, SeqCst);
    let back = Instant::now();
    gateway.all_told().await;
    assert!(back.elapsed() < Duration::from_secs(10), "{:?}", back.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_a_worker_had_in_hand_when_it_died_is_told_by_another() {
    let room = room();
    let hangs = Function::new(|_| (Duration::from_secs(1_000), Told::Done));
    let first = Gateway::start(&room, &hangs).await;
    let ids = first.end(3).await;
    hangs.called(3).await;
    first.kill().await;
    let died = Instant::now();
    let function = Function::always(Told::Done);
    let second = Gateway::start(&room, &function).await;
    second.all_told().await;
    assert_eq!(function.told().into_iter().collect::<BTreeSet<_>>(), ids.into_iter().collect());
    let hidden = TIMEOUT + Duration::from_secs(5);
    assert!(died.elapsed() <= hidden + Duration::from_secs(1), "{:?}", died.elapsed());
    assert!(function.calls()[0].0 >= hidden - Duration::from_millis(100), "{:?}", function.calls());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_on_one_redis_share_the_ends() {
    let Some(server) = support::redis::Server::start(&[]) else { return };
    // Fails now and then, so that ends come back while both are at it; and says so when one is told twice at once.
    let function = Function::new(|call| {
        let told = if call % 7 == 3 { refused() } else { Told::Done };
        (Duration::from_millis(5), told)
    });
    let rooms = [server.backplane("shared"), server.backplane("shared")];
    let mut gateways = Vec::new();
    for room in &rooms {
        room.connect().await.unwrap();
        gateways.push(Gateway::start(room, &function).await);
    }
    let mut ids = BTreeSet::new();
    for _ in 0..20 {
        for gateway in &gateways {
            ids.extend(gateway.end(5).await);
        }
    }
    gateways[0].all_told().await;
    let delivered: Vec<u64> = gateways.iter().map(|gateway| gateway.results()[0]).collect();
    assert_eq!(delivered.iter().sum::<u64>(), ids.len() as u64, "each once");
    assert!(delivered.iter().all(|told| *told > 0), "both worked: {delivered:?}");
    assert_eq!(function.told().into_iter().collect::<BTreeSet<_>>(), ids);
}
