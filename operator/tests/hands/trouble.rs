//! An API server that refuses, fails, or goes silent in the middle.

use crate::support::{ApiServer, Operator, ROOMS, Request, key, lobby};
use chatroom_operator::controller::errors::Category;
use chatroom_settings::GatewayStatus;
use serde_json::{Value, json};

fn is_deployment_write(request: &Request) -> bool {
    request.method == "PATCH" && request.path.ends_with("/deployments/lobby")
}

fn conditions(api: &ApiServer) -> Vec<(String, String, String)> {
    let room = api.get(&key(ROOMS, "lobby")).unwrap();
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    let conditions = room["status"]["conditions"].as_array().unwrap();
    conditions.iter().map(|c| (text(c, "type"), text(c, "status"), text(c, "reason"))).collect()
}

async fn refused_with(code: u16, message: &'static str) -> (ApiServer, Category) {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({})));
    api.rule(move |request| is_deployment_write(request).then(|| (code, message.to_owned())));
    let mut operator = Operator::begins(&api);
    operator.sees();
    let category = operator.reconciles().await.unwrap_err().category();
    operator.sees();
    (api, category)
}

fn is_stalled(api: &ApiServer, reason: &str) -> bool {
    conditions(api).contains(&("Stalled".to_owned(), "True".to_owned(), reason.to_owned()))
}

#[tokio::test]
async fn what_the_server_will_never_take_stalls_the_room() {
    let untyped =
        "failed to create typed patch object (chat/lobby; apps/v1, Kind=Deployment): .spec.x: field not declared";
    for (code, message) in [(422, "Deployment.apps \"lobby\" is invalid"), (500, untyped)] {
        let (api, category) = refused_with(code, message).await;
        assert_eq!(category, Category::Invalid, "{code}");
        assert!(is_stalled(&api, "Rejected"), "{code}: {:?}", conditions(&api));
    }
    let (api, category) = refused_with(403, "deployments.apps is forbidden").await;
    assert_eq!(category, Category::Forbidden);
    assert!(is_stalled(&api, "Forbidden"), "{:?}", conditions(&api));
}

#[tokio::test]
async fn what_a_webhook_refuses_is_told_with_its_words() {
    let words = "admission webhook \"policy.example.com\" denied the request: no team label";
    for code in [400, 403] {
        let (api, category) = refused_with(code, words).await;
        assert_eq!(category, Category::Denied, "{code}");
        assert!(is_stalled(&api, "Denied"), "{code}: {:?}", conditions(&api));
        let told = api.all("apis/events.k8s.io/v1/events");
        assert!(told.iter().any(|event| event["note"].as_str().unwrap().contains(words)), "{told:#?}");
    }
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_is_no_lack_of_rights() {
    let words = "deployments.apps \"lobby\" is forbidden: unable to create new content in namespace chat because it is being \
                 terminated";
    let (api, category) = refused_with(403, words).await;
    assert_eq!(category, Category::Leaving);
    let conditions = conditions(&api);
    assert!(conditions.contains(&("Stalled".into(), "False".into(), "Progressing".into())), "{conditions:?}");
    assert!(conditions.contains(&("Reconciling".into(), "True".into(), "WaitingForRemoval".into())), "{conditions:?}");
}

#[tokio::test]
async fn a_room_that_goes_while_it_is_brought_about_is_no_error() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({})));
    let gone = |request: &Request| request.path.ends_with("/chatrooms/lobby/status");
    api.rule(move |request| gone(request).then(|| (404, "chatrooms.chatroom.dev \"lobby\" not found".to_owned())));
    let mut operator = Operator::begins(&api);
    operator.sees();
    operator.reconciles().await.unwrap();
}

#[tokio::test]
async fn what_may_work_next_time_does_not_stall() {
    for (code, category) in [
        (500, Category::Server),
        (503, Category::Server),
        (401, Category::Server),
        (429, Category::Throttled),
        (409, Category::Conflict),
    ] {
        let (api, found) = refused_with(code, "etcdserver: request timed out").await;
        assert_eq!(found, category);
        assert!(conditions(&api).contains(&("Stalled".into(), "False".into(), "Progressing".into())), "{code}");
        api.no_rules();
        Operator::begins(&api).settles().await;
        assert!(api.get(&key("apis/apps/v1/deployments", "lobby")).is_some());
    }
}

