//! Small pieces that containers of several objects are made of.

use k8s_openapi::api::core::v1::{
    ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, Lifecycle, LifecycleHandler, LocalObjectReference,
    ObjectFieldSelector, Probe, ResourceRequirements, SleepAction, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::names::Names;
use crate::room::{Resources, Room};

pub(super) fn port(name: &str, number: u16) -> ContainerPort {
    // The protocol is part of the key by which server-side apply tells ports apart: without it, it would be guessed.
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(number),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

pub(super) fn variable(name: &str, value: String) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value), value_from: None }
}

pub(super) fn field(name: &str, path: &str) -> EnvVar {
    let source = EnvVarSource { field_ref: Some(field_selector(path)), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value: None, value_from: Some(source) }
}

pub(super) fn field_selector(path: &str) -> ObjectFieldSelector {
    ObjectFieldSelector { api_version: Some("v1".to_owned()), field_path: path.to_owned() }
}

pub(super) fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), read_only: Some(true), ..VolumeMount::default() }
}

pub(super) fn http_get(path: &str, port: &str) -> Probe {
    let action = HTTPGetAction {
        path: Some(path.to_owned()),
        port: IntOrString::String(port.to_owned()),
        ..HTTPGetAction::default()
    };
    Probe { http_get: Some(action), ..Probe::default() }
}

/// Sleeps before SIGTERM; nothing when it would be no sleep.
pub(super) fn pre_stop_sleep(seconds: u32) -> Option<Lifecycle> {
    (seconds > 0).then(|| Lifecycle {
        pre_stop: Some(LifecycleHandler {
            sleep: Some(SleepAction { seconds: i64::from(seconds) }),
            ..LifecycleHandler::default()
        }),
        ..Lifecycle::default()
    })
}

pub(super) fn resources(resources: &Resources) -> ResourceRequirements {
    let some = |map: &std::collections::BTreeMap<_, _>| (!map.is_empty()).then(|| map.clone());
    ResourceRequirements {
        requests: some(&resources.requests),
        limits: some(&resources.limits),
        ..ResourceRequirements::default()
    }
}

/// What the pods run as: what the room names, else its own.
pub(super) fn service_account(names: &Names, room: &Room) -> String {
    room.pod.service_account_name.clone().unwrap_or_else(|| names.service_account())
}

pub(super) fn image_pull_secrets(room: &Room) -> Option<Vec<LocalObjectReference>> {
    let secrets: Vec<_> =
        room.image_pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() }).collect();
    (!secrets.is_empty()).then_some(secrets)
}
