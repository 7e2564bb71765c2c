//! What Tencent API Gateway posts to functions, and what it reads from the answer of the register function.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chatroom_settings::{TencentEvents, TransportAction};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::dialect::{BadAnswer, Connecting, Verdict};
use crate::id::ConnectionId;
use crate::message::Kind;

/// The fields stand in the order in which the platform writes them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Register<'a> {
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_string: Option<Object>,
    websocket: Client<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    service_name: &'a str,
    path: &'a str,
    http_method: &'a str,
    request_id: &'a str,
    identity: Object,
    source_ip: String,
    stage: &'a str,
    websocket_enable: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Client<'a> {
    action: &'a str,
    #[serde(rename = "secConnectionID")]
    connection: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sec_web_socket_protocol: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sec_web_socket_extensions: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
}

#[derive(Serialize)]
struct Event<'a> {
    websocket: Client<'a>,
}

/// Strings by name, in the order in which the names came first.
#[derive(Default)]
struct Object {
    values: Vec<(String, String)>,
    /// Where each name stands: a client decides how many there are.
    places: HashMap<String, usize>,
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.values.iter().map(|(name, value)| (name, value)))
    }
}

impl Object {
    /// Puts a value where there is none; where there is one, `merge` decides what becomes of it.
    fn put(&mut self, name: &str, value: &str, merge: impl FnOnce(&mut String)) {
        if let Some(place) = self.places.get(name) {
            return merge(&mut self.values[*place].1);
        }
        self.places.insert(name.to_owned(), self.values.len());
        self.values.push((name.to_owned(), value.to_owned()));
    }
}

/// What the register function is asked. `path` is the room's, `request_id` is new for each call.
#[must_use]
pub fn register(settings: &TencentEvents, path: &str, request_id: &str, client: &Connecting) -> Bytes {
    let forwarded = settings.forward_request;
    written(&Register {
        request_context: RequestContext {
            service_name: &settings.service_name,
            path,
            http_method: "GET",
            request_id,
            identity: Object::default(),
            source_ip: client.address.to_canonical().to_string(),
            stage: &settings.stage,
            websocket_enable: true,
        },
        headers: forwarded.then(|| headers(&client.headers)),
        query_string: forwarded.then(|| query(client.query.as_deref().unwrap_or_default())),
        websocket: Client {
            sec_web_socket_protocol: client.subprotocols.as_deref(),
            sec_web_socket_extensions: client.extensions.as_deref(),
            ..about("connecting", &client.id)
        },
    })
}

/// What the transport function is told: text as it is, bytes as base64.
#[must_use]
pub fn transport(settings: &TencentEvents, from: &ConnectionId, kind: Kind, payload: &[u8]) -> Bytes {
    let action = match settings.transport_action {
        TransportAction::DataRecv => "data recv",
        TransportAction::DataSend => "data send",
    };
    // A text is UTF-8, so nothing is lost and nothing copied.
    let (data_type, data) = match kind {
        Kind::Text => ("text", String::from_utf8_lossy(payload)),
        Kind::Binary => ("binary", STANDARD.encode(payload).into()),
    };
    written(&Event { websocket: Client { data_type: Some(data_type), data: Some(&data), ..about(action, from) } })
}

/// What the cleanup function is told.
#[must_use]
pub fn cleanup(id: &ConnectionId) -> Bytes {
    written(&Event { websocket: about("closing", id) })
}

/// What the register function's answer says; `offered` is what the client sent as `Sec-WebSocket-Protocol`.
///
/// # Errors
/// When it is not the platform's answer: the client must not be let in because of it.
pub fn registered(body: &[u8], offered: Option<&str>) -> Result<Verdict, BadAnswer> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| BadAnswer("it is not JSON in UTF-8"))?;
    let Value::Object(answer) = answer else { return Err(BadAnswer("it is not a JSON object")) };
    let Some(Value::Number(number)) = answer.get("errNo").filter(|number| number.is_i64() || number.is_u64()) else {
        return Err(BadAnswer("`errNo` must be an integer"));
    };
    if !answer.get("errMsg").is_some_and(Value::is_string) {
        return Err(BadAnswer("`errMsg` must be a string"));
    }
    if number.as_i64() != Some(0) {
        return Ok(Verdict::Refused);
    }
    let chosen = match answer.get("websocket") {
        None | Some(Value::Null) => None,
        Some(Value::Object(websocket)) => match websocket.get("secWebSocketProtocol") {
            None | Some(Value::Null) => None,
            Some(Value::String(chosen)) => Some(chosen.as_str()),
            Some(_) => return Err(BadAnswer("`websocket.secWebSocketProtocol` must be a string")),
        },
        Some(_) => return Err(BadAnswer("`websocket` must be an object")),
    };
    // A browser fails the connection over a subprotocol that it did not ask for, and over a list of them: functions that say
    // what the client said, as samples of the platform did, mean whatever suits.
    let offered: Vec<_> = tokens(offered.unwrap_or_default()).collect();
    let subprotocol = tokens(chosen.unwrap_or_default()).find(|chosen| offered.contains(chosen));
    Ok(Verdict::Accepted { subprotocol: subprotocol.map(str::to_owned) })
}

fn tokens(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(|token| token.trim_matches([' ', '\t'])).filter(|token| !token.is_empty())
}

fn about<'a>(action: &'a str, id: &'a ConnectionId) -> Client<'a> {
    Client {
        action,
        connection: id.as_str(),
        sec_web_socket_protocol: None,
        sec_web_socket_extensions: None,
        data_type: None,
        data: None,
    }
}

/// Lines of one header are joined as RFC 9110 and, for cookies, RFC 6265 read them.
fn headers(headers: &[(String, String)]) -> Object {
    let mut object = Object::default();
    for (name, value) in headers {
        let separator = if name.eq_ignore_ascii_case("cookie") { "; " } else { ", " };
        object.put(name, value, |known| {
            known.push_str(separator);
            known.push_str(value);
        });
    }
    object
}

/// Of parameters of one name, the last one counts: the type of a value must not depend on who connects.
fn query(query: &str) -> Object {
    let mut object = Object::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        object.put(&name, &value, |known| value.as_ref().clone_into(known));
    }
    object
}

fn written(event: &impl Serialize) -> Bytes {
    serde_json::to_vec(event).expect("structs of strings are JSON").into()
}
