//! The plain API: the push port for people and programs that never knew a cloud.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use super::{BadPush, Command, Description, Outcome, Request, Verb, connection, empty, invalid, json, not_allowed};
use crate::http::problem::Refusal;
use crate::message::Kind;

/// RFC 6455 (5.5): a close frame has 125 bytes, two of them are the code.
const MAX_REASON_BYTES: usize = 123;

#[derive(Serialize)]
struct Published {
    seq: u64,
    online: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Known<'a> {
    connected_at: u64,
    last_active_at: u64,
    address: &'a str,
    user_agent: &'a str,
}

/// What a caller asks for.
///
/// # Errors
/// When the API has no such request, or it names a connection that cannot be.
pub fn command(request: &Request<'_>) -> Result<Command, BadPush> {
    let Request { method, path, query, content_type, body } = request;
    if *path == "/publish" {
        if **method != Method::POST {
            return not_allowed("POST");
        }
        no_query(*query)?;
        let (kind, payload) = message(*content_type, body)?;
        return Ok(Command::Publish { kind, payload, exclude: Vec::new() });
    }
    let Some(id) = path.strip_prefix("/connections/").filter(|id| !id.is_empty() && !id.contains('/')) else {
        return Err(Refusal::NoSuchPush.into());
    };
    match **method {
        Method::GET | Method::HEAD => {
            no_query(*query)?;
            Ok(Command::Describe { id: connection(id, Verb::Describe)? })
        }
        Method::POST => {
            no_query(*query)?;
            let (kind, payload) = message(*content_type, body)?;
            Ok(Command::Send { to: connection(id, Verb::Send)?, kind, payload })
        }
        Method::DELETE => close(id, *query),
        _ => not_allowed("GET, HEAD, POST, DELETE"),
    }
}

/// Binary by its content type, else text: `curl -d hello` is enough.
fn message(content_type: Option<&str>, body: &Bytes) -> Result<(Kind, Bytes), BadPush> {
    let media = content_type.and_then(|value| value.split(';').next()).map(str::trim);
    if media.is_some_and(|media| media.eq_ignore_ascii_case("application/octet-stream")) {
        Ok((Kind::Binary, body.clone()))
    } else if std::str::from_utf8(body).is_ok() {
        Ok((Kind::Text, body.clone()))
    } else {
        invalid("text must be UTF-8; for bytes, say `Content-Type: application/octet-stream`")
    }
}

/// What is not understood is refused: a misspelt parameter would do something else than was meant.
fn no_query(query: Option<&str>) -> Result<(), BadPush> {
    if query.is_some_and(|query| !query.is_empty()) { invalid("this request has no query parameters") } else { Ok(()) }
}

fn close(id: &str, query: Option<&str>) -> Result<Command, BadPush> {
    let (mut code, mut reason) = (None, None);
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match name.as_ref() {
            "code" if code.is_none() => code = Some(close_code(&value)?),
            "reason" if reason.is_none() && value.len() <= MAX_REASON_BYTES => reason = Some(value.into_owned()),
            "reason" if reason.is_none() => return invalid("`reason` may have at most 123 bytes of UTF-8"),
            _ => return invalid("a connection is closed with `code` and `reason`, each at most once"),
        }
    }
    Ok(Command::Close { id: connection(id, Verb::Close)?, code, reason: reason.unwrap_or_default() })
}

/// The others are the protocol's own words, and would tell the client what is not so.
fn close_code(text: &str) -> Result<u16, BadPush> {
    match text.parse() {
        Ok(code @ (1000 | 3000..=4999)) => Ok(code),
        _ => invalid("`code` must be 1000, or from 3000 to 4999"),
    }
}

/// The answer to a request that was carried out, or not.
#[must_use]
pub fn answer(outcome: &Outcome, retry_after_seconds: u8) -> Response<Full<Bytes>> {
    match outcome {
        Outcome::Published { seq, online } => json(written(&Published { seq: *seq, online: *online })),
        Outcome::Described(Description { connected_at, last_active_at, address, user_agent }) => {
            json(written(&Known { connected_at: *connected_at, last_active_at: *last_active_at, address, user_agent }))
        }
        Outcome::Closing => empty(StatusCode::NO_CONTENT),
        other => match other.refusal() {
            Some(refusal) => refusal.response(retry_after_seconds),
            None => empty(StatusCode::OK),
        },
    }
}

fn written(answer: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(answer).expect("a struct of strings and numbers is JSON")
}
