//! A manifest file: one ChatRoom, and the Secrets that it names, as YAML documents.
//!
//! Read as strictly as the API server would: unknown fields, the schema's bounds and the rules of the CRD are all checked,
//! so that a file that is taken here is taken there.

use std::collections::BTreeMap;

use chatroom_api::ChatRoom;
use k8s_openapi::api::core::v1::Secret;
use kube::{Resource, ResourceExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::schema;
use crate::controller::validate::validate;
use crate::room::{Defaults, Invalid, Problems, Room, Violation, typo};

/// What stands in a manifest file.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The room.
    pub room: ChatRoom,
    /// The Secrets beside it: name → key → value. Printed nowhere.
    secrets: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
}

impl Manifest {
    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let mut rooms = Vec::new();
        let mut secrets = BTreeMap::new();
        // Twice over the same documents: once for what each is, once for itself, so that errors know their line.
        let kinds = serde_yaml::Deserializer::from_str(text);
        for (kind, document) in kinds.zip(serde_yaml::Deserializer::from_str(text)) {
            let kind = serde_yaml::Value::deserialize(kind).map_err(|error| not_yaml(&error))?;
            if kind.is_null() {
                continue;
            }
            let word = |key: &str| kind.get(key).and_then(serde_yaml::Value::as_str).unwrap_or_default().to_owned();
            match (word("apiVersion").as_str(), word("kind").as_str()) {
                (version, "ChatRoom") if version == ChatRoom::api_version(&()) => rooms.push(strictly(document)?),
                ("v1", "Secret") => {
                    let secret: Secret = strictly(document)?;
                    secrets.insert(secret.name_any(), values(secret));
                }
                (version, kind) => return Err(unexpected(version, kind).into()),
            }
        }
        let room: ChatRoom = match <[ChatRoom; 1]>::try_from(rooms) {
            Ok([room]) => room,
            Err(rooms) => {
                let message = format!("the file must hold one ChatRoom, and holds {}", rooms.len());
                return Err(Violation::new("", message).into());
            }
        };
        keep_to_the_contract(&room)?;
        Ok(Self { room, secrets })
    }

    /// The valid room. What an API server would add is added: the namespace `default`, and `uid` (a function of the name).
    pub fn validate(&self, uid: impl FnOnce(&str) -> String, defaults: &Defaults) -> Result<Room, Invalid> {
        let mut room = self.room.clone();
        room.metadata.namespace.get_or_insert_with(|| "default".to_owned());
        let name = room.name_any();
        room.metadata.uid.get_or_insert_with(|| uid(&name));
        validate(&room, defaults)
    }

    /// Whether a Secret stands in the file.
    pub fn has_secret(&self, name: &str) -> bool {
        self.secrets.contains_key(name)
    }

    /// A value of one of the Secrets in the file.
    pub fn secret(&self, name: &str, key: &str) -> Option<&[u8]> {
        Some(self.secrets.get(name)?.get(key)?.as_slice())
    }
}

/// The document as a `T`; what `T` does not know is an error.
fn strictly<T: DeserializeOwned>(document: serde_yaml::Deserializer<'_>) -> Result<T, Invalid> {
    let mut problems = Problems::default();
    let object = serde_ignored::deserialize(document, |path| {
        let field = field(&path.to_string());
        // The derive takes these two for granted.
        if field != "apiVersion" && field != "kind" {
            problems.keep::<()>(Err(unknown(field)));
        }
    });
    let object = object.map_err(|error| not_yaml(&error))?;
    problems.finish(Some(object))
}

/// The path as people write it: serde puts a `?` where an optional field was entered, and a number between dots for a list.
fn field(path: &str) -> String {
    let steps = path.split('.').filter(|step| *step != "?");
    steps.fold(String::new(), |path, step| match step.parse::<usize>() {
        Ok(index) => format!("{path}[{index}]"),
        Err(_) if path.is_empty() => step.to_owned(),
        Err(_) => format!("{path}.{step}"),
    })
}

fn unknown(field: String) -> Violation {
    let siblings = schema::siblings(&field);
    let message = match schema::meant(&field) {
        Some(meant) => format!("there is no such field; did you mean `{meant}`?"),
        None if siblings.is_empty() => "there is no such field".to_owned(),
        None => format!("there is no such field; here go {}", siblings.join(", ")),
    };
    Violation::new(field, message)
}

fn not_yaml(error: &serde_yaml::Error) -> Invalid {
    // The message of the parser begins with the path of the field where it knows one.
    Violation::new("", typo::in_plain_words(&error.to_string())).into()
}

fn unexpected(version: &str, kind: &str) -> Violation {
    let (wanted_version, wanted_kind) = (ChatRoom::api_version(&()), ChatRoom::kind(&()));
    if kind.is_empty() {
        let message = format!(
            "every document needs apiVersion and kind, as in apiVersion: {wanted_version}, kind: {wanted_kind}"
        );
        return Violation::new("kind", message);
    }
    let takes = format!("the file takes one {wanted_version} ChatRoom and v1 Secrets, not a {version} {kind}");
    match typo::nearest(kind, [wanted_kind.as_ref(), "Secret"]) {
        Some(near) if near != kind => Violation::new("kind", format!("{takes}; did you mean `kind: {near}`?")),
        Some(near) => {
            let version = if near == "Secret" { "v1" } else { wanted_version.as_ref() };
            Violation::new("apiVersion", format!("{takes}; did you mean `apiVersion: {version}`?"))
        }
        None => Violation::new("kind", takes),
    }
}

/// What the API server would check: the schema's bounds, and the rules.
fn keep_to_the_contract(room: &ChatRoom) -> Result<(), Invalid> {
    let value = serde_json::to_value(room).expect("a ChatRoom is JSON");
    let violations = schema::check(&value);
    if violations.is_empty() { Ok(()) } else { Err(Invalid { violations }) }
}

/// `stringData` wins over `data`, as in the API server.
fn values(secret: Secret) -> BTreeMap<String, Vec<u8>> {
    let data = secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0));
    let strings = secret.string_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes()));
    data.chain(strings).collect()
}
