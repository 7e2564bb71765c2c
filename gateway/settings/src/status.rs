//! What a gateway answers on `/status`. Additive: a reader takes absent fields for their defaults and ignores unknown ones.

use serde::{Deserialize, Serialize};

/// One gateway, as it sees itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayStatus {
    /// Version of the gateway program.
    pub version: String,
    /// Hash of the pod template it was started from; empty outside of Kubernetes.
    pub template_hash: String,
    /// First 16 hex digits of the SHA-256 of the hot settings in force.
    pub hot_hash: String,
    /// Why the hot settings on disk are not in force, and the last good ones are; empty when all is well.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub settings_problem: String,
    /// First 16 hex digits of the SHA-256 of the cold settings.
    pub cold_hash: String,
    /// The name under which this run of the gateway is known to the others.
    pub incarnation: String,
    /// Sockets that this gateway holds.
    pub connections: u64,
    /// People in the whole room, as of the last lease; absent while no lease is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online: Option<u64>,
    /// Whether it takes clients.
    pub ready: bool,
    /// Whether it is letting its clients go.
    pub draining: bool,
    /// Whether it has lost touch with Redis for longer than a lease and so stands still.
    pub isolated: bool,
    /// How it stands with Redis.
    pub redis: RedisStatus,
    /// How it stands with telling the cleanup function; absent where there is none, and before the first lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleanup: Option<CleanupStatus>,
    /// Files that it needs and does not find, such as `redis/password`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Credentials that were refused, such as `redis/password`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
}

/// The ends that the room's cleanup function has yet to be told of. All gateways of a room work on the same ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CleanupStatus {
    /// Ends that wait, also for their next try.
    pub waiting: u64,
    /// Ends that were given up after a day of tries; `chatroom-gateway dead replay` brings them back.
    pub dead: u64,
    /// Why this gateway's last call failed, for people; empty when it was taken, or none was made.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub problem: String,
}

/// How a gateway stands with Redis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RedisStatus {
    /// The state, for programs.
    pub state: RedisState,
    /// What is wrong and what would be right, for people; empty when all is well. Never holds a credential.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// The states that matter to whoever has to act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RedisState {
    /// Not asked yet.
    #[default]
    Unknown,
    /// The room has no Redis: one replica, in memory.
    NotUsed,
    /// Commands are answered.
    Connected,
    /// Not reachable, or it does not answer.
    Unreachable,
    /// The credentials are missing.
    CredentialsMissing,
    /// The credentials were refused.
    CredentialsRefused,
    /// Reachable, but set up so that the room cannot be kept (eviction policy, memory full, read-only).
    Unsuitable,
}
