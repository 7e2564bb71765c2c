//! Whose object it is that stands where one of ours should stand.

use crate::names::{MANAGER, keys};
use chatroom_api::ChatRoom;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use kube::runtime::reflector::ObjectRef;

/// Whose an object is, seen from one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The room controls it.
    Ours,
    /// Nobody controls it and it carries our labels: a restore brought it back without its owner.
    Adoptable,
    /// It is on its way out, or belonged to a room of this name that is gone and will be collected soon.
    Leaving,
    /// It belongs to somebody else, whom the text names.
    Foreign(String),
}

/// Which room asks.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// `metadata.name`.
    pub name: &'a str,
    /// `metadata.uid`.
    pub uid: &'a str,
}

/// Whose the object with this metadata is. Who owns it by uid is beyond doubt; labels alone are only believed where
/// nobody else claims the object.
#[must_use]
pub fn standing(meta: &ObjectMeta, owner: Owner<'_>) -> Standing {
    if meta.deletion_timestamp.is_some() {
        return Standing::Leaving;
    }
    let controller = meta.owner_references.iter().flatten().find(|reference| reference.controller == Some(true));
    match controller {
        Some(reference) if reference.uid == owner.uid => Standing::Ours,
        Some(reference) if is_room(reference) && reference.name == owner.name => Standing::Leaving,
        Some(reference) => Standing::Foreign(format!("{} {}", reference.kind, reference.name)),
        None if labelled_as_ours(meta, owner) => Standing::Adoptable,
        None => Standing::Foreign("somebody else".to_owned()),
    }
}

/// Whether the room may delete the object: never on the word of labels.
#[must_use]
pub fn may_delete(meta: &ObjectMeta, owner: Owner<'_>) -> bool {
    standing(meta, owner) == Standing::Ours
}

/// The room that has to look when this object changes: the one that controls it, or, where nobody does, the one that its labels
/// name. A child that lost its owner is found again only by them.
#[must_use]
pub fn concerned<K: Resource<DynamicType = ()>>(object: &K) -> Option<ObjectRef<ChatRoom>> {
    let meta = object.meta();
    let name = match meta.owner_references.iter().flatten().find(|reference| reference.controller == Some(true)) {
        Some(reference) => is_room(reference).then_some(&reference.name)?,
        None => meta.labels.as_ref()?.get(keys::INSTANCE)?,
    };
    Some(ObjectRef::new(name).within(meta.namespace.as_deref()?))
}

/// Of our group, in whichever version: other groups may have a kind of this name, too.
fn is_room(owner: &OwnerReference) -> bool {
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
    group == ChatRoom::group(&()) && owner.kind == ChatRoom::kind(&())
}

fn labelled_as_ours(meta: &ObjectMeta, owner: Owner<'_>) -> bool {
    let label = |key| meta.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str);
    label(keys::MANAGED_BY) == Some(MANAGER) && label(keys::INSTANCE) == Some(owner.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::{Value, json};

    const LOBBY: Owner<'_> = Owner { name: "lobby", uid: "1" };

    fn whose(meta: Value) -> Standing {
        standing(&serde_json::from_value(meta).unwrap(), LOBBY)
    }

    fn owned_by(kind: &str, name: &str, uid: &str, controller: bool) -> Value {
        json!({
            "labels": {"app.kubernetes.io/managed-by": "chatroom-operator", "app.kubernetes.io/instance": "lobby"},
            "ownerReferences": [
                {"apiVersion": "chatroom.dev/v1alpha1", "kind": kind, "name": name, "uid": uid, "controller": controller},
            ],
        })
    }

    #[test]
    fn the_uid_of_the_owner_decides() {
        assert_eq!(whose(owned_by("ChatRoom", "lobby", "1", true)), Standing::Ours);
        assert_eq!(whose(owned_by("ChatRoom", "lobby", "0", true)), Standing::Leaving, "a former room of this name");
        assert_eq!(whose(owned_by("ChatRoom", "hall", "2", true)), Standing::Foreign("ChatRoom hall".into()));
        assert_eq!(whose(owned_by("Deployment", "lobby", "3", true)), Standing::Foreign("Deployment lobby".into()));
    }

    #[test]
    fn a_room_of_another_group_is_somebody_else() {
        let mut meta = owned_by("ChatRoom", "lobby", "0", true);
        meta["ownerReferences"][0]["apiVersion"] = json!("example.com/v1");
        assert_eq!(whose(meta), Standing::Foreign("ChatRoom lobby".into()));
    }

    #[test]
    fn labels_count_where_nobody_claims_the_object() {
        assert_eq!(whose(owned_by("ConfigMap", "note", "4", false)), Standing::Adoptable);
        let hall = json!({"labels": {
            "app.kubernetes.io/managed-by": "chatroom-operator", "app.kubernetes.io/instance": "hall",
        }});
        assert_eq!(whose(hall), Standing::Foreign("somebody else".into()));
        assert_eq!(whose(json!({})), Standing::Foreign("somebody else".into()));
    }

    #[test]
    fn a_change_concerns_the_owner_and_without_one_whom_the_labels_name() {
        let room_of = |mut meta: Value| {
            meta["namespace"] = json!("chat");
            let child = ConfigMap { metadata: serde_json::from_value(meta).unwrap(), ..ConfigMap::default() };
            concerned(&child).map(|room| room.name)
        };
        assert_eq!(room_of(owned_by("ChatRoom", "hall", "1", true)).as_deref(), Some("hall"));
        assert_eq!(room_of(owned_by("ConfigMap", "note", "4", false)).as_deref(), Some("lobby"));
        assert_eq!(room_of(owned_by("Deployment", "lobby", "3", true)), None);
        assert_eq!(room_of(json!({})), None);
    }

    #[test]
    fn what_is_being_deleted_is_left_to_go() {
        let mut meta = owned_by("ChatRoom", "lobby", "1", true);
        meta["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(whose(meta), Standing::Leaving);
    }
}
