//! Which of the things that a watch reports are worth a reconcile. Pure.

use crate::controller::skip::Fingerprint;
use crate::names::keys;
use chatroom_api::ChatRoom;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Resource;
use kube::core::{DeserializeGuard, ObjectMeta};
use kube::runtime::{Predicate, predicates, watcher};
use prometheus_client::metrics::counter::Counter;
use std::hash::{DefaultHasher, Hash, Hasher};
use tracing::warn;

/// Leaves out rooms that this version cannot read, such as ones that a later version wrote: they are left as they are, and
/// the others go on. One that became unreadable counts as not there; nothing of it is deleted.
pub(super) fn only_readable(
    event: watcher::Result<watcher::Event<DeserializeGuard<ChatRoom>>>,
    unreadable: &Counter,
) -> Option<watcher::Result<watcher::Event<ChatRoom>>> {
    use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
    let read = |DeserializeGuard(room): DeserializeGuard<ChatRoom>| {
        room.map_err(|invalid| {
            unreadable.inc();
            let (name, namespace) = (&invalid.metadata.name, &invalid.metadata.namespace);
            warn!(?name, ?namespace, error = invalid.error, "a room cannot be read and is left as it is");
            known_only_by(invalid.metadata)
        })
    };
    let event = match event {
        Ok(event) => event,
        Err(error) => return Some(Err(error)),
    };
    match event {
        Init => Some(Ok(Init)),
        InitDone => Some(Ok(InitDone)),
        InitApply(room) => Some(Ok(InitApply(read(room).ok()?))),
        Apply(room) => Some(Ok(match read(room) {
            Ok(room) => Apply(room),
            Err(room) => Delete(*room),
        })),
        Delete(DeserializeGuard(room)) => {
            Some(Ok(Delete(room.unwrap_or_else(|invalid| *known_only_by(invalid.metadata)))))
        }
    }
}

/// A room of which only the metadata is known; enough to take it out of a store.
fn known_only_by(metadata: ObjectMeta) -> Box<ChatRoom> {
    let spec = serde_json::from_value(serde_json::json!({})).expect("a room without any field is a room");
    Box::new(ChatRoom { metadata, spec, status: None })
}

/// What people change on a room; not its status, which we write ourselves.
pub(super) fn room_changed(room: &ChatRoom) -> Option<u64> {
    predicates::generation
        .combine(predicates::finalizers)
        .combine(predicates::annotations)
        .combine(predicates::labels)
        .hash_property(room)
}

/// A deleted object arrives as it was, and a predicate would drop it as unchanged: then nobody would put it back.
pub(super) fn deletion_is_a_change<K: Resource>(
    event: watcher::Result<watcher::Event<K>>,
) -> watcher::Result<watcher::Event<K>> {
    event.map(|event| match event {
        watcher::Event::Delete(mut object) => {
            let generation = object.meta().generation.unwrap_or_default();
            object.meta_mut().generation = Some(generation + 1);
            watcher::Event::Delete(object)
        }
        other => other,
    })
}

/// What may call for a write on any child: that somebody took a field of ours, changed its owner, or deletes it.
pub(super) fn child_changed<K: Resource>(child: &K) -> Option<u64> {
    let meta = child.meta();
    let mut hasher = DefaultHasher::new();
    meta.generation.hash(&mut hasher);
    meta.deletion_timestamp.is_some().hash(&mut hasher);
    Fingerprint::of_our_fields(meta).hash(&mut hasher);
    for owner in meta.owner_references.iter().flatten() {
        (&owner.uid, owner.controller).hash(&mut hasher);
    }
    Some(hasher.finish())
}

/// What may call for a look at the room: any of the above, or that pods came, went, or got stuck.
pub(super) fn deployment_changed(deployment: &Deployment) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    child_changed(deployment).hash(&mut hasher);
    if let Some(status) = &deployment.status {
        (status.observed_generation, status.replicas, status.ready_replicas).hash(&mut hasher);
        (status.updated_replicas, status.available_replicas).hash(&mut hasher);
        for condition in status.conditions.iter().flatten() {
            (&condition.type_, &condition.status, &condition.reason).hash(&mut hasher);
        }
    }
    Some(hasher.finish())
}

