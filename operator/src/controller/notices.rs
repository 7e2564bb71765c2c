//! What is worth an event: what was done, and what changed in the status. Pure.

use crate::annotations::Complaint;
use crate::conditions::{find, is_true};
use crate::controller::apply::{Deed, Done};
use crate::decide::push;
use crate::events::Notice;
use crate::names::{Names, keys};
use crate::observed::Observed;
use crate::room::Identity;
use chatroom_api::condition::{
    self, cleanup_healthy, functions_ready, push_ready, ready, redis_ready, settings_current,
};
use chatroom_api::{ChatRoom, ChatRoomStatus};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource as _, ResourceExt as _};
use std::collections::{BTreeMap, BTreeSet};

/// What was done, told to people. Updates are left out: a room at work makes many.
#[must_use]
pub fn of_deeds(deeds: &[Deed], room: &ChatRoom, observed: &Observed) -> Vec<Notice> {
    deeds.iter().flat_map(|deed| of_deed(deed, room, observed)).collect()
}

fn of_deed(deed: &Deed, room: &ChatRoom, observed: &Observed) -> Vec<Notice> {
    let Deed { what, kind, name, .. } = deed;
    let is = |named: fn(&Names) -> String| names(room).is_some_and(|names| named(&names) == *name);
    let first = match what {
        Done::Updated => return Vec::new(),
        // While Redis runs, its password can only be created because it was deleted.
        Done::Created if is(Names::redis) && *kind == "Secret" && observed.redis.is_some() => Notice::warning(
            "RedisCredentialRecreated",
            "CreateSecret",
            format!(
                "Secret {name} was gone and has been created anew: when a gateway has to connect again, Redis and gateways \
                 restart together"
            ),
        ),
        Done::Created if is(Names::push) && *kind == "Secret" && were_pushed_to(room, observed) => Notice::warning(
            "PushKeysRecreated",
            "CreateSecret",
            format!(
                "Secret {name} was gone and has been created anew with another key: restart what pushes to the room, it still \
                 has the old one; gateways take the new one within about 90 seconds"
            ),
        ),
        Done::Created => Notice::normal("Created", "Create", format!("created {kind} {name}")),
        Done::Adopted => {
            Notice::warning("Adopted", "Adopt", format!("took over {kind} {name}: it has our labels and had no owner"))
        }
        Done::Deleted => Notice::normal("Deleted", "Delete", format!("deleted {kind} {name}: it is no longer wanted")),
    };
    let mut notices = vec![first.about(reference(deed, room))];
    if *what == Done::Created && *kind == "Deployment" && is(Names::redis) {
        notices.push(Notice::warning(
            "EphemeralRedis",
            "Create",
            "the room runs on a Redis of one pod without a disk, which is for trials: set spec.redis.external for anything \
             else"
                .to_owned(),
        ));
    }
    notices
}

fn names(room: &ChatRoom) -> Option<Names> {
    Identity::parse(room).ok().map(|identity| Names::new(&identity))
}

/// Whether gateways were told of the room's own push keys before: then some program may have one of them.
fn were_pushed_to(room: &ChatRoom, observed: &Observed) -> bool {
    names(room).is_some_and(|names| push::is_known(&names, observed))
}

fn reference(deed: &Deed, room: &ChatRoom) -> ObjectReference {
    ObjectReference {
        kind: Some(deed.kind.to_owned()),
        name: Some(deed.name.clone()),
        namespace: room.namespace(),
        uid: deed.uid.clone(),
        ..ObjectReference::default()
    }
}

/// What was not understood about the room's annotations, told to people.
///
/// Each names its field: events that differ in their note alone are counted as one, and only the first note is kept.
pub fn of_complaints(complaints: Vec<Complaint>, room: &ChatRoom) -> impl Iterator<Item = Notice> {
    let field = |key: &str| Some(format!("metadata.annotations[{key}]"));
    complaints.into_iter().map(move |Complaint { key, message }| {
        let about = ObjectReference { field_path: field(&key), ..room.object_ref(&()) };
        Notice::warning("AnnotationIgnored", "Reconcile", message).about(about)
    })
}

