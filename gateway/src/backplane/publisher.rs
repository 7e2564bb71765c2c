//! Hands messages to the room in batches: what arrives while one batch is in flight is the next batch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::seen::Seen;
use super::{Backplane, BackplaneError, PublishAnswer, PublishRequest};
use crate::id::Incarnation;
use crate::membership::{Beat, Joined, Membership, Renew};
use crate::message::{Epoch, Message};
use crate::metrics::{ByResult, Metrics};

/// Messages of a batch: from here on, larger batches save nothing (measured), and smaller ones arrive sooner.
const MOST_MESSAGES: usize = 64;
/// Bytes of a batch, unless a single message is larger.
const MOST_BYTES: usize = 64 << 10;
/// Messages that wait for their batch. Each session waits for its message before it reads the next, so this many
/// sessions speak at once; the others wait at the door, and their clients are not read.
const QUEUED_MESSAGES: usize = 4_096;
/// Bytes that wait for their batch: what a pod can pay for without noticing. One message always fits.
const QUEUED_BYTES: usize = 16 << 20;
/// Between two tries of a batch whose fate is unknown; the backplane itself waits for its connection.
const RETRY: Duration = Duration::from_millis(200);

/// A handle; cloning shares the queue.
#[derive(Clone, Debug)]
pub struct Publisher {
    queue: mpsc::Sender<Waiting>,
    bytes: Arc<Semaphore>,
}

/// Where a message came to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its number in the room's order.
    pub seq: u64,
    /// People in the room at this place of the order.
    pub online: u64,
}

/// Why a message has no place in the order. An unknown fate is repeated until it is known, or nobody may ask any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// This gateway was declared dead; its clients are being told to come back.
    #[error("the gateway was fenced")]
    Fenced,
    /// As [`PublishError::Fenced`], but while the fate of the message was unknown: it may have its place all the same.
    #[error("the gateway was fenced before it knew what became of the message")]
    Doubtful,
    /// The gateway is ending. The message may have its place all the same.
    #[error("the gateway is ending")]
    Ended,
}

type Outcome = Result<Published, PublishError>;

#[derive(Debug)]
struct Waiting {
    message: Message,
    since: Instant,
    answer: oneshot::Sender<Outcome>,
    /// Its share of [`QUEUED_BYTES`].
    _bytes: OwnedSemaphorePermit,
}

impl Publisher {
    /// Waits until the message has its place. While Redis is away that is as long as it is away: whoever cannot wait
    /// that long drops the future, and the message may still be published.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn publish(&self, message: Message) -> Outcome {
        let since = Instant::now();
        let share = u32::try_from(message.bytes().min(QUEUED_BYTES)).expect("the budget fits");
        let bytes = Arc::clone(&self.bytes).acquire_many_owned(share).await.map_err(|_| PublishError::Ended)?;
        let (answer, outcome) = oneshot::channel();
        let waiting = Waiting { message, since, answer, _bytes: bytes };
        self.queue.send(waiting).await.map_err(|_| PublishError::Ended)?;
        outcome.await.unwrap_or(Err(PublishError::Ended))
    }
}

/// Starts the publisher of a gateway. It ends when `shutdown` becomes true or its sender is gone.
#[must_use]
pub fn start(
    backplane: Arc<dyn Backplane>,
    joined: &Joined,
    metrics: &Metrics,
    shutdown: watch::Receiver<bool>,
) -> (Publisher, JoinHandle<()>) {
    let (sender, queue) = mpsc::channel(QUEUED_MESSAGES);
    let producer = Producer {
        backplane,
        membership: joined.membership.clone(),
        beats: joined.beats.clone(),
        renew: joined.renew.clone(),
        seen: joined.seen.clone(),
        metrics: metrics.clone(),
        queue,
        carried: None,
        incarnation: joined.membership.borrow().incarnation,
        number: 0,
        epoch: None,
    };
    let publisher = Publisher { queue: sender, bytes: Arc::new(Semaphore::new(QUEUED_BYTES)) };
    (publisher, tokio::spawn(producer.run(shutdown)))
}

struct Producer {
    backplane: Arc<dyn Backplane>,
    membership: watch::Receiver<Membership>,
    beats: watch::Receiver<Beat>,
    renew: Renew,
    seen: Seen,
    metrics: Metrics,
    queue: mpsc::Receiver<Waiting>,
    /// Taken from the queue, but too large for the batch before.
    carried: Option<Waiting>,
    incarnation: Incarnation,
    /// Of the newest batch of this incarnation.
    number: u64,
    epoch: Option<Epoch>,
}

