//! What a room's own annotations ask for: things that an operator of rooms does to one, and that are no part of its spec.
//!
//! Nothing in here makes a room invalid: an annotation that is not understood is told, and ignored.

use std::str::FromStr as _;

use chatroom_api::ChatRoom;
use jiff::Timestamp;

use crate::names::keys;

/// What the annotations say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// Whether the operator leaves the room alone: it writes nothing but the status.
    pub paused: bool,
    /// When somebody last wanted all gateways to be restarted, as it was written.
    pub restarted_at: Option<String>,
    /// What was not understood.
    pub complaints: Vec<Complaint>,
}

/// An annotation that was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Its key.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Annotations {
    /// Reads them.
    #[must_use]
    pub fn of(room: &ChatRoom) -> Self {
        let mut read = Self::default();
        for (key, value) in room.metadata.annotations.iter().flatten() {
            match key.as_str() {
                keys::RECONCILE => match value.as_str() {
                    "disabled" => read.paused = true,
                    "enabled" => {}
                    other => read
                        .complain(key, &format!("is \"{}\", which is ignored: use disabled or enabled", short(other))),
                },
                keys::RESTARTED_AT if is_rfc_3339(value) => read.restarted_at = Some(value.clone()),
                keys::RESTARTED_AT => {
                    let advice = "use an RFC 3339 time, as in 2026-11-23T10:00:00Z";
                    read.complain(key, &format!("is \"{}\", which is ignored: {advice}", short(value)));
                }
                unknown if unknown.starts_with(keys::PREFIX) => {
                    let known = [keys::RECONCILE, keys::RESTARTED_AT].join(" and ");
                    read.complain(key, &format!("is ignored: the annotations of a room are {known}"));
                }
                _ => {}
            }
        }
        read
    }

    fn complain(&mut self, key: &str, what: &str) {
        self.complaints.push(Complaint { key: key.to_owned(), message: format!("annotation {key} {what}") });
    }
}

/// The date and the time of day with their separators, and an offset: not all that the parser takes, which also knows
/// basic formats and names of time zones.
fn is_rfc_3339(text: &str) -> bool {
    let separators = [(4, "-"), (7, "-"), (10, "Tt"), (13, ":"), (16, ":")];
    let separated = separators.iter().all(|(at, allowed)| text.chars().nth(*at).is_some_and(|c| allowed.contains(c)));
    separated && !text.contains(['[', ',']) && Timestamp::from_str(text).is_ok()
}

fn short(value: &str) -> String {
    value.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(annotations: &[(&str, &str)]) -> Annotations {
        let mut room = ChatRoom::new("lobby", serde_json::from_value(serde_json::json!({})).unwrap());
        let owned = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        room.metadata.annotations = Some(owned.collect());
        Annotations::of(&room)
    }

    fn messages(read: &Annotations) -> Vec<&str> {
        read.complaints.iter().map(|complaint| complaint.message.as_str()).collect()
    }

    #[test]
    fn only_disabled_pauses() {
        assert!(read(&[(keys::RECONCILE, "disabled")]).paused);
        assert_eq!(read(&[(keys::RECONCILE, "enabled")]), Annotations::default());
        for odd in ["Disabled", "false", "true", ""] {
            let read = read(&[(keys::RECONCILE, odd)]);
            assert!(!read.paused, "{odd}");
            let told =
                format!("annotation chatroom.dev/reconcile is \"{odd}\", which is ignored: use disabled or enabled");
            assert_eq!(messages(&read), [told]);
        }
    }

    #[test]
    fn a_restart_needs_a_time() {
        for good in ["2026-11-23T10:00:00Z", "2026-11-23t10:00:00.25+01:00"] {
            let read = read(&[(keys::RESTARTED_AT, good)]);
            assert_eq!((read.restarted_at.as_deref(), read.complaints), (Some(good), vec![]));
        }
        for bad in
            ["now", "2026-11-23", "2026-11-23T10:00:00", "20261123T100000Z", "2026-11-23T10:00:00+01:00[Europe/Berlin]"]
        {
            let read = read(&[(keys::RESTARTED_AT, bad)]);
            assert_eq!((read.restarted_at, read.complaints.len()), (None, 1), "{bad}");
        }
    }

    #[test]
    fn others_of_our_name_are_told_which_there_are() {
        let read = read(&[("chatroom.dev/pause", "true"), ("example.com/anything", "goes")]);
        let known = "chatroom.dev/reconcile and chatroom.dev/restarted-at";
        assert_eq!(
            messages(&read),
            [format!("annotation chatroom.dev/pause is ignored: the annotations of a room are {known}")]
        );
    }
}
