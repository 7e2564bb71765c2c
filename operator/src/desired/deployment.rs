//! The Deployment of the gateways.

use chatroom_api::PullPolicy;
use chatroom_settings::names::{env, files, ports};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, Container, DownwardAPIVolumeFile, DownwardAPIVolumeSource, EnvVar, KeyToPath, PodSpec,
    PodTemplateSpec, Probe, SecretVolumeSource, TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{container, overrides, push_secret, security, settings};
use crate::decide::Decision;
use crate::names::{Component, Names, keys, pod};
use crate::room::{Placement, Redis, Room};

/// A pod that fails right after it became ready must not yet have cost an old one its place.
const MIN_READY_SECONDS: i32 = 5;
/// Undo goes back so many templates.
const REVISION_HISTORY_LIMIT: i32 = 3;
/// Pulling an image and becoming ready takes less; the drain does not count.
const PROGRESS_DEADLINE_SECONDS: i32 = 300;

pub(super) fn deployment(names: &Names, room: &Room, decision: &Decision) -> Deployment {
    let deployment = Deployment {
        metadata: names.metadata(names.deployment(), Component::Gateway),
        spec: Some(DeploymentSpec {
            replicas: Some(decision.replicas),
            selector: names.label_selector(Component::Gateway),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(room.rollout.max_surge.value()),
                    max_unavailable: Some(room.rollout.max_unavailable.value()),
                }),
            }),
            min_ready_seconds: Some(MIN_READY_SECONDS),
            revision_history_limit: Some(REVISION_HISTORY_LIMIT),
            progress_deadline_seconds: Some(PROGRESS_DEADLINE_SECONDS),
            template: PodTemplateSpec {
                metadata: Some(template_metadata(names, room, decision)),
                spec: Some(pod_spec(names, room)),
            },
            ..DeploymentSpec::default()
        }),
        status: None,
    };
    overrides::over_deployment(deployment, &room.overrides)
}

fn template_metadata(names: &Names, room: &Room, decision: &Decision) -> ObjectMeta {
    let mut labels = room.pod.labels.clone();
    labels.extend(names.labels(Component::Gateway));
    let mut annotations = room.pod.annotations.clone();
    annotations.extend(super::credential_annotation(&decision.redis));
    annotations.extend(decision.restarted_at.clone().map(|time| (keys::RESTARTED_AT.to_owned(), time)));
    // The cold settings are part of the template: it rolls exactly when they change, and a pod that starts again after
    // a crash, or after an undo, finds those it was made for.
    let cold = settings::cold(room, settings::backplane(names, room));
    annotations.insert(keys::SETTINGS.to_owned(), settings::yaml(&cold));
    ObjectMeta { labels: Some(labels), annotations: Some(annotations), ..ObjectMeta::default() }
}

fn pod_spec(names: &Names, room: &Room) -> PodSpec {
    let Placement { node_selector, tolerations, affinity, .. } = &room.pod.placement;
    PodSpec {
        service_account_name: Some(container::service_account(names, room)),
        automount_service_account_token: Some(false),
        // A Service called `chatroom` would put CHATROOM_PORT=tcp://… into the environment of a program that reads it.
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(i64::from(room.grace_period_seconds())),
        security_context: Some(security::pod()),
        image_pull_secrets: container::image_pull_secrets(room),
        node_selector: (!node_selector.is_empty()).then(|| node_selector.clone()),
        tolerations: (!tolerations.is_empty()).then(|| tolerations.clone()),
        affinity: affinity.clone(),
        priority_class_name: room.pod.priority_class_name.clone(),
        topology_spread_constraints: spread(names, &room.pod.placement),
        containers: vec![gateway(room)],
        volumes: Some(volumes(names, room)),
        ..PodSpec::default()
    }
}

