//! Which Redis a room runs, when it is restarted for a new password, when the old one may go; the same of its account.

use chatroom_operator::decide::{CredentialStamp, PushDecision, RedisDecision, ServiceAccountDecision, decide};
use chatroom_operator::names::keys;
use chatroom_operator::observed::Observed;
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;

use crate::fixtures::{answer, ephemeral, external, ready_pod, room, settled, status};

struct Run {
    image: String,
    credential: u32,
    create_secret: bool,
}

fn run(observed: &Observed) -> Run {
    match decide(&ephemeral(), observed).redis {
        RedisDecision::Run { image, credential: CredentialStamp(credential), create_secret } => {
            Run { image: image.to_string(), credential, create_secret }
        }
        other => panic!("{other:?}"),
    }
}

fn stamp(deployment: &mut Option<Deployment>, stamp: &str) {
    let template = &mut deployment.as_mut().unwrap().spec.as_mut().unwrap().template;
    let annotations = template.metadata.get_or_insert_default().annotations.get_or_insert_default();
    annotations.insert(keys::REDIS_CREDENTIAL.to_owned(), stamp.to_owned());
}

fn refused(observed: &mut Observed) {
    answer(observed, 1).refused = vec!["redis/password".to_owned()];
}

/// The highest stamp on the live templates.
fn decided_before(observed: &Observed) -> u32 {
    let calm = Observed { gateways: Vec::new(), ..observed.clone() };
    run(&calm).credential
}

fn live_image(observed: &mut Observed, image: &str) {
    let spec = observed.redis.as_mut().unwrap().spec.as_mut().unwrap();
    spec.template.spec.as_mut().unwrap().containers[0].image = Some(image.to_owned());
}

#[test]
fn a_room_gets_the_replicas_that_it_asks_for() {
    assert_eq!(decide(&room(json!({"replicas": 7})), &Observed::default()).replicas, 7);
}

#[test]
fn a_suspended_room_gets_none_and_keeps_its_redis() {
    let suspended = room(json!({"replicas": 7, "suspend": true}));
    let decision = decide(&suspended, &settled(&ephemeral()));
    assert_eq!(decision.replicas, 0);
    assert!(matches!(decision.redis, RedisDecision::Run { .. }), "{decision:?}");
}

#[test]
fn taking_the_wish_to_restart_away_is_no_wish_to_restart() {
    const LIVE: &str = "2026-11-23T10:00:00Z";
    let mut observed = settled(&ephemeral());
    assert_eq!(decide(&ephemeral(), &observed).restarted_at, None);
    let template = &mut observed.deployment.as_mut().unwrap().spec.as_mut().unwrap().template;
    let annotations = template.metadata.get_or_insert_default().annotations.get_or_insert_default();
    annotations.insert(keys::RESTARTED_AT.to_owned(), LIVE.to_owned());
    assert_eq!(decide(&ephemeral(), &observed).restarted_at.as_deref(), Some(LIVE));
    let mut again = ephemeral();
    again.restarted_at = Some("2026-11-24T10:00:00Z".to_owned());
    assert_eq!(decide(&again, &observed).restarted_at, again.restarted_at);
}

#[test]
fn the_first_run_creates_the_password_and_the_next_one_leaves_it() {
    assert!(run(&Observed::default()).create_secret);
    assert!(!run(&settled(&ephemeral())).create_secret);
}

#[test]
fn a_password_that_a_gateway_misses_is_created_again() {
    let mut observed = settled(&ephemeral());
    answer(&mut observed, 0).missing = vec!["redis/password".to_owned()];
    assert!(run(&observed).create_secret);
}

#[test]
fn push_keys_are_made_before_any_gateway_is_told_of_them_and_again_when_one_misses_them() {
    let create = |observed: &Observed| decide(&ephemeral(), observed).push;
    let [make, leave] = [true, false].map(|create_secret| PushDecision::Generate { create_secret });
    assert_eq!(create(&Observed::default()), make);
    let mut observed = settled(&ephemeral());
    assert_eq!(create(&observed), leave);
    answer(&mut observed, 1).missing = vec!["redis/keys".to_owned(), "push/other".to_owned()];
    assert_eq!(create(&observed), leave);
    answer(&mut observed, 1).missing = vec!["push/keys".to_owned()];
    assert_eq!(create(&observed), make);
}

#[test]
fn gateways_of_a_version_without_push_do_not_say_what_they_miss_so_the_keys_are_made_before_them() {
    let mut observed = settled(&ephemeral());
    let pod = observed.deployment.as_mut().unwrap().spec.as_mut().unwrap().template.spec.as_mut().unwrap();
    pod.volumes.as_mut().unwrap().retain(|volume| volume.name != "push");
    assert_eq!(decide(&ephemeral(), &observed).push, PushDecision::Generate { create_secret: true });
}

#[test]
fn keys_of_somebody_else_are_left_to_them() {
    let room = room(json!({"push": {"secretName": "ours"}}));
    let mut observed = settled(&room);
    answer(&mut observed, 0).missing = vec!["push/keys".to_owned()];
    assert_eq!(decide(&room, &observed).push, PushDecision::Leave);
    assert_eq!(decide(&ephemeral(), &observed).push, PushDecision::Generate { create_secret: true }, "taken back");
}

