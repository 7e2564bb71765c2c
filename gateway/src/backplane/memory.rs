//! A room within one process: one replica in production, several gateways in a test. It follows the rules of the Redis
//! scripts one by one, so that both pass the same suite and nobody has to know which one is there.

mod cleanups;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chatroom_settings::{RedisState, RedisStatus};
use tokio::sync::watch;
use tokio::time::Instant;

use self::cleanups::Queue;
use super::cleanups::{Claiming, Claims, Dead, Settled};
use super::{
    Answer, Backplane, Batch, End, Entry, History, Lease, LeaseAnswer, LeaseRequest, Peers, Position, Post,
    PublishAnswer, PublishRequest, RegisterAnswer, RegisterMode, RoomPosition, SendAnswer, SendRequest, Sweep, bus,
};
use crate::id::{ConnectionId, Incarnation};
use crate::message::Epoch;

/// How long the repair log reaches back.
const LOG_AGE: Duration = Duration::from_secs(30);
/// What the repair log holds at most, if not its last batch alone is more.
const LOG_BYTES: usize = 4 << 20;
/// How often a closed queue is looked for; nobody waits for it.
const CLOSED_CHECK: Duration = Duration::from_secs(1);

/// A handle to a room; cloning it gives another gateway the same room.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Mutex<Room>>);

#[derive(Debug)]
struct Room {
    name: Arc<str>,
    epoch: Epoch,
    seq: u64,
    /// When any gateway last leased.
    beat: Option<Instant>,
    /// Until then nobody is condemned: it was the process that stood still, not one gateway.
    quiet: Option<Instant>,
    gateways: BTreeMap<Incarnation, Gateway>,
    log: VecDeque<Kept>,
    log_bytes: usize,
    cleanups: Queue,
    subscribers: Vec<Subscriber>,
    /// Where the room's clock begins.
    began: Instant,
}

#[derive(Debug)]
struct Subscriber {
    queue: bus::Sender,
    name: watch::Receiver<Incarnation>,
}

#[derive(Debug)]
struct Gateway {
    /// Absent: condemned, which is final.
    deadline: Option<Instant>,
    pod_uid: String,
    template: String,
    draining: bool,
    /// Number of the newest batch, and its last seq and count.
    produced: Option<(u64, u64, u64)>,
    connections: HashMap<ConnectionId, String>,
    pending: HashMap<ConnectionId, String>,
}

#[derive(Debug)]
struct Kept {
    since: Instant,
    batch: Batch,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// A new, empty room.
    #[must_use]
    pub fn new() -> Self {
        let name: Arc<str> = Incarnation::random().as_str().into();
        Self(Arc::new(Mutex::new(Room {
            epoch: Epoch(Arc::clone(&name)),
            name,
            seq: 0,
            beat: None,
            quiet: None,
            gateways: BTreeMap::new(),
            log: VecDeque::new(),
            log_bytes: 0,
            cleanups: Queue::default(),
            subscribers: Vec::new(),
            began: Instant::now(),
        })))
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.0.lock().expect("nobody panics while holding the room")
    }
}

impl Room {
    fn online(&self) -> u64 {
        self.living().map(|(_, gateway)| gateway.connections.len() as u64).sum()
    }

    fn living(&self) -> impl Iterator<Item = (&Incarnation, &Gateway)> {
        self.gateways.iter().filter(|(_, gateway)| gateway.deadline.is_some())
    }

    fn leased(&mut self, me: Incarnation) -> Option<&mut Gateway> {
        self.gateways.get_mut(&me).filter(|gateway| gateway.deadline.is_some())
    }

    fn lease(&mut self, request: LeaseRequest, now: Instant) -> LeaseAnswer {
        let LeaseRequest { incarnation: me, length, born, pod_uid, template, draining, seen: _ } = request;
        let fenced = match self.gateways.get(&me) {
            Some(mine) => mine.deadline.is_none(),
            None => born.as_ref() == Some(&self.name),
        };
        if fenced {
            return LeaseAnswer::Fenced;
        }
        if self.beat.is_none_or(|beat| now - beat > length / 2) {
            self.quiet = Some(now + length);
        }
        self.beat = Some(now);
        let mine = self.gateways.entry(me).or_insert_with(|| Gateway {
            deadline: None,
            pod_uid: pod_uid.clone(),
            template: String::new(),
            draining: false,
            produced: None,
            connections: HashMap::new(),
            pending: HashMap::new(),
        });
        (mine.deadline, mine.draining) = (Some(now + length), draining);
        mine.template.clone_from(&template);
        let noisy = self.quiet.is_none_or(|quiet| now >= quiet);
        for (other, gateway) in &mut self.gateways {
            let predecessor = born.is_none() && *other != me && !pod_uid.is_empty() && gateway.pod_uid == pod_uid;
            if predecessor || (noisy && gateway.deadline.is_some_and(|deadline| deadline < now)) {
                gateway.deadline = None;
            }
        }
        let mut peers = Peers::default();
        for (_, other) in self.living().filter(|(other, gateway)| **other != me && !gateway.draining) {
            if other.template == template {
                peers.same_template_staying += 1;
            } else {
                peers.other_template_staying += 1;
            }
        }
        let dead = self.gateways.iter().filter(|(_, gateway)| gateway.deadline.is_none());
        LeaseAnswer::Leased(Lease {
            born: Arc::clone(&self.name),
            run: Arc::clone(&self.name),
            online: self.online(),
            condemned: dead.map(|(incarnation, _)| *incarnation).collect(),
            cleanups: self.cleanups.count(now),
            peers,
            position: self.position(),
            time: self.time(now),
        })
    }

