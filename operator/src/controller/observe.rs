//! What stands in the cluster, as the watches and the fleet have seen it: no request is made here.

use crate::controller::Context;
use crate::controller::takeover::{Owner, Standing, standing};
use crate::names::{Component, Names, keys};
use crate::observed::{Observed, PodReport, Waiting};
use crate::room::Identity;
use chatroom_api::ChatRoom;
use chatroom_settings::names::files;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodCondition};
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

/// Looks at everything that belongs to the room. Whoever asks has waited until the watches and the fleet know something.
#[must_use]
pub fn observe(room: &ChatRoom, context: &Context) -> Observed {
    let Ok(identity) = Identity::parse(room) else {
        // A room that cannot have children has none.
        return Observed::default();
    };
    let names = Names::new(&identity);
    let owner = Owner { name: names.room(), uid: names.uid() };
    let deployment = |name: &str| {
        let found = context.stores.deployments.get(&ObjectRef::new(name).within(names.namespace()))?;
        belongs(found.as_ref(), owner).then(|| found.as_ref().clone())
    };
    let config_map = context.stores.config_maps.get(&ObjectRef::new(&names.config_map()).within(names.namespace()));
    let config_map = config_map.filter(|found| belongs(found.as_ref(), owner));
    Observed {
        hot_settings: config_map.and_then(|found| found.data.as_ref()?.get(files::HOT_FILE).cloned()),
        deployment: deployment(&names.deployment()),
        redis: deployment(&names.redis()),
        gateways: context.fleet.reports(&ObjectRef::from_obj(room)),
        pods: pods(context, &names, Component::Gateway),
        redis_pods: pods(context, &names, Component::Redis),
    }
}

/// Also true of one that a restore brought back without its owner: what its template says counts before it is adopted.
fn belongs<K: Resource>(child: &K, owner: Owner<'_>) -> bool {
    matches!(standing(child.meta(), owner), Standing::Ours | Standing::Adoptable)
}

fn pods(context: &Context, names: &Names, component: Component) -> Vec<PodReport> {
    let selector = names.selector(component);
    let is_one = |pod: &Pod| {
        let matches = |(key, value): (&String, &String)| pod.labels().get(key) == Some(value);
        pod.metadata.namespace.as_deref() == Some(names.namespace()) && selector.iter().all(matches)
    };
    let mut pods: Vec<_> = context.stores.pods.state_filter(is_one).iter().map(|pod| report(pod)).collect();
    pods.sort_by(|one, other| one.name.cmp(&other.name));
    pods
}

fn report(pod: &Pod) -> PodReport {
    let conditions = || pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    PodReport {
        name: pod.name_any(),
        template_hash: pod.labels().get(keys::TEMPLATE_HASH).cloned().unwrap_or_default(),
        redis_credential: pod
            .annotations()
            .get(keys::REDIS_CREDENTIAL)
            .and_then(|text| text.parse().ok())
            .unwrap_or_default(),
        ready: conditions().any(|condition| condition.type_ == "Ready" && condition.status == "True"),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        waiting: waiting(pod),
    }
}

/// Why the pod does not get on: what a container waits for or died of, those first that start first; else why no node takes
/// it.
fn waiting(pod: &Pod) -> Option<Waiting> {
    let status = pod.status.as_ref()?;
    let init = status.init_container_statuses.iter().flatten();
    let containers = init.chain(status.container_statuses.iter().flatten());
    containers.filter_map(why_not_running).next().or_else(|| {
        let unschedulable =
            |condition: &&PodCondition| condition.type_ == "PodScheduled" && condition.status == "False";
        let condition = status.conditions.iter().flatten().find(unschedulable)?;
        Some(Waiting {
            container: String::new(),
            reason: condition.reason.clone().unwrap_or_else(|| "Unschedulable".to_owned()),
            message: condition.message.clone().unwrap_or_default(),
        })
    })
}