#[test]
fn a_refused_password_restarts_redis_and_gateways_once() {
    let mut observed = settled(&ephemeral());
    refused(&mut observed);
    assert_eq!(run(&observed).credential, 1);
    // Written to both, but not taken up yet: the old refusal calls for nothing more.
    stamp(&mut observed.deployment, "1");
    stamp(&mut observed.redis, "1");
    status(&mut observed.redis).observed_generation = Some(0);
    assert_eq!(run(&observed).credential, 1);
}

#[test]
fn a_refusal_does_not_count_while_redis_itself_is_being_replaced() {
    let replace: [fn(&mut Observed); 2] = [
        |observed| status(&mut observed.redis).available_replicas = Some(0),
        |observed| stamp(&mut observed.redis, "1"),
    ];
    for (index, replace) in replace.into_iter().enumerate() {
        let mut observed = settled(&ephemeral());
        refused(&mut observed);
        replace(&mut observed);
        let stamped = decided_before(&observed);
        assert_eq!(run(&observed).credential, stamped, "case {index}");
    }
}

#[test]
fn a_rollout_that_waits_for_the_password_is_no_reason_to_wait_with_the_restart() {
    let mut observed = settled(&ephemeral());
    refused(&mut observed);
    status(&mut observed.deployment).updated_replicas = Some(1);
    observed.pods.push(ready_pod("lobby-old", "old"));
    assert_eq!(run(&observed).credential, 1);
}

#[test]
fn the_refusal_of_a_gateway_from_before_the_restart_does_not_call_for_another() {
    let mut observed = settled(&ephemeral());
    refused(&mut observed);
    stamp(&mut observed.deployment, "1");
    stamp(&mut observed.redis, "1");
    assert_eq!(run(&observed).credential, 1);
    for pod in &mut observed.pods {
        pod.redis_credential = 1;
    }
    assert_eq!(run(&observed).credential, 2);
}

#[test]
fn the_refusal_of_a_draining_gateway_does_not_count() {
    let mut observed = settled(&ephemeral());
    refused(&mut observed);
    answer(&mut observed, 1).draining = true;
    assert_eq!(run(&observed).credential, 0);
}

#[test]
fn the_stamp_survives_the_loss_of_one_deployment() {
    let mut observed = settled(&ephemeral());
    stamp(&mut observed.deployment, "3");
    observed.redis = None;
    assert_eq!(run(&observed).credential, 3);
}

#[test]
fn a_redis_that_serves_keeps_its_image_over_an_upgrade() {
    let mut observed = settled(&ephemeral());
    live_image(&mut observed, "redis:0");
    assert_eq!(run(&observed).image, "redis:0");
}

#[test]
fn a_redis_that_is_down_or_restarts_anyway_gets_the_current_image() {
    let mut down = settled(&ephemeral());
    live_image(&mut down, "redis:0");
    status(&mut down.redis).available_replicas = None;
    assert_eq!(run(&down).image, "redis:1");

    let mut restarts = settled(&ephemeral());
    live_image(&mut restarts, "redis:0");
    refused(&mut restarts);
    assert_eq!(run(&restarts).image, "redis:1");
}

#[test]
fn a_room_that_never_had_its_own_redis_has_none_to_keep() {
    assert_eq!(decide(&external(), &settled(&external())).redis, RedisDecision::Remove);
}

#[test]
fn the_old_redis_goes_only_after_its_last_gateway() {
    let redis = |observed: &Observed| decide(&external(), observed).redis;
    // The room was just switched: the gateways' template is the old one.
    let mut observed = settled(&ephemeral());
    assert_eq!(redis(&observed), RedisDecision::Keep);
    // The new template is written, and not taken up yet.
    observed.deployment = settled(&external()).deployment;
    status(&mut observed.deployment).observed_generation = Some(0);
    assert_eq!(redis(&observed), RedisDecision::Keep);
    // All new pods run; an old one still drains.
    observed.deployment = settled(&external()).deployment;
    let mut draining = ready_pod("lobby-old", "old");
    draining.terminating = true;
    observed.pods.push(draining);
    assert_eq!(redis(&observed), RedisDecision::Keep);
    // It is gone.
    observed.pods.pop();
    assert_eq!(redis(&observed), RedisDecision::Remove);
}

#[test]
fn an_account_of_the_rooms_own_goes_when_no_pod_runs_as_it_any_more() {
    let before = room(json!({}));
    let after = room(json!({"pod": {"serviceAccountName": "chat"}}));
    let decided = |observed: &Observed| decide(&after, observed).service_account;
    assert_eq!(decide(&before, &settled(&before)).service_account, ServiceAccountDecision::Make);
    assert_eq!(decided(&settled(&before)), ServiceAccountDecision::Keep, "the templates still name it");
    let mut rolling = settled(&after);
    status(&mut rolling.deployment).updated_replicas = Some(1);
    assert_eq!(decided(&rolling), ServiceAccountDecision::Keep, "an old pod may have to be replaced");
    let mut redis = settled(&after);
    redis.redis = settled(&before).redis;
    assert_eq!(decided(&redis), ServiceAccountDecision::Keep, "Redis runs as it");
    assert_eq!(decided(&settled(&after)), ServiceAccountDecision::Remove);
    assert_eq!(decided(&Observed::default()), ServiceAccountDecision::Remove);
}

#[test]
fn an_account_that_the_room_names_is_never_deleted_although_it_is_called_like_its_own() {
    let room = room(json!({"pod": {"serviceAccountName": "lobby"}}));
    assert_eq!(decide(&room, &settled(&room)).service_account, ServiceAccountDecision::Keep);
}