/// As the room says; else as even as the cluster allows, over zones and over nodes.
fn spread(names: &Names, placement: &Placement) -> Option<Vec<TopologySpreadConstraint>> {
    let even = |topology_key: &str| TopologySpreadConstraint {
        max_skew: 1,
        topology_key: topology_key.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        ..TopologySpreadConstraint::default()
    };
    let constraints = match &placement.spread {
        Some(constraints) => constraints.clone(),
        None => vec![even("topology.kubernetes.io/zone"), even("kubernetes.io/hostname")],
    };
    let constraints: Vec<_> = constraints.into_iter().map(|constraint| among_gateways(names, constraint)).collect();
    (!constraints.is_empty()).then_some(constraints)
}

/// Without a selector a constraint would count no pod at all. Each template counts for itself, so that the new pods of a
/// rollout are spread, too.
fn among_gateways(names: &Names, constraint: TopologySpreadConstraint) -> TopologySpreadConstraint {
    if constraint.label_selector.is_some() {
        return constraint;
    }
    TopologySpreadConstraint {
        label_selector: Some(names.label_selector(Component::Gateway)),
        match_label_keys: constraint.match_label_keys.or_else(|| Some(vec![keys::TEMPLATE_HASH.to_owned()])),
        ..constraint
    }
}

fn gateway(room: &Room) -> Container {
    Container {
        name: pod::CONTAINER.to_owned(),
        image: Some(room.image.reference.to_string()),
        image_pull_policy: Some(pull_policy(room.image.pull_policy).to_owned()),
        env: Some(environment(room)),
        env_from: (!room.pod.env_from.is_empty()).then(|| room.pod.env_from.clone()),
        ports: Some(vec![
            container::port(pod::CLIENTS_PORT, ports::CLIENTS),
            container::port(pod::PUSH_PORT, ports::PUSH),
            container::port(pod::INTERNAL_PORT, ports::INTERNAL),
        ]),
        resources: Some(container::resources(&room.pod.resources)),
        security_context: Some(security::container()),
        lifecycle: container::pre_stop_sleep(room.drain.pre_stop_seconds),
        // The last line of its log says why it ended: the room's status repeats it.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        startup_probe: Some(Probe {
            period_seconds: Some(1),
            failure_threshold: Some(60),
            ..container::http_get("/livez", pod::INTERNAL_PORT)
        }),
        liveness_probe: Some(Probe {
            period_seconds: Some(10),
            timeout_seconds: Some(5),
            failure_threshold: Some(3),
            ..container::http_get("/livez", pod::INTERNAL_PORT)
        }),
        readiness_probe: Some(Probe {
            period_seconds: Some(3),
            timeout_seconds: Some(3),
            failure_threshold: Some(2),
            ..container::http_get("/readyz", pod::INTERNAL_PORT)
        }),
        volume_mounts: Some(volume_mounts(room)),
        ..Container::default()
    }
}

fn volume_mounts(room: &Room) -> Vec<VolumeMount> {
    let mut mounts = vec![
        container::mount(pod::HOT_VOLUME, files::HOT_DIRECTORY),
        container::mount(pod::COLD_VOLUME, files::COLD_DIRECTORY),
        container::mount(pod::REDIS_VOLUME, files::REDIS_DIRECTORY),
        container::mount(pod::PUSH_VOLUME, files::PUSH_DIRECTORY),
    ];
    mounts.extend(of_functions(room).into_iter().map(|it| container::mount(it.volume, it.directory)));
    mounts
}

/// A Secret that the room's functions are called with.
struct OfFunctions {
    volume: &'static str,
    directory: &'static str,
    variable: &'static str,
    source: SecretVolumeSource,
}

/// Only what the room names: the template of a room without functions is what it was before there were any.
fn of_functions(room: &Room) -> Vec<OfFunctions> {
    let Some(functions) = &room.functions else { return Vec::new() };
    let signing = functions.signing_secret.as_ref().map(|secret| OfFunctions {
        volume: pod::SIGNING_VOLUME,
        directory: files::SIGNING_DIRECTORY,
        variable: env::SIGNING_DIRECTORY,
        source: credential(secret.clone(), files::SIGNING_KEYS, files::SIGNING_KEYS),
    });
    let roots = functions.roots.as_ref().map(|roots| OfFunctions {
        volume: pod::CA_VOLUME,
        directory: files::CA_DIRECTORY,
        variable: env::CA_DIRECTORY,
        source: credential(roots.secret_name.clone(), &roots.secret_key, files::CA_FILE),
    });
    signing.into_iter().chain(roots).collect()
}

