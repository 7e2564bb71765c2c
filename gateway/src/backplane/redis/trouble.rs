//! Pure: what an error of Redis means for the room.

use std::time::Duration;

use redis::{ErrorKind, RedisError};
use tokio::time::Instant;

use crate::backplane::BackplaneError;

/// What was going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// A connection was being made: nothing of the room was sent.
    Connecting,
    /// A command was sent.
    Sent,
}

/// So long a refusal is told. Leases pass a full Redis, so in a room where nobody comes in or speaks nothing else would ever
/// take it back.
const TOLD: Duration = Duration::from_secs(60);

/// What a Redis that answers refused, and when.
#[derive(Debug)]
pub(super) struct Refusal {
    at: Instant,
    message: String,
}

impl Refusal {
    pub(super) fn new(at: Instant, message: String) -> Self {
        Self { at, message }
    }

    /// The refusal in words for people, as long as it is news.
    pub(super) fn told(&self, now: Instant) -> Option<&str> {
        (now.saturating_duration_since(self.at) < TOLD).then_some(&self.message)
    }
}

/// Translates an error. `CredentialsRefused` names no file yet: whoever knows where the credential came from adds it.
pub(super) fn of(error: &RedisError, when: When) -> BackplaneError {
    if is_refusal(error) {
        return BackplaneError::CredentialsRefused { file: "", reason: words(error) };
    }
    let unsuitable = match error.code() {
        Some("OOM") => {
            Some("Redis is full (maxmemory): nobody can come in or speak until it has room; give it more memory")
        }
        Some("READONLY") => Some("this Redis is a read-only replica: the URL has to name the primary"),
        Some("MISCONF") => Some("Redis refuses to write because it cannot save to its disk"),
        Some("NOREPLICAS") => Some("Redis refuses to write because it has too few replicas (min-replicas-to-write)"),
        Some("MOVED" | "ASK" | "CROSSSLOT" | "CLUSTERDOWN") => {
            Some("this Redis is a cluster, and the room needs a standalone one")
        }
        _ => None,
    };
    if let Some(unsuitable) = unsuitable {
        return BackplaneError::Unsuitable(unsuitable.into());
    }
    // Told by the server instead of doing anything.
    let untouched = matches!(error.code(), Some("LOADING" | "BUSY" | "MASTERDOWN" | "TRYAGAIN" | "NOSCRIPT"));
    if when == When::Connecting || untouched {
        return BackplaneError::Away(words(error));
    }
    BackplaneError::Unanswered(words(error))
}

fn is_refusal(error: &RedisError) -> bool {
    // Older servers answer a script that lacks a right without the code.
    let lacks_right = |detail: &str| detail.contains("can't run this command") || detail.contains("can't access");
    error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("WRONGPASS" | "NOAUTH" | "NOPERM"))
        || error.detail().is_some_and(lacks_right)
}

/// What the server or the system said: it repeats no credential.
fn words(error: &RedisError) -> String {
    if error.is_timeout() {
        return "Redis did not answer in time".into();
    }
    format!("Redis: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_nobody_met_again_is_forgotten_after_a_minute() {
        let at = Instant::now();
        let refusal = Refusal::new(at, "full".into());
        assert_eq!(refusal.told(at + Duration::from_secs(59)), Some("full"));
        assert_eq!(refusal.told(at + Duration::from_secs(60)), None);
    }
}
