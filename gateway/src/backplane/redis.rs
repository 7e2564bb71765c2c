//! The room in a Redis that all replicas reach.

use std::path::Path;

use chatroom_settings::RedisBackplane;

use crate::metrics::Metrics;

/// The room in Redis.
#[derive(Debug)]
pub struct Redis {}

impl Redis {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(_settings: &RedisBackplane, _credentials: &Path, _metrics: &Metrics) -> Self {
        unimplemented!()
    }
}
