//! The one task that takes what is published and hands it to the hub: in order, without holes, or saying so.

pub mod order;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::RngExt as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{debug, warn};

use self::order::{Order, Output};
use crate::backplane::bus::{self, BusEvent};
use crate::backplane::seen::Seen;
use crate::backplane::{Backplane, BackplaneError, History, Position, Post, RoomPosition};
use crate::hub::Hub;
use crate::id::{ConnectionId, Incarnation};
use crate::membership::{Beat, Joined, LeaseClock};
use crate::message::RoomMessage;
use crate::metrics::Metrics;

/// Between two looks whether something got lost without a trace; pub/sub promises nothing. ±20 %.
const LOOK: Duration = Duration::from_secs(10);
/// So many times more often while it is not known whether something of the epoch before was missed.
const HURRY: u32 = 5;
/// A look may be ahead of messages that are under way: so long they may be.
const UNDER_WAY: Duration = Duration::from_millis(500);
/// Between two tries to read what Redis did not answer; the backplane itself waits for its connection.
const RETRY: Duration = Duration::from_millis(200);

/// Posts of other gateways that wait to be looked at: more than come while a task waits for its turn.
const MOST_POSTS: usize = 256;

/// Who hears the room's messages in this process.
pub trait Sink: Send + 'static {
    /// Takes messages that follow those taken before. Never waits.
    fn deliver(&self, messages: &[RoomMessage]);

    /// Something is missing behind what was taken, and nobody can say what.
    fn lose_position(&self);
}

impl Sink for Arc<Hub> {
    fn deliver(&self, messages: &[RoomMessage]) {
        Hub::deliver(self, messages);
    }

    fn lose_position(&self) {
        Hub::lose_position(self);
    }
}

/// What else comes of delivering.
#[derive(Debug)]
pub struct Arrivals {
    /// The last message that members have before them, or have been told to be lost; absent before the first lease.
    pub delivered: watch::Receiver<Option<Position>>,
    /// What other gateways sent to this one. What the room said before it was seen before, and need not be delivered yet.
    pub posts: mpsc::Receiver<Post>,
}

/// Starts to deliver. Nothing comes before the first lease; from its place in the order on, nothing is left out. The task
/// ends when `shutdown` becomes true or its sender is gone.
#[must_use]
pub fn start(
    backplane: Arc<dyn Backplane>,
    joined: &Joined,
    sink: impl Sink,
    metrics: &Metrics,
    mut shutdown: watch::Receiver<bool>,
) -> (Arrivals, JoinHandle<()>) {
    let (sender, bus) = bus::queue(metrics.bus_overflows.clone());
    let (me, name) = watch::channel(joined.membership.borrow().incarnation);
    let feed = backplane.subscribe(sender, name);
    let (posts, posts_now) = mpsc::channel(MOST_POSTS);
    let (delivered, delivered_now) = watch::channel(None);
    let (clock, seen, metrics) = (joined.clock.clone(), joined.seen.clone(), metrics.clone());
    let beats = joined.beats.clone();
    let deliver = async move {
        let Some((incarnation, order, beats)) = first_lease(beats).await else { return };
        me.send_replace(incarnation);
        delivered.send_replace(Some(order.at().clone()));
        let now = Instant::now();
        let delivery = Delivery {
            backplane,
            bus,
            clock,
            beats,
            incarnation,
            me,
            delivered,
            posts,
            is_new: false,
            seen,
            sink,
            metrics,
            order,
            reading: None,
            look: now,
            urgent: true,
            repair: None,
        };
        delivery.run().await;
    };
    let task = tokio::spawn(async move {
        let over = async move { _ = shutdown.wait_for(|over| *over).await };
        tokio::select! {
            () = over => {}
            () = feed => {}
            () = deliver => {}
        }
    });
    (Arrivals { delivered: delivered_now, posts: posts_now }, task)
}

