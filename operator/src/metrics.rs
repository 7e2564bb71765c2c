//! What the operator counts, for Prometheus.

use crate::conditions::is_true;
use chatroom_api::{ChatRoom, condition};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every number of the operator. No series is named after a room: rooms come and go, series would stay.
#[derive(Debug)]
pub struct Metrics {
    /// Reconciles that ended, by how.
    pub reconciles: Family<ResultLabel, Counter>,
    /// Seconds that a reconcile took.
    pub reconcile_seconds: Histogram,
    /// Errors, by what they ask for.
    pub errors: Family<CategoryLabel, Counter>,
    /// Requests that change something in the cluster.
    pub writes: Family<WriteLabels, Counter>,
    /// 1 while the API server does not know ChatRooms.
    pub crd_missing: Gauge,
    /// For each namespace of the list: 1 while everything in it can be watched. Nothing where the whole cluster is watched.
    pub namespace_watched: Family<NamespaceLabel, Gauge>,
    /// Requests to the API server that had to wait for their turn.
    pub requests_delayed: Counter,
    /// Requests that the API server answered with "too many requests".
    pub requests_throttled: Counter,
    /// Reconciles that wait for a place.
    pub reconciles_waiting: Gauge,
    /// Watches that broke and were started again.
    pub watch_errors: Family<KindLabel, Counter>,
    /// Times that a room could not be read; it is left as it is.
    pub unreadable_rooms: Counter,
    /// Gateways that were asked, by how they answered.
    pub gateway_polls: Family<ResultLabel, Counter>,
    /// Wishes of the fleet to reconcile a room that found the queue full and were put off until the next round.
    pub fleet_triggers_postponed: Counter,
    registry: Registry,
}

/// How something ended: a word of few.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ResultLabel {
    /// The word.
    pub result: &'static str,
}

/// What kind of error: the label of one variant.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct CategoryLabel {
    /// The variant's label.
    pub category: &'static str,
}

/// A namespace that the operator was told to watch. The list is as long as somebody wrote it, so the series are few.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct NamespaceLabel {
    /// Its name.
    pub namespace: String,
}

/// A kind of Kubernetes object.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct KindLabel {
    /// As manifests spell it.
    pub kind: &'static str,
}

/// One kind of change.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct WriteLabels {
    /// Kind of the object, as manifests spell it.
    pub kind: &'static str,
    /// `create`, `apply`, `apply_status` or `delete`.
    pub verb: &'static str,
}

impl Metrics {
    /// All numbers at nought. `rooms` is asked at each scrape how many rooms are in which phase.
    pub fn new(rooms: impl Fn() -> BTreeMap<&'static str, u64> + Send + Sync + 'static) -> Arc<Self> {
        let mut registry = Registry::with_prefix("chatroom_operator");
        let reconciles = Family::default();
        registry.register("reconciles", "Reconciles that ended, by result", reconciles.clone());
        // From "nothing to do" (well under a millisecond of API time) to the time-out of a minute.
        let reconcile_seconds = Histogram::new([0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 30.0, 60.0]);
        registry.register("reconcile_seconds", "Seconds that a reconcile took", reconcile_seconds.clone());
        let errors = Family::default();
        registry.register("errors", "Reconciles that failed, by category of the error", errors.clone());
        let writes = Family::default();
        registry.register("writes", "Requests that change something in the cluster, by kind and verb", writes.clone());
        let crd_missing = Gauge::default();
        registry.register("crd_missing", "1 while the API server does not know ChatRooms", crd_missing.clone());
        let namespace_watched = Family::default();
        registry.register(
            "namespace_watched",
            "For each namespace of the list, 1 while everything in it can be watched",
            namespace_watched.clone(),
        );
        let requests_delayed = Counter::default();
        registry.register(
            "requests_delayed",
            "Requests to the API server that had to wait for their turn",
            requests_delayed.clone(),
        );
        let requests_throttled = Counter::default();
        registry.register(
            "requests_throttled",
            "Requests that the API server answered with 429, too many requests",
            requests_throttled.clone(),
        );
        let reconciles_waiting = Gauge::default();
        registry.register("reconciles_waiting", "Reconciles that wait for a place", reconciles_waiting.clone());
        let watch_errors = Family::default();
        registry.register("watch_errors", "Watches that broke and were started again, by kind", watch_errors.clone());
        let unreadable_rooms = Counter::default();
        registry.register(
            "unreadable_rooms",
            "Times that a room was seen which this version cannot read; it is left as it is",
            unreadable_rooms.clone(),
        );
        let gateway_polls = Family::default();
        registry.register(
            "gateway_polls",
            "Gateways that were asked for their status, by result",
            gateway_polls.clone(),
        );
        let fleet_triggers_postponed = Counter::default();
        registry.register(
            "fleet_triggers_postponed",
            "Changes seen on gateways whose reconcile was put off because the queue was full",
            fleet_triggers_postponed.clone(),
        );
        registry.register_collector(Box::new(Rooms(Box::new(rooms))));
        Arc::new(Self {
            reconciles,
            reconcile_seconds,
            errors,
            writes,
            crd_missing,
            namespace_watched,
            requests_delayed,
            requests_throttled,
            reconciles_waiting,
            watch_errors,
            unreadable_rooms,
            gateway_polls,
            fleet_triggers_postponed,
            registry,
        })
    }

