//! The room in a Redis that all replicas reach. What must be one step is a script; the files stand beside this one.
//!
//! Two connections a gateway: one for commands, which the lease keeper makes and drives, and one for what is published,
//! so that no flood of messages stands before an answer. The client library does not reconnect and does not repeat.
//!
//! `redis/acl.txt` lists the rights that a user of the room needs, on the room's keys and channels alone.

mod answers;
mod cleanups;
mod connect;
mod link;
mod scripts;
mod subscriber;
mod trouble;

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use chatroom_settings::{RedisBackplane, RedisState, RedisStatus};
use redis::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use self::connect::Target;
use self::link::Link;
use self::scripts::{Call, Script};
use self::trouble::Refusal;
use super::cleanups::{Claiming, Claims, Dead, Settled, TOLD};
use super::{
    Answer, Backplane, BackplaneError, End, Entry, History, LeaseAnswer, LeaseRequest, PublishAnswer, PublishRequest,
    RegisterAnswer, RegisterMode, RoomPosition, SendAnswer, SendRequest, Sweep, bus, envelope,
};
use crate::id::Incarnation;

/// Longest time for an answer, the wait for a connection included. Longer than any script takes and any packet travels
/// twice; a fourth of it passes between two leases.
pub(super) const COMMAND: Duration = Duration::from_secs(2);
/// All keys of a room live so long after the last lease of any gateway: deletion needs nobody to tidy up, and a room may be
/// without gateways for a day.
const EXPIRY_SECONDS: u64 = 24 * 60 * 60;
/// What the repair log holds: longer than a gateway is away without its clients noticing.
const LOG_AGE: Duration = Duration::from_secs(30);
/// As [`LOG_AGE`]; the newest batch stays whatever its size.
const LOG_BYTES: usize = 4 << 20;
/// Batches of the log a read: with small batches a page, with full ones all there is.
const LOG_PAGE: usize = 256;
/// Names the meaning of keys and values. A gateway refuses to join a room whose number is higher than this.
const SCHEMA: u64 = 1;

/// The names of everything of a room in Redis. All share one hash tag, so a room is one slot.
#[derive(Clone, Debug)]
struct Keys {
    prefix: String,
}

impl Keys {
    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn connections(&self, of: Incarnation) -> String {
        format!("{}conns:{of}", self.prefix)
    }

    fn pending(&self, of: Incarnation) -> String {
        format!("{}pending:{of}", self.prefix)
    }

    fn bus(&self) -> String {
        self.key("bus")
    }

    fn post(&self, to: Incarnation) -> String {
        format!("{}to:{to}", self.prefix)
    }
}

/// The room in Redis.
pub struct Redis {
    keys: Keys,
    target: Target,
    link: Link,
    /// What publishing and registering ran into last, until one of them succeeds or nobody tries for a while.
    trouble: Mutex<Option<Refusal>>,
}

impl fmt::Debug for Redis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of the connection: it knows the password.
        formatter.debug_struct("Redis").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Redis {
    /// Nothing is connected yet; `credentials` is the directory that is read at each connect.
    #[must_use]
    pub fn new(settings: &RedisBackplane, credentials: &Path) -> Self {
        Self {
            keys: Keys { prefix: settings.key_prefix.clone() },
            target: Target::new(settings, credentials),
            link: Link::default(),
            trouble: Mutex::default(),
        }
    }

    async fn call(&self, call: Call) -> Result<Value, BackplaneError> {
        self.link.call(call).await
    }

    /// Calls a script that a full Redis refuses, and remembers whether it did.
    async fn call_unless_full(&self, call: Call) -> Result<Value, BackplaneError> {
        let answer = self.call(call).await;
        let trouble = match &answer {
            Ok(_) => None,
            Err(BackplaneError::Unsuitable(message)) => Some(Refusal::new(Instant::now(), message.clone())),
            // Tells nothing about room in Redis.
            Err(_) => return answer,
        };
        *self.trouble.lock().expect("nobody panics while holding it") = trouble;
        answer
    }

    fn registry(&self, of: Incarnation) -> [String; 4] {
        [self.keys.key("gateways"), self.keys.key("room"), self.keys.connections(of), self.keys.pending(of)]
    }

    fn cleanups(&self) -> [String; 3] {
        ["due", "events", "told"].map(|name| self.keys.key(name))
    }
}

