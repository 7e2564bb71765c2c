//! `PushReady`: whether the gateways take pushes. The operator never asks for the Secret itself.

use chatroom_api::condition::push_ready as reason;
use chatroom_settings::names::files;

use super::{Plan, nobody_answers};
use crate::conditions::Judgement;
use crate::decide::push::misses_keys;
use crate::desired::push_secret;
use crate::observed::Observed;

/// `plan`: what was to be done, where that is known.
pub(super) fn push_ready(plan: Option<&Plan>, observed: &Observed) -> Judgement {
    let answers: Vec<_> = observed.gateways.iter().filter_map(|gateway| gateway.answer.as_ref().ok()).collect();
    if answers.is_empty() {
        return nobody_answers(observed, reason::GATEWAYS_UNREACHABLE, reason::NO_GATEWAYS);
    }
    let without = answers.iter().filter(|status| misses_keys(status)).count();
    if without == 0 {
        return Judgement::yes(reason::ACCEPTING, "all gateways that answer have a push key");
    }
    let counted = format!("{without} of {} gateways", answers.len());
    let why = match plan {
        None => "the push keys are missing".to_owned(),
        Some(Plan { names, room, .. }) => {
            let (secret, key) = (push_secret::name(names, room), files::PUSH_KEYS);
            match room.push.secret_name {
                Some(_) => format!(
                    "there is no Secret {secret} with the key {key} (once it is there, gateways find it within about 90 \
                     seconds)"
                ),
                None => format!(
                    "they do not find the key {key} of Secret {secret}, which has been made (it takes about 90 seconds; if the \
                     Secret is there without that key, delete it)"
                ),
            }
        }
    };
    Judgement::no(reason::KEYS_NOT_FOUND, format!("{counted}: {why}; pushes to them are answered with 503"))
}