fn pull_policy(policy: PullPolicy) -> &'static str {
    match policy {
        PullPolicy::Always => "Always",
        PullPolicy::IfNotPresent => "IfNotPresent",
        PullPolicy::Never => "Never",
    }
}

/// Ours first: a variable of the room may refer to them.
fn environment(room: &Room) -> Vec<EnvVar> {
    let template_hash = format!("metadata.labels['{}']", keys::TEMPLATE_HASH);
    let mut variables = vec![
        container::field(env::POD_NAME, "metadata.name"),
        container::field(env::POD_UID, "metadata.uid"),
        container::field(env::TEMPLATE_HASH, &template_hash),
        container::variable(env::COLD_FILE, format!("{}/{}", files::COLD_DIRECTORY, files::COLD_FILE)),
        container::variable(env::HOT_FILE, format!("{}/{}", files::HOT_DIRECTORY, files::HOT_FILE)),
        container::variable(env::REDIS_DIRECTORY, files::REDIS_DIRECTORY.to_owned()),
        container::variable(env::PUSH_DIRECTORY, files::PUSH_DIRECTORY.to_owned()),
    ];
    variables
        .extend(of_functions(room).into_iter().map(|it| container::variable(it.variable, it.directory.to_owned())));
    variables.extend(room.pod.env.iter().cloned());
    variables
}

fn volumes(names: &Names, room: &Room) -> Vec<Volume> {
    let cold = DownwardAPIVolumeFile {
        path: files::COLD_FILE.to_owned(),
        field_ref: Some(container::field_selector(&format!("metadata.annotations['{}']", keys::SETTINGS))),
        ..DownwardAPIVolumeFile::default()
    };
    let mut volumes = vec![
        // The whole directory: a file that is mounted by itself never changes again.
        Volume {
            name: pod::HOT_VOLUME.to_owned(),
            config_map: Some(ConfigMapVolumeSource { name: names.config_map(), ..ConfigMapVolumeSource::default() }),
            ..Volume::default()
        },
        Volume {
            name: pod::COLD_VOLUME.to_owned(),
            downward_api: Some(DownwardAPIVolumeSource { items: Some(vec![cold]), default_mode: None }),
            ..Volume::default()
        },
        Volume {
            name: pod::REDIS_VOLUME.to_owned(),
            secret: Some(redis_credentials(names, room)),
            ..Volume::default()
        },
        Volume { name: pod::PUSH_VOLUME.to_owned(), secret: Some(push_keys(names, room)), ..Volume::default() },
    ];
    volumes.extend(of_functions(room).into_iter().map(|it| Volume {
        name: it.volume.to_owned(),
        secret: Some(it.source),
        ..Volume::default()
    }));
    volumes
}

fn redis_credentials(names: &Names, room: &Room) -> SecretVolumeSource {
    let (secret, key, file) = match &room.redis {
        Redis::Ephemeral(_) => (names.redis(), files::REDIS_PASSWORD, files::REDIS_PASSWORD),
        Redis::External(redis) => (redis.secret_name.clone(), redis.secret_key.as_str(), files::REDIS_URL),
    };
    credential(secret, key, file)
}

/// The keys alone: what else stands in the Secret is for those who push.
fn push_keys(names: &Names, room: &Room) -> SecretVolumeSource {
    credential(push_secret::name(names, room), files::PUSH_KEYS, files::PUSH_KEYS)
}

/// Optional: a gateway that misses its credential says so on `/status` and takes it when it comes, instead of hanging in a
/// container that is never created.
fn credential(secret: String, key: &str, file: &str) -> SecretVolumeSource {
    let item = KeyToPath { key: key.to_owned(), path: file.to_owned(), mode: None };
    SecretVolumeSource { secret_name: Some(secret), items: Some(vec![item]), optional: Some(true), default_mode: None }
}
