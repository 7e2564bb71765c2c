//! Local fan-out: every message of the room to every member of this gateway.

use std::sync::Arc;

use crate::message::RoomMessage;

/// The door of the room; the furniture comes with it.
#[derive(Debug, Default)]
pub struct Hub {}

impl Hub {
    /// Takes messages that follow, in order, those delivered before. Never waits: a member that cannot keep up is
    /// the one that pays.
    pub fn deliver(self: &Arc<Self>, _messages: &[RoomMessage]) {
        unimplemented!()
    }

    /// A hole in the order that cannot be repaired: members that cannot be told otherwise are closed with 4010.
    pub fn lose_position(self: &Arc<Self>) {
        unimplemented!()
    }
}
