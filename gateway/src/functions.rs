//! The functions of the room's owner: asks `register`, tells `transport` and `cleanup`, over HTTP.
//!
//! What a call says is the [dialect](crate::dialect)'s business; here is how it is made: time-outs, slots, a breaker, signatures.
//! A function that is slow or dead costs whoever waits for it, and nobody else.

pub mod breaker;
mod call;
mod client;
mod id;
pub mod keys;
mod line;
mod outcome;
mod permit;
pub mod trust;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chatroom_settings::names::files;
use chatroom_settings::{self as settings, Dialect, RegisterFailure, TencentEvents, TransportFailure};
use http::Uri;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::debug;

use self::call::{Answer, Event, Silence};
use self::keys::SigningKeys;
use self::line::{Line, Means};
pub use self::permit::{Permission, Permit};
use self::trust::Trust;
use crate::credential::Watched;
pub use crate::dialect::Connecting;
use crate::dialect::tencent::events;
use crate::dialect::{BadAnswer, Verdict};
use crate::id::ConnectionId;
use crate::message::Message;
use crate::metrics::{ByCall, ByFunction, Metrics};

/// Calls of one function that are under way at once, register and transport each: what one server of it takes with ease.
pub const SLOTS: usize = 64;
/// Calls of the cleanup function that are under way at once: nobody waits for them.
pub const CLEANUP_SLOTS: usize = 16;

/// The functions that a room has; cloning shares them.
#[derive(Clone, Debug)]
pub struct Functions(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    register: Option<(Line, RegisterFailure)>,
    transport: Option<(Line, TransportFailure)>,
    cleanup: Option<Line>,
    words: Option<Words>,
    credentials: Credentials,
    permit: Permit,
    patience: Patience,
    metrics: Metrics,
}

/// In whose words functions are called.
#[derive(Clone, Debug)]
enum Words {
    Tencent { events: TencentEvents, path: String },
}

/// Views of the files; each of them may not be needed.
#[derive(Clone, Debug, Default)]
struct Credentials {
    keys: Option<watch::Receiver<Arc<SigningKeys>>>,
    trust: Option<watch::Receiver<Arc<Trust>>>,
}

/// What is patient with functions, and how.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// When register or transport counts as down.
    pub breaker: breaker::Policy,
    /// How long a message waits until it is tried again; doubled each time.
    pub first_retry: Duration,
    /// At most.
    pub longest_retry: Duration,
}

impl Default for Patience {
    /// A blink is not noticed, and ten thousand waiting messages are no storm.
    fn default() -> Self {
        Self {
            breaker: breaker::Policy::default(),
            first_retry: Duration::from_millis(100),
            longest_retry: Duration::from_secs(1),
        }
    }
}

/// What the functions' room needs beside its settings.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Where clients connect, as functions are told.
    pub path: String,
    /// Directory of the signing keys.
    pub signing_directory: PathBuf,
    /// Directory of the roots.
    pub ca_directory: PathBuf,
    /// Asked before a register or transport function is called. The cleanup function hears of connections that are dead.
    pub permit: Permit,
    /// How patient to be.
    pub patience: Patience,
    /// Where to count.
    pub metrics: Metrics,
}

/// A function that cannot be called, ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("functions.{function}.url must be `http://` or `https://` with a host, and without a user or a password")]
pub struct BadUrl {
    function: &'static str,
}

/// Looks at the files of credentials.
#[derive(Debug)]
pub struct Watch {
    keys: Option<Watched<SigningKeys>>,
    trust: Option<Watched<Trust>>,
}

