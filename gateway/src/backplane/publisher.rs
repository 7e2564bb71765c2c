//! Hands messages to the room in batches: what arrives while one batch is in flight is the next batch.

use crate::message::Message;

/// A handle; cloning shares the queue.
#[derive(Clone, Debug)]
pub struct Publisher {}

/// Where a message came to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its number in the room's order.
    pub seq: u64,
}

/// Why a message has no place in the order. Never "unknown": an unknown fate is repeated until it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// This gateway was declared dead; its clients are being told to come back.
    #[error("the gateway was fenced")]
    Fenced,
    /// The gateway is ending.
    #[error("the gateway is ending")]
    Ended,
}

impl Publisher {
    /// Waits until the message has its place. While Redis is away that is as long as it is away: whoever cannot wait
    /// that long drops the future, and the message may still be published.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn publish(&self, _message: Message) -> Result<Published, PublishError> {
        unimplemented!()
    }
}
