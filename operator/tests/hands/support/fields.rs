//! Field ownership, as far as the operator's eyes reach: which leaves of an object a manager has applied.
//!
//! Lists are one leaf here. The real server looks into them, which makes more entries of the same kind.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// From the root to a leaf.
pub(crate) type Path = Vec<String>;

/// The leaves of an applied object that can be owned.
pub(crate) fn leaves(applied: &Value) -> BTreeSet<Path> {
    let mut found = BTreeSet::new();
    collect(applied, &mut Vec::new(), &mut found);
    found
}

fn collect(value: &Value, at: &mut Path, found: &mut BTreeSet<Path>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                at.push(name.clone());
                if !belongs_to_nobody(at) {
                    collect(value, at, found);
                }
                at.pop();
            }
        }
        _ => {
            found.insert(at.clone());
        }
    }
}

/// What names the object, and what the server alone writes.
fn belongs_to_nobody(path: &[String]) -> bool {
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    matches!(
        path.as_slice(),
        ["apiVersion" | "kind"]
            | ["metadata", "name" | "namespace" | "uid" | "resourceVersion" | "generation" | "managedFields"]
            | ["metadata", "creationTimestamp"]
    )
}

/// `fieldsV1` of a set of leaves.
pub(crate) fn to_fields_v1(leaves: &BTreeSet<Path>) -> Value {
    let mut root = Map::new();
    for leaf in leaves {
        let mut at = &mut root;
        for name in leaf {
            let next = at.entry(format!("f:{name}")).or_insert_with(|| json!({}));
            at = next.as_object_mut().expect("only objects are put in");
        }
    }
    Value::Object(root)
}

/// Takes a leaf out of an object, and the objects that it leaves empty.
pub(crate) fn remove(object: &mut Value, path: &[String]) {
    let Some((name, rest)) = path.split_first() else { return };
    let Some(fields) = object.as_object_mut() else { return };
    if rest.is_empty() {
        fields.remove(name);
        return;
    }
    if let Some(inner) = fields.get_mut(name) {
        remove(inner, rest);
        if inner.as_object().is_some_and(Map::is_empty) {
            fields.remove(name);
        }
    }
}

/// Lays the fields of `patch` over `object`; lists and scalars are replaced, null removes.
pub(crate) fn merge(object: &mut Value, patch: &Value) {
    match (object, patch) {
        (Value::Object(fields), Value::Object(changes)) => {
            for (name, change) in changes {
                if change.is_null() {
                    fields.remove(name);
                } else if let Some(field) = fields.get_mut(name) {
                    merge(field, change);
                } else {
                    fields.insert(name.clone(), change.clone());
                }
            }
        }
        (object, patch) => *object = patch.clone(),
    }
}
