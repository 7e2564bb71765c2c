//! How the watches of one scope fare, told to probes, metrics and the log.

use crate::controller::errors;
use crate::health::{Health, Rooms};
use crate::metrics::{KindLabel, Metrics, NamespaceLabel};
use crate::scope::Scope;
use kube::core::Status;
use kube::runtime::watcher;
use std::sync::Arc;
use tracing::{debug, warn};

/// Where everything that watches one scope reports.
#[derive(Clone, Debug)]
pub struct Lookout {
    scope: Scope,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
}

/// The same, of the watch of one kind.
pub(super) struct OfKind {
    lookout: Lookout,
    kind: &'static str,
    said: Option<String>,
}

impl Lookout {
    /// Nothing is watched yet.
    #[must_use]
    pub fn new(scope: Scope, health: &Arc<Health>, metrics: &Arc<Metrics>) -> Self {
        let lookout = Self { scope, health: Arc::clone(health), metrics: Arc::clone(metrics) };
        lookout.count();
        lookout
    }

    /// What is watched.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What the API server says when it is asked for ChatRooms.
    pub fn rooms_are(&self, rooms: Rooms) {
        match rooms {
            Rooms::Served => {
                self.metrics.crd_missing.set(0);
            }
            Rooms::Missing => {
                self.metrics.crd_missing.set(1);
            }
            // Whether there is a definition, this does not tell.
            Rooms::Unknown | Rooms::Forbidden => {}
        }
        self.health.rooms_are(&self.scope, rooms);
        self.count();
    }

    /// Every watch but that of rooms has delivered its first list.
    pub fn caches_are_synced(&self) {
        self.health.caches_are_synced(&self.scope);
        self.count();
    }

    /// What came from the watch of rooms: the definition, or the right, may be taken away while we run, and come back.
    pub(super) fn rooms<K>(&self, event: &watcher::Result<watcher::Event<K>>) {
        match event {
            // Comes before the API server is asked.
            Ok(watcher::Event::Init) => {}
            Ok(event) => {
                self.rooms_are(Rooms::Served);
                if matches!(event, watcher::Event::InitDone) {
                    self.health.rooms_are_listed(&self.scope);
                    self.count();
                }
            }
            Err(error) => match answer(error).map(|status| status.code) {
                Some(404) => self.rooms_are(Rooms::Missing),
                Some(403) => self.rooms_are(Rooms::Forbidden),
                _ => {}
            },
        }
    }

    pub(super) fn of_kind(&self, kind: &'static str) -> OfKind {
        OfKind { lookout: self.clone(), kind, said: None }
    }

    fn count(&self) {
        if let Scope::Namespace(namespace) = &self.scope {
            let label = NamespaceLabel { namespace: namespace.clone() };
            self.metrics.namespace_watched.get_or_create(&label).set(i64::from(self.health.is_watched(&self.scope)));
        }
    }
}

impl OfKind {
    /// Something came, or the watch broke. The same trouble is said aloud once: a namespace that is gone breaks every watch
    /// twice a minute, for as long as it stands in the list.
    pub(super) fn event<K>(&mut self, event: &watcher::Result<watcher::Event<K>>) {
        let Self { lookout, kind, said } = self;
        let error = match event {
            // Comes before the API server is asked.
            Ok(watcher::Event::Init) => return,
            Ok(_) => {
                if said.take().is_some() {
                    lookout.health.watching_is_forbidden(&lookout.scope, kind, false);
                    lookout.count();
                }
                return;
            }
            Err(error) => error,
        };
        lookout.metrics.watch_errors.get_or_create(&KindLabel { kind }).inc();
        let forbidden = answer(error).is_some_and(|status| status.code == 403);
        lookout.health.watching_is_forbidden(&lookout.scope, kind, forbidden);
        lookout.count();
        let (scope, error) = (&lookout.scope, words(error));
        if said.as_ref() == Some(&error) {
            debug!(%scope, kind, error, "a watch broke again; it is started again");
        } else {
            warn!(%scope, kind, error, "a watch broke; it is started again");
            *said = Some(error);
        }
    }
}

/// What the API server said, if it said something.
fn answer(error: &watcher::Error) -> Option<&Status> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => Some(status),
        watcher::Error::WatchError(status) => Some(status),
        _ => None,
    }
}

fn words(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(cause) => format!("failed to list: {}", errors::words(cause)),
        watcher::Error::WatchStartFailed(cause) => format!("failed to start watching: {}", errors::words(cause)),
        watcher::Error::WatchFailed(cause) => format!("failed while watching: {}", errors::words(cause)),
        watcher::Error::WatchError(status) => format!("failed while watching: {}", status.message),
        other => other.to_string(),
    }
}
