//! One connection's life, from "yes" to its end.

mod machine;

use bytes::Bytes;
use tokio::net::TcpStream;

use crate::admission::ClientRequest;

/// A handle to all sessions of this gateway; cloning shares it.
#[derive(Clone, Debug)]
pub struct Sessions {}

/// A connection that is registered and has not begun. Dropping it ends it.
#[derive(Debug)]
pub struct Ticket {}

/// Why a session cannot begin; the client gets 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// The registry does not answer.
    #[error("the registry is unavailable")]
    Unavailable,
}

impl Sessions {
    /// Joins the hub, then registers: from here on the client misses nothing and counts.
    ///
    /// # Errors
    /// See [`AdmitError`].
    pub async fn admit(&self, _request: ClientRequest) -> Result<Ticket, AdmitError> {
        unimplemented!()
    }

    /// Begins the session on the client's bare stream. `read_ahead` is what the client sent behind its request.
    pub fn start(&self, _ticket: Ticket, _stream: TcpStream, _read_ahead: Bytes) {
        unimplemented!()
    }

    /// Sockets held now, tickets included.
    #[must_use]
    pub fn count(&self) -> usize {
        unimplemented!()
    }
}
