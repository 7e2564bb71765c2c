//! Labels, annotations and names, as Kubernetes takes them, and which of them are the operator's.

use std::collections::BTreeMap;

use super::{Invalid, Problems, Violation};
use crate::names::keys;

/// Labels with keys and values that Kubernetes takes and that are not ours.
pub(crate) fn labels(field: &str, labels: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Invalid> {
    let own = |key: &String| {
        key.starts_with("app.kubernetes.io/") || key.starts_with(keys::PREFIX) || key == keys::TEMPLATE_HASH
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
        if key.starts_with(keys::PREFIX) {
            problems.refuse(field, "is set by the operator: use another key");
        } else {
            problems.keep(qualified_name(&field, key));
        }
    }
    problems.finish(Some(map))
}

/// Labels with keys and values that Kubernetes takes.
pub(crate) fn label_map(field: &str, map: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Invalid> {
    let mut problems = Problems::default();
    for (key, value) in &map {
        let field = format!("{field}.{key}");
        problems.keep(qualified_name(&field, key));
        problems.keep(label_value(&field, value));
    }
    problems.finish(Some(map))
}

/// The value of a label; may be empty.
pub(crate) fn label_value(field: &str, value: &str) -> Result<(), Violation> {
    if value.is_empty() || is_name(value) {
        return Ok(());
    }
    let rule = "value must be at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends";
    Err(Violation::new(field, rule))
}

/// `[prefix/]name`, as keys of labels and annotations are.
pub(crate) fn qualified_name(field: &str, key: &str) -> Result<(), Violation> {
    let (prefix, name) = key.rsplit_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if is_name(name) && prefix.is_none_or(is_subdomain) {
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

/// A DNS subdomain, as most objects are called.
pub(crate) fn object_name(field: &str, kind: &str, name: &str) -> Result<(), Violation> {
    if is_subdomain(name) {
        return Ok(());
    }
    Err(Violation::new(
        field,
        format!("must be the name of a {kind}: lower case letters, digits, '-' and '.', is '{name}'"),
    ))
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

/// A label of RFC 1123, of any length: what may stand between two dots of a DNS name.
pub(crate) fn is_dns_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}
