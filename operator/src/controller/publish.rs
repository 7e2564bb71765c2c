//! Writes the room's status, if it differs from the one that stands there.

use crate::controller::Context;
use crate::controller::errors::Error;
use crate::fleet::online_moved;
use crate::names::MANAGER;
use chatroom_api::{ChatRoom, ChatRoomStatus};
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;
use std::time::{Duration, Instant};

/// How often the number of people is written at most: everybody who watches the room is woken by it.
const ONLINE_EVERY: Duration = Duration::from_secs(60);

/// The status that stands on the server now.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The status itself.
    pub status: ChatRoomStatus,
    /// How long a new number of people has to wait until it may be written, if one does.
    pub held_back: Option<Duration>,
}

/// Writes `fresh` over `before` unless they are the same.
///
/// # Errors
/// When the API server does not take it.
pub async fn publish(
    context: &Context,
    room: &ChatRoom,
    before: &ChatRoomStatus,
    mut fresh: ChatRoomStatus,
) -> Result<Published, Error> {
    let (name, uid) = (room.name_any(), room.uid().unwrap_or_default());
    let since_written = context.memory.online_written(&uid).map(|written| written.elapsed());
    let held_back = hold_online(before.online, &mut fresh.online, since_written);
    if &fresh == before {
        return Ok(Published { status: fresh, held_back });
    }
    let api: Api<ChatRoom> = Api::namespaced(context.client.clone(), &room.namespace().unwrap_or_default());
    // An apply names its type, and the uid keeps the status of one room away from another of the same name.
    let body = json!({
        "apiVersion": ChatRoom::api_version(&()),
        "kind": ChatRoom::kind(&()),
        "metadata": {"uid": uid},
        "status": fresh,
    });
    api.patch_status(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(body))
        .await
        .map_err(|source| Error::Request { verb: "apply the status of", kind: "ChatRoom", name, source })?;
    context.metrics.wrote("ChatRoom", "apply_status");
    if fresh.online != before.online {
        context.memory.remember_online(&uid, Instant::now());
    }
    context.memory.remember_status(&uid, &room.resource_version().unwrap_or_default(), &fresh);
    Ok(Published { status: fresh, held_back })
}

/// Keeps the number of people as it stands when it did not move enough, or was written a moment ago; then it says how long
/// it has to wait. Only "unknown" does not wait: a number that nobody vouches for would be stale.
fn hold_online(before: Option<i64>, fresh: &mut Option<i64>, since_written: Option<Duration>) -> Option<Duration> {
    let count = |online: Option<i64>| online.map(|online| online.max(0).unsigned_abs());
    if fresh.is_none() || *fresh == before {
        return None;
    }
    let moved = online_moved(count(before), count(*fresh));
    let wait = since_written.and_then(|since| ONLINE_EVERY.checked_sub(since)).filter(|wait| !wait.is_zero());
    if !moved || wait.is_some() {
        *fresh = before;
    }
    wait.filter(|_| moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Option<Duration> = Some(Duration::from_secs(1));
    const LONG_AGO: Option<Duration> = Some(Duration::from_secs(61));

    fn held(before: Option<i64>, fresh: Option<i64>, since: Option<Duration>) -> (Option<i64>, Option<Duration>) {
        let mut online = fresh;
        let wait = hold_online(before, &mut online, since);
        (online, wait)
    }

    #[test]
    fn people_are_counted_once_a_minute() {
        let rest = Some(Duration::from_secs(59));
        assert_eq!(held(Some(100), Some(200), NOW), (Some(100), rest));
        assert_eq!(held(Some(100), Some(200), LONG_AGO), (Some(200), None));
        assert_eq!(held(Some(100), Some(200), None), (Some(200), None), "never written by this process");
        assert_eq!(held(None, Some(1), NOW), (None, rest));
    }

    #[test]
    fn a_small_move_is_not_written() {
        assert_eq!(held(Some(100), Some(103), LONG_AGO), (Some(100), None));
    }

    #[test]
    fn unknown_is_written_at_once() {
        assert_eq!(held(Some(100), None, NOW), (None, None));
    }
}
