//! What the replicas of a room share: the room's own Redis, or one that somebody else runs.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pod::Resources;

/// The Redis through which the replicas of the room find each other.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("!(has(self.ephemeral) && has(self.external))")
    .message("set redis.ephemeral or redis.external, not both"))]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct Redis {
    /// A Redis of the room's own, one pod without a disk, with a generated password. For trials, and for rooms that may
    /// forget: when its node goes, the connections stay, but the messages of the last seconds and their order start anew.
    /// Absent: there is one all the same, unless there is `external`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<EphemeralRedis>,
    /// A Redis that somebody else runs. Several rooms may share one: each keeps to its own key prefix. Absent: the room has one
    /// of its own.
    ///
    /// It must be Redis 7.0 or newer, or answer to the same commands, run scripts, and never evict (`maxmemory-policy
    /// noeviction`); `RedisReady` says when it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalRedis>,
}

/// The room's own Redis.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct EphemeralRedis {
    /// Memory and CPU of the Redis pod. Absent: requests of 50m CPU and 96Mi memory, limit of 192Mi memory.
    ///
    /// Redis may fill two thirds of the memory limit with data; at that point it refuses writes rather than forget
    /// somebody, and `RedisReady` says so. Naming resources replaces these defaults as a whole. Without a memory limit
    /// Redis may fill 128Mi. A change restarts Redis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

/// A Redis that somebody else runs.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct ExternalRedis {
    /// How that Redis is built. Absent: `Standalone`, one address that always leads to the writable server, as a single
    /// Redis or a managed service with failover has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<Topology>,
    /// The Secret key that holds the URL: `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS with a
    /// certificate of a public authority.
    ///
    /// The Secret lives in the room's namespace; the operator never reads it. While it is missing, `RedisReady` says
    /// `SecretNotFound` and the gateways wait; they take it without a restart. It is read again at each connect, so a new
    /// password counts from the next one on; connections that stand are kept. To move the room to another Redis name another
    /// Secret, which rolls the gateways: a new URL in the same one would be taken by some of them earlier than by others.
    pub url_secret_ref: SecretKeyReference,
    /// Put before every key and channel of the room; up to 128 letters, digits, `:`, `.`, `_` and `-`, with one part in
    /// braces, as in `lobby:{eu-1}:`. Absent: `cr1:{<uid of the room>}:`.
    ///
    /// The braces are a hash tag: they keep all keys of the room in one slot. Name a prefix to let a room that is created
    /// anew find what it had; two rooms with one prefix on one Redis are one room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9:._-]*[{][A-Za-z0-9:._-]+[}][A-Za-z0-9:._-]*$')")
        .message("keyPrefix takes letters, digits, ':', '.', '_', '-' and exactly one part in braces, as in 'lobby:{eu-1}:'"))]
    pub key_prefix: Option<String>,
}

/// How an external Redis is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Topology {
    /// One address that always leads to the writable server.
    #[default]
    Standalone,
}

/// One key of a Secret in the room's namespace.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct SecretKeyReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')")
        .message("name must be the name of a Secret: lower case letters, digits, '-' and '.'"))]
    pub name: String,
    /// Key in the Secret. Absent: `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[-._a-zA-Z0-9]+$')")
        .message("key must be a key of a Secret: letters, digits, '-', '_' and '.'"))]
    pub key: Option<String>,
}
