//! Whether the Secret of the push keys shall be created.

use chatroom_settings::GatewayStatus;
use chatroom_settings::names::files;

use crate::desired::live;
use crate::names::{Names, pod};
use crate::observed::Observed;
use crate::room::Room;

/// What becomes of the Secret with the push keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushDecision {
    /// It is the room's own.
    Generate {
        /// Whether it shall be created, if there is none: no gateway was ever told of it, or one misses it.
        create_secret: bool,
    },
    /// Somebody else makes it.
    Leave,
}

pub(super) fn decide(room: &Room, observed: &Observed) -> PushDecision {
    if room.push.secret_name.is_some() {
        return PushDecision::Leave;
    }
    let create_secret = !is_known(&Names::new(&room.identity), observed) || is_missed(observed);
    PushDecision::Generate { create_secret }
}

/// Whether the gateways' live template names the room's own Secret: then it was made before.
pub(crate) fn is_known(names: &Names, observed: &Observed) -> bool {
    let secret = |deployment| live::secret_of_volume(deployment, pod::PUSH_VOLUME);
    observed.deployment.as_ref().and_then(secret) == Some(names.push().as_str())
}

fn is_missed(observed: &Observed) -> bool {
    let mut answers = observed.gateways.iter().filter_map(|gateway| gateway.answer.as_ref().ok());
    answers.any(misses_keys)
}

/// Whether this gateway looks for push keys and finds none.
pub(crate) fn misses_keys(status: &GatewayStatus) -> bool {
    status.missing.iter().any(|file| names_keys(file))
}

/// Whether this gateway found a line that is no push key.
pub(crate) fn refuses_keys(status: &GatewayStatus) -> bool {
    status.refused.iter().any(|file| names_keys(file))
}

fn names_keys(file: &str) -> bool {
    file.strip_prefix("push/") == Some(files::PUSH_KEYS)
}
