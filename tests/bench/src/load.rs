//! What puts load on a room, one thing at a time: clients, a program that pushes, and the functions of the room's owner.

pub(crate) mod client;
pub(crate) mod function;
pub(crate) mod pusher;
pub(crate) mod text;
