//! The gateways in numbers, and why some of them do not take clients.

use k8s_openapi::api::apps::v1::Deployment;

use super::obstacle::{Obstacle, is_image_missing, obstacle};
use crate::desired::live;
use crate::names::Component;
use crate::observed::PodReport;

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
    /// After how many seconds the Deployment gave up waiting, if it did.
    pub(super) gave_up_after: Option<i32>,
    /// Whether some pod cannot get its image.
    pub(super) image_missing: bool,
    /// Why some of them do not take clients, as far as Kubernetes says so.
    pub(super) obstacle: Option<Obstacle>,
}

impl Gateways {
    pub(super) fn of(deployment: Option<&Deployment>, desired: i32, pods: &[PodReport]) -> Self {
        let status = deployment.and_then(|deployment| deployment.status.clone()).unwrap_or_default();
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
            gave_up_after: deployment.and_then(gave_up_after),
            image_missing: is_image_missing(pods),
            obstacle: obstacle(Component::Gateway, deployment, pods),
        }
    }

    /// Whether everything is as it should be. Pods that are going do not count: a drain may take an hour.
    pub(super) fn is_settled(&self) -> bool {
        self.current && self.replicas == self.desired && self.updated == self.desired && self.ready == self.desired
    }

    /// Whether there may be gateways of an older template that take clients.
    pub(super) fn older_ones_may_serve(&self) -> bool {
        self.ready > 0 && (!self.current || self.replicas > self.updated)
    }

    /// Whether pods of another template are being replaced, or the number of pods is being changed.
    pub(super) fn is_rolling(&self) -> bool {
        !self.current || self.updated < self.desired || self.replicas != self.desired
    }
}

fn gave_up_after(deployment: &Deployment) -> Option<i32> {
    live::current_status(deployment)?;
    let progressing = live::condition(deployment, "Progressing")?;
    let gave_up = progressing.status == "False" && progressing.reason.as_deref() == Some("ProgressDeadlineExceeded");
    gave_up.then(|| live::progress_deadline_seconds(deployment))
}
