//! The HTTP server of the push port: who asks, what for, and the answer. A request's path may hold a key, so nothing of
//! a request is ever logged.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chatroom_settings::{Dialect, Hot};
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE};
use http::request::Parts as Head;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::Carrier;
use super::keys::Keys;
use crate::dialect::{BadPush, Outcome, Request, Verb, plain, tencent};
use crate::http::accept;
use crate::http::connection::linger;
use crate::http::head::{MAX_FIELDS, MAX_HEAD_BYTES};
use crate::http::problem::{Refusal, random_retry_after};
use crate::membership::Standing;
use crate::metrics::{ByPush, Metrics};
use crate::readiness::Readiness;

/// Connections to the push port. Functions keep some open; those above are closed at once and counted.
pub const MAX_CONNECTIONS: usize = 1000;
/// KiB of bodies that are held at a time; further pushes wait for their turn. A single larger one takes it all.
const BODIES_KIB: u32 = 64 * 1024;
/// JSON may write each byte of a text as `\u0000`; base64 takes less.
const MOST_JSON_BYTES_PER_BYTE: usize = 6;
/// What a cloud's words put around a message, a hundred excluded connections among them.
const MAX_ENVELOPE_BYTES: usize = 16 * 1024;

/// How long a caller may take over what it owes, and how long it may have to wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the head of a request, counted from the end of the one before: an idle connection ends with it.
    pub head: Duration,
    /// For the body, and its turn.
    pub body: Duration,
    /// Until an outcome counts as unknown. Whoever carries is quicker; this is for the day when it is not.
    pub outcome: Duration,
    /// For a connection, which then ends after its request: so that callers find new gateways, and that one that does
    /// not read its answers does not hold a place for ever.
    pub connection: Duration,
    /// For reading the last answer: a socket closed at once over unread bytes is reset, and the answer lost with it.
    pub linger: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(30),
            body: Duration::from_secs(30),
            outcome: Duration::from_secs(30),
            connection: Duration::from_secs(600),
            linger: Duration::from_secs(2),
        }
    }
}

/// Everything that all connections to the push port share.
#[derive(Debug)]
pub struct Port<C> {
    parts: Parts<C>,
    bodies: Arc<Semaphore>,
}

/// What a port is made of.
#[derive(Debug)]
pub struct Parts<C> {
    /// Whoever carries commands out.
    pub carrier: C,
    /// Who may ask.
    pub keys: watch::Receiver<Arc<Keys>>,
    /// How the gateway stands.
    pub readiness: Readiness,
    /// The limits of now.
    pub hot: watch::Receiver<Arc<Hot>>,
    /// What is spoken beside the plain API.
    pub dialects: Vec<Dialect>,
    /// How long a caller may take.
    pub patience: Patience,
    /// What is counted.
    pub metrics: Metrics,
}

/// In which words a request asks, and will be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tongue {
    Plain,
    Tencent,
}

impl<C: Carrier> Port<C> {
    /// Puts it together.
    #[must_use]
    pub fn new(parts: Parts<C>) -> Self {
        Self { parts, bodies: Arc::new(Semaphore::new(BODIES_KIB as usize)) }
    }

    /// Serves until it is dropped, at most `places` connections at a time.
    pub async fn run(self: Arc<Self>, listener: TcpListener, places: usize) {
        let full = || self.count("none", "connections_full");
        let serve = |stream, _| Arc::clone(&self).serve(stream);
        accept::take(listener, places, &self.parts.metrics, full, serve).await;
    }