fn why_not_running(container: &ContainerStatus) -> Option<Waiting> {
    let state = container.state.as_ref()?;
    let last = || container.last_state.as_ref()?.terminated.as_ref();
    let (reason, message) = match (&state.waiting, &state.terminated) {
        // The node's own words are how long it waits, which changes with each try and helps nobody.
        (Some(waiting), _) if waiting.reason.as_deref() == Some("CrashLoopBackOff") => {
            (waiting.reason.clone()?, last().map(last_words))
        }
        (Some(waiting), _) => (waiting.reason.clone()?, waiting.message.clone()),
        (_, Some(terminated)) if terminated.exit_code != 0 => {
            (terminated.reason.clone()?, Some(last_words(terminated)))
        }
        _ => return None,
    };
    // The ordinary way up, not a reason to worry.
    (!matches!(reason.as_str(), "ContainerCreating" | "PodInitializing")).then(|| Waiting {
        container: container.name.clone(),
        reason,
        message: message.unwrap_or_default(),
    })
}

/// What a container died of, and the last line that it left.
fn last_words(ended: &ContainerStateTerminated) -> String {
    const LONGEST: usize = 300;
    let reason = ended.reason.as_deref().filter(|reason| *reason != "Error");
    let how = reason
        .map_or_else(|| format!("exit code {}", ended.exit_code), |r| format!("{r}, exit code {}", ended.exit_code));
    let line = ended.message.as_deref().and_then(|message| message.trim().lines().last()).unwrap_or_default();
    match line {
        "" => how,
        line => format!("{how}: {}", line.chars().take(LONGEST).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(status: &Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {
                "name": "lobby-1", "labels": {"pod-template-hash": "abc"}, "annotations": {"chatroom.dev/redis-credential": "2"},
            },
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_pod_that_runs_waits_for_nothing() {
        let report = report(&pod(&json!({
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}],
            "containerStatuses": [
                {"name": "gateway", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}}},
            ],
        })));
        let expected = PodReport {
            name: "lobby-1".into(),
            template_hash: "abc".into(),
            redis_credential: 2,
            ready: true,
            terminating: false,
            waiting: None,
        };
        assert_eq!(report, expected);
    }

    #[test]
    fn a_pod_says_why_it_does_not_start() {
        for (state, expected) in [
            (json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}), Some("ImagePullBackOff")),
            (json!({"waiting": {"reason": "ContainerCreating"}}), None),
            (json!({"terminated": {"reason": "OOMKilled", "exitCode": 137}}), Some("OOMKilled")),
            (json!({"terminated": {"reason": "Completed", "exitCode": 0}}), None),
        ] {
            let report = report(&pod(&json!({"containerStatuses": [
                {"name": "gateway", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state},
            ]})));
            assert_eq!(report.waiting.map(|waiting| waiting.reason).as_deref(), expected);
        }
    }

    #[test]
    fn a_container_that_crashes_says_how_it_ended_and_not_how_long_the_node_waits() {
        let report = report(&pod(&json!({"containerStatuses": [{
            "name": "gateway", "image": "", "imageID": "", "ready": false, "restartCount": 3,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}},
            "lastState": {"terminated": {
                "exitCode": 2, "reason": "Error", "message": "one line\nfailed to read /etc/chatroom/hot/hot.yaml\n",
            }},
        }]})));
        let expected = Waiting {
            container: "gateway".into(),
            reason: "CrashLoopBackOff".into(),
            message: "exit code 2: failed to read /etc/chatroom/hot/hot.yaml".into(),
        };
        assert_eq!(report.waiting, Some(expected));
    }

    #[test]
    fn an_init_container_counts_and_comes_first() {
        let waits = |name: &str, state: Value| json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state});
        let done = json!({"terminated": {"reason": "Completed", "exitCode": 0}});
        let failed = json!({"terminated": {"reason": "OOMKilled", "exitCode": 137}});
        let report = report(&pod(&json!({
            "initContainerStatuses": [waits("first", done), waits("migrate", failed)],
            "containerStatuses": [waits("gateway", json!({"waiting": {"reason": "PodInitializing"}}))],
        })));
        let waiting = report.waiting.unwrap();
        assert_eq!((waiting.container.as_str(), waiting.reason.as_str()), ("migrate", "OOMKilled"));
        assert_eq!(waiting.message, "OOMKilled, exit code 137");
    }

    #[test]
    fn a_pod_that_no_node_takes_says_so() {
        let report = report(&pod(&json!({"conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"},
        ]})));
        let expected = Waiting {
            container: String::new(),
            reason: "Unschedulable".into(),
            message: "0/3 nodes are available".into(),
        };
        assert_eq!(report.waiting, Some(expected));
    }
}
