//! Carries a push to whoever owns the connection, and brings back what is certain about it.
//!
//! A connection ID names its owner. An own connection is reached directly; for another one the registry is asked whether its
//! gateway lives, and that gateway what it did. So "gone" is only ever said by the registry or by the owner.

mod calls;
mod post;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chatroom_settings::Hot;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet, yield_now};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use self::calls::Calls;
use self::post::{Ask, Letter};
use crate::backplane::publisher::{PublishError, Published, Publisher};
use crate::backplane::{Backplane, BackplaneError, Position, Post, SendAnswer, SendRequest};
use crate::delivery::Arrivals;
use crate::dialect::{Command, Description, MOST_EXCLUDED, Outcome};
use crate::id::{ConnectionId, Incarnation};
use crate::membership::{Joined, Standing};
use crate::message::{Kind, Message};
use crate::metrics::Metrics;
use crate::protocol::Close;
use crate::session::{Known, Sent, Sessions};

/// How long an owner is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long an owner may act: what is left is for its answer to travel.
const ACT_WITHIN: Duration = Duration::from_millis(1_500);
/// How long a message to everybody may wait for its place, as one of a client may.
const PUBLISH_WITHIN: Duration = Duration::from_secs(10);
/// Pushes of other gateways that are being carried out.
const MOST_ASKED: usize = 1_024;
/// Bytes of those; a single larger one fits alone.
const MOST_ASKED_BYTES: u32 = 16 << 20;

/// Carries pushes; cloning shares it.
#[derive(Clone, Debug)]
pub struct Route(Arc<Inner>);

/// What a route leads to.
#[derive(Debug)]
pub struct Parts {
    /// Where messages for everybody go.
    pub publisher: Publisher,
    /// The connections of this gateway.
    pub sessions: Sessions,
    /// How large a message may be.
    pub hot: watch::Receiver<Arc<Hot>>,
    /// How far the room was delivered here, and what other gateways ask.
    pub arrivals: Arrivals,
}

#[derive(Debug)]
struct Inner {
    backplane: Arc<dyn Backplane>,
    joined: Joined,
    publisher: Publisher,
    sessions: Sessions,
    hot: watch::Receiver<Arc<Hot>>,
    delivered: watch::Receiver<Option<Position>>,
    calls: Calls,
    asked_bytes: Arc<Semaphore>,
    metrics: Metrics,
}

/// Opens the way. The task carries out what other gateways ask; it ends when `shutdown` becomes true or its sender is gone.
#[must_use]
pub fn start(
    backplane: Arc<dyn Backplane>,
    joined: &Joined,
    parts: Parts,
    metrics: &Metrics,
    mut shutdown: watch::Receiver<bool>,
) -> (Route, JoinHandle<()>) {
    let Parts { publisher, sessions, hot, arrivals } = parts;
    let Arrivals { delivered, posts } = arrivals;
    let route = Route(Arc::new(Inner {
        backplane,
        joined: joined.clone(),
        publisher,
        sessions,
        hot,
        delivered,
        calls: Calls::default(),
        asked_bytes: Arc::new(Semaphore::new(MOST_ASKED_BYTES as usize)),
        metrics: metrics.clone(),
    }));
    let serve = route.clone().serve(posts);
    let task = tokio::spawn(async move {
        let over = async move { _ = shutdown.wait_for(|over| *over).await };
        tokio::select! {
            () = over => {}
            () = serve => {}
        }
    });
    (route, task)
}

impl Route {
    /// Carries out a push, or has its owner do so. Answers within 10 s for a message to everybody, else within about 2 s.
    ///
    /// Dropping the future does not take the push back.
    pub async fn carry(&self, command: Command) -> Outcome {
        if !self.may_act() {
            return Outcome::Unavailable;
        }
        match command {
            Command::Send { payload, .. } | Command::Publish { payload, .. } if self.is_too_large(&payload) => {
                Outcome::TooLarge
            }
            Command::Publish { kind, payload, exclude } => self.publish(kind, payload, exclude).await,
            command => match post::connection(&command).map(|id| id.incarnation()) {
                Some(owner) if owner == self.me() => self.carry_out(command, Instant::now() + ANSWER_WITHIN).await,
                Some(owner) => self.ask(owner, &command).await,
                None => Outcome::Unavailable,
            },
        }
    }

    /// Exact also right after a freeze, when membership is late.
    fn may_act(&self) -> bool {
        let Joined { membership, clock, .. } = &self.0.joined;
        membership.borrow().standing == Standing::Leased && clock.holds()
    }

    fn me(&self) -> Incarnation {
        self.0.joined.membership.borrow().incarnation
    }

    fn is_too_large(&self, payload: &Bytes) -> bool {
        payload.len() > self.0.hot.borrow().limits.max_message_bytes as usize
    }

    async fn publish(&self, kind: Kind, payload: Bytes, exclude: Vec<ConnectionId>) -> Outcome {
        debug_assert!(exclude.len() <= MOST_EXCLUDED, "the dialect refuses more");
        let exclude = Some(exclude).filter(|exclude| !exclude.is_empty()).map(Into::into);
        let message = Message { from: None, kind, payload, exclude };
        match timeout(PUBLISH_WITHIN, self.0.publisher.publish(message)).await {
            Ok(Ok(Published { seq, online })) => Outcome::Published { seq, online },
            Ok(Err(PublishError::Fenced)) => Outcome::Unavailable,
            Ok(Err(PublishError::Doubtful | PublishError::Ended)) | Err(_) => Outcome::Unknown,
        }
    }

