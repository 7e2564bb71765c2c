//! Files, ports and environment variables that operator and gateway have to spell alike.

/// The ports of a gateway.
pub mod ports {
    /// Clients: WebSocket and page.
    pub const CLIENTS: u16 = 8080;
    /// Reverse push: functions and other programs, with a key.
    pub const PUSH: u16 = 8081;
    /// Probes, metrics and `/status`; not for clients.
    pub const INTERNAL: u16 = 9090;
}

/// Where the operator mounts things and the gateway looks for them.
pub mod files {
    /// Directory of [`HOT_FILE`]: a ConfigMap, mounted whole so that updates arrive.
    pub const HOT_DIRECTORY: &str = "/etc/chatroom/hot";
    /// The hot settings.
    pub const HOT_FILE: &str = "hot.yaml";
    /// Directory of [`COLD_FILE`]: a downwardAPI volume of the pod's own annotation.
    pub const COLD_DIRECTORY: &str = "/etc/chatroom/cold";
    /// The cold settings.
    pub const COLD_FILE: &str = "cold.yaml";
    /// Directory of the Redis credentials: an optional Secret.
    pub const REDIS_DIRECTORY: &str = "/etc/chatroom/redis";
    /// The password of the room's own Redis.
    pub const REDIS_PASSWORD: &str = "password";
    /// `redis://` or `rediss://` URL of an external Redis, credentials included.
    pub const REDIS_URL: &str = "url";
    /// Directory of the push credential: an optional Secret, mounted whole so that updates arrive.
    pub const PUSH_DIRECTORY: &str = "/etc/chatroom/push";
    /// The push keys, one a line; each of them is accepted.
    pub const PUSH_KEYS: &str = "keys";
    /// Directory of the keys that calls of functions are signed with: an optional Secret, mounted whole.
    pub const SIGNING_DIRECTORY: &str = "/etc/chatroom/signing";
    /// The signing keys, one a line, each `whsec_` and base64.
    pub const SIGNING_KEYS: &str = "keys";
    /// Directory of the roots that functions' certificates may come from: an optional Secret, of which one key is mounted.
    pub const CA_DIRECTORY: &str = "/etc/chatroom/ca";
    /// The roots, as PEM.
    pub const CA_FILE: &str = "ca.crt";
}

/// The environment variables of a gateway; each is also a command line flag.
pub mod env {
    /// Path of the cold settings.
    pub const COLD_FILE: &str = "CHATROOM_COLD_FILE";
    /// Path of the hot settings.
    pub const HOT_FILE: &str = "CHATROOM_HOT_FILE";
    /// Directory of the Redis credentials.
    pub const REDIS_DIRECTORY: &str = "CHATROOM_REDIS_DIRECTORY";
    /// Directory of the push credential.
    pub const PUSH_DIRECTORY: &str = "CHATROOM_PUSH_DIRECTORY";
    /// Directory of the signing keys.
    pub const SIGNING_DIRECTORY: &str = "CHATROOM_SIGNING_DIRECTORY";
    /// Directory of the roots that functions' certificates may come from.
    pub const CA_DIRECTORY: &str = "CHATROOM_CA_DIRECTORY";
    /// Name of the pod, for logs.
    pub const POD_NAME: &str = "CHATROOM_POD_NAME";
    /// uid of the pod: a restarted container recognises its predecessor by it.
    pub const POD_UID: &str = "CHATROOM_POD_UID";
    /// Hash of the pod template, as the ReplicaSet labels it: gateways of one template know each other by it.
    pub const TEMPLATE_HASH: &str = "CHATROOM_TEMPLATE_HASH";
    /// What every variable of ours begins with; a room's own `pod.env` may not.
    pub const PREFIX: &str = "CHATROOM_";
}
