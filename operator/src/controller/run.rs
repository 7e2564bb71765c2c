//! What makes reconciles run: one controller for each scope.

use crate::controller::takeover::concerned;
use crate::controller::watches::Watches;
use crate::controller::{Context, on_error, reconcile};
use crate::fleet::RoomRef;
use futures_util::{StreamExt, future, stream};
use kube::ResourceExt;
use kube::runtime::controller::{self as kube_controller, Controller};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::{debug, warn};

/// How many rooms are reconciled at once, in all scopes together. Each makes one request at a time, so it is also how many
/// requests the API server has of us at once.
pub const CONCURRENCY: usize = 8;

/// Reconciles the rooms of one scope until `shutdown` resolves and the reconciles that run then have ended.
pub async fn run(
    context: Arc<Context>,
    watches: Watches,
    triggers: mpsc::Receiver<RoomRef>,
    shutdown: impl Future<Output = ()> + Send + Sync + 'static,
) {
    let Watches { rooms, config_maps, service_accounts, services, deployments, budgets, pods } = watches;
    let triggers = stream::unfold(triggers, |mut queue| async move { Some((queue.recv().await?, queue)) });
    let gate = context.gate.clone();
    Controller::for_stream(rooms, context.stores.rooms.clone())
        // No debounce: it waits for quiet, and a room in trouble has none. No bound on what runs at once: each room waits at the
        // gate that all scopes share, where what was edited goes first.
        .with_config(kube_controller::Config::default())
        .watches_stream(config_maps, |child| concerned(&child))
        .watches_stream(service_accounts, |child| concerned(&child))
        .watches_stream(services, |child| concerned(&child))
        .watches_stream(deployments, |child| concerned(&child))
        .watches_stream(budgets, |child| concerned(&child))
        // Pods point to no room; their store is filled by whoever polls their stream, which is done here.
        .watches_stream(pods, |_| None)
        .reconcile_on(triggers)
        .graceful_shutdown_on(async move {
            shutdown.await;
            gate.close();
        })
        .run(reconcile, on_error, Arc::clone(&context))
        .for_each(|ended| {
            match ended {
                Ok((room, action)) => debug!(%room, ?action, "a reconcile ended"),
                // `on_error` has logged it.
                Err(kube_controller::Error::ReconcilerFailed(..)) => {}
                // The children of a deleted room go after it and ask for it once more: time to forget it.
                Err(kube_controller::Error::ObjectNotFound(_)) => forget_gone_rooms(&context),
                Err(error) => warn!(%error, "the controller stumbled"),
            }
            future::ready(())
        })
        .await;
}

/// The memory is of this scope alone, and so is the store.
fn forget_gone_rooms(context: &Context) {
    let uids: HashSet<_> = context.stores.rooms.state().iter().filter_map(|room| room.uid()).collect();
    context.memory.keep_only(|uid| uids.contains(uid));
}
