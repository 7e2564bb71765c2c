//! What the operator remembers about rooms between two reconciles. Losing it costs a few requests, never correctness.

use crate::annotations::Complaint;
use crate::controller::errors::Category;
use crate::controller::skip::Remembered;
use chatroom_api::{ChatRoom, ChatRoomStatus};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long after a Secret was made sure of it is not asked for again. A kubelet takes up to a minute and a half to show a
/// new Secret to a running pod, and until then the gateways go on saying that it is missing.
const SECRET_FRESH: Duration = Duration::from_secs(30);

/// Everything remembered, by the uid of the room.
#[derive(Debug, Default)]
pub struct Memory {
    rooms: Mutex<HashMap<String, Room>>,
}

#[derive(Debug, Default)]
struct Room {
    /// Children after our last apply, by kind and name.
    children: HashMap<(&'static str, String), Remembered>,
    /// When each Secret of the room's own was last made sure of.
    secrets_seen: HashMap<String, Instant>,
    /// What was told about the room's annotations.
    complaints: Vec<Complaint>,
    /// Tries that failed in a row in the same way.
    failures: Option<(Category, u32)>,
    status: Option<WrittenStatus>,
}

/// A status that was written, and to which version of the room.
#[derive(Clone, Debug)]
struct WrittenStatus {
    computed_from: String,
    status: ChatRoomStatus,
}

impl Memory {
    /// The child as it was after our last apply.
    #[must_use]
    pub fn child(&self, room: &str, kind: &'static str, name: &str) -> Option<Remembered> {
        self.rooms().get(room)?.children.get(&(kind, name.to_owned())).cloned()
    }

    /// Remembers a child after an apply; `None` forgets it.
    pub fn remember_child(&self, room: &str, kind: &'static str, name: &str, child: Option<Remembered>) {
        let mut rooms = self.rooms();
        let children = &mut rooms.entry(room.to_owned()).or_default().children;
        match child {
            Some(child) => children.insert((kind, name.to_owned()), child),
            None => children.remove(&(kind, name.to_owned())),
        };
    }

    /// Whether the Secret was made sure of so recently that the pods may not have noticed yet.
    #[must_use]
    pub fn secret_is_fresh(&self, room: &str, name: &str) -> bool {
        let seen = self.rooms().get(room).and_then(|room| room.secrets_seen.get(name).copied());
        seen.is_some_and(|seen| seen.elapsed() < SECRET_FRESH)
    }

    /// Remembers that the Secret exists.
    pub fn remember_secret(&self, room: &str, name: &str) {
        let seen = (name.to_owned(), Instant::now());
        self.rooms().entry(room.to_owned()).or_default().secrets_seen.extend([seen]);
    }

    /// Those of the complaints that are not the same as the last time: each is told once. An operator that starts anew has
    /// heard none.
    #[must_use]
    pub fn unheard(&self, room: &str, complaints: Vec<Complaint>) -> Vec<Complaint> {
        let mut rooms = self.rooms();
        let heard = &mut rooms.entry(room.to_owned()).or_default().complaints;
        let news = complaints.iter().filter(|complaint| !heard.contains(complaint)).cloned().collect();
        *heard = complaints;
        news
    }

    /// The room with the status that stands on the server, as far as we know: the one we wrote last, while the watch has
    /// not shown us anything newer than what it was computed from. Without this a status would be computed twice from the
    /// same old one, and its transitions get two times.
    #[must_use]
    pub fn with_written_status(&self, room: &ChatRoom) -> ChatRoom {
        let mut room = room.clone();
        let rooms = self.rooms();
        let uid = room.metadata.uid.as_deref().unwrap_or_default();
        let version = room.metadata.resource_version.as_deref().unwrap_or_default();
        let written = rooms.get(uid).and_then(|room| room.status.as_ref());
        if let Some(written) = written.filter(|written| written.computed_from == version) {
            room.status = Some(written.status.clone());
        }
        room
    }

    /// Remembers the status that was written to the given version of the room.
    pub fn remember_status(&self, room: &str, version: &str, status: &ChatRoomStatus) {
        let written = WrittenStatus { computed_from: version.to_owned(), status: status.clone() };
        self.rooms().entry(room.to_owned()).or_default().status = Some(written);
    }

    /// Notes that a try failed. How many right before it failed in the same way: another kind of failure is a new story, and
    /// a server that is back should not be left alone for as long as one that is away.
    pub fn failed(&self, room: &str, category: Category) -> u32 {
        let mut rooms = self.rooms();
        let failures = &mut rooms.entry(room.to_owned()).or_default().failures;
        let before = failures.filter(|(last, _)| *last == category).map_or(0, |(_, count)| count);
        *failures = Some((category, before.saturating_add(1)));
        before
    }

    /// Notes that a try succeeded.
    pub fn succeeded(&self, room: &str) {
        if let Some(room) = self.rooms().get_mut(room) {
            room.failures = None;
        }
    }

    /// Forgets all rooms but those that are still there.
    pub fn keep_only(&self, still_there: impl Fn(&str) -> bool) {
        self.rooms().retain(|room, _| still_there(room));
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<String, Room>> {
        // Every method leaves the map whole, so a panic elsewhere does not spoil it.
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_room_and_kind_and_forgotten_after_success() {
        let memory = Memory::default();
        let fails = |room, category| memory.failed(room, category);
        assert_eq!([0; 3].map(|_| fails("room", Category::Server)), [0, 1, 2]);
        assert_eq!(fails("other", Category::Server), 0);
        assert_eq!(fails("room", Category::Conflict), 0, "the server is back");
        assert_eq!(fails("room", Category::Conflict), 1);
        memory.succeeded("room");
        assert_eq!(fails("room", Category::Conflict), 0);
    }

    #[test]
    fn a_written_status_counts_until_the_watch_shows_something_newer() {
        let memory = Memory::default();
        let written = ChatRoomStatus { replicas: Some(2), ..ChatRoomStatus::default() };
        memory.remember_status("room", "7", &written);
        let mut room = ChatRoom::new("lobby", serde_json::from_value(serde_json::json!({})).unwrap());
        room.metadata.uid = Some("room".into());
        room.metadata.resource_version = Some("7".into());
        assert_eq!(memory.with_written_status(&room).status, Some(written));
        room.metadata.resource_version = Some("8".into());
        assert_eq!(memory.with_written_status(&room).status, None);
    }

    #[test]
    fn a_forgotten_room_leaves_nothing() {
        let memory = Memory::default();
        memory.remember_secret("room", "lobby-redis");
        assert!(memory.secret_is_fresh("room", "lobby-redis"));
        assert!(!memory.secret_is_fresh("room", "lobby-push"), "each Secret counts for itself");
        memory.keep_only(|room| room != "room");
        assert!(!memory.secret_is_fresh("room", "lobby-redis"));
    }
}
