//! When nothing changed nothing is asked; when something did, exactly that is written.

use crate::support::{ApiServer, Operator, ROOMS, Request, key, lobby, settled};
use serde_json::{Value, json};

fn lines(requests: &[Request]) -> Vec<String> {
    requests.iter().filter(|request| !request.is_event()).map(Request::line).collect()
}

/// As the controllers of Kubernetes would report two pods of two that are up.
fn up(api: &ApiServer) {
    for name in ["lobby", "lobby-redis"] {
        let deployment = key("apis/apps/v1/deployments", name);
        let Some(live) = api.get(&deployment) else { continue };
        let (generation, pods) = (&live["metadata"]["generation"], &live["spec"]["replicas"]);
        let status = json!({
            "observedGeneration": generation, "replicas": pods, "readyReplicas": pods, "updatedReplicas": pods,
            "availableReplicas": pods,
        });
        api.edit(&deployment, &["status"], status);
    }
}

fn condition(api: &ApiServer, type_: &str) -> (String, String) {
    let room = api.get(&key(ROOMS, "lobby")).unwrap();
    let conditions = room["status"]["conditions"].as_array().unwrap();
    let found = conditions.iter().find(|condition| condition["type"] == type_).unwrap();
    (found["status"].as_str().unwrap().to_owned(), found["reason"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_second_run_asks_nothing() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({})));
    let mut operator = Operator::begins(&api);
    operator.runs().await;
    assert_eq!(lines(&operator.runs().await), [] as [&str; 0]);
}

#[tokio::test]
async fn a_watch_that_lags_makes_no_writes() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({})));
    let mut operator = Operator::begins(&api);
    operator.runs().await;
    // The watches have seen nothing of the first run yet.
    operator.reconciles().await.unwrap();
    let writes: Vec<_> =
        api.take_requests().into_iter().filter(Request::is_write).map(|request| request.line()).collect();
    assert_eq!(writes, [] as [&str; 0]);
}

#[tokio::test]
async fn a_new_operator_moves_no_version() {
    let (api, _) = settled(&json!({})).await;
    let before = api.picture();
    let versions = |api: &ApiServer| -> Vec<Value> {
        let objects =
            ["api/v1/configmaps", "api/v1/services", "apis/apps/v1/deployments", ROOMS].map(|kind| api.all(kind));
        objects.into_iter().flatten().map(|object| object["metadata"]["resourceVersion"].clone()).collect()
    };
    let versions_before = versions(&api);
    let mut operator = Operator::begins(&api);
    let events: Vec<_> = operator.runs().await.into_iter().filter(Request::is_event).collect();
    assert_eq!(events.len(), 0, "nothing new is told either");
    assert_eq!(api.picture(), before);
    assert_eq!(versions(&api), versions_before);
    assert_eq!(lines(&operator.runs().await), [] as [&str; 0]);
}

#[tokio::test]
async fn a_changed_room_is_written_where_it_differs() {
    let (api, mut operator) = settled(&json!({})).await;
    api.edit(&key(ROOMS, "lobby"), &["spec", "replicas"], json!(3));
    let writes: Vec<_> = operator
        .runs()
        .await
        .iter()
        .filter(|request| request.is_write() && !request.is_event())
        .map(Request::line)
        .collect();
    assert_eq!(
        writes,
        [
            "PATCH /apis/apps/v1/namespaces/chat/deployments/lobby",
            "PATCH /apis/chatroom.dev/v1alpha1/namespaces/chat/chatrooms/lobby/status",
        ]
    );
    assert_eq!(api.get(&key("apis/apps/v1/deployments", "lobby")).unwrap()["spec"]["replicas"], 3);
}

#[tokio::test]
async fn what_somebody_else_changed_of_ours_is_set_right() {
    let (api, mut operator) = settled(&json!({})).await;
    let deployment = key("apis/apps/v1/deployments", "lobby");
    api.edit(&deployment, &["spec", "replicas"], json!(7));
    let requests = operator.runs().await;
    assert!(lines(&requests).contains(&"PATCH /apis/apps/v1/namespaces/chat/deployments/lobby".to_owned()));
    assert_eq!(api.get(&deployment).unwrap()["spec"]["replicas"], 2);
    operator.settles().await;
}

