//! The operator of ChatRooms.

pub mod cli;
pub mod health;
pub mod metrics;
pub mod telemetry;
pub mod web;
