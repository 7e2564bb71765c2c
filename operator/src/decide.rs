//! Every policy: given what is wanted and what was found, what shall be. Pure.

mod redis;
mod service_account;

pub use redis::{CredentialStamp, RedisDecision};
pub use service_account::ServiceAccountDecision;

use crate::observed::Observed;
use crate::room::Room;

/// What shall be, as far as the room alone does not say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Gateways that there shall be: `spec.replicas` of the Deployment. Only the operator writes it.
    pub replicas: i32,
    /// What becomes of the room's own Redis.
    pub redis: RedisDecision,
    /// What becomes of the room's own ServiceAccount.
    pub service_account: ServiceAccountDecision,
}

/// What shall be.
pub fn decide(room: &Room, observed: &Observed) -> Decision {
    Decision {
        replicas: room.replicas,
        redis: redis::decide(room, observed),
        service_account: service_account::decide(room, observed),
    }
}
