//! The operator, as the built program and with the rights of its chart, against a real API server: what only a real one can
//! show and no pods are needed for.
//!
//! Runs only where it is asked for, since it takes minutes: `make apiserver`. The control plane comes up once for all tests and
//! ends with them; each test has a namespace of its own in it. There is no kubelet, so the tests say of the pods that they are
//! up. What the operator asked and wrote is read in the audit log.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod audit;
mod children;
mod control_plane;
mod keeper;
mod operator;
mod tools;
mod world;

mod at_rest;
mod crd;
mod first_sight;
mod foreign;
mod policy;
mod repair;
mod restored;
mod rights;
mod styles;

mod chart;
