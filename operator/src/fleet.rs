//! The fleet: the one task of a scope that asks gateways how they are, and the latest answers.
//!
//! Nothing else speaks to gateways. The task polls every gateway pod of every room, keeps what it heard, and asks for a
//! reconcile of a room when something changed on which somebody might act.

mod ask;
mod change;

use crate::fleet::ask::Asker;
use crate::fleet::change::Noted;
use crate::health::Health;
use crate::metrics::{Metrics, ResultLabel};
use crate::names::{Component, keys};
use crate::observed::{GatewayReport, Unreachable};
use crate::scope::Scope;
use chatroom_api::ChatRoom;
use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;
use kube::runtime::reflector::{ObjectRef, Store};
use rand::RngExt;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tracing::debug;

/// How many wishes to reconcile may wait. The controller takes them at once; a full queue means that it stands still, and
/// then the wish is put off until the next round and counted.
pub const TRIGGERS: usize = 256;

/// How many gateways are asked at once: enough for a thousand pods in a round, few enough for a small operator pod. Where several
/// namespaces are watched, each gets its part of it.
const AT_ONCE: usize = 32;

/// The smallest part: one silent gateway shall not hold up all others of its namespace.
const AT_ONCE_AT_LEAST: usize = 4;

/// From the end of one round to the beginning of the next, give or take a tenth.
const PAUSE: Duration = Duration::from_secs(10);

/// The name of a room.
pub type RoomRef = ObjectRef<ChatRoom>;

/// How long rooms wait for the first round. Without it a new operator would take every gateway for unknown, and write so.
const FIRST_ROUND: Duration = Duration::from_secs(5);

/// What the gateways of each room answered.
pub type Reports = HashMap<RoomRef, Vec<GatewayReport>>;

/// The latest answers. Cheap to clone; all clones see the same.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    rooms: Arc<Mutex<Reports>>,
    asked: Arc<watch::Sender<bool>>,
}

/// What the polling task needs.
#[derive(Debug)]
pub struct Poll {
    /// Where these gateways are.
    pub scope: Scope,
    /// How many of its gateways are asked at once, see [`at_once`].
    pub at_once: usize,
    /// The gateway pods of all rooms.
    pub pods: Store<Pod>,
    /// The rooms: what their status says is what people were told.
    pub rooms: Store<ChatRoom>,
    /// The port of `/status`.
    pub port: u16,
    /// Where wishes to reconcile go.
    pub triggers: mpsc::Sender<RoomRef>,
    /// Where the task says that it moves.
    pub health: Arc<Health>,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
}

/// One gateway that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Gateway {
    room: RoomRef,
    pod: String,
    address: IpAddr,
}

impl Fleet {
    /// What the gateways of a room answered last, in the order of their pods' names; nothing about pods that were not
    /// asked yet.
    #[must_use]
    pub fn reports(&self, room: &RoomRef) -> Vec<GatewayReport> {
        self.rooms().get(room).cloned().unwrap_or_default()
    }

    /// Resolves when everybody has been asked once, or that takes too long.
    pub async fn wait_until_asked(&self) {
        // Fails only when the sender is gone, which is a part of this.
        let _ = self.asked.subscribe().wait_for(|asked| *asked).await;
    }

    /// Takes the answers of one round in place of those of the last.
    pub fn hear(&self, reports: Reports) {
        *self.rooms() = reports;
        self.asked.send_replace(true);
    }

    /// Polls from the moment at which the pods are known until `shutdown` resolves.
    pub async fn run(self, poll: Poll, pods_are_known: impl Future, shutdown: impl Future<Output = ()>) {
        let polling = async {
            pods_are_known.await;
            tokio::join!(self.poll(&poll), async {
                tokio::time::sleep(FIRST_ROUND).await;
                self.asked.send_replace(true);
            });
        };
        tokio::select! {
            () = polling => {}
            () = shutdown => {}
        }
    }

