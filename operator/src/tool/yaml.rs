//! JSON values as YAML that every reader understands alike.
//!
//! Tools of Kubernetes still read YAML 1.1, where a bare `no` is false and `1_000` a number, while the serializer at hand
//! writes for YAML 1.2. Here a string is bare only when it cannot be taken for anything else.

use serde::Serialize;
use serde_json::Value;

/// `value` as a YAML document that ends with a line break. The same text for the same value.
pub(super) fn document<T: Serialize>(value: &T) -> String {
    let value = serde_json::to_value(value).expect("objects of Kubernetes are JSON");
    let mut text = String::new();
    block(&value, 0, &mut text);
    text
}

/// A value at the beginning of a line.
fn block(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                pad(indent, text);
                text.push_str(&line(key));
                text.push(':');
                after_key(value, indent, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                pad(indent, text);
                text.push('-');
                after_dash(item, indent, text);
            }
        }
        other => {
            pad(indent, text);
            text.push_str(&scalar(other, indent + 2));
            text.push('\n');
        }
    }
}

fn after_key(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            block(value, indent + 2, text);
        }
        // Lists stand where their key stands, as people of Kubernetes write them.
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            block(value, indent, text);
        }
        other => {
            text.push(' ');
            text.push_str(&scalar(other, indent + 2));
            text.push('\n');
        }
    }
}

fn after_dash(item: &Value, indent: usize, text: &mut String) {
    match item {
        Value::Object(_) | Value::Array(_) => {
            let mut inner = String::new();
            block(item, indent + 2, &mut inner);
            text.push(' ');
            text.push_str(inner.trim_start_matches(' '));
        }
        other => {
            text.push(' ');
            text.push_str(&scalar(other, indent + 2));
            text.push('\n');
        }
    }
}

fn pad(indent: usize, text: &mut String) {
    text.extend(std::iter::repeat_n(' ', indent));
}

fn scalar(value: &Value, indent: usize) -> String {
    match value {
        Value::String(string) if is_literal(string) => literal(string, indent),
        Value::String(string) => line(string),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
        // The bounds of a schema are floating point numbers, whatever they bound.
        Value::Number(number) => number.to_string().trim_end_matches(".0").to_owned(),
        other => other.to_string(),
    }
}

/// A string on one line: bare, in single quotes, or with escapes.
fn line(string: &str) -> String {
    if is_bare(string) {
        string.to_owned()
    } else if string.chars().all(is_printable) {
        format!("'{}'", string.replace('\'', "''"))
    } else {
        let escape = |c: char| match c {
            '"' | '\\' => format!("\\{c}"),
            '\n' => "\\n".to_owned(),
            '\t' => "\\t".to_owned(),
            c if is_printable(c) => c.to_string(),
            c => format!("\\U{:08X}", u32::from(c)),
        };
        format!("\"{}\"", string.chars().map(escape).collect::<String>())
    }
}

/// Begins like a word, is no word with a meaning, and holds nothing that ends a scalar.
fn is_bare(string: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    string.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && !WORDS.contains(&string.to_ascii_lowercase().as_str())
        && string.chars().all(is_printable)
        && !string.contains(": ")
        && !string.contains(" #")
        && !string.ends_with([' ', ':'])
}

fn is_literal(string: &str) -> bool {
    string.contains('\n')
        && !string.starts_with([' ', '\n'])
        && !string.ends_with("\n\n")
        && string.chars().all(|c| c == '\n' || is_printable(c))
}

fn literal(string: &str, indent: usize) -> String {
    let mut text = if string.ends_with('\n') { "|".to_owned() } else { "|-".to_owned() };
    for line in string.trim_end_matches('\n').split('\n') {
        text.push('\n');
        if !line.is_empty() {
            pad(indent, &mut text);
            text.push_str(line);
        }
    }
    text
}

/// What YAML lets stand as it is; a little less, to be on the safe side.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a1}'..='\u{d7ff}' | '\u{10000}'..='\u{10ffff}')
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn json() -> impl Strategy<Value = Value> {
        let string = prop_oneof!["(?s).{0,12}", "[a-z:# \\n-]{0,8}", Just("no".to_owned()), Just("1_0".to_owned())];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            string.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(string.clone(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(value in json()) {
            let text = document(&value);
            let again: Value = serde_yaml::from_str(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
            prop_assert_eq!(again, value, "{}", text);
        }
    }

    #[test]
    fn words_that_old_readers_take_for_something_else_are_quoted() {
        let words = json!(["no", "Yes", "on", "1_000", "0x1", "~", ".inf", "12:30", "null", "", "a: b", "a #b"]);
        let text = document(&words);
        assert!(text.lines().all(|line| line.starts_with("- '")), "{text}");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(document(&json!({"a": {"b": "x: 1\n\ny\n"}})), "a:\n  b: |\n    x: 1\n\n    y\n");
        assert_eq!(document(&json!([{"a": [1, [2]], "b": {}}])), "- a:\n  - 1\n  - - 2\n  b: {}\n");
    }
}
