//! The product while the operator, its release, or the cluster's API server goes and comes back.
//!
//! As `tests/e2e`, but each test disturbs all rooms of the cluster. So this is a program of its own, and its tests run one
//! after the other, whatever the harness would like.

mod down;
mod killed;
mod operator;
mod release;
