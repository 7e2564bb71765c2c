//! Every refusal of the gateway, as an HTTP answer that programs can tell apart (RFC 9457).

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

/// Why a request gets no "yes". Clients and dashboards rely on [`Refusal::code`]; the words may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// What was sent is no HTTP request; the text says what is wrong with it.
    MalformedRequest(&'static str),
    /// The request line is longer than the gateway reads.
    UriTooLong,
    /// The header section is larger than the gateway reads.
    HeadersTooLarge,
    /// A version of HTTP that this port does not speak.
    VersionNotSupported,
    /// The request began and did not end in time.
    RequestTimeout,
    /// A body, where none has a meaning.
    BodyNotAccepted,
    /// Another method than the resource has; `head` says whether HEAD is one of them.
    MethodNotAllowed {
        /// Whether the resource can be asked for its head alone.
        head: bool,
    },
    /// No such path.
    NotFound,
    /// This path speaks WebSocket only.
    UpgradeRequired,
    /// Another version of WebSocket than 13, or none.
    WebSocketVersion,
    /// The opening handshake breaks RFC 6455; the text says where.
    BadHandshake(&'static str),
    /// A browser's page of another site.
    OriginNotAllowed,
    /// The pod holds as many sockets as it may.
    PodFull,
    /// The gateway is letting its clients go.
    Draining,
    /// The gateway is not a member of the room yet.
    Joining,
    /// The gateway has lost touch with the room.
    Isolated,
    /// The room's registry of connections does not answer.
    RegistryUnavailable,
}

/// A problem document. `type` is always `about:blank`: what there is to know stands in `code`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'static str,
}

impl Refusal {
    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::MalformedRequest(_) | Self::BodyNotAccepted | Self::BadHandshake(_) => StatusCode::BAD_REQUEST,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::VersionNotSupported => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::UpgradeRequired | Self::WebSocketVersion => StatusCode::UPGRADE_REQUIRED,
            Self::OriginNotAllowed => StatusCode::FORBIDDEN,
            Self::PodFull | Self::Draining | Self::Joining | Self::Isolated | Self::RegistryUnavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// The stable name, for programs: in the problem document and as the label of the metric `refusals`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::MalformedRequest(_) => "malformed_request",
            Self::UriTooLong => "uri_too_long",
            Self::HeadersTooLarge => "headers_too_large",
            Self::VersionNotSupported => "http_version_not_supported",
            Self::RequestTimeout => "request_timeout",
            Self::BodyNotAccepted => "body_not_accepted",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::NotFound => "not_found",
            Self::UpgradeRequired => "upgrade_required",
            Self::WebSocketVersion => "websocket_version",
            Self::BadHandshake(_) => "bad_handshake",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::PodFull => "pod_full",
            Self::Draining => "draining",
            Self::Joining => "joining",
            Self::Isolated => "isolated",
            Self::RegistryUnavailable => "registry_unavailable",
        }
    }

    /// What is wrong and what would be right, for people.
    #[must_use]
    pub fn detail(self) -> &'static str {
        match self {
            Self::MalformedRequest(what) | Self::BadHandshake(what) => what,
            Self::UriTooLong => "the request line is longer than 8192 bytes",
            Self::HeadersTooLarge => "the request has more than 64 header fields or its head more than 16384 bytes",
            Self::VersionNotSupported => "this port speaks HTTP/1.1",
            Self::RequestTimeout => "the head of the request did not arrive in time",
            Self::BodyNotAccepted => "a request to this port has no body",
            Self::MethodNotAllowed { head: false } => "only GET is allowed here",
            Self::MethodNotAllowed { head: true } => "only GET and HEAD are allowed here",
            Self::NotFound => "no room lives at this path",
            Self::UpgradeRequired => "this path speaks WebSocket: connect with `Upgrade: websocket` over HTTP/1.1",
            Self::WebSocketVersion => "`Sec-WebSocket-Version` must be 13",
            Self::OriginNotAllowed => "pages of this origin may not connect to the room",
            Self::PodFull => "this gateway holds as many connections as it may: try again",
            Self::Draining => "this gateway is shutting down: try again and meet another one",
            Self::Joining => "this gateway has not joined the room yet: try again",
            Self::Isolated => "this gateway has lost touch with the room: try again",
            Self::RegistryUnavailable => "the room cannot register the connection now: try again",
        }
    }

    /// The answer. `retry_after_seconds` goes with every 503, so that those who come back do not come at once.
    #[must_use]
    pub fn response(self, retry_after_seconds: u8) -> Response<Full<Bytes>> {
        let status = self.status();
        let document = Document {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: self.detail(),
            code: self.code(),
        };
        let body = serde_json::to_vec(&document).expect("a struct of strings and numbers is JSON");
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::MethodNotAllowed { head } => {
                headers.insert(ALLOW, HeaderValue::from_static(if head { "GET, HEAD" } else { "GET" }));
            }
            Self::UpgradeRequired | Self::WebSocketVersion => {
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                // RFC 9110 (7.8) wants it wherever Upgrade is sent.
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
                headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            }
            _ if status == StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from(u16::from(retry_after_seconds)));
            }
            _ => {}
        }
        response
    }
}

/// Seconds after which a refused client may try again: random, so that a crowd comes back spread out.
#[must_use]
pub fn random_retry_after() -> u8 {
    rand::random_range(1..=10)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn document(refusal: Refusal) -> serde_json::Value {
        let body = refusal.response(3).into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    #[tokio::test]
    async fn a_refusal_is_a_problem_document_with_a_stable_code() {
        let expected = serde_json::json!({
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "detail": "this gateway holds as many connections as it may: try again",
            "code": "pod_full",
        });
        assert_eq!(document(Refusal::PodFull).await, expected);
    }

    #[test]
    fn only_those_who_may_come_back_hear_when() {
        assert_eq!(Refusal::Draining.response(7).headers()[RETRY_AFTER], "7");
        assert!(!Refusal::NotFound.response(7).headers().contains_key(RETRY_AFTER));
    }

    #[test]
    fn the_answers_that_need_a_header_have_it() {
        assert_eq!(Refusal::MethodNotAllowed { head: false }.response(1).headers()[ALLOW], "GET");
        let upgrade = Refusal::UpgradeRequired.response(1);
        assert_eq!(upgrade.headers()[UPGRADE], "websocket");
        assert_eq!(upgrade.headers()[CONNECTION], "upgrade");
        assert_eq!(Refusal::WebSocketVersion.response(1).headers()[SEC_WEBSOCKET_VERSION], "13");
    }

    #[test]
    fn the_words_name_the_limits_that_are_kept() {
        use super::super::head::{MAX_FIELDS, MAX_HEAD_BYTES, MAX_REQUEST_LINE_BYTES};
        assert!(Refusal::UriTooLong.detail().contains(&MAX_REQUEST_LINE_BYTES.to_string()));
        let detail = Refusal::HeadersTooLarge.detail();
        assert!(detail.contains(&MAX_FIELDS.to_string()) && detail.contains(&MAX_HEAD_BYTES.to_string()));
    }

    #[test]
    fn a_crowd_comes_back_between_one_and_ten_seconds() {
        assert!((0..200).all(|_| (1..=10).contains(&random_retry_after())));
    }
}
