//! How a gateway ends without a client being lost: when it begins to close them, how fast, and in which order.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tracing::info;

use crate::backplane::Peers;
use crate::membership::Membership;

/// Clients that are closed in a second. Each comes back with a handshake and a registration; the gateways that stay
/// take many more, but they are busy with the living.
const CLOSES_PER_SECOND: f64 = 100.0;
/// A handful of clients is spread over this too: their pages would come back in the same moment otherwise.
const SHORTEST_WINDOW: Duration = Duration::from_secs(1);

/// Pure: whether clients may be closed by now.
///
/// In a rollout all gateways of the old template get their signal at about the same time, but not in the same moment. A
/// client that is closed too early may come back to a gateway that ends next. So a gateway waits until none of its own
/// template takes clients any more; not longer than a third of its time, because the others may have been told to stay
/// (a rollout that stopped half-way). Without a newer template there is no rollout (a scale-down, a lone restart), and
/// nothing to wait for.
#[must_use]
pub fn may_begin(peers: Peers, waited: Duration, drain_timeout: Duration) -> bool {
    peers.other_template_staying == 0 || peers.same_template_staying == 0 || waited >= drain_timeout / 3
}

/// Pure: over how long the clients are spread; `left` is what remains of the drain's time.
#[must_use]
pub fn window(clients: usize, left: Duration) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "a gateway has far fewer than 2^52 clients")]
    let wanted = Duration::from_secs_f64(clients as f64 / CLOSES_PER_SECOND);
    wanted.max(SHORTEST_WINDOW).min(left)
}

/// Waits until clients may be closed.
pub(super) async fn wait_for_turn(
    mut membership: watch::Receiver<Membership>,
    begun: Instant,
    drain_timeout: Duration,
) {
    let is_turn = |member: &Membership| may_begin(member.peers, begun.elapsed(), drain_timeout);
    if is_turn(&membership.borrow()) {
        return;
    }
    info!("waiting for the other gateways of this template to drain too");
    // An error of either kind (time is up, membership has ended) means the same: begin.
    let _ = timeout_at(begun + drain_timeout / 3, membership.wait_for(is_turn)).await;
}

#[cfg(test)]
mod tests {
    use chatroom_settings::RedisStatus;

    use super::*;
    use crate::id::Incarnation;
    use crate::membership::Standing;

    const TIMEOUT: Duration = Duration::from_secs(120);

    fn peers(same: usize, other: usize) -> Peers {
        Peers { same_template_staying: same, other_template_staying: other }
    }

    fn member(peers: Peers) -> Membership {
        Membership {
            incarnation: Incarnation::from_bytes([1; 9]),
            standing: Standing::Leased,
            online: None,
            cleanups: None,
            redis: RedisStatus::default(),
            missing: Vec::new(),
            refused: Vec::new(),
            peers,
        }
    }

    #[test]
    fn a_gateway_waits_only_for_its_own_template_in_a_rollout_and_only_a_third() {
        for (same, other, waited, expected) in [
            (0, 0, 0, true),   // the last one
            (2, 0, 0, true),   // a scale-down
            (0, 3, 0, true),   // the last old one of a rollout
            (2, 3, 0, false),  // an old one of a rollout, others still take clients
            (2, 3, 39, false), // not yet a third
            (2, 3, 40, true),  // a third
            (1, 1, 200, true), // overdue
        ] {
            let may = may_begin(peers(same, other), Duration::from_secs(waited), TIMEOUT);
            assert_eq!(may, expected, "{same} of the same, {other} of another template, {waited} s");
        }
    }

    #[test]
    fn the_window_follows_the_number_of_clients_within_its_bounds() {
        for (clients, left, expected) in [
            (0, 120_000, 1_000),
            (3, 120_000, 1_000),
            (5_000, 120_000, 50_000),
            (100_000, 120_000, 120_000),
            (100_000, 80_000, 80_000),
            (3, 300, 300),
            (3, 0, 0),
        ] {
            let window = window(clients, Duration::from_millis(left));
            assert_eq!(window, Duration::from_millis(expected), "{clients} clients, {left} ms left");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_turn_comes_when_the_last_of_the_template_drains_too() {
        let membership = watch::Sender::new(member(peers(1, 2)));
        let begun = Instant::now();
        let waiting = tokio::spawn(wait_for_turn(membership.subscribe(), begun, TIMEOUT));
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!waiting.is_finished());
        membership.send_replace(member(peers(0, 2)));
        waiting.await.unwrap();
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn the_turn_comes_after_a_third_of_the_time_in_any_case() {
        let membership = watch::Sender::new(member(peers(1, 2)));
        let begun = Instant::now();
        wait_for_turn(membership.subscribe(), begun, TIMEOUT).await;
        assert_eq!(begun.elapsed(), TIMEOUT / 3);
    }
}
