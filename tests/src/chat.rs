//! A raw chat client: what it sends is a message, what it receives is a message.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::wait::SOON;

/// What reached the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Bytes),
    /// The other side closed, with this code; absent: without one, or the stream broke.
    Closed(Option<u16>),
}

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One connected client. As a browser's, its socket is read and its pings are answered also while nobody asks what came.
pub struct ChatClient {
    name: String,
    sink: SplitSink<Stream, Message>,
    arrived: mpsc::Receiver<Received>,
    _reader: AbortOnDropHandle,
    history: VecDeque<Received>,
}

/// Things that wait to be asked for. Nobody asks that late; a client that has more of them stops reading.
const MOST_WAITING: usize = 10_000;

/// Ends the reading with the client, so that dropping a client breaks its connection.
struct AbortOnDropHandle(JoinHandle<()>);

impl Drop for AbortOnDropHandle {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How many received things a failure shows.
const SHOWN: usize = 10;
/// How much of each it shows.
const SHOWN_CHARACTERS: usize = 120;

impl ChatClient {
    /// Connects; `name` is for the words of a failure.
    ///
    /// # Errors
    /// When the gateway refuses or is not there.
    pub async fn try_connect(name: &str, url: &str) -> anyhow::Result<Self> {
        Self::try_connect_with(name, url, &[]).await
    }

    /// As [`Self::try_connect`], with further headers.
    ///
    /// # Errors
    /// When the gateway refuses or is not there.
    ///
    /// # Panics
    /// When a header's value cannot stand in a header.
    pub async fn try_connect_with(
        name: &str,
        url: &str,
        headers: &[(&'static str, &'static str)],
    ) -> anyhow::Result<Self> {
        let mut request = url.into_client_request()?;
        for (header, value) in headers {
            request.headers_mut().insert(*header, HeaderValue::from_static(value));
        }
        let without_delay = true;
        let (stream, _) = connect_async_with_config(request, None, without_delay)
            .await
            .with_context(|| format!("{name} connects to {url}"))?;
        let (sink, frames) = stream.split();
        let (arrive, arrived) = mpsc::channel(MOST_WAITING);
        let reader = AbortOnDropHandle(tokio::spawn(read(frames, arrive)));
        Ok(Self { name: name.to_owned(), sink, arrived, _reader: reader, history: VecDeque::new() })
    }

    /// Connects.
    ///
    /// # Panics
    /// When the gateway refuses or is not there.
    pub async fn connect(name: &str, url: &str) -> Self {
        Self::try_connect(name, url).await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Says a text message.
    ///
    /// # Panics
    /// When the connection is broken.
    pub async fn say(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    /// Sends a binary message.
    ///
    /// # Panics
    /// When the connection is broken.
    pub async fn say_bytes(&mut self, bytes: &[u8]) {
        self.send(Message::binary(bytes.to_vec())).await;
    }

    /// Sends without minding whether the other side still reads.
    pub async fn try_say(&mut self, text: &str) -> bool {
        self.sink.send(Message::text(text)).await.is_ok()
    }

    /// The next thing that arrives.
    ///
    /// # Panics
    /// When nothing arrives.
    pub async fn next(&mut self) -> Received {
        match self.next_within(SOON).await {
            Some(received) => received,
            None => panic!("{self} received nothing within {SOON:?}"),
        }
    }

    /// The next thing that arrives before the deadline; `None`: nothing did.
    pub async fn next_within(&mut self, deadline: Duration) -> Option<Received> {
        let received = match timeout(deadline, self.arrived.recv()).await.ok()? {
            Some(received) => received,
            // The end was told before; whoever asks again hears it again.
            None => Received::Closed(None),
        };
        self.history.push_back(received.clone());
        if self.history.len() > SHOWN {
            self.history.pop_front();
        }
        Some(received)
    }

    /// The next thing that arrives is exactly this text.
    ///
    /// # Panics
    /// When it is not.
    pub async fn hears(&mut self, text: &str) {
        let received = self.next().await;
        assert!(received == Received::Text(text.to_owned()), "{self} should have received {text:?} next");
    }

    /// The next thing that arrives is exactly these bytes.
    ///
    /// # Panics
    /// When it is not.
    pub async fn hears_bytes(&mut self, bytes: &[u8]) {
        let received = self.next().await;
        assert!(received == Received::Binary(bytes.to_vec().into()), "{self} should have received {bytes:?} next");
    }

    /// The next thing that arrives is the end, with this close code.
    ///
    /// # Panics
    /// When it is not.
    pub async fn is_closed_with(&mut self, code: u16) {
        let received = self.next().await;
        assert!(received == Received::Closed(Some(code)), "{self} should have been closed with {code} next");
    }

    /// Reads until this text arrives, and returns what came before it.
    ///
    /// # Panics
    /// When it does not arrive, or the connection ends.
    pub async fn reads_until(&mut self, text: &str) -> Vec<Received> {
        let mut before = Vec::new();
        loop {
            match self.next().await {
                Received::Text(received) if received == text => return before,
                Received::Closed(_) => panic!("{self} was closed before it received {text:?}"),
                other => before.push(other),
            }
        }
    }

    /// Reads until the connection ends, in whatever way.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn reads_until_the_end(&mut self) {
        while !matches!(self.next().await, Received::Closed(_)) {}
    }

    /// Leaves with a close frame and waits for the answer.
    pub async fn leave(mut self) {
        let _ = self.sink.close().await;
        while !matches!(self.next_within(SOON).await, None | Some(Received::Closed(_))) {}
    }

    async fn send(&mut self, message: Message) {
        if let Err(error) = self.sink.send(message).await {
            panic!("{self} could not send: {error}");
        }
    }
}

/// Reads until the stream ends or nobody listens.
async fn read(mut frames: SplitStream<Stream>, arrive: mpsc::Sender<Received>) {
    loop {
        let received = match frames.next().await {
            Some(Ok(Message::Text(text))) => Received::Text(text.as_str().to_owned()),
            Some(Ok(Message::Binary(bytes))) => Received::Binary(bytes),
            Some(Ok(Message::Close(close))) => Received::Closed(close.map(|close| close.code.into())),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Err(_)) | None => Received::Closed(None),
        };
        let ended = matches!(received, Received::Closed(_));
        if arrive.send(received).await.is_err() {
            return;
        }
        if ended {
            // Going on writes the answer to a close frame, for which the other side waits.
            while let Some(Ok(_)) = frames.next().await {}
            return;
        }
    }
}

impl fmt::Display for ChatClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "client {} (received last:", self.name)?;
        for received in &self.history {
            let shown = format!("{received:?}");
            let cut = shown.char_indices().nth(SHOWN_CHARACTERS).map_or(shown.len(), |(at, _)| at);
            write!(formatter, " {}{}", &shown[..cut], if cut < shown.len() { "…" } else { "" })?;
        }
        formatter.write_str(")")
    }
}

impl fmt::Debug for ChatClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
