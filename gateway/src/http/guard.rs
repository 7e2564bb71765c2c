//! Pure: what a request to the public port asks for, and whether RFC 6455 lets it have it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, HOST, HeaderName, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Method, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::head::is_token;
use super::problem::Refusal;

/// What lives on the public port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routes {
    /// The one path, compared byte for byte.
    pub path: String,
    /// Whether a browser that opens it gets the page.
    pub page: bool,
}

/// What a good request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To become a WebSocket.
    Upgrade(Upgrade),
    /// The page.
    Page,
}

/// An opening handshake in which nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// The value of `Sec-WebSocket-Accept` that answers the client's key.
    pub accept_key: String,
    /// The page that the client belongs to; browsers always say it, others seldom.
    pub origin: Option<String>,
}

/// Judges the head of a request.
///
/// # Errors
/// The first thing that is wrong, in the order: message, path, method, purpose, handshake.
pub fn examine(request: &Parts, routes: &Routes) -> Result<Asked, Refusal> {
    host(request)?;
    if request.uri.path() != routes.path {
        return Err(Refusal::NotFound);
    }
    let head = routes.page && request.method == Method::HEAD;
    if request.method != Method::GET && !head {
        return Err(Refusal::MethodNotAllowed { allow: if routes.page { "GET, HEAD" } else { "GET" } });
    }
    no_body(&request.headers)?;
    if !head && wants_websocket(request) {
        return handshake(&request.headers).map(Asked::Upgrade);
    }
    if routes.page && accepts_html(&request.headers) { Ok(Asked::Page) } else { Err(Refusal::UpgradeRequired) }
}

/// RFC 9112 (3.2): exactly one Host, and a good one.
fn host(request: &Parts) -> Result<(), Refusal> {
    let mut hosts = request.headers.get_all(HOST).iter();
    let is_good = |host: &http::HeaderValue| {
        Authority::try_from(host.as_bytes()).is_ok_and(|authority| !authority.as_str().contains('@'))
    };
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_good(host) => Ok(()),
        (Some(_), None) => Err(Refusal::MalformedRequest("the Host header is not `host` or `host:port`")),
        (Some(_), Some(_)) => Err(Refusal::MalformedRequest("there is more than one Host header")),
        (None, _) if request.version < Version::HTTP_11 => Ok(()),
        (None, _) => Err(Refusal::MalformedRequest("the Host header is missing")),
    }
}

/// A GET's body has no meaning, and what nobody reads may be read as the next request by somebody in between.
fn no_body(headers: &HeaderMap) -> Result<(), Refusal> {
    let has_length = headers.get_all(CONTENT_LENGTH).iter().any(|length| length.as_bytes() != b"0");
    if has_length || headers.contains_key(TRANSFER_ENCODING) { Err(Refusal::BodyNotAccepted) } else { Ok(()) }
}

/// RFC 9110 (7.8): an HTTP/1.0 request cannot ask for an upgrade, whatever it says.
fn wants_websocket(request: &Parts) -> bool {
    request.version >= Version::HTTP_11 && has_list_item(&request.headers, UPGRADE, "websocket")
}

/// RFC 6455 (4.2.1).
fn handshake(headers: &HeaderMap) -> Result<Upgrade, Refusal> {
    if !has_list_item(headers, CONNECTION, "upgrade") {
        return Err(Refusal::BadHandshake("missing Connection: upgrade"));
    }
    if only(headers, SEC_WEBSOCKET_VERSION).is_none_or(|version| version != b"13") {
        return Err(Refusal::WebSocketVersion);
    }
    let key = only(headers, SEC_WEBSOCKET_KEY)
        .filter(|key| STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16))
        .ok_or(Refusal::BadHandshake("Sec-WebSocket-Key must be there once: 16 bytes in base64"))?;
    subprotocols(headers)?;
    Ok(Upgrade { accept_key: derive_accept_key(key), origin: origin(headers)? })
}

