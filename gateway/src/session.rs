//! One connection's life, from "yes" to its end.

mod machine;
mod pump;
mod table;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use chatroom_settings::Hot;
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use self::machine::Machine;
use self::pump::{Publishing, Pump, Ways};
use self::table::{Place, Table};
use crate::admission::ClientRequest;
use crate::backplane::publisher::Publisher;
use crate::hub::{Hub, Member, Posted};
use crate::id::ConnectionId;
use crate::membership::roster::{Details, RegisterError, Roster};
use crate::membership::{Membership, Standing};
use crate::message::Kind;
use crate::metrics::Metrics;
use crate::protocol::Close;
use crate::socket::Socket;

/// A handle to all sessions of this gateway; cloning shares it.
#[derive(Clone, Debug)]
pub struct Sessions(Arc<Inner>);

/// What sessions are made of.
#[derive(Debug)]
pub struct Parts {
    /// Time between two pings to a client that is otherwise silent; kept to ±20 %.
    pub ping_interval: Duration,
    /// The settings that sessions take over while they run.
    pub hot: watch::Receiver<Arc<Hot>>,
    /// Where sessions hear the room.
    pub hub: Arc<Hub>,
    /// Where messages go.
    pub publisher: Publisher,
    /// Where connections are registered and ended.
    pub roster: Roster,
    /// How this gateway stands.
    pub membership: watch::Receiver<Membership>,
    /// What is counted.
    pub metrics: Metrics,
}

#[derive(Debug)]
struct Inner {
    ping_interval: Duration,
    hot: watch::Receiver<Arc<Hot>>,
    hub: Arc<Hub>,
    roster: Roster,
    membership: watch::Receiver<Membership>,
    ways: Arc<Ways>,
    table: Arc<Table>,
    /// Apart from membership, which tells much more: a session wakes only for what concerns it.
    isolated: watch::Receiver<bool>,
    follower: JoinHandle<()>,
}

/// A connection that is registered and has not begun. Dropping it ends it.
#[derive(Debug)]
pub struct Ticket {
    id: ConnectionId,
    member: Member,
    registration: Registration,
    place: Place,
}

impl Ticket {
    /// The connection that it is for.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }
}

/// Why a session cannot begin; the client gets 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// The registry does not answer, or the gateway has lost touch with the room.
    #[error("no client can be registered now")]
    Unavailable,
    /// The gateway is letting its clients go.
    #[error("the gateway is draining")]
    Draining,
    /// All sockets that the pod may hold are taken.
    #[error("the gateway is full")]
    Full,
}

/// What became of a message for one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It stands in the client's own queue, or is written.
    Queued,
    /// As much waits for the client as may (`limits.maxPendingBytes`).
    Full,
    /// It is larger than `limits.maxMessageBytes`.
    TooLarge,
    /// The client is not here, or going.
    Gone,
}

/// What is known of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What the registry keeps.
    pub details: Details,
    /// When the client was last heard, in milliseconds since 1970 by this gateway's clock.
    pub last_active_at: u64,
}