#[tokio::test]
async fn a_room_that_cannot_be_carried_out_touches_nothing_and_says_why() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({"path": "no-slash"})));
    let requests = Operator::begins(&api).runs().await;
    let lines: Vec<_> = requests.iter().filter(|request| !request.is_event()).map(Request::line).collect();
    assert_eq!(lines, ["PATCH /apis/chatroom.dev/v1alpha1/namespaces/chat/chatrooms/lobby/status"]);
    assert!(is_stalled(&api, "InvalidSpec"));
    let told = api.all("apis/events.k8s.io/v1/events");
    assert!(told.iter().any(|event| event["reason"] == "InvalidSpec" && event["type"] == "Warning"), "{told:#?}");
}

#[tokio::test]
async fn a_secret_that_is_there_already_is_used() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({})));
    let metadata = json!({"name": "lobby-redis", "namespace": "chat"});
    let theirs =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"password": "theirs"}});
    let theirs = api.put("api/v1/secrets", theirs);
    Operator::begins(&api).settles().await;
    assert_eq!(api.get(&key("api/v1/secrets", "lobby-redis")), Some(theirs));
    assert!(api.get(&key("apis/apps/v1/deployments", "lobby")).is_some());
}

#[tokio::test]
async fn a_password_that_a_gateway_misses_is_made_up_again_and_told() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({})));
    let mut operator = Operator::begins(&api);
    operator.settles().await;
    let secret = key("api/v1/secrets", "lobby-redis");
    let before = api.get(&secret).unwrap();
    api.remove(&secret);
    // An operator that has just made sure of the Secret gives the pods time to notice it; a new one has not.
    let mut operator = Operator::begins(&api);
    operator.hears(GatewayStatus { missing: vec!["redis/password".into()], ..GatewayStatus::default() });
    operator.settles().await;
    assert_ne!(api.get(&secret).unwrap()["stringData"], before["stringData"]);
    let told = api.all("apis/events.k8s.io/v1/events");
    assert!(told.iter().any(|event| event["reason"] == "RedisCredentialRecreated" && event["type"] == "Warning"));
}

#[tokio::test]
async fn events_that_cannot_be_sent_stop_nothing() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({})));
    api.rule(|request| request.is_event().then(|| (403, "events is forbidden".to_owned())));
    Operator::begins(&api).settles().await;
    assert!(api.get(&key("apis/apps/v1/deployments", "lobby")).is_some());
}

/// The answer to write number `k` never comes, and the process is killed. The next one finds the same cluster in the end.
#[tokio::test]
async fn a_reconcile_that_is_killed_at_any_write_ends_in_the_same_picture() {
    let undisturbed = ApiServer::new();
    undisturbed.put(ROOMS, lobby(&json!({})));
    Operator::begins(&undisturbed).settles().await;

    for k in 0.. {
        assert!(k < 100, "a reconcile has an end");
        let api = ApiServer::new();
        api.put(ROOMS, lobby(&json!({})));
        api.dies_after(k);
        let mut killed = Operator::begins(&api);
        killed.sees();
        let died = api.until("death or the end", |api| api.is_dead());
        tokio::select! {
            () = died => {}
            _ = killed.reconciles() => {}
        }
        drop(killed);
        let died = api.revives();
        Operator::begins(&api).settles().await;
        pretty_equal(&api, &undisturbed, k);
        if !died {
            assert!(k >= 9, "eight children and the status are written, but only {k} writes were seen");
            return;
        }
    }
}

fn pretty_equal(api: &ApiServer, undisturbed: &ApiServer, k: usize) {
    let (found, expected) = (api.picture(), undisturbed.picture());
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "killed at write {k}");
    for (name, object) in &expected {
        assert_eq!(found[name], *object, "{name}, killed at write {k}");
    }
}
