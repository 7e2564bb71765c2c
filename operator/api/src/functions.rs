//! The functions of the room's owner: HTTP backends that decide who comes in, get the messages, and hear of ends.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pod::LocalSecretReference;
use crate::push::Dialect;
use crate::{
    CLEANUP_TIMEOUT_SECONDS, MAX_EVENT_WORD_LENGTH, MAX_URL_LENGTH, REGISTER_TIMEOUT_SECONDS, TRANSPORT_TIMEOUT_SECONDS,
};

/// What a URL of a function may be: shared by the three of them.
mod url {
    /// The characters that RFC 3986 has for each part; authority without a user.
    pub(super) const RULE: &str = r#"self.matches("^https?://([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?([/?][A-Za-z0-9._~!$&'()*+,;=:@/?%-]*)?$")"#;
    /// Said to whoever breaks the rule.
    pub(super) const MESSAGE: &str = "url is http:// or https://, a host, and maybe a port, a path and a query, as in http://chat.default.svc/register: no user, no password, no fragment, no spaces";
}

/// The functions of the room's owner.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("has(self.register) || has(self.transport) || has(self.cleanup)")
    .message("name at least one function: register, transport or cleanup; without any, leave functions out"))]
#[x_kube(validation = Rule::new("!has(self.tencent) || self.dialect == 'Tencent'")
    .message("tencent is for dialect Tencent: leave it out, or change dialect").field_path(".tencent"))]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct Functions {
    /// In whose words functions are called. There is no default: the other fields depend on it.
    pub dialect: Dialect,
    /// Asked before a client is let in. Absent: everybody is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register: Option<RegisterFunction>,
    /// Told each message of a client; it decides who hears what, and says so through reverse push (`status.pushURL`). Absent: the
    /// gateways hand messages on by themselves, as `broadcast` says, which cannot stand beside this.
    ///
    /// The messages of one client are told one at a time and in order, each at most once: the call of a gateway that is killed
    /// is not repeated. While a call runs, one more message is read from the client, and then no more until the call has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<TransportFunction>,
    /// Told that a client is gone, however it went. Absent: nobody is.
    ///
    /// There is one end for each client that `register` let in, or may have; all of them where there is no `register`. It is
    /// told at least once, with the connection ID as the ID of the event, tried again at growing intervals for a day, and then
    /// given up: `CleanupHealthy` says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleanup: Option<CleanupFunction>,
    /// The Secret, in the room's namespace, whose key `keys` holds the keys that calls are signed with, as Standard Webhooks has
    /// it: one a line, each `whsec_` and the base64 of 24 to 64 bytes. Absent: calls are not signed.
    ///
    /// A call carries the signatures of the first two keys; to rotate, put the new key into the first line, let the functions
    /// take both, and take the old one away. The operator never reads the Secret. While it is missing nothing is called, as if
    /// no function could be reached, and `FunctionsReady` says `SigningKeysNotFound`. Changed keys reach running gateways
    /// without a restart, within about 90 s. Another name rolls the gateways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_secret_ref: Option<LocalSecretReference>,
    /// The key of a Secret, in the room's namespace, that holds certificates of authorities, as PEM: for functions whose
    /// certificates are not of a public one. Absent: public authorities alone are trusted.
    ///
    /// They are trusted beside the public ones. The operator never reads the Secret. While it is missing, calls that need it
    /// fail, and `FunctionsReady` says `RootsNotFound`. Another name or key rolls the gateways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecretReference>,
    /// What the events of Tencent API Gateway say beside what happened; only with `dialect: Tencent`. Absent: the defaults of its
    /// fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tencent: Option<TencentEvents>,
}

/// The function that decides whether a client is let in.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct RegisterFunction {
    /// Where it is called, by POST: `http://` or `https://`, a host, and maybe a port, a path and a query; at most 2048 characters.
    ///
    /// Redirects are not followed. Link-local addresses, where clouds keep credentials, are refused: as a literal here, and else
    /// when the gateway connects.
    #[schemars(length(min = 1, max = MAX_URL_LENGTH))]
    #[x_kube(validation = Rule::new(url::RULE).message(url::MESSAGE))]
    pub url: String,
    /// Seconds from the beginning of the call to the end of the answer; 1 to 9. Absent: 3.
    ///
    /// A client whose function takes longer is refused with 504, or let in: see `onFailure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = REGISTER_TIMEOUT_SECONDS.min, max = REGISTER_TIMEOUT_SECONDS.max))]
    pub timeout_seconds: Option<i32>,
    /// What becomes of a client whose function gives no good answer. `Refuse`: it is refused, with 502 after a bad answer, with 503
    /// when the function cannot be reached, and with 504 when it takes too long. `Accept`: it is let in. Absent: `Refuse`.
    ///
    /// A function that says no is not a failure: its client is refused with 403 either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<RegisterFailure>,
}

