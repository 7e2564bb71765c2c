//! Writes the room's status, if it differs from the one that stands there.

use crate::controller::Context;
use crate::controller::errors::Error;
use crate::names::MANAGER;
use chatroom_api::{ChatRoom, ChatRoomStatus};
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;

/// Writes the status unless it is the one that the room has.
///
/// # Errors
/// When the API server does not take it.
pub async fn publish(context: &Context, room: &ChatRoom, status: &ChatRoomStatus) -> Result<(), Error> {
    if room.status.as_ref() == Some(status) {
        return Ok(());
    }
    let (name, uid) = (room.name_any(), room.uid().unwrap_or_default());
    let api: Api<ChatRoom> = Api::namespaced(context.client.clone(), &room.namespace().unwrap_or_default());
    // An apply names its type, and the uid keeps the status of one room away from another of the same name.
    let body = json!({
        "apiVersion": ChatRoom::api_version(&()),
        "kind": ChatRoom::kind(&()),
        "metadata": {"name": name, "uid": uid},
        "status": status,
    });
    match api.patch_status(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(body)).await {
        Ok(_) => {}
        // Deleted while we worked: there is nobody left to tell.
        Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
        Err(source) => return Err(Error::Request { verb: "apply the status of", kind: "ChatRoom", name, source }),
    }
    context.metrics.wrote("ChatRoom", "apply_status");
    context.memory.remember_status(&uid, &room.resource_version().unwrap_or_default(), status);
    Ok(())
}