#[tokio::test]
async fn what_somebody_else_added_is_left_alone() {
    let (api, mut operator) = settled(&json!({})).await;
    let service = key("api/v1/services", "lobby");
    api.edit(&service, &["metadata", "annotations", "cloud.example.com/balancer"], json!("7"));
    assert_eq!(lines(&operator.runs().await), [] as [&str; 0]);
    assert_eq!(api.get(&service).unwrap()["metadata"]["annotations"]["cloud.example.com/balancer"], "7");
}

#[tokio::test]
async fn a_deleted_child_comes_back() {
    let (api, mut operator) = settled(&json!({})).await;
    for child in [
        key("api/v1/configmaps", "lobby-config"),
        key("api/v1/serviceaccounts", "lobby"),
        key("api/v1/services", "lobby"),
        key("api/v1/services", "lobby-redis"),
        key("apis/apps/v1/deployments", "lobby"),
        key("apis/apps/v1/deployments", "lobby-redis"),
        key("apis/policy/v1/poddisruptionbudgets", "lobby"),
    ] {
        api.remove(&child);
        operator.settles().await;
        assert!(api.get(&child).is_some(), "{child:?}");
    }
}

#[tokio::test]
async fn a_budget_that_is_no_longer_wanted_goes_and_only_the_one_that_was_seen() {
    let (api, mut operator) = settled(&json!({})).await;
    let budget = key("apis/policy/v1/poddisruptionbudgets", "lobby");
    let uid = api.get(&budget).unwrap()["metadata"]["uid"].clone();
    api.edit(&key(ROOMS, "lobby"), &["spec", "podDisruptionBudget"], json!({"enabled": false}));
    let requests = operator.runs().await;
    let delete = requests.iter().find(|request| request.method == "DELETE").expect("a deletion");
    assert_eq!(delete.body["preconditions"]["uid"], uid);
    assert_eq!(delete.body["propagationPolicy"], "Background");
    assert!(api.get(&budget).is_none());
    operator.settles().await;
}

#[tokio::test]
async fn a_budget_of_somebody_else_is_never_deleted() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({"podDisruptionBudget": {"enabled": false}})));
    let labels = json!({"app.kubernetes.io/managed-by": "chatroom-operator", "app.kubernetes.io/instance": "lobby"});
    let budget = key("apis/policy/v1/poddisruptionbudgets", "lobby");
    let theirs = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "lobby", "namespace": "chat", "labels": labels},
    });
    api.put(&budget.resource, theirs);
    Operator::begins(&api).settles().await;
    assert!(api.get(&budget).is_some());
}

#[tokio::test]
async fn the_old_redis_goes_when_no_gateway_uses_it() {
    let (api, mut operator) = settled(&json!({})).await;
    up(&api);
    operator.settles().await;
    let external = json!({"external": {"topology": "Standalone", "urlSecretRef": {"name": "redis", "key": "url"}}});
    api.edit(&key(ROOMS, "lobby"), &["spec", "redis"], external);
    let old = key("apis/apps/v1/deployments", "lobby-redis");
    operator.runs().await;
    assert!(api.get(&old).is_some(), "the old gateways still run on it");
    up(&api);
    operator.settles().await;
    assert!(api.get(&old).is_none());
    assert!(api.get(&key("api/v1/services", "lobby-redis")).is_none());
    assert!(api.get(&key("api/v1/secrets", "lobby-redis")).is_some(), "the operator has no right to delete Secrets");
}

#[tokio::test]
async fn the_status_is_written_when_it_changes_and_then_rests() {
    let (api, mut operator) = settled(&json!({})).await;
    assert_eq!(condition(&api, "Ready").0, "False");
    up(&api);
    let requests = operator.runs().await;
    assert_eq!(lines(&requests), ["PATCH /apis/chatroom.dev/v1alpha1/namespaces/chat/chatrooms/lobby/status"]);
    assert_eq!(condition(&api, "Ready"), ("True".to_owned(), "AllReplicasReady".to_owned()));
    assert_eq!(condition(&api, "Reconciling").0, "False");
    assert_eq!(lines(&operator.runs().await), [] as [&str; 0]);
}

#[tokio::test]
async fn a_room_that_is_being_deleted_is_left_to_the_garbage_collector() {
    let (api, mut operator) = settled(&json!({})).await;
    api.edit(&key(ROOMS, "lobby"), &["metadata", "deletionTimestamp"], json!("2026-01-01T00:00:00Z"));
    api.remove(&key("api/v1/services", "lobby"));
    assert_eq!(lines(&operator.runs().await), [] as [&str; 0]);
}
