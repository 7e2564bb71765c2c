//! What a node drain may take at once.
//!
//! It is there with one replica as well: taking it away and bringing it back at each step of an autoscaler helps nobody, and
//! one that may be gone never blocks. A suspended room has nothing to protect: its last gateways are going.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};

use crate::names::{Component, Names};
use crate::room::{DisruptionBudget, Room};

pub(super) fn pod_disruption_budget(names: &Names, room: &Room) -> Option<PodDisruptionBudget> {
    let DisruptionBudget::MaxUnavailable(max_unavailable) = &room.disruption_budget else { return None };
    if room.suspend {
        return None;
    }
    Some(PodDisruptionBudget {
        metadata: names.metadata(names.pod_disruption_budget(), Component::Gateway),
        spec: Some(PodDisruptionBudgetSpec {
            selector: Some(names.label_selector(Component::Gateway)),
            max_unavailable: Some(max_unavailable.value()),
            // Gateways that are cut off from Redis still hold their clients' sockets: they count.
            unhealthy_pod_eviction_policy: Some("IfHealthyBudget".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    })
}
