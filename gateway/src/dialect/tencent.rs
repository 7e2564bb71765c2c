//! Tencent API Gateway's WebSocket push-back: what its functions post, and the answers that they expect. What they are
//! asked and told stands in [`events`].
//!
//! Requests are read as that platform's code writes them, so whatever is unknown is ignored. The platform never said
//! how it answers failures; here the status tells programs, and `errNo` repeats it for code that looks only there.

pub mod events;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::{Method, Response};
use http_body_util::Full;
use serde::{Deserialize, Serialize};

use super::{BadPush, Command, MOST_EXCLUDED, Outcome, Request, Verb, connection, invalid, json, not_allowed};
use crate::http::problem::Refusal;
use crate::message::Kind;

/// The first segment of the path; the key is what follows.
pub const ROOT: &str = "/push";

/// Stands for everybody in the room. Ours: the platform has no such thing.
const EVERYBODY: &str = "*";

/// Padding may be left out: some functions' languages do.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Deserialize)]
struct Body {
    websocket: Push,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Push {
    action: String,
    #[serde(rename = "secConnectionID")]
    connection: String,
    data_type: Option<String>,
    data: Option<String>,
    exclude: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    err_no: u16,
    err_msg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

/// What a function asks for.
///
/// # Errors
/// When it is none of the platform's requests, or names a connection that cannot be.
pub fn command(request: &Request<'_>) -> Result<Command, BadPush> {
    if request.method != Method::POST {
        return not_allowed("POST");
    }
    let Body { websocket } = serde_json::from_slice(&request.body).map_err(|error| {
        Refusal::InvalidPush(if error.is_data() {
            "the body must be {\"websocket\": {…}} with strings in `action`, `secConnectionID`, `dataType` and `data`"
        } else {
            "the body is not JSON in UTF-8"
        })
    })?;
    match websocket.action.as_str() {
        "data send" => send(websocket),
        "closing" if websocket.connection == EVERYBODY => invalid("`closing` needs the ID of one connection"),
        "closing" => Ok(Command::Close {
            id: connection(&websocket.connection, Verb::Close)?,
            code: None,
            reason: String::new(),
        }),
        _ => invalid("`websocket.action` must be `data send` or `closing`"),
    }
}

fn send(push: Push) -> Result<Command, BadPush> {
    let Some(data) = push.data else { return invalid("`websocket.data` is missing") };
    let (kind, payload) = match push.data_type.as_deref() {
        Some("text") => (Kind::Text, Bytes::from(data)),
        Some("binary") => match BASE64.decode(data) {
            Ok(bytes) => (Kind::Binary, bytes.into()),
            Err(_) => return invalid("`websocket.data` of `dataType` `binary` must be base64"),
        },
        _ => return invalid("`websocket.dataType` must be `text` or `binary`"),
    };
    if push.connection != EVERYBODY {
        return Ok(Command::Send { to: connection(&push.connection, Verb::Send)?, kind, payload });
    }
    let exclude = push.exclude.unwrap_or_default();
    if exclude.len() > MOST_EXCLUDED {
        return invalid("`websocket.exclude` may name at most 100 connections");
    }
    // A connection that cannot be hears nothing anyway.
    let exclude = exclude.iter().filter_map(|id| id.parse().ok()).collect();
    Ok(Command::Publish { kind, payload, exclude })
}

/// The answer to a request that was carried out, or not.
#[must_use]
pub fn answer(verb: Verb, outcome: &Outcome, retry_after_seconds: u8) -> Response<Full<Bytes>> {
    match (outcome, outcome.refusal()) {
        // Cleanup functions close a connection that is gone already, each time: what they want is so.
        (Outcome::Gone, _) if verb == Verb::Close => ok(None, None),
        (_, Some(refusal)) => refuse(refusal, retry_after_seconds),
        (Outcome::Published { seq, online }, None) => ok(Some(*seq), Some(*online)),
        (_, None) => ok(None, None),
    }
}

/// The answer to a request that cannot be carried out.
#[must_use]
pub fn refuse(refusal: Refusal, retry_after_seconds: u8) -> Response<Full<Bytes>> {
    let answer = Answer { err_no: refusal.status().as_u16(), err_msg: refusal.detail(), seq: None, count: None };
    refusal.response_with("application/json", written(&answer), retry_after_seconds)
}

fn ok(seq: Option<u64>, count: Option<u64>) -> Response<Full<Bytes>> {
    json(written(&Answer { err_no: 0, err_msg: "ok", seq, count }))
}

fn written(answer: &Answer<'_>) -> Bytes {
    serde_json::to_vec(answer).expect("a struct of strings and numbers is JSON").into()
}
