//! A message, from the client that sent it to the members that hear it.

use std::sync::Arc;

use bytes::Bytes;

use crate::id::ConnectionId;

/// Whether a payload is text or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Valid UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// What a client sent, before it has a place in the room's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The client that sent it; absent for messages that no client sent.
    pub from: Option<ConnectionId>,
    /// Whether `payload` is text.
    pub kind: Kind,
    /// What was said, as it was received.
    pub payload: Bytes,
    /// Who gets no copy, beside the sender; absent: nobody.
    pub exclude: Option<Arc<[ConnectionId]>>,
}

impl Message {
    /// Bytes it takes in a queue or an envelope, without what is the same for each.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let exclude = self.exclude.as_ref().map_or(0, |exclude| size_of_val(&**exclude));
        self.payload.len() + exclude
    }
}

/// The name of one unbroken run of sequence numbers of a room.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub Arc<str>);

/// A message at its place in the room's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomMessage {
    /// Its number: 1, 2, 3… in the epoch that the backplane is in.
    pub seq: u64,
    /// People in the room at this place of the order, the sender included.
    pub online: u64,
    /// The message.
    pub message: Message,
}
