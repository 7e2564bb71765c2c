//! The raw client protocol: what a client sends is a message, what it receives is a message.

use std::borrow::Cow;

use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::batch::{Batch, Builder, NotFor};
use super::frames;
use crate::message::{Kind, RoomMessage};

/// What stands for the number of people in a suffix.
const ONLINE: &str = "{online}";

/// How messages look to raw clients of this room.
#[derive(Clone, Debug)]
pub struct Raw {
    suffix: Option<String>,
    exclude_sender: bool,
}

impl Raw {
    /// `suffix` is appended to text, with `{online}` replaced by the count at the message's place in the order;
    /// with `exclude_sender` the sender of a message is spared its copy.
    #[must_use]
    pub fn new(suffix: Option<String>, exclude_sender: bool) -> Self {
        Self { suffix, exclude_sender }
    }

    /// Appends the message as one server frame.
    pub fn encode(&self, message: &RoomMessage, into: &mut Builder) {
        let RoomMessage { online, message, .. } = message;
        let (opcode, suffix) = match message.kind {
            Kind::Text => (Data::Text, self.suffix(*online)),
            // Bytes mean something to whoever sent them: nothing is added.
            Kind::Binary => (Data::Binary, Cow::Borrowed("")),
        };
        frames::encode(OpCode::Data(opcode), &[&message.payload, suffix.as_bytes()], into.buffer());
        let sender = if self.exclude_sender { message.from } else { None };
        into.end_frame(match (&message.exclude, sender) {
            (None, None) => NotFor::Nobody,
            (None, Some(sender)) => NotFor::One(sender),
            (Some(exclude), sender) => NotFor::these(exclude.iter().copied().chain(sender).collect()),
        });
    }

    /// The frame of a message for one client alone: as it was pushed, since it is not of the room.
    #[must_use]
    pub fn direct(kind: Kind, payload: &[u8]) -> Batch {
        let opcode = match kind {
            Kind::Text => Data::Text,
            Kind::Binary => Data::Binary,
        };
        let mut builder = Builder::default();
        frames::encode(OpCode::Data(opcode), &[payload], builder.buffer());
        builder.end_frame(NotFor::Nobody);
        builder.finish()
    }

    fn suffix(&self, online: u64) -> Cow<'_, str> {
        match &self.suffix {
            None => Cow::Borrowed(""),
            Some(suffix) if !suffix.contains(ONLINE) => Cow::Borrowed(suffix),
            Some(suffix) => Cow::Owned(suffix.replace(ONLINE, &online.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    fn frame(raw: &Raw, kind: Kind, payload: &'static [u8]) -> Vec<u8> {
        let message = RoomMessage {
            seq: 1,
            online: 3,
            message: Message { from: None, kind, payload: payload.into(), exclude: None },
        };
        let mut builder = Builder::default();
        raw.encode(&message, &mut builder);
        let mut runs = Vec::new();
        let nobody = crate::id::Incarnation::from_bytes([0; 9]).connection([0; 15]);
        builder.finish().runs_for(nobody, 0..1, 1, &mut runs);
        runs[0].bytes().to_vec()
    }

    #[test]
    fn text_carries_the_count_of_its_moment() {
        let raw = Raw::new(Some("(===Online people:{online}===)".to_owned()), true);
        assert_eq!(frame(&raw, Kind::Text, b"hello"), b"\x81\x1chello(===Online people:3===)");
    }

    #[test]
    fn binary_stays_as_it_was_sent() {
        let raw = Raw::new(Some("{online}".to_owned()), true);
        assert_eq!(frame(&raw, Kind::Binary, b"\x00\xff"), b"\x82\x02\x00\xff");
    }

    #[test]
    fn without_a_suffix_text_stays_as_it_was_sent() {
        assert_eq!(frame(&Raw::new(None, true), Kind::Text, b"{online}"), b"\x81\x08{online}");
    }
}
