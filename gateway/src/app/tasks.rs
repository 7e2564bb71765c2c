//! The keeper of the background tasks: none of them may end before the gateway does, and none may do so in silence.

use std::future::pending;

use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

/// Tasks by name.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    running: FuturesUnordered<BoxFuture<'static, (&'static str, Result<(), JoinError>)>>,
}

/// A task that ended, which it must not do.
#[derive(Debug, thiserror::Error)]
#[error("the background task `{name}` {how}")]
pub struct TaskEnded {
    name: &'static str,
    how: String,
}

impl Tasks {
    /// Starts a task that is stopped at any point when `shutdown` becomes true.
    pub(super) fn spawn(
        &mut self,
        name: &'static str,
        mut shutdown: watch::Receiver<bool>,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let handle = tokio::spawn(async move {
            tokio::select! {
                _ = shutdown.wait_for(|over| *over) => {}
                () = work => {}
            }
        });
        self.adopt(name, handle);
    }

    /// Takes over a task that ends by itself when the gateway does.
    pub(super) fn adopt(&mut self, name: &'static str, handle: JoinHandle<()>) {
        self.running.push(handle.map(move |end| (name, end)).boxed());
    }

    /// Waits until one has ended.
    pub(super) async fn ended(&mut self) -> TaskEnded {
        match self.running.next().await {
            Some((name, Ok(()))) => TaskEnded { name, how: "ended by itself".into() },
            Some((name, Err(error))) => TaskEnded { name, how: format!("died: {error}") },
            None => pending().await,
        }
    }

    /// Waits until all have ended, as they were told; whoever has not by the deadline is left behind.
    pub(super) async fn all_ended(mut self, deadline: Instant) {
        while let Ok(Some((name, end))) = timeout_at(deadline, self.running.next()).await {
            if let Err(error) = end {
                warn!(name, %error, "a background task died while the gateway ended");
            }
        }
        if !self.running.is_empty() {
            warn!(count = self.running.len(), "background tasks did not end in time");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_dies_is_named() {
        let over = watch::Sender::new(false);
        let mut tasks = Tasks::default();
        tasks.spawn("patient", over.subscribe(), pending());
        tasks.spawn("hasty", over.subscribe(), async {});
        assert_eq!(tasks.ended().await.to_string(), "the background task `hasty` ended by itself");
        tasks.spawn("clumsy", over.subscribe(), async { panic!("tripped") });
        let said = tasks.ended().await.to_string();
        assert!(said.contains("clumsy") && said.contains("tripped"), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn all_end_when_told_and_the_stubborn_are_left_behind() {
        let over = watch::Sender::new(false);
        let mut tasks = Tasks::default();
        tasks.spawn("patient", over.subscribe(), pending());
        let stubborn = tokio::spawn(pending());
        let stubborn_ends = stubborn.abort_handle();
        tasks.adopt("stubborn", stubborn);
        over.send_replace(true);
        let deadline = Instant::now() + std::time::Duration::from_secs(5);
        tasks.all_ended(deadline).await;
        assert_eq!(Instant::now(), deadline);
        stubborn_ends.abort();
    }
}
