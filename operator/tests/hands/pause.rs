//! What people do to a room without changing what it is: suspend it, pause it, restart it.

use crate::support::{ApiServer, Operator, ROOMS, Request, key, settled};
use chatroom_settings::GatewayStatus;
use serde_json::{Value, json};

const DEPLOYMENTS: &str = "apis/apps/v1/deployments";
const STATUS: &str = "PATCH /apis/chatroom.dev/v1alpha1/namespaces/chat/chatrooms/lobby/status";

fn writes(requests: &[Request]) -> Vec<String> {
    requests.iter().filter(|request| request.is_write() && !request.is_event()).map(Request::line).collect()
}

fn events(api: &ApiServer, reason: &str) -> Vec<Value> {
    let all = api.all("apis/events.k8s.io/v1/events");
    all.into_iter().filter(|event| event["reason"] == reason).collect()
}

fn annotate(api: &ApiServer, name: &str, value: Value) {
    api.edit(&key(ROOMS, "lobby"), &["metadata", "annotations", name], value);
}

fn ready(api: &ApiServer) -> (String, String) {
    let room = api.get(&key(ROOMS, "lobby")).unwrap();
    let conditions = room["status"]["conditions"].as_array().unwrap();
    let found = conditions.iter().find(|condition| condition["type"] == "Ready").unwrap();
    (found["status"].as_str().unwrap().to_owned(), found["reason"].as_str().unwrap().to_owned())
}

fn template(api: &ApiServer) -> Value {
    api.get(&key(DEPLOYMENTS, "lobby")).unwrap()["spec"]["template"].clone()
}

