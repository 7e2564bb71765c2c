//! A push to any gateway finds its client on any other one, and what is answered is true: with living, dead and frozen owners.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in a test a panic is the report, and a line is for its reader"
)]

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chatroom_gateway::admission::ClientRequest;
use chatroom_gateway::backplane::memory::Memory;
use chatroom_gateway::backplane::{Backplane, publisher};
use chatroom_gateway::delivery;
use chatroom_gateway::dialect::{Command, Outcome};
use chatroom_gateway::functions::Functions;
use chatroom_gateway::hub::Hub;
use chatroom_gateway::id::{ConnectionId, Incarnation};
use chatroom_gateway::membership::{self, Settings, Standing, Timing};
use chatroom_gateway::message::Kind;
use chatroom_gateway::metrics::Metrics;
use chatroom_gateway::push::route::{self, Route};
use chatroom_gateway::session::{Parts, Sessions};
use chatroom_settings::{Broadcast, Hot, Limits};
use futures_util::StreamExt as _;
use http::HeaderMap;
use support::gateway::HURRIED;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

/// A gateway with sockets and a runtime of its own, so that it can stand still as a whole.
struct Node {
    sessions: Sessions,
    route: Route,
    membership: watch::Receiver<membership::Membership>,
    shutdown: watch::Sender<bool>,
    runtime: Option<tokio::runtime::Runtime>,
}

type Client = WebSocketStream<TcpStream>;

impl Node {
    async fn start(backplane: Arc<dyn Backplane>, timing: Timing) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let inside = runtime.enter();
        let (metrics, _) = Metrics::new();
        let (shutdown, over) = watch::channel(false);
        let limits = Limits {
            max_connections_per_pod: 100,
            max_message_bytes: 1000,
            max_pending_bytes: 65_536,
            slow_seconds: 60,
            idle_timeout_seconds: None,
            max_connection_age_seconds: None,
        };
        let hot = Arc::new(Hot { log_filter: "info".to_owned(), allowed_origins: None, limits });
        let hot = watch::channel(hot).1;
        let (joined, _) = membership::join(&backplane, Settings { timing, ..Settings::default() }, &metrics, &over);
        let hub = Arc::new(Hub::new(&Broadcast { exclude_sender: true, online_suffix: None }, hot.clone()));
        let (arrivals, _) = delivery::start(Arc::clone(&backplane), &joined, Arc::clone(&hub), &metrics, over.clone());
        let (publisher, _) = publisher::start(Arc::clone(&backplane), &joined, &metrics, over.clone());
        let sessions = Sessions::new(Parts {
            ping_interval: Duration::from_secs(3600),
            hot: hot.clone(),
            hub,
            publisher: publisher.clone(),
            functions: Functions::none(),
            roster: joined.roster.clone(),
            membership: joined.membership.clone(),
            metrics: metrics.clone(),
        });
        let parts = route::Parts { publisher, sessions: sessions.clone(), hot, arrivals };
        let (route, _) = route::start(backplane, &joined, parts, &metrics, over);
        drop(inside);
        let mut node = Self { sessions, route, membership: joined.membership, shutdown, runtime: Some(runtime) };
        within(node.membership.wait_for(|now| now.standing == Standing::Leased)).await.unwrap();
        node
    }

    async fn connect(&self) -> (ConnectionId, Client) {
        let request = ClientRequest {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            user_agent: Some("test".to_owned()),
            origin: None,
            headers: HeaderMap::new(),
            query: None,
        };
        let ticket = self.sessions.admit(request).await.unwrap();
        let id = ticket.id();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let accepted = accepted.unwrap().0.into_std().unwrap();
        {
            let _inside = self.runtime.as_ref().unwrap().enter();
            self.sessions.start(ticket, TcpStream::from_std(accepted).unwrap(), Bytes::new());
        }
        (id, WebSocketStream::from_raw_socket(client.unwrap(), Role::Client, None).await)
    }

    fn name(&self) -> Incarnation {
        self.membership.borrow().incarnation
    }

    /// Nothing of it moves any more, and nobody is told.
    fn freeze(&self, time: Duration) {
        self.runtime.as_ref().unwrap().spawn(async move {
            // The only thread of the runtime.
            #[allow(clippy::disallowed_methods, reason = "it is the blocking that is the case")]
            std::thread::sleep(time);
        });
    }

    /// Ends without a word to the room.
    fn kill(mut self) {
        self.shutdown.send_replace(true);
        self.runtime.take().unwrap().shutdown_background();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shutdown.send_replace(true);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("did not happen within 30 s")
}

async fn hear(client: &mut Client) -> String {
    match within(client.next()).await {
        Some(Ok(Message::Text(text))) => text.as_str().to_owned(),
        other => panic!("not a message: {other:?}"),
    }
}

fn send(to: ConnectionId, words: &str) -> Command {
    Command::Send { to, kind: Kind::Text, payload: Bytes::copy_from_slice(words.as_bytes()) }
}

fn publish(words: &str, exclude: Vec<ConnectionId>) -> Command {
    Command::Publish { kind: Kind::Text, payload: Bytes::copy_from_slice(words.as_bytes()), exclude }
}

/// Until the subscription of everybody stands, an owner is not heard.
async fn carried(route: &Route, command: Command) -> Outcome {
    within(async {
        loop {
            match route.carry(command.clone()).await {
                Outcome::Unknown => tokio::time::sleep(Duration::from_millis(20)).await,
                outcome => return outcome,
            }
        }
    })
    .await
}

