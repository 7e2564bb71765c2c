//! What the tests of the backplane share.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
#![allow(missing_docs, reason = "tests are their own documentation")]

pub mod gateway;
pub mod redis;
