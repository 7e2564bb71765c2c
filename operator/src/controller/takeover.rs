//! Whose object it is that stands where one of ours should stand.

use crate::names::labels;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Whose an object is, seen from one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The room controls it.
    Ours,
    /// Nobody controls it and it carries our labels: a restore brought it back without its owner.
    Adoptable,
    /// It is on its way out, or belonged to a room of this name that is gone and will be collected soon.
    Leaving,
    /// It belongs to somebody else, whom the text names.
    Foreign(String),
}

/// Which room asks.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// `metadata.name`.
    pub name: &'a str,
    /// `metadata.uid`.
    pub uid: &'a str,
}

/// Whose the object with this metadata is. Who owns it by uid is beyond doubt; labels alone are only believed where
/// nobody else claims the object.
#[must_use]
pub fn standing(meta: &ObjectMeta, owner: Owner<'_>) -> Standing {
    if meta.deletion_timestamp.is_some() {
        return Standing::Leaving;
    }
    let controller = meta.owner_references.iter().flatten().find(|reference| reference.controller == Some(true));
    match controller {
        Some(reference) if reference.uid == owner.uid => Standing::Ours,
        Some(reference) if reference.kind == "ChatRoom" && reference.name == owner.name => Standing::Leaving,
        Some(reference) => Standing::Foreign(format!("{} {}", reference.kind, reference.name)),
        None if labelled_as_ours(meta, owner) => Standing::Adoptable,
        None => Standing::Foreign("somebody else".to_owned()),
    }
}

/// Whether the room may delete the object: never on the word of labels.
#[must_use]
pub fn may_delete(meta: &ObjectMeta, owner: Owner<'_>) -> bool {
    standing(meta, owner) == Standing::Ours
}
