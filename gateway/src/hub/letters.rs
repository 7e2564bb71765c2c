//! What is written to one member alone. Each letter has its place between the frames of the room: behind those that were there
//! when it came.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use crate::protocol::{Batch, Close};

/// What a letter counts beside its message: about what it takes in memory. So a queue of empty messages is bounded, too.
const OVERHEAD_BYTES: usize = 128;

/// The letters of one member; cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Letterbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Whether there is any: a look at it is all that a member without letters pays.
    filled: AtomicBool,
    /// Whether something came that was not looked at.
    news: AtomicBool,
    waker: AtomicWaker,
}

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It stands in the member's own queue, which is written in order.
    Queued,
    /// As much waits for the member as may.
    Full,
    /// The member is gone, or going.
    Over,
}

#[derive(Clone, Debug)]
pub(super) enum Letter {
    Frame(Batch),
    /// The last one.
    Close(Close),
}

/// Pure: letters in order, and what they take.
#[derive(Debug, Default)]
struct Queue {
    letters: VecDeque<Placed>,
    bytes: usize,
    over: bool,
}

#[derive(Debug)]
struct Placed {
    /// Frames of the room with a lower position come first.
    after: u64,
    at: Instant,
    letter: Letter,
}

impl Letter {
    fn weight(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.len() + OVERHEAD_BYTES,
            Self::Close(_) => 0,
        }
    }
}

impl Queue {
    /// A letter that finds the queue empty has room whatever its size: it is bounded by what a message may be.
    fn post(&mut self, after: u64, at: Instant, letter: Letter, most_bytes: usize) -> Posted {
        let closing = self.letters.back().is_some_and(|last| matches!(last.letter, Letter::Close(_)));
        match letter {
            _ if self.over => return Posted::Over,
            // It is on its way out already, with what it was told first.
            Letter::Close(_) if closing => return Posted::Queued,
            Letter::Frame(_) if closing => return Posted::Over,
            Letter::Frame(_) if self.bytes > 0 && self.bytes + letter.weight() > most_bytes => return Posted::Full,
            Letter::Frame(_) | Letter::Close(_) => {}
        }
        self.bytes += letter.weight();
        // Two that came at the same time may have looked at the room in the other order.
        let after = self.letters.back().map_or(after, |last| last.after.max(after));
        self.letters.push_back(Placed { after, at, letter });
        Posted::Queued
    }

    fn take(&mut self, begun: usize) {
        for taken in self.letters.drain(..begun) {
            self.bytes -= taken.letter.weight();
        }
    }
}

