//! A public port with a room behind it that takes notes only, and what a client hears from it.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chatroom_gateway::admission::ClientRequest;
use chatroom_gateway::backplane::Peers;
use chatroom_gateway::http::Entrance;
use chatroom_gateway::http::accept;
use chatroom_gateway::http::connection::{Front, Patience};
use chatroom_gateway::http::guard::Routes;
use chatroom_gateway::http::page::Page;
use chatroom_gateway::id::Incarnation;
use chatroom_gateway::membership::{Membership, Standing};
use chatroom_gateway::metrics::{ByReason, Metrics};
use chatroom_gateway::readiness::Readiness;
use chatroom_gateway::session::AdmitError;
use chatroom_settings::{Backplane, Broadcast, Cold, Drain, Hot, Limits, LogFormat, Push, RedisStatus, RoomIdentity};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A room that writes down who came and echoes what was read ahead.
#[derive(Clone, Default)]
pub(crate) struct Notes(pub(crate) Arc<Inner>);

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) admitted: Mutex<Vec<ClientRequest>>,
    pub(crate) held: AtomicUsize,
    pub(crate) refuses: Option<AdmitError>,
    pub(crate) subprotocol: Option<&'static str>,
}

pub(crate) struct Held(Arc<Inner>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Entrance for Notes {
    type Ticket = Held;

    fn count(&self) -> usize {
        self.0.held.load(Ordering::SeqCst)
    }

    async fn admit(&self, request: ClientRequest) -> Result<Held, AdmitError> {
        if let Some(error) = self.0.refuses {
            return Err(error);
        }
        self.0.admitted.lock().unwrap().push(request);
        self.0.held.fetch_add(1, Ordering::SeqCst);
        Ok(Held(Arc::clone(&self.0)))
    }

    fn subprotocol<'a>(&self, _: &'a Held) -> Option<&'a str> {
        self.0.subprotocol
    }

    fn start(&self, ticket: Held, mut stream: TcpStream, read_ahead: Bytes) {
        tokio::spawn(async move {
            stream.write_all(&read_ahead).await.unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            drop(ticket);
        });
    }
}

pub(crate) struct Port {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) room: Notes,
    pub(crate) metrics: Metrics,
    pub(crate) membership: watch::Sender<Membership>,
    pub(crate) draining: watch::Sender<bool>,
    pub(crate) hot: watch::Sender<Arc<Hot>>,
    pub(crate) task: JoinHandle<()>,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) page: bool,
    pub(crate) patience: Option<Patience>,
    pub(crate) max_pending: Option<usize>,
    pub(crate) room: Inner,
}

impl Port {
    pub(crate) fn open() -> Self {
        Self::with(Setup::default())
    }

    pub(crate) fn with(setup: Setup) -> Self {
        let metrics = Metrics::default();
        let membership = watch::Sender::new(member(Standing::Leased));
        let draining = watch::Sender::new(false);
        let hot = watch::Sender::new(Arc::new(hot(100, None)));
        let room = Notes(Arc::new(setup.room));
        let front = Front {
            entrance: room.clone(),
            routes: Routes { path: "/chat".into(), page: setup.page },
            page: Page::new(&cold()),
            readiness: Readiness::new(membership.subscribe(), draining.subscribe()),
            hot: hot.subscribe(),
            patience: setup.patience.unwrap_or(Patience { first_byte: LONG, head: LONG, linger: LONG }),
            metrics: metrics.clone(),
        };
        let listener = accept::bind(Some(Ipv4Addr::LOCALHOST.into()), 0).unwrap();
        let address = listener.local_addr().unwrap();
        let max_pending = setup.max_pending.unwrap_or(accept::MAX_PENDING_HANDSHAKES);
        let task = tokio::spawn(accept::run(listener, Arc::new(front), max_pending));
        Self { address, room, metrics, membership, draining, hot, task }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and hears everything until the gateway closes.
    pub(crate) async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut stream = self.connect().await;
        // The gateway may answer, and close, before it has read everything.
        let _ = stream.write_all(request.as_ref()).await;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        Answer::parse(&bytes)
    }

    pub(crate) fn refusals(&self, reason: &'static str) -> u64 {
        self.metrics.refusals.get_or_create(&ByReason { reason }).get()
    }
}

pub(crate) fn member(standing: Standing) -> Membership {
    Membership {
        incarnation: Incarnation::from_bytes([1; 9]),
        standing,
        cleanups: None,
        online: None,
        redis: RedisStatus::default(),
        missing: Vec::new(),
        refused: Vec::new(),
        peers: Peers::default(),
    }
}

pub(crate) fn hot(connections: u32, origins: Option<&[&str]>) -> Hot {
    Hot {
        log_filter: "info".into(),
        allowed_origins: origins.map(|origins| origins.iter().map(|&origin| origin.to_owned()).collect()),
        limits: Limits {
            max_connections_per_pod: connections,
            max_message_bytes: 65536,
            max_pending_bytes: 65_536,
            slow_seconds: 10,
            idle_timeout_seconds: None,
            max_connection_age_seconds: None,
        },
    }
}

pub(crate) fn cold() -> Cold {
    Cold {
        room: RoomIdentity { name: "lobby".into(), namespace: "default".into(), uid: "u".into() },
        path: "/chat".into(),
        web_client: true,
        broadcast: Broadcast { exclude_sender: true, online_suffix: None },
        ping_interval_seconds: 25,
        functions: None,
        push: Push::default(),
        backplane: Backplane::Memory,
        drain: Drain { timeout_seconds: 120 },
        log_format: LogFormat::Text,
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    /// As they came, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Self { status, headers, body: body.to_owned() }
    }

    pub(crate) fn header(&self, wanted: &str) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    pub(crate) fn has(&self, name: &str, value: &str) -> bool {
        let mut lines = self.headers.iter().filter(|header| header.0 == name);
        lines.any(|header| header.1.split(", ").any(|item| item == value))
    }

    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.body);
        let document: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(document["status"], self.status);
        for member in ["type", "title", "detail"] {
            assert!(document[member].is_string(), "{member} in {document}");
        }
        document["code"].as_str().unwrap().to_owned()
    }
}

/// A good upgrade; `change` gets the lines and may break one.
pub(crate) fn upgrade(change: impl FnOnce(&mut Vec<String>)) -> String {
    let mut lines: Vec<String> = [
        "GET /chat HTTP/1.1",
        "Host: lobby.example",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ]
    .map(str::to_owned)
    .into();
    change(&mut lines);
    lines.join("\r\n") + "\r\n\r\n"
}

/// Reads the head of an answer to an upgrade and leaves the rest.
pub(crate) async fn head_of(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.unwrap());
    }
    Answer::parse(&bytes)
}
