//! What a room lays over the Deployment and the Service of its gateways, once it is known to fit.
//!
//! Everything that can be wrong with an override is found here, so that laying it over cannot fail.

mod reserved;
mod typed;

use chatroom_api::ChatRoomSpec;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Invalid, Problems};

/// Where overrides stand in a room; what is wrong in there has a reason of its own.
pub(super) const FIELD: &str = "spec.overrides";

/// What is laid over the objects of a room. Boxed: most rooms have none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// Over the Deployment of the gateways.
    pub deployment: Option<Box<Deployment>>,
    /// Over the Service in front of them.
    pub service: Option<Box<Service>>,
}

impl Overrides {
    pub(crate) fn parse(spec: &ChatRoomSpec) -> Result<Self, Invalid> {
        let given = spec.overrides.clone().unwrap_or_default();
        let mut problems = Problems::default();
        let overrides = Self {
            deployment: given.deployment.and_then(|deployment| {
                problems.keep(parse(&format!("{FIELD}.deployment"), deployment, reserved::in_deployment))
            }),
            service: given
                .service
                .and_then(|service| problems.keep(parse(&format!("{FIELD}.service"), service, reserved::in_service))),
        };
        problems.finish(Some(overrides))
    }

    /// Seconds from the order to go until the pod is killed, if the room says so here.
    pub(super) fn grace_period_seconds(&self) -> Option<u32> {
        let pod = self.deployment.as_ref()?.spec.as_ref()?.template.spec.as_ref()?;
        u32::try_from(pod.termination_grace_period_seconds?).ok()
    }
}

/// The object as the type that it is laid over, when it has that shape and leaves alone what is not its own.
fn parse<K: DeserializeOwned + Serialize + JsonSchema>(
    field: &str,
    given: Map<String, Value>,
    reserved: fn(&str, &Value) -> Result<(), Invalid>,
) -> Result<Box<K>, Invalid> {
    let given = Value::Object(given);
    let mut problems = Problems::default();
    let parsed = problems.keep(typed::parse(field, &given));
    problems.keep(reserved(field, &given));
    problems.finish(parsed.map(Box::new))
}
