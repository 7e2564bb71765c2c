//! `SettingsCurrent`: whether a change of the hot settings has arrived at every gateway.

use chatroom_api::condition::settings_current as reason;
use chatroom_settings::GatewayStatus;

use super::Outcome;
use crate::conditions::Judgement;
use crate::desired::settings;
use crate::observed::Observed;

pub(super) fn settings_current(outcome: &Outcome, observed: &Observed) -> Judgement {
    let going: Vec<_> = observed.pods.iter().filter(|pod| pod.terminating).map(|pod| &pod.name).collect();
    let staying = observed.gateways.iter().filter(|gateway| !going.contains(&&gateway.pod));
    let (mut answers, mut silent) = (Vec::<&GatewayStatus>::new(), 0_usize);
    for gateway in staying {
        match &gateway.answer {
            Ok(status) if !status.draining => answers.push(status),
            Ok(_) => {}
            Err(_) => silent += 1,
        }
    }
    let Some(current) = current_hash(outcome, observed).filter(|_| !answers.is_empty() || silent > 0) else {
        return Judgement::unknown(reason::NO_GATEWAYS, "no gateway runs that could be asked");
    };
    let all = answers.len() + silent;
    // The smallest message, not the first: the order of the answers is no news.
    let problems = || answers.iter().map(|status| status.settings_problem.as_str()).filter(|text| !text.is_empty());
    if let Some(problem) = problems().min() {
        let message = format!("{} of {all} gateways go on with the last good settings: {problem}", problems().count());
        return Judgement::no(reason::SETTINGS_REFUSED, message);
    }
    let up_to_date = answers.iter().filter(|status| status.hot_hash == current).count();
    let message = format!("{up_to_date} of {all} gateways run the current settings");
    if up_to_date < answers.len() {
        return Judgement::no(reason::SPREADING, format!("{message}; the others get them within about 90 seconds"));
    }
    if silent > 0 {
        return Judgement::unknown(reason::GATEWAYS_UNREACHABLE, format!("{message}; {silent} do not answer"));
    }
    Judgement::yes(reason::ALL_GATEWAYS, message)
}

/// The hash of what stands in the ConfigMap: the watch may not have shown yet what was just written.
fn current_hash(outcome: &Outcome, observed: &Observed) -> Option<String> {
    let text = match outcome {
        Outcome::Applied(applied) => Some(settings::yaml(&settings::hot(&applied.plan.room))),
        Outcome::Invalid(_) | Outcome::Paused | Outcome::Failed(..) => observed.hot_settings.clone(),
    };
    text.map(|text| settings::hash(&text))
}
