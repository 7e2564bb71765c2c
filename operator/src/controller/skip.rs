//! When a write can be left out: what is sent and what we own are as after the last apply.
//!
//! Values are never compared. What is stored differs from what was sent (quantities are normalised, empty values
//! dropped, admission plugins add and rewrite), so a comparison of values would see a difference for ever and write for
//! ever. Ownership is what tells drift: whoever changes a field of ours takes it out of our entry in `managedFields`.

use crate::names::MANAGER;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Hash of a value; for this process only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

/// A child as it was after our last apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The uid it had. Another object of the same name is another child.
    pub uid: String,
    /// What we sent.
    pub sent: Fingerprint,
    /// What we owned afterwards.
    pub fields: Fingerprint,
}

impl Fingerprint {
    /// Of anything that can be written as JSON.
    #[must_use]
    pub fn of(value: &impl Serialize) -> Self {
        let text = serde_json::to_string(value).expect("objects of the API can be written as JSON");
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Self(hasher.finish())
    }

    /// Of the fields that we own on an object by having applied them; status apart.
    #[must_use]
    pub fn of_our_fields(meta: &ObjectMeta) -> Option<Self> {
        let entry = meta.managed_fields.as_deref()?.iter().find(|entry| {
            entry.manager.as_deref() == Some(MANAGER)
                && entry.operation.as_deref() == Some("Apply")
                && entry.subresource.as_deref().unwrap_or_default().is_empty()
        })?;
        Some(Self::of(&entry.fields_v1.as_ref()?.0))
    }
}

impl Remembered {
    /// The child as the API server answered it to an apply of `sent`. Without an entry of ours in the answer there is
    /// nothing to recognise it by, and the next time is a first time again.
    #[must_use]
    pub fn from_answer(answer: &ObjectMeta, sent: Fingerprint) -> Option<Self> {
        Some(Self { uid: answer.uid.clone()?, sent, fields: Fingerprint::of_our_fields(answer)? })
    }

    /// Whether applying `sent` to the child that stands there now would change nothing.
    #[must_use]
    pub fn still_holds(&self, live: &ObjectMeta, sent: Fingerprint) -> bool {
        self.sent == sent
            && live.uid.as_deref() == Some(self.uid.as_str())
            && Fingerprint::of_our_fields(live) == Some(self.fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
    use serde_json::{Value, json};

    fn entry(manager: &str, operation: &str, subresource: Option<&str>, fields: Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.into()),
            operation: Some(operation.into()),
            subresource: subresource.map(Into::into),
            fields_v1: Some(FieldsV1(fields)),
            ..ManagedFieldsEntry::default()
        }
    }

    fn live(entries: Vec<ManagedFieldsEntry>) -> ObjectMeta {
        ObjectMeta { uid: Some("1".into()), managed_fields: Some(entries), ..ObjectMeta::default() }
    }

    fn ours() -> ManagedFieldsEntry {
        entry(MANAGER, "Apply", None, json!({"f:spec": {"f:replicas": {}}}))
    }

    fn remembered() -> (Remembered, Fingerprint) {
        let sent = Fingerprint::of(&json!({"spec": {"replicas": 2}}));
        (Remembered::from_answer(&live(vec![ours()]), sent).unwrap(), sent)
    }

    #[test]
    fn nothing_changed_means_no_write() {
        let (remembered, sent) = remembered();
        assert!(remembered.still_holds(&live(vec![ours()]), sent));
    }

    #[test]
    fn what_others_own_does_not_matter() {
        let (remembered, sent) = remembered();
        let others = [
            entry("kubectl", "Update", None, json!({"f:metadata": {}})),
            entry(MANAGER, "Apply", Some("status"), json!({"f:status": {}})),
            entry(MANAGER, "Update", None, json!({"f:data": {}})),
        ];
        assert!(remembered.still_holds(&live(others.into_iter().chain([ours()]).collect()), sent));
    }

    #[test]
    fn another_wish_another_object_or_a_lost_field_mean_a_write() {
        let (remembered, sent) = remembered();
        assert!(!remembered.still_holds(&live(vec![ours()]), Fingerprint::of(&json!({"spec": {"replicas": 3}}))));
        let replaced = ObjectMeta { uid: Some("2".into()), ..live(vec![ours()]) };
        assert!(!remembered.still_holds(&replaced, sent));
        let scaled = entry(MANAGER, "Apply", None, json!({"f:spec": {}}));
        assert!(!remembered.still_holds(&live(vec![scaled]), sent));
        assert!(!remembered.still_holds(&live(vec![]), sent));
    }
}
