//! Pure: the bytes in which a push travels to the gateway that owns the connection, and its answer back.
//!
//! ```text
//! version (1 byte) · length of the head (4, big-endian) · head, JSON · payload of a message
//! ```
//! A gateway that cannot read a post does not answer it: whoever asked then says that it does not know.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::dialect::{Command, Description, Outcome};
use crate::id::{ConnectionId, Incarnation};
use crate::message::Kind;

const VERSION: u8 = 1;

/// What one gateway sends to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Letter {
    /// Do this for one of your connections.
    Ask(Ask),
    /// What came of it.
    Answer { call: u64, outcome: Outcome },
}

/// A push for a connection of another gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    /// The asker's own number, which the answer repeats.
    pub(super) call: u64,
    pub(super) asker: Incarnation,
    /// Never a `Publish`: that needs no owner.
    pub(super) command: Command,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Head {
    Send { call: u64, asker: String, id: String, is_text: bool },
    Close { call: u64, asker: String, id: String, code: Option<u16>, reason: String },
    Describe { call: u64, asker: String, id: String },
    Answer { call: u64, outcome: Word },
}

/// The outcomes that an owner knows.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Word {
    Sent,
    Closing,
    Described { connected_at: u64, last_active_at: u64, address: String, user_agent: String },
    Gone,
    Full,
    TooLarge,
    Unavailable,
}

/// The bytes of a question; nothing for a command that has no owner.
pub(super) fn ask(call: u64, asker: Incarnation, command: &Command) -> Option<Bytes> {
    let asker = asker.to_string();
    Some(match command {
        Command::Send { to, kind, payload } => {
            encode(&Head::Send { call, asker, id: to.to_string(), is_text: *kind == Kind::Text }, payload)
        }
        Command::Close { id, code, reason } => {
            encode(&Head::Close { call, asker, id: id.to_string(), code: *code, reason: reason.clone() }, &[])
        }
        Command::Describe { id } => encode(&Head::Describe { call, asker, id: id.to_string() }, &[]),
        Command::Publish { .. } => return None,
    })
}

/// The bytes of an answer; nothing for an outcome that is none of an owner's.
pub(super) fn answer(call: u64, outcome: Outcome) -> Option<Bytes> {
    let outcome = match outcome {
        Outcome::Sent => Word::Sent,
        Outcome::Closing => Word::Closing,
        Outcome::Described(Description { connected_at, last_active_at, address, user_agent }) => {
            Word::Described { connected_at, last_active_at, address, user_agent }
        }
        Outcome::Gone => Word::Gone,
        Outcome::Full => Word::Full,
        Outcome::TooLarge => Word::TooLarge,
        Outcome::Unavailable => Word::Unavailable,
        Outcome::Published { .. } | Outcome::Unknown => return None,
    };
    Some(encode(&Head::Answer { call, outcome }, &[]))
}

/// Reads either; nothing of what cannot be read.
pub(super) fn decode(mut bytes: Bytes) -> Option<Letter> {
    if bytes.try_get_u8().ok()? != VERSION {
        return None;
    }
    let length = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
    if bytes.len() < length {
        return None;
    }
    let head = bytes.split_to(length);
    let ask = |call, asker: String, command| Some(Letter::Ask(Ask { call, asker: asker.parse().ok()?, command }));
    match serde_json::from_slice(&head).ok()? {
        Head::Send { call, asker, id, is_text } => {
            let kind = if is_text { Kind::Text } else { Kind::Binary };
            if is_text && std::str::from_utf8(&bytes).is_err() {
                return None;
            }
            ask(call, asker, Command::Send { to: id.parse().ok()?, kind, payload: bytes })
        }
        Head::Close { call, asker, id, code, reason } => {
            ask(call, asker, Command::Close { id: id.parse().ok()?, code, reason })
        }
        Head::Describe { call, asker, id } => ask(call, asker, Command::Describe { id: id.parse().ok()? }),
        Head::Answer { call, outcome } => Some(Letter::Answer { call, outcome: outcome.into() }),
    }
}

/// Whose connection a command is about; nobody's when it is for all.
pub(super) fn connection(command: &Command) -> Option<ConnectionId> {
    match command {
        Command::Send { to: id, .. } | Command::Close { id, .. } | Command::Describe { id } => Some(*id),
        Command::Publish { .. } => None,
    }
}

impl From<Word> for Outcome {
    fn from(word: Word) -> Self {
        match word {
            Word::Sent => Self::Sent,
            Word::Closing => Self::Closing,
            Word::Described { connected_at, last_active_at, address, user_agent } => {
                Self::Described(Description { connected_at, last_active_at, address, user_agent })
            }
            Word::Gone => Self::Gone,
            Word::Full => Self::Full,
            Word::TooLarge => Self::TooLarge,
            Word::Unavailable => Self::Unavailable,
        }
    }
}

fn encode(head: &Head, payload: &[u8]) -> Bytes {
    let head = serde_json::to_vec(head).expect("numbers and strings are always JSON");
    let mut bytes = BytesMut::with_capacity(1 + 4 + head.len() + payload.len());
    bytes.put_u8(VERSION);
    bytes.put_u32(u32::try_from(head.len()).expect("a head is short"));
    bytes.put_slice(&head);
    bytes.put_slice(payload);
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owner() -> Incarnation {
        Incarnation::from_bytes([1; 9])
    }

    #[test]
    fn questions_and_answers_come_back_from_their_bytes() {
        let id = owner().connection([2; 15]);
        let commands = [
            Command::Send { to: id, kind: Kind::Text, payload: "grüezi".into() },
            Command::Send { to: id, kind: Kind::Binary, payload: Bytes::from_static(&[0, 255]) },
            Command::Close { id, code: Some(4503), reason: "out".into() },
            Command::Describe { id },
        ];
        for command in commands {
            let asked = Letter::Ask(Ask { call: 7, asker: owner(), command: command.clone() });
            assert_eq!(decode(ask(7, owner(), &command).unwrap()), Some(asked));
        }
        let described =
            Description { connected_at: 1, last_active_at: 2, address: "::1".into(), user_agent: "curl".into() };
        let outcomes =
            [Outcome::Sent, Outcome::Closing, Outcome::Gone, Outcome::Full, Outcome::TooLarge, Outcome::Unavailable];
        for outcome in outcomes.into_iter().chain([Outcome::Described(described)]) {
            let answered = Letter::Answer { call: 8, outcome: outcome.clone() };
            assert_eq!(decode(answer(8, outcome).unwrap()), Some(answered));
        }
    }

    #[test]
    fn another_version_and_text_that_is_none_are_not_read() {
        let id = owner().connection([2; 15]);
        let mut bytes = ask(7, owner(), &Command::Describe { id }).unwrap().to_vec();
        bytes[0] = 2;
        assert_eq!(decode(bytes.into()), None);
        let wrong = Command::Send { to: id, kind: Kind::Text, payload: Bytes::from_static(&[255]) };
        assert_eq!(decode(ask(7, owner(), &wrong).unwrap()), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(bytes.clone().into());
            if bytes.len() > 5 {
                bytes[..5].copy_from_slice(&[VERSION, 0, 0, 0, 1]);
            }
            let _ = decode(bytes.into());
        }
    }
}
