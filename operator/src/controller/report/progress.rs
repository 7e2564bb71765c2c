//! `Ready`, `Reconciling` and `Stalled`, as tools that know kstatus read them.
//!
//! `Ready` stays True during a healthy rollout: enough gateways take clients, old or new. `Reconciling` tells the rest, and is
//! False while `Stalled` is True: whoever waits for the room shall not wait in vain.

use chatroom_api::condition;

use super::gateways::Gateways;
use super::obstacle::{Kind, Obstacle};
use super::{ApplyFailure, FailureKind, Outcome, redis};
use crate::conditions::{Judgement, Truth};
use crate::observed::Observed;

pub(super) struct Judged {
    pub(super) ready: Judgement,
    pub(super) reconciling: Judgement,
    pub(super) stalled: Judgement,
}

pub(super) fn judge(
    outcome: &Outcome,
    suspend: bool,
    gateways: &Gateways,
    redis_ready: &Judgement,
    observed: &Observed,
) -> Judged {
    let blocked_by_redis = redis::keeps_gateways_waiting(redis_ready, observed);
    let found = Found { suspend, gateways, redis_ready, blocked_by_redis };
    match outcome {
        Outcome::Applied(_) => applied(&found),
        Outcome::Paused => paused(&found, observed.deployment.is_some()),
        Outcome::Invalid(invalid) => hopeless(condition::ready::INVALID_SPEC, invalid.reason(), &invalid.to_string()),
        Outcome::Failed(_, failure) => failed(failure, &found),
    }
}

/// What is judged.
struct Found<'a> {
    suspend: bool,
    gateways: &'a Gateways,
    redis_ready: &'a Judgement,
    /// Whether a gateway does not take clients because of Redis.
    blocked_by_redis: bool,
}

fn applied(found: &Found<'_>) -> Judged {
    let (ready, gateways) = (ready(found), found.gateways);
    if gateways.gave_up_after.is_some() {
        let reason = if gateways.image_missing {
            condition::stalled::IMAGE_PULL_FAILED
        } else {
            condition::stalled::PROGRESS_DEADLINE_EXCEEDED
        };
        let message = format!("the rollout does not get on: {}", ready.message);
        return Judged { ready, reconciling: stuck(), stalled: Judgement::yes(reason, message) };
    }
    Judged { reconciling: reconciling(found, &ready), stalled: not_stalled(), ready }
}

/// What stands there goes on, and is told as it is; only, nobody sets it right.
fn paused(found: &Found<'_>, is_there: bool) -> Judged {
    let disabled = |message| Judgement::no(condition::reconciling::RECONCILE_DISABLED, message);
    if !is_there {
        let message = "there is no Deployment, and none is made while reconciling is disabled";
        let ready = Judgement::no(condition::ready::PAUSED, message);
        return Judged { ready, reconciling: disabled("nothing is written, see Paused"), stalled: not_stalled() };
    }
    // A Deployment that still has gateways is not suspended, whatever the spec says meanwhile.
    let suspend = found.suspend && found.gateways.desired == 0;
    let judged = applied(&Found { suspend, ..*found });
    if judged.reconciling.reason == condition::reconciling::SETTLED {
        return Judged { reconciling: disabled("nothing is written, see Paused"), ..judged };
    }
    judged
}

fn failed(failure: &ApplyFailure, found: &Found<'_>) -> Judged {
    let message = format!("{}: {}", failure.object, failure.message);
    let goes_on = |reconciling| Judged { ready: ready(found), reconciling, stalled: not_stalled() };
    let reason = match failure.kind {
        FailureKind::Transient => {
            let message = format!("trying again after {message}");
            return goes_on(Judgement::yes(condition::reconciling::APPLYING_CHANGES, message));
        }
        FailureKind::Waiting => {
            return goes_on(Judgement::yes(condition::reconciling::WAITING_FOR_REMOVAL, format!("waiting: {message}")));
        }
        FailureKind::ForeignObject => condition::stalled::FOREIGN_OBJECT,
        FailureKind::Forbidden => condition::stalled::FORBIDDEN,
        FailureKind::Denied => condition::stalled::DENIED,
        FailureKind::Rejected => condition::stalled::REJECTED,
    };
    hopeless(condition::ready::APPLY_FAILED, reason, &message)
}

