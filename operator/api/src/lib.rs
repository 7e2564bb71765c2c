//! The contract with people: the `ChatRoom` custom resource of `chatroom.dev/v1alpha1`. Types, bounds and rules, no behaviour.
//!
//! Every doc comment of a field ends up in the CRD and is what `kubectl explain` prints: it says the unit, the default
//! and what happens at the limit. Bounds and cross-field rules stand beside the field, so that the API server refuses what
//! the operator could not carry out.
//!
//! A field that is absent means what its comment says; the operator decides it while validating. Only scalars whose
//! value belongs to the API for ever have a default in the schema, because such a default is written into every stored
//! object, and because a default inside a union could never be taken back by whoever wants the other arm.

#![allow(
    unreachable_pub,
    reason = "the derive of a schema puts a copy of each struct into a function, where nothing is reachable"
)]

mod bounds;
mod clients;
pub mod condition;
mod functions;
mod overrides;
mod pod;
mod push;
mod redis;
mod rollout;
mod room;
mod schema;
mod status;

pub use bounds::*;
pub use clients::{Broadcast, Limits};
pub use functions::{
    CaSecretReference, CleanupFunction, Functions, RegisterFailure, RegisterFunction, TencentEvents, TransportAction,
    TransportFailure, TransportFunction,
};
pub use overrides::Overrides;
pub use pod::{Image, LocalSecretReference, LogFormat, Logging, Pod, PullPolicy, Resources};
pub use push::{Dialect, Push};
pub use redis::{EphemeralRedis, ExternalRedis, Redis, SecretKeyReference, Topology};
pub use rollout::{Drain, PodDisruptionBudget, Rollout, Service, ServiceType};
pub use room::{ChatRoom, ChatRoomSpec};
pub use status::ChatRoomStatus;
