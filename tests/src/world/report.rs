//! What one would look up after a failure: rooms, pods, events, logs.

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt as _;
use kube::api::{ListParams, LogParams};

use super::World;

/// Lines of each log.
const LOG_LINES: i64 = 60;

/// Prints all of it; what cannot be asked for is left out, as the test has failed already.
pub(super) async fn tell_everything(world: &World) {
    eprintln!("--- namespace {}", world.namespace);
    for room in world.rooms().list(&ListParams::default()).await.into_iter().flatten() {
        eprintln!("--- room {}\n{}", room.name_any(), serde_yaml::to_string(&room).unwrap_or_default());
    }
    for event in world.api::<Event>().list(&ListParams::default()).await.into_iter().flatten() {
        let about = event.involved_object;
        eprintln!(
            "event {} {}/{}: {} {}",
            event.type_.unwrap_or_default(),
            about.kind.unwrap_or_default(),
            about.name.unwrap_or_default(),
            event.reason.unwrap_or_default(),
            event.message.unwrap_or_default()
        );
    }
    for pod in world.api::<Pod>().list(&ListParams::default()).await.into_iter().flatten() {
        eprintln!("--- pod {}\n{}", pod.name_any(), serde_yaml::to_string(&pod.status).unwrap_or_default());
        for previous in [false, true] {
            let parameters = LogParams { previous, tail_lines: Some(LOG_LINES), ..LogParams::default() };
            if let Ok(log) = world.api::<Pod>().logs(&pod.name_any(), &parameters).await {
                eprintln!("--- log of {}{}\n{log}", pod.name_any(), if previous { ", before its restart" } else { "" });
            }
        }
    }
}
