//! The queue between what is published and what is delivered. It never makes the sender wait, and never lies about a loss.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use prometheus_client::metrics::counter::Counter;
use tokio::sync::Notify;

use super::{Batch, Post};

/// Room for what arrives while the hub works off a pass: half a second at the room's ceiling.
const MOST_BATCHES: usize = 1_024;
/// As [`MOST_BATCHES`], for large messages: what a pod can pay for without noticing. One batch always fits.
const MOST_BYTES: usize = 16 << 20;

/// What the bus brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusEvent {
    /// Messages, in the order in which the store sent them.
    Batch(Batch),
    /// Something from another gateway; what the store published before it comes before it.
    Post(Post),
    /// The subscription stands, for the first time or again: what was said before may have been missed.
    Subscribed,
    /// Something was dropped here because the queue was full, or could not be read.
    Missed,
}

/// The end that is fed. Cloning shares the queue.
#[derive(Clone, Debug)]
pub struct Sender(Arc<Queue>);

/// The end that is drained.
#[derive(Debug)]
pub struct Receiver(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    state: Mutex<State>,
    filled: Notify,
    overflows: Counter,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<BusEvent>,
    bytes: usize,
    /// Told behind everything that was queued before the loss.
    missed: bool,
    closed: bool,
}

/// Makes a queue. `overflows` counts what found it full: batches are a hole that the repair
/// log fills, and whoever sent a post gets no answer.
#[must_use]
pub fn queue(overflows: Counter) -> (Sender, Receiver) {
    let queue = Arc::new(Queue { state: Mutex::default(), filled: Notify::new(), overflows });
    (Sender(Arc::clone(&queue)), Receiver(queue))
}

impl Queue {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding the queue")
    }
}

impl Sender {
    /// Queues a batch, or notes that one was lost when there is no room.
    pub fn batch(&self, batch: Batch) {
        let mut state = self.0.state();
        let weight = batch.weight();
        let full = state.events.len() >= MOST_BATCHES || (state.bytes > 0 && state.bytes + weight > MOST_BYTES);
        if full {
            state.missed = true;
            self.0.overflows.inc();
        } else {
            state.bytes += weight;
            state.events.push_back(BusEvent::Batch(batch));
        }
        drop(state);
        self.0.filled.notify_one();
    }

    /// Queues a post, or drops it when there is no room: nobody but its sender waits for it, and not for long.
    pub fn post(&self, post: Post) {
        let mut state = self.0.state();
        let full =
            state.events.len() >= MOST_BATCHES || (state.bytes > 0 && state.bytes + post.body.len() > MOST_BYTES);
        if full {
            self.0.overflows.inc();
            return;
        }
        state.bytes += post.body.len();
        state.events.push_back(BusEvent::Post(post));
        drop(state);
        self.0.filled.notify_one();
    }

    /// Tells that the subscription stands.
    pub fn subscribed(&self) {
        let mut state = self.0.state();
        // Two in a row say no more than one: so the queue stays bounded while a connection flaps.
        if state.events.back() != Some(&BusEvent::Subscribed) {
            state.events.push_back(BusEvent::Subscribed);
        }
        drop(state);
        self.0.filled.notify_one();
    }

    /// Tells that something was lost before it could be queued.
    pub fn missed(&self) {
        self.0.state().missed = true;
        self.0.filled.notify_one();
    }

    /// Whether nobody drains the queue any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.state().closed
    }
}

impl Receiver {
    /// The next event; waits for one. Cancelling it loses nothing.
    pub async fn next(&mut self) -> BusEvent {
        loop {
            if let Some(event) = self.try_next() {
                return event;
            }
            self.0.filled.notified().await;
        }
    }

    /// The next event, if there is one.
    pub fn try_next(&mut self) -> Option<BusEvent> {
        let mut state = self.0.state();
        match state.events.pop_front() {
            Some(event) => {
                state.bytes -= match &event {
                    BusEvent::Batch(batch) => batch.weight(),
                    BusEvent::Post(post) => post.body.len(),
                    BusEvent::Subscribed | BusEvent::Missed => 0,
                };
                Some(event)
            }
            None => std::mem::take(&mut state.missed).then_some(BusEvent::Missed),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.closed = true;
        state.events.clear();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::message::{Epoch, Kind, Message};

    fn batch(first: u64, bytes: usize) -> Batch {
        let message = Message { from: None, kind: Kind::Text, payload: Bytes::from(vec![b'x'; bytes]), exclude: None };
        Batch { epoch: Epoch("e".into()), first, online: 1, messages: vec![message] }
    }

    #[test]
    fn what_finds_no_room_is_told_behind_what_did() {
        let (sender, mut receiver) = queue(Counter::default());
        for first in 1..=MOST_BATCHES as u64 + 5 {
            sender.batch(batch(first, 1));
        }
        for first in 1..=MOST_BATCHES as u64 {
            assert_eq!(receiver.try_next(), Some(BusEvent::Batch(batch(first, 1))));
        }
        assert_eq!(receiver.try_next(), Some(BusEvent::Missed));
        assert_eq!(receiver.try_next(), None);
    }

    #[test]
    fn bytes_bound_the_queue_but_one_batch_always_fits() {
        let overflows = Counter::default();
        let (sender, mut receiver) = queue(overflows.clone());
        sender.batch(batch(1, MOST_BYTES * 2));
        sender.batch(batch(2, 1));
        assert_eq!(overflows.get(), 1);
        assert!(matches!(receiver.try_next(), Some(BusEvent::Batch(_))));
        sender.batch(batch(3, 1));
        assert!(matches!(receiver.try_next(), Some(BusEvent::Batch(_))));
    }

    #[test]
    fn a_post_keeps_its_place_among_the_batches_and_a_full_queue_drops_it_without_a_hole() {
        let overflows = Counter::default();
        let (sender, mut receiver) = queue(overflows.clone());
        let post = |bytes: usize| Post { deadline: 1, body: vec![b'x'; bytes].into() };
        sender.batch(batch(1, 1));
        sender.post(post(MOST_BYTES / 2));
        sender.batch(batch(2, 1));
        sender.post(post(MOST_BYTES));
        assert_eq!(overflows.get(), 1);
        assert_eq!(receiver.try_next(), Some(BusEvent::Batch(batch(1, 1))));
        assert_eq!(receiver.try_next(), Some(BusEvent::Post(post(MOST_BYTES / 2))));
        assert_eq!(receiver.try_next(), Some(BusEvent::Batch(batch(2, 1))));
        assert_eq!(receiver.try_next(), None);
    }

    #[test]
    fn a_flapping_subscription_does_not_fill_the_queue() {
        let (sender, mut receiver) = queue(Counter::default());
        (0..10).for_each(|_| sender.subscribed());
        assert_eq!(receiver.try_next(), Some(BusEvent::Subscribed));
        assert_eq!(receiver.try_next(), None);
    }
}
