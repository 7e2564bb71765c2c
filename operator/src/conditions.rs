//! Conditions: what a transition is, and in which order they stand.

use chatroom_api::ChatRoomStatus;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Whether something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It is so.
    True,
    /// It is not.
    False,
    /// Nobody could tell.
    Unknown,
}

impl Truth {
    /// As Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// What a condition says, before it is known whether that is news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whether it is so.
    pub truth: Truth,
    /// Why, in one word for programs.
    pub reason: &'static str,
    /// Why, in a sentence for people.
    pub message: String,
}

impl Judgement {
    /// It is so.
    pub fn yes(reason: &'static str, message: impl Into<String>) -> Self {
        Self { truth: Truth::True, reason, message: message.into() }
    }

    /// It is not so.
    pub fn no(reason: &'static str, message: impl Into<String>) -> Self {
        Self { truth: Truth::False, reason, message: message.into() }
    }

    /// Nobody could tell.
    pub fn unknown(reason: &'static str, message: impl Into<String>) -> Self {
        Self { truth: Truth::Unknown, reason, message: message.into() }
    }
}

/// The API server refuses longer messages; people stop reading long before.
const MAX_MESSAGE_CHARACTERS: usize = 1024;

/// What a status says about something.
pub fn find<'a>(status: &'a ChatRoomStatus, type_: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether a status says that something is so.
pub fn is_true(status: &ChatRoomStatus, type_: &str) -> bool {
    find(status, type_).is_some_and(|condition| condition.status == Truth::True.as_str())
}

/// The conditions after `judgements`, each with the generation that it speaks of, sorted by type. The time of a transition
/// moves only when the status of its condition does, so that an unchanged room has an unchanged status.
pub fn conditions<'a>(
    previous: &[Condition],
    judgements: impl IntoIterator<Item = (&'a str, Judgement, Option<i64>)>,
    now: Timestamp,
) -> Vec<Condition> {
    let mut conditions: Vec<_> = judgements
        .into_iter()
        .map(|(type_, judgement, generation)| {
            let status = judgement.truth.as_str();
            let since = previous.iter().find(|condition| condition.type_ == type_ && condition.status == status);
            Condition {
                type_: type_.to_owned(),
                status: status.to_owned(),
                reason: judgement.reason.to_owned(),
                message: shortened(judgement.message),
                observed_generation: generation,
                last_transition_time: since.map_or(Time(now), |condition| condition.last_transition_time.clone()),
            }
        })
        .collect();
    conditions.sort_by(|left, right| left.type_.cmp(&right.type_));
    conditions
}

fn shortened(message: String) -> String {
    match message.char_indices().nth(MAX_MESSAGE_CHARACTERS) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_time_of_a_transition_moves_only_when_the_status_does() {
        let first = conditions(&[], [("Ready", Judgement::no("A", "a"), Some(1))], at(10));
        let second = conditions(&first, [("Ready", Judgement::no("B", "b"), Some(2))], at(20));
        assert_eq!(second[0].last_transition_time, Time(at(10)));
        assert_eq!((second[0].reason.as_str(), second[0].observed_generation), ("B", Some(2)));
        let third = conditions(&second, [("Ready", Judgement::yes("C", ""), Some(2))], at(30));
        assert_eq!(third[0].last_transition_time, Time(at(30)));
    }

    #[test]
    fn conditions_are_sorted_by_type() {
        let unsorted = [("Stalled", Judgement::no("A", ""), None), ("Ready", Judgement::yes("A", ""), None)];
        let types: Vec<_> = conditions(&[], unsorted, at(0)).into_iter().map(|c| c.type_).collect();
        assert_eq!(types, ["Ready", "Stalled"]);
    }

    #[test]
    fn a_long_message_is_cut_between_two_characters() {
        let long = Judgement::no("A", "ä".repeat(5000));
        let message = conditions(&[], [("Ready", long, None)], at(0)).remove(0).message;
        assert_eq!(message.chars().count(), MAX_MESSAGE_CHARACTERS + 1);
    }
}
