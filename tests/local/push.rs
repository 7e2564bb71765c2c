//! Other programs that speak to the clients of a room on this machine.

use std::path::PathBuf;

use chatroom_tests::chat::Received;
use chatroom_tests::http;
use chatroom_tests::push::{FILTER_THAT_TELLS_IDS, connection, data_send, ids_of, publish, tencent};
use chatroom_tests::redis_server::is_missing_for;
use chatroom_tests::wait::{SOON, until};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::run::LocalRoom;

#[tokio::test]
async fn through_one_gateway_everybody_and_anybody_is_reached_without_a_redis() {
    reaches_everybody_from_everywhere(1).await;
}

#[tokio::test]
async fn through_each_of_three_gateways_the_clients_of_all_are_reached() {
    if is_missing_for("through_each_of_three_gateways_the_clients_of_all_are_reached") {
        return;
    }
    reaches_everybody_from_everywhere(3).await;
}

/// A client at each gateway; each gateway's push port says something to each of them, in both dialects, and to all.
async fn reaches_everybody_from_everywhere(replicas: usize) {
    let directory = TempDir::new().expect("a temporary directory can be made");
    let room = LocalRoom::start_manifest(&manifest(&directory, ""), &["--replicas", &replicas.to_string()]).await;
    let key = room.announcement.push.keys[0].clone();
    let mut clients = Vec::new();
    for index in 0..replicas {
        let client = room.client(&format!("client {index}"), index).await;
        let id = until("its gateway tells its ID", SOON, async || {
            ids_of(&room.tool.stderr().all().join("\n")).get(index).cloned().ok_or("not yet")
        })
        .await;
        clients.push((client, id));
    }
    for (from, replica) in room.announcement.replicas.iter().enumerate() {
        let url = format!("{}/{key}", replica.push_url);
        let base = base(&replica.push_url);
        for (client, id) in &mut clients {
            let text = format!("from {from} to {id}");
            let answer = tencent(&url, &data_send(id, &text)).await.expect("it answers");
            assert_eq!((answer.status().as_u16(), json_of(answer.body())), (200, json!({"errNo": 0, "errMsg": "ok"})));
            client.hears(&text).await;
            let answer = connection(base, &key, "POST", id, &format!("plainly {text}")).await.expect("it answers");
            assert_eq!(answer.status(), 200, "{}", answer.body());
            client.hears(&format!("plainly {text}")).await;
            let answer = connection(base, &key, "GET", id, "").await.expect("it answers");
            assert_eq!((answer.status().as_u16(), &json_of(answer.body())["address"]), (200, &json!("127.0.0.1")));
        }
        let answer = publish(base, &key, &format!("{from} to all")).await.expect("it answers");
        assert_eq!((answer.status().as_u16(), &json_of(answer.body())["online"]), (200, &json!(replicas)));
        // The next thing that each hears: nothing came twice, and nothing that was for another.
        for (client, _) in &mut clients {
            client.hears(&format!("{from} to all")).await;
        }
    }
    let last = room.announcement.replicas.last().expect("there is a gateway");
    let (mut first, id) = clients.remove(0);
    let closed = connection(base(&last.push_url), &key, "DELETE", &id, "").await.expect("it answers");
    assert_eq!(closed.status(), 204, "{}", closed.body());
    first.is_closed_with(1000).await;
    until("everybody knows that it is gone", SOON, async || {
        let answer =
            tencent(&format!("{}/{key}", last.push_url), &data_send(&id, "too late")).await.expect("it answers");
        if answer.status() == 410 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
}

#[tokio::test]
async fn without_a_key_of_this_run_nothing_is_said() {
    let directory = TempDir::new().unwrap();
    let room = LocalRoom::start_manifest(&manifest(&directory, ""), &[]).await;
    let other = LocalRoom::start_manifest(&manifest(&directory, ""), &[]).await;
    let mut ann = room.client("ann", 0).await;
    let url = &room.announcement.replicas[0].push_url;
    let (good, wrong) = (&room.announcement.push.keys[0], &other.announcement.push.keys[0]);
    assert_ne!(good, wrong, "each run makes up its own");
    for refused in [
        publish(base(url), wrong, "psst").await.unwrap(),
        http::ask("POST", &format!("{}/publish", base(url)), &[], "psst").await.unwrap(),
        tencent(&format!("{url}/{wrong}"), &data_send("*", "psst")).await.unwrap(),
    ] {
        assert_eq!(refused.status(), 401, "{}", refused.body());
    }
    assert_eq!(publish(base(url), good, "hello").await.unwrap().status(), 200);
    assert_eq!(ann.next().await, Received::Text("hello".to_owned()));
    let logs = room.tool.stderr().all().join("\n");
    assert!(!logs.contains(good.as_str()) && !logs.contains(wrong.as_str()), "a key stands in a log: {logs}");
}

#[tokio::test]
async fn the_keys_of_the_file_are_used_and_each_of_them_counts() {
    let directory = TempDir::new().unwrap();
    let (new, old) = ("the-new-key-of-the-file", "the-old-key-of-the-file");
    let secret = format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: ours}}\nstringData:\n  keys: |\n    {new}\n    {old}\n"
    );
    let room =
        LocalRoom::start_manifest(&manifest(&directory, &format!("  push: {{secretName: ours}}\n{secret}")), &[]).await;
    assert_eq!(room.announcement.push.keys, [new, old]);
    let mut ann = room.client("ann", 0).await;
    for key in [new, old] {
        let answer = publish(base(&room.announcement.replicas[0].push_url), key, key).await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.body());
        ann.hears(key).await;
    }
}

/// A room whose gateways tell the ID of each connection; `more` goes on with its spec.
fn manifest(directory: &TempDir, more: &str) -> PathBuf {
    let text = format!(
        "apiVersion: chatroom.dev/v1alpha1\nkind: ChatRoom\nmetadata: {{name: lobby}}\nspec:\n  logging: {{filter: \
         '{FILTER_THAT_TELLS_IDS}'}}\n{more}"
    );
    let file = directory.path().join("room.yaml");
    std::fs::write(&file, text).expect("a fresh directory can be written to");
    file
}

fn base(push_url: &str) -> &str {
    push_url.strip_suffix("/push").expect("a push URL ends so")
}

fn json_of(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error} in {body}"))
}
