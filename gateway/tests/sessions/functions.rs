//! Sessions of a room with functions: who is let in, what is told of a client, and when its end is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chatroom_gateway::functions::{Functions, NoAnswer, Parts, Patience, Permit};
use chatroom_gateway::id::ConnectionId;
use chatroom_gateway::message::{Kind, Message as Said, RoomMessage};
use chatroom_gateway::metrics::Metrics;
use chatroom_gateway::protocol::Close;
use chatroom_gateway::session::{AdmitError, Sent};
use chatroom_settings::{
    self as settings, CleanupFunction, Dialect, RegisterFailure, RegisterFunction, TencentEvents, TransportAction,
    TransportFailure, TransportFunction,
};
use futures_util::SinkExt as _;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;

use crate::room::{Room, Setup, closed, hear, say, within};
use crate::support::functions::{Call, FunctionServer, Then, nobody};

/// How long a test's function may take.
const SECONDS: u32 = 2;

/// The functions of a room, wherever they are.
fn functions(register: Option<String>, transport: Option<String>) -> Functions {
    let settings = settings::Functions {
        dialect: Dialect::Tencent,
        register: register.map(|url| RegisterFunction {
            url,
            timeout_seconds: SECONDS,
            on_failure: RegisterFailure::Refuse,
        }),
        transport: transport.map(|url| TransportFunction {
            url,
            timeout_seconds: SECONDS,
            on_failure: TransportFailure::Close,
        }),
        cleanup: Some(CleanupFunction { url: format!("http://{}/cleanup", nobody()), timeout_seconds: SECONDS }),
        signed: false,
        own_roots: false,
        tencent: TencentEvents {
            service_name: "lobby".into(),
            stage: "release".into(),
            transport_action: TransportAction::DataRecv,
            forward_request: false,
        },
    };
    let parts = Parts {
        path: "/".into(),
        signing_directory: "/nowhere".into(),
        ca_directory: "/nowhere".into(),
        permit: Permit::default(),
        patience: Patience::default(),
        metrics: Metrics::new().0,
    };
    Functions::new(Some(&settings), parts).unwrap().0
}

async fn room(functions: Functions) -> Room {
    Room::open(Setup { functions, ..Setup::default() }).await
}

/// A room whose functions are all at this server.
async fn room_at(server: &FunctionServer) -> Room {
    room(functions(Some(server.url("/register")), Some(server.url("/transport")))).await
}

/// The connection that a call is about.
fn id_of(call: &Call) -> ConnectionId {
    let event: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
    event["websocket"]["secConnectionID"].as_str().unwrap().parse().unwrap()
}

fn said(call: &Call) -> String {
    let event: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
    event["websocket"]["data"].as_str().unwrap().to_owned()
}

/// How many ends the cleanup function is owed, when everything is over.
async fn owed(room: &Room) -> u64 {
    room.is_empty().await;
    assert_eq!(room.roster.flush(std::time::Instant::now() + Duration::from_secs(30)).await, 0);
    *room.roster.handed_over().borrow()
}

#[tokio::test]
async fn whom_the_function_lets_in_hears_first_what_was_pushed_to_it_meanwhile() {
    let (answer, answered) = watch::channel(false);
    let server = FunctionServer::always(Then::Wait(answered, Box::new(Then::accept())));
    let room = room(functions(Some(server.url("/register")), None)).await;
    let pushes = async {
        let id = id_of(&server.heard(1).await[0]);
        for number in 0..16 {
            assert_eq!(room.sessions.send(id, Kind::Text, number.to_string().as_bytes()), Sent::Queued);
        }
        assert_eq!(room.sessions.send(id, Kind::Text, b"one too many"), Sent::Full);
        assert!(room.sessions.describe(id).is_some());
        let message = Said { from: None, kind: Kind::Text, payload: Bytes::from_static(b"missed"), exclude: None };
        room.hub.deliver(&[RoomMessage { seq: 1, online: 0, message }]);
        answer.send_replace(true);
    };
    let (mut client, ()) = within(async { tokio::join!(room.connect(), pushes) }).await;
    assert_eq!(room.sessions.send(room.newest(), Kind::Text, b"16"), Sent::Queued);
    for number in 0..=16 {
        assert_eq!(hear(&mut client).await, number.to_string(), "what the room said before it came in is not for it");
    }
    client.close(None).await.unwrap();
    assert_eq!(owed(&room).await, 1);
}

