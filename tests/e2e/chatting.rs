//! From `apply` to a conversation.

use chatroom_api::condition;
use chatroom_operator::conditions::find;
use chatroom_tests::chat::ChatClient;
use chatroom_tests::conversation::{count_becomes, with_count};
use chatroom_tests::http;
use chatroom_tests::wait::{SOON, until};
use k8s_openapi::api::core::v1::Service;
use serde_json::json;

use chatroom_tests::world::{address_of, in_namespace};

const LOBBY: &str = "(===Online people:{online}===)";

#[tokio::test]
async fn an_applied_room_becomes_ready_and_its_clients_hear_each_other_on_all_pods() {
    in_namespace("chatting", async |world| {
        world.apply("lobby", json!({"replicas": 2, "webClient": true, "broadcast": {"onlineSuffix": LOBBY}})).await;
        let room = world.ready("lobby", 2).await;

        // Everything that `kubectl get rooms` shows.
        let status = room.status.expect("a ready room has a status");
        let ready = find(&status, condition::READY).expect("a ready room says so");
        assert!(!ready.reason.is_empty());
        assert_eq!(status.url, Some(format!("ws://lobby.{}.svc/", world.namespace)));
        assert_eq!(status.redis.as_deref(), Some("Ephemeral"));
        assert!(status.image.is_some_and(|image| !image.is_empty()));
        assert!(status.selector.is_some_and(|selector| selector.contains("app.kubernetes.io/instance=lobby")));

        let gateways = world.gateways("lobby").await;
        assert_eq!(gateways.len(), 2);
        let mut ann = world.connect("ann", &gateways[0]).await;
        let mut bob = world.connect("bob", &gateways[1]).await;
        ann.say("hello").await;
        bob.hears(&with_count("hello", 2)).await;
        bob.say("hi").await;
        ann.hears(&with_count("hi", 2)).await;

        // A browser finds the page where clients connect.
        let page =
            http::get_with(&format!("http://{}:8080/", address_of(&gateways[0])), &[("accept", "text/html")]).await;
        let page = page.expect("the page is served");
        assert_eq!(page.status(), 200);
        assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));

        // The room's Service leads there as well.
        let service = world.api::<Service>().get("lobby").await.expect("a room has a Service");
        let address = service.spec.and_then(|spec| spec.cluster_ip).expect("a ClusterIP has an address");
        let url = format!("ws://{address}:80/");
        let mut cy =
            until("the Service leads to a gateway", SOON, async || ChatClient::try_connect("cy", &url).await).await;
        count_becomes(3, &mut cy, &mut ann, SOON).await;
    })
    .await;
}

#[tokio::test]
async fn the_status_tells_how_many_people_are_online() {
    in_namespace("online", async |world| {
        world.apply("lobby", json!({"replicas": 2})).await;
        world.ready("lobby", 2).await;
        let gateways = world.gateways("lobby").await;
        let _ann = world.connect("ann", &gateways[0]).await;
        let _bob = world.connect("bob", &gateways[1]).await;
        let _cy = world.connect("cy", &gateways[1]).await;
        let rooms = world.rooms();
        // Written at most once a minute, so a number that was caught on the way up stands for that long.
        until("status.online is 3", 3 * SOON, async || {
            let status = rooms.get("lobby").await.map_err(|error| error.to_string())?.status.unwrap_or_default();
            if status.online == Some(3) { Ok(()) } else { Err(format!("{:?}", status.online)) }
        })
        .await;
    })
    .await;
}
