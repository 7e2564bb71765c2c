//! When to look at a room again if nothing happens before.

use crate::conditions::{Truth, find, is_true};
use crate::controller::errors::Category;
use chatroom_api::{ChatRoomStatus, condition};
use std::time::Duration;

/// While something moves. It costs no request as long as nothing has to be written.
const MOVING: Duration = Duration::from_secs(2);

/// While somebody waits for something that no watch shows.
const WAITING: Duration = Duration::from_secs(20);

/// When all is well: a safety net under the watches.
const AT_REST: Duration = Duration::from_secs(300);

/// What somebody is about to put right, although clients may be served meanwhile.
const LOOKED_AFTER: [&str; 3] = [condition::PUSH_READY, condition::FUNCTIONS_READY, condition::CLEANUP_HEALTHY];

/// How long until the next look at a room with this status. `luck` (0 to 1) spreads rooms that were seen at once.
#[must_use]
pub fn next_look(status: &ChatRoomStatus, luck: f64) -> Duration {
    let is = |type_| is_true(status, type_);
    let is_false = |type_| find(status, type_).is_some_and(|found| found.status == Truth::False.as_str());
    let has_reason = |type_, reason: &str| find(status, type_).is_some_and(|condition| condition.reason == reason);
    let pace = if is(condition::STALLED) {
        // A spec that cannot be carried out waits for its next generation, which the watch shows.
        let of_the_spec = [condition::stalled::INVALID_SPEC, condition::stalled::INVALID_OVERRIDE];
        if of_the_spec.iter().any(|reason| has_reason(condition::STALLED, reason)) { AT_REST } else { WAITING }
    } else if is(condition::RECONCILING) {
        MOVING
    } else if LOOKED_AFTER.iter().any(|type_| is_false(type_)) {
        WAITING
    } else if is(condition::READY) && has_reason(condition::REDIS_READY, condition::redis_ready::CONNECTED) {
        // Not merely True: connections may hold although the password is gone, and a Secret that was made a moment before it
        // was deleted is not made again at once.
        AT_REST
    } else if has_reason(condition::READY, condition::ready::SUSPENDED) {
        // Nobody is there to be waited for.
        AT_REST
    } else {
        WAITING
    };
    jittered(pace, luck)
}

/// How long to wait after a failure: the first time, and at most while it repeats. It doubles in between.
struct Wait {
    first: Duration,
    longest: Duration,
}

impl Wait {
    const fn of(first_millis: u64, longest_seconds: u64) -> Self {
        Self { first: Duration::from_millis(first_millis), longest: Duration::from_secs(longest_seconds) }
    }

    fn after(category: Category) -> Self {
        match category {
            // The room has to change, and its change is seen at once. A server that was upgraded may think otherwise.
            Category::Invalid => Self::of(600_000, 600),
            // Nothing tells us when a role, a quota or a policy changed: soon while somebody may be working on it, seldom when
            // nobody does.
            Category::Forbidden | Category::Denied => Self::of(30_000, 300),
            // Nor when a foreign object goes. But looking is one request, and a room shall get on within 10 s.
            Category::Foreign => Self::of(8_000, 8),
            // The garbage collector needs seconds, a namespace minutes.
            Category::Leaving => Self::of(3_000, 60),
            // The next look may do. Somebody who writes all the time must not make us write all the time.
            Category::Conflict => Self::of(200, 60),
            Category::Throttled | Category::Unreachable | Category::Server | Category::Stopping => Self::of(1_000, 300),
        }
    }
}

