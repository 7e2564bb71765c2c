//! What one program writes, the other reads: the operator's objects against the gateway's own readers.

mod rooms;

mod mounts;
mod settings;

mod files;
mod images;
mod local;
mod metrics;
mod pages;
mod runbooks;
