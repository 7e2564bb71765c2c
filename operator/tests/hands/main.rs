//! The operator's hands against an API server in memory: which requests are made, which are not, and what stands at the
//! end.

#![allow(clippy::unwrap_used, reason = "a test states facts: there a panic is the report")]

mod support;

mod at_rest;
mod first_run;
mod namespaces;
mod ownership;
mod program;
mod trouble;
