//! The built programs on this machine: what `chatroom local` promises, with real sockets, real signals and a real Redis.
//!
//! Those of several gateways need a `redis-server` on PATH and say when there is none.

mod run;

mod one;
mod push;
mod several;

mod functions;

// It looks for what is left behind in /proc.
#[cfg(target_os = "linux")]
mod ending;
mod faults;
mod refusals;
