//! The line to one function: how many call it at once, and whether it is worth calling.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::breaker::{Admitted, Breaker, Change, Policy, Showed};
use super::call::{self, Answer, Event, Silence};
use super::keys::SigningKeys;
use super::permit::Permission;
use super::trust::Trust;
use crate::metrics::{ByFunction, Metrics};

/// What the lines of a room share.
#[derive(Clone, Debug)]
pub(super) struct Means {
    /// Absent: calls are not signed.
    pub(super) keys: Option<watch::Receiver<Arc<SigningKeys>>>,
    pub(super) trust: watch::Receiver<Arc<Trust>>,
    pub(super) metrics: Metrics,
}

/// The line to one function.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) name: &'static str,
    uri: Uri,
    /// From the beginning of a call to the end of its answer.
    pub(super) timeout: Duration,
    slots: Semaphore,
    breaker: Mutex<Breaker>,
    means: Means,
    in_flight: Gauge,
}

impl Line {
    pub(super) fn new(
        name: &'static str,
        uri: Uri,
        timeout: Duration,
        slots: usize,
        breaker: Policy,
        means: Means,
    ) -> Self {
        let label = ByFunction { function: name };
        let in_flight = means.metrics.function_calls_in_flight.get_or_create(&label).clone();
        Self {
            name,
            uri,
            timeout,
            slots: Semaphore::new(slots),
            breaker: Mutex::new(Breaker::new(breaker)),
            means,
            in_flight,
        }
    }

    /// Calls the function once, as soon as there is a slot, and if it may be called by then. Dropping the future gives the slot
    /// back.
    pub(super) async fn call(
        &self,
        event: &Event,
        deadline: Instant,
        permission: impl Fn() -> Permission,
    ) -> Result<Answer, Silence> {
        if self.breaker().refuses(Instant::now().into_std()) {
            return Err(Silence::BreakerOpen);
        }
        let slot = timeout_at(deadline, self.slots.acquire()).await.map_err(|_| Silence::NoSlot)?;
        let _slot = slot.expect("the slots are never closed");
        let keys = self.means.keys.as_ref().map(|keys| Arc::clone(&keys.borrow()));
        if keys.as_ref().is_some_and(|keys| keys.is_empty()) {
            return Err(Silence::NoKey);
        }
        match permission() {
            Permission::Granted => {}
            Permission::NotNow => return Err(Silence::Isolated),
            Permission::Never => return Err(Silence::Fenced),
        }
        let admitted = self.breaker().admit(Instant::now().into_std()).ok_or(Silence::BreakerOpen)?;
        let under_way = UnderWay::new(self, admitted);
        let began = Instant::now();
        let request = call::request(&self.uri, event, keys.as_deref());
        let client = self.means.trust.borrow().client();
        let said = call::exchange(&client, request, deadline).await;
        under_way.end(&said, began.elapsed());
        said
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, call: Admitted, showed: Showed, why: &str) {
        let change = self.breaker().end(call, showed, Instant::now().into_std(), rand::random());
        let host = self.uri.host().unwrap_or_default();
        let show = |open| {
            let function = ByFunction { function: self.name };
            self.means.metrics.function_breakers_open.get_or_create(&function).set(open);
        };
        match change {
            Some(Change::Opened) => {
                show(1);
                warn!(function = self.name, host, why, "the function is not reached, it is called now and then only");
            }
            Some(Change::Closed) => {
                show(0);
                info!(function = self.name, host, "the function answers again");
            }
            None => {}
        }
    }
}

/// A call that the breaker let through. One that is dropped shows nothing.
struct UnderWay<'a> {
    line: &'a Line,
    admitted: Option<Admitted>,
}

impl<'a> UnderWay<'a> {
    fn new(line: &'a Line, admitted: Admitted) -> Self {
        line.in_flight.inc();
        Self { line, admitted: Some(admitted) }
    }

    fn end(mut self, said: &Result<Answer, Silence>, took: Duration) {
        let (showed, why) = match said {
            Ok(_) => (Showed::Answer, ""),
            Err(Silence::Unreachable(why)) => (Showed::Failure, why.as_str()),
            // One that waited long for a slot had little time left: that says nothing about the function.
            Err(Silence::TimedOut | Silence::NotConnected) if took >= self.line.timeout / 2 => {
                (Showed::Failure, "it did not answer in time")
            }
            Err(_) => (Showed::Nothing, ""),
        };
        if let Some(admitted) = self.admitted.take() {
            self.line.ended(admitted, showed, why);
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.line.in_flight.dec();
        if let Some(admitted) = self.admitted.take() {
            self.line.ended(admitted, Showed::Nothing, "");
        }
    }
}
