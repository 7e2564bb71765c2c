//! A push port on a socket of its own, and what callers say to it.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chatroom_gateway::dialect::{Command, Description, Outcome};
use chatroom_gateway::http::accept;
use chatroom_gateway::id::{ConnectionId, Incarnation};
use chatroom_gateway::membership::{Membership, Standing};
use chatroom_gateway::metrics::{ByPush, Metrics};
use chatroom_gateway::push::Carrier;
use chatroom_gateway::push::keys::Keys;
use chatroom_gateway::push::port::{self, Patience};
use chatroom_gateway::readiness::Readiness;
use chatroom_gateway::settings_file;
use chatroom_settings::{Dialect, Hot, Push};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) const LONG: Duration = Duration::from_secs(60);
pub(crate) const KEY: &str = "0123456789abcdef";
pub(crate) const MAX_MESSAGE_BYTES: usize = 65_536;

#[derive(Clone)]
pub(crate) struct Notes {
    carried: Arc<Mutex<Vec<Command>>>,
    outcome: Option<Outcome>,
    hangs: bool,
}

impl Carrier for Notes {
    async fn carry(&self, command: Command) -> Outcome {
        let as_asked = match &command {
            Command::Send { .. } => Outcome::Sent,
            Command::Publish { .. } => Outcome::Published { seq: 41, online: 3 },
            Command::Close { .. } => Outcome::Closing,
            Command::Describe { .. } => Outcome::Described(Description {
                connected_at: 1,
                last_active_at: 2,
                address: "192.0.2.1".into(),
                user_agent: String::new(),
            }),
        };
        self.carried.lock().unwrap().push(command);
        if self.hangs { pending().await } else { self.outcome.clone().unwrap_or(as_asked) }
    }
}

#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) outcome: Option<Outcome>,
    pub(crate) hangs: bool,
    pub(crate) no_dialects: bool,
    pub(crate) patience: Option<Patience>,
    pub(crate) places: Option<usize>,
}

pub(crate) struct Port {
    address: SocketAddr,
    notes: Notes,
    metrics: Metrics,
    pub(crate) keys: watch::Sender<Arc<Keys>>,
    pub(crate) membership: watch::Sender<Membership>,
    pub(crate) draining: watch::Sender<bool>,
    _hot: watch::Sender<Arc<Hot>>,
    task: JoinHandle<()>,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Port {
    pub(crate) fn open() -> Self {
        Self::with(Setup::default())
    }

    pub(crate) fn with(setup: Setup) -> Self {
        let notes = Notes { carried: Arc::default(), outcome: setup.outcome, hangs: setup.hangs };
        let metrics = Metrics::default();
        let keys = watch::Sender::new(Arc::new(Keys::parse(KEY)));
        let membership = watch::Sender::new(member(Standing::Leased));
        let draining = watch::Sender::new(false);
        let hot = format!(
            "{{logFilter: info, limits: {{maxConnectionsPerPod: 1, maxMessageBytes: {MAX_MESSAGE_BYTES}, slowSeconds: 1}}}}"
        );
        let hot: Hot = settings_file::parse("hot".as_ref(), &hot).unwrap().value;
        let hot = watch::Sender::new(Arc::new(hot));
        let dialects: Vec<Dialect> = if setup.no_dialects { Vec::new() } else { Push::default().dialects };
        let port = port::Port::new(port::Parts {
            carrier: notes.clone(),
            keys: keys.subscribe(),
            readiness: Readiness::new(membership.subscribe(), draining.subscribe()),
            hot: hot.subscribe(),
            dialects,
            patience: setup.patience.unwrap_or_default(),
            metrics: metrics.clone(),
        });
        let listener = accept::bind(Some(Ipv4Addr::LOCALHOST.into()), 0).unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(Arc::new(port).run(listener, setup.places.unwrap_or(100)));
        Self { address, notes, metrics, keys, membership, draining, _hot: hot, task }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// One request on a connection of its own.
    pub(crate) async fn ask(&self, request: &str) -> Answer {
        let mut stream = self.connect().await;
        // Whoever is refused early need not have read everything.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut bytes = Vec::new();
        tokio::time::timeout(LONG, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
        Answer::parse(&bytes)
    }

    pub(crate) fn carried(&self) -> Vec<Command> {
        self.notes.carried.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, dialect: &'static str, outcome: &'static str) -> u64 {
        self.metrics.pushes.get_or_create(&ByPush { dialect, outcome }).get()
    }
}

pub(crate) fn member(standing: Standing) -> Membership {
    Membership {
        incarnation: Incarnation::from_bytes([1; 9]),
        standing,
        cleanups: None,
        online: Some(1),
        redis: Default::default(),
        missing: Vec::new(),
        refused: Vec::new(),
        peers: Default::default(),
    }
}

pub(crate) fn id() -> ConnectionId {
    Incarnation::from_bytes([7; 9]).connection([1; 15])
}

pub(crate) fn post(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}

/// Data as it stands in the JSON.
pub(crate) fn tencent(data_type: &str, data: &str) -> String {
    let body = format!(
        "{{\"websocket\":{{\"action\":\"data send\",\"secConnectionID\":\"{}\",\"dataType\":\"{data_type}\",\"data\":\"{data}\"}}}}",
        id()
    );
    post(&format!("/push/{KEY}"), "", &body)
}

pub(crate) fn plain(method: &str, path: &str, body: &str) -> String {
    post(path, &format!("Authorization: Bearer {KEY}\r\n"), body).replacen("POST", method, 1)
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
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

    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.body);
        let document: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(document["status"], self.status);
        document["code"].as_str().unwrap().to_owned()
    }
}