async fn first_lease(mut beats: watch::Receiver<Beat>) -> Option<(Incarnation, Order, watch::Receiver<Beat>)> {
    let (incarnation, began) = {
        let beat = beats.wait_for(|beat| beat.began.is_some()).await.ok()?;
        (beat.incarnation, beat.began.clone()?)
    };
    Some((incarnation, Order::new(began), beats))
}

struct Delivery<S> {
    backplane: Arc<dyn Backplane>,
    bus: bus::Receiver,
    clock: LeaseClock,
    beats: watch::Receiver<Beat>,
    /// For whose clients it delivers.
    incarnation: Incarnation,
    /// Under which name it is sent posts.
    me: watch::Sender<Incarnation>,
    delivered: watch::Sender<Option<Position>>,
    posts: mpsc::Sender<Post>,
    /// Whether it waits to learn where the order of a new incarnation begins.
    is_new: bool,
    seen: Seen,
    sink: S,
    metrics: Metrics,
    order: Order,
    /// The one question that is under way.
    reading: Option<BoxFuture<'static, Read>>,
    /// When to look at the position next.
    look: Instant,
    /// Whether what that look shows cannot be under way.
    urgent: bool,
    /// When to read the log for a hole that may be under way.
    repair: Option<Instant>,
}

enum Next {
    Event(BusEvent),
    Read(Read),
    Beat,
    Due,
}

enum Read {
    Position { answer: Result<RoomPosition, BackplaneError>, urgent: bool },
    History(Result<History, BackplaneError>),
}

impl<S: Sink> Delivery<S> {
    async fn run(mut self) {
        let mut renewed = self.beats.clone();
        loop {
            let due = self.repair.map_or(self.look, |repair| repair.min(self.look));
            let reading = async {
                match &mut self.reading {
                    Some(reading) => Next::Read(reading.await),
                    None => {
                        tokio::time::sleep_until(due).await;
                        Next::Due
                    }
                }
            };
            let next = tokio::select! {
                event = self.bus.next() => Next::Event(event),
                next = reading => next,
                Ok(()) = renewed.changed() => Next::Beat,
            };
            match next {
                Next::Event(event) => self.event(event),
                Next::Read(read) => self.read(read),
                Next::Beat => self.follow_incarnation(),
                Next::Due if self.repair.is_some_and(|repair| repair <= due) => self.repair(),
                Next::Due => self.look(),
            }
            // A full queue never waits; the feed has to get its turn all the same.
            tokio::task::coop::consume_budget().await;
        }
    }

    /// Asked at each step: a process that was frozen has to know it before it hands out its backlog.
    fn is_isolated(&mut self) -> bool {
        let isolated = !self.clock.holds();
        self.follow_incarnation();
        if isolated {
            // What is dropped meanwhile is in the log, or lost.
            (self.look, self.urgent) = (Instant::now() + RETRY, true);
        }
        isolated
    }

    /// A gateway that was declared dead begins anew, and so does its order: those who were there are told to come back
    /// and may be elsewhere by now, and whoever comes must not hear again what it heard there.
    fn follow_incarnation(&mut self) {
        if !self.beats.has_changed().unwrap_or(false) {
            return;
        }
        let Beat { incarnation, began, .. } = self.beats.borrow_and_update().clone();
        if incarnation != self.incarnation {
            (self.incarnation, self.is_new) = (incarnation, true);
            self.me.send_replace(incarnation);
            // For one that has not been told yet, what comes next does not follow. Nobody new is here before the lease.
            self.sink.lose_position();
        }
        if let Some(began) = began
            && std::mem::take(&mut self.is_new)
        {
            self.order = Order::new(began);
            self.tell_progress();
            (self.reading, self.repair) = (None, None);
            (self.look, self.urgent) = (Instant::now(), true);
        }
    }

