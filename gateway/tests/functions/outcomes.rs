//! Each way in which a function can behave, and what it means to whoever asked.

use std::time::Duration;

use chatroom_gateway::functions::{NoAnswer, Registered, Told, TransportError};
use tokio::time::timeout;

use crate::room::{Called, LONG, Room, client, id, message};
use crate::support::functions::{FunctionServer, Then, nobody};

fn accepted(subprotocol: Option<&str>) -> Registered {
    Registered::Accepted { subprotocol: subprotocol.map(str::to_owned) }
}

fn failed(why: NoAnswer, owed: bool) -> Registered {
    Registered::Failed { why, owed }
}

async fn register(room: &Called) -> Registered {
    timeout(LONG, room.functions.register(&client())).await.expect("register answers within its time-out")
}

async fn transport(room: &Called) -> Result<(), TransportError> {
    timeout(LONG, room.functions.transport(id(1), &message("hello"))).await.expect("transport ends within its time-out")
}

async fn cleanup(room: &Called) -> Told {
    timeout(LONG, room.functions.cleanup(id(1))).await.expect("cleanup ends within its time-out")
}

/// A body that breaks off.
const SHORT: Then = Then::Bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"errNo\":0,\"errMsg\":\"ok\"}");

#[tokio::test]
async fn register_hears_yes_and_no() {
    let said = |more: &str| Then::ok(&format!("{{\"errNo\":0,\"errMsg\":\"ok\"{more}}}"));
    let chosen = |what: &str| said(&format!(",\"websocket\":{{\"secWebSocketProtocol\":\"{what}\"}}"));
    let cases = [
        (said(""), accepted(None), "ok"),
        (chosen("binary"), accepted(Some("binary")), "ok"),
        (chosen("graph"), accepted(None), "ok"),
        (Then::ok(r#"{"errNo":7,"errMsg":"full"}"#), Registered::Refused, "refused"),
        (Then::AnswerAndClose(200, r#"{"errNo":0,"errMsg":"ok"}"#.into()), accepted(None), "ok"),
        (Then::Bytes("HTTP/1.0 200 OK\r\n\r\n{\"errNo\":0,\"errMsg\":\"ok\"}"), accepted(None), "ok"),
    ];
    for (then, expected, result) in cases {
        let shown = format!("{then:?}");
        let room = FunctionServer::always(then).keep();
        assert_eq!(register(&room.1).await, expected, "{shown}");
        assert_eq!(room.1.count("register", result), 1, "{shown}");
    }
}

#[tokio::test]
async fn register_without_a_good_answer_owes_an_end_unless_the_function_surely_did_not_say_yes() {
    let redirect = Then::Answer(302, "Location: /elsewhere\r\n", String::new());
    let large = Then::Answer(200, "", format!("{{\"errNo\":0,\"errMsg\":\"{}\"}}", " ".repeat(64 * 1024)));
    let cases = [
        (Then::status(400), failed(NoAnswer::Bad, false), "bad_status"),
        (Then::status(404), failed(NoAnswer::Bad, false), "bad_status"),
        (Then::status(429), failed(NoAnswer::Bad, false), "bad_status"),
        (Then::status(500), failed(NoAnswer::Bad, true), "bad_status"),
        (Then::status(204), failed(NoAnswer::Bad, true), "bad_status"),
        (Then::Answer(201, "", r#"{"errNo":0,"errMsg":"ok"}"#.into()), failed(NoAnswer::Bad, true), "bad_status"),
        (redirect, failed(NoAnswer::Bad, true), "bad_status"),
        (Then::Drip(500), failed(NoAnswer::Bad, true), "bad_status"),
        (Then::ok("send success"), failed(NoAnswer::Bad, true), "bad_answer"),
        (Then::ok(""), failed(NoAnswer::Bad, true), "bad_answer"),
        (large, failed(NoAnswer::Bad, true), "bad_answer"),
        (Then::Gigabyte(200), failed(NoAnswer::Bad, true), "bad_answer"),
        (SHORT, failed(NoAnswer::Bad, true), "bad_answer"),
        (Then::Die, failed(NoAnswer::Bad, true), "broken"),
        (Then::Bytes("what?\r\n\r\n"), failed(NoAnswer::Bad, true), "broken"),
        (Then::Hang, failed(NoAnswer::TimedOut, true), "timed_out"),
        (Then::Drip(200), failed(NoAnswer::TimedOut, true), "timed_out"),
        (Then::Bytes("HTTP/1.1 200 OK\r\n"), failed(NoAnswer::Bad, true), "broken"),
    ];
    for (then, expected, result) in cases {
        let shown = format!("{then:?}");
        let (server, room) = FunctionServer::always(then).keep();
        assert_eq!(register(&room).await, expected, "{shown:.200}");
        assert_eq!(room.count("register", result), 1, "{shown:.200}");
        // Nothing was followed, nothing asked twice.
        assert_eq!(server.calls().len(), 1, "{shown:.200}");
    }
}

#[tokio::test]
async fn register_does_not_wait_for_a_function_that_nobody_serves() {
    let room = Room::at(nobody()).patiently().open();
    assert_eq!(register(&room).await, failed(NoAnswer::Unreachable, false));
    assert_eq!(room.count("register", "unreachable"), 1);
}

#[tokio::test]
async fn a_server_that_dies_when_it_accepts_lets_nobody_in_and_hears_no_message() {
    let (server, room) = FunctionServer::dies_after_accept().keep();
    // Whether the end is seen before the request is begun is chance, and known afterwards.
    let possible = [failed(NoAnswer::Bad, true), failed(NoAnswer::Unreachable, false)];
    let registered = register(&room).await;
    assert!(possible.contains(&registered), "{registered:?}");
    assert_eq!(transport(&room).await, Err(TransportError::Unavailable));
    assert!(matches!(cleanup(&room).await, Told::Failed { answered: false, .. }));
    assert!(server.connections() >= 3);
}

#[tokio::test]
async fn addresses_of_the_link_are_not_connected_to_however_the_url_names_them() {
    for host in
        ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "2852039166", "0xa9fea9fe"]
    {
        let mut room = Room::at(nobody()).patiently();
        room.settings.register.as_mut().unwrap().url = format!("http://{host}:1/");
        room.settings.cleanup.as_mut().unwrap().url = format!("http://{host}/");
        let room = room.open();
        assert_eq!(register(&room).await, failed(NoAnswer::Unreachable, false), "{host}");
        let Told::Failed { why, .. } = cleanup(&room).await else { panic!("{host} was told") };
        assert!(why.contains("link-local"), "{host}: {why}");
    }
}

#[tokio::test]
async fn transport_counts_the_status_alone() {
    let large = Then::Answer(200, "", " ".repeat(1024 * 1024));
    let cases = [
        (Then::ok("send success"), Ok(()), "ok"),
        (Then::ok(""), Ok(()), "ok"),
        (large, Ok(()), "ok"),
        (Then::Gigabyte(200), Ok(()), "ok"),
        (SHORT, Ok(()), "ok"),
        (Then::status(204), Err(TransportError::Answered), "bad_status"),
        (Then::status(302), Err(TransportError::Answered), "bad_status"),
        (Then::status(404), Err(TransportError::Answered), "bad_status"),
        (Then::status(500), Err(TransportError::Answered), "bad_status"),
        (Then::status(503), Err(TransportError::Answered), "bad_status"),
        (Then::Gigabyte(500), Err(TransportError::Answered), "bad_status"),
        (Then::Drip(500), Err(TransportError::Answered), "bad_status"),
    ];
    for (then, expected, result) in cases {
        let shown = format!("{then:?}");
        let (server, room) = FunctionServer::always(then).keep();
        assert_eq!(transport(&room).await, expected, "{shown:.200}");
        assert_eq!(room.count("transport", result), 1, "{shown:.200}");
        assert_eq!(server.calls().len(), 1, "{shown:.200}");
    }
}

#[tokio::test]
async fn a_message_that_may_have_been_heard_is_not_sent_again() {
    for (then, result) in [(Then::Die, "broken"), (Then::Hang, "timed_out"), (Then::Drip(200), "timed_out")] {
        let shown = format!("{then:?}");
        let (server, room) = FunctionServer::always(then).keep();
        assert_eq!(transport(&room).await, Err(TransportError::Unavailable), "{shown}");
        assert_eq!(room.count("transport", result), 1, "{shown}");
        assert_eq!(server.calls().len(), 1, "{shown}");
    }
}

#[tokio::test]
async fn a_message_waits_for_a_function_that_is_away() {
    let address = nobody();
    let room = Room::at(address).patiently().open();
    let functions = room.functions.clone();
    let waiting = tokio::spawn(async move { functions.transport(id(1), &message("hello")).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished());
    let server = FunctionServer::start_at(address, |_| Then::status(200));
    assert_eq!(timeout(LONG, waiting).await.unwrap().unwrap(), Ok(()));
    assert_eq!(server.calls().len(), 1);
    assert_eq!(room.count("transport", "ok"), 1);
}

#[tokio::test]
async fn a_message_waits_no_longer_than_its_time_out() {
    let room = Room::at(nobody()).open();
    assert_eq!(transport(&room).await, Err(TransportError::Unavailable));
    // The time may be up in the middle of the last try.
    assert_eq!(room.count("transport", "unreachable") + room.count("transport", "timed_out"), 1);
}

#[tokio::test]
async fn a_room_that_forgives_lets_everybody_in_but_whom_the_function_refused() {
    for then in [Then::status(500), Then::status(404), Then::Die, Then::Hang, Then::ok("?")] {
        let shown = format!("{then:?}");
        let server = FunctionServer::always(then);
        let room = Room::at(server.address).forgiving().open();
        assert_eq!(register(&room).await, accepted(None), "{shown}");
        assert_eq!(room.ignored("register"), 1, "{shown}");
    }
    let room = Room::at(nobody()).forgiving().open();
    assert_eq!(register(&room).await, accepted(None));
    let server = FunctionServer::always(Then::ok(r#"{"errNo":1,"errMsg":"no"}"#));
    let room = Room::at(server.address).forgiving().open();
    assert_eq!(register(&room).await, Registered::Refused);
    assert_eq!(room.ignored("register"), 0);
}

#[tokio::test]
async fn a_room_that_forgives_keeps_clients_whose_messages_are_lost() {
    for then in [Then::status(500), Then::Die, Then::Hang] {
        let shown = format!("{then:?}");
        let server = FunctionServer::always(then);
        let room = Room::at(server.address).forgiving().open();
        assert_eq!(transport(&room).await, Ok(()), "{shown}");
        assert_eq!((room.ignored("transport"), room.count("transport", "ok")), (1, 0), "{shown}");
    }
    assert_eq!(transport(&Room::at(nobody()).forgiving().open()).await, Ok(()));
}

#[tokio::test]
async fn cleanup_knows_or_wants_to_hear_no_more() {
    for then in [Then::status(200), Then::status(202), Then::status(204), Then::Gigabyte(200), SHORT] {
        let shown = format!("{then:?}");
        let (_server, room) = FunctionServer::always(then).keep();
        assert_eq!(cleanup(&room).await, Told::Done, "{shown}");
    }
    let (_server, room) = FunctionServer::always(Then::status(410)).keep();
    assert_eq!(cleanup(&room).await, Told::Unwanted);
    assert_eq!(room.count("cleanup", "unwanted"), 1);
}

#[tokio::test]
async fn cleanup_that_failed_says_why_and_when_to_come_back() {
    let cases = [
        (Then::status(500), true, None, "answered 500"),
        (Then::status(404), true, None, "answered 404"),
        (Then::status(301), true, None, "answered 301"),
        (Then::status(502), false, None, "answered 502"),
        (Then::status(503), false, None, "answered 503"),
        (Then::Answer(503, "Retry-After: 7\r\n", String::new()), true, Some(7), "answered 503"),
        (Then::Answer(429, "Retry-After: 86400\r\n", String::new()), true, Some(3600), "answered 429"),
        (Then::Die, false, None, "broke the connection off"),
        (Then::Hang, false, None, "did not answer in time"),
        (Then::Drip(200), false, None, "did not answer in time"),
    ];
    for (then, expected, expected_wait, words) in cases {
        let shown = format!("{then:?}");
        let (server, room) = FunctionServer::always(then).keep();
        let Told::Failed { answered, retry_after, why } = cleanup(&room).await else { panic!("{shown}") };
        assert_eq!((answered, retry_after), (expected, expected_wait.map(Duration::from_secs)), "{shown}");
        assert!(why.contains(words), "{shown}: {why}");
        assert_eq!(server.calls().len(), 1, "{shown}");
    }
    let room = Room::at(nobody()).open();
    let Told::Failed { answered: false, retry_after: None, why } = cleanup(&room).await else { panic!("it was told") };
    assert!(why.contains("cannot be reached") && why.contains("refused"), "{why}");
}

impl FunctionServer {
    /// The server and a room that calls it.
    fn keep(self) -> (Self, Called) {
        let room = self.room();
        (self, room)
    }
}
