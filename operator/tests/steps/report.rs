//! What happened → the status that people and tools read.

use chatroom_api::{ChatRoom, ChatRoomStatus};
use chatroom_operator::controller::report::{Applied, ApplyFailure, FailureKind, Outcome, Plan, report};
use chatroom_operator::controller::validate::validate;
use chatroom_operator::decide::decide;
use chatroom_operator::names::Names;
use chatroom_operator::observed::{Observed, PodReport, Waiting};
use chatroom_settings::RedisState;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DeploymentCondition;
use serde_json::{Value, json};

use crate::fixtures::{answer, chat_room, connected, defaults, ready_pod, room, settled, status, unreachable};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn plan(room: &ChatRoom, observed: &Observed) -> Plan {
    let room = validate(room, &defaults()).unwrap();
    Plan { names: Names::new(&room.identity), decision: decide(&room, observed), room }
}

pub(crate) fn applied(room: &ChatRoom, observed: &Observed) -> Outcome {
    Outcome::Applied(Applied {
        plan: plan(room, observed),
        deployment: observed.deployment.clone().unwrap(),
        redis: observed.redis.clone(),
    })
}

fn failed(room: &ChatRoom, kind: FailureKind) -> Outcome {
    let failure = ApplyFailure { object: "Deployment lobby".to_owned(), kind, message: "said no".to_owned() };
    Outcome::Failed(plan(room, &Observed::default()), failure)
}

/// The status of a settled room with `spec`, after `change`.
pub(crate) fn after(spec: Value, change: impl FnOnce(&mut Observed)) -> ChatRoomStatus {
    let chat_room = chat_room(spec.clone());
    let mut observed = settled(&room(spec));
    change(&mut observed);
    let status = report(&chat_room, &applied(&chat_room, &observed), &observed, at(1));
    assert_known(&status);
    status
}

/// Every word of a condition is one that the vocabulary lists, with the status that it says.
pub(crate) fn assert_known(status: &ChatRoomStatus) {
    for found in &status.conditions {
        let type_ = chatroom_api::condition::TYPES.iter().find(|type_| type_.name == found.type_);
        let reason = type_.and_then(|type_| type_.reasons.iter().find(|reason| reason.name == found.reason));
        let reason = reason.unwrap_or_else(|| panic!("not in the vocabulary: {found:?}"));
        assert!(reason.status.split(", ").any(|status| status == found.status), "{found:?} is listed as {reason:?}");
    }
}

pub(crate) fn condition<'a>(status: &'a ChatRoomStatus, type_: &str) -> (&'a str, &'a str, &'a str) {
    let condition = status.conditions.iter().find(|condition| condition.type_ == type_).unwrap();
    (&condition.status, &condition.reason, &condition.message)
}

pub(crate) fn words<'a>(status: &'a ChatRoomStatus, type_: &str) -> (&'a str, &'a str) {
    let (status, reason, _) = condition(status, type_);
    (status, reason)
}

fn waiting(reason: &str, message: &str) -> PodReport {
    let waiting = Waiting { container: "gateway".into(), reason: reason.to_owned(), message: message.to_owned() };
    PodReport { ready: false, waiting: Some(waiting), ..ready_pod("lobby-1", "current") }
}

fn one_not_ready(observed: &mut Observed) {
    status(&mut observed.deployment).ready_replicas = Some(1);
}

#[test]
fn a_settled_room_is_ready_and_says_what_it_is() {
    let status = after(json!({"path": "/chat"}), |_| {});
    assert_eq!(words(&status, "Ready"), ("True", "AllReplicasReady"));
    assert_eq!(words(&status, "Reconciling"), ("False", "Settled"));
    assert_eq!(words(&status, "Stalled"), ("False", "Progressing"));
    assert_eq!(words(&status, "RedisReady"), ("True", "Connected"));
    assert_eq!(words(&status, "PushReady"), ("True", "Accepting"));
    assert_eq!(status.push_url.as_deref(), Some("http://lobby-push.default.svc/push"));
    assert_eq!(status.push_secret_name.as_deref(), Some("lobby-push"));
    assert_eq!(status.url.as_deref(), Some("ws://lobby.default.svc/chat"));
    assert_eq!(status.image.as_deref(), Some("gateway:1"));
    assert_eq!(status.redis.as_deref(), Some("Ephemeral"));
    assert_eq!((status.replicas, status.ready_replicas, status.desired_replicas), (Some(2), Some(2), Some(2)));
    assert_eq!((status.online, status.draining_replicas, status.observed_generation), (Some(7), Some(0), Some(1)));
    let selector =
        "app.kubernetes.io/component=gateway,app.kubernetes.io/instance=lobby,app.kubernetes.io/name=chatroom-gateway";
    assert_eq!(status.selector.as_deref(), Some(selector));
}

