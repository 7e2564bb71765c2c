//! Waiting until the API server lists ChatRooms: the operator may be installed before the resource definition is, and before a
//! namespace of its list or its rights there.

use crate::controller::pace::jittered;
use crate::controller::watches::Lookout;
use crate::health::Rooms;
use chatroom_api::ChatRoom;
use kube::Client;
use kube::api::ListParams;
use rand::RngExt;
use std::time::Duration;
use tracing::{info, warn};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest pause between two questions: whoever installs the definition should not wait long.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Resolves when the API server lists ChatRooms. Ending the process instead would only add restarts: they do not make a
/// definition appear, and they would take the other namespaces along.
pub async fn rooms_are_served(client: &Client, lookout: &Lookout) {
    let scope = lookout.scope();
    let mut pause = Duration::from_secs(1);
    let mut said = None;
    loop {
        let (rooms, reason) = ask(client, lookout).await;
        lookout.rooms_are(rooms.clone());
        if rooms == Rooms::Served {
            info!(%scope, "the API server serves ChatRooms");
            return;
        }
        if said.as_ref() != Some(&rooms) {
            warn!(%scope, state = ?rooms, reason, "waiting for the API server to serve ChatRooms");
        }
        said = Some(rooms);
        let luck = rand::rng().random();
        tokio::time::sleep(jittered(pause, luck)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The definition itself cannot be read without rights in the whole cluster; whether its objects can be listed says the same.
async fn ask(client: &Client, lookout: &Lookout) -> (Rooms, String) {
    let rooms = lookout.scope().api::<ChatRoom>(client);
    let one = ListParams::default().limit(1);
    match tokio::time::timeout(PATIENCE, rooms.list_metadata(&one)).await {
        Ok(Ok(_)) => (Rooms::Served, String::new()),
        // By number: to a group that it does not know the API server answers a plain "404 page not found".
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => (Rooms::Missing, status.message),
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => (Rooms::Forbidden, status.message),
        Ok(Err(error)) => (Rooms::Unknown, error.to_string()),
        Err(_) => (Rooms::Unknown, format!("no answer within {} s", PATIENCE.as_secs())),
    }
}
