//! The push port over real sockets, with a carrier behind it that takes notes only.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod port;

use std::sync::Arc;
use std::time::Duration;

use chatroom_gateway::dialect::{Command, Outcome};
use chatroom_gateway::membership::Standing;
use chatroom_gateway::message::Kind;
use chatroom_gateway::push::keys::Keys;
use chatroom_gateway::push::port::Patience;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use port::{Answer, KEY, LONG, Port, Setup, id, member, plain, post, tencent};

const SECOND_KEY: &str = "second+key/of-the-room==";

#[tokio::test]
async fn a_push_in_each_dialect_reaches_the_carrier_and_is_answered() {
    let port = Port::open();
    let answer = port.ask(&tencent("text", "hello")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"errNo":0,"errMsg":"ok"}"#));
    let answer = port.ask(&plain("POST", &format!("/connections/{}", id()), "hello")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let expected = Command::Send { to: id(), kind: Kind::Text, payload: "hello".into() };
    assert_eq!(port.carried(), [expected.clone(), expected]);
    assert_eq!((port.count("tencent", "ok"), port.count("plain", "ok")), (1, 1));
}

#[tokio::test]
async fn every_outcome_has_its_status_in_both_dialects() {
    let cases = [
        (Outcome::Sent, 200, "ok"),
        (Outcome::Gone, 410, "gone"),
        (Outcome::TooLarge, 413, "too_large"),
        (Outcome::Full, 429, "client_behind"),
        (Outcome::Unavailable, 503, "unavailable"),
        (Outcome::Unknown, 504, "outcome_unknown"),
    ];
    for (outcome, status, code) in cases {
        let port = Port::with(Setup { outcome: Some(outcome), ..Setup::default() });
        let in_tencent = port.ask(&tencent("text", "hello")).await;
        let in_plain = port.ask(&plain("POST", &format!("/connections/{}", id()), "hello")).await;
        for answer in [&in_tencent, &in_plain] {
            assert_eq!(answer.status, status, "{code}");
            assert_eq!(answer.header("retry-after").is_some(), matches!(status, 429 | 503 | 504), "{code}");
        }
        if status != 200 {
            assert!(in_tencent.body.starts_with(&format!("{{\"errNo\":{status},\"errMsg\":\"")), "{}", in_tencent.body);
            assert_eq!(in_plain.code(), code);
        }
        assert_eq!((port.count("tencent", code), port.count("plain", code)), (1, 1), "{code}");
    }
}

#[tokio::test]
async fn without_a_good_key_nothing_is_looked_at() {
    let port = Port::open();
    let wrong = [
        post("/push/0123456789abcdeX", "", "{"),
        post(&format!("/push/{KEY}0"), "", "{"),
        post("/push", "", "{"),
        post("/push/", "", "{"),
        post("/publish", "", "hello"),
        post("/publish", "Authorization: Bearer 0123456789abcdeX\r\n", "hello"),
        post("/publish", &format!("Authorization: Basic {KEY}\r\n"), "hello"),
        post(&format!("/publish/{KEY}"), "", "hello"),
        post("/nowhere", "", "hello"),
        "BREW /push/0123456789abcdeX HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(),
    ];
    for request in &wrong {
        let answer = port.ask(request).await;
        assert_eq!(answer.status, 401, "{request}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        if request.contains(" /push") {
            assert!(answer.body.starts_with("{\"errNo\":401,"), "{}", answer.body);
        } else {
            assert_eq!(answer.code(), "unauthorized");
        }
    }
    assert_eq!(port.carried(), []);
}

#[tokio::test]
async fn keys_are_exchanged_under_a_running_port() {
    let port = Port::open();
    let with = |key: &str| post("/publish", &format!("Authorization: Bearer {key}\r\n"), "x");
    assert_eq!(port.ask(&with(SECOND_KEY)).await.status, 401);
    port.keys.send_replace(Arc::new(Keys::parse(&format!("{SECOND_KEY}\n{KEY}\n"))));
    assert_eq!((port.ask(&with(SECOND_KEY)).await.status, port.ask(&with(KEY)).await.status), (200, 200));
    let in_path = format!("/push/{}", SECOND_KEY.replace('/', "%2F").replace('=', "%3D"));
    assert_eq!(port.ask(&post(&in_path, "", "{}")).await.status, 400);
    port.keys.send_replace(Arc::new(Keys::parse(SECOND_KEY)));
    assert_eq!((port.ask(&with(SECOND_KEY)).await.status, port.ask(&with(KEY)).await.status), (200, 401));
}

#[tokio::test]
async fn without_keys_nobody_can_push_and_everybody_hears_why() {
    let port = Port::open();
    port.keys.send_replace(Arc::default());
    let answer = port.ask(&tencent("text", "hello")).await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("push Secret is missing"), "{}", answer.body);
    let answer = port.ask(&plain("POST", "/publish", "hello")).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "push_keys_missing"));
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_say_what_is() {
    let port = Port::open();
    for (method, path, allow) in [
        ("GET", "/publish".to_owned(), "POST"),
        ("OPTIONS", "/publish".into(), "POST"),
        ("PATCH", format!("/connections/{}", id()), "GET, HEAD, POST, DELETE"),
    ] {
        let answer = port.ask(&plain(method, &path, "")).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {path}");
    }
    let answer = port.ask(&format!("GET /push/{KEY} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    assert!(answer.body.starts_with("{\"errNo\":405,"), "{}", answer.body);
    for path in ["/", "/publish/", "/connections", "/pushed"] {
        assert_eq!(port.ask(&plain("GET", path, "")).await.code(), "not_found", "{path}");
    }
    let head = port.ask(&plain("HEAD", &format!("/connections/{}", id()), "")).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[tokio::test]
async fn a_dialect_that_the_room_does_not_speak_is_not_there() {
    let port = Port::with(Setup { no_dialects: true, ..Setup::default() });
    assert_eq!(port.ask(&tencent("text", "hello")).await.code(), "unauthorized");
    assert_eq!(port.ask(&plain("POST", "/push", "{}")).await.code(), "not_found");
    assert_eq!(port.ask(&plain("POST", "/publish", "hello")).await.status, 200);
}

#[tokio::test]
async fn a_gateway_that_stands_still_refuses_and_one_that_drains_does_not() {
    let port = Port::open();
    for (standing, code) in [(Standing::Joining, "joining"), (Standing::Isolated, "isolated")] {
        port.membership.send_replace(member(standing));
        assert_eq!(port.ask(&tencent("text", "hello")).await.status, 503);
        assert_eq!(port.ask(&plain("POST", "/publish", "hello")).await.code(), code);
    }
    port.draining.send_replace(true);
    assert_eq!(port.ask(&plain("POST", "/publish", "hello")).await.code(), "isolated", "draining does not hide it");
    assert_eq!(port.carried(), []);
    port.membership.send_replace(member(Standing::Leased));
    let mut caller = port.connect().await;
    caller.write_all(tencent("text", "hello").replace("Connection: close\r\n", "").as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // It ends by itself: the caller should find another gateway.
    caller.read_to_end(&mut bytes).await.unwrap();
    let answer = Answer::parse(&bytes);
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
}

#[tokio::test]
async fn a_connection_carries_one_push_after_another() {
    let port = Port::open();
    let mut caller = port.connect().await;
    let request = tencent("text", "hello").replace("Connection: close\r\n", "");
    for _ in 0..3 {
        caller.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\"ok\"}") {
            bytes.push(caller.read_u8().await.unwrap());
        }
    }
    assert_eq!(port.carried().len(), 3);
}

#[tokio::test]
async fn a_message_of_the_largest_size_fits_and_a_longer_body_is_cut() {
    let port = Port::open();
    let largest = port::MAX_MESSAGE_BYTES;
    for (request, what) in [
        (plain("POST", "/publish", &"a".repeat(largest)), "plain"),
        (tencent("text", &"\\u0001".repeat(largest)), "escaped"),
        (tencent("text", &"a".repeat(largest)), "as it is"),
    ] {
        assert_eq!(port.ask(&request).await.status, 200, "{what}");
    }
    let answer = port.ask(&plain("POST", "/publish", &"a".repeat(largest + 1))).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"));
}

#[tokio::test]
async fn a_gigabyte_is_refused_before_it_comes_and_cut_when_it_was_not_announced() {
    let port = Port::open();
    let announced = format!("POST /push/{KEY} HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\n\r\n");
    let answer = port.ask(&announced).await;
    assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
    let (mut reader, mut writer) = port.connect().await.into_split();
    let flood = tokio::spawn(async move {
        let head = format!("POST /push/{KEY} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        writer.write_all(head.as_bytes()).await.unwrap();
        let chunk = ["10000\r\n", &"a".repeat(0x10000), "\r\n"].concat();
        let mut sent = 0;
        while sent < 1 << 30 && writer.write_all(chunk.as_bytes()).await.is_ok() {
            sent += chunk.len();
        }
        sent
    });
    let mut bytes = Vec::new();
    let _ = reader.read_to_end(&mut bytes).await;
    assert_eq!(Answer::parse(&bytes).status, 413);
    let sent = flood.await.unwrap();
    assert!(sent < 64 << 20, "{sent} bytes were taken");
    assert_eq!(port.carried(), []);
}

#[tokio::test]
async fn a_head_or_a_body_that_comes_too_slowly_is_cut() {
    let hurried =
        Patience { head: Duration::from_millis(100), body: Duration::from_millis(100), ..Patience::default() };
    let port = Port::with(Setup { patience: Some(hurried), ..Setup::default() });
    let mut silent = port.connect().await;
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
    let head = format!("POST /push/{KEY} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    for (beginning, status) in [("POST /push HTTP/1.1\r\nA: ", None), (&head, Some(408))] {
        let (mut reader, mut writer) = port.connect().await.into_split();
        let beginning = beginning.to_owned();
        let drip = tokio::spawn(async move {
            writer.write_all(beginning.as_bytes()).await.unwrap();
            while writer.write_all(b"a").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let mut bytes = Vec::new();
        let _ = reader.read_to_end(&mut bytes).await;
        if let Some(status) = status {
            assert_eq!(Answer::parse(&bytes).status, status);
        }
        drip.await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_ends_when_it_is_old_and_so_does_one_whose_answers_nobody_reads() {
    let short = Duration::from_millis(100);
    let patience = Patience { connection: short, body: short, outcome: short, ..Patience::default() };
    let port = Port::with(Setup { patience: Some(patience), places: Some(1), ..Setup::default() });
    let mut deaf = port.connect().await;
    let request = tencent("text", "hello").replace("Connection: close\r\n", "");
    // Until its own buffers and the gateway's are full, or the gateway has had enough.
    let _ = tokio::time::timeout(LONG, async { while deaf.write_all(request.as_bytes()).await.is_ok() {} }).await;
    // The one place is free again.
    loop {
        let mut caller = port.connect().await;
        let mut bytes = Vec::new();
        let written = caller.write_all(tencent("text", "hello").as_bytes()).await;
        if written.is_ok() && caller.read_to_end(&mut bytes).await.is_ok() && !bytes.is_empty() {
            break;
        }
    }
}

#[tokio::test]
async fn connections_above_the_cap_are_closed_and_counted() {
    let port = Port::with(Setup { places: Some(1), ..Setup::default() });
    let _first = port.connect().await;
    let mut second = port.connect().await;
    assert_eq!(second.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(port.count("none", "connections_full"), 1);
}

#[tokio::test]
async fn a_carrier_that_never_answers_is_an_outcome_that_nobody_knows() {
    let patience = Patience { outcome: Duration::from_millis(50), ..Patience::default() };
    let port = Port::with(Setup { patience: Some(patience), hangs: true, ..Setup::default() });
    let answer = port.ask(&tencent("text", "hello")).await;
    assert_eq!(answer.status, 504);
    assert!(answer.header("retry-after").is_some());
}
