//! The patch that takes out of an object what others have put into it. Pure.

use serde_json::{Value, json};

/// A merge patch that makes the spec what it shall be and takes everything else out of it, for exactly this version of the
/// object. `None` if it has no spec.
#[must_use]
pub fn way_back(live: &Value, wanted: &Value) -> Option<Value> {
    let spec = difference(live.get("spec")?, wanted.get("spec")?);
    let metadata = live.get("metadata")?;
    Some(json!({"metadata": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}, "spec": spec}))
}

/// What merged into `live` gives `wanted`.
fn difference(live: &Value, wanted: &Value) -> Value {
    let (Value::Object(live), Value::Object(wanted)) = (live, wanted) else { return wanted.clone() };
    let extra = live.keys().filter(|key| !wanted.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let ours =
        wanted.iter().map(|(key, value)| (key.clone(), difference(live.get(key).unwrap_or(&Value::Null), value)));
    Value::Object(extra.chain(ours).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_takes_out_of_the_spec_what_others_put_in_and_leaves_the_metadata_alone() {
        let live = json!({
            "metadata": {"uid": "1", "resourceVersion": "7", "labels": {"team": "chat"}},
            "spec": {"minAvailable": 2, "selector": {"matchLabels": {"a": "b", "c": "d"}}, "ports": [{"port": 8080}]},
            "status": {"healthy": 2},
        });
        let wanted =
            json!({"spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"a": "b"}}, "ports": [{"port": 80}]}});
        let expected = json!({
            "metadata": {"uid": "1", "resourceVersion": "7"},
            "spec": {
                "minAvailable": null, "maxUnavailable": 1,
                "selector": {"matchLabels": {"a": "b", "c": null}}, "ports": [{"port": 80}],
            },
        });
        assert_eq!(way_back(&live, &wanted), Some(expected));
        assert_eq!(way_back(&json!({"metadata": {}, "data": {}}), &json!({"data": {}})), None);
    }
}
