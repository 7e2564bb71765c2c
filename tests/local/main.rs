//! The built programs on this machine: what `chatroom local` promises, with real sockets, real signals and a real Redis.
//!
//! These tests need `redis-server` on PATH and a Linux `/proc`.

mod run;

mod one;
mod several;

mod ending;
mod faults;
mod refusals;
