//! How fast the operator asks the API server: a few dozen requests a second, whatever the number of rooms.
//!
//! Five hundred rooms after a start are some nine thousand requests. The API server has others to serve.

use crate::metrics::Metrics;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request, StatusCode};
use kube::Client;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Requests a second in the long run. A first look at a room costs about twenty, so five hundred rooms are through in some
/// three minutes; that is what client-go's controllers are commonly given.
const PER_SECOND: u32 = 50;

/// Requests that may be made at once after a quiet time: five rooms, or the first lists of a dozen namespaces.
const BURST: u32 = 100;

/// The longest that everything stands still because the API server asked for it. It may ask again; and a reconcile that waits
/// has to end within its minute.
const LONGEST_HOLD: Duration = Duration::from_secs(20);

/// The same client, whose requests wait for their turn. Watches do not: they cost the API server their beginning only. When the
/// API server answers 429 with `Retry-After`, all requests wait for so long that have no turn yet.
#[must_use]
pub fn limited(client: Client, metrics: Arc<Metrics>) -> Client {
    let namespace = client.default_namespace().to_owned();
    let turns = Arc::new(Mutex::new(Turns::begin(Instant::now())));
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let (client, turns, metrics) = (client.clone(), Arc::clone(&turns), Arc::clone(&metrics));
        async move {
            if !is_watch(&request) {
                let wait = turns.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
                if !wait.is_zero() {
                    metrics.requests_delayed.inc();
                    tokio::time::sleep(wait).await;
                }
            }
            let answer = client.send(request).await?;
            if answer.status() == StatusCode::TOO_MANY_REQUESTS {
                metrics.requests_throttled.inc();
                if let Some(hold) = retry_after(answer.headers()) {
                    turns.lock().unwrap_or_else(PoisonError::into_inner).hold(Instant::now(), hold);
                }
            }
            Ok::<_, kube::Error>(answer)
        }
    });
    Client::new(service, namespace)
}

/// Who may go when: a bucket of [`BURST`] tokens that fills with [`PER_SECOND`], kept as the one moment at which it will be full.
#[derive(Debug)]
struct Turns {
    full_at: Instant,
}

impl Turns {
    /// What one request takes out.
    const ONE: Duration = Duration::from_nanos(1_000_000_000 / PER_SECOND as u64);

    /// What the whole bucket holds.
    const ALL: Duration = Duration::from_nanos(Self::ONE.as_nanos() as u64 * BURST as u64);

    fn begin(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// How long until the turn of the request that asks now. The turn is given: who asks next gets a later one.
    fn take(&mut self, now: Instant) -> Duration {
        self.full_at = self.full_at.max(now) + Self::ONE;
        self.full_at.duration_since(now).saturating_sub(Self::ALL)
    }

    /// Gives no turn before so long from now, and no burst afterwards.
    fn hold(&mut self, now: Instant, time: Duration) {
        self.full_at = self.full_at.max(now + time.min(LONGEST_HOLD) + Self::ALL);
    }
}

fn is_watch<B>(request: &Request<B>) -> bool {
    let mut pairs = request.uri().query().unwrap_or_default().split('&');
    pairs.any(|pair| pair == "watch=true" || pair == "watch=1")
}

/// In seconds; the date that HTTP also allows is not used by API servers.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Api;
    use kube::api::{ListParams, WatchParams};
    use std::convert::Infallible;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_fifty_a_second() {
        let now = Instant::now();
        let mut turns = Turns::begin(now);
        let waits: Vec<_> = (0..200).map(|_| turns.take(now).as_millis()).collect();
        assert!(waits[..100].iter().all(|wait| *wait == 0), "{waits:?}");
        assert_eq!((waits[100], waits[101], waits[149], waits[199]), (20, 40, 1_000, 2_000));
    }

    #[test]
    fn a_quiet_time_fills_the_bucket_and_never_more() {
        let now = Instant::now();
        let mut turns = Turns::begin(now);
        assert!((0..100).all(|_| turns.take(now).is_zero()));
        let half_full = now + Duration::from_secs(1);
        let free = (0..100).filter(|_| turns.take(half_full).is_zero()).count();
        assert_eq!(free, 50);
        let much_later = now + Duration::from_secs(3600);
        let free = (0..500).filter(|_| turns.take(much_later).is_zero()).count();
        assert_eq!(free, 100);
    }

    #[test]
    fn after_a_hold_there_is_no_burst() {
        let now = Instant::now();
        let mut turns = Turns::begin(now);
        turns.hold(now, Duration::from_secs(3));
        assert_eq!([(); 2].map(|()| turns.take(now).as_millis()), [3_020, 3_040]);
        turns.hold(now, Duration::from_secs(3600));
        assert_eq!(turns.take(now), LONGEST_HOLD + Turns::ONE, "an hour would outlast every reconcile");
    }

    /// A client of an API server that answers every request so.
    fn client(answer: impl Fn() -> http::Response<String> + Send + Clone + 'static) -> (Client, Arc<Metrics>) {
        let service = tower::service_fn(move |_: Request<kube::client::Body>| {
            let answer = answer();
            async move { Ok::<_, Infallible>(answer) }
        });
        let metrics = Metrics::new(std::collections::BTreeMap::new);
        (limited(Client::new(service, "chat"), Arc::clone(&metrics)), metrics)
    }

    fn empty_list() -> http::Response<String> {
        http::Response::new(r#"{"metadata": {"resourceVersion": "1"}, "items": []}"#.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn lists_wait_for_their_turn_and_watches_do_not() {
        let (client, metrics) = client(empty_list);
        let config_maps: Api<ConfigMap> = Api::default_namespaced(client);
        let began = Instant::now();
        for _ in 0..200 {
            drop(config_maps.watch(&WatchParams::default(), "1").await.unwrap());
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        for _ in 0..BURST + PER_SECOND {
            config_maps.list(&ListParams::default()).await.unwrap();
        }
        // Time stands still but for the turns: it is the sum of what was waited.
        assert!((Duration::from_secs(1)..Duration::from_millis(1_200)).contains(&began.elapsed()));
        assert_eq!(metrics.requests_delayed.get(), u64::from(PER_SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_has_too_much_to_do_is_left_alone_for_as_long_as_it_asks() {
        let (client, metrics) = client(|| {
            let busy = http::Response::builder().status(429).header("Retry-After", "5");
            busy.body("Too many requests, please try again later.".to_owned()).unwrap()
        });
        let config_maps: Api<ConfigMap> = Api::default_namespaced(client);
        let began = Instant::now();
        config_maps.list(&ListParams::default()).await.unwrap_err();
        assert_eq!(began.elapsed(), Duration::ZERO);
        config_maps.list(&ListParams::default()).await.unwrap_err();
        assert!(began.elapsed() >= Duration::from_secs(5));
        assert_eq!(metrics.requests_throttled.get(), 2);
    }
}
