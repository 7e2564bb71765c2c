//! What each dialect makes of a request, and how it answers each outcome: transcripts, compared with `tests/snapshots`.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chatroom_gateway::dialect::tencent::events;
use chatroom_gateway::dialect::{
    BadPush, Command, Connecting, Description, MOST_EXCLUDED, Outcome, Request, Verb, Verdict, plain, tencent,
};
use chatroom_gateway::http::problem::Refusal;
use chatroom_gateway::id::{ConnectionId, Incarnation};
use chatroom_gateway::message::Kind;
use chatroom_settings::{TencentEvents, TransportAction};
use http::{Method, Response};
use http_body_util::{BodyExt as _, Full};
use proptest::prelude::*;

const FAILURES: [Outcome; 5] =
    [Outcome::Gone, Outcome::Full, Outcome::TooLarge, Outcome::Unavailable, Outcome::Unknown];
const RETRY_AFTER: u8 = 3;

fn connection() -> ConnectionId {
    Incarnation::from_bytes([7; 9]).connection([1; 15])
}

fn id() -> String {
    connection().to_string()
}

fn tencent_of(body: &str) -> Result<Command, BadPush> {
    tencent_with(&Method::POST, body.as_bytes())
}

fn tencent_with(method: &Method, body: &[u8]) -> Result<Command, BadPush> {
    let body = Bytes::copy_from_slice(body);
    tencent::command(&Request { method, path: "/push/key", query: None, content_type: None, body })
}

fn plain_of(method: &Method, target: &str, media: Option<&str>, body: &[u8]) -> Result<Command, BadPush> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    plain::command(&Request { method, path, query, content_type: media, body: Bytes::copy_from_slice(body) })
}

/// The command in one line, or the answer that the caller gets without anybody being asked.
async fn entry(
    page: &mut String,
    request: &str,
    read: Result<Command, BadPush>,
    refuse: impl Fn(BadPush) -> Response<Full<Bytes>>,
) {
    writeln!(page, "> {request}").unwrap();
    match read {
        Ok(command) => writeln!(page, "{command:?}\n").unwrap(),
        Err(bad) => writeln!(page, "{}", text(refuse(bad)).await).unwrap(),
    }
}

async fn text(response: Response<Full<Bytes>>) -> String {
    let mut text = format!("{}\n", response.status());
    let mut headers: Vec<_> =
        response.headers().iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap())).collect();
    headers.sort();
    text.extend(headers);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    if !body.is_empty() {
        writeln!(text, "{}", String::from_utf8(body.to_vec()).unwrap()).unwrap();
    }
    text
}

