//! When the gateways are restarted because somebody asked for it.

use crate::desired::live;
use crate::names::keys;
use crate::observed::Observed;
use crate::room::Room;

/// What the room's annotation says. Without one, what stands on the template already: taking the annotation away is no wish
/// to restart once more.
pub(super) fn restarted_at(room: &Room, observed: &Observed) -> Option<String> {
    let live = || live::annotation(observed.deployment.as_ref()?, keys::RESTARTED_AT).map(str::to_owned);
    room.restarted_at.clone().or_else(live)
}
