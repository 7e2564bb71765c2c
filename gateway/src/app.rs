//! The composition root: builds the rooms, owns every task, and ends them in order.

pub mod drain;
mod ending;
mod inside;
mod tasks;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use chatroom_settings::Cold;
use chatroom_settings::names::files;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use self::ending::Ending;
use self::inside::Inside;
pub use self::tasks::TaskEnded;
use self::tasks::Tasks;
use crate::backplane::{self, publisher};
use crate::cleanup::{self, Cleanup};
use crate::cli::Arguments;
use crate::credential::Watched;
use crate::delivery;
use crate::functions::{self, BadUrl, Functions, Permission, Permit};
use crate::http::accept::{self, MAX_PENDING_HANDSHAKES};
use crate::http::connection::{Front, Patience};
use crate::http::guard::Routes;
use crate::http::internal;
use crate::http::page::Page;
use crate::hub::Hub;
use crate::membership::{self, Joined};
use crate::metrics::Metrics;
use crate::push::keys::Keys;
use crate::push::port::{self, Port};
use crate::push::route;
use crate::readiness::Readiness;
use crate::reload::{POLL_EVERY, Reload, warn_of_unknown};
use crate::session::{Parts, Sessions};
use crate::settings_file::{self, Parsed, SettingsError};
use crate::telemetry::{self, LogFilter};

