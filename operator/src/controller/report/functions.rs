//! `FunctionsReady`: whether the gateways have what the room's functions are called with. The operator never asks for the
//! Secrets themselves, and calls no function.

use chatroom_api::ChatRoom;
use chatroom_api::condition::{FUNCTIONS_READY, functions_ready as reason};
use chatroom_settings::GatewayStatus;
use chatroom_settings::names::files;

use super::{Plan, nobody_answers, stood_before};
use crate::conditions::Judgement;
use crate::observed::Observed;
use crate::room::Roots;

/// How soon a Secret that was made, or put right, counts.
const SOON: &str = "once it is there, gateways find it within about 90 seconds";

/// `None`: the room names no such Secret. `plan`: what was to be done, where that is known; else it is as it was.
pub(super) fn functions_ready(room: &ChatRoom, plan: Option<&Plan>, observed: &Observed) -> Option<Judgement> {
    let (keys, roots) = match plan {
        Some(plan) => {
            let functions = plan.room.functions.as_ref()?;
            let keys = functions.signing_secret.as_ref().map(|secret| described(secret, files::SIGNING_KEYS));
            let roots = functions.roots.as_ref();
            (keys, roots.map(|Roots { secret_name, secret_key }| described(secret_name, secret_key)))
        }
        None if !stood_before(room, FUNCTIONS_READY) => return None,
        None => {
            let of_field = |field: &str| Some(format!("Secret of spec.functions.{field}"));
            (of_field("signingSecretRef"), of_field("caSecretRef"))
        }
    };
    (keys.is_some() || roots.is_some()).then(|| judge(keys.as_deref(), roots.as_deref(), observed))
}

fn described(secret: &str, key: &str) -> String {
    format!("Secret {secret} with the key {key}")
}

/// `keys` and `roots`: the Secrets in words, where there are to be some.
fn judge(keys: Option<&str>, roots: Option<&str>, observed: &Observed) -> Judgement {
    let answers: Vec<_> = observed.gateways.iter().filter_map(|gateway| gateway.answer.as_ref().ok()).collect();
    if answers.is_empty() {
        return nobody_answers(observed, reason::GATEWAYS_UNREACHABLE, reason::NO_GATEWAYS);
    }
    let lack = |secret: Option<&str>, file: &str, list: fn(&GatewayStatus) -> &Vec<String>| {
        let secret = secret?;
        let concerned = answers.iter().filter(|status| list(status).iter().any(|it| it == file)).count();
        (concerned > 0).then(|| (format!("{concerned} of {} gateways", answers.len()), secret.to_owned()))
    };
    let keys_file = format!("signing/{}", files::SIGNING_KEYS);
    let roots_file = format!("ca/{}", files::CA_FILE);
    // Without keys nothing is called at all: that comes first.
    if let Some((who, secret)) = lack(keys, &keys_file, |status| &status.missing) {
        let message = format!("{who}: there is no {secret} ({SOON}); until then they call no function");
        return Judgement::no(reason::SIGNING_KEYS_NOT_FOUND, message);
    }
    if let Some((who, secret)) = lack(keys, &keys_file, |status| &status.refused) {
        let message = format!(
            "{who}: a line of {secret} is no signing key, which is whsec_ and the base64 of 24 to 64 bytes; the other lines count"
        );
        return Judgement::no(reason::SIGNING_KEYS_REFUSED, message);
    }
    if let Some((who, secret)) = lack(roots, &roots_file, |status| &status.missing) {
        let message = format!("{who}: there is no {secret} ({SOON}); until then they trust public authorities alone");
        return Judgement::no(reason::ROOTS_NOT_FOUND, message);
    }
    if let Some((who, secret)) = lack(roots, &roots_file, |status| &status.refused) {
        let message = format!(
            "{who}: what {secret} holds cannot be read as certificates in PEM; until it can, they trust public authorities, and the last \
             good ones if they had any"
        );
        return Judgement::no(reason::ROOTS_REFUSED, message);
    }
    Judgement::yes(reason::CONFIGURED, "all gateways that answer have what functions are called with")
}
