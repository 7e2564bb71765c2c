//! The sample room with functions, from the manifests of `deploy/samples/functions` and with the image that was packed here.

use std::collections::BTreeSet;

use chatroom_api::ChatRoom;
use chatroom_tests::chat::{ChatClient, Received};
use chatroom_tests::conversation::with_count;
use chatroom_tests::repository;
use chatroom_tests::wait::until;
use chatroom_tests::world::{A_LEASE_AND_MORE, A_ROLLOUT, World, in_namespace};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, LogParams};
use serde::Deserialize as _;
use serde_json::{Value, json};

/// Clients of each gateway.
const EACH: usize = 3;

/// Clients of a room that is deleted.
const MANY: usize = 200;

#[tokio::test]
async fn the_sample_functions_serve_two_gateways_and_hear_of_the_clients_of_one_that_is_killed() {
    in_namespace("functions", async |world| {
        apply_the_sample(world).await;
        world.ready("functions", 2).await;
        are_there(world).await;
        let gateways = world.gateways("functions").await;
        let mut here = Vec::new();
        let mut there = Vec::new();
        for number in 0..EACH {
            here.push(world.connect(&format!("here {number}"), &gateways[0]).await);
            there.push(world.connect(&format!("there {number}"), &gateways[1]).await);
        }
        everybody_hears_everybody(here.iter_mut().chain(&mut there).collect()).await;
        assert_eq!(told(world, "comes").await.len(), 2 * EACH);

        let at_once = DeleteParams::default().grace_period(0);
        world.api::<Pod>().delete(&gateways[1].name_any(), &at_once).await.expect("a pod can be deleted");
        until("the functions know who went with the gateway", A_ROLLOUT + A_LEASE_AND_MORE, async || {
            let told = told(world, "goes").await;
            if told.len() == EACH { Ok(()) } else { Err(format!("they were told of {told:?}")) }
        })
        .await;
        everybody_hears_everybody(here.iter_mut().collect()).await;
        for client in here {
            client.leave().await;
        }
        until("the functions know that everybody is gone", A_ROLLOUT, async || {
            let (came, went) = (told(world, "comes").await, told(world, "goes").await);
            if came == went { Ok(()) } else { Err(format!("{came:?} came, {went:?} went")) }
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_deleted_room_tells_the_functions_of_each_of_its_clients() {
    in_namespace("functions-deleted", async |world| {
        apply_the_sample(world).await;
        world.ready("functions", 2).await;
        are_there(world).await;
        let gateways = world.gateways("functions").await;
        let mut clients = Vec::new();
        for number in 0..MANY {
            clients.push(world.connect(&format!("client {number}"), &gateways[number % gateways.len()]).await);
        }
        let came = told(world, "comes").await;
        assert_eq!(came.len(), MANY);
        // Its Redis goes with it, and is the last to go.
        world.api::<ChatRoom>().delete("functions", &DeleteParams::default()).await.expect("a room can be deleted");
        until("the functions know that everybody is gone", A_ROLLOUT, async || {
            let went = told(world, "goes").await;
            if came == went { Ok(()) } else { Err(format!("{} came, {} went", came.len(), went.len())) }
        })
        .await;
    })
    .await;
}

/// One after the other says something; the next thing that each of the others hears is that.
async fn everybody_hears_everybody(mut clients: Vec<&mut ChatClient>) {
    let online = clients.len();
    for speaker in 0..online {
        let text = format!("{speaker} of {online}");
        clients[speaker].say(&text).await;
        for (listener, client) in clients.iter_mut().enumerate() {
            if listener != speaker {
                assert_eq!(client.next().await, Received::Text(with_count(&text, online)), "{client}");
            }
        }
    }
}

async fn apply_the_sample(world: &World) {
    for object in objects("room.yaml") {
        let room: ChatRoom = serde_json::from_value(object.clone()).expect("the sample's room is a room");
        let mut spec = object["spec"].clone();
        // A test's own is shorter.
        spec.as_object_mut().expect("a spec is an object").remove("drain");
        world.apply(&room.name_any(), spec).await;
    }
    let image = std::fs::read_to_string(repository::root().join("target/images/functions-sample.ref"));
    let image = image.expect("the image of the sample functions was packed and is on the node");
    for mut object in objects("backend.yaml") {
        match object["kind"].as_str() {
            Some("Deployment") => {
                object["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image.trim());
                world.create::<Deployment>(object).await;
            }
            Some("Service") => world.create::<Service>(object).await,
            Some("NetworkPolicy") => world.create::<NetworkPolicy>(object).await,
            other => panic!("the sample has a {other:?} that is not applied here"),
        }
    }
}

/// The objects of one file of the sample.
fn objects(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(repository::root().join("deploy/samples/functions").join(file));
    let text = text.unwrap_or_else(|error| panic!("{file}: {error}"));
    let documents = serde_yaml::Deserializer::from_str(&text);
    documents.map(|document| Value::deserialize(document).expect("the sample is YAML")).collect()
}

async fn are_there(world: &World) {
    until("the functions are there", A_ROLLOUT, async || {
        let functions = world.api::<Deployment>().get("chat-functions").await.map_err(|error| error.to_string())?;
        let available = functions.status.and_then(|status| status.available_replicas);
        if available == Some(1) { Ok(()) } else { Err(format!("{available:?} of them are available")) }
    })
    .await;
}

/// The IDs of all that the functions have been told of with this word: `comes` or `goes`.
async fn told(world: &World, word: &str) -> BTreeSet<String> {
    let selector = ListParams::default().labels("app.kubernetes.io/name=chat-functions");
    let pods = world.api::<Pod>().list(&selector).await.expect("pods can be listed").items;
    let [pod] = pods.as_slice() else { panic!("there is one pod of the functions, not {}", pods.len()) };
    let log = world.api::<Pod>().logs(&pod.name_any(), &LogParams::default()).await.expect("it has a log");
    log.lines().filter_map(|line| line.split_once(&format!(" {word}, ")).map(|(id, _)| id.to_owned())).collect()
}
