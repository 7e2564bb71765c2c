//! A gateway without sockets: membership, publisher and delivery on a backplane, and what its clients would hear.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chatroom_gateway::backplane::Backplane;
use chatroom_gateway::backplane::publisher::{self, Publisher};
use chatroom_gateway::delivery::{self, Arrivals, Sink};
use chatroom_gateway::id::ConnectionId;
use chatroom_gateway::membership::roster::Details;
use chatroom_gateway::membership::{self, Joined, Settings, Standing, Timing};
use chatroom_gateway::message::{Kind, Message, RoomMessage};
use chatroom_gateway::metrics::Metrics;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Short enough for tests, long enough for a machine that does other things as well.
pub const HURRIED: Timing = Timing {
    lease: Duration::from_millis(2_500),
    renew: Duration::from_millis(300),
    stalled: Duration::from_millis(1_500),
};

pub struct Gateway {
    pub joined: Joined,
    pub publisher: Publisher,
    pub heard: Heard,
    pub metrics: Metrics,
    pub arrivals: Arrivals,
    shutdown: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// What was delivered, in order, and how often the position was lost.
#[derive(Clone, Debug, Default)]
pub struct Heard(Arc<watch::Sender<(Vec<RoomMessage>, usize)>>, Arc<Mutex<Vec<usize>>>);

impl Sink for Heard {
    fn deliver(&self, messages: &[RoomMessage]) {
        self.0.send_modify(|(heard, _)| heard.extend_from_slice(messages));
    }

    fn lose_position(&self) {
        self.1.lock().unwrap().push(self.0.borrow().0.len());
        self.0.send_modify(|(_, lost)| *lost += 1);
    }
}

impl Heard {
    pub async fn at_least(&self, messages: usize) -> Vec<RoomMessage> {
        self.until(|heard, _| heard.len() >= messages).await
    }

    pub async fn until(&self, met: impl Fn(&[RoomMessage], usize) -> bool) -> Vec<RoomMessage> {
        let mut receiver = self.0.subscribe();
        let wait = receiver.wait_for(|(heard, lost)| met(heard, *lost));
        match tokio::time::timeout(Duration::from_secs(30), wait).await {
            Ok(seen) => seen.unwrap().0.clone(),
            Err(_) => panic!("not heard within 30 s; {} messages, {} lost", self.messages().len(), self.lost()),
        }
    }

    pub fn messages(&self) -> Vec<RoomMessage> {
        self.0.borrow().0.clone()
    }

    pub fn lost(&self) -> usize {
        self.0.borrow().1
    }
}

impl Gateway {
    pub async fn start(backplane: Arc<dyn Backplane>) -> Self {
        let gateway = Self::begin(backplane, Settings { timing: HURRIED, ..Settings::default() });
        gateway.standing(Standing::Leased).await;
        gateway
    }

    /// Does not wait for the lease.
    pub fn begin(backplane: Arc<dyn Backplane>, settings: Settings) -> Self {
        let (metrics, _) = Metrics::new();
        let (shutdown, over) = watch::channel(false);
        let (joined, tasks) = membership::join(&backplane, settings, &metrics, &over);
        let mut tasks: Vec<JoinHandle<()>> = tasks.into_iter().map(|(_, task)| task).collect();
        let (publisher, task) = publisher::start(Arc::clone(&backplane), &joined, &metrics, over.clone());
        tasks.push(task);
        let heard = Heard::default();
        let (arrivals, task) = delivery::start(backplane, &joined, heard.clone(), &metrics, over);
        tasks.push(task);
        Self { arrivals, joined, publisher, heard, metrics, shutdown, tasks }
    }

    pub async fn standing(&self, standing: Standing) {
        let mut membership = self.joined.membership.clone();
        let reached = membership.wait_for(|now| now.standing == standing);
        let reached = tokio::time::timeout(Duration::from_secs(30), reached).await;
        assert!(reached.is_ok(), "not {standing:?} within 30 s: {:?}", self.joined.membership.borrow());
    }

    pub async fn online(&self, online: u64) {
        let mut membership = self.joined.membership.clone();
        let reached = membership.wait_for(|now| now.online == Some(online));
        let reached = tokio::time::timeout(Duration::from_secs(30), reached).await;
        assert!(reached.is_ok(), "not {online} people within 30 s: {:?}", self.joined.membership.borrow());
    }

    pub async fn connect(&self) -> ConnectionId {
        let id = self.joined.roster.mint();
        self.joined.roster.register(id, details()).await.unwrap();
        id
    }

    pub async fn say(&self, from: ConnectionId, words: &str) -> u64 {
        self.publisher.publish(text(from, words)).await.unwrap().seq
    }

    pub async fn stop(self) {
        self.shutdown.send_replace(true);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

pub fn details() -> Details {
    Details { connected_at: 1, address: "192.0.2.1".into(), user_agent: None }
}

pub fn text(from: ConnectionId, words: &str) -> Message {
    Message { from: Some(from), kind: Kind::Text, payload: Bytes::copy_from_slice(words.as_bytes()), exclude: None }
}