impl Watch {
    /// Looks again and again; never returns.
    pub async fn run(self, every: Duration) {
        let keys = async {
            match self.keys {
                Some(keys) => keys.run(every).await,
                None => std::future::pending().await,
            }
        };
        let trust = async {
            match self.trust {
                Some(trust) => trust.run(every).await,
                None => std::future::pending().await,
            }
        };
        tokio::join!(keys, trust);
    }
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
    /// A room without functions: everybody is let in, and nobody is told anything.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::default())
    }

    /// The functions of a room; absent settings: none. Looks at the files of credentials once, and again while
    /// [`Watch::run`] runs.
    ///
    /// # Errors
    /// When a URL is none that can be called.
    pub fn new(settings: Option<&settings::Functions>, parts: Parts) -> Result<(Self, Watch), BadUrl> {
        let Some(settings) = settings else { return Ok((Self::none(), Watch { keys: None, trust: None })) };
        let Parts { path, signing_directory, ca_directory, permit, patience, metrics } = parts;
        let keys = settings.signed.then(|| Watched::new(signing_directory.join(files::SIGNING_KEYS)));
        let trust = settings.own_roots.then(|| Watched::new(ca_directory.join(files::CA_FILE)));
        let credentials =
            Credentials { keys: keys.as_ref().map(Watched::subscribe), trust: trust.as_ref().map(Watched::subscribe) };
        let means = Means {
            keys: credentials.keys.clone(),
            trust: credentials
                .trust
                .clone()
                .unwrap_or_else(|| watch::Sender::new(Arc::new(Trust::public())).subscribe()),
            metrics: metrics.clone(),
        };
        let line = |function, url: &str, timeout_seconds: u32, slots, breaker| {
            let timeout = Duration::from_secs(timeout_seconds.into());
            Ok(Line::new(function, parse(function, url)?, timeout, slots, breaker, means.clone()))
        };
        let asked =
            |function, url: &str, timeout_seconds| line(function, url, timeout_seconds, SLOTS, patience.breaker);
        let settings::Functions { dialect, register, transport, cleanup, signed: _, own_roots: _, tencent } = settings;
        let register = register.as_ref();
        let register = register.map(|to| Ok((asked("register", &to.url, to.timeout_seconds)?, to.on_failure)));
        let transport = transport.as_ref();
        let transport = transport.map(|to| Ok((asked("transport", &to.url, to.timeout_seconds)?, to.on_failure)));
        let cleanup = cleanup.as_ref();
        // Who tells of ends finds out by itself whether the function is back, and would only wait longer behind a breaker.
        let never = breaker::Policy::NEVER;
        let cleanup = cleanup.map(|to| line("cleanup", &to.url, to.timeout_seconds, CLEANUP_SLOTS, never));
        let words = match dialect {
            Dialect::Tencent => Words::Tencent { events: tencent.clone(), path },
        };
        let shared = Shared {
            register: register.transpose()?,
            transport: transport.transpose()?,
            cleanup: cleanup.transpose()?,
            words: Some(words),
            credentials,
            permit,
            patience,
            metrics,
        };
        Ok((Self(Arc::new(shared)), Watch { keys, trust }))
    }

    /// Whether there is a register function.
    #[must_use]
    pub fn asks_register(&self) -> bool {
        self.0.register.is_some()
    }

    /// Whether there is a transport function.
    #[must_use]
    pub fn tells_transport(&self) -> bool {
        self.0.transport.is_some()
    }

    /// Whether there is a cleanup function.
    #[must_use]
    pub fn tells_cleanup(&self) -> bool {
        self.0.cleanup.is_some()
    }

    /// How long a call of the cleanup function may take; none where there is none.
    #[must_use]
    pub fn cleanup_timeout(&self) -> Duration {
        self.0.cleanup.as_ref().map_or(Duration::ZERO, |line| line.timeout)
    }

    /// Files that are needed and not there, such as `signing/keys`.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        self.0.credentials.named(SigningKeys::is_missing, Trust::is_missing)
    }

    /// Files that hold what is refused, such as `ca/ca.crt`.
    #[must_use]
    pub fn refused(&self) -> Vec<String> {
        self.0.credentials.named(SigningKeys::has_refused, Trust::is_refused)
    }

    /// Asks the register function, once. Answers within its time-out; everybody is let in where there is none.
    ///
    /// Dropping the future gives the call up: the function may have let the client in.
    pub async fn register(&self, client: &Connecting) -> Registered {
        let accepted = Registered::Accepted { subprotocol: None };
        let (Some((line, on_failure)), Some(words)) = (&self.0.register, &self.0.words) else { return accepted };
        let began = Instant::now();
        let event = words.register(client);
        let said = line.call(&event, began + line.timeout, || self.0.permit.ask(client.id)).await;
        let read = |body: &Bytes| words.registered(body, client.subprotocols.as_deref());
        let (registered, result) = outcome::of_register(&said, read);
        self.count(line, result, began);
        match registered {
            Registered::Failed { why, .. } if *on_failure == RegisterFailure::Accept => {
                self.ignore(line, client.id, result, &format!("{why:?}"));
                accepted
            }
            registered => registered,
        }
    }

    /// Tells the transport function, at most once. Answers within its time-out. While the function is surely not reached,
    /// because there is no slot, no connection or the breaker is open, the message waits for it.
    ///
    /// # Errors
    /// See [`TransportError`]. None where the room ignores failures.
    pub async fn transport(&self, from: ConnectionId, message: &Message) -> Result<(), TransportError> {
        let (Some((line, on_failure)), Some(words)) = (&self.0.transport, &self.0.words) else { return Ok(()) };
        let began = Instant::now();
        let event = words.transport(from, message);
        let said = self.until_heard(line, from, &event, began + line.timeout).await;
        let (told, result) = outcome::of_transport(&said);
        self.count(line, result, began);
        match told {
            Err(error) if *on_failure == TransportFailure::Ignore => {
                self.ignore(line, from, result, &error.to_string());
                Ok(())
            }
            told => told,
        }
    }

    /// Tells the cleanup function, once. Answers within its time-out. No breaker stands in between: whoever tells of ends
    /// tries again by a plan of its own.
    pub async fn cleanup(&self, id: ConnectionId) -> Told {
        let (Some(line), Some(words)) = (&self.0.cleanup, &self.0.words) else { return Told::Done };
        let began = Instant::now();
        let event = words.cleanup(id);
        let said = line.call(&event, began + line.timeout, || Permission::Granted).await;
        let (told, result) = outcome::of_cleanup(&said);
        self.count(line, result, began);
        told
    }

    /// Calls again while the function surely heard nothing, and may.
    async fn until_heard(
        &self,
        line: &Line,
        from: ConnectionId,
        event: &Event,
        deadline: Instant,
    ) -> Result<Answer, Silence> {
        let mut wait = self.0.patience.first_retry;
        loop {
            let said = line.call(event, deadline, || self.0.permit.ask(from)).await;
            if !said.as_ref().is_err_and(Silence::passes) {
                return said;
            }
            let pause = wait.mul_f64(0.5 + 0.5 * rand::random::<f64>());
            if timeout_at(deadline, sleep(pause)).await.is_err() {
                return said;
            }
            wait = (wait * 2).min(self.0.patience.longest_retry);
        }
    }

    fn count(&self, line: &Line, result: &'static str, began: Instant) {
        let function = line.name;
        self.0.metrics.function_calls.get_or_create(&ByCall { function, result }).inc();
        let seconds = self.0.metrics.function_seconds.0.get_or_create(&ByFunction { function }).clone();
        seconds.observe(began.elapsed().as_secs_f64());
    }

    fn ignore(&self, line: &Line, id: ConnectionId, result: &'static str, why: &str) {
        self.0.metrics.function_failures_ignored.get_or_create(&ByFunction { function: line.name }).inc();
        debug!(function = line.name, %id, result, why, "ignored a failure of the function, as the room says");
    }
}

