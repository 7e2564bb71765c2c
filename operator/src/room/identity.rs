//! Which room it is.

use std::fmt;

use chatroom_api::{ChatRoom, MAX_NAME_LENGTH, RESERVED_NAME_SUFFIXES};

use super::{Invalid, Problems, Violation};

/// The name of a room: a DNS-1035 label from which every name of a child can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomName(String);

impl RoomName {
    /// Takes a name that follows the rules.
    pub fn parse(name: &str) -> Result<Self, Violation> {
        const FIELD: &str = "metadata.name";
        let letter = |c: char| c.is_ascii_lowercase();
        let inner = |c: char| letter(c) || c.is_ascii_digit() || c == '-';
        let label = name.starts_with(letter) && name.chars().all(inner) && !name.ends_with('-');
        if !label || name.len() > MAX_NAME_LENGTH {
            let rule = "lower case letters, digits and '-', begin with a letter and not end with '-'";
            return Err(Violation::new(FIELD, format!("must be at most {MAX_NAME_LENGTH} {rule}, is '{name}'")));
        }
        match RESERVED_NAME_SUFFIXES.iter().find(|suffix| name.ends_with(*suffix)) {
            Some(suffix) => Err(Violation::new(
                FIELD,
                format!("must not end with {suffix}: an object of another room is called so"),
            )),
            None => Ok(Self(name.to_owned())),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What tells a room from every other room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `metadata.name`.
    pub name: RoomName,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.uid`, or what stands for it without an API server.
    pub uid: String,
}

impl Identity {
    pub(crate) fn parse(room: &ChatRoom) -> Result<Self, Invalid> {
        let metadata = &room.metadata;
        let mut problems = Problems::default();
        let name = problems.keep(RoomName::parse(metadata.name.as_deref().unwrap_or_default()));
        let namespace = problems.keep(present("metadata.namespace", metadata.namespace.as_deref()));
        let uid = problems.keep(present("metadata.uid", metadata.uid.as_deref()));
        let identity = name.zip(namespace).zip(uid).map(|((name, namespace), uid)| Self { name, namespace, uid });
        problems.finish(identity)
    }
}

fn present(field: &str, value: Option<&str>) -> Result<String, Violation> {
    match value {
        // The uid goes into a Redis hash tag, which a brace would cut short.
        Some(value) if !value.is_empty() && !value.contains(['{', '}']) => Ok(value.to_owned()),
        _ => Err(Violation::new(field, "must be set, without braces")),
    }
}
