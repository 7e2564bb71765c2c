//! `Ready`, `Reconciling` and `Stalled`, as tools that know kstatus read them.
//!
//! `Ready` stays True during a healthy rollout: enough gateways take clients, old or new. `Reconciling` tells the rest, and is
//! False while `Stalled` is True: whoever waits for the room shall not wait in vain.

use chatroom_api::condition;

use super::gateways::Gateways;
use super::{ApplyFailure, FailureKind, Outcome};
use crate::conditions::{Judgement, Truth};

pub(super) struct Judged {
    pub(super) ready: Judgement,
    pub(super) reconciling: Judgement,
    pub(super) stalled: Judgement,
}

pub(super) fn judge(outcome: &Outcome, gateways: &Gateways, redis_ready: &Judgement) -> Judged {
    match outcome {
        Outcome::Applied(_) => applied(gateways, redis_ready),
        Outcome::Invalid(invalid) => hopeless(condition::ready::INVALID_SPEC, invalid.reason(), &invalid.to_string()),
        Outcome::Failed(_, failure) => failed(failure, gateways, redis_ready),
    }
}

fn applied(gateways: &Gateways, redis_ready: &Judgement) -> Judged {
    let ready = ready(gateways, redis_ready);
    if gateways.deadline_exceeded {
        let reason = if gateways.image_missing {
            condition::stalled::IMAGE_PULL_FAILED
        } else {
            condition::stalled::PROGRESS_DEADLINE_EXCEEDED
        };
        let message = format!("the rollout does not get on: {}", ready.message);
        return Judged { ready, reconciling: stuck(), stalled: Judgement::yes(reason, message) };
    }
    Judged { reconciling: reconciling(gateways, &ready, redis_ready), stalled: not_stalled(), ready }
}

fn failed(failure: &ApplyFailure, gateways: &Gateways, redis_ready: &Judgement) -> Judged {
    let message = format!("{}: {}", failure.object, failure.message);
    let goes_on = |reconciling| Judged { ready: ready(gateways, redis_ready), reconciling, stalled: not_stalled() };
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

fn ready(gateways: &Gateways, redis_ready: &Judgement) -> Judgement {
    let Gateways { desired, ready, .. } = *gateways;
    if desired == 0 {
        return Judgement::yes(condition::ready::NO_REPLICAS, "no gateways are asked for: nobody can connect");
    }
    if ready >= desired {
        return Judgement::yes(
            condition::ready::ALL_REPLICAS_READY,
            format!("{ready} of {desired} gateways take clients"),
        );
    }
    let (reason, why) = if let Some(obstacle) = &gateways.obstacle {
        (
            if gateways.is_rolling() {
                condition::ready::ROLLOUT_IN_PROGRESS
            } else {
                condition::ready::REPLICAS_NOT_READY
            },
            obstacle.clone(),
        )
    } else if redis_ready.truth == Truth::False {
        // Being away is Redis' own affair; everything else has a name that says who has to act.
        let reason = if redis_ready.reason == condition::redis_ready::CONNECT_FAILED {
            condition::ready::REDIS_NOT_READY
        } else {
            redis_ready.reason
        };
        (reason, redis_ready.message.clone())
    } else if gateways.is_rolling() {
        (condition::ready::ROLLOUT_IN_PROGRESS, "new pods are starting".to_owned())
    } else {
        (condition::ready::REPLICAS_NOT_READY, "the others are not ready".to_owned())
    };
    Judgement::no(reason, format!("{ready} of {desired} gateways take clients: {why}"))
}

fn reconciling(gateways: &Gateways, ready: &Judgement, redis_ready: &Judgement) -> Judgement {
    let Gateways { desired, updated, .. } = *gateways;
    if gateways.is_settled() {
        return Judgement::no(condition::reconciling::SETTLED, "everything is as asked for");
    }
    if gateways.is_rolling() {
        let mut message = format!("{updated} of {desired} gateways run the current version");
        // The old ones go on meanwhile, so Ready has no reason to say it.
        let redis = (redis_ready.truth == Truth::False).then_some(&redis_ready.message);
        if let Some(why) = gateways.obstacle.as_ref().or(redis) {
            message.push_str(&format!("; in the way: {why}"));
        }
        return Judgement::yes(condition::reconciling::ROLLING_OUT, message);
    }
    Judgement::yes(condition::reconciling::WAITING_FOR_PODS, ready.message.clone())
}
