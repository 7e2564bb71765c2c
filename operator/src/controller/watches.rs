//! What the operator watches in one scope: the rooms, their children and their pods, each kept in a store and each turned into
//! a stream of changes that are worth a reconcile.

mod changes;
mod gap;
mod lookout;

pub use self::lookout::Lookout;

use crate::controller::errors::Error;
use crate::controller::watches::changes::{
    child_changed, deletion_is_a_change, deployment_changed, only_readable, room_changed, strip,
};
use crate::controller::watches::gap::vanished_are_deleted;
use crate::names::{MANAGER, keys};
use chatroom_api::ChatRoom;
use futures_util::future::{BoxFuture, Shared};
use futures_util::{FutureExt, Stream, StreamExt, future};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{self, Store};
use kube::runtime::utils::WatchStreamExt;
use kube::runtime::{PredicateConfig, watcher};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// The objects that are watched, as they were seen last.
#[derive(Clone, Debug)]
pub struct Stores {
    /// All rooms.
    pub rooms: Store<ChatRoom>,
    /// ConfigMaps with our label, as all that follow.
    pub config_maps: Store<ConfigMap>,
    /// The accounts that gateways run as.
    pub service_accounts: Store<ServiceAccount>,
    /// Services of gateways and of Redis.
    pub services: Store<Service>,
    /// Deployments of gateways and of Redis.
    pub deployments: Store<Deployment>,
    /// Disruption budgets of gateways.
    pub budgets: Store<PodDisruptionBudget>,
    /// Pods of gateways and of Redis, without what nobody here reads.
    pub pods: Store<Pod>,
    /// A store remembers one waiter only and wakes no other one. This one waits for all of them, and any number may wait
    /// for this one. The rooms' store is not among them: the controller waits for that itself.
    ready: Shared<BoxFuture<'static, Result<(), WatchEnded>>>,
}

/// Changes that are worth a reconcile.
pub type Changes<K> = futures_util::stream::BoxStream<'static, watcher::Result<K>>;

/// The streams that keep the stores up to date; a store stands still unless its stream is polled.
pub struct Watches {
    /// Rooms that people changed; not those whose status we wrote.
    pub rooms: Changes<ChatRoom>,
    /// See [`Stores`].
    pub config_maps: Changes<ConfigMap>,
    /// See [`Stores`].
    pub service_accounts: Changes<ServiceAccount>,
    /// See [`Stores`].
    pub services: Changes<Service>,
    /// See [`Stores`].
    pub deployments: Changes<Deployment>,
    /// See [`Stores`].
    pub budgets: Changes<PodDisruptionBudget>,
    /// Pods trigger nothing: what they mean for a room shows on its Deployment and in what the fleet hears.
    pub pods: Changes<Pod>,
}

impl Stores {
    /// Stores that are filled by nobody yet, and the writers that fill them.
    #[must_use]
    pub fn new() -> (Self, Writers) {
        let ((rooms, room_writer), (config_maps, config_map_writer)) = (reflector::store(), reflector::store());
        let ((service_accounts, service_account_writer), (services, service_writer)) =
            (reflector::store(), reflector::store());
        let ((deployments, deployment_writer), (budgets, budget_writer)) = (reflector::store(), reflector::store());
        let (pods, pod_writer) = reflector::store();
        let writers = Writers {
            rooms: room_writer,
            config_maps: config_map_writer,
            service_accounts: service_account_writer,
            services: service_writer,
            deployments: deployment_writer,
            budgets: budget_writer,
            pods: pod_writer,
        };
        let stores = Self {
            rooms,
            config_maps,
            service_accounts,
            services,
            deployments,
            budgets,
            pods,
            ready: never().shared(),
        };
        (Self { ready: stores.clone().all_ready().boxed().shared(), ..stores }, writers)
    }

    /// Resolves when every watch of children and pods has delivered its first list: until then "there is none" means nothing.
    /// Of the rooms' list there is no need to speak: whoever has a room has it from there.
    ///
    /// # Errors
    /// When a watch has ended before.
    pub async fn wait_until_ready(&self) -> Result<(), Error> {
        self.ready.clone().await.map_err(|WatchEnded| Error::Stopping)
    }

    async fn all_ready(self) -> Result<(), WatchEnded> {
        let Self { rooms: _, config_maps, service_accounts, services, deployments, budgets, pods, ready: _ } = self;
        let ready = async {
            config_maps.wait_until_ready().await?;
            service_accounts.wait_until_ready().await?;
            services.wait_until_ready().await?;
            deployments.wait_until_ready().await?;
            budgets.wait_until_ready().await?;
            pods.wait_until_ready().await
        };
        ready.await.map_err(|_| WatchEnded)
    }
}

/// A watch has ended before it had delivered anything.
#[derive(Clone, Copy, Debug)]
struct WatchEnded;

fn never() -> BoxFuture<'static, Result<(), WatchEnded>> {
    future::pending().boxed()
}

