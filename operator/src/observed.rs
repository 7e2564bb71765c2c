//! What was found in the cluster before anything was decided: plain data, filled in by whoever did the asking.

use chatroom_settings::{CleanupStatus, GatewayStatus};
use k8s_openapi::api::apps::v1::Deployment;

/// Everything that deciding and reporting look at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// The live Deployment of the gateways, if it is the room's own.
    pub deployment: Option<Deployment>,
    /// The live Deployment of the room's own Redis, if it is the room's own.
    pub redis: Option<Deployment>,
    /// The hot settings as they stand in the live ConfigMap, if it is the room's own.
    pub hot_settings: Option<String>,
    /// What the gateways answered when they were last asked; one for each pod that has an address.
    pub gateways: Vec<GatewayReport>,
    /// The pods of the gateways, those that are going included.
    pub pods: Vec<PodReport>,
    /// The pods of the room's own Redis.
    pub redis_pods: Vec<PodReport>,
}

/// What one gateway answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayReport {
    /// Name of its pod.
    pub pod: String,
    /// Its answer.
    pub answer: Result<GatewayStatus, Unreachable>,
}

/// A gateway did not answer, or not in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// Why, for people: `no answer within 2 s`.
    pub message: String,
}

/// The ends that the cleanup function has yet to be told of, as far as it is worth telling anybody. Counts move with each breath of
/// a room, and a status that repeated them would be written all the time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    /// Ends that were given up: 0, or the power of ten that is not above their number.
    pub(crate) dead: u64,
    /// Why the gateway's last call failed; empty when it did not, and when no end waits any more: another gateway was heard since.
    pub(crate) problem: String,
}

impl Ends {
    pub(crate) fn of(status: &CleanupStatus) -> Self {
        let CleanupStatus { waiting, dead, problem } = status;
        let dead = dead.checked_ilog10().map_or(0, |power| 10_u64.pow(power));
        Self { dead, problem: if *waiting > 0 { problem.clone() } else { String::new() } }
    }
}

/// One pod, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodReport {
    /// Its name.
    pub name: String,
    /// The value of its label `pod-template-hash`; empty when it has none.
    pub template_hash: String,
    /// The stamp of the Redis password's restarts on its template; 0: none. See
    /// [`CredentialStamp`](crate::decide::CredentialStamp).
    pub redis_credential: u32,
    /// Whether its condition Ready is True.
    pub ready: bool,
    /// Whether it has a deletion timestamp.
    pub terminating: bool,
    /// Why it does not get on, if Kubernetes says so: a container's waiting or terminated reason, or `Unschedulable`. Init
    /// containers and sidecars count as well.
    pub waiting: Option<Waiting>,
}

/// Why a pod does not get on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// The container that waits; empty when it is the whole pod.
    pub container: String,
    /// In one word, as Kubernetes spells it: `ImagePullBackOff`, `CrashLoopBackOff`, `Unschedulable`.
    pub reason: String,
    /// In a sentence; may be empty.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_of_ends_that_moves_a_little_is_no_news() {
        let dead = |dead| Ends::of(&CleanupStatus { dead, ..CleanupStatus::default() }).dead;
        assert_eq!([0, 1, 9, 10, 99, 100, 12_345, u64::MAX].map(dead), [0, 1, 1, 10, 10, 100, 10_000, 10_u64.pow(19)]);
    }

    #[test]
    fn a_failure_is_over_when_nothing_waits() {
        let problem = |waiting| {
            let status = CleanupStatus { waiting, problem: "no connection".into(), ..CleanupStatus::default() };
            Ends::of(&status).problem
        };
        assert_eq!((problem(1).as_str(), problem(0).as_str()), ("no connection", ""));
    }
}
