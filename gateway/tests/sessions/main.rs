//! One gateway's sessions over real sockets: what clients hear, and how and why they are closed.
#![allow(missing_docs, unreachable_pub, reason = "tests are their own documentation")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report, also in what tests share")]

#[path = "../support/mod.rs"]
mod support;

mod closing;
mod functions;
mod letters;
mod room;
mod talking;
