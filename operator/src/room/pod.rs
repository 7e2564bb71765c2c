//! What the room says about its pods: labels, resources, placement, environment, logs.

use std::collections::{BTreeMap, BTreeSet};

use chatroom_api as api;
use chatroom_api::{ChatRoomSpec, LogFormat};
use k8s_openapi::api::core::v1::{EnvVar, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use tracing_subscriber::EnvFilter;

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
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods put up with.
    pub tolerations: Vec<Toleration>,
    /// More environment.
    pub env: Vec<EnvVar>,
}

impl Pod {
    pub(crate) fn parse(spec: &ChatRoomSpec) -> Result<Self, Invalid> {
        let pod = spec.pod.clone().unwrap_or_default();
        let mut problems = Problems::default();
        let labels = problems.keep(labels("spec.pod.labels", pod.labels));
        let annotations = problems.keep(annotations("spec.pod.annotations", pod.annotations));
        let field = "spec.pod.resources";
        let resources = problems.keep(Resources::parse(field, pod.resources.as_ref(), Self::default_resources));
        let node_selector = problems.keep(label_map("spec.pod.nodeSelector", pod.node_selector));
        let env = problems.keep(environment(pod.env));
        let tolerations = pod.tolerations;
        let pod = labels.zip(annotations).zip(resources).zip(node_selector.zip(env)).map(
            |(((labels, annotations), resources), (node_selector, env))| Self {
                labels,
                annotations,
                resources,
                node_selector,
                tolerations,
                env,
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
                problems.keep::<()>(Err(Violation::new(field, "must not be above the limit of the same resource")));
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

fn labels(field: &str, labels: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Invalid> {
    let own = |key: &String| {
        key.starts_with("app.kubernetes.io/") || key.starts_with("chatroom.dev/") || key == "pod-template-hash"
    };
    match labels.keys().find(|key| own(key)) {
        Some(key) => Err(Violation::new(format!("{field}.{key}"), "is set by the operator: use another key").into()),
        None => label_map(field, labels),
    }
}

/// Annotations with keys that Kubernetes takes and that are not ours.
pub(crate) fn annotations(field: &str, map: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Invalid> {
    let mut problems = Problems::default();
    for key in map.keys() {
        let field = format!("{field}.{key}");
        if key.starts_with("chatroom.dev/") {
            problems.keep::<()>(Err(Violation::new(field, "is set by the operator: use another key")));
        } else {
            problems.keep(qualified_name(&field, key));
        }
    }
    problems.finish(Some(map))
}

fn label_map(field: &str, map: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Invalid> {
    let mut problems = Problems::default();
    for (key, value) in &map {
        let field = format!("{field}.{key}");
        problems.keep(qualified_name(&field, key));
        if !value.is_empty() && !is_name(value) {
            let rule =
                "value must be at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends";
            problems.keep::<()>(Err(Violation::new(field, rule)));
        }
    }
    problems.finish(Some(map))
}

/// `[prefix/]name`, as keys of labels and annotations are.
fn qualified_name(field: &str, key: &str) -> Result<(), Violation> {
    let (prefix, name) = key.rsplit_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let dns = |prefix: &str| {
        prefix.len() <= 253
            && prefix.split('.').all(|label| {
                let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                !label.is_empty() && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
            })
    };
    if is_name(name) && prefix.is_none_or(dns) {
        return Ok(());
    }
    Err(Violation::new(field, "key must be a name of at most 63 letters, digits, '-', '_' and '.', or domain/name"))
}

fn is_name(text: &str) -> bool {
    let end = |c: char| c.is_ascii_alphanumeric();
    text.len() <= 63
        && text.starts_with(end)
        && text.ends_with(end)
        && text.chars().all(|c| end(c) || "-_.".contains(c))
}

fn environment(env: Vec<EnvVar>) -> Result<Vec<EnvVar>, Invalid> {
    let mut problems = Problems::default();
    let mut seen = BTreeSet::new();
    for (index, variable) in env.iter().enumerate() {
        let field = format!("spec.pod.env[{index}].name");
        let name = variable.name.as_str();
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() && c != '=');
        if name.starts_with(chatroom_settings::names::env::PREFIX) {
            problems.keep::<()>(Err(Violation::new(
                field,
                "variables CHATROOM_… are set by the operator: use another name",
            )));
        } else if !plain {
            problems.keep::<()>(Err(Violation::new(field, "must be the name of a variable, without spaces and '='")));
        } else if !seen.insert(name) {
            problems.keep::<()>(Err(Violation::new(field, format!("{name} stands here twice: keep one of them"))));
        }
        if variable.value.is_some() && variable.value_from.is_some() {
            let field = format!("spec.pod.env[{index}]");
            problems.keep::<()>(Err(Violation::new(field, "set value or valueFrom, not both")));
        }
    }
    problems.finish(Some(env))
}
