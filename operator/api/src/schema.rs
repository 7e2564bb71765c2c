//! Pieces of schema that the derive cannot say.

use schemars::{Schema, SchemaGenerator, json_schema};

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
        "additionalProperties": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
    })
}
