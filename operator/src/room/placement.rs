//! Where a room's pods run: labels and taints of nodes, affinity, spread.
//!
//! What the API server would refuse in the Deployment is refused here where it is cheap to see, with the path in the room.

use std::collections::BTreeMap;

use chatroom_api as api;
use k8s_openapi::api::core::v1::{
    Affinity, NodeSelectorTerm, PodAffinityTerm, Toleration, TopologySpreadConstraint, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::labels::{label_map, label_value, qualified_name};
use super::{Invalid, Problems};

/// Where the pods run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Placement {
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods put up with.
    pub tolerations: Vec<Toleration>,
    /// What they need or prefer.
    pub affinity: Option<Affinity>,
    /// How they are spread; `None`: as the operator sees fit.
    pub spread: Option<Vec<TopologySpreadConstraint>>,
}

impl Placement {
    pub(crate) fn parse(pod: &api::Pod) -> Result<Self, Invalid> {
        let mut problems = Problems::default();
        let node_selector = problems.keep(label_map("spec.pod.nodeSelector", pod.node_selector.clone()));
        for (index, toleration) in pod.tolerations.iter().enumerate() {
            check_toleration(&mut problems, &format!("spec.pod.tolerations[{index}]"), toleration);
        }
        if let Some(affinity) = &pod.affinity {
            check_affinity(&mut problems, affinity);
        }
        for (index, constraint) in pod.topology_spread_constraints.iter().flatten().enumerate() {
            check_spread(&mut problems, &format!("spec.pod.topologySpreadConstraints[{index}]"), constraint);
        }
        let placement = node_selector.map(|node_selector| Self {
            node_selector,
            tolerations: pod.tolerations.clone(),
            affinity: pod.affinity.clone(),
            spread: pod.topology_spread_constraints.clone(),
        });
        problems.finish(placement)
    }
}

fn one_of(problems: &mut Problems, field: String, value: &str, values: &[&str]) -> bool {
    let known = values.contains(&value);
    if !known {
        problems.refuse(field, format!("must be {}, is '{value}'", values.join(" or ")));
    }
    known
}

