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
use tokio::task::JoinSet;
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

/// One connected client. Like a browser it reads, and answers pings, also while nobody asks it what it has received.
pub struct ChatClient {
    name: String,
    sink: SplitSink<Stream, Message>,
    received: mpsc::Receiver<Received>,
    history: VecDeque<Received>,
    // Ended with the client.
    _reader: JoinSet<()>,
}

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// More than any test lets come in before it looks. Full, the client stops to read, and the gateway will say so.
const UNREAD: usize = 100_000;

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
        let (sink, stream) = stream.split();
        let (inbox, received) = mpsc::channel(UNREAD);
        let mut reader = JoinSet::new();
        reader.spawn(read(stream, inbox));
        Ok(Self { name: name.to_owned(), sink, received, history: VecDeque::new(), _reader: reader })
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
        // Behind the end of the stream nothing else is to come.
        let received = timeout(deadline, self.received.recv()).await.ok()?.unwrap_or(Received::Closed(None));
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

/// Hands on what arrives, to the end of the stream.
async fn read(mut stream: SplitStream<Stream>, inbox: mpsc::Sender<Received>) {
    loop {
        // Reading on behind a close frame is what sends the answer to it.
        let received = match stream.next().await {
            Some(Ok(Message::Text(text))) => Received::Text(text.as_str().to_owned()),
            Some(Ok(Message::Binary(bytes))) => Received::Binary(bytes),
            Some(Ok(Message::Close(close))) => Received::Closed(close.map(|close| close.code.into())),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Err(_)) | None => return,
        };
        if inbox.send(received).await.is_err() {
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
