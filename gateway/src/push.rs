//! The reverse push API: what functions say to clients.

pub mod route;
