//! What the replicas of a room share. One trait, two implementations: `memory` and `redis`.

pub mod publisher;
