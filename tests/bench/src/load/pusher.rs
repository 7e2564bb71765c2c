//! A program that pushes to one client, as functions written for Tencent API Gateway do.

use bytes::Bytes;
use serde_json::json;

use crate::http::Poster;

/// A connection to the push port of one gateway.
#[derive(Debug)]
pub(crate) struct Pusher(Poster);

impl Pusher {
    /// Connects to a push URL, which ends with its key.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(crate) async fn connect(push_url: &str) -> anyhow::Result<Self> {
        Ok(Self(Poster::connect(push_url).await?))
    }

    /// Pushes, and waits for the answer.
    ///
    /// # Errors
    /// When it is not 200.
    pub(crate) async fn push(&mut self, body: Bytes) -> anyhow::Result<()> {
        self.0.post(body).await
    }
}

/// The body of a push of a text.
pub(crate) fn data_send(id: &str, text: &str) -> Bytes {
    let push = json!({"action": "data send", "secConnectionID": id, "dataType": "text", "data": text});
    json!({"websocket": push}).to_string().into()
}
