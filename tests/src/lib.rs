//! What the tests of the whole product share: clients, guarded processes, waiting.
//!
//! Nothing here sleeps for a fixed time: [`wait`] asks again until the answer is right or its deadline has passed, and
//! then says what it saw last. Whatever is started is ended when its guard goes, also by a failing test.

pub mod binaries;
pub mod chat;
pub mod conversation;
pub mod crowd;
pub mod environment;
pub mod functions;
pub mod http;
pub mod ports;
pub mod process;
pub mod push;
pub mod redis_server;
pub mod repository;
pub mod skipped;
pub mod tools;
pub mod wait;
pub mod world;
