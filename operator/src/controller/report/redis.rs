//! `RedisReady`: what the gateways say about Redis. The operator never asks Redis itself.

use chatroom_api::condition::redis_ready as reason;
use chatroom_settings::names::files;
use chatroom_settings::{GatewayStatus, RedisState};

use super::nobody_answers;
use super::obstacle::obstacle;
use crate::conditions::{Judgement, Truth};
use crate::names::Component;
use crate::observed::Observed;
use crate::room::{ExternalRedis, Redis};

/// Value of `status.redis`.
pub(super) fn kind(redis: &Redis) -> &'static str {
    match redis {
        Redis::Ephemeral(_) => "Ephemeral",
        Redis::External(_) => "External",
    }
}

/// `redis`: what the room asks for, where it is known.
pub(super) fn redis_ready(redis: Option<&Redis>, observed: &Observed) -> Judgement {
    let answers: Vec<_> = observed.gateways.iter().filter_map(|gateway| gateway.answer.as_ref().ok()).collect();
    if answers.is_empty() {
        return nobody_answers(observed, reason::GATEWAYS_UNREACHABLE, reason::NO_GATEWAYS);
    }
    // A gateway that has not asked yet knows nothing: with each that starts, the others would seem to know nothing either.
    let worst = answers.iter().map(|status| status.redis.state).max_by_key(|state| severity(*state));
    let (reason, text) = match worst.unwrap_or_default() {
        RedisState::Connected | RedisState::NotUsed => return connected(redis, &answers),
        RedisState::Unknown => return Judgement::unknown(reason::STARTING, "the gateways have not asked Redis yet"),
        RedisState::Unreachable => (reason::CONNECT_FAILED, "Redis cannot be reached"),
        RedisState::CredentialsMissing => (reason::SECRET_NOT_FOUND, "the Redis credentials are missing"),
        RedisState::CredentialsRefused => (reason::CREDENTIALS_REFUSED, "Redis refuses the credentials"),
        RedisState::Unsuitable => (reason::UNSUITABLE, "Redis is not set up for a room"),
    };
    if let Some(message) = missing_secret(redis, &answers) {
        return Judgement::no(reason, message);
    }
    Judgement::no(reason, explain(text, worst.unwrap_or_default(), &answers, observed))
}

/// Credentials may be gone although every connection holds: they are asked for when one is made.
fn connected(redis: Option<&Redis>, answers: &[&GatewayStatus]) -> Judgement {
    if let Some(message) = missing_secret(redis, answers) {
        let message = format!("{message}; the connections that there are hold, new ones cannot be made");
        return Judgement::yes(reason::SECRET_NOT_FOUND, message);
    }
    let without = answers.iter().filter(|status| misses_credentials(status)).count();
    if without > 0 {
        let message = format!(
            "{without} of {} gateways: the Redis credentials are missing; the connections that there are hold, new ones cannot \
             be made",
            answers.len()
        );
        return Judgement::yes(reason::SECRET_NOT_FOUND, message);
    }
    Judgement::yes(reason::CONNECTED, "all gateways that answer reach Redis")
}

fn misses_credentials(status: &GatewayStatus) -> bool {
    status.missing.iter().any(|file| file.starts_with("redis/"))
}

/// What keeps gateways that do not take clients from Redis, if one of them says so.
pub(super) fn keeps_gateways_waiting(redis_ready: &Judgement, observed: &Observed) -> bool {
    let answers = observed.gateways.iter().filter_map(|gateway| gateway.answer.as_ref().ok());
    let mut waiting = answers.filter(|status| !status.ready && !status.draining);
    redis_ready.truth == Truth::False
        && waiting.any(|status| severity(status.redis.state) > severity(RedisState::Connected))
}

/// The Secret that a person has to make, by the names that stand in the room: gateways know only the file it becomes.
fn missing_secret(redis: Option<&Redis>, answers: &[&GatewayStatus]) -> Option<String> {
    let Some(Redis::External(ExternalRedis { secret_name, secret_key, .. })) = redis else { return None };
    let file = format!("redis/{}", files::REDIS_URL);
    let without = answers.iter().filter(|status| status.missing.contains(&file)).count();
    (without > 0).then(|| {
        format!(
            "{without} of {} gateways: there is no Secret {secret_name} with the key {secret_key} (once it is there, \
             gateways find it within about 90 seconds)",
            answers.len()
        )
    })
}

fn explain(text: &str, state: RedisState, answers: &[&GatewayStatus], observed: &Observed) -> String {
    let concerned: Vec<_> = answers.iter().filter(|status| status.redis.state == state).collect();
    // The smallest message, not the first: the order of the answers is no news.
    let detail = concerned.iter().map(|status| status.redis.message.as_str()).filter(|text| !text.is_empty()).min();
    let mut message = format!("{} of {} gateways: {}", concerned.len(), answers.len(), detail.unwrap_or(text));
    if let Some(obstacle) = obstacle(Component::Redis, observed.redis.as_ref(), &observed.redis_pods) {
        message.push_str(&format!(" ({})", obstacle.text));
    }
    message
}

/// What somebody has to hear of first.
fn severity(state: RedisState) -> u8 {
    match state {
        RedisState::Unknown => 0,
        RedisState::Connected | RedisState::NotUsed => 1,
        RedisState::Unreachable => 2,
        RedisState::CredentialsRefused => 3,
        RedisState::CredentialsMissing => 4,
        RedisState::Unsuitable => 5,
    }
}
