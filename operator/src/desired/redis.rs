//! The room's own Redis: one pod without a disk, its Service, its password.
//!
//! It outlives the gateways when a room is deleted, so that they can still take leave of it: its pod sleeps for their grace
//! period before it stops. They do so over the connections that they have: the Service goes with the room at once.
//!
//! A pod that is evicted gets its successor while it sleeps. Whoever is connected to the old one stays there until it stops,
//! whoever comes anew gets the new one: for that long the room may be split in two.

use std::collections::BTreeMap;

use chatroom_settings::names::files;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy};
use k8s_openapi::api::core::v1::{
    Container, EmptyDirVolumeSource, KeyToPath, PodSpec, PodTemplateSpec, Probe, SecretVolumeSource, Service,
    ServicePort, ServiceSpec, TCPSocketAction, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{RedisResources, SecretTemplate, SecretToCreate, container, security};
use crate::decide::RedisDecision;
use crate::names::{Component, Names};
use crate::room::{EphemeralRedis, Redis, Room};

const PORT_NAME: &str = "redis";
const CONFIG_DIRECTORY: &str = "/etc/redis-config";
const CONFIG_FILE: &str = "redis.conf";
const CONFIG_VOLUME: &str = "config";
const DATA_DIRECTORY: &str = "/data";
const DATA_VOLUME: &str = "data";
/// Redis keeps everything in memory and writes nothing; the directory is there because it wants to stand somewhere.
const DATA_SIZE: &str = "16Mi";
/// Available is later than ready by more than the operator keeps an answer of a gateway: whoever still has its password
/// refused by a Redis that is available was refused by this one.
const MIN_READY_SECONDS: i32 = 15;
/// What Redis itself needs to stop.
const STOP_SECONDS: u32 = 10;

pub(super) fn redis(names: &Names, room: &Room, decision: &RedisDecision) -> Option<RedisResources> {
    let (Redis::Ephemeral(redis), RedisDecision::Run { image, .. }) = (&room.redis, decision) else { return None };
    Some(RedisResources {
        secret: secret(names),
        service: service(names),
        deployment: deployment(names, room, redis, decision, image.as_str()),
    })
}

/// The gateways get the password, Redis a configuration that holds it: on a command line everybody could read it.
fn secret(names: &Names) -> SecretToCreate {
    let config = SecretTemplate { prefix: "requirepass ".to_owned(), suffix: "\n" };
    let values = [(files::REDIS_PASSWORD, SecretTemplate::default()), (CONFIG_FILE, config)];
    SecretToCreate {
        metadata: names.metadata(names.redis(), Component::Redis),
        values: values.into_iter().map(|(key, template)| (key.to_owned(), template)).collect(),
    }
}

fn service(names: &Names) -> Service {
    let port = ServicePort {
        name: Some(PORT_NAME.to_owned()),
        port: i32::from(Names::REDIS_PORT),
        target_port: Some(IntOrString::String(PORT_NAME.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    };
    Service {
        metadata: names.metadata(names.redis(), Component::Redis),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(names.selector(Component::Redis)),
            ports: Some(vec![port]),
            // Addresses that are not ready are not published. A pod that sleeps before it stops serves whoever connects for as
            // long as there is no other; once its successor is ready it gets nobody new, and the room does not stand on two.
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn deployment(names: &Names, room: &Room, redis: &EphemeralRedis, decision: &RedisDecision, image: &str) -> Deployment {
    let annotations: BTreeMap<_, _> = super::credential_annotation(decision).collect();
    let outlive_gateways = room.grace_period_seconds();
    let pod = PodSpec {
        service_account_name: Some(container::service_account(names, room)),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(i64::from(outlive_gateways + STOP_SECONDS)),
        security_context: Some(security::pod()),
        image_pull_secrets: container::image_pull_secrets(room),
        containers: vec![server(redis, image, outlive_gateways)],
        volumes: Some(volumes(names)),
        ..PodSpec::default()
    };
    Deployment {
        metadata: names.metadata(names.redis(), Component::Redis),
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            selector: names.label_selector(Component::Redis),
            // Two at once would be two rooms.
            strategy: Some(DeploymentStrategy { type_: Some("Recreate".to_owned()), rolling_update: None }),
            min_ready_seconds: Some(MIN_READY_SECONDS),
            revision_history_limit: Some(1),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(names.labels(Component::Redis)),
                    annotations: (!annotations.is_empty()).then_some(annotations),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod),
            },
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

fn server(redis: &EphemeralRedis, image: &str, pre_stop_seconds: u32) -> Container {
    // A probe that speaks Redis would need the password: that the port is open is enough, the gateways say the rest.
    let port_is_open = || Probe {
        tcp_socket: Some(TCPSocketAction { port: IntOrString::String(PORT_NAME.to_owned()), host: None }),
        ..Probe::default()
    };
    Container {
        name: "redis".to_owned(),
        image: Some(image.to_owned()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(command(redis.max_memory_bytes)),
        ports: Some(vec![container::port(PORT_NAME, Names::REDIS_PORT)]),
        resources: Some(container::resources(&redis.resources)),
        security_context: Some(security::container()),
        lifecycle: container::pre_stop_sleep(pre_stop_seconds),
        startup_probe: Some(Probe { period_seconds: Some(1), failure_threshold: Some(60), ..port_is_open() }),
        liveness_probe: Some(Probe {
            period_seconds: Some(10),
            timeout_seconds: Some(5),
            failure_threshold: Some(3),
            ..port_is_open()
        }),
        readiness_probe: Some(Probe { period_seconds: Some(3), timeout_seconds: Some(3), ..port_is_open() }),
        volume_mounts: Some(vec![
            container::mount(CONFIG_VOLUME, CONFIG_DIRECTORY),
            VolumeMount {
                name: DATA_VOLUME.to_owned(),
                mount_path: DATA_DIRECTORY.to_owned(),
                ..VolumeMount::default()
            },
        ]),
        ..Container::default()
    }
}

fn command(max_memory_bytes: u64) -> Vec<String> {
    let config = format!("{CONFIG_DIRECTORY}/{CONFIG_FILE}");
    let (port, max_memory) = (Names::REDIS_PORT.to_string(), max_memory_bytes.to_string());
    [
        "redis-server",
        &config,
        "--port",
        &port,
        // No disk: neither snapshots nor a log.
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        DATA_DIRECTORY,
        "--maxmemory",
        &max_memory,
        // Evicting would forget leases and connections of people who are there.
        "--maxmemory-policy",
        "noeviction",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn volumes(names: &Names) -> Vec<Volume> {
    let item = KeyToPath { key: CONFIG_FILE.to_owned(), path: CONFIG_FILE.to_owned(), mode: None };
    vec![
        // Not optional: a Redis without its password must not start.
        Volume {
            name: CONFIG_VOLUME.to_owned(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(names.redis()),
                items: Some(vec![item]),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        },
        Volume {
            name: DATA_VOLUME.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource {
                medium: Some("Memory".to_owned()),
                size_limit: Some(Quantity(DATA_SIZE.to_owned())),
            }),
            ..Volume::default()
        },
    ]
}
