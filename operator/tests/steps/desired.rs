//! What shall stand in the cluster: golden manifests of sample rooms, and what holds for all rooms.

use std::collections::BTreeSet;

use chatroom_operator::decide::{Decision, RedisDecision, decide};
use chatroom_operator::desired::{Resources, desired};
use chatroom_operator::names::{Names, keys};
use chatroom_operator::observed::Observed;
use chatroom_operator::room::Room;
use chatroom_operator::tool::manifest::Manifest;
use chatroom_operator::tool::render::render;
use chatroom_settings::{Cold, Hot};
use k8s_openapi::api::core::v1::PodSpec;
use serde_json::{Value, json};

use crate::fixtures::{defaults, ephemeral, external, room};

macro_rules! golden {
    ($($name:ident: $file:literal;)*) => {$(
        #[test]
        fn $name() {
            let manifest = Manifest::parse(include_str!(concat!("rooms/", $file))).unwrap();
            let text = render(&manifest, &defaults()).unwrap();
            assert_eq!(text, render(&manifest, &defaults()).unwrap(), "the same text every time");
            insta::assert_snapshot!($file, text);
        }
    )*};
}

golden! {
    a_plain_room: "plain.yaml";
    a_room_with_external_redis: "external-redis.yaml";
    a_room_with_external_redis_and_its_own_prefix: "external-redis-own-prefix.yaml";
    a_room_that_says_everything: "everything.yaml";
    a_room_with_functions: "functions.yaml";
    a_room_without_pre_stop_and_budget: "no-pre-stop-no-budget.yaml";
    a_room_without_replicas: "no-replicas.yaml";
    a_room_with_an_image_by_digest: "image-by-digest.yaml";
}

#[test]
fn the_sample_of_overrides() {
    let manifest = Manifest::parse(include_str!("../../../deploy/samples/overrides.yaml")).unwrap();
    insta::assert_snapshot!("overrides.yaml", render(&manifest, &defaults()).unwrap());
}

#[test]
fn the_sample_room_is_a_room() {
    let sample = include_str!("../../../deploy/samples/lobby.yaml");
    render(&Manifest::parse(sample).unwrap(), &defaults()).unwrap();
}

fn resources(room: &Room) -> Resources {
    desired(&Names::new(&room.identity), room, &decide(room, &Observed::default()))
}

fn pods(resources: &Resources) -> Vec<&PodSpec> {
    let redis = resources.redis.as_ref().map(|redis| &redis.deployment);
    let deployments = redis.into_iter().chain([&resources.deployment]);
    deployments.map(|deployment| deployment.spec.as_ref().unwrap().template.spec.as_ref().unwrap()).collect()
}

fn annotation<'a>(resources: &'a Resources, key: &str) -> Option<&'a String> {
    let template = &resources.deployment.spec.as_ref().unwrap().template;
    template.metadata.as_ref().unwrap().annotations.as_ref().unwrap().get(key)
}

#[test]
fn every_pod_is_restricted_and_gets_no_token() {
    for pod in pods(&resources(&ephemeral())) {
        let security = pod.security_context.as_ref().unwrap();
        assert_eq!(security.run_as_non_root, Some(true));
        assert_eq!((security.run_as_user, security.fs_group), (None, None));
        assert_eq!(security.seccomp_profile.as_ref().unwrap().type_, "RuntimeDefault");
        assert_eq!(pod.automount_service_account_token, Some(false));
        assert_eq!(pod.enable_service_links, Some(false));
        for container in &pod.containers {
            let security = container.security_context.as_ref().unwrap();
            assert_eq!(security.allow_privilege_escalation, Some(false));
            assert_eq!(security.read_only_root_filesystem, Some(true));
            assert_eq!(security.capabilities.as_ref().unwrap().drop, Some(vec!["ALL".to_owned()]));
        }
    }
}

#[test]
fn the_grace_period_holds_the_whole_drain_and_redis_outlives_it() {
    let room = room(json!({"drain": {"preStopSeconds": 20, "timeoutSeconds": 100}}));
    let resources = resources(&room);
    let [redis, gateway] = pods(&resources)[..] else { panic!("two Deployments") };
    assert_eq!(gateway.termination_grace_period_seconds, Some(150));
    let pre_stop = redis.containers[0].lifecycle.as_ref().unwrap().pre_stop.as_ref().unwrap();
    assert_eq!(pre_stop.sleep.as_ref().unwrap().seconds, 150);
    assert!(redis.termination_grace_period_seconds > Some(150));
}

