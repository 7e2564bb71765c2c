//! Rooms that sleep, are paused, or hang: what their status says.

use chatroom_api::{ChatRoom, ChatRoomStatus};
use chatroom_operator::controller::report::{Applied, Outcome, Plan, report};
use chatroom_operator::controller::validate::validate;
use chatroom_operator::decide::decide;
use chatroom_operator::names::Names;
use chatroom_operator::observed::{Observed, PodReport, Waiting};
use chatroom_settings::RedisState;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DeploymentCondition, DeploymentStatus};
use serde_json::{Value, json};

use crate::fixtures::{answer, chat_room, defaults, live, ready_pod, room, settled, status, unreachable};
use crate::report::{assert_known, condition, words};

/// The status of the room after a run that wrote everything.
fn written(room: &ChatRoom, observed: &Observed) -> ChatRoomStatus {
    let valid = validate(room, &defaults()).unwrap();
    let plan = Plan { names: Names::new(&valid.identity), decision: decide(&valid, observed), room: valid };
    let deployment = observed.deployment.clone().unwrap();
    told(room, &Outcome::Applied(Applied { plan, deployment, redis: observed.redis.clone() }), observed)
}

fn told(room: &ChatRoom, outcome: &Outcome, observed: &Observed) -> ChatRoomStatus {
    let status = report(room, outcome, observed, Timestamp::from_second(1).unwrap());
    assert_known(&status);
    status
}

/// The status of a settled room with `spec`, after `change`.
fn after(spec: Value, change: impl FnOnce(&mut Observed)) -> ChatRoomStatus {
    let mut observed = settled(&room(spec.clone()));
    change(&mut observed);
    written(&chat_room(spec), &observed)
}

/// Two old gateways serve, two new ones have been made.
fn rolling(observed: &mut Observed) {
    *status(&mut observed.deployment) = DeploymentStatus {
        observed_generation: Some(1),
        replicas: Some(4),
        updated_replicas: Some(2),
        ready_replicas: Some(2),
        ..DeploymentStatus::default()
    };
}

fn stuck(container: &str, reason: &str, message: &str) -> PodReport {
    let waiting = Waiting { container: container.into(), reason: reason.into(), message: message.into() };
    PodReport { ready: false, waiting: Some(waiting), ..ready_pod("lobby-new", "new") }
}

fn gave_up(observed: &mut Observed) {
    status(&mut observed.deployment).conditions = Some(vec![DeploymentCondition {
        type_: "Progressing".to_owned(),
        status: "False".to_owned(),
        reason: Some("ProgressDeadlineExceeded".to_owned()),
        ..DeploymentCondition::default()
    }]);
}

#[test]
fn a_suspended_room_is_at_rest_and_not_ready() {
    let suspended = json!({"suspend": true});
    let mut observed = settled(&room(suspended.clone()));
    observed.deployment = observed.deployment.map(|deployment| live(deployment, 0));
    observed.gateways.clear();
    observed.pods = vec![PodReport { terminating: true, ..ready_pod("lobby-0", "current") }];
    let status = written(&chat_room(suspended.clone()), &observed);
    let message = "spec.suspend is true: the gateways go, 1 still let clients go";
    assert_eq!(condition(&status, "Ready"), ("False", "Suspended", message));
    assert_eq!(words(&status, "Reconciling"), ("False", "Settled"));
    assert_eq!(words(&status, "Stalled"), ("False", "Progressing"));
    assert_eq!((status.desired_replicas, status.draining_replicas), (Some(0), Some(1)));
    assert_eq!(status.url.as_deref(), Some("ws://lobby.default.svc/"), "where clients will connect again");
    observed.pods.clear();
    let message = "spec.suspend is true: no gateways run, everything else is kept";
    assert_eq!(condition(&written(&chat_room(suspended), &observed), "Ready").2, message);
}

