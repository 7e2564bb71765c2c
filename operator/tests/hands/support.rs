//! What the tests stand on: an API server in memory, and an operator whose watches are filled by hand.

mod api_server;
mod fields;
mod operator;

pub(crate) use api_server::{ApiServer, Key, Request, key, key_in};
pub(crate) use operator::Operator;

use chatroom_operator::room::Defaults;
use serde_json::{Value, json};

/// Where rooms are.
pub(crate) const ROOMS: &str = "apis/chatroom.dev/v1alpha1/chatrooms";

/// The namespace of all rooms here.
pub(crate) const NAMESPACE: &str = "chat";

pub(crate) fn defaults() -> Defaults {
    Defaults { gateway_image: "gateway:1".into(), redis_image: "redis:1".into() }
}

/// A room called `lobby`, as a person would apply it.
pub(crate) fn lobby(spec: &Value) -> Value {
    json!({
        "apiVersion": "chatroom.dev/v1alpha1",
        "kind": "ChatRoom",
        "metadata": {"name": "lobby", "namespace": NAMESPACE},
        "spec": spec,
    })
}

/// A room of this spec that has been brought about, as far as that goes without pods.
pub(crate) async fn settled(spec: &Value) -> (ApiServer, Operator) {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(spec));
    let mut operator = Operator::begins(&api);
    operator.settles().await;
    (api, operator)
}
