//! Whether a room has a ServiceAccount of its own, and when the old one may go.

use k8s_openapi::api::apps::v1::Deployment;

use crate::desired::live;
use crate::names::Names;
use crate::observed::Observed;
use crate::room::Room;

/// What becomes of the room's own ServiceAccount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceAccountDecision {
    /// Pods run as it.
    Make,
    /// It is left as it is: the room names another one and the pods have not all moved on, or the one that it names is called
    /// like its own.
    Keep,
    /// Nothing runs as it. If it is left, it may be deleted.
    Remove,
}

pub(super) fn decide(room: &Room, observed: &Observed) -> ServiceAccountDecision {
    let own = Names::new(&room.identity).service_account();
    let deployments = observed.deployment.iter().chain(&observed.redis);
    match &room.pod.service_account_name {
        None => ServiceAccountDecision::Make,
        // Whoever made it wants it, and now that may be somebody else than we.
        Some(name) if *name == own => ServiceAccountDecision::Keep,
        // Without its account a ReplicaSet of the old template could not replace a pod.
        Some(_) if deployments.into_iter().any(|deployment| may_run_as(deployment, &own)) => {
            ServiceAccountDecision::Keep
        }
        Some(_) => ServiceAccountDecision::Remove,
    }
}

fn may_run_as(deployment: &Deployment, account: &str) -> bool {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    pod.and_then(|pod| pod.service_account_name.as_deref()) == Some(account) || !live::is_updated(deployment)
}