/// RFC 6455 (4.1): tokens, each once.
fn subprotocols(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut offered = Vec::new();
    for item in list(headers, SEC_WEBSOCKET_PROTOCOL) {
        if item.is_empty() || !item.iter().copied().all(is_token) || offered.contains(&item) {
            return Err(Refusal::BadHandshake("Sec-WebSocket-Protocol must be a list of different tokens"));
        }
        offered.push(item);
    }
    Ok(())
}

fn origin(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    if !headers.contains_key(ORIGIN) {
        return Ok(None);
    }
    only(headers, ORIGIN)
        .and_then(|origin| std::str::from_utf8(origin).ok())
        .map(|origin| Some(origin.to_owned()))
        .ok_or(Refusal::BadHandshake("Origin must be there at most once and be text"))
}

/// Browsers name `text/html`; a bare `*/*` (curl, health checks) means no page.
fn accepts_html(headers: &HeaderMap) -> bool {
    list(headers, ACCEPT).any(|item| {
        let mut parts = item.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let is_html = parts.next().is_some_and(|media| media.eq_ignore_ascii_case(b"text/html"));
        let refused = parts.any(|part| matches!(part, b"q=0" | b"q=0.0" | b"q=0.00" | b"q=0.000"));
        is_html && !refused
    })
}

/// The value of a header that may be there only once.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&[u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.as_bytes().trim_ascii())
}

/// The items of a comma-separated header, over all its lines.
fn list(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    let values = headers.get_all(name).into_iter();
    values.flat_map(|value| value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii))
}

