//! The pure steps of the operator, from a ChatRoom to objects and status, without a cluster.

mod decide;
mod desired;
mod fixtures;
mod manifest;
mod report;
mod validate;
