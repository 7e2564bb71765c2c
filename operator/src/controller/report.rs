//! What happened this time → the room's status. Pure: the clock is an argument.

use chatroom_api::{ChatRoom, ChatRoomStatus};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;

use crate::decide::Decision;
use crate::names::Names;
use crate::observed::Observed;
use crate::room::{Invalid, Room};

/// What was to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The room's names.
    pub names: Names,
    /// The valid room.
    pub room: Room,
    /// What was decided.
    pub decision: Decision,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Everything stands as it should.
    Applied(Applied),
    /// The ChatRoom cannot be carried out; nothing was written.
    Invalid(Invalid),
    /// Something could not be written.
    Failed(Plan, ApplyFailure),
}

/// Everything stands as it should.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// What was to be done.
    pub plan: Plan,
    /// The live Deployment of the gateways, after it was written (or found right).
    pub deployment: Deployment,
    /// The live Deployment of the room's own Redis, if it has one.
    pub redis: Option<Deployment>,
}

/// Something could not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyFailure {
    /// Kind and name: `Deployment lobby`.
    pub object: String,
    /// What kind of failure.
    pub kind: FailureKind,
    /// What the API server said; for [`FailureKind::ForeignObject`] who owns it.
    pub message: String,
}

/// What can go wrong, as far as it makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Somebody else has an object of that name. Permanent.
    ForeignObject,
    /// The operator may not. Permanent.
    Forbidden,
    /// The API server does not take such an object. Permanent.
    Rejected,
    /// It may work next time.
    Transient,
}

impl FailureKind {
    /// Whether trying again is pointless until somebody changes something.
    pub fn is_permanent(self) -> bool {
        !matches!(self, Self::Transient)
    }
}

/// The room's status after this run. The caller writes it only when it differs from the one in `room`.
pub fn report(_room: &ChatRoom, _outcome: &Outcome, _observed: &Observed, _now: Timestamp) -> ChatRoomStatus {
    unimplemented!()
}