impl Producer {
    async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let over = async move { _ = shutdown.wait_for(|over| *over).await };
        tokio::select! {
            () = over => {}
            () = self.work() => {}
        }
        // Dropping the queue answers everybody who waits with `Ended`.
    }

    async fn work(&mut self) {
        while let Some(first) = self.next().await {
            let batch = self.fill(first);
            self.place(batch).await;
        }
    }

    async fn next(&mut self) -> Option<Waiting> {
        match self.carried.take() {
            Some(carried) => Some(carried),
            None => self.queue.recv().await,
        }
    }

    /// Takes what waits already. Nobody waits for company: a message alone goes alone.
    fn fill(&mut self, first: Waiting) -> Vec<Waiting> {
        let mut bytes = first.message.bytes();
        let mut batch = vec![first];
        while batch.len() < MOST_MESSAGES && bytes < MOST_BYTES {
            let Ok(next) = self.queue.try_recv() else { break };
            bytes += next.message.bytes();
            if bytes > MOST_BYTES {
                self.carried = Some(next);
                break;
            }
            batch.push(next);
        }
        batch
    }

    /// Finds a place for every message of the batch, however long that takes.
    async fn place(&mut self, mut batch: Vec<Waiting>) {
        self.follow_incarnation();
        let me = self.incarnation;
        // Words of a connection that was swept up meanwhile: its client is being told to come back.
        let foreign = |waiting: &Waiting| waiting.message.from.is_some_and(|from| from.incarnation() != me);
        let fenced = batch.extract_if(.., |waiting| foreign(waiting)).collect();
        self.answer(fenced, Err(PublishError::Fenced));
        if batch.is_empty() {
            return;
        }
        let messages: Vec<Message> = batch.iter().map(|waiting| waiting.message.clone()).collect();
        self.number += 1;
        let outcome = self.repeat_until_known(&messages).await;
        self.answer(batch, outcome);
    }

    /// A new incarnation counts its batches anew.
    fn follow_incarnation(&mut self) {
        let incarnation = self.membership.borrow_and_update().incarnation;
        if incarnation != self.incarnation {
            (self.incarnation, self.number) = (incarnation, 0);
        }
    }

    /// The place of the last message, unless the gateway was fenced.
    async fn repeat_until_known(&mut self, messages: &[Message]) -> Outcome {
        let mut fenced = PublishError::Fenced;
        loop {
            let request = PublishRequest {
                incarnation: self.incarnation,
                number: self.number,
                epoch: self.epoch.as_ref(),
                seen: self.epoch.as_ref().map_or(0, |epoch| self.seen.highest(epoch)),
                messages,
            };
            match self.backplane.publish(request).await {
                Ok(PublishAnswer::Placed { epoch, last, online }) => {
                    self.seen.observe(&epoch, last);
                    self.epoch = Some(epoch);
                    return Ok(Published { seq: last, online });
                }
                Ok(PublishAnswer::OtherEpoch(epoch)) => {
                    debug!(epoch = %epoch.0, "the room is in another epoch, publishing again");
                    self.epoch = Some(epoch);
                }
                Ok(PublishAnswer::Fenced) if self.is_dead().await => return Err(fenced),
                Ok(PublishAnswer::Fenced) => {}
                Err(error) => {
                    if matches!(error, BackplaneError::Unanswered(_)) {
                        fenced = PublishError::Doubtful;
                    }
                    self.pause(&error).await;
                }
            }
        }
    }

    /// No lease means dead, or that the first one is late, or that Redis lost its data: the keeper's next lease tells.
    async fn is_dead(&mut self) -> bool {
        let before = self.beats.borrow_and_update().number;
        self.renew.now();
        match self.beats.wait_for(|beat| beat.number > before).await {
            Ok(beat) => beat.incarnation != self.incarnation,
            Err(_) => true,
        }
    }

    async fn pause(&self, error: &BackplaneError) {
        self.metrics.publishes.get_or_create(&ByResult { result: "repeated" }).inc();
        // The lease keeper reports what is wrong with Redis; here it is a detail.
        debug!(%error, "the fate of a batch is unknown, repeating it");
        tokio::time::sleep(RETRY).await;
    }

    fn answer(&self, batch: Vec<Waiting>, outcome: Outcome) {
        if batch.is_empty() {
            return;
        }
        let result = match outcome {
            Ok(_) => "ok",
            Err(PublishError::Fenced | PublishError::Doubtful) => "fenced",
            Err(PublishError::Ended) => "ended",
        };
        if result == "fenced" {
            warn!(messages = batch.len(), incarnation = %self.incarnation, "messages refused: the gateway was fenced");
        }
        self.metrics.publishes.get_or_create(&ByResult { result }).inc_by(batch.len() as u64);
        let behind = batch.len() as u64;
        for (place, waiting) in (1..).zip(batch) {
            self.metrics.publish_seconds.0.observe(waiting.since.elapsed().as_secs_f64());
            // Whoever does not listen any more gave up waiting: its message has its place all the same.
            let _ = waiting.answer.send(outcome.map(|last| Published { seq: last.seq - behind + place, ..last }));
        }
    }
}
