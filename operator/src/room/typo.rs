//! What somebody probably meant who misspelt a name, and types of values in plain words.

use serde_json::Value;

/// The one of `names` that is nearest to `word`, if it is near enough to have been meant.
pub(crate) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    // A third of the letters wrong is another word.
    let furthest = (word.chars().count() / 3).max(1);
    let distances = names.into_iter().map(|name| (strsim::osa_distance(&lower, &name.to_lowercase()), name));
    distances.filter(|(distance, _)| *distance <= furthest).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// The fields that a schema has beside `field`; empty when its place is unknown or takes any.
pub(crate) fn siblings<'a>(schema: &'a Value, field: &str) -> Vec<&'a str> {
    let mut schema = schema;
    let mut steps: Vec<_> = field.split('.').collect();
    steps.pop();
    for step in steps {
        let (name, indexed) = step.split_once('[').map_or((step, false), |(name, _)| (name, true));
        schema = match &schema["properties"][name] {
            Value::Null => &schema["additionalProperties"],
            property => property,
        };
        schema = if indexed { &schema["items"] } else { schema };
    }
    schema["properties"].as_object().map(|fields| fields.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// What a deserialiser says about a value of the wrong type, without the names of Rust's types.
pub(crate) fn in_plain_words(message: &str) -> String {
    const EXPECTED: &str = ", expected ";
    // The value itself may hold these words; the deserialiser's own come last.
    let Some((found, rest)) = message.rfind(EXPECTED).map(|at| (&message[..at], &message[at + EXPECTED.len()..]))
    else {
        return message.to_owned();
    };
    let (wanted, place) = rest.find(" at line ").map_or((rest, ""), |at| rest.split_at(at));
    let found = found.replace("unit value", "null");
    format!("{found}{EXPECTED}{}{place}", plain_type(wanted, found.starts_with("invalid value")))
}

fn plain_type(wanted: &str, out_of_range: bool) -> String {
    match wanted {
        "i32" if out_of_range => "a whole number up to 2147483647".to_owned(),
        "u16" if out_of_range => "a whole number up to 65535".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" | "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a string" => "text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        "IntOrString" => "a whole number or text".to_owned(),
        "Quantity" => "a quantity, as in 100m or 128Mi".to_owned(),
        // A value that is one of a kind, such as the name of a kind, is said as it is.
        other if out_of_range => other.to_owned(),
        other => match other.strip_prefix("struct ").unwrap_or(other) {
            name if name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(char::is_alphanumeric) => {
                format!("an object ({name})")
            }
            other => other.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let names = ["maxSurge", "maxUnavailable"];
        for slip in ["maxSurg", "maxsurge", "MaxSurge", "maxSruge", "mxSurge"] {
            assert_eq!(nearest(slip, names), Some("maxSurge"), "{slip}");
        }
        for other in ["surge", "min", "", "maxSomething"] {
            assert_eq!(nearest(other, names), None, "{other}");
        }
        assert_eq!(nearest("tag", ["tags", "tax", "tag"]), Some("tag"), "the nearest, not the first");
    }

    #[test]
    fn siblings_are_found_through_lists_and_maps() {
        let item = json!({"properties": {"name": {}, "value": {}}});
        let schema = json!({"properties": {
            "list": {"items": item}, "map": {"additionalProperties": item}, "any": {"additionalProperties": true},
        }});
        assert_eq!(siblings(&schema, "x"), ["any", "list", "map"]);
        assert_eq!(siblings(&schema, "list[3].x"), ["name", "value"]);
        assert_eq!(siblings(&schema, "map.key.x"), ["name", "value"]);
        assert_eq!(siblings(&schema, "any.x.y"), Vec::<&str>::new());
        assert_eq!(siblings(&schema, "nowhere.x"), Vec::<&str>::new());
    }

    #[test]
    fn types_are_said_as_people_say_them() {
        for (message, plain) in [
            (
                "invalid type: string \"3, expected i32\", expected i32 at line 4 column 18",
                "invalid type: string \"3, expected i32\", expected a whole number at line 4 column 18",
            ),
            (
                "invalid value: integer `3000000000`, expected i32",
                "invalid value: integer `3000000000`, expected a whole number up to 2147483647",
            ),
            ("invalid type: unit value, expected a sequence", "invalid type: null, expected a list"),
            ("invalid type: map, expected a string", "invalid type: map, expected text"),
            (
                "invalid type: string \"a\", expected struct Image",
                "invalid type: string \"a\", expected an object (Image)",
            ),
            ("invalid value: string \"Pod\", expected Service", "invalid value: string \"Pod\", expected Service"),
            ("missing field `name`", "missing field `name`"),
        ] {
            assert_eq!(in_plain_words(message), plain);
        }
    }
}