/// What fills the [`Stores`]. Tests fill them by hand.
#[derive(Debug)]
#[allow(missing_docs, reason = "each is the writer of the store of the same name")]
pub struct Writers {
    pub rooms: reflector::store::Writer<ChatRoom>,
    pub config_maps: reflector::store::Writer<ConfigMap>,
    pub service_accounts: reflector::store::Writer<ServiceAccount>,
    pub services: reflector::store::Writer<Service>,
    pub deployments: reflector::store::Writer<Deployment>,
    pub budgets: reflector::store::Writer<PodDisruptionBudget>,
    pub pods: reflector::store::Writer<Pod>,
}

impl Watches {
    /// Watches the scope of the lookout. Nothing is asked until the streams are polled.
    #[must_use]
    pub fn begin(client: &Client, writers: Writers, lookout: &Lookout) -> Self {
        let Writers { rooms, config_maps, service_accounts, services, deployments, budgets, pods } = writers;
        Self {
            rooms: room_changes(client, rooms, lookout),
            config_maps: child_changes(client, config_maps, "ConfigMap", lookout, child_changed),
            service_accounts: child_changes(client, service_accounts, "ServiceAccount", lookout, child_changed),
            services: child_changes(client, services, "Service", lookout, child_changed),
            deployments: child_changes(client, deployments, "Deployment", lookout, deployment_changed),
            budgets: child_changes(client, budgets, "PodDisruptionBudget", lookout, child_changed),
            pods: pod_changes(client, pods, lookout),
        }
    }
}

/// Only objects with our label. One of somebody else that has the name of ours is found when it is asked for by name.
fn ours() -> watcher::Config {
    watcher::Config::default().labels(&format!("{}={MANAGER}", keys::MANAGED_BY))
}

fn room_changes(client: &Client, writer: reflector::store::Writer<ChatRoom>, lookout: &Lookout) -> Changes<ChatRoom> {
    let unreadable = lookout.metrics().unreadable_rooms.clone();
    let sees = lookout.clone();
    let events = watcher(lookout.scope().api::<DeserializeGuard<ChatRoom>>(client), watcher::Config::default())
        .default_backoff()
        .inspect(move |event| sees.rooms(event))
        .filter_map(move |event| future::ready(only_readable(event, &unreadable)));
    heard(events.reflect(writer), "ChatRoom", lookout)
        .applied_objects()
        .predicate_filter(room_changed, PredicateConfig::default())
        .boxed()
}

fn child_changes<K>(
    client: &Client,
    writer: reflector::store::Writer<K>,
    kind: &'static str,
    lookout: &Lookout,
    changed: fn(&K) -> Option<u64>,
) -> Changes<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let events = watcher(lookout.scope().api(client), ours()).default_backoff();
    let events = vanished_are_deleted(events, writer.as_reader()).reflect(writer);
    heard(events, kind, lookout)
        .map(deletion_is_a_change)
        .touched_objects()
        .predicate_filter(changed, PredicateConfig::default())
        .boxed()
}

fn pod_changes(client: &Client, writer: reflector::store::Writer<Pod>, lookout: &Lookout) -> Changes<Pod> {
    let events = watcher(lookout.scope().api(client), ours()).default_backoff().modify(strip).reflect(writer);
    heard(events, "Pod", lookout).touched_objects().boxed()
}

/// Tells what breaks, and takes it out: each stream has its own back-off, and one that the operator has no right to read should
/// not slow down the others.
fn heard<K: Send + Sync + 'static>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
    kind: &'static str,
    lookout: &Lookout,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static {
    let mut sees = lookout.of_kind(kind);
    events.filter(move |event| {
        sees.event(event);
        future::ready(event.is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::runtime::watcher::Event;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_are_woken_whoever_came_last() {
        let (stores, mut writers) = Stores::new();
        let (mut others, mut last) = (Vec::new(), Box::pin(stores.wait_until_ready()));
        for _ in 0..3 {
            let stores = stores.clone();
            others.push(tokio::spawn(async move { stores.wait_until_ready().await }));
            tokio::task::yield_now().await;
            assert!(futures_util::poll!(&mut last).is_pending());
        }
        writers.config_maps.apply_watcher_event(&Event::InitDone);
        writers.service_accounts.apply_watcher_event(&Event::InitDone);
        writers.services.apply_watcher_event(&Event::InitDone);
        writers.deployments.apply_watcher_event(&Event::InitDone);
        writers.budgets.apply_watcher_event(&Event::InitDone);
        writers.pods.apply_watcher_event(&Event::InitDone);
        for waiter in others {
            tokio::time::timeout(Duration::from_secs(1), waiter).await.expect("it is woken").unwrap().unwrap();
        }
        last.await.unwrap();
    }

    #[tokio::test]
    async fn nobody_waits_for_watches_that_have_ended() {
        let (stores, writers) = Stores::new();
        drop(writers);
        assert!(matches!(stores.wait_until_ready().await, Err(Error::Stopping)));
    }
}