    async fn poll(&self, poll: &Poll) {
        let asker = Asker::new(poll.port);
        let mut told = Told::default();
        loop {
            self.round(poll, &asker, &mut told).await;
            let pause = PAUSE.mul_f64(rand::rng().random_range(0.9..1.1));
            tokio::time::sleep(pause).await;
        }
    }

    /// Asks everybody once.
    async fn round(&self, poll: &Poll, asker: &Asker, told: &mut Told) {
        poll.health.fleet_moves(&poll.scope);
        let mut heard = Reports::new();
        let gateways = poll.pods.state().into_iter().filter_map(|pod| gateway(&pod));
        let mut answers = stream::iter(gateways)
            .map(|gateway| async move { (asker.ask(gateway.address).await, gateway) })
            .buffer_unordered(poll.at_once);
        while let Some((answer, gateway)) = answers.next().await {
            poll.health.fleet_moves(&poll.scope);
            let result = if answer.is_ok() { "answered" } else { "unreachable" };
            poll.metrics.gateway_polls.get_or_create(&ResultLabel { result }).inc();
            if let Err(error) = &answer {
                debug!(room = %gateway.room, pod = gateway.pod, %error, "a gateway did not answer");
            }
            let answer = answer.map_err(|error| Unreachable { message: error.to_string() });
            let report = GatewayReport { pod: gateway.pod, answer };
            heard.entry(gateway.room).or_default().push(report);
        }
        for reports in heard.values_mut() {
            reports.sort_by(|one, other| one.pod.cmp(&other.pod));
        }
        self.hear(heard.clone());
        told.tell(&heard, poll);
    }

    fn rooms(&self) -> MutexGuard<'_, Reports> {
        // The map is replaced as a whole, so a panic elsewhere does not spoil it.
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many gateways of one scope are asked at once when there are so many scopes.
#[must_use]
pub fn at_once(scopes: usize) -> usize {
    (AT_ONCE / scopes.max(1)).max(AT_ONCE_AT_LEAST)
}

/// What the controller was told about each room.
#[derive(Default)]
struct Told(HashMap<RoomRef, Noted>);

impl Told {
    /// Asks for a reconcile of every room of which something changed that matters. What does not fit into the queue counts
    /// as not told, and so comes up again in the next round.
    fn tell(&mut self, heard: &Reports, poll: &Poll) {
        let known: HashSet<_> = self.0.keys().cloned().collect();
        for room in known.into_iter().chain(heard.keys().cloned()).collect::<HashSet<_>>() {
            let now = heard.get(&room).map(|reports| Noted::of(reports)).unwrap_or_default();
            let before = self.0.get(&room).cloned().unwrap_or_default();
            if now.gateways == before.gateways && !now.online_differs_from(published(poll, &room)) {
                continue;
            }
            if poll.triggers.try_send(room.clone()).is_err() {
                poll.metrics.fleet_triggers_postponed.inc();
                continue;
            }
            if heard.contains_key(&room) {
                self.0.insert(room, now);
            } else {
                self.0.remove(&room);
            }
        }
    }
}

/// The number of people that the room's status says.
fn published(poll: &Poll, room: &RoomRef) -> Option<i64> {
    poll.rooms.get(room)?.status.as_ref()?.online
}

/// The gateway that runs in a pod, if it is one of ours, has an address and has started.
fn gateway(pod: &Pod) -> Option<Gateway> {
    let room = pod.labels().get(keys::INSTANCE)?;
    if pod.labels().get(keys::NAME).map(String::as_str) != Some(Component::Gateway.program()) {
        return None;
    }
    let status = pod.status.as_ref()?;
    // A pod that has ended keeps its address for a while, and somebody else may have got it.
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return None;
    }
    // A pod has its address before its containers: one that waits for an image has nobody who could answer.
    if status.container_statuses.iter().flatten().any(is_yet_to_start) {
        return None;
    }
    Some(Gateway {
        room: ObjectRef::new(room).within(&pod.namespace()?),
        pod: pod.name_any(),
        address: status.pod_ip.as_deref()?.parse().ok()?,
    })
}

