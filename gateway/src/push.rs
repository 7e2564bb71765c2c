//! The push port: functions and other programs speak to the room's clients through it.
//!
//! [`port`] is an HTTP server of its own, [`keys`] says who may use it. What a request means, a dialect says
//! ([`crate::dialect`]), and a [`Carrier`], which is [`route`], brings it to whoever owns the connection.

pub mod keys;
pub mod port;
pub mod route;

use crate::dialect::{Command, Outcome};

/// Whoever carries a command out. The route to the owners of connections; in tests of this room, something that takes
/// notes.
pub trait Carrier: Clone + Send + Sync + 'static {
    /// Carries a command out, as far as that can be known.
    fn carry(&self, command: Command) -> impl Future<Output = Outcome> + Send;
}

impl Carrier for route::Route {
    fn carry(&self, command: Command) -> impl Future<Output = Outcome> + Send {
        Self::carry(self, command)
    }
}
