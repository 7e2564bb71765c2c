//! Every metric of the gateway, named in one place. All begin with `chatroom_gateway_`.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Why a client was closed, as the WebSocket close code; `0` when no close frame was exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByCode {
    /// The close code.
    pub code: u16,
}

/// Why a client was refused: the stable `code` of the problem document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByReason {
    /// The reason.
    pub reason: &'static str,
}

/// What came of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByPush {
    /// In which words it was asked for.
    pub dialect: &'static str,
    /// `ok`, or the stable `code` of the refusal.
    pub outcome: &'static str,
}

/// A function of the room's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByFunction {
    /// `register`, `transport` or `cleanup`.
    pub function: &'static str,
}

/// What came of calling a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByCall {
    /// `register`, `transport` or `cleanup`.
    pub function: &'static str,
    /// `ok` or the kind of failure.
    pub result: &'static str,
}

/// The settings that a gateway runs, by the hashes that `/status` shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BySettings {
    /// Of the hot ones, in force.
    pub hot: String,
    /// Of the cold ones.
    pub cold: String,
}

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByResult {
    /// `ok` or the kind of failure.
    pub result: &'static str,
}

/// The handles; cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Sockets held now.
    pub connections: Gauge,
    /// Connections ever accepted.
    pub connections_accepted: Counter,
    /// Connections ended, by close code.
    pub closes: Family<ByCode, Counter>,
    /// Requests refused before the upgrade, by reason.
    pub refusals: Family<ByReason, Counter>,
    /// Sockets that could not be accepted, for want of file descriptors or memory.
    pub accept_errors: Counter,
    /// Messages received from clients.
    pub messages_received: Counter,
    /// Bytes of those messages.
    pub bytes_received: Counter,
    /// Messages handed to the room, by result.
    pub publishes: Family<ByResult, Counter>,
    /// Seconds from handing a message over until its place in the order is known.
    pub publish_seconds: Latency,
    /// Requests to the push port, by dialect and outcome.
    pub pushes: Family<ByPush, Counter>,
    /// Seconds from the end of a push's body until its outcome is known.
    pub push_seconds: Latency,
    /// Calls of functions, by function and result.
    pub function_calls: Family<ByCall, Counter>,
    /// Seconds from wanting to call a function until its outcome is known, waiting included.
    pub function_seconds: LatencyByFunction,
    /// Calls of functions under way.
    pub function_calls_in_flight: Family<ByFunction, Gauge>,
    /// Whether a function was found down, so that it is called now and then only.
    pub function_breakers_open: Family<ByFunction, Gauge>,
    /// Failures of functions of which clients felt nothing, because the room ignores them.
    pub function_failures_ignored: Family<ByFunction, Counter>,
    /// Messages taken from the room in order.
    pub messages_delivered: Counter,
    /// Frames written to clients.
    pub deliveries: Counter,
    /// Batches that found the queue before delivery full: a hole that the log fills.
    pub bus_overflows: Counter,
    /// Pushes of other gateways that were dropped for want of room: nobody answers them.
    pub posts_dropped: Counter,
    /// Holes in the order that were repaired from the log.
    pub holes_repaired: Counter,
    /// Holes that could not be repaired: clients were told.
    pub positions_lost: Counter,
    /// Whether Redis answers (1) or not (0).
    pub redis_connected: Gauge,
    /// Connections made to Redis.
    pub redis_connects: Counter,
    /// Leases asked for, by result.
    pub leases: Family<ByResult, Counter>,
    /// Connections of dead gateways that this one swept up.
    pub swept: Counter,
    /// Ends of connections that wait to be written to Redis.
    pub ends_waiting: Gauge,
    /// Ends that the cleanup function has yet to be told of, in the whole room, as of the last lease.
    pub cleanups_waiting: Gauge,
    /// Ends that were given up, in the whole room, as of the last lease.
    pub cleanups_dead: Gauge,
    /// Tries to tell the cleanup function of an end, by what came of them.
    pub cleanups: Family<ByResult, Counter>,
    /// People in the room, as of the last lease.
    pub online: Gauge,
    /// Whether the gateway is draining.
    pub draining: Gauge,
    /// Whether the gateway is isolated.
    pub isolated: Gauge,
    /// Hot settings that could not be taken over.
    pub reload_failures: Counter,
    /// Whether the hot settings in force are the ones on disk (1) or the last good ones (0).
    pub settings_current: Gauge,
    /// The settings in force; one series, which is 1. [`Metrics::show_settings`] replaces it.
    pub settings_info: Family<BySettings, Gauge>,
}

