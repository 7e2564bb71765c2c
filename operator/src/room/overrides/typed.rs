//! A free-form object as a type of Kubernetes: nothing may get lost on the way, and nothing may come along.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::room::typo::{in_plain_words, nearest, siblings};
use crate::room::{Invalid, Problems, Violation};

k8s_openapi::k8s_if_1_33! {
    /// The version of Kubernetes whose types these are. With those of another one this does not compile, and the comment of
    /// `spec.overrides` has to be changed with it.
    const KUBERNETES: &str = "1.33";
}

/// `given` as a `K`. Types of Kubernetes ignore what they do not know, so the value is written again and compared.
pub(super) fn parse<K: DeserializeOwned + Serialize + JsonSchema>(field: &str, given: &Value) -> Result<K, Invalid> {
    let parsed: K = serde_path_to_error::deserialize(given).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { field.to_owned() } else { format!("{field}.{path}") };
        Violation::new(place, in_plain_words(&error.inner().to_string()))
    })?;
    let kept = serde_json::to_value(&parsed).expect("objects of Kubernetes are JSON");
    let mut comparison = Comparison { field, problems: Problems::default(), lost: Vec::new() };
    comparison.compare(given, &kept, "");
    let Comparison { mut problems, lost, .. } = comparison;
    if !lost.is_empty() {
        let schema = schema_of::<K>();
        for path in lost {
            problems.refuse(format!("{field}.{path}"), unknown(&schema, &path));
        }
    }
    problems.finish(Some(parsed))
}

struct Comparison<'a> {
    field: &'a str,
    problems: Problems,
    /// Paths below `field` of what the type has no field for.
    lost: Vec<String>,
}

impl Comparison<'_> {
    /// Compares keys, not values: a quantity comes back in other words.
    fn compare(&mut self, given: &Value, kept: &Value, path: &str) {
        match (given, kept) {
            (Value::Object(given), Value::Object(kept)) => {
                for (key, value) in given {
                    let path = below(path, key);
                    match kept.get(key) {
                        _ if value.is_null() => {
                            self.refuse(&path, "null takes nothing away: an override adds and changes only");
                        }
                        Some(kept) => self.compare(value, kept, &path),
                        None => self.lost.push(path),
                    }
                }
                let came_along = kept.iter().filter(|(key, _)| !given.contains_key(*key));
                for (key, _) in came_along.filter(|(key, value)| !is_nothing(path, key, value)) {
                    self.refuse(
                        &below(path, key),
                        "is missing: an entry of a list, or an action, needs it to be told apart",
                    );
                }
            }
            (Value::Array(given), Value::Array(kept)) => {
                for (index, (given, kept)) in given.iter().zip(kept).enumerate() {
                    self.compare(given, kept, &format!("{path}[{index}]"));
                }
            }
            (Value::Null, _) => self.refuse(path, "null takes nothing away: an override adds and changes only"),
            _ => {}
        }
    }

    fn refuse(&mut self, path: &str, message: &str) {
        self.problems.refuse(format!("{}.{path}", self.field), message);
    }
}

/// Whether a field that the type filled in by itself leaves what it is laid over as it is. A number or a text would not: a
/// port that was left out would be 0.
fn is_nothing(path: &str, key: &str, value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(_) => key == "containers",
        _ => path.is_empty() && matches!(key, "apiVersion" | "kind"),
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn unknown(schema: &Value, path: &str) -> String {
    let name = path.rsplit('.').next().unwrap_or_default();
    let meant = match nearest(name, siblings(schema, path)) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => String::new(),
    };
    format!("Kubernetes {KUBERNETES} has no such field here, and later ones cannot be set{meant}")
}

/// Made when it is needed, which is seldom: it is large.
fn schema_of<K: JsonSchema>() -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<K>().to_value()
}
