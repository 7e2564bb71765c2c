//! The functions of the room's owner: asks `register`, tells `transport` and `cleanup`, over HTTP.
//!
//! What a call says is the [dialect](crate::dialect)'s business; here is how it is made: time-outs, slots, a breaker, signatures.
//! A function that is slow or dead costs whoever waits for it, and nobody else.

use std::net::IpAddr;
use std::time::Duration;

use crate::id::ConnectionId;
use crate::message::Message;

/// The functions that a room has; cloning shares them.
#[derive(Clone, Debug)]
pub struct Functions;

/// A client that wants in, as the register function is told of it.
#[derive(Clone, Debug)]
pub struct Connecting {
    /// Under which ID it will be known.
    pub id: ConnectionId,
    /// The peer's address.
    pub address: IpAddr,
    /// `Sec-WebSocket-Protocol` as the client sent it, lines joined by `,`; absent: not sent.
    pub subprotocols: Option<String>,
    /// `Sec-WebSocket-Extensions` as the client sent it; absent: not sent.
    pub extensions: Option<String>,
    /// Headers of the upgrade, in the order in which they came; told only where the room says so.
    pub headers: Vec<(String, String)>,
    /// What stood behind `?`; told only where the room says so.
    pub query: Option<String>,
}

/// What the register function said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// The client is let in. Its end is owed to the cleanup function.
    Accepted {
        /// The one that the function chose, if the client offered it.
        subprotocol: Option<String>,
    },
    /// The function said no. No end is owed.
    Refused,
    /// There is no good answer, and the room lets nobody in without.
    Failed {
        /// What the client is told.
        why: NoAnswer,
        /// Whether the function may have let the client in, so that its end is owed.
        owed: bool,
    },
}

/// Why there is no good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The function answered with a bad status, or with what cannot be read: 502.
    Bad,
    /// The function cannot be reached, or was found down a moment ago: 503.
    Unreachable,
    /// The function took too long: 504.
    TimedOut,
}

/// Why a message did not reach the transport function, and the client is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// It answered with another status than 200: 1011.
    #[error("the transport function answered with an error")]
    Answered,
    /// It could not be reached within its time-out, or took longer: 1013.
    #[error("the transport function is unavailable")]
    Unavailable,
}

/// What came of telling the cleanup function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It knows.
    Done,
    /// It wants to hear no more of this end (410).
    Unwanted,
    /// Not now.
    Failed {
        /// Whether the function answered at all.
        answered: bool,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
        /// What went wrong, for people. Holds nothing secret.
        why: String,
    },
}

impl Functions {
    /// A room without functions: everybody is let in, and nobody is told.
    #[must_use]
    pub fn none() -> Self {
        todo!()
    }

    /// Whether there is a register function.
    #[must_use]
    pub fn asks_register(&self) -> bool {
        todo!()
    }

    /// Whether there is a transport function.
    #[must_use]
    pub fn tells_transport(&self) -> bool {
        todo!()
    }

    /// Whether there is a cleanup function.
    #[must_use]
    pub fn tells_cleanup(&self) -> bool {
        todo!()
    }

    /// How long a call of the cleanup function may take.
    #[must_use]
    pub fn cleanup_timeout(&self) -> Duration {
        todo!()
    }

    /// Asks the register function, once. Answers within its time-out; everybody is let in where there is none.
    ///
    /// Dropping the future gives the call up: the function may have let the client in.
    pub async fn register(&self, client: &Connecting) -> Registered {
        let _ = client;
        todo!()
    }

    /// Tells the transport function, at most once. Answers within its time-out. While the function is surely not reached,
    /// because there is no slot, no connection or the breaker is open, the message waits for it.
    ///
    /// # Errors
    /// See [`TransportError`]. None where the room ignores failures.
    pub async fn transport(&self, from: ConnectionId, message: &Message) -> Result<(), TransportError> {
        let _ = (from, message);
        todo!()
    }

    /// Tells the cleanup function, once. Answers within its time-out.
    pub async fn cleanup(&self, id: ConnectionId) -> Told {
        let _ = id;
        todo!()
    }
}