/// Nothing more will happen until somebody changes something.
fn hopeless(ready_reason: &'static str, stalled_reason: &'static str, message: &str) -> Judged {
    Judged {
        ready: Judgement::no(ready_reason, message),
        reconciling: stuck(),
        stalled: Judgement::yes(stalled_reason, message),
    }
}

fn stuck() -> Judgement {
    Judgement::no(condition::reconciling::STALLED, "waiting for somebody's help, see Stalled")
}

fn not_stalled() -> Judgement {
    Judgement::no(condition::stalled::PROGRESSING, "nothing stands in the way")
}

fn ready(found: &Found<'_>) -> Judgement {
    let Gateways { desired, ready, draining, .. } = *found.gateways;
    if found.suspend {
        let message = match draining {
            0 => "spec.suspend is true: no gateways run, everything else is kept".to_owned(),
            going => format!("spec.suspend is true: the gateways go, {going} still let clients go"),
        };
        return Judgement::no(condition::ready::SUSPENDED, message);
    }
    if desired == 0 {
        return Judgement::yes(condition::ready::NO_REPLICAS, "no gateways are asked for: nobody can connect");
    }
    let counted = format!("{ready} of {desired} gateways take clients");
    if ready >= desired {
        return match blocked(found) {
            Some(why) => Judgement::yes(
                condition::ready::ROLLOUT_BLOCKED,
                format!("{counted}, but those of the new version cannot start: {why}"),
            ),
            None => Judgement::yes(condition::ready::ALL_REPLICAS_READY, counted),
        };
    }
    let (reason, why) = why_not_ready(found);
    Judgement::no(reason, format!("{counted}: {why}"))
}

/// Why a rollout does not get on while the old gateways do. Nothing, as long as the new ones may just need time.
fn blocked(found: &Found<'_>) -> Option<String> {
    if !found.gateways.is_rolling() {
        return None;
    }
    if let Some(obstacle) = &found.gateways.obstacle {
        return Some(obstacle.text.clone());
    }
    if found.blocked_by_redis {
        return Some(found.redis_ready.message.clone());
    }
    found.gateways.gave_up_after.map(|seconds| format!("they have not become ready within {seconds} s"))
}

fn why_not_ready(found: &Found<'_>) -> (&'static str, String) {
    let (gateways, redis_ready) = (found.gateways, found.redis_ready);
    let in_motion = if gateways.is_rolling() {
        condition::ready::ROLLOUT_IN_PROGRESS
    } else {
        condition::ready::REPLICAS_NOT_READY
    };
    if let Some(Obstacle { kind, text }) = &gateways.obstacle {
        let reason = if *kind == Kind::Secret { condition::ready::SECRET_NOT_FOUND } else { in_motion };
        return (reason, text.clone());
    }
    if redis_ready.truth == Truth::False {
        // Being away is Redis' own affair; everything else has a name that says who has to act.
        let reason = match redis_ready.reason {
            condition::redis_ready::CONNECT_FAILED => condition::ready::REDIS_NOT_READY,
            other => other,
        };
        return (reason, redis_ready.message.clone());
    }
    let why = match gateways.ready {
        _ if gateways.is_rolling() => "new pods are starting",
        0 => "they are not ready",
        _ => "the others are not ready",
    };
    (in_motion, why.to_owned())
}

fn reconciling(found: &Found<'_>, ready: &Judgement) -> Judgement {
    let gateways = found.gateways;
    let Gateways { desired, updated, .. } = *gateways;
    if gateways.is_settled() {
        return Judgement::no(condition::reconciling::SETTLED, "everything is as asked for");
    }
    if gateways.is_rolling() {
        let mut message = format!("{updated} of {desired} gateways run the current version");
        // The old ones go on meanwhile, so Ready may have no reason to say it.
        let redis = (found.redis_ready.truth == Truth::False).then_some(&found.redis_ready.message);
        if let Some(why) = gateways.obstacle.as_ref().map(|obstacle| &obstacle.text).or(redis) {
            message.push_str(&format!("; in the way: {why}"));
        }
        return Judgement::yes(condition::reconciling::ROLLING_OUT, message);
    }
    Judgement::yes(condition::reconciling::WAITING_FOR_PODS, ready.message.clone())
}