/// How long until the next try after a failure. `before` counts the failures of the same kind that came right before this one.
/// `luck` (0 to 1) takes off up to half, so that rooms that failed together do not come back together.
#[must_use]
pub fn after_failure(category: Category, before: u32, luck: f64) -> Duration {
    let Wait { first, longest } = Wait::after(category);
    let wait = first.saturating_mul(1u32 << before.min(20)).min(longest);
    wait.mul_f64(1.0 - luck.clamp(0.0, 1.0) / 2.0)
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

    fn seconds(conditions: &[(&str, &str, &str)], luck: f64) -> u64 {
        let condition = |(type_, status, reason): &(&str, &str, &str)| Condition {
            type_: (*type_).to_owned(),
            status: (*status).to_owned(),
            reason: (*reason).to_owned(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
        };
        let conditions = conditions.iter().map(condition).collect();
        next_look(&ChatRoomStatus { conditions, ..ChatRoomStatus::default() }, luck).as_secs()
    }

    const READY: (&str, &str, &str) = ("Ready", "True", "AllReplicasReady");
    const SETTLED: (&str, &str, &str) = ("Reconciling", "False", "Settled");
    const CONNECTED: (&str, &str, &str) = ("RedisReady", "True", "Connected");

    #[test]
    fn what_moves_is_looked_at_often_and_what_rests_seldom() {
        assert_eq!(seconds(&[READY, ("Reconciling", "True", "RollingOut"), CONNECTED], 0.5), 2);
        assert_eq!(seconds(&[READY, SETTLED, CONNECTED], 0.5), 300);
        assert_eq!(seconds(&[READY, SETTLED, ("RedisReady", "Unknown", "NoGateways")], 0.5), 20);
        let hopeless = ("Ready", "False", "ApplyFailed");
        assert_eq!(seconds(&[hopeless, ("Reconciling", "True", "Any"), ("Stalled", "True", "Denied")], 0.5), 20);
        assert_eq!(seconds(&[hopeless, ("Stalled", "True", "InvalidSpec")], 0.5), 300);
        assert_eq!(
            seconds(&[("Ready", "False", "Suspended"), SETTLED, ("RedisReady", "Unknown", "NoGateways")], 0.5),
            300
        );
        for trouble in [
            ("PushReady", "False", "KeysNotFound"),
            ("FunctionsReady", "False", "RootsNotFound"),
            ("CleanupHealthy", "False", "DeadEvents"),
        ] {
            assert_eq!(seconds(&[READY, SETTLED, CONNECTED, trouble], 0.5), 20, "{trouble:?}");
        }
    }

    #[test]
    fn a_password_that_is_gone_is_looked_after_although_every_connection_holds() {
        assert_eq!(seconds(&[READY, SETTLED, ("RedisReady", "True", "SecretNotFound")], 0.5), 20);
    }

    fn waits(category: Category) -> Vec<u128> {
        (0..11).map(|before| after_failure(category, before, 0.0).as_millis()).collect()
    }

    #[test]
    fn troubles_of_the_server_are_given_twice_as_long_each_time_up_to_five_minutes() {
        let expected = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map(|seconds| seconds * 1000);
        for category in [Category::Throttled, Category::Unreachable, Category::Server] {
            assert_eq!(waits(category), expected, "{category:?}");
        }
        assert_eq!(after_failure(Category::Server, u32::MAX, 0.0).as_secs(), 300);
        assert_eq!(after_failure(Category::Server, 0, 1.0).as_millis(), 500, "luck takes off up to half");
    }

    #[test]
    fn a_conflict_is_tried_again_at_once_and_what_needs_somebody_seldom() {
        assert_eq!(waits(Category::Conflict)[..3], [200, 400, 800]);
        assert_eq!(waits(Category::Leaving)[..6], [3_000, 6_000, 12_000, 24_000, 48_000, 60_000]);
        for category in [Category::Forbidden, Category::Denied] {
            assert_eq!(waits(category)[..5], [30_000, 60_000, 120_000, 240_000, 300_000], "{category:?}");
        }
        assert_eq!(waits(Category::Foreign)[..2], [8_000, 8_000]);
        assert_eq!(waits(Category::Invalid)[..2], [600_000, 600_000]);
    }

    #[test]
    fn luck_spreads_by_a_tenth() {
        let rest = [READY, CONNECTED];
        assert_eq!([0.0, 1.0].map(|luck| seconds(&rest, luck)), [270, 330]);
    }
}
