//! Pure: what is pushed to a client that is still being registered. It is written right behind the "yes".
//!
//! A register function knows the connection ID before its client is in, and may push to it at once.

use bytes::Bytes;

use crate::message::Kind;

/// Pushes that are held.
const MOST_PUSHES: usize = 16;
/// Bytes of those.
const MOST_BYTES: usize = 64 * 1024;

/// What waits for one client.
#[derive(Debug, Default)]
pub(super) struct Hold {
    pushes: Vec<(Kind, Bytes)>,
    bytes: usize,
    is_refused: bool,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It is written as soon as the client is in.
    Waits,
    /// No more fits.
    Full,
    /// The client is to be refused.
    Refused,
}

impl Hold {
    /// Takes a push, if it fits.
    pub(super) fn push(&mut self, kind: Kind, payload: &[u8]) -> Held {
        if self.is_refused {
            return Held::Refused;
        }
        if self.pushes.len() == MOST_PUSHES || self.bytes + payload.len() > MOST_BYTES {
            return Held::Full;
        }
        self.bytes += payload.len();
        self.pushes.push((kind, Bytes::copy_from_slice(payload)));
        Held::Waits
    }

    /// From now on the client is one to be refused, whatever its function says.
    pub(super) fn refuse(&mut self) {
        self.is_refused = true;
    }

    /// What waits, in its order; absent when the client is to be refused.
    pub(super) fn open(self) -> Option<Vec<(Kind, Bytes)>> {
        (!self.is_refused).then_some(self.pushes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_pushes_or_64_kib_are_held_in_their_order() {
        let mut hold = Hold::default();
        for number in 0..16u8 {
            assert_eq!(hold.push(Kind::Binary, &[number]), Held::Waits);
        }
        assert_eq!(hold.push(Kind::Text, b"one too many"), Held::Full);
        let held: Vec<u8> = hold.open().unwrap().iter().map(|(_, payload)| payload[0]).collect();
        assert_eq!(held, Vec::from_iter(0..16));

        let mut hold = Hold::default();
        assert_eq!(hold.push(Kind::Binary, &vec![0; 64 * 1024]), Held::Waits);
        assert_eq!(hold.push(Kind::Binary, b"x"), Held::Full);
        assert_eq!(hold.push(Kind::Binary, b""), Held::Waits, "an empty one takes no bytes");
    }

    #[test]
    fn a_client_that_is_to_be_refused_gets_nothing() {
        let mut hold = Hold::default();
        assert_eq!(hold.push(Kind::Text, b"hello"), Held::Waits);
        hold.refuse();
        assert_eq!(hold.push(Kind::Text, b"again"), Held::Refused);
        assert_eq!(hold.open(), None);
    }
}
