//! What is asked of the room's queue of ends, and answered: which ends the cleanup function has yet to be told of.
//!
//! An end is an event under the ID of its connection, so a connection has at most one. A worker claims it, which hides it from
//! the others, and then settles what became of it; if the worker dies, the event comes back by itself.

use std::time::Duration;

use crate::id::ConnectionId;

/// How long an end that was told is known, so that one that is written again makes no second event. Longer than a gateway
/// remembers the ends that it may have to write again.
pub const TOLD: Duration = Duration::from_secs(120);

/// Ends that were given up and are kept for people; the oldest go first. About, because whole blocks are cut off.
pub const MOST_DEAD: usize = 10_000;

/// How many events there are, as of a lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleanups {
    /// Events that are due and that nobody works on.
    pub due: u64,
    /// Events in all: due, put off, and claimed.
    pub waiting: u64,
    /// Events that were given up.
    pub dead: u64,
}

/// Which events a worker wants.
#[derive(Clone, Copy, Debug)]
pub struct Claiming {
    /// How many at most. Whoever claims works on all of them at once.
    pub at_most: usize,
    /// How long nobody else gets them: longer than the work takes.
    pub hidden_for: Duration,
    /// Whether also what is not due yet will do. Never what somebody else has claimed.
    pub early: bool,
}

/// What a worker gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The events, the longest due first.
    pub events: Vec<Claim>,
    /// How long until there may be another one; zero: there is now. Absent: nothing else waits.
    pub next: Option<Duration>,
}

/// An event that a worker has claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose end it is, and the name of the event.
    pub id: ConnectionId,
    /// What the registry kept of the connection.
    pub details: String,
    /// Which try this is, from 1.
    pub tries: u64,
    /// How long ago the first try was.
    pub since_first: Duration,
}

impl Claim {
    /// Says what became of it.
    #[must_use]
    pub fn settled(&self, outcome: Settlement) -> Settled {
        Settled { id: self.id, tries: self.tries, outcome }
    }
}

/// What became of a claimed event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which.
    pub id: ConnectionId,
    /// Which try it was. Of an older one than the newest only [`Settlement::Done`] counts: somebody else is busy with it.
    pub tries: u64,
    /// What became of it.
    pub outcome: Settlement,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// There is nothing left to do.
    Done,
    /// Due again after so long.
    Later(Duration),
    /// Given up; why, for people.
    Bury(String),
}

/// An event that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// Where it lies, for [`super::Backplane::replay`].
    pub place: String,
    /// Whose end it is.
    pub id: ConnectionId,
    /// What the registry kept of the connection.
    pub details: String,
    /// How often it was tried.
    pub tries: u64,
    /// For how long it was tried.
    pub tried_for: Duration,
    /// Why the last try failed.
    pub why: String,
}
