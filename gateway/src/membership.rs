//! This gateway's standing among the replicas: its incarnation, its lease, and the sweeping of the dead.

pub mod roster;

use chatroom_settings::RedisStatus;

use crate::id::Incarnation;

/// What membership tells everybody else, through a `watch` channel.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The name of this run. It changes when the gateway was declared dead and starts again: connections of an
    /// older one have to go (1012).
    pub incarnation: Incarnation,
    /// Whether the gateway may act.
    pub standing: Standing,
    /// People in the room, as of the last lease.
    pub online: Option<u64>,
    /// How it stands with Redis, for `/status`.
    pub redis: RedisStatus,
    /// Credential files that are missing, and that were refused, for `/status`.
    pub missing: Vec<String>,
    /// See `missing`.
    pub refused: Vec<String>,
    /// Whether another gateway of this template is alive and not draining, and whether one of another template is.
    pub peers: Peers,
}

/// Whether a gateway may act for its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No lease yet: takes no client.
    Joining,
    /// Holds a lease: all is well.
    Leased,
    /// The last lease that was acknowledged was sent too long ago: delivers nothing, reads no client, takes no client.
    Isolated,
}

/// The other gateways of the room, for the decision when to begin closing clients in a drain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Gateways of this gateway's own template that live and do not drain, this one excluded.
    pub same_template_staying: usize,
    /// Gateways of other templates that live and do not drain.
    pub other_template_staying: usize,
}
