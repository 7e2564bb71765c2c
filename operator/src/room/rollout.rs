//! How gateways come and go: drain, rollout, Service, disruption budget.

use std::collections::BTreeMap;

use chatroom_api as api;
use chatroom_api::{ChatRoomSpec, DRAIN_TIMEOUT_SECONDS, PRE_STOP_SECONDS, ServiceType};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Invalid, Problems, Violation, bounded};
use crate::room::labels::annotations;

/// How a gateway lets its clients go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Seconds in which it still takes clients.
    pub pre_stop_seconds: u32,
    /// Seconds within which all clients are closed.
    pub timeout_seconds: u32,
}

impl Drain {
    /// What a gateway needs beyond its drain: the last cleanups, the last log lines.
    const MARGIN_SECONDS: u32 = 30;

    /// Seconds from the order to go until the pod is killed.
    pub fn grace_period_seconds(self) -> u32 {
        self.pre_stop_seconds + self.timeout_seconds + Self::MARGIN_SECONDS
    }

    pub(crate) fn parse(drain: Option<&api::Drain>) -> Result<Self, Invalid> {
        let drain = drain.cloned().unwrap_or_default();
        let mut problems = Problems::default();
        let mut number = |field, value, bounds| problems.keep(bounded(field, value, bounds)).flatten();
        let pre_stop = number("spec.drain.preStopSeconds", drain.pre_stop_seconds, PRE_STOP_SECONDS);
        let timeout = number("spec.drain.timeoutSeconds", drain.timeout_seconds, DRAIN_TIMEOUT_SECONDS);
        let drain =
            pre_stop.zip(timeout).map(|(pre_stop_seconds, timeout_seconds)| Self { pre_stop_seconds, timeout_seconds });
        problems.finish(drain)
    }
}

/// A number of pods, or a percentage of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodsOrPercent(IntOrString);

impl PodsOrPercent {
    /// Takes a number that is not negative, or a percentage up to `max_percent`.
    pub fn parse(field: &str, value: &IntOrString, max_percent: u32) -> Result<Self, Violation> {
        let percent = |text: &str| {
            let digits = text.strip_suffix('%')?;
            let plain = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
            digits.parse().ok().filter(|percent: &u32| plain && *percent <= max_percent)
        };
        match value {
            IntOrString::Int(0..=9999) => Ok(Self(value.clone())),
            // What the API server takes as a number in quotes, it would refuse in the Deployment.
            IntOrString::String(text) if text.parse::<u16>().is_ok_and(|number| number <= 9999) => {
                Ok(Self(IntOrString::Int(text.parse().unwrap_or_default())))
            }
            IntOrString::String(text) if percent(text).is_some() => Ok(Self(value.clone())),
            _ => {
                let rule =
                    format!("must be a number of pods, as in 1, or a percentage up to {max_percent}%, as in '25%'");
                Err(Violation::new(field, rule))
            }
        }
    }

    /// As Kubernetes spells it.
    pub fn value(&self) -> IntOrString {
        self.0.clone()
    }

    fn is_zero(&self) -> bool {
        match &self.0 {
            IntOrString::Int(number) => *number == 0,
            IntOrString::String(text) => text.trim_end_matches('%').chars().all(|c| c == '0'),
        }
    }
}

/// How a new version rolls out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// Pods above the wanted number.
    pub max_surge: PodsOrPercent,
    /// Pods below the wanted number.
    pub max_unavailable: PodsOrPercent,
}

impl Rollout {
    pub(crate) fn parse(rollout: Option<&api::Rollout>) -> Result<Self, Invalid> {
        let rollout = rollout.cloned().unwrap_or_default();
        let all = IntOrString::String("100%".to_owned());
        let surge = rollout.max_surge.unwrap_or(all);
        let unavailable = rollout.max_unavailable.unwrap_or(IntOrString::Int(0));
        let max_surge = PodsOrPercent::parse("spec.rollout.maxSurge", &surge, 999)?;
        let max_unavailable = PodsOrPercent::parse("spec.rollout.maxUnavailable", &unavailable, 100)?;
        if max_surge.is_zero() && max_unavailable.is_zero() {
            let message = "maxSurge and maxUnavailable are both 0: no pod could ever be replaced; raise one of them";
            return Err(Violation::new("spec.rollout", message).into());
        }
        Ok(Self { max_surge, max_unavailable })
    }
}

/// The Service in front of the gateways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its type.
    pub type_: ServiceType,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Service {
    pub(crate) fn parse(spec: &ChatRoomSpec) -> Result<Self, Invalid> {
        let service = spec.service.clone().unwrap_or_default();
        let annotations = annotations("spec.service.annotations", service.annotations)?;
        Ok(Self { type_: service.type_.unwrap_or_default(), annotations })
    }
}

/// What a node drain may take at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DisruptionBudget {
    /// Everything.
    Off,
    /// So many.
    MaxUnavailable(PodsOrPercent),
}

impl DisruptionBudget {
    pub(crate) fn parse(budget: Option<&api::PodDisruptionBudget>) -> Result<Self, Invalid> {
        const FIELD: &str = "spec.podDisruptionBudget.maxUnavailable";
        let budget = budget.cloned().unwrap_or_default();
        let value = budget.max_unavailable.unwrap_or(IntOrString::Int(1));
        let max_unavailable = PodsOrPercent::parse(FIELD, &value, 100)?;
        if max_unavailable.is_zero() {
            return Err(Violation::new(FIELD, "0 would block every node drain: use at least 1").into());
        }
        Ok(if budget.enabled.unwrap_or(true) { Self::MaxUnavailable(max_unavailable) } else { Self::Off })
    }
}
