//! The program with its push port: what is posted there reaches real WebSocket clients, and no key leaves by any door.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

const KEY: &str = "first-key-of-the-room";
const NEXT: &str = "second-key-of-the-room";
const DEADLINE: Duration = Duration::from_secs(60);

const COLD: &str = "
room: {name: lobby, namespace: default, uid: local-lobby}
path: /
webClient: false
broadcast: {excludeSender: true}
pingIntervalSeconds: 25
backplane: {type: Memory}
drain: {timeoutSeconds: 30}
logFormat: JSON
";
/// Everything that any part of the program could say. It names connections, which nothing else tells a test.
const HOT: &str = "{logFilter: trace, limits: {maxConnectionsPerPod: 10, maxMessageBytes: 65536, slowSeconds: 10}}";

/// A room of one gateway, its keys and its log.
struct Room {
    log: watch::Receiver<Vec<String>>,
    started: serde_json::Value,
    directory: TempDir,
    _child: Child,
}

impl Room {
    async fn open() -> Self {
        let directory = TempDir::new().unwrap();
        let (cold, hot) = (directory.path().join("cold.yaml"), directory.path().join("hot.yaml"));
        fs::write(&cold, COLD).unwrap();
        fs::write(&hot, HOT).unwrap();
        fs::write(directory.path().join("keys"), format!("{KEY}\n")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_chatroom-gateway"))
            .env_clear()
            .env("CHATROOM_PUSH_DIRECTORY", directory.path())
            .arg("--cold-file")
            .arg(cold)
            .arg("--hot-file")
            .arg(hot)
            .args(["--bind=127.0.0.1", "--client-port=0", "--push-port=0", "--internal-port=0"])
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (told, log) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                told.send_modify(|all: &mut Vec<String>| all.push(line));
            }
        });
        let mut room = Self { log, started: serde_json::Value::Null, directory, _child: child };
        room.started = room.nth_line("gateway started", 0).await;
        room.until("the room takes clients", async |room| room.ask("internal", &get("/readyz")).await.0 == 200).await;
        room
    }

    /// The line of the log that says this for the n-th time.
    async fn nth_line(&self, message: &str, n: usize) -> serde_json::Value {
        let nth = |lines: &Vec<String>| {
            let parsed = lines.iter().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            parsed.filter(|line| line["message"] == message).nth(n)
        };
        let mut log = self.log.clone();
        let line = tokio::time::timeout(DEADLINE, log.wait_for(|lines| nth(lines).is_some())).await;
        nth(&line.unwrap_or_else(|_| panic!("the log never said {message:?}")).unwrap()).unwrap()
    }

    /// The n-th client, and the ID under which functions would know it.
    async fn join(&self, n: usize) -> (Client, String) {
        let url = format!("ws://{}/", self.started["clients"].as_str().unwrap());
        let (client, _) = connect_async(url).await.unwrap();
        let begun = self.nth_line("session begins", n).await;
        (client, begun["connection"].as_str().unwrap().to_owned())
    }

    async fn ask(&self, port: &str, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.started[port].as_str().unwrap()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// A push in Tencent's words.
    async fn push(&self, key: &str, websocket: &str) -> (u16, String) {
        self.ask("pushes", &request("POST", &format!("/push/{key}"), "", &format!("{{\"websocket\":{websocket}}}")))
            .await
    }

    async fn plain(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.ask("pushes", &request(method, path, &format!("Authorization: Bearer {KEY}\r\n"), body)).await
    }

    async fn until(&self, what: &str, met: impl AsyncFn(&Self) -> bool) {
        let wait = async {
            while !met(self).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(DEADLINE, wait).await.is_ok(), "it did not come to pass that {what}");
    }
}

fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

fn get(path: &str) -> String {
    request("GET", path, "", "")
}

