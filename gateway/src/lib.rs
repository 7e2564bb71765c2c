//! The gateway of a chat room: holds the sockets, keeps the connection IDs, and fans messages out.
//!
//! It knows no Kubernetes: everything it has to know stands in two files (`chatroom-settings`).

pub mod admission;
pub mod app;
pub mod backplane;
pub mod cleanup;
pub mod cli;
pub mod credential;
pub mod delivery;
pub mod dialect;
pub mod functions;
pub mod http;
pub mod hub;
pub mod id;
pub mod membership;
pub mod message;
pub mod metrics;
pub mod protocol;
pub mod push;
pub mod readiness;
pub mod reload;
pub mod session;
pub mod settings_file;
pub mod socket;
pub mod telemetry;
