//! Rooms, clusters and gateways to begin with: good ones, of which each test breaks one thing.

use chatroom_api::ChatRoom;
use chatroom_operator::controller::validate::validate;
use chatroom_operator::decide::decide;
use chatroom_operator::desired::{desired, settings};
use chatroom_operator::names::Names;
use chatroom_operator::observed::{GatewayReport, Observed, PodReport, Unreachable};
use chatroom_operator::room::{Defaults, Room};
use chatroom_settings::names::files;
use chatroom_settings::{GatewayStatus, RedisState, RedisStatus};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};
use serde_json::{Value, json};

pub(crate) fn defaults() -> Defaults {
    Defaults { gateway_image: "gateway:1".to_owned(), redis_image: "redis:1".to_owned() }
}

/// As the API server hands it out.
pub(crate) fn chat_room(spec: Value) -> ChatRoom {
    let mut room = ChatRoom::new("lobby", serde_json::from_value(spec).unwrap());
    room.metadata.namespace = Some("default".to_owned());
    room.metadata.uid = Some("uid-1".to_owned());
    room.metadata.generation = Some(1);
    room
}

pub(crate) fn room(spec: Value) -> Room {
    validate(&chat_room(spec), &defaults()).unwrap()
}

pub(crate) fn ephemeral() -> Room {
    room(json!({}))
}

pub(crate) fn external() -> Room {
    room(json!({"redis": {"external": {"urlSecretRef": {"name": "redis"}}}}))
}

/// The live Deployments of a room on which nothing is on its way.
pub(crate) fn settled(room: &Room) -> Observed {
    let names = Names::new(&room.identity);
    let resources = desired(&names, room, &decide(room, &Observed::default()));
    let pods = (0..room.replicas).map(|index| ready_pod(&format!("lobby-{index}"), "current")).collect();
    let hot_settings = resources.config_map.data.unwrap()[files::HOT_FILE].clone();
    let gateway = |index| {
        let mut report = connected(&format!("lobby-{index}"));
        report.answer.as_mut().unwrap().hot_hash = settings::hash(&hot_settings);
        report
    };
    Observed {
        deployment: Some(live(resources.deployment, room.replicas)),
        redis: resources.redis.map(|redis| live(redis.deployment, 1)),
        gateways: (0..room.replicas).map(gateway).collect(),
        pods,
        redis_pods: Vec::new(),
        hot_settings: Some(hot_settings),
    }
}

/// The Deployment as it stands when `replicas` pods run it.
pub(crate) fn live(mut deployment: Deployment, replicas: i32) -> Deployment {
    deployment.metadata.generation = Some(1);
    deployment.status = Some(DeploymentStatus {
        observed_generation: Some(1),
        replicas: Some(replicas),
        updated_replicas: Some(replicas),
        ready_replicas: Some(replicas),
        available_replicas: Some(replicas),
        ..DeploymentStatus::default()
    });
    deployment
}

pub(crate) fn status(deployment: &mut Option<Deployment>) -> &mut DeploymentStatus {
    deployment.as_mut().unwrap().status.as_mut().unwrap()
}

pub(crate) fn ready_pod(name: &str, template_hash: &str) -> PodReport {
    PodReport { name: name.to_owned(), template_hash: template_hash.to_owned(), ready: true, ..PodReport::default() }
}

pub(crate) fn connected(pod: &str) -> GatewayReport {
    let redis = RedisStatus { state: RedisState::Connected, message: String::new() };
    let status = GatewayStatus { ready: true, online: Some(7), redis, ..GatewayStatus::default() };
    GatewayReport { pod: pod.to_owned(), answer: Ok(status) }
}

pub(crate) fn unreachable(pod: &str) -> GatewayReport {
    GatewayReport { pod: pod.to_owned(), answer: Err(Unreachable { message: "no answer within 2 s".to_owned() }) }
}

/// The answer of the gateway at `index`, to change it.
pub(crate) fn answer(observed: &mut Observed, index: usize) -> &mut GatewayStatus {
    observed.gateways[index].answer.as_mut().unwrap()
}