#[test]
fn the_gateways_read_back_the_settings_that_were_meant() {
    let room = room(json!({
        "path": "/chat",
        "broadcast": {"onlineSuffix": "\n# {online}: 'no'\n"},
        "allowedOrigins": ["https://chat.example.com"],
        "limits": {"idleTimeoutSeconds": 60},
    }));
    let resources = resources(&room);
    let cold: Cold = serde_yaml::from_str(annotation(&resources, keys::SETTINGS).unwrap()).unwrap();
    assert_eq!((cold.path.as_str(), cold.room.uid.as_str()), ("/chat", "uid-1"));
    assert_eq!(cold.broadcast.online_suffix.as_deref(), Some("\n# {online}: 'no'\n"));
    let hot: Hot = serde_yaml::from_str(&resources.config_map.data.unwrap()["hot.yaml"]).unwrap();
    assert_eq!(hot.allowed_origins, Some(vec!["https://chat.example.com".to_owned()]));
    assert_eq!(hot.limits.idle_timeout_seconds, Some(60));
    assert_eq!(hot.limits.max_connection_age_seconds, None);
}

#[test]
fn a_change_of_hot_settings_leaves_the_template_as_it_is() {
    let before = resources(&ephemeral());
    let after = resources(&room(
        json!({"limits": {"slowSeconds": 3, "maxPendingBytes": 2048}, "logging": {"filter": "debug"}}),
    ));
    assert_ne!(before.config_map, after.config_map);
    assert_eq!(before.deployment, after.deployment);
}

#[test]
fn a_change_of_cold_settings_changes_the_template_alone() {
    let before = resources(&ephemeral());
    let after = resources(&room(json!({"broadcast": {"excludeSender": false}})));
    assert_eq!(before.config_map, after.config_map);
    assert_ne!(before.deployment, after.deployment);
    assert_eq!(before.redis, after.redis);
}

#[test]
fn the_password_stands_on_no_command_line_and_in_no_environment() {
    let resources = resources(&ephemeral());
    let secret = resources.redis.as_ref().unwrap().secret.with("s3cret").string_data.unwrap();
    assert_eq!(secret["password"], "s3cret");
    assert_eq!(secret["redis.conf"], "requirepass s3cret\n");
    for pod in pods(&resources) {
        let text = serde_json::to_string(&pod.containers).unwrap();
        assert!(!text.contains("requirepass") && !text.contains("secretKeyRef"), "{text}");
    }
}

#[test]
fn the_push_secret_holds_the_key_and_the_url_with_it_and_gateways_see_the_key_alone() {
    let resources = resources(&ephemeral());
    let secret = resources.push_secret.as_ref().unwrap().with("s3cret");
    assert_eq!(secret.metadata.name.as_deref(), Some("lobby-push"));
    let values = secret.string_data.unwrap();
    assert_eq!(values["keys"], "s3cret");
    assert_eq!(values["url"], "http://lobby-push.default.svc/push/s3cret");
    assert_eq!(values.len(), 2);
    assert_eq!(
        push_volume(&resources),
        json!({"secretName": "lobby-push", "items": [{"key": "keys", "path": "keys"}], "optional": true})
    );
}

#[test]
fn a_push_secret_of_somebody_else_is_shown_to_the_gateways_and_not_made() {
    let resources = resources(&room(json!({"push": {"secretName": "ours"}})));
    assert_eq!(resources.push_secret, None);
    assert_eq!(push_volume(&resources)["secretName"], "ours");
}

fn push_volume(resources: &Resources) -> Value {
    secret_volume(resources, "push")
}

/// The Secret of a volume of the gateways; null: there is no such volume.
fn secret_volume(resources: &Resources, name: &str) -> Value {
    let pods = pods(resources);
    let volume = pods.last().unwrap().volumes.iter().flatten().find(|volume| volume.name == name);
    serde_json::to_value(volume.map(|volume| &volume.secret)).unwrap()
}

fn with_functions(more: &Value) -> Value {
    let mut functions = json!({"dialect": "Tencent", "cleanup": {"url": "http://chat.default.svc/cleanup"}});
    functions.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"functions": functions})
}

