//! What the room says about its pods: labels, resources, account, environment, logs.

use std::collections::{BTreeMap, BTreeSet};

use chatroom_api as api;
use chatroom_api::{ChatRoomSpec, LogFormat};
use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use tracing_subscriber::EnvFilter;

use super::labels::{annotations, labels, object_name};
use super::placement::Placement;
use super::{Invalid, Problems, Violation};

/// What the room says about its gateway pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    /// More labels.
    pub labels: BTreeMap<String, String>,
    /// More annotations.
    pub annotations: BTreeMap<String, String>,
    /// Memory and CPU.
    pub resources: Resources,
    /// Where they run.
    pub placement: Placement,
    /// Their PriorityClass; `None`: the cluster's default.
    pub priority_class_name: Option<String>,
    /// What they run as; `None`: the room's own ServiceAccount.
    pub service_account_name: Option<String>,
    /// More environment.
    pub env: Vec<EnvVar>,
    /// Objects whose keys are more environment, of less weight.
    pub env_from: Vec<EnvFromSource>,
}

impl Pod {
    pub(crate) fn parse(spec: &ChatRoomSpec) -> Result<Self, Invalid> {
        let pod = spec.pod.clone().unwrap_or_default();
        let mut problems = Problems::default();
        let placement = problems.keep(Placement::parse(&pod));
        let labels = problems.keep(labels("spec.pod.labels", pod.labels));
        let annotations = problems.keep(annotations("spec.pod.annotations", pod.annotations));
        let field = "spec.pod.resources";
        let resources = problems.keep(Resources::parse(field, pod.resources.as_ref(), Self::default_resources));
        let mut name = |field: &str, kind, name: &Option<String>| {
            name.as_deref().map(|name| problems.keep(object_name(&format!("spec.pod.{field}"), kind, name)))
        };
        name("priorityClassName", "PriorityClass", &pod.priority_class_name);
        name("serviceAccountName", "ServiceAccount", &pod.service_account_name);
        let env = problems.keep(environment(pod.env));
        let env_from = problems.keep(environment_sources(pod.env_from));
        let (priority_class_name, service_account_name) = (pod.priority_class_name, pod.service_account_name);
        let pod = labels.zip(annotations).zip(resources.zip(placement)).zip(env.zip(env_from)).map(
            |(((labels, annotations), (resources, placement)), (env, env_from))| Self {
                labels,
                annotations,
                resources,
                placement,
                priority_class_name,
                service_account_name,
                env,
                env_from,
            },
        );
        problems.finish(pod)
    }

    fn default_resources() -> Resources {
        Resources::of(&[("cpu", "100m"), ("memory", "128Mi")], &[("memory", "512Mi")])
    }
}

/// What the gateways log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// In the syntax of `tracing`'s `EnvFilter`.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

impl Logging {
    pub(crate) fn parse(logging: Option<&api::Logging>) -> Result<Self, Invalid> {
        let logging = logging.cloned().unwrap_or_default();
        let filter = logging.filter.unwrap_or_else(|| "info".to_owned());
        match EnvFilter::builder().parse(&filter) {
            Ok(_) => Ok(Self { filter, format: logging.format.unwrap_or_default() }),
            Err(error) => {
                let message =
                    format!("must be a level, or levels by part, as in info,chatroom_gateway::session=debug: {error}");
                Err(Violation::new("spec.logging.filter", message).into())
            }
        }
    }
}

/// Memory and CPU of a container: every quantity can be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources {
    /// What is set aside.
    pub requests: BTreeMap<String, Quantity>,
    /// What it may use at most.
    pub limits: BTreeMap<String, Quantity>,
}

impl Resources {
    /// Resources written in this program.
    pub(crate) fn of(requests: &[(&str, &str)], limits: &[(&str, &str)]) -> Self {
        let quantities = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, quantity)| ((*name).to_owned(), Quantity((*quantity).to_owned()))).collect()
        };
        Self { requests: quantities(requests), limits: quantities(limits) }
    }

    pub(crate) fn parse(
        field: &str,
        resources: Option<&api::Resources>,
        default: impl FnOnce() -> Self,
    ) -> Result<Self, Invalid> {
        let Some(api::Resources { requests, limits }) = resources else { return Ok(default()) };
        let mut problems = Problems::default();
        for (part, quantities) in [("requests", requests), ("limits", limits)] {
            for (name, quantity) in quantities {
                let field = format!("{field}.{part}.{name}");
                problems.keep(positive(&field, quantity));
            }
        }
        for (name, request) in requests {
            let field = format!("{field}.requests.{name}");
            let limit = limits.get(name).and_then(|limit| milli(&limit.0));
            if let (Some(request), Some(limit)) = (milli(&request.0), limit)
                && request > limit
            {
                problems.refuse(field, "must not be above the limit of the same resource");
            }
        }
        problems.finish(Some(Self { requests: requests.clone(), limits: limits.clone() }))
    }

    /// Bytes of the memory limit.
    pub(crate) fn memory_limit_bytes(&self) -> Option<u64> {
        let milli = milli(&self.limits.get("memory")?.0)?;
        u64::try_from(milli / 1000).ok()
    }
}

