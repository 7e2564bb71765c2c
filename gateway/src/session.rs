//! One connection's life, from "yes" to its end.

mod hold;
mod machine;
mod pump;
mod table;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use chatroom_settings::Hot;
use http::header::{SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderName, HeaderValue};
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use self::hold::Held;
use self::machine::{Machine, Transport};
use self::pump::{InFlight, Pump, Ways};
use self::table::{Place, Table};
use crate::admission::ClientRequest;
use crate::backplane::publisher::Publisher;
use crate::functions::{Connecting, Functions, NoAnswer, Registered};
use crate::hub::{Hub, Letterbox, Member, Posted};
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
    /// Where messages go where no function takes them.
    pub publisher: Publisher,
    /// The room owner's functions.
    pub functions: Functions,
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
    subprotocol: Option<String>,
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

    /// The subprotocol that the register function chose of those that the client offers.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }
}

/// Why a session cannot begin.
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
    /// The register function said no, or had the connection closed before it began.
    #[error("the room's register function refused the client")]
    Refused,
    /// The register function gave no good answer.
    #[error("the room's register function gave no answer: {0:?}")]
    NoAnswer(NoAnswer),
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
        let Parts { ping_interval, hot, hub, publisher, functions, roster, membership, metrics } = parts;
        let table = Table::new(metrics.clone());
        let (standing, isolated) = watch::channel(is_isolated(&membership.borrow()));
        let follower = tokio::spawn(follow(membership.clone(), standing, Arc::clone(&table)));
        let ways = Arc::new(Ways { publisher, functions, metrics });
        Self(Arc::new(Inner { ping_interval, hot, hub, roster, membership, ways, table, isolated, follower }))
    }

    /// Asks the register function, where there is one; joins the hub, then registers: from here on the client misses nothing
    /// and counts. May be dropped at any time.
    ///
    /// # Errors
    /// See [`AdmitError`].
    pub async fn admit(&self, request: ClientRequest) -> Result<Ticket, AdmitError> {
        let Inner { hot, hub, roster, membership, ways, table, .. } = &*self.0;
        if membership.borrow().standing != Standing::Leased {
            return Err(AdmitError::Unavailable);
        }
        let id = roster.mint();
        let at_most = hot.borrow().limits.max_connections_per_pod as usize;
        let place = table.place(id, at_most)?;
        let owed = ways.functions.tells_cleanup();
        let (member, registration, subprotocol) = if ways.functions.asks_register() {
            let (registration, subprotocol) = self.ask(&place, request).await?;
            let member = hub.join(id);
            roster.confirm(id).await?;
            (member, registration, subprotocol)
        } else {
            let member = hub.join(id);
            roster.register(id, details(&request)).await?;
            (member, Registration { id, owed, roster: roster.clone() }, None)
        };
        // What was held fits, unless the room's limit is below that of the hold.
        let write = |letterbox: &Letterbox, kind, payload: &[u8]| _ = hub.send(letterbox, kind, payload);
        if !place.sit(member.letterbox(), write) {
            return Err(AdmitError::Refused);
        }
        Ok(Ticket { id, subprotocol, member, registration, place })
    }

    /// Asks the register function, with the connection in the registry before: whatever happens to this gateway from then on,
    /// its end is told. Answers with the subprotocol that the function chose.
    async fn ask(&self, place: &Place, request: ClientRequest) -> Result<(Registration, Option<String>), AdmitError> {
        let Inner { roster, ways, .. } = &*self.0;
        let (id, owed) = (place.id(), ways.functions.tells_cleanup());
        roster.announce(id, details(&request)).await?;
        // From here on the function may know the connection, also when nobody waits for its answer any more.
        let mut registration = Registration { id, owed, roster: roster.clone() };
        place.hold();
        match ways.functions.register(&connecting(id, request)).await {
            Registered::Accepted { subprotocol } => Ok((registration, subprotocol)),
            Registered::Refused => {
                registration.owed = false;
                Err(AdmitError::Refused)
            }
            Registered::Failed { why, owed } => {
                registration.owed &= owed;
                Err(AdmitError::NoAnswer(why))
            }
        }
    }

    /// Begins the session on the client's bare stream. `read_ahead` is what the client sent behind its request.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn start(&self, ticket: Ticket, stream: TcpStream, read_ahead: Bytes) {
        let Inner { ping_interval, hot, ways, isolated, .. } = &*self.0;
        let Ticket { id, subprotocol: _, member, registration, place } = ticket;
        ways.metrics.connections_accepted.inc();
        let mut hot = hot.clone();
        let limits = hot.borrow_and_update().limits.clone();
        let spread = rand::rng().random();
        let (orders, heard) = place.begin();
        let transport = if ways.functions.tells_transport() { Transport::Function } else { Transport::Room };
        let pump = Pump {
            machine: Machine::new(id, transport, *ping_interval, limits, spread, Instant::now().into_std()),
            socket: Socket::new(stream, read_ahead),
            member,
            ways: Arc::clone(ways),
            hot,
            isolated: isolated.clone(),
            orders,
            heard,
            in_flight: InFlight::default(),
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
        match table.hold(to, kind, payload) {
            Some(Held::Waits) => return Sent::Queued,
            Some(Held::Full) => return Sent::Full,
            Some(Held::Refused) => return Sent::Gone,
            None => {}
        }
        match table.letterbox(to).map(|letterbox| hub.send(&letterbox, kind, payload)) {
            Some(Posted::Queued) => Sent::Queued,
            Some(Posted::Full) => Sent::Full,
            Some(Posted::Over) | None => Sent::Gone,
        }
    }

    /// Closes one client's connection, behind everything that was delivered and sent to it so far; one that is being registered
    /// is refused. Never waits. Answers whether there is such a client.
    #[must_use]
    pub fn close(&self, id: ConnectionId, close: Close) -> bool {
        let Inner { hub, table, .. } = &*self.0;
        table.refuse(id) || table.letterbox(id).is_some_and(|letterbox| hub.close(&letterbox, close) == Posted::Queued)
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
    /// Whether the cleanup function has to be told.
    owed: bool,
    roster: Roster,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.roster.end(self.id, self.owed);
    }
}

impl From<RegisterError> for AdmitError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Unavailable | RegisterError::Fenced => Self::Unavailable,
        }
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

fn details(request: &ClientRequest) -> Details {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Details {
        connected_at: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
        address: request.address.to_string(),
        user_agent: request.user_agent.clone(),
    }
}

fn connecting(id: ConnectionId, request: ClientRequest) -> Connecting {
    let ClientRequest { address, headers, query, .. } = request;
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let lines = |name: HeaderName| {
        let lines: Vec<_> = headers.get_all(name).iter().map(text).collect();
        (!lines.is_empty()).then(|| lines.join(","))
    };
    Connecting {
        id,
        address,
        subprotocols: lines(SEC_WEBSOCKET_PROTOCOL),
        extensions: lines(SEC_WEBSOCKET_EXTENSIONS),
        headers: headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
        query,
    }
}