/// After the drain's own time: for clients that were told to close and have not said goodbye yet.
const GOODBYES: Duration = Duration::from_secs(8);
/// For the ends of connections that Redis has not taken yet. What is left then, the other gateways sweep.
const LAST_ENDS: Duration = Duration::from_secs(9);
/// For telling the cleanup function, beside what the steps before did not need. What is left in Redis then, the other gateways
/// tell.
const LAST_CALLS: Duration = Duration::from_secs(6);
/// For giving the lease up, and for the tasks to end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Why a gateway failed while running.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The program cannot do what it needs the operating system for.
    #[error("failed to {what}")]
    System {
        /// What it tried.
        what: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A part of the gateway died, and what is left is worth nothing.
    #[error(transparent)]
    TaskEnded(#[from] TaskEnded),
    /// The settings name a function that cannot be called.
    #[error(transparent)]
    BadUrl(#[from] BadUrl),
    /// Somebody asked twice: the clients were not let go in order.
    #[error("ended at once, as asked a second time")]
    EndedAtOnce,
}

/// What the files say.
#[derive(Debug)]
pub struct Inputs {
    cold: Parsed<Cold>,
    hot: (String, Parsed<chatroom_settings::Hot>),
}

/// A gateway that runs.
#[derive(Debug)]
pub struct Gateway {
    /// Where clients connect.
    pub client_address: SocketAddr,
    /// Where functions and other programs push.
    pub push_address: SocketAddr,
    /// Probes, metrics, `/status`.
    pub internal_address: SocketAddr,
    drain_timeout: Duration,
    joined: Joined,
    sessions: Sessions,
    cleanup: Option<Cleanup>,
    draining: watch::Sender<bool>,
    shutdown: watch::Sender<bool>,
    metrics: Metrics,
    tasks: Tasks,
}

/// Reads both files.
///
/// # Errors
/// When one of them is no good: the gateway must not start.
pub fn read_inputs(arguments: &Arguments) -> Result<Inputs, SettingsError> {
    let text = settings_file::text(&arguments.hot_file)?;
    let hot = settings_file::parse(&arguments.hot_file, &text)?;
    Ok(Inputs { cold: settings_file::read(&arguments.cold_file)?, hot: (text, hot) })
}

/// Runs a gateway until it is asked to end.
///
/// # Errors
/// When it failed while running.
pub fn run(arguments: &Arguments, inputs: Inputs) -> Result<(), AppError> {
    let log_filter = telemetry::start(inputs.cold.value.log_format, &inputs.hot.1.value.log_filter)
        .map_err(|error| system("start to log", io::Error::other(error)))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| system("start the runtime", error))?;
    let done = runtime.block_on(async {
        let ending = Ending::listen(arguments.exit_with_stdin).map_err(|error| system("listen to signals", error))?;
        let gateway = Gateway::start(arguments, inputs, log_filter)?;
        // The first request begins the drain, the second ends it; a third has nothing to add.
        let (ask, asked) = mpsc::channel(2);
        tokio::select! {
            done = gateway.run(asked) => done,
            never = ending.pass_on(ask) => match never {},
        }
    });
    // What still runs then waits for the operating system, and the process need not wait for it.
    runtime.shutdown_background();
    done
}

impl Gateway {
    /// Builds the rooms, in the order in which a message passes them, and opens the ports.
    ///
    /// # Errors
    /// When a port cannot be had.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn start(arguments: &Arguments, inputs: Inputs, log_filter: LogFilter) -> Result<Self, AppError> {
        let Inputs { cold: Parsed { value: cold, unknown, hash: cold_hash }, hot: (hot_text, hot) } = inputs;
        let connections = hot.value.limits.max_connections_per_pod as usize;
        let (metrics, registry) = Metrics::new();
        let mut tasks = Tasks::default();
        let (shutdown, draining) = (watch::Sender::new(false), watch::Sender::new(false));

        warn_of_unknown(&arguments.cold_file, &unknown);
        let hot_file = arguments.hot_file.clone();
        let reload = Reload::new(hot_file, hot_text, hot, cold_hash.clone(), log_filter, metrics.clone());
        let in_force = reload.in_force();
        tasks.spawn("reload", shutdown.subscribe(), reload.run(POLL_EVERY));

        let watched = Watched::<Keys>::new(arguments.push_directory.join(files::PUSH_KEYS));
        let push_keys = watched.subscribe();
        tasks.spawn("push keys", shutdown.subscribe(), watched.run(POLL_EVERY));

        let (clients, client_address) = open(arguments.bind, arguments.client_port, "clients")?;
        let (pushes, push_address) = open(arguments.bind, arguments.push_port, "pushes")?;
        let (internal, internal_address) = open(arguments.bind, arguments.internal_port, "probes and metrics")?;

        let backplane = backplane::open(&cold.backplane, &arguments.redis_directory);
        let member = membership::Settings {
            pod_uid: arguments.pod_uid.clone(),
            template: arguments.template_hash.clone(),
            connections,
            cleanup: cold.functions.as_ref().is_some_and(|functions| functions.cleanup.is_some()),
            timing: membership::Timing::default(),
        };
        let (joined, membership_tasks) = membership::join(&backplane, member, &metrics, &shutdown.subscribe());
        for (name, task) in membership_tasks {
            tasks.adopt(name, task);
        }
        let hub = Arc::new(Hub::new(&cold.broadcast, in_force.hot.clone()));
        let (arrivals, deliver) =
            delivery::start(Arc::clone(&backplane), &joined, Arc::clone(&hub), &metrics, shutdown.subscribe());
        tasks.adopt("delivery", deliver);
        let (publisher, publish) = publisher::start(Arc::clone(&backplane), &joined, &metrics, shutdown.subscribe());
        tasks.adopt("publisher", publish);
        let functions = functions::Parts {
            path: cold.path.clone(),
            signing_directory: arguments.signing_directory.clone(),
            ca_directory: arguments.ca_directory.clone(),
            permit: permit(&joined),
            patience: functions::Patience::default(),
            metrics: metrics.clone(),
        };
        let (functions, credentials) = Functions::new(cold.functions.as_ref(), functions)?;
        tasks.spawn("credentials of functions", shutdown.subscribe(), credentials.run(POLL_EVERY));
        let sessions = Sessions::new(Parts {
            ping_interval: Duration::from_secs(cold.ping_interval_seconds.into()),
            hot: in_force.hot.clone(),
            hub,
            publisher: publisher.clone(),
            functions: functions.clone(),
            roster: joined.roster.clone(),
            membership: joined.membership.clone(),
            metrics: metrics.clone(),
        });

        let parts = route::Parts { publisher, sessions: sessions.clone(), hot: in_force.hot.clone(), arrivals };
        let (route, carry) = route::start(Arc::clone(&backplane), &joined, parts, &metrics, shutdown.subscribe());
        tasks.adopt("push route", carry);

        let cleanup = functions.tells_cleanup().then(|| {
            let parts = cleanup::Parts {
                backplane,
                callee: Arc::new(functions.clone()),
                host: Arc::new(joined.clone()),
                membership: joined.membership.clone(),
                metrics: metrics.clone(),
            };
            let (cleanup, work) = cleanup::start(parts, shutdown.subscribe());
            tasks.adopt("cleanup", work);
            cleanup
        });

        let readiness = Readiness::new(joined.membership.clone(), draining.subscribe());
        let inside = Inside {
            readiness: readiness.clone(),
            membership: joined.membership.clone(),
            sessions: sessions.clone(),
            push_keys: push_keys.clone(),
            functions,
            cleanup: cleanup.clone(),
            template_hash: arguments.template_hash.clone(),
            hot_hash: in_force.hash,
            settings_problem: in_force.problem,
            cold_hash,
        };
        tasks.spawn(
            "internal port",
            shutdown.subscribe(),
            serve_internal(internal, internal::router(inside, registry)),
        );
        let port = Port::new(port::Parts {
            carrier: route,
            keys: push_keys,
            readiness: readiness.clone(),
            hot: in_force.hot.clone(),
            dialects: cold.push.dialects.clone(),
            patience: port::Patience::default(),
            metrics: metrics.clone(),
        });
        tasks.spawn("push port", shutdown.subscribe(), Arc::new(port).run(pushes, port::MAX_CONNECTIONS));
        let front = Front {
            entrance: sessions.clone(),
            routes: Routes { path: cold.path.clone(), page: cold.web_client },
            page: Page::new(&cold),
            readiness,
            hot: in_force.hot,
            patience: Patience::default(),
            metrics: metrics.clone(),
        };
        let accept = accept::run(clients, Arc::new(front), MAX_PENDING_HANDSHAKES);
        tasks.spawn("client port", shutdown.subscribe(), accept);

        info!(
            room = cold.room.name,
            namespace = cold.room.namespace,
            pod = arguments.pod_name,
            version = env!("CARGO_PKG_VERSION"),
            clients = %client_address,
            pushes = %push_address,
            internal = %internal_address,
            path = cold.path,
            "gateway started"
        );
        let drain_timeout = Duration::from_secs(cold.drain.timeout_seconds.into());
        Ok(Self {
            client_address,
            push_address,
            internal_address,
            drain_timeout,
            joined,
            sessions,
            cleanup,
            draining,
            shutdown,
            metrics,
            tasks,
        })
    }

    /// Runs until it is asked to end, then drains; ends at once when it is asked again.
    ///
    /// # Errors
    /// When a part of the gateway died, or it was asked twice.
    pub async fn run(mut self, mut asked: mpsc::Receiver<()>) -> Result<(), AppError> {
        tokio::select! {
            ended = self.tasks.ended() => return Err(ended.into()),
            Some(()) = asked.recv() => {}
        }
        let drain = Drain {
            joined: self.joined.clone(),
            sessions: self.sessions.clone(),
            cleanup: self.cleanup.clone(),
            draining: self.draining.clone(),
            metrics: self.metrics.clone(),
            timeout: self.drain_timeout,
        };
        tokio::select! {
            ended = self.tasks.ended() => return Err(ended.into()),
            Some(()) = asked.recv() => return Err(AppError::EndedAtOnce),
            () = drain.let_clients_go() => {}
        }
        // No longer watching the tasks: the keeper of the lease ends with the lease.
        tokio::select! {
            Some(()) = asked.recv() => return Err(AppError::EndedAtOnce),
            () = drain.leave() => {}
        }
        self.shutdown.send_replace(true);
        self.tasks.all_ended(Instant::now() + LAST_WORDS).await;
        info!("gateway ended");
        Ok(())
    }
}

