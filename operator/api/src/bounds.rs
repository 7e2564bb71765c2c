//! The numbers that bound the fields of a ChatRoom, and what stands for a field that is absent.

/// What a number may be, and what it is when the field is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The smallest value.
    pub min: i32,
    /// The largest value.
    pub max: i32,
    /// What stands for an absent field; `None`: nothing does, the feature is off.
    pub default: Option<i32>,
}

/// `spec.replicas`. The ceiling is far above what one Redis can feed; it stops a slip of the finger.
pub const REPLICAS: Bounds = Bounds { min: 0, max: 500, default: Some(2) };
/// `spec.pingIntervalSeconds`. 25 s, at most 30 s for a single connection, is well below the 60 s after which common proxies
/// cut a silent connection.
pub const PING_INTERVAL_SECONDS: Bounds = Bounds { min: 5, max: 300, default: Some(25) };
/// `spec.limits.maxConnectionsPerPod`.
pub const MAX_CONNECTIONS_PER_POD: Bounds = Bounds { min: 1, max: 1_000_000, default: Some(10_000) };
/// `spec.limits.maxMessageBytes`.
pub const MAX_MESSAGE_BYTES: Bounds = Bounds { min: 1, max: 33_554_432, default: Some(65_536) };
/// `spec.limits.maxPendingBytes`.
pub const MAX_PENDING_BYTES: Bounds = Bounds { min: 1024, max: 67_108_864, default: Some(65_536) };
/// `spec.limits.slowSeconds`. Frames are kept for 60 s: nobody can lag longer.
pub const SLOW_SECONDS: Bounds = Bounds { min: 1, max: 60, default: Some(10) };
/// `spec.limits.idleTimeoutSeconds`.
pub const IDLE_TIMEOUT_SECONDS: Bounds = Bounds { min: 5, max: 604_800, default: None };
/// `spec.limits.maxConnectionAgeSeconds`.
pub const MAX_CONNECTION_AGE_SECONDS: Bounds = Bounds { min: 10, max: 604_800, default: None };
/// `spec.functions.register.timeoutSeconds`. Clients that hear nothing give up after 10 s or so.
pub const REGISTER_TIMEOUT_SECONDS: Bounds = Bounds { min: 1, max: 9, default: Some(3) };
/// `spec.functions.transport.timeoutSeconds`. The ceiling is that of the clouds' functions.
pub const TRANSPORT_TIMEOUT_SECONDS: Bounds = Bounds { min: 1, max: 900, default: Some(30) };
/// `spec.functions.cleanup.timeoutSeconds`.
pub const CLEANUP_TIMEOUT_SECONDS: Bounds = Bounds { min: 1, max: 60, default: Some(10) };
/// `spec.drain.preStopSeconds`. 10 s is what load balancers commonly need to stop sending.
pub const PRE_STOP_SECONDS: Bounds = Bounds { min: 0, max: 3600, default: Some(10) };
/// `spec.drain.timeoutSeconds`.
pub const DRAIN_TIMEOUT_SECONDS: Bounds = Bounds { min: 1, max: 3600, default: Some(120) };

/// Characters of the URL of a function.
pub const MAX_URL_LENGTH: usize = 2048;
/// Characters of what Tencent's events say by the room's own words: `serviceName` and `stage`.
pub const MAX_EVENT_WORD_LENGTH: usize = 128;

/// Characters of a room's name: with the longest suffix of ours it is still a label of at most 63.
pub const MAX_NAME_LENGTH: usize = 40;
/// Endings of a room's name that would collide with the objects of another room.
pub const RESERVED_NAME_SUFFIXES: [&str; 3] = ["-redis", "-push", "-config"];
