//! A WebSocket client that does no more than it has to: whatever it costs is timed along.

use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use http::Uri;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// One connected client.
#[derive(Debug)]
pub(crate) struct Client(WebSocketStream<TcpStream>);

impl Client {
    /// Connects to a gateway.
    ///
    /// # Errors
    /// When it is not there, or says no.
    pub(crate) async fn connect(url: &str) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url} is no URL"))?;
        let authority = uri.authority().with_context(|| format!("{url} names no host"))?.as_str();
        let stream = TcpStream::connect(authority).await.with_context(|| format!("failed to connect to {url}"))?;
        stream.set_nodelay(true)?;
        let (socket, _) = client_async(url, stream).await.with_context(|| format!("{url} refused a client"))?;
        Ok(Self(socket))
    }

    /// Says a text, and returns when it began to.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(crate) async fn say(&mut self, text: String) -> anyhow::Result<Instant> {
        let message = Message::text(text);
        let begun = Instant::now();
        self.0.send(message).await?;
        Ok(begun)
    }

    /// Waits for a text, which must be this one, and returns when it was there.
    ///
    /// # Errors
    /// When another one comes, or the connection ends.
    pub(crate) async fn hears(&mut self, text: &str) -> anyhow::Result<Instant> {
        loop {
            let message = self.0.next().await.context("the connection ended")??;
            let at = Instant::now();
            match message {
                Message::Text(heard) => {
                    ensure!(heard.as_str() == text, "heard {heard:?} and not {text:?}");
                    return Ok(at);
                }
                // Reading on answers a ping.
                Message::Ping(_) | Message::Pong(_) => {}
                other => bail!("received {other:?}"),
            }
        }
    }
}
