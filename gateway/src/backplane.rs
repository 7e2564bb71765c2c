//! What the replicas of a room share: the registry, the order of messages, the repair log. One trait, two
//! implementations, [`memory`] and [`redis`], and one suite of properties that both have to pass.

pub mod bus;
pub mod cleanups;
pub mod envelope;
pub mod memory;
pub mod publisher;
pub mod redis;
pub mod seen;

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chatroom_settings::{RedisState, RedisStatus};

use tokio::sync::watch;

use self::cleanups::{Claiming, Claims, Cleanups, Dead, Settled};
use crate::id::{ConnectionId, Incarnation};
use crate::message::{Epoch, Message};

/// What every call of a [`Backplane`] answers.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, BackplaneError>> + Send + 'a>>;

/// The room as its gateways share it. Every call is one atomic step, and answers within the command time-out.
///
/// Object safe on purpose: which implementation it is, is decided once at start.
pub trait Backplane: fmt::Debug + Send + Sync + 'static {
    /// Makes the connection for commands anew; until a lease was taken over it nothing but [`Backplane::lease`]
    /// passes, and what needs none. For the lease keeper alone: the connection is driven by the runtime of whoever calls this.
    fn connect(&self) -> Answer<'_, ()>;

    /// Ends when the connection for commands is lost.
    fn disconnected(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// What is wrong with the store although it answers (memory full), in words for people.
    fn trouble(&self) -> Option<String>;

    /// The credential file that is not there now, as it shows on `/status`. The connection that there is does not need it; the
    /// next one will.
    fn missing_credential(&self) -> Option<&'static str>;

    /// How [`Backplane`] shows on `/status` while all is well.
    fn healthy(&self) -> RedisStatus;

    /// Takes or renews a lease, condemns gateways whose lease ran out, counts the people.
    fn lease(&self, request: LeaseRequest) -> Answer<'_, LeaseAnswer>;

    /// Enters connections into the registry. Idempotent.
    fn register(&self, me: Incarnation, mode: RegisterMode, entries: Vec<Entry>) -> Answer<'_, RegisterAnswer>;

    /// Takes connections out of the registry. Idempotent, and allowed to the condemned: a check would only lose ends.
    /// `force` writes an event also for a connection that is not (or no longer) there. Answers how many were there.
    fn unregister(&self, owner: Incarnation, ends: Vec<End>, force: bool) -> Answer<'_, u64>;

    /// Takes up to `at_most` connections of a condemned gateway out of the registry, and the gateway itself when none
    /// is left. Anybody may go on where somebody stopped.
    fn sweep(&self, condemned: Incarnation, at_most: usize, events: bool) -> Answer<'_, Sweep>;

    /// Gives a batch its place in the order, keeps it in the repair log, and sends it to every gateway.
    fn publish<'a>(&'a self, request: PublishRequest<'a>) -> Answer<'a, PublishAnswer>;

    /// Where the room's order stands.
    fn position(&self) -> Answer<'_, RoomPosition>;

    /// The batches of the repair log that end after `after`, oldest first.
    fn history(&self, after: u64) -> Answer<'_, History>;

    /// Gives the lease up, for good. Answers how many connections were left: with any, the gateway is condemned and
    /// the others sweep them; with none, it is gone without a trace.
    fn leave(&self, me: Incarnation) -> Answer<'_, u64>;

    /// Sends bytes to another gateway, if the registry knows it. Nothing is kept: who does not listen now never hears it.
    fn send(&self, request: SendRequest) -> Answer<'_, SendAnswer>;

    /// Takes events to tell the cleanup function of, and hides them from the other workers for a while.
    fn claim(&self, claiming: Claiming) -> Answer<'_, Claims>;

    /// Says what became of claimed events. Answers how many it counted for; see [`Settled::tries`].
    fn settle(&self, settled: Vec<Settled>) -> Answer<'_, u64>;

    /// Makes up to `at_most` events that were put off due now, none of them claimed. Answers how many there were: with as many
    /// as asked for there may be more.
    fn hasten(&self, at_most: usize) -> Answer<'_, u64>;

    /// The events that were given up, oldest first. Like [`Backplane::replay`] it needs no lease.
    fn dead(&self) -> Answer<'_, Vec<Dead>>;

    /// Makes events that were given up due now, as if they had never been tried. Answers how many were there.
    fn replay(&self, places: Vec<String>) -> Answer<'_, u64>;

    /// Feeds what is published, and what is sent to this gateway, into the queue until its receiver is gone; connects again by
    /// itself. `me` is the gateway's name, which changes when it starts anew.
    fn subscribe(
        &self,
        queue: bus::Sender,
        me: watch::Receiver<Incarnation>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackplaneError {
    /// There is no connection; nothing was sent.
    #[error("{0}")]
    Away(String),
    /// Sent, and no answer in time: it may have taken effect, or may yet.
    #[error("{0}")]
    Unanswered(String),
    /// A credential file is not there; its name below the mount, such as `redis/password`. Nothing was sent.
    #[error("the credential file {0} is missing")]
    CredentialsMissing(&'static str),
    /// The credential was refused, or its rights are too small.
    #[error("the credential {file} was refused: {reason}")]
    CredentialsRefused {
        /// Its file, such as `redis/password`.
        file: &'static str,
        /// What Redis said; holds no credential.
        reason: String,
    },
    /// Reachable, but the room cannot be kept there; what is wrong and what would be right. Nothing was done.
    #[error("{0}")]
    Unsuitable(String),
}

impl BackplaneError {
    /// How the error shows on `/status`.
    #[must_use]
    pub fn status(&self) -> RedisStatus {
        let state = match self {
            Self::Away(_) | Self::Unanswered(_) => RedisState::Unreachable,
            Self::CredentialsMissing(_) => RedisState::CredentialsMissing,
            Self::CredentialsRefused { .. } => RedisState::CredentialsRefused,
            Self::Unsuitable(_) => RedisState::Unsuitable,
        };
        RedisStatus { state, message: self.to_string() }
    }
}

/// A place in the room's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The run of sequence numbers.
    pub epoch: Epoch,
    /// The last number taken in it; 0: none yet.
    pub seq: u64,
}

/// Where the order stands, and how far the epoch before came as far as any living gateway saw it.
///
/// The second half proves or disproves that nothing was missed when the epoch changed: a gateway that heard the former
/// epoch up to at least `former.seq` heard all that anybody else did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomPosition {
    /// Where it stands.
    pub now: Position,
    /// The epoch before.
    pub former: Option<Position>,
}

/// What a gateway says when it takes or renews its lease.
#[derive(Clone, Debug)]
pub struct LeaseRequest {
    /// Who.
    pub incarnation: Incarnation,
    /// How long the lease is to last.
    pub length: Duration,
    /// The registry as the gateway knows it ([`Lease::born`]); absent: this incarnation never had a lease.
    pub born: Option<Arc<str>>,
    /// uid of its pod: whoever else has it is its predecessor, and dead. Empty: unknown.
    pub pod_uid: String,
    /// Hash of its pod template.
    pub template: String,
    /// Whether it is letting its clients go.
    pub draining: bool,
    /// The highest places it saw, in the epoch it knows and in the one before; at most two.
    pub seen: Vec<Position>,
}

/// The other gateways of the room, for the decision when to begin closing clients in a drain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Gateways of this gateway's own template that live and do not drain, this one excluded.
    pub same_template_staying: usize,
    /// Gateways of other templates that live and do not drain.
    pub other_template_staying: usize,
}

