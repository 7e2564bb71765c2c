//! `hot.yaml`: the settings that a running gateway takes over without a restart.

use serde::{Deserialize, Serialize};

/// Everything that may change under a running gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hot {
    /// What is logged, in the syntax of `tracing`'s `EnvFilter`: `info`, `info,chatroom_gateway::session=debug`.
    pub log_filter: String,
    /// The browsers' origins that may connect, each `scheme://host[:port]`; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_origins: Option<Vec<String>>,
    /// What one client may take.
    pub limits: Limits,
}

/// What one client, and one pod, may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Sockets one pod holds; the next is refused with 503.
    pub max_connections_per_pod: u32,
    /// Bytes of one inbound message; a longer one closes the connection with 1009. A reader may be behind by four of the
    /// largest, and by 16 MiB at least.
    pub max_message_bytes: u32,
    /// Bytes of direct pushes that wait for one client, each counted with 128 more; the next is refused. Whatever the limit,
    /// one message fits an empty queue. Absent in files of gateways from before: 65536.
    #[serde(default = "max_pending_bytes")]
    pub max_pending_bytes: u32,
    /// Seconds a reader may lag behind the room before it is closed with 4008.
    pub slow_seconds: u32,
    /// Seconds without a message from the client after which it is closed with 1001; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout_seconds: Option<u32>,
    /// Seconds (±10 %) after which a connection is closed with 1001; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connection_age_seconds: Option<u32>,
}

/// `limits.maxPendingBytes` where nothing is said.
pub const MAX_PENDING_BYTES: u32 = 65_536;

fn max_pending_bytes() -> u32 {
    MAX_PENDING_BYTES
}
