//! Lays what a room says over the objects that are made of it. What would not fit was refused while validating.

use k8s_openapi::DeepMerge;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, EnvVar, LifecycleHandler, PodSpec, Probe, Service};

use crate::room::Overrides;

pub(super) fn over_deployment(mut base: Deployment, overrides: &Overrides) -> Deployment {
    if let Some(wanted) = &overrides.deployment {
        if let (Some(base), Some(wanted)) =
            (pod(&mut base), wanted.spec.as_ref().and_then(|s| s.template.spec.as_ref()))
        {
            for wanted in &wanted.containers {
                for base in base.containers.iter_mut().filter(|base| base.name == wanted.name) {
                    make_way(base, wanted);
                }
            }
        }
        base.merge_from(Deployment::clone(wanted));
    }
    base
}

pub(super) fn over_service(mut base: Service, overrides: &Overrides) -> Service {
    if let Some(wanted) = &overrides.service {
        base.merge_from(Service::clone(wanted));
    }
    base
}

fn pod(deployment: &mut Deployment) -> Option<&mut PodSpec> {
    deployment.spec.as_mut()?.template.spec.as_mut()
}

/// Where one of several has to be chosen, what is wanted takes the place of what was there: merged field by field there would
/// be two, which nobody takes.
fn make_way(base: &mut Container, wanted: &Container) {
    for (base, wanted) in [
        (&mut base.startup_probe, &wanted.startup_probe),
        (&mut base.liveness_probe, &wanted.liveness_probe),
        (&mut base.readiness_probe, &wanted.readiness_probe),
    ] {
        if let (Some(base), Some(wanted)) = (base, wanted) {
            make_way_for_probe(base, wanted);
        }
    }
    let pre_stop = base.lifecycle.as_mut().and_then(|lifecycle| lifecycle.pre_stop.as_mut());
    let wanted_pre_stop = wanted.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
    if let (Some(base), Some(wanted)) = (pre_stop, wanted_pre_stop) {
        make_way_for_handler(base, wanted);
    }
    for wanted in wanted.env.iter().flatten() {
        for base in base.env.iter_mut().flatten().filter(|base| base.name == wanted.name) {
            make_way_for_variable(base, wanted);
        }
    }
}

fn make_way_for_probe(base: &mut Probe, wanted: &Probe) {
    let Probe { exec, grpc, http_get, tcp_socket, .. } = wanted;
    if exec.is_some() || grpc.is_some() || http_get.is_some() || tcp_socket.is_some() {
        keep_if(&mut base.exec, exec.is_some());
        keep_if(&mut base.grpc, grpc.is_some());
        keep_if(&mut base.http_get, http_get.is_some());
        keep_if(&mut base.tcp_socket, tcp_socket.is_some());
    }
}

fn make_way_for_handler(base: &mut LifecycleHandler, wanted: &LifecycleHandler) {
    let LifecycleHandler { exec, http_get, sleep, tcp_socket } = wanted;
    if exec.is_some() || http_get.is_some() || sleep.is_some() || tcp_socket.is_some() {
        keep_if(&mut base.exec, exec.is_some());
        keep_if(&mut base.http_get, http_get.is_some());
        keep_if(&mut base.sleep, sleep.is_some());
        keep_if(&mut base.tcp_socket, tcp_socket.is_some());
    }
}

fn make_way_for_variable(base: &mut EnvVar, wanted: &EnvVar) {
    if wanted.value.is_some() || wanted.value_from.is_some() {
        base.value = None;
        base.value_from = None;
    }
}

fn keep_if<T>(value: &mut Option<T>, keep: bool) {
    if !keep {
        *value = None;
    }
}
