//! The public port over real sockets: what a client may send, and what it hears.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod port;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use chatroom_gateway::functions::NoAnswer;
use chatroom_gateway::http::connection::Patience;
use chatroom_gateway::membership::Standing;
use chatroom_gateway::session::AdmitError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use port::{Answer, Inner, LONG, Port, Setup, head_of, hot, member, upgrade};

#[tokio::test]
async fn a_good_handshake_becomes_a_session_with_what_was_sent_behind_it() {
    let port = Port::open();
    let mut client = port.connect().await;
    let request = upgrade(|lines| {
        lines[0] = "GET /chat?token=1 HTTP/1.1".into();
        lines.push("User-Agent: test/1".into());
        lines.push("Origin: https://any.example".into());
        lines.push("Sec-WebSocket-Protocol: chatroom.v1, chat".into());
        lines.push("Sec-WebSocket-Extensions: permessage-deflate".into());
    });
    client.write_all([request.as_bytes(), b"\x81\x82read ahead"].concat().as_slice()).await.unwrap();
    let answer = head_of(&mut client).await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert!(answer.header("connection").unwrap().eq_ignore_ascii_case("upgrade"), "{:?}", answer.headers);
    for absent in ["sec-websocket-protocol", "sec-websocket-extensions", "content-length", "transfer-encoding"] {
        assert_eq!(answer.header(absent), None);
    }
    let mut echo = [0; 12];
    client.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"\x81\x82read ahead");
    let admitted = port.room.0.admitted.lock().unwrap()[0].clone();
    assert_eq!(admitted.address, IpAddr::from(Ipv4Addr::LOCALHOST));
    assert_eq!(admitted.user_agent.as_deref(), Some("test/1"));
    assert_eq!(admitted.origin.as_deref(), Some("https://any.example"));
    assert_eq!(admitted.headers["sec-websocket-protocol"], "chatroom.v1, chat");
    assert_eq!(admitted.query.as_deref(), Some("token=1"));
}