#[test]
fn a_paused_room_says_what_is_there_and_observes_no_new_generation() {
    let mut paused = chat_room(json!({}));
    let mut observed = settled(&room(json!({})));
    paused.status = Some(written(&paused, &observed));
    paused.metadata.generation = Some(2);
    paused.spec.path = "/new".to_owned();
    paused.spec.replicas = 9;
    let status_paused = told(&paused, &Outcome::Paused, &observed);
    assert_eq!(words(&status_paused, "Paused"), ("True", "ReconcileDisabled"));
    assert_eq!(words(&status_paused, "Ready"), ("True", "AllReplicasReady"));
    assert_eq!(words(&status_paused, "Reconciling"), ("False", "ReconcileDisabled"));
    assert_eq!(words(&status_paused, "SettingsCurrent"), ("True", "AllGateways"));
    assert_eq!((status_paused.observed_generation, status_paused.online), (Some(1), Some(7)));
    assert_eq!(
        (status_paused.url.as_deref(), status_paused.desired_replicas),
        (Some("ws://lobby.default.svc/"), Some(2))
    );
    let generations = |type_: &str| {
        let found = status_paused.conditions.iter().find(|found| found.type_ == type_).unwrap();
        found.observed_generation
    };
    assert_eq!((generations("Ready"), generations("Paused")), (Some(1), Some(2)));

    status(&mut observed.deployment).ready_replicas = Some(1);
    let one_gone = told(&paused, &Outcome::Paused, &observed);
    assert_eq!(words(&one_gone, "Ready"), ("False", "ReplicasNotReady"));
    let nothing = told(&paused, &Outcome::Paused, &Observed::default());
    assert_eq!(words(&nothing, "Ready"), ("False", "Paused"));
    assert_eq!(words(&after(json!({}), |_| {}), "Paused"), ("False", "NotPaused"));
}

#[test]
fn a_rollout_that_cannot_start_does_not_read_as_if_all_were_fine() {
    let status = after(json!({}), |observed| {
        rolling(observed);
        observed.pods.push(stuck("gateway", "ImagePullBackOff", "no such image"));
    });
    let message = "2 of 2 gateways take clients, but those of the new version cannot start: pod lobby-new: \
                   ImagePullBackOff: no such image (check spec.image and spec.imagePullSecrets)";
    assert_eq!(condition(&status, "Ready"), ("True", "RolloutBlocked", message));
    assert_eq!(words(&status, "Reconciling"), ("True", "RollingOut"));
    assert_eq!(words(&status, "Stalled"), ("False", "Progressing"));

    let given_up = after(json!({}), |observed| {
        rolling(observed);
        gave_up(observed);
    });
    assert_eq!(words(&given_up, "Ready"), ("True", "RolloutBlocked"));
    assert_eq!(words(&given_up, "Reconciling"), ("False", "Stalled"));
    assert_eq!(words(&given_up, "Stalled"), ("True", "ProgressDeadlineExceeded"));
}

#[test]
fn a_blink_of_redis_does_not_block_a_rollout_that_it_does_not_hold_up() {
    let blink = |ready: bool| {
        after(json!({}), |observed| {
            rolling(observed);
            let gateway = answer(observed, 1);
            (gateway.redis.state, gateway.ready) = (RedisState::Unreachable, ready);
        })
    };
    assert_eq!(words(&blink(true), "Ready"), ("True", "AllReplicasReady"));
    assert_eq!(words(&blink(false), "Ready"), ("True", "RolloutBlocked"));
}

#[test]
fn each_obstacle_comes_with_what_to_do() {
    for (container, reason, said, expected) in [
        (
            "gateway",
            "CrashLoopBackOff",
            "exit code 2: no such file",
            "pod lobby-new: CrashLoopBackOff: exit code 2: no such file (kubectl logs lobby-new --previous says more)",
        ),
        (
            "proxy",
            "Error",
            "exit code 1",
            "pod lobby-new, container proxy: Error: exit code 1 (kubectl logs lobby-new --previous says more)",
        ),
        ("gateway", "OOMKilled", "", "pod lobby-new: OOMKilled (raise spec.pod.resources.limits.memory)"),
        (
            "",
            "Unschedulable",
            "persistentvolumeclaim \"d\" not found",
            "pod lobby-new: Unschedulable: persistentvolumeclaim \"d\" not found (make the claim, or take it out of spec.overrides)",
        ),
        (
            "",
            "Unschedulable",
            "0/3 nodes are available",
            "pod lobby-new: Unschedulable: 0/3 nodes are available (add nodes, or ask for less: spec.pod, and spec.rollout.maxSurge while gateways are replaced)",
        ),
    ] {
        let status = after(json!({}), |observed| {
            status(&mut observed.deployment).ready_replicas = Some(1);
            observed.pods[1] = stuck(container, reason, said);
        });
        let message = format!("1 of 2 gateways take clients: {expected}");
        assert_eq!(condition(&status, "Ready"), ("False", "ReplicasNotReady", message.as_str()));
    }
}