/// What changed in the status, told to people: the way into trouble, the beginning and the end of a rollout, of a sleep and
/// of a pause.
#[must_use]
pub fn of_transition(before: Option<&ChatRoomStatus>, after: &ChatRoomStatus) -> Vec<Notice> {
    let known: BTreeSet<_> = before.iter().flat_map(|before| troubles(before)).map(|(reason, _)| reason).collect();
    let fresh = troubles(after).into_iter().filter(|(reason, _)| !known.contains(reason));
    let mut notices: Vec<_> =
        fresh.map(|(reason, message)| Notice::warning(reason.to_owned(), "Reconcile", message.to_owned())).collect();
    match (before.is_some_and(rolls), rolls(after)) {
        (false, true) => {
            let note = "gateways are being replaced by new ones".to_owned();
            notices.push(Notice::normal("RolloutStarted", "RollOut", note));
        }
        (true, false) if after.replicas.unwrap_or_default() > 0 => {
            let note = "every gateway runs the current template".to_owned();
            notices.push(Notice::normal("RolloutCompleted", "RollOut", note));
        }
        _ => {}
    }
    match (before.is_some_and(is_suspended), is_suspended(after)) {
        (false, true) => {
            let note = "spec.suspend is true: the gateways go, everything else is kept".to_owned();
            notices.push(Notice::normal("Suspended", "Suspend", note));
        }
        (true, false) if !is_true(after, condition::STALLED) => {
            let note = "spec.suspend is no longer true: the gateways come back".to_owned();
            notices.push(Notice::normal("Resumed", "Resume", note));
        }
        _ => {}
    }
    match (before.is_some_and(is_paused), is_paused(after)) {
        (false, true) => {
            let note = format!("annotation {} is disabled: nothing but the status is written", keys::RECONCILE);
            notices.push(Notice::normal("Paused", "Pause", note));
        }
        (true, false) => {
            let note = format!("annotation {} is gone: the room is brought back to its spec", keys::RECONCILE);
            notices.push(Notice::normal("Resumed", "Resume", note));
        }
        _ => {}
    }
    notices
}

/// Everything in a status that somebody should look at: reason and message, each reason once.
fn troubles(status: &ChatRoomStatus) -> BTreeMap<&str, &str> {
    let is_trouble = |found: &&Condition| match found.type_.as_str() {
        condition::STALLED => found.status == "True",
        condition::READY => [ready::ROLLOUT_BLOCKED, ready::SECRET_NOT_FOUND].contains(&found.reason.as_str()),
        condition::REDIS_READY => {
            [redis_ready::SECRET_NOT_FOUND, redis_ready::CREDENTIALS_REFUSED].contains(&found.reason.as_str())
        }
        condition::PUSH_READY => {
            [push_ready::KEYS_NOT_FOUND, push_ready::KEYS_REFUSED].contains(&found.reason.as_str())
        }
        condition::FUNCTIONS_READY => [
            functions_ready::SIGNING_KEYS_NOT_FOUND,
            functions_ready::SIGNING_KEYS_REFUSED,
            functions_ready::ROOTS_NOT_FOUND,
            functions_ready::ROOTS_REFUSED,
        ]
        .contains(&found.reason.as_str()),
        // A call that failed is made again: that alone needs nobody.
        condition::CLEANUP_HEALTHY => found.reason == cleanup_healthy::DEAD_EVENTS,
        condition::SETTINGS_CURRENT => found.reason == settings_current::SETTINGS_REFUSED,
        _ => false,
    };
    status.conditions.iter().filter(is_trouble).map(|found| (found.reason.as_str(), found.message.as_str())).collect()
}

/// Whether there are gateways of another template than the current one.
fn rolls(status: &ChatRoomStatus) -> bool {
    status.replicas.unwrap_or_default() > status.updated_replicas.unwrap_or_default()
}

fn is_suspended(status: &ChatRoomStatus) -> bool {
    find(status, condition::READY).is_some_and(|found| found.reason == ready::SUSPENDED)
}

