//! Objects that stand in the place of ours.

use crate::support::{ApiServer, Key, Operator, ROOMS, Request, key, lobby};
use chatroom_operator::controller::errors::Category;
use serde_json::{Value, json};

fn service(metadata: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 5432}]}})
}

fn lobby_service() -> Key {
    key("api/v1/services", "lobby")
}

fn stalled(api: &ApiServer) -> Value {
    let room = api.get(&key(ROOMS, "lobby")).unwrap();
    let conditions = room["status"]["conditions"].as_array().unwrap();
    conditions.iter().find(|condition| condition["type"] == "Stalled").unwrap().clone()
}

#[tokio::test]
async fn an_object_of_somebody_else_is_not_touched_and_named() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({})));
    let theirs = api.put("api/v1/services", service(&json!({"name": "lobby", "namespace": "chat"})));
    let mut operator = Operator::begins(&api);
    operator.sees();
    let error = operator.reconciles().await.unwrap_err();
    assert_eq!(error.category(), Category::Foreign);
    assert_eq!(api.get(&lobby_service()), Some(theirs));
    let stalled = stalled(&api);
    assert_eq!((&stalled["status"], &stalled["reason"]), (&json!("True"), &json!("ForeignObject")));
    assert!(stalled["message"].as_str().unwrap().starts_with("Service lobby: belongs to"), "{stalled}");
    let told = api.all("apis/events.k8s.io/v1/events");
    assert!(told.iter().any(|event| event["reason"] == "ForeignObject" && event["type"] == "Warning"));
}

#[tokio::test]
async fn when_the_foreign_object_is_gone_the_room_comes_about() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({})));
    api.put("api/v1/services", service(&json!({"name": "lobby", "namespace": "chat"})));
    let mut operator = Operator::begins(&api);
    operator.sees();
    operator.reconciles().await.unwrap_err();
    api.remove(&lobby_service());
    operator.settles().await;
    assert!(api.get(&key("apis/apps/v1/deployments", "lobby")).is_some());
    assert_eq!(stalled(&api)["status"], "False");
}

#[tokio::test]
async fn restored_children_without_an_owner_are_adopted() {
    let api = ApiServer::new();
    let room = api.put(ROOMS, lobby(&json!({})));
    let labels = json!({"app.kubernetes.io/managed-by": "chatroom-operator", "app.kubernetes.io/instance": "lobby"});
    let restored =
        api.put("api/v1/services", service(&json!({"name": "lobby", "namespace": "chat", "labels": labels})));
    Operator::begins(&api).settles().await;
    let adopted = api.get(&lobby_service()).unwrap();
    assert_eq!(adopted["metadata"]["uid"], restored["metadata"]["uid"], "it is the same object");
    assert_eq!(adopted["metadata"]["ownerReferences"][0]["uid"], room["metadata"]["uid"]);
    let told = api.all("apis/events.k8s.io/v1/events");
    assert!(told.iter().any(|event| event["reason"] == "Adopted" && event["related"]["name"] == "lobby"));
}

#[tokio::test]
async fn children_of_a_former_room_of_this_name_are_waited_for() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({})));
    let former = json!([{
        "apiVersion": "chatroom.dev/v1alpha1", "kind": "ChatRoom", "name": "lobby", "uid": "former", "controller": true,
    }]);
    api.put("api/v1/services", service(&json!({"name": "lobby", "namespace": "chat", "ownerReferences": former})));
    let mut operator = Operator::begins(&api);
    operator.sees();
    assert_eq!(operator.reconciles().await.unwrap_err().category(), Category::Leaving);
    assert_eq!(stalled(&api)["status"], "False", "nobody has to help");
    api.remove(&lobby_service());
    operator.settles().await;
}

#[tokio::test]
async fn an_object_that_was_swapped_under_our_hands_is_refused_by_the_server() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({})));
    let mut operator = Operator::begins(&api);
    operator.settles().await;
    api.edit(&key(ROOMS, "lobby"), &["spec", "replicas"], json!(3));
    let deployment = key("apis/apps/v1/deployments", "lobby");
    let uid = api.get(&deployment).unwrap()["metadata"]["uid"].clone();
    let requests = operator.runs().await;
    let patch = requests.iter().find(|request| request.line().ends_with("deployments/lobby") && request.is_write());
    assert_eq!(patch.map(|patch: &Request| &patch.body["metadata"]["uid"]), Some(&uid));
}

/// What the operator wrote to ServiceAccounts after the room named another one, and all its pods ran as that.
async fn writes_to_accounts_after_the_switch(api: &ApiServer) -> Vec<String> {
    let mut operator = Operator::begins(api);
    operator.settles().await;
    api.edit(&key(ROOMS, "lobby"), &["spec", "pod"], json!({"serviceAccountName": "chat"}));
    operator.settles().await;
    for name in ["lobby", "lobby-redis"] {
        let deployment = key("apis/apps/v1/deployments", name);
        let live = api.get(&deployment).unwrap();
        let (generation, pods) = (&live["metadata"]["generation"], &live["spec"]["replicas"]);
        let status = json!({"observedGeneration": generation, "replicas": pods, "updatedReplicas": pods});
        assert!(api.get(&key(ACCOUNTS, "lobby")).is_some(), "{name}: an old pod may have to be replaced");
        api.edit(&deployment, &["status"], status);
    }
    let mut writes = Vec::new();
    for _ in 0..3 {
        let requests = operator.runs().await;
        writes.extend(requests.iter().filter(|request| request.is_write()).map(Request::line));
    }
    writes.into_iter().filter(|line| line.contains("serviceaccounts")).collect()
}

const ACCOUNTS: &str = "api/v1/serviceaccounts";

#[tokio::test]
async fn the_rooms_own_account_goes_when_nothing_runs_as_it() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({})));
    let writes = writes_to_accounts_after_the_switch(&api).await;
    assert_eq!(writes, ["DELETE /api/v1/namespaces/chat/serviceaccounts/lobby"]);
    assert_eq!(api.get(&key(ACCOUNTS, "lobby")), None);
}

#[tokio::test]
async fn an_object_that_came_between_the_look_and_the_write_is_not_touched() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({})));
    let theirs = api.put("api/v1/services", service(&json!({"name": "lobby", "namespace": "chat"})));
    // Whoever looks for it comes too early.
    let looks = |request: &Request| request.line() == "GET /api/v1/namespaces/chat/services/lobby";
    api.rule(move |request| looks(request).then(|| (404, "services \"lobby\" not found".to_owned())));
    let mut operator = Operator::begins(&api);
    operator.sees();
    assert_eq!(operator.reconciles().await.unwrap_err().category(), Category::Conflict);
    assert_eq!(api.get(&lobby_service()), Some(theirs));
    api.no_rules();
    assert_eq!(operator.reconciles().await.unwrap_err().category(), Category::Foreign);
}
