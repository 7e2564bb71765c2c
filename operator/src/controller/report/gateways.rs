//! The gateways in numbers, and why some of them do not take clients.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;

use crate::desired::live;
use crate::observed::PodReport;

/// The reasons under which a node says that it cannot get an image.
const IMAGE_REASONS: [&str; 5] =
    ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"];

pub(super) struct Gateways {
    /// How many there should be.
    pub(super) desired: i32,
    /// How many there are, without those that are going.
    pub(super) replicas: i32,
    /// How many take clients.
    pub(super) ready: i32,
    /// How many run the current template.
    pub(super) updated: i32,
    /// How many are going.
    pub(super) draining: i32,
    /// Whether the numbers speak of the current spec.
    pub(super) current: bool,
    /// Whether the Deployment gave up waiting.
    pub(super) deadline_exceeded: bool,
    /// Whether some pod cannot get its image.
    pub(super) image_missing: bool,
    /// Why some of them do not take clients, as far as Kubernetes says so.
    pub(super) obstacle: Option<String>,
}

impl Gateways {
    pub(super) fn of(deployment: Option<&Deployment>, desired: i32, pods: &[PodReport]) -> Self {
        let status = deployment.and_then(|deployment| deployment.status.clone()).unwrap_or_default();
        let waiting = |pod: &&PodReport| !pod.terminating && !pod.ready;
        let has_image_reason =
            |pod: &PodReport| pod.waiting.as_ref().is_some_and(|w| IMAGE_REASONS.contains(&w.reason.as_str()));
        let draining = pods.iter().filter(|pod| pod.terminating).count();
        Self {
            desired,
            replicas: status.replicas.unwrap_or_default(),
            ready: status.ready_replicas.unwrap_or_default(),
            updated: status.updated_replicas.unwrap_or_default(),
            draining: i32::try_from(draining).unwrap_or(i32::MAX),
            current: deployment.is_some_and(|deployment| {
                live::current_status(deployment).is_some() && live::replicas(deployment) == desired
            }),
            deadline_exceeded: deployment.is_some_and(gave_up),
            image_missing: pods.iter().filter(waiting).any(has_image_reason),
            obstacle: deployment.and_then(refused).or_else(|| why(pods.iter().filter(waiting))),
        }
    }

    /// Whether everything is as it should be. Pods that are going do not count: a drain may take an hour.
    pub(super) fn is_settled(&self) -> bool {
        self.current && self.replicas == self.desired && self.updated == self.desired && self.ready == self.desired
    }

    /// Whether pods of another template are being replaced, or the number of pods is being changed.
    pub(super) fn is_rolling(&self) -> bool {
        !self.current || self.updated < self.desired || self.replicas != self.desired
    }
}

fn gave_up(deployment: &Deployment) -> bool {
    live::current_status(deployment).is_some()
        && live::condition(deployment, "Progressing")
            .is_some_and(|c| c.status == "False" && c.reason.as_deref() == Some("ProgressDeadlineExceeded"))
}

/// Pods that may not even be created: a quota, an admission policy.
fn refused(deployment: &Deployment) -> Option<String> {
    let failure = live::condition(deployment, "ReplicaFailure").filter(|condition| condition.status == "True")?;
    Some(format!("pods cannot be created: {}", failure.message.as_deref().unwrap_or("no reason given")))
}

/// The most frequent reason, with the first pod by name that has it as an example: an order that does not change by itself.
fn why<'a>(waiting: impl Iterator<Item = &'a PodReport>) -> Option<String> {
    let mut by_reason: BTreeMap<&str, Vec<&PodReport>> = BTreeMap::new();
    for pod in waiting {
        if let Some(waiting) = &pod.waiting {
            by_reason.entry(&waiting.reason).or_default().push(pod);
        }
    }
    let (reason, mut pods) = by_reason.into_iter().max_by_key(|(_, pods)| pods.len())?;
    pods.sort_by(|left, right| left.name.cmp(&right.name));
    let example = pods.first()?;
    let message = example.waiting.as_ref().map(|waiting| waiting.message.as_str()).unwrap_or_default();
    let others = match pods.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let separator = if message.is_empty() { "" } else { ": " };
    Some(format!("pod {}{others}: {reason}{separator}{message}", example.name))
}

/// Why pods of another component do not start, or cannot even be created.
pub(super) fn why_not(deployment: Option<&Deployment>, pods: &[PodReport]) -> Option<String> {
    deployment.and_then(refused).or_else(|| why(pods.iter().filter(|pod| !pod.terminating && !pod.ready)))
}
