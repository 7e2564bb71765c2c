//! One gateway's sessions over real sockets: what clients hear, and how and why they are closed.
#![allow(missing_docs, unreachable_pub, reason = "tests are their own documentation")]

mod closing;
mod room;
mod talking;
