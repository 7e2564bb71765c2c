//! `Ready`, `Reconciling` and `Stalled`, as tools that know kstatus read them.
//!
//! `Ready` stays True during a healthy rollout: enough gateways take clients, old or new. `Reconciling` tells the rest, and is
//! False while `Stalled` is True: whoever waits for the room shall not wait in vain.

use super::gateways::Gateways;
use super::{ApplyFailure, FailureKind, Outcome};
use crate::conditions::{Judgement, Truth};
use crate::room::INVALID_SPEC;

pub(super) struct Judged {
    pub(super) ready: Judgement,
    pub(super) reconciling: Judgement,
    pub(super) stalled: Judgement,
}

pub(super) fn judge(outcome: &Outcome, gateways: &Gateways, redis_ready: &Judgement) -> Judged {
    match outcome {
        Outcome::Applied(_) => applied(gateways, redis_ready),
        Outcome::Invalid(invalid) => hopeless(INVALID_SPEC, invalid.reason(), &invalid.to_string()),
        Outcome::Failed(_, failure) => failed(failure, gateways, redis_ready),
    }
}

fn applied(gateways: &Gateways, redis_ready: &Judgement) -> Judged {
    let ready = ready(gateways, redis_ready);
    if gateways.deadline_exceeded {
        let reason = if gateways.image_missing { "ImagePullFailed" } else { "ProgressDeadlineExceeded" };
        let message = format!("the rollout does not get on: {}", ready.message);
        return Judged { ready, reconciling: stuck(), stalled: Judgement::yes(reason, message) };
    }
    Judged { reconciling: reconciling(gateways, &ready, redis_ready), stalled: not_stalled(), ready }
}

fn failed(failure: &ApplyFailure, gateways: &Gateways, redis_ready: &Judgement) -> Judged {
    let message = format!("{}: {}", failure.object, failure.message);
    let reason = match failure.kind {
        FailureKind::Transient => {
            let reconciling = Judgement::yes("ApplyingChanges", format!("trying again after {message}"));
            return Judged { ready: ready(gateways, redis_ready), reconciling, stalled: not_stalled() };
        }
        FailureKind::ForeignObject => "ForeignObject",
        FailureKind::Forbidden => "Forbidden",
        FailureKind::Rejected => "Rejected",
    };
    hopeless("ApplyFailed", reason, &message)
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
    Judgement::no("Stalled", "waiting for somebody's help, see Stalled")
}

fn not_stalled() -> Judgement {
    Judgement::no("Progressing", "nothing stands in the way")
}

fn ready(gateways: &Gateways, redis_ready: &Judgement) -> Judgement {
    let Gateways { desired, ready, .. } = *gateways;
    if desired == 0 {
        return Judgement::yes("NoReplicas", "no gateways are asked for: nobody can connect");
    }
    if ready >= desired {
        return Judgement::yes("AllReplicasReady", format!("{ready} of {desired} gateways take clients"));
    }
    let (reason, why) = if let Some(obstacle) = &gateways.obstacle {
        (if gateways.is_rolling() { "RolloutInProgress" } else { "ReplicasNotReady" }, obstacle.clone())
    } else if redis_ready.truth == Truth::False {
        // Being away is Redis' own affair; everything else has a name that says who has to act.
        let reason = if redis_ready.reason == "ConnectFailed" { "RedisNotReady" } else { redis_ready.reason };
        (reason, redis_ready.message.clone())
    } else if gateways.is_rolling() {
        ("RolloutInProgress", "new pods are starting".to_owned())
    } else {
        ("ReplicasNotReady", "the others are not ready".to_owned())
    };
    Judgement::no(reason, format!("{ready} of {desired} gateways take clients: {why}"))
}

fn reconciling(gateways: &Gateways, ready: &Judgement, redis_ready: &Judgement) -> Judgement {
    let Gateways { desired, updated, .. } = *gateways;
    if gateways.is_settled() {
        return Judgement::no("Settled", "everything is as asked for");
    }
    if gateways.is_rolling() {
        let mut message = format!("{updated} of {desired} gateways run the current version");
        // The old ones go on meanwhile, so Ready has no reason to say it.
        let redis = (redis_ready.truth == Truth::False).then_some(&redis_ready.message);
        if let Some(why) = gateways.obstacle.as_ref().or(redis) {
            message.push_str(&format!("; in the way: {why}"));
        }
        return Judgement::yes("RollingOut", message);
    }
    Judgement::yes("WaitingForPods", ready.message.clone())
}
