//! What the operator tells people through Kubernetes events: transitions only, never the same thing at each reconcile.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use std::borrow::Cow;
use tracing::warn;

/// What the API server takes as the note of an event, in bytes.
const NOTE_LIMIT: usize = 1024;

/// The one place from which events are sent.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Whether it is a warning.
    pub warning: bool,
    /// Why it is told; one word in CamelCase.
    pub reason: Cow<'static, str>,
    /// What the operator did; one word in CamelCase.
    pub action: &'static str,
    /// The sentence for people.
    pub note: String,
    /// The other object it is about.
    pub about: Option<ObjectReference>,
}

impl Notice {
    /// Something that went as it should.
    #[must_use]
    pub fn normal(reason: impl Into<Cow<'static, str>>, action: &'static str, note: String) -> Self {
        Self { warning: false, reason: reason.into(), action, note, about: None }
    }

    /// Something that somebody should look at.
    #[must_use]
    pub fn warning(reason: impl Into<Cow<'static, str>>, action: &'static str, note: String) -> Self {
        Self { warning: true, ..Self::normal(reason, action, note) }
    }

    /// The same, about another object than the room.
    #[must_use]
    pub fn about(self, object: ObjectReference) -> Self {
        Self { about: Some(object), ..self }
    }
}

impl Events {
    /// Events will carry the name of the pod, where there is one.
    #[must_use]
    pub fn new(client: Client, pod_name: Option<String>) -> Self {
        let reporter = Reporter { controller: "chatroom-operator".into(), instance: pod_name };
        Self { recorder: Recorder::new(client, reporter) }
    }

    /// Tells it on the room. An event that cannot be sent is logged and let go: the status says the same.
    pub async fn tell(&self, room: &ObjectReference, notice: Notice) {
        let Notice { warning, reason, action, note, about } = notice;
        let type_ = if warning { EventType::Warning } else { EventType::Normal };
        let event =
            Event { type_, reason: reason.to_string(), note: Some(cut(note)), action: action.into(), secondary: about };
        if let Err(error) = self.recorder.publish(&event, room).await {
            warn!(%error, %reason, "failed to send an event");
        }
    }
}

/// As much of the note as an event can carry.
fn cut(mut note: String) -> String {
    const MORE: &str = "…";
    if note.len() > NOTE_LIMIT {
        let end = (0..=NOTE_LIMIT - MORE.len()).rev().find(|end| note.is_char_boundary(*end)).unwrap_or(0);
        note.truncate(end);
        note.push_str(MORE);
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_between_characters() {
        assert_eq!(cut("short".into()), "short");
        let cut = cut("é".repeat(600));
        assert!(cut.len() <= NOTE_LIMIT, "{}", cut.len());
        assert!(cut.ends_with('…'));
    }
}
