//! The connection on which everything that is published arrives.

use std::time::Duration;

use bytes::{Buf as _, Bytes};
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info, warn};

use super::Keys;
use super::connect::Target;
use super::trouble::{self, When};
use crate::backplane::bus::Sender;
use crate::backplane::{BackplaneError, Post, envelope};
use crate::id::Incarnation;

/// Shortest time between two connections.
const RECONNECT: Duration = Duration::from_secs(1);
/// How often a silent connection is asked whether it is still there, and a queue whether anybody still drains it.
const PING: Duration = Duration::from_secs(3);

/// Of what `send.lua` writes before a post: the deadline follows.
const POST_VERSION: u8 = 1;

/// Feeds the queue until nobody drains it any more.
pub(super) async fn run(target: Target, keys: Keys, mut me: watch::Receiver<Incarnation>, queue: Sender) {
    // The lease keeper reports what is wrong with Redis; one line here says that this connection is concerned, too.
    let mut told = false;
    while !queue.is_closed() {
        let again = Instant::now() + RECONNECT;
        let name = *me.borrow_and_update();
        match subscribe(&target, &keys, name, &queue).await {
            Ok((connection, lost)) => {
                info!("subscribed to what is published");
                told = false;
                queue.subscribed();
                let reason = tokio::select! {
                    () = lost.notified() => "it was lost",
                    reason = watch_over(connection, &keys, &mut me, &queue) => reason,
                };
                warn!(reason, "the connection on which messages arrive has ended");
            }
            Err(error) if told => debug!(%error, "failed to subscribe"),
            Err(error) => {
                told = true;
                warn!(%error, "failed to subscribe, trying again every second");
            }
        }
        sleep_until(again).await;
    }
}

async fn subscribe(
    target: &Target,
    keys: &Keys,
    me: Incarnation,
    queue: &Sender,
) -> Result<(MultiplexedConnection, std::sync::Arc<tokio::sync::Notify>), BackplaneError> {
    let (taker, bus) = (queue.clone(), keys.bus());
    let pushed = Box::new(move |push| take(push, &bus, &taker));
    let (mut connection, lost) = target.connect(Some(pushed)).await?;
    // Confirmed before anybody hears of it: from then on nothing is missed.
    for channel in [keys.post(me), keys.bus()] {
        let confirmed = connection.subscribe(channel).await;
        confirmed.map_err(|error| target.named(trouble::of(&error, When::Connecting)))?;
    }
    Ok((connection, lost))
}

/// Runs on the library's own task, so it must not wait: what finds the queue full is fetched from the repair log.
fn take(push: PushInfo, bus: &str, queue: &Sender) {
    if push.kind != PushKind::Message {
        return;
    }
    let mut data = push.data.into_iter();
    let is_batch = matches!(data.next(), Some(Value::BulkString(channel)) if channel == bus.as_bytes());
    let Some(Value::BulkString(body)) = data.next() else { return queue.missed() };
    if !is_batch {
        // Only gateways of another version write what cannot be read, and who sent it hears nothing.
        return post(body.into()).into_iter().for_each(|post| queue.post(post));
    }
    match envelope::decode(Bytes::from(body)) {
        Ok(batch) => queue.batch(batch),
        Err(error) => {
            debug!(%error, "a batch could not be read");
            queue.missed();
        }
    }
}

fn post(mut bytes: Bytes) -> Option<Post> {
    let version = bytes.try_get_u8().ok()?;
    let deadline = bytes.try_get_u64().ok()?;
    (version == POST_VERSION).then_some(Post { deadline, body: bytes })
}

/// Ends when the connection is silent, or nobody listens. Follows the gateway to its new name.
async fn watch_over(
    mut connection: MultiplexedConnection,
    keys: &Keys,
    me: &mut watch::Receiver<Incarnation>,
    queue: &Sender,
) -> &'static str {
    loop {
        let renamed = tokio::select! {
            () = sleep(PING) => false,
            Ok(()) = me.changed() => true,
        };
        if renamed {
            // Nobody sends to the old name any more: the registry says that it is gone. It goes with the connection.
            let name = *me.borrow_and_update();
            if connection.subscribe(keys.post(name)).await.is_err() {
                return "it does not take the new name";
            }
        }
        if queue.is_closed() {
            return "the gateway ends";
        }
        if redis::cmd("PING").query_async::<Value>(&mut connection).await.is_err() {
            return "it does not answer";
        }
    }
}
