//! Who may ask the gateway to end: signals, and a parent that closes our standard input.

use std::convert::Infallible;
use std::io::{self, Read as _};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tracing::info;

/// Everybody who may ask.
#[derive(Debug)]
pub(super) struct Ending {
    terminate: Signal,
    interrupt: Signal,
    /// Hears once, when standard input is closed; never, when nobody listens to it.
    input_closed: Option<mpsc::Receiver<()>>,
}

impl Ending {
    /// Begins to listen, to standard input only when told.
    pub(super) fn listen(to_standard_input: bool) -> io::Result<Self> {
        let input_closed = if to_standard_input { Some(watch_standard_input()?) } else { None };
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            input_closed,
        })
    }

    /// Passes on each request, as long as they fit; never returns.
    pub(super) async fn pass_on(mut self, to: mpsc::Sender<()>) -> Infallible {
        loop {
            self.asked().await;
            let _ = to.try_send(());
        }
    }

    async fn asked(&mut self) {
        let input_closed = async {
            match &mut self.input_closed {
                Some(closed) => closed.recv().await,
                None => std::future::pending().await,
            }
        };
        let why = tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = input_closed => {
                self.input_closed = None;
                "standard input was closed"
            }
        };
        info!(why, "asked to end");
    }
}

/// A thread of its own, because a read of standard input cannot be cancelled; it ends with the process.
fn watch_standard_input() -> io::Result<mpsc::Receiver<()>> {
    // One word is all that is ever said.
    let (closed, hears) = mpsc::channel(1);
    std::thread::Builder::new().name("standard-input".into()).spawn(move || {
        let mut scratch = [0; 256];
        let mut input = io::stdin();
        loop {
            match input.read(&mut scratch) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let _ = closed.blocking_send(());
    })?;
    Ok(hears)
}
