//! Starts a gateway.
fn main() {}
