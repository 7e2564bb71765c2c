//! Every policy: given what is wanted and what was found, what shall be. Pure.

pub(crate) mod push;
mod redis;
mod restart;
mod service_account;

pub use push::PushDecision;
pub use redis::{CredentialStamp, RedisDecision};
pub use service_account::ServiceAccountDecision;

use crate::observed::Observed;
use crate::room::Room;

/// What shall be, as far as the room alone does not say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Gateways that there shall be: `spec.replicas` of the Deployment. Only the operator writes it.
    pub replicas: i32,
    /// What stands on the gateways' template, so that a change of it rolls them.
    pub restarted_at: Option<String>,
    /// What becomes of the Secret with the push keys.
    pub push: PushDecision,
    /// What becomes of the room's own Redis.
    pub redis: RedisDecision,
    /// What becomes of the room's own ServiceAccount.
    pub service_account: ServiceAccountDecision,
}

/// What shall be.
pub fn decide(room: &Room, observed: &Observed) -> Decision {
    Decision {
        // `spec.replicas` stays as it is, as a wish: autoscalers and people may change it while the room sleeps.
        replicas: if room.suspend { 0 } else { room.replicas },
        restarted_at: restart::restarted_at(room, observed),
        push: push::decide(room, observed),
        redis: redis::decide(room, observed),
        service_account: service_account::decide(room, observed),
    }
}