fn has_list_item(headers: &HeaderMap, name: HeaderName, wanted: &str) -> bool {
    list(headers, name).any(|item| item.eq_ignore_ascii_case(wanted.as_bytes()))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    /// A good handshake; each test breaks one thing. A header given again replaces its namesake, an empty one goes.
    fn handshake_with(changes: &[(&str, &str)]) -> Parts {
        let mut parts = Request::get("/chat").body(()).unwrap().into_parts().0;
        let good = [
            ("host", "lobby.example:8080"),
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "13"),
        ];
        for (name, value) in good {
            parts.headers.insert(name, value.parse().unwrap());
        }
        for (name, _) in changes {
            parts.headers.remove(*name);
        }
        for (name, value) in changes.iter().filter(|(_, value)| !value.is_empty()) {
            parts.headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        parts
    }

    fn routes(page: bool) -> Routes {
        Routes { path: "/chat".into(), page }
    }

    fn code(parts: &Parts, page: bool) -> &'static str {
        match examine(parts, &routes(page)) {
            Ok(Asked::Upgrade(_)) => "101",
            Ok(Asked::Page) => "page",
            Err(refusal) => refusal.code(),
        }
    }

    #[test]
    fn the_key_of_the_rfc_gets_the_answer_of_the_rfc() {
        let asked = examine(&handshake_with(&[]), &routes(false));
        let expected = Upgrade { accept_key: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".into(), origin: None };
        assert_eq!(asked, Ok(Asked::Upgrade(expected)));
    }

    #[test]
    fn one_broken_thing_is_one_clear_refusal() {
        let long = "a".repeat(24);
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[("upgrade", "")], "upgrade_required"),
            (&[("upgrade", "h2c")], "upgrade_required"),
            (&[("connection", "")], "bad_handshake"),
            (&[("connection", "keep-alive")], "bad_handshake"),
            (&[("connection", "upgraded")], "bad_handshake"),
            (&[("sec-websocket-key", "")], "bad_handshake"),
            (&[("sec-websocket-key", "short")], "bad_handshake"),
            (&[("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA")], "bad_handshake"),
            (&[("sec-websocket-key", &long)], "bad_handshake"),
            (
                &[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")],
                "bad_handshake",
            ),
            (&[("sec-websocket-version", "")], "websocket_version"),
            (&[("sec-websocket-version", "8")], "websocket_version"),
            (&[("sec-websocket-version", "13, 8")], "websocket_version"),
            (&[("sec-websocket-version", "13"), ("sec-websocket-version", "13")], "websocket_version"),
            (&[("host", "")], "malformed_request"),
            (&[("host", "a"), ("host", "a")], "malformed_request"),
            (&[("host", "a b")], "malformed_request"),
            (&[("host", "user@a")], "malformed_request"),
            (&[("content-length", "5")], "body_not_accepted"),
            (&[("transfer-encoding", "chunked")], "body_not_accepted"),
            (&[("sec-websocket-protocol", "a, a")], "bad_handshake"),
            (&[("sec-websocket-protocol", "a,,b")], "bad_handshake"),
            (&[("sec-websocket-protocol", "a b")], "bad_handshake"),
            (&[("origin", "https://a"), ("origin", "https://b")], "bad_handshake"),
        ];
        for (changes, expected) in cases {
            assert_eq!(code(&handshake_with(changes), false), *expected, "{changes:?}");
        }
    }

    #[test]
    fn harmless_variety_is_welcome() {
        let cases: &[&[(&str, &str)]] = &[
            &[("upgrade", "WebSocket")],
            &[("upgrade", "h2c, websocket")],
            &[("connection", "keep-alive, UPGRADE")],
            &[("connection", "keep-alive"), ("connection", "upgrade")],
            &[("content-length", "0")],
            &[("sec-websocket-extensions", "permessage-deflate; client_max_window_bits")],
            &[("host", "[::1]:8080")],
            &[("origin", "null")],
        ];
        for changes in cases {
            assert_eq!(code(&handshake_with(changes), true), "101", "{changes:?}");
        }
    }

    #[test]
    fn offers_may_stand_on_several_lines() {
        let changes = [("sec-websocket-protocol", "chatroom.v1, chat"), ("sec-websocket-protocol", "binary")];
        assert_eq!(code(&handshake_with(&changes), false), "101");
    }

    #[test]
    fn another_path_is_not_found_whatever_the_method() {
        for path in ["/", "/chat/", "/Chat", "/chat%2F", "//chat"] {
            for method in [Method::GET, Method::POST] {
                let mut parts = handshake_with(&[]);
                parts.uri = path.parse().unwrap();
                parts.method = method;
                assert_eq!(code(&parts, true), "not_found", "{path}");
            }
        }
    }

    #[test]
    fn a_query_and_an_absolute_target_do_not_change_the_path() {
        for uri in ["/chat?room=1", "http://lobby.example/chat"] {
            let mut parts = handshake_with(&[]);
            parts.uri = uri.parse().unwrap();
            assert_eq!(code(&parts, false), "101", "{uri}");
        }
    }

    #[test]
    fn only_get_becomes_a_websocket() {
        for method in [Method::POST, Method::HEAD, Method::OPTIONS, Method::CONNECT, Method::PUT] {
            let mut parts = handshake_with(&[("content-length", "5")]);
            parts.method = method.clone();
            assert_eq!(examine(&parts, &routes(false)), Err(Refusal::MethodNotAllowed { allow: "GET" }), "{method}");
        }
    }

    #[test]
    fn http_1_0_cannot_upgrade() {
        let mut parts = handshake_with(&[]);
        parts.version = Version::HTTP_10;
        assert_eq!(code(&parts, false), "upgrade_required");
    }

    #[test]
    fn a_browser_gets_the_page_and_others_learn_what_the_path_speaks() {
        let browser = [("upgrade", ""), ("connection", ""), ("accept", "text/html,application/xhtml+xml;q=0.9")];
        assert_eq!(code(&handshake_with(&browser), true), "page");
        assert_eq!(code(&handshake_with(&browser), false), "upgrade_required");
        for accept in ["*/*", "application/json", "text/html;q=0", ""] {
            let other = [("upgrade", ""), ("accept", accept)];
            assert_eq!(code(&handshake_with(&other), true), "upgrade_required", "{accept}");
        }
    }

    #[test]
    fn a_page_can_be_asked_for_its_head() {
        let mut parts = handshake_with(&[("accept", "text/html")]);
        parts.method = Method::HEAD;
        assert_eq!(code(&parts, true), "page");
    }
}
