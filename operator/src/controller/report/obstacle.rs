//! What keeps pods from starting, in words that say what to do.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;

use crate::desired::live;
use crate::names::Component;
use crate::observed::{PodReport, Waiting};

/// The reasons under which a node says that it cannot get an image.
const IMAGE_REASONS: [&str; 5] =
    ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"];

/// Something that keeps pods from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Obstacle {
    /// As far as it makes a difference.
    pub(super) kind: Kind,
    /// For people.
    pub(super) text: String,
}

/// What kind of obstacle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An image cannot be had.
    Image,
    /// A Secret is not there that a container cannot do without.
    Secret,
    /// Anything else.
    Other,
}

/// Why pods of a component do not start, or cannot even be created.
pub(super) fn obstacle(component: Component, deployment: Option<&Deployment>, pods: &[PodReport]) -> Option<Obstacle> {
    let refused = deployment.and_then(|deployment| refused(component, deployment));
    refused.or_else(|| most_frequent(component, pods)).or_else(|| held_up(deployment?))
}

/// Whether some pod cannot get an image.
pub(super) fn is_image_missing(pods: &[PodReport]) -> bool {
    in_trouble(pods).any(|(_, waiting)| kind(waiting) == Kind::Image)
}

/// Pods that may not even be created: a quota, an admission policy.
fn refused(component: Component, deployment: &Deployment) -> Option<Obstacle> {
    let failure = live::condition(deployment, "ReplicaFailure").filter(|condition| condition.status == "True")?;
    let message = failure.message.as_deref().unwrap_or("no reason given");
    let advice = match component {
        Component::Gateway if message.contains("exceeded quota") => {
            " (raise the quota, or ask for less: spec.replicas, spec.rollout.maxSurge, spec.pod.resources)"
        }
        _ => "",
    };
    Some(Obstacle { kind: Kind::Other, text: format!("pods cannot be created: {message}{advice}") })
}

/// A Deployment that somebody has paused: new pods are not even tried.
fn held_up(deployment: &Deployment) -> Option<Obstacle> {
    let name = deployment.metadata.name.as_deref().unwrap_or_default();
    let is_paused = deployment.spec.as_ref()?.paused == Some(true);
    let text = || format!("Deployment {name} is paused (kubectl rollout resume deployment {name})");
    is_paused.then(|| Obstacle { kind: Kind::Other, text: text() })
}

/// The most frequent reason, with the first pod by name that has it as an example: an order that does not change by itself.
fn most_frequent(component: Component, pods: &[PodReport]) -> Option<Obstacle> {
    let mut by_reason: BTreeMap<&str, Vec<(&PodReport, &Waiting)>> = BTreeMap::new();
    for (pod, waiting) in in_trouble(pods) {
        by_reason.entry(&waiting.reason).or_default().push((pod, waiting));
    }
    let (reason, mut pods) = by_reason.into_iter().max_by_key(|(_, pods)| pods.len())?;
    pods.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    let (example, waiting) = pods.first()?;
    let others = match pods.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let container = match waiting.container.as_str() {
        "" => String::new(),
        own if own == component.as_str() => String::new(),
        other => format!(", container {other}"),
    };
    let separator = if waiting.message.is_empty() { "" } else { ": " };
    let advice = match component {
        Component::Gateway => advice(&example.name, waiting),
        Component::Redis => String::new(),
    };
    let text = format!("pod {}{others}{container}: {reason}{separator}{}{advice}", example.name, waiting.message);
    Some(Obstacle { kind: kind(waiting), text })
}

fn in_trouble(pods: &[PodReport]) -> impl Iterator<Item = (&PodReport, &Waiting)> {
    let waiting = pods.iter().filter(|pod| !pod.terminating && !pod.ready);
    waiting.filter_map(|pod| Some((pod, pod.waiting.as_ref()?)))
}

fn kind(waiting: &Waiting) -> Kind {
    match waiting.reason.as_str() {
        reason if IMAGE_REASONS.contains(&reason) => Kind::Image,
        "CreateContainerConfigError" if waiting.message.to_lowercase().contains("secret") => Kind::Secret,
        _ => Kind::Other,
    }
}

/// What a person can do about it, in brackets.
fn advice(pod: &str, waiting: &Waiting) -> String {
    let what = match waiting.reason.as_str() {
        reason if IMAGE_REASONS.contains(&reason) => "check spec.image and spec.imagePullSecrets",
        "CreateContainerConfigError" => "make what is missing, or take it out of the room",
        "Unschedulable" if waiting.message.contains("persistentvolumeclaim") => {
            "make the claim, or take it out of spec.overrides"
        }
        "Unschedulable" => {
            "add nodes, or ask for less: spec.pod, and spec.rollout.maxSurge while gateways are replaced"
        }
        "OOMKilled" => "raise spec.pod.resources.limits.memory",
        "CrashLoopBackOff" | "Error" | "ContainerCannotRun" | "StartError" | "RunContainerError" => {
            return format!(" (kubectl logs {pod} --previous says more)");
        }
        _ => return String::new(),
    };
    format!(" ({what})")
}
