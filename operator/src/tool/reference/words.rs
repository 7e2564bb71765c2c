//! What a schema says, in words.

use serde_json::Value;

/// The type as people call it.
pub(super) fn type_of(field: &Value) -> String {
    if field["x-kubernetes-int-or-string"] == true {
        return "integer or string".to_owned();
    }
    if let Some(values) = field["enum"].as_array() {
        let values: Vec<_> = values.iter().map(shown).collect();
        return if values.len() == 1 { values.concat() } else { format!("one of {}", values.join(", ")) };
    }
    if field["x-kubernetes-preserve-unknown-fields"] == true {
        return "object with any fields".to_owned();
    }
    match field["type"].as_str() {
        Some("array") => format!("list of {}", type_of(&field["items"])),
        Some("object") if field["additionalProperties"].is_object() => {
            format!("map of string to {}", type_of(&field["additionalProperties"]))
        }
        other => other.unwrap_or("any").to_owned(),
    }
}

/// The default of the schema.
pub(super) fn default(field: &Value) -> Option<String> {
    (!field["default"].is_null()).then(|| shown(&field["default"]))
}

/// What stands for the field when it is absent: the default of the schema, else what its description says.
pub(super) fn absent(field: &Value) -> String {
    match default(field) {
        Some(default) => format!("default {default}"),
        None => field["description"].as_str().and_then(said_of_absence).unwrap_or_else(|| nothing(field).to_owned()),
    }
}

/// An absent list or map that says no more has nothing in it.
fn nothing(field: &Value) -> &'static str {
    let holds_entries = field["type"] == "array" || field["additionalProperties"].is_object();
    if holds_entries { "none" } else { "" }
}

/// `Absent: 10 s. More.` → `10 s`.
fn said_of_absence(description: &str) -> Option<String> {
    let rest = &description[description.find("Absent")?..];
    let (_, rest) = rest.split_once(": ")?;
    let end = [". ", ".\n", "; "].iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
    Some(rest[..end].trim_end_matches('.').to_owned())
}

/// Bounds, and how a list or an object is kept.
pub(super) fn bounds(field: &Value) -> Vec<String> {
    let mut bounds = Vec::new();
    if let Some(kind) = field["x-kubernetes-list-type"].as_str() {
        let keys: Vec<_> = field["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().map(shown).collect();
        bounds.push(if keys.is_empty() { kind.to_owned() } else { format!("{kind} by {}", keys.join(", ")) });
    }
    bounds.extend(field["x-kubernetes-map-type"].as_str().map(str::to_owned));
    bounds.extend(range(field));
    for inner in ["items", "additionalProperties"] {
        bounds.extend(range(&field[inner]).into_iter().map(|bound| format!("each {bound}")));
    }
    bounds
}

fn range(field: &Value) -> Vec<String> {
    let pairs = [
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " entries"),
        ("minProperties", "maxProperties", " entries"),
    ];
    pairs.into_iter().filter_map(|(min, max, unit)| between(&field[min], &field[max], unit)).collect()
}

fn between(min: &Value, max: &Value, unit: &str) -> Option<String> {
    match (number(min), number(max)) {
        (None, None) => None,
        (Some(min), None) => Some(format!("at least {min}{unit}")),
        (None, Some(max)) => Some(format!("at most {max}{unit}")),
        (Some(min), Some(max)) if min == max => Some(format!("{max}{unit}")),
        (Some(min), Some(max)) => Some(format!("{min} to {max}{unit}")),
    }
}

/// The bounds of a schema are floating point numbers, whatever they bound.
fn number(bound: &Value) -> Option<String> {
    bound.is_number().then(|| bound.to_string().trim_end_matches(".0").to_owned())
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

/// A description is written in Markdown already, except for what a reader of Markdown would take for a tag.
pub(super) fn plain(description: &str) -> String {
    outside_of_code(description, |text| text.replace('<', "&lt;"))
}

/// Words that are no Markdown: the message of a rule.
pub(super) fn literal(message: &str) -> String {
    outside_of_code(message, |text| text.replace('<', "&lt;").replace('*', "\\*").replace('_', "\\_"))
}

fn outside_of_code(text: &str, change: impl Fn(&str) -> String) -> String {
    let pieces = text.split('`').enumerate();
    let pieces: Vec<_> = pieces.map(|(at, piece)| if at % 2 == 0 { change(piece) } else { piece.to_owned() }).collect();
    pieces.join("`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_have_the_names_that_people_use() {
        for (schema, expected) in [
            (json!({"type": "integer", "format": "int32"}), "integer"),
            (json!({"type": "string", "enum": ["JSON", "Text"]}), "one of `JSON`, `Text`"),
            (json!({"type": "string", "enum": ["Standalone"]}), "`Standalone`"),
            (json!({"type": "array", "items": {"type": "object"}}), "list of object"),
            (json!({"type": "object", "additionalProperties": {"type": "string"}}), "map of string to string"),
            (json!({"x-kubernetes-int-or-string": true}), "integer or string"),
            (json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}), "object with any fields"),
        ] {
            assert_eq!(type_of(&schema), expected);
        }
    }

    #[test]
    fn bounds_are_told_with_their_unit() {
        let list = json!({
            "type": "array", "minItems": 1, "maxItems": 8, "items": {"type": "string", "maxLength": 63},
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        });
        assert_eq!(bounds(&list), ["map by `name`", "1 to 8 entries", "each at most 63 characters"]);
        assert_eq!(bounds(&json!({"minimum": 0.0, "maximum": 3600.0})), ["0 to 3600"]);
        assert_eq!(bounds(&json!({"minLength": 71, "maxLength": 71})), ["71 characters"]);
        assert_eq!(bounds(&json!({"minimum": 5})), ["at least 5"]);
        assert_eq!(bounds(&json!({"type": "object", "x-kubernetes-map-type": "atomic"})), ["atomic"]);
    }

    #[test]
    fn absence_is_what_the_schema_or_else_the_description_says() {
        let said = |value: Value| absent(&value);
        assert_eq!(said(json!({"default": 2, "description": "Absent: 3."})), "default `2`");
        assert_eq!(said(json!({"description": "Bytes; 1 to 5. Absent: 10 s.\n\nMore."})), "10 s");
        assert_eq!(
            said(json!({"description": "Absent, or neither: `a`, one of ours; then more."})),
            "`a`, one of ours"
        );
        assert_eq!(said(json!({"description": "Nothing is said."})), "");
        assert_eq!(said(json!({"description": "Nothing is said.", "type": "array"})), "none");
    }

    #[test]
    fn what_looks_like_markdown_and_is_none_is_escaped() {
        assert_eq!(plain("a `<uid>` and <b>"), "a `<uid>` and &lt;b>");
        assert_eq!(literal("no '*' and `*`, a_b"), "no '\\*' and `*`, a\\_b");
    }
}
