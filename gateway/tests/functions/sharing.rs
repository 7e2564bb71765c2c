//! Many callers of one function: slots, kept connections, the breaker, and callers who go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use chatroom_gateway::functions::{
    CLEANUP_SLOTS, NoAnswer, Permission, Permit, Registered, SLOTS, Told, TransportError,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::room::{Called, LONG, Room, client, id, message, until};
use crate::support::functions::{FunctionServer, Then, nobody};

const UNREACHABLE: Registered = Registered::Failed { why: NoAnswer::Unreachable, owed: false };

/// So many messages at once, each of its own client.
fn talk(room: &Called, messages: usize) -> JoinSet<Result<(), TransportError>> {
    let mut talking = JoinSet::new();
    for _ in 0..messages {
        let functions = room.functions.clone();
        talking.spawn(async move { functions.transport(id(1), &message("hello")).await });
    }
    talking
}

async fn register(room: &Called) -> Registered {
    timeout(LONG, room.functions.register(&client())).await.unwrap()
}

/// A server whose transport function waits for a sign, and whose others answer.
fn slow_transport() -> (FunctionServer, watch::Sender<bool>) {
    let go = watch::Sender::new(false);
    let wait = go.subscribe();
    let server = FunctionServer::start(move |call| match call.path.as_str() {
        "/transport" => Then::Wait(wait.clone(), Box::new(Then::status(200))),
        _ => Then::accept(),
    });
    (server, go)
}

#[tokio::test]
async fn the_sixty_fifth_call_waits_for_a_slot() {
    let (server, go) = slow_transport();
    let room = Room::at(server.address).patiently().open();
    let talking = talk(&room, SLOTS + 1);
    server.heard(SLOTS).await;
    assert_eq!(room.in_flight("transport"), SLOTS as i64);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.calls().len(), SLOTS);
    go.send_replace(true);
    assert!(timeout(LONG, talking.join_all()).await.unwrap().iter().all(Result::is_ok));
    assert_eq!(server.calls().len(), SLOTS + 1);
    assert_eq!(room.in_flight("transport"), 0);
}

#[tokio::test]
async fn a_message_that_gets_no_slot_in_time_was_surely_not_sent() {
    let (server, _go) = slow_transport();
    let mut room = Room::at(server.address).patiently();
    room.settings.transport.as_mut().unwrap().timeout_seconds = 2;
    let room = room.open();
    let talking = talk(&room, SLOTS + 3);
    let ends = timeout(LONG, talking.join_all()).await.unwrap();
    assert!(ends.iter().all(|end| *end == Err(TransportError::Unavailable)));
    assert_eq!(room.count("transport", "timed_out") + room.count("transport", "no_slot"), SLOTS as u64 + 3);
    assert!(room.count("transport", "timed_out") >= SLOTS as u64);
}

#[tokio::test]
async fn a_slow_transport_function_holds_nobody_else_up() {
    let (server, _go) = slow_transport();
    let room = Room::at(server.address).patiently().open();
    let _talking = talk(&room, SLOTS * 2);
    server.heard(SLOTS).await;
    assert_eq!(register(&room).await, Registered::Accepted { subprotocol: None });
    assert_eq!(room.functions.cleanup(id(1)).await, Told::Done);
}

#[tokio::test]
async fn many_cleanups_hold_nobody_else_up_and_are_few_at_a_time() {
    let server = FunctionServer::start(|call| if call.path == "/cleanup" { Then::Hang } else { Then::accept() });
    let room = Room::at(server.address).patiently().open();
    let mut telling = JoinSet::new();
    for number in 0..40 {
        let functions = room.functions.clone();
        telling.spawn(async move { functions.cleanup(id(number)).await });
    }
    server.heard(CLEANUP_SLOTS).await;
    assert_eq!(register(&room).await, Registered::Accepted { subprotocol: None });
    assert_eq!(room.functions.transport(id(1), &message("hello")).await, Ok(()));
    assert_eq!(server.calls().iter().filter(|call| call.path == "/cleanup").count(), CLEANUP_SLOTS);
}

#[tokio::test]
async fn who_goes_gives_the_slot_back() {
    let (server, go) = slow_transport();
    let room = Room::at(server.address).patiently().open();
    let mut talking = talk(&room, SLOTS);
    server.heard(SLOTS).await;
    talking.shutdown().await;
    assert_eq!(room.in_flight("transport"), 0);
    go.send_replace(true);
    let again = timeout(LONG, talk(&room, SLOTS).join_all()).await.unwrap();
    assert!(again.iter().all(Result::is_ok));
}

