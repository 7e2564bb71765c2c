//! A whole gateway on the memory backplane, with real WebSocket clients.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;
use std::net::SocketAddr;

use chatroom_gateway::app::{self, AppError, Gateway};
use chatroom_gateway::cli::Arguments;
use chatroom_gateway::telemetry::LogFilter;
use chatroom_settings::{GatewayStatus, RedisState};
use clap::Parser as _;
use futures_util::future::join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Room {
    clients: SocketAddr,
    internal: SocketAddr,
    end: mpsc::Sender<()>,
    ended: JoinHandle<Result<(), AppError>>,
    _directory: TempDir,
}

impl Room {
    async fn open() -> Self {
        Self::with_seats(100).await
    }

    /// Opens a room and waits until it takes clients.
    async fn with_seats(seats: u32) -> Self {
        let directory = TempDir::new().unwrap();
        let (cold_file, hot_file) = (directory.path().join("cold.yaml"), directory.path().join("hot.yaml"));
        let cold = "
room: {name: lobby, namespace: default, uid: local-lobby}
path: /
webClient: true
broadcast: {excludeSender: true, onlineSuffix: '(===Online people:{online}===)'}
pingIntervalSeconds: 25
backplane: {type: Memory}
drain: {timeoutSeconds: 30}
logFormat: Text
";
        fs::write(&cold_file, cold).unwrap();
        let hot = format!(
            "{{logFilter: info, limits: {{maxConnectionsPerPod: {seats}, maxMessageBytes: 65536, slowSeconds: 10}}}}"
        );
        fs::write(&hot_file, hot).unwrap();
        let mut arguments = Arguments::parse_from([
            "chatroom-gateway",
            "--bind=127.0.0.1",
            "--client-port=0",
            "--push-port=0",
            "--internal-port=0",
        ]);
        (arguments.cold_file, arguments.hot_file) = (cold_file, hot_file);
        let inputs = app::read_inputs(&arguments).unwrap();
        let gateway = Gateway::start(&arguments, inputs, LogFilter::fixed()).unwrap();
        let (clients, internal) = (gateway.client_address, gateway.internal_address);
        let (end, asked) = mpsc::channel(2);
        let ended = tokio::spawn(gateway.run(asked));
        let room = Self { clients, internal, end, ended, _directory: directory };
        while !room.ask("/readyz").await.starts_with("HTTP/1.1 200") {
            tokio::task::yield_now().await;
        }
        room
    }

    async fn join(&self) -> Result<Client, Error> {
        connect_async(format!("ws://{}/", self.clients)).await.map(|(client, _)| client)
    }

    /// The answer of the internal port, as text.
    async fn ask(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.internal).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn status(&self) -> GatewayStatus {
        let answer = self.ask("/status").await;
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

async fn hears(client: &mut Client) -> Message {
    client.next().await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_hear_each_other_and_not_themselves() {
    let room = Room::open().await;
    let (mut alice, mut bob) = (room.join().await.unwrap(), room.join().await.unwrap());
    alice.send(Message::text("hello")).await.unwrap();
    assert_eq!(hears(&mut bob).await, Message::text("hello(===Online people:2===)"));
    bob.send(Message::text("héllo\nback")).await.unwrap();
    // The first that Alice hears is Bob's answer: there was no copy of her own message before it.
    assert_eq!(hears(&mut alice).await, Message::text("héllo\nback(===Online people:2===)"));
    alice.send(Message::binary(vec![0, 159, 146])).await.unwrap();
    assert_eq!(hears(&mut bob).await, Message::binary(vec![0, 159, 146]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_count_follows_those_who_come_and_go() {
    let room = Room::open().await;
    let (mut alice, mut bob) = (room.join().await.unwrap(), room.join().await.unwrap());
    let mut carol = room.join().await.unwrap();
    alice.send(Message::text("a")).await.unwrap();
    assert_eq!(hears(&mut bob).await, Message::text("a(===Online people:3===)"));
    carol.close(None).await.unwrap();
    drop(carol);
    while room.status().await.connections > 2 {
        tokio::task::yield_now().await;
    }
    // The end of a connection is written by itself; until it is, the count is one too high.
    loop {
        alice.send(Message::text("b")).await.unwrap();
        if hears(&mut bob).await == Message::text("b(===Online people:2===)") {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_cannot_pass_the_limit() {
    let room = Room::with_seats(5).await;
    let outcomes = join_all((0..20).map(|_| room.join())).await;
    let mut welcome = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(client) => welcome.push(client),
            Err(Error::Http(response)) => {
                assert_eq!(response.status(), 503);
                let document = String::from_utf8(response.body().clone().unwrap()).unwrap();
                assert!(document.contains("\"pod_full\""), "{document}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(welcome.len(), 5);
    // Who leaves makes room.
    welcome.pop().unwrap().close(None).await.unwrap();
    while room.join().await.is_err() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_closes_clients_with_come_back_and_ends_well() {
    let room = Room::open().await;
    let mut client = room.join().await.unwrap();
    room.end.send(()).await.unwrap();
    let Message::Close(Some(close)) = hears(&mut client).await else { panic!("a close frame comes first") };
    assert_eq!(close.code, CloseCode::Restart);
    drop(client);
    room.ended.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_drains_a_gateway_is_not_ready_and_refuses_with_a_word() {
    let room = Room::open().await;
    // It does not answer the close frame, so that the drain takes a while.
    let client = room.join().await.unwrap();
    room.end.send(()).await.unwrap();
    while !room.ask("/readyz").await.contains("\"draining\"") {
        tokio::task::yield_now().await;
    }
    assert!(room.status().await.draining);
    let Err(Error::Http(response)) = room.join().await else { panic!("a refusal was expected") };
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    room.end.send(()).await.unwrap();
    assert!(matches!(room.ended.await.unwrap(), Err(AppError::EndedAtOnce)));
    drop(client);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_internal_port_tells_how_it_stands() {
    let room = Room::open().await;
    let _client = room.join().await.unwrap();
    let status = room.status().await;
    assert!(status.ready && !status.draining && !status.isolated);
    assert_eq!((status.connections, status.redis.state), (1, RedisState::NotUsed));
    assert_eq!((status.incarnation.len(), status.hot_hash.len(), status.cold_hash.len()), (12, 16, 16));
    assert!(room.ask("/livez").await.starts_with("HTTP/1.1 200"));
    assert!(room.ask("/metrics").await.contains("chatroom_gateway_connections 1\n"));
}
