//! Pieces of schema that the derive cannot say.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

/// Takes `null` away from what the properties of a struct may be.
///
/// The API server drops a null that a field may not have, so `ephemeral: null` in an overlay means "absent", as people mean it;
/// where a field may be null it would be kept, and a rule would see both arms of a union.
pub(crate) fn without_null(schema: &mut Schema) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for property in properties.values_mut().filter_map(Value::as_object_mut) {
        if let Some(Value::Array(types)) = property.get_mut("type") {
            types.retain(|type_| type_ != "null");
            if let [type_] = types.as_slice() {
                let type_ = type_.clone();
                property.insert("type".to_owned(), type_);
            }
        }
        if let Some(Value::Array(values)) = property.get_mut("enum") {
            values.retain(|value| !value.is_null());
        }
        if let Some(Value::Array(arms)) = property.get_mut("anyOf") {
            arms.retain(|arm| arm["type"] != "null");
            if let [Value::Object(arm)] = arms.as_slice() {
                let arm = arm.clone();
                property.remove("anyOf");
                for (key, value) in arm {
                    property.entry(key).or_insert(value);
                }
            }
        }
        // Left out, it would be made true later on.
        if property.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
            property.insert("nullable".to_owned(), Value::Bool(false));
        }
    }
}

/// Labels, annotations and the like: at most 64 strings of at most 4096 characters.
pub(crate) fn string_map(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 4096},
    })
}

/// Resource quantities by name. A quantity may be written as a number or as a string, as everywhere in Kubernetes.
pub(crate) fn quantity_map(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {"x-kubernetes-int-or-string": true},
    })
}