#[tokio::test]
async fn a_suspended_room_loses_its_gateways_and_its_budget_and_gets_them_back() {
    let (api, mut operator) = settled(&json!({"replicas": 3})).await;
    let budget = key("apis/policy/v1/poddisruptionbudgets", "lobby");
    let uid = api.get(&budget).unwrap()["metadata"]["uid"].clone();
    let before = api.picture();

    api.edit(&key(ROOMS, "lobby"), &["spec", "suspend"], json!(true));
    let requests = operator.runs().await;
    let deletions: Vec<_> = requests.iter().filter(|request| request.method == "DELETE").collect();
    assert_eq!(deletions.len(), 1, "only the budget goes");
    assert_eq!(deletions[0].body["preconditions"]["uid"], uid);
    operator.settles().await;
    assert!(api.get(&budget).is_none());
    assert_eq!(api.get(&key(DEPLOYMENTS, "lobby")).unwrap()["spec"]["replicas"], 0);
    assert_eq!(ready(&api), ("False".into(), "Suspended".into()));
    assert_eq!(events(&api, "Suspended").len(), 1);

    // A stored wish: nothing but the number changes.
    api.edit(&key(ROOMS, "lobby"), &["spec", "replicas"], json!(5));
    operator.settles().await;
    assert_eq!(api.get(&key(DEPLOYMENTS, "lobby")).unwrap()["spec"]["replicas"], 0);

    api.edit(&key(ROOMS, "lobby"), &["spec", "suspend"], json!(false));
    operator.settles().await;
    assert_eq!(api.get(&key(DEPLOYMENTS, "lobby")).unwrap()["spec"]["replicas"], 5);
    assert!(api.get(&budget).is_some());
    assert_eq!(events(&api, "Resumed").len(), 1);
    assert_eq!(api.picture().keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_paused_room_is_written_nothing_but_its_status() {
    let (api, _) = settled(&json!({})).await;
    annotate(&api, "chatroom.dev/reconcile", json!("disabled"));
    api.edit(&key(ROOMS, "lobby"), &["spec", "replicas"], json!(5));
    api.edit(&key(DEPLOYMENTS, "lobby"), &["spec", "replicas"], json!(1));
    api.remove(&key("api/v1/services", "lobby"));
    api.remove(&key("api/v1/secrets", "lobby-redis"));
    // One that has just begun gives nobody time to notice the Secret: it would create it at once.
    let mut operator = Operator::begins(&api);
    operator.hears(GatewayStatus { missing: vec!["redis/password".into()], ..GatewayStatus::default() });
    assert_eq!(writes(&operator.runs().await), [STATUS]);
    assert_eq!(writes(&operator.runs().await), [] as [&str; 0]);
    let room = api.get(&key(ROOMS, "lobby")).unwrap();
    assert_eq!((&room["status"]["observedGeneration"], &room["status"]["desiredReplicas"]), (&json!(1), &json!(1)));
    assert_eq!(events(&api, "Paused").len(), 1);

    annotate(&api, "chatroom.dev/reconcile", Value::Null);
    operator.settles().await;
    assert_eq!(api.get(&key(DEPLOYMENTS, "lobby")).unwrap()["spec"]["replicas"], 5);
    assert!(api.get(&key("api/v1/services", "lobby")).is_some());
    assert!(api.get(&key("api/v1/secrets", "lobby-redis")).is_some());
    assert_eq!(api.get(&key(ROOMS, "lobby")).unwrap()["status"]["observedGeneration"], 2);
    assert_eq!(events(&api, "Resumed").len(), 1);
}

#[tokio::test]
async fn a_paused_room_that_is_deleted_is_left_to_the_garbage_collector() {
    let (api, mut operator) = settled(&json!({})).await;
    annotate(&api, "chatroom.dev/reconcile", json!("disabled"));
    operator.settles().await;
    let room = api.get(&key(ROOMS, "lobby")).unwrap();
    assert_eq!(room["metadata"]["finalizers"], Value::Null, "nothing holds it up");
    api.edit(&key(ROOMS, "lobby"), &["metadata", "deletionTimestamp"], json!("2026-01-01T00:00:00Z"));
    assert_eq!(writes(&operator.runs().await), [] as [&str; 0]);
}

#[tokio::test]
async fn an_annotation_that_is_not_understood_is_told_once_for_each_change_and_stops_nothing() {
    let (api, mut operator) = settled(&json!({})).await;
    annotate(&api, "chatroom.dev/reconcile", json!("off"));
    api.edit(&key(ROOMS, "lobby"), &["spec", "replicas"], json!(5));
    operator.settles().await;
    operator.runs().await;
    assert_eq!(api.get(&key(DEPLOYMENTS, "lobby")).unwrap()["spec"]["replicas"], 5, "it is not paused");
    let told = || events(&api, "AnnotationIgnored").into_iter().map(|event| event["note"].clone()).collect::<Vec<_>>();
    assert_eq!(told().len(), 1, "{:?}", told());
    annotate(&api, "chatroom.dev/restarted-at", json!("yesterday"));
    annotate(&api, "chatroom.dev/pause", json!("true"));
    let before = template(&api);
    operator.settles().await;
    operator.runs().await;
    assert_eq!(told().len(), 3, "{:?}", told());
    assert_eq!(template(&api), before);
}

#[tokio::test]
async fn a_wish_to_restart_changes_the_template_and_taking_it_away_does_not() {
    let (api, mut operator) = settled(&json!({})).await;
    annotate(&api, "chatroom.dev/restarted-at", json!("2026-11-23T10:00:00Z"));
    operator.settles().await;
    let stamped = template(&api);
    assert_eq!(stamped["metadata"]["annotations"]["chatroom.dev/restarted-at"], "2026-11-23T10:00:00Z");
    annotate(&api, "chatroom.dev/restarted-at", Value::Null);
    assert_eq!(writes(&operator.runs().await), [] as [&str; 0]);
    annotate(&api, "chatroom.dev/restarted-at", json!("2026-11-24T10:00:00Z"));
    operator.settles().await;
    assert_ne!(template(&api), stamped);
}

/// `kubectl rollout restart deployment/lobby` puts an annotation on the template that is nobody's but kubectl's.
#[tokio::test]
async fn a_restart_by_kubectl_is_neither_fought_nor_forgotten() {
    const KUBECTL: &str = "kubectl.kubernetes.io/restartedAt";
    let (api, mut operator) = settled(&json!({})).await;
    let at = ["spec", "template", "metadata", "annotations", KUBECTL];
    api.edit(&key(DEPLOYMENTS, "lobby"), &at, json!("2026-11-23T10:00:00Z"));
    assert_eq!(writes(&operator.runs().await), [] as [&str; 0]);
    // Nor does a later write of ours take it away, which would roll the gateways once more.
    api.edit(&key(ROOMS, "lobby"), &["spec", "replicas"], json!(5));
    operator.settles().await;
    let live = api.get(&key(DEPLOYMENTS, "lobby")).unwrap();
    assert_eq!(live["spec"]["replicas"], 5);
    assert_eq!(live["spec"]["template"]["metadata"]["annotations"][KUBECTL], "2026-11-23T10:00:00Z");
}

#[tokio::test]
async fn a_change_of_hot_settings_writes_the_config_map_and_no_deployment() {
    let (api, mut operator) = settled(&json!({})).await;
    api.edit(&key(ROOMS, "lobby"), &["spec", "limits"], json!({"maxMessageBytes": 1000}));
    let writes = writes(&operator.runs().await);
    assert_eq!(writes, ["PATCH /api/v1/namespaces/chat/configmaps/lobby-config", STATUS]);
}

#[tokio::test]
async fn a_secret_that_a_room_names_and_nobody_made_is_told_once() {
    let external = json!({"redis": {"external": {"urlSecretRef": {"name": "chat-redis", "key": "url"}}}});
    let (api, mut operator) = settled(&external).await;
    let missing = vec!["redis/url".to_owned()];
    let mut status = GatewayStatus { missing, ..GatewayStatus::default() };
    status.redis.state = chatroom_settings::RedisState::CredentialsMissing;
    operator.hears(status.clone());
    operator.settles().await;
    operator.runs().await;
    let told = events(&api, "SecretNotFound");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["type"], "Warning");
    assert!(told[0]["note"].as_str().unwrap().contains("Secret chat-redis with the key url"), "{told:?}");
}
