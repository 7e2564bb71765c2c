//! A room's functions with short time-outs, and what is asked of them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use chatroom_gateway::functions::breaker::Policy;
use chatroom_gateway::functions::{Connecting, Functions, Parts, Patience, Permit, Watch};
use chatroom_gateway::id::{ConnectionId, Incarnation};
use chatroom_gateway::message::{Kind, Message};
use chatroom_gateway::metrics::{ByCall, ByFunction, Metrics};
use chatroom_settings::{
    self as settings, CleanupFunction, Dialect, RegisterFailure, RegisterFunction, TencentEvents, TransportAction,
    TransportFailure, TransportFunction,
};
use tokio::task::AbortHandle;

use crate::support::functions::FunctionServer;

pub(crate) const LONG: Duration = Duration::from_secs(30);

/// What stands in the settings, unless a test says otherwise.
pub(crate) struct Room {
    pub(crate) settings: settings::Functions,
    pub(crate) patience: Patience,
    pub(crate) permit: Permit,
}

/// Functions that can be called.
pub(crate) struct Called {
    pub(crate) functions: Functions,
    pub(crate) metrics: Metrics,
    watching: AbortHandle,
}

impl Drop for Called {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Room {
    /// All three functions at one server, with a second each. The breaker opens late and closes soon.
    pub(crate) fn at(address: SocketAddr) -> Self {
        let url = |path| format!("http://{address}/{path}");
        let settings = settings::Functions {
            dialect: Dialect::Tencent,
            register: Some(RegisterFunction {
                url: url("register"),
                timeout_seconds: 1,
                on_failure: RegisterFailure::Refuse,
            }),
            transport: Some(TransportFunction {
                url: url("transport"),
                timeout_seconds: 1,
                on_failure: TransportFailure::Close,
            }),
            cleanup: Some(CleanupFunction { url: url("cleanup"), timeout_seconds: 1 }),
            signed: false,
            own_roots: false,
            tencent: TencentEvents {
                service_name: "lobby".into(),
                stage: "release".into(),
                transport_action: TransportAction::DataRecv,
                forward_request: false,
            },
        };
        let breaker =
            Policy { failures: 1000, first_wait: Duration::from_millis(50), longest_wait: Duration::from_millis(50) };
        let patience =
            Patience { breaker, first_retry: Duration::from_millis(10), longest_retry: Duration::from_millis(50) };
        Self { settings, patience, permit: Permit::default() }
    }

    /// For as long as a slow machine may need.
    pub(crate) fn patiently(mut self) -> Self {
        self.settings.register.as_mut().unwrap().timeout_seconds = 9;
        self.settings.transport.as_mut().unwrap().timeout_seconds = 30;
        self.settings.cleanup.as_mut().unwrap().timeout_seconds = 30;
        self
    }

    pub(crate) fn breaks_after(mut self, failures: u32) -> Self {
        self.patience.breaker.failures = failures;
        self
    }

    pub(crate) fn forgiving(mut self) -> Self {
        self.settings.register.as_mut().unwrap().on_failure = RegisterFailure::Accept;
        self.settings.transport.as_mut().unwrap().on_failure = TransportFailure::Ignore;
        self
    }

    pub(crate) fn open(self) -> Called {
        self.open_with("/nowhere".as_ref())
    }

    /// With files of credentials in `signing` and `ca` of a directory.
    pub(crate) fn open_with(self, directory: &Path) -> Called {
        let metrics = Metrics::default();
        let parts = Parts {
            path: "/chat".into(),
            signing_directory: directory.join("signing"),
            ca_directory: directory.join("ca"),
            permit: self.permit,
            patience: self.patience,
            metrics: metrics.clone(),
        };
        let (functions, watch): (_, Watch) = Functions::new(Some(&self.settings), parts).unwrap();
        let watching = tokio::spawn(watch.run(Duration::from_millis(20))).abort_handle();
        Called { functions, metrics, watching }
    }
}

impl FunctionServer {
    pub(crate) fn room(&self) -> Called {
        Room::at(self.address).open()
    }
}

impl Called {
    pub(crate) fn count(&self, function: &'static str, result: &'static str) -> u64 {
        self.metrics.function_calls.get_or_create(&ByCall { function, result }).get()
    }

    pub(crate) fn ignored(&self, function: &'static str) -> u64 {
        self.metrics.function_failures_ignored.get_or_create(&ByFunction { function }).get()
    }

    pub(crate) fn in_flight(&self, function: &'static str) -> i64 {
        self.metrics.function_calls_in_flight.get_or_create(&ByFunction { function }).get()
    }

    pub(crate) fn is_open(&self, function: &'static str) -> bool {
        self.metrics.function_breakers_open.get_or_create(&ByFunction { function }).get() == 1
    }
}

pub(crate) fn id(number: u8) -> ConnectionId {
    Incarnation::from_bytes([7; 9]).connection([number; 15])
}

pub(crate) fn client() -> Connecting {
    Connecting {
        id: id(1),
        address: "192.0.2.1".parse().unwrap(),
        subprotocols: Some("chat, binary".into()),
        extensions: None,
        headers: Vec::new(),
        query: None,
    }
}

pub(crate) fn message(text: &str) -> Message {
    Message { from: Some(id(1)), kind: Kind::Text, payload: text.to_owned().into(), exclude: None }
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, met: impl Fn() -> bool) {
    let waited = tokio::time::timeout(LONG, async {
        while !met() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "not {what} within 30 s");
}
