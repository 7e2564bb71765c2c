//! What is worth an event: what was done, and what changed in the status. Pure.

use crate::controller::apply::{Deed, Done};
use crate::events::Notice;
use crate::names::Names;
use crate::observed::Observed;
use crate::room::Identity;
use chatroom_api::{ChatRoom, ChatRoomStatus, condition};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

/// What was done, told to people. Updates are left out: a room at work makes many.
#[must_use]
pub fn of_deeds(deeds: &[Deed], room: &ChatRoom, observed: &Observed) -> Vec<Notice> {
    deeds.iter().flat_map(|deed| of_deed(deed, room, observed)).collect()
}

fn of_deed(deed: &Deed, room: &ChatRoom, observed: &Observed) -> Vec<Notice> {
    let Deed { what, kind, name, .. } = deed;
    let first = match what {
        Done::Updated => return Vec::new(),
        // While Redis runs, its password can only be created because it was deleted.
        Done::Created if *kind == "Secret" && observed.redis.is_some() => Notice::warning(
            "RedisCredentialRecreated",
            "CreateSecret",
            format!("Secret {name} was gone and has been created anew: Redis and gateways restart together"),
        ),
        Done::Created => Notice::normal("Created", "Create", format!("created {kind} {name}")),
        Done::Adopted => {
            Notice::warning("Adopted", "Adopt", format!("took over {kind} {name}: it has our labels and had no owner"))
        }
        Done::Deleted => Notice::normal("Deleted", "Delete", format!("deleted {kind} {name}: it is no longer wanted")),
    };
    let mut notices = vec![first.about(reference(deed, room))];
    if *what == Done::Created && *kind == "Deployment" && redis_name(room).as_ref() == Some(name) {
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

fn redis_name(room: &ChatRoom) -> Option<String> {
    Identity::parse(room).ok().map(|identity| Names::new(&identity).redis())
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

/// What changed in the status, told to people: the way into and out of trouble, the beginning and the end of a rollout.
#[must_use]
pub fn of_transition(before: &ChatRoomStatus, after: &ChatRoomStatus) -> Vec<Notice> {
    let mut notices = Vec::new();
    let (was, is) = (find(before, condition::STALLED), find(after, condition::STALLED));
    if let Some(stalled) = is.filter(|stalled| stalled.status == "True")
        && !was.is_some_and(|was| was.status == "True" && was.reason == stalled.reason)
    {
        notices.push(Notice::warning(stalled.reason.clone(), "Reconcile", stalled.message.clone()));
    }
    let rolls = |status| find(status, condition::RECONCILING).is_some_and(rolling_out);
    match (rolls(before), rolls(after)) {
        (false, true) => {
            let note = "the gateways are being replaced by new ones".to_owned();
            notices.push(Notice::normal("RolloutStarted", "RollOut", note));
        }
        (true, false) if find(after, condition::RECONCILING).is_some_and(|found| found.status == "False") => {
            let note = "every gateway runs the current template".to_owned();
            notices.push(Notice::normal("RolloutCompleted", "RollOut", note));
        }
        _ => {}
    }
    notices
}

fn rolling_out(reconciling: &Condition) -> bool {
    reconciling.status == "True" && reconciling.reason == "RollingOut"
}

fn find<'a>(status: &'a ChatRoomStatus, type_: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == type_)
}