#[test]
fn at_rest_the_status_does_not_change() {
    let mut chat_room = chat_room(json!({}));
    let observed = settled(&room(json!({})));
    let outcome = applied(&chat_room, &observed);
    let first = report(&chat_room, &outcome, &observed, at(1));
    chat_room.status = Some(first.clone());
    assert_eq!(report(&chat_room, &outcome, &observed, at(1000)), first);
}

#[test]
fn the_url_is_known_before_the_first_pod() {
    let chat_room = chat_room(json!({}));
    let status = report(&chat_room, &failed(&chat_room, FailureKind::Transient), &Observed::default(), at(1));
    assert_eq!(status.url.as_deref(), Some("ws://lobby.default.svc/"));
    assert_eq!(status.push_url.as_deref(), Some("http://lobby-push.default.svc/push"));
}

#[test]
fn push_keys_that_are_missing_are_told_with_the_secret_and_say_nothing_against_the_room() {
    let missing = |observed: &mut Observed| answer(observed, 1).missing = vec!["push/keys".to_owned()];
    let theirs = after(json!({"push": {"secretName": "ours"}}), missing);
    let message = "1 of 2 gateways: there is no Secret ours with the key keys (once it is there, gateways find it within about \
                   90 seconds); pushes to them are answered with 503";
    assert_eq!(condition(&theirs, "PushReady"), ("False", "KeysNotFound", message));
    assert_eq!(theirs.push_secret_name.as_deref(), Some("ours"));
    assert_eq!(words(&theirs, "Ready"), ("True", "AllReplicasReady"));
    assert_eq!(words(&theirs, "RedisReady"), ("True", "Connected"));
    assert_eq!(words(&theirs, "Reconciling"), ("False", "Settled"));
    let refused = after(json!({}), |observed| answer(observed, 0).refused = vec!["push/keys".to_owned()]);
    let message = "1 of 2 gateways: a line under keys of Secret lobby-push is no push key, which has at least 16 visible \
                   characters of ASCII; the other lines count";
    assert_eq!(condition(&refused, "PushReady"), ("False", "KeysRefused", message));
    let ours = after(json!({}), missing);
    let (_, _, message) = condition(&ours, "PushReady");
    assert!(message.contains("Secret lobby-push, which has been made"), "{message}");
}

#[test]
fn a_healthy_rollout_leaves_ready_alone() {
    let status = after(json!({}), |observed| {
        status(&mut observed.deployment).replicas = Some(4);
        status(&mut observed.deployment).updated_replicas = Some(2);
        status(&mut observed.deployment).ready_replicas = Some(3);
    });
    assert_eq!(words(&status, "Ready"), ("True", "AllReplicasReady"));
    assert_eq!(words(&status, "Reconciling"), ("True", "RollingOut"));
}

#[test]
fn an_old_status_of_the_deployment_settles_nothing() {
    let status = after(json!({}), |observed| status(&mut observed.deployment).observed_generation = Some(0));
    assert_eq!(words(&status, "Reconciling"), ("True", "RollingOut"));
}

#[test]
fn pods_that_drain_do_not_hold_up_whoever_waits_for_the_room() {
    let status = after(json!({}), |observed| {
        observed.pods.push(PodReport { terminating: true, ..ready_pod("lobby-old", "old") });
    });
    assert_eq!(words(&status, "Reconciling"), ("False", "Settled"));
    assert_eq!(status.draining_replicas, Some(1));
}

#[test]
fn a_room_that_asks_for_nobody_is_ready() {
    assert_eq!(words(&after(json!({"replicas": 0}), |_| {}), "Ready"), ("True", "NoReplicas"));
}

