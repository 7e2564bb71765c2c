//! The ports: from an accepted socket to a WebSocket, a page, a probe or a refusal.
//!
//! The public port is read in this order: [`accept`] takes sockets, [`connection`] carries one of them from its first
//! byte to a session or a refusal, [`head`] looks at the bytes of its request, [`guard`] at the meaning. [`internal`]
//! is the other port. A public connection makes one request: whoever wants another, connects again. That costs
//! nobody anything (a WebSocket never asks twice), and there is no second request to smuggle.

pub mod accept;
pub mod connection;
pub mod guard;
pub mod head;
pub mod internal;
pub mod page;
pub mod problem;
mod rewound;

use bytes::Bytes;
use tokio::net::TcpStream;

use crate::admission::ClientRequest;
use crate::session::{AdmitError, Sessions, Ticket};

/// Where a client goes that may come in. The sessions; in tests of this room, something that takes notes.
pub trait Entrance: Clone + Send + Sync + 'static {
    /// What a client holds between "yes" and its session; dropped when it does not come to that.
    type Ticket: Send + 'static;

    /// Clients that hold a ticket or have a session.
    fn count(&self) -> usize;

    /// Registers a client, unless all seats are taken by now.
    ///
    /// # Errors
    /// When it cannot be registered now.
    fn admit(&self, request: ClientRequest) -> impl Future<Output = Result<Self::Ticket, AdmitError>> + Send;

    /// The subprotocol that was chosen for the client, of those that it offers.
    fn subprotocol<'a>(&self, ticket: &'a Self::Ticket) -> Option<&'a str>;

    /// Begins the session on the bare stream; `read_ahead` is what the client sent behind its request.
    fn start(&self, ticket: Self::Ticket, stream: TcpStream, read_ahead: Bytes);
}

impl Entrance for Sessions {
    type Ticket = Ticket;

    fn count(&self) -> usize {
        self.count()
    }

    fn admit(&self, request: ClientRequest) -> impl Future<Output = Result<Ticket, AdmitError>> + Send {
        self.admit(request)
    }

    fn subprotocol<'a>(&self, ticket: &'a Ticket) -> Option<&'a str> {
        ticket.subprotocol()
    }

    fn start(&self, ticket: Ticket, stream: TcpStream, read_ahead: Bytes) {
        self.start(ticket, stream, read_ahead);
    }
}
