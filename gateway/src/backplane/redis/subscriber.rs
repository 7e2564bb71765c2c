//! The connection on which everything that is published arrives.

use std::time::Duration;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, Value};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info, warn};

use super::connect::Target;
use super::trouble::{self, When};
use crate::backplane::bus::Sender;
use crate::backplane::{BackplaneError, envelope};

/// Shortest time between two connections.
const RECONNECT: Duration = Duration::from_secs(1);
/// How often a silent connection is asked whether it is still there, and a queue whether anybody still drains it.
const PING: Duration = Duration::from_secs(3);

/// Feeds the queue until nobody drains it any more.
pub(super) async fn run(target: Target, channel: String, queue: Sender) {
    // The lease keeper reports what is wrong with Redis; one line here says that this connection is concerned, too.
    let mut told = false;
    while !queue.is_closed() {
        let again = Instant::now() + RECONNECT;
        match subscribe(&target, &channel, &queue).await {
            Ok((connection, lost)) => {
                info!("subscribed to what is published");
                told = false;
                queue.subscribed();
                let reason = tokio::select! {
                    () = lost.notified() => "it was lost",
                    reason = watch(connection, &queue) => reason,
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
    channel: &str,
    queue: &Sender,
) -> Result<(MultiplexedConnection, std::sync::Arc<tokio::sync::Notify>), BackplaneError> {
    let taker = queue.clone();
    let pushed = Box::new(move |push| take(push, &taker));
    let (mut connection, lost) = target.connect(Some(pushed)).await?;
    // Confirmed before anybody hears of it: from then on nothing is missed.
    let confirmed = connection.subscribe(channel).await;
    confirmed.map_err(|error| target.named(trouble::of(&error, When::Connecting)))?;
    Ok((connection, lost))
}

/// Runs on the library's own task, so it must not wait: what finds the queue full is fetched from the repair log.
fn take(push: PushInfo, queue: &Sender) {
    if push.kind != PushKind::Message {
        return;
    }
    let Some(Value::BulkString(body)) = push.data.into_iter().next_back() else { return queue.missed() };
    match envelope::decode(Bytes::from(body)) {
        Ok(batch) => queue.batch(batch),
        Err(error) => {
            debug!(%error, "a batch could not be read");
            queue.missed();
        }
    }
}

/// Ends when the connection is silent, or nobody listens.
async fn watch(mut connection: MultiplexedConnection, queue: &Sender) -> &'static str {
    loop {
        sleep(PING).await;
        if queue.is_closed() {
            return "the gateway ends";
        }
        if redis::cmd("PING").query_async::<Value>(&mut connection).await.is_err() {
            return "it does not answer";
        }
    }
}
