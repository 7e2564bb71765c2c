//! What the first reconcile of a room asks of the API server.

use crate::support::{ApiServer, Operator, ROOMS, Request, key, lobby};
use serde_json::json;

/// Writes but events, in order.
fn writes(requests: &[Request]) -> Vec<String> {
    requests.iter().filter(|request| request.is_write() && !request.is_event()).map(Request::line).collect()
}

#[tokio::test]
async fn everything_is_looked_for_before_it_is_written_in_an_order_in_which_gateways_find_what_they_need() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({})));
    let requests = Operator::begins(&api).runs().await;
    let lines: Vec<_> = requests.iter().filter(|request| !request.is_event()).map(Request::line).collect();
    let (core, apps) = ("/api/v1/namespaces/chat", "/apis/apps/v1/namespaces/chat");
    let policy = "/apis/policy/v1/namespaces/chat";
    assert_eq!(
        lines,
        [
            format!("GET {core}/configmaps/lobby-config"),
            format!("PATCH {core}/configmaps/lobby-config"),
            format!("GET {core}/serviceaccounts/lobby"),
            format!("PATCH {core}/serviceaccounts/lobby"),
            format!("POST {core}/secrets"),
            format!("POST {core}/secrets"),
            format!("GET {core}/services/lobby-redis"),
            format!("PATCH {core}/services/lobby-redis"),
            format!("GET {apps}/deployments/lobby-redis"),
            format!("PATCH {apps}/deployments/lobby-redis"),
            format!("GET {core}/services/lobby"),
            format!("PATCH {core}/services/lobby"),
            format!("GET {core}/services/lobby-push"),
            format!("PATCH {core}/services/lobby-push"),
            format!("GET {apps}/deployments/lobby"),
            format!("PATCH {apps}/deployments/lobby"),
            format!("GET {policy}/poddisruptionbudgets/lobby"),
            format!("PATCH {policy}/poddisruptionbudgets/lobby"),
            "PATCH /apis/chatroom.dev/v1alpha1/namespaces/chat/chatrooms/lobby/status".to_owned(),
        ]
    );
}

#[tokio::test]
async fn every_patch_is_a_forced_apply_under_our_name() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({})));
    let requests = Operator::begins(&api).runs().await;
    let patches: Vec<_> = requests.iter().filter(|request| request.method == "PATCH").collect();
    assert_eq!(patches.len(), 9, "eight children and the status");
    for patch in patches {
        assert_eq!(patch.content_type, "application/apply-patch+yaml");
        assert_eq!(patch.query["force"], "true");
        assert_eq!(patch.query["fieldManager"], "chatroom-operator");
        for field in ["apiVersion", "kind"] {
            assert!(patch.body[field].is_string(), "{} has no {field}", patch.line());
        }
        assert!(patch.body["metadata"]["managedFields"].is_null(), "{}", patch.line());
    }
}

#[tokio::test]
async fn every_child_is_controlled_by_the_room() {
    let api = ApiServer::new();
    let room = api.put(ROOMS, lobby(&json!({})));
    Operator::begins(&api).runs().await;
    for key in [
        key("api/v1/configmaps", "lobby-config"),
        key("api/v1/serviceaccounts", "lobby"),
        key("api/v1/secrets", "lobby-redis"),
        key("api/v1/services", "lobby-redis"),
        key("apis/apps/v1/deployments", "lobby-redis"),
        key("api/v1/services", "lobby"),
        key("api/v1/secrets", "lobby-push"),
        key("api/v1/services", "lobby-push"),
        key("apis/apps/v1/deployments", "lobby"),
        key("apis/policy/v1/poddisruptionbudgets", "lobby"),
    ] {
        let child = api.get(&key).unwrap_or_else(|| panic!("{key:?} is missing"));
        let owner = &child["metadata"]["ownerReferences"][0];
        assert_eq!((&owner["uid"], &owner["controller"]), (&room["metadata"]["uid"], &json!(true)), "{key:?}");
    }
}

