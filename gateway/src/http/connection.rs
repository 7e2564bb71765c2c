//! One connection to the public port, from its first byte to a session or a refusal.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chatroom_settings::Hot;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE, USER_AGENT};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Entrance;
use super::guard::{self, Asked, Routes, Upgrade};
use super::head::{HeadScan, MAX_FIELDS, MAX_HEAD_BYTES};
use super::page::Page;
use super::problem::{Refusal, random_retry_after};
use super::rewound::Rewound;
use crate::admission::{self, ClientRequest, Denial, House};
use crate::functions::NoAnswer;
use crate::metrics::{ByReason, Metrics};
use crate::readiness::Readiness;
use crate::session::AdmitError;

/// How long a client may take over what it owes.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until its first byte. A browser that connects in advance has this long to say what for.
    pub first_byte: Duration,
    /// From then until the end of the head.
    pub head: Duration,
    /// For reading a refusal: a socket closed at once over unread bytes is reset, and the answer lost with it.
    pub linger: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { first_byte: Duration::from_secs(5), head: Duration::from_secs(10), linger: Duration::from_secs(2) }
    }
}

/// Bytes of a refused request that are read and thrown away.
const MAX_LINGER_BYTES: usize = 1024 * 1024;

/// Bytes of the `User-Agent` that are kept.
const MAX_USER_AGENT_BYTES: usize = 256;

/// What stands in for a head that was refused, so that one place writes all answers.
const STAND_IN: Bytes = Bytes::from_static(b"GET / HTTP/1.1\r\nhost: refused\r\n\r\n");

/// Everything that all connections to the public port share.
#[derive(Debug)]
pub struct Front<E> {
    /// Where a client goes that may come in.
    pub entrance: E,
    /// What lives here.
    pub routes: Routes,
    /// What a browser gets, when [`Routes::page`] says that it gets one.
    pub page: Page,
    /// Whether clients are taken.
    pub readiness: Readiness,
    /// The limits of now.
    pub hot: watch::Receiver<Arc<Hot>>,
    /// How long a client may take.
    pub patience: Patience,
    /// What is counted.
    pub metrics: Metrics,
}

/// How the wait for a head ended.
enum Opening {
    /// A good head, and perhaps what came behind it.
    Good(Bytes),
    /// No good head; the client hears why.
    Bad(Refusal),
    /// Nobody to answer.
    Gone,
}

/// What a request came to.
enum Outcome<T> {
    Session(Response<Full<Bytes>>, T),
    Page(Response<Full<Bytes>>),
    Refused(Refusal),
}

/// Carries one connection; returns when its session has begun, or when it is over.
pub async fn serve<E: Entrance>(front: &Front<E>, mut stream: TcpStream, peer: SocketAddr) {
    match open(&mut stream, &front.patience).await {
        Opening::Good(head) => exchange(front, stream, head, Ok(peer)).await,
        Opening::Bad(refusal) => exchange(front, stream, STAND_IN, Err(refusal)).await,
        Opening::Gone => {}
    }
}

async fn open(stream: &mut TcpStream, patience: &Patience) -> Opening {
    // A look at one byte, so that no buffer is held for those who say nothing. (`readable()` may say yes too early.)
    if !matches!(timeout(patience.first_byte, stream.peek(&mut [0])).await, Ok(Ok(1))) {
        return Opening::Gone;
    }
    match timeout(patience.head, read_head(stream)).await {
        Ok(opening) => opening,
        Err(_) => Opening::Bad(Refusal::RequestTimeout),
    }
}

async fn read_head(stream: &mut TcpStream) -> Opening {
    let mut bytes = BytesMut::with_capacity(1024);
    let mut scan = HeadScan::default();
    loop {
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return Opening::Gone,
            Ok(_) => {}
        }
        match scan.advance(&bytes) {
            Ok(None) => {}
            Ok(Some(_)) => return Opening::Good(bytes.freeze()),
            Err(refusal) => return Opening::Bad(refusal),
        }
    }
}

