//! When to look at a room again if nothing happens before.

use chatroom_api::{ChatRoomStatus, condition};
use std::time::Duration;

/// While something moves. It costs no request as long as nothing has to be written.
const MOVING: Duration = Duration::from_secs(2);

/// While somebody waits for something that no watch shows.
const WAITING: Duration = Duration::from_secs(20);

/// When all is well: a safety net under the watches.
const AT_REST: Duration = Duration::from_secs(300);

/// How long until the next look at a room with this status. `luck` (0 to 1) spreads rooms that were seen at once.
#[must_use]
pub fn next_look(status: &ChatRoomStatus, luck: f64) -> Duration {
    let find = |type_: &str| status.conditions.iter().find(|condition| condition.type_ == type_);
    let is = |type_: &str, wanted: &str| find(type_).is_some_and(|condition| condition.status == wanted);
    let pace = if is(condition::STALLED, "True") {
        // A spec that cannot be carried out waits for its next generation, which the watch shows.
        if find(condition::STALLED).is_some_and(|stalled| stalled.reason == condition::stalled::INVALID_SPEC) {
            AT_REST
        } else {
            WAITING
        }
    } else if is(condition::RECONCILING, "True") {
        MOVING
    } else if is(condition::READY, "True") && is(condition::REDIS_READY, "True") {
        AT_REST
    } else if find(condition::READY).is_some_and(|ready| ready.reason == condition::ready::SUSPENDED) {
        // Nobody is there to be waited for.
        AT_REST
    } else {
        WAITING
    };
    jittered(pace, luck)
}

/// The time, give or take a tenth.
#[must_use]
pub fn jittered(time: Duration, luck: f64) -> Duration {
    time.mul_f64(0.9 + luck.clamp(0.0, 1.0) / 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

    fn status(conditions: &[(&str, &str)]) -> ChatRoomStatus {
        let condition = |(type_, status): &(&str, &str)| Condition {
            type_: (*type_).to_owned(),
            status: (*status).to_owned(),
            reason: "Any".to_owned(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
        };
        ChatRoomStatus { conditions: conditions.iter().map(condition).collect(), ..ChatRoomStatus::default() }
    }

    fn seconds(conditions: &[(&str, &str)]) -> u64 {
        next_look(&status(conditions), 0.5).as_secs()
    }

    #[test]
    fn what_moves_is_looked_at_often_and_what_rests_seldom() {
        assert_eq!(seconds(&[("Ready", "True"), ("Reconciling", "True"), ("RedisReady", "True")]), 2);
        assert_eq!(seconds(&[("Ready", "True"), ("Reconciling", "False"), ("RedisReady", "True")]), 300);
        assert_eq!(seconds(&[("Ready", "True"), ("Reconciling", "False"), ("RedisReady", "Unknown")]), 20);
        assert_eq!(seconds(&[("Ready", "False"), ("Reconciling", "True"), ("Stalled", "True")]), 20);
    }

    #[test]
    fn luck_spreads_by_a_tenth() {
        let rest = status(&[("Ready", "True"), ("RedisReady", "True")]);
        assert_eq!(next_look(&rest, 0.0).as_secs(), 270);
        assert_eq!(next_look(&rest, 1.0).as_secs(), 330);
    }
}
