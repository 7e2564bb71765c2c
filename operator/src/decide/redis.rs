//! Which Redis a room runs, when it is restarted for a new password, and when the old one may go.

use crate::observed::Observed;
use crate::room::{ImageReference, Room};

/// How often gateways and Redis were restarted together because the password had been created anew. Stands on both
/// templates as annotation [`REDIS_CREDENTIAL`](crate::names::keys::REDIS_CREDENTIAL); 0 is not written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CredentialStamp(pub u32);

/// What becomes of the room's own Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisDecision {
    /// It runs.
    Run {
        /// What it runs.
        image: ImageReference,
        /// What stands on both templates.
        credential: CredentialStamp,
        /// Whether its Secret shall be created, if there is none: nothing was created yet, or a gateway misses it.
        create_secret: bool,
    },
    /// The room has another Redis now, but gateways of the old template still use this one: it is left as it is.
    Keep,
    /// The room has another Redis. If one is left, it may be deleted.
    Remove,
}

pub(super) fn decide(_room: &Room, _observed: &Observed) -> RedisDecision {
    unimplemented!()
}