#[tokio::test]
async fn connections_are_kept_and_shared() {
    let server = FunctionServer::always(Then::accept());
    let room = Room::at(server.address).patiently().open();
    for _ in 0..20 {
        assert_eq!(register(&room).await, Registered::Accepted { subprotocol: None });
        assert_eq!(room.functions.transport(id(1), &message("hello")).await, Ok(()));
        assert_eq!(room.functions.cleanup(id(1)).await, Told::Done);
    }
    assert_eq!(server.calls().len(), 60);
    assert!(server.connections() < 10, "{}", server.connections());
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_costs_no_message() {
    let server = FunctionServer::always(Then::AnswerAndClose(200, String::new()));
    let room = Room::at(server.address).patiently().open();
    for round in 1..=20 {
        assert_eq!(room.functions.transport(id(1), &message("hello")).await, Ok(()), "{round}");
        // The close has to arrive: what meets it on the way has an unknown fate.
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert_eq!((server.calls().len(), server.connections()), (20, 20));
}

#[tokio::test]
async fn what_is_left_of_an_answer_is_not_taken_for_the_next_one() {
    let body = "x".repeat(8 * 1024 * 1024);
    let server = FunctionServer::always(Then::Answer(200, "", body));
    let room = Room::at(server.address).patiently().open();
    for _ in 0..5 {
        assert_eq!(room.functions.transport(id(1), &message("hello")).await, Ok(()));
    }
    assert_eq!((server.calls().len(), server.connections()), (5, 5));
}

#[tokio::test]
async fn a_function_that_is_down_is_called_now_and_then_only_and_found_when_it_is_back() {
    let address = nobody();
    let mut room = Room::at(address).patiently().breaks_after(3);
    room.patience.breaker.first_wait = Duration::from_secs(2);
    room.patience.breaker.longest_wait = Duration::from_secs(2);
    let room = room.open();
    for _ in 0..3 {
        assert!(!room.is_open("register"));
        assert_eq!(register(&room).await, UNREACHABLE);
    }
    assert!(room.is_open("register"));
    for _ in 0..20 {
        assert_eq!(register(&room).await, UNREACHABLE);
    }
    assert_eq!((room.count("register", "unreachable"), room.count("register", "breaker_open")), (3, 20));
    // The others were not called, and are.
    assert!(!room.is_open("transport"));

    let server = FunctionServer::start_at(address, |_| Then::accept());
    assert_eq!(room.functions.transport(id(1), &message("hello")).await, Ok(()));
    let found = timeout(LONG, async {
        while register(&room).await == UNREACHABLE {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    found.await.expect("the function is found");
    assert!(!room.is_open("register"));
    assert_eq!(server.heard(2).await.len(), 2);
}

#[tokio::test]
async fn messages_wait_while_the_breaker_is_open_and_one_of_them_tries() {
    let address = nobody();
    let mut room = Room::at(address).patiently().breaks_after(2);
    room.patience.breaker.first_wait = Duration::from_millis(200);
    room.patience.breaker.longest_wait = Duration::from_millis(200);
    let room = room.open();
    let talking = talk(&room, 100);
    until("open", || room.is_open("transport")).await;
    let server = FunctionServer::start_at(address, |_| Then::status(200));
    assert!(timeout(LONG, talking.join_all()).await.unwrap().iter().all(Result::is_ok));
    assert_eq!(server.calls().len(), 100);
}

#[tokio::test]
async fn a_function_that_never_answers_opens_the_breaker_too() {
    let server = FunctionServer::start(|call| if call.path == "/register" { Then::Hang } else { Then::status(200) });
    let room = Room::at(server.address).breaks_after(3).open();
    let mut asking = JoinSet::new();
    for _ in 0..3 {
        let functions = room.functions.clone();
        asking.spawn(async move { functions.register(&client()).await });
    }
    let ends = timeout(LONG, asking.join_all()).await.unwrap();
    assert!(ends.iter().all(|end| *end == Registered::Failed { why: NoAnswer::TimedOut, owed: true }));
    assert!(room.is_open("register") && !room.is_open("transport"));
}

#[tokio::test]
async fn answers_of_any_kind_keep_the_breaker_closed() {
    let server = FunctionServer::always(Then::status(500));
    let room = Room::at(server.address).breaks_after(1).open();
    for _ in 0..5 {
        register(&room).await;
    }
    assert_eq!(server.calls().len(), 5);
    assert!(!room.is_open("register"));
}

#[tokio::test]
async fn a_try_that_is_given_up_is_followed_by_another_one() {
    let address = nobody();
    let room = Room::at(address).patiently().breaks_after(1).open();
    assert_eq!(register(&room).await, UNREACHABLE);
    let hangs = Arc::new(AtomicBool::new(true));
    let still = Arc::clone(&hangs);
    let server =
        FunctionServer::start_at(address, move |_| if still.load(SeqCst) { Then::Hang } else { Then::accept() });
    let functions = room.functions.clone();
    let probe = tokio::spawn(async move {
        while functions.register(&client()).await == UNREACHABLE {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    server.heard(1).await;
    assert_eq!(register(&room).await, UNREACHABLE, "one at a time");
    probe.abort();
    let _ = probe.await;
    hangs.store(false, SeqCst);
    assert_eq!(register(&room).await, Registered::Accepted { subprotocol: None });
}

#[tokio::test]
async fn a_gateway_that_lost_touch_calls_no_function_until_it_is_back_and_never_for_a_dead_connection() {
    let server = FunctionServer::start(|call| if call.path == "/register" { Then::accept() } else { Then::ok("") });
    let (change, standing) = watch::channel(Permission::NotNow);
    let mut room = Room::at(server.address).patiently();
    room.permit = Permit::new(move |_| *standing.borrow());
    let called = room.open();
    assert_eq!(
        register(&called).await,
        Registered::Failed { why: NoAnswer::Unreachable, owed: false },
        "whoever wants in is told at once"
    );
    let hello = message("hello");
    let waits = called.functions.transport(id(1), &hello);
    let back = async {
        assert!(server.calls().is_empty());
        change.send_replace(Permission::Granted);
    };
    let (told, ()) = tokio::join!(waits, back);
    assert_eq!((told, server.calls().len()), (Ok(()), 1));
    change.send_replace(Permission::Never);
    assert_eq!(called.functions.transport(id(1), &message("too late")).await, Err(TransportError::Unavailable));
    assert_eq!(server.calls().len(), 1);
    assert_eq!(called.functions.cleanup(id(1)).await, Told::Done, "that it is dead is what this one is about");
}

#[tokio::test]
async fn each_end_is_a_call_also_of_a_cleanup_function_that_is_down() {
    let room = Room::at(nobody()).patiently().breaks_after(1).open();
    for _ in 0..10 {
        assert!(matches!(room.functions.cleanup(id(1)).await, Told::Failed { answered: false, .. }));
    }
    assert_eq!(room.count("cleanup", "unreachable"), 10);
}