fn positive(field: &str, quantity: &Quantity) -> Result<(), Violation> {
    match milli(&quantity.0) {
        Some(_) => Ok(()),
        None => {
            let message = format!("must be a quantity as in 100m, 0.5 or 128Mi, is '{}'", quantity.0);
            Err(Violation::new(field, message))
        }
    }
}

/// A quantity in thousandths, rounded up; `None` when it is no quantity, negative, or beyond any machine.
fn milli(quantity: &str) -> Option<u128> {
    let end = quantity.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(quantity.len());
    let (number, suffix) = quantity.split_at(end);
    let (numerator, denominator): (u128, u128) = match suffix {
        "n" => (1, 1_000_000),
        "u" => (1, 1000),
        "m" => (1, 1),
        "" => (1000, 1),
        "k" => (1_000_000, 1),
        "M" => (1_000_000_000, 1),
        "G" => (1_000_000_000_000, 1),
        "T" => (1_000_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1000 << 10, 1),
        "Mi" => (1000 << 20, 1),
        "Gi" => (1000 << 30, 1),
        "Ti" => (1000 << 40, 1),
        "Pi" => (1000 << 50, 1),
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    // 18 digits on each side are beyond any machine, and keep the sums far from an overflow.
    if whole.len() + fraction.len() == 0 || whole.len() > 18 || fraction.len() > 9 || fraction.contains('.') {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    digits.checked_mul(numerator).map(|product| product.div_ceil(denominator * scale))
}

fn environment(env: Vec<EnvVar>) -> Result<Vec<EnvVar>, Invalid> {
    let mut problems = Problems::default();
    let mut seen = BTreeSet::new();
    for (index, variable) in env.iter().enumerate() {
        let field = format!("spec.pod.env[{index}].name");
        let name = variable.name.as_str();
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() && c != '=');
        if name.starts_with(chatroom_settings::names::env::PREFIX) {
            problems.refuse(field, "variables CHATROOM_… are set by the operator: use another name");
        } else if !plain {
            problems.refuse(field, "must be the name of a variable, without spaces and '='");
        } else if !seen.insert(name) {
            problems.refuse(field, format!("{name} stands here twice: keep one of them"));
        }
        if variable.value.is_some() && variable.value_from.is_some() {
            let field = format!("spec.pod.env[{index}]");
            problems.refuse(field, "set value or valueFrom, not both");
        }
    }
    problems.finish(Some(env))
}

/// Whether a prefix lets a variable of ours come about can be told; what keys a Secret has cannot, and ours win over them.
fn environment_sources(sources: Vec<EnvFromSource>) -> Result<Vec<EnvFromSource>, Invalid> {
    let mut problems = Problems::default();
    for (index, source) in sources.iter().enumerate() {
        let field = format!("spec.pod.envFrom[{index}]");
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let names = [
            ("configMapRef", "ConfigMap", source.config_map_ref.as_ref().map(|map| &map.name)),
            ("secretRef", "Secret", source.secret_ref.as_ref().map(|secret| &secret.name)),
        ];
        if names.iter().filter(|(_, _, name)| name.is_some()).count() != 1 {
            problems.refuse(&field, "names one source: set configMapRef or secretRef");
        }
        for (reference, kind, name) in names {
            if let Some(name) = name {
                problems.keep(object_name(&format!("{field}.{reference}.name"), kind, name));
            }
        }
        if prefix.starts_with(chatroom_settings::names::env::PREFIX) {
            let message = "variables CHATROOM_… are set by the operator: use another prefix";
            problems.refuse(format!("{field}.prefix"), message);
        } else if !prefix.chars().all(|c| c.is_ascii_graphic() && c != '=') {
            let message = "must be the beginning of a variable's name, without spaces and '='";
            problems.refuse(format!("{field}.prefix"), message);
        }
    }
    problems.finish(Some(sources))
}