#[test]
fn what_functions_are_called_with_is_shown_to_the_gateways_where_the_room_names_it() {
    let secrets = |more: &Value| {
        let resources = resources(&room(with_functions(more)));
        ["functions-signing", "functions-ca"].map(|volume| secret_volume(&resources, volume))
    };
    let secret = |name: &str, key: &str, path: &str| json!({"secretName": name, "items": [{"key": key, "path": path}], "optional": true});
    assert_eq!(secrets(&json!({})), [Value::Null, Value::Null]);
    let signing = secret("sign", "keys", "keys");
    assert_eq!(secrets(&json!({"signingSecretRef": {"name": "sign"}})), [signing, Value::Null]);
    assert_eq!(secrets(&json!({"caSecretRef": {"name": "corp"}})), [Value::Null, secret("corp", "ca.crt", "ca.crt")]);
    let named = json!({"caSecretRef": {"name": "corp", "key": "root.pem"}});
    assert_eq!(secrets(&named), [Value::Null, secret("corp", "root.pem", "ca.crt")]);
}

#[test]
fn what_a_room_leaves_out_about_its_functions_is_written_into_the_settings() {
    let cold = |spec: Value| {
        let resources = resources(&room(spec));
        serde_yaml::from_str::<Cold>(annotation(&resources, keys::SETTINGS).unwrap()).unwrap().functions
    };
    assert_eq!(cold(json!({})), None);
    let short = cold(with_functions(&json!({
        "register": {"url": "http://chat.default.svc/register"}, "transport": {"url": "http://chat.default.svc/transport"},
    })));
    let long = cold(with_functions(&json!({
        "register": {"url": "http://chat.default.svc/register", "timeoutSeconds": 3, "onFailure": "Refuse"},
        "transport": {"url": "http://chat.default.svc/transport", "timeoutSeconds": 30, "onFailure": "Close"},
        "cleanup": {"url": "http://chat.default.svc/cleanup", "timeoutSeconds": 10},
        "tencent": {"serviceName": "lobby", "stage": "release", "transportAction": "DataRecv", "forwardRequest": false},
    })));
    assert_eq!(short, long);
    let secrets = cold(with_functions(&json!({"signingSecretRef": {"name": "a"}, "caSecretRef": {"name": "b"}})));
    let told = |functions: Option<chatroom_settings::Functions>| functions.map(|it| (it.signed, it.own_roots));
    assert_eq!((told(short), told(secrets)), (Some((false, false)), Some((true, true))));
}

#[test]
fn pushes_reach_gateways_that_are_not_ready_too() {
    let spec = resources(&ephemeral()).push_service.spec.unwrap();
    assert_eq!(spec.publish_not_ready_addresses, Some(true));
    assert_eq!(spec.selector, resources(&ephemeral()).service.spec.unwrap().selector);
}

#[test]
fn which_clouds_are_spoken_is_a_cold_setting() {
    let cold = |spec: Value| {
        let resources = resources(&room(spec));
        serde_yaml::from_str::<Cold>(annotation(&resources, keys::SETTINGS).unwrap()).unwrap().push.dialects
    };
    assert_eq!(cold(json!({})), [chatroom_settings::Dialect::Tencent]);
    assert_eq!(cold(json!({"push": {"dialects": ["Tencent"]}})), [chatroom_settings::Dialect::Tencent]);
    assert_eq!(cold(json!({"push": {"dialects": []}})), []);
}

#[test]
fn gateways_and_redis_take_a_new_password_together() {
    let room = ephemeral();
    let mut decision = decide(&room, &Observed::default());
    let RedisDecision::Run { credential, .. } = &mut decision.redis else { panic!("ephemeral") };
    credential.0 = 2;
    let resources = desired(&Names::new(&room.identity), &room, &decision);
    assert_eq!(annotation(&resources, keys::REDIS_CREDENTIAL).unwrap(), "2");
    let redis = resources.redis.as_ref().unwrap().deployment.spec.as_ref().unwrap();
    let annotations = redis.template.metadata.as_ref().unwrap().annotations.as_ref().unwrap();
    assert_eq!(annotations[keys::REDIS_CREDENTIAL], "2");
}

#[test]
fn a_suspended_room_has_no_budget_and_all_the_rest() {
    let (awake, asleep) = (resources(&ephemeral()), resources(&room(json!({"suspend": true}))));
    assert_eq!(asleep.deployment.spec.as_ref().unwrap().replicas, Some(0));
    assert_eq!((awake.pod_disruption_budget.is_some(), asleep.pod_disruption_budget.is_some()), (true, false));
    let template = |resources: &Resources| resources.deployment.spec.as_ref().unwrap().template.clone();
    assert_eq!(template(&asleep), template(&awake));
    assert_eq!((asleep.redis, asleep.service, asleep.config_map), (awake.redis, awake.service, awake.config_map));
    assert_eq!((asleep.push_service, asleep.push_secret), (awake.push_service, awake.push_secret));
}