#[tokio::test]
async fn every_class_of_bad_request_is_answered_closed_and_counted() {
    let port = Port::open();
    let line = |number: usize, text: &'static str| upgrade(move |lines| lines[number] = text.into());
    let more = |text: String| upgrade(|lines| lines.push(text));
    let without = |number: usize| upgrade(|lines| drop(lines.remove(number)));
    let many: Vec<String> = (0..150).map(|number| format!("A{number}: b")).collect();
    let cases: Vec<(String, u16, &str)> = vec![
        (line(0, "POST /chat HTTP/1.1"), 405, "method_not_allowed"),
        (line(0, "BREW /chat HTTP/1.1"), 405, "method_not_allowed"),
        (line(0, "GET /other HTTP/1.1"), 404, "not_found"),
        (line(0, "GET /chat HTTP/1.0"), 426, "upgrade_required"),
        (line(0, "GET /chat HTTP/2.0"), 505, "http_version_not_supported"),
        (without(1), 400, "malformed_request"),
        (more("Host: other.example".into()), 400, "malformed_request"),
        (without(2), 426, "upgrade_required"),
        (without(3), 400, "bad_handshake"),
        (without(4), 400, "bad_handshake"),
        (line(4, "Sec-WebSocket-Key: short"), 400, "bad_handshake"),
        (more("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==".into()), 400, "bad_handshake"),
        (without(5), 426, "websocket_version"),
        (line(5, "Sec-WebSocket-Version: 8"), 426, "websocket_version"),
        (more("Content-Length: 5".into()) + "hello", 400, "body_not_accepted"),
        (more("Transfer-Encoding: chunked".into()) + "5\r\nhello\r\n0\r\n\r\n", 400, "body_not_accepted"),
        (more("Content-Length: 5\r\nTransfer-Encoding: chunked".into()), 400, "malformed_request"),
        (upgrade(|_| ()).replace("\r\n", "\n"), 400, "malformed_request"),
        (more("Bad Name: x".into()), 400, "malformed_request"),
        (more("A: b\0c".into()), 400, "malformed_request"),
        (more("A: b\r\n folded".into()), 400, "malformed_request"),
        ("\x16\x03\x01\x02\x00\x01\x00\x01".into(), 400, "malformed_request"),
        (more(many.join("\r\n")), 431, "headers_too_large"),
        (more(format!("A: {}", "b".repeat(500_000))), 431, "headers_too_large"),
        (format!("GET /{} HTTP/1.1\r\n", "a".repeat(70_000)), 414, "uri_too_long"),
    ];
    for (request, status, code) in cases {
        let counted = port.refusals(code);
        let answer = port.ask(&request).await;
        let shown = &request[..request.len().min(200)];
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{shown:?}");
        assert_eq!(port.refusals(code), counted + 1, "{shown:?}");
        assert!(answer.has("connection", "close"), "{shown:?}: {:?}", answer.headers);
        assert!(answer.header("date").is_some());
        match status {
            405 => assert_eq!(answer.header("allow"), Some("GET")),
            426 => {
                assert!(answer.has("upgrade", "websocket") && answer.has("connection", "upgrade"));
                assert_eq!(answer.header("sec-websocket-version"), Some("13"));
            }
            _ => {}
        }
    }
    assert!(port.room.0.admitted.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go() {
    let patience = Patience { first_byte: Duration::from_millis(20), head: LONG, linger: LONG };
    let port = Port::with(Setup { patience: Some(patience), ..Setup::default() });
    let mut silent = port.connect().await;
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_is_cut_and_told() {
    let patience = Patience { first_byte: LONG, head: Duration::from_millis(50), linger: Duration::from_millis(50) };
    let port = Port::with(Setup { patience: Some(patience), ..Setup::default() });
    let (mut reader, mut writer) = port.connect().await.into_split();
    let drip = tokio::spawn(async move {
        writer.write_all(b"GET /chat HTTP/1.1\r\nA: ").await.unwrap();
        while writer.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut bytes = Vec::new();
    let _ = reader.read_to_end(&mut bytes).await;
    let answer = Answer::parse(&bytes);
    assert_eq!((answer.status, answer.code().as_str()), (408, "request_timeout"));
    drip.await.unwrap();
}

#[tokio::test]
async fn a_head_in_pieces_is_a_head() {
    let port = Port::open();
    let mut client = port.connect().await;
    for byte in upgrade(|_| ()).bytes() {
        client.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(head_of(&mut client).await.status, 101);
}

#[tokio::test]
async fn connections_above_the_cap_of_pending_handshakes_are_closed_and_counted() {
    let port = Port::with(Setup { max_pending: Some(2), ..Setup::default() });
    let first = port.connect().await;
    let _second = port.connect().await;
    let mut third = port.connect().await;
    assert_eq!(third.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(port.refusals("handshakes_full"), 1);
    drop(first);
    // The place is free as soon as the gateway has seen the first one go.
    loop {
        let mut client = port.connect().await;
        if client.write_all(upgrade(|_| ()).as_bytes()).await.is_ok() && client.read_u8().await.is_ok() {
            break;
        }
    }
}

#[tokio::test]
async fn a_full_room_says_so_and_when_to_come_back() {
    let port = Port::open();
    port.hot.send_replace(Arc::new(hot(1, None)));
    let mut client = port.connect().await;
    client.write_all(upgrade(|_| ()).as_bytes()).await.unwrap();
    assert_eq!(head_of(&mut client).await.status, 101);
    let answer = port.ask(upgrade(|_| ())).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "pod_full"));
    assert!((1..=10).contains(&answer.header("retry-after").unwrap().parse::<u8>().unwrap()));
}

#[tokio::test]
async fn a_room_that_cannot_take_clients_says_why() {
    let port = Port::open();
    for (standing, code) in [(Standing::Joining, "joining"), (Standing::Isolated, "isolated")] {
        port.membership.send_replace(member(standing));
        let answer = port.ask(upgrade(|_| ())).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, code));
        assert!(answer.header("retry-after").is_some());
    }
    port.membership.send_replace(member(Standing::Leased));
    port.draining.send_replace(true);
    assert_eq!(port.ask(upgrade(|_| ())).await.code(), "draining");
}

#[tokio::test]
async fn whoever_cannot_be_registered_hears_why() {
    for (refuses, status, code) in [
        (AdmitError::Unavailable, 503, "registry_unavailable"),
        (AdmitError::Refused, 403, "register_refused"),
        (AdmitError::NoAnswer(NoAnswer::Bad), 502, "register_failed"),
        (AdmitError::NoAnswer(NoAnswer::Unreachable), 503, "register_unreachable"),
        (AdmitError::NoAnswer(NoAnswer::TimedOut), 504, "register_timed_out"),
    ] {
        let port = Port::with(Setup { room: Inner { refuses: Some(refuses), ..Inner::default() }, ..Setup::default() });
        let answer = port.ask(upgrade(|_| ())).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
        assert_eq!(answer.header("retry-after").is_some(), status > 502, "{code}");
    }
}

#[tokio::test]
async fn the_subprotocol_that_was_chosen_stands_in_the_answer() {
    let port = Port::with(Setup { room: Inner { subprotocol: Some("chat"), ..Inner::default() }, ..Setup::default() });
    let mut client = port.connect().await;
    let request = upgrade(|lines| lines.push("Sec-WebSocket-Protocol: binary, chat".into()));
    client.write_all(request.as_bytes()).await.unwrap();
    let answer = head_of(&mut client).await;
    assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, Some("chat")));
}

#[tokio::test]
async fn origins_follow_the_hot_settings() {
    let port = Port::open();
    port.hot.send_replace(Arc::new(hot(10, Some(&["https://chat.example.com"]))));
    let from = |origin: &str| upgrade(|lines| lines.push(format!("Origin: {origin}")));
    for stranger in ["https://evil.example", "null"] {
        let answer = port.ask(from(stranger)).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "origin_not_allowed"));
    }
    for welcome in [from("https://chat.example.com"), upgrade(|_| ())] {
        let mut client = port.connect().await;
        client.write_all(welcome.as_bytes()).await.unwrap();
        assert_eq!(head_of(&mut client).await.status, 101);
    }
}

#[tokio::test]
async fn a_browser_gets_the_page_with_its_policy() {
    let browser = "GET /chat HTTP/1.1\r\nHost: a\r\nAccept: text/html,*/*\r\n\r\n";
    let port = Port::with(Setup { page: true, ..Setup::default() });
    let answer = port.ask(browser).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(answer.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    assert!(answer.body.contains("</html>"));
    let head = port.ask(browser.replace("GET", "HEAD")).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(port.ask(browser.replace("GET", "POST")).await.header("allow"), Some("GET, HEAD"));
    assert_eq!(Port::open().ask(browser).await.code(), "upgrade_required");
}