async fn every_way(backplanes: [Arc<dyn Backplane>; 3]) {
    let mut nodes = Vec::new();
    for backplane in backplanes {
        nodes.push(Node::start(backplane, HURRIED).await);
    }
    let mut clients = Vec::new();
    for node in &nodes {
        clients.push(node.connect().await);
    }
    for (from, node) in nodes.iter().enumerate() {
        for (id, client) in &mut clients {
            let describe = Command::Describe { id: *id };
            let Outcome::Described(known) = carried(&node.route, describe).await else { panic!("not described") };
            assert_eq!((known.address.as_str(), known.user_agent.as_str()), ("127.0.0.1", "test"));
            assert_eq!(node.route.carry(send(*id, &format!("from {from}"))).await, Outcome::Sent);
            assert_eq!(hear(client).await, format!("from {from}"));
            assert_eq!(node.route.carry(send(*id, &"x".repeat(1001))).await, Outcome::TooLarge);
        }
    }
    // What was said to all before stands before what is said to one, wherever both were pushed.
    for round in 0..20 {
        for node in &nodes {
            let all = format!("all {round}");
            assert!(matches!(node.route.carry(publish(&all, vec![])).await, Outcome::Published { online: 3, .. }));
            for (id, _) in &clients {
                assert_eq!(node.route.carry(send(*id, "one")).await, Outcome::Sent);
            }
            for (_, client) in &mut clients {
                assert_eq!((hear(client).await, hear(client).await), (all.clone(), "one".to_owned()));
            }
        }
    }
    // Whoever is left out hears what follows, and nothing else.
    let left_out = vec![clients[0].0, clients[2].0];
    assert!(matches!(nodes[1].route.carry(publish("some", left_out)).await, Outcome::Published { online: 3, .. }));
    nodes[0].route.carry(publish("everybody", vec![])).await;
    let mut heard = Vec::new();
    for (_, client) in &mut clients {
        heard.push(hear(client).await);
    }
    assert_eq!(heard, ["everybody", "some", "everybody"]);
    // Gone is who was closed.
    let (id, mut client) = clients.remove(0);
    let close = || Command::Close { id, code: None, reason: "bye".to_owned() };
    assert_eq!(nodes[2].route.carry(close()).await, Outcome::Closing);
    match within(client.next()).await {
        Some(Ok(Message::Close(Some(frame)))) => {
            assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1000, "bye"));
        }
        other => panic!("not closed: {other:?}"),
    }
    for node in &nodes {
        assert_eq!(node.route.carry(send(id, "?")).await, Outcome::Gone);
        assert_eq!(node.route.carry(close()).await, Outcome::Gone);
    }
    assert_eq!(nodes[0].route.carry(send(nodes[0].name().random_connection(), "?")).await, Outcome::Gone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory_a_push_to_any_gateway_finds_its_client() {
    let room = Memory::new();
    every_way([(); 3].map(|()| Arc::new(room.clone()) as Arc<dyn Backplane>)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_redis_a_push_to_any_gateway_finds_its_client() {
    let Some(server) = support::redis::Server::start(&[]) else { return };
    every_way([(); 3].map(|()| server.backplane("push"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_a_dead_gateway_is_gone_once_the_room_says_so_and_not_before() {
    let Some(server) = support::redis::Server::start(&[]) else { return };
    let (owner, asker) =
        (Node::start(server.backplane("dead"), HURRIED).await, Node::start(server.backplane("dead"), HURRIED).await);
    let (id, _client) = owner.connect().await;
    assert_eq!(carried(&asker.route, send(id, "hello")).await, Outcome::Sent);
    owner.kill();
    let began = Instant::now();
    loop {
        match asker.route.carry(send(id, "?")).await {
            Outcome::Gone => break,
            Outcome::Unknown | Outcome::Unavailable => {}
            other => panic!("{other:?}"),
        }
        assert!(began.elapsed() < Duration::from_secs(30), "it is never said to be gone");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(began.elapsed() > HURRIED.lease / 2, "gone before the lease ran out: {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_owner_is_unknown_and_does_not_do_late_what_it_was_asked() {
    let Some(server) = support::redis::Server::start(&[]) else { return };
    let timing = Timing { lease: Duration::from_secs(30), renew: Duration::from_millis(300), ..HURRIED };
    let (owner, asker) =
        (Node::start(server.backplane("frozen"), timing).await, Node::start(server.backplane("frozen"), timing).await);
    let (id, mut client) = owner.connect().await;
    assert_eq!(carried(&asker.route, send(id, "before")).await, Outcome::Sent);
    assert_eq!(hear(&mut client).await, "before");
    owner.freeze(Duration::from_secs(5));
    assert_eq!(asker.route.carry(send(id, "late")).await, Outcome::Unknown);
    assert_eq!(carried(&asker.route, send(id, "after")).await, Outcome::Sent);
    // Of those that were not answered none is heard.
    assert_eq!(hear(&mut client).await, "after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_without_a_lease_carries_nothing() {
    let Some(mut server) = support::redis::Server::start(&[]) else { return };
    let node = Node::start(server.backplane("isolated"), HURRIED).await;
    let (id, _client) = node.connect().await;
    let stranger = Incarnation::random().random_connection();
    assert_eq!(node.route.carry(send(stranger, "?")).await, Outcome::Unavailable, "a young registry knows nobody");
    server.kill();
    let mut membership = node.membership.clone();
    within(membership.wait_for(|now| now.standing == Standing::Isolated)).await.unwrap();
    for command in [send(id, "?"), send(stranger, "?"), publish("?", vec![]), Command::Describe { id }] {
        assert_eq!(node.route.carry(command).await, Outcome::Unavailable);
    }
}
