//! Takes the connections of dead gateways out of the registry, a few at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, info};

use crate::backplane::Backplane;
use crate::id::Incarnation;
use crate::metrics::Metrics;

/// Connections a script: it blocks Redis for about a millisecond.
const CONNECTIONS: usize = 100;
/// Between two scripts, so that what is said in the room passes in between.
const PAUSE: Duration = Duration::from_millis(5);

/// Sweeps whatever the newest lease found condemned. Every gateway does; they help each other and cannot disturb. With
/// `events` the cleanup function is owed each of them, also those whose registration nobody knows the outcome of.
pub(super) async fn run(
    backplane: Arc<dyn Backplane>,
    mut condemned: watch::Receiver<Vec<Incarnation>>,
    events: bool,
    metrics: Metrics,
) {
    while condemned.changed().await.is_ok() {
        let list = condemned.borrow_and_update().clone();
        for incarnation in list {
            sweep(&*backplane, incarnation, events, &metrics).await;
        }
    }
}

async fn sweep(backplane: &dyn Backplane, condemned: Incarnation, events: bool, metrics: &Metrics) {
    let mut total = 0;
    loop {
        match backplane.sweep(condemned, CONNECTIONS, events).await {
            Ok(step) => {
                metrics.swept.inc_by(step.swept);
                total += step.swept;
                if step.left == 0 {
                    break;
                }
            }
            Err(error) => {
                // The next lease names it again.
                debug!(%condemned, %error, "failed to sweep a dead gateway");
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    if total > 0 {
        info!(%condemned, connections = total, "swept up after a dead gateway");
    }
}
