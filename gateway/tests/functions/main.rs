//! Calls of functions over real sockets, against a server that behaves in every bad way.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../support/mod.rs"]
mod support;

mod credentials;
mod outcomes;
mod room;
mod sharing;
mod wire;
