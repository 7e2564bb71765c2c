//! Whether a function may be called about a connection at this moment.

use std::fmt;
use std::sync::Arc;

use crate::id::ConnectionId;

/// What the gateway's standing in the room allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// The connection is this gateway's.
    Granted,
    /// The gateway has lost touch with the room: others may hold the connection for dead.
    NotNow,
    /// The connection was declared dead: its end is told by others.
    Never,
}

/// Asked before each call. Cloning shares it.
#[derive(Clone)]
pub struct Permit(Arc<dyn Fn(ConnectionId) -> Permission + Send + Sync>);

impl Permit {
    /// What to ask; it must not wait.
    #[must_use]
    pub fn new(ask: impl Fn(ConnectionId) -> Permission + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub(super) fn ask(&self, id: ConnectionId) -> Permission {
        (self.0)(id)
    }
}

impl Default for Permit {
    fn default() -> Self {
        Self::new(|_| Permission::Granted)
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Permit")
    }
}