/// What comes of asking for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// It is held.
    Leased(Lease),
    /// The gateway was declared dead: its connections are being swept up, and it has to start as a new incarnation.
    Fenced,
}

/// A lease, and what the room looked like when it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Name of the registry: another one means that the data were lost.
    pub born: Arc<str>,
    /// Name of the server's run: another one means that the last writes may have been lost.
    pub run: Arc<str>,
    /// People in the room.
    pub online: u64,
    /// Gateways whose connections have to be swept up.
    pub condemned: Vec<Incarnation>,
    /// Ends that the cleanup function has yet to be told of.
    pub cleanups: Cleanups,
    /// The other gateways that live.
    pub peers: Peers,
    /// Where the order stands.
    pub position: Position,
    /// The store's clock when it answered, in its own milliseconds.
    pub time: u64,
}

/// Which step of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterMode {
    /// In one step: it counts at once.
    Direct,
    /// First of two: known, does not count.
    Pending,
    /// Second of two: a pending connection counts from now on. One entry a call.
    Confirm,
}

/// A connection to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which.
    pub id: ConnectionId,
    /// What the registry keeps of it; it is also the event of a connection that is swept up.
    pub details: String,
}

/// What comes of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterAnswer {
    /// All entries are in.
    Registered,
    /// To be confirmed, but somebody swept it up meanwhile.
    Gone,
    /// The gateway has no lease: nothing was entered.
    Fenced,
}