#[test]
fn a_wish_to_restart_stands_on_the_gateways_template_alone() {
    let mut room = ephemeral();
    let before = resources(&room);
    room.restarted_at = Some("2026-11-23T10:00:00Z".to_owned());
    let after = resources(&room);
    assert_eq!(annotation(&after, keys::RESTARTED_AT), room.restarted_at.as_ref());
    assert_eq!(annotation(&before, keys::RESTARTED_AT), None);
    assert_eq!(after.redis, before.redis);
}

#[test]
fn a_redis_that_is_kept_or_removed_is_not_written() {
    let room = external();
    for redis in [RedisDecision::Keep, RedisDecision::Remove] {
        let decision = Decision { redis, ..decide(&room, &Observed::default()) };
        assert_eq!(desired(&Names::new(&room.identity), &room, &decision).redis, None);
    }
}

#[test]
fn selectors_tell_gateways_from_redis() {
    let resources = resources(&ephemeral());
    let selector = resources.service.spec.unwrap().selector.unwrap();
    let redis = resources.redis.unwrap().deployment.spec.unwrap().template.metadata.unwrap().labels.unwrap();
    let keys: BTreeSet<_> = selector.keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from([keys::NAME, keys::INSTANCE, keys::COMPONENT]));
    assert!(selector.iter().any(|(key, value)| redis.get(key) != Some(value)));
}

#[test]
fn the_labels_of_a_room_never_win_over_ours() {
    let room = room(json!({"pod": {"labels": {"team": "chat"}}}));
    let resources = resources(&room);
    let spec = resources.deployment.spec.unwrap();
    let labels = spec.template.metadata.unwrap().labels.unwrap();
    assert_eq!(labels["team"], "chat");
    assert!(spec.selector.match_labels.unwrap().iter().all(|(key, value)| labels.get(key) == Some(value)));
}

fn spread(pod: &Value) -> Value {
    let resources = resources(&room(json!({"pod": pod})));
    let pods = pods(&resources);
    serde_json::to_value(&pods.last().unwrap().topology_spread_constraints).unwrap()
}

#[test]
fn gateways_are_spread_over_zones_and_nodes_unless_the_room_says_otherwise() {
    let keys = |spread: Value| {
        let constraints = spread.as_array().unwrap().clone();
        constraints.into_iter().map(|constraint| constraint["topologyKey"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(keys(spread(&json!({}))), ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]);
    let rack = json!({"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"});
    assert_eq!(keys(spread(&json!({"topologySpreadConstraints": [rack]}))), ["rack"]);
    assert_eq!(spread(&json!({"topologySpreadConstraints": []})), Value::Null);
}

#[test]
fn a_constraint_without_a_selector_counts_the_gateways_of_one_template() {
    let mut constraint = json!({"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"});
    let only = |constraint: &Value| spread(&json!({"topologySpreadConstraints": [constraint]}))[0].clone();
    let filled = only(&constraint);
    assert_eq!(filled["labelSelector"]["matchLabels"][keys::COMPONENT], "gateway");
    assert_eq!(filled["matchLabelKeys"], json!([keys::TEMPLATE_HASH]));
    constraint["matchLabelKeys"] = json!(["version"]);
    assert_eq!(only(&constraint)["matchLabelKeys"], json!(["version"]));
    constraint["labelSelector"] = json!({"matchLabels": {"a": "b"}});
    assert_eq!(only(&constraint), constraint, "whoever selects by himself means it");
}

#[test]
fn with_an_account_of_somebody_else_the_room_makes_none_and_all_its_pods_run_as_that() {
    let resources = resources(&room(json!({"pod": {"serviceAccountName": "chat"}})));
    assert_eq!(resources.service_account, None);
    for pod in pods(&resources) {
        assert_eq!(pod.service_account_name.as_deref(), Some("chat"));
        assert_eq!(pod.automount_service_account_token, Some(false));
    }
}

#[test]
fn redis_outlives_gateways_whose_grace_period_is_overridden() {
    let long = json!({"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 900}}}});
    let resources = resources(&room(json!({"overrides": {"deployment": long}})));
    let [redis, gateway] = pods(&resources)[..] else { panic!("two Deployments") };
    assert_eq!(gateway.termination_grace_period_seconds, Some(900));
    assert!(redis.termination_grace_period_seconds > Some(900));
}
