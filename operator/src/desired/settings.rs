//! Room → the gateways' settings.

use chatroom_settings as settings;
use chatroom_settings::{Backplane, Cold, Hot, RedisBackplane, RoomIdentity};
use sha2::{Digest as _, Sha256};

use crate::hex::hex;
use crate::names::Names;
use crate::room::{Functions, Redis, Room};

/// The settings that travel in the pod template. `backplane` is what the replicas share: [`backplane`] in a cluster.
pub fn cold(room: &Room, backplane: Backplane) -> Cold {
    let identity = &room.identity;
    Cold {
        room: RoomIdentity {
            name: identity.name.to_string(),
            namespace: identity.namespace.clone(),
            uid: identity.uid.clone(),
        },
        path: room.clients.path.as_str().to_owned(),
        web_client: room.clients.web_client,
        broadcast: settings::Broadcast {
            exclude_sender: room.clients.exclude_sender,
            online_suffix: room.clients.online_suffix.clone(),
        },
        ping_interval_seconds: room.clients.ping_interval_seconds,
        functions: room.functions.as_ref().map(functions),
        push: settings::Push { dialects: room.push.dialects.iter().map(|it| dialect(*it)).collect() },
        backplane,
        drain: settings::Drain { timeout_seconds: room.drain.timeout_seconds },
        log_format: match room.logging.format {
            chatroom_api::LogFormat::Json => settings::LogFormat::Json,
            chatroom_api::LogFormat::Text => settings::LogFormat::Text,
        },
    }
}

fn functions(functions: &Functions) -> settings::Functions {
    let Functions { dialect: spoken, register, transport, cleanup, signing_secret, roots, tencent } = functions;
    settings::Functions {
        dialect: dialect(*spoken),
        register: register.as_ref().map(|function| settings::RegisterFunction {
            url: function.url.as_str().to_owned(),
            timeout_seconds: function.timeout_seconds,
            on_failure: match function.on_failure {
                chatroom_api::RegisterFailure::Refuse => settings::RegisterFailure::Refuse,
                chatroom_api::RegisterFailure::Accept => settings::RegisterFailure::Accept,
            },
        }),
        transport: transport.as_ref().map(|function| settings::TransportFunction {
            url: function.url.as_str().to_owned(),
            timeout_seconds: function.timeout_seconds,
            on_failure: match function.on_failure {
                chatroom_api::TransportFailure::Close => settings::TransportFailure::Close,
                chatroom_api::TransportFailure::Ignore => settings::TransportFailure::Ignore,
            },
        }),
        cleanup: cleanup.as_ref().map(|function| settings::CleanupFunction {
            url: function.url.as_str().to_owned(),
            timeout_seconds: function.timeout_seconds,
        }),
        signed: signing_secret.is_some(),
        own_roots: roots.is_some(),
        tencent: settings::TencentEvents {
            service_name: tencent.service_name.clone(),
            stage: tencent.stage.clone(),
            transport_action: match tencent.transport_action {
                chatroom_api::TransportAction::DataRecv => settings::TransportAction::DataRecv,
                chatroom_api::TransportAction::DataSend => settings::TransportAction::DataSend,
            },
            forward_request: tencent.forward_request,
        },
    }
}

fn dialect(dialect: chatroom_api::Dialect) -> settings::Dialect {
    match dialect {
        chatroom_api::Dialect::Tencent => settings::Dialect::Tencent,
    }
}

/// The settings that a running gateway takes over.
pub fn hot(room: &Room) -> Hot {
    let clients = &room.clients;
    let origins = clients.allowed_origins.as_ref();
    Hot {
        log_filter: room.logging.filter.clone(),
        allowed_origins: origins.map(|origins| origins.iter().map(|origin| origin.as_str().to_owned()).collect()),
        limits: settings::Limits {
            max_connections_per_pod: clients.limits.max_connections_per_pod,
            max_message_bytes: clients.limits.max_message_bytes,
            max_pending_bytes: clients.limits.max_pending_bytes,
            slow_seconds: clients.limits.slow_seconds,
            idle_timeout_seconds: clients.limits.idle_timeout_seconds,
            max_connection_age_seconds: clients.limits.max_connection_age_seconds,
        },
    }
}

/// What the replicas of a room in a cluster share.
pub fn backplane(names: &Names, room: &Room) -> Backplane {
    let own_prefix = || names.key_prefix();
    Backplane::Redis(match &room.redis {
        Redis::Ephemeral(_) => RedisBackplane { key_prefix: own_prefix(), address: Some(names.redis_address()) },
        Redis::External(redis) => RedisBackplane {
            key_prefix: redis.key_prefix.as_ref().map_or_else(own_prefix, |prefix| prefix.as_str().to_owned()),
            address: None,
        },
    })
}

/// The settings as the file that a gateway reads.
pub fn yaml<T: serde::Serialize>(settings: &T) -> String {
    serde_yaml::to_string(settings).expect("settings are plain structs of strings and numbers")
}

/// How a gateway names the text of its settings on `/status`: the first 16 hex digits of its SHA-256.
pub fn hash(text: &str) -> String {
    hex(&Sha256::digest(text)[..8])
}
