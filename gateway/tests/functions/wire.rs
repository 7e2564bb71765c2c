//! What stands in a request.

use std::collections::HashSet;

use bytes::Bytes;
use chatroom_gateway::functions::{BadUrl, Functions, Parts, Patience, Permit, Registered, Told};
use chatroom_gateway::message::{Kind, Message};
use chatroom_gateway::metrics::Metrics;

use crate::room::{Room, client, id, message};
use crate::support::functions::{FunctionServer, Then, nobody};

#[tokio::test]
async fn each_function_is_posted_its_event() {
    let server = FunctionServer::always(Then::accept());
    let room = Room::at(server.address).patiently().open();
    assert_eq!(room.functions.register(&client()).await, Registered::Accepted { subprotocol: None });
    room.functions.transport(id(1), &message("hello")).await.unwrap();
    let bytes = Message { from: None, kind: Kind::Binary, payload: Bytes::from_static(b"\0\x9f\x92"), exclude: None };
    room.functions.transport(id(1), &bytes).await.unwrap();
    assert_eq!(room.functions.cleanup(id(1)).await, Told::Done);
    let calls = server.calls();

    let paths: Vec<_> = calls.iter().map(|call| (call.method.as_str(), call.path.as_str())).collect();
    assert_eq!(paths, [("POST", "/register"), ("POST", "/transport"), ("POST", "/transport"), ("POST", "/cleanup")]);
    let id = id(1);
    let request_id = calls[0].header("webhook-id").unwrap();
    assert_eq!(request_id.len(), 36);
    let expected = [
        format!(
            "{{\"requestContext\":{{\"serviceName\":\"lobby\",\"path\":\"/chat\",\"httpMethod\":\"GET\",\
             \"requestId\":\"{request_id}\",\"identity\":{{}},\"sourceIp\":\"192.0.2.1\",\"stage\":\"release\",\
             \"websocketEnable\":true}},\"websocket\":{{\"action\":\"connecting\",\"secConnectionID\":\"{id}\",\
             \"secWebSocketProtocol\":\"chat, binary\"}}}}"
        ),
        format!(
            "{{\"websocket\":{{\"action\":\"data recv\",\"secConnectionID\":\"{id}\",\"dataType\":\"text\",\
             \"data\":\"hello\"}}}}"
        ),
        format!(
            "{{\"websocket\":{{\"action\":\"data recv\",\"secConnectionID\":\"{id}\",\"dataType\":\"binary\",\
             \"data\":\"AJ+S\"}}}}"
        ),
        format!("{{\"websocket\":{{\"action\":\"closing\",\"secConnectionID\":\"{id}\"}}}}"),
    ];
    for (call, expected) in calls.iter().zip(&expected) {
        assert_eq!(call.text(), expected);
    }
}

#[tokio::test]
async fn each_request_has_these_headers_and_no_others() {
    let server = FunctionServer::always(Then::accept());
    let room = Room::at(server.address).patiently().open();
    room.functions.register(&client()).await;
    room.functions.transport(id(1), &message("hello")).await.unwrap();
    room.functions.cleanup(id(1)).await;
    for call in server.calls() {
        assert_eq!(call.header("content-type"), Some("application/json"));
        assert_eq!(call.header("content-length"), Some(call.body.len().to_string().as_str()));
        assert_eq!(call.header("user-agent"), Some(concat!("chatroom-gateway/", env!("CARGO_PKG_VERSION"))));
        assert_eq!(call.header("host"), Some(server.address.to_string().as_str()));
        assert_eq!(call.headers.len(), 5, "{:?}", call.headers);
    }
}

#[tokio::test]
async fn an_event_of_cleanup_is_named_after_its_connection_and_all_others_are_named_anew() {
    let server = FunctionServer::always(Then::accept());
    let room = Room::at(server.address).patiently().open();
    for _ in 0..3 {
        room.functions.register(&client()).await;
        room.functions.transport(id(1), &message("hello")).await.unwrap();
        room.functions.cleanup(id(1)).await;
    }
    let calls = server.calls();
    let names: Vec<_> = calls.iter().map(|call| call.header("webhook-id").unwrap()).collect();
    assert_eq!(names.iter().filter(|name| **name == id(1).as_str()).count(), 3);
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), 7);
}

#[tokio::test]
async fn a_path_and_a_query_of_the_url_are_kept() {
    let server = FunctionServer::always(Then::accept());
    let mut room = Room::at(server.address).patiently();
    room.settings.cleanup.as_mut().unwrap().url = server.url("/a%20b/c?d=e&f");
    let room = room.open();
    assert_eq!(room.functions.cleanup(id(1)).await, Told::Done);
    assert_eq!(server.calls()[0].path, "/a%20b/c?d=e&f");
}

#[tokio::test]
async fn a_room_may_have_some_functions_and_not_the_others() {
    let server = FunctionServer::always(Then::ok(r#"{"errNo":1,"errMsg":"no"}"#));
    let mut room = Room::at(server.address).patiently();
    (room.settings.transport, room.settings.cleanup) = (None, None);
    let room = room.open();
    let functions = &room.functions;
    assert!(functions.asks_register() && !functions.tells_transport() && !functions.tells_cleanup());
    assert_eq!(functions.register(&client()).await, Registered::Refused);

    let mut room = Room::at(server.address).patiently();
    room.settings.register = None;
    let room = room.open();
    let functions = &room.functions;
    assert!(!functions.asks_register() && functions.tells_transport() && functions.tells_cleanup());
    assert_eq!(functions.register(&client()).await, Registered::Accepted { subprotocol: None });
    assert_eq!(server.calls().len(), 1, "nobody was asked");
    assert_eq!(functions.cleanup_timeout().as_secs(), 30);

    let none = Functions::none();
    assert!(!none.asks_register() && !none.tells_transport() && !none.tells_cleanup());
    assert_eq!(none.register(&client()).await, Registered::Accepted { subprotocol: None });
    assert!(none.missing().is_empty() && none.refused().is_empty());
}

#[tokio::test]
async fn a_url_that_cannot_be_called_is_refused_at_once_and_not_shown() {
    for url in
        ["", "functions", "/register", "ftp://host/", "http://", "http:///a", "http://me:secret@host/", "http://a b/"]
    {
        let mut settings = Room::at(nobody()).settings;
        settings.transport.as_mut().unwrap().url = url.into();
        let parts = Parts {
            path: "/".into(),
            signing_directory: "/nowhere".into(),
            ca_directory: "/nowhere".into(),
            permit: Permit::default(),
            patience: Patience::default(),
            metrics: Metrics::default(),
        };
        let refused: BadUrl = Functions::new(Some(&settings), parts).map(drop).expect_err(url);
        let said = refused.to_string();
        assert!(said.starts_with("functions.transport.url must be ") && !said.contains("secret"), "{said}");
    }
}
