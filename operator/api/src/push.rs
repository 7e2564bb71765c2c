//! How other programs speak to the clients of a room: reverse push.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How other programs speak to the clients of a room.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct Push {
    /// The Secret, in the room's namespace, whose key `keys` holds the push keys: one a line, each of them accepted. Absent: the
    /// operator makes one, `<room>-push`, with a random key; `status.pushSecretName` names whichever it is.
    ///
    /// The operator never reads it. While it is missing, `PushReady` says `KeysNotFound` and pushes are answered with 503;
    /// clients are served all the same. Changed keys reach running gateways without a restart, within about 90 s; to rotate, add
    /// a line, move the callers, take the old line away. Another name rolls the gateways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')")
        .message("secretName must be the name of a Secret: lower case letters, digits, '-' and '.'"))]
    pub secret_name: Option<String>,
    /// The clouds whose push requests are understood, at most 8. Absent: the one of `functions.dialect`, and `Tencent` without
    /// functions. Empty: none. A change rolls the gateways.
    ///
    /// The plain API, with the key in `Authorization: Bearer`, is always there.
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub dialects: Option<Vec<Dialect>>,
}

/// A cloud whose words the gateways speak with other programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Dialect {
    /// Tencent API Gateway: its events as JSON, and its push-back, a JSON object sent to a URL that ends with the key.
    Tencent,
}