#[test]
fn ready_says_why_a_pod_does_not_start() {
    let status = after(json!({}), |observed| {
        one_not_ready(observed);
        observed.pods[1] = waiting("ImagePullBackOff", "Back-off pulling image \"gateway:1\"");
    });
    let message = "1 of 2 gateways take clients: pod lobby-1: ImagePullBackOff: Back-off pulling image \"gateway:1\" \
                   (check spec.image and spec.imagePullSecrets)";
    assert_eq!(condition(&status, "Ready"), ("False", "ReplicasNotReady", message));
    assert_eq!(words(&status, "Reconciling"), ("True", "WaitingForPods"));
}

#[test]
fn ready_speaks_of_others_only_where_there_are_some() {
    let ready = |count| {
        let status = after(json!({}), |observed| status(&mut observed.deployment).ready_replicas = Some(count));
        condition(&status, "Ready").2.to_owned()
    };
    assert_eq!(ready(1), "1 of 2 gateways take clients: the others are not ready");
    assert_eq!(ready(0), "0 of 2 gateways take clients: they are not ready");
}

#[test]
fn ready_says_that_a_quota_is_in_the_way() {
    let status = after(json!({}), |observed| {
        one_not_ready(observed);
        status(&mut observed.deployment).conditions = Some(vec![DeploymentCondition {
            type_: "ReplicaFailure".to_owned(),
            status: "True".to_owned(),
            message: Some("exceeded quota: small".to_owned()),
            ..DeploymentCondition::default()
        }]);
    });
    let (_, _, message) = condition(&status, "Ready");
    let advice = "(raise the quota, or ask for less: spec.replicas, spec.rollout.maxSurge, spec.pod.resources)";
    assert_eq!(
        message,
        format!("1 of 2 gateways take clients: pods cannot be created: exceeded quota: small {advice}")
    );
}

#[test]
fn ready_says_that_somebody_has_paused_the_deployment() {
    let status = after(json!({}), |observed| {
        status(&mut observed.deployment).updated_replicas = Some(0);
        observed.deployment.as_mut().unwrap().spec.as_mut().unwrap().paused = Some(true);
    });
    let why = "Deployment lobby is paused (kubectl rollout resume deployment lobby)";
    let ready = format!("2 of 2 gateways take clients, but those of the new version cannot start: {why}");
    assert_eq!(condition(&status, "Ready"), ("True", "RolloutBlocked", ready.as_str()));
    let rolling = format!("0 of 2 gateways run the current version; in the way: {why}");
    assert_eq!(condition(&status, "Reconciling"), ("True", "RollingOut", rolling.as_str()));
}

#[test]
fn ready_says_that_redis_is_in_the_way() {
    let status = after(json!({}), |observed| {
        one_not_ready(observed);
        answer(observed, 1).redis.state = RedisState::Unreachable;
        observed.redis_pods = vec![waiting("Unschedulable", "0/3 nodes")];
        observed.redis_pods[0].waiting.as_mut().unwrap().container.clear();
    });
    let why = "1 of 2 gateways: Redis cannot be reached (pod lobby-1: Unschedulable: 0/3 nodes)";
    assert_eq!(condition(&status, "RedisReady"), ("False", "ConnectFailed", why));
    let message = format!("1 of 2 gateways take clients: {why}");
    assert_eq!(condition(&status, "Ready"), ("False", "RedisNotReady", message.as_str()));
}

#[test]
fn ready_names_the_secret_that_has_to_be_made() {
    let external = json!({"redis": {"external": {"urlSecretRef": {"name": "chat-redis-url", "key": "address"}}}});
    let missing = |observed: &mut Observed| {
        let gateway = answer(observed, 1);
        gateway.redis.state = RedisState::CredentialsMissing;
        gateway.ready = false;
        gateway.missing = vec!["redis/url".to_owned()];
    };
    let why = "1 of 2 gateways: there is no Secret chat-redis-url with the key address (once it is there, gateways find it \
               within about 90 seconds)";
    let new = after(external.clone(), |observed| {
        one_not_ready(observed);
        missing(observed);
    });
    let message = format!("1 of 2 gateways take clients: {why}");
    assert_eq!(condition(&new, "Ready"), ("False", "SecretNotFound", message.as_str()));
    assert_eq!(condition(&new, "RedisReady"), ("False", "SecretNotFound", why));

    // In a rollout the old gateways go on; what it waits for is said all the same.
    let status = after(external, |observed| {
        status(&mut observed.deployment).updated_replicas = Some(1);
        missing(observed);
    });
    let message = format!("1 of 2 gateways run the current version; in the way: {why}");
    assert_eq!(condition(&status, "Reconciling"), ("True", "RollingOut", message.as_str()));
    let message = format!("2 of 2 gateways take clients, but those of the new version cannot start: {why}");
    assert_eq!(condition(&status, "Ready"), ("True", "RolloutBlocked", message.as_str()));
}