fn send(to: &str, data_type: &str, data: &str) -> String {
    format!(r#"{{"action":"data send","secConnectionID":"{to}","dataType":"{data_type}","data":"{data}"}}"#)
}

fn ok() -> (u16, String) {
    (200, r#"{"errNo":0,"errMsg":"ok"}"#.into())
}

async fn hears(client: &mut Client) -> Message {
    tokio::time::timeout(DEADLINE, client.next()).await.unwrap().unwrap().unwrap()
}

#[tokio::test]
async fn what_is_pushed_to_one_client_is_heard_by_it_alone() {
    let room = Room::open().await;
    let (mut ann, ann_id) = room.join(0).await;
    let (mut bob, bob_id) = room.join(1).await;
    assert_eq!(room.push(KEY, &send(&ann_id, "text", "héllo")).await, ok());
    assert_eq!(hears(&mut ann).await, Message::text("héllo"));
    assert_eq!(room.push(KEY, &send(&ann_id, "binary", "AJ+S")).await, ok());
    assert_eq!(hears(&mut ann).await, Message::binary(vec![0, 159, 146]));
    assert_eq!(room.plain("POST", &format!("/connections/{bob_id}"), "for Bob").await, (200, String::new()));
    // The first that Bob hears: nothing of Ann's came before it.
    assert_eq!(hears(&mut bob).await, Message::text("for Bob"));
    let (status, described) = room.plain("GET", &format!("/connections/{ann_id}"), "").await;
    assert!(status == 200 && described.contains("\"address\":\"127.0.0.1\""), "{described}");
    assert_eq!(room.push(KEY, &send(&ann_id, "text", &"a".repeat(65_537))).await.0, 413);
}

#[tokio::test]
async fn what_is_pushed_to_everybody_is_a_message_of_the_room() {
    let room = Room::open().await;
    let (mut ann, ann_id) = room.join(0).await;
    let (mut bob, _) = room.join(1).await;
    bob.send(Message::text("first")).await.unwrap();
    assert_eq!(hears(&mut ann).await, Message::text("first"));
    let to_all = send("*", "text", "second").replace('}', &format!(r#","exclude":["{ann_id}"]}}"#));
    assert_eq!(room.push(KEY, &to_all).await, (200, r#"{"errNo":0,"errMsg":"ok","seq":2,"count":2}"#.into()));
    assert_eq!(room.plain("POST", "/publish", "third").await, (200, r#"{"seq":3,"online":2}"#.into()));
    assert_eq!(hears(&mut bob).await, Message::text("second"));
    assert_eq!(hears(&mut bob).await, Message::text("third"));
    assert_eq!(hears(&mut ann).await, Message::text("third"));
}

#[tokio::test]
async fn a_connection_is_closed_by_a_push_and_is_gone_then() {
    let room = Room::open().await;
    let (mut ann, ann_id) = room.join(0).await;
    let (mut bob, bob_id) = room.join(1).await;
    let closing = format!(r#"{{"action":"closing","secConnectionID":"{ann_id}"}}"#);
    assert_eq!(room.push(KEY, &closing).await, ok());
    let Message::Close(Some(close)) = hears(&mut ann).await else { panic!("a close frame was expected") };
    assert_eq!((close.code, close.reason.as_str()), (CloseCode::Normal, ""));
    let _ = ann.next().await;
    room.until("Ann is gone", async |room| room.push(KEY, &send(&ann_id, "text", "x")).await.0 == 410).await;
    assert_eq!(room.push(KEY, &closing).await, ok(), "as cleanup functions do");
    assert_eq!(room.plain("DELETE", &format!("/connections/{ann_id}"), "").await.0, 410);

    assert_eq!(room.plain("DELETE", &format!("/connections/{bob_id}?code=4503&reason=off+you+go"), "").await.0, 204);
    let Message::Close(Some(close)) = hears(&mut bob).await else { panic!("a close frame was expected") };
    assert_eq!((u16::from(close.code), close.reason.as_str()), (4503, "off you go"));
}

#[tokio::test]
async fn no_key_is_ever_shown() {
    let room = Room::open().await;
    let wrong = "a-key-that-is-wrong-but-secret";
    let (_client, id) = room.join(0).await;
    for key in [KEY, wrong] {
        room.push(key, &send(&id, "text", "x")).await;
        room.push(key, "{").await;
        room.ask("pushes", &get(&format!("/push/{key}"))).await;
        room.ask("pushes", &get(&format!("/nowhere/{key}"))).await;
        room.ask("pushes", &request("POST", "/publish", &format!("Authorization: Bearer {key}\r\n"), "x")).await;
        // No HTTP at all, and a head that is too large.
        let mut stream = TcpStream::connect(room.started["pushes"].as_str().unwrap()).await.unwrap();
        stream.write_all(format!("POST /push/{key} NONSENSE\r\n\r\n").as_bytes()).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    fs::write(room.directory.path().join("keys"), format!("{KEY}\ntoo-short-key\n{NEXT}\n")).unwrap();
    room.nth_line("took over new push keys", 0).await;
    let pages = [room.ask("internal", &get("/status")).await.1, room.ask("internal", &get("/metrics")).await.1];
    assert!(pages[0].contains(r#""refused":["push/keys"]"#), "{}", pages[0]);
    assert!(pages[1].contains(r#"pushes_total{dialect="tencent",outcome="unauthorized"}"#), "{}", pages[1]);
    let log = room.log.borrow().clone();
    assert!(
        log.iter().any(|line| line.contains("\"TRACE\"") || line.contains("\"DEBUG\"")),
        "the log tells everything"
    );
    for secret in [KEY, wrong, NEXT, "too-short-key"] {
        for text in log.iter().chain(&pages) {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn keys_are_followed_while_it_runs_and_told_when_they_are_missing() {
    let room = Room::open().await;
    let (mut client, id) = room.join(0).await;
    let pushes = async |key: &str| room.push(key, &send(&id, "text", "x")).await.0;
    let keys = room.directory.path().join("keys");
    fs::write(&keys, format!("{NEXT}\n{KEY}")).unwrap();
    room.until("the new key counts", async |_| pushes(NEXT).await == 200).await;
    assert_eq!(pushes(KEY).await, 200);
    fs::write(&keys, NEXT).unwrap();
    room.until("the old key counts no more", async |_| pushes(KEY).await == 401).await;
    fs::remove_file(&keys).unwrap();
    room.until("nobody can push", async |_| pushes(NEXT).await == 503).await;
    let (_, status) = room.ask("internal", &get("/status")).await;
    assert!(status.contains(r#""missing":["push/keys"]"#) && status.contains(r#""ready":true"#), "{status}");
    assert_eq!(hears(&mut client).await, Message::text("x"));
}
