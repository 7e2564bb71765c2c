//! Local fan-out: every message of the room to every member of this gateway.
//!
//! A message is encoded once into a log that all members share; a member is a place in that log and holds no bytes. So
//! the cost of a slow member is a number, joining many frames into one write is reading on to the end of the log, and
//! whoever falls out of the log is slow by definition.

mod letters;
mod log;
mod member;

use std::sync::{Arc, Mutex, MutexGuard};

use chatroom_settings::{Broadcast, Hot};
use tokio::sync::watch;
use tokio::time::Instant;

use self::letters::Letter;
pub use self::letters::{Letterbox, Posted};
use self::log::Log;
pub use self::member::{Member, Missed, Pending};
use crate::id::ConnectionId;
use crate::message::{Kind, RoomMessage};
use crate::protocol::batch::Builder;
use crate::protocol::{Close, Raw};

/// A batch is cut after so many bytes: it is what a frame half sent keeps alive, and what the log lets go at once.
const BATCH_BYTES: usize = 128 * 1024;

/// The members of this gateway and what they have yet to hear.
#[derive(Debug)]
pub struct Hub {
    raw: Raw,
    log: Mutex<Log>,
    /// How large a message may be, and so the log.
    hot: watch::Receiver<Arc<Hot>>,
    /// Wakes members, once for all that was delivered together. It follows the log, outside of its lock.
    head: watch::Sender<Head>,
}

/// Where the log stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Head {
    /// Position of the next frame.
    end: u64,
    /// Holes so far that could not be repaired.
    holes: u64,
}

impl Head {
    /// Both only grow, so the newer of two is the larger.
    fn advance(&mut self, to: Self) {
        self.end = self.end.max(to.end);
        self.holes = self.holes.max(to.holes);
    }
}

impl Hub {
    /// A hub without members, whose messages look as `broadcast` says. Its log follows `limits.maxMessageBytes`.
    #[must_use]
    pub fn new(broadcast: &Broadcast, hot: watch::Receiver<Arc<Hot>>) -> Self {
        Self {
            raw: Raw::new(broadcast.online_suffix.clone(), broadcast.exclude_sender),
            log: Mutex::default(),
            hot,
            head: watch::Sender::default(),
        }
    }

    /// Makes `id` a member: it hears everything that is delivered from now on, and leaves when the value is dropped.
    #[must_use]
    pub fn join(self: &Arc<Self>, id: ConnectionId) -> Member {
        let wake = self.head.subscribe();
        let at = self.log().enter();
        Member::new(Arc::clone(self), id, wake, at)
    }

    /// Takes messages that follow, in order, those delivered before. Never waits: a member that cannot keep up is
    /// the one that pays.
    pub fn deliver(self: &Arc<Self>, messages: &[RoomMessage]) {
        let mut batches = Vec::new();
        let mut builder = Builder::default();
        for message in messages {
            self.raw.encode(message, &mut builder);
            if builder.len() >= BATCH_BYTES {
                batches.push(std::mem::take(&mut builder).finish());
            }
        }
        if !builder.is_empty() {
            batches.push(builder.finish());
        }
        if batches.is_empty() {
            return;
        }
        let most_bytes = log::most_bytes(&self.hot.borrow().limits);
        let head = self.log().append(batches, most_bytes, Instant::now());
        self.head.send_modify(|known| known.advance(head));
    }

    /// Writes to one member alone, behind everything that was delivered so far. What waits for it may take
    /// `limits.maxPendingBytes`, beside the frame that is half sent; one message always fits an empty queue.
    pub fn send(&self, to: &Letterbox, kind: Kind, payload: &[u8]) -> Posted {
        let most_bytes = self.hot.borrow().limits.max_pending_bytes as usize;
        let frame = Raw::direct(kind, payload);
        to.post(self.log().end(), Letter::Frame(frame), most_bytes)
    }

    /// Closes one member behind everything that was delivered, and sent to it, so far.
    pub fn close(&self, member: &Letterbox, close: Close) -> Posted {
        member.post(self.log().end(), Letter::Close(close), 0)
    }

    /// A hole in the order that cannot be repaired: members that cannot be told otherwise are closed with 4010.
    pub fn lose_position(self: &Arc<Self>) {
        let head = self.log().lose_position();
        self.head.send_modify(|known| known.advance(head));
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("nothing that holds the lock can panic")
    }
}

#[cfg(test)]
mod tests;
