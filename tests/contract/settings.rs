//! The settings that the operator writes are those that the gateway reads: everything understood, nothing refused.

use std::path::Path;

use chatroom_gateway::settings_file::{Settings, parse};
use chatroom_operator::names::keys;
use chatroom_settings::names::files;
use chatroom_settings::{Backplane, Cold, Hot};

use crate::rooms::{Case, cases};

#[test]
fn the_gateway_understands_every_hot_setting_of_every_room() {
    for case in cases() {
        let hot: Hot = understood(&case, &hot_text(&case));
        let limits = &case.room.clients.limits;
        assert_eq!(hot.limits.max_message_bytes, limits.max_message_bytes, "{}", case.file);
        assert_eq!(hot.limits.idle_timeout_seconds, limits.idle_timeout_seconds, "{}", case.file);
        assert_eq!(hot.log_filter, case.room.logging.filter, "{}", case.file);
        assert_eq!(
            hot.allowed_origins.map(|origins| origins.len()),
            case.room.clients.allowed_origins.as_ref().map(Vec::len),
            "{}",
            case.file
        );
    }
}

#[test]
fn the_gateway_understands_every_cold_setting_of_every_room() {
    for case in cases() {
        let cold: Cold = understood(&case, &cold_text(&case));
        assert_eq!(cold.room.uid, format!("uid-of-{}", cold.room.name), "{}", case.file);
        assert_eq!(cold.path, case.room.clients.path.as_str(), "{}", case.file);
        assert_eq!(cold.broadcast.online_suffix, case.room.clients.online_suffix, "{}", case.file);
        assert_eq!(cold.broadcast.exclude_sender, case.room.clients.exclude_sender, "{}", case.file);
        assert_eq!(cold.web_client, case.room.clients.web_client, "{}", case.file);
        assert_eq!(cold.drain.timeout_seconds, case.room.drain.timeout_seconds, "{}", case.file);
        assert_eq!(cold.functions.is_some(), case.room.functions.is_some(), "{}", case.file);
        assert!(matches!(cold.backplane, Backplane::Redis(_)), "{}: in a cluster replicas share a Redis", case.file);
    }
}

#[test]
fn both_sides_call_the_same_settings_by_the_same_hash() {
    for case in cases() {
        let text = hot_text(&case);
        let gateway = parse::<Hot>(Path::new("hot.yaml"), &text).unwrap().hash;
        assert_eq!(chatroom_operator::desired::settings::hash(&text), gateway, "{}", case.file);
    }
}

#[test]
fn a_setting_that_the_gateway_does_not_know_or_cannot_live_with_would_be_noticed() {
    let case = cases().remove(0);
    let unknown = hot_text(&case) + "colour: red\n";
    assert_eq!(parse::<Hot>(Path::new("hot.yaml"), &unknown).unwrap().unknown, ["colour"]);
    let impossible = hot_text(&case).replace("slowSeconds: 10", "slowSeconds: 0");
    assert!(parse::<Hot>(Path::new("hot.yaml"), &impossible).is_err());
}

fn understood<T: Settings>(case: &Case, text: &str) -> T {
    match parse(Path::new(&case.file), text) {
        Ok(parsed) => {
            assert!(parsed.unknown.is_empty(), "{}: the gateway does not know {:?}", case.file, parsed.unknown);
            parsed.value
        }
        Err(error) => panic!("{error:?} in\n{text}"),
    }
}

fn hot_text(case: &Case) -> String {
    let data = case.resources.config_map.data.as_ref().expect("the ConfigMap holds something");
    assert_eq!(data.keys().collect::<Vec<_>>(), [files::HOT_FILE], "{}", case.file);
    data[files::HOT_FILE].clone()
}

fn cold_text(case: &Case) -> String {
    let template = &case.resources.deployment.spec.as_ref().expect("a Deployment has a spec").template;
    let annotations = template.metadata.as_ref().and_then(|metadata| metadata.annotations.as_ref());
    annotations.expect("the template has annotations")[keys::SETTINGS].clone()
}