#[test]
fn a_secret_without_which_no_container_is_made_has_its_reason() {
    let status = after(json!({}), |observed| {
        status(&mut observed.deployment).ready_replicas = Some(1);
        observed.pods[1] = stuck("gateway", "CreateContainerConfigError", "secret \"keys\" not found");
    });
    let message = "1 of 2 gateways take clients: pod lobby-new: CreateContainerConfigError: secret \"keys\" not found (make \
                   what is missing, or take it out of the room)";
    assert_eq!(condition(&status, "Ready"), ("False", "SecretNotFound", message));
}

#[test]
fn the_url_follows_the_gateways_that_take_clients() {
    let mut moved = chat_room(json!({}));
    let mut observed = settled(&room(json!({})));
    moved.status = Some(written(&moved, &observed));
    moved.spec.path = "/new".to_owned();
    let url = |observed: &Observed| written(&moved, observed).url.unwrap();
    let (old, new) = ("ws://lobby.default.svc/", "ws://lobby.default.svc/new");

    status(&mut observed.deployment).observed_generation = Some(0);
    assert_eq!(url(&observed), old, "written, and not taken up yet");
    rolling(&mut observed);
    status(&mut observed.deployment).ready_replicas = Some(4);
    assert_eq!(url(&observed), old, "old ones still take clients");
    status(&mut observed.deployment).replicas = Some(2);
    assert_eq!(url(&observed), new, "the old ones are going");
    rolling(&mut observed);
    status(&mut observed.deployment).ready_replicas = Some(0);
    assert_eq!(url(&observed), new, "nobody serves the old one");
}

#[test]
fn credentials_that_are_gone_under_a_live_connection_are_told() {
    let external = json!({"redis": {"external": {"urlSecretRef": {"name": "redis", "key": "url"}}}});
    for (spec, file) in [(external, "redis/url"), (json!({}), "redis/password")] {
        let status = after(spec, |observed| answer(observed, 1).missing = vec![file.to_owned()]);
        assert_eq!(words(&status, "RedisReady"), ("True", "SecretNotFound"));
        assert_eq!(words(&status, "Ready"), ("True", "AllReplicasReady"));
        let (_, _, message) = condition(&status, "RedisReady");
        assert!(message.starts_with("1 of 2 gateways: "), "{message}");
    }
}

#[test]
fn a_change_of_hot_settings_is_counted_until_it_has_arrived() {
    let told = |change: &dyn Fn(&mut Observed)| {
        let status = after(json!({}), change);
        let (truth, reason, message) = condition(&status, "SettingsCurrent");
        (truth.to_owned(), reason.to_owned(), message.to_owned())
    };
    let expect = |truth: &str, reason: &str, message: &str| (truth.to_owned(), reason.to_owned(), message.to_owned());
    let current = "2 of 2 gateways run the current settings";
    assert_eq!(told(&|_| {}), expect("True", "AllGateways", current));
    let spreading = "1 of 2 gateways run the current settings; the others get them within about 90 seconds";
    let late = |observed: &mut Observed| answer(observed, 0).hot_hash = "before".to_owned();
    assert_eq!(told(&late), expect("False", "Spreading", spreading));
    let silent = "1 of 2 gateways run the current settings; 1 do not answer";
    let cut_off = |observed: &mut Observed| observed.gateways[0] = unreachable("lobby-0");
    assert_eq!(told(&cut_off), expect("Unknown", "GatewaysUnreachable", silent));
    let refused = "1 of 2 gateways go on with the last good settings: failed to parse hot.yaml";
    let wrong = |observed: &mut Observed| answer(observed, 0).settings_problem = "failed to parse hot.yaml".to_owned();
    assert_eq!(told(&wrong), expect("False", "SettingsRefused", refused));
    let nobody = |observed: &mut Observed| observed.gateways.clear();
    assert_eq!(told(&nobody).1, "NoGateways");
    // Who goes does not need them any more.
    let going = |observed: &mut Observed| {
        late(observed);
        answer(observed, 0).draining = true;
        observed.gateways.push(unreachable("lobby-old"));
        observed.pods.push(PodReport { terminating: true, ..ready_pod("lobby-old", "old") });
    };
    assert_eq!(told(&going), expect("True", "AllGateways", "1 of 1 gateways run the current settings"));
}