impl Sessions {
    /// No sessions yet. They follow `membership` from here on: while the gateway is isolated they stand still, and when
    /// it has a new incarnation those of the old one are closed.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { ping_interval, hot, hub, publisher, roster, membership, metrics } = parts;
        let table = Table::new(metrics.clone());
        let (standing, isolated) = watch::channel(is_isolated(&membership.borrow()));
        let follower = tokio::spawn(follow(membership.clone(), standing, Arc::clone(&table)));
        let ways = Arc::new(Ways { publisher, metrics });
        Self(Arc::new(Inner { ping_interval, hot, hub, roster, membership, ways, table, isolated, follower }))
    }

    /// Joins the hub, then registers: from here on the client misses nothing and counts. May be dropped at any time.
    ///
    /// # Errors
    /// See [`AdmitError`].
    pub async fn admit(&self, request: ClientRequest) -> Result<Ticket, AdmitError> {
        let Inner { hot, hub, roster, membership, table, .. } = &*self.0;
        if membership.borrow().standing != Standing::Leased {
            return Err(AdmitError::Unavailable);
        }
        let id = roster.mint();
        let at_most = hot.borrow().limits.max_connections_per_pod as usize;
        let place = table.place(id, at_most)?;
        let member = hub.join(id);
        match roster.register(id, details(request)).await {
            Ok(()) => {
                place.sit(member.letterbox());
                Ok(Ticket { id, member, registration: Registration { id, roster: roster.clone() }, place })
            }
            Err(RegisterError::Unavailable | RegisterError::Fenced) => Err(AdmitError::Unavailable),
        }
    }

    /// Begins the session on the client's bare stream. `read_ahead` is what the client sent behind its request.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn start(&self, ticket: Ticket, stream: TcpStream, read_ahead: Bytes) {
        let Inner { ping_interval, hot, ways, isolated, .. } = &*self.0;
        let Ticket { id, member, registration, place } = ticket;
        ways.metrics.connections_accepted.inc();
        let mut hot = hot.clone();
        let limits = hot.borrow_and_update().limits.clone();
        let spread = rand::rng().random();
        let (orders, heard) = place.begin();
        let pump = Pump {
            machine: Machine::new(id, *ping_interval, limits, spread, Instant::now().into_std()),
            socket: Socket::new(stream, read_ahead),
            member,
            ways: Arc::clone(ways),
            hot,
            isolated: isolated.clone(),
            orders,
            heard,
            publishing: Publishing::default(),
            has_more: false,
        };
        // `Sessions::ended` waits for it by its place, which it gives up as its last act, also when it panics.
        tokio::spawn(pump.run(registration, place));
    }

    /// Sockets held now, tickets included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.table.count()
    }

    /// Writes a message to one client alone, behind everything that was delivered so far. Never waits.
    #[must_use]
    pub fn send(&self, to: ConnectionId, kind: Kind, payload: &[u8]) -> Sent {
        let Inner { hot, hub, table, .. } = &*self.0;
        if payload.len() > hot.borrow().limits.max_message_bytes as usize {
            return Sent::TooLarge;
        }
        match table.letterbox(to).map(|letterbox| hub.send(&letterbox, kind, payload)) {
            Some(Posted::Queued) => Sent::Queued,
            Some(Posted::Full) => Sent::Full,
            Some(Posted::Over) | None => Sent::Gone,
        }
    }

    /// Closes one client's connection, behind everything that was delivered and sent to it so far. Never waits. Answers whether
    /// there is such a client.
    #[must_use]
    pub fn close(&self, id: ConnectionId, close: Close) -> bool {
        let Inner { hub, table, .. } = &*self.0;
        table.letterbox(id).is_some_and(|letterbox| hub.close(&letterbox, close) == Posted::Queued)
    }

    /// What is known of a client's connection; nothing of one that is not here.
    #[must_use]
    pub fn describe(&self, id: ConnectionId) -> Option<Known> {
        let heard_after = self.0.table.heard_after(id)?;
        let details = self.0.roster.details(id)?;
        Some(Known { last_active_at: details.connected_at.saturating_add(heard_after), details })
    }

    /// Closes all sessions with 1012, spread evenly over the window in random order, and waits until all have ended. From
    /// the first moment on nobody is admitted. May be dropped, and called again.
    pub async fn drain(&self, window: Duration) {
        let mut ids = self.0.table.drain();
        ids.shuffle(&mut rand::rng());
        let begin = Instant::now();
        let step = window.div_f64(ids.len().max(1) as f64);
        for (turn, id) in ids.into_iter().enumerate() {
            sleep_until(begin + step.mul_f64(turn as f64)).await;
            self.0.table.close(id, Close::Restart);
        }
        self.ended().await;
    }

    /// Waits until no session and no ticket is left.
    pub async fn ended(&self) {
        self.0.table.emptied().await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

/// A connection in the room's registry, ended when dropped: exactly once, and whatever happens to the session.
#[derive(Debug)]
struct Registration {
    id: ConnectionId,
    roster: Roster,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.roster.end(self.id);
    }
}

/// Passes on what of membership concerns sessions, until membership ends.
async fn follow(mut membership: watch::Receiver<Membership>, standing: watch::Sender<bool>, table: Arc<Table>) {
    let mut incarnation = membership.borrow().incarnation;
    loop {
        let (current, isolated) = {
            let now = membership.borrow_and_update();
            (now.incarnation, is_isolated(&now))
        };
        if current != incarnation {
            incarnation = current;
            table.close_foreign(current, &Close::Restart);
        }
        standing.send_if_modified(|known| std::mem::replace(known, isolated) != isolated);
        if membership.changed().await.is_err() {
            return;
        }
    }
}

fn is_isolated(membership: &Membership) -> bool {
    membership.standing != Standing::Leased
}

fn details(request: ClientRequest) -> Details {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Details {
        connected_at: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
        address: request.address.to_string(),
        user_agent: request.user_agent,
    }
}
