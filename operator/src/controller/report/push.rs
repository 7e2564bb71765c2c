//! `PushReady`: whether the gateways take pushes. The operator never asks for the Secret itself.

use chatroom_api::condition::push_ready as reason;
use chatroom_settings::names::files;

use super::{Plan, nobody_answers};
use crate::conditions::Judgement;
use crate::decide::push::{misses_keys, refuses_keys};
use crate::desired::push_secret;
use crate::observed::Observed;

/// `plan`: what was to be done, where that is known.
pub(super) fn push_ready(plan: Option<&Plan>, observed: &Observed) -> Judgement {
    let answers: Vec<_> = observed.gateways.iter().filter_map(|gateway| gateway.answer.as_ref().ok()).collect();
    if answers.is_empty() {
        return nobody_answers(observed, reason::GATEWAYS_UNREACHABLE, reason::NO_GATEWAYS);
    }
    let without = answers.iter().filter(|status| misses_keys(status)).count();
    if without > 0 {
        let message =
            format!("{without} of {} gateways: {}; pushes to them are answered with 503", answers.len(), missing(plan));
        return Judgement::no(reason::KEYS_NOT_FOUND, message);
    }
    let refusing = answers.iter().filter(|status| refuses_keys(status)).count();
    if refusing > 0 {
        let secret = plan.map(|plan| format!(" of Secret {}", push_secret::name(&plan.names, &plan.room)));
        let message = format!(
            "{refusing} of {} gateways: a line under {}{} is no push key, which has at least 16 visible characters of ASCII; the \
             other lines count",
            answers.len(),
            files::PUSH_KEYS,
            secret.unwrap_or_default()
        );
        return Judgement::no(reason::KEYS_REFUSED, message);
    }
    Judgement::yes(reason::ACCEPTING, "all gateways that answer have a push key")
}

/// What has to be made, and by whom.
fn missing(plan: Option<&Plan>) -> String {
    let Some(Plan { names, room, .. }) = plan else { return "the push keys are missing".to_owned() };
    let (secret, key) = (push_secret::name(names, room), files::PUSH_KEYS);
    match room.push.secret_name {
        Some(_) => format!(
            "there is no Secret {secret} with the key {key} (once it is there, gateways find it within about 90 seconds)"
        ),
        None => format!(
            "they do not find the key {key} of Secret {secret}, which has been made (it takes about 90 seconds; if the Secret is \
             there without that key, delete it)"
        ),
    }
}
