//! One gateway, no Redis.

use chatroom_tests::chat::{ChatClient, Received};
use chatroom_tests::wait::{SOON, until};
use chatroom_tests::{http, repository};

use chatroom_tests::conversation::{count_becomes, with_count};

use crate::run::LocalRoom;

#[tokio::test]
async fn two_clients_hear_each_other_with_the_count_and_not_themselves() {
    let room = LocalRoom::start(&[]).await;
    assert_eq!(room.announcement.room, "lobby");
    let mut ann = room.client("ann", 0).await;
    let mut bob = room.client("bob", 0).await;
    ann.say("hello").await;
    bob.hears(&with_count("hello", 2)).await;
    bob.say("hi\nthere ☺").await;
    // The first thing that reaches Ann is Bob's message: her own did not.
    ann.hears(&with_count("hi\nthere ☺", 2)).await;
}

#[tokio::test]
async fn who_leaves_is_no_longer_counted() {
    let room = LocalRoom::start(&[]).await;
    let mut ann = room.client("ann", 0).await;
    let mut bob = room.client("bob", 0).await;
    let cy = room.client("cy", 0).await;
    ann.say("all here?").await;
    bob.hears(&with_count("all here?", 3)).await;
    cy.leave().await;
    count_becomes(2, &mut ann, &mut bob, SOON).await;
}

#[tokio::test]
async fn bytes_reach_the_others_as_they_are() {
    let room = LocalRoom::start(&[]).await;
    let mut ann = room.client("ann", 0).await;
    let mut bob = room.client("bob", 0).await;
    ann.say_bytes(&[0, 159, 146, 150]).await;
    bob.hears_bytes(&[0, 159, 146, 150]).await;
    ann.say("").await;
    bob.hears(&with_count("", 2)).await;
}

#[tokio::test]
async fn the_longest_message_passes_and_a_longer_one_closes_its_sender_alone() {
    let room = LocalRoom::start(&[]).await;
    let mut ann = room.client("ann", 0).await;
    let mut bob = room.client("bob", 0).await;
    let mut cy = room.client("cy", 0).await;
    let longest = "x".repeat(65_536);
    ann.say(&longest).await;
    bob.hears(&with_count(&longest, 3)).await;
    cy.hears(&with_count(&longest, 3)).await;
    // The gateway may answer before it has read everything, so writing may fail.
    ann.try_say(&format!("{longest}x")).await;
    ann.is_closed_with(1009).await;
    count_becomes(2, &mut bob, &mut cy, SOON).await;
}

#[tokio::test]
async fn a_browser_gets_the_page_and_the_probes_have_their_own_port() {
    let room = LocalRoom::start(&[]).await;
    let page_url = format!("http://127.0.0.1:{}/", room.port);
    let page = http::get_with(&page_url, &[("accept", "text/html")]).await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"), "{:?}", page.headers());
    assert!(page.body().contains("WebSocket"), "{}", page.body());
    let internal = &room.announcement.replicas[0].internal_url;
    for path in ["/livez", "/readyz", "/metrics", "/status"] {
        assert_eq!(http::get(&format!("{internal}{path}")).await.unwrap().status(), 200, "{path}");
        assert_eq!(http::get(&format!("{page_url}{}", &path[1..])).await.unwrap().status(), 404, "{path} for clients");
    }
}

#[tokio::test]
async fn the_gateway_counts_its_connections_for_whoever_asks() {
    let room = LocalRoom::start(&[]).await;
    let _ann = room.client("ann", 0).await;
    let _bob = room.client("bob", 0).await;
    let url = format!("{}/status", room.announcement.replicas[0].internal_url);
    until("status tells of two connections", SOON, async || {
        let answer = http::get(&url).await.unwrap();
        let status: chatroom_settings::GatewayStatus = serde_json::from_str(answer.body()).unwrap();
        if (status.connections, status.online, status.ready) == (2, Some(2), true) {
            Ok(())
        } else {
            Err(format!("{status:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn another_path_and_another_protocol_are_refused() {
    let room = LocalRoom::start(&[]).await;
    let url = &room.announcement.replicas[0].url;
    assert!(ChatClient::try_connect("lost", &format!("{url}elsewhere")).await.is_err());
    // The room goes on.
    let mut ann = room.client("ann", 0).await;
    let mut bob = room.client("bob", 0).await;
    ann.say("still here").await;
    assert_eq!(bob.next().await, Received::Text(with_count("still here", 2)));
}

#[tokio::test]
async fn what_is_about_objects_of_a_cluster_is_left_out_aloud() {
    let directory = tempfile::TempDir::new().unwrap();
    let manifest = directory.path().join("room.yaml");
    let sample = std::fs::read_to_string(repository::root().join("deploy/samples/overrides.yaml")).unwrap();
    std::fs::write(&manifest, format!("{sample}  pod: {{envFrom: [{{secretRef: {{name: a}}}}]}}\n")).unwrap();
    let room = LocalRoom::start_manifest(&manifest, &[]).await;
    let mut ann = room.client("ann", 0).await;
    let mut bob = room.client("bob", 0).await;
    ann.say("hello").await;
    bob.hears("hello").await;
    let told = room.tool.stderr().all().join("\n");
    for left_out in ["spec.pod.envFrom: names objects", "spec.overrides: is about objects"] {
        assert_eq!(told.matches(left_out).count(), 1, "{told}");
    }
}