impl Words {
    fn register(&self, client: &Connecting) -> Event {
        let id = id::random();
        let Self::Tencent { events, path } = self;
        Event { body: events::register(events, path, &id, client), id }
    }

    fn transport(&self, from: ConnectionId, message: &Message) -> Event {
        let Self::Tencent { events, .. } = self;
        Event { id: id::random(), body: events::transport(events, &from, message.kind, &message.payload) }
    }

    fn cleanup(&self, id: ConnectionId) -> Event {
        let Self::Tencent { .. } = self;
        Event { id: id.to_string(), body: events::cleanup(&id) }
    }

    fn registered(&self, body: &[u8], offered: Option<&str>) -> Result<Verdict, BadAnswer> {
        let Self::Tencent { .. } = self;
        events::registered(body, offered)
    }
}

impl Credentials {
    fn named(&self, keys: fn(&SigningKeys) -> bool, trust: fn(&Trust) -> bool) -> Vec<String> {
        let keys = self.keys.as_ref().is_some_and(|current| keys(&current.borrow()));
        let trust = self.trust.as_ref().is_some_and(|current| trust(&current.borrow()));
        let keys = keys.then(|| format!("signing/{}", files::SIGNING_KEYS));
        keys.into_iter().chain(trust.then(|| format!("ca/{}", files::CA_FILE))).collect()
    }
}

/// A URL that can be called. Who is called has no password: that would stand in the settings, which are no secret.
fn parse(function: &'static str, url: &str) -> Result<Uri, BadUrl> {
    let bad = BadUrl { function };
    let uri: Uri = url.parse().map_err(|_| bad)?;
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    let scheme = uri.scheme_str().is_some_and(|scheme| matches!(scheme, "http" | "https"));
    if scheme && uri.host().is_some_and(|host| !host.is_empty()) && !has_user { Ok(uri) } else { Err(bad) }
}
