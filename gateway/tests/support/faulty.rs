//! A backplane whose answers and messages get lost: one gateway's bad view of a room in memory.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use chatroom_gateway::backplane::bus::{self, BusEvent};
use chatroom_gateway::backplane::cleanups::{Claiming, Claims, Dead, Settled};
use chatroom_gateway::backplane::memory::Memory;
use chatroom_gateway::backplane::{
    Answer, Backplane, BackplaneError, End, Entry, History, LeaseAnswer, LeaseRequest, PublishAnswer, PublishRequest,
    RegisterAnswer, RegisterMode, RoomPosition, SendAnswer, SendRequest, Sweep,
};
use chatroom_gateway::id::Incarnation;
use chatroom_settings::RedisStatus;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;

#[derive(Clone, Debug)]
pub struct Faulty {
    room: Memory,
    faults: Arc<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    away: AtomicBool,
    losing_answers: AtomicBool,
    hanging_registrations: AtomicBool,
    losing_batches: AtomicBool,
    calls: AtomicU64,
    /// Largest batch that was published: messages and bytes.
    largest: Mutex<(usize, usize)>,
}

impl Faulty {
    pub fn new(room: &Memory) -> Self {
        Self { room: room.clone(), faults: Arc::default() }
    }

    /// Nothing is reached.
    pub fn away(&self, away: bool) {
        self.faults.away.store(away, SeqCst);
    }

    /// Two of three calls take effect without an answer.
    pub fn lose_answers(&self, lose: bool) {
        self.faults.losing_answers.store(lose, SeqCst);
    }

    /// Registrations take effect, and their answers never come.
    pub fn hang_registrations(&self, hang: bool) {
        self.faults.hanging_registrations.store(hang, SeqCst);
    }

    /// Two of three batches do not arrive.
    pub fn lose_batches(&self, lose: bool) {
        self.faults.losing_batches.store(lose, SeqCst);
    }

    pub fn largest_batch(&self) -> (usize, usize) {
        *self.faults.largest.lock().unwrap()
    }

    fn is_third(&self) -> bool {
        self.faults.calls.fetch_add(1, SeqCst) % 3 == 2
    }

    fn spoil<'a, T: Send + 'a>(&'a self, call: impl FnOnce() -> Answer<'a, T> + Send + 'a) -> Answer<'a, T> {
        if self.faults.away.load(SeqCst) {
            return Box::pin(std::future::ready(Err(BackplaneError::Away("out of reach".into()))));
        }
        let lost = self.faults.losing_answers.load(SeqCst) && !self.is_third();
        Box::pin(async move {
            let answer = call().await;
            if lost { Err(BackplaneError::Unanswered("lost on the way".into())) } else { answer }
        })
    }
}

impl Backplane for Faulty {
    fn connect(&self) -> Answer<'_, ()> {
        let away = self.faults.away.load(SeqCst);
        let answer = if away { Err(BackplaneError::Away("out of reach".into())) } else { Ok(()) };
        Box::pin(std::future::ready(answer))
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
        self.room.healthy()
    }

    fn lease(&self, request: LeaseRequest) -> Answer<'_, LeaseAnswer> {
        if self.faults.away.load(SeqCst) {
            return Box::pin(std::future::ready(Err(BackplaneError::Away("out of reach".into()))));
        }
        self.room.lease(request)
    }

    fn register(&self, me: Incarnation, mode: RegisterMode, entries: Vec<Entry>) -> Answer<'_, RegisterAnswer> {
        let hangs = self.faults.hanging_registrations.load(SeqCst);
        self.spoil(move || {
            let answer = self.room.register(me, mode, entries);
            if hangs { Box::pin(std::future::pending()) } else { answer }
        })
    }

    fn unregister(&self, owner: Incarnation, ends: Vec<End>, force: bool) -> Answer<'_, u64> {
        self.spoil(move || self.room.unregister(owner, ends, force))
    }

    fn sweep(&self, condemned: Incarnation, at_most: usize, events: bool) -> Answer<'_, Sweep> {
        self.spoil(move || self.room.sweep(condemned, at_most, events))
    }

    fn publish<'a>(&'a self, request: PublishRequest<'a>) -> Answer<'a, PublishAnswer> {
        let bytes = request.messages.iter().map(|message| message.payload.len()).sum::<usize>();
        {
            let mut largest = self.faults.largest.lock().unwrap();
            *largest = (largest.0.max(request.messages.len()), largest.1.max(bytes));
        }
        self.spoil(move || self.room.publish(request))
    }

    fn position(&self) -> Answer<'_, RoomPosition> {
        self.spoil(move || self.room.position())
    }

    fn history(&self, after: u64) -> Answer<'_, History> {
        self.spoil(move || self.room.history(after))
    }

    fn leave(&self, me: Incarnation) -> Answer<'_, u64> {
        self.spoil(move || self.room.leave(me))
    }

    fn send(&self, request: SendRequest) -> Answer<'_, SendAnswer> {
        self.spoil(move || self.room.send(request))
    }

    fn claim(&self, claiming: Claiming) -> Answer<'_, Claims> {
        self.spoil(move || self.room.claim(claiming))
    }

    fn settle(&self, settled: Vec<Settled>) -> Answer<'_, u64> {
        self.spoil(move || self.room.settle(settled))
    }

    fn hasten(&self, at_most: usize) -> Answer<'_, u64> {
        self.spoil(move || self.room.hasten(at_most))
    }

    fn dead(&self) -> Answer<'_, Vec<Dead>> {
        self.spoil(move || self.room.dead())
    }

    fn replay(&self, places: Vec<String>) -> Answer<'_, u64> {
        self.spoil(move || self.room.replay(places))
    }

    fn subscribe(
        &self,
        queue: bus::Sender,
        me: watch::Receiver<Incarnation>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (sender, mut receiver) = bus::queue(Counter::default());
        let feed = self.room.subscribe(sender, me);
        let this = self.clone();
        let pass_on = async move {
            while !queue.is_closed() {
                match receiver.next().await {
                    BusEvent::Batch(_) if this.faults.losing_batches.load(SeqCst) && !this.is_third() => {}
                    BusEvent::Batch(batch) => queue.batch(batch),
                    BusEvent::Post(post) => queue.post(post),
                    BusEvent::Subscribed => queue.subscribed(),
                    BusEvent::Missed => queue.missed(),
                }
            }
        };
        Box::pin(async move {
            tokio::select! {
                () = feed => {}
                () = pass_on => {}
            }
        })
    }
}