/// Whether it is the gateway's container, and Kubernetes says that it does not run.
fn is_yet_to_start(container: &ContainerStatus) -> bool {
    let waits = container.state.as_ref().is_some_and(|state| state.waiting.is_some());
    container.name == crate::names::pod::CONTAINER && waits
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use futures_util::future;
    use kube::runtime::reflector::{self, store::Writer};
    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};
    use std::net::Ipv4Addr;
    use tokio::net::TcpListener;
    use tokio::sync::oneshot;

    /// A gateway's port that answers whatever stands in the cell.
    async fn answering() -> (u16, Arc<Mutex<Value>>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cell = Arc::new(Mutex::new(json!({})));
        let answer = Arc::clone(&cell);
        let routes = Router::new().route("/status", get(move || async move { answer.lock().unwrap().to_string() }));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (port, cell)
    }

    fn pod(change: impl FnOnce(&mut Value)) -> Pod {
        let mut object = json!({
            "metadata": {"name": "lobby-1", "namespace": "chat", "labels": {
                "app.kubernetes.io/name": "chatroom-gateway", "app.kubernetes.io/instance": "lobby",
            }},
            "status": {"phase": "Running", "podIP": "127.0.0.1"},
        });
        change(&mut object);
        serde_json::from_value(object).unwrap()
    }

    fn lobby() -> RoomRef {
        ObjectRef::new("lobby").within("chat")
    }

    fn poll(port: u16, pods: Vec<Pod>, queue: usize) -> (Poll, mpsc::Receiver<RoomRef>, Writer<Pod>) {
        let (pod_store, mut writer) = reflector::store();
        writer.apply_watcher_event(&Event::Init);
        for pod in pods {
            writer.apply_watcher_event(&Event::InitApply(pod));
        }
        writer.apply_watcher_event(&Event::InitDone);
        let (triggers, triggered) = mpsc::channel(queue);
        let metrics = Metrics::new(std::collections::BTreeMap::new);
        let rooms = reflector::store().0;
        let (scope, at_once) = (Scope::Cluster, at_once(1));
        let health = Health::new(std::slice::from_ref(&scope));
        (Poll { scope, at_once, pods: pod_store, rooms, port, triggers, health, metrics }, triggered, writer)
    }

    #[test]
    fn only_gateways_with_an_address_of_their_own_are_asked() {
        let expected = Gateway { room: lobby(), pod: "lobby-1".into(), address: Ipv4Addr::LOCALHOST.into() };
        assert_eq!(gateway(&pod(|_| {})), Some(expected));
        assert_eq!(gateway(&pod(|pod| pod["status"]["podIP"] = Value::Null)), None);
        assert_eq!(gateway(&pod(|pod| pod["status"]["phase"] = json!("Failed"))), None);
        let containers = |name: &str, state: Value| {
            gateway(&pod(|pod| pod["status"]["containerStatuses"] = json!([{"name": name, "state": state}])))
        };
        assert_eq!(containers("gateway", json!({"waiting": {"reason": "ImagePullBackOff"}})), None);
        assert!(containers("gateway", json!({"running": {}})).is_some());
        assert!(containers("watcher", json!({"waiting": {"reason": "ImagePullBackOff"}})).is_some());
        let redis = |pod: &mut Value| pod["metadata"]["labels"]["app.kubernetes.io/name"] = json!("chatroom-redis");
        assert_eq!(gateway(&pod(redis)), None);
    }

    #[tokio::test]
    async fn a_change_is_kept_and_told_once() {
        let (port, answer) = answering().await;
        let (poll, mut triggered, _writer) = poll(port, vec![pod(|_| {})], TRIGGERS);
        let (fleet, asker, mut told) = (Fleet::default(), Asker::new(port), Told::default());

        fleet.round(&poll, &asker, &mut told).await;
        assert_eq!(triggered.try_recv(), Ok(lobby()), "it answers");
        fleet.round(&poll, &asker, &mut told).await;
        assert!(triggered.try_recv().is_err(), "nothing changed");

        *answer.lock().unwrap() = json!({"redis": {"state": "Unreachable"}});
        fleet.round(&poll, &asker, &mut told).await;
        assert_eq!(triggered.try_recv(), Ok(lobby()));
        let reports = fleet.reports(&lobby());
        let state = reports[0].answer.as_ref().unwrap().redis.state;
        assert_eq!(state, chatroom_settings::RedisState::Unreachable);
    }

    #[tokio::test]
    async fn a_count_that_differs_from_the_published_one_is_told_until_it_is_published() {
        let (port, answer) = answering().await;
        *answer.lock().unwrap() = json!({"online": 7});
        let (poll, mut triggered, _writer) = poll(port, vec![pod(|_| {})], TRIGGERS);
        let (fleet, asker, mut told) = (Fleet::default(), Asker::new(port), Told::default());
        for _ in 0..3 {
            fleet.round(&poll, &asker, &mut told).await;
            assert_eq!(triggered.try_recv(), Ok(lobby()));
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_into_the_queue_is_told_in_the_next_round() {
        let (port, _answer) = answering().await;
        let other = pod(|pod| {
            pod["metadata"]["name"] = json!("hall-1");
            pod["metadata"]["labels"]["app.kubernetes.io/instance"] = json!("hall");
        });
        let (poll, mut triggered, _writer) = poll(port, vec![pod(|_| {}), other], 1);
        let (fleet, asker, mut told) = (Fleet::default(), Asker::new(port), Told::default());
        fleet.round(&poll, &asker, &mut told).await;
        let first = triggered.try_recv().unwrap();
        assert_eq!(poll.metrics.fleet_triggers_postponed.get(), 1);
        fleet.round(&poll, &asker, &mut told).await;
        assert_ne!(triggered.try_recv().unwrap(), first);
    }

    #[tokio::test]
    async fn a_room_whose_gateways_are_gone_is_told_and_forgotten() {
        let (port, _answer) = answering().await;
        let (poll, mut triggered, mut writer) = poll(port, vec![pod(|_| {})], TRIGGERS);
        let (fleet, asker, mut told) = (Fleet::default(), Asker::new(port), Told::default());
        fleet.round(&poll, &asker, &mut told).await;
        triggered.try_recv().unwrap();
        writer.apply_watcher_event(&Event::Delete(pod(|_| {})));
        fleet.round(&poll, &asker, &mut told).await;
        assert_eq!(triggered.try_recv(), Ok(lobby()));
        assert_eq!(fleet.reports(&lobby()), []);
        assert!(told.0.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn rooms_do_not_wait_for_gateways_that_say_nothing() {
        let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let pods =
            (0..200).map(|number| pod(|pod| pod["metadata"]["name"] = json!(format!("lobby-{number}")))).collect();
        let (poll, _triggered, _writer) = poll(silent.local_addr().unwrap().port(), pods, TRIGGERS);
        let fleet = Fleet::default();
        let running = tokio::spawn(fleet.clone().run(poll, async {}, future::pending()));
        fleet.wait_until_asked().await;
        assert_eq!(fleet.reports(&lobby()), [], "the round of 200 silent gateways goes on");
        running.abort();
    }

    #[tokio::test]
    async fn it_stops_when_asked() {
        let (poll, _triggered, _writer) = poll(1, vec![], TRIGGERS);
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(Fleet::default().run(poll, async {}, async move { drop(stopped.await) }));
        stop.send(()).unwrap();
        running.await.unwrap();
    }
}
