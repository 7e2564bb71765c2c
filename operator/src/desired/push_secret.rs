//! The Secret with the push keys: what gateways accept, and what those who push take from it.

use chatroom_settings::names::files;

use super::{SecretTemplate, SecretToCreate};
use crate::names::{Component, Names};
use crate::room::Room;

/// Key of the push URL with a push key at its end, as code written for Tencent API Gateway expects it.
const URL: &str = "url";

/// Which Secret holds the keys: somebody else's, if the room names one.
pub(crate) fn name(names: &Names, room: &Room) -> String {
    room.push.secret_name.clone().unwrap_or_else(|| names.push())
}

/// The room's own; `None`: somebody else makes it.
pub(super) fn push_secret(names: &Names, room: &Room) -> Option<SecretToCreate> {
    if room.push.secret_name.is_some() {
        return None;
    }
    let values = [
        (files::PUSH_KEYS, SecretTemplate::default()),
        (URL, SecretTemplate { prefix: format!("{}/", names.push_url()), ..SecretTemplate::default() }),
    ];
    Some(SecretToCreate {
        metadata: names.metadata(names.push(), Component::Gateway),
        values: values.into_iter().map(|(key, template)| (key.to_owned(), template)).collect(),
    })
}
