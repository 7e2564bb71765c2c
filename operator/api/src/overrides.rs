//! The last resort: what a room says over the objects that the operator makes.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What is laid over the objects that the operator makes of the room.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct Overrides {
    /// Parts of an apps/v1 Deployment, laid over the one of the gateways. Absent: nothing.
    ///
    /// The gateway's container is called `gateway`; another name is one more container. A change of the template rolls the
    /// gateways. Refused: names, owners and selectors, `replicas`, `strategy`, labels and annotations of the operator, and of
    /// the container `gateway` the image, ports, mounts and variables that the operator sets. Not refused, although it takes
    /// away what protects the cluster or the room: host access, other security contexts, a token, a grace period
    /// (`terminationGracePeriodSeconds`) shorter than the drain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::free_object")]
    pub deployment: Option<Map<String, Value>>,
    /// Parts of a v1 Service, laid over the one in front of the gateways. Absent: nothing.
    ///
    /// Of its port 80 only `nodePort` and `appProtocol` can be set. Refused: names, owners and the selector, `type`, other ports,
    /// labels and annotations of the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::free_object")]
    pub service: Option<Map<String, Value>>,
}
