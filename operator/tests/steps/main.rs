//! The pure steps of the operator, from a ChatRoom to objects and status, without a cluster.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod decide;
mod desired;
mod fixtures;
mod functions;
mod manifest;
mod overrides;
mod report;
mod told;

mod validate;
