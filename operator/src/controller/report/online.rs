//! `status.online`: never stale, and not written at every breath of the room.

use chatroom_api::{ChatRoom, ChatRoomStatus};
use jiff::{SignedDuration, Timestamp};

use crate::names::MANAGER;
use crate::observed::Observed;

/// A count that moves all the time would be a write of every room in every minute otherwise, each waking all watchers.
const MIN_INTERVAL: SignedDuration = SignedDuration::from_secs(60);

/// People in the room, as the gateways that hold a lease say: the highest, because the others asked earlier.
pub(super) fn online(observed: &Observed) -> Option<i64> {
    let answers = observed.gateways.iter().filter_map(|gateway| gateway.answer.as_ref().ok());
    let highest = answers.filter(|status| !status.isolated).filter_map(|status| status.online).max()?;
    Some(i64::try_from(highest).unwrap_or(i64::MAX))
}

/// When the status was written last, as the API server remembers it.
pub(super) fn last_written(room: &ChatRoom) -> Option<Timestamp> {
    let entries = room.metadata.managed_fields.as_deref().unwrap_or_default();
    let ours = entries.iter().filter(|entry| entry.manager.as_deref() == Some(MANAGER));
    ours.filter(|entry| entry.subresource.as_deref() == Some("status"))
        .filter_map(|entry| entry.time.as_ref().map(|time| time.0))
        .max()
}

/// `status`, unless nothing but the count differs from `previous` and that is not worth a write yet.
pub(super) fn unless_only_the_count_moved(
    status: ChatRoomStatus,
    previous: ChatRoomStatus,
    last_written: Option<Timestamp>,
    now: Timestamp,
) -> ChatRoomStatus {
    let only_the_count = ChatRoomStatus { online: previous.online, ..status.clone() } == previous;
    let (Some(old), Some(new), true) = (previous.online, status.online, only_the_count) else { return status };
    let rested = last_written.is_none_or(|written| now.duration_since(written) >= MIN_INTERVAL);
    if rested && moved(old, new) { status } else { previous }
}

/// By 5 % or more, or to or from 0.
fn moved(old: i64, new: i64) -> bool {
    let zero_changed = (old == 0) != (new == 0);
    zero_changed || (new.abs_diff(old) > 0 && new.abs_diff(old).saturating_mul(20) >= old.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(old: i64, new: i64, seconds: i64) -> Option<i64> {
        let status = |online| ChatRoomStatus { online, ..ChatRoomStatus::default() };
        let at = |second| Timestamp::from_second(second).unwrap();
        unless_only_the_count_moved(status(Some(new)), status(Some(old)), Some(at(1000)), at(1000 + seconds)).online
    }

    #[test]
    fn a_count_that_moved_by_less_than_a_twentieth_is_not_written() {
        assert_eq!(after(1000, 1049, 600), Some(1000));
        assert_eq!(after(1000, 1050, 600), Some(1050));
        assert_eq!(after(1000, 950, 600), Some(950));
    }

    #[test]
    fn the_first_and_the_last_guest_are_written() {
        assert_eq!(after(0, 1, 60), Some(1));
        assert_eq!(after(1, 0, 60), Some(0));
    }

    #[test]
    fn nothing_is_written_twice_a_minute_for_the_count_alone() {
        assert_eq!(after(10, 500, 59), Some(10));
        assert_eq!(after(10, 500, 60), Some(500));
    }

    #[test]
    fn a_count_that_nobody_can_tell_is_removed_at_once() {
        let previous = ChatRoomStatus { online: Some(7), ..ChatRoomStatus::default() };
        let now = Timestamp::from_second(1000).unwrap();
        let status = unless_only_the_count_moved(ChatRoomStatus::default(), previous, Some(now), now);
        assert_eq!(status.online, None);
    }

    #[test]
    fn the_count_rides_along_when_something_else_is_written_anyway() {
        let previous = ChatRoomStatus { online: Some(1000), ..ChatRoomStatus::default() };
        let status = ChatRoomStatus { online: Some(1001), replicas: Some(3), ..ChatRoomStatus::default() };
        let now = Timestamp::from_second(1000).unwrap();
        assert_eq!(unless_only_the_count_moved(status, previous, Some(now), now).online, Some(1001));
    }
}
