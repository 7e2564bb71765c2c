//! `cold.yaml`: the settings that belong to a pod template. A change of them is a rollout.

use serde::{Deserialize, Serialize};

/// Everything a gateway has to know at start and may not change while it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cold {
    /// Which room this gateway belongs to.
    pub room: RoomIdentity,
    /// The one path at which clients connect, beginning with `/`.
    pub path: String,
    /// Whether a browser that opens the path gets the chat page.
    pub web_client: bool,
    /// What the gateway does with a client's message.
    pub broadcast: Broadcast,
    /// Seconds between two pings to a client that is otherwise silent.
    pub ping_interval_seconds: u32,
    /// What the push port speaks.
    #[serde(default)]
    pub push: Push,
    /// What the replicas of the room share.
    pub backplane: Backplane,
    /// How a gateway that has to go lets its clients go.
    pub drain: Drain,
    /// How log lines are written.
    pub log_format: LogFormat,
}

/// The room's names, as the API server knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomIdentity {
    /// `metadata.name` of the ChatRoom.
    pub name: String,
    /// `metadata.namespace` of the ChatRoom.
    pub namespace: String,
    /// `metadata.uid` of the ChatRoom, or `local-<name>`.
    pub uid: String,
}

/// The built-in transport: the gateway hands a message to everybody by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Broadcast {
    /// Whether the sender of a message gets no copy of it.
    pub exclude_sender: bool,
    /// Appended to text messages; `{online}` stands for the count at the message's place in the room's order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online_suffix: Option<String>,
}

/// What the push port speaks beside the plain API, which is always there. The keys are a file (see
/// [`crate::names::files`]), never a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Push {
    /// The clouds whose push requests are understood; empty: none. Absent, as an operator of the version before writes
    /// it: Tencent.
    #[serde(default = "tencent_alone")]
    pub dialects: Vec<Dialect>,
}

impl Default for Push {
    fn default() -> Self {
        Self { dialects: tencent_alone() }
    }
}

fn tencent_alone() -> Vec<Dialect> {
    vec![Dialect::Tencent]
}

/// A cloud whose words the gateway speaks with functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dialect {
    /// Tencent API Gateway's WebSocket push-back: `POST /push/<key>`.
    Tencent,
}

/// What carries messages from one replica to the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Backplane {
    /// This process alone: one replica, no Redis.
    Memory,
    /// A Redis that all replicas reach.
    Redis(RedisBackplane),
}

/// Where Redis is and what is ours in it. Credentials are files (see [`crate::names::files`]), never settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedisBackplane {
    /// Put before every key and channel; contains a `{hash tag}`, so that a room is one slot.
    pub key_prefix: String,
    /// `host:port` of a Redis whose password stands in the file `password`; absent: the file `url` says it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// How a gateway that got SIGTERM closes its clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// Seconds from SIGTERM until the last client is closed.
    pub timeout_seconds: u32,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogFormat {
    /// One JSON object a line.
    #[serde(rename = "JSON")]
    Json,
    /// Lines for people.
    Text,
}