/// Keeps of a pod what is read here; a cluster has many, and their specs are long.
pub(super) fn strip(pod: &mut Pod) {
    pod.metadata.managed_fields = None;
    if let Some(annotations) = &mut pod.metadata.annotations {
        annotations.retain(|key, _| key == keys::REDIS_CREDENTIAL);
    }
    if let Some(spec) = &mut pod.spec {
        spec.volumes = None;
        spec.init_containers = None;
        for container in &mut spec.containers {
            container.env = None;
            container.volume_mounts = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt, stream};
    use kube::ResourceExt;
    use kube::runtime::PredicateConfig;
    use kube::runtime::utils::WatchStreamExt;
    use serde_json::{Value, json};

    fn deployment(change: impl FnOnce(&mut Value)) -> Deployment {
        let mut object = json!({
            "metadata": {
                "name": "lobby", "namespace": "chat", "uid": "1", "generation": 3, "resourceVersion": "7",
                "managedFields": [{
                    "manager": "chatroom-operator", "operation": "Apply", "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:spec": {"f:replicas": {}}},
                }],
            },
            "status": {"replicas": 2, "readyReplicas": 2, "observedGeneration": 3},
        });
        change(&mut object);
        serde_json::from_value(object).unwrap()
    }

    /// How many reconciles the events ask for.
    async fn asked_for(events: Vec<watcher::Event<Deployment>>) -> usize {
        let events = stream::iter(events.into_iter().map(Ok));
        let changes = events.map(deletion_is_a_change).touched_objects();
        changes.predicate_filter(deployment_changed, PredicateConfig::default()).count().await
    }

    #[tokio::test]
    async fn a_deleted_child_is_seen_though_nothing_on_it_changed() {
        let same = || deployment(|_| {});
        assert_eq!(asked_for(vec![watcher::Event::Apply(same()), watcher::Event::Apply(same())]).await, 1);
        assert_eq!(asked_for(vec![watcher::Event::Apply(same()), watcher::Event::Delete(same())]).await, 2);
    }

    #[test]
    fn what_matters_on_a_deployment_is_seen_and_nothing_else() {
        let before = deployment_changed(&deployment(|_| {}));
        let seen = |change: &dyn Fn(&mut Value)| deployment_changed(&deployment(|object| change(object))) != before;
        assert!(seen(&|object| object["status"]["readyReplicas"] = json!(1)));
        assert!(seen(&|object| object["metadata"]["generation"] = json!(4)));
        assert!(seen(&|object| object["metadata"]["managedFields"][0]["fieldsV1"] = json!({})));
        assert!(seen(&|object| object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z")));
        assert!(seen(&|object| {
            object["status"]["conditions"] =
                json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
        }));
        assert!(!seen(&|object| object["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": "2"})));
        assert!(!seen(&|object| object["metadata"]["resourceVersion"] = json!("8")));
    }

    #[test]
    fn a_status_of_ours_wakes_nobody() {
        let room = |status: Value| -> ChatRoom {
            let metadata = json!({"name": "lobby", "namespace": "chat", "generation": 1});
            serde_json::from_value(json!({
                "apiVersion": "chatroom.dev/v1alpha1", "kind": "ChatRoom", "metadata": metadata, "spec": {}, "status": status,
            }))
            .unwrap()
        };
        assert_eq!(room_changed(&room(json!({}))), room_changed(&room(json!({"replicas": 2}))));
    }

    #[test]
    fn a_room_of_a_later_version_does_not_stop_the_others() {
        let guarded = |name: &str, spec: Value| -> DeserializeGuard<ChatRoom> {
            serde_json::from_value(json!({
                "apiVersion": "chatroom.dev/v1alpha1", "kind": "ChatRoom",
                "metadata": {"name": name, "namespace": "chat"}, "spec": spec,
            }))
            .unwrap()
        };
        let unreadable = Counter::default();
        let events = [
            watcher::Event::Init,
            watcher::Event::InitApply(guarded("old", json!({}))),
            watcher::Event::InitApply(guarded("new", json!({"replicas": "as many as it takes"}))),
            watcher::Event::InitDone,
            watcher::Event::Apply(guarded("old", json!({"replicas": "as many as it takes"}))),
        ];
        let tell = |event: watcher::Event<ChatRoom>| match event {
            watcher::Event::InitApply(room) => format!("{} is there", room.name_any()),
            watcher::Event::Delete(room) => format!("{} is not there", room.name_any()),
            watcher::Event::Apply(room) => format!("{} changed", room.name_any()),
            watcher::Event::Init | watcher::Event::InitDone => "list".to_owned(),
        };
        let passed: Vec<_> = events
            .into_iter()
            .filter_map(|event| only_readable(Ok(event), &unreadable))
            .map(|event| tell(event.unwrap()))
            .collect();
        assert_eq!(passed, ["list", "old is there", "list", "old is not there"]);
        assert_eq!(unreadable.get(), 2);
    }
}