    fn register(&mut self, me: Incarnation, mode: RegisterMode, entries: Vec<Entry>) -> RegisterAnswer {
        let Some(mine) = self.leased(me) else { return RegisterAnswer::Fenced };
        for Entry { id, details } in entries {
            match mode {
                RegisterMode::Pending => _ = mine.pending.insert(id, details),
                RegisterMode::Confirm if mine.pending.remove(&id).is_none() => {
                    if !mine.connections.contains_key(&id) {
                        return RegisterAnswer::Gone;
                    }
                }
                RegisterMode::Confirm | RegisterMode::Direct => {
                    mine.connections.entry(id).or_insert(details);
                }
            }
        }
        RegisterAnswer::Registered
    }

    fn unregister(&mut self, owner: Incarnation, ends: Vec<End>, force: bool, now: Instant) -> u64 {
        let mut removed = 0;
        for End { id, event } in ends {
            let there = self.gateways.get_mut(&owner).is_some_and(|gateway| {
                let (counted, pending) = (gateway.connections.remove(&id), gateway.pending.remove(&id));
                counted.or(pending).is_some()
            });
            removed += u64::from(there);
            if let Some(event) = event.filter(|_| there || force) {
                self.cleanups.add(id, event, now);
            }
        }
        removed
    }

    fn sweep(&mut self, condemned: Incarnation, at_most: usize, events: bool, now: Instant) -> Sweep {
        let Some(gateway) = self.gateways.get_mut(&condemned).filter(|gateway| gateway.deadline.is_none()) else {
            return Sweep { swept: 0, left: 0 };
        };
        let mut swept = 0;
        for hash in [&mut gateway.connections, &mut gateway.pending] {
            let some: Vec<ConnectionId> = hash.keys().take(at_most).copied().collect();
            swept += some.len() as u64;
            for id in some {
                let details = hash.remove(&id).expect("it was listed under the same lock");
                if events {
                    self.cleanups.add(id, details, now);
                }
            }
        }
        let left = (gateway.connections.len() + gateway.pending.len()) as u64;
        if left == 0 {
            self.gateways.remove(&condemned);
        }
        Sweep { swept, left }
    }

    fn publish(&mut self, request: &PublishRequest<'_>, now: Instant) -> PublishAnswer {
        let PublishRequest { incarnation, number, epoch, seen: _, messages } = *request;
        let (here, seq, online) = (self.epoch.clone(), self.seq, self.online());
        let Some(mine) = self.leased(incarnation) else { return PublishAnswer::Fenced };
        if epoch != Some(&here) {
            return PublishAnswer::OtherEpoch(here);
        }
        if let Some((_, last, online)) = mine.produced.filter(|(newest, ..)| number <= *newest) {
            return PublishAnswer::Placed { epoch: here, last, online };
        }
        let last = seq + messages.len() as u64;
        mine.produced = Some((number, last, online));
        let batch = Batch { epoch: here.clone(), first: seq + 1, online, messages: messages.to_vec() };
        self.seq = last;
        self.keep(batch.clone(), now);
        self.subscribers.retain(|subscriber| !subscriber.queue.is_closed());
        for subscriber in &self.subscribers {
            subscriber.queue.batch(batch.clone());
        }
        PublishAnswer::Placed { epoch: here, last, online }
    }

    fn keep(&mut self, batch: Batch, now: Instant) {
        self.log_bytes += batch.weight();
        self.log.push_back(Kept { since: now, batch });
        let over = |room: &Self, kept: &Kept| room.log_bytes > LOG_BYTES || now - kept.since > LOG_AGE;
        while self.log.len() > 1 && self.log.front().is_some_and(|kept| over(self, kept)) {
            let kept = self.log.pop_front().expect("it was looked at just now");
            self.log_bytes -= kept.batch.weight();
        }
    }