fn is_paused(status: &ChatRoomStatus) -> bool {
    is_true(status, condition::PAUSED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    fn room() -> ChatRoom {
        let mut room = ChatRoom::new("lobby", serde_json::from_value(json!({})).unwrap());
        room.metadata.namespace = Some("chat".into());
        room.metadata.uid = Some("1".into());
        room
    }

    fn deed(what: Done, kind: &'static str, name: &str) -> Deed {
        Deed { what, kind, name: name.into(), uid: Some("2".into()) }
    }

    fn reasons(notices: &[Notice]) -> Vec<(&str, bool)> {
        notices.iter().map(|notice| (notice.reason.as_ref(), notice.warning)).collect()
    }

    #[test]
    fn a_redis_of_its_own_is_warned_of_once() {
        let deeds = [deed(Done::Created, "Deployment", "lobby-redis"), deed(Done::Created, "Deployment", "lobby")];
        let notices = of_deeds(&deeds, &room(), &Observed::default());
        assert_eq!(reasons(&notices), [("Created", false), ("EphemeralRedis", true), ("Created", false)]);
    }

    #[test]
    fn updates_are_not_told() {
        assert_eq!(of_deeds(&[deed(Done::Updated, "Service", "lobby")], &room(), &Observed::default()), []);
    }

    #[test]
    fn a_password_that_had_to_be_made_up_again_is_a_warning() {
        let deeds = [deed(Done::Created, "Secret", "lobby-redis")];
        assert_eq!(reasons(&of_deeds(&deeds, &room(), &Observed::default())), [("Created", false)]);
        let observed = Observed { redis: Some(Default::default()), ..Observed::default() };
        assert_eq!(reasons(&of_deeds(&deeds, &room(), &observed)), [("RedisCredentialRecreated", true)]);
    }

    #[test]
    fn push_keys_that_had_to_be_made_up_again_are_a_warning_and_those_of_an_upgrade_are_not() {
        let deeds = [deed(Done::Created, "Secret", "lobby-push")];
        let of = |deployment| {
            let observed =
                Observed { deployment: Some(deployment), redis: Some(Default::default()), ..Observed::default() };
            of_deeds(&deeds, &room(), &observed)
        };
        assert_eq!(reasons(&of(Default::default())), [("Created", false)]);
        let pod = json!({"containers": [], "volumes": [{"name": "push", "secret": {"secretName": "lobby-push"}}]});
        let spec = json!({"selector": {}, "template": {"spec": pod}});
        let told = of(serde_json::from_value(json!({"spec": spec})).unwrap());
        assert_eq!(reasons(&told), [("PushKeysRecreated", true)]);
        assert!(told[0].note.contains("restart what pushes"), "{}", told[0].note);
    }

    fn stalled_by(reason: &str) -> ChatRoomStatus {
        let stalled = Condition {
            type_: "Stalled".into(),
            status: "True".into(),
            reason: reason.into(),
            message: "the rest of the story".into(),
            observed_generation: None,
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
        };
        ChatRoomStatus { conditions: vec![stalled], ..ChatRoomStatus::default() }
    }

    #[test]
    fn trouble_is_told_when_it_begins_and_when_it_changes() {
        let (invalid, foreign) = (stalled_by("InvalidSpec"), stalled_by("ForeignObject"));
        assert_eq!(reasons(&of_transition(None, &invalid)), [("InvalidSpec", true)]);
        assert_eq!(reasons(&of_transition(Some(&invalid), &invalid)), []);
        assert_eq!(reasons(&of_transition(Some(&invalid), &foreign)), [("ForeignObject", true)]);
    }

    #[test]
    fn a_rollout_has_a_beginning_and_an_end_and_scaling_is_none() {
        let pods = |replicas, updated| ChatRoomStatus {
            replicas: Some(replicas),
            updated_replicas: Some(updated),
            ..ChatRoomStatus::default()
        };
        assert_eq!(reasons(&of_transition(Some(&pods(2, 2)), &pods(4, 2))), [("RolloutStarted", false)]);
        assert_eq!(reasons(&of_transition(Some(&pods(4, 2)), &pods(2, 2))), [("RolloutCompleted", false)]);
        assert_eq!(reasons(&of_transition(Some(&pods(2, 2)), &pods(5, 5))), []);
        assert_eq!(reasons(&of_transition(None, &pods(2, 2))), []);
    }
}
