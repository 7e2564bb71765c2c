//! A room of one gateway for the tests of its sessions: real sockets, a backplane in memory, and a hand on everything that
//! would otherwise happen by itself.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chatroom_gateway::admission::ClientRequest;
use chatroom_gateway::backplane::Backplane;
use chatroom_gateway::backplane::memory::Memory;
use chatroom_gateway::backplane::publisher;
use chatroom_gateway::delivery;
use chatroom_gateway::functions::Functions;
use chatroom_gateway::hub::Hub;
use chatroom_gateway::id::ConnectionId;
use chatroom_gateway::membership::roster::Roster;
use chatroom_gateway::membership::{self, Membership, Settings, Standing};
use chatroom_gateway::metrics::{ByCode, Metrics};
use chatroom_gateway::session::{AdmitError, Parts, Sessions, Ticket};
use chatroom_settings::{Broadcast, Hot, Limits};
use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderMap;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

/// How a room differs from the usual.
#[derive(Clone, Debug)]
pub struct Setup {
    pub suffix: Option<&'static str>,
    pub ping_interval: Duration,
    pub limits: Limits,
    /// A publisher that is never given the time to publish: what Redis being away looks like to a session.
    pub is_stuck: bool,
    pub functions: Functions,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            suffix: None,
            ping_interval: Duration::from_secs(3600),
            limits: Limits {
                max_connections_per_pod: 100,
                max_message_bytes: 65_536,
                max_pending_bytes: 65_536,
                slow_seconds: 60,
                idle_timeout_seconds: None,
                max_connection_age_seconds: None,
            },
            is_stuck: false,
            functions: Functions::none(),
        }
    }
}

pub struct Room {
    pub sessions: Sessions,
    pub hub: Arc<Hub>,
    pub roster: Roster,
    pub metrics: Metrics,
    hot: watch::Sender<Arc<Hot>>,
    membership: watch::Sender<Membership>,
    listener: TcpListener,
    _shutdown: watch::Sender<bool>,
    stuck: Option<Runtime>,
    newest: Mutex<Option<ConnectionId>>,
}

pub type Client = WebSocketStream<TcpStream>;

impl Room {
    pub async fn open(setup: Setup) -> Self {
        let Setup { suffix, ping_interval, limits, is_stuck, functions } = setup;
        let (metrics, _) = Metrics::new();
        let (shutdown, over) = watch::channel(false);
        let backplane: Arc<dyn Backplane> = Arc::new(Memory::new());
        let settings = Settings { connections: 100, ..Settings::default() };
        let (mut joined, _tasks) = membership::join(&backplane, settings, &metrics, &over);
        joined.membership.wait_for(|now| now.standing == Standing::Leased).await.unwrap();
        let stuck = is_stuck.then(|| tokio::runtime::Builder::new_current_thread().build().unwrap());
        let publisher = {
            let _elsewhere = stuck.as_ref().map(Runtime::enter);
            publisher::start(Arc::clone(&backplane), &joined, &metrics, over.clone()).0
        };
        let broadcast = Broadcast { exclude_sender: true, online_suffix: suffix.map(str::to_owned) };
        let (hot, hot_now) = watch::channel(hot(limits));
        let hub = Arc::new(Hub::new(&broadcast, hot_now.clone()));
        let (_arrivals, _task) = delivery::start(backplane, &joined, Arc::clone(&hub), &metrics, over);
        let (membership, membership_now) = watch::channel(joined.membership.borrow().clone());
        let sessions = Sessions::new(Parts {
            ping_interval,
            hot: hot_now,
            hub: Arc::clone(&hub),
            publisher,
            functions,
            roster: joined.roster.clone(),
            membership: membership_now,
            metrics: metrics.clone(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self {
            sessions,
            hub,
            roster: joined.roster,
            metrics,
            hot,
            membership,
            listener,
            _shutdown: shutdown,
            stuck,
            newest: Mutex::default(),
        }
    }

    pub async fn ticket(&self) -> Ticket {
        self.ask().await.unwrap()
    }

    pub async fn ask(&self) -> Result<Ticket, AdmitError> {
        let request = ClientRequest {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            user_agent: None,
            origin: None,
            headers: HeaderMap::new(),
            query: None,
        };
        self.sessions.admit(request).await
    }

    /// A client that does with its bytes what it likes. `read_ahead` is what it sent behind its request.
    pub async fn connect_bare(&self, read_ahead: &'static [u8]) -> TcpStream {
        let ticket = self.ticket().await;
        *self.newest.lock().unwrap() = Some(ticket.id());
        let address = self.listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), self.listener.accept());
        self.sessions.start(ticket, accepted.unwrap().0, Bytes::from_static(read_ahead));
        client.unwrap()
    }

    pub async fn connect(&self) -> Client {
        WebSocketStream::from_raw_socket(self.connect_bare(b"").await, Role::Client, None).await
    }

    pub fn set_limits(&self, change: impl FnOnce(&mut Limits)) {
        self.hot.send_modify(|now| {
            let mut limits = now.limits.clone();
            change(&mut limits);
            *now = hot(limits);
        });
    }

    pub fn set_membership(&self, change: impl FnOnce(&mut Membership)) {
        self.membership.send_modify(change);
    }

    /// Waits until no socket is held and nobody is registered.
    pub async fn is_empty(&self) {
        within(self.sessions.ended()).await;
        assert_eq!((self.sessions.count(), self.roster.live(), self.metrics.connections.get()), (0, 0, 0));
    }

    /// The connection that came last.
    pub fn newest(&self) -> ConnectionId {
        self.newest.lock().unwrap().unwrap()
    }

    pub fn closes(&self, code: u16) -> u64 {
        self.metrics.closes.get_or_create(&ByCode { code }).get()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(stuck) = self.stuck.take() {
            stuck.shutdown_background();
        }
    }
}

fn hot(limits: Limits) -> Arc<Hot> {
    Arc::new(Hot { log_filter: "info".to_owned(), allowed_origins: None, limits })
}

/// Waits for what has to happen, and not for ever.
pub async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("did not happen within 30 s")
}

pub async fn say(client: &mut Client, words: &str) {
    client.send(Message::text(words)).await.unwrap();
}

pub async fn hear(client: &mut Client) -> String {
    match within(client.next()).await {
        Some(Ok(Message::Text(text))) => text.as_str().to_owned(),
        other => panic!("not a message: {other:?}"),
    }
}

/// Code and reason with which the client is closed; what it hears before does not matter.
pub async fn closed(client: &mut Client) -> (u16, String) {
    let closed = async {
        loop {
            match client.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return (frame.code.into(), frame.reason.as_str().to_owned()),
                Some(Ok(Message::Close(None))) => return (1005, String::new()),
                Some(Ok(_)) => {}
                other => panic!("ended without a close frame: {other:?}"),
            }
        }
    };
    let told = within(closed).await;
    assert!(within(client.next()).await.is_none(), "the stream ends after the close frames");
    told
}
