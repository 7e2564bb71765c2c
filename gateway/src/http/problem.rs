//! Every refusal of the gateway, as an HTTP answer that programs can tell apart (RFC 9457).

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE,
};
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
    /// Another method than the resource has.
    MethodNotAllowed {
        /// Those that it has, as the header `Allow` says it.
        allow: &'static str,
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
    /// The room's register function said no.
    RegisterRefused,
    /// The room's register function gave no good answer.
    RegisterFailed,
    /// The room's register function cannot be reached.
    RegisterUnreachable,
    /// The room's register function took too long.
    RegisterTimedOut,
    /// A push without a key, or with one that is none of the room's.
    Unauthorized,
    /// Nobody can push: the gateway has no key to compare with.
    PushKeysMissing,
    /// The push port has no such path.
    NoSuchPush,
    /// A push that says nothing that could be done; the text says what is wrong with it.
    InvalidPush(&'static str),
    /// The body of a push began and did not end in time.
    PushTimeout,
    /// What is pushed is larger than a message may be.
    TooLarge,
    /// The connection is no more.
    Gone,
    /// As much waits for the client as may.
    ClientBehind,
    /// The gateway has as many pushes in its hands as it may.
    PushesFull,
    /// The push was surely not delivered.
    Unavailable,
    /// The push may have been delivered.
    OutcomeUnknown,
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
            Self::MalformedRequest(_) | Self::BodyNotAccepted | Self::BadHandshake(_) | Self::InvalidPush(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::VersionNotSupported => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::RequestTimeout | Self::PushTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotFound | Self::NoSuchPush => StatusCode::NOT_FOUND,
            Self::UpgradeRequired | Self::WebSocketVersion => StatusCode::UPGRADE_REQUIRED,
            Self::OriginNotAllowed | Self::RegisterRefused => StatusCode::FORBIDDEN,
            Self::RegisterFailed => StatusCode::BAD_GATEWAY,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Gone => StatusCode::GONE,
            Self::ClientBehind => StatusCode::TOO_MANY_REQUESTS,
            Self::OutcomeUnknown | Self::RegisterTimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::PodFull
            | Self::Draining
            | Self::Joining
            | Self::Isolated
            | Self::RegistryUnavailable
            | Self::RegisterUnreachable
            | Self::PushKeysMissing
            | Self::PushesFull
            | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The stable name, for programs: in the problem document and as a label of the metrics `refusals` and `pushes`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::MalformedRequest(_) => "malformed_request",
            Self::UriTooLong => "uri_too_long",
            Self::HeadersTooLarge => "headers_too_large",
            Self::VersionNotSupported => "http_version_not_supported",
            Self::RequestTimeout | Self::PushTimeout => "request_timeout",
            Self::BodyNotAccepted => "body_not_accepted",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::NotFound | Self::NoSuchPush => "not_found",
            Self::UpgradeRequired => "upgrade_required",
            Self::WebSocketVersion => "websocket_version",
            Self::BadHandshake(_) => "bad_handshake",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::PodFull => "pod_full",
            Self::Draining => "draining",
            Self::Joining => "joining",
            Self::Isolated => "isolated",
            Self::RegistryUnavailable => "registry_unavailable",
            Self::RegisterRefused => "register_refused",
            Self::RegisterFailed => "register_failed",
            Self::RegisterUnreachable => "register_unreachable",
            Self::RegisterTimedOut => "register_timed_out",
            Self::Unauthorized => "unauthorized",
            Self::PushKeysMissing => "push_keys_missing",
            Self::InvalidPush(_) => "invalid_push",
            Self::TooLarge => "too_large",
            Self::Gone => "gone",
            Self::ClientBehind => "client_behind",
            Self::PushesFull => "pushes_full",
            Self::Unavailable => "unavailable",
            Self::OutcomeUnknown => "outcome_unknown",
        }
    }

    /// What is wrong and what would be right, for people.
    #[must_use]
    pub fn detail(self) -> &'static str {
        match self {
            Self::MalformedRequest(what) | Self::BadHandshake(what) | Self::InvalidPush(what) => what,
            Self::UriTooLong => "the request line is longer than 8192 bytes",
            Self::HeadersTooLarge => "the request has more than 64 header fields or its head more than 16384 bytes",
            Self::VersionNotSupported => "this port speaks HTTP/1.1",
            Self::RequestTimeout => "the head of the request did not arrive in time",
            Self::BodyNotAccepted => "a request to this port has no body",
            Self::MethodNotAllowed { allow: "GET" } => "only GET is allowed here",
            Self::MethodNotAllowed { allow: "GET, HEAD" } => "only GET and HEAD are allowed here",
            Self::MethodNotAllowed { .. } => "the header `Allow` names the methods that are allowed here",
            Self::NotFound => "no room lives at this path",
            Self::UpgradeRequired => "this path speaks WebSocket: connect with `Upgrade: websocket` over HTTP/1.1",
            Self::WebSocketVersion => "`Sec-WebSocket-Version` must be 13",
            Self::OriginNotAllowed => "pages of this origin may not connect to the room",
            Self::PodFull => "this gateway holds as many connections as it may: try again",
            Self::Draining => "this gateway is shutting down: try again and meet another one",
            Self::Joining => "this gateway has not joined the room yet: try again",
            Self::Isolated => "this gateway has lost touch with the room: try again",
            Self::RegistryUnavailable => "the room cannot register the connection now: try again",
            Self::RegisterRefused => "the room's register function did not let the client in",
            Self::RegisterFailed => "the room's register function answered with an error, or with what cannot be read",
            Self::RegisterUnreachable => "the room's register function cannot be reached now: try again",
            Self::RegisterTimedOut => "the room's register function took too long: try again",
            Self::Unauthorized => {
                "a push needs one of the room's keys: in the path `/push/<key>`, or as `Authorization: Bearer <key>`"
            }
            Self::PushKeysMissing => {
                "the room's push Secret is missing, or its `keys` holds no key of 16 characters: nobody can push"
            }
            Self::NoSuchPush => "the push port has `/publish` and `/connections/{id}`, and the paths of its dialects",
            Self::PushTimeout => "the body of the request did not arrive in time",
            Self::TooLarge => "the message is larger than the room's `limits.maxMessageBytes`",
            Self::Gone => "there is no such connection any more",
            Self::ClientBehind => "the client reads too slowly and as much waits for it as may: try again later",
            Self::PushesFull => "this gateway has as many pushes in its hands as it may: try again",
            Self::Unavailable => "the room cannot be reached now and nothing was delivered: try again",
            Self::OutcomeUnknown => "nobody confirmed it in time: it may have been delivered, or not",
        }
    }

    /// The answer, with a problem document. `retry_after_seconds` goes with every 429, 503 and 504, so that those who
    /// come back do not come at once.
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
        self.response_with("application/problem+json", body.into(), retry_after_seconds)
    }

    /// The answer, with a document of the caller's.
    #[must_use]
    pub fn response_with(self, media: &'static str, body: Bytes, retry_after_seconds: u8) -> Response<Full<Bytes>> {
        let status = self.status();
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::MethodNotAllowed { allow } => {
                headers.insert(ALLOW, HeaderValue::from_static(allow));
            }
            Self::Unauthorized => {
                // RFC 9110 (11.6.1) wants it with every 401.
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::UpgradeRequired | Self::WebSocketVersion => {
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                // RFC 9110 (7.8) wants it wherever Upgrade is sent.
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
                headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            }
            _ if passes_by_itself(status) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(u16::from(retry_after_seconds)));
            }
            _ => {}
        }
        response
    }
}

fn passes_by_itself(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
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
        assert_eq!(Refusal::MethodNotAllowed { allow: "GET" }.response(1).headers()[ALLOW], "GET");
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