/// What a drain needs.
struct Drain {
    joined: Joined,
    sessions: Sessions,
    cleanup: Option<Cleanup>,
    draining: watch::Sender<bool>,
    metrics: Metrics,
    timeout: Duration,
}

impl Drain {
    /// Each step is for those behind it: no new clients, then a place for the old ones to go to, then their ends.
    async fn let_clients_go(&self) {
        let begun = Instant::now();
        // The listener stays open and answers 503: a load balancer that has not heard yet gets a clear word, not a reset.
        self.draining.send_replace(true);
        self.metrics.draining.set(1);
        self.joined.set_draining(true);
        drain::wait_for_turn(self.joined.membership.clone(), begun, self.timeout).await;

        let clients = self.sessions.count();
        let window = drain::window(clients, self.timeout.saturating_sub(begun.elapsed()));
        info!(clients, seconds = window.as_secs_f64(), "closing clients");
        if timeout(window + GOODBYES, self.sessions.drain(window)).await.is_err() {
            warn!(clients = self.sessions.count(), "clients did not go in time");
        }
        let unwritten = self.joined.roster.flush((Instant::now() + LAST_ENDS).into_std()).await;
        if unwritten > 0 {
            warn!(unwritten, "ends of connections were not written in time");
        }
        if let Some(cleanup) = &self.cleanup {
            let untold = cleanup.work_off(begun + self.timeout + GOODBYES + LAST_ENDS + LAST_CALLS).await;
            if untold > 0 {
                warn!(untold, "ends of connections were told neither to Redis nor to the cleanup function");
            }
        }
    }

    /// Last, so that the room's count is right at once.
    async fn leave(&self) {
        match timeout(LAST_WORDS, self.joined.leave()).await {
            Ok(Ok(0)) => info!("left the room"),
            Ok(Ok(connections)) => warn!(connections, "left the room with connections for the others to sweep"),
            Ok(Err(error)) => warn!(%error, "failed to give up the lease, it runs out by itself"),
            Err(_) => warn!("failed to give up the lease in time, it runs out by itself"),
        }
    }
}

/// A gateway that lost touch with the room may have been declared dead, and then others tell the ends of its connections.
#[must_use]
pub fn permit(joined: &Joined) -> Permit {
    let (clock, membership) = (joined.clock.clone(), joined.membership.clone());
    Permit::new(move |id| {
        if membership.borrow().incarnation != id.incarnation() {
            Permission::Never
        } else if clock.holds() {
            Permission::Granted
        } else {
            Permission::NotNow
        }
    })
}

fn open(address: Option<IpAddr>, port: u16, purpose: &str) -> Result<(TcpListener, SocketAddr), AppError> {
    let failed = |error| system(format!("open port {port} for {purpose}"), error);
    let listener = accept::bind(address, port).map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}

async fn serve_internal(listener: TcpListener, router: axum::Router) {
    if let Err(error) = axum::serve(listener, router).await {
        warn!(%error, "failed to serve the internal port");
    }
}

fn system(what: impl Into<String>, source: io::Error) -> AppError {
    AppError::System { what: what.into(), source }
}
