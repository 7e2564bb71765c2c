//! Asks a gateway whether it takes clients, and what it waits for.

use std::time::Duration;

use bytes::Bytes;
use chatroom_settings::GatewayStatus;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::{Instant, sleep, timeout};

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(50);
/// A gateway on this machine that takes longer has something else to do.
const PATIENCE: Duration = Duration::from_secs(2);
/// After so much waiting people are told what for, and again after as much.
const BEFORE_WORDS: Duration = Duration::from_secs(5);
/// Bytes of an answer; a status has a few hundred.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Asks gateways on their internal ports.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Probe {
    /// A probe.
    #[must_use]
    pub(super) fn new() -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Waits until the gateway behind `internal_url` takes clients. However long that lasts: it may wait for a Redis that
    /// somebody has yet to start. Every few seconds `tell` hears why it does not.
    pub(super) async fn until_ready(&self, internal_url: &str, tell: impl Fn(String)) {
        let mut told = Instant::now();
        loop {
            if matches!(self.get(internal_url, "/readyz").await, Some((StatusCode::OK, _))) {
                return;
            }
            if told.elapsed() >= BEFORE_WORDS {
                told = Instant::now();
                tell(self.reason(internal_url).await);
            }
            sleep(PAUSE).await;
        }
    }

    async fn reason(&self, internal_url: &str) -> String {
        let answer = self.get(internal_url, "/status").await;
        let status = answer.and_then(|(_, body)| serde_json::from_slice::<GatewayStatus>(&body).ok());
        why(status.as_ref())
    }

    async fn get(&self, internal_url: &str, path: &str) -> Option<(StatusCode, Bytes)> {
        let uri: Uri = format!("{internal_url}{path}").parse().ok()?;
        let answer = async {
            let (parts, body) = self.client.get(uri).await.ok()?.into_parts();
            let body = Limited::new(body, LONGEST_ANSWER).collect().await.ok()?;
            Some((parts.status, body.to_bytes()))
        };
        timeout(PATIENCE, answer).await.ok().flatten()
    }
}

impl Default for Probe {
    fn default() -> Self {
        Self::new()
    }
}

/// Pure: why a gateway is not ready, for people.
fn why(status: Option<&GatewayStatus>) -> String {
    match status {
        None => "it does not answer yet".to_owned(),
        Some(status) if !status.redis.message.is_empty() => status.redis.message.clone(),
        Some(status) if !status.missing.is_empty() => format!("it misses {}", status.missing.join(", ")),
        Some(status) => format!("its Redis: {:?}", status.redis.state),
    }
}

#[cfg(test)]
mod tests {
    use chatroom_settings::{RedisState, RedisStatus};

    use super::*;

    #[test]
    fn the_reason_is_what_the_gateway_says_about_its_redis() {
        assert_eq!(why(None), "it does not answer yet");
        let redis = RedisStatus { state: RedisState::Unreachable, message: "connection refused by r:6379".into() };
        let status = GatewayStatus { redis, ..GatewayStatus::default() };
        assert_eq!(why(Some(&status)), "connection refused by r:6379");
        assert_eq!(why(Some(&GatewayStatus::default())), "its Redis: Unknown");
    }
}