    fn event(&mut self, event: BusEvent) {
        let isolated = self.is_isolated();
        match event {
            // Whoever takes it knows by itself whether it may act on it. One for whom there is no room is not answered.
            BusEvent::Post(post) => {
                if self.posts.try_send(post).is_err() {
                    self.metrics.posts_dropped.inc();
                }
            }
            _ if isolated => {}
            BusEvent::Batch(batch) => {
                self.seen.observe(&batch.epoch, batch.last());
                let outputs = self.order.batch(batch);
                self.act(outputs);
                if self.order.is_blocked() {
                    self.repair();
                }
            }
            BusEvent::Subscribed | BusEvent::Missed => (self.look, self.urgent) = (Instant::now(), true),
        }
    }

    /// Asks where the order stands.
    fn look(&mut self) {
        if self.is_isolated() {
            return;
        }
        let pause = if self.order.is_watching() { LOOK / HURRY } else { LOOK };
        self.look = Instant::now() + pause.mul_f64(rand::rng().random_range(0.8..1.2));
        let urgent = std::mem::take(&mut self.urgent);
        let backplane = Arc::clone(&self.backplane);
        self.reading = Some(async move { Read::Position { answer: backplane.position().await, urgent } }.boxed());
    }

    /// Asks the repair log for a hole, if there is one.
    fn repair(&mut self) {
        self.repair = None;
        let Some(after) = self.order.hole() else { return };
        if self.reading.is_none() {
            let backplane = Arc::clone(&self.backplane);
            self.reading = Some(async move { Read::History(backplane.history(after).await) }.boxed());
        }
    }

    fn read(&mut self, read: Read) {
        self.reading = None;
        let asked_by = self.incarnation;
        if self.is_isolated() || self.incarnation != asked_by {
            return;
        }
        match read {
            Read::Position { answer: Ok(position), urgent } => {
                self.seen.observe(&position.now.epoch, position.now.seq);
                let outputs = self.order.position(&position);
                self.act(outputs);
                if urgent || self.order.is_blocked() {
                    self.repair();
                } else if self.order.hole().is_some() {
                    self.repair = Some(Instant::now() + UNDER_WAY);
                }
            }
            Read::History(Ok(history)) => {
                let before = self.order.hole();
                let outputs = self.order.repaired(history);
                self.act(outputs);
                if before.is_some() && self.order.hole() == before {
                    // A whole page that this version cannot read: it gets old, and until then is not asked for in a loop.
                    self.repair = Some(Instant::now() + RETRY);
                } else {
                    self.repair();
                }
            }
            Read::Position { answer: Err(error), urgent } => {
                debug!(%error, "failed to look at the room's order, trying again");
                (self.look, self.urgent) = (Instant::now() + RETRY, self.urgent || urgent);
            }
            Read::History(Err(error)) => {
                debug!(%error, "failed to read the repair log, trying again");
                self.repair = Some(Instant::now() + RETRY);
            }
        }
    }

    fn act(&self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Deliver(mut messages) => {
                    messages.iter_mut().for_each(|message| self.resolve(&mut message.message.exclude));
                    self.metrics.messages_delivered.inc_by(messages.len() as u64);
                    self.sink.deliver(&messages);
                }
                Output::Lose => {
                    warn!("messages of the room were missed: telling the clients");
                    self.metrics.positions_lost.inc();
                    self.sink.lose_position();
                }
                Output::Repaired => {
                    debug!("a hole in the order was filled from the repair log");
                    self.metrics.holes_repaired.inc();
                }
            }
        }
        self.tell_progress();
    }

    /// Leaves of those who get no copy the ones who can be here: once for the gateway, and not for each member.
    fn resolve(&self, exclude: &mut Option<Arc<[ConnectionId]>>) {
        if let Some(all) = exclude {
            let mine: Arc<[ConnectionId]> =
                all.iter().copied().filter(|id| id.incarnation() == self.incarnation).collect();
            *exclude = Some(mine).filter(|mine| !mine.is_empty());
        }
    }

    /// Behind what was handed out.
    fn tell_progress(&self) {
        self.delivered.send_if_modified(|told| {
            let differs = told.as_ref() != Some(self.order.at());
            if differs {
                *told = Some(self.order.at().clone());
            }
            differs
        });
    }
}
