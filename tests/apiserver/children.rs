//! The children of a room, as a table: what each test that is about all of them goes through.

use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

/// One child of a room with the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Child {
    pub(crate) kind: &'static str,
    group: &'static str,
    pub(crate) plural: &'static str,
    /// What stands behind the room's name in the child's.
    suffix: &'static str,
}

const fn child(kind: &'static str, group: &'static str, plural: &'static str, suffix: &'static str) -> Child {
    Child { kind, group, plural, suffix }
}

/// All that the operator keeps as it should be.
pub(crate) const KEPT: [Child; 8] = [
    child("ConfigMap", "", "configmaps", "-config"),
    child("ServiceAccount", "", "serviceaccounts", ""),
    child("Service", "", "services", "-redis"),
    child("Deployment", "apps", "deployments", "-redis"),
    child("Service", "", "services", ""),
    child("Service", "", "services", "-push"),
    child("Deployment", "apps", "deployments", ""),
    child("PodDisruptionBudget", "policy", "poddisruptionbudgets", ""),
];

/// Those that it creates and never looks at again.
pub(crate) const SECRETS: [Child; 2] =
    [child("Secret", "", "secrets", "-push"), child("Secret", "", "secrets", "-redis")];

impl Child {
    /// Its name in this room.
    pub(crate) fn name(self, room: &str) -> String {
        format!("{room}{}", self.suffix)
    }

    /// `Deployment lobby`, as conditions and events call it.
    pub(crate) fn called(self, room: &str) -> String {
        format!("{} {}", self.kind, self.name(room))
    }

    pub(crate) fn resource(self) -> ApiResource {
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(self.group, "v1", self.kind), self.plural)
    }

    /// An object of this kind and name that somebody else has made, for purposes of their own.
    pub(crate) fn of_somebody_else(self, room: &str) -> DynamicObject {
        let labels = json!({"app": "somebody-elses"});
        let rest = match self.kind {
            "Service" => json!({"spec": {"ports": [{"port": 5432}]}}),
            "Deployment" => json!({"spec": {
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "their", "image": "their:1"}]}},
            }}),
            "PodDisruptionBudget" => json!({"spec": {"minAvailable": 1, "selector": {"matchLabels": labels}}}),
            "Secret" => json!({"stringData": {"password": "their own"}}),
            _ => json!({}),
        };
        self.object(room, &json!({"labels": labels}), rest)
    }

    /// An object of this kind and name.
    pub(crate) fn object(self, room: &str, metadata: &Value, mut object: Value) -> DynamicObject {
        let resource = self.resource();
        object["apiVersion"] = json!(resource.api_version);
        object["kind"] = json!(resource.kind);
        object["metadata"] = metadata.clone();
        object["metadata"]["name"] = json!(self.name(room));
        serde_json::from_value(object).expect("this is an object")
    }
}