/// A connection that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Which.
    pub id: ConnectionId,
    /// Written into the queue of events, once for an ID; absent: nobody wants to know.
    pub event: Option<String>,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Connections taken out.
    pub swept: u64,
    /// Connections left; 0: the gateway is gone, or was never condemned.
    pub left: u64,
}

/// A batch to be published.
#[derive(Clone, Copy, Debug)]
pub struct PublishRequest<'a> {
    /// Who.
    pub incarnation: Incarnation,
    /// The producer's own number of the batch, 1, 2, 3… within the incarnation: a repeat is recognised by it.
    pub number: u64,
    /// The epoch the producer believes in.
    pub epoch: Option<&'a Epoch>,
    /// The highest number it saw in that epoch.
    pub seen: u64,
    /// What is said; at least one message.
    pub messages: &'a [Message],
}

/// What comes of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishAnswer {
    /// It has its place: the last message has number `last`. Also the answer to a repeat, with the same number.
    Placed {
        /// The run of sequence numbers.
        epoch: Epoch,
        /// Number of the batch's last message.
        last: u64,
        /// People in the room at this place of the order.
        online: u64,
    },
    /// Nothing was written: the room is in this epoch.
    OtherEpoch(Epoch),
    /// Nothing was written: the gateway has no lease.
    Fenced,
}

/// Something for another gateway.
#[derive(Clone, Debug)]
pub struct SendRequest {
    /// For whom.
    pub to: Incarnation,
    /// What; the backplane does not look into it.
    pub body: Bytes,
    /// How long it is good for, by the store's clock: who gets it later knows by [`Post::deadline`] that it is too late.
    pub good_for: Duration,
    /// How long a lease lasts: a registry that is younger than two of them does not know every gateway yet.
    pub lease: Duration,
}

/// What comes of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendAnswer {
    /// On its way to somebody who listens.
    Sent,
    /// The gateway has a lease, but nobody seems to listen.
    Unheard,
    /// The registry does not know the gateway, and is too young to say that it is gone. Nothing was sent.
    TooYoung,
    /// The gateway was declared dead, or left. Nothing was sent.
    Gone,
}

/// Something that another gateway sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Until when it is good, by the store's clock in its own milliseconds, as [`Lease::time`].
    pub deadline: u64,
    /// What was sent.
    pub body: Bytes,
}

/// Messages that follow each other in the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The run of sequence numbers.
    pub epoch: Epoch,
    /// Number of the first message.
    pub first: u64,
    /// People in the room at this place of the order.
    pub online: u64,
    /// The messages; at least one.
    pub messages: Vec<Message>,
}

impl Batch {
    /// Number of the last message.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.first + self.messages.len() as u64 - 1
    }

    /// Bytes it takes in a queue, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.messages.iter().map(|message| message.bytes() + envelope::OVERHEAD_BYTES).sum()
    }
}

/// A part of the repair log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Batches, oldest first.
    pub batches: Vec<Batch>,
    /// Whether this is all there is; otherwise ask again after the last.
    pub complete: bool,
}

/// Chooses what the settings say. `credentials` is the directory of the Redis credentials, read at each connect.
///
/// With Redis nothing is connected yet: the lease keeper does that.
#[must_use]
pub fn open(settings: &chatroom_settings::Backplane, credentials: &Path) -> Arc<dyn Backplane> {
    match settings {
        chatroom_settings::Backplane::Memory => Arc::new(memory::Memory::new()),
        chatroom_settings::Backplane::Redis(settings) => Arc::new(redis::Redis::new(settings, credentials)),
    }
}
