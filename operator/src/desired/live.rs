//! Reading live Deployments: the counterpart of what stands beside it.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};

/// An annotation of the pod template.
pub(crate) fn annotation<'a>(deployment: &'a Deployment, key: &str) -> Option<&'a str> {
    let template = &deployment.spec.as_ref()?.template;
    template.metadata.as_ref()?.annotations.as_ref()?.get(key).map(String::as_str)
}

/// The image of the first container.
pub(crate) fn image(deployment: &Deployment) -> Option<&str> {
    deployment.spec.as_ref()?.template.spec.as_ref()?.containers.first()?.image.as_deref()
}

/// The Secret that a volume of the pods shows.
pub(crate) fn secret_of_volume<'a>(deployment: &'a Deployment, volume: &str) -> Option<&'a str> {
    let volumes = deployment.spec.as_ref()?.template.spec.as_ref()?.volumes.as_ref()?;
    volumes.iter().find(|found| found.name == volume)?.secret.as_ref()?.secret_name.as_deref()
}

/// The pods that the Deployment shall have.
pub(crate) fn replicas(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// How long the Deployment waits for new pods; where nothing stands, what Kubernetes takes.
pub(crate) fn progress_deadline_seconds(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.progress_deadline_seconds).unwrap_or(600)
}

/// The status, when it speaks of the current spec.
pub(crate) fn current_status(deployment: &Deployment) -> Option<&DeploymentStatus> {
    let status = deployment.status.as_ref()?;
    let observed = status.observed_generation.unwrap_or_default();
    (observed >= deployment.metadata.generation.unwrap_or_default()).then_some(status)
}

/// Whether every pod that is not going runs the current template.
pub(crate) fn is_updated(deployment: &Deployment) -> bool {
    current_status(deployment).is_some_and(|status| {
        let updated = status.updated_replicas.unwrap_or_default();
        updated == status.replicas.unwrap_or_default() && updated >= replicas(deployment)
    })
}

/// Whether `count` pods of the current template, and of no other, are available.
pub(crate) fn is_available(deployment: &Deployment, count: i32) -> bool {
    is_updated(deployment)
        && current_status(deployment).is_some_and(|status| status.available_replicas.unwrap_or_default() >= count)
}

/// A condition of the Deployment.
pub(crate) fn condition<'a>(
    deployment: &'a Deployment,
    type_: &str,
) -> Option<&'a k8s_openapi::api::apps::v1::DeploymentCondition> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_)
}
