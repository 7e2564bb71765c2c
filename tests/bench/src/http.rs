//! HTTP over connections that stay: the client and the server of everything here, so that no side is better than another.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// One connection to one URL.
#[derive(Debug)]
pub(crate) struct Poster {
    sender: SendRequest<Full<Bytes>>,
    path: Uri,
    host: HeaderValue,
    // Ended with it.
    _connection: JoinSet<()>,
}

impl Poster {
    /// Connects to where `url` leads.
    ///
    /// # Errors
    /// When the URL has no address in it, or nobody listens there.
    pub(crate) async fn connect(url: &str) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url} is no URL"))?;
        let authority = uri.authority().with_context(|| format!("{url} names no host"))?.as_str();
        let address: SocketAddr = authority.parse().with_context(|| format!("{authority} is no address and port"))?;
        let stream = TcpStream::connect(address).await.with_context(|| format!("failed to connect to {authority}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut task = JoinSet::new();
        // Whoever posts hears of its end.
        task.spawn(async move { _ = connection.await });
        Ok(Self { sender, path: uri.path().parse()?, host: HeaderValue::from_str(authority)?, _connection: task })
    }

    /// Posts, and reads the answer to its end.
    ///
    /// # Errors
    /// When there is none, or another one than 200.
    pub(crate) async fn post(&mut self, body: Bytes) -> anyhow::Result<()> {
        let mut request = Request::post(self.path.clone()).body(Full::new(body))?;
        request.headers_mut().insert(HOST, self.host.clone());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status == StatusCode::OK, "answered with {status}: {}", String::from_utf8_lossy(&body));
        Ok(())
    }
}

/// Answers each request, given its path and its whole body. Until it is dropped.
///
/// # Errors
/// When no connection can be accepted any more.
pub(crate) async fn serve<Answer, Answering>(listener: TcpListener, answer: Answer) -> anyhow::Result<Infallible>
where
    Answer: Fn(Uri, Bytes) -> Answering + Clone + Send + 'static,
    Answering: Future<Output = Bytes> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answer = answer.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answer.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                Ok::<_, hyper::Error>(Response::new(Full::new(answer(head.uri, body).await)))
            }
        });
        // A caller that goes is no failure of the server.
        connections
            .spawn(async move { _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await });
        while connections.try_join_next().is_some() {}
    }
}
