//! Which changes on a room's gateways are worth a reconcile.

use crate::observed::{Ends, GatewayReport};
use chatroom_settings::RedisState;
use std::collections::BTreeMap;

/// What matters of a room's gateways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Noted {
    /// Each gateway, by the name of its pod.
    pub(super) gateways: BTreeMap<String, NotedGateway>,
    /// People in the room, as those say that are in touch with it.
    online: Option<u64>,
}

/// What matters of one gateway; `None`: it did not answer.
pub(super) type NotedGateway = Option<NotedAnswer>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotedAnswer {
    template: String,
    hot_hash: String,
    settings_problem: String,
    draining: bool,
    isolated: bool,
    redis: RedisState,
    ends: Option<Ends>,
    missing: Vec<String>,
    refused: Vec<String>,
}

impl Noted {
    pub(super) fn of(reports: &[GatewayReport]) -> Self {
        let answers = || reports.iter().filter_map(|report| report.answer.as_ref().ok());
        let gateways = reports.iter().map(|report| {
            let answer = report.answer.as_ref().ok().map(|status| NotedAnswer {
                template: status.template_hash.clone(),
                hot_hash: status.hot_hash.clone(),
                settings_problem: status.settings_problem.clone(),
                draining: status.draining,
                isolated: status.isolated,
                redis: status.redis.state,
                ends: status.cleanup.as_ref().map(Ends::of),
                missing: status.missing.clone(),
                refused: status.refused.clone(),
            });
            (report.pod.clone(), answer)
        });
        let online = answers().filter(|status| !status.isolated).filter_map(|status| status.online);
        Self { gateways: gateways.collect(), online: online.max() }
    }

    /// Whether the number of people is so far from the published one that it should be published again. As long as it is, the
    /// room is asked for in every round: how often it is written is not decided here.
    pub(super) fn online_differs_from(&self, published: Option<i64>) -> bool {
        let published = published.map(|online| online.max(0).unsigned_abs());
        match (published, self.online) {
            (Some(before), Some(now)) if before != 0 && now != 0 => {
                before != now && before.abs_diff(now).saturating_mul(20) >= before
            }
            (before, now) => before != now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::Unreachable;
    use chatroom_settings::{CleanupStatus, GatewayStatus};

    fn report(pod: &str, change: impl FnOnce(&mut GatewayStatus)) -> GatewayReport {
        let mut status = GatewayStatus { online: Some(100), ..GatewayStatus::default() };
        change(&mut status);
        GatewayReport { pod: pod.into(), answer: Ok(status) }
    }

    #[test]
    fn the_number_of_people_has_to_move_by_a_twentieth() {
        for (before, now, moved) in [
            (Some(100), Some(104), false),
            (Some(100), Some(105), true),
            (Some(100), Some(95), true),
            (Some(3), Some(4), true),
            (Some(1), Some(0), true),
            (Some(0), Some(1), true),
            (Some(0), Some(0), false),
            (Some(5), None, true),
            (None, None, false),
        ] {
            let noted = Noted { online: now, ..Noted::default() };
            assert_eq!(noted.online_differs_from(before), moved, "{before:?} -> {now:?}");
        }
    }

    #[test]
    fn what_nobody_acts_on_does_not_matter() {
        let before = Noted::of(&[report("a", |_| {})]);
        let busier = Noted::of(&[report("a", |status| status.connections = 7_000)]);
        assert_eq!(busier, before);
        let ends = |waiting, dead| {
            let cleanup = CleanupStatus { waiting, dead, problem: "no connection".into() };
            Noted::of(&[report("a", |status| status.cleanup = Some(cleanup))])
        };
        assert_eq!(ends(7, 12), ends(8, 13));
        assert_ne!(ends(7, 12), ends(0, 12));
        assert_ne!(ends(7, 9), ends(7, 10));
    }

    #[test]
    fn a_gateway_that_comes_goes_or_changes_its_mind_matters() {
        let before = Noted::of(&[report("a", |_| {})]);
        let unreachable =
            GatewayReport { pod: "a".into(), answer: Err(Unreachable { message: "no connection".into() }) };
        for after in [
            Noted::default(),
            Noted::of(&[report("a", |_| {}), report("b", |_| {})]),
            Noted::of(&[unreachable]),
            Noted::of(&[report("a", |status| status.draining = true)]),
            Noted::of(&[report("a", |status| status.hot_hash = "1".into())]),
            Noted::of(&[report("a", |status| status.settings_problem = "no YAML".into())]),
            Noted::of(&[report("a", |status| status.redis.state = RedisState::Unreachable)]),
            Noted::of(&[report("a", |status| status.cleanup = Some(CleanupStatus::default()))]),
            Noted::of(&[report("a", |status| status.missing = vec!["redis/password".into()])]),
            Noted::of(&[report("a", |status| status.refused = vec!["redis/password".into()])]),
        ] {
            assert_ne!(after.gateways, before.gateways);
        }
    }
}