#[tokio::test]
async fn every_request_of_tencent() {
    let id = id();
    let push = |rest: &str| format!("{{\"websocket\":{{{rest}}}}}");
    let send = |more: &str| push(&format!("\"action\":\"data send\",\"secConnectionID\":\"{id}\"{more}"));
    let named = |name: &str, action: &str| {
        push(&format!("\"action\":\"{action}\",\"secConnectionID\":\"{name}\",\"dataType\":\"text\",\"data\":\"x\""))
    };
    let everybody = |exclude: &str| {
        push(&format!(
            "\"action\":\"data send\",\"secConnectionID\":\"*\",\"dataType\":\"text\",\"data\":\"x\",\"exclude\":[{exclude}]"
        ))
    };
    let requests = [
        send(r#","dataType":"text","data":"hello""#),
        send(r#","dataType":"text","data":"\u4f60\u597d\n\"你好\"""#),
        send(r#","dataType":"text","data":"""#),
        send(r#","dataType":"binary","data":"AJ+Sag==""#),
        send(r#","dataType":"binary","data":"AJ+Sag""#),
        send(r#","dataType":"text","data":"hello","secWebSocketProtocol":"chat","more":{"a":[1]}"#),
        push(&format!("\"action\":\"closing\",\"secConnectionID\":\"{id}\"")),
        everybody(""),
        everybody(&format!("\"{id}\",\"none of ours==\"")),
        // Nobody has to be asked.
        named("xawexasdfewezdfsdfeasdfffa==", "data send"),
        named("xawexasdfewezdfsdfeasdfffa==", "closing"),
        named("", "closing"),
        // What cannot be done.
        named("*", "closing"),
        named(&id, "data recv"),
        send(r#","dataType":"text""#),
        send(r#","data":"hello""#),
        send(r#","dataType":"json","data":"hello""#),
        send(r#","dataType":"text","data":5"#),
        send(r#","dataType":"binary","data":"not base64!""#),
        send(r#","dataType":"text","data":"\ud800""#),
        push("\"action\":\"closing\""),
        "{}".into(),
        "hello".into(),
        String::new(),
    ];
    let mut page = String::new();
    let refuse = |bad| match bad {
        BadPush::Refused(refusal) => tencent::refuse(refusal, RETRY_AFTER),
        BadPush::Nobody(verb) => tencent::answer(verb, &Outcome::Gone, RETRY_AFTER),
    };
    for request in &requests {
        entry(&mut page, request, tencent_of(request), refuse).await;
    }
    entry(&mut page, "(text that is not UTF-8)", tencent_with(&Method::POST, b"{\"websocket\":\"\xff\"}"), refuse)
        .await;
    entry(&mut page, "(GET)", tencent_with(&Method::GET, b""), refuse).await;
    let many = vec![format!("\"{id}\""); MOST_EXCLUDED + 1].join(",");
    entry(&mut page, "(101 excluded)", tencent_of(&everybody(&many)), refuse).await;
    insta::assert_snapshot!("tencent_requests", page.replace(&id, "ID"));
}

#[tokio::test]
async fn every_answer_to_tencents_functions() {
    let mut page = String::new();
    let outcomes = [
        (Verb::Send, Outcome::Sent),
        (Verb::Close, Outcome::Closing),
        (Verb::Close, Outcome::Gone),
        (Verb::Publish, Outcome::Published { seq: 41, online: 3 }),
    ];
    for (verb, outcome) in outcomes.into_iter().chain(FAILURES.map(|outcome| (Verb::Send, outcome))) {
        let answer = text(tencent::answer(verb, &outcome, RETRY_AFTER)).await;
        writeln!(page, "> {verb:?} {outcome:?}\n{answer}").unwrap();
    }
    for refusal in [Refusal::Unauthorized, Refusal::PushKeysMissing, Refusal::Isolated, Refusal::TooLarge] {
        writeln!(page, "> {refusal:?}\n{}", text(tencent::refuse(refusal, RETRY_AFTER)).await).unwrap();
    }
    insta::assert_snapshot!("tencent_answers", page);
}

#[tokio::test]
async fn every_request_of_the_plain_api() {
    let id = id();
    let of = |path: &str| format!("/connections/{id}{path}");
    let bytes = Some("application/octet-stream");
    let requests: [(Method, String, Option<&str>, &[u8]); 27] = [
        (Method::POST, "/publish".into(), None, b"hello"),
        (Method::POST, "/publish".into(), Some("application/x-www-form-urlencoded"), b"a=b"),
        (Method::POST, "/publish".into(), Some("Application/Octet-Stream; x=y"), b"\0\x9f"),
        (Method::POST, "/publish".into(), None, b""),
        (Method::POST, "/publish".into(), Some("text/plain"), b"\xff"),
        (Method::POST, "/publish?group=g".into(), None, b"hello"),
        (Method::GET, "/publish".into(), None, b""),
        (Method::GET, of(""), None, b""),
        (Method::HEAD, of(""), None, b""),
        (Method::GET, of("?full=1"), None, b""),
        (Method::POST, of(""), None, b"hello"),
        (Method::POST, of(""), bytes, b"\xff"),
        (Method::POST, of(""), None, b"\xff"),
        (Method::DELETE, of(""), None, b""),
        (Method::DELETE, of("?code=4503&reason=off+you%20go%21"), None, b""),
        (Method::DELETE, of("?reason=bye"), None, b""),
        (Method::DELETE, of("?code=1001"), None, b""),
        (Method::DELETE, of("?code=5000"), None, b""),
        (Method::DELETE, of("?code=bye"), None, b""),
        (Method::DELETE, of("?code=3000&code=4000"), None, b""),
        (Method::DELETE, of("?why=1"), None, b""),
        (Method::OPTIONS, of(""), None, b""),
        (Method::PUT, of(""), None, b""),
        (Method::GET, "/connections/none".into(), None, b""),
        (Method::DELETE, "/connections/none".into(), None, b""),
        (Method::GET, "/connections".into(), None, b""),
        (Method::GET, of("/more"), None, b""),
    ];
    let mut page = String::new();
    let refuse = |bad| match bad {
        BadPush::Refused(refusal) => refusal.response(RETRY_AFTER),
        BadPush::Nobody(_) => plain::answer(&Outcome::Gone, RETRY_AFTER),
    };
    for (method, target, media, body) in requests {
        let media_shown = media.unwrap_or("-");
        let shown = format!("{method} {target} {media_shown} {:?}", Bytes::copy_from_slice(body));
        entry(&mut page, &shown, plain_of(&method, &target, media, body), refuse).await;
    }
    insta::assert_snapshot!("plain_requests", page.replace(&id, "ID"));
}

#[test]
fn a_reason_is_as_long_as_a_close_frame_allows() {
    let id = id();
    let with = |reason: &str| plain_of(&Method::DELETE, &format!("/connections/{id}?reason={reason}"), None, b"");
    assert!(with(&"a".repeat(123)).is_ok());
    assert!(with(&"a".repeat(124)).is_err());
    assert!(with(&"%C3%A4".repeat(61)).is_ok());
    assert!(with(&"%C3%A4".repeat(62)).is_err());
}

#[tokio::test]
async fn every_answer_of_the_plain_api() {
    let described = Description {
        connected_at: 1_764_000_000_123,
        last_active_at: 1_764_000_060_000,
        address: "2001:db8::1".into(),
        user_agent: "test/1 \"quoted\"".into(),
    };
    let good =
        [Outcome::Sent, Outcome::Published { seq: 41, online: 3 }, Outcome::Closing, Outcome::Described(described)];
    let mut page = String::new();
    for outcome in good.into_iter().chain(FAILURES) {
        writeln!(page, "> {outcome:?}\n{}", text(plain::answer(&outcome, RETRY_AFTER)).await).unwrap();
    }
    for refusal in [Refusal::Unauthorized, Refusal::PushKeysMissing, Refusal::PushesFull, Refusal::PushTimeout] {
        writeln!(page, "> {refusal:?}\n{}", text(refusal.response(RETRY_AFTER)).await).unwrap();
    }
    insta::assert_snapshot!("plain_answers", page);
}

fn said_beside() -> TencentEvents {
    TencentEvents {
        service_name: "lobby".into(),
        stage: "release".into(),
        transport_action: TransportAction::DataRecv,
        forward_request: false,
    }
}

fn connecting() -> Connecting {
    Connecting {
        id: connection(),
        address: "2001:db8::1".parse().unwrap(),
        subprotocols: Some("chat,binary".into()),
        extensions: Some("permessage-deflate; client_max_window_bits".into()),
        headers: Vec::new(),
        query: None,
    }
}

#[test]
fn every_event_of_tencent() {
    let request = "c6af9ac6-7b61-41e6-9a41-93e8deadbeef";
    let header = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let headers = [
        ("host", "chat.example.com"),
        ("cookie", "a=1"),
        ("authorization", "Bearer \"x\""),
        ("cookie", "b=2"),
        ("x-more", "1"),
        ("x-more", "2, 3"),
    ];
    let plain = Connecting { subprotocols: None, extensions: None, ..connecting() };
    let mapped = Connecting { address: "::ffff:192.0.2.7".parse().unwrap(), ..plain.clone() };
    let full = Connecting {
        headers: headers.map(header).to_vec(),
        query: Some("token=a%2Fb+c&room=1&empty&room=2&=x&%ff=%E4%BD%A0".into()),
        ..connecting()
    };
    let beside = said_beside();
    let forwarding = TencentEvents { forward_request: true, ..said_beside() };
    let sending = TencentEvents { transport_action: TransportAction::DataSend, ..said_beside() };
    let from = connection();
    let entries = [
        ("register", events::register(&beside, "/test/{testvar}", request, &connecting())),
        ("register, nothing offered", events::register(&beside, "/", request, &plain)),
        ("register, an IPv4 client on an IPv6 socket", events::register(&beside, "/", request, &mapped)),
        ("register, the request is not forwarded", events::register(&beside, "/", request, &full)),
        ("register, the request is forwarded", events::register(&forwarding, "/", request, &full)),
        ("register, nothing to forward", events::register(&forwarding, "/", request, &plain)),
        ("transport", events::transport(&beside, &from, Kind::Text, "你好\n\"x\"\u{0}".as_bytes())),
        ("transport, nothing said", events::transport(&beside, &from, Kind::Text, b"")),
        ("transport, bytes", events::transport(&beside, &from, Kind::Binary, b"\0\x9f\xff\xfe")),
        ("transport, the newer word", events::transport(&sending, &from, Kind::Text, b"hello")),
        ("cleanup", events::cleanup(&from)),
    ];
    let mut page = String::new();
    for (name, event) in entries {
        writeln!(page, "> {name}\n{}\n", String::from_utf8(event.to_vec()).unwrap()).unwrap();
    }
    insta::assert_snapshot!("tencent_events", page.replace(&id(), "ID"));
}

#[test]
fn every_answer_of_tencents_register_function() {
    let with = |more: &str| format!("{{\"errNo\":0,\"errMsg\":\"ok\"{more}}}");
    let chosen = |what: &str| with(&format!(",\"websocket\":{{\"secWebSocketProtocol\":{what}}}"));
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let answers = [
        with(""),
        with(",\"websocket\":{\"action\":\"connecting\",\"secConnectionID\":\"x\"},\"more\":[1]"),
        with(",\"websocket\":null"),
        "\n {\"errMsg\":\"\", \"errNo\":0}".into(),
        chosen("\"chat\""),
        chosen("\"binary\""),
        chosen("\"\""),
        chosen("null"),
        chosen("\"Chat\""),
        chosen("\"chat,binary\""),
        chosen("\"cha\""),
        chosen("\"chat\\r\\nSet-Cookie: x\""),
        "{\"errNo\":1,\"errMsg\":\"full\"}".into(),
        "{\"errNo\":-1,\"errMsg\":\"\",\"websocket\":\"?\"}".into(),
        "{\"errNo\":18446744073709551615,\"errMsg\":\"\"}".into(),
        // What is no answer.
        String::new(),
        "send success".into(),
        "null".into(),
        "[0,\"ok\"]".into(),
        "0".into(),
        "{}".into(),
        "{\"errNo\":0}".into(),
        "{\"errMsg\":\"ok\"}".into(),
        "{\"errNo\":\"0\",\"errMsg\":\"ok\"}".into(),
        "{\"errNo\":0.0,\"errMsg\":\"ok\"}".into(),
        "{\"errNo\":1e400,\"errMsg\":\"ok\"}".into(),
        "{\"errNo\":false,\"errMsg\":\"ok\"}".into(),
        "{\"errNo\":0,\"errMsg\":null}".into(),
        "{\"errno\":0,\"errmsg\":\"ok\"}".into(),
        "{\"errNo\":0,\"errMsg\":\"ok\"} x".into(),
        with(",\"websocket\":[]"),
        with(",\"websocket\":\"chat\""),
        chosen("5"),
        chosen("[\"chat\"]"),
        with(&format!(",\"more\":{deep}")),
        "\u{feff}{\"errNo\":0,\"errMsg\":\"ok\"}".into(),
    ];
    let mut page = String::new();
    for answer in &answers {
        let shown: String = answer.chars().take(80).collect();
        let read = match events::registered(answer.as_bytes(), Some("chat, binary")) {
            Ok(verdict) => format!("{verdict:?}"),
            Err(bad) => format!("bad: {bad}"),
        };
        writeln!(page, "> {}\n{read}\n", shown.escape_debug()).unwrap();
    }
    insta::assert_snapshot!("tencent_registered", page);
}

#[test]
fn nobody_gets_a_subprotocol_who_offered_none() {
    let answer = br#"{"errNo":0,"errMsg":"ok","websocket":{"secWebSocketProtocol":"chat"}}"#;
    for (offered, expected) in
        [(None, None), (Some(""), None), (Some("a\t,\tchat "), Some("chat")), (Some("chat.v1"), None)]
    {
        let subprotocol = expected.map(str::to_owned);
        assert_eq!(events::registered(answer, offered), Ok(Verdict::Accepted { subprotocol }), "{offered:?}");
    }
}

#[test]
fn a_large_answer_is_read_like_a_small_one() {
    let large = format!("{{\"errNo\":0,\"errMsg\":\"{}\"}}", "x".repeat(1024 * 1024));
    assert_eq!(events::registered(large.as_bytes(), None), Ok(Verdict::Accepted { subprotocol: None }));
    assert!(events::registered(&large.as_bytes()[..large.len() - 1], None).is_err());
}

proptest! {
    /// The bytes are a stranger's, and so is JSON that is nearly right.
    #[test]
    fn no_answer_is_taken_for_a_yes_but_one_with_zero_and_a_text(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        number in "0|1|-0|0\\.0|\"0\"|null|\\[0\\]|00|",
        text in "\"ok\"|null|1|\\{\\}|",
    ) {
        let accepted = matches!(events::registered(&bytes, None), Ok(Verdict::Accepted { .. }));
        prop_assert!(!accepted);
        let answer = format!("{{\"errNo\":{number},\"errMsg\":{text}}}");
        let accepted = matches!(events::registered(answer.as_bytes(), None), Ok(Verdict::Accepted { .. }));
        prop_assert_eq!(accepted, number == "0" && text == "\"ok\"", "{}", answer);
    }

    #[test]
    fn a_message_comes_out_of_its_event_as_it_went_in(text in ".{0,50}", bytes in prop::collection::vec(any::<u8>(), 0..50)) {
        let read = |event: Bytes| -> (String, String) {
            let event: serde_json::Value = serde_json::from_slice(&event).unwrap();
            let field = |name: &str| event["websocket"][name].as_str().unwrap().to_owned();
            (field("dataType"), field("data"))
        };
        let event = events::transport(&said_beside(), &connection(), Kind::Text, text.as_bytes());
        prop_assert_eq!(read(event), ("text".to_owned(), text));
        let event = events::transport(&said_beside(), &connection(), Kind::Binary, &bytes);
        let (kind, data) = read(event);
        prop_assert_eq!((kind.as_str(), STANDARD.decode(data).unwrap()), ("binary", bytes));
    }
}