impl Letterbox {
    /// Whether the member may still get something.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.queue().over
    }

    pub(super) fn post(&self, after: u64, letter: Letter, most_bytes: usize) -> Posted {
        let mut queue = self.queue();
        let posted = queue.post(after, Instant::now(), letter, most_bytes);
        self.0.filled.store(!queue.letters.is_empty(), Ordering::Release);
        drop(queue);
        if posted == Posted::Queued {
            self.0.news.store(true, Ordering::Release);
            self.0.waker.wake();
        }
        posted
    }

    /// Ready once for all that came since it was last.
    pub(super) fn poll_news(&self, context: &Context<'_>) -> Poll<()> {
        self.0.waker.register(context.waker());
        if self.0.news.load(Ordering::Acquire) && self.0.news.swap(false, Ordering::AcqRel) {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Behind which position of the room the first letter stands.
    pub(super) fn first(&self) -> Option<u64> {
        if !self.0.filled.load(Ordering::Acquire) {
            return None;
        }
        self.queue().letters.front().map(|first| first.after)
    }

    /// The frames of letters that have nothing of the room before them any more, when it was written up to `reached`.
    pub(super) fn frames(&self, reached: u64, at_most: usize) -> Vec<(Batch, Instant)> {
        let queue = self.queue();
        let due = queue.letters.iter().take(at_most).take_while(|letter| letter.after <= reached);
        due.map_while(|placed| match &placed.letter {
            Letter::Frame(frame) => Some((frame.clone(), placed.at)),
            Letter::Close(_) => None,
        })
        .collect()
    }

    /// So many were begun: they are the socket's now.
    pub(super) fn taken(&self, begun: usize) {
        let mut queue = self.queue();
        queue.take(begun);
        self.0.filled.store(!queue.letters.is_empty(), Ordering::Release);
    }

    /// The close that is the next thing to be written, when the room was written up to `reached`.
    pub(super) fn close(&self, reached: u64) -> Option<Close> {
        if !self.0.filled.load(Ordering::Acquire) {
            return None;
        }
        match self.queue().letters.front() {
            Some(Placed { after, letter: Letter::Close(close), .. }) if *after <= reached => Some(close.clone()),
            _ => None,
        }
    }

    /// From now on nothing is taken.
    pub(super) fn end(&self) {
        self.queue().over = true;
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().expect("nothing that holds the lock can panic")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Kind;
    use crate::protocol::Raw;

    /// Two bytes of header and those of the message, below 126.
    fn frame(bytes: usize) -> Letter {
        Letter::Frame(Raw::direct(Kind::Binary, &vec![b'x'; bytes]))
    }

    fn post(queue: &mut Queue, letter: Letter, most_bytes: usize) -> Posted {
        queue.post(0, Instant::now(), letter, most_bytes)
    }

    #[test]
    fn what_waits_is_bounded_by_bytes_and_what_was_begun_makes_room() {
        let mut queue = Queue::default();
        let one = 2 + 98 + OVERHEAD_BYTES;
        assert_eq!(post(&mut queue, frame(98), 2 * one), Posted::Queued);
        assert_eq!(post(&mut queue, frame(98), 2 * one), Posted::Queued);
        assert_eq!(post(&mut queue, frame(0), 2 * one), Posted::Full);
        queue.take(1);
        assert_eq!(queue.bytes, one);
        assert_eq!(post(&mut queue, frame(99), 2 * one), Posted::Full);
        assert_eq!(post(&mut queue, frame(98), 2 * one), Posted::Queued);
        queue.take(2);
        assert_eq!((queue.bytes, queue.letters.len()), (0, 0));
    }

    #[test]
    fn one_message_fits_an_empty_queue_and_nothing_beside_it() {
        let mut queue = Queue::default();
        assert_eq!(post(&mut queue, frame(5_000), 1024), Posted::Queued);
        assert_eq!(post(&mut queue, frame(0), 1024), Posted::Full);
    }

    #[test]
    fn empty_messages_fill_the_queue_as_well() {
        let mut queue = Queue::default();
        let fitting = (0..100).take_while(|_| post(&mut queue, frame(0), 1300) == Posted::Queued).count();
        assert_eq!(fitting, 10);
    }

    #[test]
    fn a_full_queue_still_takes_a_close_and_nothing_comes_behind_it() {
        let mut queue = Queue::default();
        post(&mut queue, frame(2_000), 1024);
        let close = || Letter::Close(Close::asked(None, ""));
        assert_eq!(post(&mut queue, close(), 1024), Posted::Queued);
        assert_eq!(post(&mut queue, close(), 1024), Posted::Queued);
        assert_eq!(queue.letters.len(), 2);
        assert_eq!(post(&mut queue, frame(0), 100_000), Posted::Over);
    }

    #[test]
    fn nobody_writes_to_whom_is_gone() {
        let letterbox = Letterbox::default();
        letterbox.end();
        assert_eq!(letterbox.post(0, frame(1), 1024), Posted::Over);
        assert_eq!(letterbox.post(0, Letter::Close(Close::asked(None, "")), 1024), Posted::Over);
        assert_eq!(letterbox.first(), None);
    }

    #[test]
    fn letters_never_change_their_order() {
        let mut queue = Queue::default();
        for after in [12, 10] {
            queue.post(after, Instant::now(), frame(1), 1024);
        }
        assert_eq!(queue.letters.iter().map(|letter| letter.after).collect::<Vec<_>>(), [12, 12]);
    }
}
