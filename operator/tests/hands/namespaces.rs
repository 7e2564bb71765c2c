//! The whole program on a list of namespaces, without any right outside of them.

use crate::program::Program;
use crate::support::{ApiServer, ROOMS, Request, key_in, lobby};
use chatroom_operator::scope::Scope;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const DEPLOYMENTS: &str = "apis/apps/v1/deployments";

fn team_a_and_b() -> Vec<Scope> {
    ["team-a", "team-b"].map(|name| Scope::Namespace(name.into())).into()
}

fn room_in(namespace: &str, name: &str) -> Value {
    let mut room = lobby(&json!({}));
    room["metadata"]["namespace"] = json!(namespace);
    room["metadata"]["name"] = json!(name);
    room
}

fn is_in(request: &Request, namespace: &str) -> bool {
    request.path.contains(&format!("/namespaces/{namespace}/"))
}

fn forbidden(request: &Request) -> Option<(u16, String)> {
    Some((403, format!("{} is forbidden: no role grants it", request.path)))
}

async fn comes_about(api: &ApiServer, namespace: &str, name: &str) {
    let (deployment, room) = (key_in(namespace, DEPLOYMENTS, name), key_in(namespace, ROOMS, name));
    let is_there = |api: &ApiServer| {
        api.get(&deployment).is_some() && api.get(&room).is_some_and(|room| room["status"]["url"].is_string())
    };
    api.until(&format!("room {name} in {namespace}"), is_there).await;
}

#[tokio::test]
async fn rooms_of_the_listed_namespaces_come_about_and_nothing_is_asked_outside_of_them() {
    let api = ApiServer::new();
    for namespace in ["team-a", "team-b", "team-c"] {
        api.put(ROOMS, room_in(namespace, "lobby"));
    }
    let listed = |request: &Request| is_in(request, "team-a") || is_in(request, "team-b");
    api.rule(move |request| if listed(request) { None } else { forbidden(request) });
    let program = Program::begins_in(&api, team_a_and_b()).await;
    comes_about(&api, "team-a", "lobby").await;
    comes_about(&api, "team-b", "lobby").await;
    assert_eq!(program.answers("/readyz", 200).await, "ok\n");
    let numbers = program.asked("/metrics").await.1;
    for line in [
        r#"chatroom_operator_namespace_watched{namespace="team-a"} 1"#,
        r#"chatroom_operator_namespace_watched{namespace="team-b"} 1"#,
    ] {
        assert!(numbers.contains(line), "{line} is not in\n{numbers}");
    }
    assert!(!api.has_seen(|request| !listed(request)), "a request outside of the two namespaces");
    assert_eq!(api.get(&key_in("team-c", DEPLOYMENTS, "lobby")), None);
    program.stops().await;
}

#[tokio::test]
async fn a_namespace_that_does_not_exist_yet_stops_nobody_and_is_taken_up_when_it_comes() {
    let api = ApiServer::new();
    let exists = Arc::new(AtomicBool::new(false));
    let there = Arc::clone(&exists);
    // Where there is no namespace there is no role in it.
    api.rule(
        move |request| {
            if is_in(request, "team-b") && !there.load(Ordering::Relaxed) { forbidden(request) } else { None }
        },
    );
    api.put(ROOMS, room_in("team-a", "lobby"));
    let program = Program::begins_in(&api, team_a_and_b()).await;
    comes_about(&api, "team-a", "lobby").await;
    let text = program.answers("/readyz", 200).await;
    assert!(text.contains("team-b") && !text.contains("team-a"), "{text}");
    let numbers = program.asked("/metrics").await.1;
    assert!(numbers.contains(r#"chatroom_operator_namespace_watched{namespace="team-b"} 0"#), "{numbers}");

    exists.store(true, Ordering::Relaxed);
    api.put(ROOMS, room_in("team-b", "lobby"));
    comes_about(&api, "team-b", "lobby").await;
    program.says("/metrics", r#"chatroom_operator_namespace_watched{namespace="team-b"} 1"#).await;
    assert_eq!(program.answers("/readyz", 200).await, "ok\n");
    program.stops().await;
}

#[tokio::test]
async fn rooms_that_wait_for_a_right_take_no_place_from_the_others() {
    let api = ApiServer::new();
    api.rule(
        |request| if is_in(request, "team-a") && request.path.ends_with("/pods") { forbidden(request) } else { None },
    );
    // More than are reconciled at once.
    for number in 0..20 {
        api.put(ROOMS, room_in("team-a", &format!("lobby-{number}")));
    }
    let program = Program::begins_in(&api, team_a_and_b()).await;
    program.says("/metrics", "chatroom_operator_reconciles_waiting 20").await;
    api.put(ROOMS, room_in("team-b", "lobby"));
    comes_about(&api, "team-b", "lobby").await;
    let text = program.says("/readyz", "team-a").await;
    assert!(text.contains("Pod"), "{text}");
    api.no_rules();
    comes_about(&api, "team-a", "lobby-19").await;
    program.stops().await;
}

#[tokio::test]
async fn it_stops_while_rooms_wait() {
    let api = ApiServer::new();
    api.rule(|request| if request.path.ends_with("/pods") { forbidden(request) } else { None });
    api.put(ROOMS, room_in("team-a", "lobby"));
    let program = Program::begins_in(&api, team_a_and_b()).await;
    program.says("/metrics", "chatroom_operator_reconciles_waiting 1").await;
    program.stops().await;
}