/// One request and its answer. `asked_by` is the peer, or what is wrong already.
async fn exchange<E: Entrance>(
    front: &Front<E>,
    stream: TcpStream,
    head: Bytes,
    asked_by: Result<SocketAddr, Refusal>,
) {
    let admitted = Mutex::new(None);
    let service = service_fn(|request: Request<Incoming>| {
        let admitted = &admitted;
        async move {
            let outcome = match asked_by {
                Ok(peer) => answer(front, &request.into_parts().0, peer).await,
                Err(refusal) => Outcome::Refused(refusal),
            };
            Ok::<_, Infallible>(match outcome {
                Outcome::Session(response, ticket) => {
                    *admitted.lock().unwrap_or_else(PoisonError::into_inner) = Some(ticket);
                    response
                }
                Outcome::Page(response) => last(response),
                Outcome::Refused(refusal) => {
                    front.metrics.refusals.get_or_create(&ByReason { reason: refusal.code() }).inc();
                    last(refusal.response(random_retry_after()))
                }
            })
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(front.patience.head)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_FIELDS)
        .serve_connection(TokioIo::new(Rewound { prefix: head, stream }), service);
    let (Rewound { prefix, stream }, read_buf) = match connection.without_shutdown().await {
        Ok(parts) => (parts.io.into_inner(), parts.read_buf),
        // The client left in the middle.
        Err(_) => return,
    };
    match admitted.into_inner().unwrap_or_else(PoisonError::into_inner) {
        // A copy: what was read ahead is a few bytes of a buffer of some KiB.
        Some(ticket) => front.entrance.start(ticket, stream, [read_buf, prefix].concat().into()),
        None => linger(stream, front.patience.linger).await,
    }
}

/// Says that the connection ends with this answer, as all do that are no "yes". (The library could say so by itself,
/// but would then say it in a 101 as well.)
fn last(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    response.headers_mut().append(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Lets the client read its answer: says that no more comes, and throws away what it still sends.
pub(crate) async fn linger(mut stream: TcpStream, patience: Duration) {
    let rest = async {
        stream.shutdown().await?;
        let mut scratch = [0; 4096];
        let mut left = MAX_LINGER_BYTES;
        while left > 0 {
            match stream.read(&mut scratch).await? {
                0 => break,
                count => left = left.saturating_sub(count),
            }
        }
        std::io::Result::Ok(())
    };
    // Whether the client heard it or left: the connection is over.
    let _ = timeout(patience, rest).await;
}

async fn answer<E: Entrance>(front: &Front<E>, request: &Parts, peer: SocketAddr) -> Outcome<E::Ticket> {
    match guard::examine(request, &front.routes) {
        Err(refusal) => Outcome::Refused(refusal),
        Ok(Asked::Page) => Outcome::Page(front.page.response()),
        Ok(Asked::Upgrade(upgrade)) => let_in(front, upgrade, request, peer).await.unwrap_or_else(Outcome::Refused),
    }
}

async fn let_in<E: Entrance>(
    front: &Front<E>,
    upgrade: Upgrade,
    request: &Parts,
    peer: SocketAddr,
) -> Result<Outcome<E::Ticket>, Refusal> {
    let client = ClientRequest {
        address: peer.ip().to_canonical(),
        user_agent: request.headers.get(USER_AGENT).map(user_agent),
        origin: upgrade.origin,
        headers: request.headers.clone(),
        query: request.uri.query().map(str::to_owned),
    };
    let hot = Arc::clone(&front.hot.borrow());
    let house = House {
        openness: front.readiness.openness(),
        taken: front.entrance.count(),
        seats: hot.limits.max_connections_per_pod as usize,
        allowed_origins: hot.allowed_origins.as_deref(),
    };
    admission::decide(&client, &house)?;
    let ticket = front.entrance.admit(client).await?;
    let subprotocol = front.entrance.subprotocol(&ticket);
    Ok(Outcome::Session(switching_protocols(&upgrade.accept_key, subprotocol), ticket))
}

/// No extension is ever chosen, and a subprotocol only by a function: RFC 6455 (4.2.2) lets a server leave out what it does
/// not speak.
fn switching_protocols(accept_key: &str, subprotocol: Option<&str>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    let accept_key = HeaderValue::from_str(accept_key).expect("base64 is a good header value");
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept_key);
    if let Some(subprotocol) = subprotocol {
        let subprotocol = HeaderValue::from_str(subprotocol).expect("the client offered it, as a token");
        headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    response
}

fn user_agent(value: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes());
    text[..text.floor_char_boundary(MAX_USER_AGENT_BYTES)].to_owned()
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Joining => Self::Joining,
            Denial::Isolated => Self::Isolated,
            Denial::Draining => Self::Draining,
            Denial::Full => Self::PodFull,
            Denial::OriginNotAllowed => Self::OriginNotAllowed,
        }
    }
}

impl From<AdmitError> for Refusal {
    fn from(error: AdmitError) -> Self {
        match error {
            AdmitError::Unavailable => Self::RegistryUnavailable,
            AdmitError::Draining => Self::Draining,
            AdmitError::Full => Self::PodFull,
            AdmitError::Refused => Self::RegisterRefused,
            AdmitError::NoAnswer(NoAnswer::Bad) => Self::RegisterFailed,
            AdmitError::NoAnswer(NoAnswer::Unreachable) => Self::RegisterUnreachable,
            AdmitError::NoAnswer(NoAnswer::TimedOut) => Self::RegisterTimedOut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_user_agent_is_cut_between_characters() {
        let value = HeaderValue::from_bytes("ä".repeat(200).as_bytes()).unwrap();
        assert_eq!(user_agent(&value).len(), 256);
        let odd = HeaderValue::from_bytes(format!("a{}", "ä".repeat(200)).as_bytes()).unwrap();
        assert_eq!(user_agent(&odd).len(), 255);
    }
}