/// A histogram of seconds from 100 µs to 13 s.
#[derive(Clone, Debug)]
pub struct Latency(pub Histogram);

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new(exponential_buckets(0.0001, 2.0, 18)))
    }
}

/// A histogram of seconds for each function, from 1 ms to 17 min: a function may take 15 min.
#[derive(Clone, Debug)]
pub struct LatencyByFunction(pub Family<ByFunction, Histogram>);

impl Default for LatencyByFunction {
    fn default() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 21))))
    }
}

impl Metrics {
    /// Makes the metrics and the registry that `/metrics` writes out.
    #[must_use]
    pub fn new() -> (Self, Registry) {
        let metrics = Self::default();
        let mut registry = Registry::with_prefix("chatroom_gateway");
        let m = metrics.clone();
        registry.register("connections", "Sockets held now", m.connections);
        registry.register("connections_accepted", "Connections ever accepted", m.connections_accepted);
        registry.register("closes", "Connections ended, by close code (0: none was exchanged)", m.closes);
        registry.register("refusals", "Requests refused before the upgrade, by reason", m.refusals);
        registry.register("accept_errors", "Sockets that could not be accepted", m.accept_errors);
        registry.register("messages_received", "Messages received from clients", m.messages_received);
        registry.register("received_bytes", "Bytes of the messages received from clients", m.bytes_received);
        registry.register("publishes", "Messages handed to the room, by result", m.publishes);
        registry.register(
            "publish_seconds",
            "From handing a message over until its place is known",
            m.publish_seconds.0,
        );
        registry.register("pushes", "Requests to the push port, by dialect and outcome", m.pushes);
        registry.register("push_seconds", "From having read a push until its outcome is known", m.push_seconds.0);
        registry.register("function_calls", "Calls of functions, by function and result", m.function_calls);
        registry.register(
            "function_seconds",
            "From wanting to call a function until its outcome is known",
            m.function_seconds.0,
        );
        registry.register("function_calls_in_flight", "Calls of functions under way", m.function_calls_in_flight);
        registry.register("function_breakers_open", "Whether a function was found down", m.function_breakers_open);
        registry.register(
            "function_failures_ignored",
            "Failures of functions that the room ignores",
            m.function_failures_ignored,
        );
        registry.register("messages_delivered", "Messages taken from the room in order", m.messages_delivered);
        registry.register("bus_overflows", "Batches dropped before delivery, then repaired", m.bus_overflows);
        registry.register("deliveries", "Frames written to clients", m.deliveries);
        registry.register("posts_dropped", "Pushes of other gateways dropped for want of room", m.posts_dropped);
        registry.register("holes_repaired", "Holes in the order that were repaired from the log", m.holes_repaired);
        registry.register("positions_lost", "Holes that could not be repaired; clients were told", m.positions_lost);
        registry.register("redis_connected", "Whether Redis answers", m.redis_connected);
        registry.register("redis_connects", "Connections made to Redis", m.redis_connects);
        registry.register("leases", "Leases asked for, by result", m.leases);
        registry.register("swept", "Connections of dead gateways that this one swept up", m.swept);
        registry.register("ends_waiting", "Ends of connections that wait to be written", m.ends_waiting);
        registry.register("cleanups_waiting", "Ends that the cleanup function has yet to hear of", m.cleanups_waiting);
        registry.register("cleanups_dead", "Ends that were given up and can be brought back", m.cleanups_dead);
        registry.register("cleanups", "Tries to tell the cleanup function of an end, by what came of them", m.cleanups);
        registry.register("online", "People in the room as of the last lease", m.online);
        registry.register("draining", "Whether the gateway is draining", m.draining);
        registry.register("isolated", "Whether the gateway is isolated", m.isolated);
        registry.register("settings_reload_failures", "Hot settings that could not be taken over", m.reload_failures);
        registry.register("settings_current", "Whether the hot settings on disk are in force", m.settings_current);
        registry.register("settings_info", "The settings in force, by the hashes of their files", m.settings_info);
        (metrics, registry)
    }

    /// Shows these settings in place of those before.
    pub fn show_settings(&self, settings: &BySettings) {
        // In between there is none: better than two, of which nobody could say which one counts.
        self.settings_info.clear();
        self.settings_info.get_or_create(settings).set(1);
    }
}
