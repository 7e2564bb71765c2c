//! What each dialect makes of a request, and how it answers each outcome: transcripts, compared with `tests/snapshots`.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fmt::Write as _;

use bytes::Bytes;
use chatroom_gateway::dialect::{BadPush, Command, Description, MOST_EXCLUDED, Outcome, Request, Verb, plain, tencent};
use chatroom_gateway::http::problem::Refusal;
use chatroom_gateway::id::Incarnation;
use http::{Method, Response};
use http_body_util::{BodyExt as _, Full};

const FAILURES: [Outcome; 5] =
    [Outcome::Gone, Outcome::Full, Outcome::TooLarge, Outcome::Unavailable, Outcome::Unknown];
const RETRY_AFTER: u8 = 3;

fn id() -> String {
    Incarnation::from_bytes([7; 9]).connection([1; 15]).to_string()
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
