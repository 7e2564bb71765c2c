//! Pieces of schema, and of reading, that the derives cannot say.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::Value;

/// What the derive leaves to be done on the properties of a struct of ours.
///
/// - None may be null. The API server drops a null that a field may not have, so `ephemeral: null` in an overlay means
///   "absent", as people mean it; where a field may be null it would be kept, and a rule would see both arms of a union.
/// - A paragraph of a description is one line: `kubectl explain` breaks lines by itself, and would break ours once more.
pub(crate) fn tidy(schema: &mut Schema) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for property in properties.values_mut().filter_map(Value::as_object_mut) {
        if let Some(Value::String(description)) = property.get_mut("description") {
            let paragraphs: Vec<_> = description.split("\n\n").map(|text| text.replace('\n', " ")).collect();
            *description = paragraphs.join("\n\n");
        }
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

/// Makes each block of the spec one value for server-side apply: whoever applies a block owns the whole of it.
///
/// Where fields are owned one by one, a block that loses its last field becomes null, and the API server refuses null:
/// `limits: {}` after `limits: {slowSeconds: 20}` would be an error. A union that somebody else applies would get both arms.
/// Nothing in a block may have a default in the schema: applied once more, such a block would count as changed.
pub(crate) fn own_blocks_as_a_whole(schema: &mut Schema) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for block in properties.values_mut().filter_map(Value::as_object_mut) {
        if block.get("type").is_some_and(|type_| type_ == "object") {
            block.insert("x-kubernetes-map-type".to_owned(), "atomic".into());
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

/// An object whose fields are another type's. The operator checks them against that type.
pub(crate) fn free_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Resource quantities by name: each an integer or a string.
pub(crate) fn quantity_map(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {"x-kubernetes-int-or-string": true},
    })
}

/// Reads what [`quantity_map`] describes. A [`Quantity`] by itself would also take a fraction without quotes, which the
/// schema of a custom resource has no word for.
pub(crate) fn quantities<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Quantity>, D::Error> {
    let map = BTreeMap::<String, IntegerOrText>::deserialize(deserializer)?;
    Ok(map.into_iter().map(|(name, IntegerOrText(quantity))| (name, quantity)).collect())
}

struct IntegerOrText(Quantity);

impl<'de> Deserialize<'de> for IntegerOrText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IntegerOrTextVisitor;

        impl Visitor<'_> for IntegerOrTextVisitor {
            type Value = IntegerOrText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer or a string, as in 1, \"0.5\", 100m or 128Mi")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(IntegerOrText(Quantity(number.to_string())))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(IntegerOrText(Quantity(number.to_string())))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(IntegerOrText(Quantity(text.to_owned())))
            }
        }

        deserializer.deserialize_any(IntegerOrTextVisitor)
    }
}
