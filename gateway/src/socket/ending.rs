//! The end of a stream: the close frame, the client's answer to it, and no more patience than each deserves.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::task::coop::consume_budget;
use tokio::time::timeout;

use super::{Received, Socket};
use crate::protocol::{Close, Event};

/// How long a client may take to answer a close frame.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client that does not read may take: its close frame stands behind all that it has not read.
const SLOW_TIMEOUT: Duration = Duration::from_secs(2);
/// Looks at the incoming side that a client is worth after it was closed. Each is at most one read: this ends a flood that
/// goes on as if nothing had happened.
const LAST_LOOKS: u32 = 4096;

impl Socket {
    /// Ends the stream: drops all frames that are not begun, sends the close frame behind the one half sent, waits for the
    /// client's answer, closes. A client that does not answer in time is reset. `limit` as in [`Socket::try_next`].
    pub async fn close(mut self, close: Close, limit: u32) {
        self.outbox.close(close.frame());
        let is_answer = matches!(close, Close::Answer(_));
        // Whoever floods has no claim to be listened to until it answers.
        let is_flood = matches!(close, Close::Flood(_));
        let patience = if close == Close::Slow { SLOW_TIMEOUT } else { ANSWER_TIMEOUT };
        match timeout(patience, self.say_goodbye(is_answer, is_flood, limit)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => self.reset(),
        }
    }

    /// Ends the stream at once and without a word, for a client that does not hear any: what the kernel still held for it
    /// is thrown away.
    pub fn reset(self) {
        // Without it the kernel would keep trying.
        let _ = self.stream.set_zero_linger();
    }

    async fn say_goodbye(&mut self, mut has_heard_it: bool, is_flood: bool, limit: u32) -> io::Result<()> {
        while self.has_output() {
            self.try_write(&[])?;
            if self.has_output() {
                self.ready(false, true).await;
            }
        }
        let mut looks = LAST_LOOKS;
        let mut has_shut_down = false;
        loop {
            if (self.decoder.is_done() || is_flood) && !has_shut_down {
                // We close first, as servers should, and then read what is left: closing a stream with unread bytes in
                // it would reset it, and the reset could overtake the close frame.
                self.stream.shutdown().await?;
                has_shut_down = true;
            }
            match self.try_next(limit) {
                Received::Gone => return Ok(()),
                // Both have said all they had to say.
                Received::Nothing if has_heard_it => return Ok(()),
                Received::Nothing => self.ready(true, false).await,
                received => {
                    has_heard_it |= matches!(received, Received::Event(Event::Close(_)));
                    looks = looks.checked_sub(1).ok_or(io::ErrorKind::QuotaExceeded)?;
                    consume_budget().await;
                }
            }
        }
    }
}