    async fn serve(self: Arc<Self>, stream: TcpStream) {
        // An answer is one small write; without this it would wait for the caller's acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let service = service_fn(|request| {
            let port = &self;
            Box::pin(async move { Ok::<_, Infallible>(port.answer(request).await) })
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.parts.patience.head)
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_FIELDS)
            .serve_connection(TokioIo::new(stream), service);
        let mut ended =
            timeout(self.parts.patience.connection, poll_fn(|task| connection.poll_without_shutdown(task))).await;
        if ended.is_err() {
            Pin::new(&mut connection).graceful_shutdown();
            let last = self.parts.patience.body + self.parts.patience.outcome;
            ended = timeout(last, poll_fn(|task| connection.poll_without_shutdown(task))).await;
        }
        if let Ok(Ok(())) = ended {
            linger(connection.into_parts().io.into_inner(), self.parts.patience.linger).await;
        }
    }

    async fn answer(&self, request: http::Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let tongue = self.tongue(head.uri.path());
        let pushed = self.push(tongue, &head, body).await;
        let refusal = match &pushed {
            Ok((_, outcome)) => outcome.refusal(),
            Err(refusal) => Some(*refusal),
        };
        self.count(tongue.name(), refusal.map_or("ok", Refusal::code));
        let retry_after = random_retry_after();
        let mut response = match (tongue, &pushed) {
            (Tongue::Plain, Ok((_, outcome))) => plain::answer(outcome, retry_after),
            (Tongue::Plain, Err(refusal)) => refusal.response(retry_after),
            (Tongue::Tencent, Ok((verb, outcome))) => tencent::answer(*verb, outcome, retry_after),
            (Tongue::Tencent, Err(refusal)) => tencent::refuse(*refusal, retry_after),
        };
        if self.parts.readiness.is_draining() || matches!(pushed, Err(Refusal::TooLarge | Refusal::PushTimeout)) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// The key comes first: who has none learns nothing, not even what is there.
    async fn push(&self, tongue: Tongue, head: &Head, body: Incoming) -> Result<(Verb, Outcome), Refusal> {
        self.admit(tongue, head)?;
        match self.parts.readiness.standing() {
            Standing::Leased => {}
            Standing::Joining => return Err(Refusal::Joining),
            Standing::Isolated => return Err(Refusal::Isolated),
        }
        let (body, _room) = self.read(tongue, body).await?;
        let begun = Instant::now();
        let request = Request {
            method: &head.method,
            path: head.uri.path(),
            query: head.uri.query(),
            content_type: head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()),
            body,
        };
        let command = match tongue {
            Tongue::Plain => plain::command(&request),
            Tongue::Tencent => tencent::command(&request),
        };
        let command = match command {
            Ok(command) => command,
            Err(BadPush::Refused(refusal)) => return Err(refusal),
            Err(BadPush::Nobody(verb)) => return Ok((verb, Outcome::Gone)),
        };
        let verb = command.verb();
        let outcome =
            timeout(self.parts.patience.outcome, self.parts.carrier.carry(command)).await.unwrap_or(Outcome::Unknown);
        self.parts.metrics.push_seconds.0.observe(begun.elapsed().as_secs_f64());
        Ok((verb, outcome))
    }

    fn admit(&self, tongue: Tongue, head: &Head) -> Result<(), Refusal> {
        let keys = Arc::clone(&self.parts.keys.borrow());
        if keys.is_empty() {
            return Err(Refusal::PushKeysMissing);
        }
        let presented = tongue.key_in(head.uri.path()).or_else(|| bearer(&head.headers).map(Cow::Borrowed));
        if presented.is_some_and(|key| keys.accept(&key)) { Ok(()) } else { Err(Refusal::Unauthorized) }
    }

    /// Reads a body when there is room for it.
    async fn read(&self, tongue: Tongue, body: Incoming) -> Result<(Bytes, OwnedSemaphorePermit), Refusal> {
        let most = tongue.most_body_bytes(self.parts.hot.borrow().limits.max_message_bytes as usize);
        let announced = body.size_hint();
        if announced.lower() > most as u64 {
            return Err(Refusal::TooLarge);
        }
        let bytes = announced.upper().unwrap_or(most as u64);
        let kib = u32::try_from(bytes.div_ceil(1024)).map_or(BODIES_KIB, |kib| kib.min(BODIES_KIB));
        let deadline = Instant::now() + self.parts.patience.body;
        let Ok(Ok(room)) = timeout_at(deadline, Arc::clone(&self.bodies).acquire_many_owned(kib)).await else {
            return Err(Refusal::PushesFull);
        };
        match timeout_at(deadline, Limited::new(body, most).collect()).await {
            Ok(Ok(body)) => Ok((body.to_bytes(), room)),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
            Ok(Err(_)) => Err(Refusal::MalformedRequest("the body of the request ends too early, or is no HTTP")),
            Err(_) => Err(Refusal::PushTimeout),
        }
    }

    fn tongue(&self, path: &str) -> Tongue {
        let tencent = path.strip_prefix(tencent::ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if tencent && self.parts.dialects.contains(&Dialect::Tencent) { Tongue::Tencent } else { Tongue::Plain }
    }

    fn count(&self, dialect: &'static str, outcome: &'static str) {
        self.parts.metrics.pushes.get_or_create(&ByPush { dialect, outcome }).inc();
    }
}

impl Tongue {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tencent => "tencent",
        }
    }

    /// The key, for those who can send no header. It may have been escaped, as `/` and `=` of base64 often are; escaped
    /// or not, all that stands behind the root is the key.
    fn key_in(self, path: &str) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Plain => None,
            Self::Tencent => {
                let key = path.strip_prefix(tencent::ROOT)?.strip_prefix('/').filter(|key| !key.is_empty())?;
                Some(percent_encoding::percent_decode_str(key).into())
            }
        }
    }

    /// Bytes of the largest body that can hold a message of `message` bytes.
    fn most_body_bytes(self, message: usize) -> usize {
        match self {
            Self::Plain => message,
            Self::Tencent => message.saturating_mul(MOST_JSON_BYTES_PER_BYTE).saturating_add(MAX_ENVELOPE_BYTES),
        }
    }
}

/// The key in `Authorization: Bearer <key>`.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| key.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_path_may_be_escaped_and_hold_slashes() {
        let key = |path| Tongue::Tencent.key_in(path).map(|key| String::from_utf8(key.into_owned()).unwrap());
        assert_eq!(key("/push/abc"), Some("abc".into()));
        assert_eq!(key("/push/a/b+c=="), Some("a/b+c==".into()));
        assert_eq!(key("/push/a%2Fb%2bc%3D="), Some("a/b+c==".into()));
        assert_eq!((key("/push"), key("/push/")), (None, None));
    }

    #[test]
    fn only_a_bearer_is_a_bearer() {
        let of = |value: &str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(value).unwrap())]);
            bearer(&headers).map(<[u8]>::to_vec)
        };
        assert_eq!(of("Bearer abc"), Some(b"abc".to_vec()));
        assert_eq!(of("bearer  abc "), Some(b"abc".to_vec()));
        for other in ["Basic abc", "Bearer", "abc"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn the_largest_message_fits_however_json_writes_it() {
        let text = serde_json::to_string(&"\0".repeat(1000)).unwrap();
        assert!(text.len() <= Tongue::Tencent.most_body_bytes(1000));
        assert_eq!(Tongue::Plain.most_body_bytes(1000), 1000);
    }
}
