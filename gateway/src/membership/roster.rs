//! The connections of this gateway as the room knows them: registered before the client hears "yes", and ended for sure.

use crate::id::ConnectionId;

/// A handle; cloning shares the roster.
#[derive(Clone, Debug)]
pub struct Roster {}

/// Why a connection could not be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// Redis did not take it in time: come back later.
    #[error("the registry is unavailable")]
    Unavailable,
    /// The gateway was declared dead between minting the ID and registering it.
    #[error("the gateway was fenced")]
    Fenced,
}

/// What the registry keeps of a connection, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// Milliseconds since 1970 by this gateway's clock.
    pub connected_at: u64,
    /// The peer's IP address.
    pub address: String,
    /// The `User-Agent` header, at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

impl Roster {
    /// A new ID under the incarnation of now.
    #[must_use]
    pub fn mint(&self) -> ConnectionId {
        unimplemented!()
    }

    /// Registers a connection; from then on it counts. Answers within the command time-out of the backplane.
    ///
    /// # Errors
    /// See [`RegisterError`]. The connection must then be refused; it does not have to be ended.
    pub async fn register(&self, _id: ConnectionId, _details: Details) -> Result<(), RegisterError> {
        unimplemented!()
    }

    /// Ends a connection. Returns at once; the end is written as soon as Redis takes it, and written again after
    /// Redis changed under it. Idempotent.
    pub fn end(&self, _id: ConnectionId) {
        unimplemented!()
    }
}
