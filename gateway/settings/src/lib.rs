//! The contract between operator and gateway: what the operator writes, the gateway reads, with the same types.
//!
//! [`Cold`] travels in the pod template and never changes under a running gateway; [`Hot`] lives in a ConfigMap and is
//! read again while the gateway runs; [`GatewayStatus`] is what a gateway answers on `/status`. [`names`] holds every
//! file, port and environment variable that both sides have to spell alike.

mod cold;
mod hot;
pub mod names;
mod status;

pub use cold::{
    Backplane, Broadcast, CleanupFunction, Cold, Dialect, Drain, Functions, LogFormat, Push, RedisBackplane,
    RegisterFailure, RegisterFunction, RoomIdentity, TencentEvents, TransportAction, TransportFailure,
    TransportFunction,
};
pub use hot::{Hot, Limits, MAX_PENDING_BYTES};
pub use status::{CleanupStatus, GatewayStatus, RedisState, RedisStatus};