#[test]
fn ready_says_that_redis_may_not_even_be_created() {
    let status = after(json!({}), |observed| {
        one_not_ready(observed);
        answer(observed, 1).redis.state = RedisState::Unreachable;
        observed.redis_pods.clear();
        status(&mut observed.redis).conditions = Some(vec![DeploymentCondition {
            type_: "ReplicaFailure".to_owned(),
            status: "True".to_owned(),
            message: Some("exceeded quota: small".to_owned()),
            ..DeploymentCondition::default()
        }]);
    });
    let why = "1 of 2 gateways: Redis cannot be reached (pods cannot be created: exceeded quota: small)";
    assert_eq!(condition(&status, "RedisReady"), ("False", "ConnectFailed", why));
}

#[test]
fn a_deployment_that_gave_up_is_stalled_and_no_longer_reconciling() {
    let gave_up = |observed: &mut Observed| {
        one_not_ready(observed);
        status(&mut observed.deployment).conditions = Some(vec![DeploymentCondition {
            type_: "Progressing".to_owned(),
            status: "False".to_owned(),
            reason: Some("ProgressDeadlineExceeded".to_owned()),
            ..DeploymentCondition::default()
        }]);
    };
    let status = after(json!({}), gave_up);
    assert_eq!(words(&status, "Stalled"), ("True", "ProgressDeadlineExceeded"));
    assert_eq!(words(&status, "Reconciling"), ("False", "Stalled"));
    let status = after(json!({}), |observed| {
        gave_up(observed);
        observed.pods[1] = waiting("ErrImagePull", "not found");
    });
    assert_eq!(words(&status, "Stalled"), ("True", "ImagePullFailed"));
}

#[test]
fn a_rollout_that_was_given_up_says_how_long_it_was_waited_for() {
    let status = after(json!({"overrides": {"deployment": {"spec": {"progressDeadlineSeconds": 45}}}}), |observed| {
        let status = status(&mut observed.deployment);
        status.updated_replicas = Some(1);
        status.conditions = Some(vec![DeploymentCondition {
            type_: "Progressing".to_owned(),
            status: "False".to_owned(),
            reason: Some("ProgressDeadlineExceeded".to_owned()),
            ..DeploymentCondition::default()
        }]);
    });
    let (_, reason, message) = condition(&status, "Ready");
    assert_eq!(reason, "RolloutBlocked");
    assert!(message.ends_with("they have not become ready within 45 s"), "{message}");
}

#[test]
fn an_override_that_does_not_fit_has_a_reason_of_its_own() {
    let chat_room = chat_room(json!({"overrides": {"service": {"spec": {"ports": 1}}}}));
    let invalid = validate(&chat_room, &defaults()).unwrap_err();
    let status = report(&chat_room, &Outcome::Invalid(invalid), &Observed::default(), at(1));
    assert_eq!(words(&status, "Stalled"), ("True", "InvalidOverride"));
    assert_eq!(words(&status, "Ready"), ("False", "InvalidSpec"));
}

#[test]
fn an_invalid_room_is_stalled_with_all_its_mistakes_and_keeps_what_was_known() {
    let mut chat_room = chat_room(json!({}));
    let observed = settled(&room(json!({})));
    chat_room.status = Some(report(&chat_room, &applied(&chat_room, &observed), &observed, at(1)));
    chat_room.spec.replicas = -1;
    chat_room.spec.path = "x".to_owned();
    chat_room.metadata.generation = Some(2);
    let invalid = validate(&chat_room, &defaults()).unwrap_err();
    let status = report(&chat_room, &Outcome::Invalid(invalid), &observed, at(2));
    let message = "spec.replicas: must be 0 to 500, is -1; spec.path: must begin with '/', is 'x'";
    assert_eq!(condition(&status, "Stalled"), ("True", "InvalidSpec", message));
    assert_eq!(words(&status, "Ready"), ("False", "InvalidSpec"));
    assert_eq!(words(&status, "Reconciling"), ("False", "Stalled"));
    assert_eq!(status.url.as_deref(), Some("ws://lobby.default.svc/"));
    assert_eq!((status.ready_replicas, status.observed_generation), (Some(2), Some(2)));
}

