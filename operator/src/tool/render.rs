//! `chatroom render`: every object that the operator would create for a room that is new.

use super::manifest::Manifest;
use super::yaml::document;
use crate::decide::decide;
use crate::desired::{Resources, desired};
use crate::names::Names;
use crate::observed::Observed;
use crate::room::{Defaults, Invalid, Room};

/// Stands where the operator would make something up.
const GENERATED: &str = "<generated>";
/// Stands for the uid that the API server would give the room.
const UID: &str = "<uid>";

/// The objects as YAML documents, in the order in which the operator applies them. The same text every time.
pub fn render(manifest: &Manifest, defaults: &Defaults) -> Result<String, Invalid> {
    let room = manifest.validate(|_| UID.to_owned(), defaults)?;
    Ok(objects(&room))
}

fn objects(room: &Room) -> String {
    let names = Names::new(&room.identity);
    let decision = decide(room, &Observed::default());
    let Resources {
        config_map,
        service_account,
        push_secret,
        redis,
        service,
        push_service,
        deployment,
        pod_disruption_budget,
    } = desired(&names, room, &decision);
    let mut documents = vec![document(&config_map)];
    documents.extend(service_account.as_ref().map(document));
    documents.extend(push_secret.map(|secret| document(&secret.with(GENERATED))));
    if let Some(redis) = redis {
        documents.extend([
            document(&redis.secret.with(GENERATED)),
            document(&redis.service),
            document(&redis.deployment),
        ]);
    }
    documents.extend([document(&service), document(&push_service), document(&deployment)]);
    documents.extend(pod_disruption_budget.as_ref().map(document));
    documents.join("---\n")
}
