//! Functions in the test's own process: they say yes to everything, push what they are told to everybody, and remember each call.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::push;

/// One of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Asked when a client comes.
    Register,
    /// Told what it says.
    Transport,
    /// Told that it went.
    Cleanup,
}

/// One call, as it came.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whose.
    pub function: Function,
    /// The connection that it is about.
    pub id: String,
    /// The header of this name.
    pub webhook_id: String,
    /// Whether there was a signature, good or not.
    pub signed: bool,
    /// What the client said; empty unless it said something.
    pub text: String,
    /// When it came.
    pub at: Instant,
}

/// The functions of a room; they end with the guard.
#[derive(Debug)]
pub struct FunctionServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    calls: Vec<Call>,
    /// Status of each push that has ended.
    pushed: Vec<u16>,
    push_url: Option<String>,
}

impl FunctionServer {
    /// Starts them on a port that is free.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, crate::ports::free_block()));
        let mut server = Self { address, shared: Arc::default(), serving: JoinSet::new() };
        server.start_again().await;
        server
    }

    /// Lets them push what they are told from now on to everybody but the one who said it.
    pub fn push_to(&self, url: &str) {
        self.shared.notes().push_url = Some(url.to_owned());
    }

    /// The URL of one of them.
    #[must_use]
    pub fn url(&self, function: Function) -> String {
        format!("http://{}{}", self.address, function.path())
    }

    /// Ends the server as a crash would: nobody listens any more, and who was being answered hears the end of the connection.
    pub async fn stop(&mut self) {
        self.serving.shutdown().await;
    }

    /// Starts it again at its old address. It remembers what it was told before.
    ///
    /// # Panics
    /// When somebody else listens there by now.
    pub async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the port is free, as it was before");
        self.serving.spawn(serve(listener, Arc::clone(&self.shared)));
    }

    /// All calls so far, in the order in which they came.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.notes().calls.clone()
    }

    /// The calls of one function.
    #[must_use]
    pub fn calls_of(&self, function: Function) -> Vec<Call> {
        self.shared.notes().calls.iter().filter(|call| call.function == function).cloned().collect()
    }

    /// The connections that one function was called for.
    #[must_use]
    pub fn ids(&self, function: Function) -> BTreeSet<String> {
        self.calls_of(function).into_iter().map(|call| call.id).collect()
    }

    /// The statuses of all pushes that have ended.
    #[must_use]
    pub fn pushed(&self) -> Vec<u16> {
        self.shared.notes().pushed.clone()
    }

    /// Holds the calls so far against what every room promises: a connection is registered first and cleaned up last, its cleanup
    /// goes by the connection's own ID, no message is told twice, and everything is signed.
    ///
    /// # Panics
    /// When it is otherwise.
    pub fn were_called_in_order(&self) {
        let (mut came, mut gone) = (BTreeSet::new(), BTreeSet::new());
        let mut told = BTreeSet::new();
        for call in self.calls() {
            let Call { function, id, webhook_id, .. } = &call;
            assert!(call.signed, "not signed: {call:?}");
            match function {
                Function::Register => assert!(came.insert(id.clone()), "registered twice: {call:?}"),
                Function::Transport => {
                    assert!(came.contains(id) && !gone.contains(id), "not between register and cleanup: {call:?}");
                    assert!(told.insert(webhook_id.clone()), "told twice: {call:?}");
                }
                Function::Cleanup => {
                    assert!(came.contains(id), "never registered: {call:?}");
                    assert_eq!(webhook_id, id, "a cleanup goes by the ID of its connection: {call:?}");
                    gone.insert(id.clone());
                }
            }
        }
    }
}

impl Function {
    const ALL: [Self; 3] = [Self::Register, Self::Transport, Self::Cleanup];

    fn path(self) -> &'static str {
        match self {
            Self::Register => "/register",
            Self::Transport => "/transport",
            Self::Cleanup => "/cleanup",
        }
    }
}

impl Shared {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // They end with the listener.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = service_fn(|request| answer(request, Arc::clone(&shared)));
                    // Whoever breaks off in the middle has been remembered, as far as it came.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let function = Function::ALL.into_iter().find(|function| function.path() == parts.uri.path());
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let (Some(function), Ok(event)) = (function, serde_json::from_slice::<Value>(&body)) else {
        return Ok(status(400));
    };
    let websocket = &event["websocket"];
    let (id, text) = (text(&websocket["secConnectionID"]), text(&websocket["data"]));
    let call = Call {
        function,
        id: id.clone(),
        webhook_id: header(&parts.headers, "webhook-id"),
        signed: header(&parts.headers, "webhook-signature").starts_with("v1,"),
        text: text.clone(),
        at: Instant::now(),
    };
    let push_url = {
        let mut notes = shared.notes();
        notes.calls.push(call);
        notes.push_url.clone()
    };
    let answer = match function {
        Function::Register => json!({"errNo": 0, "errMsg": "ok", "websocket": websocket}).to_string(),
        Function::Transport => {
            if let Some(url) = push_url {
                // By itself: a function that has begun goes on when the gateway that called it is gone.
                let _ = tokio::spawn(async move { say_to_others(&url, &id, &text, &shared).await }).await;
            }
            "send success".to_owned()
        }
        Function::Cleanup => event.to_string(),
    };
    Ok(Response::new(Full::from(answer)))
}

async fn say_to_others(url: &str, id: &str, text: &str, shared: &Shared) {
    let mut websocket = push::data_send("*", text);
    websocket["exclude"] = json!([id]);
    let status = push::tencent(url, &websocket).await.map_or(0, |answer| answer.status().as_u16());
    shared.notes().pushed.push(status);
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn status(status: u16) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status.try_into().expect("it is a status");
    response
}
