//! `CleanupHealthy`: whether the room's cleanup function is told of ends. What waits for it stands in Redis, once for all
//! gateways: each of them reports the same.

use chatroom_api::ChatRoom;
use chatroom_api::condition::{CLEANUP_HEALTHY, cleanup_healthy as reason};
use kube::ResourceExt as _;

use super::{Plan, nobody_answers, stood_before};
use crate::conditions::Judgement;
use crate::observed::{Ends, Observed};

/// `None`: the room has no cleanup function. `plan`: what was to be done, where that is known; else it is as it was.
pub(super) fn cleanup_healthy(room: &ChatRoom, plan: Option<&Plan>, observed: &Observed) -> Option<Judgement> {
    let has_cleanup = match plan {
        Some(plan) => plan.room.functions.as_ref().is_some_and(|functions| functions.cleanup.is_some()),
        None => stood_before(room, CLEANUP_HEALTHY),
    };
    has_cleanup.then(|| judge(room, observed))
}

fn judge(room: &ChatRoom, observed: &Observed) -> Judgement {
    let answers: Vec<_> = observed.gateways.iter().filter_map(|gateway| gateway.answer.as_ref().ok()).collect();
    if answers.is_empty() {
        return nobody_answers(observed, reason::GATEWAYS_UNREACHABLE, reason::NO_GATEWAYS);
    }
    let told: Vec<_> = answers.iter().filter_map(|status| status.cleanup.as_ref()).map(Ends::of).collect();
    // The most, because the others looked earlier.
    let Some(dead) = told.iter().map(|ends| ends.dead).max() else {
        return Judgement::unknown(reason::STARTING, "the gateways have not looked for ends yet");
    };
    // The smallest message, not the first: the order of the answers is no news.
    let problem = told.iter().map(|ends| ends.problem.as_str()).filter(|problem| !problem.is_empty()).min();
    match (dead, problem) {
        (0, None) => Judgement::yes(reason::DELIVERING, "the cleanup function is told of ends"),
        (0, Some(problem)) => {
            let message = format!(
                "the cleanup function was not told: {problem}; ends are told again at growing intervals, for a day"
            );
            Judgement::no(reason::CLEANUP_FAILING, message)
        }
        (dead, problem) => {
            let some = if dead < 10 { "a few ends were".to_owned() } else { format!("at least {dead} ends were") };
            let why = problem.map(|problem| format!("; the last call failed: {problem}")).unwrap_or_default();
            let command = format!(
                "kubectl -n {} exec deploy/{} -- chatroom-gateway dead replay",
                room.namespace().unwrap_or_default(),
                room.name_any()
            );
            let message = format!(
                "{some} given up after a day of tries{why}; once the cleanup function takes calls, bring them back: {command}"
            );
            Judgement::no(reason::DEAD_EVENTS, message)
        }
    }
}