impl Backplane for Redis {
    fn connect(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.link.close();
            let (connection, lost) = self.target.connect(None).await?;
            connect::check(&connection).await?;
            let scripts = scripts::load(&connection).await?;
            self.link.opened(connection, scripts, lost);
            Ok(())
        })
    }

    fn disconnected(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.link.closed())
    }

    fn trouble(&self) -> Option<String> {
        let refusal = self.trouble.lock().expect("nobody panics while holding it");
        refusal.as_ref().and_then(|refusal| refusal.told(Instant::now())).map(str::to_owned)
    }

    fn missing_credential(&self) -> Option<&'static str> {
        self.target.missing()
    }

    fn healthy(&self) -> RedisStatus {
        RedisStatus { state: RedisState::Connected, message: String::new() }
    }

    fn lease(&self, request: LeaseRequest) -> Answer<'_, LeaseAnswer> {
        Box::pin(async move {
            let LeaseRequest { incarnation, length, born, pod_uid, template, draining, seen } = request;
            let mut call = Call::new(Script::Lease)
                .keys(["gateways", "room", "history"].map(|name| self.keys.key(name)))
                .keys(["due", "claims", "events", "tries", "told", "dead"].map(|name| self.keys.key(name)))
                .arg(incarnation.as_str())
                .arg(length.as_millis().to_string())
                .arg(EXPIRY_SECONDS.to_string())
                .arg(self.keys.prefix.as_str())
                .arg(fresh_token())
                .arg(born.as_deref().unwrap_or_default())
                .arg(pod_uid)
                .arg(template)
                .arg(flag(draining))
                .arg(SCHEMA.to_string())
                .arg(LOG_AGE.as_millis().to_string())
                .arg(TOLD.as_millis().to_string());
            for place in seen {
                call = call.arg(&*place.epoch.0).arg(place.seq.to_string());
            }
            let answer = answers::lease(self.link.call_first(call).await?)?;
            if matches!(answer, LeaseAnswer::Leased(_)) {
                self.link.leased();
            }
            Ok(answer)
        })
    }

    fn register(&self, me: Incarnation, mode: RegisterMode, entries: Vec<Entry>) -> Answer<'_, RegisterAnswer> {
        Box::pin(async move {
            let mode = match mode {
                RegisterMode::Direct => "direct",
                RegisterMode::Pending => "pending",
                RegisterMode::Confirm => "confirm",
            };
            let mut call = Call::new(Script::Register).keys(self.registry(me)).arg(me.as_str()).arg(mode);
            for Entry { id, details } in entries {
                call = call.arg(id.as_str()).arg(details);
            }
            answers::register(self.call_unless_full(call).await?)
        })
    }

    fn unregister(&self, owner: Incarnation, ends: Vec<End>, force: bool) -> Answer<'_, u64> {
        Box::pin(async move {
            let mut call = Call::new(Script::Unregister)
                .keys(self.registry(owner))
                .keys(self.cleanups())
                .arg(owner.as_str())
                .arg(flag(force))
                .arg(EXPIRY_SECONDS.to_string());
            for End { id, event } in ends {
                call = call.arg(id.as_str()).arg(event.unwrap_or_default());
            }
            answers::number(self.call(call).await?)
        })
    }

    fn sweep(&self, condemned: Incarnation, at_most: usize, events: bool) -> Answer<'_, Sweep> {
        Box::pin(async move {
            let [gateways, room, connections, pending] = self.registry(condemned);
            let call = Call::new(Script::Sweep)
                .keys([gateways, connections, pending])
                .keys(self.cleanups())
                .keys([room])
                .arg(condemned.as_str())
                .arg(at_most.to_string())
                .arg(flag(events))
                .arg(EXPIRY_SECONDS.to_string());
            answers::sweep(self.call(call).await?)
        })
    }

    fn publish<'a>(&'a self, request: PublishRequest<'a>) -> Answer<'a, PublishAnswer> {
        Box::pin(async move {
            let PublishRequest { incarnation, number, epoch, seen, messages } = request;
            let call = Call::new(Script::Publish)
                .keys(["gateways", "room", "history"].map(|name| self.keys.key(name)))
                .arg(incarnation.as_str())
                .arg(number.to_string())
                .arg(epoch.map_or("", |epoch| &*epoch.0))
                .arg(seen.to_string())
                .arg(fresh_token())
                .arg(self.keys.bus())
                .arg(messages.len().to_string())
                .arg(envelope::encode_messages(messages))
                .arg(LOG_AGE.as_millis().to_string())
                .arg(LOG_BYTES.to_string())
                .arg(envelope::version(messages).to_string());
            answers::publish(self.call_unless_full(call).await?)
        })
    }

    fn position(&self) -> Answer<'_, RoomPosition> {
        Box::pin(async move {
            let mut command = redis::cmd("HMGET");
            command.arg(self.keys.key("room")).arg(&["epoch", "seq", "former"]);
            answers::position(self.link.command(command).await?)
        })
    }

    fn history(&self, after: u64) -> Answer<'_, History> {
        Box::pin(async move {
            let mut command = redis::cmd("XRANGE");
            command.arg(self.keys.key("history")).arg(format!("{}-0", after + 1)).arg("+").arg("COUNT").arg(LOG_PAGE);
            answers::history(self.link.command(command).await?, LOG_PAGE)
        })
    }

    fn leave(&self, me: Incarnation) -> Answer<'_, u64> {
        Box::pin(async move {
            let call = Call::new(Script::Leave).keys(self.registry(me)).arg(me.as_str());
            answers::number(self.call(call).await?)
        })
    }

    fn send(&self, request: SendRequest) -> Answer<'_, SendAnswer> {
        Box::pin(async move {
            let SendRequest { to, body, good_for, lease } = request;
            let call = Call::new(Script::Send)
                .keys(["gateways", "room"].map(|name| self.keys.key(name)))
                .arg(to.as_str())
                .arg(self.keys.post(to))
                .arg(body)
                .arg(good_for.as_millis().to_string())
                .arg(lease.as_millis().to_string());
            answers::send(self.call(call).await?)
        })
    }

    fn claim(&self, claiming: Claiming) -> Answer<'_, Claims> {
        Box::pin(self.claim_events(claiming))
    }

    fn settle(&self, settled: Vec<Settled>) -> Answer<'_, u64> {
        Box::pin(self.settle_events(settled))
    }

    fn hasten(&self, at_most: usize) -> Answer<'_, u64> {
        Box::pin(self.hasten_events(at_most))
    }

    fn dead(&self) -> Answer<'_, Vec<Dead>> {
        Box::pin(self.dead_events())
    }

    fn replay(&self, places: Vec<String>) -> Answer<'_, u64> {
        Box::pin(self.replay_events(places))
    }

    fn subscribe(
        &self,
        queue: bus::Sender,
        me: watch::Receiver<Incarnation>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(subscriber::run(self.target.clone(), self.keys.clone(), me, queue))
    }
}

/// A name that nobody else gives to anything.
fn fresh_token() -> String {
    Incarnation::random().to_string()
}

fn flag(on: bool) -> &'static str {
    if on { "1" } else { "0" }
}
