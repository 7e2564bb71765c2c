//! The reconcile of one room, step by step.

pub mod report;
pub mod validate;