fn check_toleration(problems: &mut Problems, field: &str, toleration: &Toleration) {
    let operator = toleration.operator.as_deref().unwrap_or("Equal");
    one_of(problems, format!("{field}.operator"), operator, &["Equal", "Exists"]);
    if let Some(effect) = toleration.effect.as_deref().filter(|effect| !effect.is_empty()) {
        one_of(problems, format!("{field}.effect"), effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
    }
    match toleration.key.as_deref().filter(|key| !key.is_empty()) {
        Some(key) => drop(problems.keep(qualified_name(&format!("{field}.key"), key))),
        None if operator == "Equal" => {
            problems.refuse(format!("{field}.key"), "must be named, or operator be Exists: that takes any taint");
        }
        None => {}
    }
    if operator == "Exists" && toleration.value.as_deref().is_some_and(|value| !value.is_empty()) {
        problems.refuse(format!("{field}.value"), "must be left out with operator Exists");
    }
    if toleration.toleration_seconds.is_some() && toleration.effect.as_deref() != Some("NoExecute") {
        problems.refuse(format!("{field}.tolerationSeconds"), "goes with effect NoExecute only");
    }
}

fn check_affinity(problems: &mut Problems, affinity: &Affinity) {
    if let Some(nodes) = &affinity.node_affinity {
        let field = "spec.pod.affinity.nodeAffinity";
        if let Some(required) = &nodes.required_during_scheduling_ignored_during_execution {
            let field = format!("{field}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
            if required.node_selector_terms.is_empty() {
                problems.refuse(field.clone(), "must have an entry: without one no node fits");
            }
            for (index, term) in required.node_selector_terms.iter().enumerate() {
                check_node_term(problems, &format!("{field}[{index}]"), term);
            }
        }
        let preferred = nodes.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        for (index, term) in preferred.enumerate() {
            let field = format!("{field}.preferredDuringSchedulingIgnoredDuringExecution[{index}]");
            check_weight(problems, &field, term.weight);
            check_node_term(problems, &format!("{field}.preference"), &term.preference);
        }
    }
    let pods = affinity.pod_affinity.as_ref().map(|pods| {
        (
            "podAffinity",
            &pods.required_during_scheduling_ignored_during_execution,
            &pods.preferred_during_scheduling_ignored_during_execution,
        )
    });
    let anti = affinity.pod_anti_affinity.as_ref().map(|pods| {
        (
            "podAntiAffinity",
            &pods.required_during_scheduling_ignored_during_execution,
            &pods.preferred_during_scheduling_ignored_during_execution,
        )
    });
    for (name, required, preferred) in pods.into_iter().chain(anti) {
        let field = format!("spec.pod.affinity.{name}");
        for (index, term) in required.iter().flatten().enumerate() {
            check_pod_term(problems, &format!("{field}.requiredDuringSchedulingIgnoredDuringExecution[{index}]"), term);
        }
        for (index, WeightedPodAffinityTerm { pod_affinity_term, weight }) in preferred.iter().flatten().enumerate() {
            let field = format!("{field}.preferredDuringSchedulingIgnoredDuringExecution[{index}]");
            check_weight(problems, &field, *weight);
            check_pod_term(problems, &format!("{field}.podAffinityTerm"), pod_affinity_term);
        }
    }
}

fn check_weight(problems: &mut Problems, field: &str, weight: i32) {
    if !(1..=100).contains(&weight) {
        problems.refuse(format!("{field}.weight"), format!("must be 1 to 100, is {weight}"));
    }
}

fn check_node_term(problems: &mut Problems, field: &str, term: &NodeSelectorTerm) {
    const OPERATORS: [&str; 6] = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];
    for (index, expression) in term.match_expressions.iter().flatten().enumerate() {
        let field = format!("{field}.matchExpressions[{index}]");
        let values = expression.values.as_deref().unwrap_or_default();
        check_expression(problems, &field, &expression.key, &expression.operator, values, &OPERATORS);
    }
}

fn check_pod_term(problems: &mut Problems, field: &str, term: &PodAffinityTerm) {
    problems.keep(qualified_name(&format!("{field}.topologyKey"), &term.topology_key));
    check_selector(problems, &format!("{field}.labelSelector"), term.label_selector.as_ref());
    check_selector(problems, &format!("{field}.namespaceSelector"), term.namespace_selector.as_ref());
}

fn check_selector(problems: &mut Problems, field: &str, selector: Option<&LabelSelector>) {
    const OPERATORS: [&str; 4] = ["In", "NotIn", "Exists", "DoesNotExist"];
    let Some(selector) = selector else { return };
    problems.keep(label_map(&format!("{field}.matchLabels"), selector.match_labels.clone().unwrap_or_default()));
    for (index, expression) in selector.match_expressions.iter().flatten().enumerate() {
        let field = format!("{field}.matchExpressions[{index}]");
        let values = expression.values.as_deref().unwrap_or_default();
        check_expression(problems, &field, &expression.key, &expression.operator, values, &OPERATORS);
    }
}

fn check_expression(
    problems: &mut Problems,
    field: &str,
    key: &str,
    operator: &str,
    values: &[String],
    operators: &[&str],
) {
    problems.keep(qualified_name(&format!("{field}.key"), key));
    if !one_of(problems, format!("{field}.operator"), operator, operators) {
        return;
    }
    let values_field = format!("{field}.values");
    match operator {
        "In" | "NotIn" if values.is_empty() => {
            problems.refuse(values_field, format!("must have an entry with operator {operator}"));
        }
        "In" | "NotIn" => {
            for (index, value) in values.iter().enumerate() {
                problems.keep(label_value(&format!("{values_field}[{index}]"), value));
            }
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            problems.refuse(values_field, format!("must be left out with operator {operator}"));
        }
        "Gt" | "Lt" if values.len() != 1 || values[0].parse::<i64>().is_err() => {
            problems.refuse(values_field, format!("must be one whole number, in quotes, with operator {operator}"));
        }
        _ => {}
    }
}

fn check_spread(problems: &mut Problems, field: &str, constraint: &TopologySpreadConstraint) {
    problems.keep(qualified_name(&format!("{field}.topologyKey"), &constraint.topology_key));
    if constraint.max_skew < 1 {
        problems.refuse(format!("{field}.maxSkew"), format!("must be at least 1, is {}", constraint.max_skew));
    }
    let strict = constraint.when_unsatisfiable == "DoNotSchedule";
    let values = ["ScheduleAnyway", "DoNotSchedule"];
    one_of(problems, format!("{field}.whenUnsatisfiable"), &constraint.when_unsatisfiable, &values);
    match constraint.min_domains {
        Some(..1) => problems.refuse(format!("{field}.minDomains"), "must be at least 1"),
        Some(_) if !strict => {
            problems.refuse(format!("{field}.minDomains"), "goes with whenUnsatisfiable DoNotSchedule only");
        }
        _ => {}
    }
    for (name, policy) in
        [("nodeAffinityPolicy", &constraint.node_affinity_policy), ("nodeTaintsPolicy", &constraint.node_taints_policy)]
    {
        if let Some(policy) = policy {
            one_of(problems, format!("{field}.{name}"), policy, &["Honor", "Ignore"]);
        }
    }
    check_selector(problems, &format!("{field}.labelSelector"), constraint.label_selector.as_ref());
    for (index, key) in constraint.match_label_keys.iter().flatten().enumerate() {
        problems.keep(qualified_name(&format!("{field}.matchLabelKeys[{index}]"), key));
    }
}
