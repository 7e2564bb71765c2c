//! The names of gateways and connections. An ID routes itself: its first 12 characters name the gateway that owns it.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Characters of an incarnation: 9 random bytes, base64url.
const INCARNATION_CHARACTERS: usize = 12;
/// Characters of a connection ID: 24 bytes, base64url; 9 of them are the incarnation, 15 are random.
const CONNECTION_CHARACTERS: usize = 32;

/// One run of one gateway: new at each start, and after the gateway was declared dead.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation([u8; INCARNATION_CHARACTERS]);

/// One connection, unique in the room for all time. Not a secret: whoever holds it cannot do anything with it alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId([u8; CONNECTION_CHARACTERS]);

/// What was not an ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} characters of base64url")]
pub struct NotAnId {
    expected: usize,
}

impl Incarnation {
    /// Names an incarnation; the bytes should be random.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 9]) -> Self {
        Self(encode(&bytes))
    }

    /// A random incarnation.
    ///
    /// # Panics
    /// When the operating system has no randomness to give, as nothing would be safe then.
    #[must_use]
    pub fn random() -> Self {
        Self::from_bytes(random())
    }

    /// Names a connection of this incarnation; the bytes should be random.
    #[must_use]
    pub fn connection(&self, bytes: [u8; 15]) -> ConnectionId {
        let mut characters = [0; CONNECTION_CHARACTERS];
        characters[..INCARNATION_CHARACTERS].copy_from_slice(&self.0);
        characters[INCARNATION_CHARACTERS..].copy_from_slice(&encode::<15, 20>(&bytes));
        ConnectionId(characters)
    }

    /// A random connection of this incarnation.
    ///
    /// # Panics
    /// As [`Incarnation::random`].
    #[must_use]
    pub fn random_connection(&self) -> ConnectionId {
        self.connection(random())
    }

    /// The name as it stands in keys, logs and IDs.
    #[must_use]
    pub fn as_str(&self) -> &str {
        text(&self.0)
    }
}

impl ConnectionId {
    /// The incarnation of the gateway that owns the connection.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        let mut characters = [0; INCARNATION_CHARACTERS];
        characters.copy_from_slice(&self.0[..INCARNATION_CHARACTERS]);
        Incarnation(characters)
    }

    /// The ID as clients and functions see it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        text(&self.0)
    }
}

impl FromStr for Incarnation {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        parse(text).map(Self)
    }
}

impl FromStr for ConnectionId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        parse(text).map(Self)
    }
}

macro_rules! shown_as_text {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    )*};
}
shown_as_text!(Incarnation, ConnectionId);

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

fn encode<const BYTES: usize, const CHARACTERS: usize>(bytes: &[u8; BYTES]) -> [u8; CHARACTERS] {
    let mut characters = [0; CHARACTERS];
    URL_SAFE_NO_PAD
        .encode_slice(bytes, &mut characters)
        .expect("three bytes are four characters, and the sizes are constants");
    characters
}

fn parse<const CHARACTERS: usize>(text: &str) -> Result<[u8; CHARACTERS], NotAnId> {
    let refusal = NotAnId { expected: CHARACTERS };
    let characters: [u8; CHARACTERS] = text.as_bytes().try_into().map_err(|_| refusal)?;
    let known = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
    if characters.iter().all(known) { Ok(characters) } else { Err(refusal) }
}

fn text(characters: &[u8]) -> &str {
    std::str::from_utf8(characters).expect("only base64url is ever stored")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_names_its_gateway() {
        let incarnation = Incarnation::random();
        let connection = incarnation.random_connection();
        assert_eq!(connection.incarnation(), incarnation);
        assert_eq!(connection.as_str().len(), 32);
        assert!(connection.as_str().starts_with(incarnation.as_str()));
    }

    #[test]
    fn ids_come_back_from_their_text() {
        let id = Incarnation::from_bytes([255; 9]).connection([0; 15]);
        assert_eq!(id.as_str().parse(), Ok(id));
    }

    #[test]
    fn other_text_is_no_id() {
        for text in ["", "short", "????????????????????????????????", "äaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
            assert!(text.parse::<ConnectionId>().is_err(), "{text}");
        }
    }
}