#[tokio::test]
async fn a_room_with_its_own_redis_gets_none_of_ours() {
    let api = ApiServer::new();
    let external = json!({"topology": "Standalone", "urlSecretRef": {"name": "redis", "key": "url"}});
    api.put(ROOMS, lobby(&json!({"redis": {"external": external}})));
    let lines = writes(&Operator::begins(&api).runs().await);
    assert!(lines.iter().all(|line| !line.contains("redis")), "{lines:#?}");
    let secrets = lines.iter().filter(|line| line.contains("secrets")).count();
    assert_eq!(secrets, 1, "that of the push keys: {lines:#?}");
}

#[tokio::test]
async fn a_room_with_push_keys_of_its_own_gets_none_of_ours() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({"push": {"secretName": "ours"}})));
    Operator::begins(&api).runs().await;
    assert_eq!(api.get(&key("api/v1/secrets", "lobby-push")), None);
    assert!(api.get(&key("api/v1/services", "lobby-push")).is_some());
}

#[tokio::test]
async fn the_push_key_is_made_up_once_and_told_to_nobody() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({})));
    let mut operator = Operator::begins(&api);
    let requests = operator.runs().await;
    let secret = api.get(&key("api/v1/secrets", "lobby-push")).unwrap();
    let made_up = secret["stringData"]["keys"].as_str().unwrap().to_owned();
    assert_eq!(made_up.len(), 64);
    assert_eq!(secret["stringData"]["url"], format!("http://lobby-push.chat.svc/push/{made_up}"));
    let password = api.get(&key("api/v1/secrets", "lobby-redis")).unwrap()["stringData"]["password"].clone();
    assert_ne!(json!(made_up), password, "each Secret has its own");
    for request in requests.iter().filter(|request| !request.path.ends_with("/secrets")) {
        assert!(!request.body.to_string().contains(&made_up), "{}", request.line());
    }
    operator.settles().await;
    assert_eq!(api.get(&key("api/v1/secrets", "lobby-push")).unwrap(), secret);
}

#[tokio::test]
async fn the_password_is_made_up_once_and_told_to_nobody() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({})));
    let mut operator = Operator::begins(&api);
    let requests = operator.runs().await;
    let secret = api.get(&key("api/v1/secrets", "lobby-redis")).unwrap();
    let password = secret["stringData"]["password"].as_str().unwrap().to_owned();
    assert_eq!(password.len(), 64);
    for request in requests.iter().filter(|request| !request.path.ends_with("/secrets")) {
        assert!(!request.body.to_string().contains(&password), "{}", request.line());
    }
    operator.settles().await;
    assert_eq!(api.get(&key("api/v1/secrets", "lobby-redis")).unwrap(), secret);
    let other = ApiServer::new();
    other.put(ROOMS, lobby(&json!({})));
    Operator::begins(&other).runs().await;
    assert_ne!(other.get(&key("api/v1/secrets", "lobby-redis")).unwrap()["stringData"], secret["stringData"]);
}

#[tokio::test]
async fn people_hear_what_was_created() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({})));
    Operator::begins(&api).runs().await;
    let told: Vec<_> = api
        .all("apis/events.k8s.io/v1/events")
        .iter()
        .map(|event| {
            let about = &event["related"];
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            (text(&event["type"]), text(&event["reason"]), text(&about["kind"]), text(&about["name"]))
        })
        .collect();
    for (kind, name) in [("Deployment", "lobby"), ("Service", "lobby"), ("ConfigMap", "lobby-config")] {
        let created = ("Normal".to_owned(), "Created".to_owned(), kind.to_owned(), name.to_owned());
        assert!(told.contains(&created), "{created:?} is not in {told:#?}");
    }
    assert!(
        told.iter().any(|event| (event.0.as_str(), event.1.as_str()) == ("Warning", "EphemeralRedis")),
        "{told:#?}"
    );
}
