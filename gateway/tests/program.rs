//! The program as others start it: its exit codes, what it says, and how it is told to end.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;
use std::process::{Output, Stdio};

use futures_util::StreamExt as _;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

const COLD: &str = "
room: {name: lobby, namespace: default, uid: local-lobby}
path: /chat
webClient: false
broadcast: {excludeSender: true}
pingIntervalSeconds: 25
backplane: {type: Memory}
drain: {timeoutSeconds: 30}
logFormat: JSON
colour: red
";
const HOT: &str = "{logFilter: info, limits: {maxConnectionsPerPod: 10, maxMessageBytes: 65536, slowSeconds: 10}}";

fn program(directory: &TempDir, cold: &str, hot: &str) -> Command {
    let (cold_file, hot_file) = (directory.path().join("cold.yaml"), directory.path().join("hot.yaml"));
    fs::write(&cold_file, cold).unwrap();
    fs::write(&hot_file, hot).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatroom-gateway"));
    command
        .env_clear()
        .env("CHATROOM_COLD_FILE", cold_file)
        .arg("--hot-file")
        .arg(hot_file)
        .args(["--bind=127.0.0.1", "--push-port=0", "--internal-port=0"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn outcome(cold: &str, hot: &str) -> (i32, String) {
    let directory = TempDir::new().unwrap();
    let Output { status, stderr, .. } = program(&directory, cold, hot).arg("--client-port=0").output().await.unwrap();
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

/// A started gateway and its log.
struct Running {
    child: Child,
    log: tokio::io::Lines<BufReader<ChildStderr>>,
    url: String,
    _directory: TempDir,
}

impl Running {
    async fn start(arguments: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let mut child = program(&directory, COLD, HOT).arg("--client-port=0").args(arguments).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let started = line_with(&mut log, "gateway started").await;
        let url = format!("ws://{}/chat", started["clients"].as_str().unwrap());
        Self { child, log, url, _directory: directory }
    }
}

async fn line_with(log: &mut tokio::io::Lines<BufReader<ChildStderr>>, message: &str) -> serde_json::Value {
    while let Some(line) = log.next_line().await.unwrap() {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        if line["message"] == message {
            return line;
        }
    }
    panic!("the log ended before it said {message:?}");
}

#[tokio::test]
async fn bad_input_is_exit_code_2_with_file_and_field() {
    let (code, said) = outcome(COLD, &HOT.replace("65536", "many")).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("hot.yaml") && said.contains("limits.maxMessageBytes"), "{said}");
    let (code, said) = outcome(&COLD.replace("/chat", "chat"), HOT).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("cold.yaml") && said.contains("path must be"), "{said}");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_bad_input() {
    let status = Command::new(env!("CARGO_BIN_EXE_chatroom-gateway"))
        .args(["--cold-file=/nowhere/cold.yaml", "--hot-file=/nowhere/hot.yaml"])
        .stderr(Stdio::null())
        .status()
        .await
        .unwrap();
    assert_eq!(status.code(), Some(2));
}

#[tokio::test]
async fn a_taken_port_is_exit_code_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = TempDir::new().unwrap();
    let mut command = program(&directory, COLD, HOT);
    command.arg(format!("--client-port={}", taken.local_addr().unwrap().port()));
    let Output { status, stderr, .. } = command.output().await.unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("failed to open port"), "{said}");
}

#[tokio::test]
async fn a_parent_that_closes_standard_input_ends_it_with_a_drain() {
    let mut gateway = Running::start(&["--exit-with-stdin"]).await;
    let (mut client, _) = connect_when_ready(&gateway.url).await;
    drop(gateway.child.stdin.take());
    let Message::Close(Some(close)) = client.next().await.unwrap().unwrap() else {
        panic!("a close frame comes first")
    };
    assert_eq!(close.code, CloseCode::Restart);
    drop(client);
    line_with(&mut gateway.log, "gateway ended").await;
    assert_eq!(gateway.child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn sigterm_ends_it_with_a_drain_and_a_closed_standard_input_alone_does_not() {
    let mut gateway = Running::start(&[]).await;
    drop(gateway.child.stdin.take());
    connect_when_ready(&gateway.url).await;
    let id = gateway.child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    assert_eq!(line_with(&mut gateway.log, "asked to end").await["why"], "SIGTERM");
    line_with(&mut gateway.log, "gateway ended").await;
    assert_eq!(gateway.child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn unknown_settings_are_told_once_and_do_not_hinder() {
    let directory = TempDir::new().unwrap();
    let mut child = program(&directory, COLD, HOT).arg("--client-port=0").spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let warning = line_with(&mut log, "ignored settings that this version does not know").await;
    assert_eq!((warning["fields"].as_str(), warning["level"].as_str()), (Some("colour"), Some("WARN")));
    line_with(&mut log, "gateway started").await;
    child.kill().await.unwrap();
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn without_file_descriptors_it_waits_and_goes_on() {
    let gateway = Running::start(&[]).await;
    connect_when_ready(&gateway.url).await;
    let id = gateway.child.id().unwrap();
    let open = fs::read_dir(format!("/proc/{id}/fd")).unwrap().count();
    let limit = format!("--nofile={0}:{0}", open + 3);
    assert!(Command::new("prlimit").args([&limit, "--pid", &id.to_string()]).status().await.unwrap().success());
    let address = gateway.url.trim_start_matches("ws://").trim_end_matches("/chat").to_owned();
    let mut crowd = Vec::new();
    for _ in 0..10 {
        crowd.push(tokio::net::TcpStream::connect(&address).await.unwrap());
    }
    let mut log = gateway.log;
    let warning = line_with(&mut log, "failed to accept a client").await;
    assert!(warning["error"].as_str().unwrap().contains("files"), "{warning}");
    drop(crowd);
    connect_when_ready(&gateway.url).await;
}

type Connected = (
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>,
    tokio_tungstenite::tungstenite::handshake::client::Response,
);

/// The first lease comes a moment after the start; until then the answer is 503.
async fn connect_when_ready(url: &str) -> Connected {
    loop {
        match connect_async(url).await {
            Ok(connected) => return connected,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}
