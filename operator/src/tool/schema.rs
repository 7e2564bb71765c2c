//! What the API server checks of a ChatRoom by its schema, apart from types: bounds, lengths, duplicates and rules; and which
//! fields there are, for people who misspelt one.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use chatroom_api::ChatRoom;
use kube::CustomResourceExt;
use kube::core::cel::{CompiledSchema, compile_schema, validate_compiled};
use serde_json::Value;

use crate::room::{Violation, typo};

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let crd = ChatRoom::crd();
    let schema = crd.spec.versions.first().and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
    serde_json::to_value(schema).expect("a schema is JSON")
});

static RULES: LazyLock<CompiledSchema> = LazyLock::new(|| compile_schema(&SCHEMA));

/// Everything in which `room` goes beyond the schema.
pub(super) fn check(room: &Value) -> Vec<Violation> {
    let mut violations = Vec::new();
    walk(&SCHEMA, room, "", &mut violations);
    if let Err(errors) = validate_compiled(&RULES, room, None) {
        violations.extend(errors.into_vec().into_iter().map(|error| Violation::new(error.field_path, error.message)));
    }
    violations
}

/// The fields that stand beside `field`; empty when its place is unknown or takes any.
pub(super) fn siblings(field: &str) -> Vec<&'static str> {
    typo::siblings(&SCHEMA, field)
}

/// The field that was probably meant by `field`, as people write it below `spec`: one beside it with a similar name, else the
/// only one anywhere with that very name.
pub(super) fn meant(field: &str) -> Option<String> {
    let (place, name) = field.rsplit_once('.').unwrap_or(("", field));
    let below_spec = |path: String| path.strip_prefix("spec.").map(str::to_owned).unwrap_or(path);
    if let Some(near) = typo::nearest(name, siblings(field)) {
        return Some(below_spec(if place.is_empty() { near.to_owned() } else { format!("{place}.{near}") }));
    }
    let mut elsewhere = Vec::new();
    find(&SCHEMA["properties"]["spec"], "spec", name, &mut elsewhere);
    match elsewhere.as_slice() {
        [_] => elsewhere.pop().map(below_spec),
        _ => None,
    }
}

/// The paths of all fields of that name. What stands in lists is Kubernetes' own, and has names that are everywhere.
fn find(schema: &Value, path: &str, name: &str, found: &mut Vec<String>) {
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        if key.eq_ignore_ascii_case(name) {
            found.push(path.clone());
        }
        find(property, &path, name, found);
    }
}

fn walk(schema: &Value, value: &Value, path: &str, violations: &mut Vec<Violation>) {
    match value {
        Value::Object(map) => {
            at_most(schema, "maxProperties", map.len(), "entries", path, violations);
            for (key, value) in map {
                let inner = match &schema["properties"][key] {
                    Value::Null => &schema["additionalProperties"],
                    property => property,
                };
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(inner, value, &path, violations);
            }
        }
        Value::Array(items) => {
            at_least(schema, "minItems", items.len(), "entries", path, violations);
            at_most(schema, "maxItems", items.len(), "entries", path, violations);
            duplicates(schema, items, path, violations);
            for (index, item) in items.iter().enumerate() {
                walk(&schema["items"], item, &format!("{path}[{index}]"), violations);
            }
        }
        Value::String(text) => {
            let characters = text.chars().count();
            at_least(schema, "minLength", characters, "characters", path, violations);
            at_most(schema, "maxLength", characters, "characters", path, violations);
        }
        Value::Number(number) => range(schema, number.as_f64().unwrap_or_default(), path, violations),
        Value::Null | Value::Bool(_) => {}
    }
}

fn at_least(schema: &Value, keyword: &str, is: usize, what: &str, path: &str, violations: &mut Vec<Violation>) {
    if schema[keyword].as_u64().is_some_and(|bound| (is as u64) < bound) {
        let message = format!("must have at least {} {what}, has {is}", schema[keyword]);
        violations.push(Violation::new(path, message));
    }
}

fn at_most(schema: &Value, keyword: &str, is: usize, what: &str, path: &str, violations: &mut Vec<Violation>) {
    if schema[keyword].as_u64().is_some_and(|bound| (is as u64) > bound) {
        let message = format!("must have at most {} {what}, has {is}", schema[keyword]);
        violations.push(Violation::new(path, message));
    }
}

fn range(schema: &Value, is: f64, path: &str, violations: &mut Vec<Violation>) {
    let (min, max) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
    if min.is_some_and(|min| is < min) || max.is_some_and(|max| is > max) {
        let bound = |bound: Option<f64>, open: &str| bound.map_or_else(|| open.to_owned(), |bound| bound.to_string());
        let message = format!("must be {} to {}, is {is}", bound(min, "any"), bound(max, "any"));
        violations.push(Violation::new(path, message));
    }
}

/// Sets hold each value once, maps each key.
fn duplicates(schema: &Value, items: &[Value], path: &str, violations: &mut Vec<Violation>) {
    let key_of = |item: &Value| match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => Some(item.to_string()),
        Some("map") => {
            let keys = schema["x-kubernetes-list-map-keys"].as_array()?;
            Some(
                keys.iter().map(|key| item[key.as_str().unwrap_or_default()].to_string()).collect::<Vec<_>>().join(","),
            )
        }
        _ => None,
    };
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(key) = key_of(item)
            && !seen.insert(key.clone())
        {
            violations
                .push(Violation::new(format!("{path}[{index}]"), format!("{key} stands here twice: keep one of them")));
        }
    }
}
