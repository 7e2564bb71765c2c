//! Other programs that speak to the clients of a room on a cluster, with the key that the operator made.

use std::time::Duration;

use chatroom_api::condition;
use chatroom_tests::chat::Received;
use chatroom_tests::http;
use chatroom_tests::push::{FILTER_THAT_TELLS_IDS, connection, data_send, ids_of, publish, tencent};
use chatroom_tests::wait::{SOON, until};
use chatroom_tests::world::{World, address_of, in_namespace};
use k8s_openapi::api::core::v1::{Event, Pod, Secret, Service};
use kube::api::{Api, DeleteParams, ListParams, LogParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;

/// A gateway notices within a kubelet's minute and a half that its key is gone, and as much later that there is another.
const GONE_AND_BACK: Duration = Duration::from_secs(180);

#[tokio::test]
async fn a_push_at_any_gateway_and_at_the_service_reaches_its_client_once_and_the_key_stands_nowhere() {
    in_namespace("push", async |world| {
        world.apply("lobby", json!({"replicas": 2, "logging": {"filter": FILTER_THAT_TELLS_IDS}})).await;
        let room = world.ready("lobby", 2).await;
        let status = room.status.unwrap_or_default();
        assert_eq!(status.push_url, Some(format!("http://lobby-push.{}.svc/push", world.namespace)));
        assert_eq!(status.push_secret_name.as_deref(), Some("lobby-push"));
        world.says("lobby", condition::PUSH_READY, ("True", "Accepting"), &[]).await;
        let (key, url) = (value(world, "keys").await, value(world, "url").await);
        assert_eq!(url, format!("http://lobby-push.{}.svc/push/{key}", world.namespace));

        let gateways = world.gateways("lobby").await;
        let (mut ann, ann_id) = (world.connect("ann", &gateways[0]).await, id_at(world, &gateways[0]).await);
        let (mut bob, bob_id) = (world.connect("bob", &gateways[1]).await, id_at(world, &gateways[1]).await);
        let mut doors: Vec<_> = gateways.iter().map(|pod| format!("http://{}:8081", address_of(pod))).collect();
        doors.push(push_door(world).await);
        for door in &doors {
            for (client, id) in [(&mut ann, &ann_id), (&mut bob, &bob_id)] {
                let text = format!("through {door} to {id}");
                let answer = tencent(&format!("{door}/push/{key}"), &data_send(id, &text)).await.expect("it answers");
                assert_eq!((answer.status().as_u16(), answer.body().as_str()), (200, r#"{"errNo":0,"errMsg":"ok"}"#));
                // The next thing that each hears is for it alone: nothing came twice.
                client.hears(&text).await;
            }
            let answer = publish(door, &key, &format!("to all through {door}")).await.expect("it answers");
            assert_eq!(answer.status(), 200, "{}", answer.body());
            ann.hears(&format!("to all through {door}")).await;
            bob.hears(&format!("to all through {door}")).await;
            let answer = publish(door, &key.replace(|_: char| true, "x"), "psst").await.expect("it answers");
            assert_eq!(answer.status(), 401, "{}", answer.body());
        }
        let closed = connection(&doors[1], &key, "DELETE", &ann_id, "").await.expect("it answers");
        assert_eq!(closed.status(), 204, "{}", closed.body());
        ann.is_closed_with(1000).await;
        Box::pin(stands_nowhere(world, &key)).await;
    })
    .await;
}

#[tokio::test]
async fn a_deleted_push_secret_comes_back_with_another_key_which_works_within_three_minutes_and_drops_nobody() {
    in_namespace("push-key", async |world| {
        world.apply("lobby", json!({"replicas": 2})).await;
        world.ready("lobby", 2).await;
        let gateways = world.gateways("lobby").await;
        let mut ann = world.connect("ann", &gateways[0]).await;
        let old = value(world, "keys").await;
        let door = push_door(world).await;
        assert_eq!(publish(&door, &old, "with the old key").await.expect("it answers").status(), 200);
        ann.hears("with the old key").await;

        world.api::<Secret>().delete("lobby-push", &DeleteParams::default()).await.expect("a Secret can be deleted");
        let new = until("every gateway takes the new key, and the old one no more", GONE_AND_BACK, async || {
            let secret = world.api::<Secret>().get_opt("lobby-push").await.map_err(|error| error.to_string())?;
            let new = secret.and_then(|secret| text_of(&secret, "keys")).ok_or("the Secret is not back")?;
            for gateway in &gateways {
                let door = format!("http://{}:8081", address_of(gateway));
                // Asks for a connection that never was: nobody hears of it.
                for (key, expected) in [(&new, 410), (&old, 401)] {
                    let answer = connection(&door, key, "GET", NOBODY, "").await.map_err(|error| error.to_string())?;
                    if answer.status() != expected {
                        return Err(format!("{} instead of {expected} from {door}", answer.status()));
                    }
                }
            }
            Ok(new)
        })
        .await;
        assert_ne!(new, old);
        assert_eq!(publish(&door, &new, "with the new key").await.expect("it answers").status(), 200);
        assert_eq!(ann.next().await, Received::Text("with the new key".to_owned()));
        world.says("lobby", condition::PUSH_READY, ("True", "Accepting"), &[]).await;
        let told = world.api::<Event>().list(&ListParams::default()).await.expect("events can be listed");
        assert!(told.iter().any(|event| event.reason.as_deref() == Some("PushKeysRecreated")));
        for key in [&old, &new] {
            Box::pin(stands_nowhere(world, key)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn push_keys_that_the_room_names_are_waited_for_while_clients_are_served() {
    in_namespace("push-named", async |world| {
        world.apply("lobby", json!({"replicas": 1, "push": {"secretName": "ours"}})).await;
        world.ready("lobby", 1).await;
        world.says("lobby", condition::PUSH_READY, ("False", "KeysNotFound"), &["no Secret ours"]).await;
        let door = push_door(world).await;
        let key = "a-key-of-the-rooms-owner";
        assert_eq!(publish(&door, key, "too early").await.expect("it answers").status(), 503);
        let gateway = &world.gateways("lobby").await[0];
        let mut ann = world.connect("ann", gateway).await;
        world.create::<Secret>(json!({"metadata": {"name": "ours"}, "stringData": {"keys": key}})).await;
        world.says("lobby", condition::PUSH_READY, ("True", "Accepting"), &[]).await;
        assert_eq!(publish(&door, key, "in time").await.expect("it answers").status(), 200);
        ann.hears("in time").await;
        assert_eq!(world.api::<Secret>().get_opt("lobby-push").await.expect("Secrets can be asked for"), None);
    })
    .await;
}

/// No gateway ever gave out this ID.
const NOBODY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Neither in what is told of the room nor in what its gateways and the operator say.
async fn stands_nowhere(world: &World, key: &str) {
    let mut places = Vec::new();
    for room in world.rooms().list(&ListParams::default()).await.expect("rooms can be listed") {
        places.push(("the room", serde_json::to_string(&room).expect("a room is JSON")));
    }
    for event in world.api::<Event>().list(&ListParams::default()).await.expect("events can be listed") {
        places.push(("an event", serde_json::to_string(&event).expect("an event is JSON")));
    }
    for pod in world.pods("lobby").await {
        places.push(("a pod", serde_json::to_string(&pod).expect("a pod is JSON")));
        places.push(("a gateway's log", log_of(&world.api(), &pod).await));
        for page in ["status", "metrics"] {
            let answer = http::get(&format!("http://{}:9090/{page}", address_of(&pod))).await.expect("it answers");
            places.push(("a gateway's pages", answer.body().clone()));
        }
    }
    for pod in operators(&world.client).await {
        let namespace = pod.namespace().unwrap_or_default();
        places.push(("the operator's log", log_of(&Api::namespaced(world.client.clone(), &namespace), &pod).await));
        let answer = http::get(&format!("http://{}:9090/metrics", address_of(&pod))).await.expect("it answers");
        places.push(("the operator's metrics", answer.body().clone()));
    }
    for wanted in ["a gateway's log", "the operator's log", "an event", "the operator's metrics"] {
        assert!(places.iter().any(|(place, text)| *place == wanted && !text.is_empty()), "{wanted} was not looked at");
    }
    for (place, text) in places {
        assert!(!text.contains(key), "the key stands in {place}");
    }
}

async fn operators(client: &Client) -> Vec<Pod> {
    let selector = ListParams::default().labels("app.kubernetes.io/name=chatroom-operator");
    let pods: Api<Pod> = Api::all(client.clone());
    let pods = pods.list(&selector).await.expect("pods can be listed").items;
    pods.into_iter()
        .filter(|pod| pod.status.as_ref().is_some_and(|it| it.phase.as_deref() == Some("Running")))
        .collect()
}

async fn log_of(pods: &Api<Pod>, pod: &Pod) -> String {
    pods.logs(&pod.name_any(), &LogParams::default()).await.expect("a pod that runs has a log")
}

/// The ID of the only client that the gateway has had.
async fn id_at(world: &World, gateway: &Pod) -> String {
    until("the gateway tells the ID of its client", SOON, async || {
        ids_of(&log_of(&world.api(), gateway).await).pop().ok_or("not yet")
    })
    .await
}

/// Where programs from inside the cluster push: the address of the Service, since names mean nothing to a test.
async fn push_door(world: &World) -> String {
    let service = world.api::<Service>().get("lobby-push").await.expect("a room has a Service for pushes");
    format!("http://{}:80", service.spec.and_then(|spec| spec.cluster_ip).expect("a ClusterIP has an address"))
}

async fn value(world: &World, key: &str) -> String {
    let secret = world.api::<Secret>().get("lobby-push").await.expect("the operator has made the Secret");
    text_of(&secret, key).unwrap_or_else(|| panic!("the Secret has no key {key}"))
}

fn text_of(secret: &Secret, key: &str) -> Option<String> {
    let value = secret.data.as_ref()?.get(key)?;
    String::from_utf8(value.0.clone()).ok()
}
