//! Several gateways that share a Redis.

use chatroom_tests::chat::{ChatClient, Received};
use chatroom_tests::ports;
use chatroom_tests::redis_server::{RedisServer, is_missing_for};
use chatroom_tests::wait::SOON;

use chatroom_tests::conversation::{count_becomes, with_count};

use crate::run::LocalRoom;

/// Messages that each client says.
const SAID: usize = 20;

#[tokio::test]
async fn everybody_hears_everything_once_in_one_order_and_never_themselves() {
    if is_missing_for("everybody_hears_everything_once_in_one_order_and_never_themselves") {
        return;
    }
    let room = LocalRoom::start(&["--replicas", "3"]).await;
    assert_eq!(room.announcement.replicas.len(), 3);
    let mut clients = Vec::new();
    for index in 0..6 {
        clients.push(room.client(&format!("client {index}"), index % 3).await);
    }
    for round in 0..SAID {
        for (index, client) in clients.iter_mut().enumerate() {
            client.say(&format!("{index} says {round}")).await;
        }
    }
    let mut orders = Vec::new();
    for client in &mut clients {
        orders.push(hear(client, SAID * 5).await);
    }
    for (index, heard) in orders.iter().enumerate() {
        let mut sorted = heard.clone();
        sorted.sort();
        let mut expected: Vec<_> = (0..6)
            .filter(|speaker| *speaker != index)
            .flat_map(|speaker| (0..SAID).map(move |round| with_count(&format!("{speaker} says {round}"), 6)))
            .collect();
        expected.sort();
        assert_eq!(sorted, expected, "client {index} hears all others, each message once, and never itself");
    }
    // What two clients both heard, they heard in one order.
    for (index, one) in orders.iter().enumerate() {
        for (other_index, other) in orders.iter().enumerate().skip(index + 1) {
            let both = |heard: &[String]| -> Vec<String> {
                let from = |text: &str, speaker: usize| text.starts_with(&format!("{speaker} "));
                heard.iter().filter(|text| !from(text, index) && !from(text, other_index)).cloned().collect()
            };
            assert_eq!(both(one), both(other), "clients {index} and {other_index} agree on the order");
        }
    }
}

#[tokio::test]
async fn two_runs_of_one_name_on_one_redis_are_one_room() {
    if is_missing_for("two_runs_of_one_name_on_one_redis_are_one_room") {
        return;
    }
    let redis = RedisServer::start(ports::free_block()).await;
    let one = LocalRoom::start(&["--redis", &redis.url()]).await;
    let other = LocalRoom::start(&["--redis", &redis.url()]).await;
    let mut ann = one.client("ann", 0).await;
    let mut bob = other.client("bob", 0).await;
    count_becomes(2, &mut ann, &mut bob, SOON).await;
    bob.say("across").await;
    ann.hears(&with_count("across", 2)).await;
}

#[tokio::test]
async fn the_external_redis_of_the_manifest_is_used_when_the_file_holds_its_secret() {
    if is_missing_for("the_external_redis_of_the_manifest_is_used_when_the_file_holds_its_secret") {
        return;
    }
    let redis = RedisServer::start(ports::free_block()).await;
    let directory = tempfile::TempDir::new().unwrap();
    let manifest = directory.path().join("room.yaml");
    let text = format!(
        "apiVersion: chatroom.dev/v1alpha1\nkind: ChatRoom\nmetadata: {{name: shared}}\nspec:\n  redis:\n    external:\n      \
         urlSecretRef: {{name: theirs, key: address}}\n      keyPrefix: 'mine:{{x}}:'\n---\napiVersion: v1\nkind: Secret\n\
         metadata: {{name: theirs}}\nstringData: {{address: '{}'}}\n",
        redis.url()
    );
    std::fs::write(&manifest, text).unwrap();
    let room = LocalRoom::start_manifest(&manifest, &["--replicas", "2"]).await;
    let mut ann = room.client("ann", 0).await;
    let mut bob = room.client("bob", 1).await;
    ann.say("hello").await;
    bob.hears("hello").await;
    let mut connection = redis.connection().await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    assert!(!keys.is_empty() && keys.iter().all(|key| key.starts_with("mine:{x}:")), "{keys:?}");
}

async fn hear(client: &mut ChatClient, count: usize) -> Vec<String> {
    let mut heard = Vec::new();
    while heard.len() < count {
        match client.next().await {
            Received::Text(text) => heard.push(text),
            other => panic!("{client} received {other:?}"),
        }
    }
    heard
}
