//! The connection for commands: absent, fresh (only a lease passes), or open.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Value};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::COMMAND;
use super::scripts::{Call, Loaded};
use super::trouble::{self, When};
use crate::backplane::BackplaneError;

/// A handle to the connection of now.
#[derive(Debug, Default)]
pub(super) struct Link(watch::Sender<State>);

#[derive(Debug, Default, Clone)]
enum State {
    #[default]
    Away,
    Fresh(Arc<Session>),
    Open(Arc<Session>),
}

impl State {
    fn session(&self) -> Option<&Arc<Session>> {
        match self {
            Self::Away => None,
            Self::Fresh(session) | Self::Open(session) => Some(session),
        }
    }
}

struct Session {
    connection: MultiplexedConnection,
    scripts: Loaded,
    /// Told by the library when the connection is gone.
    lost: Arc<Notify>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Nothing of the connection: it knows the password.
        formatter.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn close(&self) {
        self.0.send_replace(State::Away);
    }

    pub(super) fn opened(&self, connection: MultiplexedConnection, scripts: Loaded, lost: Arc<Notify>) {
        self.0.send_replace(State::Fresh(Arc::new(Session { connection, scripts, lost })));
    }

    /// A lease was taken over the fresh connection: everything else may follow.
    pub(super) fn leased(&self) {
        self.0.send_if_modified(|state| match state {
            State::Fresh(session) => {
                *state = State::Open(Arc::clone(session));
                true
            }
            State::Away | State::Open(_) => false,
        });
    }

    /// Ends when there is no connection.
    pub(super) async fn closed(&self) {
        let mut state = self.0.subscribe();
        loop {
            let Some(session) = state.borrow_and_update().session().cloned() else { return };
            tokio::select! {
                () = session.lost.notified() => {
                    self.drop_session(&session);
                    return;
                }
                changed = state.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Calls a script over the open connection; waits for one.
    pub(super) async fn call(&self, call: Call) -> Result<Value, BackplaneError> {
        let deadline = Instant::now() + COMMAND;
        let session = self.open(deadline).await?;
        self.send(&session, call.command(&session.scripts), deadline).await
    }

    /// Sends a command over the open connection; waits for one.
    pub(super) async fn command(&self, command: Cmd) -> Result<Value, BackplaneError> {
        let deadline = Instant::now() + COMMAND;
        let session = self.open(deadline).await?;
        self.send(&session, command, deadline).await
    }

    /// Calls a script over a connection that may be fresh; does not wait for one.
    pub(super) async fn call_first(&self, call: Call) -> Result<Value, BackplaneError> {
        let session = self.0.borrow().session().cloned().ok_or_else(away)?;
        self.send(&session, call.command(&session.scripts), Instant::now() + COMMAND).await
    }

    /// Sends a command over a connection that may be fresh; does not wait for one.
    pub(super) async fn command_first(&self, command: Cmd) -> Result<Value, BackplaneError> {
        let session = self.0.borrow().session().cloned().ok_or_else(away)?;
        self.send(&session, command, Instant::now() + COMMAND).await
    }

    async fn open(&self, deadline: Instant) -> Result<Arc<Session>, BackplaneError> {
        let mut state = self.0.subscribe();
        let open = state.wait_for(|state| matches!(state, State::Open(_)));
        match timeout_at(deadline, open).await {
            Ok(Ok(state)) => state.session().cloned().ok_or_else(away),
            _ => Err(away()),
        }
    }

    async fn send(&self, session: &Arc<Session>, command: Cmd, deadline: Instant) -> Result<Value, BackplaneError> {
        let mut connection = session.connection.clone();
        let answer = match timeout_at(deadline, connection.send_packed_command(&command)).await {
            Ok(answer) => answer.and_then(Value::extract_error),
            Err(_) => {
                return Err(BackplaneError::Unanswered(format!("Redis did not answer within {} s", COMMAND.as_secs())));
            }
        };
        answer.map_err(|error| {
            // A server that lost the scripts, or is another one, gets them by a new connection.
            if error.is_unrecoverable_error() || error.code() == Some("NOSCRIPT") {
                self.drop_session(session);
            }
            trouble::of(&error, When::Sent)
        })
    }

    fn drop_session(&self, gone: &Arc<Session>) {
        self.0.send_if_modified(|state| match state {
            State::Fresh(session) | State::Open(session) if Arc::ptr_eq(session, gone) => {
                *state = State::Away;
                true
            }
            _ => false,
        });
    }
}

fn away() -> BackplaneError {
    BackplaneError::Away("there is no connection to Redis".into())
}
