//! What a push asks for and what comes of it, what functions are asked and what they say, in words that no cloud owns.
//! Each dialect translates to and from them.

pub mod plain;
pub mod tencent;

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;

use crate::http::problem::Refusal;
use crate::id::ConnectionId;
use crate::message::Kind;

/// A request to the push port whose key was good.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path behind what belongs to the dialect, without the key.
    pub path: &'a str,
    /// What stands behind `?`.
    pub query: Option<&'a str>,
    /// What the body is said to be.
    pub content_type: Option<&'a str>,
    /// The body.
    pub body: Bytes,
}

/// What a push asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Write a message to one client. It has no place in the room's order, and nobody can resume it.
    Send {
        /// To whom.
        to: ConnectionId,
        /// Text or binary.
        kind: Kind,
        /// The message; text is UTF-8.
        payload: Bytes,
    },
    /// Say something to everybody in the room: a message like any other, with its place in order and history.
    Publish {
        /// Text or binary.
        kind: Kind,
        /// The message; text is UTF-8.
        payload: Bytes,
        /// Who gets no copy; at most [`MOST_EXCLUDED`].
        exclude: Vec<ConnectionId>,
    },
    /// Close a client's connection.
    Close {
        /// Whose.
        id: ConnectionId,
        /// Close code for the client; absent: 1000.
        code: Option<u16>,
        /// Close reason for the client, at most 123 bytes of UTF-8; may be empty.
        reason: String,
    },
    /// Tell what is known of a connection.
    Describe {
        /// Of which.
        id: ConnectionId,
    },
}

/// What kind of command a push is: some dialects answer "gone" differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// [`Command::Send`].
    Send,
    /// [`Command::Publish`].
    Publish,
    /// [`Command::Close`].
    Close,
    /// [`Command::Describe`].
    Describe,
}

impl Command {
    /// Its kind.
    #[must_use]
    pub fn verb(&self) -> Verb {
        match self {
            Self::Send { .. } => Verb::Send,
            Self::Publish { .. } => Verb::Publish,
            Self::Close { .. } => Verb::Close,
            Self::Describe { .. } => Verb::Describe,
        }
    }
}

/// Why a request is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPush {
    /// Nothing could be done with it, whoever was asked.
    Refused(Refusal),
    /// It is well formed and names a connection that no gateway can ever have had. Its answer is that of a connection
    /// which is gone, so that a function that kept an ID of the platform before forgets it.
    Nobody(Verb),
}

impl From<Refusal> for BadPush {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// How many connections a push to everybody may leave out: they are compared with each sender of each gateway.
pub const MOST_EXCLUDED: usize = 100;

/// What came of a push. Every one of them is certain but [`Outcome::Unknown`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client's socket took the frame, or it stands in the queue of that client alone, which is written in order.
    Sent,
    /// The message has its place in the room.
    Published {
        /// Its number.
        seq: u64,
        /// People in the room at that place, those left out included.
        online: u64,
    },
    /// The connection closes.
    Closing,
    /// What is known of the connection.
    Described(Description),
    /// There is no such connection any more. Said by the registry or by the owner, never because nobody answered.
    Gone,
    /// The client reads too slowly: as much waits for it as may (`limits.maxPendingBytes`). Not delivered.
    Full,
    /// The message is larger than `limits.maxMessageBytes`. Not delivered.
    TooLarge,
    /// Surely not delivered: to try again is safe.
    Unavailable,
    /// The owner was asked and has not answered in time: it may have been delivered.
    Unknown,
}

impl Outcome {
    /// What a caller hears of an outcome that is no success.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Sent | Self::Published { .. } | Self::Closing | Self::Described(_) => None,
            Self::Gone => Some(Refusal::Gone),
            Self::Full => Some(Refusal::ClientBehind),
            Self::TooLarge => Some(Refusal::TooLarge),
            Self::Unavailable => Some(Refusal::Unavailable),
            Self::Unknown => Some(Refusal::OutcomeUnknown),
        }
    }
}

/// What is known of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// When it was accepted, in milliseconds since 1970.
    pub connected_at: u64,
    /// When the client was last heard, in milliseconds since 1970.
    pub last_active_at: u64,
    /// The peer's address, without a port.
    pub address: String,
    /// What the client said it is; may be empty.
    pub user_agent: String,
}

/// A client that wants in, as the register function is told of it.
#[derive(Clone, Debug)]
pub struct Connecting {
    /// Under which ID it will be known.
    pub id: ConnectionId,
    /// The peer's address.
    pub address: IpAddr,
    /// `Sec-WebSocket-Protocol` as the client sent it, lines joined by `,`; absent: not sent.
    pub subprotocols: Option<String>,
    /// `Sec-WebSocket-Extensions` as the client sent it; absent: not sent.
    pub extensions: Option<String>,
    /// Headers of the upgrade, in the order in which they came; told only where the room says so.
    pub headers: Vec<(String, String)>,
    /// What stood behind `?`; told only where the room says so.
    pub query: Option<String>,
}

/// What the register function says about a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may come in.
    Accepted {
        /// The subprotocol that the function chose, if the client offered it.
        subprotocol: Option<String>,
    },
    /// It may not.
    Refused,
}

/// What is wrong with an answer that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadAnswer(pub &'static str);

/// The connection that a text names.
fn connection(text: &str, verb: Verb) -> Result<ConnectionId, BadPush> {
    text.parse().map_err(|_| BadPush::Nobody(verb))
}

/// The methods of a resource are all that it takes.
fn not_allowed<T>(allow: &'static str) -> Result<T, BadPush> {
    Err(Refusal::MethodNotAllowed { allow }.into())
}

fn invalid<T>(what: &'static str) -> Result<T, BadPush> {
    Err(Refusal::InvalidPush(what).into())
}

fn json(body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
