//! The last work of a gateway that drains.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use chatroom_gateway::functions::Told;
use tokio::time::Instant;

use super::port::{Function, Gateway, refused, silent};
use super::room;

/// Long enough for whatever is to be done.
fn in_a_minute() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[tokio::test(start_paused = true)]
async fn what_is_due_is_told_before_a_gateway_ends() {
    let function = Function::new(|_| (Duration::from_secs(1), Told::Done));
    let gateway = Gateway::start(&room(), &function).await;
    let ids = gateway.end(40).await;
    let began = Instant::now();
    assert_eq!(gateway.cleanup.work_off(in_a_minute()).await, 0);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(gateway.counts().await.waiting, 0);
    assert_eq!(function.told().into_iter().collect::<BTreeSet<_>>(), ids.into_iter().collect());
    gateway.end(1).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(function.told().len(), 40, "it rests");
}

#[tokio::test(start_paused = true)]
async fn the_last_gateway_tries_what_was_put_off_and_one_of_several_leaves_it() {
    for others in [false, true] {
        let (room, function) = (room(), Function::always(refused()));
        let gateway = Gateway::start(&room, &function).await;
        let _other = if others { Some(Gateway::start(&room, &Function::always(refused())).await) } else { None };
        gateway.counts().await;
        gateway.host.leaseless.store(false, SeqCst);
        gateway.end(1).await;
        // Put off by a minute and more.
        function.called(if others { 1 } else { 4 }).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let calls = function.calls().len();
        let began = Instant::now();
        assert_eq!(gateway.cleanup.work_off(in_a_minute()).await, 0);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        assert_eq!(function.calls().len() - calls, usize::from(!others));
        assert_eq!(gateway.counts().await.waiting, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_gateway_waits_for_a_function_that_is_back_soon() {
    let function = Function::always(silent());
    let gateway = Gateway::start(&room(), &function).await;
    gateway.end(30).await;
    function.called(1).await;
    let back = Instant::now() + Duration::from_secs(12);
    function.answers(move |_| (Duration::ZERO, if Instant::now() < back { silent() } else { Told::Done }));
    gateway.cleanup.work_off(in_a_minute()).await;
    assert_eq!(gateway.counts().await.waiting, 0);
    assert!(back.elapsed() < Duration::from_secs(10), "{:?}", back.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_work_ends_with_the_deadline() {
    let function = Function::always(silent());
    let gateway = Gateway::start(&room(), &function).await;
    let owed = gateway.me.random_connection();
    gateway.host.owed.lock().unwrap().push(owed);
    gateway.end(3).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    assert_eq!(gateway.cleanup.work_off(deadline).await, 1);
    assert_eq!(Instant::now(), deadline);
}

#[tokio::test(start_paused = true)]
async fn ends_that_redis_did_not_take_are_told_directly() {
    // The first answers are bad, so that a second try is needed.
    let function = Function::new(|call| (Duration::from_millis(10), if call < 3 { refused() } else { Told::Done }));
    let gateway = Gateway::start(&room(), &function).await;
    gateway.host.leaseless.store(true, SeqCst);
    let owed: Vec<_> = (0..40).map(|_| gateway.me.random_connection()).collect();
    gateway.host.owed.lock().unwrap().clone_from(&owed);
    let began = Instant::now();
    assert_eq!(gateway.cleanup.work_off(in_a_minute()).await, 0);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(function.told().into_iter().collect::<BTreeSet<_>>(), owed.iter().copied().collect());
    assert_eq!(function.told().len(), 43, "each once, and three again");
    assert!(function.most_at_once() <= 16);
}

#[tokio::test(start_paused = true)]
async fn what_was_told_directly_makes_no_event_when_redis_takes_it_after_all() {
    let function = Function::always(Told::Done);
    let gateway = Gateway::start(&room(), &function).await;
    let owed = gateway.me.random_connection();
    gateway.host.owed.lock().unwrap().push(owed);
    assert_eq!(gateway.cleanup.work_off(in_a_minute()).await, 0);
    let end = chatroom_gateway::backplane::End { id: owed, event: Some("details".into()) };
    gateway.backplane.unregister(gateway.me, vec![end], true).await.unwrap();
    assert_eq!(gateway.counts().await.waiting, 0);
}
