//! One exchange with a function: a request, and what came back of it in time.

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::capture_connection;
use tokio::time::{Instant, timeout_at};

use super::client::Client;
use super::keys::SigningKeys;

/// As much of an answer's body is read.
const MOST_BODY_BYTES: usize = 64 * 1024;
/// A function that wants to be left alone for longer is asked again all the same.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

const AGENT: HeaderValue = HeaderValue::from_static(concat!("chatroom-gateway/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What a function is asked or told.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Names the event; the same however often it is sent.
    pub(super) id: String,
    pub(super) body: Bytes,
}

/// What a function said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    /// Of a success. Of anything else only the status counts, so it is not read.
    pub(super) body: Result<Bytes, NoBody>,
}

/// Why there is a status and no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoBody {
    /// It was not asked for.
    Unread,
    /// It is larger than anything that a function has to say.
    TooLarge,
    /// It broke off.
    Broken,
}

/// Why nothing was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Calls are signed, and there is no key to sign with.
    NoKey,
    /// The function was found down a moment ago.
    BreakerOpen,
    /// Others called it all the time.
    NoSlot,
    /// The gateway has lost touch with the room.
    Isolated,
    /// The gateway was declared dead.
    Fenced,
    /// There was no connection; the text says why.
    Unreachable(String),
    /// The time was up before a connection was there.
    NotConnected,
    /// The connection broke when something may have been sent; the text says how.
    Broken(String),
    /// The time was up when something may have been sent.
    TimedOut,
}

impl Silence {
    /// Whether the function surely heard nothing.
    pub(super) fn is_unheard(&self) -> bool {
        !matches!(self, Self::Broken(_) | Self::TimedOut)
    }

    /// Whether to call again is allowed, and may be of use.
    pub(super) fn passes(&self) -> bool {
        self.is_unheard() && *self != Self::Fenced
    }
}

/// The request of an event, signed if there are keys.
pub(super) fn request(uri: &Uri, event: &Event, keys: Option<&SigningKeys>) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(event.body.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.clone();
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(USER_AGENT, AGENT);
    headers.insert("webhook-id", visible(&event.id));
    if let Some(keys) = keys {
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        headers.insert("webhook-timestamp", timestamp.into());
        headers.insert("webhook-signature", visible(&keys.sign(&event.id, timestamp, &event.body)));
    }
    request
}

fn visible(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("IDs and signatures are visible ASCII")
}

/// Sends a request and takes the answer, all of it before the deadline. Dropping the future closes the connection.
pub(super) async fn exchange(
    client: &Client,
    mut request: Request<Full<Bytes>>,
    deadline: Instant,
) -> Result<Answer, Silence> {
    let connection = capture_connection(&mut request);
    let exchange = async {
        let response = client.request(request).await.map_err(|error| silence(&error))?;
        let (head, body) = response.into_parts();
        let body = if head.status.is_success() { read(body).await } else { Err(NoBody::Unread) };
        Ok(Answer { status: head.status, retry_after: retry_after(&head.headers, SystemTime::now()), body })
    };
    match timeout_at(deadline, exchange).await {
        Ok(said) => said,
        Err(_) if connection.connection_metadata().is_some() => Err(Silence::TimedOut),
        Err(_) => Err(Silence::NotConnected),
    }
}

/// Reads a body up to its end or to the most that is read. What is left over costs the connection.
async fn read(mut body: Incoming) -> Result<Bytes, NoBody> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| NoBody::Broken)?;
        let data = frame.data_ref().map_or(&[][..], |data| data);
        if whole.len() + data.len() > MOST_BODY_BYTES {
            return Err(NoBody::TooLarge);
        }
        whole.extend_from_slice(data);
    }
    Ok(whole.into())
}

fn silence(error: &hyper_util::client::legacy::Error) -> Silence {
    // Canceled is what was never begun: hyper hands such a request back whole.
    let canceled = error.source().and_then(|source| source.downcast_ref()).is_some_and(hyper::Error::is_canceled);
    let why = causes(error);
    if error.is_connect() || canceled { Silence::Unreachable(why) } else { Silence::Broken(why) }
}

/// What went wrong, from the outside to the inside. The error itself says no more than that it is the client's.
fn causes(error: &hyper_util::client::legacy::Error) -> String {
    let mut text = String::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let separator = if text.is_empty() { "" } else { ": " };
        // Some causes repeat what is inside of them.
        let said = cause.to_string();
        if !text.ends_with(&said) {
            let _ = write!(text, "{separator}{said}");
        }
        next = cause.source();
    }
    text
}

/// `Retry-After`, in either of its forms; longer than an hour is an hour.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        // More digits than fit are a long time, too.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_at_most_an_hour() {
        let now = UNIX_EPOCH + Duration::from_secs(1_445_412_480);
        let parse = |value: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
            retry_after(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(parse("0"), Some(0));
        assert_eq!(parse(" 120 "), Some(120));
        assert_eq!(parse("Wed, 21 Oct 2015 07:29:00 GMT"), Some(60));
        assert_eq!(parse("Wed, 21 Oct 2015 07:27:00 GMT"), Some(0));
        for long in ["3601", "99999999999999999999999999", "Wed, 21 Oct 2026 07:29:00 GMT"] {
            assert_eq!(parse(long), Some(3600), "{long}");
        }
        for nonsense in ["", "soon", "-1", "1.5", "+5"] {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
