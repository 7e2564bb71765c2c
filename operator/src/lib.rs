//! The controller of ChatRooms, and the tool `chatroom`.
//!
//! One reconcile is six steps, of which only the first and the fifth touch the world:
//! observe → [`controller::validate`] → [`decide`] → [`desired`] → apply → [`controller::report`].

pub mod annotations;
pub mod conditions;
pub mod controller;
pub mod decide;
pub mod desired;
pub mod names;
pub mod observed;
pub mod room;
pub mod tool;

mod causes;
mod hex;

// The program around it.
pub mod app;
pub mod cli;
pub mod events;
pub mod fleet;
pub mod health;
pub mod limit;
pub mod metrics;
pub mod probe;
pub mod scope;
pub mod served;
pub mod telemetry;
pub mod web;
