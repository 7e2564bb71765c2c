//! What test programs share.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
#![allow(clippy::print_stdout, reason = "what is skipped is said")]
#![allow(missing_docs, reason = "tests are their own documentation")]

pub mod faulty;
pub mod functions;
pub mod gateway;
pub mod redis;