    /// Counts one request that changes something.
    pub fn wrote(&self, kind: &'static str, verb: &'static str) {
        self.writes.get_or_create(&WriteLabels { kind, verb }).inc();
    }

    /// All numbers as text, in the format of [`CONTENT_TYPE`].
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("writing to a String cannot fail");
        text
    }
}

/// How many rooms are in which phase; every phase is there, also with none.
#[must_use]
pub fn phases(rooms: &[Arc<ChatRoom>]) -> BTreeMap<&'static str, u64> {
    let mut phases = BTreeMap::from(["ready", "reconciling", "stalled", "not_ready"].map(|phase| (phase, 0)));
    for room in rooms {
        *phases.entry(phase(room)).or_default() += 1;
    }
    phases
}

fn phase(room: &ChatRoom) -> &'static str {
    let is_true = |type_| room.status.as_ref().is_some_and(|status| is_true(status, type_));
    if is_true(condition::STALLED) {
        "stalled"
    } else if is_true(condition::RECONCILING) {
        "reconciling"
    } else if is_true(condition::READY) {
        "ready"
    } else {
        "not_ready"
    }
}

/// Rooms by phase, counted when somebody looks.
struct Rooms(Box<dyn Fn() -> BTreeMap<&'static str, u64> + Send + Sync>);

impl std::fmt::Debug for Rooms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rooms")
    }
}

impl Collector for Rooms {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let mut family = encoder.encode_descriptor("rooms", "Rooms, by phase", None, MetricType::Gauge)?;
        for (phase, count) in (self.0)() {
            let labels = [("phase", phase)];
            ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX)).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_carry_the_names_that_dashboards_use() {
        let metrics = Metrics::new(|| BTreeMap::from([("ready", 2), ("stalled", 1)]));
        metrics.wrote("Service", "apply");
        metrics.errors.get_or_create(&CategoryLabel { category: "forbidden" }).inc();
        metrics.reconciles.get_or_create(&ResultLabel { result: "ok" }).inc();
        metrics.crd_missing.set(1);
        metrics.namespace_watched.get_or_create(&NamespaceLabel { namespace: "team-a".into() }).set(1);
        let text = metrics.render();
        for line in [
            r#"chatroom_operator_rooms{phase="ready"} 2"#,
            r#"chatroom_operator_rooms{phase="stalled"} 1"#,
            r#"chatroom_operator_writes_total{kind="Service",verb="apply"} 1"#,
            r#"chatroom_operator_errors_total{category="forbidden"} 1"#,
            r#"chatroom_operator_reconciles_total{result="ok"} 1"#,
            "chatroom_operator_reconcile_seconds_count 0",
            "chatroom_operator_crd_missing 1",
            r#"chatroom_operator_namespace_watched{namespace="team-a"} 1"#,
            "chatroom_operator_requests_delayed_total 0",
            "chatroom_operator_requests_throttled_total 0",
            "chatroom_operator_reconciles_waiting 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
