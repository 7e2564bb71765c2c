//! What clients meet: how their messages are handed on, and what each of them may take.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{
    IDLE_TIMEOUT_SECONDS, MAX_CONNECTION_AGE_SECONDS, MAX_CONNECTIONS_PER_POD, MAX_MESSAGE_BYTES, MAX_PENDING_BYTES,
    SLOW_SECONDS,
};

/// What a gateway does with a message of a client.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct Broadcast {
    /// Whether the sender of a message gets no copy of it. Absent: true.
    ///
    /// With false every client, the sender included, sees the very same sequence of messages; a chat page then draws its
    /// own lines when they come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_sender: Option<bool>,
    /// Text that is appended to each text message, at most 256 characters; binary messages are left alone. Absent: nothing.
    ///
    /// `{online}` in it is replaced by the number of people in the room at the message's place in the room's order, so
    /// all receivers read the same number: `(===Online people:{online}===)`. What looks like it misspelt, as `{onlin}`,
    /// `{Online}` or `{count}`, makes the room invalid; other braces are sent as they stand. The suffix does not count for
    /// `limits.maxMessageBytes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub online_suffix: Option<String>,
}

/// What one client, and one gateway pod, may take.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct Limits {
    /// Connections that one gateway pod holds; 1 to 1000000. Absent: 10000.
    ///
    /// A full pod refuses the next client with HTTP 503 and Retry-After and stays ready, so that a room whose pods are all
    /// full does not lose its endpoints. A connection costs roughly 10 to 20 KiB: raise `pod.resources` with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = MAX_CONNECTIONS_PER_POD.min, max = MAX_CONNECTIONS_PER_POD.max))]
    pub max_connections_per_pod: Option<i32>,
    /// Bytes of one message from a client, all its fragments together, and of one that is pushed; 1 to 33554432 (32 MiB).
    /// Absent: 65536.
    ///
    /// A longer message of a client is not read to its end: the connection is closed with code 1009. A longer push is answered
    /// with 413.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = MAX_MESSAGE_BYTES.min, max = MAX_MESSAGE_BYTES.max))]
    pub max_message_bytes: Option<i32>,
    /// Bytes of pushed messages that wait for one client, each counted with 128 more; 1024 to 67108864 (64 MiB). Absent: 65536.
    ///
    /// A push that would make it more is answered with 429 and not delivered. Whatever the limit, one message fits where none
    /// waits. What is said to everybody does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = MAX_PENDING_BYTES.min, max = MAX_PENDING_BYTES.max))]
    pub max_pending_bytes: Option<i32>,
    /// Seconds that a reader may lag behind the room; 1 to 60. Absent: 10.
    ///
    /// Whoever lags longer is closed with code 4008 and may come back; the others never wait for it. It may be closed sooner
    /// when the messages it still has to get no longer fit into the gateway's memory for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = SLOW_SECONDS.min, max = SLOW_SECONDS.max))]
    pub slow_seconds: Option<i32>,
    /// Seconds without a message from the client after which it is closed with code 1001; 5 to 604800. Absent: none.
    ///
    /// Answers to pings are not messages: someone who only reads counts as idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = IDLE_TIMEOUT_SECONDS.min, max = IDLE_TIMEOUT_SECONDS.max))]
    pub idle_timeout_seconds: Option<i32>,
    /// Seconds after which a connection is closed with code 1001, to spread old connections over new pods; 10 to 604800.
    /// Absent: none.
    ///
    /// Each connection gets its own age within 10 % of this one, so that clients that came together do not leave together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = MAX_CONNECTION_AGE_SECONDS.min, max = MAX_CONNECTION_AGE_SECONDS.max))]
    pub max_connection_age_seconds: Option<i32>,
}
