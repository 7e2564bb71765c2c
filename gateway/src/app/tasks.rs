//! The keeper of the background tasks: none of them may end before the gateway does, and none may do so in silence.

use std::collections::HashMap;
use std::future::pending;

use tokio::task::{Id, JoinSet};

/// Tasks by name. Dropping it aborts them.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

/// A task that ended, which it must not do.
#[derive(Debug, thiserror::Error)]
#[error("the background task {name} {how}")]
pub struct TaskEnded {
    name: &'static str,
    how: String,
}

impl Tasks {
    /// Starts a task.
    pub(super) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.tasks.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// Waits until one has ended.
    pub(super) async fn ended(&mut self) -> TaskEnded {
        let (id, how) = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => (id, "ended by itself".to_owned()),
            Some(Err(error)) if error.is_panic() => (error.id(), format!("panicked: {error}")),
            Some(Err(error)) => (error.id(), format!("was ended: {error}")),
            None => return pending().await,
        };
        TaskEnded { name: self.names.get(&id).copied().unwrap_or("?"), how }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_dies_is_named() {
        let mut tasks = Tasks::default();
        tasks.spawn("patient", pending());
        tasks.spawn("hasty", async {});
        assert_eq!(tasks.ended().await.to_string(), "the background task hasty ended by itself");
        tasks.spawn("clumsy", async { panic!("tripped") });
        let said = tasks.ended().await.to_string();
        assert!(said.contains("clumsy panicked") && said.contains("tripped"), "{said}");
    }
}
