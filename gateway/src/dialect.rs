//! What a push asks for and what comes of it, in words that no cloud owns. Each dialect translates to and from them.

use bytes::Bytes;

use crate::id::ConnectionId;
use crate::message::Kind;

/// What a push asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Write a message to one client. It has no place in the room's order, and nobody can resume it.
    Send {
        /// To whom.
        to: ConnectionId,
        /// Text or binary.
        kind: Kind,
        /// The message; text is UTF-8.
        payload: Bytes,
    },
    /// Say something to everybody in the room: a message like any other, with its place in order and history.
    Publish {
        /// Text or binary.
        kind: Kind,
        /// The message; text is UTF-8.
        payload: Bytes,
        /// Who gets no copy; at most [`MOST_EXCLUDED`].
        exclude: Vec<ConnectionId>,
    },
    /// Close a client's connection.
    Close {
        /// Whose.
        id: ConnectionId,
        /// Close code for the client; absent: 1000.
        code: Option<u16>,
        /// Close reason for the client, at most 123 bytes of UTF-8; may be empty.
        reason: String,
    },
    /// Tell what is known of a connection.
    Describe {
        /// Of which.
        id: ConnectionId,
    },
}

/// How many connections a push to everybody may leave out: they are compared with each sender of each gateway.
pub const MOST_EXCLUDED: usize = 100;

/// What came of a push. Every one of them is certain but [`Outcome::Unknown`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client's socket took the frame, or it stands in the queue of that client alone, which is written in order.
    Sent,
    /// The message has its place in the room.
    Published {
        /// Its number.
        seq: u64,
        /// People in the room at that place, those left out included.
        online: u64,
    },
    /// The connection closes.
    Closing,
    /// What is known of the connection.
    Described(Description),
    /// There is no such connection any more. Said by the registry or by the owner, never because nobody answered.
    Gone,
    /// The client reads too slowly: as much waits for it as may (`limits.maxPendingBytes`). Not delivered.
    Full,
    /// The message is larger than `limits.maxMessageBytes`. Not delivered.
    TooLarge,
    /// Surely not delivered: to try again is safe.
    Unavailable,
    /// The owner was asked and has not answered in time: it may have been delivered.
    Unknown,
}

/// What is known of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// When it was accepted, in milliseconds since 1970.
    pub connected_at: u64,
    /// When the client was last heard, in milliseconds since 1970.
    pub last_active_at: u64,
    /// The peer's address, without a port.
    pub address: String,
    /// What the client said it is; may be empty.
    pub user_agent: String,
}