    /// Does what is asked for a connection of this gateway, not later than `until`.
    async fn carry_out(&self, command: Command, until: Instant) -> Outcome {
        let waits = !matches!(command, Command::Describe { .. });
        if waits && !self.catch_up(until).await || !self.may_act() {
            return Outcome::Unavailable;
        }
        let sessions = &self.0.sessions;
        match command {
            Command::Send { to, kind, payload } => match sessions.send(to, kind, &payload) {
                Sent::Queued => Outcome::Sent,
                Sent::Full => Outcome::Full,
                Sent::TooLarge => Outcome::TooLarge,
                Sent::Gone => Outcome::Gone,
            },
            Command::Close { id, code, reason } => {
                if sessions.close(id, Close::asked(code, &reason)) {
                    Outcome::Closing
                } else {
                    Outcome::Gone
                }
            }
            Command::Describe { id } => match sessions.describe(id) {
                Some(Known { details, last_active_at }) => Outcome::Described(Description {
                    connected_at: details.connected_at,
                    last_active_at,
                    address: details.address,
                    user_agent: details.user_agent.unwrap_or_default(),
                }),
                None => Outcome::Gone,
            },
            Command::Publish { .. } => Outcome::Unavailable,
        }
    }

    /// Waits until everything was delivered here of which this gateway knows that it has its place: what somebody said to all
    /// before must not come behind what it says to one. Answers whether that was in time.
    async fn catch_up(&self, until: Instant) -> bool {
        let seen = &self.0.joined.seen;
        let Some(mark) = seen.newest().filter(|mark| mark.seq > 0) else { return true };
        let mut delivered = self.0.delivered.clone();
        let has_caught_up = |at: &Option<Position>| match at {
            Some(at) if at.epoch == mark.epoch => at.seq >= mark.seq,
            // The epoch is over, and what was missing of it told.
            Some(_) => seen.newest().is_none_or(|newest| newest.epoch != mark.epoch),
            None => false,
        };
        timeout_at(until, delivered.wait_for(has_caught_up)).await.is_ok_and(|told| told.is_ok())
    }

    /// Has another gateway do it.
    async fn ask(&self, owner: Incarnation, command: &Command) -> Outcome {
        let until = Instant::now() + ANSWER_WITHIN;
        let Some(mut call) = self.0.calls.open() else { return Outcome::Unavailable };
        let Some(body) = post::ask(call.number, self.me(), command) else { return Outcome::Unavailable };
        match self.send(owner, body).await {
            Ok(SendAnswer::Gone) => Outcome::Gone,
            Ok(SendAnswer::TooYoung) => Outcome::Unavailable,
            // Almost sure that nobody got it; but after a failover a subscriber may hear through another server.
            Ok(SendAnswer::Unheard) => Outcome::Unknown,
            Ok(SendAnswer::Sent) | Err(BackplaneError::Unanswered(_)) => {
                timeout_at(until, call.answer()).await.unwrap_or(Outcome::Unknown)
            }
            Err(error) => {
                debug!(%error, "a push could not be sent to its owner");
                Outcome::Unavailable
            }
        }
    }

    async fn send(&self, to: Incarnation, body: Bytes) -> Result<SendAnswer, BackplaneError> {
        let lease = self.0.joined.clock.length();
        self.0.backplane.send(SendRequest { to, body, good_for: ACT_WITHIN, lease }).await
    }

    /// Looks at what other gateways send, as long as they can.
    async fn serve(self, mut posts: mpsc::Receiver<Post>) {
        let mut asked = JoinSet::new();
        loop {
            tokio::select! {
                post = posts.recv() => match post {
                    Some(post) => self.take(post, &mut asked),
                    None => return,
                },
                Some(_) = asked.join_next() => {}
            }
        }
    }

    fn take(&self, post: Post, asked: &mut JoinSet<()>) {
        let Post { deadline, body } = post;
        let share = u32::try_from(body.len()).unwrap_or(u32::MAX).clamp(1, MOST_ASKED_BYTES);
        match post::decode(body) {
            Some(Letter::Answer { call, outcome }) => self.0.calls.answered(call, outcome),
            Some(Letter::Ask(ask)) => {
                let bytes = Arc::clone(&self.0.asked_bytes).try_acquire_many_owned(share);
                match bytes {
                    Ok(bytes) if asked.len() < MOST_ASKED => {
                        asked.spawn(self.clone().carry_out_for(ask, deadline, bytes));
                    }
                    // Who asked is not answered, and says so.
                    _ => _ = self.0.metrics.posts_dropped.inc(),
                }
            }
            None => debug!("a post of another gateway could not be read"),
        }
    }

    async fn carry_out_for(self, ask: Ask, deadline: u64, _bytes: OwnedSemaphorePermit) {
        let Ask { call, asker, command } = ask;
        // Whoever asked has given up by then, and may have asked somebody again.
        let left = self.0.joined.store_clock.now().and_then(|now| deadline.checked_sub(now)).filter(|left| *left > 0);
        let Some(left) = left else { return debug!("a push came too late and is not carried out") };
        let is_mine = post::connection(&command).is_some_and(|id| id.incarnation() == self.me());
        let outcome = if is_mine || !self.may_act() {
            self.carry_out(command, Instant::now() + Duration::from_millis(left)).await
        } else {
            // It belonged to this gateway under a name that was declared dead.
            Outcome::Gone
        };
        // The client first: its session was just woken, and to send the answer wakes another thread, which would overtake it.
        yield_now().await;
        let Some(body) = post::answer(call, outcome) else { return };
        if let Err(error) = self.send(asker, body).await {
            debug!(%error, "the answer to a push could not be sent");
        }
    }
}