    fn time(&self, now: Instant) -> u64 {
        u64::try_from((now - self.began).as_millis()).unwrap_or(u64::MAX)
    }

    /// Nobody else keeps this registry, so it knows of everybody who ever lived in it.
    fn send(&mut self, request: SendRequest, now: Instant) -> SendAnswer {
        let SendRequest { to, body, good_for, lease: _ } = request;
        if self.leased(to).is_none() {
            return SendAnswer::Gone;
        }
        let post = Post { deadline: self.time(now + good_for), body };
        self.subscribers.retain(|subscriber| !subscriber.queue.is_closed());
        let mut answer = SendAnswer::Unheard;
        for subscriber in self.subscribers.iter().filter(|subscriber| *subscriber.name.borrow() == to) {
            subscriber.queue.post(post.clone());
            answer = SendAnswer::Sent;
        }
        answer
    }

    fn position(&self) -> Position {
        Position { epoch: self.epoch.clone(), seq: self.seq }
    }

    fn leave(&mut self, me: Incarnation) -> u64 {
        let Some(mine) = self.gateways.get_mut(&me) else { return 0 };
        mine.deadline = None;
        let left = (mine.connections.len() + mine.pending.len()) as u64;
        if left == 0 {
            self.gateways.remove(&me);
        }
        left
    }
}

/// An answer that is there at once.
fn now<'a, T: Send + 'a>(value: T) -> Answer<'a, T> {
    Box::pin(std::future::ready(Ok(value)))
}

impl Backplane for Memory {
    fn connect(&self) -> Answer<'_, ()> {
        now(())
    }

    fn disconnected(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }

    fn trouble(&self) -> Option<String> {
        None
    }

    fn missing_credential(&self) -> Option<&'static str> {
        None
    }

    fn healthy(&self) -> RedisStatus {
        RedisStatus { state: RedisState::NotUsed, message: String::new() }
    }

    fn lease(&self, request: LeaseRequest) -> Answer<'_, LeaseAnswer> {
        now(self.room().lease(request, Instant::now()))
    }

    fn register(&self, me: Incarnation, mode: RegisterMode, entries: Vec<Entry>) -> Answer<'_, RegisterAnswer> {
        now(self.room().register(me, mode, entries))
    }

    fn unregister(&self, owner: Incarnation, ends: Vec<End>, force: bool) -> Answer<'_, u64> {
        now(self.room().unregister(owner, ends, force, Instant::now()))
    }

    fn sweep(&self, condemned: Incarnation, at_most: usize, events: bool) -> Answer<'_, Sweep> {
        now(self.room().sweep(condemned, at_most, events, Instant::now()))
    }

    fn publish<'a>(&'a self, request: PublishRequest<'a>) -> Answer<'a, PublishAnswer> {
        now(self.room().publish(&request, Instant::now()))
    }

    fn position(&self) -> Answer<'_, RoomPosition> {
        now(RoomPosition { now: self.room().position(), former: None })
    }

    fn history(&self, after: u64) -> Answer<'_, History> {
        let room = self.room();
        let batches = room.log.iter().map(|kept| &kept.batch).filter(|batch| batch.last() > after).cloned().collect();
        now(History { batches, complete: true })
    }

    fn leave(&self, me: Incarnation) -> Answer<'_, u64> {
        now(self.room().leave(me))
    }

    fn send(&self, request: SendRequest) -> Answer<'_, SendAnswer> {
        now(self.room().send(request, Instant::now()))
    }

    fn claim(&self, claiming: Claiming) -> Answer<'_, Claims> {
        now(self.room().cleanups.claim(claiming, Instant::now()))
    }

    fn settle(&self, settled: Vec<Settled>) -> Answer<'_, u64> {
        now(self.room().cleanups.settle(settled, Instant::now()))
    }

    fn hasten(&self, at_most: usize) -> Answer<'_, u64> {
        now(self.room().cleanups.hasten(at_most, Instant::now()))
    }

    fn dead(&self) -> Answer<'_, Vec<Dead>> {
        now(self.room().cleanups.dead())
    }

    fn replay(&self, places: Vec<String>) -> Answer<'_, u64> {
        now(self.room().cleanups.replay(&places, Instant::now()))
    }

    fn subscribe(
        &self,
        queue: bus::Sender,
        me: watch::Receiver<Incarnation>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut room = self.room();
        room.subscribers.push(Subscriber { queue: queue.clone(), name: me });
        queue.subscribed();
        Box::pin(async move {
            while !queue.is_closed() {
                tokio::time::sleep(CLOSED_CHECK).await;
            }
        })
    }
}