/// What becomes of a client whose register function gives no good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RegisterFailure {
    /// It is refused.
    Refuse,
    /// It is let in.
    Accept,
}

/// The function that is told each message.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct TransportFunction {
    /// Where it is called, by POST: `http://` or `https://`, a host, and maybe a port, a path and a query; at most 2048 characters.
    ///
    /// Redirects are not followed. Link-local addresses, where clouds keep credentials, are refused: as a literal here, and else
    /// when the gateway connects.
    #[schemars(length(min = 1, max = MAX_URL_LENGTH))]
    #[x_kube(validation = Rule::new(url::RULE).message(url::MESSAGE))]
    pub url: String,
    /// Seconds from the arrival of a message to the end of the answer, waiting for the function included; 1 to 900. Absent: 30.
    ///
    /// A client whose message takes longer is closed with code 1013, or loses the message: see `onFailure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = TRANSPORT_TIMEOUT_SECONDS.min, max = TRANSPORT_TIMEOUT_SECONDS.max))]
    pub timeout_seconds: Option<i32>,
    /// What becomes of a client whose message the function does not take. `Close`: it is closed, with code 1011 after another
    /// answer than 200, and with 1013 when there is none in time. `Ignore`: it stays, and the message is lost. Absent: `Close`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<TransportFailure>,
}

/// What becomes of a client whose message the transport function does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TransportFailure {
    /// It is closed.
    Close,
    /// It stays; the message is lost.
    Ignore,
}

/// The function that is told of ends.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct CleanupFunction {
    /// Where it is called, by POST: `http://` or `https://`, a host, and maybe a port, a path and a query; at most 2048 characters.
    ///
    /// Redirects are not followed. Link-local addresses, where clouds keep credentials, are refused: as a literal here, and else
    /// when the gateway connects.
    #[schemars(length(min = 1, max = MAX_URL_LENGTH))]
    #[x_kube(validation = Rule::new(url::RULE).message(url::MESSAGE))]
    pub url: String,
    /// Seconds from the beginning of a call to the end of the answer; 1 to 60. Absent: 10.
    ///
    /// A call that takes longer has failed and is made again later; the function may then hear of the same end twice.
    ///
    /// When a gateway dies while it tells an end, another one tells it this time and 5 s later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = CLEANUP_TIMEOUT_SECONDS.min, max = CLEANUP_TIMEOUT_SECONDS.max))]
    pub timeout_seconds: Option<i32>,
}

/// One key of a Secret, in the room's namespace, with certificates of authorities.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct CaSecretReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')")
        .message("name must be the name of a Secret: lower case letters, digits, '-' and '.'"))]
    pub name: String,
    /// Key in the Secret. Absent: `ca.crt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[-._a-zA-Z0-9]+$')")
        .message("key must be a key of a Secret: letters, digits, '-', '_' and '.'"))]
    pub key: Option<String>,
}

/// What the events of Tencent API Gateway say beside what happened.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::tidy)]
pub struct TencentEvents {
    /// `requestContext.serviceName` of the register event; at most 128 characters. Absent: the room's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_EVENT_WORD_LENGTH))]
    pub service_name: Option<String>,
    /// `requestContext.stage` of the register event; at most 128 characters. Absent: `release`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_EVENT_WORD_LENGTH))]
    pub stage: Option<String>,
    /// `websocket.action` of a message: `DataRecv` for `data recv`, as the platform's older documents and its console have it,
    /// `DataSend` for `data send`, as the newer ones do. Absent: `DataRecv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport_action: Option<TransportAction>,
    /// Whether the register event also has the headers and the query with which the client came, so that the function can tell
    /// who it is. Absent: false, as on the platform.
    ///
    /// Headers are often credentials: cookies and tokens reach whoever reads the function's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_request: Option<bool>,
}

/// How Tencent's event of a message is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TransportAction {
    /// `data recv`.
    DataRecv,
    /// `data send`.
    DataSend,
}