#[tokio::test]
async fn whom_the_function_refuses_was_never_here() {
    let server = FunctionServer::always(Then::ok(r#"{"errNo":1,"errMsg":"no"}"#));
    let room = room_at(&server).await;
    assert_eq!(room.ask().await.err(), Some(AdmitError::Refused));
    assert_eq!(room.sessions.send(id_of(&server.calls()[0]), Kind::Text, b"hello"), Sent::Gone);
    assert_eq!(owed(&room).await, 0);
}

#[tokio::test]
async fn whom_the_function_closes_before_it_comes_in_is_refused_and_its_end_is_told() {
    let (answer, answered) = watch::channel(false);
    let server = FunctionServer::always(Then::Wait(answered, Box::new(Then::accept())));
    let room = room_at(&server).await;
    let close = async {
        let id = id_of(&server.heard(1).await[0]);
        assert!(room.sessions.close(id, Close::asked(None, "")));
        assert_eq!(room.sessions.send(id, Kind::Text, b"hello"), Sent::Gone);
        answer.send_replace(true);
    };
    let (refused, ()) = within(async { tokio::join!(room.ask(), close) }).await;
    assert_eq!(refused.err(), Some(AdmitError::Refused));
    assert_eq!(owed(&room).await, 1);
}

#[tokio::test]
async fn an_end_is_told_of_a_client_whom_the_function_may_have_let_in() {
    for (then, why, ends) in [
        (Then::status(400), NoAnswer::Bad, 0),
        (Then::status(500), NoAnswer::Bad, 1),
        (Then::ok("errNo: 0"), NoAnswer::Bad, 1),
        (Then::Die, NoAnswer::Bad, 1),
        (Then::Hang, NoAnswer::TimedOut, 1),
    ] {
        let server = FunctionServer::always(then.clone());
        let room = room_at(&server).await;
        assert_eq!(within(room.ask()).await.err(), Some(AdmitError::NoAnswer(why)), "{then:?}");
        assert_eq!(owed(&room).await, ends, "{then:?}");
    }
    let room = room(functions(Some(format!("http://{}/", nobody())), None)).await;
    assert_eq!(room.ask().await.err(), Some(AdmitError::NoAnswer(NoAnswer::Unreachable)));
    assert_eq!(owed(&room).await, 0);
}

#[tokio::test]
async fn an_end_is_told_of_a_client_that_leaves_while_the_function_is_asked() {
    let server = FunctionServer::always(Then::Hang);
    let room = room_at(&server).await;
    let mut asking = Box::pin(room.ask());
    within(async {
        tokio::select! {
            _ = &mut asking => panic!("nobody answered"),
            _ = server.heard(1) => {}
        }
    })
    .await;
    drop(asking);
    assert_eq!(owed(&room).await, 1);
}

#[tokio::test]
async fn the_function_hears_one_message_at_a_time_and_in_order() {
    let server =
        FunctionServer::start(|call| if call.path == "/register" { Then::accept() } else { Then::ok("send success") });
    let room = room_at(&server).await;
    let mut client = room.connect().await;
    let other = room.connect().await;
    for number in 0..50 {
        say(&mut client, &number.to_string()).await;
    }
    client.send(Message::binary(&b"\x00\xff"[..])).await.unwrap();
    let told = server.heard(2 + 51).await;
    let told: Vec<_> = told.iter().filter(|call| call.path == "/transport").map(said).collect();
    let mut expected: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    expected.push("AP8=".to_owned());
    assert_eq!(told, expected);
    drop((client, other));
    assert_eq!(owed(&room).await, 2);
}

#[tokio::test]
async fn a_function_that_fails_closes_its_client_with_1011_and_one_that_is_away_with_1013() {
    let refusing = FunctionServer::always(Then::status(204));
    let gone = format!("http://{}/", nobody());
    for (url, code) in [(refusing.url("/"), 1011), (gone, 1013)] {
        let room = room(functions(None, Some(url))).await;
        let mut client = room.connect().await;
        say(&mut client, "hello").await;
        assert_eq!(closed(&mut client).await.0, code);
        assert_eq!((owed(&room).await, room.closes(code)), (1, 1));
    }
}

#[tokio::test]
async fn the_end_of_a_client_does_not_overtake_what_it_said() {
    let (answer, answered) = watch::channel(false);
    let server = FunctionServer::always(Then::Wait(answered, Box::new(Then::ok(""))));
    let room = room(functions(None, Some(server.url("/")))).await;
    let mut client = room.connect().await;
    say(&mut client, "first").await;
    say(&mut client, "second").await;
    server.heard(1).await;
    let id = room.newest();
    // The order to close finds the first in flight, and the second on its way or read ahead.
    let gone = async {
        assert_eq!(within(closed(&mut client)).await.0, 1012, "the client need not wait for the function");
        assert_eq!(room.sessions.send(id, Kind::Text, b"too late"), Sent::Gone);
        assert_eq!((room.roster.live(), *room.roster.handed_over().borrow()), (1, 0));
        answer.send_replace(true);
    };
    within(async { tokio::join!(room.sessions.drain(Duration::ZERO), gone) }).await;
    assert_eq!(owed(&room).await, 1);
    assert!(server.calls().len() <= 2);
}

#[tokio::test]
async fn who_comes_in_without_being_asked_about_is_told_of_when_it_goes() {
    let room = room(functions(None, None)).await;
    let client = room.connect().await;
    drop(client);
    assert_eq!(owed(&room).await, 1);
    // A ticket that nobody uses was let in as well.
    let ticket = Arc::new(room.ticket().await);
    drop(ticket);
    assert_eq!(owed(&room).await, 2);
}
