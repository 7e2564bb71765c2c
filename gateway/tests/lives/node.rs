//! A gateway with a runtime of its own, all rooms from the client port to the cleanup worker, so that it can be killed and
//! frozen as a whole.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chatroom_gateway::app;
use chatroom_gateway::backplane::{Backplane, publisher};
use chatroom_gateway::cleanup;
use chatroom_gateway::delivery;
use chatroom_gateway::functions::breaker::Policy;
use chatroom_gateway::functions::{self, Functions, Patience};
use chatroom_gateway::http::accept;
use chatroom_gateway::http::connection::{self, Front};
use chatroom_gateway::http::guard::Routes;
use chatroom_gateway::http::page::Page;
use chatroom_gateway::hub::Hub;
use chatroom_gateway::membership::{self, Joined, Settings, Standing, Timing};
use chatroom_gateway::metrics::Metrics;
use chatroom_gateway::readiness::Readiness;
use chatroom_gateway::session::{Parts, Sessions};
use chatroom_settings::{
    self as settings, Broadcast, CleanupFunction, Cold, Dialect, Drain, Hot, Limits, LogFormat, Push, RegisterFailure,
    RegisterFunction, RoomIdentity, TencentEvents, TransportAction, TransportFailure, TransportFunction,
};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Short, and still long enough for a machine that does other things as well.
pub(crate) const TIMING: Timing = Timing {
    lease: Duration::from_millis(1_600),
    renew: Duration::from_millis(200),
    stalled: Duration::from_millis(800),
};
/// How long a function may take: longer than one that is slow.
const SECONDS: u32 = 2;

pub(crate) struct Node {
    pub(crate) sessions: Sessions,
    pub(crate) joined: Joined,
    pub(crate) address: SocketAddr,
    shutdown: watch::Sender<bool>,
    runtime: Mutex<Option<Runtime>>,
}

impl Node {
    /// Joins the room. `functions` is where they are; the paths begin with the node's number.
    pub(crate) async fn start(backplane: Arc<dyn Backplane>, functions: SocketAddr, number: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let node = {
            let _inside = runtime.enter();
            Self::build(backplane, &cold(functions, number))
        };
        *node.runtime.lock().unwrap() = Some(runtime);
        node.joined.membership.clone().wait_for(|now| now.standing == Standing::Leased).await.unwrap();
        node
    }

    fn build(backplane: Arc<dyn Backplane>, cold: &Cold) -> Self {
        let (metrics, _) = Metrics::new();
        let (shutdown, over) = watch::channel(false);
        let hot = watch::channel(Arc::new(hot())).1;
        let member = Settings { connections: 100, cleanup: true, timing: TIMING, ..Settings::default() };
        let (joined, _) = membership::join(&backplane, member, &metrics, &over);
        let hub = Arc::new(Hub::new(&cold.broadcast, hot.clone()));
        let (_, _) = delivery::start(Arc::clone(&backplane), &joined, Arc::clone(&hub), &metrics, over.clone());
        let (publisher, _) = publisher::start(Arc::clone(&backplane), &joined, &metrics, over.clone());
        let parts = functions::Parts {
            path: cold.path.clone(),
            signing_directory: "/nowhere".into(),
            ca_directory: "/nowhere".into(),
            permit: app::permit(&joined),
            // One that hangs for one client should not keep the others out.
            patience: Patience { breaker: Policy { failures: u32::MAX, ..Policy::default() }, ..Patience::default() },
            metrics: metrics.clone(),
        };
        let (functions, _) = Functions::new(cold.functions.as_ref(), parts).unwrap();
        let sessions = Sessions::new(Parts {
            ping_interval: Duration::from_secs(3600),
            hot: hot.clone(),
            hub,
            publisher,
            functions: functions.clone(),
            roster: joined.roster.clone(),
            membership: joined.membership.clone(),
            metrics: metrics.clone(),
        });
        let parts = cleanup::Parts {
            backplane,
            callee: Arc::new(functions),
            host: Arc::new(joined.clone()),
            membership: joined.membership.clone(),
            metrics: metrics.clone(),
        };
        let (_, _) = cleanup::start(parts, over);
        let front = Front {
            entrance: sessions.clone(),
            routes: Routes { path: cold.path.clone(), page: false },
            page: Page::new(cold),
            readiness: Readiness::new(joined.membership.clone(), watch::channel(false).1),
            hot,
            patience: connection::Patience::default(),
            metrics,
        };
        let listener = accept::bind(Some(Ipv4Addr::LOCALHOST.into()), 0).unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(accept::run(listener, Arc::new(front), accept::MAX_PENDING_HANDSHAKES));
        Self { sessions, joined, address, shutdown, runtime: Mutex::default() }
    }

    pub(crate) fn lives(&self) -> bool {
        self.runtime.lock().unwrap().is_some()
    }

    /// Ends without a word to the room. Never waits.
    pub(crate) fn kill(&self) {
        self.shutdown.send_replace(true);
        if let Some(runtime) = self.runtime.lock().unwrap().take() {
            runtime.shutdown_background();
        }
    }

    /// Nothing of it moves for so long.
    pub(crate) fn freeze(&self, time: Duration) {
        if let Some(runtime) = &*self.runtime.lock().unwrap() {
            // It has one thread only.
            #[allow(clippy::disallowed_methods, reason = "it is the blocking that is the case")]
            runtime.spawn(async move { std::thread::sleep(time) });
        }
    }

    /// Whether nobody is here, and everything is written that the room has to know.
    pub(crate) async fn is_empty(&self) -> bool {
        let Joined { roster, .. } = &self.joined;
        self.sessions.count() == 0 && roster.live() == 0 && roster.flush(Instant::now()).await == 0
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

fn hot() -> Hot {
    let limits = Limits {
        max_connections_per_pod: 100,
        max_message_bytes: 1000,
        max_pending_bytes: 65_536,
        slow_seconds: 60,
        idle_timeout_seconds: None,
        max_connection_age_seconds: None,
    };
    Hot { log_filter: "info".into(), allowed_origins: None, limits }
}

fn cold(functions: SocketAddr, number: usize) -> Cold {
    let url = |name| format!("http://{functions}/{number}/{name}");
    let functions = settings::Functions {
        dialect: Dialect::Tencent,
        register: Some(RegisterFunction {
            url: url("register"),
            timeout_seconds: SECONDS,
            on_failure: RegisterFailure::Refuse,
        }),
        transport: Some(TransportFunction {
            url: url("transport"),
            timeout_seconds: SECONDS,
            on_failure: TransportFailure::Close,
        }),
        cleanup: Some(CleanupFunction { url: url("cleanup"), timeout_seconds: SECONDS }),
        signed: false,
        own_roots: false,
        tencent: TencentEvents {
            service_name: "lobby".into(),
            stage: "release".into(),
            transport_action: TransportAction::DataRecv,
            forward_request: true,
        },
    };
    Cold {
        room: RoomIdentity { name: "lobby".into(), namespace: "default".into(), uid: "u".into() },
        path: "/".into(),
        web_client: false,
        broadcast: Broadcast { exclude_sender: true, online_suffix: None },
        ping_interval_seconds: 25,
        functions: Some(functions),
        push: Push::default(),
        backplane: settings::Backplane::Memory,
        drain: Drain { timeout_seconds: 120 },
        log_format: LogFormat::Text,
    }
}