#[test]
fn a_permanent_failure_stalls_and_a_passing_one_does_not() {
    let chat_room = chat_room(json!({}));
    let observed = settled(&room(json!({})));
    for (kind, reason) in [
        (FailureKind::ForeignObject, "ForeignObject"),
        (FailureKind::Forbidden, "Forbidden"),
        (FailureKind::Rejected, "Rejected"),
    ] {
        let status = report(&chat_room, &failed(&chat_room, kind), &observed, at(1));
        assert_eq!(condition(&status, "Stalled"), ("True", reason, "Deployment lobby: said no"));
        assert_eq!(words(&status, "Ready"), ("False", "ApplyFailed"));
        assert_eq!(status.observed_generation, Some(1));
    }
    let status = report(&chat_room, &failed(&chat_room, FailureKind::Transient), &observed, at(1));
    assert_eq!(words(&status, "Ready"), ("True", "AllReplicasReady"));
    assert_eq!(words(&status, "Reconciling"), ("True", "ApplyingChanges"));
    assert_eq!(words(&status, "Stalled"), ("False", "Progressing"));
    assert_eq!(status.observed_generation, None);
}

#[test]
fn gateways_that_cannot_be_asked_say_nothing_against_the_room() {
    let status = after(json!({}), |observed| {
        observed.gateways = vec![unreachable("lobby-0"), unreachable("lobby-1")];
    });
    assert_eq!(status.online, None);
    assert_eq!(words(&status, "RedisReady"), ("Unknown", "GatewaysUnreachable"));
    assert_eq!(words(&status, "PushReady"), ("Unknown", "GatewaysUnreachable"));
    assert_eq!(words(&status, "Ready"), ("True", "AllReplicasReady"));
    let nobody = after(json!({}), |observed| observed.gateways.clear());
    assert_eq!(words(&nobody, "RedisReady"), ("Unknown", "NoGateways"));
    assert_eq!(words(&nobody, "PushReady"), ("Unknown", "NoGateways"));
}

#[test]
fn each_trouble_with_redis_has_its_reason() {
    let nobody_knows = after(json!({}), |observed| {
        (0..2).for_each(|index| answer(observed, index).redis.state = RedisState::Unknown);
    });
    assert_eq!(words(&nobody_knows, "RedisReady"), ("Unknown", "Starting"));
    for (state, expected) in [
        (RedisState::NotUsed, ("True", "Connected")),
        (RedisState::CredentialsMissing, ("False", "SecretNotFound")),
        (RedisState::CredentialsRefused, ("False", "CredentialsRefused")),
        (RedisState::Unsuitable, ("False", "Unsuitable")),
    ] {
        let status = after(json!({}), |observed| answer(observed, 1).redis.state = state);
        assert_eq!(words(&status, "RedisReady"), expected);
    }
}

#[test]
fn a_gateway_that_starts_does_not_make_the_others_forget_redis() {
    let status = after(json!({}), |observed| answer(observed, 1).redis.state = RedisState::Unknown);
    assert_eq!(words(&status, "RedisReady"), ("True", "Connected"));
    let status = after(json!({}), |observed| {
        answer(observed, 0).redis.state = RedisState::Unreachable;
        answer(observed, 1).redis.state = RedisState::Unknown;
    });
    assert_eq!(words(&status, "RedisReady"), ("False", "ConnectFailed"));
}

#[test]
fn the_online_count_is_that_of_the_gateway_that_asked_last() {
    let status = after(json!({}), |observed| {
        answer(observed, 0).online = Some(9);
        observed.gateways.push(unreachable("lobby-2"));
        let mut isolated = connected("lobby-3");
        isolated.answer.as_mut().unwrap().isolated = true;
        isolated.answer.as_mut().unwrap().online = Some(1000);
        observed.gateways.push(isolated);
    });
    assert_eq!(status.online, Some(9));
}
