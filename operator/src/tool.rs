//! The tool `chatroom`: what can be done with a ChatRoom without a cluster.

pub mod cli;
pub mod crd;
pub mod local;
pub mod manifest;
pub mod reference;
pub mod render;
mod schema;
mod yaml;
