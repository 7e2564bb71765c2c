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
    /// The room owner's functions; absent: the gateway does it all by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub functions: Option<Functions>,
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

/// The functions of the room's owner, which the gateway calls over HTTP: each of them may be absent. Signing keys and
/// certificates are files (see [`crate::names::files`]), never settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Functions {
    /// In whose words they are called.
    pub dialect: Dialect,
    /// Asked before a client is let in; absent: everybody is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register: Option<RegisterFunction>,
    /// Told each message of a client; absent: the gateway hands messages to everybody by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<TransportFunction>,
    /// Told that a client is gone; absent: nobody is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleanup: Option<CleanupFunction>,
    /// Whether calls are signed with the keys of the file `signing/keys`. Without a good key nothing is called.
    #[serde(default)]
    pub signed: bool,
    /// Whether the roots of the file `ca/ca.crt` are trusted beside the public ones.
    #[serde(default)]
    pub own_roots: bool,
    /// What Tencent's events say beside what happened.
    pub tencent: TencentEvents,
}

/// The function that decides whether a client is let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisterFunction {
    /// `http://` or `https://`.
    pub url: String,
    /// Seconds from the beginning of the call to the end of the answer; at most 9.
    pub timeout_seconds: u32,
    /// What becomes of the client when the function gives no good answer.
    pub on_failure: RegisterFailure,
}

/// What becomes of a client whose register function gives no good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegisterFailure {
    /// It is refused with 502, 503 or 504.
    Refuse,
    /// It is let in.
    Accept,
}

/// The function that is told each message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransportFunction {
    /// `http://` or `https://`.
    pub url: String,
    /// Seconds from the arrival of the message to the end of the answer, waiting included; 1 to 900.
    pub timeout_seconds: u32,
    /// What becomes of the client when the function does not take its message.
    pub on_failure: TransportFailure,
}

/// What becomes of a client whose message the transport function does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransportFailure {
    /// It is closed: with 1011 after an answer other than 200, with 1013 when there is none.
    Close,
    /// It stays; the message is lost.
    Ignore,
}

/// The function that is told of ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CleanupFunction {
    /// `http://` or `https://`.
    pub url: String,
    /// Seconds from the beginning of the call to the end of the answer.
    pub timeout_seconds: u32,
}

/// What Tencent's events say beside what happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TencentEvents {
    /// `requestContext.serviceName`.
    pub service_name: String,
    /// `requestContext.stage`.
    pub stage: String,
    /// `websocket.action` of a message.
    pub transport_action: TransportAction,
    /// Whether the headers and the query of the upgrade are told to the register function, so that it can authenticate.
    #[serde(default)]
    pub forward_request: bool,
}

/// How Tencent's event of a message is called: the platform's documents name both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransportAction {
    /// `data recv`, as in its older documents and its console.
    DataRecv,
    /// `data send`, as in its newer documents.
    DataSend,
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
